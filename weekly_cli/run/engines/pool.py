"""Runs tasks on joblib's loky: worker processes that start fresh, so that no state of this process leaks into them.

When one worker dies, loky fails every outstanding task and can't say which one caused it. So a worker records each
task that it begins: tasks that had begun are suspects, all others are merely unfinished.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from weekly_cli.errors import WeeklyError
from weekly_cli.files.objects.filesystems import variables
from weekly_cli.run import resources
from weekly_cli.run.engines import Cause, Failed, loky
from weekly_cli.run.engines.process import TO_ONE_PROCESS, WORKER_ENVIRONMENT, run_marked, start_worker

if TYPE_CHECKING:
    from weekly_cli.run.engines import RunTask
    from weekly_cli.run.task import Outcome, Task

#: Seconds between checks for tasks that take too long.
_LOOK_SECONDS = 0.25


@contextlib.contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Block what ends a run while processes start: one of which nobody knows yet would complain of half a message.

    Ignoring the signals during that time would lose a Ctrl-C that arrives just then. The resource trackers are started
    beforehand, because starting them unblocks SIGINT. Processes inherit what is blocked. SIGINT stays so in workers:
    this process is the one to end them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    loky.start_trackers()
    with _noted({signal.SIGINT, *TO_ONE_PROCESS}):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *TO_ONE_PROCESS})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _noted(numbers: Collection[signal.Signals]) -> Iterator[None]:
    """Note signals, and act on them afterwards: what one thread blocks, another one takes, and this one then raises."""
    if threading.current_thread() is not threading.main_thread():  # which alone has handlers
        yield
        return
    came: list[int] = []
    usual = {number: signal.signal(number, lambda signum, _: came.append(signum)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in usual.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for signum in came[:1]:
            signal.raise_signal(signum)


class Pool:
    """An engine of `workers` processes; it starts them immediately, so that they are warm when tasks arrive.

    Parameters
    ----------
    workers : int
    budget_bytes : int
        Memory that all processes together may use.
    task_seconds : float or None
        The longest that a task may take, in seconds; None: no limit.
    """

    cluster = None

    def __init__(self, workers: int, budget_bytes: int, task_seconds: float | None) -> None:
        self.workers = workers
        self._budget_bytes, self._task_seconds = budget_bytes, task_seconds
        self._seen_since: dict[str, float] = {}
        self._executor: Any = None
        self._start()

    def _start(self) -> Any:
        self._executor = loky.start_executor(
            self.workers, start_worker, (os.getpid(), self._budget_bytes), {**WORKER_ENVIRONMENT, **variables()}
        )
        try:
            with _interrupts_wait():
                self._executor.submit(os.getpid)
        except BaseException:  # an interrupt that was blocked: no other code knows of these workers yet
            self.close()
            raise
        return self._executor

    def run_tasks(self, tasks: Sequence[Task], run: RunTask) -> Iterator[Outcome | Failed]:
        """Run the tasks on the pool and yield the result of each as it ends."""
        from weekly_cli.files import markers

        self._seen_since = {}
        for task in tasks:
            markers.remove_start_marker(task.part)
        kills = resources.memory_kills()
        futures, lost = self._submitted(tasks, run)
        late: set[str] = set()
        while futures:
            ended, _ = wait(futures, _LOOK_SECONDS if self._task_seconds else None, FIRST_COMPLETED)
            for future in ended:
                task = futures.pop(future)
                try:
                    yield future.result()
                except WeeklyError:
                    raise
                except BrokenProcessPool:
                    lost.append(task)
                except (Exception, SystemExit) as error:  # noqa: BLE001 - the caller decides what a task's exception means
                    yield Failed(task, Cause.RAISED, f"{type(error).__name__}: {error}", traceback.format_exc())
            late |= self._kill_late(futures)
        if lost:
            self.close()
            memory_kill = resources.memory_kills() > kills
            if memory_kill:
                resources.wait_for_memory(self._budget_bytes // 2)
            yield from self._lost(lost, late, memory_kill)

    def _submitted(self, tasks: Sequence[Task], run: RunTask) -> tuple[dict[Future[Any], Task], list[Task]]:
        """Return the tasks that the pool accepted, by their futures, and those that it refused because it broke."""
        executor = self._executor or self._start()
        futures: dict[Future[Any], Task] = {}
        for task in tasks:
            try:
                futures[executor.submit(run_marked, run, task)] = task
            except BrokenProcessPool:
                break
        return futures, list(tasks[len(futures) :])

    def _kill_late(self, futures: Mapping[Future[Any], Task]) -> set[str]:
        """Kill the workers whose tasks take too long, and return the parts of these tasks."""
        if self._task_seconds is None or self._executor is None:
            return set()
        from weekly_cli.files import markers

        late = set()
        for task in futures.values():
            marker = markers.read_start_marker(task.part)
            if marker is None or not marker.is_here or marker.process not in loky.processes(self._executor):
                continue
            since = self._seen_since.setdefault(task.part, time.monotonic())
            if time.monotonic() - since > self._task_seconds:
                with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
                    os.kill(marker.process, signal.SIGKILL)
                late.add(task.part)
        return late

    def _lost(self, tasks: Sequence[Task], late: set[str], memory_kill: bool) -> Iterator[Failed]:
        """Yield the tasks that a broken pool left unfinished, each with the reason."""
        from weekly_cli.files import markers

        for task in tasks:
            if task.part in late:
                yield Failed(task, Cause.TOO_LONG, f"took longer than {self._task_seconds:g} s (--task-timeout)")
            elif late or markers.read_start_marker(task.part) is None:
                yield Failed(task, Cause.UNFINISHED, "a worker process died")
            elif memory_kill:
                yield Failed(task, Cause.NO_MEMORY, "the system killed its worker process for lack of memory")
            else:
                yield Failed(task, Cause.DIED, "its worker process died")

    def resize(self, workers: int) -> None:
        """Use this many workers from now on."""
        if workers != self.workers:
            self.close()
            self.workers = workers

    def close(self) -> None:
        """End the workers immediately."""
        if self._executor is not None:
            loky.end_executor(self._executor)
            self._executor = None
