"""The input as tables of one schema, piece by piece.

A piece is a range of rows of one row group. A range is cheap to end early (the reader stops decoding there) and
can't begin late (Parquet decodes a row group from its first page), so reading a piece costs `stop` rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from weekly_cli import storage
from weekly_cli.arrays import from_numpy, text_array
from weekly_cli.errors import InputRefused
from weekly_cli.schema import DatasetSchema, carried_type, is_text, session_days, symbol_codes

HiveKeys = tuple[tuple[str, str | None], ...]

#: Rows that are decoded at a time; pyarrow's own default for a row group.
BATCH_ROWS = 1024 * 1024
_EARLY_STOP_ROWS = 64 * 1024
_EARLY_STOP_SHARE = 0.8


@dataclass(frozen=True)
class Piece:
    """The rows from `start` to `stop` of one row group of a file; `keys` are the file's hive keys."""

    path: str
    row_group: int
    start: int
    stop: int
    rows_in_group: int
    keys: HiveKeys = ()


@dataclass(frozen=True)
class Chunk:
    """Rows of known symbols in input order: int32 codes, int32 days, and the own columns without the symbol."""

    codes: NDArray[np.int32]
    days: NDArray[np.int32]
    table: pa.Table


def tables(
    pieces: Iterable[Piece],
    schema: DatasetSchema,
    columns: Sequence[str] | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[tuple[Piece, int, pa.Table]]:
    """Yield (piece, first row in the row group, table) for the pieces in order, `batch_rows` rows at most each.

    The tables have the dataset's columns (or those of `columns`) and types, except that a text symbol column
    may come as a dictionary.

    Raises
    ------
    InputRefused
        If a file can't be decoded.
    """
    opened: tuple[str, pq.ParquetFile] | None = None
    wanted = list(schema.arrow.names if columns is None else columns)
    for piece in pieces:
        if opened is None or opened[0] != piece.path:
            opened = piece.path, _open(piece, schema)
        try:
            for first, table in _decoded(opened[1], piece, wanted, batch_rows):
                yield piece, first, _conformed(table, piece, schema, wanted)
        except (OSError, pa.ArrowException) as error:
            raise InputRefused(f"{piece.path} can't be decoded (row group {piece.row_group}): {error}") from error


def _open(piece: Piece, schema: DatasetSchema) -> pq.ParquetFile:
    symbol = schema.roles["symbol"]
    if not is_text(schema.symbol_type):
        return storage.open_parquet(piece.path, verify=True)
    try:
        return storage.open_parquet(piece.path, verify=True, dictionaries=[symbol])
    except KeyError:  # this file has no such column: it is a hive key, or null throughout
        return storage.open_parquet(piece.path, verify=True)


def _decoded(
    file: pq.ParquetFile, piece: Piece, wanted: Sequence[str], batch_rows: int
) -> Iterator[tuple[int, pa.Table]]:
    present = set(file.schema_arrow.names)
    names = [name for name in wanted if name in present]
    columns = None if len(names) == len(present) else names
    whole = piece.stop >= _EARLY_STOP_SHARE * piece.rows_in_group
    if whole and piece.rows_in_group <= batch_rows:
        table = file.read_row_group(piece.row_group, columns=columns, use_threads=False)
        yield piece.start, table.slice(piece.start, piece.stop - piece.start)
        return
    step = batch_rows if whole else min(batch_rows, _EARLY_STOP_ROWS)
    first = 0
    for batch in file.iter_batches(step, row_groups=[piece.row_group], columns=columns, use_threads=False):
        begin, end = max(piece.start - first, 0), min(piece.stop - first, batch.num_rows)
        if begin < end:
            yield first + begin, pa.Table.from_batches([batch]).slice(begin, end - begin)
        first += batch.num_rows
        if first >= piece.stop:
            return


def _conformed(table: pa.Table, piece: Piece, schema: DatasetSchema, wanted: Sequence[str]) -> pa.Table:
    """Return the table with the columns of `wanted` in the dataset's types."""
    keys = dict(piece.keys)
    symbol = schema.roles["symbol"]
    arrays = []
    for name in wanted:
        kind = carried_type(schema.arrow.field(name).type)
        if name in table.column_names:
            column = table.column(name)
            as_it_is = name == symbol or column.type.equals(kind)
            arrays.append(column if as_it_is else _cast(column, kind, name, piece.path))
        elif name in keys:
            arrays.append(_repeated(keys[name], table.num_rows))
        else:
            arrays.append(pa.nulls(table.num_rows, kind))
    return pa.table(arrays, names=list(wanted))


def _cast(column: pa.ChunkedArray, kind: pa.DataType, name: str, path: str) -> pa.ChunkedArray:
    try:
        return column.cast(kind)
    except pa.ArrowInvalid as error:
        raise InputRefused(
            f"column {name!r} is {column.type} in {path} but {kind} in the dataset, and does not fit: {error}; "
            "write the files with one type, or build them apart"
        ) from error


def _repeated(text: str | None, rows: int) -> pa.Array:
    if text is None:
        return pa.nulls(rows, pa.string())
    return text_array([text]).take(from_numpy(np.zeros(rows, np.int32)))


def chunks(
    pieces: Iterable[Piece],
    schema: DatasetSchema,
    symbols: pa.Array,
    columns: Sequence[str] | None = None,
    batch_rows: int = BATCH_ROWS,
) -> Iterator[Chunk]:
    """Yield the rows of `symbols` that have a date, with the row's symbol as its position in `symbols`.

    `columns` (default all) must name the symbol and the date; the symbol's column itself is left out, for
    `symbols` holds its values.
    """
    symbol, date = schema.key_columns
    for _, _, table in tables(pieces, schema, columns, batch_rows):
        codes = symbol_codes(table.column(symbol), symbols)
        days, known = session_days(table.column(date))
        keep = codes >= 0
        if known is not None:
            keep &= known
        own = table.drop_columns([symbol])
        rows = np.flatnonzero(keep)
        if len(rows) == len(keep):
            yield Chunk(codes, days, own)
        elif len(rows) and rows[-1] - rows[0] == len(rows) - 1:
            window = slice(int(rows[0]), int(rows[-1]) + 1)
            yield Chunk(codes[window], days[window], own.slice(int(rows[0]), len(rows)))
        elif len(rows):
            yield Chunk(codes[rows], days[rows], own.take(from_numpy(rows)))
