"""A finished output, opened: its metadata, and rows of some symbols and dates from just the row groups with them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from weekly_cli.compute.arrays import empty_table, from_numpy, positions, text_array
from weekly_cli.compute.features import Catalogue, catalogue, placed_column
from weekly_cli.dataset.dates import day_of, number_unit, session_days
from weekly_cli.dataset.roles import find_roles
from weekly_cli.dataset.schema import DateReading, gatherable, is_text, plain_symbols
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.files import discovery, parquet
from weekly_cli.files.locations import Location
from weekly_cli.names import KEY_ROLES, did_you_mean, written_name
from weekly_cli.run.manifest import read_record, recorded_settings
from weekly_cli.run.plugins import own_features, plugins_of, runnable
from weekly_cli.settings import Config, from_python, resolve

_MOST_SUGGESTED = 5_000


@dataclass(frozen=True)
class Built:
    """An output of `build`.

    Attributes
    ----------
    name : str
        Its path as it was given.
    files : sequence of Location
        Its parts, in the order of their rows.
    record : mapping
        How it was built: `run.manifest.conventions`.
    schema : pa.Schema
    roles : mapping of role to column name
    plugins : sequence of str
        Those that may run to compute its columns.
    """

    name: str
    files: Sequence[Location]
    record: Mapping[str, Any]
    schema: pa.Schema
    roles: Mapping[str, str]
    plugins: Sequence[str] = ()

    @property
    def features(self) -> Sequence[str]:
        """The features that it has, by their own names: its columns may have another prefix."""
        return list(self.record["features"])

    @property
    def of_plugins(self) -> Sequence[str]:
        """The names of its weekly columns that only a plugin can compute, other than those it was opened with."""
        known = self.catalogue.steps
        return [name for name in self.features if name not in known]

    def column_of(self, feature: str) -> str:
        """Return the name of a feature's column."""
        return written_name(feature, self.config.prefix)

    def with_own_names(self, table: pa.Table) -> pa.Table:
        """Return some of its columns, the features by their own names."""
        own = {self.column_of(name): name for name in self.features}
        return table.rename_columns([own.get(name, name) for name in table.column_names])

    @cached_property
    def config(self) -> Config:
        """The settings with which it was built; its input's paths are absolute."""
        return resolve(from_python({**recorded_settings(self.record), "plugin": self.plugins}))

    @property
    def catalogue(self) -> Catalogue:
        """Every column that a build with its settings may have."""
        config = self.config
        own = own_features(plugins_of(config))
        columns = catalogue(
            self.record["benchmarks"], config.windows, own, config.every, with_developing=config.developing
        )
        return columns.with_cross([text for text in config.cross_section if placed_column(text) in columns.steps])

    @cached_property
    def _footers(self) -> list[pq.FileMetaData]:
        return [parquet.open_parquet(path).metadata for path in self.files]

    @cached_property
    def dates(self) -> DateReading:
        """How its dates are read where their type does not tell; the unit of numbers as the build found it."""
        config, kind = self.config, self.schema.field(self.roles["date"]).type
        reading = DateReading(format=config.date_format if is_text(kind) else None, timezone=config.timezone)
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            return reading
        return replace(reading, unit=self._unit() if config.date_unit == "auto" else config.date_unit)

    def _unit(self) -> str | None:
        name = self.roles["date"]
        for path in self.files:
            extremes = pc.min_max(parquet.open_parquet(path).read([name]).column(name)).as_py()
            if extremes["min"] is not None:
                return number_unit(extremes["min"], extremes["max"])
        return None

    @property
    def n_rows(self) -> int:
        """The number of its rows."""
        return sum(footer.num_rows for footer in self._footers)

    @cached_property
    def symbols(self) -> Sequence[str]:
        """Its symbols as text, in order."""
        name = self.roles["symbol"]
        found: dict[str, None] = {}
        for path in self.files:
            column = parquet.open_parquet(path, dictionaries=[name]).read([name]).column(name)
            for chunk in column.chunks:
                found.update(dict.fromkeys(map(str, plain_symbols(chunk.unique()).to_pylist())))
        if self.config.order == "symbol":
            return list(found)
        return sorted(found, key=str if is_text(self.schema.field(name).type) else int)

    def rows(
        self,
        symbols: Sequence[str] | None = None,
        start: datetime.date | None = None,
        end: datetime.date | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """Return rows in the order of the output.

        Parameters
        ----------
        symbols : sequence of str, optional
            Only these, as text.
        start, end : datetime.date, optional
            Only sessions from `start` to `end`, both included.
        columns : sequence of str, optional
            Only these columns, in this order.

        Raises
        ------
        UsageError
            If the output has no such column or symbol.
        """
        self._check_columns(columns or ())
        names = list(self.schema.names if columns is None else columns)
        keys = {"symbol": symbols is not None, "date": start is not None or end is not None}
        read = list(dict.fromkeys([*names, *(self.roles[role] for role, is_needed in keys.items() if is_needed)]))
        found: set[str] = set()
        tables = []
        for path, footer in zip(self.files, self._footers, strict=True):
            groups = self._groups(footer, symbols)
            if not groups:
                continue
            table = parquet.open_parquet(path).read_row_groups(groups, read)
            if any(keys.values()):
                table = gatherable(table)
            if symbols is not None:
                table, texts = self._only(table, symbols)
                found.update(texts.unique().to_pylist())
            if keys["date"]:
                days = session_days(table.column(self.roles["date"]), self.dates)[0]
                table = table.take(positions(_between(days, start, end)))
            tables.append(table.select(names))
        self.refuse_missing(symbols or (), found)
        empty = empty_table(pa.schema([self.schema.field(name) for name in names]))
        return pa.concat_tables(tables) if tables else empty

    def row_groups(self, columns: Sequence[str], symbols: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows of one row group after the other; with `symbols`, which the columns must have, of those only.

        Symbols that are text come as a dictionary.
        """
        for read in self.readers(symbols):
            table = read(list(columns))
            yield table if symbols is None else self._only(gatherable(table), symbols)[0]

    def readers(self, symbols: Sequence[str] | None = None) -> Iterator[Callable[[Sequence[str]], pa.Table]]:
        """Yield what reads some columns of a row group, for each one that may have rows of the symbols."""
        symbol = self.roles["symbol"]
        encoded = [symbol] if is_text(self.schema.field(symbol).type) else []
        for path, footer in zip(self.files, self._footers, strict=True):
            file = parquet.open_parquet(path, dictionaries=encoded)
            for group in self._groups(footer, symbols):
                yield partial(file.read_row_group, group)

    def refuse_missing(self, symbols: Sequence[str], known: Collection[str]) -> None:
        """Refuse symbols that the output lacks.

        Raises
        ------
        UsageError
        """
        missing = next((symbol for symbol in symbols if symbol not in known), None)
        if missing is not None:
            hint = did_you_mean(missing, self.symbols) if len(self.symbols) <= _MOST_SUGGESTED else ""
            raise UsageError(f"{self.name} has no symbol {missing}{hint}")

    def _only(self, table: pa.Table, symbols: Sequence[str]) -> tuple[pa.Table, pa.Array]:
        """Return the rows of some symbols, and the symbol of each row before."""
        texts = plain_symbols(table.column(self.roles["symbol"]).combine_chunks()).cast(pa.string())
        return table.filter(pc.is_in(texts, text_array(list(symbols)))), texts

    def last_rows(self, n_rows: int, columns: Sequence[str]) -> pa.Table:
        """Return the last rows of one symbol, of those in the last row group the one with the most rows there."""
        name = self.roles["symbol"]
        for path in reversed(self.files):
            file = parquet.open_parquet(path)
            if file.num_row_groups:
                table = gatherable(file.read_row_group(file.num_row_groups - 1, list(dict.fromkeys([*columns, name]))))
                symbols = plain_symbols(table.column(name).combine_chunks())
                counts = symbols.value_counts()
                most = counts.field("values")[int(np.argmax(counts.field("counts")))]
                return table.filter(pc.equal(symbols, most))[-n_rows:].select(columns)
        return pa.schema([self.schema.field(column) for column in columns]).empty_table()

    def _check_columns(self, columns: Sequence[str]) -> None:
        for name in columns:
            if name not in self.schema.names:
                raise UsageError(f"{self.name} has no column {name}{did_you_mean(name, self.schema.names)}")

    def _groups(self, footer: pq.FileMetaData, symbols: Sequence[str] | None) -> list[int]:
        """Return the row groups that may have rows of the symbols."""
        every = range(footer.num_row_groups)
        if symbols is None or not is_text(self.schema.field(self.roles["symbol"]).type):
            return list(every)
        column = footer.schema.names.index(self.roles["symbol"])
        statistics = [footer.row_group(group).column(column).statistics for group in every]
        return [group for group, known in zip(every, statistics, strict=True) if _may_have(known, symbols)]


def history_of(built: Built, symbol: str, columns: Sequence[str]) -> pa.Table:
    """Return the rows of one symbol with these columns, the date among them, in the order of dates.

    Raises
    ------
    UsageError
        If the output has no such column or symbol.
    """
    rows = built.rows([symbol], columns=columns)
    if built.config.order == "symbol":
        return rows
    days = session_days(rows.column(built.roles["date"]), built.dates)[0]
    return rows.take(from_numpy(np.argsort(days, kind="stable")))


def _between(days: NDArray[np.int32], start: datetime.date | None, end: datetime.date | None) -> NDArray[np.bool_]:
    """Tell which days are from `start` to `end`, both included."""
    inside = np.ones(len(days), bool)
    if start is not None:
        inside &= days >= day_of(start)
    if end is not None:
        inside &= days <= day_of(end)
    return inside


def _may_have(statistics: Any, symbols: Sequence[str]) -> bool:
    if statistics is None or not statistics.has_min_max:
        return True
    return any(statistics.min <= symbol <= statistics.max for symbol in symbols)


def open_output(output: str | Location, plugins: Sequence[str] | None = None) -> Built:
    """Open an output of `build`.

    Parameters
    ----------
    output : str or Location
    plugins : sequence of str, optional
        What may run to compute its columns; if empty, those of its plugins that are installed. None: no code runs.

    Raises
    ------
    InputRefused
        If there is none, or its parts do not say how they were built.
    """
    files = [path for path, _ in discovery.find_inputs([str(output)], None).files]
    record, trouble = read_record(files)
    if record is None:
        raise InputRefused(trouble or f"{output} is no output of weekly-cli build; give what build has written with -o")
    schema = parquet.open_parquet(files[0]).schema_arrow
    roles = find_roles(schema, record.get("roles", {}), str(output), required=KEY_ROLES)
    running = () if plugins is None else runnable(record, plugins)
    return Built(str(output), files, record, schema, roles, running)
