"""The same weekly columns for a pandas DataFrame in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints, weekly_bars
from weekly_cli.compute.features import steps_for
from weekly_cli.compute.spans import BenchmarkBars, Recipe, arrow_type, bar_keys, blocks
from weekly_cli.dataset.dates import session_days
from weekly_cli.dataset.roles import find_roles
from weekly_cli.dataset.schema import name_collisions, plain_symbols, prices, symbol_codes
from weekly_cli.errors import InputRefused
from weekly_cli.names import PRICE_ROLES
from weekly_cli.run.comparisons import compare
from weekly_cli.run.rows import sort_order
from weekly_cli.run.wanted import wanted_by
from weekly_cli.settings import from_python, resolve

if TYPE_CHECKING:
    import pandas as pd

_WHERE = "the frame"


def add_weekly_features(
    df: pd.DataFrame,
    *,
    features: str = "all",
    benchmark: str | Sequence[str] = (),
    sector_map: pd.DataFrame | None = None,
    columns: Mapping[str, str] | None = None,
    price: str | None = None,
    week: str = "W-FRI",
    available: str = "next-week",
    dtype: str = "float32",
) -> pd.DataFrame:
    """Return the frame's rows, sorted by symbol and date, with the weekly columns after the input columns.

    The values are those that `weekly-cli build` writes, and the new columns have the types that `pandas.read_parquet`
    returns for its output: a missing value is NaN (None in `w_week_end`).

    Parameters
    ----------
    df : pandas.DataFrame
        Daily rows, [rows, columns]; the index is ignored, and the result has a new one.
    features, benchmark, columns, price, week, available, dtype
        The same as the flags of `weekly-cli build`.
    sector_map : pandas.DataFrame, optional
        Column symbol, and any of sector, sector_equal_weight, subsector.

    Raises
    ------
    weekly_cli.errors.UsageError
        If an argument is not valid.
    weekly_cli.errors.InputRefused
        If a column is missing or has a wrong type, a row has no symbol or date, or a symbol's date occurs twice.
    """
    settings = {
        "features": features,
        "columns": columns,
        "price": price,
        "week": week,
        "available": available,
    }
    config = resolve(from_python({"input": _WHERE, "dtype": dtype, "benchmark": benchmark, **settings}))
    table = pa.Table.from_pandas(df, preserve_index=False).replace_schema_metadata(None)
    roles = find_roles(table.schema, config.role_columns, _WHERE)
    symbols, codes, days = _keys(table, roles)
    table_of_sectors = None if sector_map is None else pa.Table.from_pandas(sector_map, preserve_index=False)
    wanted = wanted_by(config, table_of_sectors)
    comparisons = compare(config, wanted, symbols, np.arange(len(symbols)), _WHERE)
    compared = {name: np.array([*comparisons.symbols, -1])[numbers] for name, numbers in comparisons.numbers.items()}
    names = comparisons.names
    recipe = Recipe(wanted.features, steps_for(names), config.week, config.available, config.dtype)
    collisions = name_collisions(table.column_names, wanted.columns)
    if collisions:
        raise InputRefused(f"{_WHERE} already has the columns {', '.join(collisions)}; drop them first")
    order = sort_order(codes, days)
    order = np.arange(len(codes)) if order is None else order
    codes, days, table = codes[order], days[order], table.take(from_numpy(order))
    _refuse_repeated(symbols, codes, days)
    raw = {role: prices(table.column(roles[role])) for role in (*PRICE_ROLES, "volume") if role in roles}
    adjusted = None if config.price is None else prices(table.column(config.price))
    bars = weekly_bars(codes, days, raw, adjusted, config.week)[0]
    benchmarks = BenchmarkBars(bar_keys(bars.codes, bars.weeks), bars.close, compared)
    schema = pa.schema([(feature.name, arrow_type(feature, config.dtype)) for feature in recipe.features])
    batches = [
        pa.record_batch(block.arrays(), schema=schema)
        for block in blocks(bars, codes, days, len(symbols), recipe, benchmarks)
    ]
    added = pa.Table.from_batches(batches, schema=schema).to_pandas()
    sorted_rows = df.iloc[order].reset_index(drop=True)
    return sorted_rows.join(added)


def _keys(table: pa.Table, roles: Mapping[str, str]) -> tuple[pa.Array, Ints, Ints]:
    """Return the sorted symbols, and each row's code and day."""
    column = table.column(roles["symbol"])
    plain = plain_symbols(column.combine_chunks()).unique().drop_null()
    symbols = plain.take(pc.array_sort_indices(plain))
    codes = symbol_codes(column, symbols)
    days, known = session_days(table.column(roles["date"]))
    bad = int((codes < 0).sum()) + (0 if known is None else int((~known & (codes >= 0)).sum()))
    if bad:
        raise InputRefused(f"{bad} rows of {_WHERE} have no {roles['symbol']} or no {roles['date']}; drop them first")
    return symbols, codes.astype(np.int64), days.astype(np.int64)


def _refuse_repeated(symbols: pa.Array, codes: Ints, days: Ints) -> None:
    repeats = np.flatnonzero((codes[1:] == codes[:-1]) & (days[1:] == days[:-1]))
    if len(repeats):
        first = symbols[int(codes[repeats[0]])].as_py()
        raise InputRefused(
            f"{len(repeats)} rows of {_WHERE} repeat a symbol's date (first: {first!r}); drop them first"
        )
