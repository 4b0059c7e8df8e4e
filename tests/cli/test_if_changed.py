"""`build --if-changed`: nothing is done where the output that stands is what a run would make, and only there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from frames import daily, report_here, run_cli, seen, write

from weekly_cli.dataset import footers
from weekly_cli.errors import InputRefused
from weekly_cli.run import fan_out, standing
from weekly_cli.run.task import Outcome, Task, run_task
from weekly_cli.settings import from_python, resolve

SYMBOLS = ["AAA", "BBB", "CCC", "OLD"]


class Case:
    """An input of two files, its maps, and the output that was built of it."""

    def __init__(self, folder: Path, output: str) -> None:
        self.folder, self.output = folder, folder / output
        self.prices = folder / "prices"
        table = daily(SYMBOLS, 40)
        for number in range(2):
            write(table.slice(number * 80, 80), self.prices / f"{number}.parquet")
        (folder / "sectors.csv").write_text("symbol,sector\nAAA,CCC\n")
        (folder / "renamed.csv").write_text("old,new,from\nOLD,NEW,2022-02-01\n")
        self.settings: dict[str, Any] = {
            "sector_map": str(folder / "sectors.csv"),
            "symbol_map": str(folder / "renamed.csv"),
            "strategy": "per-symbol",
            "features": "w_ret,relative",
            "benchmark": ["BBB"],
        }
        self.build()

    def build(self) -> None:
        report_here(self.prices, self.output, **self.settings)

    def outdated(self, **changed: Any) -> str | None:
        given = {"input": str(self.prices), "output": str(self.output), **self.settings, **changed}
        return standing.outdated(resolve(from_python(given)))


@pytest.fixture(scope="module", params=["out", "out.parquet"])
def built(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Case:
    """For those who only look."""
    return Case(tmp_path_factory.mktemp("standing"), request.param)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """For those who change something."""
    return Case(tmp_path, "out")


def test_what_is_as_it_was_is_up_to_date(built: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """And neither the input's footers nor its rows are read to know it."""

    def fail(*_: Any, **__: Any) -> None:
        raise AssertionError("the input is opened")

    monkeypatch.setattr(footers, "read_footers", fail)
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", fail)
    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", fail)
    assert built.outdated() is None


@pytest.mark.parametrize(
    "changed",
    [{"jobs": 2}, {"strategy": "direct"}, {"memory_limit": "2GB"}, {"wait": 3}, {"ignore": ["padding"]}],
    ids=str,
)
def test_how_the_work_is_done_is_no_change(built: Case, changed: dict[str, Any]) -> None:
    assert built.outdated(**changed) is None


@pytest.mark.parametrize(
    "changed",
    [
        {"week": "W-SUN"},
        {"available": "week-end"},
        {"features": "w_ret"},
        {"benchmark": ["CCC"]},
        {"dtype": "float64"},
        {"compression": "snappy"},
        {"writer": "arrow"},
        {"symbols": ["AAA", "BBB", "CCC"]},
        {"end": "2022-02-20"},
        {"on_duplicates": "last"},
        {"fail_on": ["padding"]},
        {"allow_empty": True},
    ],
    ids=str,
)
def test_another_setting_is_a_change(built: Case, changed: dict[str, Any]) -> None:
    assert built.outdated(**changed) == "a setting has changed"


def flipped_byte(case: Case) -> None:
    """Of a file with as many rows and bytes as before."""
    path = case.prices / "1.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


INPUTS: dict[str, Callable[[Case], object]] = {
    "a flipped byte": flipped_byte,
    "touched": lambda case: os.utime(case.prices / "0.parquet"),
    "one file more": lambda case: shutil.copy(case.prices / "0.parquet", case.prices / "2.parquet"),
    "one file less": lambda case: (case.prices / "1.parquet").unlink(),
    "renamed": lambda case: (case.prices / "1.parquet").rename(case.prices / "9.parquet"),
    "sector map": lambda case: (case.folder / "sectors.csv").write_text("symbol,sector\nAAA,BBB\n"),
    "symbol map": lambda case: (case.folder / "renamed.csv").write_text("old,new,from\nOLD,NEW,2022-02-02\n"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_another_input_is_a_change(case: Case, name: str) -> None:
    INPUTS[name](case)
    assert case.outdated() == "the input has changed"


def first_part(case: Case) -> Path:
    return min(case.output.iterdir())


def lost_bytes(case: Case) -> None:
    """In the middle: the footer is as it was."""
    data = first_part(case).read_bytes()
    first_part(case).write_bytes(data[:100] + data[110:])


OUTPUTS: dict[str, tuple[Callable[[Case], object], str]] = {
    "no output": (lambda case: shutil.rmtree(case.output), "no output of this tool"),
    "a part is gone": (lambda case: first_part(case).unlink(), "4 of 5 symbols"),
    "the last part is gone": (lambda case: max(case.output.iterdir()).unlink(), "4 of 5 symbols"),
    "cut off": (lambda case: os.truncate(first_part(case), 999), "can't be read as Parquet"),
    "bytes lost": (lost_bytes, "is not as weekly-cli has written it"),
    "something else": (lambda case: (case.output / "notes.txt").touch(), "no output of this tool"),
    "a foreign file": (
        lambda case: write(daily(), case.output / "part-00009-00000000.parquet"),
        "is not as weekly-cli has written it",
    ),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_an_output_that_is_not_whole_is_no_reason_to_stop(case: Case, name: str) -> None:
    damage, reason = OUTPUTS[name]
    damage(case)
    assert reason in str(case.outdated())


def test_another_version_is_a_change(built: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "__version__", "9.9.9")
    assert built.outdated() == "another version of this tool has built the output"


def test_an_input_that_is_gone_is_an_error(case: Case) -> None:
    shutil.rmtree(case.prices)
    with pytest.raises(InputRefused, match="does not exist"):
        case.outdated()


@pytest.mark.parametrize("output", ["out", "out.parquet"])
def test_an_output_without_a_symbol_that_failed_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    def fails(task: Task) -> Outcome:
        if "CCC" in task.symbols.to_pylist():
            raise FloatingPointError("no luck")
        return run_task(task)

    with monkeypatch.context() as patched:
        patched.setattr(fan_out, "run_task", fails)
        case = Case(tmp_path, output)
    assert case.outdated() == "the output has 4 of 5 symbols"
    case.build()
    assert case.outdated() is None


def test_two_runs_of_an_input_make_the_same_bytes(case: Case) -> None:
    before = {path.name: path.read_bytes() for path in case.output.iterdir()}
    case.settings["jobs"] = 2
    case.build()
    assert {path.name: path.read_bytes() for path in case.output.iterdir()} == before


def test_the_command_says_one_line_and_leaves_the_output_alone(tmp_path: Path) -> None:
    prices = write(daily(), tmp_path / "prices.parquet")
    words = ["build", prices, "-o", "out", "--if-changed"]
    first = run_cli(*words, cwd=tmp_path)
    assert (first.returncode, first.stderr.splitlines()[0]) == (0, "to build: there is no output of this tool at out")
    before = seen(tmp_path / "out")
    second = run_cli(*words, "--log-file", "run.log", cwd=tmp_path)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "out is up to date\n")
    assert "out is up to date" in (tmp_path / "run.log").read_text()
    quiet = run_cli(*words, "--quiet", "--json", cwd=tmp_path)
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert json.loads(quiet.stdout) == {"output": "out", "unchanged": True}
    assert seen(tmp_path / "out") == before
    os.utime(prices)
    assert run_cli(*words, "--quiet", cwd=tmp_path).returncode == 0
    assert seen(tmp_path / "out") != before
