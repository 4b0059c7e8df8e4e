"""Weekly columns computed from the daily rows of an output, by the code and the settings that have built it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints, bars_by_clock
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.columns import BenchmarkBars, KeyedCloses, PlacedBars, Recipe, arrow_type
from weekly_cli.compute.features import CrossFeature, catalogue
from weekly_cli.compute.running import running_before
from weekly_cli.compute.spans import blocks
from weekly_cli.errors import InputRefused, WeeklyError
from weekly_cli.names import SECTOR_COLUMNS
from weekly_cli.questions.built import Built
from weekly_cli.questions.daily_prices import benchmarks_of, used_prices
from weekly_cli.questions.histories import Histories
from weekly_cli.questions.placed import AllBars, all_bars
from weekly_cli.questions.sectors import sectors_of_output
from weekly_cli.run.benchmark_file import numbers_for
from weekly_cli.run.comparisons import Comparisons, compare
from weekly_cli.run.wanted import Wanted, wanted_by
from weekly_cli.settings import Config


@dataclass(frozen=True)
class Recomputation:
    """What computes weekly columns of an output again.

    Attributes
    ----------
    built : Built
    recipe : Recipe
        Its clocks are those of the build, of the symbols of `numbers`.
    benchmarks : mapping of clock to KeyedCloses
        The keys and the closes of the benchmarks' bars.
    numbers : mapping of benchmark name to int64[symbols]
        The number of each symbol's benchmark; -1: none.
    places : mapping of clock to PlacedBars
        Where the bars of these symbols stand among those of all symbols.
    """

    built: Built
    recipe: Recipe
    benchmarks: Mapping[str, KeyedCloses]
    numbers: Mapping[str, Ints]
    places: Mapping[str, PlacedBars]

    def columns(self, rows: Histories, first: int, codes: Ints, days: Ints, *, of_output: bool = False) -> pa.Table:
        """Return the weekly columns that some symbols see on some days.

        Parameters
        ----------
        rows : Histories
            With the columns that `price_columns` names.
        first : int
            The position of its first symbol among those of `numbers`.
        codes, days : int64[n]
            The symbols, by their position in `rows`, and the days; ascending.
        of_output : bool
            Whether they see what a row of the output sees on the day, and not what is known before the day.
        """
        used, n_symbols = used_prices(self.built, rows), len(rows.symbols)
        here = slice(first, first + n_symbols)
        clocks = tuple(
            clock if clock.of_symbol is None else replace(clock, of_symbol=clock.of_symbol[here])
            for clock in (self.recipe.clocks if of_output else map(before_session, self.recipe.clocks))
        )
        bars = bars_by_clock(rows.codes, rows.days, used, clocks)
        running = (
            running_before(codes, days, (rows.codes, rows.days, used), clocks[0]) if self.recipe.has_rows else None
        )
        compared = {name: numbers_for(numbers[here], clocks[0]) for name, numbers in self.numbers.items()}
        places = {every: of_all.of_symbols(first, first + n_symbols) for every, of_all in self.places.items()}
        benchmarks = BenchmarkBars(self.benchmarks, compared, places)
        computed = blocks(bars, codes, days, n_symbols, replace(self.recipe, clocks=clocks), benchmarks, running)
        schema = pa.schema([(one.name, arrow_type(one, self.recipe.dtype)) for one in self.recipe.features])
        return pa.Table.from_batches([pa.record_batch(block.arrays(), schema=schema) for block in computed], schema)


def before_session(clock: SymbolClocks) -> SymbolClocks:
    """Return a clock by which a bar is seen from the day after its period on: what is known before a session."""
    return replace(clock, distinct=tuple(replace(one, available="next-week", sessions=None) for one in clock.distinct))


def recomputation(
    built: Built,
    names: Sequence[str],
    symbols: tuple[pa.Array, Ints],
    sector_map: str | None,
    clocks: tuple[SymbolClocks, ...],
) -> Recomputation:
    """Return what computes the weekly columns `names`.

    Parameters
    ----------
    built : Built
    names : sequence of str
    symbols : (pa.Array, int64[symbols])
        All symbols of the output, and the positions among them of those for which it computes.
    sector_map : str or None
        Where the sector map is, if not where the build has read it.
    clocks : tuple of SymbolClocks
        Those of the symbols for which it computes.

    Raises
    ------
    InputRefused
        If the output's rows and the sector map do not suffice.
    """
    config, wanted, compared = _asked(built, names, symbols, sector_map)
    recipe = Recipe(wanted.features, wanted.steps, clocks, config.dtype)
    places = {}
    if wanted.crosses:
        places = all_bars(built, config, wanted, symbols[0], clocks).places_of(symbols[1])
    closes = benchmarks_of(built, symbols[0], compared, clocks)
    return Recomputation(built, recipe, closes, compared.numbers, places)


def bars_of_columns(built: Built, names: Sequence[str], symbols: pa.Array, clocks: tuple[SymbolClocks, ...]) -> AllBars:
    """Return what the columns `names` place: the bars of all symbols of an output.

    Raises
    ------
    InputRefused
        If the output's rows and the sector map do not suffice.
    """
    config, wanted, _ = _asked(built, names, (symbols, np.arange(len(symbols))), None)
    return all_bars(built, config, wanted, symbols, clocks)


def _asked(
    built: Built, names: Sequence[str], symbols: tuple[pa.Array, Ints], sector_map: str | None
) -> tuple[Config, Wanted, Comparisons]:
    """Return the settings of the build for some of its columns, what they ask for, and whom they compare."""
    every = ("week", *(one for one in built.config.every if one != "week"))
    known = built.catalogue.features
    crosses = [one for one in known if isinstance(one, CrossFeature) and one.name in names]
    taken = {*names, *(one.placed.name for one in crosses)}
    comparing = sorted(taken & {one.name for one in known if one.family == "relative"})
    of_sectors = catalogue(SECTOR_COLUMNS, built.config.windows, every=every).features
    sectors = {one.name for one in of_sectors if one.family == "relative"}
    of_map = bool(sectors.intersection(comparing) or any(one.by for one in crosses))
    config = replace(
        built.config,
        features=",".join(names),
        every=every,
        calendar=None,
        calendar_map=None,
        cross_section=tuple(one.text for one in crosses),
        benchmark=built.config.benchmark if comparing else (),
        sector_map=(sector_map or built.config.sector_map) if of_map else None,
    )
    try:
        of_whom = symbols[0] if crosses else symbols[0].take(from_numpy(symbols[1]))
        wanted = wanted_by(config, sectors_of_output(built, config, of_whom))
        return config, wanted, compare(config, wanted, *symbols, built.name)
    except WeeklyError as error:
        needing = [*comparing, *(one.name for one in crosses)]
        families = "-relative,-cross" if crosses else "-relative"
        raise InputRefused(
            f"{', '.join(needing[:2])}{', ...' if len(needing) > 2 else ''} of {built.name} can't be computed for "
            f"its next session: {error}; put it back, or leave the columns out with --features all,{families}"
        ) from error
