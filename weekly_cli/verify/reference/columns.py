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
    mom_12_1,
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


#: What the columns of a clock begin with, and how many of its bars a year has.
PREFIX_OF = {"week": "w", "2W": "w2", "4W": "w4", "month": "m", "quarter": "q"}
_A_YEAR = {"week": 52, "2W": 26, "4W": 13, "month": 12, "quarter": 4}


def every_of(name: str) -> str:
    """Return the clock of a column by its name."""
    prefix = name.split("_")[0]
    return next(every for every, one in PREFIX_OF.items() if one == prefix)


def _facts(p: str) -> dict[str, Formula]:
    """Return the columns that say what is in a bar, and its return."""
    return {
        f"{p}_bars": lambda bars: np.arange(1.0, len(bars) + 1),
        **{f"{p}_{name}": partial(column, name=name) for name in ("open", "high", "low", "close", "volume")},
        f"{p}_ret": w_ret,
    }


_RANGES = (("high", from_high), ("low", from_low), ("position", position))
_LONGER: dict[str, dict[str, Formula]] = {
    "month": {
        **_facts("m"),
        **{f"m_mom_{n}": partial(mom, n=n) for n in (1, 3, 6, 12)},
        "m_mom_12_1": mom_12_1,
        "m_rsi_14": partial(rsi, n=14),
        **{f"m_macd{end}": partial(macd, i=i) for i, end in enumerate(("", "_signal", "_hist"))},
        **{f"m_sma_{n}": partial(sma, n=n) for n in (6, 10, 12, 24)},
        **{f"m_sma_{n}_slope": partial(sma_slope, n=n, over=3) for n in (6, 10, 12, 24)},
        **{f"m_dist_sma_{n}": partial(dist_sma, n=n) for n in (6, 10, 12, 24)},
        **{f"m_dist_sma_{n}_z": partial(dist_sma_z, n=n) for n in (6, 10, 12, 24)},
        **{f"m_vol_{n}": partial(vol, n=n, a_year=12) for n in (12, 36)},
        "m_atr_14": partial(atr, n=14),
        "m_natr_14": partial(natr, n=14),
        "m_range": w_range,
        **{f"m_{name}_12": partial(f, n=12) for name, f in _RANGES},
        "m_volume_ratio_12": partial(volume_ratio, n=12),
        "m_rs": rs,
        "m_rs_norm": rs_norm,
        "m_rs_slope": partial(rs_slope, over=3),
        "m_beta_36": partial(on_benchmark, f=beta_of, n=36),
        "m_corr_36": partial(on_benchmark, f=corr_of, n=36),
    },
    "quarter": {
        **_facts("q"),
        **{f"q_mom_{n}": partial(mom, n=n) for n in (1, 2, 4)},
        **{f"q_sma_{n}": partial(sma, n=n) for n in (4, 8)},
        **{f"q_sma_{n}_slope": partial(sma_slope, n=n, over=1) for n in (4, 8)},
        **{f"q_dist_sma_{n}": partial(dist_sma, n=n) for n in (4, 8)},
        "q_vol_8": partial(vol, n=8, a_year=4),
        "q_range": w_range,
        **{f"q_{name}_4": partial(f, n=4) for name, f in _RANGES},
        "q_volume_ratio_4": partial(volume_ratio, n=4),
        "q_rs": rs,
        "q_rs_norm": partial(rs_norm, n=4),
        "q_rs_slope": partial(rs_slope, over=1),
    },
}


def formulas_of(others: Mapping[str, Sequence[int]], every: str = "week") -> dict[str, Formula]:
    """Return the formula of each column of a clock; `others` are the windows that are not the usual ones of weeks."""
    if every in _LONGER:
        return _LONGER[every]
    p = PREFIX_OF[every]
    weeks = {**WINDOWS, **others}
    sma_weeks, spans = weeks["sma"], weeks["macd"]
    name = f"{p}_macd" if tuple(spans) == (12, 26, 9) else f"{p}_macd_{'_'.join(map(str, spans))}"
    pairs = [sma_weeks[:2]] if len(sma_weeks) > 1 else []
    return {
        **_facts(p),
        **{f"{p}_mom_{n}": partial(mom, n=n) for n in weeks["mom"]},
        **{f"{p}_rsi_{n}": partial(rsi, n=n) for n in weeks["rsi"]},
        name: partial(macd, i=0, spans=spans),
        f"{name}_signal": partial(macd, i=1, spans=spans),
        f"{name}_hist": partial(macd, i=2, spans=spans),
        f"{name}_hist_slope": partial(macd_hist_slope, spans=spans),
        **{f"{p}_sma_{n}": partial(sma, n=n) for n in sma_weeks},
        **{f"{p}_sma_{n}_slope": partial(sma_slope, n=n) for n in sma_weeks},
        f"{p}_trend_score": partial(trend_score, sma_weeks=sma_weeks),
        f"{p}_trend_sign": partial(trend_sign, sma_weeks=sma_weeks),
        f"{p}_trend_score_change": partial(trend_score_change, sma_weeks=sma_weeks),
        f"{p}_trend_persistence": partial(trend_persistence, sma_weeks=sma_weeks),
        f"{p}_trend_alignment": partial(trend_alignment, sma_weeks=sma_weeks),
        **{f"{p}_dist_sma_{n}": partial(dist_sma, n=n) for n in sma_weeks},
        **{f"{p}_dist_sma_{n}_z": partial(dist_sma_z, n=n) for n in sma_weeks},
        f"{p}_dist_sma_min": partial(dist_sma_min, sma_weeks=sma_weeks),
        **{f"{p}_sma_{a}_{b}": partial(sma_ratio, shorter=a, longer=b) for a, b in pairs},
        **{f"{p}_sma_{a}_{b}_z": partial(sma_ratio_z, shorter=a, longer=b) for a, b in pairs},
        **{f"{p}_vol_{n}": partial(vol, n=n, a_year=_A_YEAR[every]) for n in weeks["vol"]},
        **{f"{p}_{name}_{n}": partial(f, n=n) for n in weeks["atr"] for name, f in (("atr", atr), ("natr", natr))},
        f"{p}_range": w_range,
        **{
            f"{p}_{name}_{n}": partial(f, n=n)
            for n in weeks["breakout"]
            for name, f in (("high", from_high), ("low", from_low), ("position", position))
        },
        **{f"{p}_volume_ratio_{n}": partial(volume_ratio, n=n) for n in weeks["volume_ratio"]},
        f"{p}_rs": rs,
        f"{p}_rs_norm": rs_norm,
        f"{p}_rs_slope": rs_slope,
        **{
            f"{p}_{name}_{n}": partial(on_benchmark, f=f, n=n)
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
            x = formulas_of(others, every_of(name))[name.removesuffix("_z")](bars)
            deviation = windows(12, lambda x: np.std(x, axis=1), x)
            size = windows(12, lambda x: np.maximum(np.abs(x).max(axis=1, initial=0.0), 1.0), x)
            error = np.where(np.less(deviation, _ROUNDING), np.inf, size / deviation)
        elif name.split("_")[1] == "macd":
            spans = others.get("macd", WINDOWS["macd"]) if every_of(name) != "month" else WINDOWS["macd"]
            error = ema(column(bars, "close"), spans[1])
    return np.nan_to_num(_SAFETY * np.finfo(np.float64).eps * error, posinf=np.inf)
