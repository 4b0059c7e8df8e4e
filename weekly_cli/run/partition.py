"""One pass over the input: every row goes to the bundle of its task, sorted by symbol.

A symbol is a number in a bundle: its position in the task. Integer columns are narrowed where the footers prove that
nothing is lost, and text with few distinct values is stored as a dictionary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy, positions, to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset import source
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import DatasetSchema
from weekly_cli.dataset.source import Chunk, Piece
from weekly_cli.errors import InputRefused
from weekly_cli.files import disk
from weekly_cli.run.bundles import Batch, BundleSet, Runs, read_runs
from weekly_cli.run.plan import Plan

_CODE, _DAY = "code", "day"


@dataclass(frozen=True)
class Fragments:
    """Where a task's rows are: bundles and their row groups, in input order; `symbols` is the number of its symbols."""

    symbols: int
    runs: Runs


@dataclass(frozen=True)
class Partitioned:
    """What the partition wrote: each task's fragments, total bytes, and the bytes that narrower types saved.

    `proofs` are the sizes and checksums of bundles, as far as their writers have told them.
    """

    fragments: tuple[Fragments, ...]
    bytes_written: int
    bytes_saved: int
    proofs: Mapping[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Routing:
    """How rows get to the bundles of their tasks.

    Attributes
    ----------
    schema : DatasetSchema
        The columns that tasks read.
    cuts : int64[tasks + 1]
        The symbols at which tasks begin, and the end.
    kinds : pa.Schema
        The columns of a bundle.
    chunk_rows : int
        Rows that are processed at a time.
    low_memory : bool
    last_day : int or None
        The rows after it are left out.
    tasks_per_bundle : int
        How many tasks share a bundle, at least.
    """

    schema: DatasetSchema
    cuts: Ints
    kinds: pa.Schema
    chunk_rows: int
    low_memory: bool
    last_day: int | None = None
    tasks_per_bundle: int = 1

    def write(
        self,
        pieces: Sequence[Piece],
        symbols: pa.Array,
        address: Callable[[str], str],
        prefix: str,
        threads: int,
        on_rows: Callable[[int], None],
    ) -> tuple[list[Runs], int]:
        """Write the rows of some pieces; return the runs of each task, and the bytes written.

        Parameters
        ----------
        pieces : sequence of Piece
        symbols : pa.Array
            Those of all tasks, in their order.
        address : callable
            Returns the path of the bundle with this name.
        prefix : str
            What the names begin with.
        threads : int
        on_rows : callable
            Called with the number of rows routed so far.
        """
        repeated = [
            str(place)
            for place, column in enumerate(_input_columns(self.schema))
            if column.name in self.schema.dictionary_text
        ]
        common = (self.kinds, repeated, self.cuts, address, prefix, self.low_memory, self.tasks_per_bundle)
        most_rows = max(1, self.chunk_rows // threads)
        parts = source.chunks_ahead(pieces, self.schema, symbols, most_rows, threads, last_day=self.last_day)
        batches = (_batch(chunks, self.schema, self.cuts) for chunks in _gathered(parts, self.chunk_rows))
        try:
            return BundleSet(*common).write(batches, threads, on_rows)
        except pa.ArrowInvalid:
            _refuse_wrong_ranges(pieces, self.schema, self.kinds)
            raise


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
    scan: Scan,
    plan: Plan,
    schema: DatasetSchema,
    address: Callable[[str], str],
    threads: int,
    on_rows: Callable[[int], None],
) -> Partitioned:
    """Write the bundles of a plan.

    Parameters
    ----------
    scan : Scan
    plan : Plan
    schema : DatasetSchema
        The columns that tasks read.
    address : callable
        Returns the path of the bundle with this name.
    threads : int
    on_rows : callable
        Called with the number of rows routed so far.
    """
    routing = routing_of(scan, plan, schema)
    symbols = scan.symbols.take(from_numpy(plan.selected))
    runs, written = routing.write(scan.footers.pieces, symbols, address, "bundle", threads, on_rows)
    return partitioned(routing, plan, runs, written)


def routing_of(scan: Scan, plan: Plan, schema: DatasetSchema) -> Routing:
    """Return how a plan's rows get to the bundles of its tasks; `schema` has the columns that tasks read."""
    ranges = {**scan.footers.integer_ranges, schema.row_number: (0, scan.footers.rows)}
    kinds = bundle_schema(schema, ranges)
    return Routing(schema, np.array(plan.cuts), kinds, plan.chunk_rows, plan.low_memory, plan.last_day)


def partitioned(
    routing: Routing,
    plan: Plan,
    runs: Iterable[Runs],
    bytes_written: int,
    proofs: Mapping[str, list[int]] | None = None,
) -> Partitioned:
    """Return what was written: the runs of each task, in the order in which the input has them."""
    plain = bundle_schema(routing.schema, {})
    saved_per_row = sum(_width(a.type) - _width(b.type) for a, b in zip(plain, routing.kinds, strict=True))
    fragments = tuple(map(Fragments, np.diff(routing.cuts).tolist(), runs))
    return Partitioned(fragments, bytes_written, saved_per_row * plan.rows, proofs or {})


def _batch(chunks: list[Chunk], schema: DatasetSchema, cuts: Ints) -> Batch:
    """Return chunks as a batch whose keys are the code of each row in its task and, if need be, its day.

    `chunks` is emptied, so that each column is freed once it is gathered.
    """
    days = np.concatenate([chunk.days for chunk in chunks]) if _day_column(schema) == _DAY else None

    def keys(order: Ints, counts: Ints) -> list[pa.Array]:
        first_code = np.repeat(cuts[:-1], np.diff(cuts))
        codes = from_numpy(np.repeat((np.arange(len(counts)) - first_code).astype(np.int32), counts))
        return [codes] if days is None else [codes, from_numpy(days[order])]

    batch = Batch(np.concatenate([chunk.codes for chunk in chunks]), [chunk.table for chunk in chunks], keys)
    chunks.clear()
    return batch


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


def read_fragments(
    fragments: Fragments, schema: DatasetSchema, codes: Sequence[int], columns: Sequence[str] | None = None
) -> Iterator[Chunk]:
    """Yield a task's rows in input order, with the input columns, or some of them, in their working types.

    `codes` (ascending) are the wanted symbols' numbers in the planned task; a row's code is the position of its symbol
    in `codes`. If all symbols are wanted, they are read at once, so that each column is in one piece; if only some
    are, run by run, so that no more than one run of unwanted rows is in memory.
    """
    input_columns, day = dict(enumerate(_input_columns(schema))), _day_column(schema)
    stored = None
    if columns is not None:
        input_columns = {place: column for place, column in input_columns.items() if column.name in columns}
        stored = list(dict.fromkeys([_CODE, day, *map(str, input_columns)]))
    names = [column.name for column in input_columns.values()]
    wanted = np.array(codes)
    all_wanted = len(wanted) == fragments.symbols
    for table in read_runs(fragments.runs, at_once=all_wanted, columns=stored):
        position = to_numpy(table.column(_CODE))
        if not all_wanted:
            numbers = position
            position = np.minimum(np.searchsorted(wanted, numbers), len(wanted) - 1).astype(np.int32)
            keep = wanted[position] == numbers
            table, position = table.take(positions(keep)), position[keep]
        arrays = [
            table.column(str(place)).cast(schema.working_type(column.name)) for place, column in input_columns.items()
        ]
        yield Chunk(position, to_numpy(table.column(day)), pa.table(arrays, names=names))
