"""Family `volatility`: standard deviation of returns, Wilder's true range, and the range of the bar."""

from __future__ import annotations

from functools import partial

import numpy as np

from weekly_cli.compute.features.clock_columns import ClockColumns
from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.kernels import Panel, lag, sample_deviation, wilder


def _annualised_deviation(returns: Panel, n: int, bars_per_year: int) -> Panel:
    return sample_deviation(returns, n) * float(np.sqrt(bars_per_year))


def _true_range(high: Panel, low: Panel, close: Panel) -> Panel:
    previous = lag(close, 1)
    return np.maximum(high, previous) - np.minimum(low, previous)


def _percent_of(x: Panel, close: Panel) -> Panel:
    return 100.0 * x / close


def _bar_range(high: Panel, low: Panel, close: Panel) -> Panel:
    return (high - low) / close


def _average_true_range(n: int, clock: ClockColumns) -> tuple[Feature, Feature]:
    atr = f"{clock.prefix}atr_{n}"
    return (
        Feature(
            name=atr,
            every=clock.every,
            family="volatility",
            formula=f"Wilder average over {n} of max(H, C[-1]) - min(L, C[-1]), from bar 1 on",
            first_bar=n,
            whole_history=True,
            inputs=(clock.step("true_range"),),
            function=partial(wilder, n=n, first=1),
            parity="TA-Lib ATR",
            source="Wilder (1978), New Concepts in Technical Trading Systems",
        ),
        Feature(
            name=f"{clock.prefix}natr_{n}",
            every=clock.every,
            family="volatility",
            formula="100 ATR / C",
            first_bar=n,
            whole_history=True,
            inputs=(atr, "close"),
            function=_percent_of,
            parity="TA-Lib NATR",
            source="Forman (2006), Cross-Market Evaluations with Normalized Average True Range",
        ),
    )


def steps(clock: ClockColumns) -> tuple[Step, ...]:
    """Return the family's columns, with a deviation for each window `vol` and the ATR for each `atr`."""
    returns, bars_per_year = f"{clock.prefix}ret", clock.bars_per_year
    return (
        *(
            Feature(
                name=f"{clock.prefix}vol_{n}",
                every=clock.every,
                family="volatility",
                formula=f"sample standard deviation of {returns} over window {n}, times sqrt({bars_per_year})",
                first_bar=n,
                inputs=(returns,),
                function=partial(_annualised_deviation, n=n, bars_per_year=bars_per_year),
            )
            for n in clock.windows["vol"]
        ),
        Step(name=clock.step("true_range"), inputs=("high", "low", "close"), function=_true_range),
        *(feature for n in clock.windows["atr"] for feature in _average_true_range(n, clock)),
        Feature(
            name=f"{clock.prefix}range",
            every=clock.every,
            family="volatility",
            formula="(H - L) / C",
            first_bar=0,
            inputs=("high", "low", "close"),
            function=_bar_range,
        ),
    )
