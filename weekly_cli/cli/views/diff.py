"""Shows in 80 columns what differs between two outputs; the last line is the conclusion."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from weekly_cli.cli.views.layout import grid
from weekly_cli.names import printable
from weekly_cli.questions.diff.facts import Change, Diff, Side

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_NAMES_SHOWN, _SYMBOLS_SHOWN, _COLUMNS_SHOWN, _SIGNS = 5, 5, 12, 20


def show(found: Diff, console: Console) -> None:
    """Print a difference."""
    console.print(grid(_lines(found)))
    if found.symbols_changed:
        console.print()
        console.print(_symbols(found))
        _print_more(console, len(found.symbols_changed), _SYMBOLS_SHOWN, "symbols")
    if found.changes:
        console.print()
        console.print(_columns(_most_changed(found.changes)))
        _print_more(console, len(found.changes), _COLUMNS_SHOWN, "columns")
    console.print()
    console.print(printable(found.conclusion), soft_wrap=True)


def _print_more(console: Console, count: int, shown: int, noun: str) -> None:
    if count > shown:
        console.print(f"{count - shown:,} {noun} more; --json has all")


def _lines(found: Diff) -> list[tuple[str, str]]:
    rows = found.rows
    counts = (
        (rows.new, f"after {found.a.last}"),
        (rows.history_came, "came into histories"),
        (rows.history_went, "went out of histories"),
        (rows.of_symbols_that_came, "of symbols that came"),
        (rows.of_symbols_that_went, "of symbols that went"),
        (found.changed_rows, "have other values"),
    )
    return [
        ("A", _side(found.a)),
        ("B", _side(found.b)),
        ("rows", ", ".join(f"{count:,} {words}" for count, words in counts if count)),
        ("symbols", _came_and_went(found.symbols_came, found.symbols_went)),
        ("columns", _came_and_went(found.columns_came, found.columns_went)),
        ("types", _few([f"{name}: {a} in A, {b} in B" for name, (a, b) in found.types.items()])),
        ("unread", _few([f"{name}: {reason}" for name, reason in found.not_compared.items()])),
        ("settings", "; ".join(_settings(found))),
    ]


def _side(side: Side) -> str:
    dates = f", {side.first} to {side.last}" if side.first else ""
    return f"{side.name}: {side.rows:,} rows of {side.symbols:,} symbols{dates}, {side.columns:,} columns"


def _came_and_went(came: Sequence[str], went: Sequence[str]) -> str:
    parts = [f"{len(names):,} {word}: {_few(names)}" for names, word in ((came, "came"), (went, "went")) if names]
    return "; ".join(parts)


def _few(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _settings(found: Diff) -> Iterator[str]:
    for name, (a, b) in found.settings.items():
        yield f"{name}: {_setting(a)} in A, {_setting(b)} in B"


def _setting(value: Any) -> str:
    if value is None:
        return "default"
    if isinstance(value, list):
        return _few(list(map(str, value)))
    return value if isinstance(value, str) else json.dumps(value)


def _symbols(found: Diff) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("symbol", no_wrap=True, max_width=_SIGNS)
    table.add_column("rows changed", justify="right")
    table.add_column("first")
    table.add_column("last")
    table.add_column("close, where it changed")
    for one in found.symbols_changed[:_SYMBOLS_SHOWN]:
        factor = "" if one.close_factor is None else f"times {one.close_factor:.4g} throughout"
        table.add_row(printable(one.symbol), f"{one.rows:,}", str(one.first), str(one.last), factor)
    return table


def _most_changed(changes: Sequence[Change]) -> list[Change]:
    """Return what is shown: columns of the input first, then those with the most changed rows."""
    ordered = sorted(changes, key=lambda change: (change.is_weekly, -change.rows))
    return ordered[:_COLUMNS_SHOWN]


def _columns(changes: Sequence[Change]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("column", no_wrap=True, max_width=_SIGNS)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("first", no_wrap=True)
    table.add_column("largest change: symbol, date, A, B", overflow="fold")
    for one in changes:
        where = f"{printable(one.symbol)} {one.date}: {_value(one.a)} to {_value(one.b)}"
        table.add_row(printable(one.column), f"{one.rows:,}", str(one.first), where)
    return table


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return printable(str(value) if isinstance(value, int | str | datetime.date) else repr(value))
