"""`weekly-cli sample`: made-up prices to try things with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from weekly_cli.cli.application import command
from weekly_cli.cli.console import say
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE, UsageError


@command(examples=("weekly-cli sample prices/", "weekly-cli sample prices/ --symbols 4000 --years 10 --layout symbol"))
def sample(
    typed: Typed,
    folder: Annotated[Path, typer.Argument(help="Where to write it: a new folder, or an empty one.")],
    symbols: Annotated[int, typer.Option(help="Symbols, benchmarks included.")] = 40,
    years: Annotated[int, typer.Option(help="Years of business days.")] = 6,
    layout: Annotated[
        str, typer.Option(metavar="[date | symbol | day]", help="In date order; clustered by symbol; a file a day.")
    ] = "date",
    seed: Annotated[int, typer.Option(help="Another seed, other prices.")] = 7,
) -> int:
    """Write a made-up daily dataset: the same arguments give the same bytes."""
    from weekly_cli.cli.sample import write_sample

    try:
        written = write_sample(folder.expanduser(), symbols=symbols, years=years, layout=layout, seed=seed)
    except ValueError as error:
        raise UsageError(str(error)) from error
    say(f"{written.rows:,} rows in {len(written.paths):,} files in {folder}")
    return EXIT_DONE
