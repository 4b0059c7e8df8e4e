"""The symbol that each symbol is compared with, and the benchmarks' weekly bars as a file that workers read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.bars import Bars, Ints
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.selection import find_symbol, pieces_of
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.files.locations import location
from weekly_cli.names import benchmark_name
from weekly_cli.run.benchmark_file import keyed_closes, numbered, write_benchmarks
from weekly_cli.run.partition import Fragments
from weekly_cli.run.plan import Plan
from weekly_cli.run.task import Job, Task, closes_of_bars
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config


@dataclass(frozen=True)
class Comparisons:
    """What the relative family compares.

    Attributes
    ----------
    names : tuple of str
        What replaces `{b}` in the column names, in their order.
    symbols : tuple of int
        The benchmarks' positions among the scan's symbols; a benchmark's number is its index here.
    numbers : mapping of name to int64[selected symbols]
        The number of each selected symbol's benchmark; -1: none.
    """

    names: tuple[str, ...]
    symbols: tuple[int, ...]
    numbers: Mapping[str, Ints]

    def of(self, first: int, stop: int) -> dict[str, tuple[int, ...]]:
        """Return the numbers for a range of selected symbols."""
        return {name: tuple(numbers[first:stop].tolist()) for name, numbers in self.numbers.items()}


def compare(config: Config, wanted: Wanted, symbols: pa.Array, selected: Ints, where: str) -> Comparisons:
    """Return the comparisons that the wanted features need for the `selected` symbols out of all `symbols`.

    Raises
    ------
    InputRefused
        If the input lacks a benchmark.
    """
    if not wanted.compares:
        return Comparisons((), (), {})
    known: dict[int, int] = {}
    numbers: dict[str, Ints] = {}
    for symbol in config.benchmark:
        number = known.setdefault(find_symbol(symbols, symbol, config.named("benchmark"), where), len(known))
        numbers[benchmark_name(symbol)] = np.full(len(selected), number)
    sector_map = wanted.sector_map
    if sector_map is not None:
        listed = _as_symbols(sector_map.column("symbol"), symbols.type)
        entries = pc.index_in(symbols.take(from_numpy(selected)), value_set=listed)
        for name in sector_map.column_names[1:]:
            mapped = sector_map.column(name).combine_chunks().take(entries)
            column = config.sector_columns.get(name)
            of = f"column {name}" if column is None else f"@{column}"
            setting = f"{config.named('sector_map')} {of}:"
            find = partial(find_symbol, symbols, setting=setting, where=where)
            numbers[name] = _numbers(mapped, find, known)
    return Comparisons(wanted.comparisons, tuple(known), numbers)


def _as_symbols(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    try:
        return column.combine_chunks().cast(kind)
    except pa.ArrowInvalid as error:
        raise UsageError(f"--sector-map: its symbols are not the {kind} of the input: {error}") from error


def _numbers(mapped: pa.Array, find: Callable[[str], int], known: dict[int, int]) -> Ints:
    """Return the number of each symbol's benchmark; new benchmarks get the next numbers."""
    encoded = mapped.dictionary_encode()
    of_entry = [known.setdefault(find(symbol), len(known)) for symbol in encoded.dictionary.to_pylist()]
    numbers: Ints = np.array([*of_entry, -1])[to_numpy(encoded.indices, -1)]
    return numbers


def write_benchmark_file(scan: Scan, plan: Plan, comparisons: Comparisons, tasks: Sequence[Task], job: Job) -> None:
    """Compute the closes of the benchmarks' bars, once, and write them where workers read them.

    Raises
    ------
    InputRefused
        If a benchmark has several rows on one day and the job does not say which one to use.
    """
    bars = _benchmark_bars(scan, plan, np.array(comparisons.symbols), tasks, job)
    write_benchmarks(keyed_closes(bars), location(str(job.benchmark_file)))


def _benchmark_bars(
    scan: Scan, plan: Plan, benchmarks: Ints, tasks: Sequence[Task], job: Job
) -> Iterator[tuple[Ints, Mapping[str, Bars]]]:
    """Yield (benchmark's number by code, bars by clock): from the bundles if they contain them, else from the input.

    A benchmark has a number for each of the distinct clocks.
    """
    place = np.searchsorted(plan.selected, benchmarks)
    selected = np.append(plan.selected, -1)[place] == benchmarks
    bundled = selected & plan.partition
    for planned, task in zip(plan.tasks, tasks, strict=True):
        in_task = np.flatnonzero(bundled & (place >= planned.first) & (place < planned.stop))
        if len(in_task):
            in_task = in_task[np.argsort(place[in_task])]
            codes = tuple((place[in_task] - planned.first).tolist())
            bars, _ = closes_of_bars(_task(scan, job, benchmarks[in_task], codes, task.fragments))
            yield from numbered(in_task, bars)
    rest = np.flatnonzero(~bundled)
    if len(rest):
        rest = rest[np.argsort(benchmarks[rest])]
        bars, repeats = closes_of_bars(_task(scan, job, benchmarks[rest], range(len(rest)), None))
        if job.refuses(repeats) and not selected[rest].all():
            remedy = "pass --on-intraday aggregate, or" if repeats.moments else "remove them, or pass"
            raise InputRefused(
                f"{repeats.surplus:,} rows of the benchmarks in {scan.footers.where} repeat a date; {remedy} "
                "--on-duplicates first or last"
            )
        yield from numbered(rest, bars)


def _task(scan: Scan, job: Job, benchmarks: Ints, codes: Sequence[int], fragments: Fragments | None) -> Task:
    return Task(
        number=-1,
        job=job,
        symbols=scan.symbols.take(from_numpy(benchmarks)),
        pieces=pieces_of(scan, benchmarks) if fragments is None else None,
        fragments=fragments,
        planned_codes=codes,
        part="",
        compared={},
    )
