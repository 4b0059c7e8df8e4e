"""Converts numpy arrays to Arrow and back without a copy and without pandas.

`pa.array`, `pa.scalar` and `Array.to_numpy` import pandas if it is installed, which takes a third of a second in every
process; the buffers themselves are available without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Column: TypeAlias = pa.Array | pa.ChunkedArray

_NUMPY_TYPES: dict[str, type[np.generic]] = {
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "float": np.float32,
    "double": np.float64,
    "date32[day]": np.int32,
    "timestamp[us]": np.int64,
}
_ARROW_TYPES = {
    np.dtype(kind): arrow
    for kind, arrow in (
        (np.int32, pa.int32()),
        (np.int64, pa.int64()),
        (np.uint64, pa.uint64()),
        (np.float32, pa.float32()),
        (np.float64, pa.float64()),
    )
}


def numpy_type(kind: pa.DataType) -> type[np.generic]:
    """Return the numpy type for the values of a fixed-width number, date32, or timestamp in microseconds."""
    return _NUMPY_TYPES[str(kind)]


def from_numpy(
    values: NDArray[np.generic], kind: pa.DataType | None = None, known: NDArray[np.bool_] | None = None
) -> pa.Array:
    """Return an Arrow array that shares the memory of `values`, null where `known` is false."""
    values = np.ascontiguousarray(values)
    bitmap = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    return pa.Array.from_buffers(kind or _ARROW_TYPES[values.dtype], len(values), [bitmap, pa.py_buffer(values)])


def empty_table(schema: pa.Schema) -> pa.Table:
    """Return a table without rows."""
    return pa.Table.from_batches([], schema)


def positions(keep: NDArray[np.bool_]) -> pa.Array:
    """Return the positions at which `keep` is true, for `take`."""
    return from_numpy(np.flatnonzero(keep))


def text_array(texts: Sequence[str]) -> pa.Array:
    """Return texts as a string array; command-line bytes that are not UTF-8 are kept unchanged."""
    encoded = [text.encode(errors="surrogateescape") for text in texts]
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int32)
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))


def to_numpy(column: Column, fill: float | None = None) -> NDArray[Any]:
    """Return the values of a fixed-width column, `fill` where it is null; a view for a single chunk without nulls."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    arrays = [_chunk(chunk, fill) for chunk in chunks]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate([np.empty(0, numpy_type(column.type)), *arrays])


def _chunk(array: pa.Array, fill: float | None) -> NDArray[Any]:
    kind = numpy_type(array.type)
    data = array.buffers()[1]
    if data is None or len(array) == 0:
        return np.full(len(array), 0 if fill is None else fill, kind)
    values = np.frombuffer(data, kind)[array.offset : array.offset + len(array)]
    if array.null_count and fill is not None:
        values = values.copy()
        values[~known(array)] = fill
    return values


def floats(column: Column) -> Column:
    """Return a column of numbers as float64; decimals are rounded correctly.

    Arrow multiplies a decimal by a power of ten that has been rounded: 101.37 with a scale of 6 becomes
    101.36999999999999.
    """
    if isinstance(column, pa.ChunkedArray):
        return pa.chunked_array([floats(chunk) for chunk in column.chunks], pa.float64())
    kind = column.type
    if pa.types.is_decimal128(kind) and kind.precision <= _INT64_DIGITS and kind.scale >= 0 and len(column):
        places = slice(2 * column.offset, 2 * (column.offset + len(column)), 2)  # the low half of each
        digits = np.where(_known(column), np.frombuffer(column.buffers()[1], np.int64)[places], 0)
        quotients = digits / 10.0**kind.scale  # of exact numbers, rounded once
        large = np.abs(digits) > _EXACT_INTEGER
        if large.any():
            quotients = np.where(large, to_numpy(column.cast(pa.float64(), safe=False), 0.0), quotients)
        return from_numpy(quotients, known=None if column.null_count == 0 else _known(column))
    return column.cast(pa.float64(), safe=False)


#: A decimal of so many digits fits into its low half; float64 represents integers exactly up to that one.
_INT64_DIGITS, _EXACT_INTEGER = 18, 2**53


def known(column: Column) -> NDArray[np.bool_]:
    """Return bool[rows]: which values are not null."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([np.empty(0, bool), *map(_known, chunks)])


def _known(array: pa.Array) -> NDArray[np.bool_]:
    if array.null_count == 0:
        return np.ones(len(array), bool)
    if array.null_count == len(array):
        return np.zeros(len(array), bool)
    bits = np.frombuffer(array.buffers()[0], np.uint8)
    return np.unpackbits(bits, bitorder="little")[array.offset : array.offset + len(array)].astype(bool)
