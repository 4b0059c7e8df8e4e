"""The head of the page: what was built, how it ended, and the figures that are looked at first."""

from __future__ import annotations

from collections.abc import Iterator

from weekly_cli.cli.page.charts import Axis
from weekly_cli.cli.page.elements import Element, Node, element
from weekly_cli.cli.page.words import data, duration
from weekly_cli.cli.views.layout import mib
from weekly_cli.run.report import Report


def head(report: Report) -> Element:
    """Return the page's heading."""
    return element(
        "header",
        element("p", "weekly-cli build", class_="note"),
        element("h1", data(report.output)),
        element("p", *_origin(report), class_="note"),
        element("ul", *_states(report), class_="states"),
    )


def _origin(report: Report) -> Iterator[Node]:
    given = report.settings.get("input")
    names = [] if given is None else given.value if isinstance(given.value, list) else [given.value]
    if names:
        yield "from "
        yield data(names[0])
        yield f" and {len(names) - 1:,} more, " if names[1:] else ", "
    yield data(report.timeline.started.replace("T", " ").replace("+00:00", " UTC"))
    yield f", {duration(report.seconds.get('total', 0.0))}, weekly-cli "
    yield data(report.version)


def _states(report: Report) -> Iterator[Element]:
    if report.rejected:
        yield element("li", f"{_count(len(report.rejected), 'symbol')} left out", class_="bad")
    else:
        yield element("li", "complete", class_="good")
    if report.warnings:
        yield element("li", _count(len(report.warnings), "warning"), class_="warn")
    if report.findings:
        yield element("li", _count(len(report.findings), "finding"), class_="warn")
    if report.skipped:
        yield element("li", f"{_count(len(report.skipped), 'file')} not read", class_="warn")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what if number == 1 else what + 's'}"


def tiles(report: Report) -> Element:
    """Return the figures that are looked at first."""
    peak, budget = report.peak_bytes.get("all", 0), report.budget_bytes
    total = report.seconds.get("total", 0.0)
    workers = "1 process" if report.strategy == "direct" else _count(report.workers, "worker")
    return element(
        "div",
        _rows(report),
        _tile("symbols", f"{report.symbols:,}", f"{report.symbols_per_second:,.0f} a second"),
        _tile("weekly bars", f"{report.weeks:,}", f"{report.sessions_a_week:.1f} sessions a week"),
        _tile("columns", f"{report.columns:,}", f"{report.features:,} features"),
        _tile("time", duration(total), f"{_count(report.tasks, 'task')}, {workers}"),
        _tile("peak memory", mib(peak), f"of {mib(budget)}", peak / max(1, budget)),
        _tile("CPU use", f"{report.cpu_use:.0%}", f"of {workers}, while tasks ran"),
        _tile("output", mib(report.bytes_written), f"input {mib(report.bytes_read)}"),
        class_="tiles",
    )


def _rows(report: Report) -> Element:
    speed = f"{report.rows_per_second:,.0f} a second"
    if report.table == "weekly":
        return _tile("weekly rows", f"{report.rows:,}", f"of {report.daily_rows:,} daily rows, {speed}")
    return _tile("daily rows", f"{report.rows:,}", speed)


def _tile(name: str, figure: str, beside: str, share: float | None = None) -> Element:
    meter = None
    if share is not None:
        bar = element("rect", **Axis(1.0).bar(0.0, share, height=4, rx=2), class_="hue3")
        meter = element("svg", element("rect", width="100%", height=4, rx=2, class_="back"), bar, height=4)
    return element(
        "dl",
        element("dt", name),
        element("dd", figure, class_="figure"),
        element("dd", beside, meter),
        class_="tile",
    )
