"""How the values of a column differ: exactly or to a tolerance; a missing value, NaN or null, equals a missing one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute import arrays
from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.schema import as_text, is_text
from weekly_cli.questions.diff.facts import Change


def shared_type(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """Return the type in which values of two types are compared; None: they can't be.

    Of two floats it is the narrower one: what was rounded can't be compared more finely.
    """
    if is_text(a) and is_text(b):
        return pa.large_string()
    if pa.types.is_floating(a) and pa.types.is_floating(b):
        return pa.float64() if a == b == pa.float64() else pa.float32()
    if pa.types.is_integer(a) and pa.types.is_integer(b):
        return a if a == b else pa.float64() if pa.uint64() in (a, b) else pa.int64()
    if _is_number(a) and _is_number(b):
        return pa.float64()
    if a == b and not pa.types.is_nested(a) and not pa.types.is_dictionary(a):
        return a
    return None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind))


@dataclass(frozen=True)
class Differing:
    """The rows in which a column differs: their positions, the values there, and which of these are missing."""

    rows: Ints
    a: Any
    b: Any
    missing_a: NDArray[np.bool_]
    missing_b: NDArray[np.bool_]

    def known_in_a(self) -> Differing | None:
        """Return those of its rows that have a value in A; None: there are none."""
        keep = ~self.missing_a
        if not keep.any():
            return None
        rows = np.flatnonzero(keep)
        a, b = (
            side[rows] if isinstance(side, np.ndarray) else side.take(from_numpy(rows)) for side in (self.a, self.b)
        )
        return Differing(self.rows[rows], a, b, self.missing_a[rows], self.missing_b[rows])


def differing(a: pa.ChunkedArray, b: pa.ChunkedArray, kind: pa.DataType, tolerance: float) -> Differing | None:
    """Return where two columns differ, row by row; None: nowhere.

    Parameters
    ----------
    a, b : pa.ChunkedArray
        Of equal length.
    kind : pa.DataType
        What `shared_type` says.
    tolerance : float
        Numbers may differ by this much, times the larger of them if that is more than 1.
    """
    if a.type == b.type and a.equals(b):
        return None
    numeric = _is_number(kind) or kind == pa.date32()
    values = [_numbers(column, kind) if numeric else _others(column, kind) for column in (a, b)]
    (of_a, known_a), (of_b, known_b) = values
    if numeric:
        other = of_a != of_b
    else:
        other = to_numpy(pc.fill_null(pc.not_equal(of_a, of_b), False).cast(pa.int8())).astype(bool)
    rows = np.flatnonzero((other & known_a & known_b) | (known_a != known_b))
    if tolerance and numeric and len(rows):
        rows = rows[_beyond(of_a[rows], of_b[rows], tolerance) | (known_a[rows] != known_b[rows])]
    if not len(rows):
        return None
    a, b = (column[rows] if numeric else column.take(from_numpy(rows)) for column in (of_a, of_b))
    return Differing(rows, a, b, ~known_a[rows], ~known_b[rows])


def _numbers(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    if kind == pa.float64() and column.type != kind:
        column = arrays.floats(column)
    numbers = to_numpy(column if column.type == kind else column.cast(kind, safe=False), 0)
    known = np.ones(len(column), bool) if column.null_count == 0 else arrays.known(column)
    if np.issubdtype(numbers.dtype, np.floating):
        known = known & ~np.isnan(numbers)
    return numbers, known


def _others(column: pa.ChunkedArray, kind: pa.DataType) -> tuple[pa.ChunkedArray, NDArray[np.bool_]]:
    column = column.cast(kind)
    return column, arrays.known(column)


@np.errstate(all="ignore")  # infinite ones
def _beyond(a: NDArray[Any], b: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    x, y = a.astype(np.float64), b.astype(np.float64)
    allowed = tolerance * np.maximum(1.0, np.maximum(np.abs(x), np.abs(y)))
    beyond: NDArray[np.bool_] = ~(np.abs(x - y) <= np.where(np.isfinite(allowed), allowed, 0.0))
    return beyond


class ColumnTally:
    """What is known of a column's changes so far."""

    def __init__(self, name: str, kind: pa.DataType, *, is_weekly: bool, is_label: bool = False) -> None:
        self.name, self.kind, self._is_weekly, self.is_label = name, kind, is_weekly or is_label, is_label
        self._rows = self._came = self._went = 0
        self._first: int | None = None
        self._largest = -1.0
        self._at: tuple[str, int, Any, Any] | None = None

    @np.errstate(all="ignore")  # infinite values
    def add(self, found: Differing, symbols: pa.Array, codes: Ints, days: Ints) -> None:
        """Add what differs in a block; `codes` and `days` are those of its rows."""
        days_there = days[found.rows]
        self._rows += len(found.rows)
        self._came += int(np.count_nonzero(found.missing_a & ~found.missing_b))
        self._went += int(np.count_nonzero(found.missing_b & ~found.missing_a))
        first = int(days_there.min())
        self._first = first if self._first is None else min(self._first, first)
        sizes = np.zeros(len(found.rows))
        if isinstance(found.a, np.ndarray):
            sizes = np.abs(found.b.astype(np.float64) - found.a.astype(np.float64))
            sizes[found.missing_a | found.missing_b | np.isnan(sizes)] = 0.0
        largest = int(sizes.argmax())
        if sizes[largest] > self._largest:
            self._largest = float(sizes[largest])
            row = int(found.rows[largest])
            a = None if found.missing_a[largest] else self._plain(found.a[largest])
            b = None if found.missing_b[largest] else self._plain(found.b[largest])
            self._at = (as_text(symbols[int(codes[row])]), int(days[row]), a, b)

    def _plain(self, value: Any) -> Any:
        plain = value.as_py() if isinstance(value, pa.Scalar) else value.item()
        return as_date(plain) if self.kind == pa.date32() else plain

    def change(self) -> Change | None:
        """Return the change; None: there is none."""
        if self._first is None or self._at is None:
            return None
        symbol, day, a, b = self._at
        return Change(
            column=self.name,
            is_weekly=self._is_weekly,
            rows=self._rows,
            came=self._came,
            went=self._went,
            first=as_date(self._first),
            symbol=symbol,
            date=as_date(day),
            a=a,
            b=b,
        )
