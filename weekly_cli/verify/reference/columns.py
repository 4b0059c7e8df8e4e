"""The reference formula of every column by its name, for any windows; and how far rounding may move a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

import numpy as np
import pandas as pd

from weekly_cli.names import WINDOWS
from weekly_cli.verify.reference.formulas import (
    Formula,
    Values,
    atr,
    beta_of,
    column,
    corr_of,
    dist_sma,
    dist_sma_min,
    dist_sma_z,
    ema,
    from_high,
    from_low,
    macd,
    macd_hist_slope,
    mom,
    natr,
    on_benchmark,
    position,
    rs,
    rs_norm,
    rs_slope,
    rsi,
    sma,
    sma_ratio,
    sma_ratio_z,
    sma_slope,
    trend_alignment,
    trend_persistence,
    trend_score,
    trend_score_change,
    trend_sign,
    vol,
    volume_ratio,
    w_range,
    w_ret,
    windows,
)

#: A window whose values vary by less than this varies by rounding alone: no two ways to compute its z-score agree.
_ROUNDING = 1e-12
#: Roundings that may add up in one value.
_SAFETY = 32.0


def formulas_of(others: Mapping[str, Sequence[int]]) -> dict[str, Formula]:
    """Return the formula of each column; `others` are the windows that are not the usual ones."""
    weeks = {**WINDOWS, **others}
    sma_weeks, spans = weeks["sma"], weeks["macd"]
    name = "w_macd" if tuple(spans) == (12, 26, 9) else f"w_macd_{'_'.join(map(str, spans))}"
    pairs = [sma_weeks[:2]] if len(sma_weeks) > 1 else []
    return {
        "w_bars": lambda bars: np.arange(1.0, len(bars) + 1),
        **{f"w_{name}": partial(column, name=name) for name in ("open", "high", "low", "close", "volume")},
        "w_ret": w_ret,
        **{f"w_mom_{n}": partial(mom, n=n) for n in weeks["mom"]},
        **{f"w_rsi_{n}": partial(rsi, n=n) for n in weeks["rsi"]},
        name: partial(macd, i=0, spans=spans),
        f"{name}_signal": partial(macd, i=1, spans=spans),
        f"{name}_hist": partial(macd, i=2, spans=spans),
        f"{name}_hist_slope": partial(macd_hist_slope, spans=spans),
        **{f"w_sma_{n}": partial(sma, n=n) for n in sma_weeks},
        **{f"w_sma_{n}_slope": partial(sma_slope, n=n) for n in sma_weeks},
        "w_trend_score": partial(trend_score, sma_weeks=sma_weeks),
        "w_trend_sign": partial(trend_sign, sma_weeks=sma_weeks),
        "w_trend_score_change": partial(trend_score_change, sma_weeks=sma_weeks),
        "w_trend_persistence": partial(trend_persistence, sma_weeks=sma_weeks),
        "w_trend_alignment": partial(trend_alignment, sma_weeks=sma_weeks),
        **{f"w_dist_sma_{n}": partial(dist_sma, n=n) for n in sma_weeks},
        **{f"w_dist_sma_{n}_z": partial(dist_sma_z, n=n) for n in sma_weeks},
        "w_dist_sma_min": partial(dist_sma_min, sma_weeks=sma_weeks),
        **{f"w_sma_{a}_{b}": partial(sma_ratio, shorter=a, longer=b) for a, b in pairs},
        **{f"w_sma_{a}_{b}_z": partial(sma_ratio_z, shorter=a, longer=b) for a, b in pairs},
        **{f"w_vol_{n}": partial(vol, n=n) for n in weeks["vol"]},
        **{f"w_{name}_{n}": partial(f, n=n) for n in weeks["atr"] for name, f in (("atr", atr), ("natr", natr))},
        "w_range": w_range,
        **{
            f"w_{name}_{n}": partial(f, n=n)
            for n in weeks["breakout"]
            for name, f in (("high", from_high), ("low", from_low), ("position", position))
        },
        **{f"w_volume_ratio_{n}": partial(volume_ratio, n=n) for n in weeks["volume_ratio"]},
        "w_rs": rs,
        "w_rs_norm": rs_norm,
        "w_rs_slope": rs_slope,
        **{
            f"w_{name}_{n}": partial(on_benchmark, f=f, n=n)
            for n in weeks["beta"]
            for name, f in (("beta", beta_of), ("corr", corr_of))
        },
    }


FORMULAS = formulas_of({})


def rounding(bars: pd.DataFrame, name: str, others: Mapping[str, Sequence[int]] = MappingProxyType({})) -> Values:
    """Return how far two right ways to compute a column may be apart by rounding, where that is more than usual.

    A z-score: a ratio minus 1 is off by about 1e-16 of 1 or of itself, and its z-score by that over the window's
    deviation. The MACD: near 0 it is a small difference of two averages, and a bad tick fades in both.
    """
    error = np.zeros(len(bars))
    with np.errstate(all="ignore"):
        if name.endswith("_z"):
            x = formulas_of(others)[name.removesuffix("_z")](bars)
            deviation = windows(12, lambda x: np.std(x, axis=1), x)
            size = windows(12, lambda x: np.maximum(np.abs(x).max(axis=1, initial=0.0), 1.0), x)
            error = np.where(np.less(deviation, _ROUNDING), np.inf, size / deviation)
        elif name.startswith("w_macd"):
            error = ema(column(bars, "close"), others.get("macd", WINDOWS["macd"])[1])
    return np.nan_to_num(_SAFETY * np.finfo(np.float64).eps * error, posinf=np.inf)
