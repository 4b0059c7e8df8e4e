"""Column chunks of Parquet for values that repeat over spans of rows.

Weekly values repeat over the days that see them, and writing them is the largest cost of a build. A general writer
takes rows: it needs every value and a bit for each row, looks at each bit and copies each value again. Here a page
is made from the spans, the bits of columns that are missing in the same rows are made once, and the page goes from
the codec to the file: 0.6 of the general writer's time, in the same bytes but for the header's.

(The input columns of numbers, one value a row, take nine tenths of it either way, and are left to Arrow.) Each chunk
is one plain data page (version 1) with its checksum, and has statistics, by which a filter skips row groups (5 µs).

There is no page index: of one page it would say what the statistics say. Eight pages a chunk, cut between spans, take
25 ms for 131,072 rows and 60 columns where one page takes 8, which is 14 % more of a build's CPU time (and 0.4 % more
bytes, before the index has any): a frame costs what it does by the piece, not by the row. A row group is some forty
symbols, of which a weekly column takes 0.1 MB, and that is what is skipped.

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

from weekly_cli.compute.spans import SpanColumn
from weekly_cli.files import thrift
from weekly_cli.files.fast.zstd_frames import SpanFrames, Spans
from weekly_cli.files.footer import (
    CHUNK_BYTES,
    CHUNK_CODEC,
    CHUNK_STORED_BYTES,
    LEAST,
    LEAST_IS_EXACT,
    MOST,
    MOST_IS_EXACT,
    NULL_COUNT,
    OFFSETS,
    STATISTICS,
)
from weekly_cli.files.pages import signed
from weekly_cli.files.thrift import BINARY, I32, I64, LIST, STRUCT, TRUE, Field, Items, Struct, unsigned

Ints = NDArray[np.int64]
Page = Any  # whatever has a buffer

_DATA_PAGE = 0
_PLAIN, _RLE = 0, 3
_INT32, _INT64, _FLOAT, _DOUBLE = 1, 2, 4, 5
#: The types of columns that are made here, on the wire and in memory.
PHYSICAL: dict[pa.DataType, tuple[int, type[np.generic]]] = {
    pa.float32(): (_FLOAT, np.float32),
    pa.float64(): (_DOUBLE, np.float64),
    pa.int32(): (_INT32, np.int32),
    pa.int16(): (_INT32, np.int32),
    pa.date32(): (_INT32, np.int32),
    pa.timestamp("us"): (_INT64, np.int64),
}
CODECS = {"none": 0, "snappy": 1, "zstd": 6, "lz4": 7}
#: A column is dense if the codec shortens its first values by less than three tenths, and then its frames are made
#: from spans; what repeats beyond its span is better left to the codec.
_SAMPLE_BYTES = 16 * 1024
_DENSE = 0.7
#: More runs of nulls than this are told bit by bit.
_MOST_RUNS = 1024


@dataclass(frozen=True)
class ColumnChunk:
    """The bytes of a chunk, and its `ColumnMetaData` with offsets from its first byte."""

    pages: tuple[Page, ...]
    metadata: Struct


def moved(metadata: Struct, shift: int) -> Struct:
    """Return a chunk's metadata with its offsets shifted."""
    offsets = {number: metadata[number] for number in OFFSETS if number in metadata}
    return metadata | {number: Field(kind, value + shift) for number, (kind, value) in offsets.items()}


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
    lengths : int64[spans]
        The rows of each span.
    compression : str
        As the setting says.
    compress : callable
        What `codec` returns for it.
    """

    def __init__(self, lengths: Ints, compression: str, compress: Callable[[Page], Page]) -> None:
        self._lengths, self._rows = lengths, int(lengths.sum())
        self._spans: dict[int, Spans] = {}
        self._frames_serve = compression == "zstd"
        self._codec, self._compress = CODECS[compression], compress
        self._layouts: dict[bytes, _Layout] = {}

    def of_spans(self, column: SpanColumn) -> ColumnChunk:
        """Return the chunk of a column."""
        physical, stored = PHYSICAL[column.kind]
        key = b"" if column.missing is None else column.missing.tobytes()
        if key not in self._layouts:
            self._layouts[key] = _Layout(self._lengths, column.missing)
        layout = self._layouts[key]
        values = column.values[layout.there].astype(stored, copy=False)
        frames = self._frames(layout, values.itemsize) if self._frames_serve and self._is_dense(values) else None
        if frames is None:
            repeated = np.repeat(values, self._lengths[layout.there])
            page = self._compress(np.concatenate([np.frombuffer(layout.levels, np.uint8), repeated.view(np.uint8)]))
        else:
            page = frames.frame(values)
        statistics = _statistics(values, self._rows - layout.rows)
        plain_size = len(layout.levels) + layout.rows * values.itemsize
        return self._one_page(column.name, physical, page, plain_size, statistics)

    def _frames(self, layout: _Layout, width: int) -> SpanFrames | None:
        if width not in self._spans:
            self._spans[width] = Spans(self._lengths, width)
        if width not in layout.frames:
            layout.frames[width] = self._spans[width].frames(layout.there, layout.levels)
        return layout.frames[width]

    def _is_dense(self, values: NDArray[np.generic]) -> bool:
        """Tell whether the codec would hardly shorten the values themselves."""
        some = values[: _SAMPLE_BYTES // values.itemsize]
        return len(some) > 0 and memoryview(self._compress(some)).nbytes > _DENSE * some.nbytes

    def _one_page(self, name: str, physical: int, page: Page, plain_size: int, statistics: Struct) -> ColumnChunk:
        size = memoryview(page).nbytes
        header = thrift.encode(
            {
                1: Field(I32, _DATA_PAGE),
                2: Field(I32, plain_size),
                3: Field(I32, size),
                4: Field(I32, signed(zlib.crc32(page))),
                5: Field(STRUCT, {1: Field(I32, self._rows), 2: _PLAIN_FIELD, 3: _RLE_FIELD, 4: _RLE_FIELD}),
            }
        )
        metadata = {
            1: Field(I32, physical),
            2: Field(LIST, Items(I32, (_PLAIN, _RLE))),
            3: Field(LIST, Items(BINARY, (name.encode(),))),
            CHUNK_CODEC: Field(I32, self._codec),
            5: Field(I64, self._rows),
            CHUNK_BYTES: Field(I64, len(header) + plain_size),
            CHUNK_STORED_BYTES: Field(I64, len(header) + size),
            9: Field(I64, 0),
            STATISTICS: Field(STRUCT, statistics),
        }
        return ColumnChunk((header, page), metadata)


def _statistics(values: NDArray[np.generic], nulls: int) -> Struct:
    """Return what a filter skips a chunk by: how many nulls it has, and its extremes, unless one is NaN.

    Zeros of either sign are equal and readers may take them for different, so the format asks for the outer ones.
    """
    statistics = {NULL_COUNT: Field(I64, nulls)}
    if not len(values):
        return statistics
    least, most = values.min(), values.max()
    if least != least or most != most:
        return statistics
    if values.dtype.kind == "f":
        least = -abs(least) if least == 0 else least
        most = abs(most) if most == 0 else most
    return statistics | {
        MOST: Field(BINARY, most.tobytes()),
        LEAST: Field(BINARY, least.tobytes()),
        MOST_IS_EXACT: _TRUE_FIELD,
        LEAST_IS_EXACT: _TRUE_FIELD,
    }


class _Layout:
    """What columns that are missing in the same spans share.

    Attributes
    ----------
    levels : bytes
        The definition levels with their length, as a page begins.
    there : bool[spans] or slice
        The spans in which they are.
    rows : int
        Of these.
    frames : dict of int to SpanFrames or None
        What makes the frames of values of so many bytes.
    """

    def __init__(self, lengths: Ints, missing: NDArray[np.bool_] | None) -> None:
        self.there: NDArray[np.bool_] | slice = slice(None) if missing is None else ~missing
        runs = unsigned(int(lengths.sum()) << 1) + b"\1" if missing is None else _null_runs(~missing, lengths)
        self.levels = len(runs).to_bytes(4, "little") + runs
        self.rows = int(lengths[self.there].sum())
        self.frames: dict[int, SpanFrames | None] = {}


def _null_runs(valid: NDArray[np.bool_], lengths: Ints) -> bytes:
    """Return the definition levels of a column with nulls: runs of equal ones, or where they change often, bits."""
    starts = np.flatnonzero(np.concatenate([[True], valid[1:] != valid[:-1]]))
    if len(starts) > _MOST_RUNS:
        bits = np.packbits(np.repeat(valid, lengths), bitorder="little")
        return unsigned(len(bits) << 1 | 1) + bits.tobytes()
    counts = np.add.reduceat(lengths, starts) << 1
    sevens = np.arange(0, 35, 7)  # bits of the bytes of an integer, of which the last one has no mark
    integers = counts[:, None] >> sevens & 0x7F | (counts[:, None] >> sevens + 7 > 0) << 7
    told = (counts[:, None] >> sevens > 0) | (sevens == 0)
    runs = np.column_stack([integers, valid[starts]]).astype(np.uint8)
    told = np.column_stack([told, np.ones(len(starts), bool)])
    return bytes(runs[told].tobytes())


_PLAIN_FIELD, _RLE_FIELD, _TRUE_FIELD = Field(I32, _PLAIN), Field(I32, _RLE), Field(TRUE, True)
