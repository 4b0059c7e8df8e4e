"""One row for each session of a symbol, in plain pandas: what `--on-duplicates` and `--on-intraday` should leave.

It shares no code with the build, which does the same in `run/repeats` and `run/intraday`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.schema import DatasetSchema, DateReading, is_text
from weekly_cli.settings import Config

_SESSION = ["code", "day"]


def one_a_session(
    codes: Ints, days: Ints, table: pa.Table, config: Config, schema: DatasetSchema
) -> tuple[Ints, pa.Table]:
    """Return which rows stand for the sessions, and their columns; rows must be sorted by (code, day).

    Rows that the settings refuse stay as they are.
    """
    frame = pd.DataFrame({"code": codes, "day": days, "row": np.arange(len(codes))})
    several = frame.duplicated(_SESSION, keep=False)
    aggregates = config.on_intraday == "aggregate"
    if not several.any() or (config.on_duplicates == "error" and not aggregates):
        return frame["row"].to_numpy(), table
    repeated = frame[several].reset_index(drop=True)
    repeated["moment"] = _moments(table.column(schema.roles["date"]).take(repeated["row"].to_numpy()), schema.dates)
    repeated = repeated.sort_values([*_SESSION, "moment", "row"])
    keep: Any = config.on_duplicates
    if keep != "error":
        repeated = repeated.drop_duplicates([*_SESSION, "moment"], keep=keep)
    left = repeated.drop_duplicates(_SESSION, keep="last" if aggregates else keep)
    rows = pd.concat([frame[~several], left]).sort_values(_SESSION)["row"].to_numpy()
    if not aggregates:
        return rows, table.take(rows)
    return rows, _day_bars(table, rows, repeated.reset_index(drop=True), schema.roles, config.price)


def _moments(dates: pa.ChunkedArray, reading: DateReading) -> Any:
    if pa.types.is_dictionary(dates.type):
        dates = dates.cast(dates.type.value_type)
    if is_text(dates.type):
        return pd.to_datetime(pd.Series(dates.to_pylist()), format=reading.format or "ISO8601", utc=True)
    counts = pa.types.is_timestamp(dates.type) or reading.unit in ("s", "ms", "us", "ns")
    return dates.cast(pa.int64()).to_pandas() if counts else 0


def _day_bars(
    table: pa.Table, rows: Ints, moments: pd.DataFrame, roles: Mapping[str, str], price: str | None
) -> pa.Table:
    """Return the columns of `rows`, with the day's bar in those that are the last of the session's `moments`."""
    result = table.take(rows)
    sessions = moments.groupby(_SESSION).ngroup()
    last = moments["row"].groupby(sessions).last()
    is_session = np.isin(rows, last)
    of_close = _usable(table, moments, roles["close"])
    if price is not None:
        of_close &= _usable(table, moments, price)
    takers = {role: roles[role] for role in ("open", "high", "low", "close") if role in roles}
    for role, name in [*takers.items(), *([("close", price)] if price is not None else [])]:
        counts = of_close & _usable(table, moments, name)
        usable_moments = moments.assign(value=_floats(table, moments, name))[counts]
        source = _source(role, usable_moments, sessions).reindex(last.index).fillna(last)
        taken = rows.copy()
        taken[is_session] = source.astype(np.int64)
        result = _replaced(result, name, table.column(name).take(taken))
    if "volume" in roles:
        name = roles["volume"]
        counts = of_close & _usable(table, moments, name, is_volume=True)
        sums = _sums(table.column(name).take(moments["row"].to_numpy()), counts, sessions)
        values = result.column(name).to_pylist()
        for place, value in zip(np.flatnonzero(is_session), sums, strict=True):
            values[place] = values[place] if value is None else value
        result = _replaced(result, name, pa.chunked_array([pa.array(values, table.column(name).type)]))
    return result


def _source(role: str, moments: pd.DataFrame, sessions: pd.Series[Any]) -> pd.Series[Any]:
    """Return the row that has a session's price, for sessions that have a usable one."""
    grouped = moments.groupby(sessions.loc[moments.index])
    if role in ("open", "close"):
        return grouped["row"].first() if role == "open" else grouped["row"].last()
    extremes = grouped["value"].idxmax() if role == "high" else grouped["value"].idxmin()
    return moments["row"].loc[extremes].set_axis(extremes.index)


def _sums(volumes: pa.ChunkedArray, counts: pd.Series[Any], sessions: pd.Series[Any]) -> list[Any]:
    """Return the sum of each session's volumes that count; None: none does."""
    values = [value if counted else 0 for value, counted in zip(volumes.to_pylist(), counts, strict=True)]
    if pa.types.is_floating(volumes.type):  # the order of additions decides on the last bits
        starts = np.flatnonzero(sessions.diff() != 0)
        sums = np.add.reduceat(np.array(values, np.float64), starts).tolist()
    else:
        sums = pd.Series(values, dtype=object).groupby(sessions).sum().tolist()
    return [value if known else None for value, known in zip(sums, counts.groupby(sessions).any(), strict=True)]


def _floats(table: pa.Table, moments: pd.DataFrame, name: str) -> Any:
    return np.asarray(table.column(name).take(moments["row"].to_numpy()).cast(pa.float64(), safe=False), np.float64)


def _usable(table: pa.Table, moments: pd.DataFrame, name: str, *, is_volume: bool = False) -> pd.Series[Any]:
    values = pd.Series(_floats(table, moments, name))
    return values.between(0, np.inf, inclusive="left" if is_volume else "neither")


def _replaced(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    place = table.column_names.index(name)
    return table.set_column(place, table.schema.field(place), column)
