"""One table from weekly column to its oracle: TA-Lib where the column claims parity, else the reference's formula.

An oracle takes what a formula does. Nothing here is fast either: windows are given to TA-Lib one by one.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import talib

from weekly_cli.names import WINDOWS
from weekly_cli.verify.reference import formulas
from weekly_cli.verify.reference.columns import FORMULAS, PREFIX_OF, formulas_of
from weekly_cli.verify.reference.formulas import Formula, column, is_relative, lag, relative_name

__all__ = ["ORACLES", "RELATIVE", "TALIB", "oracles", "relative_name"]

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


def macd(bars: pd.DataFrame, i: int, spans: Sequence[int]) -> Array:
    return talib.MACD(column(bars, "close"), *spans)[i]


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


def atr(bars: pd.DataFrame, n: int) -> Array:
    return talib.ATR(*true_range_bars(bars), n)


def natr(bars: pd.DataFrame, n: int) -> Array:
    h, low, c = true_range_bars(bars)
    return talib.NATR(h * huge(c), low * huge(c), c * huge(c), n)


def high(bars: pd.DataFrame, n: int) -> Array:
    return column(bars, "close") / talib.MAX(column(bars, "high"), n) - 1


def low(bars: pd.DataFrame, n: int) -> Array:
    return column(bars, "close") / talib.MIN(column(bars, "low"), n) - 1


def position(bars: pd.DataFrame, n: int) -> Array:
    top, bottom = talib.MAX(column(bars, "high"), n), talib.MIN(column(bars, "low"), n)
    span = np.where(top == bottom, np.nan, top - bottom)
    return (column(bars, "close") - bottom) / span


def corr_of(r: Array, r_bench: Array) -> Array:
    """TA-Lib on standardised returns: the same correlation, far from its 1e-14 "zero" and cancellation."""
    unclear = formulas.constant(r) | formulas.constant(r_bench)
    x, y = (formulas.centred(each) / np.std(each, axis=1, keepdims=True) for each in (r, r_bench))
    return np.array([np.nan if no else talib.CORREL(a, b, len(a))[-1] for a, b, no in zip(x, y, unclear, strict=True)])


def of_talib(others: Mapping[str, Sequence[int]]) -> dict[str, Formula]:
    """The columns that claim parity; `others` are the windows that are not the usual ones."""
    weeks = {**WINDOWS, **others}
    line = "w_macd" if weeks["macd"] == (12, 26, 9) else f"w_macd_{'_'.join(map(str, weeks['macd']))}"
    return {
        **{f"w_mom_{n}": partial(mom, n=n) for n in weeks["mom"]},
        **{f"w_rsi_{n}": partial(rsi, n=n) for n in weeks["rsi"]},
        **{line + end: partial(macd, i=i, spans=weeks["macd"]) for i, end in enumerate(("", "_signal", "_hist"))},
        **{f"w_sma_{n}": partial(sma, n=n) for n in weeks["sma"]},
        **{f"w_atr_{n}": partial(atr, n=n) for n in weeks["atr"]},
        **{f"w_natr_{n}": partial(natr, n=n) for n in weeks["atr"]},
        **{f"w_high_{n}": partial(high, n=n) for n in weeks["breakout"]},
        **{f"w_low_{n}": partial(low, n=n) for n in weeks["breakout"]},
        **{f"w_position_{n}": partial(position, n=n) for n in weeks["breakout"]},
        **{f"w_corr_{n}": partial(formulas.on_benchmark, f=corr_of, n=n) for n in weeks["beta"]},
    }


#: The columns of months and quarters that claim parity.
TALIB_OF: dict[str, dict[str, Formula]] = {
    "month": {
        **{f"m_mom_{n}": partial(mom, n=n) for n in (1, 3, 6, 12)},
        "m_rsi_14": partial(rsi, n=14),
        **{f"m_macd{end}": partial(macd, i=i, spans=(12, 26, 9)) for i, end in enumerate(("", "_signal", "_hist"))},
        **{f"m_sma_{n}": partial(sma, n=n) for n in (6, 10, 12, 24)},
        "m_atr_14": partial(atr, n=14),
        "m_natr_14": partial(natr, n=14),
        "m_high_12": partial(high, n=12),
        "m_low_12": partial(low, n=12),
        "m_position_12": partial(position, n=12),
        "m_corr_36": partial(formulas.on_benchmark, f=corr_of, n=36),
    },
    "quarter": {
        **{f"q_mom_{n}": partial(mom, n=n) for n in (1, 2, 4)},
        **{f"q_sma_{n}": partial(sma, n=n) for n in (4, 8)},
        "q_high_4": partial(high, n=4),
        "q_low_4": partial(low, n=4),
        "q_position_4": partial(position, n=4),
    },
}


def oracles(others: Mapping[str, Sequence[int]], every: str = "week") -> dict[str, Formula]:
    """The oracle of each column of a clock; `others` are the windows that are not the usual ones of weeks."""
    if every in TALIB_OF:
        return {**formulas_of(others, every), **TALIB_OF[every]}
    of_weeks = {relabelled(name, every): formula for name, formula in of_talib(others).items()}
    return {**formulas_of(others, every), **of_weeks, **(ADDED if every == "week" else {})}


def relabelled(name: str, every: str) -> str:
    """The name of a weekly column as that of two or four weeks."""
    return name if every == "week" else f"{PREFIX_OF[every]}_{name.removeprefix('w_')}"


RELATIVE = tuple(name for name in FORMULAS if is_relative(name))
TALIB = of_talib({})
ADDED: dict[str, Formula] = {
    # A feature that you add: its name and its oracle.
}
ORACLES = oracles({})
