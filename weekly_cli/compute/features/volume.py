"""Family `volume`: this week's volume relative to the average."""

from __future__ import annotations

from functools import partial

from weekly_cli.compute.features.declare import Feature, Step, Windows
from weekly_cli.compute.kernels import Panel, rolling_mean


def _ratio_to_mean(volume: Panel, n: int) -> Panel:
    return volume / rolling_mean(volume, n)


def steps(windows: Windows) -> tuple[Step, ...]:
    """Return the family's columns for each window `volume_ratio`."""
    return tuple(
        Feature(
            name=f"w_volume_ratio_{n}",
            family="volume",
            formula=f"V / mean(V, window {n}); null where the mean is 0",
            first_bar=n - 1,
            inputs=("volume",),
            function=partial(_ratio_to_mean, n=n),
        )
        for n in windows["volume_ratio"]
    )
