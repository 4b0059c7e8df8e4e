"""The benchmark's rows in the layouts that people have, each by the writer that makes it so.

All are made from the sample's rows, once, the same bytes everywhere. A writer keeps its own defaults: its codec, its
row groups, and its type for dates, which pandas writes as timestamps. Run as a script it makes one dataset and ends, so
that the process that measures never holds the rows, which would leave the tool less memory to plan with:

    python layouts.py LAYOUT --folder .bench --symbols 4000 --years 10
    python layouts.py LAYOUT --folder .bench --real PATH
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import data
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

SHUFFLE_SEED = 7
#: Arrow's own bound, which a file of pandas and of pyarrow has unless it is told otherwise.
ROW_GROUP_ROWS = 1024 * 1024
TEXT = ["symbol", "exchange"]

#: Writes the rows of files, in their order, as a new folder.
Writer = Callable[[Sequence[Path], Path], None]


@dataclass(frozen=True)
class Layout:
    """How a dataset is laid out.

    Attributes
    ----------
    title : str
        What it is, and who wrote it.
    order : {"symbol", "date", "day"}
        The layout of the sample that it is made from.
    write : Writer or None
        None where the sample's files are it.
    hive : str or None
        The column that is only in the folders' names.
    """

    title: str
    order: str
    write: Writer | None = None
    hive: str | None = None


def one_by_polars(files: Sequence[Path], folder: Path) -> None:
    """Write one file by Polars."""
    pl.read_parquet(list(files)).write_parquet(folder / "prices.parquet")


def one_by_duckdb(files: Sequence[Path], folder: Path) -> None:
    """Write one file by DuckDB; by one thread, so that its bytes are the same everywhere."""
    with duckdb.connect(config={"threads": 1}) as connection:
        rows = connection.read_parquet([str(file) for file in files])
        rows.write_parquet(str(folder / "prices.parquet"))


def one_by_pandas(files: Sequence[Path], folder: Path) -> None:
    """Write one file by pandas."""
    frame(files).to_parquet(folder / "prices.parquet")


def one_by_pyarrow(files: Sequence[Path], folder: Path) -> None:
    """Write one file by pyarrow, a row group at a time; none spans two files of the input."""
    with pq.ParquetWriter(folder / "prices.parquet", pq.read_schema(files[0])) as writer:
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches(ROW_GROUP_ROWS):
                writer.write_batch(batch, row_group_size=ROW_GROUP_ROWS)


def shuffled_by_pyarrow(files: Sequence[Path], folder: Path) -> None:
    """Write one file by pyarrow, the rows in random order; texts stay numbers until they are written."""
    rows = pa.concat_tables([pq.read_table(file, read_dictionary=TEXT) for file in files]).unify_dictionaries()
    rows = rows.combine_chunks()
    rows = rows.take(pa.array(np.random.default_rng(SHUFFLE_SEED).permutation(len(rows))))
    pq.write_table(rows, folder / "prices.parquet", store_schema=False)


def a_file_a_symbol(files: Sequence[Path], folder: Path) -> None:
    """Write a file a symbol by pandas, named by the symbol as an address would spell it."""
    rows = frame(files)
    names = rows["symbol"].to_numpy()
    starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
    for start, stop in itertools.pairwise(starts):
        one = rows.iloc[start:stop].reset_index(drop=True)
        one.to_parquet(folder / f"{quote(names[start], safe='')}.parquet")


def hive_by(column: str) -> Writer:
    """Return a writer of a folder for each value of a column, as pandas writes them through pyarrow."""

    def write(files: Sequence[Path], folder: Path) -> None:
        rows = frame(files)
        if column == "year":
            rows["year"] = rows["date"].dt.year
        count = rows[column].nunique()
        # One thread, and names that are no random number: the same bytes everywhere.
        same: dict[str, Any] = {"use_threads": False, "basename_template": "part-{i}.parquet"}
        rows.to_parquet(folder, partition_cols=[column], max_partitions=count, **same)

    return write


def frame(files: Sequence[Path]) -> pd.DataFrame:
    """Return the rows of files as a frame with pandas' own type for dates."""
    rows = pa.concat_tables([pq.read_table(file) for file in files])
    found: pd.DataFrame = rows.to_pandas(date_as_object=False, split_blocks=True)
    return found


LAYOUTS = {
    "clustered": Layout("clustered, a few files by the sample", "symbol"),
    "clustered-polars": Layout("clustered, one file by Polars", "symbol", one_by_polars),
    "clustered-pandas": Layout("clustered, one file by pandas", "symbol", one_by_pandas),
    "clustered-duckdb": Layout("clustered, one file by DuckDB", "symbol", one_by_duckdb),
    "symbol-files": Layout("a file a symbol, by pandas", "symbol", a_file_a_symbol),
    "hive-symbol": Layout("hive by symbol, by pandas", "symbol", hive_by("symbol"), "symbol"),
    "hive-year": Layout("hive by year, clustered within, by pandas", "symbol", hive_by("year"), "year"),
    "year": Layout("a file a year in date order, by the sample", "date"),
    "date-order": Layout("one file in date order, by pyarrow", "date", one_by_pyarrow),
    "day": Layout("a file a day, by the sample", "day"),
    "shuffled": Layout("one file in random order, by pyarrow", "date", shuffled_by_pyarrow),
}
#: A dataset from outside, from its rows in this order. Up to ROW_GROUP_ROWS, pandas puts all of them in one row group.
REAL = {
    "as-it-is": Layout("as it is", "symbol"),
    "clustered-pyarrow": Layout("clustered, one file by pyarrow", "symbol", one_by_pyarrow),
    "symbol-files": Layout("a file a symbol, by pandas", "symbol", a_file_a_symbol),
    "date-pandas": Layout("one file in date order, by pandas", "date", one_by_pandas),
}


def dataset(folder: Path, symbols: int, years: int, name: str) -> Path:
    """Return the sample's rows in a layout."""
    layout = LAYOUTS[name]
    if layout.write is None:
        return data.sample(folder, symbols, years, layout.order)
    write = layout.write

    def make(path: Path) -> None:
        source = data.sample(folder, symbols, years, layout.order)
        path.mkdir()
        write(sorted(source.glob("*.parquet")), path)

    return data.made(folder / f"{name}-{symbols}-{years}", make)


def real_dataset(folder: Path, real: Path, name: str) -> Path:
    """Return the rows of a file from outside in a layout."""
    layout = REAL[name]
    if layout.write is None:
        return real
    write = layout.write
    keys = ["symbol", "date"] if layout.order == "symbol" else ["date", "symbol"]

    def make(path: Path) -> None:
        path.mkdir()
        ordered = path.with_suffix(".ordered")
        pq.write_table(pq.read_table(real).sort_by([(key, "ascending") for key in keys]), ordered)
        write([ordered], path)
        ordered.unlink()

    return data.made(folder / f"real-{real.stem}-{name}", make)


def made_aside(folder: Path, name: str, *, symbols: int = 0, years: int = 0, real: Path | None = None) -> Path:
    """Return a dataset, made by a process of its own."""
    size = ["--symbols", str(symbols), "--years", str(years)] if real is None else ["--real", str(real)]
    command = [sys.executable, __file__, name, "--folder", str(folder), *size]
    return Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def main() -> None:
    """Make a dataset and print its path."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("layout", choices=sorted({*LAYOUTS, *REAL}))
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--symbols", type=int, default=4000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--real", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    if options.real is not None:
        print(real_dataset(options.folder, options.real, options.layout))
    else:
        print(dataset(options.folder, options.symbols, options.years, options.layout))


if __name__ == "__main__":
    main()
