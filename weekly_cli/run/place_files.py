"""Files of a cross section: the places of bars among those of all symbols, which every task reads for its own symbols.

A file has a range of periods of one clock. Its rows are in the order of the symbols, so that few of its row groups are
of a task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from weekly_cli.compute.arrays import to_numpy
from weekly_cli.compute.columns import PlacedBars, bar_keys
from weekly_cli.files import disk, parquet
from weekly_cli.files.locations import Location, location

if TYPE_CHECKING:
    from weekly_cli.run.task import Task

CODE, PERIOD = "code", "period"
#: How files of bars are written: they are read once or twice, and soon.
OPTIONS = {"compression": "lz4", "use_dictionary": False}


def panel_path(part: str, every: str) -> Location:
    """Return where a task writes the values that are placed, of one clock; `part` is its part.

    >>> str(panel_path("work/part-000000000-000000010-1f.parquet", "week"))
    'work/panel-000000000-000000010-1f-week.parquet'
    """
    path = location(part)
    return path.with_name(f"panel{path.stem.removeprefix('part')}-{every}.parquet")


def read_places(task: Task) -> dict[str, PlacedBars]:
    """Return the places of a task's bars, by clock."""
    if not task.job.placed_files:
        return {}
    first, stop = task.span
    return {every: _of_symbols(files, first, stop) for every, files in task.job.placed_files.items()}


def _of_symbols(files: Sequence[str], first: int, stop: int) -> PlacedBars:
    """Return the places of the bars of a range of the run's symbols."""
    tables = [table for file in files for table in _tables(file, first, stop)]
    codes, periods = (np.concatenate([to_numpy(one.column(name)) for one in tables]) for name in (CODE, PERIOD))
    own = (codes >= first) & (codes < stop)
    keys = bar_keys(codes[own].astype(np.int64) - first, periods[own].astype(np.int64))
    order = np.argsort(keys)
    names = [name for name in tables[0].column_names if name not in (CODE, PERIOD)]
    columns = {name: np.concatenate([to_numpy(one.column(name)) for one in tables])[own][order] for name in names}
    return PlacedBars(keys[order], columns)


def _tables(path: str, first: int, stop: int) -> Iterator[pa.Table]:
    """Yield the row groups of a file that have some of the symbols; if none has, no rows."""
    file = parquet.open_own(path)
    groups = [number for number, low, high in extremes(file, CODE) if low < stop and high >= first]
    with disk.reading(path):
        yield file.read_row_groups(groups, use_threads=False)


def extremes(file: pq.ParquetFile, column: str) -> Iterator[tuple[int, int, int]]:
    """Yield each row group's number with the smallest and the largest value of a column, as its footer says."""
    place = file.schema_arrow.get_field_index(column)
    for number in range(file.num_row_groups):
        statistics = file.metadata.row_group(number).column(place).statistics
        yield number, statistics.min, statistics.max
