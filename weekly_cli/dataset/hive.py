"""Hive keys and the files' columns of the same name: they agree, or a setting says which of them counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute.arrays import text_array
from weekly_cli.errors import InputRefused
from weekly_cli.files.discovery import HiveKeys
from weekly_cli.files.disk import first_line
from weekly_cli.files.footer import RowGroupFooter
from weekly_cli.files.locations import Location
from weekly_cli.files.parquet import open_parquet

_BATCH_ROWS = 65_536


def keys_that_count(
    path: Location, columns: Collection[str], keys: HiveKeys, groups: Sequence[RowGroupFooter], on_conflict: str
) -> HiveKeys:
    """Return the keys that a file's rows have as columns: the file lacks the column, or has other values in it.

    A column whose values are the key's counts itself. Only columns are read whose extremes in the footer do not settle
    that.

    Parameters
    ----------
    columns : collection of str
        The file's own.
    on_conflict : str
        Where a column has other values: "error" refuses the file, "path" lets the key count, "column" the column.

    Raises
    ------
    InputRefused
    """
    counting = []
    for key, value in keys:
        if key in columns:
            other = None if on_conflict == "column" else _first_other(path, key, value, groups)
            if other is None:
                continue
            if on_conflict == "error":
                raise InputRefused(
                    f"{path}: its folder says {key}={value or 'null'}, but its column {key!r} has {other}; move the "
                    f"file to the folder of its values, or pass --on-key-conflict path or column to say which counts"
                )
        counting.append((key, value))
    return tuple(counting)


def with_keys(schema: pa.Schema, keys: HiveKeys) -> pa.Schema:
    """Return a file's schema with its keys as columns: text, or a column's type if that can hold the key."""
    for key, value in keys:
        position = schema.get_field_index(key)
        if position < 0:
            schema = schema.append(pa.field(key, pa.string()))
        elif as_values(value, schema.field(position).type) is None:
            schema = schema.set(position, pa.field(key, pa.string()))
        else:
            schema = schema.set(position, schema.field(position).with_nullable(True))
    return schema


def as_values(key: str | None, kind: pa.DataType) -> pa.Array | None:
    """Return a key as an array with one value of a type, None if the type can't hold it."""
    plain = kind.value_type if pa.types.is_dictionary(kind) else kind
    text = pa.nulls(1, pa.string()) if key is None else text_array([key])
    try:
        value = text.cast(plain)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return value if plain.equals(kind) else value.dictionary_encode().cast(kind)


def _settled(group: RowGroupFooter, key: str, value: str | None) -> bool:
    """Tell whether all values are the key's text by the footer; truncated extremes are never equal."""
    chunk = next((chunk for chunk in group.chunks if chunk.path == key), None)
    if chunk is None or value is None or chunk.kind != "BYTE_ARRAY" or chunk.nulls:
        return False
    return chunk.least == chunk.most == value.encode()


def _first_other(path: Location, key: str, value: str | None, groups: Sequence[RowGroupFooter]) -> str | None:
    """Return the first value of a column that is not its key's, and where it is; None: all are."""
    unsettled = [number for number, group in enumerate(groups) if not _settled(group, key, value)]
    if not unsettled:
        return None
    file = open_parquet(path, dictionaries=[key])
    for number in unsettled:
        try:
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[number], columns=[key], use_threads=False):
                other = first_other_value(batch.column(0), value)
                if other is not None:
                    return f"{other} in row group {number}"
        except (OSError, pa.ArrowException) as error:
            raise InputRefused(f"{path} can't be decoded (row group {number}): {first_line(error)}") from error
    return None


def first_other_value(values: pa.Array, key: str | None) -> str | None:
    """Return the first value that is not what a key says, as text; None: all are.

    >>> first_other_value(pa.array([2023, 2024]), "2023")
    '2024'
    >>> first_other_value(pa.array(["01"]), "1")
    '01'
    """
    distinct = pc.unique(values)
    if pa.types.is_dictionary(distinct.type):
        distinct = distinct.dictionary_decode()
    if pa.types.is_timestamp(distinct.type) and key is not None and len(key) == len("2023-01-31"):
        distinct = pc.local_timestamp(distinct) if distinct.type.tz else distinct
        distinct = distinct.cast(pa.timestamp("s"), safe=False).cast(pa.date32(), safe=False)
    try:
        expected = pa.scalar(key, pa.string()).cast(distinct.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _text(distinct, 0) if len(distinct) else None
    same = pc.fill_null(pc.equal(distinct, expected), False) if expected.is_valid else pc.is_null(distinct)
    first = pc.index(same, False).as_py()
    return None if first < 0 else _text(distinct, first)


def _text(values: pa.Array, position: int) -> str:
    value = values[position].as_py()
    return "null" if value is None else str(value)
