"""A table that is joined: what it is, and its rows in the order of symbol and moment.

It stays in the memory of each process that joins, so its columns are read, sorted and kept one after the other.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import Column, from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.dates import session_days
from weekly_cli.dataset.schema import is_text, plain_type, symbol_codes, working_type
from weekly_cli.errors import InputRefused
from weekly_cli.files.tables import TableFile, content_hash

_KEY_DAYS = 2**32
#: Half of the above: days before 1970 are negative.
_DAY_ZERO = 2**31
#: What a table takes for each row: to be sorted, before its columns are read; beside the columns while they are read;
#: and afterwards, which is what allocators keep for a while. Eight million rows with four numbers each, of 305 MiB with
#: their keys, took 611 MiB at most, and 400 MiB afterwards.
_SORT_BYTES, _READING_BYTES, _KEPT_BYTES = 64, 48, 16


@dataclass(frozen=True)
class JoinedTable:
    """A table to join, and how.

    Attributes
    ----------
    path : str
    sha256 : str
        Of its bytes when the run began.
    moment : str
        The column that says when a row was known.
    symbol : str
        The column with the symbol whose row it is; "": a row is for all.
    symbol_type : pa.DataType
        In which symbols are compared.
    same_day : bool
        Whether a row that was known on the day of a session counts in it.
    most_days : int or None
        A row that has been known for more days is not taken.
    held_bytes, reading_bytes : int
        What it takes in a process, and what it takes while it is read.
    """

    path: str
    sha256: str
    moment: str
    symbol: str
    symbol_type: pa.DataType
    same_day: bool
    most_days: int | None
    held_bytes: int = field(default=0, compare=False)
    reading_bytes: int = field(default=0, compare=False)

    @property
    def age(self) -> str:
        """The name of the column with the days since the joined row was known."""
        return age_column(self.path)

    def with_bytes(self) -> JoinedTable:
        """Return the same with the bytes that it takes; it is read."""
        rows = rows_of(self)
        columns, n_rows = sum(column.nbytes for column in rows.columns.columns), len(rows.keys)
        held = columns + rows.keys.nbytes + _KEPT_BYTES * n_rows
        return replace(self, held_bytes=held, reading_bytes=while_reading(n_rows, columns))


def while_reading(n_rows: int, columns: int) -> int:
    """Return the bytes that a table takes while it is read: its rows, and the bytes of its columns but for the keys."""
    return max(_SORT_BYTES * n_rows, columns + _READING_BYTES * n_rows)


def age_column(path: str) -> str:
    """Return the name of the column with the days since a joined row was known."""
    return f"{Path(path).stem}_age_days"


@dataclass(frozen=True)
class JoinedRows:
    """A table's rows in the order of symbol and moment.

    Attributes
    ----------
    symbols : pa.Array or None
        Those that it has; None: its rows are for all.
    keys : int64[rows]
        What `keys_of` gives for each row, ascending.
    columns : pa.Table
        Those besides symbol and moment.
    n_left_out : int
        How many rows have no date or no symbol, and are not here.
    has_times : bool
        Whether a moment is not the beginning of its day.
    """

    symbols: pa.Array | None
    keys: Ints
    columns: pa.Table
    n_left_out: int
    has_times: bool


def keys_of(codes: NDArray[np.integer], days: NDArray[np.integer]) -> Ints:
    """Return one ascending number for each symbol and day."""
    return codes.astype(np.int64) * _KEY_DAYS + (_DAY_ZERO + days.astype(np.int64))


def codes_and_days(keys: Ints) -> tuple[Ints, Ints]:
    """Return the symbols and days of keys.

    >>> [one.tolist() for one in codes_and_days(keys_of(np.array([0, 3]), np.array([-5, 19000])))]
    [[0, 3], [-5, 19000]]
    """
    return keys // _KEY_DAYS, keys % _KEY_DAYS - _DAY_ZERO


def forget() -> None:
    """Give the memory of all tables back; the next row that is joined reads its table again."""
    rows_of.cache_clear()
    pa.default_memory_pool().release_unused()


@functools.lru_cache(maxsize=8)
def rows_of(table: JoinedTable) -> JoinedRows:
    """Read a table.

    Raises
    ------
    InputRefused
        If it is another one than the run began with, or its symbols are of another type.
    """
    if content_hash(table.path, "--join") != table.sha256:
        raise InputRefused(f"{table.path} was changed while it was being read; run the same command again")
    file = TableFile(table.path, "--join", lambda name: name == table.symbol)
    symbols, keys, order, has_times = _sorted_keys(table, file)
    pa.default_memory_pool().release_unused()  # allocators keep what was freed, which here is as much as stays
    names = [name for name in file.schema.names if name not in (table.moment, table.symbol)]
    n_rows, columns, read = len(keys), {}, file.columns(names)
    for name in names:
        column = next(read)  # neither zip nor anything else may hold it while it is copied
        n_rows = len(column)
        column = column.cast(working_type(column.type)).combine_chunks()
        columns[name] = column if order is None else column.take(from_numpy(order))
        del column
        pa.default_memory_pool().release_unused()
    return JoinedRows(symbols, keys, pa.table(columns), n_rows - len(keys), has_times)


def _sorted_keys(table: JoinedTable, file: TableFile) -> tuple[pa.Array | None, Ints, Ints | None, bool]:
    """Return the symbols, the keys in order, the rows that have them in this order, and whether moments have times.

    The order is None if it is the file's.
    """
    repeated = [table.symbol] if table.symbol and is_text(plain_type(file.schema.field(table.symbol).type)) else []
    columns = file.columns([table.moment, *([table.symbol] if table.symbol else [])], repeated)
    moments = next(columns)
    days, usable = session_days(moments)
    symbols, codes = None, np.zeros(len(days), np.int32)
    if table.symbol:
        symbols, codes = _coded(next(columns), table)
    keep = codes >= 0
    if usable is not None:
        keep &= usable
    keys = keys_of(codes, days)
    del codes, days
    instants, has_times = _instants(moments), _has_times(moments)
    if keep.all():
        kept = None
    else:
        kept = np.flatnonzero(keep)
        keys, instants = keys[kept], None if instants is None else instants[kept]
    if _is_sorted(keys, instants):
        return symbols, keys, kept, has_times
    # stable: of equal ones the last in the file counts
    order = np.argsort(keys, kind="stable") if instants is None else np.lexsort((instants, keys))
    return symbols, keys[order], order if kept is None else kept[order], has_times


def _coded(column: pa.ChunkedArray, table: JoinedTable) -> tuple[pa.Array, NDArray[np.int32]]:
    """Return the symbols of a column, and the position of each row's among them, -1 where it is null."""
    chunks = column.chunks
    if chunks and pa.types.is_dictionary(column.type):
        values = pa.chunked_array([chunk.dictionary for chunk in chunks])
    else:
        values = column
    try:
        symbols = values.cast(table.symbol_type).unique().drop_null()
    except pa.ArrowInvalid as error:
        raise InputRefused(
            f"--join {table.path}: column {table.symbol!r} is not {table.symbol_type}, as the symbols of the input "
            "are; convert it"
        ) from error
    return symbols, symbol_codes(column, symbols)


def _instants(moments: Column) -> NDArray[np.int64] | None:
    """Return what orders moments within a day; dates and texts have none."""
    if not pa.types.is_timestamp(moments.type):
        return None
    return np.asarray(moments.cast(pa.int64()).fill_null(0))


def _has_times(moments: pa.ChunkedArray) -> bool:
    """Tell whether a moment is not the beginning of its day: a timestamp as its own zone shows it, or a text."""
    kind = moments.type
    if is_text(kind):
        return bool(pc.any(pc.match_substring(moments.cast(pa.large_string()), ":")).as_py())
    if not pa.types.is_timestamp(kind):
        return False
    local = moments if kind.tz is None else pc.local_timestamp(moments)
    return bool(pc.any(pc.not_equal(local, pc.floor_temporal(local, unit="day"))).as_py())


def _is_sorted(keys: Ints, instants: NDArray[np.int64] | None) -> bool:
    if (keys[1:] < keys[:-1]).any():
        return False
    return instants is None or not ((keys[1:] == keys[:-1]) & (instants[1:] < instants[:-1])).any()
