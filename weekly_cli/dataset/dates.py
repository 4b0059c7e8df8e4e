"""Session dates as numbers of days since 1970-01-01, from all types in which files have dates."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute import arrays
from weekly_cli.compute.arrays import Column
from weekly_cli.dataset.schema import AS_THEY_ARE, DateReading, is_text
from weekly_cli.names import EPOCH_UNITS

_UNIX_EPOCH = datetime.date(1970, 1, 1)
#: The years 1 to 9999, in days since 1970-01-01.
FIRST_DAY, LAST_DAY = ((day - _UNIX_EPOCH).days for day in (datetime.date.min, datetime.date.max))
_DAY_SECONDS = 24 * 3600
_SECONDS_OF_UNIT = dict(zip(EPOCH_UNITS, (1.0, 1e-3, 1e-6, 1e-9), strict=True))


def session_days(
    dates: Column, reading: DateReading = AS_THEY_ARE
) -> tuple[NDArray[np.int32], NDArray[np.bool_] | None]:
    """Return the session date of each row in days since 1970-01-01, and which rows have one (None: all).

    The session date of a timestamp is its date in the zone of `reading`, else in its own zone. Text is read as ISO 8601
    unless `reading` has a format. Values that are no date, and dates beyond the years 1 to 9999, count as missing.
    """
    chunks = dates.chunks if isinstance(dates, pa.ChunkedArray) else [dates]
    column = pa.chunked_array([_date32(chunk, reading) for chunk in chunks], pa.date32())
    days = arrays.to_numpy(column, 0)
    known = None if column.null_count == 0 else arrays.known(column)
    if days.min(initial=0) < FIRST_DAY or days.max(initial=0) > LAST_DAY:
        inside = (days >= FIRST_DAY) & (days <= LAST_DAY)
        known = inside if known is None else known & inside
    return days, known


def _date32(dates: pa.Array, reading: DateReading) -> pa.Array:
    kind = dates.type
    if is_text(kind):
        encoded = dates if pa.types.is_dictionary(kind) else dates.dictionary_encode()
        parse = _parser(reading)
        parsed = [parse(text) for text in encoded.dictionary.cast(pa.large_binary()).to_pylist()]
        known = np.array([date is not None for date in parsed], bool)
        days = np.array([0 if date is None else day_of(date) for date in parsed], np.int32)
        return arrays.from_numpy(days, pa.date32(), known).take(encoded.indices)
    if pa.types.is_dictionary(kind):
        dates = dates.dictionary_decode()
    if pa.types.is_integer(dates.type) or pa.types.is_floating(dates.type):
        dates = _of_numbers(dates, reading.unit)
    if pa.types.is_timestamp(dates.type):
        dates = _local(_of_calendar(dates, _SECONDS_OF_UNIT[dates.type.unit]), reading.timezone)
    return dates.cast(pa.date32(), safe=False)


def _local(moments: pa.Array, timezone: str | None) -> pa.Array:
    """Return timestamps as the clocks show them in a zone, by default their own; without any they stay as they are."""
    kind = moments.type
    if timezone is not None:
        moments = (pc.assume_timezone(moments, "UTC") if kind.tz is None else moments).cast(
            pa.timestamp(kind.unit, timezone)
        )
    return moments if moments.type.tz is None else pc.local_timestamp(moments)


def _of_numbers(dates: pa.Array, unit: str | None) -> pa.Array:
    """Return numbers as dates (YYYYMMDD, or days since 1970) or as timestamps since 1970; what is neither is null."""
    known = arrays.known(dates)
    if pa.types.is_floating(dates.type):
        floats = arrays.to_numpy(dates.cast(pa.float64()), np.nan)
        known = known & np.isfinite(floats) & (np.abs(floats) < 2**62) & (floats == np.floor(floats))
        numbers = np.where(known, floats, 0).astype(np.int64)
    else:
        numbers = arrays.to_numpy(dates.cast(pa.int64(), safe=False), 0)
    if unit in EPOCH_UNITS:
        return arrays.from_numpy(numbers, pa.timestamp(unit), known)
    if unit == "d":
        known = known & (numbers >= FIRST_DAY) & (numbers <= LAST_DAY)
        return arrays.from_numpy(np.where(known, numbers, 0).astype(np.int32), pa.date32(), known)
    days, valid = civil_days(numbers // 10_000, numbers // 100 % 100, numbers % 100)
    return arrays.from_numpy(days, pa.date32(), known & valid)


def civil_days(
    years: NDArray[np.int64], months: NDArray[np.int64], days: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return days since 1970-01-01 of years, months and days, and which of them are dates (years 1 to 9999)."""
    valid = (years >= 1) & (years <= datetime.MAXYEAR) & (months >= 1) & (months <= 12) & (days >= 1)
    month = np.where(valid, (years - 1970) * 12 + months - 1, 0).astype("datetime64[M]")
    first = month.astype("datetime64[D]").astype(np.int64)
    valid &= days <= (month + 1).astype("datetime64[D]").astype(np.int64) - first
    return np.where(valid, first + days - 1, 0).astype(np.int32), valid


def number_unit(least: float, most: float) -> str | None:
    """Return how numbers between two are dates: "yyyymmdd", or the unit of an epoch; None if neither is plausible.

    >>> number_unit(20230102, 20231229), number_unit(1672617600000, 1703808000000)
    ('yyyymmdd', 'ms')
    """
    ends = np.array([least, most], np.float64)
    if not (np.abs(ends) < 2**63).all():
        return None
    whole = ends.astype(np.int64)
    valid = civil_days(whole // 10_000, whole // 100 % 100, whole % 100)[1]
    if valid.all() and least >= _FIRST_YEAR * 10_000 and most < (_LAST_YEAR + 1) * 10_000:
        return "yyyymmdd"
    for unit in EPOCH_UNITS:
        seconds = ends * _SECONDS_OF_UNIT[unit]
        if seconds[0] >= _FIRST_SECONDS and _LEAST_LAST_SECONDS <= seconds[1] <= _LAST_SECONDS:
            return unit
    return None


#: Between these years, exchanges have prices; before 1975, the units of an epoch could not be told apart.
_FIRST_YEAR, _LAST_YEAR = 1800, 2200
_FIRST_SECONDS, _LEAST_LAST_SECONDS, _LAST_SECONDS = (
    (datetime.date(year, 1, 1) - _UNIX_EPOCH).days * _DAY_SECONDS for year in (_FIRST_YEAR, 1975, _LAST_YEAR)
)


def _of_calendar(moments: pa.Array, seconds: float) -> pa.Array:
    """Return timestamps in units of `seconds`, null beyond the calendar: as days they would wrap around."""
    counts = arrays.to_numpy(moments.view(pa.int64()), 0)
    first, last = (int((day + more) * _DAY_SECONDS / seconds) for day, more in ((FIRST_DAY, -1), (LAST_DAY, 2)))
    if counts.min(initial=0) >= first and counts.max(initial=0) <= last:
        return moments
    inside = arrays.known(moments) & (counts >= first) & (counts <= last)
    return arrays.from_numpy(counts, moments.type, inside)


def parsed(text: str, pattern: str | None) -> datetime.datetime:
    """Return the moment of a text in a format of `datetime.strptime`, by default in ISO 8601.

    Raises
    ------
    ValueError
        If it is none.
    """
    if pattern is None:
        return datetime.datetime.fromisoformat(text)
    return datetime.datetime.strptime(text, pattern)


def _parser(reading: DateReading) -> Callable[[bytes | None], datetime.date | None]:
    """Return what reads a text as a date; it returns None for what is none."""
    zone = None
    if reading.timezone is not None:
        from zoneinfo import ZoneInfo

        zone = ZoneInfo(reading.timezone)

    def date_of(text: bytes | None) -> datetime.date | None:
        try:
            words = (text or b"").decode()
            moment = parsed(words, reading.format)
            if zone is None or (reading.format is None and len(words) <= len("2024-03-14")):
                return moment.date()
            aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
            return aware.astimezone(zone).date()
        except (ValueError, OverflowError):
            return None

    return date_of


#: Formats that are suggested if text is in none that is read.
_FORMATS = (
    *("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%Y/%m/%d", "%m-%d-%Y", "%d-%m-%Y", "%d.%m.%Y", "%Y.%m.%d"),
    *("%Y-%m-%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d%b%Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
    *("%a, %d %b %Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%Y/%m/%d %H:%M:%S"),
)


def fitting_formats(text: str) -> list[str]:
    """Return the usual formats in which a text is a date.

    >>> fitting_formats("12/31/2023")
    ['%m/%d/%Y']
    """
    fitting = []
    for pattern in _FORMATS:
        try:
            datetime.datetime.strptime(text, pattern)
        except ValueError:
            continue
        fitting.append(pattern)
    return fitting


def as_date(day: int) -> datetime.date:
    """Return the date of a number of days since 1970-01-01."""
    return _UNIX_EPOCH + datetime.timedelta(days=int(day))


def day_of(date: datetime.date) -> int:
    """Return a date in days since 1970-01-01."""
    return (date - _UNIX_EPOCH).days


#: Rows of a table whose times of day are looked at.
_TIMED_ROWS = 1024
#: More times of day than this are those of intraday rows, and no other is of interest.
_MOST_TIMES = 32


def times_of_day(dates: Column, reading: DateReading) -> frozenset[int]:
    """Return the times of day of some rows, in seconds since midnight; none for dates, which have no time."""
    if not pa.types.is_timestamp(dates.type) or not len(dates):
        return frozenset()
    rows = np.linspace(0, len(dates) - 1, min(len(dates), _TIMED_ROWS)).astype(np.int64)
    taken = dates.take(arrays.from_numpy(rows))
    chunks = taken.chunks if isinstance(taken, pa.ChunkedArray) else [taken]
    some = pa.concat_arrays([_of_calendar(chunk, _SECONDS_OF_UNIT[dates.type.unit]) for chunk in chunks]).drop_null()
    local = _local(some, reading.timezone)
    seconds = arrays.to_numpy(local.cast(pa.timestamp("s"), safe=False).cast(pa.int64())) % _DAY_SECONDS
    return frozenset(np.unique(seconds)[:_MOST_TIMES].tolist())
