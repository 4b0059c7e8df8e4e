"""Family `returns`: log return and momentum."""

from __future__ import annotations

from functools import partial

import numpy as np

from weekly_cli.compute.features.declare import Feature, Step, Windows
from weekly_cli.compute.kernels import Panel, lag, ratio_change


def log_return(close: Panel) -> Panel:
    """Return ln(C / C[-1])."""
    return np.log(close / lag(close, 1))


def steps(windows: Windows) -> tuple[Step, ...]:
    """Return the family's columns, with `w_mom_n` for each window `mom`."""
    return (
        Feature(
            name="w_ret",
            family="returns",
            formula="ln(C / C[-1])",
            first_bar=1,
            inputs=("close",),
            function=log_return,
        ),
        *(
            Feature(
                name=f"w_mom_{n}",
                family="returns",
                formula=f"C / C[-{n}] - 1",
                first_bar=n,
                inputs=("close",),
                function=partial(ratio_change, n=n),
                parity="TA-Lib ROCP",
                source="Jegadeesh and Titman (1993), Returns to Buying Winners and Selling Losers",
            )
            for n in windows["mom"]
        ),
    )
