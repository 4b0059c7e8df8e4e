"""`weekly-cli diff`: what changed between two outputs."""

from __future__ import annotations

from typing import Annotated

import typer

from weekly_cli.cli.application import command, importing, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DIFFERENT, EXIT_DONE
from weekly_cli.files.objects.filesystems import CONNECTION
from weekly_cli.settings.sources import resolve_some


@command(
    "json",
    *CONNECTION,
    examples=("weekly-cli diff yesterday/ today/", "weekly-cli diff --ignore-new yesterday/ today/ || mail ..."),
    note=f"Exit code: 0 if nothing differs, {EXIT_DIFFERENT} if something does. Settings alone are no difference.",
)
def diff(
    typed: Typed,
    a: Annotated[str, typer.Argument(help="The earlier output: a file, or a folder of parts.")],
    b: Annotated[str, typer.Argument(help="The later one.")],
    tolerance: Annotated[
        float,
        typer.Option(metavar="NUMBER", help="Numbers may differ by this, times the larger one where that is above 1."),
    ] = 0.0,
    ignore_new: Annotated[
        bool, typer.Option("--ignore-new", help="Rows after A's last date are no difference: only history counts.")
    ] = False,
) -> int:
    """Say what changed between two outputs: new rows, changed history, symbols, columns, settings."""
    as_json = resolve_some(["json"], *layers(typed))["json"]
    with importing():
        from weekly_cli.cli.views import diff as view
        from weekly_cli.questions.diff import diff as differing
    found = differing(a, b, tolerance)
    if as_json:
        print_json(found.to_dict())
    else:
        view.show(found, console(stderr=False))
    is_equal = not found.history_changed if ignore_new else found.equal
    return EXIT_DONE if is_equal else EXIT_DIFFERENT
