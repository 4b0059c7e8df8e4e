"""A table of the first symbols and columns, and sentences on what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from weekly_cli.names import printable
from weekly_cli.questions.latest import FACTS, Latest

if TYPE_CHECKING:
    from rich.console import Console

_SYMBOLS_SHOWN, _SYMBOL_SIGNS = 10, 12
_HEADINGS = dict(zip(FACTS, ("last row", "session", "week end", "age"), strict=True))
#: What is shown of the features where there is no room for all.
_SHOWN_FIRST = ("w_close", "w_ret", "w_rsi_14")
_FEATURES_SHOWN = 3


def show(found: Latest, console: Console, written: str | None) -> None:
    """Print an answer; `written` names the file that has all of it."""
    from rich.table import Table

    table = found.table
    features = table.column_names[1 + len(FACTS) :]
    first = [name for name in _SHOWN_FIRST if name in features]
    shown = [*first, *(name for name in features if name not in first)][:_FEATURES_SHOWN]
    grid = Table(box=None, pad_edge=False)
    grid.add_column(printable(table.column_names[0]), no_wrap=True, max_width=_SYMBOL_SIGNS)
    for name in FACTS:
        grid.add_column(_HEADINGS[name], no_wrap=True, justify="right" if name == "age_days" else "left")
    for name in shown:
        grid.add_column(printable(name), no_wrap=True, justify="right")
    rows = table.select([table.column_names[0], *FACTS, *shown]).slice(0, _SYMBOLS_SHOWN)
    for values in zip(*(column.to_pylist() for column in rows.columns), strict=True):
        grid.add_row(*map(_text, values))
    console.print(grid)
    for sentence in _sentences(found, len(rows), len(features), len(shown), written):
        console.print(printable(sentence))


def _sentences(found: Latest, symbols: int, n_features: int, n_shown: int, written: str | None) -> Iterator[str]:
    n_symbols = len(found.table)
    if symbols < n_symbols or n_shown < n_features:
        yield (
            f"{symbols:,} of {n_symbols:,} symbols and {n_shown} of {n_features} weekly columns are shown; "
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
