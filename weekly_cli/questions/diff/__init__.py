"""What differs between two outputs: new rows, changed history, columns, settings.

Both are read once, in the order of their symbols, one block beside the other. Rows are matched by symbol and date, and
the columns that both have are compared as they are, whole blocks at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from weekly_cli.compute.labels import labels_named
from weekly_cli.dataset.dates import as_date, session_days
from weekly_cli.errors import UsageError
from weekly_cli.questions.built import Built, open_output
from weekly_cli.questions.diff.aligned import aligned
from weekly_cli.questions.diff.columns import ColumnTally, shared_type
from weekly_cli.questions.diff.facts import Change, Diff, RowCounts, Side, SymbolChange
from weekly_cli.questions.diff.rows import Comparison
from weekly_cli.questions.histories import comparable_type, histories

__all__ = ["Change", "Diff", "RowCounts", "Side", "SymbolChange", "diff"]


def diff(a: str, b: str, tolerance: float = 0.0) -> Diff:
    """Return what differs between two outputs of `build`.

    Parameters
    ----------
    a, b : str
        The earlier and the later one.
    tolerance : float
        Numbers may differ by this much, times the larger of them if that is more than 1.

    Raises
    ------
    InputRefused
        If one is no output, or its rows are not in the order of symbol and date.
    UsageError
        If their symbols can't be compared, or the tolerance is no number from 0 on.
    """
    if not 0.0 <= tolerance < np.inf:
        raise UsageError(f"--tolerance takes a number from 0 on, not {tolerance}")
    sides = open_output(a), open_output(b)
    kinds = [side.schema.field(side.roles["symbol"]).type for side in sides]
    if comparable_type(kinds[0]) != comparable_type(kinds[1]):
        raise UsageError(
            f"symbols are {kinds[0]} in {a} and {kinds[1]} in {b}, and no row of one can be found in the other; build "
            "both from symbols of one type"
        )
    tallies, not_compared = _tallies(*sides)
    last = _last_day(sides[0])
    comparison = Comparison(tallies, sides[0].roles.get("close"), last, tolerance)
    blocks = [histories(side, [tally.name for tally in tallies]) for side in sides]
    for pair in aligned(*blocks):
        comparison.add(*pair)
    names = [_columns(side) for side in sides]
    return Diff(
        a=_side(sides[0], comparison, 0),
        b=_side(sides[1], comparison, 1),
        rows=comparison.rows,
        changed_rows=comparison.changed_rows,
        symbols_came=tuple(comparison.came),
        symbols_went=tuple(comparison.went),
        symbols_changed=tuple(sorted(comparison.changed, key=lambda one: (-one.rows, one.symbol))),
        columns_came=tuple(name for name in names[1] if name not in names[0]),
        columns_went=tuple(name for name in names[0] if name not in names[1]),
        types=_types(*sides),
        not_compared=not_compared,
        changes=tuple(change for tally in tallies if (change := tally.change()) is not None),
        settings=_settings(*sides),
        tolerance=tolerance,
        labels_known=comparison.labels_known,
    )


def _last_day(built: Built) -> int | None:
    days = [
        session_days(table.column(0), built.dates)[0].max(initial=np.iinfo(np.int32).min)
        for table in built.row_groups([built.roles["date"]])
        if len(table)
    ]
    return int(max(days)) if days else None


def _side(built: Built, comparison: Comparison, number: int) -> Side:
    first, last = comparison.bounds[number]
    begins, ends = (None if day is None else as_date(day) for day in (first, last))
    return Side(built.name, built.n_rows, comparison.n_symbols[number], begins, ends, len(built.schema.names))


# ---- columns ---------------------------------------------------------------------------------------------


def _columns(built: Built) -> list[str]:
    """Return the columns by name, but those of the symbols, which are matched by role."""
    return [name for name in built.schema.names if name != built.roles["symbol"]]


def _tallies(a: Built, b: Built) -> tuple[list[ColumnTally], dict[str, str]]:
    """Return a tally for each column that both have, weekly ones last, and why others can't be compared."""
    tallies, not_compared = [], {}
    weekly = {side.column_of(name) for side in (a, b) for name in side.features}
    labels = {label.name for side in (a, b) for label in labels_named(side.config.label)}
    shared = [name for name in _columns(a) if name in _columns(b)]
    for name in sorted(shared, key=lambda name: name in weekly or name in labels):
        of_a, of_b = (side.schema.field(name).type for side in (a, b))
        kind = shared_type(of_a, of_b)
        if kind is None:
            not_compared[name] = f"{of_a} in A, {of_b} in B" if of_a != of_b else f"{of_a} is not compared"
        else:
            tallies.append(ColumnTally(name, kind, is_weekly=name in weekly, is_label=name in labels))
    return tallies, not_compared


def _types(a: Built, b: Built) -> dict[str, tuple[str, str]]:
    return {
        name: (str(a.schema.field(name).type), str(b.schema.field(name).type))
        for name in _columns(a)
        if name in _columns(b) and a.schema.field(name).type != b.schema.field(name).type
    }


# ---- settings --------------------------------------------------------------------------------------------


def _settings(a: Built, b: Built) -> dict[str, tuple[Any, Any]]:
    """Return the settings that differ, the version and the input among them."""
    of_a, of_b = _recorded(a.record), _recorded(b.record)
    names = dict.fromkeys([*of_a, *of_b])
    return {name: (of_a.get(name), of_b.get(name)) for name in names if of_a.get(name) != of_b.get(name)}


def _recorded(record: Mapping[str, Any]) -> dict[str, Any]:
    return {"version": record["version"], **record["settings"], **record.get("paths", {})}
