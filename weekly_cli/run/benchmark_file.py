"""The benchmarks' bars as a file: written once, and read by every task that compares symbols with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.spans import BenchmarkBars
from weekly_cli.files import disk, output_file, parquet
from weekly_cli.files.locations import Location

if TYPE_CHECKING:
    from weekly_cli.run.task import Task


def write_benchmarks(keys: Ints, close: NDArray[np.float64], path: Location) -> None:
    """Write the benchmarks' weekly closes; `keys` are those that `bar_keys` computes from a benchmark's number."""
    table = pa.table([from_numpy(keys), from_numpy(close)], names=["key", "close"])
    with output_file.ParquetOutput(path, table.schema, compression="none", use_dictionary=False) as output:
        output.write(table)
        output.close(durable=False)


def read_benchmarks(task: Task) -> BenchmarkBars:
    """Return the benchmarks' bars, and with which of them a task's symbols are compared."""
    compared = {name: np.array(numbers, np.int64) for name, numbers in task.compared.items()}
    if task.job.benchmark_file is None:
        return BenchmarkBars(np.empty(0, np.int64), np.empty(0), compared)
    with disk.reading(task.job.benchmark_file):
        table = parquet.open_own(task.job.benchmark_file).read()
    return BenchmarkBars(to_numpy(table.column("key")), to_numpy(table.column("close")), compared)
