"""Tasks on joblib's loky: worker processes that start fresh, so that nothing of this one leaks into them.

loky fails every outstanding task when one worker is killed, and can't tell which task did it: those come back
as suspects, each to be run alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from typing import TYPE_CHECKING, Any

from joblib.externals.loky.process_executor import ProcessPoolExecutor, TerminatedWorkerError

from weekly_cli.engines import Failed
from weekly_cli.engines.process import start_worker
from weekly_cli.errors import WeeklyError

if TYPE_CHECKING:
    from weekly_cli.engines import RunTask
    from weekly_cli.worker import Outcome, Task

#: One thread a worker: the plan counts workers, and a library's own threads would only compete with them.
#: One allocator for Arrow and numpy, which keeps what is freed for the next block: giving pages back and getting
#: them anew took a third of the workers' system time, and Arrow's own pool a fifth more memory.
_WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}
_IDLE_SECONDS = 3600.0


@contextlib.contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C for the moment in which processes start: they inherit that, and it is this one that ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Pool:
    """An engine of `workers` processes; it starts them at once, so that they are warm when tasks come."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._executor: ProcessPoolExecutor | None = None
        self._start()

    def _start(self) -> ProcessPoolExecutor:
        self._executor = ProcessPoolExecutor(
            self.workers,
            timeout=_IDLE_SECONDS,
            initializer=start_worker,
            initargs=(os.getpid(),),
            env=_WORKER_ENVIRONMENT,
        )
        with _interrupts_ignored():
            self._executor.submit(os.getpid)
        return self._executor

    def run_tasks(self, tasks: Sequence[Task], run: RunTask) -> Iterator[Outcome | Failed]:
        """Run the tasks on the pool and yield what came of each as it ends."""
        executor = self._executor or self._start()
        futures: dict[Future[Any], Task] = {executor.submit(run, task): task for task in tasks}
        broken = False
        for future in as_completed(futures):
            task = futures[future]
            try:
                yield future.result()
            except WeeklyError:
                raise
            except TerminatedWorkerError:
                broken = True
                yield Failed(task, "the worker process died", "", alone=len(tasks) == 1)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a task raises is the caller's to judge
                yield Failed(task, f"{type(error).__name__}: {error}", traceback.format_exc(), alone=True)
        if broken:
            self.close()

    def close(self) -> None:
        """End the workers at once."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, kill_workers=True)
            self._executor = None
