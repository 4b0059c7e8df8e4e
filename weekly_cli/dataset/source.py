"""The input as tables with one schema, piece by piece.

A piece is a range of rows of one row group. Ending a range early is cheap (the reader stops decoding there), but it
can't begin late (Parquet decodes a row group from its first page), so reading a piece costs `stop` rows.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from weekly_cli.compute.arrays import floats, from_numpy
from weekly_cli.dataset.dates import session_days
from weekly_cli.dataset.derived import derive
from weekly_cli.dataset.each import in_order
from weekly_cli.dataset.hive import as_values
from weekly_cli.dataset.schema import DatasetSchema, SymbolCodes, is_text, working_type
from weekly_cli.errors import InputRefused
from weekly_cli.files import discovery, disk, parquet
from weekly_cli.files.locations import is_url

Result = TypeVar("Result")

#: Rows decoded at a time; pyarrow's own default for a row group.
BATCH_ROWS = 1024 * 1024
_EARLY_STOP_ROWS = 64 * 1024
_EARLY_STOP_SHARE = 0.8
#: Pieces that are read as one table have so many rows, and are so many: the first for the memory of a copy, the second
#: for what is counted for each pair of a symbol and a piece.
_JOINED_ROWS, _MOST_JOINED = 128 * 1024, 64


@dataclass(frozen=True)
class Piece:
    """The rows from `start` to `stop` of one of a file's row groups.

    Attributes
    ----------
    first_row : int
        The rows of the input before the row group.
    keys : hive keys
        The values of columns by file.
    origin : str
        The user's file of which this one was made; empty: it is the user's own.
    origin_row : int or None
        The row of that file with which the row group begins, from 1; None: its rows are others.
    first_day : int or None
        The earliest day of the row group's rows, where it was asked for.
    """

    path: str
    row_group: int
    start: int
    stop: int
    rows_in_group: int
    first_row: int = 0
    keys: discovery.HiveKeys = ()
    origin: str = ""
    origin_row: int | None = None
    first_day: int | None = None

    @property
    def name(self) -> str:
        """The file's name in messages."""
        return self.origin or self.path

    def absolute(self) -> Piece:
        """Return the piece with a path that does not depend on the current folder of a process."""
        return self if is_url(self.path) else replace(self, path=str(Path(self.path).absolute()))

    def place(self, row: int) -> str:
        """Return in words where a row of the row group is for the user."""
        if not self.origin:
            return f"row {row} of row group {self.row_group} of {self.path}"
        return self.origin if self.origin_row is None else f"row {self.origin_row + row:,} of {self.origin}"


@dataclass(frozen=True)
class Chunk:
    """Rows of known symbols in input order: int32 codes, int32 days, and the input columns without the symbol."""

    codes: NDArray[np.int32]
    days: NDArray[np.int32]
    table: pa.Table


@dataclass(frozen=True)
class Part:
    """The rows of a piece in a table: `first` is the first one's number in the row group."""

    piece: Piece
    first: int
    rows: int


def tables(
    pieces: Iterable[Piece],
    schema: DatasetSchema,
    columns: Sequence[str] | None = None,
    batch_rows: int = BATCH_ROWS,
    use_threads: bool = False,
) -> Iterator[tuple[Piece, int, pa.Table]]:
    """Yield (piece, first row in the row group, table) for the pieces in order, at most `batch_rows` rows each.

    With `use_threads`, Arrow's own threads decode columns in parallel.

    The tables have the dataset's columns (or those in `columns`) in their working types, except that a text symbol
    column may be a dictionary.

    Raises
    ------
    InputRefused
        If a file can't be decoded.
    """
    reading = _Reading(schema, columns)
    for part, table in reading.parts(pieces, batch_rows, use_threads):
        yield part.piece, part.first, reading.table([part], [table])


def joined_tables(
    pieces: Iterable[Piece],
    schema: DatasetSchema,
    columns: Sequence[str] | None = None,
    batch_rows: int = BATCH_ROWS,
    use_threads: bool = False,
) -> Iterator[tuple[Sequence[Part], pa.Table]]:
    """Yield (parts, table) as `tables` does, but the rows of small pieces that are alike as one table.

    What a table costs, whatever its rows, is more than the rows of one symbol do.
    """
    reading = _Reading(schema, columns)
    held: list[tuple[Part, pa.Table]] = []
    rows, most_rows = 0, min(_JOINED_ROWS, batch_rows)
    for part, table in reading.parts(pieces, batch_rows, use_threads):
        if held and not (rows + part.rows <= most_rows and _alike(held[0], (part, table))):
            yield reading.joined(held)
            held, rows = [], 0
        held.append((part, table))
        rows += part.rows
        del table  # what is held is all that is in memory
        if rows >= most_rows or len(held) == _MOST_JOINED:
            yield reading.joined(held)
            held, rows = [], 0
    if held:
        yield reading.joined(held)


def _alike(one: tuple[Part, pa.Table], other: tuple[Part, pa.Table]) -> bool:
    names = [[name for name, _ in part.piece.keys] for part, _ in (one, other)]
    return names[0] == names[1] and bool(one[1].schema.equals(other[1].schema))


class _Reading:
    """Reads the columns of a dataset, or some of them."""

    def __init__(self, schema: DatasetSchema, columns: Sequence[str] | None) -> None:
        self._schema = schema
        self._names = list(schema.arrow.names if columns is None else columns)
        self._wanted = {name: schema.working_type(name) for name in schema.read_columns(self._names)}

    def parts(self, pieces: Iterable[Piece], batch_rows: int, use_threads: bool) -> Iterator[tuple[Part, pa.Table]]:
        """Yield the rows of pieces as their files have them."""
        opened: tuple[str, pq.ParquetFile] | None = None
        for piece in pieces:
            if opened is None or opened[0] != piece.path:
                opened = piece.path, _open(piece, self._schema)
            with _decoding(piece):
                for first, table in _decoded(opened[1], piece, self._wanted, batch_rows, use_threads):
                    yield Part(piece, first, table.num_rows), _with_sound_codes(table, piece)

    def joined(self, held: Sequence[tuple[Part, pa.Table]]) -> tuple[Sequence[Part], pa.Table]:
        """Return parts and one table of their rows; what is refused is refused for the part that it is in."""
        parts, tables = zip(*held, strict=True)
        try:
            return parts, self.table(parts, tables)
        except InputRefused:
            for part, table in held:
                self.table([part], [table])
            raise

    def table(self, parts: Sequence[Part], tables: Sequence[pa.Table]) -> pa.Table:
        """Return the dataset's columns of parts whose files have the same columns."""
        first = parts[0].piece
        with _decoding(first):
            table = tables[0] if len(tables) == 1 else pa.concat_tables(tables).combine_chunks()
            read = _conformed(table, parts, self._schema.roles["symbol"], self._wanted)
            numbers = [(part.piece.first_row + part.first, part.rows) for part in parts]
            return derive(read, self._schema, self._names, first.name, numbers)


@contextlib.contextmanager
def _decoding(piece: Piece) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        disk.refuse_of_store(piece.path, error)
        raise InputRefused(
            f"{piece.name} can't be decoded (row group {piece.row_group}): {disk.first_line(error)}"
        ) from error


def _open(piece: Piece, schema: DatasetSchema) -> pq.ParquetFile:
    dictionaries = set(schema.dictionary_text)
    symbol = schema.roles["symbol"]
    if is_text(schema.symbol_type) and symbol not in schema.derived and symbol not in dict(piece.keys):
        dictionaries.add(symbol)
    dictionaries -= schema.delta_text
    # Arrow's own note of the types has dictionaries too, which it can't decode from these encodings.
    noted = schema.delta_text.intersection(schema.arrow.names)
    plain = any(pa.types.is_dictionary(schema.arrow.field(name).type) for name in noted)
    try:
        return parquet.open_parquet(piece.path, verify=True, dictionaries=sorted(dictionaries), plain=plain)
    except KeyError:  # this file lacks one of them: it is a hive key, or all null
        return parquet.open_parquet(piece.path, verify=True, plain=plain)


def _decoded(
    file: pq.ParquetFile, piece: Piece, wanted: Iterable[str], batch_rows: int, use_threads: bool
) -> Iterator[tuple[int, pa.Table]]:
    present = set(file.schema_arrow.names)
    keys = dict(piece.keys)
    names = [name for name in wanted if name in present and name not in keys]
    columns = None if len(names) == len(present) else names
    most_rows = piece.stop >= _EARLY_STOP_SHARE * piece.rows_in_group
    if most_rows and piece.rows_in_group <= batch_rows:
        table = file.read_row_group(piece.row_group, columns=columns, use_threads=use_threads)
        _refuse_short(piece, table.num_rows)
        yield piece.start, table.slice(piece.start, piece.stop - piece.start)
        return
    step = batch_rows if most_rows else min(batch_rows, _EARLY_STOP_ROWS)
    first = 0
    for batch in file.iter_batches(step, row_groups=[piece.row_group], columns=columns, use_threads=use_threads):
        begin, end = max(piece.start - first, 0), min(piece.stop - first, batch.num_rows)
        if begin < end:
            yield first + begin, pa.Table.from_batches([batch]).slice(begin, end - begin)
        first += batch.num_rows
        if first >= piece.stop:
            return
    _refuse_short(piece, first)


def _refuse_short(piece: Piece, rows: int) -> None:
    if rows < piece.stop:
        raise InputRefused(
            f"{piece.name} is damaged: row group {piece.row_group} has {rows:,} rows, and not the "
            f"{piece.rows_in_group:,} of its footer; write the file again"
        )


def _conformed(table: pa.Table, parts: Sequence[Part], symbol: str, wanted: Mapping[str, pa.DataType]) -> pa.Table:
    """Return the table with the columns of `wanted` in their types; the symbol column keeps the type that it has."""
    piece = parts[0].piece
    keys = dict(piece.keys)
    in_file = set(table.column_names)
    arrays = []
    for name, kind in wanted.items():
        if name in keys:
            arrays.append(_repeated(name, kind, parts))
        elif name in in_file:
            column = table.column(name)
            as_it_is = name == symbol or column.type.equals(kind)
            arrays.append(column if as_it_is else _cast(column, kind, name, piece.name))
        else:
            arrays.append(pa.nulls(table.num_rows, kind))
    return pa.table(arrays, names=list(wanted))


def _with_sound_codes(table: pa.Table, piece: Piece) -> pa.Table:
    """Return a table whose dictionaries can be combined with others: a narrow index may be too small for that.

    Codes beyond a dictionary are refused, as a damaged page may have: Arrow does not check them until they are used.
    """
    for number, field in enumerate(table.schema):
        if not pa.types.is_dictionary(field.type):
            continue
        column = table.column(number)
        for chunk in column.chunks:
            least, most = pc.min_max(chunk.indices).values()
            if least.is_valid and not 0 <= least.as_py() <= most.as_py() < len(chunk.dictionary):
                raise InputRefused(
                    f"{piece.name} can't be decoded (row group {piece.row_group}): column {field.name!r} has values "
                    "that its dictionary lacks"
                )
        kind = working_type(field.type)
        if kind != field.type:
            table = table.set_column(number, field.with_type(kind), column.cast(kind))
    return table


def _cast(column: pa.ChunkedArray, kind: pa.DataType, name: str, path: str) -> pa.ChunkedArray:
    if column.null_count == len(column):
        return pa.chunked_array([pa.nulls(len(column), kind)])
    try:
        if pa.types.is_timestamp(kind) and kind.tz is not None and pa.types.is_date(column.type):
            return pc.assume_timezone(column.cast(pa.timestamp(kind.unit)), kind.tz)
        return floats(column) if pa.types.is_decimal(column.type) and kind == pa.float64() else column.cast(kind)
    except pa.ArrowInvalid as error:
        raise InputRefused(
            f"column {name!r} is {column.type} in {path} but {kind} in the dataset, and does not fit: {error}; "
            "write the files with one type, or build them apart"
        ) from error


def _repeated(name: str, kind: pa.DataType, parts: Sequence[Part]) -> pa.Array:
    """Return a column of keys, one for the rows of each part."""
    keys = [dict(part.piece.keys)[name] for part in parts]
    values = [as_values(key, kind) for key in keys]
    for key, value, part in zip(keys, values, parts, strict=True):
        if value is None:
            raise InputRefused(
                f"column {name!r} is {kind} in the dataset, but {key!r} by the folders of {part.piece.name}; rename "
                "the folder, or build the files apart"
            )
    numbers = np.repeat(np.arange(len(parts), dtype=np.int32), [part.rows for part in parts])
    return pa.concat_arrays(values).take(from_numpy(numbers))


def chunks(
    pieces: Iterable[Piece],
    schema: DatasetSchema,
    symbols: pa.Array,
    columns: Sequence[str] | None = None,
    batch_rows: int = BATCH_ROWS,
    use_threads: bool = False,
    last_day: int | None = None,
) -> Iterator[Chunk]:
    """Yield the rows of `symbols` that have a date, each with the position of its symbol in `symbols`.

    `columns` (default all) must name the symbol and the date; the symbol column itself is left out, because `symbols`
    has its values. With `last_day`, rows after that day are left out, and row groups that have no others are not read.
    """
    symbol, date = schema.key_columns
    codes_of = SymbolCodes(symbols)
    if last_day is not None:
        pieces = (piece for piece in pieces if piece.first_day is None or piece.first_day <= last_day)
    for _, table in joined_tables(pieces, schema, columns, batch_rows, use_threads):
        codes = codes_of(table.column(symbol))
        days, known = session_days(table.column(date), schema.dates)
        keep = codes >= 0
        if known is not None:
            keep &= known
        if last_day is not None:
            keep &= days <= last_day
        columns_table = table.drop_columns([symbol])
        rows = np.flatnonzero(keep)
        if len(rows) == len(keep):
            yield Chunk(codes, days, columns_table)
        elif len(rows) and rows[-1] - rows[0] == len(rows) - 1:
            window = slice(int(rows[0]), int(rows[-1]) + 1)
            yield Chunk(codes[window], days[window], columns_table.slice(int(rows[0]), len(rows)))
        elif len(rows):
            yield Chunk(codes[rows], days[rows], columns_table.take(from_numpy(rows)))


def chunks_ahead(
    pieces: Sequence[Piece],
    schema: DatasetSchema,
    symbols: pa.Array,
    most_rows: int,
    threads: int,
    columns: Sequence[str] | None = None,
    last_day: int | None = None,
) -> Iterator[Chunk]:
    """Yield the same as `chunks`, with at most `most_rows` rows each, decoded by threads.

    Runs of row groups up to that size are decoded in parallel, a few ahead; a larger row group is decoded in batches,
    its columns in parallel.
    """

    def task(run: Sequence[Piece]) -> Callable[[], Iterable[Chunk]]:
        if run[0].rows_in_group > most_rows:
            return lambda: chunks(run, schema, symbols, columns, most_rows, use_threads=True, last_day=last_day)
        return lambda: list(chunks(run, schema, symbols, columns, last_day=last_day))

    for batch in in_order((task(pieces[begin:end]) for begin, end in runs(pieces, most_rows)), threads):
        yield from batch


def runs(pieces: Sequence[Piece], most_rows: int) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of runs of consecutive pieces whose row groups have at most `most_rows` rows in total."""
    begin, rows = 0, 0
    for end, piece in enumerate(pieces):
        if end > begin and rows + piece.rows_in_group > most_rows:
            yield begin, end
            begin, rows = end, 0
        rows += piece.rows_in_group
    if pieces:
        yield begin, len(pieces)
