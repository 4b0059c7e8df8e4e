"""The plan: scan x configuration x resources -> tasks, pool and reasons. Pure: it reads nothing.

Sizes are estimates from the schema. A task keeps its daily rows in memory about twice (as decoded, and sorted or as
numbers), plus the panels and the row group that it is writing; a worker also needs memory for its interpreter and
libraries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

import numpy as np

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.dates import day_of
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.selection import pieces_of, pieces_with, select_symbols
from weekly_cli.dataset.source import Piece
from weekly_cli.errors import BudgetError
from weekly_cli.run.resources import Resources, requested_workers
from weekly_cli.run.sizes import (
    NUMBER_BYTES,
    PARENT_BYTES,
    PLANNED,
    RUNNING_BYTES,
    WORKER_BYTES,
    Ordering,
    Sizes,
    bytes_of_one_machine,
    cant_hold,
    disk_bytes_of,
    ordering_of,
    section_bars,
    worker_cant_hold,
)
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config

#: Up to this many rows a pool costs more than it saves: 0.93 s against 0.91 s (date order) and 0.77 s (clustered).
DIRECT_ROWS = 1_000_000
#: Tasks per worker, so that few workers are idle while the last tasks finish.
_TASKS_PER_WORKER = 6
_LEAST_TASK_ROWS = 64 * 1024
#: A task may grow to this multiple of its target, so that it ends where an input row group does.
_FULLEST = 1.5
#: Tasks that end where row groups do, however large these are, are preferred if their number divides among the workers
#: so that the busiest one has at most this multiple of the mean.
_EVEN = 1.2
#: Up to this many rows decoded per wanted row, tasks read row ranges of the input instead of fragments. Partitioning
#: decodes, gathers, writes and reads every row once more.
_MOST_DECODED = 1.6
#: Up to this ratio of the longest history to the median, symbols count as alike.
_ALIKE = 2.0

#: With a budget below this, or half of it in a worker of a cluster, chunks and tasks release the memory that allocators
#: keep when they end.
_PLENTY_BYTES = 4 * 2**30


@dataclass(frozen=True)
class TaskPlan:
    """The range from `first` to `stop` of the selected symbols, its number of rows, and where they are.

    `pieces` is None where the rows come from a bundle that the partition will write; `decoded_rows` is the number of
    rows that must be decoded to read them.
    """

    first: int
    stop: int
    rows: int
    decoded_rows: int
    pieces: tuple[Piece, ...] | None


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
    sizes = Sizes(scan.footers.row_bytes + beside)
    total = int(rows.sum())
    planned = int(PLANNED * budget)
    strategy, strategy_reason = _strategy(rows, config, sizes.task_bytes(total, total) + PARENT_BYTES <= planned)
    if strategy == "direct":
        pieces = pieces_of(scan, selected) if len(selected) else ()
        single_task = TaskPlan(0, len(selected), total, total, pieces)  # rows of others are left out batch by batch
        tasks: tuple[TaskPlan, ...] = (single_task,) if len(selected) else ()
        partition, partition_reason = False, "everything is read in this process"
    else:
        most = _most_rows_of_a_task(planned, min(jobs, resources.cpus), int(rows.max(initial=0)), sizes)
        _refuse_too_large(scan, selected, rows, most, sizes, partial(cant_hold, budget))
        if resources.worker_bytes is not None:
            most = min(most, sizes.most_rows(int(PLANNED * resources.worker_bytes) - WORKER_BYTES))
            _refuse_too_large(scan, selected, rows, most, sizes, partial(worker_cant_hold, resources))
        cuts = _kept(kept_cuts, rows, most)
        cuts = cuts or _best_cuts(scan, selected, rows, strategy, _target_rows(total, jobs, most), most, jobs)
        tasks, partition, partition_reason = _place(scan, selected, rows, cuts, most)
    task_bytes = max((sizes.task_bytes(task.rows, task.decoded_rows) for task in tasks), default=0)
    fitting = _fitting_workers(planned, task_bytes)
    limits = _worker_limits(strategy, jobs, config, resources, budget, fitting, len(tasks))
    workers_reason, workers = min(limits, key=lambda limit: limit[1])
    if workers < 1 or (strategy == "direct" and task_bytes + PARENT_BYTES > planned):
        raise BudgetError(cant_hold(budget, "the smallest task", task_bytes))
    columns, of_worker = len(wanted.columns), resources.worker_bytes
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
        if of_worker is None
        else sizes.cluster_chunk_rows(planned // resources.cpus, total, workers, len(tasks)),
        low_memory=min(budget, _PLENTY_BYTES if of_worker is None else 2 * of_worker) < _PLENTY_BYTES,
        disk_bytes=disk_bytes_of(scan, config, wanted, total, partition, len(tasks), reorder),
        last_day=_last_day(config),
        bars_at_once=section_bars(planned, workers if strategy != "direct" else 0, resources, wanted),
    )


def _last_day(config: Config) -> int | None:
    """Return the last day whose rows matter: labels look ahead, and a weekly row waits for the end of its week."""
    looks_ahead = config.label or config.rows == "weekly"
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
        if most >= max(largest, _LEAST_TASK_ROWS):
            return most
    return sizes.most_rows(planned - PARENT_BYTES - WORKER_BYTES)


def _fitting_workers(planned: int, task_bytes: int) -> int:
    return int((planned - PARENT_BYTES) // (WORKER_BYTES + task_bytes))


def budget_bytes(config: Config, resources: Resources) -> int:
    """Return the bytes of memory that all processes of a run together may use."""
    return _budget(config, resources)[0]


def smallest_pool(config: Config, resources: Resources, row_bytes: float) -> tuple[str, int, int]:
    """Return what bounds the pool before an input is known, its workers (0: none fits), and the bytes of its budget.

    The tasks are the smallest ones, with rows of `row_bytes`.
    """
    budget = _budget(config, resources)[0]
    task_bytes = Sizes(row_bytes).task_bytes(_LEAST_TASK_ROWS, _LEAST_TASK_ROWS)
    fitting = _fitting_workers(int(PLANNED * budget), task_bytes)
    jobs = requested_workers(config.jobs, resources.cpus)
    limits = _worker_limits("batched", jobs, config, resources, budget, fitting, max(jobs, resources.cpus))
    reason, workers = min((*limits[1:], limits[0]), key=lambda limit: limit[1])  # of equal ones, --jobs explains least
    return reason, max(0, workers), budget


def early_workers(footers: Footers, config: Config, resources: Resources) -> int:
    """Return how many workers a plan may need: the pool starts while the parent scans."""
    return max(1, smallest_pool(config, resources, footers.row_bytes)[1])


def _refuse_too_large(
    scan: Scan, selected: Ints, rows: Ints, most: int, sizes: Sizes, sentence: Callable[[str, int], str]
) -> None:
    if len(rows) == 0 or int(rows.max()) <= most:
        return
    largest = int(rows.argmax())
    symbol = scan.symbols[int(selected[largest])].as_py()
    needed = sizes.task_bytes(int(rows[largest]), int(rows[largest]))
    what = f"symbol {symbol!r} with its {rows[largest]:,} rows ({needed / 2**20:.0f} MiB in a worker)"
    raise BudgetError(sentence(what, needed))


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


def _target_rows(total: int, jobs: int, most: int) -> int:
    even = -(-total // (jobs * _TASKS_PER_WORKER))
    return max(1, min(max(even, _LEAST_TASK_ROWS), int(most / _FULLEST)))


def _group_starts(scan: Scan, selected: Ints) -> Callable[[int], bool]:
    """Return a function that tells whether a selected symbol begins in another piece than its predecessor.

    The predecessor may go on there: its last rows are the head of the piece, and reading may end after them.
    """
    if scan.presence is None:
        return lambda _: True
    presence = scan.presence
    first = presence.pieces[np.searchsorted(presence.codes, selected, "left")]
    return lambda position: position > 0 and bool(first[position] != first[position - 1])


def _kept(cuts: Sequence[int], rows: Ints, most: int) -> list[int]:
    """Return an earlier run's cuts if they fit these symbols and no task has more than `most` rows, else none."""
    if not len(cuts) or cuts[0] != 0 or cuts[-1] != len(rows):
        return []
    held = np.concatenate([[0], rows.cumsum()])
    return list(cuts) if (np.diff(held[list(cuts)]) <= most).all() else []


def _best_cuts(
    scan: Scan, selected: Ints, rows: Ints, strategy: str, target: int, most: int, workers: int
) -> list[int]:
    """Return cuts where row groups of the input begin, if these make even work, in enough tasks; else even ones."""
    begins_group = _group_starts(scan, selected)
    even = _task_cuts(rows, strategy, target, most, begins_group, _FULLEST)
    if scan.presence is None or strategy == "per-symbol":
        return even
    whole = _task_cuts(rows, strategy, target, most, begins_group, math.inf)
    held = np.concatenate([[0], rows.cumsum()])
    sizes = np.diff(held[whole])
    busiest = -(-len(sizes) // workers) * int(sizes.max(initial=0))
    is_whole = all(begins_group(position) for position in whole[1:-1]) and 2 * len(whole) > len(even)
    return whole if is_whole and busiest * workers <= _EVEN * held[-1] else even


def _task_cuts(
    rows: Ints, strategy: str, target: int, most: int, begins_group: Callable[[int], bool], fullest: float
) -> list[int]:
    """Return the positions at which tasks begin among the selected symbols, and the end.

    "per-symbol" cuts after every symbol, "batched" after equal numbers of symbols, "adaptive" after `target` rows. The
    latter two cut later if an input row group begins there, in a task of up to `fullest` times that, and never put more
    than `most` rows into a task with several symbols.
    """
    symbols = len(rows)
    if strategy == "per-symbol" or not symbols:
        return list(range(symbols + 1))
    held = np.concatenate([[0], rows.cumsum()])
    filled, full = held, target
    if strategy == "batched":
        filled, full = np.arange(symbols + 1), -(-symbols // max(1, round(int(held[-1]) / target)))
    cuts = [0]
    while cuts[-1] < symbols:
        first = cuts[-1]
        latest = int(np.searchsorted(filled, filled[first] + fullest * full, "right")) - 1
        latest = max(first + 1, min(latest, int(np.searchsorted(held, held[first] + most, "right")) - 1))
        soonest = min(latest, max(first + 1, int(np.searchsorted(filled, filled[first] + full))))
        aligned = (position for position in range(soonest, latest + 1) if position == symbols or begins_group(position))
        is_rest = latest == symbols and fullest < math.inf
        cuts.append(symbols if is_rest else next(aligned, soonest))
    return cuts


def _place(
    scan: Scan, selected: Ints, rows: Ints, cuts: list[int], most: int
) -> tuple[tuple[TaskPlan, ...], bool, str]:
    """Return the tasks, whether their rows must be partitioned first, and why."""
    spans = list(pairwise(cuts))
    counts = [int(rows[first:stop].sum()) for first, stop in spans]
    bundled = tuple(
        TaskPlan(first, stop, count, count, None) for (first, stop), count in zip(spans, counts, strict=True)
    )
    if scan.presence is None:
        return bundled, True, f"the input is {scan.layout}"
    pieces = [pieces_with(scan, scan.presence, selected[first:stop]) for first, stop in spans]
    decoded = [sum(piece.stop for piece in task_pieces) for task_pieces in pieces]
    share = sum(decoded) / max(1, sum(counts))
    words = f"the input is clustered by symbol: its row groups serve at {share:.2f} rows decoded a row"
    if share > _MOST_DECODED or max(decoded, default=0) > most:
        return bundled, True, f"{words}, more than {_MOST_DECODED} or than the budget holds"
    tasks = tuple(
        TaskPlan(first, stop, count, cost, task_pieces)
        for (first, stop), count, cost, task_pieces in zip(spans, counts, decoded, pieces, strict=True)
    )
    return tasks, False, words


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
