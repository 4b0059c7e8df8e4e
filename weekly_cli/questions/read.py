"""Rows of a finished output as a pandas frame."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weekly_cli.errors import UsageError
from weekly_cli.questions.built import open_output
from weekly_cli.settings import SETTINGS

if TYPE_CHECKING:
    import pandas as pd


def read(
    output: str | Path,
    *,
    symbols: str | Sequence[str] | None = None,
    start: str | datetime.date | None = None,
    end: str | datetime.date | None = None,
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Return rows of an output of `build` in its order; only row groups that may have these symbols are read.

    Parameters
    ----------
    output : str or Path
        A file, or a folder of parts.
    symbols : str or sequence of str, optional
        Only these symbols, as text.
    start, end : date or str, optional
        Only sessions from `start` to `end`, both included.
    columns : sequence of str, optional
        Only these columns, in this order.

    Returns
    -------
    pandas.DataFrame
        [rows, columns]; dates and `w_week_end` are datetime64 where the output has days.

    Raises
    ------
    weekly_cli.errors.UsageError
        If there is no such symbol or column, or a date is none.
    weekly_cli.errors.InputRefused
        If there is no output of this tool.
    """
    chosen = [symbols] if isinstance(symbols, str) else symbols
    built = open_output(output)
    rows = built.rows(chosen, _day("start", start), _day("end", end), columns)
    frame: pd.DataFrame = rows.to_pandas(date_as_object=False)
    return frame


def _day(name: str, value: str | datetime.date | None) -> datetime.date | None:
    if value is None:
        return None
    try:
        day: datetime.date = SETTINGS[name].kind.check(value)
    except ValueError as error:
        raise UsageError(f"{name} {error}") from error
    return day
