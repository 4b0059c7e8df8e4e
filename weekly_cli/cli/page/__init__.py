"""The report of a run as a page: one HTML file without scripts, which asks for nothing."""

from __future__ import annotations

from weekly_cli.cli.page import figures, sections, workers
from weekly_cli.cli.page.elements import Lines, element, markup
from weekly_cli.cli.page.style import STYLE, policy
from weekly_cli.cli.page.words import data, shortened
from weekly_cli.files.target import GENERATOR
from weekly_cli.run.report import Report


def render(report: Report) -> str:
    """Return the page; its length is bounded, however many tasks, symbols and files there were."""
    sections_shown = [
        sections.left_out(report),
        sections.warnings(report),
        sections.findings(report),
        sections.stages(report),
        workers.over_time(report),
        sections.slowest_tasks(report),
        sections.data_read(report),
        sections.decisions(report),
        sections.settings(report),
    ]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="generator", content=f"{GENERATOR} {report.version}"),
        element("meta", http_equiv="Content-Security-Policy", content=policy()),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"weekly-cli: {shortened(report.output)}"),
        element("style", Lines(tuple(STYLE.split("\n")))),
    )
    body = element(
        "body",
        figures.head(report),
        element("main", figures.tiles(report), *sections_shown),
        element(
            "footer",
            element(
                "p", "This page loads nothing and runs no script. Fingerprint of the output: ", data(report.fingerprint)
            ),
        ),
    )
    return f"<!DOCTYPE html>\n{markup(element('html', head, body, lang='en'))}\n"
