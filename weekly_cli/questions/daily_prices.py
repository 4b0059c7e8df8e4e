"""Daily prices of an output as its bars take them, for all symbols, and the bars of those that are compared with."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from weekly_cli.compute.bars import UsedColumns, closes_by_clock, columns_as_used
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.columns import KeyedCloses
from weekly_cli.compute.treatment import Treatment, treated
from weekly_cli.dataset.schema import as_text, prices
from weekly_cli.errors import InputRefused
from weekly_cli.names import PRICE_ROLES
from weekly_cli.questions.built import Built
from weekly_cli.questions.histories import Histories, histories
from weekly_cli.run.benchmark_file import keyed_closes, numbered
from weekly_cli.run.comparisons import Comparisons


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


def benchmarks_of(
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
            closes_by_clock(rows.codes, rows.days, used_prices(built, rows), clocks),
        )
    )


def used_prices(built: Built, rows: Histories) -> UsedColumns:
    """Return the prices of daily rows as bars take them, with the settings of the build."""
    config = built.config
    raw = {
        role: prices(rows.table.column(name)) for role, name in built.roles.items() if role in (*PRICE_ROLES, "volume")
    }
    adjusted = None if config.price is None else prices(rows.table.column(config.price))
    treatment = Treatment(config.negative_prices, config.drop_padding, config.adjust_volume)
    raw, adjusted, _ = treated(rows.codes, raw, adjusted, treatment)
    return columns_as_used(raw, adjusted)
