"""A task that fails is halved until its symbol stands alone; a worker that dies makes suspects, not culprits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import weekly_cli
from weekly_cli.errors import EXIT_SYMBOLS_FAILED
from weekly_cli.sample import write_sample
from weekly_cli.worker import Outcome, Task, run_task

POISON = "BRK/B"


def raises(task: Task) -> Outcome:
    """A feature that can't bear one symbol."""
    if POISON in task.symbols.to_pylist():
        raise ArithmeticError("a poisonous symbol")
    return run_task(task)


def dies(task: Task) -> Outcome:
    """A symbol that takes its worker with it."""
    if POISON in task.symbols.to_pylist():
        os._exit(9)
    return run_task(task)


def leaves(task: Task) -> Outcome:
    """A symbol that makes its worker exit in good order."""
    if POISON in task.symbols.to_pylist():
        raise SystemExit(3)
    return run_task(task)


def raises_always(task: Task) -> Outcome:
    """A bug that no symbol escapes."""
    raise ArithmeticError("nothing works")


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prices")
    write_sample(folder, symbols=40, years=1)
    return folder


@pytest.mark.parametrize(
    ("strategy", "run", "reason"),
    [
        ("direct", raises, "ArithmeticError: a poisonous symbol"),
        ("batched", raises, "ArithmeticError: a poisonous symbol"),
        ("batched", leaves, "SystemExit: 3"),
        ("adaptive", dies, "the worker process died"),
    ],
)
def test_only_the_poisonous_symbol_is_left_out(
    strategy: str,
    run: Callable[[Task], Outcome],
    reason: str,
    prices: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weekly_cli.build(prices, tmp_path / "undisturbed", jobs=2, strategy=strategy)
    monkeypatch.setattr("weekly_cli.pipeline.run_task", run)
    report = weekly_cli.build(prices, tmp_path / "out", jobs=2, strategy=strategy)
    assert report.rejected == ((POISON, reason),)
    assert report.exit_code == EXIT_SYMBOLS_FAILED
    assert report.symbols == 39
    whole = pq.read_table(tmp_path / "undisturbed")
    without = whole.filter([symbol != POISON for symbol in whole.column("symbol").to_pylist()])
    assert 0 < without.num_rows < whole.num_rows
    assert pq.read_table(tmp_path / "out").equals(without)


def test_a_bug_that_fails_every_symbol_is_no_fault_of_theirs(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weekly_cli.pipeline.run_task", raises_always)
    with pytest.raises(RuntimeError, match="nothing works"):
        weekly_cli.build(prices, tmp_path / "out", strategy="direct")
    assert list(tmp_path.iterdir()) == []
