"""A Parquet file's footer: the numbers of its fields in parquet.thrift, and what it says of its column chunks.

Arrow's own account of a column chunk is not asked for: it ends the process where a footer contradicts its schema.

Source: the Apache Parquet format, src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from weekly_cli.files import thrift
from weekly_cli.files.footer_pattern import StructsPattern
from weekly_cli.files.thrift import BINARY, I32, I64, LIST, Shape, Struct

MAGIC = b"PAR1"
TAIL_BYTES = 8
#: Of `FileMetaData`.
SCHEMA, NUM_ROWS, ROW_GROUPS, CREATED_BY = 2, 3, 4, 6
#: Of `RowGroupFooter`.
COLUMNS, GROUP_BYTES, GROUP_ROWS, SORTING_COLUMNS, FILE_OFFSET, GROUP_STORED_BYTES, ORDINAL = range(1, 8)
#: Of `ColumnChunk`.
DEPRECATED_OFFSET, META_DATA = 2, 3
#: Of `ColumnMetaData`; the offsets are into the file.
TYPE, ENCODINGS, PATH, CHUNK_CODEC, VALUES, CHUNK_BYTES, CHUNK_STORED_BYTES = 1, 2, 3, 4, 5, 6, 7
OFFSETS = DATA_OFFSET, _, DICTIONARY_OFFSET = (9, 10, 11)
STATISTICS = 12
#: Of `Statistics`; the first two are older, and compare everything as signed.
SIGNED_MOST, SIGNED_LEAST, NULL_COUNT, _, MOST, LEAST, MOST_IS_EXACT, LEAST_IS_EXACT = range(1, 9)
#: Of `SchemaElement`.
NAME, CHILDREN = 4, 5


def footer_begin(data: memoryview) -> int:
    """Return where a file's footer begins."""
    return len(data) - TAIL_BYTES - int.from_bytes(data[-TAIL_BYTES:-4], "little")


def read_footer(data: memoryview) -> Struct:
    """Return a file's footer.

    Raises
    ------
    ValueError
        If its bytes are no struct.
    """
    return thrift.decode(data, footer_begin(data))[0]


#: Encodings that Arrow decodes into plain text only, not into dictionaries: DELTA_LENGTH_BYTE_ARRAY, DELTA_BYTE_ARRAY.
DELTA_TEXT = frozenset((6, 7))
#: Physical types by their numbers.
TYPES = dict(enumerate(("BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY")))
_STATISTICS: dict[int, Shape] = {
    SIGNED_MOST: BINARY,
    SIGNED_LEAST: BINARY,
    NULL_COUNT: I64,
    MOST: BINARY,
    LEAST: BINARY,
}
_CHUNK: dict[int, Shape] = {
    TYPE: I32,
    ENCODINGS: [I32],
    PATH: [BINARY],
    STATISTICS: _STATISTICS,
    **dict.fromkeys((VALUES, CHUNK_BYTES, CHUNK_STORED_BYTES, DATA_OFFSET, DICTIONARY_OFFSET), I64),
}
_GROUP: dict[int, Shape] = {COLUMNS: [{META_DATA: _CHUNK}], GROUP_ROWS: I64}


class ChunkFooter(NamedTuple):
    """What a footer says of a column chunk, none of it checked.

    Attributes
    ----------
    path, kind : str
        The leaf of the schema that it holds, with dots, and its physical type.
    encodings : tuple of int
        Of its pages, as parquet.thrift numbers them.
    values, nulls : int
        How many values it has, nulls among them, and how many it is said to have of those; -1: unknown.
    size_bytes, stored_bytes : int
        Of its pages, before and after compression.
    data_offset, dictionary_offset : int, int or None
        Where pages begin in the file; None: there is no dictionary.
    least, most : bytes or None
        Extremes, as plain values; None: unknown.
    signed_only : bool
        Whether the extremes are those of a writer that compares everything as signed.
    """

    path: str
    kind: str
    encodings: tuple[int, ...]
    values: int
    nulls: int
    size_bytes: int
    stored_bytes: int
    data_offset: int
    dictionary_offset: int | None
    least: bytes | None
    most: bytes | None
    signed_only: bool


class RowGroupFooter(NamedTuple):
    """What a footer says of a row group."""

    rows: int
    chunks: list[ChunkFooter]


class Footer(NamedTuple):
    """What a footer tells of rows.

    Attributes
    ----------
    rows : int
        Of the file.
    groups : list of RowGroupFooter
    frame : bytes
        All else: two footers with the same frame tell the same of everything but rows and row groups.
    """

    rows: int
    groups: list[RowGroupFooter]
    frame: bytes


#: A pattern takes as long to make as it saves with so many footers; there are at most so many, and of none longer.
_ENOUGH_UNLIKE, _MOST_PATTERNS, _MOST_PATTERN_BYTES = 64, 8, 16 * 1024


class FooterReader:
    """Reads footers; what comes before the rows, the schema, is passed over once for files that have it alike."""

    def __init__(self) -> None:
        self._head, self._last_field = b"", 0
        self._patterns: list[StructsPattern] = []
        self._unlike = 0  # footers that no pattern has read

    def read(self, footer: bytes) -> Footer:
        """Return what a footer tells.

        Raises
        ------
        ValueError
            If its bytes are no struct, or lack what every footer has.
        """
        try:
            if not self._head or not footer.startswith(self._head):
                self._head, self._last_field = _before_rows(footer)
                self._patterns, self._unlike = [], 0
            number, kind, begin = thrift.header(footer, len(self._head), self._last_field)
            rows, end = thrift.value(footer, begin, I64)
            between = end
            number, kind, begin = thrift.header(footer, end, number)
            while (number, kind) != (ROW_GROUPS, LIST):
                if not kind:
                    raise KeyError(ROW_GROUPS)
                between = thrift.after(footer, begin, kind)
                number, kind, begin = thrift.header(footer, between, number)
            structs, after = self._structs(footer, begin)
            groups = [RowGroupFooter(group[GROUP_ROWS], list(map(_chunk, group[COLUMNS]))) for group in structs]
        except IndexError as error:
            raise ValueError("the bytes of a Thrift struct end too early") from error
        except KeyError as error:
            raise ValueError(f"field {error} of its Thrift structs is not there") from error
        return Footer(rows, groups, self._head + footer[end:between] + footer[after:])

    def _structs(self, footer: bytes, begin: int) -> tuple[list[dict[int, Any]], int]:
        for pattern in self._patterns:
            read = pattern.read(footer, begin)
            if read is not None:
                return read
        if len(footer) <= _MOST_PATTERN_BYTES and len(self._patterns) < _MOST_PATTERNS:
            self._unlike += 1
            if self._unlike % _ENOUGH_UNLIKE == 0:
                with contextlib.suppress(ValueError):
                    self._patterns.append(StructsPattern(footer, begin, _GROUP))
        structs, after = thrift.value(footer, begin, [_GROUP])
        return structs, after


def _before_rows(footer: bytes) -> tuple[bytes, int]:
    """Return what comes before the number of rows, and the number of the last field there."""
    begin = before = 0
    while True:
        number, kind, at = thrift.header(footer, begin, before)
        if number == NUM_ROWS and kind == I64:
            return footer[:begin], before
        if not kind:
            raise KeyError(NUM_ROWS)
        begin, before = thrift.after(footer, at, kind), number


def _chunk(column: dict[int, Any]) -> ChunkFooter:
    told = column[META_DATA]
    statistics = told.get(STATISTICS, {})
    signed_only = MOST not in statistics and SIGNED_MOST in statistics
    return ChunkFooter(
        path=b".".join(told[PATH]).decode(),
        kind=TYPES.get(told[TYPE], "unknown"),
        encodings=tuple(told.get(ENCODINGS, ())),
        values=told[VALUES],
        nulls=statistics.get(NULL_COUNT, -1),
        size_bytes=told[CHUNK_BYTES],
        stored_bytes=told[CHUNK_STORED_BYTES],
        data_offset=told[DATA_OFFSET],
        dictionary_offset=told.get(DICTIONARY_OFFSET) or None,  # some writers say 0 for a page that is not there
        least=statistics.get(SIGNED_LEAST if signed_only else LEAST),
        most=statistics.get(SIGNED_MOST if signed_only else MOST),
        signed_only=signed_only,
    )
