"""`weekly-cli explain`: why a row has the weekly values that it has."""

from __future__ import annotations

from typing import Annotated

import typer

from weekly_cli.cli.application import command, importing, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.files.objects.filesystems import CONNECTION
from weekly_cli.settings.sources import resolve_some


@command(
    "plugin",
    "json",
    *CONNECTION,
    examples=(
        "weekly-cli explain weekly/ AAPL 2024-03-15",
        "weekly-cli explain weekly/ AAPL 2024-03-15 --feature w_rsi_14",
    ),
)
def explain(
    typed: Typed,
    output: Annotated[str, typer.Argument(help="What build has written: a file, or a folder of parts.")],
    symbol: Annotated[str, typer.Argument(help="A symbol of it.")],
    date: Annotated[str, typer.Argument(help="A session of the symbol, such as 2024-03-15.")],
    feature: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The weekly column whose formula is shown with its numbers.")
    ] = None,
) -> int:
    """Say which week a row sees and why, of which daily rows its bar is made, and how a value comes out of them."""
    known = resolve_some(["plugin", "json"], *layers(typed))
    with importing():
        from weekly_cli.cli.views import explain as view
        from weekly_cli.questions.explain import explain as explained
    found = explained(output, symbol, date, feature, known["plugin"])
    if known["json"]:
        print_json(found.to_dict())
    else:
        view.show(found, console(stderr=False))
    return EXIT_DONE
