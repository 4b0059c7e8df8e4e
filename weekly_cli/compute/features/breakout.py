"""Family `breakout`: the position of the close in its 52-week range."""

from __future__ import annotations

from functools import partial

from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.kernels import Panel, relative_distance, rolling_max, rolling_min

_YEAR_BARS = 52


def _position(close: Panel, highest: Panel, lowest: Panel) -> Panel:
    return (close - lowest) / (highest - lowest)


STEPS = (
    Step(name="highest_52", inputs=("high",), function=partial(rolling_max, n=_YEAR_BARS)),
    Step(name="lowest_52", inputs=("low",), function=partial(rolling_min, n=_YEAR_BARS)),
    Feature(
        name="w_high_52",
        family="breakout",
        formula="C / max(H, window 52) - 1",
        first_bar=_YEAR_BARS - 1,
        inputs=("close", "highest_52"),
        function=relative_distance,
        parity="TA-Lib MAX",
        source="George and Hwang (2004), The 52-Week High and Momentum Investing",
    ),
    Feature(
        name="w_low_52",
        family="breakout",
        formula="C / min(L, window 52) - 1",
        first_bar=_YEAR_BARS - 1,
        inputs=("close", "lowest_52"),
        function=relative_distance,
        parity="TA-Lib MIN",
        source="George and Hwang (2004), The 52-Week High and Momentum Investing",
    ),
    Feature(
        name="w_position_52",
        family="breakout",
        formula="(C - min L) / (max H - min L) over window 52; null where they are equal",
        first_bar=_YEAR_BARS - 1,
        inputs=("close", "highest_52", "lowest_52"),
        function=_position,
        source="Lane (1984), Lane's Stochastics: %K, here as a share of 1",
    ),
)
