"""One table from weekly column to its oracle: TA-Lib where the column claims parity, else the reference's formula.

An oracle takes what a formula does. Nothing here is fast either: windows are given to TA-Lib one by one.
"""

from functools import partial

import numpy as np
import pandas as pd
import talib

from weekly_cli.verify.reference import formulas
from weekly_cli.verify.reference.formulas import FORMULAS, RELATIVE, SMA_WEEKS, Formula, column, lag, relative_name

__all__ = ["ORACLES", "RELATIVE", "TALIB", "relative_name"]

Array = np.ndarray


def huge(x: Array) -> float:
    """A power of two that lifts `x` far above TA-Lib's 1e-14 "zero" and changes no ratio by a bit."""
    exponent = int(np.frexp(x.max(initial=0.0))[1])
    return float(np.ldexp(1.0, min(900 - exponent, 1000)))


def mom(bars: pd.DataFrame, n: int) -> Array:
    return talib.ROCP(column(bars, "close"), n)


def rsi(bars: pd.DataFrame, n: int) -> Array:
    c = column(bars, "close")
    never_moved = np.maximum.accumulate(c) == np.minimum.accumulate(c)
    return np.where(never_moved, np.nan, talib.RSI(c * huge(c), n))


def macd(bars: pd.DataFrame, i: int) -> Array:
    return talib.MACD(column(bars, "close"), 12, 26, 9)[i]


def of_each(windows: Array, n: int) -> Array:
    """TA-Lib's SMA of each window alone; exactly the price where the window has one price only."""
    return np.array([w[0] if w.max() == w.min() else talib.SMA(w, n)[-1] for w in windows])


def sma(bars: pd.DataFrame, n: int) -> Array:
    return formulas.windows(n, partial(of_each, n=n), column(bars, "close"))


def true_range_bars(bars: pd.DataFrame) -> tuple[Array, Array, Array]:
    """High and low stretched to the previous close; close: TA-Lib's true range of these is the contract's,
    even on a bar whose high is below its low, where TA-Lib's own differs."""
    h, low, c = (column(bars, name) for name in ("high", "low", "close"))
    return np.fmax(h, lag(c, 1)), np.fmin(low, lag(c, 1)), c


def atr(bars: pd.DataFrame) -> Array:
    return talib.ATR(*true_range_bars(bars), 14)


def natr(bars: pd.DataFrame) -> Array:
    h, low, c = true_range_bars(bars)
    return talib.NATR(h * huge(c), low * huge(c), c * huge(c), 14)


def high_52(bars: pd.DataFrame) -> Array:
    return column(bars, "close") / talib.MAX(column(bars, "high"), 52) - 1


def low_52(bars: pd.DataFrame) -> Array:
    return column(bars, "close") / talib.MIN(column(bars, "low"), 52) - 1


def position_52(bars: pd.DataFrame) -> Array:
    top, bottom = talib.MAX(column(bars, "high"), 52), talib.MIN(column(bars, "low"), 52)
    span = np.where(top == bottom, np.nan, top - bottom)
    return (column(bars, "close") - bottom) / span


def corr_of(r: Array, r_bench: Array) -> Array:
    """TA-Lib on standardised returns: the same correlation, far from its 1e-14 "zero" and cancellation."""
    unclear = formulas.constant(r) | formulas.constant(r_bench)
    x, y = (formulas.centred(each) / np.std(each, axis=1, keepdims=True) for each in (r, r_bench))
    return np.array([np.nan if no else talib.CORREL(a, b, len(a))[-1] for a, b, no in zip(x, y, unclear, strict=True)])


#: The columns that claim parity.
TALIB: dict[str, Formula] = {
    **{f"w_mom_{n}": partial(mom, n=n) for n in (4, 12, 26, 52)},
    **{f"w_rsi_{n}": partial(rsi, n=n) for n in (14, 21, 30)},
    "w_macd": partial(macd, i=0),
    "w_macd_signal": partial(macd, i=1),
    "w_macd_hist": partial(macd, i=2),
    **{f"w_sma_{n}": partial(sma, n=n) for n in SMA_WEEKS},
    "w_atr_14": atr,
    "w_natr_14": natr,
    "w_high_52": high_52,
    "w_low_52": low_52,
    "w_position_52": position_52,
    "w_corr_52": partial(formulas.on_benchmark, f=corr_of),
}
ORACLES: dict[str, Formula] = {
    **FORMULAS,
    **TALIB,
    # A feature that you add: its name and its oracle.
}
