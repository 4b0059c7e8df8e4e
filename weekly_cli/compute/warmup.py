"""When a column no longer depends on where the history begins: the measure of its warm-up."""

from __future__ import annotations

import numpy as np

from weekly_cli.compute.bars import Floats

#: As a share of the column's typical size, which is its median magnitude in a symbol's history.
SMALL = 1e-3


def settled_from(short: Floats, full: Floats) -> tuple[int | None, bool, bool]:
    """Compare a symbol's values with and without the beginning of its history.

    Parameters
    ----------
    short, full : float64[bars]
        Of the same bars: computed from a later beginning, and from the whole history.

    Returns
    -------
    position : int or None
        The first value from which all differ by less than `SMALL`; None: the last one still differs.
    has_values : bool
        Whether there is any bar with both values.
    moves : bool
        Whether any value differs at all.
    """
    known = np.flatnonzero(~np.isnan(short) & ~np.isnan(full))
    if not len(known):
        return None, False, False
    moves = bool((short[known] != full[known]).any())
    apart = np.abs(short[known] - full[known]) > SMALL * np.median(np.abs(full[known]))
    after = int(np.flatnonzero(np.append(True, apart))[-1])  # the number of values before those that stay near
    return (int(known[after]) if after < len(known) else None), True, moves
