"""The plan: scan x configuration x resources -> tasks, pool and reasons. Pure: it reads nothing.

Sizes are estimates from the schema. A task keeps its daily rows in memory about twice (as decoded, and sorted or as
numbers), plus the panels and the row group that it is writing; a worker also needs memory for its interpreter and
libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.dates import day_of
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.selection import pieces_of, select_symbols
from weekly_cli.errors import BudgetError
from weekly_cli.run import cuts
from weekly_cli.run.cuts import TaskPlan
from weekly_cli.run.resources import Resources, requested_workers
from weekly_cli.run.sizes import (
    NO_TABLES,
    NUMBER_BYTES,
    PARENT_BYTES,
    PLANNED,
    RUNNING_BYTES,
    WORKER_BYTES,
    Ordering,
    Sizes,
    TablesBytes,
    bytes_of_one_machine,
    cant_hold,
    disk_bytes_of,
    ordering_of,
    section_bars,
    tables_bytes,
    worker_cant_hold,
)
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config

#: Up to this many rows a pool costs more than it saves: 0.93 s against 0.91 s (date order) and 0.77 s (clustered).
DIRECT_ROWS = 1_000_000
#: Up to this ratio of the longest history to the median, symbols count as alike.
_ALIKE = 2.0

#: Tables that are joined are in each process that reads the input. If they take more than this share of the budget in
#: all workers, this process joins them, once, while it partitions the rows.
_TABLES_SHARE = 0.25

#: With a budget below this, or half of it in a worker of a cluster, chunks and tasks release the memory that allocators
#: keep when they end.
_PLENTY_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Plan:
    """What a run will do, and why.

    Attributes
    ----------
    selected : int64[symbols wanted]
        Positions of the wanted symbols among the scan's, ascending.
    partition_reason : str
        Why the input is partitioned, or why not.
    ordering : Ordering or None
        How the rows are put into the input's order at the end; None: they are not, or they have it already.
    worker_limits : tuple of (str, int)
        Every limit on the number of workers; `workers` is the smallest, `workers_reason` its name.
    chunk_rows : int
        Rows that the partition processes at a time.
    disk_bytes : int
        Estimated disk space of bundles and parts.
    low_memory : bool
        Whether memory is worth more than the time that it takes to release it.
    tables_bytes : int
        What the tables that are joined take in each process that reads the input.
    last_day : int or None
        The rows after it are not read: no earlier one depends on them.
    bars_at_once : int or None
        How many bars of a cross section are held at a time; None: there is none.
    """

    strategy: str
    strategy_reason: str
    partition: bool
    partition_reason: str
    ordering: Ordering | None
    tasks: tuple[TaskPlan, ...]
    selected: Ints
    workers: int
    workers_reason: str
    worker_limits: tuple[tuple[str, int], ...]
    budget_bytes: int
    budget_reason: str
    task_bytes: int
    chunk_rows: int
    disk_bytes: int
    low_memory: bool
    tables_bytes: int
    last_day: int | None
    bars_at_once: int | None = None

    @property
    def cuts(self) -> tuple[int, ...]:
        """The positions at which tasks begin among the selected symbols, and the end."""
        return (*(task.first for task in self.tasks), len(self.selected))

    @cached_property
    def rows(self) -> int:
        """Input rows of the selected symbols."""
        return sum(task.rows for task in self.tasks)


def make_plan(scan: Scan, config: Config, wanted: Wanted, resources: Resources, kept_cuts: Sequence[int] = ()) -> Plan:
    """Return the plan of a run.

    `kept_cuts` are the cuts of an earlier run's tasks, including the end: they are kept if their tasks fit.

    Raises
    ------
    BudgetError
        If the largest symbol's task does not fit the budget.
    InputRefused
        If a wanted symbol is not in the input.
    """
    selected = select_symbols(scan, config)
    rows = scan.rows_per_symbol[selected]
    budget, budget_reason = _budget(config, resources)
    jobs = requested_workers(config.jobs, resources.cpus)
    reorder = config.order == "input" and not scan.sorted_by_key
    beside = (NUMBER_BYTES if reorder else 0) + (RUNNING_BYTES if config.developing else 0)
    sizes = Sizes(scan.footers.row_bytes + beside, tables_bytes(scan.footers.schema))
    total = int(rows.sum())
    planned = int(PLANNED * budget)
    largest, limit = int(rows.max(initial=0)), min(jobs, resources.cpus)
    fits_here = sizes.beside_tables(sizes.task_bytes(total, total)) + PARENT_BYTES <= planned
    strategy, strategy_reason = _strategy(rows, config, fits_here)
    of_tasks = sizes
    if strategy == "direct":
        pieces = pieces_of(scan, selected) if len(selected) else ()
        single_task = TaskPlan(0, len(selected), total, total, pieces)  # rows of others are left out batch by batch
        tasks: tuple[TaskPlan, ...] = (single_task,) if len(selected) else ()
        partition, partition_reason = False, "everything is read in this process"
    else:
        reason = _reason_to_partition(scan, sizes, planned, limit, largest, resources)
        of_tasks = replace(sizes, tables=NO_TABLES) if reason else sizes
        most = _most_rows_of_a_task(planned, limit, largest, of_tasks)
        needed = _needed(sizes, of_tasks, sizes.task_bytes(largest, largest))
        if largest > most or PARENT_BYTES + WORKER_BYTES + needed > planned:
            _refuse_too_large(scan, selected, rows, sizes, needed, partial(cant_hold, budget))
        if resources.worker_bytes is not None:
            of_worker = int(PLANNED * resources.worker_bytes) - WORKER_BYTES
            most = min(most, of_tasks.most_rows(of_worker))
            if largest > most or needed > of_worker:
                _refuse_too_large(scan, selected, rows, sizes, needed, partial(worker_cant_hold, resources))
        kept = cuts.kept_cuts(kept_cuts, rows, most)
        target = cuts.target_rows(total, jobs, most)
        chosen = kept or cuts.best_cuts(scan, selected, rows, strategy, target, most, jobs)
        tasks, partition, partition_reason = cuts.place(scan, selected, rows, chosen, most, reason)
    task_bytes = max((sizes.task_bytes(task.rows, task.decoded_rows) for task in tasks), default=0)
    of_tasks = replace(of_tasks, tables=NO_TABLES) if partition else of_tasks
    fitting = _fitting_workers(planned, sizes, of_tasks, task_bytes, is_cluster=resources.worker_bytes is not None)
    limits = _worker_limits(strategy, jobs, config, resources, budget, fitting, len(tasks))
    workers_reason, workers = min(limits, key=lambda limit: limit[1])
    needed = _needed(sizes, of_tasks, task_bytes)
    if workers < 1 or (strategy == "direct" and needed + PARENT_BYTES > planned):
        raise BudgetError(cant_hold(budget, f"the smallest task{_beside(sizes)}", needed))
    columns, worker_bytes = len(wanted.columns), resources.worker_bytes
    return Plan(
        strategy=strategy,
        strategy_reason=strategy_reason,
        partition=partition,
        partition_reason=partition_reason,
        ordering=ordering_of(config, sizes, bytes_of_one_machine(planned, resources), resources.cpus, columns, total)
        if reorder
        else None,
        tasks=tasks,
        selected=selected,
        workers=workers,
        workers_reason=workers_reason,
        worker_limits=limits,
        budget_bytes=budget,
        budget_reason=budget_reason,
        task_bytes=task_bytes,
        chunk_rows=sizes.chunk_rows(planned - PARENT_BYTES - workers * WORKER_BYTES, total)
        if worker_bytes is None
        else sizes.cluster_chunk_rows(planned // resources.cpus, total, workers, len(tasks)),
        low_memory=min(budget, _PLENTY_BYTES if worker_bytes is None else 2 * worker_bytes) < _PLENTY_BYTES,
        disk_bytes=disk_bytes_of(scan, config, wanted, total, partition, len(tasks), reorder),
        tables_bytes=sizes.tables.held,
        last_day=_last_day(config),
        bars_at_once=section_bars(planned, workers if strategy != "direct" else 0, resources, wanted),
    )


def _reason_to_partition(
    scan: Scan, sizes: Sizes, planned: int, workers: int, largest: int, resources: Resources
) -> str:
    """Return why tasks may not read the input; empty: they may. On a cluster, workers partition it, too."""
    if scan.presence is None:
        return f"the input is {scan.layout}"
    tables = sizes.tables.held
    needed = _needed(sizes, sizes, sizes.task_bytes(largest, largest))
    is_small = workers * tables <= _TABLES_SHARE * planned and PARENT_BYTES + WORKER_BYTES + needed <= planned
    if not tables or is_small or resources.worker_bytes is not None:
        return ""
    return f"the tables to join take {tables / 2**20:,.0f} MiB in each process that reads the input"


def _needed(sizes: Sizes, of_tasks: Sizes, task_bytes: int) -> int:
    """Return the most bytes that a process takes: with a task, or with tables that it joins while it partitions."""
    chunk = sizes.beside_tables(sizes.least_chunk_bytes) if sizes.tables.held else 0
    return max(of_tasks.beside_tables(task_bytes), chunk)


def _last_day(config: Config) -> int | None:
    """Return the last day whose rows matter.

    Labels look ahead, a weekly row waits for the end of its week, and a row that a calendar has no session for holds a
    bar back.
    """
    held_back = config.available == "week-end" and bool(config.calendar or config.calendar_map)
    looks_ahead = config.label or config.rows == "weekly" or held_back
    return None if config.end is None or looks_ahead else day_of(config.end)


def _budget(config: Config, resources: Resources) -> tuple[int, str]:
    if config.memory_limit is not None:
        return config.memory_limit, config.named("memory_limit")
    share = resources.memory_share
    return int(share * resources.memory_bytes), f"{share:.0%} of the {resources.memory_reason}"


def _most_rows_of_a_task(planned: int, workers: int, largest: int, sizes: Sizes) -> int:
    """Return the most rows of a task that let as many workers as possible run; any symbol must fit into a task."""
    for wanted in range(workers, 1, -1):
        most = sizes.most_rows((planned - PARENT_BYTES) // wanted - WORKER_BYTES)
        if most >= max(largest, cuts.LEAST_TASK_ROWS):
            return most
    return sizes.most_rows(planned - PARENT_BYTES - WORKER_BYTES)


def _fitting_workers(planned: int, sizes: Sizes, of_tasks: Sizes, task_bytes: int, *, is_cluster: bool) -> int:
    """Return how many workers fit with a task each, and while the input is partitioned."""
    free = planned - PARENT_BYTES
    fitting = free // (WORKER_BYTES + of_tasks.beside_tables(task_bytes))
    if of_tasks is sizes or not sizes.tables.held:
        return fitting
    if is_cluster:
        return min(fitting, free // (WORKER_BYTES + sizes.beside_tables(sizes.least_chunk_bytes)))
    # This process has read the tables before the workers start.
    return min(fitting, (free - sizes.tables.held - sizes.least_chunk_bytes) // WORKER_BYTES)


def budget_bytes(config: Config, resources: Resources) -> int:
    """Return the bytes of memory that all processes of a run together may use."""
    return _budget(config, resources)[0]


def smallest_pool(
    config: Config, resources: Resources, row_bytes: float, tables: TablesBytes = NO_TABLES
) -> tuple[str, int, int]:
    """Return what bounds the pool before an input is known, its workers (0: none fits), and the bytes of its budget.

    The tasks are the smallest ones, with rows of `row_bytes`; this process has read `tables`.
    """
    budget = _budget(config, resources)[0]
    sizes = Sizes(row_bytes)
    task_bytes = sizes.task_bytes(cuts.LEAST_TASK_ROWS, cuts.LEAST_TASK_ROWS)
    fitting = _fitting_workers(int(PLANNED * budget) - tables.held, sizes, sizes, task_bytes, is_cluster=False)
    jobs = requested_workers(config.jobs, resources.cpus)
    limits = _worker_limits("batched", jobs, config, resources, budget, fitting, max(jobs, resources.cpus))
    reason, workers = min((*limits[1:], limits[0]), key=lambda limit: limit[1])  # of equal ones, --jobs explains least
    return reason, max(0, workers), budget


def early_workers(footers: Footers, config: Config, resources: Resources) -> int:
    """Return how many workers a plan may need: the pool starts while the parent scans."""
    return max(1, smallest_pool(config, resources, footers.row_bytes, tables_bytes(footers.schema))[1])


def _refuse_too_large(
    scan: Scan, selected: Ints, rows: Ints, sizes: Sizes, needed: int, sentence: Callable[[str, int], str]
) -> None:
    """Refuse the symbol with the most rows, which does not fit beside the tables that are joined; `needed` is enough.

    Raises
    ------
    BudgetError
    """
    if not len(rows):
        return
    largest = int(rows.argmax())
    symbol = scan.symbols[int(selected[largest])].as_py()
    size = sizes.task_bytes(int(rows[largest]), int(rows[largest])) / 2**20
    what = f"symbol {symbol!r} with its {rows[largest]:,} rows ({size:.0f} MiB in a worker){_beside(sizes)}"
    raise BudgetError(sentence(what, needed))


def _beside(sizes: Sizes) -> str:
    """Return what else is held; empty: nothing."""
    tables = sizes.beside_tables(0) / 2**20
    return f" beside the tables to join ({tables:,.0f} MiB)" if tables else ""


def _strategy(rows: Ints, config: Config, fits_here: bool) -> tuple[str, str]:
    total, symbols = int(rows.sum()), len(rows)
    if config.strategy != "auto":
        return config.strategy, f"asked for with {config.named('strategy')}"
    if total <= DIRECT_ROWS and (fits_here or not total) and config.task_timeout is None:
        return "direct", f"{total:,} rows are done before a pool has started (up to {DIRECT_ROWS:,})"
    longest, median = int(rows.max()), float(np.median(rows))
    if total / symbols >= DIRECT_ROWS:
        return "per-symbol", f"{total // symbols:,} rows a symbol on average fill a task each"
    if longest <= _ALIKE * median:
        return (
            "batched",
            f"{symbols:,} symbols of like length: the longest has {longest / median:.1f} x the median",
        )
    return (
        "adaptive",
        f"lengths differ: the longest of {symbols:,} symbols has {longest / median:.1f} x the median",
    )


def _worker_limits(
    strategy: str, jobs: int, config: Config, resources: Resources, budget: int, fitting: int, n_tasks: int
) -> tuple[tuple[str, int], ...]:
    if strategy == "direct":
        return (("strategy direct works in this process", 1),)
    return (
        (f"{config.named('jobs')} {config.jobs}", jobs),
        (resources.cpus_reason, max(resources.cpus, 1)),
        (f"memory budget of {budget / 2**20:,.0f} MiB", fitting),
        ("number of tasks", max(1, n_tasks)),
    )


def check_disk(plan: Plan, free_bytes: int) -> None:
    """Raise BudgetError if the disk lacks space for what a plan writes before the old output is removed."""
    if plan.disk_bytes > free_bytes:
        raise BudgetError(
            f"about {plan.disk_bytes / 2**20:,.0f} MiB of disk are needed beside the output, "
            f"but {free_bytes / 2**20:,.0f} MiB are free there"
        )
