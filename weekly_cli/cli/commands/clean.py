"""`weekly-cli clean`: what runs that ended early have left."""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from weekly_cli.cli.application import command, layers
from weekly_cli.cli.console import console, print_json, say
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.files.objects.filesystems import CONNECTION
from weekly_cli.settings.sources import resolve_some, winning


@command("work_dir", "json", *CONNECTION, examples=("weekly-cli clean weekly/ --dry-run", "weekly-cli clean weekly/"))
def clean(
    typed: Typed,
    output: Annotated[
        str | None, typer.Argument(help="The output beside which it is; else what build would write.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List it, and remove nothing.")] = False,
) -> int:
    """Remove what runs of an output that ended early have left beside it; never the output, nor a run's work."""
    given = layers({**typed, "output": output})
    known = resolve_some(("output", "work_dir", "json"), *given)
    work_dir = winning(*given).get("work_dir")
    from weekly_cli.files import cleaning, leftovers

    cleaner = cleaning.cleaner_of(known["output"])
    found = cleaner.find(known["output"], known["work_dir"], "--work-dir" if work_dir is None else work_dir.name)
    with contextlib.nullcontext() if dry_run else cleaner.lock(found):
        if not known["json"]:
            from weekly_cli.cli.views import clean as view

            view.show(found, console(stderr=False))
        if not dry_run:
            cleaner.remove(found)
    if known["json"]:
        print_json(leftovers.to_dict(found, removed=not dry_run))
    elif found.removable and not dry_run:
        say("removed")
    return EXIT_DONE
