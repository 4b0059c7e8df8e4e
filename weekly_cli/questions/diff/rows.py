"""Rows of two outputs matched by symbol and date, and what differs in those that both have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.schema import as_text
from weekly_cli.questions.diff.columns import ColumnTally, Differing, differing
from weekly_cli.questions.diff.facts import RowCounts, SymbolChange
from weekly_cli.questions.histories import Histories

#: A key is a symbol's code and its day, which is at most this far from 1970.
_MOST_DAYS = 2**31
#: Factors that are equal to this share are one, as quotients of prices with few decimals are not.
_ONE_FACTOR = 1e-3
#: Runs of at least so many rows, in the mean, are sliced.
_LEAST_RUN_ROWS = 64
_NEVER = np.iinfo(np.int64).max


class Comparison:
    """What is known so far of the difference, block after block.

    Attributes
    ----------
    rows : RowCounts
    changed_rows, labels_known : int
    came, went : list of str
        Symbols of one output alone.
    changed : list of SymbolChange
    n_symbols : list of int
        Of A and of B.
    bounds : list of [first, last]
        Days of A and of B.
    """

    def __init__(self, tallies: Sequence[ColumnTally], close: str | None, last: int | None, tolerance: float) -> None:
        self._tallies, self._close, self._tolerance = tallies, close, tolerance
        self._last = -_MOST_DAYS if last is None else last
        self.rows, self.changed_rows, self.labels_known = RowCounts(), 0, 0
        self.came: list[str] = []
        self.went: list[str] = []
        self.changed: list[SymbolChange] = []
        self.n_symbols = [0, 0]
        self.bounds: list[tuple[int | None, int | None]] = [(None, None), (None, None)]

    def add(self, a: Histories, b: Histories) -> None:
        """Compare all rows of a range of symbols."""
        symbols = pa.concat_arrays([a.symbols, b.symbols]).unique()
        symbols = symbols.take(pc.array_sort_indices(symbols))
        codes = [_codes(side, symbols) for side in (a, b)]
        has = [np.bincount(one, minlength=len(symbols)) > 0 for one in codes]
        for number, side in enumerate((a, b)):
            self._count(number, side)
        self.went += _texts(symbols, has[0] & ~has[1])
        self.came += _texts(symbols, has[1] & ~has[0])
        in_b, in_a, of_both = _matched(_keys(codes[0], a.days), _keys(codes[1], b.days))
        both = has[0] & has[1]
        moved = self._moved(both, (codes[0][~in_b], a.days[~in_b]), (codes[1][~in_a], b.days[~in_a]))
        rows_a, rows_b = of_both
        if in_b.all():
            rows_a = None
        if in_a.all():
            rows_b = None
        shared = (codes[0], a.days) if rows_a is None else (codes[0][rows_a], a.days[rows_a])
        selected = [None if rows is None else _Selection.of(rows) for rows in (rows_a, rows_b)]
        changed, factors = self._values(symbols, (a.table, selected[0]), (b.table, selected[1]), *shared)
        self._changed(symbols, [*moved, (shared[0][changed], shared[1][changed])], factors)

    def _count(self, number: int, side: Histories) -> None:
        self.n_symbols[number] += len(side.symbols)
        if len(side.days):
            first, last = int(side.days.min()), int(side.days.max())
            known_first, known_last = self.bounds[number]
            first = first if known_first is None else min(first, known_first)
            last = last if known_last is None else max(last, known_last)
            self.bounds[number] = first, last

    def _moved(
        self, both: NDArray[np.bool_], went: tuple[Ints, Ints], came: tuple[Ints, Ints]
    ) -> list[tuple[Ints, Ints]]:
        """Count the rows of one output alone; return those that change the history of a symbol of both."""
        is_new = came[1] > self._last
        of_both = [both[codes] for codes, _ in (went, came)]
        history_came = of_both[1] & ~is_new
        self.rows += RowCounts(
            new=int(is_new.sum()),
            history_came=int(history_came.sum()),
            history_went=int(of_both[0].sum()),
            of_symbols_that_came=int((~of_both[1] & ~is_new).sum()),
            of_symbols_that_went=int((~of_both[0]).sum()),
        )
        return [(went[0][of_both[0]], went[1][of_both[0]]), (came[0][history_came], came[1][history_came])]

    def _values(
        self,
        symbols: pa.Array,
        a: tuple[pa.Table, _Selection | None],
        b: tuple[pa.Table, _Selection | None],
        codes: Ints,
        days: Ints,
    ) -> tuple[NDArray[np.bool_], dict[int, float]]:
        """Compare the columns; return which of the shared rows changed, and the factor of each symbol's closes."""
        changed = np.zeros(len(codes), bool)
        factors: dict[int, float] = {}
        for tally in self._tallies:
            of_a, of_b = (
                table.column(tally.name) if rows is None else rows.taken(table.column(tally.name))
                for table, rows in (a, b)
            )
            found = differing(of_a, of_b, tally.kind, self._tolerance)
            if found is not None and tally.is_label:
                self.labels_known += int(np.count_nonzero(found.missing_a))
                found = found.known_in_a()
            if found is None:
                continue
            tally.add(found, symbols, codes, days)
            changed[found.rows] = True
            if tally.name == self._close:
                factors = _factors(found, codes)
        self.changed_rows += int(np.count_nonzero(changed))
        return changed, factors

    def _changed(self, symbols: pa.Array, rows: Sequence[tuple[Ints, Ints]], factors: dict[int, float]) -> None:
        codes, days = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        if not len(codes):
            return
        counts = np.bincount(codes, minlength=len(symbols))
        first, last = np.full(len(symbols), _NEVER), np.full(len(symbols), -_NEVER)
        np.minimum.at(first, codes, days)
        np.maximum.at(last, codes, days)
        for code in np.flatnonzero(counts).tolist():
            ends = as_date(int(first[code])), as_date(int(last[code]))
            change = SymbolChange(as_text(symbols[code]), int(counts[code]), *ends, factors.get(code))
            self.changed.append(change)


def _codes(side: Histories, symbols: pa.Array) -> Ints:
    """Return the position of each row's symbol among those of both."""
    places: Ints = to_numpy(pc.index_in(side.symbols, value_set=symbols), -1).astype(np.int64)
    return places[side.codes] if len(places) else np.empty(0, np.int64)


def _keys(codes: Ints, days: Ints) -> Ints:
    return codes * (2 * _MOST_DAYS) + (days + _MOST_DAYS)


def _matched(a: Ints, b: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_], tuple[Ints | None, Ints | None]]:
    """Return which keys of A are in B, which of B are in A, and the positions of those in A and in B; all ascend."""
    if np.array_equal(a, b):
        every = np.ones(len(a), bool)
        return every, every, (None, None)
    place = np.searchsorted(b, a)
    in_b = np.append(b, -1)[place] == a
    rows_b = place[in_b]
    in_a = np.zeros(len(b), bool)
    in_a[rows_b] = True
    return in_b, in_a, (np.flatnonzero(in_b), rows_b)


@dataclass(frozen=True)
class _Selection:
    """Some rows of a table, ascending: as slices if they are in few runs, which copies nothing, else by position."""

    positions: Ints
    runs: Sequence[tuple[int, int]] | None

    @classmethod
    def of(cls, rows: Ints) -> _Selection:
        begins = np.flatnonzero(np.append(True, np.diff(rows) != 1))
        if len(begins) * _LEAST_RUN_ROWS > len(rows):
            return cls(rows, None)
        lengths = np.diff(begins, append=len(rows))
        return cls(rows, list(zip(rows[begins].tolist(), lengths.tolist(), strict=True)))

    def taken(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        if self.runs is None:
            return column.take(from_numpy(self.positions))
        chunks = [chunk for first, n_rows in self.runs for chunk in column.slice(first, n_rows).chunks]
        return pa.chunked_array(chunks, column.type)


@np.errstate(all="ignore")  # closes of zero, or missing ones
def _factors(found: Differing, codes: Ints) -> dict[int, float]:
    """Return B's close divided by A's for each symbol for which it is one number in all rows that differ."""
    if not isinstance(found.a, np.ndarray):
        return {}
    quotient = found.b.astype(np.float64) / found.a.astype(np.float64)
    quotient[found.missing_a | found.missing_b] = np.nan
    of_rows = codes[found.rows]
    starts = np.flatnonzero(np.append(True, of_rows[1:] != of_rows[:-1]))
    least, most = np.minimum.reduceat(quotient, starts), np.maximum.reduceat(quotient, starts)
    is_one = (
        (most - least <= _ONE_FACTOR * np.abs(most)) & np.isfinite(most) & (np.diff(starts, append=len(of_rows)) > 1)
    )
    middle = (least + most) / 2
    return dict(zip(of_rows[starts][is_one].tolist(), middle[is_one].tolist(), strict=True))


def _texts(symbols: pa.Array, chosen: NDArray[np.bool_]) -> list[str]:
    return [as_text(symbols[code]) for code in np.flatnonzero(chosen).tolist()]
