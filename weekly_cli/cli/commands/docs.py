"""`weekly-cli docs`: the documentation, for those who have no clone."""

from __future__ import annotations

import contextlib
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from weekly_cli.cli import completion
from weekly_cli.cli.application import command, layers
from weekly_cli.cli.console import console, paged, print_json, print_text
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.settings.sources import resolve_some


@command("json", examples=("weekly-cli docs", "weekly-cli docs findings", "weekly-cli docs glossary > glossary.md"))
def docs(
    typed: Typed,
    topic: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TOPIC",
            help="A chapter, or how its name begins; else all topics are listed.",
            autocompletion=completion.topics,
        ),
    ] = None,
) -> int:
    """Show a chapter of the documentation; as Markdown where the output is no terminal."""
    from weekly_cli.cli.chapters import chapters, find
    from weekly_cli.files.manual_pages import read_pages

    all_chapters = chapters(read_pages())
    found = find(all_chapters, " ".join(topic)) if topic else ()
    if resolve_some(["json"], *layers(typed))["json"]:
        print_json([asdict(one) for one in found or all_chapters])
        return EXIT_DONE
    is_terminal = sys.stdout.isatty()
    if found and not is_terminal:
        print_text("\n".join(one.markdown for one in found))
        return EXIT_DONE
    from weekly_cli.cli.views.docs import rendered, topic_list

    shown = console(stderr=False)
    with paged(shown) if is_terminal and sys.stdin.isatty() else contextlib.nullcontext():
        shown.print(rendered(found) if found else topic_list(all_chapters))
    return EXIT_DONE
