"""Recognizes wide tables, which have a column a ticker, and makes long ones of them, with a row a ticker and day.

Few columns are read at a time, for all rows: the long table is then clustered by ticker, so that a build of it needs no
partition, and memory depends on neither the number of tickers nor the number of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute import arrays
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset import wide_names
from weekly_cli.dataset.dates import session_days
from weekly_cli.dataset.roles import symbol_of_file
from weekly_cli.dataset.schema import DateReading, index_columns, is_text, prices, working_type
from weekly_cli.dataset.unify import common_type
from weekly_cli.errors import InputRefused
from weekly_cli.files import disk, output_file, parquet
from weekly_cli.files.discovery import HiveKeys
from weekly_cli.files.locations import Location
from weekly_cli.names import FIELDS, names_of, normal
from weekly_cli.settings import Config

SYMBOL, CLOSE, DATE = "symbol", "close", "date"
#: Values that are made long at a time.
_BATCH_VALUES = 1024 * 1024
#: So many columns that are all named by dates are no accident.
_LEAST_DATES = 5
_NEVER, _ALWAYS = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@dataclass(frozen=True)
class WideTable:
    """What the columns of a wide table are.

    Attributes
    ----------
    date, date_name : str
        The date column, and its name in the long table.
    fields : tuple of str
        The fields in the order of their first columns.
    tickers : mapping of ticker to mapping of field to column name
    left_out : tuple of str
        Columns that are neither date nor numbers.
    """

    date: str
    date_name: str
    fields: tuple[str, ...]
    tickers: Mapping[str, Mapping[str, str]]
    left_out: tuple[str, ...] = ()

    @property
    def what(self) -> str:
        """Its kind in words."""
        if self.fields == (CLOSE,):
            return "a wide table of closes"
        return f"a wide table of {', '.join(self.fields)}"


# ---- recognition -----------------------------------------------------------------------------------------


def recognize(path: Location, schema: pa.Schema, config: Config, keys: HiveKeys = ()) -> WideTable | None:
    """Return what a file's columns are if it is a wide table, None if it is not.

    Raises
    ------
    InputRefused
        If it could be one, or something else; or is none, but `--wide closes` says so.
    """
    forced = config.wide == "closes"
    by_hand = {name for role, name in config.columns if role != DATE and name in schema.names}
    has_symbol = config.symbol is not None or any(normal(key) in names_of(SYMBOL) for key, _ in keys)
    if config.wide == "no" or ((by_hand or has_symbol) and not forced):
        return None
    dates = _date_columns(schema, config)
    if not dates:
        _refuse_dates_as_columns(path, schema)
    indexes = [column.name for column in schema if column.name not in dates and wide_names.is_index(column.name)]
    others = [column for column in schema if column.name not in (*dates, *indexes)]
    numbers = [column.name for column in others if _is_number(column.type)]
    left_out = [column.name for column in others if not _is_number(column.type)]
    if forced and not numbers:
        raise InputRefused(f"{path} has no columns of numbers, so it is no wide table; pass --wide no")
    if not forced and not (dates and _reads_as_wide(path, schema, numbers, left_out)):
        return None
    if len(dates) != 1:
        raise InputRefused(
            f"{path} is a wide table with {'more than one date' if dates else 'no date'} among its columns"
            f"{': ' + ', '.join(dates) if dates else ''}; name it with --columns date=NAME"
        )
    return _wide(dates[0], numbers, [*left_out, *indexes])


def _wide(date: str, numbers: Sequence[str], left_out: Sequence[str]) -> WideTable:
    columns = wide_names.fields_and_tickers(numbers)
    if columns is None:
        columns = [wide_names.Column(name, wide_names.plain_name(name), CLOSE) for name in numbers]
    name = wide_names.plain_name(date)
    return WideTable(
        date=date,
        date_name=DATE if wide_names.is_index(name) else name,
        fields=tuple(dict.fromkeys(column.field for column in columns)),
        tickers=wide_names.by_ticker(columns),
        left_out=tuple(left_out),
    )


def _date_columns(schema: pa.Schema, config: Config) -> list[str]:
    """Return the columns that may have the dates: those by type, else by name, else an index that is text."""
    given = config.role_columns.get(DATE)
    if given is not None:
        return [given] if given in schema.names else []
    by_type = [column.name for column in schema if pa.types.is_date(column.type) or pa.types.is_timestamp(column.type)]
    readable = [column for column in schema if is_text(column.type) or pa.types.is_integer(column.type)]
    by_name = [column.name for column in readable if _names_a_date(column)]
    index = [column.name for column in readable if is_text(column.type) and column.name in index_columns(schema)]
    return by_type or by_name or index


def _names_a_date(column: pa.Field) -> bool:
    """Tell whether a column has a date's name, or is an index of text that came without a name."""
    name = wide_names.plain_name(column.name)
    return normal(name) in names_of(DATE) or (wide_names.is_index(name) and is_text(column.type))


def _refuse_dates_as_columns(path: Location, schema: pa.Schema) -> None:
    """Refuse a wide table that lies on its side: a row a ticker, a column a date."""
    names = [column.name for column in schema if _is_number(column.type)]
    if len(names) >= _LEAST_DATES and all(map(wide_names.is_date, names)):
        raise InputRefused(
            f"{path} has a column a date ({names[0]}, …); write it with a column a ticker and a row a date, as "
            "DataFrame.T of pandas turns it"
        )


def _is_number(kind: pa.DataType) -> bool:
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    return bool(number or pa.types.is_null(kind))


def _reads_as_wide(path: Location, schema: pa.Schema, numbers: Sequence[str], left_out: Sequence[str]) -> bool:
    if not numbers or any(normal(name) in names_of(SYMBOL) for name in left_out):
        return False
    tickers = wide_names.fields_and_tickers(numbers) is not None or wide_names.are_tickers(numbers)
    if tickers is None and numbers == [path.stem]:
        return False  # both readings give the same symbol
    if tickers is None:
        first = next((name for name in numbers if not wide_names.is_role(name)), numbers[0])
        raise InputRefused(
            f"{path} could be a wide table with a ticker {first!r} or one symbol's prices: its columns of numbers are "
            f"{', '.join(numbers)}; pass --wide closes for the one, --wide no --columns close=NAME for the other"
        )
    if tickers and left_out:
        raise InputRefused(
            f"{path} looks like a wide table with {len(numbers):,} tickers, but for column {left_out[0]!r}, which is "
            f"{schema.field(left_out[0]).type}; pass --wide closes to leave out what is no number, or name the roles "
            "with --columns"
        )
    return bool(tickers)


def refuse_fields_apart(tables: Mapping[Location, WideTable], config: Config) -> None:
    """Refuse wide tables that have volumes by their file's name, or each another field of the same tickers.

    Raises
    ------
    InputRefused
    """
    closes = [path for path, table in tables.items() if table.fields == (CLOSE,)]
    fields = {path: normal(symbol_of_file(str(path))) for path in closes}
    fields = {path: field for path, field in fields.items() if field in FIELDS}
    others = [path for path, field in fields.items() if not wide_names.is_close(field)]
    if others and config.wide == "closes" and len(closes) == 1:
        return
    if others or len(set(fields.values())) > 1:
        path = (others or list(fields))[-1]
        raise InputRefused(
            f"{path} is a wide table, and by its name one of {fields[path]!r}, beside closes in another file or none; "
            "write one table with columns of field and ticker, as pandas.concat({'Close': closes, 'Volume': volumes}, "
            "axis=1) makes it"
        )


# ---- spans -----------------------------------------------------------------------------------------------


class Spans:
    """The first and the last day of each ticker that has a value, over all files."""

    def __init__(self) -> None:
        self._spans: dict[str, tuple[int, int]] = {}

    def add(self, tickers: Sequence[str], first: Ints, last: Ints) -> None:
        """Add tickers' first and last days in a file; the first is after the last where there is none."""
        for ticker, begin, end in zip(tickers, first.tolist(), last.tolist(), strict=True):
            known = self._spans.get(ticker, (_NEVER, _ALWAYS))
            self._spans[ticker] = min(known[0], begin), max(known[1], end)

    def of(self, tickers: Sequence[str]) -> tuple[Ints, Ints]:
        """Return the first and the last day of some tickers, int64[tickers, 1] each."""
        spans = np.array([self._spans[ticker] for ticker in tickers], np.int64).reshape(-1, 2)
        return spans[:, :1], spans[:, 1:]

    @property
    def tickers(self) -> list[str]:
        """All tickers."""
        return list(self._spans)

    @property
    def without_value(self) -> list[str]:
        """The tickers without any value."""
        return [ticker for ticker, (first, last) in self._spans.items() if first > last]


# ---- the long table --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WideFile:
    """A wide table in a Parquet file; `origin` is the user's file, for messages."""

    origin: Location
    path: Location
    table: WideTable
    reading: DateReading

    @property
    def values(self) -> int:
        """The number of its rows times that of its tickers."""
        rows: int = parquet.open_parquet(self.path).metadata.num_rows
        return rows * len(self.table.tickers)

    def measure(self, spans: Spans, on_values: Callable[[int], None]) -> None:
        """Add the tickers' spans in this file."""
        for batch in self._batches(on_values):
            first = np.where(batch.present, batch.days, _NEVER).min(axis=1, initial=_NEVER)
            last = np.where(batch.present, batch.days, _ALWAYS).max(axis=1, initial=_ALWAYS)
            spans.add(batch.tickers, first, last)

    def melt(self, spans: Spans, target: Location, on_values: Callable[[int], None]) -> int:
        """Write the long table, a row group for each batch of tickers, and return its number of rows.

        A row is left out if it is before the ticker's first value in any file, or after its last one.
        """
        kinds = self._kinds()
        dates = self._read([self.table.date]).column(0)
        dates = dates.cast(working_type(dates.type)).combine_chunks()  # Arrow can't gather a view
        schema = pa.schema(
            [(SYMBOL, pa.string()), (self.table.date_name, dates.type), *((name, kinds[name]) for name in kinds)]
        )
        dictionaries = [SYMBOL, self.table.date_name]
        with output_file.ParquetOutput(target, schema, use_dictionary=dictionaries, compression="lz4") as long:
            for batch in self._batches(on_values):
                first, last = spans.of(batch.tickers)
                inside = (batch.days >= first) & (batch.days <= last)
                if not batch.known.all():
                    inside = np.where(batch.known, inside, batch.present)
                table = batch.long(inside, dates, schema)
                if table.num_rows:
                    long.write(table)
            long.close(durable=False)
            return long.rows

    def _kinds(self) -> dict[str, pa.DataType]:
        """Return the type of each field, which has every value of all tickers."""
        schema = parquet.open_parquet(self.path).schema_arrow
        kinds = {}
        for name in self.table.fields:
            columns = [columns[name] for columns in self.table.tickers.values() if name in columns]
            types = list(dict.fromkeys(schema.field(column).type for column in columns))
            kinds[name] = reduce(_one_type, types)
        return {name: pa.float64() if pa.types.is_null(kind) else kind for name, kind in kinds.items()}

    def _batches(self, on_values: Callable[[int], None]) -> Iterator[_Batch]:
        """Yield all tickers, few at a time."""
        days, known = _as_numbers(self._read([self.table.date]).column(0), self.reading)
        tickers = list(self.table.tickers)
        step = max(1, _BATCH_VALUES // max(1, len(days)) // len(self.table.fields))
        for begin in range(0, len(tickers), step):
            some = tickers[begin : begin + step]
            columns = {ticker: self.table.tickers[ticker] for ticker in some}
            table = self._read([name for fields in columns.values() for name in fields.values()])
            yield _Batch(self, some, days, known, table)
            on_values(len(days) * len(some))

    def _read(self, names: Sequence[str]) -> pa.Table:
        try:
            file = parquet.open_parquet(self.path, verify=True)
            return file.read(columns=list(names), use_threads=True).select(list(names))
        except (OSError, pa.ArrowException) as error:
            raise InputRefused(f"{self.origin} can't be decoded: {disk.first_line(error)}") from error


def _as_numbers(dates: pa.ChunkedArray, reading: DateReading) -> tuple[Ints, NDArray[np.bool_]]:
    if pa.types.is_integer(dates.type):  # in whatever unit, they ascend as the dates do
        return arrays.to_numpy(dates.cast(pa.int64()), 0), arrays.known(dates)
    days, known = session_days(dates, reading)
    return days.astype(np.int64), np.ones(len(days), bool) if known is None else known


def _one_type(a: pa.DataType, b: pa.DataType) -> pa.DataType:
    """Return a type that has the numbers of both; whether they fit is seen when they are converted."""
    return common_type(a, b) or pa.float64()


class _Batch:
    """All rows of some tickers.

    Attributes
    ----------
    days, known : int64[rows], bool[rows]
        The dates as numbers that ascend with them, and whether a row has one.
    present : bool[tickers, rows]
        Where a ticker has a value in any field. A volume of zero, with which days before a listing may be filled, is
        none.
    """

    def __init__(
        self, file: WideFile, tickers: Sequence[str], days: Ints, known: NDArray[np.bool_], table: pa.Table
    ) -> None:
        self.tickers, self.days, self.known = tickers, days, known
        self._file, self._table = file, table
        self.present = np.zeros((len(tickers), len(days)), bool)
        for place, ticker in enumerate(tickers):
            for field, name in file.table.tickers[ticker].items():
                self.present[place] |= _has_value(table.column(name), zero_counts=normal(field) != "volume")

    def long(self, inside: NDArray[np.bool_], dates: pa.Array, schema: pa.Schema) -> pa.Table:
        """Return the rows that are `inside`, bool[tickers, rows], ticker by ticker."""
        places, rows = np.nonzero(inside)
        symbols = pa.DictionaryArray.from_arrays(
            arrays.from_numpy(places.astype(np.int32)), arrays.text_array(list(self.tickers))
        )
        columns = [symbols.cast(pa.string()), dates.take(arrays.from_numpy(rows))]
        keep = arrays.positions(inside.ravel())
        columns += [self._values(column.name, column.type).take(keep) for column in list(schema)[2:]]
        return pa.table(columns, schema=schema)

    def _values(self, field: str, kind: pa.DataType) -> pa.Array:
        """Return a field of all tickers, one after the other."""
        chunks: list[pa.Array] = []
        for ticker in self.tickers:
            name = self._file.table.tickers[ticker].get(field)
            if name is None:
                chunks.append(pa.nulls(len(self.days), kind))
                continue
            column = self._table.column(name)
            try:
                chunks += _cast(column, kind).chunks
            except pa.ArrowInvalid as error:
                raise InputRefused(
                    f"{self._file.origin}: column {name!r} is {column.type}, others are {kind}, in which it does not "
                    f"fit: {disk.first_line(error)}; write all with one type"
                ) from error
        return pa.concat_arrays(chunks)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return numbers in another type; Arrow's own way from a decimal to a float is off by a bit at times."""
    if pa.types.is_decimal(column.type) and pa.types.is_floating(kind):
        column = column.cast(pa.string())
    return column.cast(kind)


def _has_value(column: pa.ChunkedArray, *, zero_counts: bool) -> NDArray[np.bool_]:
    """Tell where a column of numbers has one: bool[rows]."""
    values = prices(column)
    present: NDArray[np.bool_] = ~np.isnan(values)
    return present if zero_counts else present & (values != 0)
