"""Bundles: files into which one pass over rows sorts them, each row to where it belongs.

The pass keeps one chunk of rows in memory. A stable sort by the rows' numbers (16-bit ones are radix-sorted) puts the
chunk in order and keeps the order of equal ones; the rows of a range of numbers are then one slice, which is appended
to its bundle as a row group: a sorted run. Whoever reads a range reads all of its runs at once and merges them. A
bundle's footer data stays in memory until the bundle is closed, so large inputs fill several sets of bundles, one after
the other.

A bundle's columns are named by their position, so that any column name works.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.files import disk, output_file, parquet
from weekly_cli.files.locations import Location, location

#: Bundles that are open at a time: each writer has an open file and buffers. With more ranges, bundles are shared.
_MOST_BUNDLES = 64
#: Column chunks of all open bundles: each takes a KiB of memory until the footer is written.
_MOST_COLUMN_CHUNKS = 32 * 1024

#: Where the rows of a range are: bundles and their row groups, in the order in which the rows came.
Runs = tuple[tuple[str, tuple[int, ...]], ...]


@dataclass
class Batch:
    """Rows on their way: the number of each, and its columns, in parts of which each is freed once it is gathered.

    `keys` makes the first columns of the bundles from the order of the rows and the count of each number.
    """

    numbers: NDArray[np.int32]
    parts: list[pa.Table]
    keys: Callable[[Ints, Ints], list[pa.Array]] = lambda order, counts: []


@dataclass(frozen=True)
class BundleSet:
    """What all bundles of a pass have in common.

    Attributes
    ----------
    kinds : pa.Schema
        Their columns: keys first, then those of the batches by their position.
    repeated : sequence of str
        The columns that get a dictionary.
    cuts : int64[ranges + 1]
        The numbers at which ranges begin, and the end.
    address : callable
        Returns the path of the bundle with this name.
    prefix : str
        What their names begin with.
    low_memory : bool
        Whether memory is released after each batch, which takes a third more time and half as much memory.
    ranges_per_bundle : int
        How many ranges share a bundle, at least.
    """

    kinds: pa.Schema
    repeated: Sequence[str]
    cuts: Ints
    address: Callable[[str], str]
    prefix: str
    low_memory: bool
    ranges_per_bundle: int = 1

    def write(self, batches: Iterator[Batch], threads: int, on_rows: Callable[[int], None]) -> tuple[list[Runs], int]:
        """Write all batches; return the runs of each range, and the bytes written.

        `on_rows` is called with the number of rows written so far.
        """
        done = written = number = 0
        runs: list[list[tuple[str, tuple[int, ...]]]] = [[] for _ in self.cuts[1:]]
        batch = next(batches, None)
        while batch is not None:
            with contextlib.ExitStack() as stack:
                bundles = [
                    stack.enter_context(
                        _Bundle(
                            location(self.address(f"{self.prefix}-{number}-{first:06d}.parquet")), self, first, stop
                        )
                    )
                    for first, stop in _shares(len(self.cuts) - 1, self.ranges_per_bundle)
                ]
                # The pool exits first, and waits: closing a bundle while a thread writes to it crashes the process.
                pool = stack.enter_context(ThreadPoolExecutor(threads))
                while batch is not None and sum(bundle.column_chunks for bundle in bundles) < _MOST_COLUMN_CHUNKS:
                    done += len(batch.numbers)
                    self._route(batch, bundles, pool)
                    if self.low_memory:
                        pa.default_memory_pool().release_unused()
                    on_rows(done)
                    batch = next(batches, None)
                written += sum(pool.map(lambda bundle: bundle.close(durable=False), bundles))
            for bundle in bundles:
                path = str(bundle.path)  # once for all its ranges, of which there may be thousands
                for place, groups in bundle.row_groups():
                    runs[place].append((path, groups))
            number += 1
        return [tuple(found) for found in runs], written

    def _route(self, batch: Batch, bundles: Sequence[_Bundle], pool: ThreadPoolExecutor) -> None:
        """Write a batch's rows."""
        numbers = batch.numbers
        order = np.argsort(numbers.astype(np.uint16) if self.cuts[-1] <= 2**16 else numbers, kind="stable")
        counts = np.bincount(numbers, minlength=int(self.cuts[-1]))
        columns = batch.keys(order, counts)
        n_keys = len(columns)
        column_parts = [[part.column(place) for part in batch.parts] for place in range(len(self.kinds) - n_keys)]
        batch.parts.clear()
        gather = from_numpy(order)

        def gathered(place: int) -> pa.Array:
            parts, column_parts[place] = column_parts[place], []
            column = pa.concat_arrays([array for part in parts for array in part.unify_dictionaries().chunks])
            del parts
            return column.take(gather).cast(self.kinds.field(n_keys + place).type)

        columns += pool.map(gathered, range(len(column_parts)))
        table = pa.table(columns, schema=self.kinds)
        bounds = np.append(0, np.cumsum(counts))[self.cuts].tolist()
        for _ in pool.map(lambda bundle: bundle.route(table, bounds), bundles):
            pass  # consuming the results re-raises a bundle thread's exception


def _shares(ranges: int, per_bundle: int) -> list[tuple[int, int]]:
    """Return the ranges of each bundle as (first, stop)."""
    bounds = np.linspace(0, ranges, min(-(-ranges // per_bundle), _MOST_BUNDLES) + 1).astype(int).tolist()
    return list(pairwise(bounds))


class _Bundle(output_file.ParquetOutput):
    """A bundle being written: every write is a row group of one of its ranges."""

    def __init__(self, path: Location, common: BundleSet, first: int, stop: int) -> None:
        super().__init__(
            path, common.kinds, compression="none", use_dictionary=list(common.repeated), write_statistics=False
        )
        self._first = first
        self._row_groups: list[list[int]] = [[] for _ in range(first, stop)]
        self._written = 0
        self._columns = len(common.kinds)

    def route(self, table: pa.Table, bounds: Sequence[int]) -> None:
        """Write the rows of each of the bundle's ranges: `bounds[i]` is the first row of range i."""
        for number, groups in enumerate(self._row_groups, self._first):
            rows = bounds[number + 1] - bounds[number]
            if rows:
                self.write(table.slice(bounds[number], rows))
                groups.append(self._written)
                self._written += 1

    @property
    def column_chunks(self) -> int:
        """Column chunks written so far."""
        return self._written * self._columns

    def row_groups(self) -> Iterator[tuple[int, tuple[int, ...]]]:
        """Yield each range that has rows in the bundle, and its row groups."""
        return ((place, tuple(groups)) for place, groups in enumerate(self._row_groups, self._first) if groups)


def read_runs(runs: Runs, *, at_once: bool, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the runs of a range, all columns or some; with `at_once`, all runs of a bundle as one table."""
    for bundle, row_groups in runs:
        file = parquet.open_own(bundle)
        for groups in [row_groups] if at_once else [(group,) for group in row_groups]:
            with disk.reading(bundle):
                table = file.read_row_groups(list(groups), columns, use_threads=False)
            yield table
