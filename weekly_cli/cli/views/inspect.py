"""Shows an inspection in 80 columns: what is there, how complete it is, and the command that fits."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from weekly_cli.cli.views.layout import finding_lines, grid, mib
from weekly_cli.dataset.calendar import WEEKDAYS
from weekly_cli.dataset.schema import roles_in_words
from weekly_cli.inspection.facts import Calendar, Column, History, Inspection, Year
from weekly_cli.names import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

#: More years than this share lines.
_MOST_YEAR_LINES = 24
_MOST_COLUMNS = 24
_FILES_SHOWN = 3
_FEATURES_SHOWN = 4
_TYPE_SIGNS = 24
#: The shares of a month from which a sign is drawn, and the signs for terminals with and without them.
_SHADES = ((0.995, "█", "#"), (0.9, "▓", "+"), (0.5, "▒", "-"), (0.0, "░", "."))


def show(found: Inspection, console: Console) -> None:
    """Print an inspection."""
    plain = console.options.ascii_only
    console.print(grid(_lines(found)))
    for table in _tables(found, plain):
        console.print()
        console.print(table)
    if found.command is not None:
        console.print(f"\nThe build that fits:\n    {printable(found.command)}", soft_wrap=True)
    if found.undecided is not None:
        console.print(f"\nNo build fits: {printable(found.undecided)}.")
    if found.build is not None:
        console.print(f"\nBuilt with:\n    {printable(found.build.command)}", soft_wrap=True)


def _lines(found: Inspection) -> list[tuple[str, str]]:
    weekly = found.build is not None and found.build.settings.get("rows") == "weekly"
    span = f", {found.first} to {found.last}" if found.first else ""
    groups = f"{found.row_groups:,} row group{'' if found.row_groups == 1 else 's'}"
    lines = [
        ("rows", f"{found.rows:,} of {found.symbols:,} symbols{span}"),
        ("files", f"{found.files:,}, {mib(found.bytes)}, {groups}, {found.layout}"),
        ("not read", _not_read(found)),
        ("roles", _roles(found)),
        ("read as", "; ".join(found.notes)),
        *(_of_calendar(found.calendar) if found.calendar and not weekly else ()),
        ("quality", _flaws(found)),
        *finding_lines(found.findings),
        ("", _search_of_some(found)),
        *_of_build(found),
    ]
    return [line for line in lines if line[1]]


def _search_of_some(found: Inspection) -> str:
    """Say that prices of some symbols only were searched for findings, if so; of an output of weeks, none are."""
    if not 0 < found.symbols_searched < found.symbols:
        return ""
    return (
        f"findings among the prices: of {found.symbols_searched:,} of {found.symbols:,} symbols, as there are too many "
        "rows by date; a build searches all"
    )


def _roles(found: Inspection) -> str:
    """Return the roles; only of an input is told what is made without those that are missing."""
    words = roles_in_words({role: name for role, name in found.roles.items() if name is not None})
    return words if found.build is None else words.partition(";")[0]


def _not_read(found: Inspection) -> str:
    shown = [f"{skip.path}: {skip.reason}" for skip in found.skipped[:_FILES_SHOWN]]
    more = len(found.skipped) - len(shown)
    return "; ".join(shown + ([f"and {more:,} more"] if more else []))


def _of_calendar(calendar: Calendar) -> Iterator[tuple[str, str]]:
    week, often = _week(calendar.trading_weekdays), f"{calendar.sessions_a_week:.1f} a week"
    yield "calendar", f"{week}: {calendar.sessions:,} sessions, {often}; --week {calendar.anchor} fits"
    total = max(1, sum(calendar.weekdays.values()))
    yield "weekdays", ", ".join(f"{day} {_share(rows / total)}" for day, rows in calendar.weekdays.items() if rows)
    yield "pauses", "; ".join(f"{(gap.next - gap.last).days:,} days before {gap.next}" for gap in calendar.gaps)


def _week(days: Sequence[str]) -> str:
    if len(days) == 7:
        return "every day"
    for first in range(len(WEEKDAYS)):
        run = [WEEKDAYS[(first + more) % len(WEEKDAYS)] for more in range(len(days))]
        if set(run) == set(days) and len(run) > 2:
            return f"{run[0]} to {run[-1]}"
    return ", ".join(days)


def _share(share: float) -> str:
    """Return a share in per cent; only all is 100 %, and only nothing 0 %.

    >>> _share(0.99996), _share(1.0), _share(0.0001)
    ('99.9%', '100%', '0.1%')
    """
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    return f"{min(99.9, max(0.1, 100 * share)):.1f}%"


def _flaws(found: Inspection) -> str:
    counts = (
        (found.rows_without_key - found.unread_dates, "rows without a symbol or a date"),
        (found.unread_dates, f"rows with something other than a date ({found.first_unread_date})"),
        (found.repeated_rows or 0, "rows that repeat a symbol's date"),
        (found.unusable_rows, "rows without a usable close"),
        (found.high_below_low, "rows with high < low"),
        (found.close_outside_range, "closes outside of low to high"),
    )
    told = [f"{count:,} {what}" for count, what in counts if count]
    told += ["repeated dates were not counted, for they take too much memory"] if found.repeated_rows is None else []
    unusable = any(column.unusable for column in found.columns)
    return "; ".join(told) or ("every close is usable" if unusable else "nothing unusual")


def _of_build(found: Inspection) -> Iterator[tuple[str, str]]:
    build = found.build
    if build is None:
        return
    age = datetime.datetime.now(datetime.UTC) - build.written
    yield "built", f"{build.written:%Y-%m-%d %H:%M} UTC, {_age(age)} ago, by weekly-cli {build.version}"
    more = ", ..." if len(build.features) > _FEATURES_SHOWN else ""
    yield "features", f"{len(build.features)}: {', '.join(build.features[:_FEATURES_SHOWN])}{more}"
    settings = "; ".join(f"{name} {value}" for name, value in build.settings.items())
    yield "settings", settings or "the defaults"
    yield "made of", ", ".join(build.input)
    yield "its input", f"{build.input_state}: {build.input_reason}"


def _age(age: datetime.timedelta) -> str:
    minutes = int(age.total_seconds()) // 60
    for size, unit in ((24 * 60, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            count = minutes // size
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return "less than a minute"


# ---- tables ----------------------------------------------------------------------------------------------


def _tables(found: Inspection, plain: bool) -> Iterator[Table]:
    yield _columns(found)
    if found.years:
        yield _years(found.years, plain)
    if found.shortest:
        yield _histories(found)


def _columns(found: Inspection) -> Table:
    features = set(found.build.features) if found.build else set()
    columns = [column for column in found.columns if column.name not in features]
    columns.sort(key=lambda column: not column.roles)
    labels = found.build.labels if found.build else ()
    table = _table("column", "type", "role", "values")
    for column in columns[:_MOST_COLUMNS]:
        table.add_row(
            printable(column.name),
            _short(printable(column.type)),
            "label" if column.name in labels else ", ".join(column.roles),
            _values(column, found.rows),
        )
    more = len(columns) - _MOST_COLUMNS
    if more > 0:
        table.add_row(f"and {more:,} more", "", "", "--json has them")
    return table


def _short(text: str) -> str:
    """Return a type, cut where it is long: structs name all their parts."""
    return text if len(text) <= _TYPE_SIGNS else f"{text[: _TYPE_SIGNS - 3]}..."


def _values(column: Column, rows: int) -> str:
    values = column.values
    counts = (
        (values.nulls, "null"),
        (values.nan, "NaN"),
        (values.infinite, "infinite"),
        (values.zero, "zero"),
        (values.negative, "negative"),
    )
    told = ", ".join(
        "all null" if count == rows and what == "null" else f"{count:,} {what}" for count, what in counts if count
    )
    return told + (f" ({column.unusable:,} unusable)" if column.unusable else "")


def _years(years: Sequence[Year], plain: bool) -> Table:
    letters = "".join(f"{letter} " for letter in "JFMAMJJASOND")
    table = _table("year", letters, "complete", "sessions", "symbols", "rows", numbers=(2, 3, 4, 5))
    at_a_time = -(-len(years) // _MOST_YEAR_LINES)
    rest = iter(years)
    while group := list(islice(rest, at_a_time)):
        name = str(group[0].year) if len(group) == 1 else f"{group[0].year}-{group[-1].year}"
        row = (_share(_mean([year.complete for year in group])), sum(year.sessions for year in group))
        symbols, rows = max(year.symbols for year in group), sum(year.rows for year in group)
        table.add_row(name, _picture(group, plain), row[0], f"{row[1]:,}", f"{symbols:,}", f"{rows:,}")
    return table


def _picture(years: Sequence[Year], plain: bool) -> str:
    """Return two signs for each month."""
    signs = []
    for month in zip(*(year.months for year in years), strict=True):
        shares = [share for share in month if share is not None]
        signs.append(_shade(_mean(shares), plain) if shares else " ")
    return "".join(2 * sign for sign in signs)


def _shade(share: float, plain: bool) -> str:
    return next(simple if plain else block for least, block, simple in _SHADES if share >= least)


def _mean(shares: Sequence[float]) -> float:
    return sum(shares) / len(shares)


def _histories(found: Inspection) -> Table:
    table = _table("history", "symbol", "rows", "first", "last", numbers=(2,))
    for name, histories in (("shortest", found.shortest), ("longest", found.longest)):
        for number, history in enumerate(histories):
            table.add_row(name if number == 0 else "", *_history(history))
    return table


def _history(history: History) -> tuple[str, ...]:
    return printable(history.symbol), f"{history.rows:,}", str(history.first), str(history.last)


def _table(*names: str, numbers: Sequence[int] = ()) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(names):
        table.add_column(name, justify="right" if number in numbers else "left", overflow="fold")
    return table
