"""Column chunks taken over from a file that another program wrote.

Where a row group of the input goes into the output as it is, its input columns need not be encoded and compressed
again: their pages move as bytes, a checksum added to those that have none. All that is said of them is made anew, for
a footer's bytes have no checksum: counts and sizes from the pages that Arrow has decoded, statistics from the values.

Source: the Apache Parquet format, src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from weekly_cli.files import parquet, thrift
from weekly_cli.files.fast.column_chunks import CODECS, ColumnChunk
from weekly_cli.files.footer import (
    CHILDREN,
    CHUNK_BYTES,
    CHUNK_CODEC,
    CHUNK_STORED_BYTES,
    COLUMNS,
    DATA_OFFSET,
    DICTIONARY_OFFSET,
    ENCODINGS,
    META_DATA,
    NAME,
    PATH,
    ROW_GROUPS,
    SCHEMA,
    TYPE,
    VALUES,
    footer_begin,
)
from weekly_cli.files.pages import CHECKSUM, pages_between, signed, span
from weekly_cli.files.thrift import BINARY, I32, I64, LIST, Field, Items, Struct

#: Of `SchemaElement`: the type, its length, whether it may be null, and what the values mean.
_CONVERTED, _LOGICAL = 6, 10
_MEANING = (1, 2, 3, _CONVERTED, 7, 8, _LOGICAL)
#: Converted types that say no more than the type, and such as say all that the logical type does.
_INT_32, _INT_64, _UTF8, _DATE = 17, 18, 0, 6
#: Of `PageHeader`, and in it of both kinds of data page.
_PAGE_KIND, _PAGE_BYTES, _DATA_PAGES, _PAGE_VALUES = 1, 2, {0: 5, 3: 8}, 1
_DICTIONARY_PAGE = 2
#: Footers are gone through value by value, in Python: 0.15 s a MiB.
_MOST_FOOTER_BYTES = 1024 * 1024


class CopySource:
    """A file whose row groups are taken over; of its footer those are decoded that are, for a task takes a few."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._columns: dict[str, Struct] = {}
        self._groups: list[thrift.Raw] = []
        with parquet.mapped_input(path) as data, _odd_ones_left():
            if len(data) - footer_begin(data) <= _MOST_FOOTER_BYTES:
                footer = thrift.split(data, footer_begin(data))
                self._columns = _columns(thrift.decoded(footer[SCHEMA]).value.values)
                self._groups = thrift.elements(footer[ROW_GROUPS])

    def chunks(
        self, row_group: int, names: Sequence[str], schema: Sequence[Struct], compression: str
    ) -> list[ColumnChunk] | None:
        """Return the column chunks of a row group for a file whose footer's schema is `schema`.

        None where they would not mean the same there: another type, another codec, nested columns; and where pages
        lie otherwise than this tool understands, though Arrow may.
        """
        with _odd_ones_left():
            return self._chunks(row_group, names, schema, compression)
        return None

    def _chunks(
        self, row_group: int, names: Sequence[str], schema: Sequence[Struct], compression: str
    ) -> list[ColumnChunk] | None:
        if not self._columns:
            return None
        wanted = _columns(schema)
        columns = thrift.decode(self._groups[row_group])[0][COLUMNS].value.values
        if len(self._columns) != len(columns) or any(self._columns.get(name) != wanted[name] for name in names):
            return None
        members = {name: column[META_DATA].value for name, column in zip(self._columns, columns, strict=True)}
        if any(members[name][CHUNK_CODEC].value != CODECS[compression] for name in names):
            return None
        with parquet.mapped_input(self._path) as data:
            return [_copied(data, name, members[name]) for name in names]


@contextlib.contextmanager
def _odd_ones_left() -> Iterator[None]:
    """Give up on what this tool's reading of footers and page headers does not get through; it can be encoded."""
    with contextlib.suppress(ValueError, LookupError, TypeError, AttributeError):
        yield


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


def _copied(data: memoryview, name: str, metadata: Struct) -> ColumnChunk:
    """Return a chunk of which every page is there, and no other.

    Raises
    ------
    ValueError
        If pages and footer do not fit together.
    """
    begin, end = span(metadata)
    pages: list[bytes] = []
    values = size = stored = 0
    offsets: dict[int, int] = {}
    for header, found in pages_between(data, begin, end):
        page, kind = bytes(found), header[_PAGE_KIND].value
        if kind == _DICTIONARY_PAGE and pages:
            raise ValueError("a page where none belongs")
        offsets.setdefault(DICTIONARY_OFFSET if kind == _DICTIONARY_PAGE else DATA_OFFSET, stored)
        if kind != _DICTIONARY_PAGE:
            values += header[_DATA_PAGES[kind]].value[_PAGE_VALUES].value
        header = dict(sorted((header | {CHECKSUM: Field(I32, signed(zlib.crc32(page)))}).items()))
        pages += [thrift.encode(header), page]
        size += len(pages[-2]) + header[_PAGE_BYTES].value
        stored += len(pages[-2]) + len(page)
    if values != metadata[VALUES].value:
        raise ValueError("pages beside those that were decoded")
    made = {
        PATH: Field(LIST, Items(BINARY, (name.encode(),))),
        CHUNK_BYTES: Field(I64, size),
        CHUNK_STORED_BYTES: Field(I64, stored),
    }
    made |= {number: Field(I64, offset) for number, offset in offsets.items()}
    kept = {number: metadata[number] for number in (TYPE, ENCODINGS, CHUNK_CODEC, VALUES)}  # which Arrow has decoded by
    return ColumnChunk(tuple(pages), dict(sorted((kept | made).items())))
