"""Connects to a Dask cluster, or starts one of this machine's processes."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from weekly_cli.errors import ClusterError, UsageError
from weekly_cli.files.disk import first_line
from weekly_cli.files.objects.filesystems import variables
from weekly_cli.run.engines.dask_cluster import Cluster
from weekly_cli.run.engines.dask_facts import PACKAGES, mismatch, resources_of
from weekly_cli.run.engines.dask_worker import answer
from weekly_cli.run.engines.process import WORKER_ENVIRONMENT

if TYPE_CHECKING:
    from weekly_cli.run.resources import Resources

_EXTRA = "pip install 'weekly-cli[dask]'"
_CONNECT_SECONDS = 10.0
_CLOSE_SECONDS = 2.0
#: On a cluster of our own, a task fails after two deaths of workers (elsewhere by Dask's setting, after four); there is
#: no dashboard, for whose port two runs would compete.
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
