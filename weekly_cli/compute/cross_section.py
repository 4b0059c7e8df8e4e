"""Where values stand among the bars of one clock: percentiles and z-scores by period and group.

All groups are computed at once: bars are sorted by (period, group, value), and each figure is one reduction over the
runs. Sums go from the smallest value to the largest, so that they depend on the values alone, and not on which symbol
has them or in which order the symbols come.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Floats, Ints, run_starts
from weekly_cli.compute.features.cross import RANK

_RADIX = 2**16


def placed(values: NDArray[np.floating], periods: Ints, groups: Ints, how: str, least: int) -> Floats:
    """Return the place of each bar's value among those of its period and group; NaN where it has none.

    Parameters
    ----------
    values : float[bars]
        NaN: there is none.
    periods : int64[bars]
    groups : int64[bars]
        The number of each bar's group; -1: the bar has none, and no place.
    how : str
        "rank": the mean rank of equal values, from 1 on, divided by the number of values: as pandas'
        `rank(method="average", pct=True)`. "zscore": (x - mean) / sample standard deviation, NaN where all are equal.
    least : int
        Groups of fewer values have no places.
    """
    result = np.full(len(values), np.nan)
    taking_part = np.flatnonzero((groups >= 0) & ~np.isnan(values))
    if not len(taking_part):
        return result
    x = values[taking_part].astype(np.float64) + 0.0  # no negative zero, whose place among equal ones is by chance
    order = _order(x, groups[taking_part], periods[taking_part])
    rows = taking_part[order]
    x, group, period = x[order], groups[rows], periods[rows]
    starts = run_starts(period, group)
    counts = np.diff(starts, append=len(x))
    with np.errstate(all="ignore"):  # what overflows is stored as null
        found = _percentiles(x, starts, counts) if how == RANK else _z_scores(x, starts, counts)
    found[np.repeat(counts < least, counts)] = np.nan
    result[rows] = found
    return result


def _percentiles(x: Floats, starts: Ints, counts: Ints) -> Floats:
    of_run = np.repeat(starts, counts)
    ties = run_starts(x, of_run)
    lengths = np.diff(ties, append=len(x))
    first = ties - of_run[ties]
    ranks = np.repeat(first + (lengths + 1) / 2, lengths)
    percentiles: Floats = ranks / np.repeat(counts, counts)
    return percentiles


def _z_scores(x: Floats, starts: Ints, counts: Ints) -> Floats:
    deviations = x - np.repeat(np.add.reduceat(x, starts) / counts, counts)
    std = np.sqrt(np.add.reduceat(deviations * deviations, starts) / (counts - 1))
    std[x[starts] == x[starts + counts - 1]] = np.nan  # they are sorted: all are equal, whatever the rounding says
    scores: Floats = deviations / np.repeat(std, counts)
    return scores


def _order(x: Floats, *keys: Ints) -> Ints:
    """Return an order by the last key, within it by the one before it, and at last by value; 16-bit keys are fast."""
    order = np.argsort(x)
    for key in keys:
        numbers = key[order]
        least = int(numbers.min())
        if int(numbers.max()) == least:
            continue
        numbers = numbers - least
        narrow = numbers.astype(np.uint16) if int(numbers.max()) < _RADIX else numbers
        order = order[np.argsort(narrow, kind="stable")]
    return order


def members(codes: Ints, days: Ints, spans: Sequence[Ints]) -> NDArray[np.bool_]:
    """Tell which symbols are members on which days.

    Parameters
    ----------
    codes, days : int64[bars]
        The symbol of each bar, and its last day.
    spans : (int64[spans], int64[spans], int64[spans])
        The symbol of each span, its first and its last day, in any order.
    """
    order = np.lexsort((spans[1], spans[0]))
    of, first, last = (one[order] for one in spans)
    if not len(of):
        return np.zeros(len(codes), bool)
    # The latest end of a symbol's spans so far: as symbols ascend, one running maximum serves all of them.
    latest = np.maximum.accumulate(_keys(of, last))
    at = np.searchsorted(_keys(of, first), _keys(codes, days), "right") - 1
    is_member: NDArray[np.bool_] = (at >= 0) & (of[at] == codes) & (latest[at] >= _keys(codes, days))
    return is_member


def _keys(codes: Ints, days: Ints) -> Ints:
    return codes * 2**33 + (days + 2**31)
