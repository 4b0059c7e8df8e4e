"""The contract's formulas, each in the simplest numpy and pandas code; nothing here is fast.

A formula takes the weekly bars of ONE symbol in bar order (float64 columns open, high, low, close, volume; for the
relative columns also `bench`, the benchmark's close in the same week) and returns float64[bars], NaN where the column
is null. It shares no code with the features. Every window is extracted and computed alone, so that no running sum
carries a rounding error or a bad tick from one window into the next.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
Formula: TypeAlias = Callable[[pd.DataFrame], Values]
#: Takes windows as [windows, bars per window] and returns [windows].
OfWindows: TypeAlias = Callable[..., Values]

SMA_WEEKS = (20, 50, 100, 200)
#: Columns whose output names contain the name of a benchmark.
RELATIVE = ("w_rs", "w_rs_norm", "w_rs_slope", "w_beta_52", "w_corr_52")
#: A window whose values vary by less than this varies by rounding alone: no two ways to compute its z-score agree.
_ROUNDING = 1e-12
#: Roundings that may add up in one value.
_SAFETY = 32.0


def relative_name(key: str, b: str) -> str:
    """Return the name of a relative column for benchmark `b`.

    >>> [relative_name(key, "spy") for key in RELATIVE]
    ['w_rs_spy', 'w_rs_spy_norm', 'w_rs_spy_slope', 'w_beta_spy_52', 'w_corr_spy_52']
    """
    family, *rest = key.removeprefix("w_").split("_")
    return "_".join(["w", family, b, *rest])


# ---- building blocks -------------------------------------------------------------------------------------


def column(bars: pd.DataFrame, name: str) -> Values:
    """Return a copy of a column of the bars."""
    return np.array(bars[name], dtype=np.float64)


def lag(x: Values, n: int) -> Values:
    """Return the values n bars earlier."""
    return np.concatenate([np.full(n, np.nan), x])[: len(x)]


def windows(n: int, f: OfWindows, *columns: Values) -> Values:
    """Return `f` of the last n values of each column; NaN unless all of them are defined."""
    out = np.full(len(columns[0]), np.nan)
    if len(out) >= n:
        parts = [np.lib.stride_tricks.sliding_window_view(x, n) for x in columns]
        defined = ~np.any([np.isnan(part).any(axis=1) for part in parts], axis=0)
        with np.errstate(all="ignore"):
            out[n - 1 :][defined] = f(*(np.ascontiguousarray(part[defined]) for part in parts))
    return out


def constant(x: Values) -> NDArray[np.bool_]:
    """Tell which windows have exactly no variance, unaffected by the rounding of a mean."""
    return np.asarray(x.max(axis=1, initial=-np.inf) == x.min(axis=1, initial=np.inf))


def mean(x: Values) -> Values:
    """Return the mean of each window, exactly its value if all values are equal."""
    return np.where(constant(x), x[:, 0], np.mean(x, axis=1))


def z_of_last(x: Values) -> Values:
    """Return the z-score of each window's last value, with the population standard deviation."""
    return np.where(constant(x), np.nan, (x[:, -1] - np.mean(x, axis=1)) / np.std(x, axis=1))


def seeded(x: Values, n: int, alpha: float) -> Values:
    """Return the recursion s += alpha (x - s), seeded with the mean of the first n defined values."""
    out = np.full(len(x), np.nan)
    begin = int(np.argmax(~np.isnan(x))) if (~np.isnan(x)).any() else len(x)
    seed = begin + n - 1
    if seed >= len(x):
        return out
    out[seed] = np.mean(x[begin : seed + 1])
    for k in range(seed + 1, len(x)):
        out[k] = out[k - 1] + alpha * (x[k] - out[k - 1])
    return out


def wilder(x: Values, n: int) -> Values:
    """Return Wilder's smoothing."""
    return seeded(x, n, 1 / n)


def ema(x: Values, n: int) -> Values:
    """Return the EMA over n, seeded with the mean of its first n values."""
    return seeded(x, n, 2 / (n + 1))


def ema_from_first_value(x: Values, span: int) -> Values:
    """Return the EMA seeded with the first value."""
    return np.asarray(pd.Series(x).ewm(span=span, adjust=False).mean(), np.float64)


# ---- returns, momentum -----------------------------------------------------------------------------------


def log_return(x: Values) -> Values:
    """Return ln(x / x[-1])."""
    return np.log(x / lag(x, 1))


def w_ret(bars: pd.DataFrame) -> Values:
    """Return the log return of the close."""
    return log_return(column(bars, "close"))


def mom(bars: pd.DataFrame, n: int) -> Values:
    """Return C / C[-n] - 1."""
    close = column(bars, "close")
    return close / lag(close, n) - 1


def rsi(bars: pd.DataFrame, n: int) -> Values:
    """Return Wilder's RSI."""
    close = column(bars, "close")
    change = close - lag(close, 1)
    gain, loss = (wilder(np.fmax(sign * change, 0.0) + 0 * change, n) for sign in (1, -1))
    with np.errstate(invalid="ignore"):
        return 100 * (gain / (gain + loss))


def macd(bars: pd.DataFrame, i: int) -> Values:
    """Return the line, the signal or the histogram; both EMAs begin at bar 25, all three columns at bar 33."""
    close = column(bars, "close")
    fast = np.full(len(close), np.nan)
    fast[14:] = ema(close[14:], 12)
    line = fast - ema(close, 26)
    signal = ema(line, 9)
    return (np.where(np.isnan(signal), np.nan, line), signal, line - signal)[i]


def macd_hist_slope(bars: pd.DataFrame) -> Values:
    """Return the smoothed change of the histogram."""
    hist = macd(bars, 2)
    return ema_from_first_value(hist - lag(hist, 1), 3)


# ---- trend, distance -------------------------------------------------------------------------------------


def sma(bars: pd.DataFrame, n: int) -> Values:
    """Return the mean of C over window n."""
    return windows(n, mean, column(bars, "close"))


def sma_slope(bars: pd.DataFrame, n: int) -> Values:
    """Return SMA / SMA[-4] - 1."""
    x = sma(bars, n)
    return x / lag(x, 4) - 1


def trend_votes(bars: pd.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return how many slopes rise, how many fall, and whether any slope is defined."""
    slopes = np.array([sma_slope(bars, n) for n in SMA_WEEKS])
    return (slopes > 1e-5).sum(0), (slopes < -1e-5).sum(0), ~np.isnan(slopes).all(0)


def trend_score(bars: pd.DataFrame) -> Values:
    """Return the mean of the votes."""
    up, down, defined = trend_votes(bars)
    return np.where(defined, (up - down) / np.maximum(up + down, 1), np.nan)


def trend_sign(bars: pd.DataFrame) -> Values:
    """Return the sign of the score."""
    return np.sign(trend_score(bars))


def trend_score_change(bars: pd.DataFrame) -> Values:
    """Return the change of the score."""
    score = trend_score(bars)
    return score - lag(score, 1)


def trend_persistence(bars: pd.DataFrame) -> Values:
    """Return the smoothed sign."""
    return ema_from_first_value(trend_sign(bars), 10)


def trend_alignment(bars: pd.DataFrame) -> Values:
    """Return the share of votes that rise."""
    up, down, _ = trend_votes(bars)
    return np.where(up + down > 0, up / np.maximum(up + down, 1), np.nan)


def dist_sma(bars: pd.DataFrame, n: int) -> Values:
    """Return C / SMA - 1."""
    return column(bars, "close") / sma(bars, n) - 1


def dist_sma_z(bars: pd.DataFrame, n: int) -> Values:
    """Return the z-score of the distance."""
    return windows(12, z_of_last, dist_sma(bars, n))


def dist_sma_min(bars: pd.DataFrame) -> Values:
    """Return the smallest absolute distance."""
    return np.asarray(np.fmin.reduce([np.abs(dist_sma(bars, n)) for n in SMA_WEEKS]))


def sma_20_50(bars: pd.DataFrame) -> Values:
    """Return SMA20 / SMA50 - 1."""
    return sma(bars, 20) / sma(bars, 50) - 1


def sma_20_50_z(bars: pd.DataFrame) -> Values:
    """Return the z-score of SMA20 / SMA50 - 1."""
    return windows(12, z_of_last, sma_20_50(bars))


# ---- volatility ------------------------------------------------------------------------------------------


def deviation(x: Values) -> Values:
    """Return the annualized standard deviation of each window of weekly returns."""
    return np.where(constant(x), 0.0, np.std(x, axis=1, ddof=1) * np.sqrt(52))


def vol(bars: pd.DataFrame, n: int) -> Values:
    """Return the annualized standard deviation of the returns over window n."""
    return windows(n, deviation, w_ret(bars))


def atr(bars: pd.DataFrame) -> Values:
    """Return Wilder's average of the true range, starting with bar 1."""
    high, low, close = (column(bars, name) for name in ("high", "low", "close"))
    before = lag(close, 1)
    true_range = np.fmax(high, before) - np.fmin(low, before)
    true_range[:1] = np.nan
    return wilder(true_range, 14)


def natr(bars: pd.DataFrame) -> Values:
    """Return 100 ATR / C."""
    return 100 * atr(bars) / column(bars, "close")


def w_range(bars: pd.DataFrame) -> Values:
    """Return (H - L) / C."""
    return (column(bars, "high") - column(bars, "low")) / column(bars, "close")


# ---- breakout, volume ------------------------------------------------------------------------------------


def extremes_52(bars: pd.DataFrame) -> tuple[Values, Values]:
    """Return the highest high and the lowest low of a year."""
    top = windows(52, lambda x: x.max(axis=1, initial=-np.inf), column(bars, "high"))
    return top, windows(52, lambda x: x.min(axis=1, initial=np.inf), column(bars, "low"))


def high_52(bars: pd.DataFrame) -> Values:
    """Return C / max H - 1."""
    return column(bars, "close") / extremes_52(bars)[0] - 1


def low_52(bars: pd.DataFrame) -> Values:
    """Return C / min L - 1."""
    return column(bars, "close") / extremes_52(bars)[1] - 1


def position_52(bars: pd.DataFrame) -> Values:
    """Return the position of C between the lowest low and the highest high."""
    top, bottom = extremes_52(bars)
    span = np.where(top == bottom, np.nan, top - bottom)
    return (column(bars, "close") - bottom) / span


def volume_ratio(bars: pd.DataFrame) -> Values:
    """Return V / mean(V, window 12)."""
    return windows(12, lambda x: np.where(x.any(axis=1), x[:, -1] / mean(x), np.nan), column(bars, "volume"))


# ---- relative --------------------------------------------------------------------------------------------


def rs(bars: pd.DataFrame) -> Values:
    """Return C / C of the benchmark, missing where float64 can't hold it."""
    ratio = column(bars, "close") / column(bars, "bench")
    return np.where(np.isfinite(ratio), ratio, np.nan)


def rs_norm(bars: pd.DataFrame) -> Values:
    """Return rs / mean(rs, window 12) - 1."""
    return rs(bars) / windows(12, mean, rs(bars)) - 1


def rs_slope(bars: pd.DataFrame) -> Values:
    """Return rs / rs[-4] - 1."""
    return rs(bars) / lag(rs(bars), 4) - 1


def centred(x: Values) -> Values:
    """Return each window minus its mean."""
    return np.subtract(x, np.mean(x, axis=1, keepdims=True))


def beta_of(r: Values, r_bench: Values) -> Values:
    """Return the slope of each window."""
    x, y = centred(r_bench), centred(r)
    return np.where(constant(r) | constant(r_bench), np.nan, (x * y).sum(axis=1) / (x * x).sum(axis=1))


def corr_of(r: Values, r_bench: Values) -> Values:
    """Return the correlation of each window."""
    x, y = (centred(each) / np.std(each, axis=1, keepdims=True) for each in (r, r_bench))
    return np.where(constant(r) | constant(r_bench), np.nan, np.mean(x * y, axis=1))


def on_benchmark(bars: pd.DataFrame, f: OfWindows) -> Values:
    """Return `f` of the two returns over a year."""
    return windows(52, f, w_ret(bars), log_return(column(bars, "bench")))


# ---- the table, in the contract's order ------------------------------------------------------------------

FORMULAS: dict[str, Formula] = {
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


def rounding(bars: pd.DataFrame, name: str) -> Values:
    """Return how far two right ways to compute a column may be apart by rounding, where that is more than usual.

    A z-score: a ratio minus 1 is off by about 1e-16 of 1 or of itself, and its z-score by that over the window's
    deviation. The MACD: near 0 it is a small difference of two averages, and a bad tick fades in both.
    """
    error = np.zeros(len(bars))
    with np.errstate(all="ignore"):
        if name.endswith("_z"):
            x = FORMULAS[name.removesuffix("_z")](bars)
            deviation = windows(12, lambda x: np.std(x, axis=1), x)
            size = windows(12, lambda x: np.maximum(np.abs(x).max(axis=1, initial=0.0), 1.0), x)
            error = np.where(np.less(deviation, _ROUNDING), np.inf, size / deviation)
        elif name.startswith("w_macd"):
            error = ema(column(bars, "close"), 26)
    return np.nan_to_num(_SAFETY * np.finfo(np.float64).eps * error, posinf=np.inf)
