"""`weekly-cli config`: the settings in force, and a settings file to start from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from weekly_cli.cli.application import command, layers
from weekly_cli.cli.console import console, print_json, say
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE, OutputConflict, UsageError
from weekly_cli.names import printable
from weekly_cli.settings import SETTINGS
from weekly_cli.settings.sources import PROJECT_FILE, SETTINGS_FILE, has_project_settings, resolve_some, winning


@command(
    "json",
    examples=("weekly-cli config", "weekly-cli config --init", "weekly-cli config --schema > weekly.schema.json"),
)
def config(
    typed: Typed,
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[PATH]", help=f"Where --init writes; else {SETTINGS_FILE} in this folder."),
    ] = None,
    init: Annotated[
        bool, typer.Option("--init", help=f"Write a {SETTINGS_FILE} with all settings, each commented out.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help=f"Print the JSON schema of {SETTINGS_FILE}, for editors.")
    ] = False,
) -> int:
    """Show the settings in force here, and where each came from; or write a settings file to start from."""
    if init and schema:
        raise UsageError("--init writes a settings file and --schema prints a schema; leave one of them out")
    if path is not None and not init:
        raise UsageError(f"{path} is where --init writes a settings file; pass --init, or leave the path out")
    if schema:
        from weekly_cli.settings.schema import file_schema

        print_json(file_schema())
        return EXIT_DONE
    as_json = resolve_some(["json"], *layers(typed))["json"]
    if init:
        written = Path(SETTINGS_FILE) if path is None else path.expanduser()
        _write_template(written)
        if as_json:
            print_json({"written": str(written)})
        return EXIT_DONE
    rows = _settings_in_force(typed)
    if as_json:
        print_json({name: {"value": value, "from": source or "default"} for name, value, source in rows})
    else:
        _show(rows)
    return EXIT_DONE


def _settings_in_force(typed: Typed) -> list[tuple[str, Any, str]]:
    """Return name, plain value and source of each setting; the source of a default is empty."""
    given = winning(*layers(typed))
    rows = []
    for row in SETTINGS.values():
        given_value = given.get(row.name)
        value = row.default if given_value is None else given_value.read(row.kind)
        plain = row.kind.none if value is None else row.kind.plain(value)
        rows.append((row.name, plain, given_value.name if given_value else ""))
    return rows


def _show(rows: list[tuple[str, Any, str]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for name, value, source in rows:
        shown = "" if value in ("", [], {}, None) else value if isinstance(value, str) else json.dumps(value)
        table.add_row(name, printable(shown), printable(source or "default"))
    console(stderr=False).print(table)


def _write_template(path: Path) -> None:
    """Write a settings file with every line commented out; what is there already stays.

    Raises
    ------
    OutputConflict
        If something is there, or the file would put the settings of `pyproject.toml` beside it out of force.
    """
    from weekly_cli.files.records import write_new_text
    from weekly_cli.settings.template import file_template

    is_read = path.name == SETTINGS_FILE
    if is_read and has_project_settings(path.parent):
        raise OutputConflict(
            f"{path.parent / PROJECT_FILE} has settings in [tool.weekly-cli], which nothing would read beside "
            f"{SETTINGS_FILE}; give another path (weekly-cli config --init settings.toml), and move them there by hand"
        )
    write_new_text(path, file_template())
    more = "" if is_read else f"; commands read it once it is named {SETTINGS_FILE} and lies where they run"
    say(f"{path} has all settings, each commented out{more}")
