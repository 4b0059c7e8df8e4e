"""What every stage of a run may use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from weekly_cli.dataset.as_of_table import forget
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import DatasetSchema
from weekly_cli.files.store import OutputStore
from weekly_cli.run.engines import Engine
from weekly_cli.run.engines.holder import EngineHolder
from weekly_cli.run.manifest import Journal
from weekly_cli.run.partition import Partitioned, partition
from weekly_cli.run.plan import Plan
from weekly_cli.run.resources import Resources
from weekly_cli.run.shuffle import shuffle
from weekly_cli.run.stages import Stages
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config

#: By what stands beside this name, workers of a cluster see that they reach the work folder.
MARK = "cluster"


@dataclass(frozen=True)
class RunContext:
    """The settings of a run, this process's resources, the output, and the engine."""

    config: Config
    wanted: Wanted
    resources: Resources
    store: OutputStore
    journal: Journal
    stages: Stages
    engines: EngineHolder

    def engine_for(self, plan: Plan, scan: Scan) -> Engine:
        """Return the engine that a plan requires; the workers of a cluster reach the input and the work folder."""
        engine = self.engines.engine_for(plan)
        if engine.cluster is not None and plan.tasks:
            engine.cluster.check_reach(scan.footers.pieces[0].path, self.store.address(MARK))
        return engine

    def write_bundles(
        self,
        scan: Scan,
        plan: Plan,
        schema: DatasetSchema,
        address: Callable[[str], str],
        on_rows: Callable[[int], None],
    ) -> Partitioned:
        """Write the bundles of a plan, on a cluster if there is one."""
        cluster = self.engines.cluster
        if cluster is None:
            partitioned = partition(scan, plan, schema, address, self.resources.cpus, on_rows)
            forget()  # the tables that were joined here; the workers' memory is needed for tasks
            return partitioned
        cluster.resize(plan.workers)
        cluster.check_reach(scan.footers.pieces[0].path, self.store.address(MARK))
        return shuffle(scan, plan, schema, address, cluster.each, on_rows)
