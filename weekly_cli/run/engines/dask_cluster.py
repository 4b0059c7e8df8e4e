"""Runs tasks on a Dask cluster, by `distributed.Client` itself.

Rejected: joblib's dask backend, which waits for ever for a task that kills its worker. A worker that dies is Dask's
business: the scheduler gives its tasks to others, and only a task over which several workers died comes back as failed.

A bounded number of tasks is with the scheduler at a time, so neither this process nor the scheduler grows with their
number. `distributed` is imported where it is needed: it takes half a second.
"""

from __future__ import annotations

import contextlib
import pickle
import queue
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from weekly_cli.errors import ClusterError, WeeklyError
from weekly_cli.files import markers
from weekly_cli.files.disk import first_line
from weekly_cli.files.objects.filesystems import connection
from weekly_cli.run.engines import Cause, Failed
from weekly_cli.run.engines.dask_worker import Answer, Attempt, Reach, answer

if TYPE_CHECKING:
    from weekly_cli.run.engines import RunTask
    from weekly_cli.run.task import Outcome, Task

Item = TypeVar("Item")
Result = TypeVar("Result")

_RESTART_SECONDS = 10.0
#: Between looks at whether the cluster still has workers, while nothing ends.
_LOOK_SECONDS = 5.0
#: How long a cluster may be without any worker: time to start some, or for those that died to be replaced.
_PATIENCE_SECONDS = 60.0
#: Pieces of work that are with the scheduler for each one that runs: the next one is with its worker before it asks.
_AHEAD = 3


class Cluster:
    """An engine on a Dask cluster.

    Parameters
    ----------
    client : distributed.Client
    name : str
        The cluster in messages.
    workers : int
        Its threads, each of which runs a task at a time.
    task_seconds : float or None
        The longest that a task may take, in seconds; None: no limit.
    stack : ExitStack
        Closes what was opened.
    """

    def __init__(
        self,
        client: Any,
        name: str,
        workers: int,
        task_seconds: float | None,
        stack: contextlib.ExitStack,
    ) -> None:
        self.workers = self._threads = workers
        self._client, self._name, self._task_seconds, self._stack = client, name, task_seconds, stack
        self._numbers: dict[tuple[str, int, int], int] = {}
        self._reached: set[tuple[str, str]] = set()

    @property
    def cluster(self) -> Cluster:
        """The engine itself: its workers may be on other machines."""
        return self

    def run_tasks(self, tasks: Sequence[Task], run: RunTask) -> Iterator[Outcome | Failed]:
        """Run the tasks on the cluster and yield the result of each as it ends.

        Raises
        ------
        ClusterError
            If the cluster is lost.
        """
        from distributed import KilledWorker

        for task, found in self._answers(Attempt(run), tasks, self._task_seconds):
            if isinstance(found, KilledWorker):
                deaths = found.allowed_failures + 1
                yield Failed(task, Cause.DIED, f"{deaths} worker processes died over it", deaths=deaths)
            elif isinstance(found, Exception):
                yield Failed(task, Cause.RAISED, f"{type(found).__name__}: {first_line(found)}", str(found))
            elif found.error is not None:
                raise found.error
            elif found.is_late:
                yield Failed(task, Cause.TOO_LONG, f"took longer than {self._task_seconds:g} s (--task-timeout)")
            elif found.reason:
                yield Failed(task, Cause.RAISED, found.reason, found.details)
            else:
                yield self._as_of_here(found)

    def each(self, function: Callable[[Item], Result], items: Iterable[Item], /) -> Iterator[Result]:
        """Call a function with each item on the cluster, some at a time, and yield the results in order.

        Raises
        ------
        ClusterError
            If the cluster is lost, or workers die over an item.
        """
        ahead: deque[Any] = deque()
        try:
            for item in items:
                ahead.append(self._submit(function, item, None))
                if len(ahead) >= self._most_ahead:
                    yield self._value(ahead)
            while ahead:
                yield self._value(ahead)
        finally:
            self._cancel(ahead)

    def resize(self, workers: int) -> None:
        """Run this many tasks at a time from now on: the cluster itself stays as it is."""
        self.workers = workers

    def close(self) -> None:
        """Leave the cluster, and end it if it is ours."""
        self._stack.close()

    def check_reach(self, input: str, mark: str) -> None:
        """Refuse a cluster one of whose workers does not reach an input file, or the folder of `mark`, if there is one.

        Raises
        ------
        ClusterError
        """
        if (input, mark) in self._reached:
            return
        if mark:
            markers.write_start_marker(mark)
        with self._losses():
            found: Mapping[str, str] = self._client.run(Reach(input, mark))
        out_of_reach = {worker: reason for worker, reason in found.items() if reason}
        if out_of_reach:
            worker, reason = next(iter(out_of_reach.items()))
            others = f" ({len(out_of_reach):,} of {len(found):,} workers)" if len(found) > 1 else ""
            raise ClusterError(
                f"worker {worker} does not reach what this process does: {reason}{others}; input and output must be "
                "on storage that all workers share, under the same paths"
            )
        self._reached.add((input, mark))

    @property
    def _most_ahead(self) -> int:
        """How many pieces of work may be with the scheduler: with fewer workers than threads, no more than may run."""
        return self.workers if self.workers < self._threads else _AHEAD * self.workers

    def _submit(self, function: Callable[[Item], Any], item: Item, seconds: float | None) -> Any:
        work = pickle.dumps((connection(), function, item), protocol=pickle.HIGHEST_PROTOCOL)
        with self._losses():
            return self._client.submit(answer, work, seconds, key=f"weekly-cli-{secrets.token_hex(16)}", pure=False)

    def _answers(
        self, function: Callable[[Item], Any], items: Iterable[Item], seconds: float | None
    ) -> Iterator[tuple[Item, Answer | Exception]]:
        """Yield each item with what became of it, as they end."""
        import distributed

        remaining = iter(items)
        running: dict[Any, Item] = {}
        as_completed: Any = distributed.as_completed  # it has no types
        ended = as_completed(loop=self._client.loop, raise_errors=False)
        try:
            while True:
                for item in islice(remaining, max(0, self._most_ahead - len(running))):
                    future = self._submit(function, item, seconds)
                    running[future] = item
                    ended.add(future)
                if not running:
                    return
                batch = self._next_batch(ended)
                for future, found in zip(batch, self._results(batch), strict=True):
                    if isinstance(found, Answer) and found.is_late:
                        self._end_workers_of(future)
                    yield running.pop(future), found
        finally:
            self._cancel(running)

    def _next_batch(self, ended: Any) -> list[Any]:
        """Wait for futures that have ended, as long as there are workers."""
        since = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                return [ended.queue.get(timeout=_LOOK_SECONDS), *ended.next_batch(block=False)]
            since = self._look(since)

    def _look(self, since: float) -> float:
        """Return since when there may have been no worker: now, if there is one."""
        with self._losses():
            there_are_workers = self._client.scheduler_info(n_workers=0).get("total_threads", 0) > 0
        if there_are_workers:
            return time.monotonic()
        if time.monotonic() - since > _PATIENCE_SECONDS:
            raise ClusterError(
                f"{self._name} has had no worker for {_PATIENCE_SECONDS:.0f} s; start workers, and the same command "
                "resumes where it was"
            )
        return since

    def _results(self, batch: Sequence[Any]) -> list[Answer | Exception]:
        """Return what became of futures that have ended, fetched together."""
        finished = [future for future in batch if future.status == "finished"]
        values: dict[Any, Answer] = {}
        if len(finished) > 1:
            with contextlib.suppress(Exception):  # a worker died with its answers: each is waited for by itself
                values = dict(zip(finished, self._client.gather(finished), strict=True))
        return [values[future] if future in values else self._result(future) for future in batch]

    def _result(self, future: Any) -> Answer | Exception:
        """Wait for a future, as long as there are workers, and return what became of it."""
        since = time.monotonic()
        while True:
            with self._losses():
                try:
                    found: Answer = future.result(timeout=_LOOK_SECONDS)
                    return found
                except TimeoutError:
                    pass
                except Exception as error:
                    if future.status == "error":
                        return error
                    raise
            since = self._look(since)

    def _value(self, ahead: deque[Any]) -> Any:
        """Return what the first function returned."""
        found = self._result(ahead[0])
        ahead.popleft()
        if isinstance(found, Exception):
            raise ClusterError(
                f"workers of {self._name} died over the same piece of work, or can't do it: {first_line(found)}; give "
                "them more memory (dask worker --memory-limit)"
            )
        if found.error is not None:
            raise found.error
        if found.reason:
            raise RuntimeError(f"{found.reason}\n{found.details}")
        return found.value

    def _cancel(self, futures: Iterable[Any]) -> None:
        """Take work back that nobody waits for any more; what runs already ends by itself, and its part is not used."""
        futures = list(futures)
        if futures and self._client.status == "running":
            with contextlib.suppress(Exception):
                self._client.cancel(futures, asynchronous=False)

    def _end_workers_of(self, future: Any) -> None:
        """End the process in which a function goes on that took too long; its nanny starts another one."""
        with contextlib.suppress(Exception):  # it has ended by itself, or has no nanny
            workers = self._client.who_has([future])[future.key]
            self._client.restart_workers(list(workers), timeout=_RESTART_SECONDS, raise_for_error=False)

    @contextlib.contextmanager
    def _losses(self) -> Iterator[None]:
        """Turn whatever a lost scheduler leads to into one error."""
        try:
            yield
        except WeeklyError:
            raise
        except Exception as error:
            if self._client.status == "running" and not isinstance(error, OSError | CancelledError):
                raise
            raise ClusterError(
                f"the scheduler of {self._name} went away; start it and its workers again, and the same command "
                "resumes where it was"
            ) from error

    def _as_of_here(self, found: Answer) -> Outcome:
        """Return an outcome whose times are by this machine's clock, and whose process is a number of this run.

        The wall clocks of both machines are taken for equal; nothing ends later than it is known here.
        """
        outcome: Outcome = found.value
        now = time.monotonic()
        shift = found.clock - (time.time() - now)
        started_at, ended_at = outcome.started_at or now, outcome.ended_at or now
        shift -= max(0.0, ended_at + shift - now)
        number = self._numbers.setdefault(found.place, len(self._numbers) + 1)
        return replace(outcome, process=number, started_at=started_at + shift, ended_at=ended_at + shift)
