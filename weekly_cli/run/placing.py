"""The stage of a cross section: who takes part, in which groups, and the passes in their order.

All symbols of the input take part, whichever are selected: a rank among those that somebody happens to look at would
be another number. If not all are selected, the others are read for this stage alone, by tasks of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset import source
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.source import Chunk
from weekly_cli.run.accounting import refuse_duplicates
from weekly_cli.run.comparisons import compare, write_benchmark_file
from weekly_cli.run.context import RunContext
from weekly_cli.run.cross_section import STAGE, panel_cuts, panel_tables, write_panels, write_places
from weekly_cli.run.fan_out import nothing_worth_keeping
from weekly_cli.run.jobs import make_tasks
from weekly_cli.run.plan import Plan, make_plan
from weekly_cli.run.section import CrossSection, section_of
from weekly_cli.run.task import Job, Task
from weekly_cli.run.wanted import Wanted


@dataclass(frozen=True)
class Placing:
    """What the first pass has left to be placed.

    Attributes
    ----------
    section : CrossSection
    parts : sequence of str
        Those to which panels belong.
    cuts : mapping of clock to tuple of int
        The periods at which ranges begin.
    bars_at_once : int
    """

    section: CrossSection
    parts: Sequence[str]
    cuts: Mapping[str, tuple[int, ...]]
    bars_at_once: int

    def tables(self, every: str) -> Iterator[pa.Table]:
        """Yield the values of all symbols' bars of a clock, some periods at a time."""
        return panel_tables(self.parts, every, self.cuts[every], self.bars_at_once)


def plan_of_all(run: RunContext, scan: Scan, plan: Plan) -> Plan:
    """Return the plan of whoever takes part in a cross section: the run's own one, unless symbols are selected."""
    if not run.wanted.crosses or len(plan.selected) == len(scan.symbols):
        return plan
    config = replace(run.config, symbols=None, max_symbols=None, order="symbol")
    return replace(make_plan(scan, config, run.wanted, run.engines.capacity), last_day=plan.last_day)


def placed_tasks(
    run: RunContext,
    wanted: Wanted,
    scan: Scan,
    plan: Plan,
    of_all: Plan,
    tasks: Sequence[Task],
    on_panels: Callable[[Placing], None] | None = None,
) -> Sequence[Task]:
    """Return the tasks of a plan with the places of their bars, which are computed and written.

    `on_panels` is called before, with the values that are placed.

    Raises
    ------
    InputRefused
        If a symbol has two groups, or several rows on one day and `on_duplicates` is "error".
    """
    with run.stages.stage(STAGE) as summary:
        everybody = tasks if of_all is plan else _tasks_of_all(run, wanted, scan, of_all, tasks[0].job)
        section, at_once = _section(run, wanted, scan, of_all), int(of_all.bars_at_once or 1)
        bars = round(of_all.rows / max(1.0, scan.calendar.sessions_a_week))
        job = everybody[0].job
        cuts = {clock.every: panel_cuts(clock, (scan.first_day, scan.last_day), bars, at_once) for clock in job.clocks}
        outcomes = write_panels(everybody, cuts, run.engine_for(of_all, scan), of_all, run.stages)
        with nothing_worth_keeping(run.store):
            refuse_duplicates(run.config, scan, of_all, outcomes)
        parts = [outcome.part for outcome in outcomes if outcome.part is not None]
        if on_panels is not None:
            on_panels(Placing(section, parts, cuts, at_once))
        files = write_places(parts, cuts, job, section, _selected(plan, of_all), at_once, run.store.address)
        summary.append(f"{len(section.features):,} columns of {len(of_all.selected):,} symbols")
        if section.memberships is not None:
            summary.append(f", {section.memberships.n_members:,} in the universe")
    return [replace(task, job=replace(task.job, placed_files=files)) for task in tasks]


def _tasks_of_all(run: RunContext, wanted: Wanted, scan: Scan, of_all: Plan, job: Job) -> Sequence[Task]:
    """Return tasks of all symbols; what they need is written beside that of the run's own tasks."""

    def address(name: str) -> str:
        return run.store.address(f"all-{name}")

    comparisons = compare(run.config, wanted, scan.symbols, of_all.selected, run.config.where)
    job = replace(
        job,
        schema=scan.footers.schema,
        benchmark_file=address("benchmarks.parquet") if comparisons.symbols else None,
        last_day_read=of_all.last_day,
        low_memory=of_all.low_memory,
    )
    partitioned = run.write_bundles(scan, of_all, job.schema, address, lambda _: None) if of_all.partition else None
    tasks = make_tasks(scan, of_all, job, partitioned, comparisons, None, run.store)
    if job.benchmark_file is not None:
        write_benchmark_file(scan, of_all, comparisons, tasks, job)
    return tasks


def _section(run: RunContext, wanted: Wanted, scan: Scan, of_all: Plan) -> CrossSection:
    schema, threads = scan.footers.schema, run.resources.cpus
    symbols = scan.symbols.take(from_numpy(of_all.selected))

    def chunks(columns: list[str]) -> Iterator[Chunk]:
        read = list(dict.fromkeys([*schema.key_columns, *columns]))
        most = max(1, of_all.chunk_rows // threads)
        return source.chunks_ahead(scan.footers.pieces, schema, symbols, most, threads, read)

    return section_of(run.config, wanted, symbols, chunks, run.config.where)


def _selected(plan: Plan, of_all: Plan) -> Ints | None:
    """Return the number of each symbol that takes part among those that are written, -1: it is not; None: all are."""
    if of_all is plan:
        return None
    numbers = np.full(len(of_all.selected), -1)
    numbers[np.searchsorted(of_all.selected, plan.selected)] = np.arange(len(plan.selected))
    return numbers
