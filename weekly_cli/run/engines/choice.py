"""Which engine a run has, as its settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weekly_cli.run.engines.holder import EngineHolder, StartEngine
from weekly_cli.run.plan import budget_bytes
from weekly_cli.run.resources import requested_workers

if TYPE_CHECKING:
    from weekly_cli.run.engines import Engine
    from weekly_cli.run.resources import Resources
    from weekly_cli.settings import Config


def engines_of(
    config: Config, here: Resources, engine: Engine | None = None, start_engine: StartEngine | None = None
) -> EngineHolder:
    """Return the holder of a run's engine.

    Processes start when they are needed. A cluster that is there already is connected to now, so that one that does
    not fit is refused before any work.

    Parameters
    ----------
    config : Config
    here : Resources
        What this process and its children may use.
    engine : Engine, optional
        A pool that is already started.
    start_engine : callable, optional
        Starts one, whatever the settings say.

    Raises
    ------
    ClusterError, UsageError
        If the cluster can't be used.
    """
    if start_engine is not None or config.engine == "loky" or config.strategy == "direct":
        return EngineHolder(start_engine or _start_pool(config, here), engine, here)
    from weekly_cli.run.engines.dask_connect import connect, given_scheduler, start_cluster

    address = given_scheduler(config.scheduler)
    if address is None:
        return EngineHolder(
            lambda workers: start_cluster(workers, budget_bytes(config, here), config.task_timeout), None, here
        )
    cluster, capacity = connect(address, config.task_timeout)
    cluster.resize(min(requested_workers(config.jobs, capacity.cpus), capacity.cpus))
    return EngineHolder(lambda _: connect(address, config.task_timeout)[0], cluster, capacity)


def _start_pool(config: Config, here: Resources) -> StartEngine:
    def start(workers: int) -> Engine:
        from weekly_cli.run.engines.pool import Pool  # joblib takes a fifth of a second, too long for small data

        return Pool(workers, budget_bytes(config, here), config.task_timeout)

    return start
