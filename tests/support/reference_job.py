"""The reference implementation with TA-Lib's functions where a column claims parity, and who is compared with whom."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from oracles import oracles

from weekly_cli.verify.reference import table as package
from weekly_cli.verify.reference.table import Market

SECTOR_COLUMNS = ("sector", "sector_equal_weight", "subsector")


def as_name(symbol: object) -> str:
    """{b} of a benchmark symbol.

    >>> as_name("BRK.B")
    'brk_b'
    """
    return re.sub("[^a-z0-9]", "_", str(symbol).lower())


def peers_of(symbols: list[Any], benchmarks: Sequence[Any], sector_map: pd.DataFrame | None) -> pd.DataFrame:
    """The symbol to compare with (NaN: none): a row a symbol, a column a name {b}."""
    peers = pd.DataFrame(index=pd.Index(symbols, dtype=object))
    columns = [(as_name(benchmark), benchmark) for benchmark in benchmarks]
    if sector_map is not None:
        # a symbol that the map does not list compares with nothing; one listed twice makes reindex raise
        by_symbol = sector_map.set_index("symbol").reindex(symbols)
        columns += [(name, by_symbol[name].to_numpy(object)) for name in SECTOR_COLUMNS if name in by_symbol]
    for name, peer in columns:
        if name in peers:
            raise ValueError(f"two benchmarks want the name {name!r}")
        peers[name] = peer
    wanted = {*benchmarks, *(peer for name in peers for peer in peers[name].dropna())}
    if unknown := wanted - set(symbols):
        raise ValueError(f"the dataset has no benchmark {sorted(unknown)}")
    return peers


def reference_table(
    df: pd.DataFrame,
    *,
    week: str = "W-FRI",
    available: Literal["next-week", "week-end"] = "next-week",
    price: str | None = None,
    benchmarks: Sequence[Any] = (),
    sector_map: pd.DataFrame | None = None,
    start: str | None = None,
    end: str | None = None,
    every: Sequence[str] = ("week",),
    last_day: np.datetime64 | None = None,
    market_of: Callable[[Any], Market] | None = None,
) -> pd.DataFrame:
    """Daily rows in, the same rows with every column of some clocks out, sorted by (symbol, date)."""
    peers = peers_of(list(df["symbol"].dropna().unique()), benchmarks, sector_map)
    formulas = {name: formula for one in every for name, formula in oracles({}, one).items()}
    return package.reference_table(
        df, peers=peers, market_of=market_of or (lambda _: Market(week)), available=available, price=price,
        window=(start, end), formulas=formulas, every=every, last_day=last_day,
    )  # fmt: skip
