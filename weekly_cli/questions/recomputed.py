"""Weekly columns computed from the daily rows of an output, by the code and the settings that have built it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints, UsedColumns, bars_by_clock, closes_by_clock, columns_as_used
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.columns import BenchmarkBars, KeyedCloses, Recipe, arrow_type
from weekly_cli.compute.features import CrossFeature, catalogue
from weekly_cli.compute.running import running_before
from weekly_cli.compute.spans import blocks
from weekly_cli.compute.treatment import Treatment, treated
from weekly_cli.dataset.schema import as_text, prices
from weekly_cli.errors import InputRefused, WeeklyError
from weekly_cli.names import PRICE_ROLES, SECTOR_COLUMNS
from weekly_cli.questions.built import Built
from weekly_cli.questions.histories import Histories, histories
from weekly_cli.questions.sectors import sectors_of_output
from weekly_cli.run.benchmark_file import keyed_closes, numbered, numbers_for
from weekly_cli.run.comparisons import Comparisons, compare
from weekly_cli.run.wanted import wanted_by


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
    """

    built: Built
    recipe: Recipe
    benchmarks: Mapping[str, KeyedCloses]
    numbers: Mapping[str, Ints]

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
        used, n_symbols = _used(self.built, rows), len(rows.symbols)
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
        benchmarks = BenchmarkBars(self.benchmarks, compared)
        computed = blocks(bars, codes, days, n_symbols, replace(self.recipe, clocks=clocks), benchmarks, running)
        schema = pa.schema([(one.name, arrow_type(one, self.recipe.dtype)) for one in self.recipe.features])
        return pa.Table.from_batches([pa.record_batch(block.arrays(), schema=schema) for block in computed], schema)


def before_session(clock: SymbolClocks) -> SymbolClocks:
    """Return a clock by which a bar is seen from the day after its period on: what is known before a session."""
    return replace(clock, distinct=tuple(replace(one, available="next-week", sessions=None) for one in clock.distinct))


def price_columns(built: Built) -> list[str]:
    """Return the columns of which an output's bars are made.

    Raises
    ------
    InputRefused
        If `--columns-out` has left out their close.
    """
    close = built.record["price"]
    if "close" in built.record.get("roles_left_out", ()) or close not in built.schema.names:
        raise InputRefused(
            f"{built.name} has no column {close}, of which the next session's bar would be made; build it with that in "
            "--columns-out"
        )
    columns = [name for role, name in built.roles.items() if role in (*PRICE_ROLES, "volume")]
    return list(dict.fromkeys([*columns, *([built.config.price] if built.config.price else [])]))


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
    crosses = [name for name in names if isinstance(built.catalogue.steps.get(name), CrossFeature)]
    if crosses:
        raise InputRefused(
            f"{crosses[0]} of {built.name} takes the bars of all symbols, and is not computed for a next session; "
            "leave it out with --features all,-cross"
        )
    every = ("week", *(one for one in built.config.every if one != "week"))
    config = replace(built.config, features=",".join(names), every=every, calendar=None, calendar_map=None)
    comparing = sorted(set(names) & {one.name for one in built.catalogue.features if one.family == "relative"})
    of_sectors = catalogue(SECTOR_COLUMNS, config.windows, every=every).features
    sectors = {one.name for one in of_sectors if one.family == "relative"}
    config = replace(
        config,
        benchmark=config.benchmark if comparing else (),
        sector_map=(sector_map or config.sector_map) if sectors.intersection(comparing) else None,
    )
    try:
        wanted = wanted_by(config, sectors_of_output(built, config, symbols[0].take(from_numpy(symbols[1]))))
        compared = compare(config, wanted, *symbols, built.name)
    except WeeklyError as error:
        raise InputRefused(
            f"{', '.join(comparing[:2])}{', ...' if len(comparing) > 2 else ''} of {built.name} can't be computed for "
            f"its next session: {error}; put it back, or leave the columns out with --features all,-relative"
        ) from error
    recipe = Recipe(wanted.features, wanted.steps, clocks, config.dtype)
    return Recomputation(built, recipe, _benchmarks(built, symbols[0], compared, clocks), compared.numbers)


def _benchmarks(
    built: Built, symbols: pa.Array, compared: Comparisons, clocks: tuple[SymbolClocks, ...]
) -> dict[str, KeyedCloses]:
    """Return the keys and the closes of the benchmarks' bars, by clock."""
    numbers = {as_text(symbols[at]): number for number, at in enumerate(compared.symbols)}
    every = histories(built, price_columns(built), list(numbers)) if numbers else ()
    return keyed_closes(
        of_one
        for rows in every
        for of_one in numbered(
            np.array([numbers[as_text(symbol)] for symbol in rows.symbols]),
            closes_by_clock(rows.codes, rows.days, _used(built, rows), clocks),
        )
    )


def _used(built: Built, rows: Histories) -> UsedColumns:
    config = built.config
    raw = {
        role: prices(rows.table.column(name)) for role, name in built.roles.items() if role in (*PRICE_ROLES, "volume")
    }
    adjusted = None if config.price is None else prices(rows.table.column(config.price))
    treatment = Treatment(config.negative_prices, config.drop_padding, config.adjust_volume)
    raw, adjusted, _ = treated(rows.codes, raw, adjusted, treatment)
    return columns_as_used(raw, adjusted)
