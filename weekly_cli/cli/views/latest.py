"""A table of the first symbols and columns, and sentences on what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from weekly_cli.names import PERIODS, printable
from weekly_cli.questions.latest import FACTS, Latest

if TYPE_CHECKING:
    from rich.console import Console

_SYMBOLS_SHOWN, _SYMBOL_SIGNS = 10, 12
_HEADINGS = dict(zip(FACTS, ("last row", "session", "week end", "age"), strict=True))
#: What is shown of the features where there is no room for all, of the first clock that they have.
_SHOWN_FIRST = ("close", "ret", "rsi_14")
_FEATURES_SHOWN = 3
_GAP = 2


def show(found: Latest, console: Console, written: str | None) -> None:
    """Print an answer; `written` names the file that has all of it."""
    from rich.table import Table

    table = found.table
    features = table.column_names[1 + len(FACTS) :]
    clocks = [period for period in PERIODS.values() if any(name.startswith(period.prefix) for name in features)]
    first = [f"{clocks[0].prefix}{name}" for name in _SHOWN_FIRST] if clocks else []
    first = [name for name in first if name in features]
    wanted = [*first, *(name for name in features if name not in first)][:_FEATURES_SHOWN]
    rows = table.select([table.column_names[0], *FACTS, *wanted]).slice(0, _SYMBOLS_SHOWN)
    texts = [[_text(value) for value in column.to_pylist()] for column in rows.columns]
    headings = [printable(table.column_names[0]), *(_HEADINGS[name] for name in FACTS), *map(printable, wanted)]
    shown = _fitting(headings, texts, console.width)
    grid = Table(box=None, pad_edge=False)
    for name, heading in zip(rows.column_names[:shown], headings[:shown], strict=True):
        is_left = name != "age_days" and name not in wanted
        most = _SYMBOL_SIGNS if name == table.column_names[0] else None
        grid.add_column(heading, no_wrap=True, max_width=most, justify="left" if is_left else "right")
    for values in zip(*texts[:shown], strict=True):
        grid.add_row(*values)
    console.print(grid)
    nouns = [period.nouns for period in clocks]
    counted = len(rows), len(features), shown - 1 - len(FACTS)
    for sentence in _sentences(found, counted, nouns, written):
        console.print(printable(sentence))


def _fitting(headings: Sequence[str], texts: Sequence[Sequence[str]], width: int) -> int:
    """Return how many columns fit, at least one feature."""
    widths = [max(map(len, (heading, *column))) + _GAP for heading, column in zip(headings, texts, strict=True)]
    widths[0] = min(widths[0], _SYMBOL_SIGNS + _GAP)
    least = 2 + len(FACTS)
    fitting = [number for number in range(least, len(widths) + 1) if sum(widths[:number]) - _GAP <= width]
    return max(fitting, default=min(least, len(widths)))


def _sentences(
    found: Latest, counted: tuple[int, int, int], nouns: Sequence[str], written: str | None
) -> Iterator[str]:
    n_symbols, (symbols, n_features, n_shown) = len(found.table), counted
    columns = "weekly columns"
    if nouns and nouns != [PERIODS["week"].nouns]:
        columns = f"columns of {', '.join(nouns[:-1])}{' and ' if len(nouns) > 1 else ''}{nouns[-1]}"
    if symbols < n_symbols or n_shown < n_features:
        yield (
            f"{symbols:,} of {n_symbols:,} symbols and {n_shown} of {n_features} {columns} are shown; "
            + (f"{written} has all" if written else "-o FILE writes all, --symbols and --features choose")
        )
    elif written:
        yield f"{written} has the same"
    if found.of_plugins:
        yield (
            f"{', '.join(found.of_plugins)}: left out, as a plugin runs only where you name it: "
            f"{' '.join(f'--plugin {name}' for name in found.plugins)}"
        )
    if found.labels:
        yield f"{', '.join(found.labels)}: left out, as labels look ahead and no session knows its own yet"
    computed = int(found.computed.sum())
    if computed:
        yield f"of {_symbols(computed)}, the session sees a bar that no row sees yet: it is computed from their rows"
    if found.behind:
        yield (
            f"of {_symbols(found.behind)}, the last row is before {found.last}, and the session the one after it; "
            "--session DATE gives all the same one"
        )


def _symbols(count: int) -> str:
    return f"{count:,} symbol{'' if count == 1 else 's'}"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.5g}" if isinstance(value, float) else printable(str(value))
