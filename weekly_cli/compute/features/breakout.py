"""Family `breakout`: the position of the close in the range of a year, or of other windows."""

from __future__ import annotations

from functools import partial

from weekly_cli.compute.features.clock_columns import ClockColumns
from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.kernels import Panel, relative_distance, rolling_max, rolling_min


def _position(close: Panel, highest: Panel, lowest: Panel) -> Panel:
    return (close - lowest) / (highest - lowest)


def steps(clock: ClockColumns) -> tuple[Step, ...]:
    """Return the family's columns for each window `breakout`."""
    return tuple(step for n in clock.windows["breakout"] for step in _range(n, clock))


def _range(n: int, clock: ClockColumns) -> tuple[Step, ...]:
    highest, lowest = clock.step(f"highest_{n}"), clock.step(f"lowest_{n}")
    p = clock.prefix
    return (
        Step(name=highest, inputs=("high",), function=partial(rolling_max, n=n)),
        Step(name=lowest, inputs=("low",), function=partial(rolling_min, n=n)),
        Feature(
            name=f"{p}high_{n}",
            every=clock.every,
            family="breakout",
            formula=f"C / max(H, window {n}) - 1",
            first_bar=n - 1,
            inputs=("close", highest),
            function=relative_distance,
            parity="TA-Lib MAX",
            source="George and Hwang (2004), The 52-Week High and Momentum Investing",
        ),
        Feature(
            name=f"{p}low_{n}",
            every=clock.every,
            family="breakout",
            formula=f"C / min(L, window {n}) - 1",
            first_bar=n - 1,
            inputs=("close", lowest),
            function=relative_distance,
            parity="TA-Lib MIN",
            source="George and Hwang (2004), The 52-Week High and Momentum Investing",
        ),
        Feature(
            name=f"{p}position_{n}",
            every=clock.every,
            family="breakout",
            formula=f"(C - min L) / (max H - min L) over window {n}; null where they are equal",
            first_bar=n - 1,
            inputs=("close", highest, lowest),
            function=_position,
            source="Lane (1984), Lane's Stochastics: %K, here as a share of 1",
        ),
    )
