"""Column chunks taken over from a file that another program wrote.

Where a row group of the input goes into the output as it is, its own columns need not be encoded and compressed
again: their pages move as bytes, a checksum added to those that have none.

Source: the Apache Parquet format, src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

from weekly_cli import storage
from weekly_cli.parquet import thrift
from weekly_cli.parquet.column_chunks import CODECS, ColumnChunk, signed
from weekly_cli.parquet.footer import (
    CHILDREN,
    CHUNK_BYTES,
    CHUNK_CODEC,
    CHUNK_STORED_BYTES,
    COLUMN_ORDERS,
    COLUMNS,
    META_DATA,
    NAME,
    OFFSETS,
    ROW_GROUPS,
    SCHEMA,
    footer_begin,
    read_footer,
)
from weekly_cli.parquet.thrift import I32, Field, Struct

#: Of `SchemaElement`: the type, its length, whether it may be null, and what the values mean.
_CONVERTED, _LOGICAL = 6, 10
_MEANING = (1, 2, 3, _CONVERTED, 7, 8, _LOGICAL)
#: Converted types that say no more than the type, and such as say all that the logical type does.
_INT_32, _INT_64, _UTF8, _DATE = 17, 18, 0, 6
#: Of `ColumnMetaData`: all but offsets, and what they say of what stands elsewhere, such as bloom filters.
_KEPT = (1, 2, 3, 4, 5, 6, 7, 12, 13)
#: Of `PageHeader`.
_PAGE_STORED_BYTES, _CHECKSUM = 3, 4
#: Footers are decoded value by value, in Python.
_MOST_FOOTER_BYTES = 256 * 1024


class CopySource:
    """A file whose row groups are taken over, with the footer decoded once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with storage.mapped(path) as data:
            small = len(data) - footer_begin(data) <= _MOST_FOOTER_BYTES
            self._footer = read_footer(data) if small else {}

    def chunks(
        self, row_group: int, names: Sequence[str], schema: Sequence[Struct], compression: str
    ) -> list[ColumnChunk] | None:
        """Return the column chunks of a row group for a file whose footer's schema is `schema`.

        None where they would not mean the same there: another type, another codec, nested columns.
        """
        if COLUMN_ORDERS not in self._footer:  # without, the statistics are of an old kind
            return None
        elements = self._footer[SCHEMA].value.values
        there, wanted = _columns(elements), _columns(schema)
        columns = self._footer[ROW_GROUPS].value.values[row_group][COLUMNS].value.values
        if len(elements) - 1 != len(columns) or any(there.get(name) != wanted[name] for name in names):
            return None
        members = {name: column[META_DATA].value for name, column in zip(there, columns, strict=True)}
        if any(members[name][CHUNK_CODEC].value != CODECS[compression] for name in names):
            return None
        with storage.mapped(self._path) as data:
            return [_copied(data, members[name]) for name in names]


def _columns(schema: Sequence[Struct]) -> dict[str, Struct]:
    """Return what the columns of a schema mean by their names; nested ones stand for no column."""
    return {column[NAME].value.decode(): _meaning(column) for column in schema[1:]}


def _meaning(column: Struct) -> Struct:
    """Return what says how a column's values are meant, in one way where writers have two."""
    meaning = {number: column[number] for number in (*_MEANING, CHILDREN) if number in column}
    converted = meaning[_CONVERTED].value if _CONVERTED in meaning else None
    if converted in (_INT_32, _INT_64):
        del meaning[_CONVERTED]
    if converted in (_UTF8, _DATE):
        meaning.pop(_LOGICAL, None)
    return meaning


def _copied(data: memoryview, metadata: Struct) -> ColumnChunk:
    # Some writers say 0 for a page that is not there.
    offsets = [number for number in OFFSETS if number in metadata and metadata[number].value]
    old = begin = min(metadata[number].value for number in offsets)
    end = begin + metadata[CHUNK_STORED_BYTES].value
    pages: list[bytes] = []
    moved: dict[int, int] = {}
    new = 0
    while old < end:
        header, start = thrift.decode(data, old)
        page = bytes(data[start : start + header[_PAGE_STORED_BYTES].value])
        header = dict(sorted((header | {_CHECKSUM: Field(I32, signed(zlib.crc32(page)))}).items()))
        pages += [thrift.encode(header), page]
        moved[old] = new
        old, new = start + len(page), new + len(pages[-2]) + len(page)
    grown = new - (end - begin)
    kept = {number: metadata[number] for number in (*_KEPT, *offsets) if number in metadata}
    changed = {number: metadata[number].value + grown for number in (CHUNK_BYTES, CHUNK_STORED_BYTES)}
    changed |= {number: moved[metadata[number].value] for number in offsets}
    kept |= {number: Field(metadata[number].kind, value) for number, value in changed.items()}
    return ColumnChunk(tuple(pages), dict(sorted(kept.items())))
