"""Which bar of a clock a row sees: its daily rows, the periods around, and why it is this one and no later one."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weekly_cli.compute.bars import Bars
from weekly_cli.compute.clocks import Clock
from weekly_cli.dataset.dates import as_date
from weekly_cli.names import PRICE_ROLES
from weekly_cli.questions.explanation import CalendarWeek, Day, SeenBar
from weekly_cli.questions.history import DailyRows, History
from weekly_cli.questions.workings import SYMBOLS, Term, Working

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
    """A row of a history, as one clock has it: of weeks, months or quarters.

    Attributes
    ----------
    at : int
        Its position among the symbol's rows.
    day : int
    own, newest : int
        The period in which it lies, and the newest one whose bar it may see.
    bar : int
        The position of the bar that it sees; -1: none.
    offset : int
        How many bars of the symbol are older than the rows of the output.
    """

    history: History
    clock: Clock
    at: int
    day: int
    own: int
    newest: int
    bar: int
    offset: int

    @property
    def bars(self) -> Bars:
        """The bars of the history."""
        return self.history.rows.bars[self.clock.every]

    def end(self, period: int) -> int:
        """Return a period's last day."""
        return self.clock.end(period)

    def seen_from(self, period: int) -> int:
        """Return the first day on which a period's bar may be seen: never before the last of its rows."""
        at = int(np.searchsorted(self.bars.periods, period))
        is_bar = at < len(self.bars.periods) and self.bars.periods[at] == period
        return max(self.clock.first_day_seen(period), int(self.bars.last_days[at]) if is_bar else 0)

    def row_from(self, day: int) -> int | None:
        """Return the day of the symbol's first row on or after a day."""
        days = self.history.rows.days
        at = int(np.searchsorted(days, day))
        return int(days[at]) if at < len(days) else None


# ---- the bar ---------------------------------------------------------------------------------------------


def seen_bar(row: Row) -> SeenBar:
    """Return the bar that a row sees; there must be one."""
    rows, bars = row.history.rows, row.bars
    period = int(bars.periods[row.bar])
    following = bars.periods[row.bar + 1 :]
    first = row.row_from(row.seen_from(period))
    last_days = rows.days if not len(following) else rows.days[rows.days < row.seen_from(int(following[0]))]
    of_period = np.flatnonzero(row.clock.period(rows.days) == period)
    return SeenBar(
        period_end=as_date(row.end(period)),
        number=row.bar + row.offset,
        seen_from=as_date(row.seen_from(period)),
        first_row=as_date(row.day if first is None else first),
        last_row=as_date(int(last_days[-1])),
        days=tuple(_day(rows, int(at), row.history.built.config.price is not None) for at in of_period),
        workings=tuple(_of_bar(row, of_period)),
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


def _of_bar(row: Row, of_period: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Iterator[Working]:
    """Yield how the bar's prices, volume and days come out of its usable rows."""
    rows = row.history.rows
    used = of_period[~rows.unusable["close"][of_period]]
    for role, template in zip(PRICE_ROLES, ("{0}", "max({0})", "min({0})", "{0}"), strict=True):
        have = used[~rows.unusable[role][used]] if role in rows.used else used[:0]
        column, note = rows.used.get(role, rows.used["close"]), ""
        if not len(have):
            have, column, note = used, rows.used["close"], f"no usable {role}: the closes stand in"
        have = {"open": have[:1], "close": have[-1:]}.get(role, have)
        name = {"open": "first usable open", "close": "last usable close"}.get(role, f"{SYMBOLS[role]} of its rows")
        term = Term(name if not note else "C of its rows", role, (), tuple(column[have].tolist()))
        yield Working(role, template, (term,), float(getattr(row.bars, role)[row.bar]), note)
    if "volume" in rows.used:
        have = used[~rows.unusable["volume"][used]]
        term = Term("V of its rows", "volume", (), tuple(rows.used["volume"][have].tolist()))
        yield Working("volume", "sum([{0}])", (term,), float(row.bars.volume[row.bar]))
    term = Term("usable rows", "days", (), (float(len(used)),))
    yield Working("days", "{0}", (term,), float(row.bars.days[row.bar]))


# ---- the periods -----------------------------------------------------------------------------------------


def calendar(row: Row) -> tuple[CalendarWeek, ...]:
    """Return the periods from the bar's to the row's own; without a bar from the one before on."""
    rows = row.history.rows
    of_bar = int(row.bars.periods[row.bar]) if row.bar >= 0 else None
    first = row.own - 1 if of_bar is None else of_bar
    of_rows = row.clock.period(rows.days)
    found = []
    for period in range(first, row.own + 1):
        of_period = of_rows == period
        sessions, used = (rows.days[of_period & keep].tolist() for keep in (True, ~rows.unusable["close"]))
        found.append(
            CalendarWeek(
                period_end=as_date(row.end(period)),
                sessions=tuple(map(as_date, sessions)),
                used=tuple(map(as_date, used)),
                seen_from=as_date(row.seen_from(period)),
                is_bar=period == of_bar,
                is_own=period == row.own,
            )
        )
    return tuple(found)


# ---- in words --------------------------------------------------------------------------------------------


def summary(row: Row) -> str:
    """Return in one sentence which period the row sees, and why no later one."""
    noun, symbol = row.clock.noun, row.history.symbol
    if row.bar < 0:
        return f"{in_words(row.day)} shows no bar, and all its {_adjective(row)} values are null: {_why_none(row)}."
    period = int(row.bars.periods[row.bar])
    shown = f"{in_words(row.day)} shows the {noun} that ended on {in_words(row.end(period))}"
    if period == row.own:
        option = {"week": "week-end"}.get(row.clock.every, "period-end")
        ends, last = "it ends on this day", "day"
        if row.day != row.end(period):
            ends, last = "the calendar has no later session in it", "session"
        return (
            f"{in_words(row.day)} shows its own {noun}: {ends}, and --available {option} lets the row of a {noun}'s "
            f"last {last} see that day's close."
        )
    empty = min(row.newest, row.own - 1) - period
    between = f"the {empty:,} {row.clock.nouns} after that have" if empty > 1 else f"the {noun} after that has"
    gap = f"{between} no usable row of {symbol}, and " if empty else ""
    return f"{shown}: {gap}{_why_not_own(row)}."


def _adjective(row: Row) -> str:
    return {"week": "weekly", "month": "monthly", "quarter": "quarterly"}.get(row.clock.every, row.clock.every)


def _why_not_own(row: Row) -> str:
    noun, end = row.clock.noun, row.end(row.own)
    if row.newest == row.own:
        return f"its own {noun}, which ends on this day, has no usable row of {row.history.symbol}"
    begins = in_words(row.seen_from(row.own))
    if row.seen_from(row.own) > row.clock.first_day_seen(row.own):
        return (
            f"its own {noun} has a row on {begins}, after the last session that the calendar has in it, so that "
            f"{noun}'s bar is seen from then on"
        )
    if row.seen_from(row.own) < end:
        return f"its own {noun} has its last session on {begins}, and that {noun}'s bar is seen from then on"
    if row.day == end:
        return (
            f"its own {noun} ends on this very day, whose close nobody knows when the day begins, so that {noun}'s bar "
            f"is seen from {begins} on"
        )
    return f"its own {noun} is not over before {in_words(end)}, so that {noun}'s bar is seen from {begins} on"


def _why_none(row: Row) -> str:
    symbol = row.history.symbol
    if not len(row.bars.periods):
        return f"no row of {symbol} in this output has a usable close"
    first = int(row.bars.periods[0])
    later = row.row_from(row.seen_from(first))
    there = "no row of this output is that late" if later is None else f"here first by the row of {in_words(later)}"
    return (
        f"the first bar of {symbol} is that of the {row.clock.noun} to {in_words(row.end(first))}, which is seen from "
        f"{in_words(row.seen_from(first))} on, {there}"
    )


def visible(row: Row, bar: SeenBar) -> str:
    """Return from when on the bar is seen, and why not earlier."""
    used = [day.date for day in bar.days if day.is_used]
    last = f"its last row is that of {in_words(used[-1])}" if used else "its rows are not in this output"
    if row.clock.available == "week-end":
        last_day = "last day" if row.clock.sessions is None else "last session"
        rule = f"from its {last_day} on (--available {'week-end' if row.clock.every == 'week' else 'period-end'})"
        earlier = "a row of an earlier day would know closes of days to come"
    else:
        rule = "from the day after its last day on"
        earlier = f"a row of the {row.clock.noun} itself would know prices of that day or of days to come"
    return (
        f"Its bar is seen from {in_words(bar.seen_from)} on, here by the rows from {bar.first_row} to {bar.last_row}. "
        f"Not earlier: {last}, a bar is seen {rule}, and {earlier}."
    )
