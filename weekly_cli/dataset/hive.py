"""Hive keys and the files' columns of the same name: they must agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from weekly_cli.errors import InputRefused
from weekly_cli.files.discovery import HiveKeys
from weekly_cli.files.disk import first_line
from weekly_cli.files.footer import RowGroupFooter
from weekly_cli.files.parquet import open_parquet

_BATCH_ROWS = 65_536


def refuse_differing_keys(path: Path, file: pq.ParquetFile, keys: HiveKeys, groups: Sequence[RowGroupFooter]) -> None:
    """Refuse a file whose folder names one value and whose column of the same name has another.

    Only columns are read whose extremes in the footer do not settle it.

    Raises
    ------
    InputRefused
    """
    for key, value in keys:
        if key not in file.schema_arrow.names:
            continue
        unsettled = [number for number, group in enumerate(groups) if not _settled(group, key, value)]
        for number, other in _others(path, key, value, unsettled):
            raise InputRefused(
                f"{path}: its folder says {key}={value or 'null'}, but its column {key!r} has {other} in row group "
                f"{number}; move the file to the folder of its values, or rename the folder or the column"
            )


def _settled(group: RowGroupFooter, key: str, value: str | None) -> bool:
    """Tell whether all values are the key's text by the footer; truncated extremes are never equal."""
    chunk = next((chunk for chunk in group.chunks if chunk.path == key), None)
    if chunk is None or value is None or chunk.kind != "BYTE_ARRAY" or chunk.nulls:
        return False
    return chunk.least == chunk.most == value.encode()


def _others(path: Path, key: str, value: str | None, groups: Sequence[int]) -> Iterator[tuple[int, str]]:
    file = open_parquet(path, dictionaries=[key])
    for number in groups:
        try:
            for batch in file.iter_batches(_BATCH_ROWS, row_groups=[number], columns=[key], use_threads=False):
                other = first_other_value(batch.column(0), value)
                if other is not None:
                    yield number, other
        except (OSError, pa.ArrowException) as error:
            raise InputRefused(f"{path} can't be decoded (row group {number}): {first_line(error)}") from error


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
