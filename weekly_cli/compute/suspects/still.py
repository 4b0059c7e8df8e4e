"""Finds days that only repeat the day before: padding where there is no volume, a stale price where there is.

That a close repeats is common where the smallest move is large. Both are suspicious only where chance would not bring
as many, by how often the symbol's closes repeat elsewhere.
"""

from __future__ import annotations

import numpy as np

from weekly_cli.compute.bars import Floats, Ints, run_starts
from weekly_cli.compute.clocks import DAYS_PER_WEEK
from weekly_cli.compute.suspects.facts import Bools, Found, Rows, around, batches, before, blocks, joined, median
from weekly_cli.compute.treatment import repeats_the_row_before
from weekly_cli.findings import MOST_EXAMPLES

#: At least half of the days without volume repeat, more than chance brings by so many standard deviations.
_LEAST_SHARE = 0.5
_LEAST_DEVIATIONS = 3.0
_LEAST_PADDING, _LEAST_PADDING_OF_CLOSES = 2, 3
#: Three weeks of five days that stand still, over more than two weeks of the calendar.
_LEAST_STILL = 14
#: Six weeks where only the close stands still: on most days the price moved and came back.
_LEAST_STILL_CLOSES = 29
_LEAST_WITHOUT_RANGE = 0.95
_LEAST_DAYS = 14
_SHARE_WITH_VOLUME = 0.8
#: Where a price may not fall further, or hardly anybody trades, volume dries up; under a price that is only told again
#: and again it goes on: half as much as in the thirty days before and after together.
_LEAST_OF_USUAL_VOLUME = 0.5
_DAYS_AROUND = 30
#: The smallest move as a share of the price: where it is larger, prices stand still by rounding.
_LARGEST_TICK = 0.005
_MOST_BY_CHANCE = 1e-3
#: Closes that differ by less are equal, after a conversion.
_ROUNDING = 1e-9


def find_still(found: Found, rows: Rows) -> None:
    """Find padding and stale prices; without a volume neither can be told from a day without a move."""
    if rows.volume is None:
        return
    repeats = _repeats(rows)
    if len(repeats):
        _find_padding(found, rows, repeats)
        _find_stale(found, rows, repeats)


def _repeats(rows: Rows) -> Ints:
    """Return the rows whose close is that of the row before."""
    close = rows.raw["close"]
    hits = []
    for now in blocks(len(close), 1):
        hit = close[now] == close[before(now)]
        if hit.any():
            hits.append(np.flatnonzero(hit) + now.start)
    return rows.follow(joined(hits))


# ---- padding ---------------------------------------------------------------------------------------------


def _find_padding(found: Found, rows: Rows, repeats: Ints) -> None:
    assert rows.volume is not None
    with_volume = rows.volume[repeats] > 0
    if with_volume.all():
        return
    copies = repeats[repeats_the_row_before(rows.raw, repeats)]
    traded = rows.volume > 0
    n_symbols = int(rows.codes[-1]) + 1
    of_all, n_traded, n_copies, n_traded_copies = (
        np.bincount(codes, minlength=n_symbols)
        for codes in (rows.codes, rows.codes[traded], rows.codes[copies], rows.codes[copies[traded[copies]]])
    )
    n_without, n_padding = of_all - n_traded, n_copies - n_traded_copies
    by_chance = n_traded_copies / np.maximum(n_traded, 1)
    share = n_padding / np.maximum(n_without, 1)
    deviation = np.sqrt(by_chance * (1 - by_chance) / np.maximum(n_without, 1))
    least = _LEAST_PADDING if len(rows.raw) > 1 else _LEAST_PADDING_OF_CLOSES
    is_padded = (n_padding >= least) & (share >= _LEAST_SHARE) & (share >= by_chance + _LEAST_DEVIATIONS * deviation)
    padding = copies[~traded[copies]]
    padding = padding[is_padded[rows.codes[padding]]]
    examples = (rows.example(row, close=rows.raw["close"][row]) for row in padding[:MOST_EXAMPLES].tolist())
    found.add("padding", len(padding), examples)


# ---- stale prices ----------------------------------------------------------------------------------------


def _find_stale(found: Found, rows: Rows, repeats: Ints) -> None:
    assert rows.volume is not None
    starts = run_starts(repeats - np.arange(len(repeats)))
    lengths = np.diff(starts, append=len(repeats))
    starts, lengths = starts[lengths >= _LEAST_STILL], lengths[lengths >= _LEAST_STILL]
    if not len(starts):
        return
    first, last = repeats[starts] - 1, repeats[starts + lengths - 1]
    days = rows.days[last] - rows.days[first]
    with_volume = np.append(0, np.cumsum(rows.volume[repeats] > 0))
    share = (with_volume[starts + lengths] - with_volume[starts]) / lengths
    stale = (days >= _LEAST_DAYS) & (share >= _SHARE_WITH_VOLUME)
    stale &= (lengths >= _LEAST_STILL_CLOSES) | (
        _share_without_range(rows, repeats, starts, lengths) >= _LEAST_WITHOUT_RANGE
    )
    stale &= ~_by_chance(rows, repeats, first, lengths)
    stale[stale] = _has_usual_volume(rows, first[stale], last[stale])
    weeks = days[stale] // DAYS_PER_WEEK
    examples = (
        rows.example(row, close=rows.raw["close"][row], weeks=n_weeks)
        for row, n_weeks in zip(first[stale][:MOST_EXAMPLES].tolist(), weeks[:MOST_EXAMPLES].tolist(), strict=True)
    )
    found.add("stale-prices", int(weeks.sum()), examples)


def _has_usual_volume(rows: Rows, first: Ints, last: Ints) -> Bools:
    """Tell which runs have about the volume of the days around them; `first` and `last` are their rows."""
    assert rows.volume is not None
    usual = np.empty(len(first))
    for some in batches(len(first)):
        bounds = rows.of_symbol(first[some])
        earlier, _ = around(rows.volume, first[some], bounds, _DAYS_AROUND)
        _, later = around(rows.volume, last[some], bounds, _DAYS_AROUND + 1)
        usual[some] = median(np.concatenate([earlier, later[:, 1:]], axis=1))
    of_runs = [np.nanmedian(rows.volume[start + 1 : stop + 1]) for start, stop in zip(first, last, strict=True)]
    enough: Bools = np.array(of_runs) >= _LEAST_OF_USUAL_VOLUME * usual
    return enough | np.isnan(usual)


def _share_without_range(rows: Rows, repeats: Ints, starts: Ints, lengths: Ints) -> Floats:
    """Return the share of days, for each run, of which nothing tells that the price moved in between."""
    if not {"high", "low"} <= rows.raw.keys():
        return np.ones(len(starts))
    ranges = np.append(0, np.cumsum(rows.raw["high"][repeats] > rows.raw["low"][repeats]))
    share: Floats = 1 - (ranges[starts + lengths] - ranges[starts]) / lengths
    return share


def _by_chance(rows: Rows, repeats: Ints, first: Ints, lengths: Ints) -> Bools:
    """Tell which runs rounding or chance explains."""
    begins, ends = rows.of_symbol(first)
    codes = rows.codes[first]
    in_runs = np.bincount(codes, weights=lengths)[codes]
    inside = rows.codes[repeats]
    n_repeats = np.searchsorted(inside, codes, "right") - np.searchsorted(inside, codes)
    outside = ends - begins - 1 - in_runs
    share = (n_repeats - in_runs + 1) / (outside + 2)
    expected = (ends - begins) * share**lengths
    return (expected > _MOST_BY_CHANCE) | (_ticks(rows, begins, ends) > _LARGEST_TICK * rows.raw["close"][first])


def _ticks(rows: Rows, begins: Ints, ends: Ints) -> Floats:
    """Return the smallest move of the close in the history of each run, 0 if it has none."""
    close = rows.raw["close"]
    moves = np.append(np.abs(np.diff(close)), np.inf)
    moves[:-1][moves[:-1] <= _ROUNDING * close[1:]] = np.inf
    spans = np.stack([begins, ends - 1], axis=1)
    unique, number = np.unique(spans, axis=0, return_inverse=True)
    smallest = np.minimum.reduceat(moves, unique.ravel())[::2]
    ticks: Floats = np.where(smallest < np.inf, smallest, 0.0)[number.ravel()]
    return ticks
