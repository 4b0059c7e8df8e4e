"""Figures next to others: Polars, DuckDB, the method that is replaced, and pyarrow's own reading and writing."""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace

import data
import duckdb_job
from figure import Figure, Target, seconds, time_ratio
from measure import Run, measured
from sides import HERE, SAMPLE_BENCHMARK, Bench, Dataset

#: Layouts on which memory is compared: each way in which the work can be cut.
MEMORY = ("clustered", "year", "date-order", "symbol-files")
#: What the replaced method was recorded on: symbols, days.
SCENARIOS = ((20, 100), (50, 300), (100, 500), (80, 400))
#: The replaced method's rate does not hang on the number of symbols; more of them would only take longer.
REPLACED_SYMBOLS = 200


def polars_time(bench: Bench) -> Iterator[Figure]:
    """How many times our time Polars takes, in whichever mode it is fastest."""
    for source in bench.datasets():
        yield polars_ratio(bench, source, Target(3.0, 4.0))


def real_time(bench: Bench) -> Iterator[Figure]:
    """The same on a dataset from outside, which is small."""
    for source in bench.real_datasets():
        yield polars_ratio(bench, source, Target(2.0, 3.0))


def snappy_time(bench: Bench) -> Iterator[Figure]:
    """The same with snappy for input and output."""
    source = bench.dataset("clustered")
    snappy = replace(source, path=data.in_codec(source.path, "snappy"), title=f"{source.title}, snappy", codec="snappy")
    yield polars_ratio(bench, snappy)


def polars_ratio(bench: Bench, source: Dataset, target: Target | None = None) -> Figure:
    """Measure how many times our time Polars takes on a dataset."""
    runs = bench.against_polars(source)
    note = f"Polars {bench.best_mode(source)}"
    return time_ratio(f"time, Polars / ours: {source.title}", runs, "polars", "ours", target, note)


def polars_size(bench: Bench) -> Iterator[Figure]:
    """What we write over what Polars writes with the same codec."""
    for source in (*bench.datasets(), *bench.real_datasets()):
        ours, peer = (written / 2**20 for written in bench.output_bytes(source))
        yield Figure(f"output, ours / Polars: {source.title}", "MiB", ours, peer, ours / peer, Target(1.05, 1.0, False))


def polars_memory(bench: Bench) -> Iterator[Figure]:
    """Peak memory of the process tree, as a share of Polars' in its fastest mode."""
    for source in bench.datasets(MEMORY):
        runs = {side: [measured(command, sample=True)] for side, command in bench.both(source).items()}
        ours, peer = (some[0].peak_bytes / 2**20 for some in runs.values())
        name, note = f"peak memory, ours / Polars: {source.title}", f"Polars {bench.best_mode(source)}"
        yield Figure(name, "MiB", ours, peer, ours / peer, Target(0.25, 0.2, False), note=note, runs=runs)


def duckdb_time(bench: Bench) -> Iterator[Figure]:
    """How many times our time DuckDB takes for the columns that SQL can say."""
    features = duckdb_job.features(SAMPLE_BENCHMARK.lower())
    for source in bench.datasets(("clustered", "year", "date-order")):
        ours = bench.ours(source, "--features", ",".join(features), output="columns")
        runs = bench.alternating({"ours": ours, "duckdb": bench.peer("duckdb", source)})
        name = f"time, DuckDB / ours: {source.title}, the {len(features)} columns of SQL windows"
        yield time_ratio(name, runs, "duckdb", "ours")


def floor(bench: Bench) -> Iterator[Figure]:
    """Our time over what reading and writing alone would take on all cores."""
    for layout, target in (("clustered", Target(1.6, 1.3, False)), ("year", Target(2.0, 1.6, False))):
        for source in bench.datasets([layout]):
            command = [sys.executable, str(HERE / "floor.py"), str(source.path), str(bench.folder / "ours")]
            floor_command = [*command, str(bench.folder / "floor.parquet")]
            runs = bench.alternating({"ours": bench.ours(source), "floor": floor_command})
            least = [_floor_seconds(run) for run in runs["floor"]]
            ours, peer = seconds(runs["ours"]), statistics.median(least)
            rounds = [run.seconds / floor for run, floor in zip(runs["ours"], least, strict=True)]
            name = f"time, ours / floor: {source.title}"
            yield Figure(name, "s", ours, peer, ours / peer, target, rounds, runs=runs)


def _floor_seconds(run: Run) -> float:
    spent = json.loads(run.said)
    return float(spent["read_cpu_seconds"] + spent["write_cpu_seconds"]) / (os.cpu_count() or 1)


def replaced_rate(bench: Bench) -> Iterator[Figure]:
    """Symbols a second, against the method that this tool replaces."""
    few = min(REPLACED_SYMBOLS, bench.symbols)
    name = f"rate, ours / replaced method: {bench.symbols:,} (it: {few}) symbols x {bench.years} years"
    ours, replaced = bench.ours(bench.dataset("clustered")), bench.peer("replaced", bench.few_symbols(few))
    runs = bench.alternating({"ours": ours, "replaced": replaced})
    yield _rate(name, runs, bench.symbols, few, Target(30, 60))


def scenarios(bench: Bench) -> Iterator[Figure]:
    """The same rates on the small datasets that the replaced method was recorded on."""
    for symbols, days in SCENARIOS:
        source = Dataset(data.scenario(bench.folder, symbols, days))
        runs = bench.alternating({"ours": bench.ours(source), "replaced": bench.peer("replaced", source)})
        yield _rate(f"rate, ours / replaced method: {symbols} symbols x {days} days", runs, symbols, symbols, None)


def _rate(name: str, runs: dict[str, list[Run]], our_symbols: int, its_symbols: int, target: Target | None) -> Figure:
    ours, peer = our_symbols / seconds(runs["ours"]), its_symbols / seconds(runs["replaced"])
    pairs = zip(runs["ours"], runs["replaced"], strict=True)
    rounds = [our_symbols / a.seconds / (its_symbols / b.seconds) for a, b in pairs]
    return Figure(name, "symbols/s", ours, peer, ours / peer, target, rounds, runs=runs)
