"""Golden weeks, worked out by hand with a calendar beside them; never the output of a program.

A day is (date, close, seen under next-week, seen under week-end), where seen is the (week_end, close) of the
newest bar that the row may look at, or None before the first one.
"""

from dataclasses import dataclass

import pandas as pd

Seen = tuple[str, float] | None
Day = tuple[str, float | None, Seen, Seen]


@dataclass(frozen=True, kw_only=True)
class Golden:
    name: str
    reason: str
    week: str
    days: tuple[Day, ...]

    def frame(self) -> pd.DataFrame:
        """Daily rows: symbol, date, close; closes only, as a fund or an index has them."""
        dates = pd.to_datetime([date for date, *_ in self.days])
        closes = pd.Series([close for _, close, *_ in self.days], dtype="float64")
        return pd.DataFrame({"symbol": "ABC", "date": dates, "close": closes})

    def expected(self, available: str) -> list[Seen]:
        return [week_end if available == "week-end" else next_week for _, _, next_week, week_end in self.days]


GOLDEN = [
    Golden(
        name="plain week",
        reason="next-week waits until Friday is over; week-end lets Friday's row see the week it closes; "
        "a Saturday row opens the next week and sees the one that ended yesterday",
        week="W-FRI",
        days=(
            ("2024-03-04", 10.0, None, None),  # Monday, nothing before it
            ("2024-03-07", 11.0, None, None),  # Thursday
            ("2024-03-08", 12.0, None, ("2024-03-08", 12.0)),  # Friday
            ("2024-03-09", 13.0, ("2024-03-08", 12.0), ("2024-03-08", 12.0)),  # Saturday
            ("2024-03-11", 14.0, ("2024-03-08", 12.0), ("2024-03-08", 12.0)),  # Monday
            ("2024-03-15", 15.0, ("2024-03-08", 12.0), ("2024-03-15", 15.0)),  # Friday
            ("2024-03-18", 16.0, ("2024-03-15", 15.0), ("2024-03-15", 15.0)),  # Monday
        ),
    ),
    Golden(
        name="Good Friday",
        reason="no session on 2024-03-29: the week keeps that day's name, its close is Thursday's; Thursday, "
        "though the last session, does not see its own week in either mode",
        week="W-FRI",
        days=(
            ("2024-03-22", 20.0, None, ("2024-03-22", 20.0)),  # Friday
            ("2024-03-25", 21.0, ("2024-03-22", 20.0), ("2024-03-22", 20.0)),  # Monday
            ("2024-03-28", 22.0, ("2024-03-22", 20.0), ("2024-03-22", 20.0)),  # Maundy Thursday
            ("2024-04-01", 23.0, ("2024-03-29", 22.0), ("2024-03-29", 22.0)),  # Easter Monday
        ),
    ),
    Golden(
        name="one-day week, listed on a Friday",
        reason="a week of one session is a whole bar; the history begins with it",
        week="W-FRI",
        days=(
            ("2013-02-08", 30.0, None, ("2013-02-08", 30.0)),  # Friday
            ("2013-02-11", 31.0, ("2013-02-08", 30.0), ("2013-02-08", 30.0)),  # Monday
        ),
    ),
    Golden(
        name="one-day week, a Wednesday only",
        reason="one session in the middle of the week: named by the Friday, seen after it only",
        week="W-FRI",
        days=(
            ("2024-06-12", 40.0, None, None),  # Wednesday
            ("2024-06-17", 41.0, ("2024-06-14", 40.0), ("2024-06-14", 40.0)),  # Monday
        ),
    ),
    Golden(
        name="New Year on a Friday",
        reason="2021-01-01 is a holiday and names the week whose sessions are all of 2020 (ISO week 53)",
        week="W-FRI",
        days=(
            ("2020-12-28", 50.0, None, None),  # Monday
            ("2020-12-31", 51.0, None, None),  # Thursday
            ("2021-01-04", 52.0, ("2021-01-01", 51.0), ("2021-01-01", 51.0)),  # Monday
        ),
    ),
    Golden(
        name="New Year inside the week",
        reason="one week, two years: the sessions of 2024-12-30 to 2025-01-03 are one bar",
        week="W-FRI",
        days=(
            ("2024-12-27", 60.0, None, ("2024-12-27", 60.0)),  # Friday
            ("2024-12-31", 61.0, ("2024-12-27", 60.0), ("2024-12-27", 60.0)),  # Tuesday
            ("2025-01-02", 62.0, ("2024-12-27", 60.0), ("2024-12-27", 60.0)),  # Thursday
            ("2025-01-03", 63.0, ("2024-12-27", 60.0), ("2025-01-03", 63.0)),  # Friday
            ("2025-01-06", 64.0, ("2025-01-03", 63.0), ("2025-01-03", 63.0)),  # Monday
        ),
    ),
    Golden(
        name="two weeks without rows",
        reason="suspended from 2024-05-11 to 2024-05-24: empty weeks are no bars, the old one stays newest",
        week="W-FRI",
        days=(
            ("2024-05-10", 70.0, None, ("2024-05-10", 70.0)),  # Friday
            ("2024-05-27", 71.0, ("2024-05-10", 70.0), ("2024-05-10", 70.0)),  # Monday, two weeks later
            ("2024-06-03", 72.0, ("2024-05-31", 71.0), ("2024-05-31", 71.0)),  # Monday
        ),
    ),
    Golden(
        name="a week of rows without a usable close",
        reason="closes that are null, zero, infinite or negative make no bar; their rows see the older one",
        week="W-FRI",
        days=(
            ("2024-05-10", 70.0, None, ("2024-05-10", 70.0)),  # Friday
            ("2024-05-13", None, ("2024-05-10", 70.0), ("2024-05-10", 70.0)),  # Monday
            ("2024-05-15", 0.0, ("2024-05-10", 70.0), ("2024-05-10", 70.0)),  # Wednesday
            ("2024-05-16", float("inf"), ("2024-05-10", 70.0), ("2024-05-10", 70.0)),  # Thursday
            ("2024-05-17", -1.0, ("2024-05-10", 70.0), ("2024-05-10", 70.0)),  # Friday, with no bar
            ("2024-05-20", 71.0, ("2024-05-10", 70.0), ("2024-05-10", 70.0)),  # Monday
        ),
    ),
    Golden(
        name="Friday's close missing",
        reason="the bar's close is the last usable one, Thursday's; the week ends on the Friday, "
        "whose row sees it all the same",
        week="W-FRI",
        days=(
            ("2024-05-16", 75.0, None, None),  # Thursday
            ("2024-05-17", None, None, ("2024-05-17", 75.0)),  # Friday
            ("2024-05-20", 76.0, ("2024-05-17", 75.0), ("2024-05-17", 75.0)),  # Monday
        ),
    ),
    Golden(
        name="unfinished last week",
        reason="the data end on a Wednesday: nobody ever sees that week",
        week="W-FRI",
        days=(
            ("2018-02-02", 80.0, None, ("2018-02-02", 80.0)),  # Friday
            ("2018-02-05", 81.0, ("2018-02-02", 80.0), ("2018-02-02", 80.0)),  # Monday
            ("2018-02-07", 82.0, ("2018-02-02", 80.0), ("2018-02-02", 80.0)),  # Wednesday, the last row
        ),
    ),
    Golden(
        name="Sunday to Thursday",
        reason="W-THU is Friday to Thursday: a Saturday make-up session belongs to the week that begins",
        week="W-THU",
        days=(
            ("2024-02-04", 90.0, None, None),  # Sunday
            ("2024-02-08", 91.0, None, ("2024-02-08", 91.0)),  # Thursday
            ("2024-02-10", 92.0, ("2024-02-08", 91.0), ("2024-02-08", 91.0)),  # Saturday
            ("2024-02-14", 93.0, ("2024-02-08", 91.0), ("2024-02-08", 91.0)),  # Wednesday, then a holiday
            ("2024-02-18", 94.0, ("2024-02-15", 93.0), ("2024-02-15", 93.0)),  # Sunday
        ),
    ),
    Golden(
        name="seven days a week",
        reason="W-SUN is Monday to Sunday: the Saturday is still inside, the Sunday closes it; a leap day",
        week="W-SUN",
        days=(
            ("2024-02-25", 100.0, None, ("2024-02-25", 100.0)),  # Sunday
            ("2024-02-26", 101.0, ("2024-02-25", 100.0), ("2024-02-25", 100.0)),  # Monday
            ("2024-02-29", 102.0, ("2024-02-25", 100.0), ("2024-02-25", 100.0)),  # Thursday, the leap day
            ("2024-03-02", 103.0, ("2024-02-25", 100.0), ("2024-02-25", 100.0)),  # Saturday
            ("2024-03-03", 104.0, ("2024-02-25", 100.0), ("2024-03-03", 104.0)),  # Sunday
            ("2024-03-04", 105.0, ("2024-03-03", 104.0), ("2024-03-03", 104.0)),  # Monday
        ),
    ),
]
