"""One pass over the input: every row goes to the bundle of its task, sorted by symbol.

The pass keeps one chunk of rows in memory, plus what is already decoded of the next. A stable sort by symbol code puts
the chunk's rows in symbol order (16-bit codes are radix-sorted) and keeps the input order within a symbol; each task's
rows are then one slice, which is appended to its bundle as a row group: a sorted run. The worker reads all runs of its
task at once and merges them. A bundle's footer data stays in memory until the bundle is closed, so large inputs fill
several sets of bundles, one after the other.

A bundle's columns are named by their position, so that any column name works. A symbol is a number: its position in
the task. Integer columns are narrowed where the footers prove that nothing is lost, and text with few distinct values
is stored as a dictionary.
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

from weekly_cli.compute.arrays import from_numpy, positions, to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset import source
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import DatasetSchema
from weekly_cli.dataset.source import Chunk, Piece
from weekly_cli.errors import InputRefused
from weekly_cli.files import disk, output_file, parquet
from weekly_cli.run.plan import Plan

_CODE, _DAY = "code", "day"


#: Bundles that are open at a time: each writer has an open file and buffers. With more tasks, bundles are shared.
_MOST_BUNDLES = 64
#: Column chunks of all open bundles: each takes a KiB of memory until the footer is written.
_MOST_COLUMN_CHUNKS = 32 * 1024


@dataclass(frozen=True)
class Fragments:
    """Where a task's rows are: bundles and their row groups, in input order; `symbols` is the number of its symbols."""

    symbols: int
    runs: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True)
class Partitioned:
    """What the partition wrote: each task's fragments, total bytes, and the bytes that narrower types saved."""

    fragments: tuple[Fragments, ...]
    bytes_written: int
    bytes_saved: int


def bundle_schema(schema: DatasetSchema, ranges: Mapping[str, tuple[int, int]]) -> pa.Schema:
    """Return the columns of a bundle: code and day of each row, and the input columns except the symbol."""
    input_columns = _input_columns(schema)
    kinds = [_narrowed(schema.working_type(column.name), ranges.get(column.name)) for column in input_columns]
    keys = [_CODE] if _day_column(schema) != _DAY else [_CODE, _DAY]
    return pa.schema(
        [
            *(pa.field(name, pa.int32(), nullable=False) for name in keys),
            *(pa.field(str(position), kind) for position, kind in enumerate(kinds)),
        ]
    )


def _input_columns(schema: DatasetSchema) -> list[pa.Field]:
    return [column for column in schema.arrow if column.name != schema.roles["symbol"]]


def _day_column(schema: DatasetSchema) -> str:
    """Return the bundle's column of session dates: the input's date column itself where its type is a plain date."""
    dates = [
        str(position)
        for position, column in enumerate(_input_columns(schema))
        if column.name == schema.roles["date"] and column.type == pa.date32()
    ]
    return dates[0] if dates else _DAY


def _narrowed(kind: pa.DataType, extremes: tuple[int, int] | None) -> pa.DataType:
    if extremes is None or not pa.types.is_integer(kind):
        return kind
    narrow = (pa.int8(), pa.int16(), pa.int32())
    fits = [
        small
        for small in narrow
        if -(2 ** (small.bit_width - 1)) <= extremes[0] and extremes[1] < 2 ** (small.bit_width - 1)
    ]
    return fits[0] if fits and fits[0].bit_width < kind.bit_width else kind


def partition(
    scan: Scan, plan: Plan, address: Callable[[str], str], threads: int, on_rows: Callable[[int], None]
) -> Partitioned:
    """Write the bundles of a plan.

    Parameters
    ----------
    scan : Scan
    plan : Plan
    address : callable
        Returns the path of the bundle with this name.
    threads : int
    on_rows : callable
        Called with the number of rows routed so far.
    """
    footers = scan.footers
    pieces, schema, ranges = footers.pieces, footers.schema, footers.integer_ranges
    symbols = scan.symbols.take(from_numpy(plan.selected))
    cuts = np.array(plan.cuts)
    chunk_rows = plan.chunk_rows
    kinds = bundle_schema(schema, ranges)
    plain = bundle_schema(schema, {})
    saved_per_row = sum(_width(a.type) - _width(b.type) for a, b in zip(plain, kinds, strict=True))
    repeated = [
        str(place) for place, column in enumerate(_input_columns(schema)) if column.name in schema.dictionary_text
    ]
    done = written = 0
    runs: list[list[tuple[str, tuple[int, ...]]]] = [[] for _ in cuts[1:]]
    parts = source.chunks_ahead(pieces, schema, symbols, max(1, chunk_rows // threads), threads)
    batches = _gathered(parts, chunk_rows)
    batch = next(batches, None)
    number = 0
    while batch is not None:
        with contextlib.ExitStack() as stack:
            bundles = [
                stack.enter_context(
                    _Bundle(Path(address(f"bundle-{number}-{first:06d}.parquet")), kinds, repeated, first, stop)
                )
                for first, stop in _shares(len(cuts) - 1)
            ]
            # The pool exits first, and waits: closing a bundle while a thread writes to it crashes the process.
            pool = stack.enter_context(ThreadPoolExecutor(threads))
            while batch is not None and sum(bundle.column_chunks for bundle in bundles) < _MOST_COLUMN_CHUNKS:
                done += sum(len(chunk.codes) for chunk in batch)
                try:
                    _route(batch, schema, kinds, cuts, bundles, pool)
                except pa.ArrowInvalid:
                    _refuse_wrong_ranges(pieces, schema, kinds)
                    raise
                if plan.low_memory:  # takes a third more time and half as much memory
                    pa.default_memory_pool().release_unused()
                on_rows(done)
                batch = next(batches, None)
            written += sum(pool.map(lambda bundle: bundle.close(durable=False), bundles))
        for bundle in bundles:
            for task, groups in bundle.row_groups():
                runs[task].append((str(bundle.path), groups))
        number += 1
    fragments = tuple(map(Fragments, np.diff(cuts).tolist(), map(tuple, runs)))
    return Partitioned(fragments, written, saved_per_row * done)


def _shares(tasks: int) -> list[tuple[int, int]]:
    """Return the tasks of each bundle as (first, stop)."""
    bounds = np.linspace(0, tasks, min(tasks, _MOST_BUNDLES) + 1).astype(int).tolist()
    return list(pairwise(bounds))


class _Bundle(output_file.ParquetOutput):
    """A bundle being written: every write is a row group of one of its tasks."""

    def __init__(self, path: Path, kinds: pa.Schema, repeated: list[str], first_task: int, stop_task: int) -> None:
        super().__init__(path, kinds, compression="none", use_dictionary=repeated, write_statistics=False)
        self._first_task = first_task
        self._row_groups: list[list[int]] = [[] for _ in range(first_task, stop_task)]
        self._written = 0
        self._columns = len(kinds)

    def route(self, table: pa.Table, bounds: Sequence[int]) -> None:
        """Write the rows of each of the bundle's tasks: `bounds[i]` is the first row of task i."""
        for number, groups in enumerate(self._row_groups, self._first_task):
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
        """Yield each task that has rows in the bundle, and its row groups."""
        return ((task, tuple(groups)) for task, groups in enumerate(self._row_groups, self._first_task) if groups)


def _width(kind: pa.DataType) -> int:
    return kind.bit_width // 8 if pa.types.is_integer(kind) else 0


def _gathered(parts: Iterator[Chunk], most_rows: int) -> Iterator[list[Chunk]]:
    """Yield lists of consecutive parts with at most `most_rows` rows, unless a single part has more."""
    batch: list[Chunk] = []
    rows = 0
    for part in parts:
        if batch and rows + len(part.codes) > most_rows:
            yield batch
            batch, rows = [], 0
        batch.append(part)
        rows += len(part.codes)
    if batch:
        yield batch


def _route(
    batch: list[Chunk],
    schema: DatasetSchema,
    kinds: pa.Schema,
    cuts: Ints,
    bundles: Sequence[_Bundle],
    pool: ThreadPoolExecutor,
) -> None:
    """Write a chunk's rows; `batch` is emptied, so that each column is freed once it is gathered."""
    codes = np.concatenate([part.codes for part in batch])
    order = np.argsort(codes.astype(np.uint16) if cuts[-1] <= 2**16 else codes, kind="stable")
    counts = np.bincount(codes, minlength=int(cuts[-1]))
    first_code = np.repeat(cuts[:-1], np.diff(cuts))
    columns = [from_numpy(np.repeat((np.arange(len(counts)) - first_code).astype(np.int32), counts))]
    if _day_column(schema) == _DAY:
        columns.append(from_numpy(np.concatenate([part.days for part in batch])[order]))
    column_parts = [[part.table.column(number) for part in batch] for number in range(len(kinds) - len(columns))]
    batch.clear()
    gather = from_numpy(order)

    def gathered(number: int) -> pa.Array:
        parts, column_parts[number] = column_parts[number], []
        column = pa.concat_arrays([array for part in parts for array in part.unify_dictionaries().chunks])
        del parts
        return column.take(gather).cast(kinds.field(str(number)).type)

    columns += pool.map(gathered, range(len(column_parts)))
    table = pa.table(columns, schema=kinds)
    bounds = np.append(0, np.cumsum(counts))[cuts].tolist()
    for _ in pool.map(lambda bundle: bundle.route(table, bounds), bundles):
        pass  # consuming the results re-raises a bundle thread's exception


def _refuse_wrong_ranges(pieces: Sequence[Piece], schema: DatasetSchema, kinds: pa.Schema) -> None:
    """Refuse the file whose integers do not fit the types that its footer's statistics allow."""
    input_columns = _input_columns(schema)
    narrow = {column.name: kinds.field(str(place)).type for place, column in enumerate(input_columns)}
    narrow = {name: kind for name, kind in narrow.items() if kind != schema.working_type(name)}
    for piece, _, table in source.tables(pieces, schema, list(narrow)):
        for name, kind in narrow.items():
            try:
                table.column(name).cast(kind)
            except pa.ArrowInvalid as error:
                raise InputRefused(
                    f"{piece.name} has a damaged footer: its statistics of column {name!r} (row group "
                    f"{piece.row_group}) are not those of its values: {disk.first_line(error)}; write the file again"
                ) from error


def _runs(fragments: Fragments, *, at_once: bool) -> Iterator[pa.Table]:
    """Yield the runs of a task; with `at_once`, all runs of a bundle as one table."""
    for bundle, row_groups in fragments.runs:
        file = parquet.open_own(bundle)
        for groups in [row_groups] if at_once else [(group,) for group in row_groups]:
            with disk.reading(bundle):
                table = file.read_row_groups(list(groups), use_threads=False)
            yield table


def read_fragments(fragments: Fragments, schema: DatasetSchema, codes: Sequence[int]) -> Iterator[Chunk]:
    """Yield a task's rows in input order, with the input columns in their working types.

    `codes` (ascending) are the wanted symbols' numbers in the planned task; a row's code is the position of its symbol
    in `codes`. If all symbols are wanted, they are read at once, so that each column is in one piece; if only some
    are, run by run, so that no more than one run of unwanted rows is in memory.
    """
    input_columns = _input_columns(schema)
    names, day = [column.name for column in input_columns], _day_column(schema)
    wanted = np.array(codes)
    all_wanted = len(wanted) == fragments.symbols
    for table in _runs(fragments, at_once=all_wanted):
        position = to_numpy(table.column(_CODE))
        if not all_wanted:
            numbers = position
            position = np.minimum(np.searchsorted(wanted, numbers), len(wanted) - 1).astype(np.int32)
            keep = wanted[position] == numbers
            table, position = table.take(positions(keep)), position[keep]
        arrays = [
            table.column(str(place)).cast(schema.working_type(column.name))
            for place, column in enumerate(input_columns)
        ]
        yield Chunk(position, to_numpy(table.column(day)), pa.table(arrays, names=names))
