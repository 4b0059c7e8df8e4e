"""Which bar a row sees: its daily rows, the weeks around, and in words why it is this one and no later one."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weekly_cli.compute.clocks import Clock
from weekly_cli.dataset.dates import as_date
from weekly_cli.names import PRICE_ROLES
from weekly_cli.questions.explanation import CalendarWeek, Day, SeenBar
from weekly_cli.questions.history import DailyRows, History
from weekly_cli.questions.workings import SYMBOLS, Term, Working
from weekly_cli.run.clocks import weekly_clock

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def in_words(day: int | datetime.date) -> str:
    """Return a day with its weekday.

    >>> in_words(1)
    'Friday 1970-01-02'
    """
    date = as_date(day) if isinstance(day, int) else day
    return f"{WEEKDAYS[date.weekday()]} {date.isoformat()}"


@dataclass(frozen=True)
class Row:
    """A row of a history, on both clocks.

    Attributes
    ----------
    at : int
        Its position among the symbol's rows.
    day : int
    own_week, newest_week : int
        The week in which it lies, and the newest week whose bar it may see.
    bar : int
        The position of the bar that it sees; -1: none.
    offset : int
        How many bars of the symbol are older than the rows of the output.
    """

    history: History
    at: int
    day: int
    own_week: int
    newest_week: int
    bar: int
    offset: int

    @property
    def clock(self) -> Clock:
        """The week, and when its bar may be seen, as the build had them."""
        return weekly_clock(self.history.built.config)

    def end(self, week: int) -> int:
        """Return a week's last day."""
        return self.clock.end(week)

    def seen_from(self, week: int) -> int:
        """Return the first day on which a week's bar may be seen."""
        return self.clock.first_day_seen(week)

    def row_from(self, day: int) -> int | None:
        """Return the day of the symbol's first row on or after a day."""
        days = self.history.rows.days
        at = int(np.searchsorted(days, day))
        return int(days[at]) if at < len(days) else None


# ---- the bar ---------------------------------------------------------------------------------------------


def seen_bar(row: Row) -> SeenBar:
    """Return the bar that a row sees; there must be one."""
    rows = row.history.rows
    bars = rows.bars
    week = int(bars.periods[row.bar])
    following = bars.periods[row.bar + 1 :]
    first = row.row_from(row.seen_from(week))
    last_days = rows.days if not len(following) else rows.days[rows.days < row.seen_from(int(following[0]))]
    of_week = np.flatnonzero(row.clock.period(rows.days) == week)
    return SeenBar(
        week_end=as_date(row.end(week)),
        number=row.bar + row.offset,
        seen_from=as_date(row.seen_from(week)),
        first_row=as_date(row.day if first is None else first),
        last_row=as_date(int(last_days[-1])),
        days=tuple(_day(rows, int(at), row.history.built.config.price is not None) for at in of_week),
        workings=tuple(_of_bar(row, of_week)),
    )


def _day(rows: DailyRows, at: int, is_adjusted: bool) -> Day:
    close, used = rows.raw["close"][at], rows.used["close"][at]
    is_used = not rows.unusable["close"][at]
    bad = [role for role in rows.raw if role != "close" and rows.unusable[role][at]]
    if rows.padding[at]:
        note = "left out: padding"
    elif not is_used:
        note = "left out: its close"
    else:
        note = f"unusable: {', '.join(bad)}" if bad else ""
    return Day(
        date=as_date(int(rows.days[at])),
        values={role: float(column[at]) for role, column in rows.raw.items()},
        factor=float(used / close) if is_adjusted and is_used else None,
        is_used=is_used,
        note=note,
    )


def _of_bar(row: Row, of_week: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Working]:
    """Yield how the bar's prices, volume and days come out of its usable rows."""
    rows = row.history.rows
    used = of_week[~rows.unusable["close"][of_week]]
    for role, template in zip(PRICE_ROLES, ("{0}", "max({0})", "min({0})", "{0}"), strict=True):
        have = used[~rows.unusable[role][used]] if role in rows.used else used[:0]
        column, note = rows.used.get(role, rows.used["close"]), ""
        if not len(have):
            have, column, note = used, rows.used["close"], f"no usable {role}: the closes stand in"
        have = {"open": have[:1], "close": have[-1:]}.get(role, have)
        name = {"open": "first usable open", "close": "last usable close"}.get(role, f"{SYMBOLS[role]} of its rows")
        term = Term(name if not note else "C of its rows", role, (), tuple(column[have].tolist()))
        yield Working(role, template, (term,), float(getattr(rows.bars, role)[row.bar]), note)
    if "volume" in rows.used:
        have = used[~rows.unusable["volume"][used]]
        term = Term("V of its rows", "volume", (), tuple(rows.used["volume"][have].tolist()))
        yield Working("volume", "sum([{0}])", (term,), float(rows.bars.volume[row.bar]))
    term = Term("usable rows", "days", (), (float(len(used)),))
    yield Working("days", "{0}", (term,), float(rows.bars.days[row.bar]))


# ---- the weeks -------------------------------------------------------------------------------------------


def calendar(row: Row) -> tuple[CalendarWeek, ...]:
    """Return the weeks from the bar's to the row's own; without a bar from the week before on."""
    rows = row.history.rows
    bar_week = int(rows.bars.periods[row.bar]) if row.bar >= 0 else None
    first = row.own_week - 1 if bar_week is None else bar_week
    of_rows = row.clock.period(rows.days)
    found = []
    for week in range(first, row.own_week + 1):
        of_week = of_rows == week
        sessions, used = (rows.days[of_week & keep].tolist() for keep in (True, ~rows.unusable["close"]))
        found.append(
            CalendarWeek(
                week_end=as_date(row.end(week)),
                sessions=tuple(map(as_date, sessions)),
                used=tuple(map(as_date, used)),
                seen_from=as_date(row.seen_from(week)),
                is_bar=week == bar_week,
                is_own=week == row.own_week,
            )
        )
    return tuple(found)


# ---- in words --------------------------------------------------------------------------------------------


def summary(row: Row) -> str:
    """Return in one sentence which week the row sees, and why no later one."""
    bars, symbol = row.history.rows.bars, row.history.symbol
    if row.bar < 0:
        return f"{in_words(row.day)} shows no bar, and all its weekly values are null: {_why_none(row)}."
    week = int(bars.periods[row.bar])
    shown = f"{in_words(row.day)} shows the week that ended on {in_words(row.end(week))}"
    if week == row.own_week:
        return (
            f"{in_words(row.day)} shows its own week: it ends on this day, and --available week-end lets the row of a "
            "week's last day see that day's close."
        )
    empty = min(row.newest_week, row.own_week - 1) - week
    weeks_between = f"the {empty:,} weeks after that have" if empty > 1 else "the week after that has"
    gap = f"{weeks_between} no usable row of {symbol}, and " if empty else ""
    return f"{shown}: {gap}{_why_not_own(row)}."


def _why_not_own(row: Row) -> str:
    end = row.end(row.own_week)
    if row.newest_week == row.own_week:
        return f"its own week, which ends on this day, has no usable row of {row.history.symbol}"
    begins = in_words(row.seen_from(row.own_week))
    if row.day == end:
        return (
            "its own week ends on this very day, whose close nobody knows when the day begins, so that week's bar is "
            f"seen from {begins} on"
        )
    return f"its own week is not over before {in_words(end)}, so that week's bar is seen from {begins} on"


def _why_none(row: Row) -> str:
    bars, symbol = row.history.rows.bars, row.history.symbol
    if not len(bars.periods):
        return f"no row of {symbol} in this output has a usable close"
    first = int(bars.periods[0])
    later = row.row_from(row.seen_from(first))
    there = "no row of this output is that late" if later is None else f"here first by the row of {in_words(later)}"
    return (
        f"the first bar of {symbol} is that of the week to {in_words(row.end(first))}, which is seen from "
        f"{in_words(row.seen_from(first))} on, {there}"
    )


def visible(row: Row, bar: SeenBar) -> str:
    """Return from when on the bar is seen, and why not earlier."""
    used = [day.date for day in bar.days if day.is_used]
    last = f"its last row is that of {in_words(used[-1])}" if used else "its rows are not in this output"
    if row.clock.available == "week-end":
        rule = "from its last day on (--available week-end)"
        earlier = "a row of an earlier day would know closes of days to come"
    else:
        rule = "from the day after its last day on"
        earlier = "a row of the week itself would know prices of that day or of days to come"
    return (
        f"Its bar is seen from {in_words(bar.seen_from)} on, here by the rows from {bar.first_row} to {bar.last_row}. "
        f"Not earlier: {last}, a bar is seen {rule}, and {earlier}."
    )
