"""The calendar that the data show: sessions, weekdays, years; from the number of rows on each day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints, run_starts
from weekly_cli.compute.clocks import DAYS_PER_WEEK
from weekly_cli.names import ANCHORS

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EPOCH_WEEKDAY = 3  # Thursday
#: A weekday is one of the market's if it has at least this share of the sessions of the weekday with the most.
#: Dhaka's 18 make-up Saturdays in 13 years, or 21 Fridays in 22 years of Tehran, do not make one.
_SHARE_OF_USED = 0.25


@dataclass(frozen=True)
class Calendar:
    """The days of a dataset, ascending, as int64 days since 1970-01-01, and the number of rows on each.

    A day with at least one row is a session, whichever symbol has it.
    """

    days: Ints
    rows: Ints

    @cached_property
    def weekdays(self) -> Ints:
        """The weekday of each session, Monday = 0."""
        return weekday(self.days)

    @cached_property
    def sessions_by_weekday(self) -> Ints:
        """Sessions on each weekday, int64[7] from Monday on."""
        return np.bincount(self.weekdays, minlength=DAYS_PER_WEEK)

    @cached_property
    def rows_by_weekday(self) -> Ints:
        """Rows on each weekday, int64[7] from Monday on."""
        return np.bincount(self.weekdays, weights=self.rows, minlength=DAYS_PER_WEEK).astype(np.int64)

    @property
    def used_weekdays(self) -> tuple[int, ...]:
        """The weekdays on which the market has sessions, without those that are rare exceptions."""
        used = used_weekdays(self.sessions_by_weekday) & used_weekdays(self.rows_by_weekday)
        return tuple(np.flatnonzero(used).tolist())

    @cached_property
    def sessions_by_week(self) -> Ints:
        """Sessions in each week, Monday to Sunday, that has one."""
        return _lengths((self.days + _EPOCH_WEEKDAY) // DAYS_PER_WEEK)

    @property
    def sessions_a_week(self) -> float:
        """The mean of the sessions in the weeks that have one; 0.0 without rows."""
        return float(self.sessions_by_week.mean()) if len(self.days) else 0.0

    def between(self, first: int, stop: int) -> Calendar:
        """Return the days from `first` on and before `stop`."""
        begin, end = np.searchsorted(self.days, [first, stop])
        return Calendar(self.days[begin:end], self.rows[begin:end])

    def by_year(self) -> Iterator[tuple[int, Calendar]]:
        """Yield each year that has a session, and its days."""
        years = self.days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
        yield from self._cut(years)

    def by_half_year(self) -> Iterator[tuple[int, Calendar]]:
        """Yield (2 * year, or 2 * year + 1 from July on, its days) for each half-year that has a session."""
        months = self.days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12
        yield from self._cut(months // 6)

    def by_month(self) -> Iterator[tuple[int, Calendar]]:
        """Yield (12 * year + month - 1, its days) for each month that has a session."""
        yield from self._cut(self.days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12)

    def _cut(self, periods: Ints) -> Iterator[tuple[int, Calendar]]:
        if not len(periods):
            return
        starts = run_starts(periods)
        for begin, end in zip(starts.tolist(), [*starts[1:].tolist(), len(periods)], strict=True):
            yield int(periods[begin]), Calendar(self.days[begin:end], self.rows[begin:end])


def weekday(days: Ints) -> Ints:
    """Return the weekday of days since 1970-01-01, Monday = 0."""
    return (days + _EPOCH_WEEKDAY) % DAYS_PER_WEEK


def used_weekdays(counts: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
    """Tell on which weekdays there are sessions that are no rare exceptions.

    Parameters
    ----------
    counts : int[..., 7]
        Sessions, or rows, on each weekday from Monday on.
    """
    most = counts.max(axis=-1, keepdims=True)
    used: NDArray[np.bool_] = (counts >= _SHARE_OF_USED * most) & (counts > 0)
    return used


def next_on(days: Ints, used: NDArray[np.bool_]) -> Ints:
    """Return the first day after each of `days` that is one of its weekdays.

    Parameters
    ----------
    days : int64[n]
    used : bool[n, 7]
        At least one weekday of each row.

    >>> monday_to_friday = np.array([[True] * 5 + [False] * 2])
    >>> next_on(np.array([1]), monday_to_friday)  # 1970-01-02 is a Friday
    array([4])
    """
    after = np.stack([days + more for more in range(1, DAYS_PER_WEEK + 1)], axis=-1)
    first: Ints = np.take_along_axis(used, weekday(after), axis=-1).argmax(axis=-1)
    return days + 1 + first


def fitting_anchor(weekdays: Sequence[int], chosen: str | None = None) -> str:
    """Return the anchor that keeps a market's week together: its last day before the longest pause.

    `chosen` is returned if its week does, too: a week from Monday to Friday may end on Saturday or Sunday. A market
    without a pause has weeks that end on Sunday.

    Parameters
    ----------
    weekdays : sequence of int
        Those with sessions, Monday = 0; at least one.
    chosen : str, optional

    >>> fitting_anchor([0, 1, 2, 3, 6])
    'W-THU'
    """
    if len(weekdays) == DAYS_PER_WEEK:
        return chosen or ANCHORS[-1]
    pauses = {day: _pause_after(day, weekdays) for day in weekdays}
    last = max(weekdays, key=lambda day: (pauses[day], day))
    fitting = [ANCHORS[(last + more) % DAYS_PER_WEEK] for more in range(pauses[last] + 1)]
    return chosen if chosen in fitting else fitting[0]


def _pause_after(day: int, weekdays: Sequence[int]) -> int:
    """Return how many days without sessions follow a weekday."""
    return next(more for more in range(DAYS_PER_WEEK) if (day + more + 1) % DAYS_PER_WEEK in weekdays)


def _lengths(ascending: Ints) -> Ints:
    return np.diff(np.append(run_starts(ascending), len(ascending)))


def no_days() -> Calendar:
    """Return the calendar of a dataset without rows."""
    return Calendar(np.empty(0, np.int64), np.empty(0, np.int64))


class DayCounter:
    """Counts the rows of each day of the calendar, in one array from the smallest day to the largest."""

    def __init__(self) -> None:
        self._first = 0
        self._counts = np.zeros(0, np.int64)

    def add(self, counted: DayCounts) -> None:
        """Add the rows of one table."""
        if isinstance(counted.days, int):
            self._reach(counted.days, counted.days + len(counted.rows))
            begin = counted.days - self._first
            self._counts[begin : begin + len(counted.rows)] += counted.rows
        else:
            self._reach(int(counted.days[0]), int(counted.days[-1]) + 1)
            self._counts[counted.days - self._first] += counted.rows

    def _reach(self, first: int, stop: int) -> None:
        """Make room for days from `first` to before `stop`, and if need be for as many again on that side."""
        begin, end = (self._first, self._first + len(self._counts)) if len(self._counts) else (first, first)
        if begin <= first and stop <= end:
            return
        more = end - begin
        new_begin = first - more if first < begin else begin
        counts = np.zeros((stop + more if stop > end else end) - new_begin, np.int64)
        counts[begin - new_begin : end - new_begin] = self._counts
        self._first, self._counts = new_begin, counts

    def calendar(self, smallest: int, largest: int) -> Calendar:
        """Return what was counted, given the smallest and the largest day."""
        self._reach(smallest, largest + 1)
        counts = self._counts[smallest - self._first : largest + 1 - self._first]
        seen = np.flatnonzero(counts)
        return Calendar(seen + smallest, counts[seen])


@dataclass(frozen=True)
class DayCounts:
    """Rows by day in one table: on consecutive days from `days` on, or on each of `days`."""

    days: int | Ints
    rows: Ints


#: Days that are counted in an array of them; a table whose days are farther apart has a wrong one among them.
_MOST_CONSECUTIVE = 64 * 1024


def count_days(days: np.ndarray[tuple[int], np.dtype[np.int32]], smallest: int, largest: int) -> DayCounts:
    """Return how many rows each day has, given the smallest and the largest day."""
    if largest - smallest < _MOST_CONSECUTIVE:
        return DayCounts(smallest, np.bincount(days - np.int32(smallest)))
    seen, rows = np.unique(days, return_counts=True)
    return DayCounts(seen.astype(np.int64), rows.astype(np.int64))
