"""The labels in plain pandas, a row at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd


def label_columns(
    closes: Mapping[Any, pd.Series[Any]],
    symbols: pd.Series[Any],
    dates: pd.Series[Any],
    labels: Sequence[str],
    last_day: np.datetime64,
    days_before: int,
) -> pd.DataFrame:
    """Return a column for each label, float64 with NaN where there is no return.

    Parameters
    ----------
    closes : mapping of symbol to Series
        The closes of its bars by week_end.
    symbols, dates : Series
        Those of the rows.
    labels : sequence of str
        Such as forward_return_4w.
    last_day : datetime64
        How far the data reach.
    days_before : int
        How many days before the day after its week a bar may be seen.
    """

    @cache
    def forward_return(symbol: Any, seen: pd.Timestamp, n_weeks: int) -> float:
        """Return the label of rows that see the bars of weeks that ended before `seen`."""
        history = closes[symbol]
        to_come = history[history.index >= seen]
        if to_come.empty:
            return np.nan
        exit_day = to_come.index[0] + pd.Timedelta(weeks=n_weeks)
        if exit_day > pd.Timestamp(last_day) or exit_day > history.index[-1]:
            return np.nan  # not over yet, or the symbol has ended
        return float(history[history.index <= exit_day].iloc[-1] / to_come.iloc[0] - 1)

    seen = dates + pd.Timedelta(days=days_before)
    rows = list(zip(symbols, seen, strict=True))
    columns = {}
    for label in labels:
        n_weeks = int(label.removeprefix("forward_return_").removesuffix("w"))
        columns[f"label_{label}"] = [forward_return(symbol, day, n_weeks) for symbol, day in rows]
    return pd.DataFrame(columns, index=symbols.index, dtype=np.float64)
