"""One task: read its daily rows, compute the weekly columns, write its part of the output.

A task says everything by value and names its rows by paths; nothing heavy comes back.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import empty_table, from_numpy, positions, to_numpy
from weekly_cli.compute.bars import Ints, Quality, WeeklyBars, weekly_bars
from weekly_cli.compute.features import select_features, steps_for
from weekly_cli.compute.spans import BenchmarkBars, Recipe, arrow_type, blocks, row_groups
from weekly_cli.dataset import source
from weekly_cli.dataset.schema import DatasetSchema, is_text, prices
from weekly_cli.dataset.source import Chunk, Piece
from weekly_cli.files import storage
from weekly_cli.files.part_writer import InputRowGroup, PartWriter
from weekly_cli.files.writers import new_writer
from weekly_cli.names import PRICE_ROLES
from weekly_cli.run.partition import Fragments, read_fragments

#: Rows of a row group of the output: some forty symbols of ten years, so that a query for one skips the rest,
#: and one column of it stays in a core's L2 cache while it is made; fewer of wide rows, for its input columns are
#: held while it is written.
ROW_GROUP_ROWS = 128 * 1024
_ROW_GROUP_OWN_BYTES = 16 * 2**20
_LEAST_ROW_GROUP_ROWS = 4 * 1024
#: Row groups of the input that are no smaller, and not so many times larger than ours, are copied where they can be.
LEAST_COPIED_ROWS = 32 * 1024
_MOST_COPIED_GROUPS = 4
_OFFENDERS_SHOWN = 3
#: A history shorter than the longest window of a year lacks at least a column.
SHORT_HISTORY_BARS = 52


@dataclass(frozen=True)
class Job:
    """What all tasks of a run have in common; the fields are `Config`'s where the names are."""

    schema: DatasetSchema
    features: str
    benchmark_names: tuple[str, ...]
    benchmark_file: str | None
    week: str
    available: str
    price: str | None
    dtype: str
    start_day: int | None
    end_day: int | None
    on_duplicates: str
    compression: str
    writer: str
    replaced: tuple[str, ...]
    metadata: Mapping[str, str]
    row_bytes: float
    low_memory: bool

    @property
    def row_group_rows(self) -> int:
        """The most rows of a row group of the output."""
        return min(ROW_GROUP_ROWS, max(_LEAST_ROW_GROUP_ROWS, int(_ROW_GROUP_OWN_BYTES / self.row_bytes)))

    @property
    def input_schema(self) -> pa.Schema:
        """The input columns as they leave."""
        return pa.schema([column for column in self.schema.arrow if column.name not in self.replaced])

    def recipe(self) -> Recipe:
        """Return which columns to compute, and how."""
        features = select_features(self.features, self.benchmark_names)
        return Recipe(features, steps_for(self.benchmark_names), self.week, self.available, self.dtype)

    def output_schema(self) -> pa.Schema:
        """Return the schema of every part of the output."""
        added = [pa.field(feature.name, arrow_type(feature, self.dtype)) for feature in self.recipe().features]
        own = self.input_schema
        return pa.schema(
            [*own, *added], metadata={key.encode(): value.encode() for key, value in self.metadata.items()}
        )


@dataclass(frozen=True)
class Task:
    """One task: the symbols (sorted), where their rows are, and where the part goes.

    Attributes
    ----------
    pieces : tuple of Piece or None
        The input's own row ranges; None: `fragments` hold the rows.
    planned_codes : range or tuple of int
        The number of each symbol in the task as it was planned (and partitioned), ascending.
    compared : mapping of benchmark name to tuple of int
        The number of each symbol's benchmark in the benchmark file; -1: none.
    """

    number: int
    job: Job
    symbols: pa.Array
    pieces: tuple[Piece, ...] | None
    fragments: Fragments | None
    planned_codes: Sequence[int]
    part: str
    compared: Mapping[str, tuple[int, ...]]

    @property
    def span(self) -> tuple[int, int]:
        """Which of the run's symbols it has, as first and stop."""
        return part_span(self.part)

    def cut(self, first: int, stop: int) -> Task:
        """Return the task of its symbols from `first` to `stop`."""
        begin, path = self.span[0], Path(self.part)
        return replace(
            self,
            symbols=pa.concat_arrays([self.symbols.slice(first, stop - first)]),
            planned_codes=self.planned_codes[first:stop],
            part=str(path.with_name(part_name(begin + first, begin + stop))),
            compared={name: numbers[first:stop] for name, numbers in self.compared.items()},
        )


def part_name(first: int, stop: int) -> str:
    """Return the name of the part with the run's symbols from `first` to `stop`."""
    return f"part-{first:09d}-{stop:09d}.parquet"


def part_span(part: str) -> tuple[int, int]:
    """Return which of the run's symbols a part has, as first and stop."""
    _, first, stop = Path(part).stem.split("-")
    return int(first), int(stop)


@dataclass(frozen=True)
class Outcome:
    """What a task gives back; the seconds are by stage, the peak is the worker process's own.

    `first_duplicates` are (position of the symbol in the planned task, day).
    """

    number: int
    part: str | None = None
    rows: int = 0
    symbols: int = 0
    bars: int = 0
    bytes_written: int = 0
    checksum: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    quality: Quality = field(default_factory=Quality)
    duplicates: int = 0
    first_duplicates: tuple[tuple[int, int], ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()


class _Clock:
    """Seconds by stage; a stage lasts until the next begins."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage, self._since = "", time.perf_counter()
        self._cpu = time.process_time()

    def stage(self, name: str) -> None:
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = name, now

    def cpu_seconds(self) -> float:
        return time.process_time() - self._cpu


def run_task(task: Task) -> Outcome:
    """Do a task and write its part.

    Raises
    ------
    InputRefused
        If the rows can't be read.
    """
    clock = _Clock()
    clock.stage("read")
    rows = _sorted_rows(task)
    if rows.duplicates and task.job.on_duplicates == "error":
        return Outcome(task.number, duplicates=rows.duplicates, first_duplicates=rows.first_duplicates)
    clock.stage("bars")
    raw = {role: prices(rows.table.column(name)) for role, name in _price_columns(task.job)}
    adjusted = None if task.job.price is None else prices(rows.table.column(task.job.price))
    bars, quality = weekly_bars(rows.codes, rows.days, raw, adjusted, task.job.week)
    quality += _histories(bars, len(task.symbols))
    benchmarks = _benchmarks(task)
    del raw, adjusted
    rows = _window(rows, task.job)
    written, checksum = _write(task, rows, bars, benchmarks, clock)
    clock.stage("")
    if task.job.low_memory:  # keeping what is freed saves 6 % of the time, and takes half as much memory again
        pa.default_memory_pool().release_unused()
    return Outcome(
        number=task.number,
        part=task.part,
        rows=len(rows.codes),
        symbols=len(task.symbols),
        bars=len(bars.codes),
        bytes_written=written,
        checksum=checksum,
        seconds=clock.seconds,
        cpu_seconds=clock.cpu_seconds(),
        peak_bytes=peak_bytes(),
        quality=quality,
        duplicates=rows.duplicates,
        first_duplicates=rows.first_duplicates,
    )


def _price_columns(job: Job) -> Iterator[tuple[str, str]]:
    return ((role, name) for role, name in job.schema.roles.items() if role in (*PRICE_ROLES, "volume"))


# ---- rows ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rows:
    """Daily rows sorted by (code, day), each pair once; `table` has the input columns without the symbol.

    `copyable_row_groups` are row groups of the input that lie in these rows as they are, by their first row.
    """

    codes: Ints
    days: Ints
    table: pa.Table
    duplicates: int = 0
    first_duplicates: tuple[tuple[int, int], ...] = ()
    copyable_row_groups: Mapping[int, Piece] = field(default_factory=dict)


def _sorted_rows(task: Task) -> _Rows:
    if task.fragments is not None:
        chunks: list[Chunk] = list(read_fragments(task.fragments, task.job.schema, task.planned_codes))
    else:
        chunks = list(source.chunks(task.pieces or (), task.job.schema, task.symbols))
    codes = np.concatenate([np.empty(0, np.int32), *(chunk.codes for chunk in chunks)]).astype(np.int64)
    days = np.concatenate([np.empty(0, np.int32), *(chunk.days for chunk in chunks)]).astype(np.int64)
    names = [name for name in task.job.schema.arrow.names if name != task.job.schema.roles["symbol"]]
    empty = empty_table(pa.schema([(name, task.job.schema.working_type(name)) for name in names]))
    table = pa.concat_tables([chunk.table for chunk in chunks]).unify_dictionaries() if chunks else empty
    order = sort_order(codes, days)
    if order is not None:
        codes, days, table = codes[order], days[order], table.take(from_numpy(order))
        return _without_duplicates(task, codes, days, table)
    rows = _without_duplicates(task, codes, days, table)
    return rows if rows.duplicates else replace(rows, copyable_row_groups=_copyable_row_groups(task, len(codes)))


def _copyable_row_groups(task: Task, n_rows: int) -> dict[int, Piece]:
    """Return the input's row groups that may be copied, by their first row; all rows are as the input has them."""
    pieces = task.pieces or ()
    if task.job.low_memory or sum(piece.stop - piece.start for piece in pieces) != n_rows:
        return {}
    most = _MOST_COPIED_GROUPS * task.job.row_group_rows
    found, first = {}, 0
    for piece in pieces:
        if piece.stop - piece.start == piece.rows_in_group and LEAST_COPIED_ROWS <= piece.rows_in_group <= most:
            found[first] = piece
        first += piece.stop - piece.start
    return found


def sort_order(codes: Ints, days: Ints) -> Ints | None:
    """Return the stable order by (code, day), None for rows that are in it."""
    if _in_order(codes, days):
        return None
    n_codes = int(codes.max()) + 1
    # 16-bit numbers are sorted by radix. Most input is in date order within a symbol.
    order = np.argsort(codes.astype(np.uint16) if n_codes <= 2**16 else codes, kind="stable")
    if _in_order(codes[order], days[order]):
        return order
    return np.lexsort((days, codes))


def _in_order(codes: Ints, days: Ints) -> bool:
    ahead = (codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & (days[1:] >= days[:-1]))
    return bool(ahead.all())


def _without_duplicates(task: Task, codes: Ints, days: Ints, table: pa.Table) -> _Rows:
    again = (codes[1:] == codes[:-1]) & (days[1:] == days[:-1])
    count = int(again.sum())
    if not count:
        return _Rows(codes, days, table)
    rows = np.flatnonzero(again)[:_OFFENDERS_SHOWN]
    first = tuple((task.planned_codes[int(codes[row])], int(days[row])) for row in rows)
    if task.job.on_duplicates == "error":
        return _Rows(codes, days, table, count, first)
    keep = np.ones(len(codes), bool)
    keep[1:] &= ~again if task.job.on_duplicates == "first" else True
    keep[:-1] &= ~again if task.job.on_duplicates == "last" else True
    return _Rows(codes[keep], days[keep], table.take(positions(keep)), count, first)


def _window(rows: _Rows, job: Job) -> _Rows:
    """Return the rows between `--start` and `--end`."""
    if job.start_day is None and job.end_day is None:
        return rows
    keep = np.ones(len(rows.days), bool)
    if job.start_day is not None:
        keep &= rows.days >= job.start_day
    if job.end_day is not None:
        keep &= rows.days <= job.end_day
    return _Rows(
        rows.codes[keep],
        rows.days[keep],
        rows.table.take(positions(keep)),
        rows.duplicates,
        rows.first_duplicates,
    )


def _histories(bars: WeeklyBars, n_symbols: int) -> Quality:
    """Count the weeks inside of histories that have no bar, and the histories of less than a year."""
    per_symbol = np.bincount(bars.codes, minlength=n_symbols)
    gaps = bars.weeks[1:] - bars.weeks[:-1] - 1
    inside = bars.codes[1:] == bars.codes[:-1]
    return Quality(
        weeks_without_bar=int(gaps[inside].sum()),
        short_histories=int((per_symbol < SHORT_HISTORY_BARS).sum()),
    )


# ---- benchmarks ------------------------------------------------------------------------------------------


def weekly_closes(task: Task) -> tuple[WeeklyBars, int]:
    """Return the weekly bars of a task's symbols, of which only the closes are to be used, and the repeated rows."""
    rows = _sorted_rows(task)
    raw = {"close": prices(rows.table.column(task.job.schema.roles["close"]))}
    adjusted = None if task.job.price is None else prices(rows.table.column(task.job.price))
    return weekly_bars(rows.codes, rows.days, raw, adjusted, task.job.week)[0], rows.duplicates


def write_benchmarks(keys: Ints, close: NDArray[np.float64], path: Path) -> None:
    """Write the benchmarks' weekly closes; `keys` as `bar_keys` makes them from a benchmark's number."""
    table = pa.table([from_numpy(keys), from_numpy(close)], names=["key", "close"])
    with storage.ParquetOutput(path, table.schema, compression="none", use_dictionary=False) as output:
        output.write(table)
        output.close(durable=False)


def _benchmarks(task: Task) -> BenchmarkBars:
    compared = {name: np.array(numbers, np.int64) for name, numbers in task.compared.items()}
    if task.job.benchmark_file is None:
        return BenchmarkBars(np.empty(0, np.int64), np.empty(0), compared)
    with storage.reading(task.job.benchmark_file):
        table = storage.open_own(task.job.benchmark_file).read()
    return BenchmarkBars(to_numpy(table.column("key")), to_numpy(table.column("close")), compared)


# ---- writing ---------------------------------------------------------------------------------------------


def part_file(path: Path, job: Job) -> PartWriter:
    """Open a file with the columns of the output; dictionaries serve texts only."""
    dictionaries = [column.name for column in job.input_schema if _repeats(column.type)]
    keys = [job.schema.roles[role] for role in ("symbol", "date")]
    return new_writer(job.writer, path, job.output_schema(), job.compression, keys, use_dictionary=dictionaries)


def _repeats(kind: pa.DataType) -> bool:
    return bool(is_text(kind) or pa.types.is_dictionary(kind) or pa.types.is_binary(kind))


def _write(task: Task, rows: _Rows, bars: WeeklyBars, benchmarks: BenchmarkBars, clock: _Clock) -> tuple[int, int]:
    """Write the part and return its size and checksum."""
    job = task.job
    with part_file(Path(task.part), job) as output:
        clock.stage("features")
        found = blocks(bars, rows.codes, rows.days, len(task.symbols), job.recipe(), benchmarks)
        copyable_row_groups = [
            (first, first + piece.rows_in_group) for first, piece in rows.copyable_row_groups.items()
        ]
        for group in row_groups(found, job.row_group_rows, copyable_row_groups):
            clock.stage("write")
            table = _own(task, rows, group.first, group.stop)
            piece = rows.copyable_row_groups[group.first] if group.whole else None
            origin = None if piece is None else InputRowGroup(Path(piece.path), piece.row_group)
            output.write(table, group.lengths, group.columns, origin)
            clock.stage("features")
        clock.stage("write")
        return output.close(durable=False), output.checksum


def _own(task: Task, rows: _Rows, first: int, stop: int) -> pa.Table:
    """Return the input columns of the rows from `first` to `stop`, ready to be written."""
    symbol = task.job.schema.roles["symbol"]
    own = task.job.input_schema
    columns = [
        _symbol_column(task.symbols, rows.codes[first:stop])
        if column.name == symbol
        else _as_written(rows.table.column(column.name).slice(first, stop - first), column.type)
        for column in own
    ]
    fields = [column.with_type(made.type) for column, made in zip(own, columns, strict=True)]
    return pa.table(columns, schema=pa.schema(fields))


def _as_written(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in its own type; text that came as a dictionary stays one, for the writer as the symbols do."""
    behind = pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(kind)
    return column if behind else column.cast(kind)


def _symbol_column(symbols: pa.Array, codes: NDArray[np.int64]) -> pa.Array:
    """Return the symbol of each code; text as a dictionary, so that the writer need not find its values again."""
    if not is_text(symbols.type):
        return symbols.take(from_numpy(codes))
    first, stop = int(codes[0]), int(codes[-1]) + 1
    texts = symbols.slice(first, stop - first)
    if pa.types.is_string_view(texts.type):
        texts = texts.cast(pa.large_string())
    return pa.DictionaryArray.from_arrays(from_numpy((codes - first).astype(np.int32)), texts)


# ---- the process -----------------------------------------------------------------------------------------


def peak_bytes() -> int:
    """Return the largest resident size that this process has had.

    Linux' `getrusage` hands a parent's peak down to what it starts, so the process's own status is asked first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        peak = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), None)
        if peak is not None:
            return int(peak.split()[1]) * 1024
    import resource

    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_kib if sys.platform == "darwin" else peak_kib * 1024
