"""When a run did what: times on one clock, workers by small numbers, and a bounded number of samples and tasks."""

from __future__ import annotations

import itertools
import json
import pickle
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from frames import daily, report_here, write

import weekly_cli
from weekly_cli.run import fan_out, timeline
from weekly_cli.run.report import REPORT_VERSION, Report
from weekly_cli.run.resources import MemoryMeter
from weekly_cli.run.task import Outcome, Task, run_task
from weekly_cli.run.timeline import StageRecord, TaskRecord

SYMBOLS = ["AAA", "BBB", "CCC", "DDD"]


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    return write(daily(SYMBOLS, 60), tmp_path / "prices.parquet")


def stage(report: Report, name: str) -> StageRecord:
    (found,) = (stage for stage in report.timeline.stages if stage.name == name)
    return found


def check_times(report: Report) -> None:
    """Stages follow each other; tasks ran within the fan-out, and on one worker one after the other."""
    stages, tasks = report.timeline.stages, report.timeline.tasks
    assert {entry.name: pytest.approx(entry.end - entry.start, abs=2e-6) for entry in stages} == {
        name: seconds for name, seconds in report.seconds.items() if name != "total"
    }
    assert all(before.end <= after.start + 2e-6 for before, after in itertools.pairwise(stages))
    within = stage(report, "fan out")
    by_worker: dict[int, list[TaskRecord]] = {}
    for task in tasks:
        assert task.worker is not None and task.start is not None and task.end is not None
        assert within.start <= task.start < task.end <= within.end
        by_worker.setdefault(task.worker, []).append(task)
    assert sorted(by_worker) == list(range(1, len(by_worker) + 1))
    for lane in by_worker.values():
        assert all((one.end or 0) <= (other.start or 0) for one, other in itertools.pairwise(lane))


def test_every_task_is_told_with_its_worker_and_its_times(tmp_path: Path, prices: Path) -> None:
    report = report_here(prices, tmp_path / "out", strategy="per-symbol")
    check_times(report)
    tasks = report.timeline.tasks
    assert [(task.number, task.first_symbol, task.last_symbol) for task in tasks] == [
        (number, symbol, symbol) for number, symbol in enumerate(SYMBOLS)
    ]
    assert {(task.state, task.worker, task.rows, task.symbols, task.retries) for task in tasks} == {
        ("done", 1, 60, 1, 0)
    }
    assert sum(task.bars for task in tasks) == report.weeks
    assert all(task.bytes_written > 0 and task.peak_bytes > 0 for task in tasks)


@pytest.mark.slow
def test_times_of_worker_processes_are_on_the_clock_of_the_parent(tmp_path: Path) -> None:
    prices = write(daily([f"S{number:02d}" for number in range(40)], 500), tmp_path / "prices.parquet")
    report = weekly_cli.build(prices, tmp_path / "out", strategy="per-symbol", jobs=2)
    check_times(report)
    assert {task.worker for task in report.timeline.tasks} == {1, 2}


def test_a_task_that_failed_and_its_halves_say_so(
    tmp_path: Path, prices: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(task: Task) -> Outcome:
        if "BBB" in task.symbols.to_pylist():
            raise FloatingPointError("no luck")
        return run_task(task)

    monkeypatch.setattr(fan_out, "run_task", fails)
    report = report_here(prices, tmp_path / "out", strategy="direct")
    found = {(task.first_symbol, task.last_symbol): (task.state, task.retries) for task in report.timeline.tasks}
    assert found == {("AAA", "AAA"): ("done", 2), ("BBB", "BBB"): ("failed", 2), ("CCC", "DDD"): ("done", 1)}
    (failed,) = (task for task in report.timeline.tasks if task.state == "failed")
    assert (failed.worker, failed.start, failed.end, failed.rows) == (None, None, None, 0)


def test_what_an_earlier_run_did_has_no_times(tmp_path: Path, prices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stops(task: Task) -> Outcome:
        if "CCC" in task.symbols.to_pylist():
            raise KeyboardInterrupt
        return run_task(task)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(fan_out, "run_task", stops)
        report_here(prices, tmp_path / "out", strategy="per-symbol")
    tasks = report_here(prices, tmp_path / "out", strategy="per-symbol").timeline.tasks
    assert [(task.first_symbol, task.state, task.worker, task.start is None) for task in tasks] == [
        ("AAA", "resumed", None, True),
        ("BBB", "resumed", None, True),
        ("CCC", "done", 1, False),
        ("DDD", "done", 1, False),
    ]
    assert [task.rows for task in tasks] == [60] * 4


def test_of_too_many_tasks_the_failed_the_repeated_and_the_longest_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = TaskRecord(0, "done", 1, 0.0, 1.0, 60, 1, 12, "A", "A", 100, 100, 0)
    tasks = [replace(plain, number=number, end=1.0 + number) for number in range(6)]
    tasks += [replace(plain, number=6, retries=1), replace(plain, number=7, state="failed", start=None, end=None)]
    monkeypatch.setattr(timeline, "MOST_TASKS", 4)
    assert [task.number for task in timeline._most_telling(tasks)] == [4, 5, 6, 7]


def test_an_outcome_stays_small(tmp_path: Path, prices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def weighed(task: Task) -> Outcome:
        outcome = run_task(task)
        sizes.append(len(pickle.dumps(outcome)))
        return outcome

    monkeypatch.setattr(fan_out, "run_task", weighed)
    report_here(prices, tmp_path / "out", strategy="per-symbol")
    assert len(sizes) == len(SYMBOLS) and max(sizes) < 2_000


def test_a_report_tells_its_version_and_the_settings_that_were_given(tmp_path: Path, prices: Path) -> None:
    report = report_here(prices, tmp_path / "out", week="W-SUN")
    told = json.loads(json.dumps(asdict(report)))
    assert told["report_version"] == REPORT_VERSION
    assert told["settings"] == {
        "input": {"value": str(prices), "source": "input"},
        "week": {"value": "W-SUN", "source": "week"},
        "output": {"value": str(tmp_path / "out"), "source": "output"},
        "jobs": {"value": 1, "source": "jobs"},
    }


@pytest.mark.parametrize("count", [1, 499, 500, 501, 1_000, 12_345])
def test_samples_of_a_long_run_are_thinned_and_the_peak_stays(count: int) -> None:
    meter = MemoryMeter()
    peak = count * 2 // 3
    for number in range(count):
        meter._keep((float(number), 10 + number % 7, 10**6 if number == peak else 20))
    kept = meter.samples
    assert min(count, 250) <= len(kept) <= 500
    assert meter.peak_bytes == max(parent + workers for _, parent, workers in kept) >= 10**6
    assert (float(peak), 10**6) in {(at, workers) for at, _, workers in kept}
    times = [at for at, _, _ in kept]
    assert times == sorted(times)
    widest = max((after - before for before, after in itertools.pairwise(times)), default=0)
    assert widest <= 4 * count / 500 + 1, "evenly over the time"


def test_samples_have_a_time_and_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryMeter, "_SECONDS", 0.02)
    began = time.monotonic()
    with MemoryMeter() as meter:
        while len(meter.samples) < 2 and time.monotonic() < began + 20:
            time.sleep(0.01)
    (at, parent_bytes, worker_bytes), *_ = meter.samples
    assert began <= at <= time.monotonic()
    assert parent_bytes > 10 * 2**20 and worker_bytes >= 0
