"""Columns that are made: keys of several columns, renamed symbols, row numbers, and those of tables that are joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute.arrays import Column, from_numpy, known, text_array, to_numpy
from weekly_cli.dataset.as_of import AsOf
from weekly_cli.dataset.dates import civil_days, session_days
from weekly_cli.dataset.schema import DatasetSchema, DateReading, Derived, symbol_codes
from weekly_cli.errors import InputRefused

#: Between the parts of a symbol, as in NASDAQ:AAPL. Two symbols could become one if a part contained it.
SEPARATOR = ":"


def derive(
    table: pa.Table, schema: DatasetSchema, names: list[str], where: str, numbers: Sequence[tuple[int, int]]
) -> pa.Table:
    """Return the columns `names` of a table of read columns; those that are derived are computed.

    `where` names the rows in error messages; `numbers` are the rows' in the input: of each run the first one's, and
    how many it has.

    Raises
    ------
    InputRefused
    """
    if not any(name in schema.derived for name in names):
        return table if table.column_names == names else table.select(names)
    made = {
        name: _computed(table, schema, schema.derived[name], where, numbers)
        for name in names
        if name in schema.derived and schema.derived[name].as_of is None
    }
    as_of = [name for name in names if name not in made and name in schema.derived]
    if as_of:
        keys = [_key(name, made, table, schema, where, numbers) for name in schema.key_columns]
        joined = AsOf(keys, schema.dates)
        made |= {name: joined.column(*how) for name in as_of if (how := schema.derived[name].as_of) is not None}
    return pa.table([made[name] if name in made else table.column(name) for name in names], names=names)


def _key(
    name: str,
    made: Mapping[str, Column],
    table: pa.Table,
    schema: DatasetSchema,
    where: str,
    numbers: Sequence[tuple[int, int]],
) -> Column:
    """Return the symbols or the dates by which tables are joined."""
    if name in made:
        return made[name]
    how = schema.derived.get(name)
    return table.column(name) if how is None else _computed(table, schema, how, where, numbers)


def _computed(
    table: pa.Table, schema: DatasetSchema, how: Derived, where: str, numbers: Sequence[tuple[int, int]]
) -> Column:
    if how.rule == "row number":
        return from_numpy(np.concatenate([np.arange(first, first + rows) for first, rows in numbers]))
    sources = {name: table.column(name) for name in how.sources}
    if how.rule == "joined":
        return _joined(sources, where)
    if how.rule == "date parts":
        return _dates(*sources.values())
    symbols, dates = sources.values()
    return _renamed(symbols, dates, how, schema.dates)


def _joined(parts: Mapping[str, Column], where: str) -> Column:
    texts = [part.cast(pa.string()) for part in parts.values()]
    for name, text in list(zip(parts, texts, strict=True))[:-1]:
        found = pc.index(pc.fill_null(pc.match_substring(text, SEPARATOR), False), True).as_py()
        if found >= 0:
            raise InputRefused(
                f"{where}: column {name!r} has {text[found].as_py()!r}, but a colon separates the parts of a symbol; "
                f"name the columns in another order, or replace the colon"
            )
    return pc.binary_join_element_wise(*texts, SEPARATOR)


def _dates(*parts: Column) -> Column:
    numbers, usable = [], np.ones(len(parts[0]), bool)
    for part in parts:
        whole = _whole(part)
        usable &= known(whole)
        numbers.append(to_numpy(whole, 0))
    days, valid = civil_days(*numbers)
    return from_numpy(days, pa.date32(), usable & valid)


def _whole(part: Column) -> Column:
    """Return a part of dates as int64, null where it is no whole number."""
    if pa.types.is_dictionary(part.type):
        part = part.cast(part.type.value_type)
    if pa.types.is_string(part.type) or pa.types.is_large_string(part.type):
        digits = pc.match_substring_regex(part, r"^[0-9]{1,9}$")
        part = pc.if_else(digits, part, None)
    return part.cast(pa.int64(), safe=False)


def _renamed(symbols: Column, dates: Column, how: Derived, reading: DateReading) -> Column:
    """Return symbols by the names that their histories end with; a new name may itself be an old one later on."""
    names = list(dict.fromkeys(name for old, new, _ in how.renames for name in (old, new)))
    codes = symbol_codes(symbols, text_array(names))
    if not (codes >= 0).any():
        return symbols
    days, _ = session_days(dates, reading)
    number = {name: code for code, name in enumerate(names)}
    current = codes
    for _ in how.renames:
        before, current = current, current.copy()
        for old in {old for old, _, _ in how.renames}:
            rows = np.flatnonzero(before == number[old])
            steps = sorted((day, number[new]) for name, new, day in how.renames if name == old)
            step = np.searchsorted([day for day, _ in steps], days[rows], side="right")
            current[rows] = np.append([code for _, code in steps], number[old])[step]
        if np.array_equal(before, current):
            break
    changed = pa.array(current != codes)
    plain = symbols.cast(pa.string())
    new = text_array(names).take(from_numpy(np.maximum(current, 0)))
    return pc.if_else(changed, new, plain)
