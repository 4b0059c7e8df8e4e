"""The plain writer: every value repeated for its rows, and Arrow writes the table.

It is what the fast writer is compared with, and what is left if that one is ever taken out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from weekly_cli.compute.bars import Ints
from weekly_cli.compute.spans import SpanColumn
from weekly_cli.files import disk, parquet
from weekly_cli.files.locations import Location
from weekly_cli.files.part_writer import InputRowGroup, PartWriter


class ArrowWriter(PartWriter):
    """The plain writer."""

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
        super().__init__(path, schema, compression)
        self._schema = schema
        # Arrow decides once for a file: no extremes for columns of the input that may hide a NaN (`hides_nan`).
        options["write_statistics"] = [
            column.name for number, column in enumerate(schema) if number >= input_columns or not _may_hide(column.type)
        ]
        options |= {"compression": compression, "compression_level": 1 if compression == "zstd" else None}
        with disk.writing(path):
            self._writer = pq.ParquetWriter(str(self.aside), schema, write_page_checksum=True, **options)
        self.reached("opened")

    @property
    def checksum(self) -> int:
        """CRC-32 of all bytes of the closed file."""
        return disk.checksum(self.path)

    def write(
        self, own: pa.Table, lengths: Ints, columns: Iterable[SpanColumn], origin: InputRowGroup | None = None
    ) -> None:
        """Append a row group, whatever its origin."""
        arrays = [_plain(column, self._schema.field(number).type) for number, column in enumerate(own.columns)]
        self._put(pa.table([*arrays, *(column.repeated(lengths) for column in columns)], schema=self._schema))

    def append(self, path: Path) -> None:
        """Append the row groups of a finished part, decoded and encoded again."""
        part = parquet.open_own(path)
        for number in range(part.num_row_groups):
            with disk.reading(path):
                table = part.read_row_group(number, use_threads=False)
            self._put(table)

    def _put(self, table: pa.Table) -> None:
        with disk.writing(self.path):
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        self.rows += table.num_rows
        self.reached("written")

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()

    def abandon(self) -> None:
        """Close the writer, which makes a valid but short file of it."""
        self._writer.close()


def _plain(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in its own type, without the dictionary that text may have come in."""
    if pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(kind):
        column = column.cast(column.type.value_type)
    return column.cast(kind)


def _may_hide(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_nested(kind))
