"""Which input columns the output has, and which are read for them: others cost no reading, no memory and no copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from weekly_cli.dataset.roles import adjusted_column
from weekly_cli.dataset.schema import DatasetSchema
from weekly_cli.settings import Config


def written_columns(schema: DatasetSchema, config: Config) -> list[str]:
    """Return the input columns that are written, in the input's order: of a row a week, the symbol alone."""
    if config.rows == "weekly":
        return [schema.roles["symbol"]]
    return list(schema.arrow.names)


def with_columns_read(schema: DatasetSchema, config: Config) -> DatasetSchema:
    """Return the schema without the columns that nothing needs: not written, without a role, and no adjusted close."""
    written = written_columns(schema, config)
    if len(written) == len(schema.arrow.names):
        return schema
    adjusted = (config.price, adjusted_column(schema, config))
    needed = {*written, *schema.roles.values(), *(name for name in adjusted if name is not None)}
    needed |= set(schema.read_columns(needed))
    return replace(schema, arrow=pa.schema([column for column in schema.arrow if column.name in needed]))


def columns_left_out(schema: DatasetSchema, config: Config, computed: Sequence[str]) -> list[str]:
    """Return the columns that are read but not written, those among them in whose place others are computed."""
    written = set(written_columns(schema, config)) - set(computed)
    return [name for name in schema.arrow.names if name not in written]
