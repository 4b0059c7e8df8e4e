"""The sections of the page that are texts and tables: what needs a look, tasks, input, decisions, settings."""

from __future__ import annotations

import json
from collections.abc import Sequence

from weekly_cli.cli.page.charts import shares
from weekly_cli.cli.page.elements import Element, Node, element
from weekly_cli.cli.page.tables import Column, facts, table
from weekly_cli.cli.page.words import data, duration, listed
from weekly_cli.cli.views.build import QUALITY_WORDS, dropped_lines, intraday_line
from weekly_cli.cli.views.layout import dates, mib
from weekly_cli.dataset.schema import roles_in_words
from weekly_cli.files.discovery import Skipped
from weekly_cli.findings import Finding
from weekly_cli.run.report import Report
from weekly_cli.run.timeline import TaskRecord

#: Entries of a list, rows of the table of tasks, and shares of a bar; the JSON has all.
MOST_LISTED, MOST_TASKS, MOST_SHARES = 200, 15, 20

_TASK_COLUMNS = (
    Column("task"), Column("worker", True), Column("time", True), Column("symbols"), Column("rows", True),
    Column("rows/s", True, True), Column("part", True, True), Column("worker's peak", True, True),
    Column("failed before", True, True),
)  # fmt: skip


def section(heading: str, *content: Node | None) -> Element | None:
    """Return a section; None: it would be empty."""
    kept = [node for node in content if node is not None]
    return element("section", element("h2", heading), *kept) if kept else None


def left_out(report: Report) -> Element | None:
    """Return the symbols that failed, with the reasons."""
    rows = [(data(symbol), data(reason)) for symbol, reason in report.rejected[:MOST_LISTED]]
    more = len(report.rejected) - MOST_LISTED
    return section(
        "Symbols left out",
        table((Column("symbol"), Column("why")), rows) if rows else None,
        element("p", f"and {more:,} more", class_="more") if more > 0 else None,
    )


def warnings(report: Report) -> Element | None:
    """Return the problems that did not stop the run."""
    return section("Warnings", listed(report.warnings, MOST_LISTED, data))


def findings(report: Report) -> Element | None:
    """Return what in the data is probably not as its owner thinks."""
    return section("Findings", *map(_finding, report.findings[:MOST_LISTED]))


def _finding(finding: Finding) -> Element:
    examples = [", ".join(f"{name} {_value(value)}" for name, value in one.items()) for one in finding.examples]
    return element(
        "div",
        element("code", data(finding.code)),
        element("p", data(finding.sentence)),
        listed(examples, MOST_LISTED, data),
        element("p", data(finding.help), class_="note"),
        class_="finding",
    )


def _value(value: str | int | float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def stages(report: Report) -> Element | None:
    """Return where the time went: of the run by stage, and within its tasks."""
    of_run = dict([item for item in report.seconds.items() if item[0] != "total"][:MOST_SHARES])
    of_tasks = dict(list(report.worker_seconds.items())[:MOST_SHARES])
    return section(
        "Where the time went",
        shares(of_run, "the run") if of_run else None,
        element("h3", "Within the tasks, added up") if of_tasks else None,
        shares(of_tasks, "the tasks") if of_tasks else None,
    )


def slowest_tasks(report: Report) -> Element | None:
    """Return the tasks that took longest."""
    ran = [
        (task.end - task.start, task)
        for task in report.timeline.tasks
        if task.end is not None and task.start is not None
    ]
    if len(ran) < 2:
        return None
    ran.sort(key=lambda entry: -entry[0])
    rows = [_task_row(*entry) for entry in ran[:MOST_TASKS]]
    has_retries = any(row[-1] for row in rows)
    columns = _TASK_COLUMNS if has_retries else _TASK_COLUMNS[:-1]
    return section("Slowest tasks", table(columns, [row[: len(columns)] for row in rows]))


def _task_row(seconds: float, task: TaskRecord) -> Sequence[Node]:
    return (
        f"{task.number:,}", f"{task.worker}", duration(seconds), _symbols(task), f"{task.rows:,}",
        f"{task.rows / seconds:,.0f}" if seconds > 0 else "", mib(task.bytes_written), mib(task.peak_bytes),
        f"{task.retries:,}" if task.retries else "",
    )  # fmt: skip


def _symbols(task: TaskRecord) -> Element:
    if task.symbols == 1:
        return data(task.first_symbol)
    to, count = element("span", " to ", class_="soft"), element("span", f" ({task.symbols:,})", class_="soft")
    return element("span", data(task.first_symbol), to, data(task.last_symbol), count)


def data_read(report: Report) -> Element | None:
    """Return what was read, as what, and what is wrong with its values."""
    quality = [
        (f"{count:,}", QUALITY_WORDS.get(name, name.replace("_", " ")))
        for name, count in report.quality.items()
        if count
    ]
    known = report.first_date is not None
    return section(
        "Data",
        facts(
            [
                ("dates", data(dates(report.first_date, report.last_date, report.sessions_a_week)) if known else None),
                ("roles", data(roles_in_words(report.roles))),
                ("read as", listed(report.notes, MOST_LISTED, data)),
                ("layout", data(report.layout)),
                ("quality", _counts(quality) or "nothing unusual"),
                ("dropped", listed(dropped_lines(report), MOST_LISTED, data)),
                ("intraday", data(intraday_line(report)) if report.intraday_rows else None),
            ]
        ),
        _skipped(report.skipped),
    )


def _counts(rows: Sequence[tuple[str, str]]) -> Element | None:
    return listed([f"{count} {what}" for count, what in rows], MOST_LISTED, data)


def _skipped(skipped: Sequence[Skipped]) -> Element | None:
    """Return the files that are not read, by reason."""
    if not skipped:
        return None
    by_reason: dict[str, list[str]] = {}
    for entry in skipped:
        by_reason.setdefault(entry.reason, []).append(entry.path)
    groups = [
        element(
            "details",
            element("summary", f"{len(paths):,} not read: ", data(reason)),
            listed(paths, MOST_LISTED, data),
            open="" if len(paths) <= 5 else None,
        )
        for reason, paths in list(by_reason.items())[:MOST_LISTED]
    ]
    return element("div", element("h3", "Files that are not read"), *groups)


def decisions(report: Report) -> Element | None:
    """Return how the work was cut and bounded, and why."""
    limits = ", ".join(f"{name}: {limit:,}" for name, limit in list(report.worker_limits.items())[:MOST_LISTED])
    return section(
        "Decisions",
        facts(
            [
                ("strategy", data(f"{report.strategy}: {report.strategy_reason}")),
                ("fragments", data(report.partition_reason)),
                ("workers", data(f"{report.workers:,}, limited by {report.workers_reason} ({limits})")),
                ("memory", data(f"budget {mib(report.budget_bytes)} ({report.budget_reason})")),
                ("peaks", _peaks(report)),
                ("bytes", _bytes(report)),
            ]
        ),
    )


def _peaks(report: Report) -> str:
    peaks = report.peak_bytes
    worker = peaks.get("largest_worker", 0)
    return f"parent {mib(peaks.get('parent', 0))}" + (f", largest worker {mib(worker)}" if worker else "")


def _bytes(report: Report) -> str:
    partitioned = f", partitioned {mib(report.bytes_partitioned)}" if report.bytes_partitioned else ""
    return (
        f"read {mib(report.bytes_read)}{partitioned}, written {mib(report.bytes_written)}, saved by narrower types "
        f"{mib(report.bytes_saved)}"
    )


def settings(report: Report) -> Element | None:
    """Return the settings that were given, and where each came from."""
    rows = [
        (data(name), _setting(given.value), data(given.source))
        for name, given in list(report.settings.items())[:MOST_LISTED]
    ]
    return section(
        "Settings", table((Column("setting"), Column("value"), Column("from", False, True)), rows) if rows else None
    )


def _setting(value: object) -> Node:
    if isinstance(value, list):
        return listed([one if isinstance(one, str) else json.dumps(one) for one in value], MOST_LISTED, data) or "none"
    return data(value if isinstance(value, str) else json.dumps(value))
