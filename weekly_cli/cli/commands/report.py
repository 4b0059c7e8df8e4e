"""`weekly-cli report`: the page of a run."""

from __future__ import annotations

from typing import Annotated

import typer

from weekly_cli.cli.application import command, importing, layers
from weekly_cli.cli.console import print_json, say
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE, UsageError
from weekly_cli.files.objects.filesystems import CONNECTION
from weekly_cli.settings.kinds import PathName
from weekly_cli.settings.sources import resolve_some


@command(
    "json", *CONNECTION, examples=("weekly-cli report run.json", "weekly-cli report run.json -o pages/monday.html")
)
def report(
    typed: Typed,
    run: Annotated[str, typer.Argument(help="What build has written with --report RUN.json.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="RUN.html", help="The page; else beside the report.")
    ] = None,
) -> int:
    """Make a page of a run's report: stages, workers, memory, slowest tasks, findings, settings."""
    as_json = resolve_some(["json"], *layers(typed))["json"]
    with importing():
        from weekly_cli.cli import page
        from weekly_cli.files import records, target
        from weekly_cli.files.locations import location
        from weekly_cli.run.recorded import read_report
    made = location(PathName().check(run))
    path = made.with_suffix(".html") if output is None else location(PathName().check(output))
    if not target.is_page(str(path)):
        raise UsageError(f"--output {path} does not end in .html, as a page does; give it such a name")
    target.check_report_file(path, "--output")
    text = page.render(read_report(made))
    records.write_report(path, text)
    if as_json:
        print_json({"report": str(run), "page": str(path), "bytes": len(text.encode())})
    else:
        say(f"{path}: {len(text.encode()) / 1024:,.0f} KiB")
    return EXIT_DONE
