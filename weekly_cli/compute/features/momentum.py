"""Family `momentum`: Wilder's RSI and the MACD, both seeded as in TA-Lib."""

from __future__ import annotations

from functools import partial
from operator import itemgetter, sub

import numpy as np

from weekly_cli.compute.features.clock_columns import ClockColumns
from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.kernels import Panel, difference, ema, wilder
from weekly_cli.names import WINDOWS

_WILDER = "Wilder (1978), New Concepts in Technical Trading Systems"
_APPEL = "Appel (1979), Moving Average Convergence-Divergence"


def _gains_and_losses(close: Panel) -> Panel:
    change = difference(close)
    return np.hstack((np.maximum(change, 0.0), np.maximum(-change, 0.0)))


def rsi(gains_and_losses: Panel, n: int) -> Panel:
    """Return 100 gain / (gain + loss) of Wilder's averages; NaN where both are 0.

    `gains_and_losses` is [bars, 2 x symbols]: the gains of all symbols, then the losses of all.
    """
    average = wilder(gains_and_losses, n, first=1)
    symbols = average.shape[1] // 2
    gain, loss = average[:, :symbols], average[:, symbols:]
    return 100.0 * (gain / (gain + loss))


def _macd(close: Panel, n_fast: int, n_slow: int, n_signal: int) -> tuple[Panel, Panel]:
    fast = ema(close, n_fast, first=n_slow - n_fast, n_seed=n_fast)
    line = fast - ema(close, n_slow, first=0, n_seed=n_slow)
    signal = ema(line, n_signal, first=n_slow - 1, n_seed=n_signal)
    line[: n_slow + n_signal - 2] = np.nan
    return line, signal


def steps(clock: ClockColumns) -> tuple[Step, ...]:
    """Return the family's columns: an RSI for each window `rsi`, and the MACD of the three windows `macd`."""
    moves = clock.step("gains_and_losses")
    return (
        Step(name=moves, inputs=("close",), function=_gains_and_losses),
        *(
            Feature(
                name=f"{clock.prefix}rsi_{n}",
                every=clock.every,
                family="momentum",
                formula=f"Wilder's RSI of C over {n}; null where there was neither gain nor loss",
                first_bar=n,
                whole_history=True,
                inputs=(moves,),
                function=partial(rsi, n=n),
                parity="TA-Lib RSI",
                source=_WILDER,
            )
            for n in clock.windows["rsi"]
        ),
        *(_macd_steps(clock) if clock.windows["macd"] else ()),
    )


def _macd_steps(clock: ClockColumns) -> tuple[Step, ...]:
    """Return the MACD's columns; only those of the usual windows have names without numbers."""
    fast, slow, signal = clock.windows["macd"]
    is_usual = (fast, slow, signal) == WINDOWS["macd"]
    name = f"{clock.prefix}macd" if is_usual else f"{clock.prefix}macd_{fast}_{slow}_{signal}"
    both, first_bar = clock.step("macd"), slow + signal - 2
    return (
        Step(name=both, inputs=("close",), function=partial(_macd, n_fast=fast, n_slow=slow, n_signal=signal)),
        Feature(
            name=name,
            every=clock.every,
            family="momentum",
            formula=f"EMA{fast} - EMA{slow} of C, both from bar {slow - 1}; the fast one seeded with the mean of bars "
            f"{slow - fast} to {slow - 1}",
            first_bar=first_bar,
            whole_history=True,
            inputs=(both,),
            function=itemgetter(0),
            parity="TA-Lib MACD",
            source=_APPEL,
        ),
        Feature(
            name=f"{name}_signal",
            every=clock.every,
            family="momentum",
            formula=f"EMA{signal} of the MACD line, seeded with the mean of its first {signal} values",
            first_bar=first_bar,
            whole_history=True,
            inputs=(both,),
            function=itemgetter(1),
            parity="TA-Lib MACD",
            source=_APPEL,
        ),
        Feature(
            name=f"{name}_hist",
            every=clock.every,
            family="momentum",
            formula="line - signal",
            first_bar=first_bar,
            whole_history=True,
            inputs=(name, f"{name}_signal"),
            function=sub,
            parity="TA-Lib MACD",
            source="Aspray (1986), the histogram of the MACD",
        ),
        *(_macd_slope(name, first_bar + 1, clock) if clock.has_macd_slope else ()),
    )


def _macd_slope(name: str, first_bar: int, clock: ClockColumns) -> tuple[Step, Feature]:
    change = clock.step("macd_hist_change")
    return (
        Step(name=change, inputs=(f"{name}_hist",), function=difference),
        Feature(
            name=f"{name}_hist_slope",
            every=clock.every,
            family="momentum",
            formula="EMA, span 3, of hist - hist[-1], seeded with its first value",
            first_bar=first_bar,
            whole_history=True,
            inputs=(change,),
            function=partial(ema, span=3, first=first_bar, n_seed=1),
        ),
    )
