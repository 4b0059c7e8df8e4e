"""Family `momentum`: Wilder's RSI and the MACD, both seeded as in TA-Lib."""

from __future__ import annotations

from functools import partial
from operator import itemgetter, sub

import numpy as np

from weekly_cli.compute.features.declare import Feature, Step, Windows
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


def steps(windows: Windows) -> tuple[Step, ...]:
    """Return the family's columns, with `w_rsi_n` for each window `rsi`, and the MACD of the three windows `macd`."""
    return (
        Step(name="gains_and_losses", inputs=("close",), function=_gains_and_losses),
        *(
            Feature(
                name=f"w_rsi_{n}",
                family="momentum",
                formula=f"Wilder's RSI of C over {n}; null where there was neither gain nor loss",
                first_bar=n,
                whole_history=True,
                inputs=("gains_and_losses",),
                function=partial(rsi, n=n),
                parity="TA-Lib RSI",
                source=_WILDER,
            )
            for n in windows["rsi"]
        ),
        *_macd_steps(*windows["macd"]),
    )


def _macd_steps(fast: int, slow: int, signal: int) -> tuple[Step, ...]:
    """Return the MACD's columns; only those of the usual windows have names without numbers."""
    is_usual = (fast, slow, signal) == WINDOWS["macd"]
    name = "w_macd" if is_usual else f"w_macd_{fast}_{slow}_{signal}"
    first_bar = slow + signal - 2
    return (
        Step(name="macd", inputs=("close",), function=partial(_macd, n_fast=fast, n_slow=slow, n_signal=signal)),
        Feature(
            name=name,
            family="momentum",
            formula=f"EMA{fast} - EMA{slow} of C, both from bar {slow - 1}; the fast one seeded with the mean of bars "
            f"{slow - fast} to {slow - 1}",
            first_bar=first_bar,
            whole_history=True,
            inputs=("macd",),
            function=itemgetter(0),
            parity="TA-Lib MACD",
            source=_APPEL,
        ),
        Feature(
            name=f"{name}_signal",
            family="momentum",
            formula=f"EMA{signal} of the MACD line, seeded with the mean of its first {signal} values",
            first_bar=first_bar,
            whole_history=True,
            inputs=("macd",),
            function=itemgetter(1),
            parity="TA-Lib MACD",
            source=_APPEL,
        ),
        Feature(
            name=f"{name}_hist",
            family="momentum",
            formula="line - signal",
            first_bar=first_bar,
            whole_history=True,
            inputs=(name, f"{name}_signal"),
            function=sub,
            parity="TA-Lib MACD",
            source="Aspray (1986), the histogram of the MACD",
        ),
        Step(name="macd_hist_change", inputs=(f"{name}_hist",), function=difference),
        Feature(
            name=f"{name}_hist_slope",
            family="momentum",
            formula="EMA, span 3, of hist - hist[-1], seeded with its first value",
            first_bar=first_bar + 1,
            whole_history=True,
            inputs=("macd_hist_change",),
            function=partial(ema, span=3, first=first_bar + 1, n_seed=1),
        ),
    )
