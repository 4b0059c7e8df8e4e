"""Hashes of rows: equal rows have equal hashes, regardless of their columns' encoding.

A column's hash depends on bits: 0.0 is not -0.0, and a null equals no value. Text has the same hash whether plain,
large, a view or dictionary-encoded. A row's hash mixes those of its columns again, so that exchanging a value between
two rows changes both hashes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import known
from weekly_cli.dataset.schema import is_text

Hashes = NDArray[np.uint64]

_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_NULL, _ODD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1342543DE82EF95)


def of_rows(columns: Sequence[pa.ChunkedArray], n_rows: int) -> Hashes:
    """Return a hash of each row, uint64[rows]."""
    together = np.zeros(n_rows, np.uint64)
    for column in columns:
        together = together * _ODD + of_column(column)
    return _mixed(together)


def of_column(column: pa.ChunkedArray) -> Hashes:
    """Return a hash of each value, uint64[rows]."""
    return np.concatenate([np.empty(0, np.uint64), *(_of(chunk) for chunk in column.chunks)])


def _of(array: pa.Array) -> Hashes:
    if len(array) == 0:
        return np.empty(0, np.uint64)
    if pa.types.is_dictionary(array.type):
        codes = np.asarray(array.indices.cast(pa.int64()).fill_null(len(array.dictionary)))
        result: Hashes = np.append(_of(array.dictionary), _NULL)[codes]
        return result
    values = _values(array)
    return np.where(known(array), values, _NULL) if array.null_count else values


def _values(array: pa.Array) -> Hashes:
    """Return hashes of values; where the array is null, they are meaningless."""
    kind = array.type
    if pa.types.is_null(kind):
        return np.full(len(array), _NULL)
    if isinstance(array, pa.ExtensionArray):
        return _of(array.storage)
    if pa.types.is_struct(kind):
        return of_rows([pa.chunked_array([field]) for field in array.flatten()], len(array))
    if _is_list(kind):
        return _of_lists(array)
    if is_text(kind) or any(test(kind) for test in _BYTES):
        return _of_texts(array)
    if pa.types.is_boolean(kind):
        return _mixed(np.asarray(array.cast(pa.uint8()).fill_null(0)).astype(np.uint64))
    return _of_words(array, kind.bit_width // 8)


def _of_words(array: pa.Array, width: int) -> Hashes:
    """Return hashes of values with `width` bytes."""
    data = np.frombuffer(array.buffers()[1], np.uint8)
    values = data[array.offset * width :][: len(array) * width].reshape(len(array), width)
    if width in (1, 2, 4, 8):
        return _mixed(np.ascontiguousarray(values).view(f"u{width}").ravel().astype(np.uint64))
    words = np.zeros((len(array), -(-width // 8) * 8), np.uint8)
    words[:, :width] = values
    together = np.zeros(len(array), np.uint64)
    for word in words.view(np.uint64).T:
        together = together * _ODD + _mixed(np.ascontiguousarray(word))
    return _mixed(together)


def _of_texts(array: pa.Array) -> Hashes:
    encoded = array.cast(pa.large_binary()).dictionary_encode()
    texts = np.array([*encoded.dictionary.to_pylist(), b""], object)[:-1]
    hashes = pd.util.hash_array(texts, categorize=False)
    result: Hashes = np.append(hashes, _NULL)[np.asarray(encoded.indices.fill_null(len(texts)))]
    return result


def _is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list, pa.types.is_map)
    return any(test(kind) for test in tests)


def _of_lists(array: pa.Array) -> Hashes:
    """Return hashes of lists: of their lengths, and of each element with its position."""
    lengths = np.asarray((pc.list_value_length(_as_list(array))).fill_null(0)).astype(np.int64)
    members = _of(_as_list(array).flatten())
    starts = np.cumsum(lengths) - lengths
    places = np.arange(len(members)) - np.repeat(starts, lengths)
    placed = _mixed(members * _ODD + places.astype(np.uint64))
    sums = np.concatenate([[np.uint64(0)], np.cumsum(placed, dtype=np.uint64)])
    return _mixed((sums[starts + lengths] - sums[starts]) * _ODD + lengths.astype(np.uint64))


def _as_list(array: pa.Array) -> pa.Array:
    """Return a map as the list of its entries."""
    if not pa.types.is_map(array.type):
        return array
    entry = pa.struct([pa.field("key", array.type.key_type), pa.field("value", array.type.item_type)])
    return array.cast(pa.list_(entry))


def _mixed(values: Hashes) -> Hashes:
    return pd.util.hash_array(values)
