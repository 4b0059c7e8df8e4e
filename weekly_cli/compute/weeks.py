"""The only module that defines what a week is and from which day its bar may be seen.

Days are counted from 1970-01-01, a Thursday, as in Arrow's date32. A week is named by its last day, the anchor's
weekday, like pandas' anchored weekly offsets ("W-FRI" is Saturday to Friday). Weeks are numbered so that week 0 ends on
the first anchor day on or after 1970-01-01 minus three days; numbers ascend with time.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from weekly_cli.names import ANCHORS

_EPOCH_WEEKDAY = 3  # Thursday, with Monday = 0
DAYS_PER_WEEK = 7
#: How many days before the day after its week a bar may be seen.
_LEAD_DAYS = {"next-week": 0, "week-end": 1}

Days = TypeVar("Days", int, "NDArray[np.int32]", "NDArray[np.int64]")


def week_number(day: Days, anchor: str) -> Days:
    """Return the number of the week that contains `day`.

    Parameters
    ----------
    day : int or int array
        Days since 1970-01-01.
    anchor : str
        One of `ANCHORS`.
    """
    return (day + (_EPOCH_WEEKDAY - ANCHORS.index(anchor) + DAYS_PER_WEEK - 1)) // DAYS_PER_WEEK


def week_end(week: Days, anchor: str) -> Days:
    """Return the last day of the week numbered `week`, in days since 1970-01-01."""
    return week * DAYS_PER_WEEK + (ANCHORS.index(anchor) - _EPOCH_WEEKDAY)


def newest_week_seen(day: Days, anchor: str, available: str) -> Days:
    """Return the number of the newest week whose bar may be seen on `day`.

    There are two clocks: a bar happens until the end of its week; it is known from the day after ("next-week"), or from
    that day itself ("week-end"). A day sees the newest week that is known by then, so an unfinished week is never seen.

    >>> friday = 1  # 1970-01-02
    >>> newest_week_seen(friday, "W-FRI", "week-end") - newest_week_seen(friday, "W-FRI", "next-week")
    1
    >>> newest_week_seen(friday + 3, "W-FRI", "next-week") == week_number(friday, "W-FRI")
    True
    """
    return week_number(day + _LEAD_DAYS[available], anchor) - 1


def first_day_seen(week: Days, anchor: str, available: str) -> Days:
    """Return the first day on which the bar of the week numbered `week` may be seen: `newest_week_seen`, turned around.

    >>> first_day_seen(week_number(1, "W-FRI"), "W-FRI", "next-week")  # 1970-01-02, a Friday
    2
    """
    return week_end(week, anchor) + 1 - _LEAD_DAYS[available]
