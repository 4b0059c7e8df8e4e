"""`--memory-limit` holds: builds as processes of their own, the sum of their proportional set sizes sampled."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import COMMAND, MODULES, build, daily, environment, read, run_cli, wait_for, write
from rounds import soaked

from weekly_cli.cli.sample import write_sample

MIB = 2**20
SAMPLE_SECONDS = 0.03

#: What is computed where it matters what is held, which is hardly less than for all.
FEW = ("--features", "bars,returns")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells proportional set sizes")


@pytest.fixture(scope="module")
def on_disk() -> Iterator[Path]:
    """Files in memory would count as a build's own."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def tmp_path(on_disk: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=on_disk) as folder:
        yield Path(folder)


@dataclass(frozen=True)
class Held:
    """What a build held at its peak, and how many workers it had."""

    peak_mib: float
    workers: int


def held_by(source: Path, output: Path, *options: object) -> Held:
    report = output.with_suffix(".json")
    command = [COMMAND, "build", source, "-o", output, "-q", "--report", report, *options]
    peak = 0
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, tree_bytes(process.pid))
            time.sleep(SAMPLE_SECONDS)
        _, said = process.communicate()
    assert process.returncode == 0, said
    record = json.loads(report.read_text())
    return Held(peak / MIB, record["workers"])


def tree_bytes(pid: int) -> int:
    held = 0
    try:
        root = psutil.Process(pid)
        processes = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            held += process.memory_full_info().pss
        except psutil.Error:  # gone since it was listed
            continue
    return held


class Layouts(dict[str, Path]):
    """The folders by their layouts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, layout: str) -> Path:
        write_sample(self.folder / layout, symbols=1800, years=8, layout=layout)
        self[layout] = self.folder / layout
        return self[layout]


@pytest.fixture(scope="module")
def layouts(on_disk: Path) -> Mapping[str, Path]:
    """3.6 million rows, which take 270 MB as columns; each layout is written when it is asked for."""
    return Layouts(on_disk / "layouts")


@pytest.mark.alone
@pytest.mark.soak
def test_without_a_limit_more_is_taken(layouts: Mapping[str, Path], tmp_path: Path) -> None:
    """So that the tests below can fail."""
    assert held_by(layouts["date"], tmp_path / "out", *FEW).peak_mib > 360


@pytest.mark.alone
@pytest.mark.soak
@pytest.mark.parametrize(
    ("layout", "jobs"), [("symbol", 1), ("symbol", 4), ("date", 1), ("date", 4), ("day", 1), ("day", 4)]
)
def test_a_limit_holds_for_every_layout(layouts: Mapping[str, Path], tmp_path: Path, layout: str, jobs: int) -> None:
    held = held_by(layouts[layout], tmp_path / "out", "--memory-limit", "360MiB", "--jobs", jobs, *FEW)
    assert held.peak_mib <= 360
    assert held.workers <= jobs


@pytest.mark.alone
@pytest.mark.parametrize(("layout", "jobs"), soaked([("date", 4)], [("symbol", 1), ("symbol", 4), ("date", 1)]))
def test_a_limit_holds_for_places_among_all_symbols(
    layouts: Mapping[str, Path], tmp_path: Path, layout: str, jobs: int
) -> None:
    """All that a build does, and more: bundles are written and read, and so are the values of all bars."""
    placed = ("--cross-section", "rank(w_mom_12), zscore(w_vol_26), rank(w_close), rank(w_ret) by exchange")
    held = held_by(layouts[layout], tmp_path / "out", "--memory-limit", "360MiB", "--jobs", jobs, *FEW, *placed)
    assert held.peak_mib <= 360
    assert held.workers <= jobs


@pytest.mark.alone
def test_a_limit_says_why_there_are_fewer_workers(layouts: Mapping[str, Path], tmp_path: Path) -> None:
    done = run_cli("plan", layouts["date"], "--memory-limit", "400MiB", "--jobs", 2, "-v", cwd=tmp_path)
    assert "limited by memory budget of 400 MiB" in " ".join(done.stdout.split())


def prices(symbols: np.ndarray, days: np.ndarray) -> pa.Table:
    """Prices of symbol numbers on days since 1970."""
    rng = np.random.default_rng(len(days))
    names = pa.array([f"S{number:06d}" for number in range(int(symbols.max()) + 1)])
    close = np.round(np.exp(rng.normal(3, 1, len(days))), 2) + 0.01
    return pa.table(
        {
            "symbol": names.take(pa.array(symbols)),
            "date": pa.array(days.astype(np.int32)).cast(pa.date32()),
            "open": close,
            "high": close * 1.01,
            "low": close * 0.99,
            "close": close,
            "volume": rng.integers(0, 10**6, len(days)),
        }
    )


def panel(symbols: int, days: int) -> pa.Table:
    return prices(np.tile(np.arange(symbols), days), np.repeat(np.arange(days), symbols))


@pytest.mark.alone
@pytest.mark.soak
def test_a_limit_holds_for_two_hundred_columns(tmp_path: Path) -> None:
    table = panel(500, 600)
    rng = np.random.default_rng(1)
    for number in range(200):
        table = table.append_column(f"own_{number}", pa.array(rng.random(table.num_rows)))
    pq.write_table(table, tmp_path / "wide.parquet", row_group_size=50_000, use_dictionary=["symbol"])
    held = held_by(tmp_path / "wide.parquet", tmp_path / "out", "--memory-limit", "640MiB", "--strategy", "adaptive")
    assert held.peak_mib <= 640


@pytest.mark.alone
@pytest.mark.soak
def test_a_limit_holds_for_long_texts_behind_a_dictionary(tmp_path: Path) -> None:
    """The file is small: a thousand texts of a kilobyte; the rows are not."""
    table = panel(500, 800)
    texts = pa.array([f"{number:06d}" * 170 for number in range(1000)])
    table = table.append_column("note", texts.take(pa.array(np.arange(table.num_rows) % 1000)))
    pq.write_table(table, tmp_path / "long.parquet", row_group_size=50_000)
    held = held_by(tmp_path / "long.parquet", tmp_path / "out", "--memory-limit", "640MiB", "--strategy", "adaptive")
    assert held.peak_mib <= 640


def facts(path: Path, n_rows: int, symbols: int) -> Path:
    """A table to join in no order, with three numbers and a text of 40 characters a row."""
    rng = np.random.default_rng(3)
    names = pa.array([f"S{number:06d}" for number in range(symbols)])
    texts = pa.array([f"{number:040d}" for number in range(100)])
    seconds = rng.integers(0, 86_400 * 800, n_rows) * 1_000_000
    columns = {f"value_{number}": rng.random(n_rows) for number in range(3)}
    table = {
        "symbol": names.take(pa.array(rng.integers(0, symbols, n_rows))),
        "known_at": pa.array(seconds).cast(pa.timestamp("us")),
        **columns,
        "text": texts.take(pa.array(rng.integers(0, 100, n_rows))),
    }
    pq.write_table(pa.table(table), path)
    return path


@pytest.mark.alone
@pytest.mark.soak
@pytest.mark.parametrize("layout", ["symbol", "date"])
@pytest.mark.parametrize("limit", [1000, 2400])
def test_a_limit_holds_for_a_large_table_to_join(tmp_path: Path, layout: str, limit: int) -> None:
    """The table takes 340 MiB: with the smaller limit in one process, else in each worker that reads rows by symbol."""
    table = panel(1500, 800)
    if layout == "symbol":
        table = table.sort_by([("symbol", "ascending"), ("date", "ascending")])
    pq.write_table(table, tmp_path / "p.parquet", row_group_size=50_000)
    joined = facts(tmp_path / "facts.parquet", 5_000_000, 1500)
    options = ("--join", f"{joined}:known_at", "--memory-limit", f"{limit}MiB", "--jobs", 2, *FEW)
    held = held_by(tmp_path / "p.parquet", tmp_path / "out", *options)
    assert held.peak_mib <= limit
    assert held.workers == 2


@pytest.mark.alone
@pytest.mark.soak
def test_a_limit_holds_for_one_symbol_of_a_million_rows_among_a_thousand_small_ones(tmp_path: Path) -> None:
    few = 120
    symbols = np.concatenate([np.zeros(1_000_000, int), np.repeat(np.arange(1, 1001), few)])
    days = np.concatenate([np.arange(1_000_000) - 400_000, np.tile(np.arange(few), 1000)])
    pq.write_table(prices(symbols, days), tmp_path / "one.parquet")
    held = held_by(tmp_path / "one.parquet", tmp_path / "out", "--memory-limit", "1GiB")
    assert held.peak_mib <= 1024
    done = run_cli("build", tmp_path / "one.parquet", "-o", tmp_path / "o", "--memory-limit", "400MiB", cwd=tmp_path)
    assert done.returncode == 5
    assert "symbol 'S000000' with its 1,000,000 rows" in done.stderr
    smallest = done.stderr.split("pass --memory-limit ")[1].split()[0]
    held = held_by(tmp_path / "one.parquet", tmp_path / "out", "--memory-limit", smallest, "--features", "w_ret")
    assert held.peak_mib <= int(smallest.removesuffix("MiB"))


@pytest.mark.alone
@pytest.mark.soak
def test_a_limit_holds_for_fifty_thousand_symbols_of_thirty_rows(tmp_path: Path) -> None:
    pq.write_table(panel(50_000, 30), tmp_path / "many.parquet", row_group_size=100_000)
    held = held_by(tmp_path / "many.parquet", tmp_path / "out", "--memory-limit", "512MiB")
    assert held.peak_mib <= 512


# ---- a real control group --------------------------------------------------------------------------------

GROUP_MIB = 512


def _removed(group: Path) -> bool:
    """Remove a group; it is busy until the last process in it has ended."""
    try:
        group.rmdir()
    except OSError:
        return False
    return True


@pytest.fixture
def control_group() -> Iterator[tuple[Path, Path]]:
    """A memory control group of this test's own: its folder, and its counter of the largest use."""
    for parent, limit, peak in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.max_usage_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max", "memory.peak"),
    ):
        group = parent / f"weekly-cli-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            if (group / limit).exists() and (group / peak).exists():
                (group / limit).write_text(str(GROUP_MIB * MIB))
                yield group, group / peak
                return
        finally:
            assert wait_for(functools.partial(_removed, group), 10), "processes are left in the group"
    pytest.skip("no memory control group can be made here")


@pytest.mark.alone
@pytest.mark.soak
@pytest.mark.parametrize("layout", ["date", "symbol"])
def test_a_build_lives_in_a_control_group(
    layouts: Mapping[str, Path], tmp_path: Path, control_group: tuple[Path, Path], layout: str
) -> None:
    """With the default budget: the group's limit is found, kept, and no worker is killed."""
    group, _ = control_group
    words = ["build", layouts[layout], "-o", tmp_path / "out", "-q", "--report", tmp_path / "report.json", *FEW]
    script = f'echo $$ > {group}/cgroup.procs; exec "$@"'
    inside = ["sh", "-c", script, "sh", str(COMMAND), *map(str, words)]
    done = subprocess.run(inside, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert "control group" in report["budget_reason"]
    assert report["budget_bytes"] < GROUP_MIB * MIB
    assert report["rows"] > 10**6
    assert report["peak_bytes"]["all"] <= report["budget_bytes"]


def test_in_a_control_group_only_the_symbol_with_endless_memory_is_left_out(
    tmp_path: Path, control_group: tuple[Path, Path]
) -> None:
    """The system kills workers, and is told from others who do: the budget is halved, and nobody else is left out."""
    group, _ = control_group
    symbols = [f"S{number:02d}" for number in range(15, 19)]
    prices = write(daily(symbols, order="symbol"), tmp_path / "prices.parquet")
    script = (
        "import poisons, sys\nfrom weekly_cli.run import fan_out, pipeline\n"
        "fan_out.run_task = poisons.Poisoned({'S17': 'endless memory'})\n"
        "report = pipeline.build(sys.argv[1], sys.argv[2], strategy='batched')\n"
        "print(report.rejected)\nprint(*report.warnings, sep='\\n')"
    )
    words = [sys.executable, "-c", script, str(prices), str(tmp_path / "out")]
    inside = ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh", *words]
    done = subprocess.run(inside, env=environment(MODULES), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rejected, *warnings = done.stdout.splitlines()
    reason = "the system killed its worker process for lack of memory"
    assert rejected == str((("S17", reason),))
    assert warnings[0].startswith(f"{reason}: what was unfinished runs again in ")
    whole = build(prices, tmp_path / "whole")
    rest = whole.filter(pa.array([symbol != "S17" for symbol in whole.column("symbol").to_pylist()]))
    assert read(tmp_path / "out").equals(rest)
