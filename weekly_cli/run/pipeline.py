"""The stages in order: scan, plan, partition, fan out, publish, report."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from weekly_cli import events
from weekly_cli.dataset.as_of_table import forget
from weekly_cli.dataset.convert import Conversion, convert, converted, find
from weekly_cli.dataset.each import Each, in_threads
from weekly_cli.dataset.findings import findings_of_keys
from weekly_cli.dataset.footers import Footers, read_footers
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.selection import scan_selected
from weekly_cli.events import Listener
from weekly_cli.files.file_states import refuse_changed
from weekly_cli.files.locations import location
from weekly_cli.files.output_name import check_output_name
from weekly_cli.files.stores import connect, open_store
from weekly_cli.files.target import place
from weekly_cli.findings import Finding, merged
from weekly_cli.names import AUTO
from weekly_cli.run import resources
from weekly_cli.run.accounting import refuse_duplicates, refuse_failures, refuse_findings, refuse_nothing
from weekly_cli.run.clocks import RunClocks, clocks_of_scan
from weekly_cli.run.comparisons import Comparisons, compare, write_benchmark_file
from weekly_cli.run.context import MARK, RunContext
from weekly_cli.run.default_output import refuse_other_input
from weekly_cli.run.engines import Engine
from weekly_cli.run.engines.choice import engines_of
from weekly_cli.run.engines.holder import EngineHolder, StartEngine
from weekly_cli.run.engines.prestart import takes_few_symbols
from weekly_cli.run.fan_out import fan_out, nothing_worth_keeping
from weekly_cli.run.findings import findings_of_run, missing_members
from weekly_cli.run.jobs import make_job, make_tasks
from weekly_cli.run.joined import refuse_large_tables
from weekly_cli.run.manifest import Journal, ResumeState, identity
from weekly_cli.run.order import in_input_order
from weekly_cli.run.partition import Partitioned
from weekly_cli.run.placing import Placing, placed_tasks, plan_of_all
from weekly_cli.run.plan import DIRECT_ROWS, Plan, check_disk, early_workers, make_plan
from weekly_cli.run.report import Ran, Report, make_report
from weekly_cli.run.resources import Resources
from weekly_cli.run.sectors import with_sectors
from weekly_cli.run.stages import Stages
from weekly_cli.run.task import Job, Outcome, Task, part_file
from weekly_cli.run.timeline import make_timeline
from weekly_cli.run.wanted import Wanted, wanted_by
from weekly_cli.run.weeks import with_anchors
from weekly_cli.settings import Config, from_python, resolve


def build(input: str | Path | Sequence[str | Path], output: str | Path = "daily_weekly", **settings: Any) -> Report:
    """Add weekly features to a daily Parquet dataset and write the merged dataset.

    Parameters
    ----------
    input : str or Path, or a sequence of them
        A Parquet or CSV file, a folder of them (flat, nested or hive-partitioned), or a glob.
    output : str or Path
        `NAME.parquet` is one file, `NAME` or `NAME/` a folder of parts.
    **settings
        Every setting of `weekly-cli build` by its name with underscores, such as `jobs=2`,
        `memory_limit="2GB"`, `features="momentum,w_vol_12"`, `benchmark=["SPY"]`.

    Returns
    -------
    Report
        What the run did: counts, seconds, bytes, memory, reasons.

    Raises
    ------
    weekly_cli.errors.WeeklyError
        UsageError, InputRefused, BudgetError or OutputConflict, matching the command's exit codes.
    """
    given = {"input": input, "output": output, **settings}
    return run(resolve(from_python({name: _without_paths(value) for name, value in given.items()})))


def _without_paths(value: Any) -> Any:
    """Return a value with its paths converted to strings."""
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def run(
    config: Config,
    listener: Listener = events.ignore,
    engine: Engine | None = None,
    start_engine: StartEngine | None = None,
    last_day: int | None = None,
    anchors: Mapping[str, str] | None = None,
    until: int | None = None,
    on_panels: Callable[[Placing], None] | None = None,
) -> Report:
    """Do what the settings ask for, send events to `listener`, and return the report.

    `engine` is a pool that is already started; the run ends it. `start_engine` starts one with a given number of
    workers, whatever the settings choose. `last_day` is how far the data reach where the input is only some of them
    and `anchors` the last day of the weeks of symbols that such data do not tell as all do,
    `until` the day after which rows are passed over, as if the input ended there. `on_panels` gets what is placed.
    """
    connect(config)
    store = open_store(config)
    refuse_other_input(config)
    with contextlib.ExitStack() as stack:
        stack.enter_context(store.lock())
        stack.enter_context(store.begin())
        meter = stack.enter_context(resources.MemoryMeter())
        available = resources.probe()
        engines = engines_of(config, available, engine, start_engine)
        stack.callback(engines.close)
        context = RunContext(config, wanted_by(config), available, store, Journal(store), Stages(listener), engines)
        refuse_large_tables(config, available)
        input_scan = _scan(context, _convert(context))
        reaches = last_day if until is None else until
        input_scan = input_scan if reaches is None else replace(input_scan, last_day=reaches)
        plan, resumed = _plan(context, input_scan)
        plan = plan if until is None else replace(plan, last_day=until)
        found = findings_in_plan(input_scan, plan, config, context.wanted)
        refuse_findings(config, found)
        of_all = plan_of_all(context, input_scan, plan)
        wanted = _with_sectors(context, input_scan, of_all)
        wanted = _with_anchors(context, wanted, input_scan, plan, anchors)
        comparisons = compare(config, wanted, input_scan.symbols, plan.selected, config.where)
        clocks = clocks_of_scan(config, wanted, input_scan, plan.selected)
        input_scan = clocks.noted(input_scan)
        job = make_job(config, context.wanted, input_scan, plan, comparisons, clocks, store)
        partitioned = _partition(context, input_scan, plan, job, resumed)
        tasks = _tasks(context, input_scan, plan, job, partitioned, comparisons, clocks)
        if wanted.crosses and resumed.remaining_tasks(tasks):
            tasks = placed_tasks(context, wanted, input_scan, plan, of_all, tasks, on_panels)
        outcomes = _fan_out(context, input_scan, plan, resumed, tasks)
        found = findings_of_run(config, input_scan, plan, found, outcomes)
        refuse_findings(config, found)
        parts, job = _order(context, input_scan, plan, job, outcomes)
        size = _publish(context, input_scan, job, outcomes, parts)
        engines.close()
        ran = Ran(
            partitioned=partitioned,
            outcomes=outcomes,
            seconds=context.stages.seconds,
            bytes_written=size,
            peak_bytes=meter.peak_bytes,
            warnings=context.stages.warnings,
            findings=found,
            timeline=make_timeline(input_scan, plan, outcomes, context.stages, meter),
        )
        return make_report(config, input_scan, plan, job, ran)


def plan_only(config: Config, listener: Listener = events.ignore) -> tuple[Scan, Plan]:
    """Scan the key columns and plan; write nothing."""
    connect(config)
    check_output_name(config)
    refuse_other_input(config)
    wanted, available = wanted_by(config), resources.probe()
    output = place(config.output)
    refuse_large_tables(config, available)
    engines = engines_of(config, available)
    with contextlib.closing(engines), converted(config, output) as conversion:
        footers = _footers(config, conversion)
        each = _each(engines, footers, config, available)
        input_scan = scan_selected(footers, config, each, lambda _: None)
    plan = make_plan(input_scan, config, wanted, engines.capacity)
    refuse_findings(config, findings_in_plan(input_scan, plan, config, wanted))
    wanted = with_anchors(wanted, config, input_scan, plan.selected, available.cpus, plan.chunk_rows)
    return clocks_of_scan(config, wanted, input_scan, plan.selected).noted(input_scan), plan


def findings_in_plan(input_scan: Scan, plan: Plan, config: Config, wanted: Wanted) -> tuple[Finding, ...]:
    """Return the findings that footers and keys suffice for, without those that are ignored."""
    today = datetime.datetime.now(datetime.UTC).date()
    found = (*findings_of_keys(input_scan, config, plan.selected, today), *missing_members(input_scan, wanted))
    return merged(found, config.ignore)


def _convert(run: RunContext) -> Conversion:
    """Write what is no long Parquet as such to the work folder."""
    conversion = find(run.config, place(run.config.output))
    if not conversion.is_needed:
        return conversion
    with run.stages.stage("convert") as summary:
        conversion = convert(
            conversion,
            run.config,
            run.store.input_folder(),
            lambda done, total: run.stages.progress("convert", done, total),
        )
        summary.append("; ".join(conversion.notes))
    return conversion


def _scan(run: RunContext, conversion: Conversion) -> Scan:
    """Read footers and keys; the pool, if one will be needed, starts meanwhile."""
    config, stages = run.config, run.stages
    with stages.stage("scan") as summary:
        footers = _footers(config, conversion)
        run.wanted.refuse_collisions(footers.schema, config)
        if _wants_pool(footers, config):
            run.engines.start_early(early_workers(footers, config, run.engines.capacity))
        total = footers.rows
        stages.progress("scan", 0, total)
        each = _each(run.engines, footers, config, run.resources, run.store.address(MARK))
        input_scan = scan_selected(footers, config, each, lambda rows: stages.progress("scan", rows, total))
        summary.append(f"{input_scan.size} in {footers.files:,} files, {input_scan.layout}")
    return input_scan


def _footers(config: Config, conversion: Conversion) -> Footers:
    """Return the footers; workers of a cluster may have another current folder."""
    footers = read_footers(config, place(config.output), conversion)
    return footers if config.engine == "loky" else footers.absolute()


def _each(engines: EngineHolder, footers: Footers, config: Config, here: Resources, mark: str = "") -> Each:
    """Return what reads the keys: a cluster, if there is one and it is worth while, or threads of this process."""
    if engines.cluster is None or not footers.pieces or not _wants_pool(footers, config):
        return in_threads(here.cpus)
    engines.cluster.check_reach(footers.pieces[0].path, mark)
    return engines.cluster.each


def _wants_pool(footers: Footers, config: Config) -> bool:
    """Tell whether it is certain before the plan that there will be a pool."""
    if takes_few_symbols(config):
        return False
    small = footers.rows <= DIRECT_ROWS and config.strategy == "auto" and config.task_timeout is None
    return not small and config.strategy != "direct"


def _plan(run: RunContext, input_scan: Scan) -> tuple[Plan, ResumeState]:
    """Decide on tasks and pool, and on which results of an earlier run can be used."""
    with run.stages.stage("plan") as summary:
        run_identity = identity(input_scan.footers, run.config, run.wanted)
        had_journal, resumed = run.journal.exists, run.journal.resumed(run_identity)
        plan = _plan_after(run, input_scan, resumed)
        if resumed is None or resumed.cuts != plan.cuts or resumed.crashed_in_process:
            resumed = ResumeState(plan.strategy == "direct", plan.cuts, None, ())
            run.journal.begin(run_identity, resumed)
        check_disk(plan, run.store.free_bytes())
        summary.append(f"{plan.strategy}, {len(plan.tasks):,} tasks, {plan.workers} at a time")
        run.store.worth_keeping = bool(resumed.partitioned or resumed.outcomes)
        if run.store.worth_keeping:
            rows = sum(outcome.rows for outcome in resumed.outcomes)
            summary.append(f"; resumes where an earlier run was cut off, with {rows:,} rows done")
        elif had_journal:
            summary.append("; an earlier run's work is not used: the input, a setting or the tool has changed")
    return plan, resumed


def _plan_after(run: RunContext, input_scan: Scan, resumed: ResumeState | None) -> Plan:
    """Return the plan, given what an earlier run finished or crashed on."""
    if resumed is not None and resumed.crashed_in_process and run.config.strategy == "auto":
        plan = make_plan(input_scan, replace(run.config, strategy="batched"), run.wanted, run.engines.capacity)
        return replace(plan, strategy_reason="the last run died while it did this in its own process")
    return make_plan(input_scan, run.config, run.wanted, run.engines.capacity, resumed.cuts if resumed else ())


def _with_sectors(run: RunContext, input_scan: Scan, plan: Plan) -> Wanted:
    """Return what is wanted, with the sector map that columns of the input tell."""
    if not (run.config.sector_columns and run.wanted.compares):
        return run.wanted
    with run.stages.stage("sectors") as summary:
        threads = run.resources.cpus
        wanted = with_sectors(run.wanted, run.config, input_scan, plan.selected, threads, plan.chunk_rows)
        if wanted.sector_map is not None:
            columns = zip(wanted.sector_map.column_names[1:], wanted.sector_map.columns[1:], strict=True)
            counts = ", ".join(f"{name} of {len(column) - column.null_count:,}" for name, column in columns)
            summary.append(f"{counts} of {len(plan.selected):,} symbols")
    return wanted


def _with_anchors(
    run: RunContext, wanted: Wanted, input_scan: Scan, plan: Plan, known: Mapping[str, str] | None
) -> Wanted:
    """Return what is wanted, with the week of each symbol where its sessions tell it."""
    if run.config.week != AUTO:
        return wanted
    with run.stages.stage("weeks") as summary:
        threads = run.resources.cpus
        wanted = with_anchors(wanted, run.config, input_scan, plan.selected, threads, plan.chunk_rows, known)
        summary.append(f"the last days of the weeks of {len(plan.selected):,} symbols")
    return wanted


def _partition(run: RunContext, input_scan: Scan, plan: Plan, job: Job, resumed: ResumeState) -> Partitioned | None:
    """Write the bundles, unless tasks read the input's row ranges or an earlier run's bundles can be used."""
    if not plan.partition:
        return None
    if resumed.partitioned is not None:
        return resumed.partitioned
    stages = run.stages
    with stages.stage("partition") as summary:
        stages.progress("partition", 0, plan.rows)
        on_rows = partial(stages.progress, "partition", total=plan.rows)
        partitioned = run.write_bundles(input_scan, plan, job.schema, run.store.address, on_rows)
        run.journal.partitioned(partitioned)
        run.store.worth_keeping = True
        summary.append(f"{len(plan.tasks):,} tasks' fragments, {partitioned.bytes_written / 2**20:,.0f} MiB")
    return partitioned


def _tasks(
    run: RunContext,
    input_scan: Scan,
    plan: Plan,
    job: Job,
    partitioned: Partitioned | None,
    comparisons: Comparisons,
    clocks: RunClocks,
) -> Sequence[Task]:
    """Return the tasks; the benchmarks' bars, which all tasks may need, are computed once, here."""
    tasks = make_tasks(input_scan, plan, job, partitioned, comparisons, clocks, run.store)
    if plan.strategy != "direct":
        forget()  # the tables to join, which this process has read to tell of them
    if job.benchmark_file is not None:
        write_benchmark_file(input_scan, plan, comparisons, tasks, job)
    return tasks


def _fan_out(
    run: RunContext, input_scan: Scan, plan: Plan, resumed: ResumeState, tasks: Sequence[Task]
) -> Sequence[Outcome]:
    """Run the remaining tasks, and refuse results that must not be published.

    Raises
    ------
    InputRefused
        If a symbol has several rows on one day and `on_duplicates` is "error", or there is nothing to publish.
    SymbolsFailed
        If a symbol failed and `strict` is set.
    """
    config, store = run.config, run.store
    with run.stages.stage("fan out") as summary:
        engine = run.engine_for(plan, input_scan)
        outcomes = fan_out(resumed.remaining_tasks(tasks), engine, resumed, plan, run.journal, store, run.stages)
        rows, symbols = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("rows", "symbols"))
        summary.append(f"{rows:,} rows, {symbols:,} symbols")
        with nothing_worth_keeping(store):
            refuse_duplicates(config, input_scan, plan, outcomes)
            refuse_nothing(config, input_scan, plan, outcomes, store.standing)
    refuse_failures(config, outcomes)
    return outcomes


def _order(
    run: RunContext, input_scan: Scan, plan: Plan, job: Job, outcomes: Sequence[Outcome]
) -> tuple[Mapping[str, int], Job]:
    """Return the parts to publish, in the order that is asked for, with their checksums, and what they share."""
    if plan.ordering is None:
        return {outcome.part: outcome.checksum for outcome in outcomes if outcome.part is not None}, job
    run.engines.close()  # the workers' memory is needed here
    forget()
    stages, rows = run.stages, sum(outcome.rows for outcome in outcomes)
    with stages.stage("order") as summary:
        ordered = in_input_order(
            outcomes,
            job,
            plan,
            plan.ordering,
            input_scan.footers.rows,
            run.store.address,
            run.resources.cpus,
            lambda done: stages.progress("order", done, rows),
        )
        for part in ordered.parts:
            run.store.add_part(part)
        summary.append(f"{rows:,} rows in the input's order")
    return ordered.parts, ordered.job


def _publish(run: RunContext, input_scan: Scan, job: Job, outcomes: Sequence[Outcome], parts: Mapping[str, int]) -> int:
    """Switch the output, unless another process has written there, and return its size in bytes.

    Raises
    ------
    InputRefused
        If the input has changed since it was scanned.
    """
    with run.stages.stage("publish") as summary:
        refuse_changed(input_scan.footers.states)
        n_symbols = sum(outcome.symbols - len(outcome.rejected) for outcome in outcomes)
        size = run.store.commit(parts, lambda address: part_file(location(address), job, n_symbols))
        summary.append(f"{run.store.name}, {size / 2**20:,.1f} MiB")
    return size
