"""The engine of one run: a pool may start before the plan is made, is used or replaced, and ends with the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from weekly_cli.run.engines import ClusterEngine, Engine
from weekly_cli.run.engines.in_process import InProcess

if TYPE_CHECKING:
    from weekly_cli.run.plan import Plan
    from weekly_cli.run.resources import Resources

#: Starts an engine with this many workers.
StartEngine = Callable[[int], Engine]


class EngineHolder:
    """Owns the engine of a run.

    Parameters
    ----------
    start : callable
        Starts a pool with this many workers.
    engine : Engine, optional
        A pool that is already started, or a cluster.
    capacity : Resources
        What the tasks may use.
    """

    def __init__(self, start: StartEngine, engine: Engine | None, capacity: Resources) -> None:
        self._start, self._engine, self.capacity = start, engine, capacity

    @property
    def cluster(self) -> ClusterEngine | None:
        """The engine, if there is one already whose workers may be on other machines."""
        return None if self._engine is None else self._engine.cluster

    def start_early(self, workers: int) -> None:
        """Start a pool that the plan may need, if there is none yet."""
        if self._engine is None:
            self._engine = self._start(workers)

    def engine_for(self, plan: Plan) -> Engine:
        """Return the engine that the plan requires."""
        if plan.strategy == "direct":
            self.close()
            self._engine = InProcess()
        elif self._engine is not None and self._engine.cluster is not None:
            self._engine.resize(plan.workers)
        elif self._engine is None or self._engine.workers != plan.workers:
            self.close()
            self._engine = self._start(plan.workers)
        return self._engine

    def close(self) -> None:
        """End the engine's workers."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
