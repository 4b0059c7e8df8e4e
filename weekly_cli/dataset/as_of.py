"""Columns of other tables, joined as of each session: the newest row that was known before it.

A table has a row whenever something became known: fundamentals of a symbol, or a series for all symbols. The join is a
derivation of columns while rows are read, so whatever reads the input has them; a table is kept in memory in every
process that needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import Column, from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.as_of_table import JoinedRows, JoinedTable, codes_and_days, keys_of, rows_of, while_reading
from weekly_cli.dataset.dates import session_days
from weekly_cli.dataset.schema import (
    DatasetSchema,
    DateReading,
    Derived,
    is_text,
    plain_type,
    symbol_codes,
    working_type,
)
from weekly_cli.errors import UsageError
from weekly_cli.files.tables import TableFile, content_hash
from weekly_cli.names import ALIASES, did_you_mean, normal
from weekly_cli.settings import Config

AS_OF = "as of"
_KEY_DAYS = 2**32


def with_joins(schema: DatasetSchema, config: Config) -> DatasetSchema:
    """Return the schema with the columns of the tables that are joined.

    Raises
    ------
    UsageError
        If a table can't be read or used, or has a column of a name that is there already.
    """
    for spec in config.join:
        table, columns, note = _described(spec, schema, config)
        names = [*columns.names, table.age]
        taken = [name for name in names if name in schema.arrow.names or names.count(name) > 1]
        if taken:
            raise UsageError(
                f"{config.named('join')} {spec}: {config.where}, or what is joined to it, has a column {taken[0]!r} "
                "already; rename it in the table"
            )
        added = [*columns, pa.field(table.age, pa.int32())]
        how = {field.name: Derived(AS_OF, schema.key_columns, as_of=(table, field.name)) for field in added}
        arrow = pa.schema([*schema.arrow, *added])
        schema = replace(schema, arrow=arrow, derived={**schema.derived, **how}, notes=(*schema.notes, note))
    return schema


def expected_bytes(spec: str, config: Config) -> int:
    """Estimate what a table will take while it is read, by its footer alone.

    Raises
    ------
    UsageError
        If it can't be read.
    """
    file = TableFile(path_of(spec), config.named("join"))
    keys = {moment_of(spec), *(name for name in file.names if normal(name) in ALIASES["symbol"])}
    n_rows, size = file.expected_size([name for name in file.names if name not in keys])
    return while_reading(n_rows, size)


def hashes(config: Config) -> list[tuple[str, str]]:
    """Return the moment's column and the content's hash of each table that is joined, and the universe's.

    Raises
    ------
    UsageError
        If one can't be read.
    """
    joined = [(moment_of(spec), content_hash(path_of(spec), config.named("join"))) for spec in config.join]
    if config.universe is not None:
        joined.append(("universe", content_hash(config.universe, config.named("universe"))))
    return joined


def path_of(spec: str) -> str:
    """Return the path of what `--join` names.

    >>> path_of("C:/facts.parquet:known_at"), moment_of("C:/facts.parquet:known_at")
    ('C:/facts.parquet', 'known_at')
    """
    return spec.rpartition(":")[0]


def moment_of(spec: str) -> str:
    """Return the column of what `--join` names."""
    return spec.rpartition(":")[2]


def _described(spec: str, schema: DatasetSchema, config: Config) -> tuple[JoinedTable, pa.Schema, str]:
    """Return a table, its columns but for the keys, and a note about it."""
    named = f"{config.named('join')} {spec}"
    path, moment = path_of(spec), moment_of(spec)
    sha256 = content_hash(path, config.named("join"))
    of_file = TableFile(path, config.named("join"), lambda name: _may_be_symbol(name, schema)).schema
    if moment not in of_file.names:
        raise UsageError(
            f"{named}: {path} has no column {moment!r} that says when a row was known; it has "
            f"{', '.join(of_file.names)}{did_you_mean(moment, of_file.names)}"
        )
    repeated = next((name for name in of_file.names if of_file.names.count(name) > 1), None)
    if repeated is not None:
        raise UsageError(f"{named}: {path} has two columns {repeated!r}; rename one of them, or leave it out")
    kind = of_file.field(moment).type
    if not (pa.types.is_temporal(kind) or is_text(kind)):
        raise UsageError(f"{named}: column {moment!r} of {path} is {kind}; it takes dates, timestamps or ISO 8601 text")
    symbol = _symbol_of(of_file, schema)
    compared = working_type(plain_type(schema.symbol_type))
    table = JoinedTable(path, sha256, moment, symbol, compared, config.join_same_day, config.join_max_age).with_bytes()
    rows = rows_of(table)
    columns = pa.schema([field.remove_metadata() for field in rows.columns.schema])
    if not len(columns):
        raise UsageError(f"{named}: {path} has no column beside its keys; there is nothing to join")
    whose = f"by symbol ({len(rows.symbols):,} of them)" if rows.symbols is not None else "for all symbols"
    of_day = "order the rows of a day" if pa.types.is_timestamp(kind) else "do not count"
    as_of = f"the days of {moment}, whose times {of_day}" if rows.has_times else moment
    note = f"{path}: {len(columns):,} columns as of {as_of}, {whose}"
    return (
        table,
        columns,
        note + (f"; {rows.n_left_out:,} rows without a date or a symbol are left out" if rows.n_left_out else ""),
    )


def _symbol_of(columns: pa.Schema, schema: DatasetSchema) -> str:
    """Return the column of symbols: of the same name as the input's, else of a usual one."""
    own = schema.roles["symbol"]
    return own if own in columns.names else next((one for one in columns.names if _may_be_symbol(one, schema)), "")


def _may_be_symbol(name: str, schema: DatasetSchema) -> bool:
    return name == schema.roles["symbol"] or normal(name) in ALIASES["symbol"]


class AsOf:
    """The joined columns of some rows; each table is looked up once.

    Parameters
    ----------
    keys : (Column, Column)
        Their symbols and dates.
    reading : DateReading
        How the dates are read.
    """

    def __init__(self, keys: Sequence[Column], reading: DateReading) -> None:
        self._symbols, dates = keys
        days, self._has_date = session_days(dates, reading)
        self._days = days.astype(np.int64)
        self._found: dict[JoinedTable, tuple[JoinedRows, Ints, NDArray[np.bool_]]] = {}

    def column(self, table: JoinedTable, name: str) -> pa.Array | pa.ChunkedArray:
        """Return a column of a table, or the days since its row was known, null where there is no row."""
        if table not in self._found:
            rows = rows_of(table)
            self._found[table] = rows, *self._places(table, rows)
        rows, at, there = self._found[table]
        if name == table.age:
            ages = np.zeros(len(at), np.int32)
            ages[there] = self._days[there] - codes_and_days(rows.keys[at[there]])[1]
            return from_numpy(ages, known=there)
        return rows.columns.column(name).take(from_numpy(at, known=there))

    def _places(self, table: JoinedTable, rows: JoinedRows) -> tuple[Ints, NDArray[np.bool_]]:
        """Return the row that each session takes, and whether there is one."""
        codes = np.zeros(len(self._days), np.int64)
        if rows.symbols is not None:
            codes = symbol_codes(self._symbols, rows.symbols).astype(np.int64)
        newest = self._days if table.same_day else self._days - 1
        at = np.searchsorted(rows.keys, keys_of(codes, newest), "right") - 1
        there = (codes >= 0) & (at >= 0)
        if self._has_date is not None:
            there &= self._has_date
        found_codes, found_days = codes_and_days(rows.keys[at[there]])
        is_there = found_codes == codes[there]
        if table.most_days is not None:
            is_there &= self._days[there] - found_days <= table.most_days
        there[there] = is_there
        return np.where(there, at, 0), there


def tables_of(schema: DatasetSchema) -> Mapping[str, tuple[JoinedTable, str]]:
    """Return of each joined column the table and its name there."""
    return {name: how.as_of for name, how in schema.derived.items() if how.as_of is not None}
