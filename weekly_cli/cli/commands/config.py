"""`weekly-cli config`: the settings in force."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from weekly_cli.cli.application import command, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.names import printable
from weekly_cli.settings import SETTINGS
from weekly_cli.settings.sources import resolve_some, winning


@command("json", examples=("weekly-cli config", "weekly-cli config --schema > weekly.schema.json"))
def config(
    typed: Typed,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of weekly.toml, for editors.")
    ] = False,
) -> int:
    """Show the settings in force here, and where each came from."""
    if schema:
        from weekly_cli.settings.schema import file_schema

        print_json(file_schema())
        return EXIT_DONE
    given = winning(*layers(typed))
    rows = []
    for row in SETTINGS.values():
        given_value = given.get(row.name)
        value = row.default if given_value is None else given_value.read(row.kind)
        rows.append(
            (
                row.name,
                row.kind.none if value is None else row.kind.plain(value),
                given_value.name if given_value else "",
            )
        )
    if resolve_some(["json"], *layers(typed))["json"]:
        print_json({name: {"value": value, "from": source or "default"} for name, value, source in rows})
        return EXIT_DONE
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for name, value, source in rows:
        shown = "" if value in ("", [], {}, None) else value if isinstance(value, str) else json.dumps(value)
        table.add_row(name, printable(shown), printable(source or "default"))
    console(stderr=False).print(table)
    return EXIT_DONE
