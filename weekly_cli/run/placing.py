"""The stage of a cross section: who takes part, in which groups, and the passes in their order.

All symbols of the input take part, whichever are selected: a rank among those that somebody happens to look at would
be another number. If not all are selected, the others are read for this stage alone, by tasks of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset import source
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.source import Chunk
from weekly_cli.run.accounting import refuse_duplicates
from weekly_cli.run.comparisons import compare, write_benchmark_file
from weekly_cli.run.context import RunContext
from weekly_cli.run.cross_section import STAGE, CrossSection, panel_cuts, write_panels, write_places
from weekly_cli.run.fan_out import nothing_worth_keeping
from weekly_cli.run.jobs import make_tasks
from weekly_cli.run.plan import Plan, make_plan
from weekly_cli.run.sectors import values_of_symbols
from weekly_cli.run.task import Job, Task
from weekly_cli.run.universe import group_numbers
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config


def plan_of_all(run: RunContext, scan: Scan, plan: Plan) -> Plan:
    """Return the plan of whoever takes part in a cross section: the run's own one, unless symbols are selected."""
    if not run.wanted.crosses or len(plan.selected) == len(scan.symbols):
        return plan
    config = replace(run.config, symbols=None, max_symbols=None, order="symbol")
    return make_plan(scan, config, run.wanted, run.engines.capacity)


def placed_tasks(
    run: RunContext, wanted: Wanted, scan: Scan, plan: Plan, of_all: Plan, tasks: Sequence[Task]
) -> Sequence[Task]:
    """Return the tasks of a plan with the places of their bars, which are computed and written.

    Raises
    ------
    InputRefused
        If a symbol has two groups, or several rows on one day and `on_duplicates` is "error".
    """
    with run.stages.stage(STAGE) as summary:
        everybody = tasks if of_all is plan else _tasks_of_all(run, wanted, scan, of_all, tasks[0].job)
        section = _section(run, wanted, scan, plan, of_all)
        bars = round(of_all.rows / max(1.0, scan.calendar.sessions_a_week))
        job = everybody[0].job
        cuts = {
            clock.every: panel_cuts(clock, (scan.first_day, scan.last_day), bars, section.bars_at_once)
            for clock in job.clocks
        }
        outcomes = write_panels(everybody, cuts, run.engine_for(of_all, scan), of_all, run.stages)
        with nothing_worth_keeping(run.store):
            refuse_duplicates(run.config, scan, of_all, outcomes)
        parts = [outcome.part for outcome in outcomes if outcome.part is not None]
        files = write_places(parts, cuts, job, section, run.store.address)
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
    tasks = make_tasks(scan, of_all, job, partitioned, comparisons, run.store)
    if job.benchmark_file is not None:
        write_benchmark_file(scan, of_all, comparisons, tasks, job)
    return tasks


def _section(run: RunContext, wanted: Wanted, scan: Scan, plan: Plan, of_all: Plan) -> CrossSection:
    symbols = scan.symbols.take(from_numpy(of_all.selected))
    selected = None
    if of_all is not plan:
        selected = np.full(len(symbols), -1)
        selected[np.searchsorted(of_all.selected, plan.selected)] = np.arange(len(plan.selected))
    return CrossSection(
        features=wanted.crosses,
        groups=_groups(run.config, wanted, scan, symbols, run.resources.cpus, plan.chunk_rows),
        memberships=None if wanted.universe is None else wanted.universe.of(symbols),
        least=run.config.min_group,
        selected=selected,
        bars_at_once=int(of_all.bars_at_once or 1),
    )


def _groups(
    config: Config, wanted: Wanted, scan: Scan, symbols: pa.Array, threads: int, most_rows: int
) -> dict[str, Ints]:
    """Return the number of each symbol's group by the name in `by`, -1: none."""
    used = dict.fromkeys(one.by for one in wanted.crosses if one.by)
    columns = {by: column for by, column in config.group_columns.items() if by in used}
    found: dict[str, Ints] = {}
    if columns:
        schema = scan.footers.schema
        read = list(dict.fromkeys([*schema.key_columns, *columns.values()]))

        def chunks() -> Iterator[Chunk]:
            pieces, most = scan.footers.pieces, max(1, most_rows // threads)
            return source.chunks_ahead(pieces, schema, symbols, most, threads, read)

        settings = {by: f"{config.named('cross_section')} by {by}" for by in columns}
        table = values_of_symbols(chunks, symbols, columns, settings, config.where)
        found = {by: group_numbers(table.column(by).combine_chunks()) for by in columns}
    of_map = [by for by in used if by not in columns]
    if of_map and wanted.sector_map is not None:
        listed = wanted.sector_map.column("symbol").combine_chunks().cast(symbols.type)
        entries = pc.index_in(symbols, value_set=listed)
        found |= {by: group_numbers(wanted.sector_map.column(by).combine_chunks().take(entries)) for by in of_map}
    return found
