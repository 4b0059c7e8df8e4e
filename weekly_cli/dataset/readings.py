"""How key columns are read where their types do not tell: numbers and text as dates, old symbols as new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import known, to_numpy
from weekly_cli.dataset.dates import number_unit, session_days
from weekly_cli.dataset.schema import DatasetSchema, DateReading, Derived, is_text
from weekly_cli.dataset.source import Piece, tables
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.files.tables import read_table_file
from weekly_cli.names import DATE_UNITS
from weekly_cli.settings import Config

_UNIT_WORDS = dict(
    zip(DATE_UNITS, ("YYYYMMDD", "days", "seconds", "milliseconds", "microseconds", "nanoseconds"), strict=True)
)


def with_dates(
    schema: DatasetSchema, config: Config, pieces: Sequence[Piece], integer_ranges: Mapping[str, tuple[int, int]]
) -> DatasetSchema:
    """Return the schema with how its dates are read; the unit of numbers follows from their extremes.

    Raises
    ------
    InputRefused
        If numbers are neither dates nor an epoch.
    """
    name = schema.roles["date"]
    kind = schema.arrow.field(name).type
    reading = DateReading(format=config.date_format if is_text(kind) else None, timezone=config.timezone)
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return replace(schema, dates=reading)
    unit = config.date_unit
    if unit == "auto":
        extremes = integer_ranges.get(name) or _extremes(schema, pieces)
        unit = unit_by_extremes(f"column {name!r} of {config.where} is {kind}", extremes)
    words = _UNIT_WORDS[unit] if unit == "yyyymmdd" else f"{_UNIT_WORDS[unit]} since 1970"
    return replace(schema, dates=replace(reading, unit=unit), notes=(*schema.notes, f"date: {name}, {words}"))


def unit_by_extremes(named: str, extremes: tuple[float, float] | None) -> str:
    """Return the unit of numbers that are dates.

    Raises
    ------
    InputRefused
        If there is not one unit that fits for sure; `named` begins the message.
    """
    if extremes is None:
        return DATE_UNITS[0]
    unit = number_unit(*extremes)
    if unit is None:
        raise InputRefused(
            f"{named} from {extremes[0]} to {extremes[1]}, neither dates as YYYYMMDD nor moments since 1970 for sure; "
            f"pass --date-unit with one of {', '.join(DATE_UNITS)}, or choose another column with --columns "
            "date=NAME"
        )
    return unit


def _extremes(schema: DatasetSchema, pieces: Sequence[Piece]) -> tuple[float, float] | None:
    """Return the smallest and largest date that is a number; None if there is none."""
    least, most = np.inf, -np.inf
    for _, _, table in tables(pieces, schema, [schema.roles["date"]]):
        column = table.column(0)
        values = to_numpy(column.cast(pa.float64(), safe=False), np.nan)[known(column)]
        values = values[np.isfinite(values)]
        least, most = values.min(initial=least), values.max(initial=most)
    return (float(least), float(most)) if least <= most else None


def with_renames(schema: DatasetSchema, config: Config) -> DatasetSchema:
    """Return the schema with symbols that are renamed as the symbol map says.

    Raises
    ------
    UsageError
        If the map can't be used.
    InputRefused
        If the symbols are not a text column.
    """
    if config.symbol_map is None:
        return schema
    name, date = schema.key_columns
    named = f"{config.named('symbol_map')} {config.symbol_map}"
    if name in schema.derived or not is_text(schema.symbol_type):
        raise InputRefused(f"{named} needs symbols that are one column of text in {config.where}")
    renames = read_symbol_map(config)
    derived = {**schema.derived, name: Derived("renamed", (name, date), renames)}
    note = f"symbol: {len(renames):,} renames of {config.symbol_map}"
    return replace(schema, derived=derived, notes=(*schema.notes, note))


def read_symbol_map(config: Config) -> tuple[tuple[str, str, int], ...]:
    """Return the renames of the symbol map: old, new, day; none if there is no map.

    Raises
    ------
    UsageError
        If it can't be used.
    """
    if config.symbol_map is None:
        return ()
    table = read_table_file(config.symbol_map, config.named("symbol_map"))
    named = f"{config.named('symbol_map')} {config.symbol_map}"
    missing = [name for name in ("old", "new", "from") if name not in table.column_names]
    if missing:
        raise UsageError(f"{named} needs the columns old, new and from; it has {', '.join(table.column_names)}")
    days, usable = session_days(table.column("from"))
    old, new = (table.column(name).cast(pa.string()).to_pylist() for name in ("old", "new"))
    for row, names in enumerate(zip(old, new, strict=True)):
        if not all(names) or (usable is not None and not usable[row]):
            raise UsageError(f"{named}: row {row + 1} lacks an old name, a new one, or a date such as 2022-06-09")
    return tuple(zip(old, new, days.tolist(), strict=True))


def as_plain_columns(config: Config, schema: DatasetSchema, roles: Mapping[str, str]) -> Config:
    """Return the settings that read a table in which the derived columns of `schema` are written out."""
    return replace(
        config,
        columns=tuple(roles.items()),
        symbol=None,
        symbol_map=None,
        join=(),
        date_unit=schema.dates.unit or config.date_unit,
        on_key_conflict="column",
    )
