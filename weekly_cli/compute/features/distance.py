"""Family `distance`: how far the close is from its moving averages."""

from __future__ import annotations

from functools import partial

import numpy as np

from weekly_cli.compute.features.clock_columns import ClockColumns
from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.kernels import Panel, relative_distance, z_score


def _smallest_absolute(*distances: Panel) -> Panel:
    smallest = np.abs(distances[0])
    for distance in distances[1:]:
        np.fmin(smallest, np.abs(distance), out=smallest)
    return smallest


def _z(source: str, first_bar: int, clock: ClockColumns) -> Feature:
    return Feature(
        name=f"{source}_z",
        every=clock.every,
        family="distance",
        formula=f"(x - mean) / population std of {source} over window {clock.z_bars}; null where std = 0",
        first_bar=first_bar + clock.z_bars - 1,
        inputs=(source,),
        function=partial(z_score, n=clock.z_bars),
    )


def steps(clock: ClockColumns) -> tuple[Step, ...]:
    """Return the family's columns, which follow the windows `sma`; the ratio is that of the two shortest."""
    sma, p = clock.windows["sma"], clock.prefix
    return (
        *(
            Feature(
                name=f"{p}dist_sma_{n}",
                every=clock.every,
                family="distance",
                formula=f"C / SMA{n} - 1",
                first_bar=n - 1,
                inputs=("close", f"{p}sma_{n}"),
                function=relative_distance,
            )
            for n in sma
        ),
        *(_z(f"{p}dist_sma_{n}", n - 1, clock) for n in sma if clock.z_bars),
        *(_of_several(clock) if clock.has_scores else ()),
    )


def _of_several(clock: ClockColumns) -> tuple[Feature, ...]:
    sma, p = clock.windows["sma"], clock.prefix
    smallest = Feature(
        name=f"{p}dist_sma_min",
        every=clock.every,
        family="distance",
        formula="smallest absolute distance among those defined",
        first_bar=sma[0] - 1,
        looks_back=sma[-1] - 1,
        inputs=tuple(f"{p}dist_sma_{n}" for n in sma),
        function=_smallest_absolute,
    )
    return (smallest, *(_ratio(clock) if len(sma) > 1 else ()))


def _ratio(clock: ClockColumns) -> tuple[Feature, Feature]:
    p, (shorter, longer) = clock.prefix, clock.windows["sma"][:2]
    name = f"{p}sma_{shorter}_{longer}"
    feature = Feature(
        name=name,
        every=clock.every,
        family="distance",
        formula=f"SMA{shorter} / SMA{longer} - 1",
        first_bar=longer - 1,
        inputs=(f"{p}sma_{shorter}", f"{p}sma_{longer}"),
        function=relative_distance,
    )
    return feature, _z(name, longer - 1, clock)
