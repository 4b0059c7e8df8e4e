"""Family `momentum`: Wilder's RSI and the MACD, both seeded as in TA-Lib."""

from __future__ import annotations

from functools import partial
from operator import itemgetter, sub

import numpy as np

from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.kernels import Panel, difference, ema, wilder

_WILDER = "Wilder (1978), New Concepts in Technical Trading Systems"
_APPEL = "Appel (1979), Moving Average Convergence-Divergence"
_FAST, _SLOW, _SIGNAL = 12, 26, 9
_LINE_BAR = _SLOW - 1
_SIGNAL_BAR = _LINE_BAR + _SIGNAL - 1


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


def _macd(close: Panel) -> tuple[Panel, Panel]:
    fast = ema(close, _FAST, first=_SLOW - _FAST, n_seed=_FAST)
    line = fast - ema(close, _SLOW, first=0, n_seed=_SLOW)
    signal = ema(line, _SIGNAL, first=_LINE_BAR, n_seed=_SIGNAL)
    line[:_SIGNAL_BAR] = np.nan
    return line, signal


STEPS = (
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
        for n in (14, 21, 30)
    ),
    Step(name="macd", inputs=("close",), function=_macd),
    Feature(
        name="w_macd",
        family="momentum",
        formula="EMA12 - EMA26 of C, both from bar 25; the fast one seeded with the mean of bars 14 to 25",
        first_bar=_SIGNAL_BAR,
        whole_history=True,
        inputs=("macd",),
        function=itemgetter(0),
        parity="TA-Lib MACD",
        source=_APPEL,
    ),
    Feature(
        name="w_macd_signal",
        family="momentum",
        formula="EMA9 of the MACD line, seeded with the mean of its first nine values",
        first_bar=_SIGNAL_BAR,
        whole_history=True,
        inputs=("macd",),
        function=itemgetter(1),
        parity="TA-Lib MACD",
        source=_APPEL,
    ),
    Feature(
        name="w_macd_hist",
        family="momentum",
        formula="line - signal",
        first_bar=_SIGNAL_BAR,
        whole_history=True,
        inputs=("w_macd", "w_macd_signal"),
        function=sub,
        parity="TA-Lib MACD",
        source="Aspray (1986), the histogram of the MACD",
    ),
    Step(name="macd_hist_change", inputs=("w_macd_hist",), function=difference),
    Feature(
        name="w_macd_hist_slope",
        family="momentum",
        formula="EMA, span 3, of hist - hist[-1], seeded with its first value",
        first_bar=_SIGNAL_BAR + 1,
        whole_history=True,
        inputs=("macd_hist_change",),
        function=partial(ema, span=3, first=_SIGNAL_BAR + 1, n_seed=1),
    ),
)
