"""Labels: columns that look ahead by design, as targets for models. No feature can be computed from one.

A label belongs to a weekly bar, like a feature, but a row has the label of the first bar that it does not see yet: what
a decision of that row may still buy at the bar's close.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from weekly_cli.compute.bars import Floats, Ints
from weekly_cli.names import FORWARD_RETURN, LABEL_PREFIX


@dataclass(frozen=True)
class Label:
    """The simple return from a week's close to the close `n_weeks` calendar weeks later.

    Attributes
    ----------
    n_weeks : int
    version : int
        Increased whenever the values change, so that outputs can be distinguished.
    stored : str
        Its type, as a feature's.
    """

    n_weeks: int
    version: int = 1
    stored: str = "estimate"

    @property
    def name(self) -> str:
        """The column's name."""
        return f"{LABEL_PREFIX}forward_return_{self.n_weeks}w"


@dataclass(frozen=True)
class Labels:
    """Which labels to compute.

    Attributes
    ----------
    wanted : tuple of Label
    last_day : int
        How far the data reach: a week that is not over by then may go on, and its close is none yet.
    """

    wanted: tuple[Label, ...]
    last_day: int


def labels_up_to(wanted: tuple[Label, ...], last_day: int) -> Labels | None:
    """Return which labels to compute where the data reach to `last_day`; None: none."""
    return Labels(wanted, last_day) if wanted else None


def labels_named(names: Sequence[str]) -> tuple[Label, ...]:
    """Return the labels with these names, as `--label` has them.

    >>> labels_named(["forward_return_4w"])[0].name
    'label_forward_return_4w'
    """
    matches = (FORWARD_RETURN.fullmatch(name) for name in names)
    return tuple(Label(int(match[1])) for match in matches if match is not None)


def forward_return(keys: Ints, week: Ints, close: Floats, bars_per_symbol: Ints, n_weeks: int, newest: Ints) -> Floats:
    """Return each bar's forward return, NaN where it is not known yet or the history ends before.

    Parameters
    ----------
    keys, week : int64[bars]
        Ascending keys of (symbol, week), a week more being 1 more, and the week's number.
    close : float64[bars]
    bars_per_symbol : int64[symbols]
    n_weeks : int
    newest : int64[bars]
        The newest week of the symbol that is over.
    """
    counts = bars_per_symbol[bars_per_symbol > 0]
    history_ends = np.repeat(week[np.cumsum(counts) - 1], counts)
    exits = week + n_weeks
    at = np.searchsorted(keys, keys + n_weeks, "right") - 1
    is_known = (exits <= history_ends) & (exits <= newest)
    with np.errstate(all="ignore"):  # what is not finite in its type is null
        return np.where(is_known, close[at] / close - 1.0, np.nan)
