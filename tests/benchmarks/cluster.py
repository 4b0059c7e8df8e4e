"""`make bench-cluster`: what a Dask cluster costs, on a scheduler and workers that are processes of this machine.

`empty`: tasks that do nothing, alone and with the bytes that a real one carries, through the engine.
`fan-out`: the same build on one, two and four workers of one thread.
`client`: the memory of the process that was called, while the input grows tenfold, and tenfold again.
`paper`: a billion rows on up to a thousand workers, planned, with what `empty` and `client` have measured.
`large`: some hundred million rows on a cluster of this machine's cores, under one memory limit for all processes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import data
import psutil
from dask_processes import dask_cluster
from empty_tasks import EmptyTask, done
from measure import measured
from on_paper import HEADER, Cost, on_paper
from record import keep

from weekly_cli.run.engines.dask_connect import connect

TOOL = str(Path(sys.executable).with_name("weekly-cli"))
EMPTY = (10_000, 100_000)
#: What a task of the sample carries, pickled: paths, symbols and what all tasks have in common.
LOADS = (0, 16 * 1024)
WORKERS = (1, 2, 4)
ROUNDS = 3
SIZES = ((400, 10), (4_000, 10), (10_000, 40))
WORKERS_OF_CLIENT = 2
LIMIT, LIMIT_BYTES = "2GiB", 2**31


def empty(folder: Path, _: Path) -> list[dict[str, object]]:
    """Return how long tasks take that do nothing, and by how much the processes grow meanwhile."""
    found = []
    for count in EMPTY:
        for load in LOADS:
            with dask_cluster(folder, 2) as cluster:
                engine, _capacity = connect(cluster.address, None)
                assert cluster.scheduler is not None
                processes = psutil.Process(), psutil.Process(cluster.scheduler.pid)
                tasks = [EmptyTask(number, bytes(load)) for number in range(count)]
                before = [one.memory_info().rss for one in processes]
                busy = [sum(one.cpu_times()[:2]) for one in processes]
                began = time.perf_counter()
                ended = sum(1 for _ in engine.run_tasks(tasks, done))  # type: ignore[arg-type]
                seconds = time.perf_counter() - began
                busy = [sum(one.cpu_times()[:2]) - was for one, was in zip(processes, busy, strict=True)]
                grown = [one.memory_info().rss - size for one, size in zip(processes, before, strict=True)]
                engine.close()
            assert ended == count
            found.append(
                {"tasks": count, "load_bytes": load, "seconds": seconds}
                | dict(zip(("client_bytes", "scheduler_bytes"), grown, strict=True))
                | dict(zip(("client_seconds", "scheduler_seconds"), busy, strict=True))
            )
            print(
                f"{count:>9,} tasks of {load / 1024:.0f} KiB: {seconds:.1f} s, {1000 * seconds / count:.2f} ms each; "
                f"CPU: client {1000 * busy[0] / count:.2f} ms, scheduler {1000 * busy[1] / count:.2f} ms each; "
                f"grown: client {grown[0] / 2**20:.0f} MiB, scheduler {grown[1] / 2**20:.0f} MiB",
                flush=True,
            )
    return found


def fan_out(folder: Path, datasets: Path) -> list[dict[str, object]]:
    """Return the seconds of the fan-out by the number of workers; rounds alternate."""
    source = data.sample(datasets, 4_000, 10, "symbol")
    seconds: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    for _ in range(ROUNDS):
        for workers in WORKERS:
            with dask_cluster(folder, 0) as cluster:
                for _ in range(workers):
                    cluster.start_worker(memory="2GiB")
                cluster.wait_for_workers(workers)
                said = build(source, folder, "--scheduler", cluster.address)
            seconds[workers].append(said["seconds"]["fan out"])
    found = [{"workers": workers, "seconds": statistics.median(times)} for workers, times in seconds.items()]
    for one in found:
        gain = float(found[0]["seconds"]) / float(one["seconds"])
        print(f"{one['workers']} workers: fan-out {one['seconds']:.2f} s, {gain:.2f} times as fast as one", flush=True)
    return found


def client(folder: Path, datasets: Path) -> list[dict[str, object]]:
    """Return the peak of the client's memory by the input's size, in date order: all rows are partitioned."""
    found = []
    with dask_cluster(folder, WORKERS_OF_CLIENT) as cluster:
        for symbols, years in SIZES:
            source = data.sample(datasets, symbols, years, "date")
            said = build(source, folder, "--scheduler", cluster.address, "--strategy", "batched")
            one = {"rows": said["rows"], "client_bytes": said["peak_bytes"]["parent"], "seconds": said["seconds"]}
            one |= {
                "partitioned_bytes": said["bytes_partitioned"],
                "worker_bytes": said["peak_bytes"]["largest_worker"],
            }
            found.append(one)
            print(
                f"{one['rows']:>12,} rows: client {one['client_bytes'] / 2**20:,.0f} MiB, largest worker "
                f"{one['worker_bytes'] / 2**20:,.0f} MiB, shuffled {one['partitioned_bytes'] / 2**20:,.0f} MiB, "
                f"{one['seconds']['total']:.1f} s",
                flush=True,
            )
    return found


def large(folder: Path, datasets: Path) -> list[dict[str, object]]:
    """Return the time and the memory of all processes for the largest datasets."""
    found = []
    for layout in ("symbol", "date"):
        source = data.sample(datasets, *SIZES[-1], layout)
        output, report = folder / "cluster", folder / "cluster-report.json"
        command = [TOOL, "build", str(source), "--output", str(output), "--memory-limit", LIMIT, "--engine", "dask"]
        run = measured([*command, "--report", str(report), "--quiet", "--overwrite"], sample=True)
        rows = json.loads(report.read_text())["rows"]
        shutil.rmtree(output)
        found.append({"layout": layout, "rows": rows, "seconds": run.seconds, "peak_bytes": run.peak_bytes})
        kept = "" if run.peak_bytes <= LIMIT_BYTES else f", MORE than {LIMIT}"
        print(f"{layout}: {rows:,} rows, {run.seconds:.1f} s, {run.peak_bytes / 2**20:,.0f} MiB{kept}", flush=True)
    return found


def paper(folder: Path, datasets: Path) -> list[dict[str, object]]:
    """Return what a billion rows would cost, by what the other parts have measured."""
    costly = json.loads((folder / "cluster-empty.json").read_text())["figures"][-1]
    largest = json.loads((folder / "cluster-client.json").read_text())["figures"][-1]
    seconds = largest["seconds"]
    cost = Cost(
        row_seconds=WORKERS_OF_CLIENT
        * sum(seconds[stage] for stage in ("scan", "partition", "fan out"))
        / largest["rows"],
        shuffled_bytes=largest["partitioned_bytes"] / largest["rows"],
        scheduler_seconds=costly["scheduler_seconds"] / costly["tasks"],
        client_seconds=costly["client_seconds"] / costly["tasks"],
    )
    found = list(on_paper(data.sample(datasets, *SIZES[0], "date"), cost))
    print(HEADER, *(one.line for one in found), sep="\n", flush=True)
    return [asdict(one) for one in found]


def build(source: Path, folder: Path, *words: str) -> dict[str, object]:
    """Build a dataset on a cluster and return the report."""
    output, report = folder / "cluster", folder / "cluster-report.json"
    command = [TOOL, "build", str(source), "--output", str(output), "--engine", "dask", *words]
    measured([*command, "--report", str(report), "--quiet", "--overwrite"])
    shutil.rmtree(output)
    found: dict[str, object] = json.loads(report.read_text())
    return found


PARTS: dict[str, Callable[[Path, Path], list[dict[str, object]]]] = {
    "empty": empty,
    "fan-out": fan_out,
    "client": client,
    "paper": paper,
    "large": large,
}


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; repeatable")
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--data", type=Path, help="where the datasets are, or are made; else --folder")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    folder = options.folder.resolve()
    for name in options.only or PARTS:
        found = PARTS[name](folder, (options.data or folder).resolve())
        keep(folder / f"cluster-{name}.json", {"figures": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())
