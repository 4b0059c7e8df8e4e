"""The writers of parts by their names; nothing else knows of the fast one, which is all of the folder `fast`."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from weekly_cli.files.arrow_writer import ArrowWriter
from weekly_cli.files.fast.row_groups import RowGroupFile
from weekly_cli.files.locations import Location
from weekly_cli.files.part_writer import PartWriter

WRITERS: dict[str, type[PartWriter]] = {"fast": RowGroupFile, "arrow": ArrowWriter}


def new_writer(name: str, path: Location, schema: pa.Schema, compression: str, **options: Any) -> PartWriter:
    """Open a part for the writer of that name; the rest as `PartWriter` takes it."""
    return WRITERS[name](path, schema, compression, **options)
