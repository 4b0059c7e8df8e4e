"""Formulas with numbers put in, a block of lines each; what `explain` and `features` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from weekly_cli.names import printable
from weekly_cli.questions.workings import Working

if TYPE_CHECKING:
    from rich.table import Table


def formulas(lines: Sequence[Working]) -> Table:
    """Return each formula with names, with numbers, and its value."""
    from rich.table import Table

    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for line in lines:
        table.add_row(printable(line.name), f"= {printable(line.formula)}")
        if line.with_numbers != line.shown_value:
            table.add_row("", f"= {line.with_numbers}")
        note = f"   ({line.note})" if line.note else ""
        table.add_row("", f"= {line.shown_value}{note}")
    return table


def columns(*names: str, last_is_text: bool = True) -> Table:
    """Return a table without lines, whose columns but the first, and maybe the last, are numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    last = len(names) - 1 if last_is_text else len(names)
    for place, name in enumerate(names):
        table.add_column(name, justify="right" if 0 < place < last else "left", no_wrap=place < last, overflow="fold")
    return table
