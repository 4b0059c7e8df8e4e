"""`weekly-cli latest`: what a signal for the next session may use."""

from __future__ import annotations

from typing import Annotated

import typer

from weekly_cli.cli.application import command, importing, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.files.objects.filesystems import CONNECTION
from weekly_cli.settings.kinds import Date
from weekly_cli.settings.sources import Given, resolve_some


@command(
    "symbols", "features", "sector_map", "plugin", "json", *CONNECTION,
    examples=(
        "weekly-cli latest weekly/",
        "weekly-cli latest weekly/ -o signals.parquet --features momentum,w_vol_12",
        "weekly-cli latest weekly/ --session 2024-04-01",
    ),
)  # fmt: skip
def latest(
    typed: Typed,
    output: Annotated[
        str | None,
        typer.Argument(help="What build has written: a file, or a folder of parts; else what it would write."),
    ] = None,
    to: Annotated[
        str | None, typer.Option("--to", "-o", metavar="FILE", help="Write all of it: NAME.parquet or NAME.csv.")
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(metavar="DATE", help="The next session; else by the calendar, or without one by the weekdays."),
    ] = None,
) -> int:
    """Give each symbol's newest weekly columns that its next session may see, also those that no row sees yet."""
    names = ("output", "symbols", "features", "sector_map", "plugin", "json")
    known = resolve_some(names, *layers({**typed, "output": output}))
    day = None if session is None else Given(session, "--session", is_text=True).read(Date())
    with importing():
        from weekly_cli.cli.views import latest as view
        from weekly_cli.files import answer
        from weekly_cli.questions import latest as question
    if to is not None:
        answer.check_answer(to, "-o", "latest", question.FACTS)
    found = question.latest(
        known["output"],
        symbols=known["symbols"],
        features=known["features"],
        session=day,
        sector_map=known["sector_map"],
        plugin=known["plugin"],
    )
    if to is not None:
        answer.write_answer(to, found.table, "latest")
    if known["json"]:
        print_json(found.to_dict())
    else:
        view.show(found, console(stderr=False), to)
    return EXIT_DONE
