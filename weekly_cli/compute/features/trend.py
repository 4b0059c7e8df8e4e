"""Family `trend`: moving averages, their slopes, and how well the slopes agree."""

from __future__ import annotations

from functools import partial

import numpy as np

from weekly_cli.compute.features.clock_columns import ClockColumns
from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.kernels import Panel, difference, ema, ratio_change, rolling_mean

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


def steps(clock: ClockColumns) -> tuple[Step, ...]:
    """Return the family's columns, which follow the windows `sma`."""
    sma, p, slope_bars = clock.windows["sma"], clock.prefix, clock.slope_bars
    return (
        *(
            Feature(
                name=f"{p}sma_{n}",
                every=clock.every,
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
                name=f"{p}sma_{n}_slope",
                every=clock.every,
                family="trend",
                formula=f"SMA{n} / SMA{n}[-{slope_bars}] - 1",
                first_bar=n + slope_bars - 1,
                inputs=(f"{p}sma_{n}",),
                function=partial(ratio_change, n=slope_bars),
            )
            for n in sma
        ),
        *(_scores(clock) if clock.has_scores else ()),
    )


def _scores(clock: ClockColumns) -> tuple[Step, ...]:
    """Return what the slopes say together."""
    sma, p = clock.windows["sma"], clock.prefix
    first_slope, last_slope = (n + clock.slope_bars - 1 for n in (sma[0], sma[-1]))
    signs = clock.step("slope_signs")
    return (
        Step(name=signs, inputs=tuple(f"{p}sma_{n}_slope" for n in sma), function=_signs),
        Feature(
            name=f"{p}trend_score",
            every=clock.every,
            family="trend",
            formula="mean of the non-zero signs (beyond +-1e-5) of the slopes that are defined; 0 where all are 0",
            first_bar=first_slope,
            looks_back=last_slope,
            inputs=(signs,),
            function=_score,
        ),
        Feature(
            name=f"{p}trend_sign",
            every=clock.every,
            family="trend",
            formula="sign of the trend score",
            first_bar=first_slope,
            looks_back=last_slope,
            inputs=(f"{p}trend_score",),
            function=np.sign,
        ),
        Feature(
            name=f"{p}trend_score_change",
            every=clock.every,
            family="trend",
            formula="score - score[-1]",
            first_bar=first_slope + 1,
            looks_back=last_slope + 1,
            inputs=(f"{p}trend_score",),
            function=difference,
        ),
        Feature(
            name=f"{p}trend_persistence",
            every=clock.every,
            family="trend",
            formula="EMA, span 10, of the trend sign, seeded with its first value",
            first_bar=first_slope,
            whole_history=True,
            inputs=(f"{p}trend_sign",),
            function=partial(ema, span=10, first=first_slope, n_seed=1),
        ),
        Feature(
            name=f"{p}trend_alignment",
            every=clock.every,
            family="trend",
            formula="share of the non-zero signs that are +1; null where all are 0",
            first_bar=first_slope,
            looks_back=last_slope,
            inputs=(signs,),
            function=_alignment,
        ),
    )
