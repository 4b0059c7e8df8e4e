"""Family `distance`: how far the close is from its moving averages."""

from __future__ import annotations

from functools import partial

import numpy as np

from weekly_cli.compute.features.declare import Feature
from weekly_cli.compute.features.trend import SMA_WINDOWS
from weekly_cli.compute.kernels import Panel, relative_distance, z_score

_Z_WINDOW = 12


def _smallest_absolute(*distances: Panel) -> Panel:
    smallest = np.abs(distances[0])
    for distance in distances[1:]:
        np.fmin(smallest, np.abs(distance), out=smallest)
    return smallest


def _z(source: str, first_bar: int) -> Feature:
    return Feature(
        name=f"{source}_z",
        family="distance",
        formula=f"(x - mean) / population std of {source} over window {_Z_WINDOW}; null where std = 0",
        first_bar=first_bar,
        inputs=(source,),
        function=partial(z_score, n=_Z_WINDOW),
    )


STEPS = (
    *(
        Feature(
            name=f"w_dist_sma_{n}",
            family="distance",
            formula=f"C / SMA{n} - 1",
            first_bar=n - 1,
            inputs=("close", f"w_sma_{n}"),
            function=relative_distance,
        )
        for n in SMA_WINDOWS
    ),
    *(_z(f"w_dist_sma_{n}", first_bar=n + _Z_WINDOW - 2) for n in SMA_WINDOWS),
    Feature(
        name="w_dist_sma_min",
        family="distance",
        formula="smallest absolute distance among those defined",
        first_bar=SMA_WINDOWS[0] - 1,
        looks_back=SMA_WINDOWS[-1] - 1,
        inputs=tuple(f"w_dist_sma_{n}" for n in SMA_WINDOWS),
        function=_smallest_absolute,
    ),
    Feature(
        name="w_sma_20_50",
        family="distance",
        formula="SMA20 / SMA50 - 1",
        first_bar=49,
        inputs=("w_sma_20", "w_sma_50"),
        function=relative_distance,
    ),
    _z("w_sma_20_50", first_bar=60),
)
