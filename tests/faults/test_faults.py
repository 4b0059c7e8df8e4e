"""A process that dies at any step on the disk: the old output is untouched or the new one whole, and a run goes on."""

from __future__ import annotations

import ast
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from frames import (
    build,
    daily,
    marked,
    names_beside,
    order_of,
    put,
    read,
    run_cli,
    run_words,
    seen,
    taken,
    wait_for,
    write,
)
from soak import soak

import weekly_cli
from weekly_cli.failpoints import FILES, POINTS, VARIABLE
from weekly_cli.files import records

SYMBOLS = [f"S{number:02d}" for number in range(8)]
CROSS = "rank(w_ret)"
SETTINGS = ("--benchmark", "S00", "--features", "returns,relative", "--cross-section", CROSS)
DIRECT, POOL = ("--strategy", "direct"), ("--strategy", "per-symbol", "--jobs", "1")
TWO = (*POOL[:-1], "2")
ORDER = (*DIRECT, "--order", "input")
FOLDER, FILE = "out", "out.parquet"


class Trial(NamedTuple):
    """The point and the visit at which a run dies."""

    point: str
    visit: int = 1
    name: str = FOLDER
    how: Sequence[str] = DIRECT

    def __str__(self) -> str:
        return f"{self.point}:{self.visit}-{self.name}-{self.how[1]}"


def points(*stages: str) -> list[str]:
    return [point for point in POINTS if point.partition(":")[0] in stages]


#: Reached by this process itself. The journal says: which run, that all bundles are there, that a part is.
IN_THE_PARENT = [
    *(Trial(point) for point in points("lock", "work", "journal", "benchmarks", "panel", "placed", "part", "report")),
    *(Trial(point) for point in points("publish") if point != "publish:moved"),
    *(Trial(point, 2) for point in points("journal")),
    *(Trial(point, 1, FILE, POOL) for point in points("joined")),
    *(Trial(f"publish:{step}", 1, FILE) for step in ("ready", "switched", "flushed")),
    *(Trial(point, 1, FOLDER, POOL) for point in points("bundle")),
    *(Trial(point, visit, FOLDER, POOL) for point in points("journal") for visit in (2, 3)),
    *(Trial(point, 1, FOLDER, ORDER) for point in points("order", "ordered")),
    Trial("bundle:renamed", 2, FILE, POOL),
    Trial("publish:linked", 2, FOLDER, POOL),
    Trial("work:entry-removed", 3, FOLDER, POOL),
    Trial("work:entry-removed", 3, FILE, POOL),
]
#: Every point once; its later visits and its other outputs are for the soak, and for other files what they have in
#: common with parts: that they are opened, and closed.
ALIKE = {f"{file}:{step}" for file in FILES if file != "part" for step in ("opened", "closed")}
ONCE_EACH = [
    trial
    for trial in list({trial.point: trial for trial in reversed(IN_THE_PARENT)}.values())[::-1]
    if trial.point not in ALIKE
]
REPEATED = [trial for trial in IN_THE_PARENT if trial not in ONCE_EACH]
IN_A_WORKER = [Trial(point, 1, name, TWO) for point in points("part") for name in (FOLDER, FILE)]
#: Half of a part is written; a part is done and nobody has been told.
HALF_AND_WHOLE = [IN_A_WORKER[2], IN_A_WORKER[6]]
#: Where the system can't switch two names in one step.
MOVED = Trial("publish:moved")
WITHOUT_EXCHANGE = """
from weekly_cli import cli
from weekly_cli.files import switch
from weekly_cli.files import records
switch.exchange = lambda made, target: False
cli.main()
"""


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(SYMBOLS), tmp_path_factory.mktemp("prices") / "prices.parquet", row_group_size=120)


@pytest.fixture(scope="module")
def wanted(prices: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    folder = tmp_path_factory.mktemp("wanted") / "out"
    return build(prices, folder, benchmark=["S00"], features="returns,relative", cross_section=[CROSS])


@pytest.fixture(scope="module")
def olds(prices: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where outputs by other settings are."""
    folder = tmp_path_factory.mktemp("olds")
    for name in (FOLDER, FILE):
        build(prices, folder / name, features="w_close")
    return folder


def old_output(olds: Path, output: Path) -> tuple[dict[str, bytes | None], dict[str, int]]:
    """Put an output by other settings there and return its bytes and its inodes."""
    put(olds / output.name, output)
    return seen(output)


def holds(output: Path, old: object, wanted: pa.Table) -> bool:
    """Whether the output is the old one, untouched, or the new one, whole; a reader can open it."""
    table = read(output)
    return seen(output) == old or table.equals(wanted)


def command(prices: Path, output: Path, how: Sequence[str]) -> list[str]:
    report = output.parent / "report" / "report.json"
    report.parent.mkdir(exist_ok=True)
    return ["build", str(prices), "-o", str(output), *SETTINGS, *how, "--report", str(report), "-q"]


def is_done(words: Sequence[str], output: Path, wanted: pa.Table) -> None:
    """Run the command undisturbed: it does all, and leaves nothing beside."""
    done = run_cli(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert read(output).equals(wanted)
    assert names_beside(output) == [output.name, "report"]
    assert names_beside(output.parent / "report" / "report.json") == ["report.json"]


# ---- processes that die at a point -----------------------------------------------------------------------


def test_every_point_is_in_the_code_and_is_tried() -> None:
    package = Path(weekly_cli.__file__).parent
    named, steps = set(), set()
    for path in package.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".reached"):
                found = named if ast.unparse(node.func).startswith("failpoints") else steps
                found |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()
    assert named | {f"{file}:{step}" for file in FILES for step in steps} == set(POINTS)
    assert {trial.point for trial in [*IN_THE_PARENT, *IN_A_WORKER, MOVED]} == set(POINTS)
    assert len(POINTS) == len(set(POINTS)) >= 25


@pytest.mark.parametrize("text", ["", "part", "part:opened", "part:opened:0", "part:opened:x", "part:lost:1", "x:y:1"])
def test_an_unknown_point_is_refused(text: str) -> None:
    done = run_cli("features", env={VARIABLE: text})
    assert done.returncode == 2
    assert "the points are lock:touched" in done.stderr


@pytest.mark.parametrize(
    "trial", [*ONCE_EACH, *(pytest.param(trial, marks=pytest.mark.soak) for trial in REPEATED)], ids=str
)
def test_a_run_that_dies_at_any_point_leaves_a_whole_output(
    trial: Trial, prices: Path, olds: Path, wanted: pa.Table, tmp_path: Path
) -> None:
    output = tmp_path / trial.name
    old = old_output(olds, output)
    wanted = taken(wanted, np.argsort(order_of(read(prices))).tolist()) if trial.how == ORDER else wanted
    words = command(prices, output, trial.how)
    died = run_cli(*words, env={VARIABLE: f"{trial.point}:{trial.visit}", "TRIAL": str(tmp_path)})
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert holds(output, old, wanted)
    assert wait_for(lambda: not marked("TRIAL", str(tmp_path)), 2)
    is_done(words, output, wanted)


@pytest.mark.parametrize(
    "trial",
    [pytest.param(trial, marks=[pytest.mark.soak] * (trial not in HALF_AND_WHOLE)) for trial in IN_A_WORKER],
    ids=str,
)
def test_a_worker_that_dies_at_any_point_is_replaced(
    trial: Trial, prices: Path, olds: Path, wanted: pa.Table, tmp_path: Path
) -> None:
    """Once: the ladder tries again what was in flight."""
    output = tmp_path / trial.name
    old_output(olds, output)
    words = command(prices, output, trial.how)
    (tmp_path / "once").mkdir()
    died = tmp_path / "once" / "died"
    done = run_cli(*words, env={VARIABLE: f"{trial.point}:{trial.visit}:{died}"})
    assert (done.returncode, done.stderr) == (0, "")
    assert died.is_dir()
    assert read(output).equals(wanted)
    assert names_beside(output) == ["once", output.name, "report"]


@pytest.mark.parametrize("after", ["a run that works", "a run that fails"])
def test_an_output_that_was_moved_out_of_the_way_comes_back(
    after: str, prices: Path, olds: Path, wanted: pa.Table, tmp_path: Path
) -> None:
    """Where no exchange is known there are two renames, and the run may die between them."""
    output = tmp_path / MOVED.name
    old = old_output(olds, output)
    words = command(prices, output, MOVED.how)
    died = run_words([sys.executable, "-c", WITHOUT_EXCHANGE, *words], env={VARIABLE: "publish:moved:1"})
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not output.exists()
    if after == "a run that fails":
        assert run_cli(*words, "--benchmark", "NOBODY").returncode == 3
        assert seen(output) == old
    is_done(words, output, wanted)


def test_half_of_a_journals_line_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    records.append_line(path, b"one")
    path.write_bytes(path.read_bytes() + b"\ntw")
    records.append_line(path, b"three")
    assert [line for line in records.lines(path) if line] == [b"one", b"tw", b"three"]


# ---- random ends -----------------------------------------------------------------------------------------


@pytest.mark.soak
def test_random_ends_leave_a_whole_output(tmp_path: Path) -> None:
    counts = {"kill": 1, "worker": 1, "INT": 1, "TERM": 1}
    cycles = soak(tmp_path, counts, seed=3, symbols=40, days=250)
    assert not [cycle for cycle in cycles if cycle.wrong]
    assert len(cycles) == sum(counts.values())
