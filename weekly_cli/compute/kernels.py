"""Array functions on panels: no labels, no input or output, no options.

A panel is float64[bars, symbols]: row k has bar k of every symbol. Values are NaN where they are undefined and below a
symbol's last bar. All histories begin in row 0, so a recursion's seed is in the same row for all symbols.

Every function works column by column with element-wise operations only (never numpy's own reductions, whose order of
summation depends on the array's shape), so a symbol's values do not depend on its neighbors.

Windows are merged from windows of power-of-two lengths: a window of 52 is one of 4, one of 16 and one of 32. Means and
squared deviations merge by Chan, Golub and LeVeque (1979), "Updating formulae and a pairwise algorithm for computing
sample variances": nothing that was added is ever subtracted, so a value that has left the window has no influence,
there is no cancellation, and a window of equal values has a deviation of exactly 0. This takes about 3 log2(n) passes
instead of n. A NaN inside a window makes its value NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Panel = NDArray[np.float64]
_State = tuple[Panel, ...]
_Merge = Callable[[_State, _State, int, int], _State]


def relative_distance(x: Panel, reference: Panel) -> Panel:
    """Return the distance of `x` from `reference`, as a share of `reference`; both float64[bars, symbols]."""
    return x / reference - 1.0


def lag(x: Panel, n: int) -> Panel:
    """Return x[-n]: the value `n` bars earlier, NaN in the first `n` rows."""
    out = np.full_like(x, np.nan)
    out[n:] = x[: max(len(x) - n, 0)]
    return out


def ratio_change(x: Panel, n: int) -> Panel:
    """Return x / x[-n] - 1."""
    return x / lag(x, n) - 1.0


def difference(x: Panel) -> Panel:
    """Return x - x[-1]."""
    return x - lag(x, 1)


def _rolling(state: _State, n: int, merge: _Merge) -> _State:
    """Return the window statistics of length `n`, merged from `state`, the statistics of length 1."""
    bars = len(state[0])
    if bars < n:
        return tuple(np.full_like(part, np.nan) for part in state)
    size, covered, merged = 1, 0, state
    while True:
        # Row i of a statistic of length m describes the bars i to i + m - 1.
        if n & size:
            if covered:
                rows = bars - covered - size + 1
                newer = tuple(part[covered : covered + rows] for part in state)
                merged = merge(tuple(part[:rows] for part in merged), newer, covered, size)
            else:
                merged = state
            covered += size
        if covered == n:
            break
        older, newer = tuple(part[:-size] for part in state), tuple(part[size:] for part in state)
        state, size = merge(older, newer, size, size), size * 2
    return tuple(_padded(part, n - 1) for part in merged)


def _padded(x: Panel, rows: int) -> Panel:
    out = np.empty((rows + len(x), x.shape[1]))
    out[:rows] = np.nan
    out[rows:] = x
    return out


def _merge_means(older: _State, newer: _State, n_older: int, n_newer: int) -> _State:
    delta = newer[0] - older[0]
    delta *= n_newer / (n_older + n_newer)
    delta += older[0]
    return (delta,)


def _merge_moments(older: _State, newer: _State, n_older: int, n_newer: int) -> _State:
    total = n_older + n_newer
    delta = newer[0] - older[0]
    squares = delta * delta
    squares *= n_older * n_newer / total
    squares += older[1]
    squares += newer[1]
    delta *= n_newer / total
    delta += older[0]
    return delta, squares


def _merge_comoments(older: _State, newer: _State, n_older: int, n_newer: int) -> _State:
    weight = n_older * n_newer / (n_older + n_newer)
    products = (newer[0] - older[0]) * (newer[2] - older[2])
    products *= weight
    products += older[4]
    products += newer[4]
    x = _merge_moments(older[:2], newer[:2], n_older, n_newer)
    y = _merge_moments(older[2:4], newer[2:4], n_older, n_newer)
    return *x, *y, products


def rolling_mean(x: Panel, n: int) -> Panel:
    """Return the mean over the last `n` bars, NaN where one of them is NaN."""
    return _rolling((x,), n, _merge_means)[0]


def rolling_moments(x: Panel, n: int) -> tuple[Panel, Panel]:
    """Return the mean and the sum of squared deviations from it over the last `n` bars."""
    mean, squares = _rolling((x, np.zeros_like(x)), n, _merge_moments)
    return mean, squares


def rolling_comoments(x: Panel, y: Panel, n: int) -> tuple[Panel, Panel, Panel]:
    """Return the sums of (x - mean x)^2, (y - mean y)^2 and (x - mean x)(y - mean y) over the last `n` bars."""
    zeros = np.zeros_like(x)
    state = _rolling((x, zeros, y, zeros, zeros), n, _merge_comoments)
    return state[1], state[3], state[4]


def rolling_max(x: Panel, n: int) -> Panel:
    """Return the largest value of the last `n` bars, NaN where one of them is NaN."""
    return _rolling((x,), n, lambda older, newer, *_: (np.maximum(older[0], newer[0]),))[0]


def rolling_min(x: Panel, n: int) -> Panel:
    """Return the smallest value of the last `n` bars, NaN where one of them is NaN."""
    return _rolling((x,), n, lambda older, newer, *_: (np.minimum(older[0], newer[0]),))[0]


#: A ratio minus 1 is off by about 1e-16: a deviation below this is rounding, and its z-score would be noise.
ROUNDING = 1e-14


def z_score(x: Panel, n: int) -> Panel:
    """Return (x - mean) / population standard deviation over the last `n` bars; NaN where the latter is 0.

    `x` is a ratio minus 1; a deviation that its rounding explains counts as 0.
    """
    mean, squares = rolling_moments(x, n)
    squares[squares <= n * ROUNDING**2] = np.nan
    return (x - mean) / np.sqrt(squares / n)


def sample_deviation(x: Panel, n: int) -> Panel:
    """Return the sample standard deviation (divisor n - 1) over the last `n` bars."""
    squares = rolling_moments(x, n)[1]
    squares /= n - 1
    return np.sqrt(squares, out=squares)


#: Rows per stretch: a long history takes this many steps plus one per stretch, not one per row.
_STRETCH = 16


def smoothed(x: Panel, alpha: float, first: int, n_seed: int) -> Panel:
    """Return s = s[-1] + alpha (x - s[-1]), seeded with the mean of the rows `first` to `first + n_seed - 1`.

    The first value is in the last of those rows. Once x is NaN, s stays NaN.

    A row's contribution fades by a factor of 1 - alpha per row, so all stretches of rows are smoothed at the same time,
    each as if everything before it were 0, and the contribution of the earlier rows is added afterwards. Compared with
    one step per row, this takes 0.17 of the time for a panel of 2,080 rows and 31 symbols, and 0.4 for one of 520 rows
    and 126 symbols.
    """
    seeded = first + n_seed - 1
    if seeded >= len(x):
        return np.full_like(x, np.nan)
    state = x[first].copy()
    for row in x[first + 1 : seeded + 1]:
        state += row
    state /= n_seed
    begin = seeded + 1
    stretches = -(-(len(x) - begin) // _STRETCH)
    out = np.empty((begin + stretches * _STRETCH, x.shape[1]))
    out[:seeded], out[seeded], out[begin : len(x)], out[len(x) :] = np.nan, state, x[begin:], np.nan
    s = out[begin:].reshape(stretches, _STRETCH, x.shape[1])
    s[:, 0] *= alpha
    for step in range(1, _STRETCH):
        before, now = s[:, step - 1], s[:, step]
        now -= before
        now *= alpha
        now += before
    fading = (1.0 - alpha) ** np.arange(1, _STRETCH + 1)
    for stretch in s:
        stretch += fading[:, None] * state
        state = stretch[-1]
    return out[: len(x)]


def ema(x: Panel, span: int, first: int, n_seed: int) -> Panel:
    """Return the exponential moving average with alpha = 2 / (span + 1), seeded as in `smoothed`."""
    return smoothed(x, 2.0 / (span + 1), first, n_seed)


def wilder(x: Panel, n: int, first: int) -> Panel:
    """Return Wilder's smoothing with alpha = 1 / n, seeded with the mean of the `n` rows that begin at row `first`."""
    return smoothed(x, 1.0 / n, first, n)
