"""Family `distance`: how far the close is from its moving averages."""

from __future__ import annotations

from functools import partial

import numpy as np

from weekly_cli.compute.features.declare import Feature, Step, Windows
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


def steps(windows: Windows) -> tuple[Step, ...]:
    """Return the family's columns, which follow the windows `sma`; the ratio is that of the two shortest."""
    sma = windows["sma"]
    return (
        *(
            Feature(
                name=f"w_dist_sma_{n}",
                family="distance",
                formula=f"C / SMA{n} - 1",
                first_bar=n - 1,
                inputs=("close", f"w_sma_{n}"),
                function=relative_distance,
            )
            for n in sma
        ),
        *(_z(f"w_dist_sma_{n}", first_bar=n + _Z_WINDOW - 2) for n in sma),
        Feature(
            name="w_dist_sma_min",
            family="distance",
            formula="smallest absolute distance among those defined",
            first_bar=sma[0] - 1,
            looks_back=sma[-1] - 1,
            inputs=tuple(f"w_dist_sma_{n}" for n in sma),
            function=_smallest_absolute,
        ),
        *(_ratio(*sma[:2]) if len(sma) > 1 else ()),
    )


def _ratio(shorter: int, longer: int) -> tuple[Feature, Feature]:
    name = f"w_sma_{shorter}_{longer}"
    feature = Feature(
        name=name,
        family="distance",
        formula=f"SMA{shorter} / SMA{longer} - 1",
        first_bar=longer - 1,
        inputs=(f"w_sma_{shorter}", f"w_sma_{longer}"),
        function=relative_distance,
    )
    return feature, _z(name, first_bar=longer + _Z_WINDOW - 2)
