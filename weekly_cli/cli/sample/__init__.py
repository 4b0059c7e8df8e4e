"""Synthetic daily prices with the anomalies of real ones: the same arguments produce the same rows in every layout.

Randomness is counter-based: the words of a symbol's year are Philox output at (seed, symbol, year), so every block can
be drawn alone and in any order, and neither the layout nor the size of a chunk changes a bit. Bells are sums of four
uniform 16-bit numbers, so no value depends on how numpy generates normal numbers.

Prices follow one market factor down a tree (market, sectors, subsectors, tickers): the log return of a day is beta
times the parent's return, plus a bell scaled by that day's burst. Bursts are log-normal, which makes the tails heavy,
and they affect ranges and volume too. Returns add up to the level of the total return; the close, which
is adjusted for splits, is the level without the dividends that are still to come, so `total_return` ends at the close.

A block [symbols, sessions of one year] is simulated at a time; only the level is carried to the next year. By symbol,
the years of one row group's symbols are written together; by date, the symbols of one year are.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.cli.sample.prices import FIRST_YEAR, Sample
from weekly_cli.cli.sample.universe import EXCHANGES, PRICE_COLUMNS, Columns, Floats, Ints
from weekly_cli.compute.arrays import from_numpy, text_array
from weekly_cli.files import output_file, records

LAYOUTS = ("date", "symbol", "day")
SECTORS_FILE = "sectors.csv"

_ROW_GROUP_ROWS = 256 * 1024
_FILE_ROWS = 16 * _ROW_GROUP_ROWS
_MIN_FILES = 4
#: Symbols simulated together in date order: one column of their year is half a megabyte, which fits a core's cache.
_CHUNK_SYMBOLS = 256

_VALUES = {**dict.fromkeys(PRICE_COLUMNS, np.float64), "volume": np.int64, "total_return": np.float64}
_TEXT = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        ("symbol", _TEXT),
        ("date", pa.date32()),
        *((name, pa.float64()) for name in PRICE_COLUMNS),
        ("volume", pa.int64()),
        ("total_return", pa.float64()),
        ("exchange", _TEXT),
    ]
)


@dataclass(frozen=True)
class SampleFiles:
    """What was written: the number of rows, and the Parquet files in row order."""

    rows: int
    paths: tuple[Path, ...]


def write_sample(
    folder: Path, *, symbols: int = 40, years: int = 6, layout: str = "date", seed: int = 7
) -> SampleFiles:
    """Write synthetic daily prices as Parquet files, and `sectors.csv` beside them.

    Columns: symbol and exchange (string), date (date32), open, high, low and close (float64, dollars to the
    cent), volume (int64, shares), total_return (float64, dollars to four decimals: the close adjusted back
    for dividends). total_return is null where close is; only prices are ever null.
    The default sample has every anomaly; a smaller one has those of its symbols.

    Parameters
    ----------
    folder : Path
        A new folder, or an empty one.
    symbols : int
        Including benchmarks: `MARKET`; five sectors with 12 symbols or more; two subsectors with 24 or more.
    years : int
        Calendar years starting in 2018, each with about 251 sessions.
    layout : {"date", "symbol", "day"}
        "date": sorted by (date, symbol), one file per year. "symbol": sorted by (symbol, date), four or more
        files if there are as many symbols, row groups of complete symbols. "day": like "date", one file per session.
        All layouts have the same rows.
    seed : int
        A different seed makes different prices; taken modulo 2**64.

    Raises
    ------
    OutputConflict
        If the folder is not empty.
    ValueError
        If `symbols` or `years` is less than 1, or the layout is unknown.
    OSError
        If the folder can't be created or written to.
    """
    if symbols < 1:
        raise ValueError(f"a sample needs at least 1 symbol, not {symbols}")
    if years < 1:
        raise ValueError(f"a sample needs at least 1 year, not {years}")
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; it is one of {', '.join(LAYOUTS)}")
    sample = Sample(symbols, years, seed)
    records.new_folder(folder)
    files = _files_by_symbol(sample) if layout == "symbol" else _files_by_date(sample, daily=layout == "day")
    written = [(folder / name, _write(folder / name, tables)) for name, tables in files]
    records.write_text(folder / SECTORS_FILE, sample.universe.sectors_csv())
    return SampleFiles(sum(rows for _, rows in written), tuple(path for path, _ in written))


def _files_by_date(sample: Sample, *, daily: bool) -> Iterator[tuple[str, Iterator[pa.Table]]]:
    """Yield the files in date order: the name, and the tables to write as row groups."""
    names = sample.universe.names
    group = max(1, _ROW_GROUP_ROWS // len(names))
    for year, columns in enumerate(_years(sample)):
        days = sample.days[sample.bounds[year] : sample.bounds[year + 1]]
        table = partial(_days_table, sample, columns, days)
        if daily:
            for date, cut in zip(days.astype("datetime64[D]"), _cuts(0, len(days), 1), strict=True):
                yield f"prices_{date}.parquet", map(table, [cut])
        else:
            yield f"prices_{FIRST_YEAR + year}.parquet", map(table, _cuts(0, len(days), group))


def _years(sample: Sample) -> Iterator[Columns]:
    """Yield the columns of each year, [sessions, symbols]; the next year overwrites them."""
    symbols, longest = len(sample.universe.names), int(np.diff(sample.bounds).max())
    buffers = _buffers(longest, symbols)
    levels = sample.first_levels()
    for year in range(len(sample.bounds) - 1):
        sessions = int(sample.bounds[year + 1] - sample.bounds[year])
        for rows in _cuts(0, symbols, _CHUNK_SYMBOLS):
            for name, values in sample.block(rows, year, levels).items():
                buffers[name][:sessions, rows] = values.T
        yield {name: buffer[:sessions] for name, buffer in buffers.items()}


def _days_table(sample: Sample, columns: Columns, days: NDArray[np.int32], cut: slice) -> pa.Table:
    places = np.flatnonzero(columns["present"][cut])
    day, symbol = np.divmod(places, len(sample.universe.names))
    return _table(sample, slice(0, len(sample.universe.names)), symbol, days[cut][day], columns, cut, places)


def _files_by_symbol(sample: Sample) -> Iterator[tuple[str, Iterator[pa.Table]]]:
    """Yield the files clustered by symbol: the name, and the tables to write as row groups."""
    symbols, sessions = len(sample.universe.names), len(sample.days)
    files = min(symbols, max(_MIN_FILES, round(symbols * sessions / _FILE_ROWS)))
    group = max(1, round(_ROW_GROUP_ROWS / sessions))
    table = partial(_symbols_table, sample, sample.first_levels(), _buffers(group, sessions))
    bounds = np.linspace(0, symbols, files + 1).round().astype(int).tolist()
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        yield f"prices_{number:03}.parquet", map(table, _cuts(start, stop, group))


def _symbols_table(sample: Sample, levels: Floats, buffers: Columns, rows: slice) -> pa.Table:
    all_symbols = slice(0, rows.stop - rows.start)
    for year, (start, stop) in enumerate(itertools.pairwise(sample.bounds.tolist())):
        for name, values in sample.block(rows, year, levels).items():
            buffers[name][all_symbols, start:stop] = values
    places = np.flatnonzero(buffers["present"][all_symbols])
    symbol, session = np.divmod(places, len(sample.days))
    return _table(sample, rows, symbol, sample.days[session], buffers, all_symbols, places)


def _buffers(*shape: int) -> Columns:
    return {name: np.empty(shape, kind) for name, kind in {**_VALUES, "present": np.bool_}.items()}


def _cuts(start: int, stop: int, size: int) -> Iterator[slice]:
    """Cut a range into slices of `size`; the last one may be shorter."""
    return (slice(cut, min(cut + size, stop)) for cut in range(start, stop, size))


def _table(
    sample: Sample,
    rows: slice,
    symbol: Ints,
    days: NDArray[np.int32],
    columns: Mapping[str, NDArray[Any]],
    cut: slice,
    places: Ints,
) -> pa.Table:
    """Return the rows at `places` in the part `cut` of the columns; `symbol` counts from the first of `rows`."""
    exchange = sample.traits.exchange[rows][symbol]
    arrays = {
        "symbol": _text(symbol.astype(np.int32), sample.universe.names[rows]),
        "date": from_numpy(days, pa.date32()),
        "exchange": _text(exchange, EXCHANGES),
    }
    for name in _VALUES:
        arrays[name] = _prices(columns[name][cut].ravel()[places], _SCHEMA.field(name).type)
    return pa.Table.from_arrays([arrays[name] for name in _SCHEMA.names], schema=_SCHEMA)


def _text(codes: NDArray[np.int32], names: Sequence[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(from_numpy(codes), text_array(names))


def _prices(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return an Arrow array that shares the values' memory, null where they are NaN."""
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(1, np.bool_)
    return from_numpy(values, kind, ~missing if missing.any() else None)


def _write(path: Path, tables: Iterator[pa.Table]) -> int:
    """Write a Parquet file under a temporary name, rename it, and return its number of rows."""
    # The columns are passed as dictionaries; without the Arrow schema in the file, readers see plain strings.
    options = {"compression": "zstd", "use_dictionary": ["symbol", "exchange"], "store_schema": False}
    with output_file.ParquetOutput(path, _SCHEMA, **options) as output:
        for table in tables:
            output.write(table)
        output.close(durable=False)
    return output.rows
