"""Sessions of several moments become one row each: the day's bar, and beside it the last moment's row.

As in `compute/bars`, rows without a usable close contribute nothing, and open, high, low and volume each come from the
rows in which they are usable. Prices are taken over from the rows that have them, so they keep their types and bits;
where a session has no usable value, the last moment's stays.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.bars import Ints, usable_values
from weekly_cli.dataset.schema import prices
from weekly_cli.errors import InputRefused


def day_bars(table: pa.Table, starts: Ints, roles: Mapping[str, str], price: str | None) -> pa.Table:
    """Return one row for each session.

    Parameters
    ----------
    table : pa.Table
        Rows in the order of sessions and, within one, of moments.
    starts : int64[sessions]
        The first row of each session.
    roles : mapping of role to column name
    price : str or None
        The column with the adjusted close.

    Raises
    ------
    InputRefused
        If the sum of a session's volumes does not fit their type.
    """
    last = np.append(starts[1:], table.num_rows) - 1
    result = table.take(from_numpy(last))
    sources = _source_rows(table, starts, last, roles, price)
    for name, rows in sources.items():
        place = result.column_names.index(name)
        result = result.set_column(place, result.schema.field(place), table.column(name).take(from_numpy(rows)))
    if "volume" in roles:
        place = result.column_names.index(roles["volume"])
        closes = _usable(table, roles["close"], "close")
        sums = _with_sums(table.column(roles["volume"]), result.column(place), closes, starts, roles["volume"])
        result = result.set_column(place, result.schema.field(place), sums)
    return result


def _usable(table: pa.Table, name: str, role: str) -> NDArray[np.bool_]:
    values: NDArray[np.float64] = prices(table.column(name))
    return usable_values(values, role)


def _source_rows(
    table: pa.Table, starts: Ints, last: Ints, roles: Mapping[str, str], price: str | None
) -> dict[str, Ints]:
    """Return for each price column the row of each session that has the day's price."""
    rows = np.arange(table.num_rows)
    beyond = table.num_rows
    usable = _usable(table, roles["close"], "close")
    if price is not None:
        usable &= _usable(table, price, "close")
    sources: dict[str, Ints] = {}
    if "open" in roles:
        first = np.where(usable & _usable(table, roles["open"], "open"), rows, beyond)
        sources[roles["open"]] = _or(np.minimum.reduceat(first, starts), last, beyond)
    for role, extreme, neutral in (("high", np.maximum, -np.inf), ("low", np.minimum, np.inf)):
        if role in roles:
            values = prices(table.column(roles[role]))
            there = usable & usable_values(values, role)
            values = np.where(there, values, neutral)
            most = np.repeat(extreme.reduceat(values, starts), np.diff(starts, append=beyond))
            first = np.where(there & (values == most), rows, beyond)
            sources[roles[role]] = _or(np.minimum.reduceat(first, starts), last, beyond)
    newest = _or(np.maximum.reduceat(np.where(usable, rows, -1), starts), last, -1)
    sources |= {roles["close"]: newest} | ({} if price is None else {price: newest})
    return sources


def _or(rows: Ints, instead: Ints, nothing: int) -> Ints:
    return np.where(rows == nothing, instead, rows)


# ---- volumes ---------------------------------------------------------------------------------------------


def _with_sums(
    volumes: pa.ChunkedArray, last: pa.ChunkedArray, closes: NDArray[np.bool_], starts: Ints, name: str
) -> pa.ChunkedArray:
    """Return the sum of each session's usable volumes, and `last`, the last moment's, where none is usable."""
    estimates = prices(volumes)
    usable = closes & usable_values(estimates, "volume")
    known = np.logical_or.reduceat(usable, starts)
    if not known.any():
        return last
    try:
        sums = _sums(volumes, np.where(usable, estimates, 0.0), usable, starts)
    except (pa.ArrowInvalid, OverflowError) as error:
        raise InputRefused(
            f"column {name!r}: the volumes of a day add up to more than its type, {volumes.type}, can represent; write "
            "it as int64 or float64"
        ) from error
    choices = np.where(known, len(last) + np.arange(len(known)), np.arange(len(known)))
    return pa.chunked_array([*last.chunks, sums]).take(from_numpy(choices))


def _sums(volumes: pa.ChunkedArray, floats: NDArray[np.float64], usable: NDArray[np.bool_], starts: Ints) -> pa.Array:
    kind = volumes.type
    estimates = np.add.reduceat(floats, starts)
    if pa.types.is_decimal(kind):
        scale = 10.0**kind.scale
        _refuse_overflow(float(estimates.max()) * scale, 2.0**62)
        whole = volumes.cast(pa.decimal128(38, kind.scale)).combine_chunks()
        words = np.frombuffer(whole.buffers()[1], np.int64).reshape(-1, 2)[whole.offset :][: len(whole), 0]
        sums = np.add.reduceat(np.where(usable, words, 0), starts)
        data = pa.py_buffer(np.column_stack([sums, np.zeros_like(sums)]).tobytes())
        return pa.Array.from_buffers(whole.type, len(sums), [None, data]).cast(kind)
    if pa.types.is_integer(kind):
        _refuse_overflow(float(estimates.max()), 2.0**62)
        numbers = np.where(usable, to_numpy(volumes, 0), 0).astype(np.int64)
        return from_numpy(np.add.reduceat(numbers, starts)).cast(kind)
    return from_numpy(estimates).cast(kind)


def _refuse_overflow(largest: float, most: float) -> None:
    if largest >= most:
        raise OverflowError
