"""The engine of one run: a pool may start before the plan is made, is used or replaced, and ends with the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from weekly_cli.run.engines import Engine
from weekly_cli.run.engines.in_process import InProcess

if TYPE_CHECKING:
    from weekly_cli.run.plan import Plan

#: Starts an engine with this many workers.
StartEngine = Callable[[int], Engine]


class EngineHolder:
    """Owns the engine of a run.

    Parameters
    ----------
    start : callable
        Starts a pool with this many workers.
    engine : Engine, optional
        A pool that is already started.
    """

    def __init__(self, start: StartEngine, engine: Engine | None) -> None:
        self._start, self._engine = start, engine

    def start_early(self, workers: int) -> None:
        """Start a pool that the plan may need, if there is none yet."""
        if self._engine is None:
            self._engine = self._start(workers)

    def engine_for(self, plan: Plan) -> Engine:
        """Return the engine that the plan requires."""
        if plan.strategy == "direct":
            self.close()
            self._engine = InProcess()
        elif self._engine is None or self._engine.workers != plan.workers:
            self.close()
            self._engine = self._start(plan.workers)
        return self._engine

    def close(self) -> None:
        """End the engine's workers."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
