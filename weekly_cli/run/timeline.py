"""When a run did what: its stages, its tasks on their workers, and its memory, in seconds since the run's start.

All times come from `time.monotonic`, in the workers too. On Linux this is CLOCK_MONOTONIC and on macOS the time since
the machine's start: one clock for all processes, so a worker's times and the parent's can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weekly_cli.run.part_names import part_span

if TYPE_CHECKING:
    from weekly_cli.dataset.scan import Scan
    from weekly_cli.run.plan import Plan
    from weekly_cli.run.resources import MemoryMeter
    from weekly_cli.run.stages import Stages
    from weekly_cli.run.task import Outcome

#: Tasks that a report lists, about 5 MB of JSON; a plan has some hundreds, except for `--strategy per-symbol`.
MOST_TASKS = 10_000
#: What became of a task: it ran; an earlier run had done it; its only symbol failed and is left out.
DONE, RESUMED, FAILED = "done", "resumed", "failed"


@dataclass(frozen=True)
class StageRecord:
    """A stage; start and end in seconds since the run's start."""

    name: str
    start: float
    end: float


@dataclass(frozen=True)
class TaskRecord:
    """A task that has ended.

    Attributes
    ----------
    number : int
        The task's number in the plan; the smaller tasks of a retry share it.
    state : {"done", "resumed", "failed"}
    worker : int or None
        Workers are counted from 1 in the order of their first task; a process that replaces a dead one has a new
        number. None, as are the times: an earlier run did it, or it failed.
    start, end : float or None
        Seconds since the run's start.
    rows, symbols, bars, bytes_written : int
        Daily rows, symbols and weekly bars of the task; the size of its part.
    first_symbol, last_symbol : str
    peak_bytes : int
        The largest resident size that its worker process had had when the task ended; 0 if it has no worker.
    retries : int
        How often it, or the task it was cut from, had failed or been cut off before.
    """

    number: int
    state: str
    worker: int | None
    start: float | None
    end: float | None
    rows: int
    symbols: int
    bars: int
    first_symbol: str
    last_symbol: str
    bytes_written: int
    peak_bytes: int
    retries: int


@dataclass(frozen=True)
class MemorySample:
    """What this process and its descendants held at a time, in seconds since the run's start; shared pages once."""

    at: float
    parent_bytes: int
    worker_bytes: int


@dataclass(frozen=True)
class Timeline:
    """When a run did what.

    Attributes
    ----------
    started : str
        The run's start by the wall clock: ISO 8601, UTC.
    tasks : tuple of TaskRecord
        In the order of their starts, those without times first.
    tasks_left_out : int
        Of more than 10,000 tasks those that ran at once and shortest are left out.
    memory : tuple of MemorySample
        At most 500; in a long run each is the largest of several samples.
    """

    started: str
    stages: tuple[StageRecord, ...]
    tasks: tuple[TaskRecord, ...]
    tasks_left_out: int
    memory: tuple[MemorySample, ...]


def make_timeline(scan: Scan, plan: Plan, outcomes: Sequence[Outcome], stages: Stages, meter: MemoryMeter) -> Timeline:
    """Return when a run did what."""
    origin = stages.started_at
    tasks = sorted(_tasks(scan, plan, outcomes, origin), key=lambda task: (task.start or 0.0, task.number))
    return Timeline(
        started=stages.started,
        stages=tuple(
            StageRecord(name, _since(origin, began), _since(origin, began + stages.seconds[name]))
            for name, began in stages.began.items()
        ),
        tasks=tuple(_most_telling(tasks)),
        tasks_left_out=max(0, len(tasks) - MOST_TASKS),
        memory=tuple(
            MemorySample(_since(origin, at), parent_bytes, worker_bytes)
            for at, parent_bytes, worker_bytes in tuple(meter.samples)
        ),
    )


def _tasks(scan: Scan, plan: Plan, outcomes: Sequence[Outcome], origin: float) -> Iterator[TaskRecord]:
    workers = _workers(outcomes)
    for outcome in outcomes:
        yield TaskRecord(
            number=outcome.number,
            state=FAILED if outcome.rejected else DONE if outcome.process else RESUMED,
            worker=workers.get(outcome.process),
            start=_since(origin, outcome.started_at) if outcome.started_at else None,
            end=_since(origin, outcome.ended_at) if outcome.ended_at else None,
            rows=outcome.rows,
            symbols=outcome.symbols,
            bars=outcome.bars,
            **_ends(scan, plan, outcome),
            bytes_written=outcome.bytes_written,
            peak_bytes=outcome.peak_bytes,
            retries=outcome.retries,
        )


def _since(origin: float, at: float) -> float:
    """Return seconds to the microsecond; what began just before the run did, began with it."""
    return round(max(0.0, at - origin), 6)


def _workers(outcomes: Sequence[Outcome]) -> Mapping[int, int]:
    """Return a small number for each process id, in the order of their first tasks."""
    ran = sorted((outcome.started_at, outcome.process) for outcome in outcomes if outcome.started_at is not None)
    return {process: number for number, process in enumerate(dict.fromkeys(process for _, process in ran), 1)}


def _ends(scan: Scan, plan: Plan, outcome: Outcome) -> dict[str, str]:
    """Return a task's first and last symbol."""
    if outcome.part is None:
        first = last = outcome.rejected[0][0] if outcome.rejected else ""
    else:
        begin, stop = part_span(outcome.part)
        first, last = (str(scan.symbols[int(plan.selected[place])].as_py()) for place in (begin, stop - 1))
    return {"first_symbol": first, "last_symbol": last}


def _most_telling(tasks: Sequence[TaskRecord]) -> Sequence[TaskRecord]:
    """Return the tasks, or of too many those that failed or ran again and the longest, in their order."""
    if len(tasks) <= MOST_TASKS:
        return tasks
    by_weight = sorted(
        range(len(tasks)),
        key=lambda place: (tasks[place].state != FAILED, -tasks[place].retries, -_seconds(tasks[place])),
    )
    return [tasks[place] for place in sorted(by_weight[:MOST_TASKS])]


def _seconds(task: TaskRecord) -> float:
    return 0.0 if task.start is None or task.end is None else task.end - task.start
