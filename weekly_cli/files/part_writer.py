"""What a part of the output is written with: input columns, a value for each row, and weekly ones as spans."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute.bars import Ints
from weekly_cli.compute.spans import SpanColumn
from weekly_cli.files import output_file
from weekly_cli.files.locations import Location


class InputRowGroup(NamedTuple):
    """A row group of an input file, by its number there."""

    path: Path
    number: int


class PartWriter(output_file.OutputFile):
    """A Parquet file in the making, row group by row group.

    Parameters
    ----------
    path : Location
    schema : pa.Schema
        Of the whole file: the input columns, then those made from spans.
    compression : str
        As the setting says.
    sorted_by : sequence of str
        The input columns by which rows are sorted, as far as a file may say so of their types.
    input_columns : int
        How many columns of the schema come from the input, where floats may be NaN; others are never.
    **options
        What else Arrow's writer is to know of the input columns.
    """

    def __init__(
        self,
        path: Location,
        schema: pa.Schema,
        compression: str,
        *,
        sorted_by: Sequence[str] = (),
        input_columns: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(path)

    @property
    @abstractmethod
    def checksum(self) -> int:
        """CRC-32 of all bytes of a file that is closed, if nothing was appended to it."""

    @abstractmethod
    def write(
        self, own: pa.Table, lengths: Ints, columns: Iterable[SpanColumn], origin: InputRowGroup | None = None
    ) -> None:
        """Append a row group.

        Parameters
        ----------
        own : pa.Table
            The input columns; text may have come as a dictionary.
        lengths : int64[spans]
            The rows of each span; together, those of `own`.
        columns : iterable of SpanColumn
        origin : InputRowGroup or None
            Where the input has these rows as a row group of their own.
        """

    @abstractmethod
    def append(self, path: Path) -> None:
        """Append the row groups of a finished part that the same writer has written with the same schema."""


def hides_nan(column: pa.ChunkedArray) -> bool:
    """Tell whether extremes of a column would leave out a NaN, as those of Arrow do.

    Engines that order NaN above all numbers (Spark, DuckDB, DataFusion) would skip its rows by them. Of nested columns,
    whose floats are not looked at, it is taken for true.
    """
    if pa.types.is_nested(column.type) or pa.types.is_float16(column.type):
        return True
    return pa.types.is_floating(column.type) and bool(pc.any(pc.is_nan(column)).as_py())
