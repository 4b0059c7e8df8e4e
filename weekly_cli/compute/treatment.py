"""What prices mean before bars are made of them: signs, padding, and the volume's adjustment; each only if asked for.

Every rule looks at a row and at the one before it, never at a later one: that a history is padded shows only at its
end, and may not decide about its beginning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Floats, Ints, unusable_values
from weekly_cli.names import PRICE_ROLES

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Treatment:
    """The settings of the same names: what is done to daily prices before bars are made of them."""

    negative_prices: str = "unusable"
    drop_padding: bool = False
    adjust_volume: bool = False


AS_IS = Treatment()


@np.errstate(all="ignore")  # prices that are not usable give factors that are not
def treated(
    codes: Ints, raw: Mapping[str, Floats], adjusted: Floats | None, treatment: Treatment
) -> tuple[dict[str, Floats], Floats | None, int]:
    """Return the columns for the bars, and how many rows were left out as padding: their closes are NaN.

    Parameters
    ----------
    codes : int64[rows]
        Position of the row's symbol in the task; rows are sorted by it and by date.
    raw : mapping of role to float64[rows]
    adjusted : float64[rows], optional
    treatment : Treatment
    """
    columns = dict(raw)
    if treatment.negative_prices == "absolute":
        columns |= {role: np.abs(columns[role]) for role in PRICE_ROLES if role in columns}
        adjusted = None if adjusted is None else np.abs(adjusted)
    if treatment.adjust_volume and adjusted is not None and "volume" in columns:
        columns["volume"] = columns["volume"] * (columns["close"] / adjusted)
    n_padding = 0
    if treatment.drop_padding and "volume" in raw:
        padding = _padding(codes, columns, raw["volume"])
        n_padding = len(padding)
        columns["close"] = columns["close"].copy()
        columns["close"][padding] = np.nan
    return columns, adjusted, n_padding


def _padding(codes: Ints, columns: Mapping[str, Floats], volume: Floats) -> Ints:
    """Return the rows without volume that repeat the row before of their symbol that has a usable close."""
    unusable = unusable_values(columns["close"], "close")
    rows = np.arange(len(codes)) if unusable is None else np.flatnonzero(~unusable)
    prices = {role: _usable(columns[role][rows]) for role in PRICE_ROLES if role in columns}
    close = prices["close"]
    later = 1 + np.flatnonzero((close[1:] == close[:-1]) & (codes[rows][1:] == codes[rows][:-1]))
    padding: Ints = rows[later[repeats_the_row_before(prices, later) & ~(volume[rows[later]] > 0)]]
    return padding


def _usable(prices: Floats) -> Floats:
    unusable = unusable_values(prices, "close")
    return prices if unusable is None else np.where(unusable, np.nan, prices)


def repeats_the_row_before(prices: Mapping[str, Floats], rows: Ints) -> Bools:
    """Tell which of `rows`, whose closes repeat, have other prices that repeat too, equal the close, or are missing."""
    close = prices["close"][rows]
    repeats = np.ones(len(rows), bool)
    for role in prices.keys() - {"close"}:
        price = prices[role][rows]
        repeats &= (price == prices[role][rows - 1]) | (price == close) | np.isnan(price)
    return repeats
