"""Parquet as a program other than Arrow decodes it, where one is installed: DuckDB, or Polars."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

_BATCH_ROWS = 128 * 1024
#: The programs by their modules, in the order of preference: Polars wraps INT96 as Arrow does.
_PROGRAMS = {"duckdb": "DuckDB", "polars": "Polars"}


class SecondDecoder(NamedTuple):
    """A program that decodes Parquet.

    Attributes
    ----------
    name : str
    batches : callable
        Takes a path and names of columns, yields tables with them. It raises what the program does.
    reads_int96 : bool
        Whether it reads INT96 beyond the range of nanoseconds.
    """

    name: str
    batches: Callable[[Path, Sequence[str]], Iterator[pa.Table]]
    reads_int96: bool


def installed() -> SecondDecoder | None:
    """Return the first program that is installed; None: none is."""
    found = next((module for module in _PROGRAMS if importlib.util.find_spec(module) is not None), None)
    if found is None:
        return None
    return SecondDecoder(_PROGRAMS[found], _by_duckdb if found == "duckdb" else _by_polars, found == "duckdb")


def _by_duckdb(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    import duckdb

    names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    literal = re.sub(r"([*?\[])", r"[\1]", str(path))  # a path with these is a pattern
    with duckdb.connect(config={"threads": 1, "preserve_insertion_order": False}) as connection:
        query = f"SELECT {names} FROM read_parquet(?, hive_partitioning=false)"
        relation: Any = connection.sql(query, params=[literal])
        reader = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        for batch in reader(_BATCH_ROWS):
            yield pa.Table.from_batches([batch])


def _by_polars(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    import polars as pl

    frame = pl.scan_parquet(path, glob=False, hive_partitioning=False).select(list(columns))
    rows = frame.select(pl.len()).collect().item()
    for first in range(0, rows, _BATCH_ROWS):
        yield frame.slice(first, _BATCH_ROWS).collect().to_arrow()
