"""How the rows of a run are cut into tasks, and where each finds them: in a bundle, or where the input has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.selection import pieces_with
from weekly_cli.dataset.source import Piece

#: Smaller tasks cost more than they save.
LEAST_TASK_ROWS = 64 * 1024
#: Tasks per worker, so that few workers are idle while the last tasks finish.
_TASKS_PER_WORKER = 6
#: A task may grow to this multiple of its target, so that it ends where an input row group does.
_FULLEST = 1.5
#: Tasks that end where row groups do, however large these are, are preferred if their number divides among the workers
#: so that the busiest one has at most this multiple of the mean.
_EVEN = 1.2
#: Up to this many rows decoded per wanted row, tasks read row ranges of the input instead of fragments. Partitioning
#: decodes, gathers, writes and reads every row once more.
_MOST_DECODED = 1.6


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


def target_rows(total: int, jobs: int, most: int) -> int:
    """Return the rows of a task, of which some go to each worker, and at most `most` into one that grows."""
    even = -(-total // (jobs * _TASKS_PER_WORKER))
    return max(1, min(max(even, LEAST_TASK_ROWS), int(most / _FULLEST)))


def _group_starts(scan: Scan, selected: Ints) -> Callable[[int], bool]:
    """Return a function that tells whether a selected symbol begins in another piece than its predecessor.

    The predecessor may go on there: its last rows are the head of the piece, and reading may end after them.
    """
    if scan.presence is None:
        return lambda _: True
    presence = scan.presence
    first = presence.pieces[np.searchsorted(presence.codes, selected, "left")]
    return lambda position: position > 0 and bool(first[position] != first[position - 1])


def kept_cuts(cuts: Sequence[int], rows: Ints, most: int) -> list[int]:
    """Return an earlier run's cuts if they fit these symbols and no task has more than `most` rows, else none."""
    if not len(cuts) or cuts[0] != 0 or cuts[-1] != len(rows):
        return []
    held = np.concatenate([[0], rows.cumsum()])
    return list(cuts) if (np.diff(held[list(cuts)]) <= most).all() else []


def best_cuts(scan: Scan, selected: Ints, rows: Ints, strategy: str, target: int, most: int, workers: int) -> list[int]:
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


def place(
    scan: Scan, selected: Ints, rows: Ints, cuts: list[int], most: int, reason_to_partition: str
) -> tuple[tuple[TaskPlan, ...], bool, str]:
    """Return the tasks, whether their rows must be partitioned first, and why; a reason that is given suffices."""
    spans = list(pairwise(cuts))
    counts = [int(rows[first:stop].sum()) for first, stop in spans]
    bundled = tuple(
        TaskPlan(first, stop, count, count, None) for (first, stop), count in zip(spans, counts, strict=True)
    )
    if scan.presence is None or reason_to_partition:
        return bundled, True, reason_to_partition or f"the input is {scan.layout}"
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
