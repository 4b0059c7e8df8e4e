"""Family `volatility`: standard deviation of returns, Wilder's true range, and the range of the bar."""

from __future__ import annotations

from functools import partial

import numpy as np

from weekly_cli.compute.features.declare import Feature, Step, Windows
from weekly_cli.compute.kernels import Panel, lag, sample_deviation, wilder

WEEKS_PER_YEAR = 52


def _annualised_deviation(returns: Panel, n: int) -> Panel:
    return sample_deviation(returns, n) * float(np.sqrt(WEEKS_PER_YEAR))


def _true_range(high: Panel, low: Panel, close: Panel) -> Panel:
    previous = lag(close, 1)
    return np.maximum(high, previous) - np.minimum(low, previous)


def _percent_of(x: Panel, close: Panel) -> Panel:
    return 100.0 * x / close


def _bar_range(high: Panel, low: Panel, close: Panel) -> Panel:
    return (high - low) / close


def _average_true_range(n: int) -> tuple[Feature, Feature]:
    return (
        Feature(
            name=f"w_atr_{n}",
            family="volatility",
            formula=f"Wilder average over {n} of max(H, C[-1]) - min(L, C[-1]), from bar 1 on",
            first_bar=n,
            whole_history=True,
            inputs=("true_range",),
            function=partial(wilder, n=n, first=1),
            parity="TA-Lib ATR",
            source="Wilder (1978), New Concepts in Technical Trading Systems",
        ),
        Feature(
            name=f"w_natr_{n}",
            family="volatility",
            formula="100 ATR / C",
            first_bar=n,
            whole_history=True,
            inputs=(f"w_atr_{n}", "close"),
            function=_percent_of,
            parity="TA-Lib NATR",
            source="Forman (2006), Cross-Market Evaluations with Normalized Average True Range",
        ),
    )


def steps(windows: Windows) -> tuple[Step, ...]:
    """Return the family's columns, with `w_vol_n` for each window `vol` and the ATR for each `atr`."""
    return (
        *(
            Feature(
                name=f"w_vol_{n}",
                family="volatility",
                formula=f"sample standard deviation of w_ret over window {n}, times sqrt(52)",
                first_bar=n,
                inputs=("w_ret",),
                function=partial(_annualised_deviation, n=n),
            )
            for n in windows["vol"]
        ),
        Step(name="true_range", inputs=("high", "low", "close"), function=_true_range),
        *(feature for n in windows["atr"] for feature in _average_true_range(n)),
        Feature(
            name="w_range",
            family="volatility",
            formula="(H - L) / C",
            first_bar=0,
            inputs=("high", "low", "close"),
            function=_bar_range,
        ),
    )
