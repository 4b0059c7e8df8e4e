"""What happened when: the stages, a lane of tasks for each worker, and the memory, along one axis of time."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from weekly_cli.cli.page.charts import Axis, stage_strip
from weekly_cli.cli.page.elements import Element, Lines, element
from weekly_cli.cli.page.words import duration, shortened, sizes
from weekly_cli.cli.views.layout import mib
from weekly_cli.run.report import Report
from weekly_cli.run.timeline import MemorySample, TaskRecord

#: Bars and lanes that a browser draws at once, and that eyes can tell apart. A page stays below two megabytes.
MOST_BARS, MOST_LANES, MOST_STAGES = 2_000, 64, 20
MOST_SAMPLES = 500
_LANE, _BAR = 22, 16
_MEMORY_HEIGHT = 110
#: The budget is drawn if the peak is at least this share of it; else the memory would be a flat line.
_LEAST_SHARE = 0.25
#: Samples overlap by this share of the width: rounded to pixels, neighbours would leave gaps.
_OVERLAP = 0.0008


@dataclass(frozen=True)
class _Ran:
    """A task with its times."""

    task: TaskRecord
    start: float
    end: float


def over_time(report: Report) -> Element:
    """Return the section that shows what happened when."""
    line = report.timeline
    lanes = _lanes(line.tasks)
    stages = line.stages[:MOST_STAGES]
    ends = [entry.end for lane in lanes.values() for entry in lane] + [stage.end for stage in stages]
    axis = Axis(max([*ends, *(sample.at for sample in line.memory), 1e-3]))
    drawn = dict(list(lanes.items())[:MOST_LANES])
    together = -(-sum(map(len, drawn.values())) // MOST_BARS)
    rows: list[Element] = [
        element("ul", element("li", "stages"), class_="soft"), stage_strip(stages, axis),
        *_tasks(report, drawn, axis, max(1, together)),
        element("span"), axis.labels(),
        element("div", class_="gap"),
        *_memory(report, axis),
    ]  # fmt: skip
    notes = [_pool(report), *_limits(report, len(lanes), together)]
    return element(
        "section",
        element("h2", "Workers and memory over time"),
        element("p", " ".join(notes), class_="note"),
        element("div", *rows, class_="drawing"),
    )


def _lanes(tasks: Sequence[TaskRecord]) -> Mapping[int, Sequence[_Ran]]:
    """Return the tasks of each worker in the order of their starts."""
    lanes: dict[int, list[_Ran]] = {}
    for task in tasks:
        if task.worker is not None and task.start is not None and task.end is not None:
            lanes.setdefault(task.worker, []).append(_Ran(task, task.start, task.end))
    return {worker: sorted(lanes[worker], key=lambda entry: entry.start) for worker in sorted(lanes)}


def _pool(report: Report) -> str:
    if report.strategy == "direct":
        return "All is done in one process, without workers."
    return (
        f"{report.tasks:,} tasks, {report.workers:,} at a time, limited by {shortened(report.workers_reason)}. A bar "
        "is a task; point at it for its symbols, rows and memory."
    )


def _limits(report: Report, n_lanes: int, together: int) -> Iterator[str]:
    """Yield what is not drawn, or drawn in another way."""
    if together > 1:
        yield f"There are too many to draw each: a bar is up to {together:,} tasks of a worker in a row."
    if report.timeline.tasks_left_out:
        yield f"The {report.timeline.tasks_left_out:,} shortest tasks are not in the report."
    if n_lanes > MOST_LANES:
        yield f"The first {MOST_LANES} of {n_lanes:,} workers are drawn."
    resumed = [task for task in report.timeline.tasks if task.state == "resumed"]
    if resumed:
        rows = sum(task.rows for task in resumed)
        yield f"{len(resumed):,} tasks with {rows:,} rows were done by an earlier run and have no times."
    if any(task.retries for task in report.timeline.tasks):
        yield "Tasks that ran again after a failure are orange; what replaced a dead worker has a number of its own."


# ---- lanes -----------------------------------------------------------------------------------------------


def _tasks(report: Report, lanes: Mapping[int, Sequence[_Ran]], axis: Axis, together: int) -> Iterator[Element]:
    names = [element("li", *_lane_name(report, worker, lane)) for worker, lane in lanes.items()]
    bars = [bar for place, lane in enumerate(lanes.values()) for bar in _bars(lane, axis, together, place * _LANE + 3)]
    yield element("ul", *names, class_="lanes")
    yield element("svg", *axis.grid(), *bars, height=_LANE * len(lanes), role="img", aria_label="tasks of each worker")


def _lane_name(report: Report, worker: int, lane: Sequence[_Ran]) -> Iterator[Element | str]:
    if report.strategy == "direct":
        yield "process"
        return
    yield element("span", "worker ", class_="minor")
    yield f"{worker}"
    began, ended = lane[0].start, lane[-1].end
    busy = sum(entry.end - entry.start for entry in lane) / max(1e-9, ended - began)
    yield element("span", f" {min(1.0, max(0.0, busy)):.0%}", class_="soft")


def _bars(lane: Sequence[_Ran], axis: Axis, together: int, y: int) -> Iterator[Element]:
    for number, first in enumerate(range(0, len(lane), together)):
        entries = lane[first : first + together]
        again = any(entry.task.retries for entry in entries)
        colour = "again" if again else "other" if number % 2 else "task"
        yield element(
            "rect",
            element("title", _title(entries[0]) if len(entries) == 1 else _title_of_several(entries)),
            **axis.bar(entries[0].start, entries[-1].end, y=y, height=_BAR, rx=2),
            class_=colour,
        )


def _title(entry: _Ran) -> Lines:
    task = entry.task
    symbols = (task.first_symbol,) if task.symbols == 1 else (task.first_symbol, task.last_symbol)
    lines = [
        f"task {task.number:,} on worker {task.worker}: {duration(entry.end - entry.start)}",
        f"{task.rows:,} rows, {task.symbols:,} {'symbol' if task.symbols == 1 else 'symbols'}",
        *(f"{word} {shortened(symbol)}" for word, symbol in zip(("from", "to"), symbols, strict=False)),
        f"part {mib(task.bytes_written)}, worker's peak {mib(task.peak_bytes)}",
        f"from {entry.start:.3f} to {entry.end:.3f} s",
    ]
    if task.retries:
        lines.append(f"after {task.retries:,} {'failure' if task.retries == 1 else 'failures'}")
    return Lines(tuple(lines))


def _title_of_several(entries: Sequence[_Ran]) -> Lines:
    tasks = [entry.task for entry in entries]
    return Lines(
        (
            f"{len(tasks):,} tasks on worker {tasks[0].worker}: "
            f"{duration(sum(entry.end - entry.start for entry in entries))} of "
            f"{duration(entries[-1].end - entries[0].start)}",
            f"{sum(task.rows for task in tasks):,} rows, {sum(task.symbols for task in tasks):,} symbols",
            f"from {shortened(tasks[0].first_symbol)}",
            f"to {shortened(tasks[-1].last_symbol)}",
            f"worker's peak {mib(max(task.peak_bytes for task in tasks))}",
        )
    )


# ---- memory ----------------------------------------------------------------------------------------------


def _memory(report: Report, axis: Axis) -> Iterator[Element]:
    """Yield the memory's scale and its drawing: a bar a sample, the parent below, the workers on it."""
    samples = report.timeline.memory[:MOST_SAMPLES]
    if not samples:
        yield element("ul", element("li", "memory"), class_="soft")
        yield element("p", "It is looked at twice a second, and this run took less.", class_="note")
        return
    peak = max(sample.parent_bytes + sample.worker_bytes for sample in samples)
    has_budget = peak >= _LEAST_SHARE * report.budget_bytes
    marks = sizes(max(peak, report.budget_bytes) if has_budget else peak)
    top = marks[-1]
    drawn = [bar for first, sample in _spans(samples) for bar in _sample_bars(first, sample, axis, top)]
    if has_budget:
        y = _height(top - report.budget_bytes, top)
        drawn.append(element("line", x1=0, x2="100%", y1=y, y2=y, class_="budget"))
    yield element("ul", *(element("li", mib(size) if size else "0") for size in reversed(marks)), class_="scale")
    lines = [element("line", x1=0, x2="100%", y1=y, y2=y, class_="grid") for y in _heights(marks)]
    yield element("svg", *axis.grid(), *lines, *drawn, height=_MEMORY_HEIGHT, role="img", aria_label="memory over time")
    yield element("span")
    yield _memory_legend(report, has_budget)


def _spans(samples: Sequence[MemorySample]) -> Iterator[tuple[float, MemorySample]]:
    """Yield each sample with the time from which its bar goes, that of the sample before."""
    gaps = [after.at - before.at for before, after in itertools.pairwise(samples)] or [samples[0].at]
    before = max(0.0, samples[0].at - min(gaps))
    for sample in samples:
        yield min(before, sample.at), sample
        before = sample.at


def _sample_bars(first: float, sample: MemorySample, axis: Axis, top: float) -> Iterator[Element]:
    title = element(
        "title",
        Lines(
            (
                f"at {sample.at:.1f} s: {mib(sample.parent_bytes + sample.worker_bytes)}",
                f"parent {mib(sample.parent_bytes)}, workers {mib(sample.worker_bytes)}",
            )
        ),
    )
    parent, workers = (_height(size, top) for size in (sample.parent_bytes, sample.worker_bytes))
    end = sample.at + _OVERLAP * axis.total
    yield element(
        "rect",
        title,
        **axis.bar(first, end, y=_MEMORY_HEIGHT - parent, height=parent),
        class_="hue5 sharp sample",
    )
    if sample.worker_bytes > 0:
        yield element(
            "rect",
            title,
            **axis.bar(first, end, y=_MEMORY_HEIGHT - parent - workers, height=workers),
            class_="hue3 sharp sample",
        )


def _heights(marks: Sequence[int]) -> list[float]:
    return [_height(marks[-1] - size, marks[-1]) for size in marks]


def _height(size: float, top: float) -> float:
    return round(_MEMORY_HEIGHT * max(0.0, size) / top, 2)


def _memory_legend(report: Report, has_budget: bool) -> Element:
    def entry(colour: str, text: str) -> Element:
        swatch = element("svg", element("rect", width=12, height=12, rx=2, class_=colour), class_="swatch")
        return element("li", swatch, text)

    line = element("svg", element("line", x1=0, x2=12, y1=6, y2=6, class_="budget"), class_="swatch")
    budget = f"budget {mib(report.budget_bytes)}"
    return element(
        "ul",
        entry("hue5", "this process"),
        entry("hue3", "workers and their helpers") if report.strategy != "direct" else None,
        element("li", line, budget) if has_budget else element("li", f"far below the {budget}", class_="soft"),
        class_="legend",
    )
