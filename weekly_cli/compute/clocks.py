"""The only module that defines what a week, a month or a quarter is, and from which day on its bar may be seen.

Days are counted from 1970-01-01, a Thursday, as in Arrow's date32. A period is named by its last day. A week's is the
anchor's weekday, like pandas' anchored weekly offsets ("W-FRI" is Saturday to Friday); a month's and a quarter's is
that of the calendar. Numbers of periods ascend with time: week 0 ends on the first anchor day on or after 1970-01-01
minus three days, month 0 is January 1970 and quarter 0 begins with it. The periods "2W" and "4W" begin with week 0.

With an exchange's calendar a period is complete at its last session's close. That changes from when on its bar is seen,
and never which days a bar is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from weekly_cli.names import ANCHORS, AVAILABILITIES, PERIODS

_EPOCH_WEEKDAY = 3  # Thursday, with Monday = 0
DAYS_PER_WEEK = 7
#: How many days before the day after its period a bar may be seen.
_LEAD_DAYS = dict(zip(AVAILABILITIES, (0, 1), strict=True))
#: Weeks, or months, of a period.
_WEEKS = {"week": 1, "2W": 2, "4W": 4}
_MONTHS = {"month": 1, "quarter": 3}
#: Arrays with so many days, or more, are looked up in a table of the calendar, if that is shorter than they are.
_LEAST_LOOKED_UP = 1024

Days = TypeVar("Days", int, "NDArray[np.int32]", "NDArray[np.int64]")


@dataclass(frozen=True, eq=False)
class LastSessions:
    """The last session of consecutive periods, from period number `first` on: int32[periods], days since 1970-01-01.

    A period without a session, or that the calendar does not cover, has its last day.
    """

    first: int
    days: NDArray[np.int32]


@dataclass(frozen=True)
class Clock:
    """Which period a day is in, and which one's bar it may see.

    A bar happens until the end of its period; it is known from the day after ("next-week"), or from that day itself
    ("week-end"). A day sees the newest period that is known by then, so an unfinished one is never seen.

    Attributes
    ----------
    every : str
        One of `names.PERIODS`.
    anchor : str
        The last day of the week, one of `names.ANCHORS`; months and quarters do not depend on it.
    available : str
        One of `names.AVAILABILITIES`.
    sessions : LastSessions, optional
        With "week-end" a bar is known from the last session of its period on, where a calendar tells it.
    """

    every: str
    anchor: str
    available: str
    sessions: LastSessions | None = None

    @property
    def lead_days(self) -> int:
        """How many days before the day after its period a bar may be seen."""
        return _LEAD_DAYS[self.available]

    @property
    def noun(self) -> str:
        """What a period is called.

        >>> [Clock(every, "W-FRI", "next-week").noun for every in PERIODS]
        ['week', 'two weeks', 'four weeks', 'month', 'quarter']
        """
        return PERIODS[self.every].noun

    @property
    def nouns(self) -> str:
        """What periods are called, as in "the same weeks"."""
        return PERIODS[self.every].nouns

    def period(self, day: Days) -> Days:
        """Return the number of the period that contains `day`.

        Parameters
        ----------
        day : int or int array
            Days since 1970-01-01.
        """
        if self.every == "week":
            return self._week(day)
        if self.every in _WEEKS:
            return self._week(day) // _WEEKS[self.every]
        if not isinstance(day, np.ndarray):
            return int(self._months(np.array([day]))[0])
        return self._looked_up(day).astype(day.dtype, copy=False)

    def end(self, period: Days) -> Days:
        """Return the last day of a period, in days since 1970-01-01.

        >>> int(Clock("month", "W-FRI", "next-week").end(1))  # 1970-02-28
        58
        """
        if self.every in _WEEKS:
            last_week = period * _WEEKS[self.every] + (_WEEKS[self.every] - 1)
            return last_week * DAYS_PER_WEEK + (ANCHORS.index(self.anchor) - _EPOCH_WEEKDAY)
        following = (np.asarray(period, np.int64) + 1) * _MONTHS[self.every]
        last = following.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - 1
        return last.astype(period.dtype) if isinstance(period, np.ndarray) else int(last)

    def newest_seen(self, day: Days) -> Days:
        """Return the number of the newest period whose bar may be seen on `day`.

        >>> friday = 1  # 1970-01-02
        >>> Clock("week", "W-FRI", "week-end").newest_seen(friday)
        0
        >>> Clock("week", "W-FRI", "next-week").newest_seen(friday)
        -1
        """
        if self.sessions is None:
            return self.period(day + self.lead_days) - 1
        own = self.period(day)
        return own - (self._complete_on(own) > day)

    def newest_over(self, day: Days) -> Days:
        """Return the number of the newest period that is over when `day` is, whatever the calendar."""
        return self.period(day + 1) - 1

    def first_day_seen(self, period: Days) -> Days:
        """Return the first day on which the bar of a period may be seen: `newest_seen`, turned around.

        >>> Clock("week", "W-FRI", "next-week").first_day_seen(0)  # 1970-01-03, a Saturday
        2
        """
        if self.sessions is None:
            return self.end(period) + 1 - self.lead_days
        return self._complete_on(period)

    def _complete_on(self, period: Days) -> Days:
        """Return the last session of a period; its last day where no calendar tells that."""
        assert self.sessions is not None
        at, end = np.asarray(period, np.int64) - self.sessions.first, self.end(period)
        covered = (at >= 0) & (at < len(self.sessions.days))
        place = np.where(covered, at, 0)
        last = np.where(covered, self.sessions.days[place] if len(self.sessions.days) else 0, end)
        return last.astype(period.dtype) if isinstance(period, np.ndarray) else int(last)

    def _week(self, day: Days) -> Days:
        return (day + (_EPOCH_WEEKDAY - ANCHORS.index(self.anchor) + DAYS_PER_WEEK - 1)) // DAYS_PER_WEEK

    def _months(self, day: NDArray[Any]) -> NDArray[np.int64]:
        months = day.astype(np.int64).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
        return months // _MONTHS[self.every]

    def _looked_up(self, day: NDArray[Any]) -> NDArray[np.int64]:
        """Return the periods of days; many are looked up, as the calendar takes several times as long for each."""
        if len(day) >= _LEAST_LOOKED_UP:
            first, last = int(day.min()), int(day.max())
            if last - first < len(day):
                months: NDArray[np.int64] = self._months(np.arange(first, last + 1))[day - first]
                return months
        return self._months(day)


@dataclass(frozen=True, eq=False)
class SymbolClocks:
    """The clocks of one period that symbols have: mostly all the same, at most a few different ones.

    Days and periods are int64[n], and `codes` the position of each one's symbol.

    Attributes
    ----------
    distinct : tuple of Clock
        They differ in the week's last day and in the calendar alone.
    of_symbol : int array [symbols], optional
        The position of each symbol's clock; None: all have the first one.
    """

    distinct: tuple[Clock, ...]
    of_symbol: NDArray[np.int64] | None = None

    @property
    def every(self) -> str:
        """The period: one of `names.PERIODS`."""
        return self.distinct[0].every

    @property
    def lead_days(self) -> int:
        """How many days before the day after its period a bar may be seen."""
        return self.distinct[0].lead_days

    @property
    def has_sessions(self) -> bool:
        """Whether a calendar tells from when on a bar may be seen."""
        return any(clock.sessions is not None for clock in self.distinct)

    def of(self, code: int) -> Clock:
        """Return the clock of one symbol."""
        return self.distinct[0 if self.of_symbol is None else int(self.of_symbol[code])]

    def period(self, codes: NDArray[np.int64], days: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the period that contains each day."""
        return self._each(Clock.period, codes, days)

    def end(self, codes: NDArray[np.int64], periods: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the last day of each period."""
        return self._each(Clock.end, codes, periods)

    def newest_seen(self, codes: NDArray[np.int64], days: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of the newest period whose bar may be seen on each day."""
        return self._each(Clock.newest_seen, codes, days)

    def newest_over(self, codes: NDArray[np.int64], day: int) -> NDArray[np.int64]:
        """Return the number of the newest period of each symbol that is over when `day` is."""
        return self._each(Clock.newest_over, codes, np.full(len(codes), day))

    def first_day_seen(self, codes: NDArray[np.int64], periods: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the first day on which the bar of each period may be seen."""
        return self._each(Clock.first_day_seen, codes, periods)

    def _each(
        self,
        method: Callable[[Clock, NDArray[np.int64]], NDArray[np.int64]],
        codes: NDArray[np.int64],
        values: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        if self.of_symbol is None:
            return method(self.distinct[0], values)
        result, of_values = np.empty_like(values), self.of_symbol[codes]
        for number in np.unique(self.of_symbol).tolist():
            here = of_values == number
            result[here] = method(self.distinct[number], values[here])
        return result
