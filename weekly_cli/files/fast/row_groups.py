"""A Parquet file put together from column chunks and from whole row groups of finished files.

Arrow writes the input columns, whatever their types, into memory; their chunks are taken over as they are, beside
those made from spans. Pages hold no positions in the file, so a chunk moves by its bytes, and only the offsets in
the footer change: files of one schema become one without a page being decoded.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from weekly_cli import __version__
from weekly_cli.compute.arrays import empty_table
from weekly_cli.compute.spans import SpanColumn
from weekly_cli.files import disk, thrift
from weekly_cli.files.fast.column_chunks import ChunkEncoder, ColumnChunk, Ints, codec, level, moved
from weekly_cli.files.fast.copied import CopySource
from weekly_cli.files.fast.sorting import ascending
from weekly_cli.files.footer import (
    CHUNK_BYTES,
    CHUNK_STORED_BYTES,
    COLUMNS,
    CREATED_BY,
    DEPRECATED_OFFSET,
    FILE_OFFSET,
    GROUP_BYTES,
    GROUP_ROWS,
    GROUP_STORED_BYTES,
    MAGIC,
    META_DATA,
    NULL_COUNT,
    NUM_ROWS,
    OFFSETS,
    ORDINAL,
    PATH,
    ROW_GROUPS,
    SCHEMA,
    SORTING_COLUMNS,
    STATISTICS,
    footer_begin,
    read_footer,
)
from weekly_cli.files.locations import Location
from weekly_cli.files.part_writer import InputRowGroup, PartWriter, hides_nan
from weekly_cli.files.thrift import BINARY, FALSE, I16, I32, I64, LIST, STRUCT, Field, Items, Struct

_MOST_ORDINAL = 2**15 - 1
#: In the form that parquet.thrift asks for. Readers know by it whose mistakes to expect, and Arrow's name would have
#: them look for Arrow's in what it did not write.
_OURS = f"weekly-cli version {__version__} (build fast)".encode()


class RowGroupFile(PartWriter):
    """The fast writer; `options` say how Arrow writes the input columns."""

    def __init__(
        self,
        path: Location,
        schema: pa.Schema,
        compression: str,
        *,
        sorted_by: Sequence[str] = (),
        input_columns: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(path, schema, compression)
        self._own = options | {"compression": compression, "compression_level": level(compression)}
        self._compression, self._compress = compression, codec(compression)
        of_none = _in_memory(empty_table(schema), self._own)
        self._footer = thrift.split(of_none, footer_begin(of_none)) | {CREATED_BY: Field(BINARY, _OURS)}
        self._sorted_by = sorted_by
        self._groups: list[Struct] = []
        self._sources: dict[Path, CopySource] = {}
        self._checksum = 0
        with disk.writing(path):
            self._stream = self.aside.open("wb")
        self._put(MAGIC)
        self.reached("opened")

    @property
    def checksum(self) -> int:
        """CRC-32 of all bytes, but of none that `append` has copied."""
        return self._checksum

    def write(
        self, own: pa.Table, lengths: Ints, columns: Iterable[SpanColumn], origin: InputRowGroup | None = None
    ) -> None:
        """Append a row group, its input columns as the bytes that they are in the input where they can be taken so.

        Where this process has cores to spare, Arrow makes them while the others are made.
        """
        copied = None if origin is None else self.copied(origin.path, origin.number, own)
        sorted_by = ascending(own, self._sorted_by)
        if copied is not None or pa.cpu_count() == 1:  # as in a worker
            self.put(own.num_rows, copied or self.encoded(own), lengths, columns, sorted_by)
            return
        with ThreadPoolExecutor(1) as aside:
            encoding = aside.submit(list, self.encoded(own))
            self.put(own.num_rows, _awaited(encoding), lengths, columns, sorted_by)

    def encoded(self, own: pa.Table) -> Iterator[ColumnChunk]:
        """Yield the column chunks that Arrow makes of input columns."""
        data = _in_memory(own, self._own)
        for column in _chunks_of(data):
            metadata = column[META_DATA].value
            begin = min(metadata[number].value for number in OFFSETS if number in metadata)
            pages = data[begin : begin + metadata[CHUNK_STORED_BYTES].value]
            if hides_nan(own.column(metadata[PATH].value.values[0].decode())):
                metadata = metadata | {STATISTICS: _nulls_only(metadata[STATISTICS])}
            yield ColumnChunk((pages,), moved(metadata, -begin))

    def copied(self, path: Path, row_group: int, own: pa.Table) -> list[ColumnChunk] | None:
        """Return the column chunks of a row group of another file, None if they would not mean the same in this one.

        `own` are its values as they were decoded.
        """
        if path not in self._sources:
            self._sources[path] = CopySource(path)
        schema = thrift.decoded(self._footer[SCHEMA]).value.values
        chunks = self._sources[path].chunks(row_group, own.column_names, schema, self._compression)
        return None if chunks is None else self._with_statistics(chunks, own)

    def _with_statistics(self, chunks: list[ColumnChunk], own: pa.Table) -> list[ColumnChunk] | None:
        """Return chunks with the statistics that Arrow would write; None if it can't tell a column's extremes."""
        extremes = [_extremes(column) for column in own.columns]
        if any(found is None for found in extremes):
            return None
        fields = [field.with_nullable(True) for field in own.schema]
        told = pa.table(extremes, schema=pa.schema(fields))
        columns = _chunks_of(_in_memory(told, self._own))
        made = []
        for chunk, column, values in zip(chunks, columns, own.columns, strict=True):
            statistics = column[META_DATA].value[STATISTICS].value | {NULL_COUNT: Field(I64, values.null_count)}
            given = Field(STRUCT, statistics)
            metadata = chunk.metadata | {STATISTICS: _nulls_only(given) if hides_nan(values) else given}
            made.append(ColumnChunk(chunk.pages, dict(sorted(metadata.items()))))
        return made

    def put(
        self,
        rows: int,
        own: Iterable[ColumnChunk],
        lengths: Ints,
        columns: Iterable[SpanColumn],
        sorted_by: Sequence[str] = (),
    ) -> None:
        """Append a row group: the chunks of input columns, and columns of spans that have `lengths` rows."""
        of_rows = ChunkEncoder(np.ones(rows, np.int64), self._compression, self._compress)
        of_lengths: dict[bytes, ChunkEncoder] = {}  # what one knows of its spans serves all columns of the same ones
        made = []
        for column in columns:
            spans = lengths if column.lengths is None else column.lengths
            key = spans.tobytes()
            if not column.of_rows and key not in of_lengths:
                of_lengths[key] = ChunkEncoder(spans, self._compression, self._compress)
            made.append((of_rows if column.of_rows else of_lengths[key]).of_spans(column))
        begin = self._stream.tell()
        placed = [self._place(chunk) for chunk in chain(own, made)]
        members = [{DEPRECATED_OFFSET: Field(I64, 0), META_DATA: Field(STRUCT, chunk)} for chunk in placed]
        group = {
            COLUMNS: Field(LIST, Items(STRUCT, members)),
            GROUP_BYTES: Field(I64, sum(chunk[CHUNK_BYTES].value for chunk in placed)),
            GROUP_ROWS: Field(I64, rows),
        }
        if sorted_by:
            group[SORTING_COLUMNS] = Field(LIST, Items(STRUCT, _sorting_columns(placed, sorted_by)))
        group[FILE_OFFSET] = Field(I64, begin)
        group[GROUP_STORED_BYTES] = Field(I64, sum(chunk[CHUNK_STORED_BYTES].value for chunk in placed))
        self._add(group)
        self.reached("written")

    def append(self, path: Path) -> None:
        """Append the row groups of a finished file that this class has written with the same schema."""
        with disk.reading(path), disk.mapped(path) as data:
            footer, stop = read_footer(data), footer_begin(data)
        shift = self._stream.tell() - len(MAGIC)
        with disk.writing(self.path):
            disk.copy_bytes(path, len(MAGIC), stop, self._stream)
        self.reached("written")
        for group in footer[ROW_GROUPS].value.values:
            for column in group[COLUMNS].value.values:
                column[META_DATA] = Field(STRUCT, moved(column[META_DATA].value, shift))
            group[FILE_OFFSET] = Field(I64, group[FILE_OFFSET].value + shift)
            self._add(group)

    def _put(self, data: bytes | memoryview) -> None:
        self._checksum = zlib.crc32(data, self._checksum)
        with disk.writing(self.path):
            self._stream.write(data)

    def _place(self, chunk: ColumnChunk) -> Struct:
        """Write a chunk and return its metadata."""
        begin = self._stream.tell()
        for page in chunk.pages:
            self._put(page)
        return moved(chunk.metadata, begin)

    def _add(self, group: Struct) -> None:
        self.rows += group[GROUP_ROWS].value
        if len(self._groups) <= _MOST_ORDINAL:
            group[ORDINAL] = Field(I16, len(self._groups))
        self._groups.append(group)

    def finish(self) -> None:
        """Write the footer and close the file."""
        footer = self._footer | {
            NUM_ROWS: Field(I64, self.rows),
            ROW_GROUPS: Field(LIST, Items(STRUCT, self._groups)),
        }
        encoded = thrift.encode(footer)
        self._put(encoded + len(encoded).to_bytes(4, "little") + MAGIC)
        self._stream.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._stream.close()


def _awaited(encoding: Future[list[ColumnChunk]]) -> Iterator[ColumnChunk]:
    yield from encoding.result()


def _chunks_of(data: memoryview) -> list[Struct]:
    """Return what the footer of a file of one row group tells of its column chunks."""
    groups = thrift.decoded(thrift.split(data, footer_begin(data))[ROW_GROUPS])
    columns: list[Struct] = groups.value.values[0][COLUMNS].value.values
    return columns


def _nulls_only(statistics: Field) -> Field:
    return Field(STRUCT, {number: value for number, value in statistics.value.items() if number == NULL_COUNT})


def _sorting_columns(chunks: Sequence[Struct], names: Sequence[str]) -> list[Struct]:
    """Return what says that rows ascend by columns; their numbers count the leaves of nested ones, too."""
    leaves = [tuple(chunk[PATH].value.values) for chunk in chunks]
    numbers = [leaves.index((name.encode(),)) for name in names]
    return [{1: Field(I32, number), 2: Field(FALSE, False), 3: Field(FALSE, False)} for number in numbers]


def _extremes(column: pa.ChunkedArray) -> pa.Array | None:
    """Return the smallest and the largest value of a column in its type, None where Arrow can't compare them."""
    if pa.types.is_dictionary(column.type):
        used = [chunk.dictionary.take(chunk.indices.unique()) for chunk in column.chunks]
        values = _extremes(pa.chunked_array(used, column.type.value_type))
        return None if values is None else values.dictionary_encode().cast(column.type)
    try:
        extremes = pc.min_max(column).values()
    except pa.ArrowNotImplementedError:
        return None
    return pa.concat_arrays([pa.repeat(value, 1) for value in extremes])


def _in_memory(table: pa.Table, options: dict[str, Any]) -> memoryview:
    """Return the bytes of a Parquet file of one row group."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, write_page_checksum=True, **options) as writer:
        writer.write_table(table, row_group_size=max(1, table.num_rows))
    return memoryview(sink.getvalue()).cast("B")
