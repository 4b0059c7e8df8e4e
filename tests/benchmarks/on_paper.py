"""A billion rows on a cluster, planned and not run: what N workers would do, send and wait for.

The plan is the tool's own, of a scan that is made by hand; what a row, a task and a byte cost is measured elsewhere:
`cluster.py` says by which part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from weekly_cli.dataset import source
from weekly_cli.run.pipeline import plan_only
from weekly_cli.run.plan import make_plan
from weekly_cli.run.resources import Resources
from weekly_cli.run.shuffle import TASKS_PER_BUNDLE
from weekly_cli.run.wanted import wanted_by
from weekly_cli.settings import from_python, resolve

SYMBOLS, YEARS, SESSIONS = 40_000, 100, 252
WORKERS = (4, 16, 64, 256, 1024)
#: Of a worker with one thread, as tasks may use it.
WORKER_BYTES = 4 * 2**30
#: Of a piece of work: submitted, sent to a worker, ended there, told to the client, released by it, freed there.
MESSAGES = 6
ROW_GROUP_ROWS = 1024 * 1024
HEADER = """\
| workers | key reads | chunks | tasks | bundles | runs | shuffled | messages | each worker | the rest | slower |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |"""


@dataclass(frozen=True)
class Cost:
    """What was measured: CPU seconds a row in workers, bytes a row, and seconds a piece of work in one process."""

    row_seconds: float
    shuffled_bytes: float
    scheduler_seconds: float
    client_seconds: float


@dataclass(frozen=True)
class OnPaper:
    """What a run would do on so many workers of one thread.

    `pieces` of work are those of all stages; `serial_seconds` is what the busier of client and scheduler does, one
    after the other, and `worker_seconds` what each worker does.
    """

    workers: int
    key_reads: int
    chunks: int
    tasks: int
    runs: int
    bundles: int
    messages: int
    shuffled_bytes: float
    worker_seconds: float
    serial_seconds: float

    @property
    def line(self) -> str:
        """The row of the table."""
        slower = "workers" if self.worker_seconds > self.serial_seconds else "the rest"
        return (
            f"| {self.workers:,} | {self.key_reads:,} | {self.chunks:,} | {self.tasks:,} | {self.bundles:,} | "
            f"{self.runs:,} | {self.shuffled_bytes / 1e9:.0f} GB | {self.messages:,} | {self.worker_seconds:,.0f} s | "
            f"{self.serial_seconds:,.0f} s | {slower} |"
        )


def on_paper(small: Path, cost: Cost) -> Iterator[OnPaper]:
    """Yield what a billion rows in date order would be, as those of the dataset `small` are."""
    config = resolve(from_python({"input": str(small), "output": os.devnull, "strategy": "batched"}))
    scan, _ = plan_only(config)
    rows = SYMBOLS * YEARS * SESSIONS
    groups = -(-rows // ROW_GROUP_ROWS)
    piece = replace(scan.footers.pieces[0], start=0, stop=ROW_GROUP_ROWS, rows_in_group=ROW_GROUP_ROWS)
    footers = replace(scan.footers, pieces=(piece,) * groups, file_bytes=scan.footers.file_bytes * rows // scan.rows)
    scan = replace(
        scan,
        footers=footers,
        rows=rows,
        symbols=pa.array([f"S{number:05d}" for number in range(SYMBOLS)]),
        rows_per_symbol=np.full(SYMBOLS, YEARS * SESSIONS),
    )
    for workers in WORKERS:
        memory = workers * WORKER_BYTES
        there = Resources(workers, "workers", memory, "memory of the workers", 1.0, WORKER_BYTES)
        plan = make_plan(scan, config, wanted_by(config), there)
        key_reads, chunks = (
            sum(1 for _ in source.runs(footers.pieces, most)) for most in (source.BATCH_ROWS, plan.chunk_rows)
        )
        tasks = len(plan.tasks)
        pieces = key_reads + chunks + tasks
        yield OnPaper(
            workers=workers,
            key_reads=key_reads,
            chunks=chunks,
            tasks=tasks,
            runs=chunks * tasks,
            bundles=chunks * -(-tasks // TASKS_PER_BUNDLE),
            messages=MESSAGES * pieces,
            shuffled_bytes=rows * cost.shuffled_bytes,
            worker_seconds=rows * cost.row_seconds / workers,
            serial_seconds=pieces * max(cost.scheduler_seconds, cost.client_seconds),
        )
