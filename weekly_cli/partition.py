"""One pass over the input: every row goes to the bundle of its task, sorted by symbol.

The pass holds one chunk of rows at a time. A stable sort by the symbol's code brings the chunk's rows into symbol
order (16-bit codes are sorted by radix) and keeps their input order within a symbol; each task's rows are then one
slice, appended to its bundle as a row group: a sorted run. The worker merges the runs of its task.

A bundle's columns are named by their position, so that any name can pass. A symbol is a number: its position in
the task. Integer columns are narrowed where the footers prove that nothing is lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from weekly_cli import source, storage
from weekly_cli.arrays import from_numpy, positions, to_numpy
from weekly_cli.bars import Ints
from weekly_cli.schema import DatasetSchema, carried_type
from weekly_cli.source import Chunk, Piece

_CODE, _DAY = "code", "day"


#: Bundles that are open at a time: a writer holds a file and buffers. More tasks than that share bundles.
_MOST_BUNDLES = 64


@dataclass(frozen=True)
class Fragments:
    """Where a task's rows are: row groups of a bundle, in input order."""

    bundle: str
    row_groups: tuple[int, ...]


@dataclass(frozen=True)
class Partitioned:
    """What the partition wrote: each task's fragments, bytes in all, and the bytes that narrower types saved."""

    fragments: tuple[Fragments, ...]
    bytes_written: int
    bytes_saved: int


def bundle_schema(schema: DatasetSchema, ranges: Mapping[str, tuple[int, int]]) -> pa.Schema:
    """Return the columns of a bundle: code and day of each row, and the own columns but the symbol."""
    own = [column for column in schema.arrow if column.name != schema.roles["symbol"]]
    kinds = [_narrowed(carried_type(column.type), ranges.get(column.name)) for column in own]
    return pa.schema(
        [
            pa.field(_CODE, pa.int32()),
            pa.field(_DAY, pa.int32()),
            *(pa.field(str(position), kind) for position, kind in enumerate(kinds)),
        ]
    )


def _narrowed(kind: pa.DataType, found: tuple[int, int] | None) -> pa.DataType:
    if found is None or not pa.types.is_integer(kind):
        return kind
    narrow = (pa.int8(), pa.int16(), pa.int32())
    fits = [
        small for small in narrow if -(2 ** (small.bit_width - 1)) <= found[0] and found[1] < 2 ** (small.bit_width - 1)
    ]
    return fits[0] if fits and fits[0].bit_width < kind.bit_width else kind


def partition(
    pieces: Sequence[Piece],
    schema: DatasetSchema,
    symbols: pa.Array,
    cuts: Ints,
    folder: Path,
    ranges: Mapping[str, tuple[int, int]],
    chunk_rows: int,
    frugal: bool,
    threads: int,
    on_rows: Callable[[int], None],
) -> Partitioned:
    """Write the bundles.

    Parameters
    ----------
    pieces : sequence of Piece
        The input.
    schema : DatasetSchema
    symbols : pa.Array
        The wanted symbols, sorted.
    cuts : int64[tasks + 1]
        Task i has the symbols from `cuts[i]` to `cuts[i + 1]`.
    folder : Path
        Where the bundles go.
    ranges : mapping
        Smallest and largest value of integer columns.
    chunk_rows : int
        Rows held at a time.
    frugal : bool
        Whether to give back after each chunk what allocators keep, which is as much again, for a third more time.
    threads : int
    on_rows : callable
        Told the number of rows routed so far.
    """
    kinds = bundle_schema(schema, ranges)
    plain = bundle_schema(schema, {})
    saved_per_row = sum(_width(a.type) - _width(b.type) for a, b in zip(plain, kinds, strict=True))
    done = 0
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(threads))
        bundles = [
            stack.enter_context(_Bundle(folder / f"bundle-{first:06d}.parquet", kinds, first, stop))
            for first, stop in _shares(len(cuts) - 1)
        ]
        half = max(1, chunk_rows // 2)  # halves are gathered until there is one, so that no chunk is larger
        chunks = source.chunks(pieces, schema, symbols, batch_rows=min(half, source.BATCH_ROWS))
        for batch in _ahead(_gathered(chunks, half)):
            _route(batch, kinds, cuts, bundles, pool)
            if frugal:
                pa.default_memory_pool().release_unused()
            done += sum(len(chunk.codes) for chunk in batch)
            on_rows(done)
        written = sum(pool.map(lambda bundle: bundle.close(durable=False), bundles))
    fragments = tuple(fragment for bundle in bundles for fragment in bundle.fragments())
    return Partitioned(fragments, written, saved_per_row * done)


def _shares(tasks: int) -> list[tuple[int, int]]:
    """Return the tasks of each bundle as (first, stop)."""
    bounds = np.linspace(0, tasks, min(tasks, _MOST_BUNDLES) + 1).astype(int).tolist()
    return list(pairwise(bounds))


class _Bundle(storage.ParquetOutput):
    """A bundle in the making: every write is a row group of one of its tasks."""

    def __init__(self, path: Path, kinds: pa.Schema, first_task: int, stop_task: int) -> None:
        super().__init__(path, kinds, compression="none", use_dictionary=False, write_statistics=False)
        self._first_task = first_task
        self._row_groups: list[list[int]] = [[] for _ in range(first_task, stop_task)]
        self._written = 0

    def route(self, table: pa.Table, bounds: Sequence[int]) -> None:
        """Write the rows of each task of the bundle: `bounds[i]` is the first row of task i."""
        for number, groups in enumerate(self._row_groups, self._first_task):
            rows = bounds[number + 1] - bounds[number]
            if rows:
                self.write(table.slice(bounds[number], rows))
                groups.append(self._written)
                self._written += 1

    def fragments(self) -> list[Fragments]:
        """Return where each task's rows are."""
        return [Fragments(str(self.path), tuple(groups)) for groups in self._row_groups]


def _width(kind: pa.DataType) -> int:
    return kind.bit_width // 8 if pa.types.is_integer(kind) else 0


def _gathered(chunks: Iterator[Chunk], least_rows: int) -> Iterator[list[Chunk]]:
    """Yield lists of consecutive chunks of at least `least_rows` rows, but for the last."""
    batch: list[Chunk] = []
    rows = 0
    for chunk in chunks:
        batch.append(chunk)
        rows += len(chunk.codes)
        if rows >= least_rows:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _ahead(batches: Iterator[list[Chunk]]) -> Iterator[list[Chunk]]:
    """Yield the batches, each decoded while the one before is routed."""
    with ThreadPoolExecutor(1) as decoder:
        coming = decoder.submit(next, batches, None)
        while batch := coming.result():
            coming = decoder.submit(next, batches, None)
            yield batch


def _route(
    batch: list[Chunk], kinds: pa.Schema, cuts: Ints, bundles: Sequence[_Bundle], pool: ThreadPoolExecutor
) -> None:
    codes = np.concatenate([chunk.codes for chunk in batch])
    days = np.concatenate([chunk.days for chunk in batch])
    own = pa.concat_tables([chunk.table for chunk in batch])
    order = np.argsort(codes.astype(np.uint16) if cuts[-1] <= 2**16 else codes, kind="stable")
    codes = codes[order]
    task_of = np.searchsorted(cuts, codes, "right") - 1
    gather = from_numpy(order)

    def gathered(number: int) -> pa.Array:
        column = own.column(number).combine_chunks()
        return column.take(gather).cast(kinds.field(number + 2).type)

    columns = [
        from_numpy((codes - cuts[task_of]).astype(np.int32)),
        from_numpy(days[order]),
        *pool.map(gathered, range(own.num_columns)),
    ]
    table = pa.table(columns, schema=kinds)
    bounds = np.searchsorted(codes, cuts).tolist()
    for _ in pool.map(lambda bundle: bundle.route(table, bounds), bundles):
        pass  # taking the results raises what a bundle's thread raised


def read_fragments(fragments: Fragments, schema: DatasetSchema, codes: Sequence[int]) -> Iterator[Chunk]:
    """Yield the runs of a task's fragments, with the own columns as they were.

    `codes` (ascending) names the symbols wanted by their numbers in the planned task; a row's code is the position
    of its symbol there.
    """
    own = [column for column in schema.arrow if column.name != schema.roles["symbol"]]
    names = [column.name for column in own]
    file = storage.open_parquet(fragments.bundle, verify=True)
    wanted = np.array(codes)
    for group in fragments.row_groups:
        table = file.read_row_group(group, use_threads=False)
        numbers = to_numpy(table.column(_CODE))
        position = np.minimum(np.searchsorted(wanted, numbers), len(wanted) - 1).astype(np.int32)
        keep = wanted[position] == numbers
        if not keep.all():
            table, position = table.take(positions(keep)), position[keep]
        arrays = [table.column(place + 2).cast(carried_type(column.type)) for place, column in enumerate(own)]
        yield Chunk(position, to_numpy(table.column(_DAY)), pa.table(arrays, names=names))
