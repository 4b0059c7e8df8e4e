"""The benchmark's datasets: made once, the same bytes everywhere."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from weekly_cli.cli.sample import SECTORS_FILE, write_sample

DAILY = ["symbol", "date", "open", "high", "low", "close", "volume"]
SESSIONS_A_YEAR = 251


def sample(folder: Path, symbols: int, years: int, layout: str) -> Path:
    """Return a folder with made-up prices in a layout of `write_sample`, without its sector map."""

    def make(path: Path) -> None:
        write_sample(path, symbols=symbols, years=years, layout=layout)
        (path / SECTORS_FILE).unlink()  # most readers of a folder take every file for data

    return made(folder / f"{layout}-{symbols}-{years}", make)


def seven_columns(source: Path) -> Path:
    """Return the same rows with nothing but the seven daily columns."""
    return _again(source, "seven", "zstd", DAILY)


def in_codec(source: Path, codec: str) -> Path:
    """Return the same rows in another codec."""
    return _again(source, codec, codec, None)


def _again(source: Path, name: str, codec: str, columns: list[str] | None) -> Path:
    def make(path: Path) -> None:
        path.mkdir()
        for file in sorted(source.glob("*.parquet")):
            whole = pq.ParquetFile(file)
            first = whole.read_row_group(0, columns)
            with pq.ParquetWriter(path / file.name, first.schema, compression=codec) as writer:
                for group in range(whole.num_row_groups):
                    rows = whole.read_row_group(group, columns)
                    writer.write_table(rows, row_group_size=max(1, rows.num_rows))

    return made(source.with_name(f"{source.name}-{name}"), make)


def scenario(folder: Path, symbols: int, days: int) -> Path:
    """Return the first `days` sessions of each of `symbols` symbols, as one file in date order."""

    def make(path: Path) -> None:
        years = days // SESSIONS_A_YEAR + 2
        everything = pq.read_table(sample(folder, symbols, years, "symbol"))
        first = _first_rows(everything.column("symbol").combine_chunks(), days)
        path.mkdir()
        ordered = everything.filter(first).sort_by([("date", "ascending"), ("symbol", "ascending")])
        pq.write_table(ordered, path / "prices.parquet", compression="zstd")

    return made(folder / f"scenario-{symbols}-{days}", make)


def _first_rows(symbols: pa.Array, n: int) -> pa.Array:
    """Mark the first n rows of each symbol in rows clustered by symbol."""
    ends = pc.run_end_encode(symbols).run_ends.to_numpy()
    starts = np.concatenate([[0], ends[:-1]])
    return pa.array(np.arange(len(symbols)) - np.repeat(starts, ends - starts) < n)


def made(path: Path, make: Callable[[Path], None]) -> Path:
    """Make a folder aside and give it its name, unless it is there."""
    if not path.exists():
        aside = path.with_name(path.name + ".making")
        shutil.rmtree(aside, ignore_errors=True)
        make(aside)
        aside.rename(path)
    return path
