"""Family `volume`: the bar's volume relative to the average."""

from __future__ import annotations

from functools import partial

from weekly_cli.compute.features.clock_columns import ClockColumns
from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.kernels import Panel, rolling_mean


def _ratio_to_mean(volume: Panel, n: int) -> Panel:
    return volume / rolling_mean(volume, n)


def steps(clock: ClockColumns) -> tuple[Step, ...]:
    """Return the family's columns for each window `volume_ratio`."""
    return tuple(
        Feature(
            name=f"{clock.prefix}volume_ratio_{n}",
            every=clock.every,
            family="volume",
            formula=f"V / mean(V, window {n}); null where the mean is 0",
            first_bar=n - 1,
            inputs=("volume",),
            function=partial(_ratio_to_mean, n=n),
        )
        for n in clock.windows["volume_ratio"]
    )
