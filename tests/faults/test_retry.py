"""A task that fails is halved until its symbol stands alone; a worker that dies makes suspects, not culprits."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from frames import MODULES, at_work, build, daily, names_beside, read, report_here, run_words, write
from poisons import POISONS, Poisoned, slow
from rounds import soaked

import weekly_cli
from weekly_cli.errors import EXIT_SYMBOLS_FAILED, SymbolsFailed
from weekly_cli.events import RunWarning
from weekly_cli.files import markers
from weekly_cli.run import resources
from weekly_cli.run.engines import Cause, Failed
from weekly_cli.run.report import Report
from weekly_cli.run.retry import TaskRetrier
from weekly_cli.run.task import Outcome, Task
from weekly_cli.settings import from_python, resolve

SYMBOLS = [f"S{number:02d}" for number in range(24)]
FEW = "w_close,w_ret"


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(SYMBOLS, order="symbol"), tmp_path_factory.mktemp("prices") / "prices.parquet")


@pytest.fixture(scope="module")
def undisturbed(prices: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return build(prices, tmp_path_factory.mktemp("undisturbed") / "out", features=FEW)


@pytest.fixture(autouse=True)
def tasks_of_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weekly_cli.run.cuts.LEAST_TASK_ROWS", 1)
    monkeypatch.setattr("weekly_cli.run.cuts._TASKS_PER_WORKER", 4)


def poisoned(
    prices: Path, output: Path, monkeypatch: pytest.MonkeyPatch, poisons: Mapping[str, str], **settings: object
) -> Report:
    monkeypatch.setattr("weekly_cli.run.fan_out.run_task", Poisoned(poisons))
    given = {"jobs": 2, "strategy": "batched", "task_timeout": 1.0, "memory_limit": "700MiB", "features": FEW}
    return weekly_cli.build(prices, output, **given | settings)


def without(table: pa.Table, symbols: Iterator[str] | list[str]) -> pa.Table:
    gone = set(symbols)
    return table.filter(pa.array([symbol not in gone for symbol in table.column("symbol").to_pylist()]))


def blamed(poisons: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((symbol, POISONS[kind][1]) for symbol, kind in poisons.items()))


#: For the soak: three that kill the process, which are tried together below, and one that is in a control group too.
ALIKE = ("SIGKILL", "os._exit", "abort", "endless memory")


@pytest.mark.parametrize("kind", soaked([kind for kind in POISONS if kind not in ALIKE], ALIKE))
def test_one_poisonous_symbol_is_left_out(
    kind: str, prices: Path, undisturbed: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patience = 1.0 if kind == "a hang" else 60.0  # who takes all memory may be slow at it
    report = poisoned(prices, tmp_path / "out", monkeypatch, {"S17": kind}, task_timeout=patience)
    assert report.rejected == blamed({"S17": kind})
    assert report.exit_code == EXIT_SYMBOLS_FAILED
    assert report.symbols == 23
    assert any("S17" in trouble for trouble in report.warnings)
    assert read(tmp_path / "out").equals(without(undisturbed, ["S17"]))
    assert names_beside(tmp_path / "out") == ["out"]


@pytest.mark.soak
@pytest.mark.parametrize(
    "poisons",
    soaked(
        [{"S01": "SIGKILL", "S02": "os._exit", "S23": "abort"}],
        [
            {"S05": "endless memory", "S18": "a hang", "S22": "sys.exit"},
            {"S00": "SIGKILL", "S19": "SIGKILL", "S20": "SIGKILL"},
        ],
    ),
    ids=str,
)
def test_three_poisonous_symbols_are_left_out(
    poisons: Mapping[str, str], prices: Path, undisturbed: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who takes all memory may be slow at it, and be taken for hung."""
    report = poisoned(prices, tmp_path / "out", monkeypatch, poisons)
    rejected = dict(report.rejected)
    assert rejected.keys() == poisons.keys()
    for symbol, kind in poisons.items():
        slow = [POISONS["a hang"][1]] if kind == "endless memory" else []
        assert rejected[symbol] in [POISONS[kind][1], *slow]
    assert read(tmp_path / "out").equals(without(undisturbed, list(poisons)))


def test_in_this_process_a_symbol_that_raises_is_left_out(
    prices: Path, undisturbed: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisons = {"S17": "an exception"}
    report = poisoned(prices, tmp_path / "out", monkeypatch, poisons, strategy="direct", task_timeout=None)
    assert report.rejected == blamed(poisons)
    assert read(tmp_path / "out").equals(without(undisturbed, poisons))


def test_strict_publishes_nothing(prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = build(prices, tmp_path / "out", features="w_close")
    with pytest.raises(SymbolsFailed, match=r"1 symbols failed \(first: S17: ArithmeticError: a poisonous symbol\)"):
        poisoned(prices, tmp_path / "out", monkeypatch, {"S17": "an exception"}, strict=True)
    assert read(tmp_path / "out").equals(old)
    monkeypatch.undo()
    assert weekly_cli.build(prices, tmp_path / "out", strategy="batched", strict=True).rejected == ()
    assert names_beside(tmp_path / "out") == ["out"]


def test_a_bug_that_fails_every_symbol_is_no_fault_of_theirs(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = dict.fromkeys(SYMBOLS, "an exception")
    with pytest.raises(RuntimeError, match="every symbol fails: ArithmeticError: a poisonous symbol"):
        poisoned(prices, tmp_path / "out", monkeypatch, everything, strategy="direct", task_timeout=None)
    assert list(tmp_path.iterdir()) == []


def last_started(folder: Path) -> markers.StartMarker | None:
    written: list[tuple[int, str]] = []
    for path in at_work(folder, "*.begun"):
        with contextlib.suppress(FileNotFoundError):  # its run has ended
            written.append((path.stat().st_mtime_ns, str(path.with_suffix(".parquet"))))
    return markers.read_start_marker(max(written)[1]) if written else None


def test_who_kills_a_worker_from_outside_makes_no_symbol_guilty(
    prices: Path, undisturbed: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that began last is killed as soon as there is another part, up to three times."""
    kills: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while len(kills) < 3 and not ended.is_set():
            if len(at_work(tmp_path, "part-*.parquet")) > len(kills):
                latest = last_started(tmp_path)
                if latest is not None and psutil.pid_exists(latest.process):
                    os.kill(latest.process, signal.SIGKILL)
                    kills.append(latest.process)
            time.sleep(0.005)

    killer = threading.Thread(target=kill)
    killer.start()
    monkeypatch.setattr("weekly_cli.run.fan_out.run_task", slow)
    report = weekly_cli.build(prices, tmp_path / "out", jobs=2, strategy="batched", features=FEW)
    ended.set()
    killer.join()
    assert kills
    assert report.rejected == ()
    assert report.warnings
    assert read(tmp_path / "out").equals(undisturbed)


class Dying:
    """An engine whose workers die of what `deadly` says, with a memory of what it was asked for."""

    def __init__(self, deadly: Callable[[Dying, Task], Cause | None], workers: int = 4) -> None:
        self.workers, self.deadly = workers, deadly
        self.asked: list[tuple[int, int]] = []

    def run_tasks(self, tasks: list[Task], run: Callable[[Task], Outcome]) -> Iterator[Outcome | Failed]:
        self.asked.append((self.workers, len(tasks)))
        broken = False
        for task in tasks:
            cause = Cause.UNFINISHED if broken else self.deadly(self, task)
            broken |= cause is not None
            yield Failed(task, cause, str(cause)) if cause else run(task)

    def resize(self, workers: int) -> None:
        self.workers = workers


def planned(prices: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Task]:
    """The tasks of a run: 8 of 3 symbols."""
    caught: list[Task] = []

    def catch(tasks: list[Task], *_: object) -> NoReturn:
        caught.extend(tasks)
        raise RuntimeError("caught")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="caught"):
        patched.setattr("weekly_cli.run.pipeline.fan_out", catch)
        report_here(prices, tmp_path / "planned", jobs=2, strategy="batched")
    return caught


def noted(task: Task) -> Outcome:
    return Outcome(task.number, part=task.part, symbols=len(task.symbols))


def test_lack_of_memory_halves_workers_and_tasks_and_blames_nobody(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system kills while more than one worker runs tasks of more than one symbol."""
    warnings: list[object] = []
    tasks = planned(prices, monkeypatch, tmp_path)
    too_much = Dying(lambda engine, task: Cause.NO_MEMORY if engine.workers * len(task.symbols) > 3 else None)
    done = list(TaskRetrier(too_much, noted, warnings.append).outcomes(tasks))  # type: ignore[arg-type]
    assert sum(outcome.symbols for outcome in done) == 24
    assert not any(outcome.rejected for outcome in done)
    assert [workers for workers, _ in too_much.asked] == [4, 2, 1]
    assert len(warnings) == 2
    assert all(isinstance(trouble, RunWarning) for trouble in warnings)


def test_a_symbol_whose_worker_dies_once_is_not_left_out(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every task that has it dies until it is alone, and there the first time: the cause may be from outside."""
    alone: list[int] = []

    def deadly(_: Dying, task: Task) -> Cause | None:
        if "S17" not in task.symbols.to_pylist():
            return None
        if len(task.symbols) == 1:
            alone.append(task.number)
        return Cause.DIED if len(alone) < 2 else None

    tasks = planned(prices, monkeypatch, tmp_path)
    done = list(TaskRetrier(Dying(deadly), noted, lambda _: None).outcomes(tasks))  # type: ignore[arg-type]
    assert len(alone) == 2
    assert sum(outcome.symbols for outcome in done) == 24
    assert not any(outcome.rejected for outcome in done)


def test_workers_that_never_live_are_no_symbols_fault(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = Dying(lambda *_: Cause.UNFINISHED)
    with pytest.raises(RuntimeError, match="worker processes die whatever they do"):
        list(TaskRetrier(never, noted, lambda _: None).outcomes(planned(prices, monkeypatch, tmp_path)))
    assert len(never.asked) < 50


def test_kills_for_lack_of_memory_are_told_from_others(
    prices: Path, undisturbed: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the counter alone: the first death is such a one, the others are not."""
    counts = iter([0, 1])
    monkeypatch.setattr(resources, "memory_kills", lambda: next(counts, 1))
    report = poisoned(prices, tmp_path / "out", monkeypatch, {"S17": "SIGKILL"})
    assert report.rejected == blamed({"S17": "SIGKILL"})
    assert report.warnings[0].startswith("the system killed its worker process for lack of memory: ")
    assert report.warnings[1].startswith("its worker process died: ")
    assert read(tmp_path / "out").equals(without(undisturbed, ["S17"]))


def test_a_run_that_died_in_its_own_process_is_done_in_a_pool(
    prices: Path, undisturbed: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small data is worked on in the command's own process, and a symbol that kills it would do so again."""
    script = (
        "import poisons, sys\nfrom weekly_cli.run import fan_out, pipeline\n"
        "fan_out.run_task = poisons.Poisoned({'S17': 'SIGKILL'})\n"
        f"report = pipeline.build(sys.argv[1], sys.argv[2], features={FEW!r})\n"
        "print(report.strategy, report.rejected)"
    )
    few = SYMBOLS[15:19]
    some = write(read(prices).filter(pc.field("symbol").isin(few)), tmp_path / "in" / "prices.parquet")
    words = [sys.executable, "-c", script, str(some), str(tmp_path / "out")]
    first, second = (run_words(words, env=MODULES) for _ in range(2))
    assert first.returncode == -signal.SIGKILL
    assert second.returncode == 0, second.stderr
    assert second.stdout == f"batched {blamed({'S17': 'SIGKILL'})}\n"
    assert read(tmp_path / "out").equals(
        without(undisturbed, [symbol for symbol in SYMBOLS if symbol == "S17" or symbol not in few])
    )


def test_a_timeout_needs_workers(prices: Path) -> None:
    with pytest.raises(weekly_cli.errors.UsageError, match="strategy direct has none"):
        resolve(from_python({"input": str(prices), "strategy": "direct", "task_timeout": 5}))
