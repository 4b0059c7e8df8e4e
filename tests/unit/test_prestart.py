"""The pool that starts before this process has imported what it needs: only where there is no doubt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from frames import daily, environment, in_order, lives, read, start_cli, wait_for, write

from weekly_cli.run.engines import pool, prestart
from weekly_cli.run.resources import Resources
from weekly_cli.settings import Config


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file of the size that tells, which takes no room on the disk."""
    path = tmp_path / "prices.parquet"
    path.touch()
    os.truncate(path, prestart._ENOUGH_BYTES)
    return path


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of workers that pools were asked for; eight cores, and as many GiB as needed."""
    found: list[int] = []
    monkeypatch.setattr(pool, "Pool", lambda workers, *_: found.append(workers))
    monkeypatch.setattr("weekly_cli.run.resources.probe", lambda: Resources(8, "cores", 2**36, "host"))
    return found


@pytest.mark.parametrize(("jobs", "workers"), [(-1, 8), (-2, 7), (3, 3), (100, 8)])
def test_large_files_get_a_pool_of_all_workers(large: Path, started: list[int], jobs: int, workers: int) -> None:
    prestart.pool_ahead(Config(input=(str(large),), jobs=jobs))
    prestart.pool_ahead(Config(input=(str(large.parent),), jobs=jobs))
    assert started == [workers, workers]


@pytest.mark.parametrize(
    "settings",
    [
        {"strategy": "direct"},
        {"memory_limit": 2**40},
        {"symbols": ("AAA", "BBB")},
        {"max_symbols": 10},
        {"input": ("nothing/here",)},
        {"input": ("a*b\0",)},
        {"input": ("~nobody/at",)},
    ],
    ids=str,
)
def test_where_in_doubt_no_pool_is_started(large: Path, started: list[int], settings: dict[str, object]) -> None:
    assert prestart.pool_ahead(Config(**{"input": (str(large),)} | settings)) is None  # type: ignore[arg-type]
    assert not started


def test_many_symbols_get_a_pool_like_all(large: Path, started: list[int]) -> None:
    prestart.pool_ahead(Config(input=(str(large),), symbols=tuple(f"S{number}" for number in range(400))))
    prestart.pool_ahead(Config(input=(str(large),), max_symbols=400))
    assert started == [8, 8]


def test_small_files_get_no_pool(large: Path, started: list[int]) -> None:
    os.truncate(large, prestart._ENOUGH_BYTES - 1)
    assert prestart.pool_ahead(Config(input=(str(large),))) is None
    assert not started


def test_little_memory_gets_no_pool(large: Path, started: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weekly_cli.run.resources.probe", lambda: Resources(8, "cores", 2**32, "host"))
    assert prestart.pool_ahead(Config(input=(str(large),))) is None
    assert not started


def test_starting_a_pool_ahead_imports_no_arrow() -> None:
    """Or the workers would have to wait for that."""
    engines = "weekly_cli.run.engines.prestart, weekly_cli.run.engines.pool"
    script = f"import sys, {engines}; sys.exit('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], env=environment(), check=False).returncode == 0


def test_a_build_of_large_files_that_are_broken_ends_and_leaves_no_process(large: Path, tmp_path: Path) -> None:
    with start_cli("build", large, "--output", tmp_path / "out") as process:
        assert wait_for(lambda: len(psutil.Process(process.pid).children()) >= 2, 20), "no pool has been started"
        workers = psutil.Process(process.pid).children(recursive=True)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert str(large) in said
    assert wait_for(lambda: not any(map(lives, workers)), 2)
    assert [path.name for path in tmp_path.iterdir()] == [large.name]


@pytest.mark.soak
def test_a_pool_that_was_not_needed_changes_nothing(tmp_path: Path) -> None:
    """Large for something else than rows: the plan decides, and what was started ends."""
    prices = write(daily(), tmp_path / "in/prices.parquet")
    (tmp_path / "in/notes.txt").touch()
    os.truncate(tmp_path / "in/notes.txt", prestart._ENOUGH_BYTES)
    with start_cli("build", prices.parent, "--output", tmp_path / "out") as process:
        _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert "direct" in said
    assert in_order(read(tmp_path / "out")).num_rows == daily().num_rows
