"""The Dask cluster that a build would use: whether it answers, and what it has."""

from __future__ import annotations

from dataclasses import dataclass

from weekly_cli.errors import WeeklyError
from weekly_cli.settings import Config


@dataclass(frozen=True)
class DaskCluster:
    """What was found.

    Attributes
    ----------
    address : str or None
        The scheduler's; None: workers would be started on this machine.
    threads : int
        How many tasks can run at a time.
    memory_bytes : int
        What they may take together.
    trouble : str
        Why the cluster can't be used; empty if it can.
    """

    address: str | None
    threads: int = 0
    memory_bytes: int = 0
    trouble: str = ""


def look_at_cluster(config: Config) -> DaskCluster | None:
    """Connect to the cluster that the settings name; None: they name none."""
    if config.engine != "dask":
        return None
    from weekly_cli.run.engines.dask_connect import connect, given_scheduler

    address = config.scheduler
    try:
        address = given_scheduler(config.scheduler)
        if address is None:
            return DaskCluster(None)
        cluster, found = connect(address, None)
        cluster.close()
    except WeeklyError as error:
        return DaskCluster(address, trouble=str(error))
    return DaskCluster(address, found.cpus, int(found.memory_share * found.memory_bytes))
