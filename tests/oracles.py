"""One table from weekly column to its oracle: TA-Lib where the column claims parity, else plain numpy.

An oracle takes the weekly bars of ONE symbol in bar order (float64 columns open, high, low, close, volume;
for the relative columns also `bench`, the benchmark's close in the same week) and returns float64[bars], NaN
where the column is null. Nothing here is fast: every window is cut out and computed alone, so that no running
sum carries a rounding error, or a bad tick, from one window into the next.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import talib

Array = np.ndarray
Oracle = Callable[[pd.DataFrame], Array]

SMA_WEEKS = (20, 50, 100, 200)
RELATIVE = ("w_rs", "w_rs_norm", "w_rs_slope", "w_beta_52", "w_corr_52")


def relative_name(key: str, b: str) -> str:
    """Name of a relative column for benchmark `b`.

    >>> [relative_name(key, "spy") for key in RELATIVE]
    ['w_rs_spy', 'w_rs_spy_norm', 'w_rs_spy_slope', 'w_beta_spy_52', 'w_corr_spy_52']
    """
    family, *rest = key.removeprefix("w_").split("_")
    return "_".join(["w", family, b, *rest])


# ---- building blocks


def column(bars: pd.DataFrame, name: str) -> Array:
    return np.array(bars[name], dtype=np.float64)  # a copy: TA-Lib never sees a read-only view


def lag(x: Array, n: int) -> Array:
    return np.concatenate([np.full(n, np.nan), x])[: len(x)]


def windows(n: int, f: Callable[..., float], *columns: Array) -> Array:
    """`f` of the last n values of each column; NaN unless all of them are defined."""
    out = np.full(len(columns[0]), np.nan)
    for k in range(n - 1, len(out)):
        parts = [x[k - n + 1 : k + 1] for x in columns]
        if not np.isnan(parts).any():
            out[k] = f(*parts)
    return out


def constant(x: Array) -> bool:
    """Zero variance, decided exactly: the rounding of a mean has no say."""
    return bool(x.max() == x.min())


def mean(x: Array) -> float:
    return float(x[0]) if constant(x) else float(np.mean(x))


def z_of_last(x: Array) -> float:
    return np.nan if constant(x) else float((x[-1] - np.mean(x)) / np.std(x))


def ema_from_first_value(x: Array, span: int) -> Array:
    return pd.Series(x).ewm(span=span, adjust=False).mean().to_numpy()


def huge(x: Array) -> float:
    """A power of two that lifts `x` far above TA-Lib's 1e-14 "zero" and changes no ratio by a bit."""
    exponent = int(np.frexp(x.max(initial=0.0))[1])
    return float(np.ldexp(1.0, min(900 - exponent, 1000)))


# ---- returns, momentum


def log_return(x: Array) -> Array:
    return np.log(x / lag(x, 1))


def w_ret(bars: pd.DataFrame) -> Array:
    return log_return(column(bars, "close"))


def mom(bars: pd.DataFrame, n: int) -> Array:
    return talib.ROCP(column(bars, "close"), n)


def rsi(bars: pd.DataFrame, n: int) -> Array:
    c = column(bars, "close")
    never_moved = np.maximum.accumulate(c) == np.minimum.accumulate(c)
    return np.where(never_moved, np.nan, talib.RSI(c * huge(c), n))


def macd(bars: pd.DataFrame, i: int) -> Array:
    return talib.MACD(column(bars, "close"), 12, 26, 9)[i]


def macd_hist_slope(bars: pd.DataFrame) -> Array:
    hist = macd(bars, 2)
    return ema_from_first_value(hist - lag(hist, 1), 3)


# ---- trend, distance


def sma(bars: pd.DataFrame, n: int) -> Array:
    """TA-Lib's SMA of each window alone; exactly the price where the window has one price only."""
    return windows(n, lambda w: w[0] if constant(w) else talib.SMA(w, n)[-1], column(bars, "close"))


def sma_slope(bars: pd.DataFrame, n: int) -> Array:
    x = sma(bars, n)
    return x / lag(x, 4) - 1


def trend_votes(bars: pd.DataFrame) -> tuple[Array, Array, Array]:
    """Slopes that rise, slopes that fall, and whether any slope is defined."""
    slopes = np.array([sma_slope(bars, n) for n in SMA_WEEKS])
    return (slopes > 1e-5).sum(0), (slopes < -1e-5).sum(0), ~np.isnan(slopes).all(0)


def trend_score(bars: pd.DataFrame) -> Array:
    up, down, defined = trend_votes(bars)
    return np.where(defined, (up - down) / np.maximum(up + down, 1), np.nan)


def trend_sign(bars: pd.DataFrame) -> Array:
    return np.sign(trend_score(bars))


def trend_score_change(bars: pd.DataFrame) -> Array:
    score = trend_score(bars)
    return score - lag(score, 1)


def trend_persistence(bars: pd.DataFrame) -> Array:
    return ema_from_first_value(trend_sign(bars), 10)


def trend_alignment(bars: pd.DataFrame) -> Array:
    up, down, _ = trend_votes(bars)
    return np.where(up + down > 0, up / np.maximum(up + down, 1), np.nan)


def dist_sma(bars: pd.DataFrame, n: int) -> Array:
    return column(bars, "close") / sma(bars, n) - 1


def dist_sma_z(bars: pd.DataFrame, n: int) -> Array:
    return windows(12, z_of_last, dist_sma(bars, n))


def dist_sma_min(bars: pd.DataFrame) -> Array:
    return np.fmin.reduce([np.abs(dist_sma(bars, n)) for n in SMA_WEEKS])


def sma_20_50(bars: pd.DataFrame) -> Array:
    return sma(bars, 20) / sma(bars, 50) - 1


def sma_20_50_z(bars: pd.DataFrame) -> Array:
    return windows(12, z_of_last, sma_20_50(bars))


# ---- volatility


def vol(bars: pd.DataFrame, n: int) -> Array:
    return windows(n, lambda w: 0.0 if constant(w) else np.std(w, ddof=1) * np.sqrt(52), w_ret(bars))


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


def w_range(bars: pd.DataFrame) -> Array:
    return (column(bars, "high") - column(bars, "low")) / column(bars, "close")


# ---- breakout, volume


def high_52(bars: pd.DataFrame) -> Array:
    return column(bars, "close") / talib.MAX(column(bars, "high"), 52) - 1


def low_52(bars: pd.DataFrame) -> Array:
    return column(bars, "close") / talib.MIN(column(bars, "low"), 52) - 1


def position_52(bars: pd.DataFrame) -> Array:
    top, bottom = talib.MAX(column(bars, "high"), 52), talib.MIN(column(bars, "low"), 52)
    span = np.where(top == bottom, np.nan, top - bottom)
    return (column(bars, "close") - bottom) / span


def volume_ratio(bars: pd.DataFrame) -> Array:
    return windows(12, lambda w: w[-1] / mean(w) if w.any() else np.nan, column(bars, "volume"))


# ---- relative


def rs(bars: pd.DataFrame) -> Array:
    return column(bars, "close") / column(bars, "bench")


def rs_norm(bars: pd.DataFrame) -> Array:
    return rs(bars) / windows(12, mean, rs(bars)) - 1


def rs_slope(bars: pd.DataFrame) -> Array:
    return rs(bars) / lag(rs(bars), 4) - 1


def beta_of(r: Array, r_bench: Array) -> float:
    if constant(r) or constant(r_bench):
        return np.nan
    x = r_bench - np.mean(r_bench)
    return float(np.sum(x * (r - np.mean(r))) / np.sum(x * x))


def corr_of(r: Array, r_bench: Array) -> float:
    """TA-Lib on standardised returns: the same correlation, far from its 1e-14 "zero" and cancellation."""
    if constant(r) or constant(r_bench):
        return np.nan
    x, y = ((w - np.mean(w)) / np.std(w) for w in (r, r_bench))
    return float(talib.CORREL(x, y, len(r))[-1])


def on_benchmark(bars: pd.DataFrame, f: Callable[[Array, Array], float]) -> Array:
    return windows(52, f, w_ret(bars), log_return(column(bars, "bench")))


# ---- the table, in the contract's order

ORACLES: dict[str, Oracle] = {
    "w_bars": lambda bars: np.arange(1.0, len(bars) + 1),
    **{f"w_{name}": partial(column, name=name) for name in ("open", "high", "low", "close", "volume")},
    "w_ret": w_ret,
    **{f"w_mom_{n}": partial(mom, n=n) for n in (4, 12, 26, 52)},
    **{f"w_rsi_{n}": partial(rsi, n=n) for n in (14, 21, 30)},
    "w_macd": partial(macd, i=0),
    "w_macd_signal": partial(macd, i=1),
    "w_macd_hist": partial(macd, i=2),
    "w_macd_hist_slope": macd_hist_slope,
    **{f"w_sma_{n}": partial(sma, n=n) for n in SMA_WEEKS},
    **{f"w_sma_{n}_slope": partial(sma_slope, n=n) for n in SMA_WEEKS},
    "w_trend_score": trend_score,
    "w_trend_sign": trend_sign,
    "w_trend_score_change": trend_score_change,
    "w_trend_persistence": trend_persistence,
    "w_trend_alignment": trend_alignment,
    **{f"w_dist_sma_{n}": partial(dist_sma, n=n) for n in SMA_WEEKS},
    **{f"w_dist_sma_{n}_z": partial(dist_sma_z, n=n) for n in SMA_WEEKS},
    "w_dist_sma_min": dist_sma_min,
    "w_sma_20_50": sma_20_50,
    "w_sma_20_50_z": sma_20_50_z,
    **{f"w_vol_{n}": partial(vol, n=n) for n in (4, 12, 26, 52)},
    "w_atr_14": atr,
    "w_natr_14": natr,
    "w_range": w_range,
    "w_high_52": high_52,
    "w_low_52": low_52,
    "w_position_52": position_52,
    "w_volume_ratio_12": volume_ratio,
    "w_rs": rs,
    "w_rs_norm": rs_norm,
    "w_rs_slope": rs_slope,
    "w_beta_52": partial(on_benchmark, f=beta_of),
    "w_corr_52": partial(on_benchmark, f=corr_of),
}
