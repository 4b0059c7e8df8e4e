"""What the search for suspects reads and returns, and what its parts share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Floats, Ints
from weekly_cli.findings import MOST_EXAMPLES

Bools = NDArray[np.bool_]
#: Rows that are compared at a time: a quarter of a MiB a column, so that what is made of them stays in cache.
_BLOCK_ROWS = 32 * 1024


@dataclass(frozen=True)
class Rows:
    """The daily rows that have a usable close, sorted by (code, day).

    Attributes
    ----------
    codes, days : int64[rows]
    close : float64[rows]
        The close that features use: the adjusted one where there is one.
    raw : mapping of role to float64[rows]
        The prices as they are in the input, at least `close`; NaN where they are not usable.
    volume : float64[rows] or None
    """

    codes: Ints
    days: Ints
    close: Floats
    raw: Mapping[str, Floats]
    volume: Floats | None

    def of_symbol(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return where the histories of the symbols of `rows` begin and end."""
        codes = self.codes[rows]
        return np.searchsorted(self.codes, codes), np.searchsorted(self.codes, codes, "right")

    def follow(self, rows: Ints) -> Ints:
        """Return those of the rows that have a row before them in their history."""
        following: Ints = rows[self.codes[rows] == self.codes[rows - 1]]
        return following

    def example(self, row: int, **values: Any) -> tuple[int, int, dict[str, float]]:
        """Return an example: the code, the day, and values by name."""
        numbers = {name: float(value) for name, value in values.items()}
        return int(self.codes[row]), int(self.days[row]), numbers


@dataclass(frozen=True)
class Suspicion:
    """How many there are of something, among how many that could be, and the first ones by (code, day)."""

    count: int
    first: tuple[tuple[int, int, Mapping[str, float]], ...] = ()
    among: int = 0

    def __add__(self, other: Suspicion) -> Suspicion:
        first = sorted((*self.first, *other.first), key=lambda example: example[:2])
        return Suspicion(self.count + other.count, tuple(first[:MOST_EXAMPLES]), self.among + other.among)

    def named(self, numbers: Ints) -> Suspicion:
        """Return the same with the number of each symbol for its code."""
        first = tuple((int(numbers[code]), day, values) for code, day, values in self.first)
        return Suspicion(self.count, first, self.among)

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Suspicion:
        """Return what `dataclasses.asdict` has made of one, by way of JSON."""
        return cls(entry["count"], tuple((code, day, values) for code, day, values in entry["first"]), entry["among"])


#: Suspicions by the code of the finding.
Suspects = Mapping[str, Suspicion]


@dataclass
class Found:
    """Collects the suspicions of a search."""

    by_code: dict[str, Suspicion] = field(default_factory=dict)

    def add(self, code: str, count: int, first: Iterator[tuple[int, int, Mapping[str, float]]], among: int = 0) -> None:
        """Add what was found, if it was."""
        if count or among:
            self.by_code[code] = self.by_code.get(code, Suspicion(0)) + Suspicion(count, tuple(first), among)


def blocks(n_rows: int, first: int = 0) -> Iterator[slice]:
    """Yield slices of the rows from `first` on that fit into a cache."""
    for start in range(first, n_rows, _BLOCK_ROWS):
        yield slice(start, min(n_rows, start + _BLOCK_ROWS))


#: Rows whose surroundings are looked at together: noise may have as many jumps as rows.
_BATCH = 4096


def batches(n_rows: int) -> Iterator[slice]:
    """Yield slices of rows whose surroundings take little memory."""
    for start in range(0, n_rows, _BATCH):
        yield slice(start, min(n_rows, start + _BATCH))


def before(rows: slice) -> slice:
    """Return the slice of the rows that precede each of `rows`."""
    return slice(rows.start - 1, rows.stop - 1)


def joined(parts: list[Ints]) -> Ints:
    """Return positions as one array."""
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def median(values: Floats) -> Floats:
    """Return the median of each row of `values` without its NaN: float64[rows], NaN where there is nothing else."""
    ordered = np.sort(values, axis=1)  # NaN last
    counts = (~np.isnan(values)).sum(axis=1)
    rows = np.arange(len(values))
    middle: Floats = (ordered[rows, np.maximum(counts - 1, 0) // 2] + ordered[rows, counts // 2 - (counts == 0)]) / 2
    return middle


def around(values: Floats, rows: Ints, bounds: tuple[Ints, Ints], n_rows: int) -> tuple[Floats, Floats]:
    """Return the values of the `n_rows` rows before each of `rows`, and from it on, NaN beyond its history's bounds.

    Both are float64[rows, n_rows], in order.
    """
    windows = []
    for offsets in (np.arange(-n_rows, 0), np.arange(n_rows)):
        at = rows[:, None] + offsets
        inside = (at >= bounds[0][:, None]) & (at < bounds[1][:, None])
        windows.append(np.where(inside, values[np.where(inside, at, rows[:, None])], np.nan))
    return windows[0], windows[1]
