"""The benchmarks' bars as a file: written once, and read by every task that compares symbols with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.bars import Bars, Ints
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.columns import BenchmarkBars, KeyedCloses, bar_keys
from weekly_cli.files import disk, output_file, parquet
from weekly_cli.files.locations import Location
from weekly_cli.names import PERIODS

if TYPE_CHECKING:
    from weekly_cli.run.task import Task

_EVERY = tuple(PERIODS)


def keyed_closes(bars: Iterable[tuple[Ints, Mapping[str, Bars]]]) -> dict[str, KeyedCloses]:
    """Return the closes of benchmarks' bars by clock, in the order of their keys.

    Parameters
    ----------
    bars : iterable of (int64[codes], mapping of clock to Bars)
        The number of the benchmark that each code of the bars stands for, and the bars.
    """
    keys: dict[str, list[Ints]] = {}
    closes: dict[str, list[np.ndarray[tuple[int], np.dtype[np.float64]]]] = {}
    for numbers, of_clocks in bars:
        for every, of_one in of_clocks.items():
            keys.setdefault(every, []).append(bar_keys(numbers[of_one.codes], of_one.periods))
            closes.setdefault(every, []).append(of_one.close)
    result = {}
    for every in keys:
        key = np.concatenate(keys[every])
        order = np.argsort(key)
        result[every] = key[order], np.concatenate(closes[every])[order]
    return result


def numbered(benchmarks: Ints, of_clocks: Sequence[Mapping[str, Bars]]) -> Iterator[tuple[Ints, Mapping[str, Bars]]]:
    """Yield the bars of benchmarks for each of the distinct clocks, with the benchmarks' numbers for that one."""
    for number, bars in enumerate(of_clocks):
        yield benchmarks * len(of_clocks) + number, bars


def numbers_for(benchmarks: Ints, week: SymbolClocks) -> Ints:
    """Return the number of each symbol's benchmark for the symbol's clock; -1 stays -1.

    Parameters
    ----------
    benchmarks : int64[symbols]
    week : SymbolClocks
        Those of the symbols.
    """
    of_symbol = 0 if week.of_symbol is None else week.of_symbol
    return np.where(benchmarks < 0, -1, benchmarks * len(week.distinct) + of_symbol)


def write_benchmarks(closes: Mapping[str, KeyedCloses], path: Location) -> None:
    """Write the benchmarks' closes of every clock; `keyed_closes` makes them."""
    parts = [(np.full(len(keys), _EVERY.index(every)), keys, close) for every, (keys, close) in closes.items()]
    empty = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    columns = [from_numpy(np.concatenate(column)) for column in zip(empty, *parts, strict=True)]
    table = pa.table(columns, names=["every", "key", "close"])
    with output_file.ParquetOutput(path, table.schema, compression="none", use_dictionary=False) as output:
        output.write(table)
        output.close(durable=False)


def read_benchmarks(task: Task) -> BenchmarkBars:
    """Return the benchmarks' bars, and with which of them a task's symbols are compared."""
    week = task.clocks[0]
    compared = {name: numbers_for(np.array(numbers, np.int64), week) for name, numbers in task.compared.items()}
    if task.job.benchmark_file is None:
        return BenchmarkBars({}, compared)
    with disk.reading(task.job.benchmark_file):
        table = parquet.open_own(task.job.benchmark_file).read()
    every, keys, close = (to_numpy(table.column(name)) for name in ("every", "key", "close"))
    numbers = np.unique(every).tolist()
    return BenchmarkBars({_EVERY[one]: (keys[every == one], close[every == one]) for one in numbers}, compared)
