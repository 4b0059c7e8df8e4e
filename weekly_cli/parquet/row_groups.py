"""A Parquet file put together from column chunks and from whole row groups of finished files.

Arrow writes the own columns, whatever their types, into memory; their chunks are taken over as they are, beside
those made from spans. Pages hold no positions in the file, so a chunk moves by its bytes, and only the offsets in
the footer change: files of one schema become one without a page being decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from weekly_cli import storage
from weekly_cli.arrays import empty_table
from weekly_cli.parquet import thrift
from weekly_cli.parquet.column_chunks import (
    OFFSETS,
    ChunkEncoder,
    ColumnChunk,
    Ints,
    SpanColumn,
    codec,
    level,
)
from weekly_cli.parquet.thrift import I16, I64, LIST, STRUCT, Field, Items, Struct

_MAGIC = b"PAR1"
_TAIL_BYTES = 8
#: Numbers of the fields of `FileMetaData`, `RowGroup`, `ColumnChunk` and `ColumnMetaData` in parquet.thrift.
_NUM_ROWS, _ROW_GROUPS = 3, 4
_COLUMNS, _BYTES, _ROWS, _FILE_OFFSET, _STORED_BYTES, _ORDINAL = 1, 2, 3, 5, 6, 7
_DEPRECATED_OFFSET, _META_DATA = 2, 3
_CHUNK_BYTES, _CHUNK_STORED_BYTES = 6, 7
_MOST_ORDINAL = 2**15 - 1


class RowGroupFile(storage.OutputFile):
    """A Parquet file in the making, row group by row group.

    Parameters
    ----------
    path : Path
    schema : pa.Schema
        Of the whole file: the own columns, then those made from spans.
    compression : str
        As the setting says.
    **own
        How Arrow writes the own columns.
    """

    def __init__(self, path: Path, schema: pa.Schema, compression: str, **own: Any) -> None:
        super().__init__(path)
        self._own = own | {"compression": compression, "compression_level": level(compression)}
        self._compression, self._compress = compression, codec(compression)
        self._footer, _ = _read_footer(_in_memory(empty_table(schema), self._own))
        self._groups: list[Struct] = []
        self._stream = self.aside.open("wb")
        self._stream.write(_MAGIC)

    def write(self, own: pa.Table, lengths: Ints, columns: Iterable[SpanColumn]) -> None:
        """Append a row group: the rows of the own columns, and columns of spans that have `lengths` rows."""
        encoder = ChunkEncoder(own.num_rows, self._compression, self._compress)
        begin = self._stream.tell()
        placed = [self._place(chunk) for chunk in _chunks(own, self._own)]
        placed += [self._place(encoder.of_spans(spans, lengths)) for spans in columns]
        members = [{_DEPRECATED_OFFSET: Field(I64, 0), _META_DATA: Field(STRUCT, chunk)} for chunk in placed]
        self._add(
            {
                _COLUMNS: Field(LIST, Items(STRUCT, members)),
                _BYTES: Field(I64, sum(chunk[_CHUNK_BYTES].value for chunk in placed)),
                _ROWS: Field(I64, own.num_rows),
                _FILE_OFFSET: Field(I64, begin),
                _STORED_BYTES: Field(I64, sum(chunk[_CHUNK_STORED_BYTES].value for chunk in placed)),
            }
        )

    def append(self, path: Path) -> None:
        """Append the row groups of a finished file that this class has written with the same schema."""
        with storage.mapped(path) as data:
            footer, length = _read_footer(data)
            shift = self._stream.tell() - len(_MAGIC)
            self._stream.write(data[len(_MAGIC) : length])
        for group in footer[_ROW_GROUPS].value.values:
            for column in group[_COLUMNS].value.values:
                column[_META_DATA] = Field(STRUCT, _moved(column[_META_DATA].value, shift))
            group[_FILE_OFFSET] = Field(I64, group[_FILE_OFFSET].value + shift)
            self._add(group)

    def _place(self, chunk: ColumnChunk) -> Struct:
        """Write a chunk and return its metadata."""
        begin = self._stream.tell()
        for page in chunk.pages:
            self._stream.write(page)
        return _moved(chunk.metadata, begin)

    def _add(self, group: Struct) -> None:
        self.rows += group[_ROWS].value
        if len(self._groups) <= _MOST_ORDINAL:
            group[_ORDINAL] = Field(I16, len(self._groups))
        self._groups.append(group)

    def finish(self) -> None:
        """Write the footer and close the file."""
        footer = self._footer | {
            _NUM_ROWS: Field(I64, self.rows),
            _ROW_GROUPS: Field(LIST, Items(STRUCT, self._groups)),
        }
        encoded = thrift.encode(footer)
        self._stream.write(encoded + len(encoded).to_bytes(4, "little") + _MAGIC)
        self._stream.close()

    def abandon(self) -> None:
        """Close the file as it is."""
        self._stream.close()


def _in_memory(table: pa.Table, options: dict[str, Any]) -> memoryview:
    """Return the bytes of a Parquet file of one row group."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema, write_page_checksum=True, **options) as writer:
        writer.write_table(table, row_group_size=max(1, table.num_rows))
    return memoryview(sink.getvalue()).cast("B")


def _read_footer(data: memoryview) -> tuple[Struct, int]:
    """Return the footer of a Parquet file, and where it begins."""
    length = int.from_bytes(data[-_TAIL_BYTES:-4], "little")
    begin = len(data) - _TAIL_BYTES - length
    return thrift.decode(data, begin)[0], begin


def _chunks(table: pa.Table, options: dict[str, Any]) -> Iterator[ColumnChunk]:
    """Yield the column chunks that Arrow makes of a table."""
    data = _in_memory(table, options)
    footer, _ = _read_footer(data)
    for column in footer[_ROW_GROUPS].value.values[0][_COLUMNS].value.values:
        metadata = column[_META_DATA].value
        begin = min(metadata[number].value for number in OFFSETS if number in metadata)
        pages = data[begin : begin + metadata[_CHUNK_STORED_BYTES].value]
        yield ColumnChunk((pages,), _moved(metadata, -begin))


def _moved(metadata: Struct, shift: int) -> Struct:
    """Return a chunk's metadata with its offsets shifted."""
    offsets = {number: metadata[number] for number in OFFSETS if number in metadata}
    return metadata | {number: Field(kind, value + shift) for number, (kind, value) in offsets.items()}
