"""Figures of the tool next to itself, and next to the libraries that it can't do without."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator

import data
from figure import Figure, Target, seconds, time_ratio
from measure import Run, alternating, measured
from sides import HERE, TOOL, Bench, Dataset

#: Starts take a fraction of a second, so more rounds are cheap, and needed.
START_ROUNDS = 5
#: Years of the one symbol whose features a notebook asks for, and the milliseconds that this may take.
NOTEBOOK = {5: None, 10: Target(20, 10, False)}


def cores(bench: Bench) -> Iterator[Figure]:
    """How busy the fan-out keeps two workers, and how much faster than one they are."""
    source = bench.dataset("clustered")
    walls: dict[str, list[float]] = {"1 worker": [], "2 workers": []}
    busy: list[float] = []
    runs: dict[str, list[Run]] = {side: [] for side in walls}
    for _ in range(bench.rounds):
        for jobs, side in (("1", "1 worker"), ("2", "2 workers")):
            runs[side].append(measured(bench.ours(source, "--jobs", jobs, "--report", str(bench.report))))
            report = json.loads(bench.report.read_text())
            walls[side].append(report["seconds"]["fan out"])
            if jobs == "2":
                busy.append(report["cpu_use"])
    share, target = statistics.median(busy), Target(0.85, 0.95)
    yield Figure("busy share of two cores in the fan-out", "share", share, None, share, target, busy, runs=runs)
    one, two = (statistics.median(some) for some in walls.values())
    rounds = [a / b for a, b in zip(*walls.values(), strict=True)]
    yield Figure("fan-out, 1 worker / 2 workers", "s", two, one, one / two, Target(1.8, 1.95), rounds, runs=runs)


def small(bench: Bench) -> Iterator[Figure]:
    """What 20 symbols x 100 days take beside the libraries that they can't do without, and beside an empty command.

    Typer reads what is typed through pydantic, which it imports when a command runs: the bound for the first figure is
    below what the second one's peer takes.
    """
    source = Dataset(data.scenario(bench.folder, 20, 100))
    libraries = "import pyarrow.parquet, typer, rich"
    commands = {
        "ours": bench.ours(source),
        "libraries": [sys.executable, "-c", libraries],
        "empty": [sys.executable, str(HERE / "empty_job.py"), str(source.path)],
    }
    runs = alternating(commands, max(START_ROUNDS, bench.rounds))
    ours, size = runs["ours"], "20 symbols x 100 days"
    beside = {"ours": ours, "libraries": runs["libraries"]}
    yield time_ratio(f"{size} / {libraries}", beside, "ours", "libraries", Target(1.5, 1.3, False))
    yield time_ratio(f"{size} / an empty Typer command", {"ours": ours, "empty": runs["empty"]}, "ours", "empty")


def start(bench: Bench) -> Iterator[Figure]:
    """What `--help` takes beyond the libraries that it shows itself with."""
    commands = {"ours": [TOOL, "--help"], "libraries": [sys.executable, "-c", "import typer, rich"]}
    runs = alternating(commands, max(START_ROUNDS, bench.rounds))
    ours, peer = seconds(runs["ours"]), seconds(runs["libraries"])
    rounds = [a.seconds - b.seconds for a, b in zip(*runs.values(), strict=True)]
    name = "--help, beyond import typer, rich"
    yield Figure(name, "s", ours, peer, ours - peer, Target(0.15, 0.05, False), rounds, runs=runs)


def notebook(bench: Bench) -> Iterator[Figure]:
    """What `add_weekly_features` takes for one symbol after the first call in a process."""
    for years, target in NOTEBOOK.items():
        source = data.sample(bench.folder, 1, years, "symbol")
        runs = bench.alternating({"ours": [sys.executable, str(HERE / "notebook_job.py"), str(source)]})
        rounds = [float(json.loads(run.said)["milliseconds"]) for run in runs["ours"]]
        spent = statistics.median(rounds)
        name = f"add_weekly_features, one symbol of {years} years, after the first call"
        yield Figure(name, "ms", spent, None, spent, target, rounds, runs=runs)


def one_file(bench: Bench) -> Iterator[Figure]:
    """One file as output over a folder of parts."""
    source = bench.dataset("clustered")
    runs = bench.alternating({"one file": bench.ours(source, output="ours.parquet"), "folder": bench.ours(source)})
    yield time_ratio("time, one output file / a folder", runs, "one file", "folder", Target(1.3, 1.1, False))


def writers(bench: Bench) -> Iterator[Figure]:
    """What Arrow's writer alone takes over ours, which makes pages of spans."""
    source = bench.dataset("clustered")
    runs = bench.alternating({name: bench.ours(source, "--writer", name, output=name) for name in ("fast", "arrow")})
    yield time_ratio("time, --writer arrow / fast", runs, "arrow", "fast")


def two_features(bench: Bench) -> Iterator[Figure]:
    """Two features over all of them, on the seven daily columns."""
    source = Dataset(data.seven_columns(bench.dataset("clustered").path))
    two = bench.ours(source, "--features", "w_mom_12,w_vol_12", output="two")  # each replaces its own
    runs = bench.alternating({"two": two, "all": bench.ours(source)})
    yield time_ratio("time, 7 columns + 2 features / + all", runs, "two", "all", Target(0.5, 0.35, False))
