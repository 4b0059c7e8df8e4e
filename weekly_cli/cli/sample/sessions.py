"""The calendar: business days except the rule-based holidays of a fictional exchange."""

from __future__ import annotations

import datetime

import numpy as np
from numpy.typing import NDArray


def _easter(year: int) -> datetime.date:
    """Return Easter Sunday by the anonymous Gregorian rule (Meeus, Astronomical Algorithms, chapter 8)."""
    golden, (century, rest) = year % 19, divmod(year, 100)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - century // 4 - moon + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return datetime.date(year, month, day + 1)


def _nth(n: int, weekday: int, month: int, year: int) -> datetime.date:
    """Return the n-th Monday (0) to Sunday (6) of a month; n = 0 is the last one before the month."""
    first = datetime.date(year, month, 1)
    return first + datetime.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _observed(day: datetime.date) -> datetime.date:
    """Return the day off for a holiday: Friday for a Saturday, Monday for a Sunday."""
    return day + datetime.timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _holidays(year: int) -> set[datetime.date]:
    """Return the weekdays of a year without a session; a New Year's Day on a Saturday has no substitute."""
    return {
        _observed(datetime.date(year, 1, 1)),
        _easter(year) - datetime.timedelta(days=2),  # Good Friday
        _nth(0, 0, 6, year),  # Memorial Day
        _observed(datetime.date(year, 7, 4)),
        _nth(1, 0, 9, year),  # Labor Day
        _nth(4, 3, 11, year),  # Thanksgiving
        _observed(datetime.date(year, 12, 25)),
    }


def sessions_of(year: int) -> NDArray[np.int32]:
    """Return the sessions of a year in days since 1970-01-01."""
    days = np.arange(np.datetime64(f"{year:04}-01-01"), np.datetime64(f"{year + 1:04}-01-01"))
    holidays = np.array(sorted(_holidays(year)), "datetime64[D]")
    return days[np.is_busday(days, holidays=holidays)].astype(np.int32)
