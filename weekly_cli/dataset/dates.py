"""Session dates as numbers of days."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute import arrays
from weekly_cli.compute.arrays import Column
from weekly_cli.dataset.schema import is_text

_UNIX_EPOCH = datetime.date(1970, 1, 1)
_FIRST_DAY, _LAST_DAY = ((day - _UNIX_EPOCH).days for day in (datetime.date.min, datetime.date.max))
_DAY_SECONDS = 24 * 3600
_SECONDS_OF_UNIT = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def session_days(dates: Column) -> tuple[NDArray[np.int32], NDArray[np.bool_] | None]:
    """Return the session date of each row in days since 1970-01-01, and which rows have one (None: all).

    The session date of a timestamp with a time zone is the date in that zone. Text is read as ISO 8601. Text that is
    not a date, and values beyond the years 1 to 9999, count as missing.
    """
    chunks = dates.chunks if isinstance(dates, pa.ChunkedArray) else [dates]
    column = pa.chunked_array([_date32(chunk) for chunk in chunks], pa.date32())
    days = arrays.to_numpy(column, 0)
    known = None if column.null_count == 0 else arrays.known(column)
    if days.min(initial=0) < _FIRST_DAY or days.max(initial=0) > _LAST_DAY:
        inside = (days >= _FIRST_DAY) & (days <= _LAST_DAY)
        known = inside if known is None else known & inside
    return days, known


def _date32(dates: pa.Array) -> pa.Array:
    kind = dates.type
    if is_text(kind):
        encoded = dates if pa.types.is_dictionary(kind) else dates.dictionary_encode()
        parsed = [_parsed(text) for text in encoded.dictionary.cast(pa.large_binary()).to_pylist()]
        known = np.array([date is not None for date in parsed], bool)
        days = np.array([0 if date is None else day_of(date) for date in parsed], np.int32)
        return arrays.from_numpy(days, pa.date32(), known).take(encoded.indices)
    if pa.types.is_timestamp(kind):
        dates = _of_calendar(dates, _SECONDS_OF_UNIT[kind.unit])
        dates = dates if kind.tz is None else pc.local_timestamp(dates)
    return dates.cast(pa.date32(), safe=False)


def _of_calendar(moments: pa.Array, seconds: float) -> pa.Array:
    """Return timestamps in units of `seconds`, null beyond the calendar: as days they would wrap around."""
    counts = arrays.to_numpy(moments.view(pa.int64()), 0)
    first, last = (int((day + more) * _DAY_SECONDS / seconds) for day, more in ((_FIRST_DAY, -1), (_LAST_DAY, 2)))
    if counts.min(initial=0) >= first and counts.max(initial=0) <= last:
        return moments
    inside = arrays.known(moments) & (counts >= first) & (counts <= last)
    return arrays.from_numpy(counts, moments.type, inside)


def _parsed(text: bytes | None) -> datetime.date | None:
    try:
        return datetime.datetime.fromisoformat((text or b"").decode()).date()
    except ValueError:
        return None


def as_date(day: int) -> datetime.date:
    """Return the date of a number of days since 1970-01-01."""
    return _UNIX_EPOCH + datetime.timedelta(days=int(day))


def day_of(date: datetime.date) -> int:
    """Return a date in days since 1970-01-01."""
    return (date - _UNIX_EPOCH).days
