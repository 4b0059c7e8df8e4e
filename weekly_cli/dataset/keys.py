"""The key columns of a row group, read: which symbols and days its rows have, where, and in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.arrays import known as is_known
from weekly_cli.compute.bars import Ints, run_starts
from weekly_cli.dataset import source
from weekly_cli.dataset.calendar import DayCounts, count_days
from weekly_cli.dataset.dates import session_days, times_of_day
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.schema import DatasetSchema, as_text
from weekly_cli.errors import InputRefused
from weekly_cli.files import disk

#: A row group in which a symbol has more runs than this, on average, is not clustered by symbol.
_RUNS_PER_SYMBOL = 4
OFFENDERS_SHOWN = 3


@dataclass(frozen=True)
class Keys:
    """The facts from the keys of one table; `first` and `stop` are None if the symbols are scattered."""

    piece: int
    symbols: pa.Array
    counts: Ints
    first: Ints | None
    stop: Ints | None
    days: tuple[int, int, int, int] | None  # first row's, last row's, smallest, largest
    ascending: bool
    keys: tuple[tuple[Any, int], tuple[Any, int]] | None  # symbol and day of the first row and of the last
    keys_ascending: bool
    bad: tuple[tuple[int, str], ...]
    bad_count: int
    unread: tuple[int, str] | None
    unread_count: int
    by_day: DayCounts | None
    times_of_day: frozenset[int]


def read_keys(footers: Footers, by_key: bool, begin: int, end: int) -> list[Keys]:
    numbers = {(piece.path, piece.row_group): begin + n for n, piece in enumerate(footers.pieces[begin:end])}
    wanted = footers.schema.key_columns
    keys = []
    for piece, first, table in source.tables(footers.pieces[begin:end], footers.schema, wanted):
        symbols = _encoded(table.column(0))
        _refuse_other_bytes(symbols.dictionary, wanted[0], piece)
        keys.append(_keys_of(numbers[piece.path, piece.row_group], first, table, symbols, footers.schema, by_key))
    return keys


def _encoded(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return array if pa.types.is_dictionary(array.type) else array.dictionary_encode()


def _refuse_other_bytes(symbols: pa.Array, name: str, piece: source.Piece) -> None:
    """Refuse symbols that are not valid UTF-8, which Arrow does not check: they could be neither sorted nor named."""
    try:
        symbols.validate(full=True)
    except pa.ArrowInvalid as error:
        raise InputRefused(
            f"column {name!r} of {piece.name} is text, but not all of it is UTF-8 (row group {piece.row_group}): "
            f"{disk.first_line(error)}; write it as UTF-8"
        ) from error


def _keys_of(number: int, offset: int, table: pa.Table, encoded: pa.Array, schema: DatasetSchema, by_key: bool) -> Keys:
    names = schema.key_columns
    days, known = session_days(table.column(names[1]), schema.dates)
    usable = known if encoded.null_count == 0 else is_known(encoded)
    if usable is not None and known is not None:
        usable = usable & known
    bad_rows = np.flatnonzero(~usable) if usable is not None else np.empty(0, np.int64)
    offenders = tuple((offset + int(row), _offender(table, int(row), names)) for row in bad_rows[:OFFENDERS_SHOWN])
    unread_rows = _unread(table.column(names[1]), known)
    codes = to_numpy(encoded.indices, 0)
    positions = np.arange(offset, offset + len(codes))
    if len(bad_rows):
        codes, days, positions = codes[usable], days[usable], positions[usable]
    counts = np.bincount(codes, minlength=len(encoded.dictionary))
    first, stop = _ranges(codes, positions, counts)
    present = np.flatnonzero(counts)
    smallest, largest = (int(days.min()), int(days.max())) if len(days) else (0, -1)
    return Keys(
        piece=number,
        symbols=encoded.dictionary if len(present) == len(counts) else encoded.dictionary.take(from_numpy(present)),
        counts=counts[present],
        first=None if first is None else first[present],
        stop=None if stop is None else stop[present],
        days=(int(days[0]), int(days[-1]), smallest, largest) if len(days) else None,
        ascending=bool((days[1:] >= days[:-1]).all()),
        keys=((_symbol(encoded, codes[0]), int(days[0])), (_symbol(encoded, codes[-1]), int(days[-1])))
        if len(days)
        else None,
        keys_ascending=by_key and first is not None and _keys_ascend(encoded.dictionary, codes, days),
        bad=offenders,
        bad_count=len(bad_rows),
        unread=(offset + int(unread_rows[0]), as_text(table.column(names[1])[int(unread_rows[0])]))
        if len(unread_rows)
        else None,
        unread_count=len(unread_rows),
        by_day=count_days(days, smallest, largest) if len(days) else None,
        times_of_day=times_of_day(table.column(names[1]), schema.dates),
    )


def _symbol(encoded: pa.Array, code: np.int32) -> Any:
    """Return a symbol by its code; texts compare by their characters as they do by their UTF-8 bytes."""
    return encoded.dictionary[int(code)].as_py()


def _keys_ascend(symbols: pa.Array, codes: NDArray[np.int32], days: NDArray[np.int32]) -> bool:
    """Tell whether rows are in the order of symbol and date."""
    rank = np.empty(len(symbols), np.int64)
    rank[to_numpy(pc.array_sort_indices(symbols))] = np.arange(len(symbols))
    starts = run_starts(codes)
    later = days[1:] >= days[:-1]
    later[starts[1:] - 1] = True
    return bool((np.diff(rank[codes[starts]]) > 0).all() and later.all())


def _unread(dates: pa.ChunkedArray, known: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Return the rows that have a value in the date column that is not a valid date."""
    if known is None:
        return np.empty(0, np.int64)
    return np.flatnonzero(~known & is_known(dates))


def _offender(table: pa.Table, row: int, names: Sequence[str]) -> str:
    symbol, date = (table.column(name)[row] for name in names)
    return f"{names[0]} {symbol.as_py()!r}, {names[1]} {as_text(date)}"


def _ranges(codes: NDArray[np.int32], positions: Ints, counts: Ints) -> tuple[Ints, Ints] | tuple[None, None]:
    """Return the first row and the row after the last of each symbol, None if symbols are scattered."""
    starts = run_starts(codes)
    if len(starts) > _RUNS_PER_SYMBOL * np.count_nonzero(counts):
        return None, None
    first = np.full(len(counts), np.iinfo(np.int64).max)
    stop = np.zeros(len(counts), np.int64)
    if len(starts):
        last = np.append(starts[1:], len(codes)) - 1
        np.minimum.at(first, codes[starts], positions[starts])
        np.maximum.at(stop, codes[starts], positions[last] + 1)
    return first, stop
