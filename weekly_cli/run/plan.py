"""What to do: scan x configuration x resources -> tasks, pool and reasons. Pure: it reads nothing.

Sizes are estimates from the schema. A task holds its daily rows about twice (as decoded, and sorted or as
numbers), and on top of that the panels and the row group that it is writing; a worker has what its interpreter
and libraries take besides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.selection import pieces_with, select_symbols
from weekly_cli.dataset.source import Piece
from weekly_cli.errors import BudgetError
from weekly_cli.files import output_file
from weekly_cli.run.resources import Resources, requested_workers
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config

#: Up to so many rows a pool costs more than it saves: 0.93 s against 0.91 s (date order) and 0.77 s (clustered).
DIRECT_ROWS = 1_000_000
#: Tasks for each worker, so that the last ones to finish leave little idle.
_TASKS_PER_WORKER = 6
_LEAST_TASK_ROWS = 64 * 1024
#: A task may grow to this over its target, to end where a row group of the input does.
_FULLEST = 1.5
#: Rows decoded for each row wanted up to which the input's own row ranges serve as fragments. Partitioning
#: decodes, gathers, writes and reads every row once more.
_MOST_DECODED = 1.6
#: Longest history over the median up to which symbols count as alike.
_ALIKE = 2.0

#: Sizes are estimates: this share of the budget is given away.
_PLANNED = 0.92
#: Bytes of a worker and of the parent (with loky's own two processes) before they hold any row, as proportional set
#: sizes. These and the sizes below are what tasks of 0.1 to 1 million rows took, and then some.
WORKER_BYTES = 70 * 2**20
PARENT_BYTES = 160 * 2**20
#: What a task holds whatever its size (panels of a group, a row group in the making), and for each row.
_WORKING_BYTES = 80 * 2**20
_NUMBERS_BYTES_PER_ROW = 140
_COPIES = 2.2
#: What the partition holds for each row of a chunk: its columns, each as it was decoded or in symbol order, and as
#: much as one to two chunks that are decoded meanwhile.
_CHUNK_COPIES = 4.0
_CHUNK_NUMBERS_BYTES_PER_ROW = 100
#: The buffers of the bundles that are open.
_BUNDLES_BYTES = 64 * 2**20
#: Larger chunks save nothing: a chunk's column should stay in the cache while it is gathered. 9.6 million rows in
#: chunks of 0.25, 0.5, 1 and 4 Mi took 1.85, 1.75, 1.85 and 2.3 CPU seconds to partition, the parent 260, 310, 390 and
#: 1,050 MiB, and the workers 0.75, 0.65, 0.6 and 0.6 to read and sort.
_MOST_CHUNK_ROWS = 2**19
#: Unless there were more chunks than this: each gives every task a run, a row group of its bundle to be written,
#: remembered and found.
_MANY_CHUNKS = 24
#: A column of text in one piece ends at 2 GiB.
_MOST_CHUNK_BYTES = 2**30
#: With a budget below this, chunks and tasks give back at their end what allocators keep.
_PLENTY_BYTES = 4 * 2**30
_LEAST_CHUNK_ROWS = 2**12


@dataclass(frozen=True)
class TaskPlan:
    """The symbols from `first` to `stop` of the selected ones, their rows, and where they lie.

    `pieces` is None where the rows come from a bundle that the partition is to write; `decoded_rows` is what
    reading them costs.
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
    worker_limits : tuple of (str, int)
        Every limit on the number of workers; `workers` is the smallest, `workers_reason` its name.
    chunk_rows : int
        Rows that the partition holds at a time.
    disk_bytes : int
        What bundles and parts may take.
    """

    strategy: str
    strategy_reason: str
    partition: bool
    partition_reason: str
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

    @property
    def low_memory(self) -> bool:
        """Whether memory is worth more than the time that it takes to give it back."""
        return self.budget_bytes < _PLENTY_BYTES

    @property
    def cuts(self) -> tuple[int, ...]:
        """Where the tasks begin among the selected symbols, and their end."""
        return (*(task.first for task in self.tasks), len(self.selected))

    @cached_property
    def rows(self) -> int:
        """Input rows of the selected symbols."""
        return sum(task.rows for task in self.tasks)


def make_plan(scan: Scan, config: Config, wanted: Wanted, resources: Resources, kept_cuts: Sequence[int] = ()) -> Plan:
    """Return the plan of a run.

    `kept_cuts` are where tasks began in an earlier run, and its end: they are kept if their tasks fit.

    Raises
    ------
    BudgetError
        If the budget can't hold the largest symbol's task.
    InputRefused
        If a wanted symbol is not in the input.
    """
    selected = select_symbols(scan, config)
    rows = scan.rows_per_symbol[selected]
    budget, budget_reason = _budget(config, resources)
    jobs = requested_workers(config.jobs, resources.cpus)
    sizes = _Sizes(scan.footers.row_bytes)
    total = int(rows.sum())
    planned = int(_PLANNED * budget)
    strategy, strategy_reason = _strategy(rows, config, sizes.task_bytes(total, total) + PARENT_BYTES <= planned)
    if strategy == "direct":
        everything = TaskPlan(0, len(selected), total, total, scan.footers.pieces)
        tasks: tuple[TaskPlan, ...] = (everything,) if len(selected) else ()
        partition, partition_reason = False, "everything is read in this process"
    else:
        most = _most_rows_of_a_task(planned, min(jobs, resources.cpus), int(rows.max(initial=0)), sizes)
        _refuse_too_large(scan, selected, rows, most, sizes, budget)
        cuts = _kept(kept_cuts, rows, most)
        cuts = cuts or _task_cuts(rows, strategy, _target_rows(total, jobs, most), most, _group_starts(scan, selected))
        tasks, partition, partition_reason = _place(scan, selected, rows, cuts, most)
    task_bytes = max((sizes.task_bytes(task.rows, task.decoded_rows) for task in tasks), default=0)
    fitting = _fitting_workers(planned, task_bytes)
    limits = _worker_limits(strategy, jobs, config, resources, budget, fitting, len(tasks))
    workers_reason, workers = min(limits, key=lambda limit: limit[1])
    if workers < 1 or (strategy == "direct" and task_bytes + PARENT_BYTES > planned):
        raise BudgetError(_too_small(budget, task_bytes, "the smallest task"))
    return Plan(
        strategy=strategy,
        strategy_reason=strategy_reason,
        partition=partition,
        partition_reason=partition_reason,
        tasks=tasks,
        selected=selected,
        workers=workers,
        workers_reason=workers_reason,
        worker_limits=limits,
        budget_bytes=budget,
        budget_reason=budget_reason,
        task_bytes=task_bytes,
        chunk_rows=sizes.chunk_rows(planned - PARENT_BYTES - workers * WORKER_BYTES, total),
        disk_bytes=_disk_bytes(scan, config, len(wanted.features), total, partition, len(tasks)),
    )


@dataclass(frozen=True)
class _Sizes:
    row_bytes: float

    def task_bytes(self, rows: int, decoded_rows: int) -> int:
        return int(
            _WORKING_BYTES + rows * (_COPIES * self.row_bytes + _NUMBERS_BYTES_PER_ROW)
            + (decoded_rows - rows) * self.row_bytes
        )  # fmt: skip

    def most_rows(self, worker_bytes: int) -> int:
        return int((worker_bytes - _WORKING_BYTES) / (_COPIES * self.row_bytes + _NUMBERS_BYTES_PER_ROW))

    def chunk_rows(self, free_bytes: int, rows: int) -> int:
        fits = int((free_bytes - _BUNDLES_BYTES) / (_CHUNK_COPIES * self.row_bytes + _CHUNK_NUMBERS_BYTES_PER_ROW))
        wanted = min(max(_MOST_CHUNK_ROWS, rows // _MANY_CHUNKS), int(_MOST_CHUNK_BYTES / self.row_bytes))
        return min(wanted, max(_LEAST_CHUNK_ROWS, fits))


#: Bytes that a repeated value of 4 bytes takes in the output: 0.8 with zstd, of 60 columns and ten years of prices.
_STORED_BYTES = {"zstd": 1.0, "snappy": 2.0, "lz4": 2.0, "none": 4.0}


def _disk_bytes(scan: Scan, config: Config, n_features: int, rows: int, partition: bool, n_tasks: int) -> int:
    """Estimate the bytes of the bundles, of the parts, and of the file that they become."""
    footers = scan.footers
    own = footers.row_bytes if config.compression == "none" else footers.file_bytes / max(1, footers.rows)
    added = n_features * _STORED_BYTES[config.compression] * (2 if config.dtype == "float64" else 1)
    copies = 2 if n_tasks > 1 and output_file.is_single_file(Path(config.output)) else 1
    return int(rows * ((own + added) * copies + (footers.row_bytes if partition else 0.0)))


def _budget(config: Config, resources: Resources) -> tuple[int, str]:
    if config.memory_limit is not None:
        return config.memory_limit, config.named("memory_limit")
    share = resources.memory_share
    return int(share * resources.memory_bytes), f"{share:.0%} of the {resources.memory_reason}"


def _most_rows_of_a_task(planned: int, workers: int, largest: int, sizes: _Sizes) -> int:
    """Return the rows that a task may have so that as many workers as possible run; each must hold any symbol."""
    for wanted in range(workers, 1, -1):
        most = sizes.most_rows((planned - PARENT_BYTES) // wanted - WORKER_BYTES)
        if most >= max(largest, _LEAST_TASK_ROWS):
            return most
    return sizes.most_rows(planned - PARENT_BYTES - WORKER_BYTES)


def _fitting_workers(planned: int, task_bytes: int) -> int:
    return int((planned - PARENT_BYTES) // (WORKER_BYTES + task_bytes))


def budget_bytes(config: Config, resources: Resources) -> int:
    """Return the bytes that all processes of a run together may hold."""
    return _budget(config, resources)[0]


def early_workers(footers: Footers, config: Config, resources: Resources) -> int:
    """Return how many workers a plan may start: the pool comes up while the parent scans."""
    planned = int(_PLANNED * _budget(config, resources)[0])
    fitting = _fitting_workers(planned, _Sizes(footers.row_bytes).task_bytes(_LEAST_TASK_ROWS, _LEAST_TASK_ROWS))
    return max(1, min(requested_workers(config.jobs, resources.cpus), resources.cpus, fitting))


def _too_small(budget: int, task_bytes: int, what: str) -> str:
    needed = int((task_bytes + PARENT_BYTES + WORKER_BYTES) / _PLANNED)
    return (
        f"the memory budget of {budget / 2**20:.0f} MiB can't hold {what}; "
        f"pass --memory-limit {-(-needed // 2**20)}MiB or more"
    )


def _refuse_too_large(scan: Scan, selected: Ints, rows: Ints, most: int, sizes: _Sizes, budget: int) -> None:
    if len(rows) == 0 or int(rows.max()) <= most:
        return
    largest = int(rows.argmax())
    symbol = scan.symbols[int(selected[largest])].as_py()
    needed = sizes.task_bytes(int(rows[largest]), int(rows[largest]))
    what = f"symbol {symbol!r} with its {rows[largest]:,} rows ({needed / 2**20:.0f} MiB in a worker)"
    raise BudgetError(_too_small(budget, needed, what))


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
    """Return whether a selected symbol begins in another piece than the one before it ends in."""
    if scan.presence is None:
        return lambda _: True
    presence = scan.presence
    first = presence.pieces[np.searchsorted(presence.codes, selected, "left")]
    last = presence.pieces[np.searchsorted(presence.codes, selected, "right") - 1]
    return lambda position: position > 0 and bool(first[position] != last[position - 1])


def _kept(cuts: Sequence[int], rows: Ints, most: int) -> list[int]:
    """Return an earlier run's cuts if they are of these symbols and no task holds more than `most` rows, or none."""
    if not len(cuts) or cuts[0] != 0 or cuts[-1] != len(rows):
        return []
    held = np.concatenate([[0], rows.cumsum()])
    return list(cuts) if (np.diff(held[list(cuts)]) <= most).all() else []


def _task_cuts(rows: Ints, strategy: str, target: int, most: int, begins_group: Callable[[int], bool]) -> list[int]:
    """Return where tasks begin among the selected symbols, and their end.

    "per-symbol" cuts everywhere, "batched" after equal numbers of symbols, "adaptive" after `target` rows. The latter
    two cut up to half a task later if a row group of the input begins there, and never put more than `most` rows into
    a task of several symbols.
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
        latest = int(np.searchsorted(filled, filled[first] + int(_FULLEST * full), "right")) - 1
        latest = max(first + 1, min(latest, int(np.searchsorted(held, held[first] + most, "right")) - 1))
        soonest = min(latest, max(first + 1, int(np.searchsorted(filled, filled[first] + full))))
        aligned = (position for position in range(soonest, latest + 1) if begins_group(position))
        cuts.append(symbols if latest == symbols else next(aligned, soonest))
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
    decoded = [sum(piece.stop for piece in found) for found in pieces]
    share = sum(decoded) / max(1, sum(counts))
    words = f"the input is clustered by symbol: its row groups serve at {share:.2f} rows decoded a row"
    if share > _MOST_DECODED or max(decoded, default=0) > most:
        return bundled, True, f"{words}, more than {_MOST_DECODED} or than the budget holds"
    tasks = tuple(
        TaskPlan(first, stop, count, cost, found)
        for (first, stop), count, cost, found in zip(spans, counts, decoded, pieces, strict=True)
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
    """Raise BudgetError if the disk can't hold what a plan writes before the old output goes."""
    if plan.disk_bytes > free_bytes:
        raise BudgetError(
            f"about {plan.disk_bytes / 2**20:,.0f} MiB of disk are needed beside the output, "
            f"but {free_bytes / 2**20:,.0f} MiB are free there"
        )
