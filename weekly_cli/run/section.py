"""A cross section: what is placed, among whom, and the places of values; in memory, or range by range as files are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.bars import Bars, Ints
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.columns import BarColumn, BenchmarkBars, PlacedBars, Recipe, bar_keys
from weekly_cli.compute.cross_section import placed
from weekly_cli.compute.features import CrossFeature
from weekly_cli.dataset.source import Chunk
from weekly_cli.run.panels import values_of_bars
from weekly_cli.run.sectors import values_of_symbols
from weekly_cli.run.universe import Memberships, group_numbers
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config


@dataclass(frozen=True)
class CrossSection:
    """What is placed, and among whom.

    Attributes
    ----------
    features : sequence of CrossFeature
    groups : mapping of column to int64[symbols]
        The number of each symbol's group, -1: none; by the names in `by`.
    memberships : Memberships or None
        None: everybody takes part, always.
    least : int
        Groups of fewer values have no places.
    """

    features: Sequence[CrossFeature]
    groups: Mapping[str, Ints]
    memberships: Memberships | None
    least: int

    def groups_of(self, feature: CrossFeature, codes: Ints, periods: Ints, clock: SymbolClocks) -> Ints:
        """Return the number of each bar's group, -1: it does not take part."""
        groups = self.groups[feature.by][codes] if feature.by else np.zeros(len(codes), np.int64)
        if self.memberships is not None:
            groups = np.where(self.memberships.at(codes, clock.end(codes, periods)), groups, -1)
        return groups

    def places(
        self, feature: CrossFeature, values: NDArray[np.floating], codes: Ints, periods: Ints, clock: SymbolClocks
    ) -> NDArray[np.floating]:
        """Return the places of all bars of some periods, in the type of their values."""
        groups = self.groups_of(feature, codes, periods, clock)
        return placed(values, periods, groups, feature.how, self.least).astype(values.dtype)


def section_of(
    config: Config, wanted: Wanted, symbols: pa.Array, chunks: Callable[[list[str]], Iterable[Chunk]], where: str
) -> CrossSection:
    """Return the cross section that the settings ask for.

    Parameters
    ----------
    config : Config
    wanted : Wanted
    symbols : pa.Array
        All that take part.
    chunks : callable
        Returns their rows with some columns, where columns tell groups.
    where : str
        The rows in messages.

    Raises
    ------
    InputRefused
        If a symbol has two groups.
    """
    memberships = None if wanted.universe is None else wanted.universe.of(symbols)
    return CrossSection(wanted.crosses, _groups(config, wanted, symbols, chunks, where), memberships, config.min_group)


def _groups(
    config: Config, wanted: Wanted, symbols: pa.Array, chunks: Callable[[list[str]], Iterable[Chunk]], where: str
) -> dict[str, Ints]:
    """Return the number of each symbol's group by the name in `by`, -1: none."""
    used = dict.fromkeys(one.by for one in wanted.crosses if one.by)
    columns = {by: column for by, column in config.group_columns.items() if by in used}
    found: dict[str, Ints] = {}
    if columns:
        read = list(dict.fromkeys(columns.values()))
        settings = {by: f"{config.named('cross_section')} by {by}" for by in columns}
        table = values_of_symbols(lambda: chunks(read), symbols, columns, settings, where)
        found = {by: group_numbers(table.column(by).combine_chunks()) for by in columns}
    of_map = [by for by in used if by not in columns]
    if of_map and wanted.sector_map is not None:
        listed = wanted.sector_map.column("symbol").combine_chunks().cast(symbols.type)
        entries = pc.index_in(symbols, value_set=listed)
        found |= {by: group_numbers(wanted.sector_map.column(by).combine_chunks().take(entries)) for by in of_map}
    return found


class Panels:
    """The values that are placed, of all symbols' bars in memory.

    Parameters
    ----------
    recipe : Recipe
        The columns that are placed, as `panels.recipe_of_placed` has them.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._parts: dict[str, list[tuple[Ints, Ints, list[BarColumn]]]] = {one.every: [] for one in recipe.used}

    def add(self, bars: Mapping[str, Bars], first_code: int, n_symbols: int, benchmarks: BenchmarkBars) -> None:
        """Add the bars of the next symbols, by clock."""
        for clock in self._recipe.used:
            of_clock = bars[clock.every]
            columns = values_of_bars(of_clock, clock, n_symbols, self._recipe, benchmarks)
            self._parts[clock.every].append((of_clock.codes + first_code, of_clock.periods, columns))

    def of_clock(self, every: str) -> tuple[Ints, Ints, dict[str, NDArray[np.floating]]]:
        """Return the symbols and the periods of all bars of a clock, and the values by the columns' names."""
        parts = self._parts[every]
        codes, periods = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
        columns = zip(*(part[2] for part in parts), strict=True)
        return codes, periods, {one[0].name: np.concatenate([part.values for part in one]) for one in columns}

    def places(self, section: CrossSection) -> dict[str, PlacedBars]:
        """Return the places of all bars, by clock."""
        found = {}
        for clock in self._recipe.used:
            codes, periods, values = self.of_clock(clock.every)
            of_clock = [one for one in section.features if one.every == clock.every]
            columns = {
                one.name: section.places(one, values[one.placed.name], codes, periods, clock) for one in of_clock
            }
            found[clock.every] = PlacedBars(bar_keys(codes, periods), columns)
        return found
