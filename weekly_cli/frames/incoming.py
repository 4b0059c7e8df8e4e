"""Frames of pandas, polars and Arrow: their columns as Arrow arrays, and the same frame with columns added.

A frame of any other library comes through Arrow's PyCapsule interface and goes back as a `pyarrow.Table`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from weekly_cli.errors import InputRefused
from weekly_cli.names import ALIASES, normal


class Frame(ABC):
    """A frame of daily rows as its owner has it.

    Attributes
    ----------
    names : list of str
        Its columns.
    n_rows : int
    advice : str
        How to make rows of columns that are symbols.
    """

    names: list[str]
    n_rows: int
    advice = ""

    @abstractmethod
    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column."""

    def levels(self) -> Sequence[tuple[str | None, pa.ChunkedArray]]:
        """Return the levels of the row index that may be keys, with their names."""
        return ()

    @abstractmethod
    def with_columns(self, added: pa.Table) -> Any:
        """Return a frame of the same kind and in the same order of rows, with columns added at its end."""


def take(df: Any) -> Frame:
    """Return the frame behind an argument.

    Raises
    ------
    TypeError
        If it is no frame.
    InputRefused
        If its columns have several levels, or one cannot be converted to Arrow.
    """
    library = type(df).__module__.partition(".")[0]
    kind = type(df).__name__
    if library == "pandas" and hasattr(df, "columns"):
        return _PandasFrame(df)
    if library == "polars" and kind == "DataFrame":
        return _PolarsFrame(df)
    if isinstance(df, pa.Table):
        return _ArrowFrame(df)
    if isinstance(df, str | Path):
        raise TypeError(f"takes a DataFrame, not a path; use weekly_cli.build({str(df)!r}) for files")
    if library == "pandas" or kind == "Series":
        raise TypeError(f"takes a DataFrame with the columns symbol, date and close, not a {kind}")
    if kind == "LazyFrame":
        raise TypeError("takes a DataFrame, not a LazyFrame; collect() it first")
    if hasattr(df, "__arrow_c_stream__"):
        return _ArrowFrame(pa.table(df))
    raise TypeError(f"takes a DataFrame of pandas or polars, or an Arrow table, not {kind}")


class _PandasFrame(Frame):
    advice = "df.rename_axis(columns='symbol').stack().to_frame('close'), with the dates as its index"

    def __init__(self, df: Any) -> None:
        if df.columns.nlevels > 1:
            raise InputRefused(_rows_first(df.columns))
        self.df = df
        self.names = [name for name in df.columns if isinstance(name, str)]
        self.n_rows = len(df)

    def column(self, name: str) -> pa.ChunkedArray:
        column = self.df[name]
        if getattr(column, "ndim", 1) > 1:
            raise InputRefused(f"the frame has more than one column {name!r}; leave one of them out")
        return _converted(column, f"column {name!r}")

    def levels(self) -> list[tuple[str | None, pa.ChunkedArray]]:
        index = self.df.index
        if type(index).__name__ == "RangeIndex":
            return []
        levels = ((index.names[number], index.get_level_values(number)) for number in range(index.nlevels))
        return [
            (name if name is None else str(name), _converted(values, f"the index level {name!r}"))
            for name, values in levels
        ]

    def with_columns(self, added: pa.Table) -> Any:
        import pandas as pd

        # Without dates as objects: a day compares with a Timestamp.
        columns = added.to_pandas(date_as_object=False)
        columns.index = self.df.index
        whole = pd.concat([self.df, columns], axis=1)
        whole.attrs = self.df.attrs
        return whole


class _PolarsFrame(Frame):
    advice = "df.unpivot(index='date', variable_name='symbol', value_name='close')"

    def __init__(self, df: Any) -> None:
        self.df, self.names, self.n_rows = df, list(df.columns), df.height

    def column(self, name: str) -> pa.ChunkedArray:
        return pa.table(self.df.select(name)).column(0)

    def with_columns(self, added: pa.Table) -> Any:
        return self.df.hstack(type(self.df)(added))


class _ArrowFrame(Frame):
    def __init__(self, table: pa.Table) -> None:
        self.table, self.names, self.n_rows = table, table.column_names, table.num_rows

    def column(self, name: str) -> pa.ChunkedArray:
        if self.names.count(name) > 1:
            raise InputRefused(f"the frame has more than one column {name!r}; leave one of them out")
        return self.table.column(name)

    def with_columns(self, added: pa.Table) -> pa.Table:
        whole = self.table
        for field in added.schema:
            whole = whole.append_column(field, added.column(field.name))
        return whole


def _converted(values: Any, what: str) -> pa.ChunkedArray:
    try:
        array = pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        first = (str(error).splitlines() or [""])[0]
        raise InputRefused(f"{what} of the frame can't be converted to Arrow: {first}") from error
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _rows_first(columns: Any) -> str:
    """Return the refusal of columns with several levels, with the level that has the symbols."""
    fields = {alias for role in ("open", "high", "low", "close") for alias in ALIASES[role]}
    shares: Mapping[int, float] = {
        number: sum(normal(str(name)) in fields for name in columns.get_level_values(number))
        for number in range(columns.nlevels)
    }
    symbols = min(shares, key=lambda number: shares[number])
    name = columns.names[symbols]
    level = repr(name) if name is not None else str(symbols)
    return (
        "the columns of the frame have several levels; make rows of the symbols first: "
        f"df.stack(level={level}, future_stack=True)"
    )
