"""Family `volume`: this week's volume relative to the average."""

from __future__ import annotations

from functools import partial

from weekly_cli.compute.features.declare import Feature
from weekly_cli.compute.kernels import Panel, rolling_mean

_WINDOW = 12


def _ratio_to_mean(volume: Panel, n: int) -> Panel:
    return volume / rolling_mean(volume, n)


STEPS = (
    Feature(
        name="w_volume_ratio_12",
        family="volume",
        formula="V / mean(V, window 12); null where the mean is 0",
        first_bar=_WINDOW - 1,
        inputs=("volume",),
        function=partial(_ratio_to_mean, n=_WINDOW),
    ),
)
