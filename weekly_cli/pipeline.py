"""The stages in order: scan, plan, partition, fan out, publish, report."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from weekly_cli import __version__, events, publish, resources, storage
from weekly_cli.arrays import from_numpy
from weekly_cli.benchmarks import (
    Comparisons,
    compare,
    comparison_names,
    read_sector_map,
    write_benchmark_file,
)
from weekly_cli.config import Config, resolve
from weekly_cli.engines import Engine
from weekly_cli.engines.in_process import InProcess
from weekly_cli.errors import InputRefused
from weekly_cli.events import Listener, Progress, StageEnded
from weekly_cli.features import select
from weekly_cli.footers import Footers, read_footers
from weekly_cli.manifest import fingerprint
from weekly_cli.partition import Partitioned, partition
from weekly_cli.plan import DIRECT_ROWS, Plan, check_disk, early_workers, make_plan
from weekly_cli.report import Report, make_report
from weekly_cli.scan import Scan, files_with, scan
from weekly_cli.schema import as_date, day_of, refuse_taken
from weekly_cli.worker import Job, Outcome, Task, part_file, run_task

#: More symbols than this do not fail one by one: something is wrong with the tool or the machine.
_MOST_REJECTED = 100


def build(input: str | Path, output: str | Path = "daily_weekly", **settings: Any) -> Report:
    """Add weekly features to a daily Parquet dataset and write the merged dataset.

    Parameters
    ----------
    input : str or Path
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
    given = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    return run(resolve({"input": str(input), "output": str(output), **given}))


def run(config: Config, listener: Listener = events.ignore, engine: Engine | None = None) -> Report:
    """Do what the settings ask for, telling `listener` how it goes, and return the record.

    `engine` is a pool that has been started already; the run ends it.
    """
    output = publish.place(config.output)
    publish.check_target(output, config.overwrite)
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(storage.work_folder(output))
        meter = stack.enter_context(resources.MemoryMeter())
        run = _Run(config, output, work, listener, engine)
        stack.callback(run.close)
        found = run.scan()
        plan = run.plan(found)
        job = run.job(found, plan)
        partitioned = run.partition(found, plan)
        outcomes = run.fan_out(run.tasks(found, plan, job, partitioned), found, plan)
        size = run.publish(outcomes, job)
        run.close()
        return make_report(config, found, plan, partitioned, outcomes, run.seconds, size, meter.peak_bytes, job)


def plan_only(config: Config, listener: Listener = events.ignore) -> tuple[Scan, Plan]:
    """Scan the key columns and plan; write nothing."""
    available = resources.probe()
    found = scan(read_footers(config, publish.place(config.output)), config, available.cpus, lambda _: None)
    return found, make_plan(found, config, available)


class _Run:
    """One run: its work folder, its engine, its clock."""

    def __init__(self, config: Config, output: Path, work: Path, listener: Listener, engine: Engine | None) -> None:
        self.config, self.output, self.work, self.listener = config, output, work, listener
        self.seconds: dict[str, float] = {}
        self.resources = resources.probe()
        self.engine = engine
        self.sector_map = read_sector_map(config)
        self._comparisons = Comparisons((), (), {})

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
            self._refuse_taken_names(footers)
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

    def _refuse_taken_names(self, footers: Footers) -> None:
        wanted = select(self.config.features, comparison_names(self.config, self.sector_map))
        taken = refuse_taken(footers.schema.arrow.names, [feature.name for feature in wanted])
        if taken and not self.config.replace_features:
            raise InputRefused(
                f"{self.config.input} already has the columns {', '.join(taken[:5])}"
                f"{' and more' if len(taken) > 5 else ''}; pass --replace-features to compute them anew, or leave "
                "them out with --features"
            )

    def _start_pool_early(self, footers: Footers) -> None:
        if self.engine is not None:
            return
        small = footers.rows <= DIRECT_ROWS and self.config.strategy == "auto"
        if not small and self.config.strategy != "direct":
            self._start_pool(early_workers(footers, self.config, self.resources))

    def _start_pool(self, workers: int) -> Engine:
        from weekly_cli.engines.pool import (
            Pool,
        )  # joblib takes a fifth of a second, which small data need not wait

        self.engine = Pool(workers)
        return self.engine

    def plan(self, found: Scan) -> Plan:
        """Decide on tasks and pool."""
        with self._stage("plan") as said:
            plan = make_plan(found, self.config, self.resources)
            check_disk(plan, shutil.disk_usage(self.work).free)
            said.append(f"{plan.strategy}, {len(plan.tasks):,} tasks, {plan.workers} at a time")
        return plan

    def job(self, found: Scan, plan: Plan) -> Job:
        """Return what all tasks have in common."""
        config, footers = self.config, found.footers
        self._comparisons = compare(config, self.sector_map, found, plan)
        names = self._comparisons.names
        features = select(config.features, names)
        conventions = {
            "version": __version__,
            "week": config.week,
            "available": config.available,
            "price": config.price or footers.schema.roles["close"],
            "features": [feature.name for feature in features],
            "benchmarks": list(names),
            "dtype": config.dtype,
            "fingerprint": fingerprint(footers, config, features, __version__),
        }
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
            replaced=tuple(refuse_taken(footers.schema.arrow.names, [feature.name for feature in features])),
            metadata={storage.METADATA_KEY.decode(): json.dumps(conventions)},
            row_bytes=footers.row_bytes,
            frugal=plan.frugal,
        )

    def partition(self, found: Scan, plan: Plan) -> Partitioned | None:
        """Write the bundles, unless the input's own row ranges serve."""
        if not plan.partition:
            return None
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
                plan.frugal,
                self.resources.cpus,
                lambda rows: self.listener(Progress("partition", rows, plan.rows)),
            )
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
                    part=self._part(planned.first, planned.stop),
                    compared=self._comparisons.of(planned.first, planned.stop),
                )
            )
        if job.benchmark_file is not None:
            write_benchmark_file(found, plan, self._comparisons, tasks, job)
        return tasks

    def _part(self, first: int, stop: int) -> str:
        return str(self.work / f"part-{first:09d}-{stop:09d}.parquet")

    def fan_out(self, tasks: Sequence[Task], found: Scan, plan: Plan) -> list[Outcome]:
        """Run the tasks, each failure in smaller ones, and return what came of them.

        Raises
        ------
        InputRefused
            If a symbol has several rows on one day and `on_duplicates` is "error".
        """
        with self._stage("fan out") as said, contextlib.ExitStack() as stack:
            engine = self._engine_for(plan)
            flusher = stack.enter_context(storage.Flusher())
            outcomes: list[Outcome] = []
            rows = symbols = 0
            self.listener(Progress("fan out", 0, plan.rows, 0, len(plan.selected)))
            for outcome in stack.enter_context(contextlib.closing(run_with_ladder(engine, tasks))):
                outcomes.append(outcome)
                if outcome.part is not None and not storage.is_single_file(self.output):
                    flusher.add(Path(outcome.part))
                rows, symbols = rows + outcome.rows, symbols + outcome.symbols
                self.listener(Progress("fan out", rows, plan.rows, symbols, len(plan.selected)))
            said.append(f"{rows:,} rows, {symbols:,} symbols")
        if self.config.on_duplicates == "error" and any(outcome.duplicates for outcome in outcomes):
            raise InputRefused(self._duplicates_sentence(outcomes, found, plan))
        return sorted(outcomes, key=lambda outcome: outcome.part or "")

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
            f"{count:,} rows of {self.config.input} repeat a symbol's date (first: {named}; in "
            f"{', '.join(files_with(found, first))}); remove them, or pass --on-duplicates first or last"
        )

    def publish(self, outcomes: Sequence[Outcome], job: Job) -> int:
        """Switch the output and return its bytes."""
        with self._stage("publish") as said:
            parts = [Path(outcome.part) for outcome in outcomes if outcome.part is not None]
            size = publish.publish(parts, self.output, self.work, lambda path: part_file(path, job))
            said.append(f"{self.output}, {size / 2**20:,.1f} MiB")
        return size


# ---- the ladder ------------------------------------------------------------------------------------------


def run_with_ladder(engine: Engine, tasks: Sequence[Task]) -> Generator[Outcome]:
    """Run tasks; halve each that fails until the symbol that fails it stands alone, and reject that symbol.

    A dead worker makes all tasks in flight suspects: each is run again alone in a pool of its own before it is
    blamed.

    Raises
    ------
    RuntimeError
        If no symbol works, or too many fail: that is not the data's fault.
    """
    waiting = [list(tasks)]
    done = rejected = 0
    while waiting:
        for result in engine.run_tasks(waiting.pop(), run_task):
            if isinstance(result, Outcome):
                done += 1
                yield result
                continue
            again = halves(result.task) if result.alone else [result.task]
            waiting += [[task] for task in again]
            if not again:
                rejected += 1
                if rejected > _MOST_REJECTED or (not done and not waiting):
                    raise RuntimeError(f"{result.reason}\n{result.details}")
                symbol = str(result.task.symbols[0].as_py())
                yield Outcome(result.task.number, symbols=1, rejected=((symbol, result.reason),))


def halves(task: Task) -> list[Task]:
    """Return two tasks with half of the symbols each; none for a task of one symbol."""
    symbols = len(task.symbols)
    if symbols < 2:
        return []
    middle = symbols // 2
    return [_cut(task, 0, middle), _cut(task, middle, symbols)]


def _cut(task: Task, first: int, stop: int) -> Task:
    path = Path(task.part)
    _, begin, _ = path.stem.split("-")
    return replace(
        task,
        symbols=pa.concat_arrays([task.symbols.slice(first, stop - first)]),
        planned_codes=task.planned_codes[first:stop],
        part=str(path.with_name(f"part-{int(begin) + first:09d}-{int(begin) + stop:09d}.parquet")),
        compared={name: numbers[first:stop] for name, numbers in task.compared.items()},
    )
