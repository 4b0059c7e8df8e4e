"""The labels in plain pandas, a row at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pandas as pd


def label_columns(
    closes: Mapping[Any, pd.Series[Any]],
    first_seen: Mapping[Any, pd.DatetimeIndex],
    symbols: pd.Series[Any],
    dates: pd.Series[Any],
    labels: Sequence[str],
    last_day: np.datetime64,
) -> pd.DataFrame:
    """Return a column for each label, float64 with NaN where there is no return.

    Parameters
    ----------
    closes : mapping of symbol to Series
        The closes of its bars by week_end.
    first_seen : mapping of symbol to DatetimeIndex
        The first day on which each of these bars may be seen.
    symbols, dates : Series
        Those of the rows.
    labels : sequence of str
        Such as forward_return_4w.
    last_day : datetime64
        How far the data reach.
    """

    @cache
    def forward_return(symbol: Any, day: pd.Timestamp, n_weeks: int) -> float:
        """Return the label of a row of a day."""
        history = closes[symbol]
        to_come = history[first_seen[symbol] > day]
        if to_come.empty:
            return np.nan
        exit_day = to_come.index[0] + pd.Timedelta(weeks=n_weeks)
        if exit_day > pd.Timestamp(last_day) or exit_day > history.index[-1]:
            return np.nan  # not over yet, or the symbol has ended
        return float(history[history.index <= exit_day].iloc[-1] / to_come.iloc[0] - 1)

    rows = list(zip(symbols, dates, strict=True))
    columns = {}
    for label in labels:
        n_weeks = int(label.removeprefix("forward_return_").removesuffix("w"))
        columns[f"label_{label}"] = [forward_return(symbol, day, n_weeks) for symbol, day in rows]
    return pd.DataFrame(columns, index=symbols.index, dtype=np.float64)
