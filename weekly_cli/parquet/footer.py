"""A Parquet file's footer, and the numbers of its fields in parquet.thrift.

Source: the Apache Parquet format, src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

from weekly_cli.parquet import thrift
from weekly_cli.parquet.thrift import Struct

MAGIC = b"PAR1"
TAIL_BYTES = 8
#: Of `FileMetaData`.
SCHEMA, NUM_ROWS, ROW_GROUPS = 2, 3, 4
#: Of `RowGroup`.
COLUMNS, GROUP_BYTES, GROUP_ROWS, FILE_OFFSET, GROUP_STORED_BYTES, ORDINAL = 1, 2, 3, 5, 6, 7
#: Of `ColumnChunk`.
DEPRECATED_OFFSET, META_DATA = 2, 3
#: Of `ColumnMetaData`; the offsets are into the file.
CHUNK_CODEC, CHUNK_BYTES, CHUNK_STORED_BYTES = 4, 6, 7
OFFSETS = (9, 10, 11)
STATISTICS = 12
#: Of `Statistics`.
NULL_COUNT = 3
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
