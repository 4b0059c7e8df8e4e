"""`weekly-cli features`: what build can add."""

from __future__ import annotations

from weekly_cli.cli.application import command, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.settings.sources import resolve_some


@command("json")
def features(typed: Typed) -> int:
    """List every column that build can add: family, name, formula, first bar with a value."""
    from weekly_cli.compute.features import templates

    rows = [
        {
            "family": row.family,
            "column": row.name,
            "formula": row.formula,
            "first_bar": row.first_bar,
            "window": row.window,
            "parity": row.parity,
        }
        for row in templates()
    ]
    if resolve_some(["json"], *layers(typed))["json"]:
        print_json(rows)
        return EXIT_DONE
    from rich.table import Table

    table = Table("family", "column", "formula", "first bar", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(row[name]) for name in ("family", "column", "formula", "first_bar")))
    console(stderr=False).print(table)
    return EXIT_DONE
