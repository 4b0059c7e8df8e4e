"""The stages in order: scan, plan, partition, fan out, publish, report."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from weekly_cli import events
from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.features import select_features
from weekly_cli.dataset.footers import Footers, read_footers, refuse_changed
from weekly_cli.dataset.scan import Scan, files_with, scan
from weekly_cli.dataset.schema import as_date, day_of, name_collisions
from weekly_cli.errors import InputRefused, SymbolsFailed
from weekly_cli.events import Event, Listener, Progress, RunWarning, StageEnded
from weekly_cli.files import publish, storage, target
from weekly_cli.files.work import Work, only_run, work_folder
from weekly_cli.run import resources
from weekly_cli.run.accounting import refuse_nothing
from weekly_cli.run.comparisons import (
    Comparisons,
    compare,
    comparison_names,
    read_sector_map,
    write_benchmark_file,
)
from weekly_cli.run.engines import Engine
from weekly_cli.run.engines.in_process import InProcess
from weekly_cli.run.manifest import Journal, ResumeState, conventions, identity
from weekly_cli.run.partition import Partitioned, partition
from weekly_cli.run.plan import DIRECT_ROWS, Plan, budget_bytes, check_disk, early_workers, make_plan
from weekly_cli.run.report import Report, make_report
from weekly_cli.run.retry import TaskRetrier
from weekly_cli.run.task import Job, Outcome, Task, part_file, part_name, run_task
from weekly_cli.settings import Config, from_python, resolve


def build(input: str | Path | Sequence[str | Path], output: str | Path = "daily_weekly", **settings: Any) -> Report:
    """Add weekly features to a daily Parquet dataset and write the merged dataset.

    Parameters
    ----------
    input : str or Path, or a sequence of them
        A Parquet file, a folder of them (flat, nested or hive-partitioned), or a glob.
    output : str or Path
        `NAME.parquet` is one file; any other name is a folder of parts.
    **settings
        Every setting of `weekly-cli build` by its name with underscores, such as `jobs=2`,
        `memory_limit="2GB"`, `features="momentum,w_vol_12"`, `benchmark=["SPY"]`.

    Returns
    -------
    Report
        The record of the run: counts, seconds, bytes, memory, reasons.

    Raises
    ------
    weekly_cli.errors.WeeklyError
        UsageError, InputRefused, BudgetError or OutputConflict, as the exit codes of the command say.
    """
    given = {"input": input, "output": output, **settings}
    return run(resolve(from_python({name: _without_paths(value) for name, value in given.items()})))


def _without_paths(value: Any) -> Any:
    """Return a value with paths as texts."""
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def run(config: Config, listener: Listener = events.ignore, engine: Engine | None = None) -> Report:
    """Do what the settings ask for, telling `listener` how it goes, and return the record.

    `engine` is a pool that has been started already; the run ends it.
    """
    output = target.place(config.output)
    target.check_target(output, config)
    with contextlib.ExitStack() as stack:
        stack.enter_context(only_run(output, config.wait))
        folder = work_folder(output, config)
        work = stack.enter_context(folder)
        standing = target.check_target(output, config)  # once more, now that nobody else may publish
        meter = stack.enter_context(resources.MemoryMeter())
        run = _Run(config, output, work, listener, engine)
        stack.callback(run.close)
        found = run.scan()
        plan, kept = run.plan(found)
        job = run.job(found, plan)
        partitioned = run.partition(found, plan, kept)
        tasks = kept.remaining_tasks(run.tasks(found, plan, job, partitioned))
        outcomes = run.fan_out(tasks, found, plan, kept, bool(standing))
        size = run.publish(outcomes, found, job, standing)
        run.close()
        return make_report(
            config, found, plan, partitioned, outcomes, run.seconds, size, meter.peak_bytes, job, run.warnings
        )


def plan_only(config: Config, listener: Listener = events.ignore) -> tuple[Scan, Plan]:
    """Scan the key columns and plan; write nothing."""
    available = resources.probe()
    found = scan(read_footers(config, target.place(config.output)), config, available.cpus, lambda _: None)
    return found, make_plan(found, config, available)


class _Run:
    """One run: its work folder, its engine, its clock."""

    def __init__(self, config: Config, output: Path, work: Work, listener: Listener, engine: Engine | None) -> None:
        self.config, self.output, self._listener = config, output, listener
        self.work, self._journal = work.folder, Journal(work.folder)
        self._work = work
        self.seconds: dict[str, float] = {}
        self.warnings: list[str] = []
        self.resources = resources.probe()
        self.engine = engine
        self.sector_map = read_sector_map(config)
        self._comparisons = Comparisons((), (), {})

    def listener(self, event: Event) -> None:
        """Tell the listener, and remember warnings for the report."""
        if isinstance(event, RunWarning):
            self.warnings.append(event.what)
        self._listener(event)

    def close(self) -> None:
        """End the engine's workers."""
        if self.engine is not None:
            self.engine.close()
            self.engine = None

    @contextlib.contextmanager
    def _stage(self, name: str) -> Iterator[list[str]]:
        """Time a stage; what its body puts into the list is told when it ends."""
        began = time.perf_counter()
        said: list[str] = []
        yield said
        pa.default_memory_pool().release_unused()  # what this process keeps is a debt to the budget of the workers
        self.seconds[name] = time.perf_counter() - began
        self.listener(StageEnded(name, self.seconds[name], "".join(said)))

    def scan(self) -> Scan:
        """Read footers and keys; the pool starts meanwhile where there will be one."""
        with self._stage("scan") as said:
            footers = read_footers(self.config, self.output)
            self._refuse_name_collisions(footers)
            self._start_pool_early(footers)
            total = footers.rows
            self.listener(Progress("scan", 0, total))
            found = scan(
                footers,
                self.config,
                self.resources.cpus,
                lambda rows: self.listener(Progress("scan", rows, total)),
            )
            said.append(f"{total:,} rows, {len(found.symbols):,} symbols in {footers.files:,} files, {found.layout}")
        return found

    def _refuse_name_collisions(self, footers: Footers) -> None:
        names = comparison_names(self.config, self.sector_map)
        wanted = select_features(self.config.features, names, self.config.named("features"))
        taken = name_collisions(footers.schema.arrow.names, [feature.name for feature in wanted])
        if taken and not self.config.replace_features:
            raise InputRefused(
                f"{self.config.where} already has the columns {', '.join(taken[:5])}"
                f"{' and more' if len(taken) > 5 else ''}; pass --replace-features to compute them again, or leave "
                "them out with --features"
            )

    def _start_pool_early(self, footers: Footers) -> None:
        if self.engine is not None:
            return
        small = footers.rows <= DIRECT_ROWS and self.config.strategy == "auto" and self.config.task_timeout is None
        if not small and self.config.strategy != "direct":
            self._start_pool(early_workers(footers, self.config, self.resources))

    def _start_pool(self, workers: int) -> Engine:
        from weekly_cli.run.engines.pool import (
            Pool,
        )  # joblib takes a fifth of a second, which small data need not wait

        self.engine = Pool(workers, budget_bytes(self.config, self.resources), self.config.task_timeout)
        return self.engine

    def plan(self, found: Scan) -> tuple[Plan, ResumeState]:
        """Decide on tasks and pool, and on what of an earlier run is good for this one."""
        with self._stage("plan") as said:
            features = select_features(self.config.features, comparison_names(self.config, self.sector_map))
            this = identity(found.footers, self.config, features, self.sector_map)
            had_journal, kept = self._journal.exists, self._journal.kept(this)
            plan = self._made_plan(found, kept)
            if kept is None or kept.cuts != plan.cuts or kept.crashed_in_process:
                kept = ResumeState(plan.strategy == "direct", plan.cuts, None, ())
                self._journal.begin(this, kept)
            check_disk(plan, shutil.disk_usage(self.work).free)
            said.append(f"{plan.strategy}, {len(plan.tasks):,} tasks, {plan.workers} at a time")
            self._work.proven = bool(kept.partitioned or kept.outcomes)
            if self._work.proven:
                rows = sum(outcome.rows for outcome in kept.outcomes)
                said.append(f"; resumes where an earlier run was cut off, with {rows:,} rows done")
            elif had_journal:
                said.append("; an earlier run's work is not used: the input, a setting or the tool has changed")
        return plan, kept

    def _made_plan(self, found: Scan, kept: ResumeState | None) -> Plan:
        if kept is not None and kept.crashed_in_process and self.config.strategy == "auto":
            plan = make_plan(found, replace(self.config, strategy="batched"), self.resources)
            return replace(plan, strategy_reason="the last run died while it did this in its own process")
        return make_plan(found, self.config, self.resources, kept.cuts if kept else ())

    def job(self, found: Scan, plan: Plan) -> Job:
        """Return what all tasks have in common."""
        config, footers = self.config, found.footers
        self._comparisons = compare(config, self.sector_map, found, plan.selected)
        names = self._comparisons.names
        features = select_features(config.features, names)
        made = conventions(footers, config, features, names, self.sector_map)
        return Job(
            schema=footers.schema,
            features=",".join(feature.name for feature in features),
            benchmark_names=names,
            benchmark_file=str(self.work / "benchmarks.parquet") if self._comparisons.symbols else None,
            week=config.week,
            available=config.available,
            price=config.price,
            dtype=config.dtype,
            start_day=None if config.start is None else day_of(config.start),
            end_day=None if config.end is None else day_of(config.end),
            on_duplicates=config.on_duplicates,
            compression=config.compression,
            writer=config.writer,
            replaced=tuple(name_collisions(footers.schema.arrow.names, [feature.name for feature in features])),
            metadata={storage.METADATA_KEY.decode(): json.dumps(made)},
            row_bytes=footers.row_bytes,
            low_memory=plan.low_memory,
        )

    def partition(self, found: Scan, plan: Plan, kept: ResumeState) -> Partitioned | None:
        """Write the bundles, unless the input's own row ranges serve, or an earlier run's bundles."""
        if not plan.partition:
            return None
        if kept.partitioned is not None:
            return kept.partitioned
        with self._stage("partition") as said:
            cuts = np.array([task.first for task in plan.tasks] + [len(plan.selected)])
            self.listener(Progress("partition", 0, plan.rows))
            partitioned = partition(
                found.footers.pieces,
                found.footers.schema,
                found.symbols.take(from_numpy(plan.selected)),
                cuts,
                self.work,
                found.footers.integer_ranges,
                plan.chunk_rows,
                plan.low_memory,
                self.resources.cpus,
                lambda rows: self.listener(Progress("partition", rows, plan.rows)),
            )
            self._journal.partitioned(partitioned)
            self._work.proven = True
            said.append(f"{len(plan.tasks):,} tasks' fragments, {partitioned.bytes_written / 2**20:,.0f} MiB")
        return partitioned

    def tasks(self, found: Scan, plan: Plan, job: Job, partitioned: Partitioned | None) -> list[Task]:
        """Return the tasks with all that a worker needs; the benchmarks' bars are computed here, once."""
        tasks = []
        for number, planned in enumerate(plan.tasks):
            selected = plan.selected[planned.first : planned.stop]
            tasks.append(
                Task(
                    number=number,
                    job=job,
                    symbols=pa.concat_arrays([found.symbols.take(from_numpy(selected))]),
                    pieces=planned.pieces,
                    fragments=None if partitioned is None else partitioned.fragments[number],
                    planned_codes=range(planned.stop - planned.first),
                    part=str(self.work / part_name(planned.first, planned.stop)),
                    compared=self._comparisons.of(planned.first, planned.stop),
                )
            )
        if job.benchmark_file is not None:
            write_benchmark_file(found, plan, self._comparisons, tasks, job)
        return tasks

    def fan_out(self, tasks: Sequence[Task], found: Scan, plan: Plan, kept: ResumeState, stands: bool) -> list[Outcome]:
        """Run the tasks, each failure in smaller ones, and return what came of them and of an earlier run's.

        Raises
        ------
        InputRefused
            If a symbol has several rows on one day and `on_duplicates` is "error", or there is nothing to publish.
        """
        with self._stage("fan out") as said, contextlib.ExitStack() as stack:
            engine = self._engine_for(plan)
            flusher = stack.enter_context(storage.Flusher())
            outcomes = list(kept.outcomes)
            rows, symbols = (sum(getattr(one, name) for one in outcomes) for name in ("rows", "symbols"))
            self.listener(Progress("fan out", rows, plan.rows, symbols, len(plan.selected)))
            stack.enter_context(self._refusals_unproven())
            ladder = TaskRetrier(engine, run_task, self.listener, len(outcomes))
            for outcome in stack.enter_context(contextlib.closing(ladder.outcomes(tasks))):
                outcomes.append(outcome)
                if outcome.part is not None:
                    self._journal.finished(outcome)
                    self._work.proven = True
                    if not storage.is_single_file(self.output):
                        flusher.add(Path(outcome.part))
                rows, symbols = rows + outcome.rows, symbols + outcome.symbols
                self.listener(Progress("fan out", rows, plan.rows, symbols, len(plan.selected)))
            said.append(f"{rows:,} rows, {symbols:,} symbols")
            if self.config.on_duplicates == "error" and any(outcome.duplicates for outcome in outcomes):
                raise InputRefused(self._duplicates_sentence(outcomes, found, plan))
            refuse_nothing(self.config, found, plan, outcomes, stands)
        rejected = [entry for outcome in outcomes for entry in outcome.rejected]
        if self.config.strict and rejected:
            symbol, reason = rejected[0]
            raise SymbolsFailed(
                f"{len(rejected):,} symbols failed (first: {symbol}: {reason}); with --strict nothing is published then"
            )
        return sorted(outcomes, key=lambda outcome: outcome.part or "")

    @contextlib.contextmanager
    def _refusals_unproven(self) -> Iterator[None]:
        """Keep nothing of a run whose rows are refused: the input itself must change."""
        try:
            yield
        except InputRefused:
            self._work.proven = False
            raise

    def _engine_for(self, plan: Plan) -> Engine:
        if plan.strategy == "direct":
            self.close()
            self.engine = InProcess()
        elif self.engine is None or getattr(self.engine, "workers", 0) != plan.workers:
            self.close()
            self._start_pool(plan.workers)
        assert self.engine is not None
        return self.engine

    def _duplicates_sentence(self, outcomes: Sequence[Outcome], found: Scan, plan: Plan) -> str:
        count = sum(outcome.duplicates for outcome in outcomes)
        first = [
            (int(plan.selected[plan.tasks[outcome.number].first + position]), day)
            for outcome in outcomes
            for position, day in outcome.first_duplicates
        ]
        first = list(dict.fromkeys(sorted(first)))[:3]
        named = ", ".join(f"{found.symbols[symbol].as_py()} {as_date(day)}" for symbol, day in first)
        return (
            f"{count:,} rows of {self.config.where} repeat a symbol's date (first: {named}; in "
            f"{', '.join(files_with(found, first))}); remove them, or pass --on-duplicates first or last"
        )

    def publish(self, outcomes: Sequence[Outcome], found: Scan, job: Job, standing: storage.Listing) -> int:
        """Switch the output, if nobody else has written in its place, and return its bytes.

        Raises
        ------
        InputRefused
            If the input has changed since it was scanned.
        """
        with self._stage("publish") as said:
            refuse_changed(found.footers)
            parts = {Path(outcome.part): outcome.checksum for outcome in outcomes if outcome.part is not None}
            size = publish.publish(parts, self.output, self.work, lambda path: part_file(path, job), standing)
            said.append(f"{self.output}, {size / 2**20:,.1f} MiB")
        return size
