"""The calendar that daily rows show: which days are sessions, on which weekdays they fall, and which week fits them.

A day is a session if about as many of the symbols that are alive on it have a row as on most days. One symbol with
rows at weekends is no reason to expect them of all others, and a thin market, where no symbol has a row on every day,
still has sessions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints
from weekly_cli.compute.weeks import DAYS_PER_WEEK, weekday
from weekly_cli.names import ANCHORS

#: A session has at least this share of what most days have: half days and strikes count, strays do not.
_LEAST_OF_MEDIAN = 0.5
#: A weekday belongs to the week if it has at least this share of the sessions of the weekday that has most. Make-up
#: sessions do not: Dhaka's 18 Saturdays in 13 years are 3 % of its Sundays.
_LEAST_OF_WEEKDAY = 0.1


def alive_by_day(first: Ints, last: Ints, n_days: int) -> Ints:
    """Return int64[days]: how many symbols have begun and not ended on each day.

    Parameters
    ----------
    first, last : int64[symbols]
        Each symbol's first and last day, counted from the first day of all.
    n_days : int
    """
    begun = np.bincount(first, minlength=n_days + 1)
    ended = np.bincount(last + 1, minlength=n_days + 1)
    return np.cumsum(begun - ended)[:n_days]


def session_days(rows: Ints, alive: Ints) -> NDArray[np.bool_]:
    """Return bool[days]: on which days there was a session.

    Parameters
    ----------
    rows, alive : int64[days]
        How many symbols have a row, and how many are alive.
    """
    share = rows / np.maximum(1, alive)
    if not rows.any():
        return np.zeros(len(rows), bool)
    least = _LEAST_OF_MEDIAN * np.median(share[rows > 0])
    return (rows > 0) & (share >= least)


def by_weekday(first_day: int, counts: Ints) -> Ints:
    """Return int64[7], Monday first: the sums of what is counted by day, from `first_day` on."""
    days = weekday(np.arange(first_day, first_day + len(counts)))
    return np.bincount(days, weights=counts, minlength=DAYS_PER_WEEK).astype(np.int64)


def trading_weekdays(sessions: Ints) -> NDArray[np.bool_]:
    """Return bool[7]: the weekdays of the market's week, from its sessions by weekday."""
    least = _LEAST_OF_WEEKDAY * int(sessions.max(initial=0))
    return (sessions > 0) & (sessions >= least)


def fitting_anchor(trading: NDArray[np.bool_], chosen: str | None = None) -> str:
    """Return the anchor that keeps a market's week together: its last day before the longest pause.

    `chosen` is returned if its week does, too: a week from Monday to Friday may end on Saturday or Sunday. A market
    without a pause has weeks that end on Sunday.

    Parameters
    ----------
    trading : bool[7]
        The weekdays of the market's week, Monday first; at least one.
    chosen : str or None

    >>> fitting_anchor(np.array([True, True, True, True, False, False, True]))
    'W-THU'
    """
    if trading.all():
        return chosen or "W-SUN"
    pauses = {int(day): _pause_after(int(day), trading) for day in np.flatnonzero(trading)}
    last = max(pauses, key=lambda day: (pauses[day], day))
    fitting = [ANCHORS[(last + more) % DAYS_PER_WEEK] for more in range(pauses[last] + 1)]
    return chosen if chosen in fitting else fitting[0]


def _pause_after(day: int, trading: NDArray[np.bool_]) -> int:
    """Return how many days without trading follow a weekday."""
    return next(more for more in range(DAYS_PER_WEEK) if trading[(day + more + 1) % DAYS_PER_WEEK])


def sessions_a_week(weeks: Ints) -> float:
    """Return the median number of sessions in the weeks that have any; the first and the last may be cut short.

    Parameters
    ----------
    weeks : int64[sessions]
        The number of each session's week.
    """
    counts = np.bincount(weeks - weeks.min()) if len(weeks) else np.zeros(0, np.int64)
    whole = counts[1:-1] if len(counts) > 2 else counts
    return float(np.median(whole[whole > 0])) if whole.any() else float(counts.max(initial=0))
