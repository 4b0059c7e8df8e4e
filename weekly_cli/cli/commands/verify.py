"""`weekly-cli verify`: checks of a finished table."""

from __future__ import annotations

from typing import Annotated

import typer

from weekly_cli.cli.application import command, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE, EXIT_NOT_PROVEN
from weekly_cli.files.objects.filesystems import CONNECTION
from weekly_cli.settings.sources import resolve_some


@command(
    "columns", "sector_map", "universe", "plugin", "json", *CONNECTION,
    examples=("weekly-cli verify weekly/", "weekly-cli verify weekly/ --input /data/prices --symbols 100"),
)  # fmt: skip
def verify(
    typed: Typed,
    output: Annotated[
        str | None, typer.Argument(help="The table: a file, or a folder of parts; else what build would write.")
    ] = None,
    input: Annotated[
        str | None, typer.Option(metavar="PATH", help="What it was made of; else what the table says.")
    ] = None,
    dates: Annotated[int, typer.Option(min=0, help="How often the input is cut and built again.")] = 5,
    symbols: Annotated[int, typer.Option(min=0, help="How many symbols are built again.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other dates and symbols.")] = 0,
) -> int:
    """Check a finished table: complete, no look-ahead, right by a slow recomputation; and how long columns warm up."""
    names = ("output", "columns", "sector_map", "universe", "plugin", "json")
    known = resolve_some(names, *layers({**typed, "output": output}))
    from weekly_cli import verify as room
    from weekly_cli.cli.views import verify as view

    shown = console(stderr=False)
    proof = room.verify(
        known["output"],
        input,
        columns=dict(known["columns"]) or None,
        sector_map=known["sector_map"],
        universe=known["universe"],
        plugin=known["plugin"],
        dates=dates,
        symbols=symbols,
        seed=seed,
        listener=lambda check: None if known["json"] else shown.print(view.render_check(check)),
    )
    if known["json"]:
        print_json(proof.to_dict())
    else:
        if proof.warm_up:
            shown.print(view.render_warm_up(proof.warm_up))
        shown.print(view.conclusion(proof), soft_wrap=True)
    return EXIT_DONE if proof.passed else EXIT_NOT_PROVEN
