"""Which days are sessions: days on which about as many of the symbols that are alive have a row as on most days.

One symbol with rows at weekends is no reason to expect them of all others, and a thin market, where no symbol has a row
on every day, still has sessions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints

#: A session has at least this share of what most days have: half days and strikes count, strays do not.
_LEAST_OF_MEDIAN = 0.5


def alive_by_day(first: Ints, last: Ints, n_days: int) -> Ints:
    """Return int64[days]: how many symbols have begun and not ended on each day.

    Parameters
    ----------
    first, last : int64[symbols]
        The position of each symbol's first and last day among the days.
    n_days : int
    """
    begun = np.bincount(first, minlength=n_days + 1)
    ended = np.bincount(last + 1, minlength=n_days + 1)
    return np.cumsum(begun - ended)[:n_days]


def session_days(symbols: Ints, alive: Ints) -> NDArray[np.bool_]:
    """Return bool[days]: which days are sessions.

    Parameters
    ----------
    symbols, alive : int64[days]
        How many symbols have a row, at least one, and how many are alive.
    """
    share = symbols / alive
    least = _LEAST_OF_MEDIAN * float(np.median(share)) if len(share) else 0.0
    sessions: NDArray[np.bool_] = share >= least
    return sessions
