"""Where bars of a finished output stand among those of all its symbols, computed again from its own daily rows.

The values that are placed are in memory at once, of all bars: some bytes for each bar and column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from weekly_cli.compute.bars import Floats, Ints, bars_by_clock
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.columns import BenchmarkBars, PlacedBars, Recipe
from weekly_cli.compute.features import CrossFeature
from weekly_cli.compute.features.cross import RANK, placed_features
from weekly_cli.dataset.schema import as_text
from weekly_cli.dataset.source import Chunk
from weekly_cli.errors import InputRefused
from weekly_cli.names import PERIODS
from weekly_cli.questions.built import Built
from weekly_cli.questions.daily_prices import benchmarks_of, price_columns, used_prices
from weekly_cli.questions.histories import histories
from weekly_cli.questions.sectors import chunks_of
from weekly_cli.questions.workings import Term, Working, number
from weekly_cli.run.benchmark_file import numbers_for
from weekly_cli.run.clocks import bound
from weekly_cli.run.comparisons import compare
from weekly_cli.run.section import CrossSection, Panels, section_of
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config

#: How many symbols are named on each side of a value.
_NEIGHBOURS = 2


@dataclass(frozen=True)
class AllBars:
    """The values of all symbols' bars that are placed, and among whom.

    Attributes
    ----------
    symbols : pa.Array
    section : CrossSection
    panels : Panels
    """

    symbols: pa.Array
    section: CrossSection
    panels: Panels

    def places_of(self, selected: Ints) -> dict[str, PlacedBars]:
        """Return the places of some symbols' bars by clock, the symbols numbered in the order of `selected`."""
        numbers = np.full(len(self.symbols), -1)
        numbers[selected] = np.arange(len(selected))
        return {every: places.renumbered(numbers) for every, places in self.panels.places(self.section).items()}


def all_bars(
    built: Built, config: Config, wanted: Wanted, symbols: pa.Array, clocks: Sequence[SymbolClocks]
) -> AllBars:
    """Return the bars of all symbols of an output.

    Parameters
    ----------
    built : Built
    config : Config
        With the columns that are placed.
    wanted : Wanted
    symbols : pa.Array
        All symbols of the output.
    clocks : sequence of SymbolClocks
        Those of any symbols: who is placed among all symbols has their clock.

    Raises
    ------
    InputRefused
        If it has not all symbols of its input, or lacks a column.
    """
    some = next((name for name in ("symbols", "max_symbols") if getattr(built.config, name) is not None), None)
    if some is not None:
        raise InputRefused(
            f"{built.name} was built with --{some.replace('_', '-')}: it lacks the symbols among which "
            f"{wanted.crosses[0].name} is placed"
        )
    for by, name in config.group_columns.items():
        if name not in built.schema.names:
            raise InputRefused(
                f"{built.name} lacks the column {name!r} of its --cross-section by {by}, which --columns-out left out"
            )
    clocks = bound(clocks, None)
    panels = Panels(Recipe(placed_features(wanted.crosses), wanted.steps, clocks, config.dtype))
    compared = compare(config, wanted, symbols, np.arange(len(symbols)), built.name)
    closes = benchmarks_of(built, symbols, compared, clocks)
    first = 0
    for rows in histories(built, price_columns(built)):
        bars = bars_by_clock(rows.codes, rows.days, used_prices(built, rows), clocks)
        stop = first + len(rows.symbols)
        numbers = {name: numbers_for(of_all[first:stop], clocks[0]) for name, of_all in compared.numbers.items()}
        panels.add(bars, first, stop - first, BenchmarkBars(closes, numbers))
        first = stop

    def chunks(columns: list[str]) -> Iterator[Chunk]:
        return chunks_of(built, symbols, columns)

    return AllBars(symbols, section_of(config, wanted, symbols, chunks, built.name), panels)


@dataclass(frozen=True)
class Place:
    """Where a bar stands.

    Attributes
    ----------
    value : float
        As its column stores it; NaN: it has none.
    workings : tuple of Working
    note : str
        Among how many of which bars it stands, and between which.
    null : str
        Why it has no place; empty if it has one.
    """

    value: float
    workings: tuple[Working, ...]
    note: str
    null: str


def place_of(bars: AllBars, feature: CrossFeature, symbol: str, clock: SymbolClocks, period: int) -> Place:
    """Return where a symbol's bar of a period stands among those of all symbols."""
    codes, periods, values = bars.panels.of_clock(clock.every)
    here = np.flatnonzero(periods == period)
    codes, of_bars = codes[here], values[feature.placed.name][here]
    names = [as_text(bars.symbols[int(code)]) for code in codes]
    own = names.index(symbol)
    groups = bars.section.groups_of(feature, codes, periods[here], clock)
    place = float(bars.section.places(feature, of_bars, codes, periods[here], clock)[own])
    value = float(of_bars[own])
    group = f" of its {feature.by}" if feature.by else ""
    if np.isnan(value):
        return Place(place, (), "", f"{feature.placed.name} is null")
    if groups[own] < 0:
        days = clock.end(codes, periods[here])
        is_member = bars.section.memberships is None or bars.section.memberships.at(codes, days)[own]
        null = f"{symbol} has no {feature.by}" if is_member else f"{symbol} is no member of the universe on that day"
        return Place(place, (), "", null)
    others = np.flatnonzero((groups == groups[own]) & ~np.isnan(of_bars))
    section = of_bars[others].astype(np.float64)
    noun = PERIODS[clock.every].noun
    counted = f"{feature.placed.name} is {number(value, 6)}; of {len(codes):,} bars of that {noun}, "
    counted += f"{len(others):,}{group} have a value and take part"
    if len(others) < bars.section.least:
        return Place(place, (), counted, f"its group has {len(others):,} values, fewer than {bars.section.least}")
    if feature.how == RANK:
        below, equal = int((section < value).sum()), int((section == value).sum())
        terms = [("smaller values", float(below)), ("equal values", float(equal)), ("all values", float(len(others)))]
        template = "({0} + ({1} + 1) / 2) / {2}"
    else:
        terms = [
            (feature.placed.name, value),
            ("their mean", float(section.mean())),
            ("their std", float(section.std(ddof=1))),
        ]
        template = "({0} - {1}) / {2}"
    line = Working(
        feature.name, template, tuple(Term(name, feature.placed.name, (), (one,)) for name, one in terms), place
    )
    null = "all values are equal" if np.isnan(place) else ""
    note = f"{counted}; {_between(value, [names[one] for one in others], section, symbol)}"
    return Place(place, () if null else (line,), note, null)


def _between(value: float, names: Sequence[str], section: Floats, own: str) -> str:
    """Return in words which symbols have the next values."""
    order = sorted(range(len(names)), key=lambda at: (section[at], names[at]))
    listed = {
        "below": [at for at in order if section[at] < value][-_NEIGHBOURS:],
        "equal": [at for at in order if section[at] == value and names[at] != own][:_NEIGHBOURS],
        "above": [at for at in order if section[at] > value][:_NEIGHBOURS],
    }
    said = [
        f"{where} {', '.join(f'{names[at]} ({number(float(section[at]), 6)})' for at in some)}"
        for where, some in listed.items()
        if some
    ]
    return "next to it " + "; ".join(said) if said else "nothing is next to it"
