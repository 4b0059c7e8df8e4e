"""Which columns and index levels of a frame have which role, and its keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute.arrays import known, to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.dates import session_days
from weekly_cli.dataset.readings import unit_by_extremes
from weekly_cli.dataset.roles import find_roles
from weekly_cli.dataset.schema import DateReading, is_text, plain_symbols, symbol_codes, working_type
from weekly_cli.errors import InputRefused
from weekly_cli.frames.incoming import Frame
from weekly_cli.names import ROLES, names_of, normal
from weekly_cli.settings import Config

WHERE = "the frame"


@dataclass(frozen=True)
class Keys:
    """The keys of a frame's rows.

    Attributes
    ----------
    symbols : pa.Array
        The symbols in order, each once.
    codes, days : int64[rows]
        Each row's position in `symbols`, and its session in days since 1970-01-01.
    """

    symbols: pa.Array
    codes: Ints
    days: Ints


def columns_of(frame: Frame, config: Config) -> tuple[dict[str, str], Mapping[str, pa.ChunkedArray]]:
    """Return the column of each role, and the columns that have one, index levels among them.

    A frame without symbols is one history, named as the setting `symbol` says, or not at all.

    Raises
    ------
    InputRefused
        If a column is missing, a role has two of them, or a type does not suit its role.
    """
    given = config.role_columns
    possible = {alias for role in ROLES for alias in names_of(role)}
    columns = {name: frame.column(name) for name in frame.names if normal(name) in possible or name in given.values()}
    for name, values in frame.levels():
        role = next((role for role in ("symbol", "date") if name is not None and normal(name) in names_of(role)), None)
        role = role or ("date" if _is_moment(values.type) else "symbol" if is_text(values.type) else None)
        if name in given.values():
            columns.setdefault(str(name), values)
        elif role is not None and role not in given and not _has(role, columns):
            columns[name or role] = values
            given = {**given, role: name or role}
    if "symbol" not in given and (config.symbol is not None or not _has("symbol", columns)):
        columns["symbol"] = pa.chunked_array([pa.repeat(pa.scalar(config.symbol or ""), frame.n_rows)])
        given = {**given, "symbol": "symbol"}
    names = [*frame.names, *(name for name in columns if name not in frame.names)]
    schema = pa.schema([(name, columns[name].type if name in columns else pa.null()) for name in names])
    if "close" not in given and not _has("close", columns) and frame.advice:
        raise InputRefused(
            f"{WHERE} has no column for close among {', '.join(names)}; name it with --columns close=NAME, or, if its "
            f"columns are symbols, make rows of them first: {frame.advice}"
        )
    return find_roles(schema, given, WHERE, config.named("columns")), columns


def _has(role: str, columns: Mapping[str, pa.ChunkedArray]) -> bool:
    return any(normal(name) in names_of(role) for name in columns)


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def keys_of(symbol: pa.ChunkedArray, date: pa.ChunkedArray, roles: Mapping[str, str], config: Config) -> Keys:
    """Return the keys.

    Raises
    ------
    InputRefused
        If a row has no symbol or no date, or numbers are no dates.
    """
    symbol = symbol.cast(working_type(symbol.type))
    plain = plain_symbols(symbol.combine_chunks()).unique().drop_null()
    symbols = plain.take(pc.array_sort_indices(plain))
    codes = symbol_codes(symbol, symbols)
    days, has_day = session_days(date.cast(working_type(date.type)), _reading(date, roles["date"], config))
    has_key = codes >= 0 if has_day is None else (codes >= 0) & has_day
    n_bad = len(codes) - int(np.count_nonzero(has_key))
    if n_bad:
        first = int(np.argmin(has_key))
        value = date[first].as_py() if codes[first] >= 0 else symbol[first].as_py()
        raise InputRefused(
            f"{n_bad} rows of {WHERE} have no {roles['symbol']} or no {roles['date']} (first: row {first}, {value!r}); "
            "drop them first"
        )
    return Keys(symbols, codes.astype(np.int64), days.astype(np.int64))


def _reading(date: pa.ChunkedArray, name: str, config: Config) -> DateReading:
    kind = date.type
    unit: str | None = None
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        unit = config.date_unit
        if unit == "auto":
            values = to_numpy(date.cast(pa.float64(), safe=False), np.nan)[known(date)]
            extremes = (float(values.min()), float(values.max())) if len(values) else None
            unit = unit_by_extremes(f"column {name!r} of {WHERE} is {kind}", extremes)
    return DateReading(unit, config.date_format if is_text(kind) else None, config.timezone)


def refuse_repeated(keys: Keys, order: Ints | None) -> None:
    """Refuse a symbol's date that occurs twice; `order` sorts the rows by their keys."""
    codes, days = (keys.codes, keys.days) if order is None else (keys.codes[order], keys.days[order])
    repeats = np.flatnonzero((codes[1:] == codes[:-1]) & (days[1:] == days[:-1]))
    if not len(repeats):
        return
    first = int(repeats[0])
    date = np.datetime64(int(days[first]), "D")
    symbol = keys.symbols[int(codes[first])].as_py()
    if symbol == "" and len(keys.symbols) == 1:
        raise InputRefused(
            f"{WHERE} has no column for symbol, and {len(repeats)} rows repeat a date (first: {date}); "
            "name it with --columns symbol=NAME"
        )
    raise InputRefused(
        f"{len(repeats)} rows of {WHERE} repeat a symbol's date (first: {symbol!r} on {date}); drop them first"
    )
