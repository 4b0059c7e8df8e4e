"""Family `trend`: moving averages, their slopes, and how well the slopes agree."""

from __future__ import annotations

from functools import partial

import numpy as np

from weekly_cli.compute.features.declare import Feature, Step, Windows
from weekly_cli.compute.kernels import Panel, difference, ema, ratio_change, rolling_mean

SLOPE_BARS = 4
_FLAT = 1e-5  # a slope between -1e-5 and 1e-5 over four weeks counts as flat


def _signs(*slopes: Panel) -> tuple[Panel, Panel, Panel]:
    """Return how many of the slopes rise, how many fall, and NaN where none is defined (else 0)."""
    rising = np.zeros_like(slopes[0])
    falling = np.zeros_like(slopes[0])
    for slope in slopes:
        rising += slope > _FLAT
        falling += slope < -_FLAT
    # The longer a window, the later its slope begins: where the shortest window's slope is missing, all are.
    # Not `slopes[0] * 0.0`: after a bad tick a slope may be infinite, and a NaN would stay in `w_trend_persistence`.
    return rising, falling, np.where(np.isnan(slopes[0]), np.nan, 0.0)


def _score(signs: tuple[Panel, Panel, Panel]) -> Panel:
    rising, falling, undefined = signs
    return (rising - falling) / np.maximum(rising + falling, 1.0) + undefined


def _alignment(signs: tuple[Panel, Panel, Panel]) -> Panel:
    rising, falling, undefined = signs
    return rising / (rising + falling) + undefined


def steps(windows: Windows) -> tuple[Step, ...]:
    """Return the family's columns, which follow the windows `sma`."""
    sma = windows["sma"]
    first_slope, last_slope = (n + SLOPE_BARS - 1 for n in (sma[0], sma[-1]))
    return (
        *(
            Feature(
                name=f"w_sma_{n}",
                family="trend",
                formula=f"mean of C over window {n}",
                first_bar=n - 1,
                inputs=("close",),
                function=partial(rolling_mean, n=n),
                parity="TA-Lib SMA",
            )
            for n in sma
        ),
        *(
            Feature(
                name=f"w_sma_{n}_slope",
                family="trend",
                formula=f"SMA{n} / SMA{n}[-{SLOPE_BARS}] - 1",
                first_bar=n + SLOPE_BARS - 1,
                inputs=(f"w_sma_{n}",),
                function=partial(ratio_change, n=SLOPE_BARS),
            )
            for n in sma
        ),
        Step(name="slope_signs", inputs=tuple(f"w_sma_{n}_slope" for n in sma), function=_signs),
        Feature(
            name="w_trend_score",
            family="trend",
            formula="mean of the non-zero signs (beyond +-1e-5) of the slopes that are defined; 0 where all are 0",
            first_bar=first_slope,
            looks_back=last_slope,
            inputs=("slope_signs",),
            function=_score,
        ),
        Feature(
            name="w_trend_sign",
            family="trend",
            formula="sign of the trend score",
            first_bar=first_slope,
            looks_back=last_slope,
            inputs=("w_trend_score",),
            function=np.sign,
        ),
        Feature(
            name="w_trend_score_change",
            family="trend",
            formula="score - score[-1]",
            first_bar=first_slope + 1,
            looks_back=last_slope + 1,
            inputs=("w_trend_score",),
            function=difference,
        ),
        Feature(
            name="w_trend_persistence",
            family="trend",
            formula="EMA, span 10, of the trend sign, seeded with its first value",
            first_bar=first_slope,
            whole_history=True,
            inputs=("w_trend_sign",),
            function=partial(ema, span=10, first=first_slope, n_seed=1),
        ),
        Feature(
            name="w_trend_alignment",
            family="trend",
            formula="share of the non-zero signs that are +1; null where all are 0",
            first_bar=first_slope,
            looks_back=last_slope,
            inputs=("slope_signs",),
            function=_alignment,
        ),
    )
