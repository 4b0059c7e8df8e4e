"""Runs tasks on a Dask cluster, by `distributed.Client` itself.

Rejected: joblib's dask backend, which waits for ever for a task that kills its worker. A worker that dies is Dask's
business: the scheduler gives its tasks to others, and only a task over which several workers died comes back as failed.

A bounded number of tasks is with the scheduler at a time, so neither this process nor the scheduler grows with their
number. `distributed` is imported where it is needed: it takes half a second.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import queue
import secrets
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from weekly_cli.errors import ClusterError, UsageError, WeeklyError
from weekly_cli.files import markers
from weekly_cli.files.disk import first_line
from weekly_cli.files.objects.filesystems import connection, variables
from weekly_cli.run.engines import Cause, Failed
from weekly_cli.run.engines.dask_facts import PACKAGES, mismatch, resources_of
from weekly_cli.run.engines.dask_worker import Answer, Attempt, Reach, answer
from weekly_cli.run.engines.process import WORKER_ENVIRONMENT

if TYPE_CHECKING:
    from weekly_cli.run.engines import RunTask
    from weekly_cli.run.resources import Resources
    from weekly_cli.run.task import Outcome, Task

Item = TypeVar("Item")
Result = TypeVar("Result")

_EXTRA = "pip install 'weekly-cli[dask]'"
_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
#: Between looks at whether the cluster still has workers, while nothing ends.
_LOOK_SECONDS = 5.0
#: How long a cluster may be without any worker: time to start some, or for those that died to be replaced.
_PATIENCE_SECONDS = 60.0
#: Pieces of work that are with the scheduler for each one that runs: the next one is with its worker before it asks.
_AHEAD = 3
#: On a cluster of our own, a task fails after two deaths of workers (elsewhere by Dask's setting, after four), and there
#: is no dashboard, for whose port two runs would compete.
_OF_OUR_SCHEDULER = {"allowed_failures": 1, "dashboard": False, "dashboard_address": "127.0.0.1:0"}
#: What distributed's own modules log goes between progress bars; what matters is raised here.
_LOGGERS = ("distributed", "distributed.client", "distributed.gc", "tornado", "tornado.application")


def given_scheduler(scheduler: str | None) -> str | None:
    """Return the scheduler's address by the setting, or else as Dask itself has it configured; None: there is none.

    Raises
    ------
    UsageError
        If Dask is not installed.
    """
    if scheduler is not None:
        return scheduler
    _distributed()
    import dask

    address: str | None = dask.config.get("scheduler-address", None)
    return address


def connect(address: str, task_seconds: float | None) -> tuple[Cluster, Resources]:
    """Return an engine on the cluster of a scheduler, and what tasks may use there.

    Raises
    ------
    ClusterError
        If it can't be reached, has no workers, or runs other versions of what computes.
    UsageError
        If Dask is not installed.
    """
    distributed = _distributed()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        client = _client(stack, address, address)
        try:
            client.wait_for_workers(1, timeout=_CONNECT_SECONDS)
        except (TimeoutError, distributed.TimeoutError) as error:
            raise ClusterError(
                f"the scheduler at {address} has no workers; start some: dask worker {address}"
            ) from error
        difference = mismatch(client.get_versions(packages=list(PACKAGES)))
        if difference:
            raise ClusterError(difference)
        found = resources_of(client.scheduler_info(n_workers=-1)["workers"], address)
        return Cluster(client, address, found.cpus, task_seconds, stack.pop_all()), found


def start_cluster(workers: int, budget_bytes: int, task_seconds: float | None) -> Cluster:
    """Return an engine on a cluster of this machine, with so many workers of one thread, which end with it.

    Any worker may take the whole budget, as processes of the local pool may: the plan sees to it that all together do
    not exceed it.
    """
    distributed = _distributed()
    import dask

    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        with dask.config.set({"distributed.nanny.pre-spawn-environ": {**WORKER_ENVIRONMENT, **variables()}}):
            local = distributed.LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=budget_bytes,
                dashboard_address=None,
                silence_logs=logging.CRITICAL + 1,
                scheduler_kwargs=_OF_OUR_SCHEDULER,
                preload=[answer.__module__],
            )
        stack.callback(_closed, local)
        client = _client(stack, local, "the cluster of this machine")
        return Cluster(client, "the cluster of this machine", workers, task_seconds, stack.pop_all())


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise UsageError(f"--engine dask needs distributed, which is not installed: {_EXTRA}") from error
    return distributed


def _client(stack: contextlib.ExitStack, cluster: Any, name: str) -> Any:
    """Return a client of a cluster, or of the scheduler at an address, that is closed with the stack."""
    distributed = _distributed()
    try:
        with warnings.catch_warnings():  # of other versions, of which we refuse those that matter
            warnings.simplefilter("ignore")
            client = distributed.Client(cluster, timeout=_CONNECT_SECONDS, set_as_default=False, name="weekly-cli")
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise ClusterError(
            f"no Dask scheduler answers at {name}: {first_line(error)}; start one (dask scheduler), or correct "
            "--scheduler"
        ) from error
    stack.callback(_closed, client)
    return client


def _closed(one: Any) -> None:
    """Close a client or a cluster; what can't be closed in time ends with this process, or without it."""
    with contextlib.suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one.close(timeout=_CLOSE_SECONDS)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the logs of distributed's modules from the terminal; what is raised says what is wrong."""
    _distributed()
    handlers = {handler for name in _LOGGERS for handler in logging.getLogger(name).handlers}
    levels = {handler: handler.level for handler in handlers if isinstance(handler, logging.StreamHandler)}
    for handler in levels:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in levels.items():
            handler.setLevel(level)


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
        remaining = iter(items)
        running: dict[Any, Item] = {}
        ended = _distributed().as_completed(loop=self._client.loop, raise_errors=False)
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
            self._client.restart_workers(list(workers), timeout=_CONNECT_SECONDS, raise_for_error=False)

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
