"""Shows in 80 columns why a row has its weekly values: a calendar, the bar's daily rows, and formulas with numbers."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from weekly_cli.cli.views.formulas import columns, formulas
from weekly_cli.dataset.dates import as_date, day_of
from weekly_cli.names import PERIODS, printable
from weekly_cli.questions.explanation import CalendarWeek, ExplainedFeature, Explanation, SeenBar, Value
from weekly_cli.questions.workings import number, result

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
#: More weeks than these are not all drawn: the bar's, then the last ones.
_MOST_WEEKS, _LAST_WEEKS = 8, 4
#: Of the daily rows of a month or a quarter the first and the last ones are shown.
_MOST_DAYS, _FIRST_DAYS, _LAST_DAYS = 10, 3, 3
_MOST_NAMES = 6
_PRICE_DIGITS = 7
_ENDS = tuple(f"_{period.end}" for period in PERIODS.values())


def show(found: Explanation, console: Console) -> None:
    """Print an explanation."""
    console.print(printable(found.summary))
    if found.visible:
        console.print(printable(found.visible))
    console.print()
    for line in _calendar(found):
        console.print(line, soft_wrap=True)
    if found.bar is not None:
        title = f"The bar of {found.bar.period_end}, number {found.bar.number} of {printable(found.symbol)} (from 0)"
        console.print(f"\n{title}", style="bold")
        console.print(_days(found.bar))
    if found.feature is not None:
        _show_feature(found.feature, console)
    elif found.values:
        console.print("\nSome of its values", style="bold")
        console.print(_values(found.values, found.differing))
    console.print()
    for note in found.notes:
        console.print(printable(note))
    _show_comparison(found, console)


# ---- the calendar ----------------------------------------------------------------------------------------


def _calendar(found: Explanation) -> Iterator[str]:
    """Yield a line for each week: its days from first to last, then what it is; of longer periods how many days."""
    if found.every != "week":
        yield from _longer_periods(found)
        return
    last = found.own_period_end
    names = [_WEEKDAYS[(last.weekday() + 1 + day) % 7] for day in range(7)]
    yield f"{'week to':<10}" + "".join(f"{name:>5}" for name in names)
    drawn = found.calendar
    left_out = len(drawn) - _MOST_WEEKS
    if left_out > 0:
        yield _week(found, drawn[0])
        yield f"{'...':<10}  {left_out + _MOST_WEEKS - 1 - _LAST_WEEKS:,} weeks more without a usable row"
        drawn = drawn[-_LAST_WEEKS:]
    for week in drawn:
        yield _week(found, week)
    left = ", (6) left out" if any(len(week.used) < len(week.sessions) for week in drawn) else ""
    yield f"[6] rows of the bar, >6< this row, 6 other rows{left}, . no row"


def _longer_periods(found: Explanation) -> Iterator[str]:
    noun = PERIODS[found.every].noun
    yield f"{f'{noun} to':<14}  rows"
    drawn = (
        found.calendar if len(found.calendar) <= _MOST_WEEKS else (found.calendar[0], *found.calendar[-_LAST_WEEKS:])
    )
    for period in drawn:
        left_out = len(period.sessions) - len(period.used)
        rows = f"{len(period.sessions):,}{f' ({left_out:,} left out)' if left_out else ''}"
        yield f"{period.period_end!s:<14}  {rows:<4}  {_what(period, noun)}"
        if period is drawn[0] and len(drawn) < len(found.calendar):
            yield f"{'...':<14}  {len(found.calendar) - len(drawn):,} {PERIODS[found.every].nouns} more"


def _week(found: Explanation, week: CalendarWeek) -> str:
    begin = day_of(week.period_end) - 6
    cells = [_cell(found, week, as_date(begin + day)) for day in range(7)]
    return f"{week.period_end!s:<10}" + "".join(cells) + f"  {_what(week, 'week')}"


def _what(period: CalendarWeek, noun: str) -> str:
    """Return what a period is to the row."""
    what = []
    if period.is_bar:
        what.append("the bar it sees")
    if period.is_own:
        what.append(f"its own {noun}")
    if not period.used:
        what.append("no bar")
    elif not period.is_bar:
        what.append(f"seen from {_WEEKDAYS[period.seen_from.weekday()]} {period.seen_from:%m-%d}")
    return ", ".join(what)


def _cell(found: Explanation, week: CalendarWeek, date: datetime.date) -> str:
    if date == found.date:
        return f"{f'>{date.day}<':>5}"
    if date not in week.sessions:
        return f"{'. ':>5}"
    if date not in week.used:
        return f"{f'({date.day})':>5}"
    return f"{f'[{date.day}]' if week.is_bar else f'{date.day} ':>5}"


# ---- tables ----------------------------------------------------------------------------------------------


def _days(bar: SeenBar) -> Table:
    """Return the bar's daily rows as the output has them, and the bar that they make."""
    roles = list(bar.days[0].values)
    scaled = any(day.factor is not None for day in bar.days)
    table = columns("daily row", *roles, *(["factor"] if scaled else []), "")
    hidden = len(bar.days) - _FIRST_DAYS - _LAST_DAYS if len(bar.days) > _MOST_DAYS else 0
    for place, day in enumerate(bar.days):
        if hidden and place == _FIRST_DAYS:
            table.add_row(f"... {hidden:,} more")
        if hidden and _FIRST_DAYS <= place < _FIRST_DAYS + hidden:
            continue
        numbers = [number(day.values[role], _PRICE_DIGITS) for role in roles]
        factor = [] if not scaled else ["" if day.factor is None else number(day.factor, _PRICE_DIGITS)]
        table.add_row(f"{_WEEKDAYS[day.date.weekday()]} {day.date}", *numbers, *factor, day.note)
    made = {line.name: line for line in bar.workings}
    notes = [made[role].note for role in roles if made[role].note]
    days = f"its bar, {number(made['days'].value)} row{'' if made['days'].value == 1 else 's'}"
    numbers = [*(number(made[role].value, _PRICE_DIGITS) for role in roles), *([""] if scaled else [])]
    table.add_row(days, *numbers, "; ".join(notes))
    return table


def _values(values: Sequence[Value], differing: Sequence[Value]) -> Table:
    names = ["column", "stored", *(["from its rows"] if differing else []), ""]
    table = columns(*names)
    for value in values:
        again = [] if not differing else [result(value.computed)]
        table.add_row(printable(value.column), result(value.stored), *again, "differs" if value.agrees is False else "")
    return table


def _show_feature(feature: ExplainedFeature, console: Console) -> None:
    value = feature.value
    stored = _as_shown(feature, value.stored)
    console.print(f"\n{printable(feature.column)} = {stored}", style="bold")
    console.print(printable(feature.formula))
    if feature.null:
        console.print(f"It is null: {printable(feature.null)}.")
    if value.trouble:
        console.print(f"It can't be computed again: {printable(value.trouble)}.")
    elif value.agrees is False:
        if value.computed == value.computed:
            console.print(f"The rows of this output give {_as_shown(feature, value.computed)}, which is another value.")
        else:
            console.print("The rows of this output do not give it: they lack bars that it needs.")
    if feature.workings:
        console.print(formulas(feature.workings))


def _as_shown(feature: ExplainedFeature, value: float) -> str:
    if feature.column.endswith(_ENDS) and value == value:
        return str(as_date(int(value)))
    return number(value) if feature.family == "bars" else result(value)


def _show_comparison(found: Explanation, console: Console) -> None:
    console.print(printable(found.conclusion))
    if found.differing:
        names = [printable(value.column) for value in found.differing]
        more = len(names) - _MOST_NAMES
        console.print(f"They are {', '.join(names[:_MOST_NAMES])}{f' and {more:,} more' if more > 0 else ''}.")
    for reason in dict.fromkeys(found.not_compared.values()):
        names = [name for name, each in found.not_compared.items() if each == reason]
        console.print(f"Not computed again: {', '.join(map(printable, names))}: {printable(reason)}.")
