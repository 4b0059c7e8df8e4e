"""The stage between partition and fan-out that places every bar among those of all symbols.

Three passes, none of which holds more than a range of periods of all symbols: tasks write the values of their bars, a
row group for each range; each range is read from all tasks, and its places are computed and written; and the tasks of
the fan-out read the places of their own symbols.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.files import disk, output_file, parquet
from weekly_cli.files.locations import location
from weekly_cli.run.engines import Engine
from weekly_cli.run.panels import PanelTask
from weekly_cli.run.part_names import part_span
from weekly_cli.run.place_files import CODE, OPTIONS, PERIOD, extremes, panel_path
from weekly_cli.run.plan import Plan
from weekly_cli.run.retry import TaskRetrier
from weekly_cli.run.section import CrossSection
from weekly_cli.run.stages import Stages
from weekly_cli.run.task import Job, Outcome, Task

STAGE = "cross section"
#: Of so many ranges as are held at once, a file of a task has a row group each: they are of unlike sizes, as symbols
#: come and go.
_RANGES_AT_ONCE = 4
#: Rows of a row group of places: whoever reads those of one symbol reads so many.
_ROWS = 32 * 1024


def panel_cuts(clock: SymbolClocks, days: tuple[int, int], bars: int, at_once: int) -> tuple[int, ...]:
    """Return the periods at which ranges begin, but for the first one.

    Parameters
    ----------
    clock : SymbolClocks
    days : (int, int)
        The first and the last day of the input.
    bars : int
        How many bars there may be.
    at_once : int
        How many may be held at a time.
    """
    if bars <= at_once:
        return ()
    first, last = (clock.distinct[0].period(day) for day in days)
    ranges = min(-(-_RANGES_AT_ONCE * bars // at_once), last - first + 1)
    return tuple(np.unique(np.linspace(first, last + 1, ranges + 1).astype(int)).tolist()[1:-1])


def write_panels(
    tasks: Sequence[Task], cuts: Mapping[str, tuple[int, ...]], engine: Engine, plan: Plan, stages: Stages
) -> list[Outcome]:
    """Run the first pass of the tasks, and return what became of them, in the order of their symbols."""
    outcomes: list[Outcome] = []
    rows = symbols = 0
    stages.progress(STAGE, 0, plan.rows, 0, len(plan.selected))
    retrier = TaskRetrier(engine, PanelTask(cuts), stages.tell)
    with contextlib.closing(retrier.outcomes(tasks)) as running:
        for outcome in running:
            outcomes.append(outcome)
            rows, symbols = rows + outcome.daily_rows, symbols + outcome.symbols
            stages.progress(STAGE, rows, plan.rows, symbols, len(plan.selected))
    return sorted(outcomes, key=lambda outcome: part_span(outcome.part) if outcome.part else (-1, -1))


def write_places(
    parts: Sequence[str],
    cuts: Mapping[str, tuple[int, ...]],
    job: Job,
    section: CrossSection,
    selected: Ints | None,
    bars_at_once: int,
    address: Callable[[str], str],
) -> dict[str, tuple[str, ...]]:
    """Run the second pass; return the files of places by clock.

    Parameters
    ----------
    parts : sequence of str
        Those to which panels belong, in the order of their symbols.
    cuts : mapping of clock to tuple of int
        As the first pass had them.
    job : Job
    section : CrossSection
    selected : int64[symbols] or None
        The number of each symbol among those that are written, -1: it is not; None: all are.
    bars_at_once : int
    address : callable
        Returns the path of the file with this name.
    """
    clocks = {clock.every: clock for clock in job.clocks}
    found: dict[str, list[str]] = {}
    for every in dict.fromkeys(feature.every for feature in section.features):
        for number, table in enumerate(panel_tables(parts, every, cuts[every], bars_at_once)):
            found.setdefault(every, []).append(address(f"placed-{every}-{number:05d}.parquet"))
            _place(table, clocks[every], section, selected, found[every][-1])
            del table
    return {every: tuple(files) for every, files in found.items()}


def panel_tables(parts: Sequence[str], every: str, cuts: Sequence[int], at_once: int) -> Iterator[pa.Table]:
    """Yield the values of all symbols' bars of a clock, of as many periods as may be held; once at least."""
    panels = [str(panel_path(part, every)) for part in parts]
    for groups in _joined(_ranges(panels, cuts), at_once):
        yield pa.concat_tables(_read(panels, groups))


def _place(table: pa.Table, clock: SymbolClocks, section: CrossSection, selected: Ints | None, path: str) -> None:
    """Write the places of all bars of some periods."""
    codes, periods = (to_numpy(table.column(name)).astype(np.int64) for name in (CODE, PERIOD))
    places = {
        one.name: section.places(one, to_numpy(table.column(one.placed.name)), codes, periods, clock)
        for one in section.features
        if one.every == clock.every
    }
    _write(path, codes, periods, places, selected)


@dataclass(frozen=True)
class _Group:
    """A row group of a panel."""

    panel: int
    number: int
    rows: int


def _ranges(panels: Sequence[str], cuts: Sequence[int]) -> list[list[_Group]]:
    """Return the row groups of each range of periods."""
    of_ranges: list[list[_Group]] = [[] for _ in range(len(cuts) + 1)]
    for place, path in enumerate(panels):
        file = parquet.open_own(path)
        for number, low, _ in extremes(file, PERIOD):
            of_range = int(np.searchsorted(cuts, low, "right"))
            of_ranges[of_range].append(_Group(place, number, file.metadata.row_group(number).num_rows))
    return of_ranges


def _joined(ranges: Sequence[list[_Group]], at_once: int) -> Iterator[list[_Group]]:
    """Yield the row groups of as many ranges at a time as may be held; once at least."""
    waiting: list[_Group] = []
    for groups in ranges:
        if waiting and sum(one.rows for one in (*waiting, *groups)) > at_once:
            yield waiting
            waiting = []
        waiting += groups
    yield waiting


def _read(panels: Sequence[str], groups: Sequence[_Group]) -> Iterator[pa.Table]:
    """Yield row groups, those of a panel together; without any, no rows of the first panel."""
    numbers: dict[int, list[int]] = {0: []}
    for group in groups:
        numbers.setdefault(group.panel, []).append(group.number)
    for panel, of_panel in sorted(numbers.items()):
        file = parquet.open_own(panels[panel])
        with disk.reading(panels[panel]):
            yield file.read_row_groups(of_panel, use_threads=False)


def _write(
    path: str, codes: Ints, periods: Ints, places: Mapping[str, NDArray[np.floating]], selected: Ints | None
) -> None:
    """Write the places of the bars of symbols that are written, in the order of the symbols."""
    if selected is not None:
        codes = selected[codes]
    order = np.argsort(codes, kind="stable")
    order = order[np.searchsorted(codes[order], 0) :]
    keys = {CODE: codes.astype(np.int32), PERIOD: periods.astype(np.int32)}
    table = pa.table({name: from_numpy(column[order]) for name, column in {**keys, **places}.items()})
    with output_file.ParquetOutput(location(path), table.schema, **OPTIONS) as output:
        if table.num_rows:
            output.write(table, _ROWS)
        output.close(durable=False)
