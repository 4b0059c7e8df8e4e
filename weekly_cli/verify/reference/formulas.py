"""The contract's formulas, each in the simplest numpy and pandas code; nothing here is fast.

A formula takes the bars of ONE symbol and one clock (weeks, months, quarters) in bar order (float64 columns open, high,
low, close, volume; for the relative columns also `bench`, the benchmark's close in the same period) and returns
float64[bars], NaN where the column is null. It shares no code with the features. Every window is extracted and computed
alone, so that no running sum carries a rounding error or a bad tick from one window into the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.float64]
Formula: TypeAlias = Callable[[pd.DataFrame], Values]
#: Takes windows as [windows, bars per window] and returns [windows].
OfWindows: TypeAlias = Callable[..., Values]

#: Columns whose output names contain the name of a benchmark begin with these, after the clock's prefix.
_RELATIVE = ("rs", "beta", "corr")


def is_relative(key: str) -> bool:
    """Tell whether a column compares with a benchmark."""
    return key.split("_")[1] in _RELATIVE


def relative_name(key: str, b: str) -> str:
    """Return the name of a relative column for benchmark `b`.

    >>> [relative_name(key, "spy") for key in ("w_rs", "w_rs_norm", "w_rs_slope", "w_beta_52", "w_corr_52")]
    ['w_rs_spy', 'w_rs_spy_norm', 'w_rs_spy_slope', 'w_beta_spy_52', 'w_corr_spy_52']
    """
    clock, family, *rest = key.split("_")
    return "_".join([clock, family, b, *rest])


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


def mom_12_1(bars: pd.DataFrame) -> Values:
    """Return C[-1] / C[-12] - 1."""
    close = column(bars, "close")
    return lag(close, 1) / lag(close, 12) - 1


def rsi(bars: pd.DataFrame, n: int) -> Values:
    """Return Wilder's RSI."""
    close = column(bars, "close")
    change = close - lag(close, 1)
    gain, loss = (wilder(np.fmax(sign * change, 0.0) + 0 * change, n) for sign in (1, -1))
    with np.errstate(invalid="ignore"):
        return 100 * (gain / (gain + loss))


def macd(bars: pd.DataFrame, i: int, spans: Sequence[int] = (12, 26, 9)) -> Values:
    """Return the line, the signal or the histogram; both EMAs begin at bar 25, all three columns at bar 33."""
    close, (n_fast, n_slow, n_signal) = column(bars, "close"), spans
    fast = np.full(len(close), np.nan)
    fast[n_slow - n_fast :] = ema(close[n_slow - n_fast :], n_fast)
    line = fast - ema(close, n_slow)
    signal = ema(line, n_signal)
    return (np.where(np.isnan(signal), np.nan, line), signal, line - signal)[i]


def macd_hist_slope(bars: pd.DataFrame, spans: Sequence[int]) -> Values:
    """Return the smoothed change of the histogram."""
    hist = macd(bars, 2, spans)
    return ema_from_first_value(hist - lag(hist, 1), 3)


# ---- trend, distance -------------------------------------------------------------------------------------


def sma(bars: pd.DataFrame, n: int) -> Values:
    """Return the mean of C over window n."""
    return windows(n, mean, column(bars, "close"))


def sma_slope(bars: pd.DataFrame, n: int, over: int = 4) -> Values:
    """Return SMA / SMA[-over] - 1."""
    x = sma(bars, n)
    return x / lag(x, over) - 1


def trend_votes(
    bars: pd.DataFrame, sma_weeks: Sequence[int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return how many slopes rise, how many fall, and whether any slope is defined."""
    slopes = np.array([sma_slope(bars, n) for n in sma_weeks])
    return (slopes > 1e-5).sum(0), (slopes < -1e-5).sum(0), ~np.isnan(slopes).all(0)


def trend_score(bars: pd.DataFrame, sma_weeks: Sequence[int]) -> Values:
    """Return the mean of the votes."""
    up, down, defined = trend_votes(bars, sma_weeks)
    return np.where(defined, (up - down) / np.maximum(up + down, 1), np.nan)


def trend_sign(bars: pd.DataFrame, sma_weeks: Sequence[int]) -> Values:
    """Return the sign of the score."""
    return np.sign(trend_score(bars, sma_weeks))


def trend_score_change(bars: pd.DataFrame, sma_weeks: Sequence[int]) -> Values:
    """Return the change of the score."""
    score = trend_score(bars, sma_weeks)
    return score - lag(score, 1)


def trend_persistence(bars: pd.DataFrame, sma_weeks: Sequence[int]) -> Values:
    """Return the smoothed sign."""
    return ema_from_first_value(trend_sign(bars, sma_weeks), 10)


def trend_alignment(bars: pd.DataFrame, sma_weeks: Sequence[int]) -> Values:
    """Return the share of votes that rise."""
    up, down, _ = trend_votes(bars, sma_weeks)
    return np.where(up + down > 0, up / np.maximum(up + down, 1), np.nan)


def dist_sma(bars: pd.DataFrame, n: int) -> Values:
    """Return C / SMA - 1."""
    return column(bars, "close") / sma(bars, n) - 1


def dist_sma_z(bars: pd.DataFrame, n: int) -> Values:
    """Return the z-score of the distance."""
    return windows(12, z_of_last, dist_sma(bars, n))


def dist_sma_min(bars: pd.DataFrame, sma_weeks: Sequence[int]) -> Values:
    """Return the smallest absolute distance."""
    return np.asarray(np.fmin.reduce([np.abs(dist_sma(bars, n)) for n in sma_weeks]))


def sma_ratio(bars: pd.DataFrame, shorter: int, longer: int) -> Values:
    """Return SMA / longer SMA - 1."""
    return sma(bars, shorter) / sma(bars, longer) - 1


def sma_ratio_z(bars: pd.DataFrame, shorter: int, longer: int) -> Values:
    """Return the z-score of the ratio."""
    return windows(12, z_of_last, sma_ratio(bars, shorter, longer))


# ---- volatility ------------------------------------------------------------------------------------------


def deviation(x: Values) -> Values:
    """Return the standard deviation of each window of returns."""
    return np.where(constant(x), 0.0, np.std(x, axis=1, ddof=1))


def vol(bars: pd.DataFrame, n: int, a_year: int = 52) -> Values:
    """Return the annualized standard deviation of the returns over window n."""
    return np.asarray(windows(n, deviation, w_ret(bars)) * np.sqrt(a_year))


def atr(bars: pd.DataFrame, n: int) -> Values:
    """Return Wilder's average of the true range, starting with bar 1."""
    high, low, close = (column(bars, name) for name in ("high", "low", "close"))
    before = lag(close, 1)
    true_range = np.fmax(high, before) - np.fmin(low, before)
    true_range[:1] = np.nan
    return wilder(true_range, n)


def natr(bars: pd.DataFrame, n: int) -> Values:
    """Return 100 ATR / C."""
    return 100 * atr(bars, n) / column(bars, "close")


def w_range(bars: pd.DataFrame) -> Values:
    """Return (H - L) / C."""
    return (column(bars, "high") - column(bars, "low")) / column(bars, "close")


# ---- breakout, volume ------------------------------------------------------------------------------------


def extremes(bars: pd.DataFrame, n: int) -> tuple[Values, Values]:
    """Return the highest high and the lowest low of window n."""
    top = windows(n, lambda x: x.max(axis=1, initial=-np.inf), column(bars, "high"))
    return top, windows(n, lambda x: x.min(axis=1, initial=np.inf), column(bars, "low"))


def from_high(bars: pd.DataFrame, n: int) -> Values:
    """Return C / max H - 1."""
    return column(bars, "close") / extremes(bars, n)[0] - 1


def from_low(bars: pd.DataFrame, n: int) -> Values:
    """Return C / min L - 1."""
    return column(bars, "close") / extremes(bars, n)[1] - 1


def position(bars: pd.DataFrame, n: int) -> Values:
    """Return the position of C between the lowest low and the highest high."""
    top, bottom = extremes(bars, n)
    span = np.where(top == bottom, np.nan, top - bottom)
    return (column(bars, "close") - bottom) / span


def volume_ratio(bars: pd.DataFrame, n: int) -> Values:
    """Return V / mean(V, window n)."""
    return windows(n, lambda x: np.where(x.any(axis=1), x[:, -1] / mean(x), np.nan), column(bars, "volume"))


# ---- relative --------------------------------------------------------------------------------------------


def rs(bars: pd.DataFrame) -> Values:
    """Return C / C of the benchmark, missing where float64 can't hold it."""
    ratio = column(bars, "close") / column(bars, "bench")
    return np.where(np.isfinite(ratio), ratio, np.nan)


def rs_norm(bars: pd.DataFrame, n: int = 12) -> Values:
    """Return rs / mean(rs, window n) - 1."""
    return rs(bars) / windows(n, mean, rs(bars)) - 1


def rs_slope(bars: pd.DataFrame, over: int = 4) -> Values:
    """Return rs / rs[-over] - 1."""
    return rs(bars) / lag(rs(bars), over) - 1


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


def on_benchmark(bars: pd.DataFrame, f: OfWindows, n: int) -> Values:
    """Return `f` of the two returns over window n."""
    return windows(n, f, w_ret(bars), log_return(column(bars, "bench")))
