"""`make bench`: the same job here and as a Polars script, whole processes, alternating, in one run.

Prints a table of medians and ratios and writes it as JSON. Both sides compute every column with one benchmark and
write zstd 1. Peak memory is the sum of proportional set sizes over the process tree, so shared pages count once.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from weekly_cli.sample import write_sample

HERE = Path(__file__).parent
TOOL = Path(sys.executable).parent / "weekly-cli"
SAMPLE_SECONDS = 0.05


@dataclass(frozen=True)
class Run:
    """One process from start to end."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


def measured(command: list[str], *, sample: bool) -> Run:
    """Run a command, sampling its memory if asked for; RuntimeError with its words if it fails."""
    before = os.times()
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    peak = [0]
    watch = threading.Thread(target=_watch, args=(process, peak))
    if sample:
        watch.start()
    said, _ = process.communicate()
    seconds = time.perf_counter() - began
    if sample:
        watch.join()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(seconds, cpu, peak[0])


def _watch(process: subprocess.Popen[str], peak: list[int]) -> None:
    root = psutil.Process(process.pid)
    while process.poll() is None:
        held = 0
        for one in (root, *_children(root)):
            try:
                held += one.memory_full_info().pss
            except psutil.Error:  # gone since it was listed
                continue
        peak[0] = max(peak[0], held)
        time.sleep(SAMPLE_SECONDS)


def _children(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def datasets(folder: Path, symbols: int, years: int) -> dict[str, Path]:
    """Make the same rows clustered by symbol and in date order, unless they are there."""
    made = {}
    for name, layout in (("clustered", "symbol"), ("date order", "date")):
        made[name] = folder / f"{layout}-{symbols}-{years}"
        if not made[name].exists():
            write_sample(made[name].with_suffix(".making"), symbols=symbols, years=years, layout=layout)
            made[name].with_suffix(".making").rename(made[name])
    return made


def compared(path: Path, folder: Path, rounds: int) -> dict[str, list[Run]]:
    """Run both sides alternating: once for the memory, whose sampling takes time, then `rounds` times for the time."""
    ours = [
        str(TOOL),
        "build",
        str(path),
        "-o",
        str(folder / "ours"),
        "--benchmark",
        "MARKET",
        "--quiet",
        "--overwrite",
    ]
    polars = [sys.executable, str(HERE / "polars_job.py"), str(path), str(folder / "polars.parquet")]
    polars += ["--benchmark", "MARKET", "--compression", "zstd"]
    commands = {"weekly-cli": ours, "polars": polars}
    peaks = {name: measured(command, sample=True).peak_bytes for name, command in commands.items()}
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            runs[name].append(replace(measured(command, sample=False), peak_bytes=peaks[name]))
    return runs


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=4000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    result: dict[str, object] = {
        "machine": {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "symbols": options.symbols,
        "years": options.years,
    }
    print(f"{'dataset':<12}{'rows':>12}{'side':>12}{'seconds':>9}{'CPU s':>8}{'peak MiB':>10}")
    for name, path in datasets(options.folder, options.symbols, options.years).items():
        rows = sum(pq.ParquetFile(file).metadata.num_rows for file in path.glob("*.parquet"))
        runs = compared(path, options.folder, options.rounds)
        medians = {side: _median(found) for side, found in runs.items()}
        for side, run in medians.items():
            peak = run.peak_bytes / 2**20
            print(f"{name:<12}{rows:>12,}{side:>12}{run.seconds:>9.2f}{run.cpu_seconds:>8.2f}{peak:>10,.0f}")
        ours, polars = medians["weekly-cli"], medians["polars"]
        ratio = {"time": polars.seconds / ours.seconds, "memory": ours.peak_bytes / polars.peak_bytes}
        print(f"{name}: Polars takes {ratio['time']:.2f} x our time; we take {ratio['memory']:.2f} x its memory")
        result[name] = {"rows": rows, "ratio": ratio} | {
            side: [asdict(run) for run in found] for side, found in runs.items()
        }
    (options.folder / "bench.json").write_text(json.dumps(result, indent=2) + "\n")
    print(f"written to {options.folder / 'bench.json'}")


def _median(runs: list[Run]) -> Run:
    fields = [
        statistics.median(getattr(run, name) for run in runs) for name in ("seconds", "cpu_seconds", "peak_bytes")
    ]
    return Run(fields[0], fields[1], int(fields[2]))


if __name__ == "__main__":
    main()
