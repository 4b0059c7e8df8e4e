"""Family `breakout`: the position of the close in the range of a year, or of other windows."""

from __future__ import annotations

from functools import partial

from weekly_cli.compute.features.declare import Feature, Step, Windows
from weekly_cli.compute.kernels import Panel, relative_distance, rolling_max, rolling_min


def _position(close: Panel, highest: Panel, lowest: Panel) -> Panel:
    return (close - lowest) / (highest - lowest)


def steps(windows: Windows) -> tuple[Step, ...]:
    """Return the family's columns for each window `breakout`."""
    return tuple(step for n in windows["breakout"] for step in _range(n))


def _range(n: int) -> tuple[Step, ...]:
    highest, lowest = f"highest_{n}", f"lowest_{n}"
    return (
        Step(name=highest, inputs=("high",), function=partial(rolling_max, n=n)),
        Step(name=lowest, inputs=("low",), function=partial(rolling_min, n=n)),
        Feature(
            name=f"w_high_{n}",
            family="breakout",
            formula=f"C / max(H, window {n}) - 1",
            first_bar=n - 1,
            inputs=("close", highest),
            function=relative_distance,
            parity="TA-Lib MAX",
            source="George and Hwang (2004), The 52-Week High and Momentum Investing",
        ),
        Feature(
            name=f"w_low_{n}",
            family="breakout",
            formula=f"C / min(L, window {n}) - 1",
            first_bar=n - 1,
            inputs=("close", lowest),
            function=relative_distance,
            parity="TA-Lib MIN",
            source="George and Hwang (2004), The 52-Week High and Momentum Investing",
        ),
        Feature(
            name=f"w_position_{n}",
            family="breakout",
            formula=f"(C - min L) / (max H - min L) over window {n}; null where they are equal",
            first_bar=n - 1,
            inputs=("close", highest, lowest),
            function=_position,
            source="Lane (1984), Lane's Stochastics: %K, here as a share of 1",
        ),
    )
