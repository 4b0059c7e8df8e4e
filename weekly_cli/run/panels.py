"""What a task does for a cross section, before its part can be written: the values of its bars that are placed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Bars, Ints, bars_by_clock, columns_as_used
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.columns import BarColumn, BarGroups, BenchmarkBars, Recipe, columns_of
from weekly_cli.compute.features import CrossFeature, Step
from weekly_cli.compute.features.cross import placed_features
from weekly_cli.compute.panel import symbol_groups
from weekly_cli.files import output_file
from weekly_cli.names import PRICE_ROLES
from weekly_cli.run.benchmark_file import read_benchmarks
from weekly_cli.run.place_files import CODE, OPTIONS, PERIOD, panel_path
from weekly_cli.run.resources import peak_bytes
from weekly_cli.run.rows import sorted_rows
from weekly_cli.run.task import Job, Outcome, Task, treated_prices


@dataclass(frozen=True)
class PanelTask:
    """Writes the panels of a task: a file for each clock, with a row group for each range of periods.

    Attributes
    ----------
    cuts : mapping of clock to tuple of int
        The periods at which ranges begin, but for the first one.
    """

    cuts: Mapping[str, tuple[int, ...]]

    def __call__(self, task: Task) -> Outcome:
        """Write them.

        Raises
        ------
        InputRefused
            If the rows can't be read.
        """
        started_at, cpu = time.monotonic(), time.process_time()
        job, recipe = task.job, recipe_of_placed(task.job)
        roles = _roles(job, recipe)
        names = [job.schema.roles[role] for role in ("date", *roles)]
        rows = sorted_rows(task, list(dict.fromkeys(names if job.price is None else [*names, job.price])))
        if job.refuses(rows.repeats):
            return Outcome(task.number, repeats=rows.repeats)
        raw, adjusted, _ = treated_prices(rows, job, roles)
        used = columns_as_used(raw, adjusted)
        of_clocks = bars_by_clock(rows.codes, rows.days, used, recipe.used)
        n_daily, repeats = len(rows.codes), rows.repeats
        del rows, raw, adjusted, used
        benchmarks, first_code = read_benchmarks(task), task.span[0]
        for clock in recipe.used:
            bars = of_clocks[clock.every]
            columns = values_of_bars(bars, clock, len(task.symbols), recipe, benchmarks)
            with output_file.ParquetOutput(panel_path(task.part, clock.every), _schema(columns), **OPTIONS) as output:
                for of_range in _ranges(bars.periods, self.cuts[clock.every]):
                    output.write(_table(bars, columns, of_range, first_code))
                output.close(durable=False)
        if job.low_memory:
            pa.default_memory_pool().release_unused()
        return Outcome(
            number=task.number,
            part=task.part,
            daily_rows=n_daily,
            symbols=len(task.symbols),
            bars=sum(len(bars.codes) for bars in of_clocks.values()),
            cpu_seconds=time.process_time() - cpu,
            process=os.getpid(),
            started_at=started_at,
            ended_at=time.monotonic(),
            retries=task.retries,
            peak_bytes=peak_bytes(),
            repeats=repeats,
        )


def recipe_of_placed(job: Job) -> Recipe:
    """Return which columns are placed among those of all symbols, and how they are computed."""
    recipe = job.recipe()
    crosses = (feature for feature in recipe.features if isinstance(feature, CrossFeature))
    return Recipe(placed_features(crosses), recipe.steps, recipe.clocks, recipe.dtype)


def values_of_bars(
    bars: Bars, clock: SymbolClocks, n_symbols: int, recipe: Recipe, benchmarks: BenchmarkBars
) -> list[BarColumn]:
    """Return the columns that are placed, for all bars of a clock: as they are stored, NaN where they are missing."""
    groups = BarGroups(clock, bars, n_symbols)
    parts = [
        columns_of(groups.of_symbols(first, stop), recipe, benchmarks)[0]
        for first, stop in symbol_groups(np.bincount(bars.codes, minlength=n_symbols))
    ]
    return [_joined(columns) for columns in zip(*parts, strict=True)]


def _joined(parts: Sequence[BarColumn]) -> BarColumn:
    """Return the columns of one block after the other as one."""
    values = []
    for part in parts:
        floating = part.values if np.issubdtype(part.values.dtype, np.floating) else part.values.astype(np.float64)
        values.append(
            floating if part.missing is None else np.where(part.missing, floating.dtype.type(np.nan), floating)
        )
    joined = np.concatenate(values)
    return BarColumn(parts[0].name, pa.float32() if joined.dtype == np.float32 else pa.float64(), joined, None)


def _schema(columns: Iterable[BarColumn]) -> pa.Schema:
    keys = [pa.field(name, pa.int32(), nullable=False) for name in (CODE, PERIOD)]
    return pa.schema([*keys, *(pa.field(one.name, one.kind) for one in columns)])


def _table(bars: Bars, columns: Sequence[BarColumn], rows: Ints, first_code: int) -> pa.Table:
    keys = [(bars.codes[rows] + first_code).astype(np.int32), bars.periods[rows].astype(np.int32)]
    arrays = [from_numpy(one) for one in (*keys, *(column.values[rows] for column in columns))]
    return pa.table(arrays, schema=_schema(columns))


def _ranges(periods: Ints, cuts: Sequence[int]) -> Iterable[Ints]:
    """Yield the bars of each range of periods that has some, in their order."""
    numbers = np.searchsorted(np.array(cuts, np.int64), periods, "right")
    for number in np.unique(numbers).tolist():
        yield np.flatnonzero(numbers == number)


def _roles(job: Job, recipe: Recipe) -> list[str]:
    """Return the prices, and the volume, that the columns are made of; or all where these make rows."""
    there = [role for role in (*PRICE_ROLES, "volume") if role in job.schema.roles]
    if job.on_intraday == "aggregate" or job.treatment.drop_padding:
        return there
    taken = _inputs((feature.name for feature in recipe.features), recipe.steps) | {"close"}
    return [role for role in there if role in taken]


def _inputs(names: Iterable[str], steps: Mapping[str, Step]) -> set[str]:
    """Return what columns are made of, steps and given panels alike."""
    found, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += steps[name].inputs if name in steps else ()
    return found
