"""`make bench`: how fast the tool is next to its peers, and next to what it promises.

Whole processes, alternating, medians; memory in an extra run, because sampling it takes time. All peers compute the
same columns with one benchmark symbol, and write with the same codec. Prints a table and writes every run as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import data
import duckdb_job
import psutil
from measure import Run, alternating, measured

HERE = Path(__file__).parent
TOOL = str(Path(sys.executable).with_name("weekly-cli"))
SAMPLE_BENCHMARK = "MARKET"
LAYOUTS = {"clustered": "symbol", "date order": "date", "one file a day": "day"}
#: What the replaced method was recorded on: symbols, days.
SCENARIOS = ((20, 100), (50, 300), (100, 500), (80, 400))
#: The replaced method's rate does not hang on the number of symbols; more of them would only take longer.
REPLACED_SYMBOLS = 200
#: Starts take a fraction of a second, so more rounds are cheap, and needed.
START_ROUNDS = 5


@dataclass(frozen=True)
class Target:
    """What a figure must reach, and what it should."""

    bound: float
    aim: float
    more_is_better: bool = True

    def met(self, value: float) -> bool:
        """Say whether a figure keeps the bound."""
        return value >= self.bound if self.more_is_better else value <= self.bound


@dataclass(frozen=True)
class Figure:
    """A figure with what it was made from; `value` is the one that a target is about."""

    name: str
    unit: str
    ours: float
    peer: float | None
    value: float
    target: Target | None
    runs: dict[str, list[Run]] = field(repr=False)

    def to_dict(self) -> dict[str, object]:
        """Return the figure as JSON has it."""
        runs = {side: [{**asdict(run), "said": run.said[-500:]} for run in found] for side, found in self.runs.items()}
        return {**asdict(self), "met": None if self.target is None else self.target.met(self.value), "runs": runs}


@dataclass(frozen=True)
class Bench:
    """The sizes, the datasets, and how each side is called."""

    folder: Path
    symbols: int
    years: int
    rounds: int
    real: Path | None
    real_benchmark: str

    def dataset(self, name: str) -> Path:
        """Return a dataset by the name of its layout."""
        return data.sample(self.folder, self.symbols, self.years, LAYOUTS[name])

    @cached_property
    def replaced_dataset(self) -> Path:
        """A part of the symbols, for the method that is replaced."""
        return data.sample(self.folder, min(REPLACED_SYMBOLS, self.symbols), self.years, "symbol")

    @property
    def report(self) -> Path:
        """Where the tool puts its report."""
        return self.folder / "report.json"

    def ours(
        self, source: Path, *options: str, output: str = "ours", benchmark: str = SAMPLE_BENCHMARK, codec: str = "zstd"
    ) -> list[str]:
        """Return the tool's command."""
        command = [TOOL, "build", str(source), "--output", str(self.folder / output), "--benchmark", benchmark]
        return [*command, "--compression", codec, "--quiet", "--overwrite", *options]

    def peer(self, job: str, source: Path, *, benchmark: str = SAMPLE_BENCHMARK, codec: str = "zstd") -> list[str]:
        """Return a peer's command."""
        command = [sys.executable, str(HERE / f"{job}_job.py"), str(source), str(self.folder / f"{job}.parquet")]
        return [*command, "--benchmark", benchmark, "--compression", codec]

    def both(self, source: Path, peer: str = "polars", **settings: str) -> dict[str, list[str]]:
        """Return the tool's command and a peer's for the same job."""
        return {"ours": self.ours(source, **settings), peer: self.peer(peer, source, **settings)}

    def alternating(self, commands: dict[str, list[str]]) -> dict[str, list[Run]]:
        """Run commands in turn, for the rounds asked for."""
        return alternating(commands, self.rounds)


def seconds(runs: Sequence[Run]) -> float:
    """Return the median of the wall seconds."""
    return statistics.median(run.seconds for run in runs)


# ---- figures ---------------------------------------------------------------------------------------------


def polars_time(bench: Bench) -> Iterator[Figure]:
    """How many times our time Polars takes."""
    targets = {("clustered", "zstd"): Target(2.2, 3.0), ("date order", "zstd"): Target(1.9, 2.5)}
    for name, codec in ((name, codec) for codec in ("zstd", "snappy") for name in LAYOUTS):
        if codec == "zstd" or name == "clustered":
            source = bench.dataset(name) if codec == "zstd" else data.in_codec(bench.dataset(name), codec)
            runs = bench.alternating(bench.both(source, codec=codec))
            what = f"time, Polars / ours: {name}, {codec}"
            yield _peer_over_ours(what, runs, targets.get((name, codec)))


def real_time(bench: Bench) -> Iterator[Figure]:
    """The same on a dataset from outside."""
    if bench.real is not None:
        runs = bench.alternating(bench.both(bench.real, benchmark=bench.real_benchmark))
        yield _peer_over_ours(f"time, Polars / ours: {bench.real.name}", runs, None)


def polars_memory(bench: Bench) -> Iterator[Figure]:
    """Peak memory of the process tree, as a share of Polars'."""
    for name in ("clustered", "date order"):
        runs = {side: [measured(command, sample=True)] for side, command in bench.both(bench.dataset(name)).items()}
        ours, peer = (found[0].peak_bytes / 2**20 for found in runs.values())
        yield Figure(
            f"peak memory, ours / Polars: {name}", "MiB", ours, peer, ours / peer, Target(0.4, 0.25, False), runs
        )


def floor(bench: Bench) -> Iterator[Figure]:
    """Our time over what reading and writing alone would take on all cores."""
    for name, target in (("clustered", Target(1.6, 1.3, False)), ("date order", Target(2.0, 1.6, False))):
        source = bench.dataset(name)
        command = [sys.executable, str(HERE / "floor.py"), str(source), str(bench.folder / "ours")]
        runs = bench.alternating({"ours": bench.ours(source), "floor": [*command, str(bench.folder / "floor.parquet")]})
        ours, least = seconds(runs["ours"]), statistics.median(_floor_seconds(run) for run in runs["floor"])
        yield Figure(f"time, ours / floor: {name}", "s", ours, least, ours / least, target, runs)


def replaced_rate(bench: Bench) -> Iterator[Figure]:
    """Symbols a second, against the method that this tool replaces."""
    few = min(REPLACED_SYMBOLS, bench.symbols)
    commands = {
        "ours": bench.ours(bench.dataset("clustered")),
        "replaced": bench.peer("replaced", bench.replaced_dataset),
    }
    runs = bench.alternating(commands)
    ours, peer = bench.symbols / seconds(runs["ours"]), few / seconds(runs["replaced"])
    name = f"rate, ours / replaced method: {bench.symbols:,} (it: {few}) symbols x {bench.years} years"
    yield Figure(name, "symbols/s", ours, peer, ours / peer, Target(30, 60), runs)


def scenarios(bench: Bench) -> Iterator[Figure]:
    """The same rates on the small datasets that the replaced method was recorded on."""
    for symbols, days in SCENARIOS:
        runs = bench.alternating(bench.both(data.scenario(bench.folder, symbols, days), "replaced"))
        ours, peer = symbols / seconds(runs["ours"]), symbols / seconds(runs["replaced"])
        name = f"rate, ours / replaced method: {symbols} symbols x {days} days"
        yield Figure(name, "symbols/s", ours, peer, ours / peer, None, runs)


def cores(bench: Bench) -> Iterator[Figure]:
    """How busy the fan-out keeps two workers, and how much faster than one they are."""
    source = bench.dataset("clustered")
    walls: dict[str, list[float]] = {"1": [], "2": []}
    busy: list[float] = []
    runs: dict[str, list[Run]] = {"1 worker": [], "2 workers": []}
    for _ in range(bench.rounds):
        for jobs, side in (("1", "1 worker"), ("2", "2 workers")):
            runs[side].append(measured(bench.ours(source, "--jobs", jobs, "--report", str(bench.report))))
            report = json.loads(bench.report.read_text())
            walls[jobs].append(report["seconds"]["fan out"])
            if jobs == "2":
                busy.append(report["cpu_use"])
    share = statistics.median(busy)
    yield Figure("busy share of two cores in the fan-out", "share", share, None, share, Target(0.85, 0.95), runs)
    one, two = (statistics.median(found) for found in walls.values())
    yield Figure("fan-out, 1 worker / 2 workers", "s", two, one, one / two, Target(1.8, 1.95), runs)


def small(bench: Bench) -> Iterator[Figure]:
    """What 20 symbols x 100 days take beyond the libraries that they can't do without."""
    source = data.scenario(bench.folder, 20, 100)
    libraries = "import pyarrow.parquet, typer, rich"
    commands = {"ours": bench.ours(source), "libraries": [sys.executable, "-c", libraries]}
    runs = alternating(commands, max(START_ROUNDS, bench.rounds))
    ours, peer = seconds(runs["ours"]), seconds(runs["libraries"])
    yield Figure(f"20 symbols x 100 days / {libraries}", "s", ours, peer, ours / peer, None, runs)


def start(bench: Bench) -> Iterator[Figure]:
    """What `--help` takes beyond the libraries that it shows itself with."""
    commands = {"ours": [TOOL, "--help"], "libraries": [sys.executable, "-c", "import typer, rich"]}
    runs = alternating(commands, max(START_ROUNDS, bench.rounds))
    ours, peer = seconds(runs["ours"]), seconds(runs["libraries"])
    yield Figure("--help, beyond import typer, rich", "s", ours, peer, ours - peer, Target(0.15, 0.05, False), runs)


def one_file(bench: Bench) -> Iterator[Figure]:
    """One file as output over a folder of parts."""
    source = bench.dataset("clustered")
    runs = bench.alternating({"folder": bench.ours(source), "one file": bench.ours(source, output="ours.parquet")})
    yield _variant("time, one output file / a folder", runs, "one file", "folder", Target(1.3, 1.1, False))


def writers(bench: Bench) -> Iterator[Figure]:
    """What Arrow's writer alone takes over ours, which makes pages of spans."""
    source = bench.dataset("clustered")
    fast, arrow = (bench.ours(source, "--writer", name, output=name) for name in ("fast", "arrow"))
    yield _peer_over_ours("time, --writer arrow / fast", bench.alternating({"fast": fast, "arrow": arrow}), None)


def two_features(bench: Bench) -> Iterator[Figure]:
    """Two features over all of them, on the seven daily columns."""
    source = data.seven_columns(bench.dataset("clustered"))
    two = bench.ours(source, "--features", "w_mom_12,w_vol_12", output="two")  # each replaces its own
    runs = bench.alternating({"all": bench.ours(source), "two": two})
    yield _variant("time, 7 columns + 2 features / + all", runs, "two", "all", Target(0.5, 0.35, False))


def duckdb_time(bench: Bench) -> Iterator[Figure]:
    """How many times our time DuckDB takes for the columns that SQL can say."""
    source = bench.dataset("clustered")
    features = duckdb_job.features(SAMPLE_BENCHMARK.lower())
    commands = {"ours": bench.ours(source, "--features", ",".join(features)), "duckdb": bench.peer("duckdb", source)}
    name = f"time, DuckDB / ours: clustered, the {len(features)} columns of SQL windows"
    yield _peer_over_ours(name, bench.alternating(commands), None)


FIGURES: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "time": polars_time,
    "real": real_time,
    "memory": polars_memory,
    "floor": floor,
    "replaced": replaced_rate,
    "scenarios": scenarios,
    "cores": cores,
    "small": small,
    "start": start,
    "one-file": one_file,
    "writers": writers,
    "two-features": two_features,
    "duckdb": duckdb_time,
}


def _peer_over_ours(name: str, runs: dict[str, list[Run]], target: Target | None) -> Figure:
    ours, peer = (seconds(found) for found in runs.values())
    return Figure(name, "s", ours, peer, peer / ours, target, runs)


def _variant(name: str, runs: dict[str, list[Run]], above: str, below: str, target: Target) -> Figure:
    over, under = seconds(runs[above]), seconds(runs[below])
    return Figure(name, "s", over, under, over / under, target, runs)


def _floor_seconds(run: Run) -> float:
    found = json.loads(run.said)
    return float(found["read_cpu_seconds"] + found["write_cpu_seconds"]) / (os.cpu_count() or 1)


# ---- the record ------------------------------------------------------------------------------------------


def machine() -> dict[str, object]:
    """Return what ran this."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cores": os.cpu_count(),
        "cpu": model or platform.machine(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """Return the versions of all that took part."""
    packages = ("weekly-cli", "pyarrow", "numpy", "pandas", "polars", "duckdb", "joblib")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def line(figure: Figure) -> str:
    """Return a figure as a line of the table."""
    peer = "" if figure.peer is None else f"{figure.peer:.2f}"
    bound = aim = verdict = ""
    if figure.target is not None:
        sign = ">=" if figure.target.more_is_better else "<="
        bound, aim = f"{sign} {figure.target.bound:g}", f"{figure.target.aim:g}"
        verdict = "" if figure.target.met(figure.value) else "  MISSED"
    numbers = f"{figure.ours:>10.2f}{peer:>10} {figure.unit:<10}{figure.value:>8.2f}{bound:>9}{aim:>6}"
    return f"{figure.name:<72}{numbers}{verdict}"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=4000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--real", type=Path, help="a Parquet dataset from outside")
    parser.add_argument("--real-benchmark", default="SPY", help="its symbol to compare with")
    parser.add_argument("--only", action="append", choices=FIGURES, help="only these figures; repeatable")
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--record", action="store_true", help="keep the figures for the README")
    options = parser.parse_args()
    if options.record and options.only:
        parser.error("--record keeps all figures of one run; leave --only out")
    return options


def typed(options: argparse.Namespace) -> str:
    """Return the command without the folders of this machine."""
    names = {str(path): path.name for path in (options.real, options.folder) if path is not None}
    return shlex.join(["python", "tests/benchmarks/run.py", *(names.get(word, word) for word in sys.argv[1:])])


def main() -> None:
    """Measure and report."""
    options = arguments()
    options.folder.mkdir(exist_ok=True)
    bench = Bench(options.folder, options.symbols, options.years, options.rounds, options.real, options.real_benchmark)
    print(f"{'figure':<72}{'ours':>10}{'peer':>10} {'unit':<10}{'value':>8}{'bound':>9}{'aim':>6}")
    figures = []
    for name in options.only or FIGURES:
        for figure in FIGURES[name](bench):
            print(line(figure), flush=True)
            figures.append(figure)
    result = {
        "command": typed(options),
        "machine": machine(),
        "versions": versions(),
        "symbols": options.symbols,
        "years": options.years,
        "rounds": options.rounds,
        "figures": [figure.to_dict() for figure in figures],
    }
    places = [options.folder / "bench.json", *([HERE / "figures.json"] if options.record else [])]
    for place in places:
        place.write_text(json.dumps(result, indent=2) + "\n")
        print(f"written to {place.name}")


if __name__ == "__main__":
    main()
