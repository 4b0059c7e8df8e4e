"""Rows that have the symbol and the session of another one: which they are, and what they say beside it.

A row repeats a moment, which is the date where the date column has no time of day, or it is a further moment of its
session: intraday data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy, known, to_numpy
from weekly_cli.compute.bars import Ints, run_starts
from weekly_cli.dataset.moments import moments
from weekly_cli.dataset.schema import DateReading, as_text, is_text

EXAMPLES = 3
#: A text column with more values than this, such as the number of an order, does not tell apart series of prices.
_MOST_SERIES = 32


@dataclass(frozen=True)
class Repeats:
    """Counts of the rows that a symbol has beside the first one of a session.

    Attributes
    ----------
    rows : int
        Rows that repeat a moment, which is a date where the date column has no time of day.
    identical : int
        How many of them equal the moment's first row in all columns.
    differing : mapping of column name to int
        How many of the others differ from it in this column.
    telling : tuple of column names or None
        Text columns that differ in all rows of a moment; None: no row repeats a moment.
    first : tuple of (int, int)
        The first of them, as code and day.
    moments, sessions : int
        Rows at moments of sessions that have several, and the number of these sessions.
    first_moments : tuple of (int, int, str, str)
        The first such session: code, day, and its first two moments.
    """

    rows: int = 0
    identical: int = 0
    differing: Mapping[str, int] = field(default_factory=dict)
    telling: tuple[str, ...] | None = None
    first: tuple[tuple[int, int], ...] = ()
    moments: int = 0
    sessions: int = 0
    first_moments: tuple[tuple[int, int, str, str], ...] = ()

    def __add__(self, other: Repeats) -> Repeats:
        return Repeats(
            rows=self.rows + other.rows,
            identical=self.identical + other.identical,
            differing=dict(Counter(self.differing) + Counter(other.differing)),
            telling=_common(self.telling, other.telling),
            first=(*self.first, *other.first),
            moments=self.moments + other.moments,
            sessions=self.sessions + other.sessions,
            first_moments=(*self.first_moments, *other.first_moments),
        )

    def __bool__(self) -> bool:
        return bool(self.rows or self.moments)

    def named(self, numbers: Ints) -> Repeats:
        """Return the same with the number of each symbol for its code."""
        return replace(
            self,
            first=tuple((int(numbers[code]), day) for code, day in self.first),
            first_moments=tuple((int(numbers[code]), day, a, b) for code, day, a, b in self.first_moments),
        )

    @property
    def surplus(self) -> int:
        """Rows beside the first one of each session."""
        return self.rows + self.moments - self.sessions

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Repeats:
        """Return what `dataclasses.asdict` has made of one, by way of JSON."""
        values = {one.name: entry[one.name] for one in fields(cls)}
        return cls(**{name: _tuples(value) for name, value in values.items()})


NO_REPEATS = Repeats()
_COLUMNS_SHOWN = 6


def differences(identical: int, differing: Mapping[str, int], among: str = "all columns") -> str:
    """Return in words how many rows that repeat a moment are identical, and in which columns the others differ.

    >>> differences(2, {"close": 1, "series": 3})
    '2 identical in all columns, the others differ in series (3), close (1)'
    """
    if not differing:
        return f"identical in {among}"
    counts = sorted(differing.items(), key=lambda entry: -entry[1])
    named = ", ".join(f"{name} ({count:,})" for name, count in counts[:_COLUMNS_SHOWN])
    more = f" and {len(counts) - _COLUMNS_SHOWN:,} more columns" if len(counts) > _COLUMNS_SHOWN else ""
    others = f"{identical:,} identical in {among}, the others differ" if identical else "they differ"
    return f"{others} in {named}{more}"


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _common(a: tuple[str, ...] | None, b: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if a is None or b is None:
        return b if a is None else a
    return tuple(name for name in a if name in b)


@dataclass(frozen=True)
class RepeatedRows:
    """The rows of sessions that have several, in the order of sessions, moments, and rows.

    Attributes
    ----------
    rows : int64[repeated rows]
        Their positions.
    sessions : int64[repeated rows]
        The number of each one's session, ascending.
    is_repeat : bool[repeated rows]
        Whether it has the moment of the one before.
    """

    rows: Ints
    sessions: Ints
    is_repeat: NDArray[np.bool_]

    def with_moments_once(self, on_duplicates: str) -> RepeatedRows:
        """Return these rows with each moment once: its first or last row."""
        dropped = self.is_repeat
        if on_duplicates == "last":
            dropped = np.append(dropped[1:], False)
        return RepeatedRows(self.rows[~dropped], self.sessions[~dropped], np.zeros(int((~dropped).sum()), bool))

    def one_a_session(self, on_duplicates: str) -> Ints:
        """Return the position of the first or last row of each session."""
        starts = run_starts(self.sessions)
        return self.rows[starts if on_duplicates == "first" else np.append(starts[1:], len(self.rows)) - 1]


def find_repeated(codes: Ints, days: Ints, dates: pa.ChunkedArray, reading: DateReading) -> RepeatedRows | None:
    """Return the repeated rows among rows sorted by (code, day); None: there are none."""
    repeats = (codes[1:] == codes[:-1]) & (days[1:] == days[:-1])
    if not repeats.any():
        return None
    rows = np.flatnonzero(np.append(False, repeats) | np.append(repeats, False))
    sessions = np.cumsum(np.append(True, ~repeats))[rows]
    moment = moments(dates.take(from_numpy(rows)), reading)
    order = np.lexsort((moment, sessions))  # which is stable
    moment = moment[order]
    is_repeat = np.append(False, (sessions[1:] == sessions[:-1]) & (moment[1:] == moment[:-1]))
    return RepeatedRows(rows[order], sessions, is_repeat)


def facts_of(repeated: RepeatedRows, codes: Ints, days: Ints, table: pa.Table, date: str) -> Repeats:
    """Return the facts about repeated rows.

    Parameters
    ----------
    codes, days : int64[rows]
        The code by which the facts are to name each row's symbol, and its session.
    table : pa.Table
    date : str
        Its date column.
    """
    rows, sessions, is_repeat = repeated.rows, repeated.sessions, repeated.is_repeat
    repeats = rows[is_repeat]
    compared: tuple[int, dict[str, int], tuple[str, ...] | None] = (0, {}, None)
    if len(repeats):
        inside = is_repeat | np.append(is_repeat[1:], False)
        groups = np.cumsum(~is_repeat)[inside]
        compared = _compared(table.take(from_numpy(rows[inside])), groups, date)
    at_moments = np.flatnonzero(~is_repeat)
    starts = run_starts(sessions[at_moments])
    counts = np.diff(starts, append=len(at_moments))
    several = np.flatnonzero(counts > 1)
    first = rows[at_moments[starts[several[:1], None] + np.arange(2)]].tolist()
    dates = table.column(date)
    return Repeats(
        rows=len(repeats),
        identical=compared[0],
        differing=compared[1],
        telling=compared[2],
        first=tuple((int(codes[row]), int(days[row])) for row in repeats[:EXAMPLES].tolist()),
        moments=int(counts[several].sum()),
        sessions=len(several),
        first_moments=tuple((int(codes[a]), int(days[a]), as_text(dates[a]), as_text(dates[b])) for a, b in first),
    )


def _compared(table: pa.Table, groups: Ints, date: str) -> tuple[int, dict[str, int], tuple[str, ...]]:
    """Compare each row with the first one of its group.

    Parameters
    ----------
    table : pa.Table
        Rows whose keys repeat, and the first ones of each.
    groups : int64[rows]
        Ascending; every group has more than one row.
    date : str
        The date column, which tells no series apart.

    Returns
    -------
    tuple
        The number of rows that equal the first one, how many of the others differ in each column, and the text columns
        in which all rows of every group differ.
    """
    starts = run_starts(groups)
    is_repeat = np.ones(len(groups), bool)
    is_repeat[starts] = False
    repeats = np.flatnonzero(is_repeat)
    firsts = starts[np.searchsorted(starts, repeats, "right") - 1]
    identical = np.ones(len(repeats), bool)
    differing = {}
    for name in table.column_names:
        differs = _differs(table.column(name).take(from_numpy(repeats)), table.column(name).take(from_numpy(firsts)))
        if differs.any():
            differing[name] = int(differs.sum())
            identical &= ~differs
    telling = tuple(_telling(table, groups, [name for name in differing if name != date]))
    return int(identical.sum()), differing, telling


def _differs(a: pa.ChunkedArray, b: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Tell where two columns differ; a null equals a null, and NaN equals NaN."""
    if pa.types.is_dictionary(a.type):
        a, b = a.cast(a.type.value_type), b.cast(a.type.value_type)
    there = known(a), known(b)
    try:
        equal = _true(pc.equal(a, b))
    except pa.ArrowNotImplementedError:  # nested values
        return np.array([x != y for x, y in zip(a.to_pylist(), b.to_pylist(), strict=True)], bool)
    if pa.types.is_floating(a.type):
        equal |= _true(pc.and_(pc.is_nan(a), pc.is_nan(b)))
    return ~np.where(there[0] & there[1], equal, there[0] == there[1])


def _true(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return to_numpy(column.cast(pa.uint8()), 0).astype(bool)


def _telling(table: pa.Table, groups: Ints, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        column = table.column(name)
        if not is_text(column.type) or column.null_count:
            continue
        plain = column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        encoded = plain.combine_chunks().dictionary_encode()
        if len(encoded.dictionary) > _MOST_SERIES:
            continue
        pairs = groups * _MOST_SERIES + to_numpy(encoded.indices)
        if len(np.unique(pairs)) == len(pairs):
            yield name
