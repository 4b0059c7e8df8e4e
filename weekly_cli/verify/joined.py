"""The check of joined tables: pandas' `merge_asof` gives the same rows, from its own reading of the tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from weekly_cli.dataset.as_of import moment_of, path_of, tables_of
from weekly_cli.dataset.schema import as_text, plain_symbols
from weekly_cli.files.locations import location, source_of
from weekly_cli.settings import Config
from weekly_cli.verify.proof import Check
from weekly_cli.verify.rows import Rows, Sides


def check_joined(check: Check, sides: Sides, rows: Rows) -> None:
    """Compare the joined columns of some symbols' rows of the table, which are in order, with those of pandas."""
    schema, config = sides.scan.footers.schema, sides.config
    n_columns = 0
    for spec in config.join:
        columns = {name: how for name, how in tables_of(schema).items() if how[0].path == path_of(spec)}
        columns = {name: how for name, how in columns.items() if name in rows.table.column_names}
        if not columns:
            continue
        table = next(iter(columns.values()))[0]
        right = _read(path_of(spec), table.symbol)
        right["known"] = _day(right[moment_of(spec)])
        right = right[right["known"].notna()].sort_values(moment_of(spec), kind="stable")
        right = right.sort_values("known", kind="stable")
        left = pd.DataFrame({"date": pd.to_datetime(rows.days, unit="D").as_unit("us"), "row": np.arange(len(rows))})
        if table.symbol:
            values = plain_symbols(sides.scan.symbols).to_pylist()
            left["symbol"] = [values[code] for code in rows.codes.tolist()]
            right = right[right[table.symbol].notna()]
            right["symbol"] = right[table.symbol].astype(left["symbol"].dtype)
        found = _merged(left, right, config, by_symbol=bool(table.symbol)).sort_values("row")
        found[table.age] = (found["date"] - found["known"]).dt.days
        for name in columns:
            n_columns += 1
            _compare(check, sides, rows, name, found[name])
    check.did = (
        f"{n_columns:,} columns of {len(config.join):,} tables, joined again by pandas.merge_asof: {len(rows):,} rows"
    )


def _read(path: str, symbol: str) -> pd.DataFrame:
    place = location(path)
    if place.suffix.lower() == ".csv":
        return pd.read_csv(
            source_of(place), dtype={symbol: str} if symbol else None, keep_default_na=False, na_values=[""]
        )
    return pd.read_parquet(source_of(place))


def _day(moments: pd.Series[Any]) -> pd.Series[Any]:
    return pd.to_datetime(moments).dt.tz_localize(None).dt.normalize().astype("datetime64[us]")


def _merged(left: pd.DataFrame, right: pd.DataFrame, config: Config, *, by_symbol: bool) -> pd.DataFrame:
    return pd.merge_asof(
        left.sort_values("date", kind="stable"),
        right,
        left_on="date",
        right_on="known",
        by="symbol" if by_symbol else None,
        allow_exact_matches=config.join_same_day,
        tolerance=None if config.join_max_age is None else pd.Timedelta(days=config.join_max_age),
        suffixes=("", " of the table"),
    )


def _compare(check: Check, sides: Sides, rows: Rows, name: str, wanted: pd.Series[Any]) -> None:
    """Add the first difference, if there is one, to the findings."""
    column = rows.table.column(name)
    for row, (a, b) in enumerate(zip(column.to_pylist(), wanted.tolist(), strict=True)):
        if not _is_missing(b) and a is not None and (a == b or str(a) == str(b)):
            continue
        if (a is None or _is_missing(a)) and _is_missing(b):
            continue
        where = sides.named(rows.codes[row], rows.days[row])
        shown = as_text(column[row]) if column[row].is_valid else "null"
        check.findings.append(f"{where}: {name} is {shown} in the table, {'null' if _is_missing(b) else b} by pandas")
        return


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and np.isnan(value))
