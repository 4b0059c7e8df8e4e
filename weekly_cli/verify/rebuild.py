"""Builds a few symbols' rows in a separate folder: the tool's output for an input that was cut."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.features import VISIBLE_FROM, Feature
from weekly_cli.compute.labels import Label
from weekly_cli.dataset.dates import session_days
from weekly_cli.dataset.readings import as_plain_columns
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import AS_THEY_ARE, DatasetSchema, as_text, symbol_codes, working_type
from weekly_cli.files import output_file, parquet, records
from weekly_cli.names import PERIODS, written_name
from weekly_cli.run import pipeline
from weekly_cli.run.clocks import clocks_of_scan
from weekly_cli.run.comparisons import Comparisons, compare
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config
from weekly_cli.verify.proof import Refuted
from weekly_cli.verify.rows import Rows, Sides

_SECTORS = "sectors.parquet"


@dataclass(frozen=True)
class SampledSymbols:
    """Some symbols of the input with everything from which their weekly columns are computed.

    Attributes
    ----------
    codes : int64[sampled symbols]
        Their positions among the scan's symbols.
    rows : Rows
        Their rows and those of the symbols that they are compared with, in input order.
    comparisons : Comparisons
        The benchmarks with which each of `codes` is compared.
    features : tuple of Feature
        The features that the table has.
    labels : tuple of Label
        The labels that it has.
    wanted : Wanted
        With what a week is to each symbol of the complete input.
    sectors : pa.Table or None
        The sector map that columns of the complete input tell.
    """

    config: Config
    scan: Scan
    codes: Ints
    rows: Rows
    comparisons: Comparisons
    features: tuple[Feature, ...]
    labels: tuple[Label, ...]
    wanted: Wanted
    sectors: pa.Table | None = None

    @cached_property
    def clocks(self) -> tuple[SymbolClocks, ...]:
        """The clocks of all symbols of the scan, the week's first."""
        every = np.arange(len(self.scan.symbols))
        return clocks_of_scan(self.config, self.wanted, self.scan, every).every

    @property
    def anchors(self) -> dict[str, str] | None:
        """The last day of each symbol's week, where its sessions tell it."""
        anchors = self.wanted.anchors
        return None if anchors is None else dict(zip(map(as_text, self.scan.symbols), anchors, strict=True))

    @property
    def peers(self) -> Ints:
        """The symbols that others are compared with."""
        return np.array(self.comparisons.symbols, np.int64)

    def rebuilt(self, keep: NDArray[np.bool_] | None = None, last_day: int | None = None) -> Rows:
        """Return the computed columns of a build of some rows, always including those that count bars.

        The data are taken to reach to `last_day`, by default as far as those of the complete input.

        Raises
        ------
        Refuted
            If a symbol fails.
        """
        rows = self.rows if keep is None else self.rows.where(keep)
        schema = self.scan.footers.schema
        symbols = self.scan.symbols
        symbol_column = symbols.cast(working_type(symbols.type)).take(from_numpy(rows.codes))
        table = rows.table.append_column(schema.roles["symbol"], symbol_column)
        with records.scratch() as folder:
            with output_file.ParquetOutput(folder / "input.parquet", table.schema) as written:
                written.write(table)
                written.close(durable=False)
            if self.sectors is not None:
                with output_file.ParquetOutput(folder / _SECTORS, self.sectors.schema) as written:
                    written.write(self.sectors)
                    written.close(durable=False)
            settings = self._settings(folder, np.intersect1d(self.codes, rows.codes))
            last_day = self.scan.last_day if last_day is None else last_day
            report = pipeline.run(settings, last_day=last_day, anchors=self.anchors)
            built = parquet.open_own(report.output).read()
        if report.rejected:
            symbol, reason = report.rejected[0]
            raise Refuted(f"{symbol} can't be built again: {reason}")
        codes = symbol_codes(built.column(schema.roles["symbol"]), symbols).astype(np.int64)
        dates = built.column(day_column(self.config, schema))
        days = session_days(dates, AS_THEY_ARE if self.config.rows == "weekly" else schema.dates)[0].astype(np.int64)
        names = [*self._counted, *self._names, *(label.name for label in self.labels)]
        return Rows(codes, days, features_by_name(built, names, self.config))

    @property
    def _every(self) -> tuple[str, ...]:
        """The clocks of a build of the sample: the week too, whether or not the table has columns of it."""
        return tuple(every for every in PERIODS if every == "week" or every in self.config.every)

    @property
    def _counted(self) -> list[str]:
        """Columns that the warm-up check needs to count bars, whether or not the table has them."""
        return [name for every in self._every for name in counted(every)]

    @property
    def _names(self) -> list[str]:
        return [feature.name for feature in self.features]

    def _settings(self, folder: Path, codes: Ints) -> Config:
        config = as_plain_columns(self.config, self.scan.footers.schema, self.scan.footers.schema.roles)
        return replace(
            config,
            input=(str(folder / "input.parquet"),),
            wide="no",
            sector_map=self.config.sector_map if self.sectors is None else str(folder / _SECTORS),
            columns_out=(),
            order="symbol",
            output=str(folder / "output.parquet"),
            symbols=tuple(as_text(self.scan.symbols[int(code)]) for code in codes),
            max_symbols=None,
            features=",".join([*self._counted, *self._names]),
            every=self._every,
            cross_section=(),
            universe=None,
            strategy="direct",
            compression="none",
            allow_empty=True,
        )


def counted(every: str) -> tuple[str, str]:
    """Return the columns of a clock's bars that name a bar and say how many there are up to it."""
    period = PERIODS[every]
    return f"{period.prefix}{period.end}", f"{period.prefix}bars"


def features_by_name(table: pa.Table, features: Iterable[str], config: Config) -> pa.Table:
    """Return the features that a table has, under their own names, whatever its prefix is."""
    names = {written_name(name, config.prefix): name for name in features}
    there = {name: own for name, own in names.items() if name in table.column_names}
    return table.select(list(there)).rename_columns(list(there.values()))


def day_column(config: Config, schema: DatasetSchema) -> str:
    """Return the column of a table that says from which day on a row holds."""
    return VISIBLE_FROM.name if config.rows == "weekly" else schema.roles["date"]


def needed_columns(scan: Scan, config: Config) -> list[str]:
    """Return the columns from which weekly columns are computed, without the symbol column."""
    schema = scan.footers.schema
    names = [name for role, name in schema.roles.items() if role != "symbol"]
    return list(dict.fromkeys([*names, *([config.price] if config.price else [])]))


def chosen(sides: Sides, most: int, seed: int) -> Ints:
    """Return the codes of at most `most` symbols, drawn at random."""
    drawn = np.random.default_rng(seed).choice(sides.selected, min(most, len(sides.selected)), replace=False)
    return np.sort(drawn).astype(np.int64)


def compared(sides: Sides, codes: Ints) -> Comparisons:
    """Return the symbols with which symbols are compared."""
    return compare(sides.config, sides.wanted, sides.scan.symbols, codes, sides.config.where)
