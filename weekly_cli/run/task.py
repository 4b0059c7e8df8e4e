"""One task: read its daily rows, compute the weekly columns, write its part of the output.

A task carries all of its settings by value and refers to its rows by path; nothing large is returned.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import (
    Bars,
    Floats,
    Ints,
    Quality,
    bars_by_clock,
    closes_by_clock,
    columns_as_used,
    quality_of,
    quality_of_histories,
)
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.columns import BenchmarkBars, Recipe
from weekly_cli.compute.features import catalogue, columns_of_bars
from weekly_cli.compute.features.developing import PREFIX
from weekly_cli.compute.labels import Label, labels_up_to
from weekly_cli.compute.row_groups import row_groups
from weekly_cli.compute.running import running_bars
from weekly_cli.compute.spans import blocks
from weekly_cli.compute.suspects import Suspects, find_suspects
from weekly_cli.compute.suspects.scheduled import Schedule, find_unscheduled
from weekly_cli.compute.treatment import Treatment, treated
from weekly_cli.dataset.schema import DatasetSchema, is_text, prices
from weekly_cli.dataset.source import Piece
from weekly_cli.files import parquet
from weekly_cli.files.locations import Location, is_local, location
from weekly_cli.files.part_writer import InputRowGroup, PartWriter
from weekly_cli.files.writers import new_writer
from weekly_cli.names import PRICE_ROLES
from weekly_cli.run.benchmark_file import read_benchmarks
from weekly_cli.run.clocks import bound
from weekly_cli.run.part_names import part_name, part_span
from weekly_cli.run.partition import Fragments
from weekly_cli.run.place_files import read_places
from weekly_cli.run.plugins import PluginName, features_in_worker
from weekly_cli.run.repeats import NO_REPEATS, Repeats
from weekly_cli.run.resources import peak_bytes
from weekly_cli.run.rows import TaskRows, a_row_a_bar, sorted_rows, within_window
from weekly_cli.run.stopwatch import Stopwatch

#: Rows of an output row group: about forty symbols of ten years, so that a query for one symbol skips the rest, and
#: one of its columns fits into a core's L2 cache while it is computed. Wide rows get fewer, because the input columns
#: are in memory while the row group is written.
ROW_GROUP_ROWS = 128 * 1024
_ROW_GROUP_OWN_BYTES = 16 * 2**20
_LEAST_ROW_GROUP_ROWS = 4 * 1024


@dataclass(frozen=True)
class Job:
    """What all tasks of a run have in common; fields that are named as in `Config` mean the same.

    `features` are names of columns, `clocks` the week and the others that they are of, for any symbol,
    `schedules` the sessions of the exchanges whose calendars they have.
    `unused_adjusted` is a column with an adjusted close beside the close that is used, `left_out` the columns that are
    read but not written, `last_day` the newest day of all of the input's rows, `last_day_read` the day after which rows
    are passed over, if there is one. `cross_section` has the columns that place bars among those of all symbols, as the
    settings do; `placed_files` are where these places are, by clock, as soon as they are known.
    """

    schema: DatasetSchema
    features: str
    cross_section: tuple[str, ...]
    labels: tuple[Label, ...]
    benchmark_names: tuple[str, ...]
    windows: tuple[tuple[str, tuple[int, ...]], ...]
    plugins: tuple[PluginName, ...]
    benchmark_file: str | None
    clocks: tuple[SymbolClocks, ...]
    schedules: tuple[Schedule, ...]
    price: str | None
    treatment: Treatment
    unused_adjusted: str | None
    dtype: str
    prefix: str
    date_type: str
    start_day: int | None
    end_day: int | None
    last_day: int
    last_day_read: int | None
    rows: str
    on_duplicates: str
    on_intraday: str
    compression: str
    writer: str
    left_out: tuple[str, ...]
    metadata: Mapping[str, str]
    row_bytes: float
    low_memory: bool
    placed_files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def row_group_rows(self) -> int:
        """The maximum number of rows in an output row group."""
        return min(ROW_GROUP_ROWS, max(_LEAST_ROW_GROUP_ROWS, int(_ROW_GROUP_OWN_BYTES / self.row_bytes)))

    @property
    def input_schema(self) -> pa.Schema:
        """The input columns as they are written to the output."""
        return pa.schema([column for column in self.schema.arrow if column.name not in self.left_out])

    def refuses(self, repeats: Repeats) -> bool:
        """Tell whether rows with these repeats are refused."""
        moments_too = self.on_intraday == "error"
        return self.on_duplicates == "error" and bool(repeats.rows or (repeats.moments and moments_too))

    def recipe(self) -> Recipe:
        """Return which columns to compute, and how."""
        columns = catalogue(
            self.benchmark_names,
            self.windows,
            features_in_worker(self.plugins),
            [clock.every for clock in self.clocks],
            with_developing=any(name.startswith(PREFIX) for name in self.features.split(",")),
        ).with_cross(self.cross_section)
        features = columns.select(self.features)
        if self.rows == "weekly":
            features = columns_of_bars(features)
        labels = labels_up_to(self.labels, self.last_day)
        return Recipe(features, columns.steps, self.clocks, self.dtype, self.prefix, self.date_type, labels)

    def output_schema(self, n_symbols: int = 0) -> pa.Schema:
        """Return the schema of a part of the output with this many symbols, which its metadata tells."""
        metadata = {**self.metadata, parquet.SYMBOLS_KEY.decode(): str(n_symbols)}
        return pa.schema(
            [*self.input_schema, *self.recipe().columns],
            metadata={key.encode(): value.encode() for key, value in metadata.items()},
        )


@dataclass(frozen=True)
class Task:
    """One task: the symbols (sorted), the location of their rows, and the path of the part.

    Attributes
    ----------
    pieces : tuple of Piece or None
        Row ranges of the input; None: the rows are in `fragments`.
    planned_codes : range or tuple of int
        The number of each symbol in the task as planned (and partitioned), ascending.
    compared : mapping of benchmark name to tuple of int
        The number of each symbol's benchmark in the benchmark file; -1: none.
    clock_numbers, schedule_numbers : tuple of int, optional
        The position of each symbol's clock among the job's distinct ones, and of its exchange's sessions, -1: it has
        none. None: all have the first one.
    retries : int
        How often it, or the task it was cut from, has failed or been cut off.
    """

    number: int
    job: Job
    symbols: pa.Array
    pieces: tuple[Piece, ...] | None
    fragments: Fragments | None
    planned_codes: Sequence[int]
    part: str
    compared: Mapping[str, tuple[int, ...]]
    clock_numbers: tuple[int, ...] | None = None
    schedule_numbers: tuple[int, ...] | None = None
    retries: int = 0

    @property
    def span(self) -> tuple[int, int]:
        """The task's range of the run's symbols, as first and stop."""
        return part_span(self.part)

    @property
    def clocks(self) -> tuple[SymbolClocks, ...]:
        """The clocks of its symbols: the week's, and those of the other periods of its features."""
        return bound(self.job.clocks, None if self.clock_numbers is None else np.array(self.clock_numbers, np.int64))

    @property
    def of_schedules(self) -> Ints:
        """The position of each symbol's sessions among the job's, -1: it has none."""
        return np.array(self.schedule_numbers or [0] * len(self.symbols), np.int64)

    def recipe(self) -> Recipe:
        """Return which columns to compute for its symbols, and how."""
        return replace(self.job.recipe(), clocks=self.clocks)

    def cut(self, first: int, stop: int) -> Task:
        """Return a task for its symbols from `first` to `stop`."""
        begin, path = self.span[0], location(self.part)
        return replace(
            self,
            symbols=pa.concat_arrays([self.symbols.slice(first, stop - first)]),
            planned_codes=self.planned_codes[first:stop],
            part=str(path.with_name(part_name(begin + first, begin + stop))),
            compared={name: numbers[first:stop] for name, numbers in self.compared.items()},
            clock_numbers=None if self.clock_numbers is None else self.clock_numbers[first:stop],
            schedule_numbers=None if self.schedule_numbers is None else self.schedule_numbers[first:stop],
        )


@dataclass(frozen=True)
class Outcome:
    """What a task returns; the seconds are by stage, the peak is that of the worker process.

    `rows` are those written, `daily_rows` those read, one a session. `repeats` and `suspects` name symbols by their
    positions in the planned task. `process` is the id of the process that ran the task, and `started_at` and `ended_at`
    are readings of `time.monotonic`; an earlier run's outcomes and failures have neither.
    """

    number: int
    part: str | None = None
    rows: int = 0
    daily_rows: int = 0
    symbols: int = 0
    bars: int = 0
    bytes_written: int = 0
    checksum: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    process: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    retries: int = 0
    peak_bytes: int = 0
    quality: Quality = field(default_factory=Quality)
    repeats: Repeats = NO_REPEATS
    suspects: Suspects = field(default_factory=dict)
    padding: int = 0
    rejected: tuple[tuple[str, str], ...] = ()


def run_task(task: Task) -> Outcome:
    """Run a task and write its part.

    Raises
    ------
    InputRefused
        If the rows can't be read.
    """
    started_at, stopwatch = time.monotonic(), Stopwatch()
    stopwatch.stage("read")
    rows = sorted_rows(task)
    if task.job.refuses(rows.repeats):
        return Outcome(task.number, repeats=rows.repeats)
    stopwatch.stage("bars")
    raw, adjusted, n_padding = treated_prices(rows, task.job)
    used = columns_as_used(raw, adjusted)
    clocks = task.clocks
    of_clocks = bars_by_clock(rows.codes, rows.days, used, clocks)
    bars, quality = of_clocks["week"], quality_of(used)
    beside = None if task.job.unused_adjusted is None else prices(rows.table.column(task.job.unused_adjusted))
    suspects = find_suspects((rows.codes, rows.days), raw, adjusted, (bars, quality), beside)
    planned = np.array(task.planned_codes)
    if task.job.schedules:
        suspects = {**suspects, **find_unscheduled((rows.codes, rows.days), task.job.schedules, task.of_schedules)}
    suspects = {code: suspicion.named(planned) for code, suspicion in suspects.items()}
    quality += quality_of_histories(bars, len(task.symbols)) + Quality(unusable_close=-n_padding)
    benchmarks = replace(read_benchmarks(task), placed=read_places(task))
    if task.job.recipe().has_rows:
        rows = replace(rows, running=running_bars(rows.codes, rows.days, used, clocks[0]))
    del raw, adjusted, used, beside
    n_daily = len(rows.codes)
    weekly = task.job.rows == "weekly"
    rows = a_row_a_bar(bars, clocks[0], task.job, rows.repeats) if weekly else within_window(rows, task.job)
    written, checksum = _write(task, rows, of_clocks, benchmarks, stopwatch)
    stopwatch.stage("")
    if task.job.low_memory:  # keeping freed memory saves 6 % of the time and takes 50 % more memory
        pa.default_memory_pool().release_unused()
    return Outcome(
        number=task.number,
        part=task.part,
        rows=len(rows.codes),
        daily_rows=n_daily,
        symbols=len(task.symbols),
        bars=len(bars.codes),
        bytes_written=written,
        checksum=checksum,
        seconds=stopwatch.seconds,
        cpu_seconds=stopwatch.cpu_seconds(),
        process=os.getpid(),
        started_at=started_at,
        ended_at=time.monotonic(),
        retries=task.retries,
        peak_bytes=peak_bytes(),
        quality=quality,
        repeats=rows.repeats,
        suspects=suspects,
        padding=n_padding,
    )


def treated_prices(
    rows: TaskRows, job: Job, roles: Collection[str] = (*PRICE_ROLES, "volume")
) -> tuple[dict[str, Floats], Floats | None, int]:
    """Return the columns of which bars are made, the adjusted close, and the number of rows left out as padding."""
    raw = {role: prices(rows.table.column(name)) for role, name in job.schema.roles.items() if role in roles}
    adjusted = None if job.price is None else prices(rows.table.column(job.price))
    return treated(rows.codes, raw, adjusted, job.treatment)


# ---- benchmarks ------------------------------------------------------------------------------------------


def closes_of_bars(task: Task) -> tuple[list[dict[str, Bars]], Repeats]:
    """Return what `closes_by_clock` gives for a task's symbols and the job's clocks, and their repeated rows."""
    rows = sorted_rows(task)
    raw, adjusted, _ = treated_prices(rows, task.job)
    used = columns_as_used({"close": raw["close"]}, adjusted)
    return closes_by_clock(rows.codes, rows.days, used, task.job.clocks), rows.repeats


# ---- writing ---------------------------------------------------------------------------------------------


def part_file(path: Location, job: Job, n_symbols: int) -> PartWriter:
    """Open a file with the columns of the output and this many symbols; only text columns get dictionaries."""
    dictionaries = [column.name for column in job.input_schema if _repeats(column.type)]
    keys = [job.schema.roles[role] for role in ("symbol", "date")]
    return new_writer(
        job.writer,
        path,
        job.output_schema(n_symbols),
        job.compression,
        sorted_by=keys,
        input_columns=len(job.input_schema),
        use_dictionary=dictionaries,
    )


def _repeats(kind: pa.DataType) -> bool:
    return bool(is_text(kind) or pa.types.is_dictionary(kind) or pa.types.is_binary(kind))


def _write(
    task: Task, rows: TaskRows, bars: Mapping[str, Bars], benchmarks: BenchmarkBars, stopwatch: Stopwatch
) -> tuple[int, int]:
    """Write the part and return its size and checksum."""
    job = task.job
    with part_file(location(task.part), job, len(task.symbols)) as output:
        stopwatch.stage("features")
        computed_blocks = blocks(
            bars, rows.codes, rows.days, len(task.symbols), task.recipe(), benchmarks, rows.running
        )
        copyable_row_groups = [
            (first, first + piece.rows_in_group) for first, piece in rows.copyable_row_groups.items()
        ]
        for group in row_groups(computed_blocks, job.row_group_rows, copyable_row_groups):
            stopwatch.stage("write")
            table = _input_table(task, rows, group.first, group.stop)
            piece = rows.copyable_row_groups[group.first] if group.is_requested else None
            # The bytes of an object would be asked for once more, to be copied.
            of_disk = piece is not None and is_local(piece.path)
            origin = InputRowGroup(Path(piece.path), piece.row_group) if piece is not None and of_disk else None
            output.write(table, group.lengths, group.columns, origin)
            stopwatch.stage("features")
        stopwatch.stage("write")
        return output.close(durable=False), output.checksum


def _input_table(task: Task, rows: TaskRows, first: int, stop: int) -> pa.Table:
    """Return the input columns of the rows from `first` to `stop`, ready for writing."""
    symbol = task.job.schema.roles["symbol"]
    input_schema = task.job.input_schema
    columns = [
        _symbol_column(task.symbols, rows.codes[first:stop])
        if column.name == symbol
        else _as_written(rows.table.column(column.name).slice(first, stop - first), column.type)
        for column in input_schema
    ]
    fields = [column.with_type(array.type) for column, array in zip(input_schema, columns, strict=True)]
    return pa.table(columns, schema=pa.schema(fields))


def _as_written(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return a column in its original type; text that was read as a dictionary stays one, as the symbols do."""
    stays_encoded = pa.types.is_dictionary(column.type) and not pa.types.is_dictionary(kind)
    return column if stays_encoded else column.cast(kind)


def _symbol_column(symbols: pa.Array, codes: NDArray[np.int64]) -> pa.Array:
    """Return the symbol of each code; text as a dictionary, so that the writer does not have to build one."""
    if not is_text(symbols.type):
        return symbols.take(from_numpy(codes))
    first, stop = int(codes[0]), int(codes[-1]) + 1
    texts = symbols.slice(first, stop - first)
    return pa.DictionaryArray.from_arrays(from_numpy((codes - first).astype(np.int32)), texts)
