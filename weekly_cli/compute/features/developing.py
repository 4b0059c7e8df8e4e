"""Family `developing`: the week to date, and indicators that have it as their last bar.

A value belongs to a daily row. Inputs that begin with `running_` are those of the row's running bar; all others are of
the newest bar before the row's week, as a panel has it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from weekly_cli.compute.bars import Floats
from weekly_cli.compute.features.declare import RUNNING, Feature, Step
from weekly_cli.compute.kernels import Panel, rolling_mean, wilder
from weekly_cli.names import PREFIX as WEEKLY_PREFIX

FAMILY, PREFIX = "developing", "wtd_"
_RSI, _SMA = 14, 20


def _averages(gains_and_losses: Panel, n: int, part: int) -> Panel:
    """Return Wilder's averages of the gains (part 0) or the losses (1) as the next bar needs them.

    The bar before the first average has the mean of the n - 1 changes so far, of which the next change makes that of n.
    """
    symbols = gains_and_losses.shape[1] // 2
    changes = gains_and_losses[:, part * symbols : (part + 1) * symbols]
    average = wilder(changes, n, first=1)
    if len(changes) >= n:
        average[n - 1] = changes[1:n].sum(axis=0) / (n - 1)
    return average


def _log_return(now: Floats, before: Floats) -> Floats:
    return np.log(now / before)


def _rsi(now: Floats, before: Floats, gain: Floats, loss: Floats, n: int) -> Floats:
    change = now - before
    gain = gain + (np.maximum(change, 0.0) - gain) / n
    loss = loss + (np.maximum(-change, 0.0) - loss) / n
    return 100.0 * (gain / (gain + loss))


def _mean(now: Floats, before: Floats, n: int) -> Floats:
    """Return the mean of n values from the last one and the mean of those before it."""
    return before + (now - before) / n


def _same(values: Floats) -> Floats:
    return values


def _of_rows(*, first_bar: int = 0, **declared: Any) -> Feature:
    return Feature(family=FAMILY, first_bar=first_bar, of_rows=True, **declared)


def steps() -> tuple[Step, ...]:
    """Return the family's columns; their windows are fixed."""
    facts = (
        ("open", "O of the running week", "float64"),
        ("high", "H of the running week", "float64"),
        ("low", "L of the running week", "float64"),
        ("close", "C of the running week", "float64"),
        ("volume", "V of the running week", "float64"),
        ("days", "usable daily rows of the running week", "int16"),
    )
    return (
        *(
            _of_rows(
                name=f"{PREFIX}{name}", formula=formula, inputs=(f"{RUNNING}{name}",), function=_same, stored=stored
            )
            for name, formula, stored in facts
        ),
        _of_rows(
            name=f"{PREFIX}ret",
            formula="ln(wtd_close / C of the newest bar before the running week)",
            first_bar=1,
            inputs=(f"{RUNNING}close", "close"),
            function=_log_return,
        ),
        *(
            Step(
                name=f"{name}_before_{_RSI}",
                inputs=("gains_and_losses",),
                function=partial(_averages, n=_RSI, part=part),
            )
            for part, name in enumerate(("gain", "loss"))
        ),
        _of_rows(
            name=f"{PREFIX}rsi_{_RSI}",
            formula=f"Wilder's RSI of C over {_RSI} with the running week as the last bar; null where there was "
            "neither gain nor loss",
            first_bar=_RSI,
            whole_history=True,
            inputs=(f"{RUNNING}close", "close", f"gain_before_{_RSI}", f"loss_before_{_RSI}"),
            function=partial(_rsi, n=_RSI),
            parity="TA-Lib RSI",
        ),
        Step(name=f"mean_before_{_SMA}", inputs=("close",), function=partial(rolling_mean, n=_SMA - 1)),
        _of_rows(
            name=f"{PREFIX}sma_{_SMA}",
            formula=f"mean of C over window {_SMA} with the running week as the last bar",
            first_bar=_SMA - 1,
            inputs=(f"{RUNNING}close", f"mean_before_{_SMA}"),
            function=partial(_mean, n=_SMA),
            parity="TA-Lib SMA",
        ),
    )


def weekly_column(name: str) -> str:
    """Return the column of which one of rows has the running value.

    >>> weekly_column("wtd_rsi_14")
    'w_rsi_14'
    """
    return WEEKLY_PREFIX + name.removeprefix(PREFIX)
