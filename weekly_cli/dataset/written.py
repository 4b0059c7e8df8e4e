"""Which input columns the output has, and which are read for them: others cost no reading, no memory and no copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from weekly_cli.dataset.roles import adjusted_column
from weekly_cli.dataset.schema import DatasetSchema, is_text, plain_type
from weekly_cli.errors import InputRefused
from weekly_cli.files import discovery
from weekly_cli.names import SECTOR_COLUMNS, did_you_mean
from weekly_cli.settings import Config


def written_columns(schema: DatasetSchema, config: Config) -> list[str]:
    """Return the input columns that are written, in the input's order: of a row a week, the symbol alone.

    Raises
    ------
    InputRefused
        If the input has no column of a name in `--columns-out`.
    """
    if config.rows == "weekly":
        return [schema.roles["symbol"]]
    known = (*schema.arrow.names, *schema.unread)
    for name in config.columns_out:
        if name not in known:
            raise InputRefused(
                f"{config.where} has no column {name!r} for {config.named('columns_out')}; it has {', '.join(known)}"
                f"{did_you_mean(name, known)}"
            )
    wanted = {*config.columns_out, *schema.key_columns} if config.columns_out else set(known)
    return [name for name in schema.arrow.names if name in wanted]


def with_columns_read(schema: DatasetSchema, config: Config) -> DatasetSchema:
    """Return the schema without the columns that nothing needs: not written, no role, no adjusted close, no group."""
    written = written_columns(schema, config)
    check_sectors(schema.arrow, schema.roles["symbol"], config)
    check_groups(schema.arrow, schema.roles["symbol"], config)
    adjusted = (config.price, adjusted_column(schema, config))
    needed = {*written, *schema.roles.values(), *(name for name in adjusted if name is not None)}
    needed |= {*config.sector_columns.values(), *config.group_columns.values()}
    needed |= set(schema.read_columns(needed))
    unread = tuple(name for name in schema.arrow.names if name not in needed)
    if not unread:
        return schema
    note = f"{len(unread):,} of {len(schema.arrow):,} columns are not read, as nothing needs them"
    read = pa.schema([column for column in schema.arrow if column.name in needed])
    return replace(schema, arrow=read, unread=unread, notes=(*schema.notes, note))


def check_sectors(columns: pa.Schema, symbol: str, config: Config) -> None:
    """Refuse columns of a sector map that are not there, or can't have the symbol of an index.

    Raises
    ------
    InputRefused
    """
    for name in config.sector_columns.values():
        setting = f"{config.named('sector_map')} @{name}"
        if name not in columns.names:
            hint = f"; the file of this name is ./@{name}" if discovery.is_there(f"@{name}") else ""
            raise InputRefused(
                f"{config.where} has no column {name!r} for {setting}; it has {', '.join(columns.names)}"
                f"{did_you_mean(name, columns.names)}{hint}"
            )
        kind, is_symbol = columns.field(name).type, name == symbol
        if is_symbol or not (is_text(kind) or pa.types.is_integer(plain_type(kind))):
            raise InputRefused(
                f"column {name!r} of {config.where} is {'the symbol itself' if is_symbol else kind}, but {setting} "
                "takes the symbol of an index to compare each symbol with; name another column"
            )


def check_groups(columns: pa.Schema, symbol: str, config: Config) -> None:
    """Refuse groups of a cross section that are no columns, or can't tell a symbol's group.

    Raises
    ------
    InputRefused
    """
    for by, name in config.group_columns.items():
        setting = f"{config.named('cross_section')} by {by}"
        if name not in columns.names:
            of_map = f"; a file of symbol and {by} is --sector-map" if by in SECTOR_COLUMNS else ""
            raise InputRefused(
                f"{config.where} has no column {name!r} for {setting}; it has {', '.join(columns.names)}"
                f"{did_you_mean(name, columns.names)}{of_map}"
            )
        kind, is_symbol = plain_type(columns.field(name).type), name == symbol
        if is_symbol or not (is_text(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            raise InputRefused(
                f"column {name!r} of {config.where} is {'the symbol itself' if is_symbol else kind}, but {setting} "
                "takes text or whole numbers, one value a symbol; name another column"
            )


def columns_left_out(schema: DatasetSchema, config: Config, computed: Sequence[str]) -> list[str]:
    """Return the columns that are read but not written, those among them in whose place others are computed."""
    written = set(written_columns(schema, config)) - set(computed)
    return [name for name in schema.arrow.names if name not in written]
