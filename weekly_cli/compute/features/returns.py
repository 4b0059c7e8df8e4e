"""Family `returns`: log return and momentum."""

from __future__ import annotations

from functools import partial

import numpy as np

from weekly_cli.compute.features.clock_columns import ClockColumns
from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.kernels import Panel, lag, ratio_change


def log_return(close: Panel) -> Panel:
    """Return ln(C / C[-1])."""
    return np.log(close / lag(close, 1))


def _skipping(close: Panel, n: int, skip: int) -> Panel:
    return lag(close, skip) / lag(close, n) - 1.0


def steps(clock: ClockColumns) -> tuple[Step, ...]:
    """Return the family's columns, with a momentum for each window `mom`."""
    return (
        Feature(
            name=f"{clock.prefix}ret",
            every=clock.every,
            family="returns",
            formula="ln(C / C[-1])",
            first_bar=1,
            inputs=("close",),
            function=log_return,
        ),
        *(
            Feature(
                name=f"{clock.prefix}mom_{n}",
                every=clock.every,
                family="returns",
                formula=f"C / C[-{n}] - 1",
                first_bar=n,
                inputs=("close",),
                function=partial(ratio_change, n=n),
                parity="TA-Lib ROCP",
                source="Jegadeesh and Titman (1993), Returns to Buying Winners and Selling Losers",
            )
            for n in clock.windows["mom"]
        ),
        *((_skipped(12, 1, clock),) if clock.has_skipped_momentum else ()),
    )


def _skipped(n: int, skip: int, clock: ClockColumns) -> Feature:
    """Return the momentum that leaves out the last bars, in which prices tend to reverse."""
    return Feature(
        name=f"{clock.prefix}mom_{n}_{skip}",
        every=clock.every,
        family="returns",
        formula=f"C[-{skip}] / C[-{n}] - 1",
        first_bar=n,
        inputs=("close",),
        function=partial(_skipping, n=n, skip=skip),
        source="Carhart (1997), On Persistence in Mutual Fund Performance",
    )
