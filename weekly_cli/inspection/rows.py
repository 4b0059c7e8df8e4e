"""Reads the rows once: the values of each column, and each symbol's days.

Threads decode row groups and count; what they return is folded in input order. Memory holds a few chunks of the
columns that are read, and a byte for each pair of a symbol and a day with rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import known as is_known
from weekly_cli.compute.arrays import to_numpy
from weekly_cli.compute.bars import Floats, Ints, crossed, unusable_values
from weekly_cli.dataset import source
from weekly_cli.dataset.dates import session_days
from weekly_cli.dataset.each import in_order
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import DatasetSchema, SymbolCodes, prices
from weekly_cli.inspection.facts import Values
from weekly_cli.names import KEY_ROLES, PRICE_ROLES

#: A chunk of the columns that are read takes about this much memory; there are two for each thread.
_CHUNK_BYTES = 64 * 2**20
#: Pairs of a symbol and a day, a byte each; 10,000 symbols over 40 years are 100 million.
_MOST_PAIRS = 2**28


@dataclass(frozen=True)
class RowFacts:
    """What was counted.

    Attributes
    ----------
    values : mapping of column name to Values
    unusable : mapping of column name to int
        Values that the column's role can't use.
    symbols_by_day : int64[days]
        On each day of the scan's calendar.
    first, last : int64[symbols]
        The position of each symbol's first and last day in the scan's calendar.
    repeated_by_symbol : int64[symbols] or None
        Rows that repeat a date of the symbol; None: not counted.
    """

    values: Mapping[str, Values]
    unusable: Mapping[str, int]
    unusable_rows: int
    high_below_low: int
    close_outside_range: int
    symbols_by_day: Ints
    first: Ints
    last: Ints
    repeated_by_symbol: Ints | None

    @property
    def repeated(self) -> int | None:
        """Rows that repeat a symbol's date; None: not counted."""
        return None if self.repeated_by_symbol is None else int(self.repeated_by_symbol.sum())


def count_rows(scan: Scan, price: str | None, skip: Sequence[str], threads: int) -> RowFacts:
    """Read the rows of a scanned input and count.

    Columns with a role and floats are read; `price` is the adjusted close, if there is one. Of others, and of those
    named by `skip`, only nulls are counted: from the footers where these know them.

    Raises
    ------
    InputRefused
        If a file can't be decoded.
    """
    footers = scan.footers
    names = _columns_to_read(footers, set(skip))
    batch_rows = int(np.clip(_CHUNK_BYTES / _row_bytes(footers, names), 64 * 1024, source.BATCH_ROWS))
    reading = _Reading(scan, names, _roles_of_numbers(footers.schema, names, price, skip), batch_rows)
    fold = _Fold(scan)
    runs = source.runs(footers.pieces, batch_rows)
    for counts in in_order((partial(_count, reading, *run) for run in runs), threads):
        for count in counts:
            fold.add(count)
    return fold.result()


@dataclass(frozen=True)
class _Reading:
    """What is read, and how: `roles_of` has the columns whose values are counted, each with its roles."""

    scan: Scan
    names: Sequence[str]
    roles_of: Mapping[str, Sequence[str]]
    batch_rows: int


def _roles_of_numbers(
    schema: DatasetSchema, names: Sequence[str], price: str | None, skip: Sequence[str]
) -> dict[str, list[str]]:
    roles = [(role, name) for role, name in schema.roles.items() if role not in KEY_ROLES]
    roles += [] if price is None else [(ADJUSTED_CLOSE, price)]
    found = {name: [role for role, of_role in roles if of_role == name] for name in names}
    return {
        name: of_name
        for name, of_name in found.items()
        if of_name or (pa.types.is_floating(schema.arrow.field(name).type) and name not in (*skip, *schema.key_columns))
    }


#: The role of an adjusted close, which has no name among the input's.
ADJUSTED_CLOSE = "adjusted close"


def _columns_to_read(footers: Footers, skip: set[str]) -> list[str]:
    schema = footers.schema
    keys = {name for piece in footers.pieces for name, _ in piece.keys}
    numbers = {column.name for column in schema.arrow if pa.types.is_floating(column.type)} - skip
    wanted = {*schema.roles.values(), *numbers, *(set(schema.arrow.names) - footers.null_counts.keys()), *keys}
    return [name for name in schema.arrow.names if name in wanted]


def _row_bytes(footers: Footers, names: Sequence[str]) -> float:
    return max(8.0, footers.row_bytes * len(names) / max(1, len(footers.schema.arrow)))


@dataclass(frozen=True)
class _Counted:
    """What a chunk has.

    `codes` and `days` are those of the rows with a symbol and a date; `rows` counts rows of these: without a usable
    close, with high < low, with the close outside of low to high.
    """

    codes: Ints
    days: Ints
    values: Mapping[str, Values]
    unusable: Mapping[str, int]
    rows: tuple[int, int, int]


def _count(reading: _Reading, begin: int, end: int) -> list[_Counted]:
    scan = reading.scan
    codes_of = SymbolCodes(scan.symbols)
    pieces, schema = scan.footers.pieces[begin:end], scan.footers.schema
    tables = source.tables(pieces, schema, reading.names, reading.batch_rows)
    return [_of_chunk(table, reading, codes_of) for _, _, table in tables]


@np.errstate(invalid="ignore")  # comparisons with NaN
def _of_chunk(table: pa.Table, reading: _Reading, codes_of: SymbolCodes) -> _Counted:
    schema = reading.scan.footers.schema
    symbol, date = schema.key_columns
    codes = codes_of(table.column(symbol))
    days, known = session_days(table.column(date), schema.dates)
    keep = codes >= 0 if known is None else known & (codes >= 0)
    values, unusable = {}, {}
    used: dict[str, Floats] = {}
    bad_close = np.zeros(table.num_rows, bool)
    for name in table.column_names:
        column, roles = table.column(name), reading.roles_of.get(name)
        if roles is None:
            values[name] = Values(nulls=_nulls(column))
            continue
        numbers = prices(column)
        bad = unusable_values(numbers, "volume" if roles == ["volume"] else "close")
        values[name] = _of_numbers(numbers, _nulls(column), bad is None)
        if roles:
            unusable[name] = 0 if bad is None else int(bad.sum())
        if bad is not None and {"close", ADJUSTED_CLOSE} & set(roles):
            bad_close |= bad
        for role in set(roles) & set(PRICE_ROLES):
            used[role] = numbers if bad is None else np.where(bad, np.nan, numbers)
    used.setdefault("close", np.full(table.num_rows, np.nan))  # an output of some columns may lack it
    outside, below = crossed(used)
    usable = keep & ~bad_close
    rows = (int((keep & bad_close).sum()), int((below & usable).sum()), int((outside & usable).sum()))
    codes, days = (codes, days) if keep.all() else (codes[keep], days[keep])
    return _Counted(codes.astype(np.int64), days.astype(np.int64), values, unusable, rows)


def _nulls(column: pa.ChunkedArray) -> int:
    if not pa.types.is_dictionary(column.type):
        return int(column.null_count)
    return sum(_dictionary_nulls(chunk) for chunk in column.chunks)


def _dictionary_nulls(chunk: pa.DictionaryArray) -> int:
    """Count nulls among the codes, and codes of a null in the dictionary."""
    if not chunk.dictionary.null_count:
        return int(chunk.null_count)
    codes = to_numpy(chunk.indices.cast(pa.int32()), -1)
    return int((~np.append(is_known(chunk.dictionary), False)[codes]).sum())


def _of_numbers(numbers: Floats, nulls: int, usable: bool) -> Values:
    """Count what is not a plain number; nearly always all are usable, and no volume is 0."""
    zero = 0 if numbers.min(initial=np.inf) > 0.0 else int((numbers == 0.0).sum())
    if usable:
        return Values(zero=zero)
    nan, infinite = int(np.isnan(numbers).sum()) - nulls, int(np.isinf(numbers).sum())
    return Values(nulls, nan, infinite, zero, int(((numbers < 0.0) & (numbers > -np.inf)).sum()))


class _Fold:
    """Combines the counts of the chunks, in input order."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        days = scan.calendar.days - scan.first_day
        n_days, n_symbols = len(days), len(scan.symbols)
        self._position = np.zeros(max(0, scan.last_day - scan.first_day + 1), np.int64)
        self._position[days] = np.arange(n_days)
        self._first = np.full(n_symbols, max(0, n_days - 1))
        self._last = np.zeros(n_symbols, np.int64)
        self._seen = np.zeros((n_days, n_symbols), np.uint8) if n_days * n_symbols <= _MOST_PAIRS else None
        self._values: dict[str, Values] = {}
        self._unusable: dict[str, int] = {}
        self._rows = np.zeros(3, np.int64)

    def add(self, counted: _Counted) -> None:
        days = self._position[counted.days - self._scan.first_day]
        np.minimum.at(self._first, counted.codes, days)
        np.maximum.at(self._last, counted.codes, days)
        if self._seen is not None:
            self._seen[days, counted.codes] = 1
        for name, values in counted.values.items():
            self._values[name] = self._values.get(name, Values()) + values
        for name, count in counted.unusable.items():
            self._unusable[name] = self._unusable.get(name, 0) + count
        self._rows += counted.rows

    def result(self) -> RowFacts:
        from_footers = {name: Values(nulls=nulls) for name, nulls in self._scan.footers.null_counts.items()}
        symbols_by_day, repeated = self._scan.calendar.rows, None
        if self._seen is not None:
            symbols_by_day = self._seen.sum(axis=1, dtype=np.int64)
            repeated = self._scan.rows_per_symbol - self._seen.sum(axis=0, dtype=np.int64)
        unusable_rows, high_below_low, close_outside_range = map(int, self._rows)
        return RowFacts(
            values={**from_footers, **self._values},
            unusable=self._unusable,
            unusable_rows=unusable_rows,
            high_below_low=high_below_low,
            close_outside_range=close_outside_range,
            symbols_by_day=symbols_by_day,
            first=self._first,
            last=self._last,
            repeated_by_symbol=repeated,
        )
