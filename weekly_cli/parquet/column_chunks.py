"""Column chunks of Parquet for values that repeat over spans of rows.

Weekly values repeat over the days that see them, and writing them is the largest cost of a build. A general writer
takes rows: it needs every value and a bit for each row, looks at each bit and copies each value again. Here a page
is made from the spans, the bits of columns that are missing in the same rows are made once, and the page goes from
the codec to the file: 0.6 of the general writer's time, in the same bytes but for the header's.

(The own columns of numbers, one value a row, take nine tenths of it either way, and are left to Arrow.) Each chunk
is one plain data page (version 1) with its checksum.

Source: the Apache Parquet format, README.md, Encodings.md and src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.parquet import thrift
from weekly_cli.parquet.thrift import BINARY, I32, I64, LIST, STRUCT, Field, Items, Struct

Ints = NDArray[np.int64]
Page = Any  # whatever has a buffer

_DATA_PAGE = 0
_PLAIN, _RLE = 0, 3
_INT32, _FLOAT, _DOUBLE = 1, 4, 5
#: The types of columns that are made here, on the wire and in memory.
PHYSICAL: dict[pa.DataType, tuple[int, type[np.generic]]] = {
    pa.float32(): (_FLOAT, np.float32),
    pa.float64(): (_DOUBLE, np.float64),
    pa.int32(): (_INT32, np.int32),
    pa.int16(): (_INT32, np.int32),
    pa.date32(): (_INT32, np.int32),
}
_CODECS = {"none": 0, "snappy": 1, "zstd": 6, "lz4": 7}
#: The field numbers of `ColumnMetaData` that are offsets into the file.
OFFSETS = (9, 10, 11)


@dataclass(frozen=True)
class SpanColumn:
    """A column's value for every span of rows, and in which spans it is missing (None: in none)."""

    name: str
    kind: pa.DataType
    values: NDArray[np.generic]
    missing: NDArray[np.bool_] | None


@dataclass(frozen=True)
class ColumnChunk:
    """The bytes of a chunk, and its `ColumnMetaData` with offsets from its first byte."""

    pages: tuple[Page, ...]
    metadata: Struct


def level(compression: str) -> int | None:
    """Return the level at which a codec is used; None: it has none."""
    return 1 if compression == "zstd" else None


def codec(compression: str) -> Callable[[Page], Page]:
    """Return the function that compresses a page."""
    if compression == "none":
        return lambda page: page
    name = "lz4_raw" if compression == "lz4" else compression
    return pa.Codec(name, level(compression)).compress  # type: ignore[no-any-return]


class ChunkEncoder:
    """Makes the chunks of a row group.

    Parameters
    ----------
    rows : int
    compression : str
        As the setting says.
    compress : callable
        What `codec` returns for it.
    """

    def __init__(self, rows: int, compression: str, compress: Callable[[Page], Page]) -> None:
        self._rows = rows
        self._codec, self._compress = _CODECS[compression], compress
        self._levels: dict[bytes, NDArray[np.uint8]] = {}

    def of_spans(self, column: SpanColumn, lengths: Ints) -> ColumnChunk:
        """Return the chunk of a column of spans that have `lengths` rows each."""
        physical, stored = PHYSICAL[column.kind]
        values, missing = column.values.astype(stored, copy=False), column.missing
        key = b"" if missing is None else missing.tobytes()
        if key not in self._levels:
            self._levels[key] = (
                _present_levels(self._rows) if missing is None else _packed_levels(np.repeat(~missing, lengths))
            )
        if missing is not None:
            values, lengths = values[~missing], lengths[~missing]
        return self._one_page(column.name, physical, self._levels[key], np.repeat(values, lengths))

    def _one_page(
        self, name: str, physical: int, levels: NDArray[np.uint8], values: NDArray[np.generic]
    ) -> ColumnChunk:
        plain = np.concatenate([levels, values.view(np.uint8)])
        page = self._compress(plain)
        size = memoryview(page).nbytes
        header = thrift.encode(
            {
                1: Field(I32, _DATA_PAGE),
                2: Field(I32, plain.nbytes),
                3: Field(I32, size),
                4: Field(I32, _signed(zlib.crc32(page))),
                5: Field(STRUCT, {1: Field(I32, self._rows), 2: _PLAIN_FIELD, 3: _RLE_FIELD, 4: _RLE_FIELD}),
            }
        )
        metadata = {
            1: Field(I32, physical),
            2: Field(LIST, Items(I32, (_PLAIN, _RLE))),
            3: Field(LIST, Items(BINARY, (name.encode(),))),
            4: Field(I32, self._codec),
            5: Field(I64, self._rows),
            6: Field(I64, len(header) + plain.nbytes),
            7: Field(I64, len(header) + size),
            9: Field(I64, 0),
        }
        return ColumnChunk((header, page), metadata)


def _present_levels(rows: int) -> NDArray[np.uint8]:
    """Return the definition levels of a column without nulls: one run of ones."""
    return _levels(_varint(rows << 1) + b"\1")


def _packed_levels(valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the definition levels of a column with nulls: one run of bits."""
    bits = np.packbits(valid, bitorder="little")
    return _levels(_varint(len(bits) << 1 | 1) + bits.tobytes())


def _levels(runs: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(len(runs).to_bytes(4, "little") + runs, np.uint8)


_PLAIN_FIELD, _RLE_FIELD = Field(I32, _PLAIN), Field(I32, _RLE)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _signed(crc: int) -> int:
    return crc - 2**32 if crc >= 2**31 else crc
