"""Finds jumps of the close that are no returns: splits, and prices in another unit.

A hundredfold jump is one of the unit. Between such jumps a history is on levels; the one with most rows is the right
one, so that stretches at either end are found too. Other jumps are splits if what is around them is calm and stays
where it is, and if they are near n:1 or 1:n, or more than fivefold.

A fall by half may be a split or a crash. A crash shows within the day's range, brings more volume on its day than a
split would, or unrest after it; a split multiplies the volume for good. Where neither is to be seen, a fall by half is
a split only in a year that has no other jump.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from weekly_cli.compute.bars import Floats, Ints
from weekly_cli.compute.suspects.facts import Bools, Found, Rows, around, batches, before, blocks, joined, median
from weekly_cli.compute.suspects.volumes import volume_shift
from weekly_cli.findings import MOST_EXAMPLES

#: A close that moves by more is looked at: a fifth down, a quarter up.
_LEAST_JUMP = 1.25
_UNIT = 100.0
#: A jump of the unit is also a day's return, and a unit that is off is also rounded.
_UNIT_TOLERANCE = 1.5
#: Splits below 2:1 are common (3:2), and so are returns of that size.
_LEAST_SPLIT = 1.45
_MOST_SPLITS = 50  # in a history that has more jumps, they are its returns
#: From here on, the nearest n:1 is so near that it says nothing.
_ANY_RATIO = 5.0
_SESSIONS_AROUND = 20
_LEAST_SESSIONS = 3
_SESSIONS_OF_LEVEL = 10
_SESSIONS_OF_YEAR = 250
_SESSIONS_OF_VOLUME = 100
#: The largest other move around a split, as a share of it; and how far levels may differ from it.
_CALM = 1 / 3
_STAYS = 0.4
#: A price may halve in a longer hole.
_MOST_DAYS = 10
#: How far a jump may be from n:1, in usual daily moves, and its bounds.
_USUAL_MOVES, _NEAREST, _FARTHEST = 6.0, 0.03, 0.1
_OF_THREE_TO_TWO = 0.03
#: The share of a crash that is within its day's range; volume and unrest that no split brings.
_WITHIN_DAY = 0.4
_VOLUME_OF_CRASH = 2.5
_UNREST = 3.5
#: A split changes the volume by this share of its size at least, as logarithms.
_SHARE_OF_VOLUME = 0.5
#: A price of less than this many of the smallest moves jumps by itself.
_LEAST_TICKS = 8


def find_jumps(found: Found, rows: Rows) -> None:
    """Find rows and stretches whose prices are a hundred times too large or small, and splits."""
    jumps = _jumps(rows)
    ratio = rows.close[jumps] / rows.close[jumps - 1]
    steps = _steps_of_unit(ratio)
    _find_units(found, rows, jumps[steps != 0], steps[steps != 0])
    _find_splits(found, rows, jumps[steps == 0])


def _jumps(rows: Rows) -> Ints:
    hits = []
    for now in blocks(len(rows.close), 1):
        ratio = rows.close[now] / rows.close[before(now)]
        hit = (ratio > _LEAST_JUMP) | (ratio < 1 / _LEAST_JUMP)
        if hit.any():
            hits.append(np.flatnonzero(hit) + now.start)
    return rows.follow(joined(hits))


def _steps_of_unit(ratio: Floats) -> Ints:
    """Return how many times the unit a jump is up or down; 0: it is none. From a hundredfold to a hundredth are two."""
    size = np.log(ratio)
    steps = np.rint(size / np.log(_UNIT))
    near = np.abs(size - steps * np.log(_UNIT)) < np.log(_UNIT_TOLERANCE)
    return np.where(near, steps, 0).astype(np.int64)


# ---- units -----------------------------------------------------------------------------------------------


def _find_units(found: Found, rows: Rows, jumps: Ints, steps: Ints) -> None:
    single = _rows_with_a_price_off(rows)
    if not len(jumps) and not len(single):
        return
    off = np.zeros(len(rows.close), bool)
    for start, stop in _stretches_off(rows, jumps, steps):
        off[start:stop] = True
    off[single] = True
    first = np.flatnonzero(off)[:MOST_EXAMPLES].tolist()
    found.add("suspected-unit", int(off.sum()), (_example_of_unit(rows, row) for row in first))


def _rows_with_a_price_off(rows: Rows) -> Ints:
    """Return the rows in which one price is a hundred times the close, or a hundredth."""
    most = _UNIT / _UNIT_TOLERANCE
    hits = []
    for role in ("open", "high", "low"):
        if role not in rows.raw:
            continue
        for now in blocks(len(rows.close)):
            ratio = rows.raw[role][now] / rows.raw["close"][now]
            hit = (ratio > most) | (ratio < 1 / most)
            if hit.any():
                at = np.flatnonzero(hit)
                hits.append(at[_steps_of_unit(ratio[at]) != 0] + now.start)
    return np.unique(joined(hits))


def _stretches_off(rows: Rows, jumps: Ints, of_jumps: Ints) -> Iterator[tuple[int, int]]:
    """Yield where stretches begin and end that are not on the level of most rows of their history."""
    if not len(jumps):
        return
    begins, ends = (np.unique(bound) for bound in rows.of_symbol(jumps))
    starts = np.append(begins, jumps)
    steps = np.append(np.zeros(len(begins), np.int64), of_jumps)
    order = np.argsort(starts, kind="stable")
    starts, steps = starts[order], steps[order]
    symbol = np.searchsorted(begins, starts, "right") - 1
    stops = np.append(starts[1:], ends[-1])
    stops = np.minimum(stops, ends[symbol])
    levels = np.cumsum(steps)
    levels -= levels[np.searchsorted(starts, begins)][symbol]
    pairs, number = np.unique(np.stack([symbol, levels]), axis=1, return_inverse=True)
    n_rows = np.bincount(number, weights=stops - starts)
    by_size = np.lexsort((n_rows, pairs[0]))
    most = by_size[np.append(np.flatnonzero(np.diff(pairs[0][by_size])), len(by_size) - 1)]
    off = levels != pairs[1][most][symbol]
    yield from zip(starts[off].tolist(), stops[off].tolist(), strict=True)


def _example_of_unit(rows: Rows, row: int) -> tuple[int, int, dict[str, float]]:
    near = row - 1 if row and rows.codes[row - 1] == rows.codes[row] else min(row + 1, len(rows.close) - 1)
    prices = {role: price[row] for role, price in rows.raw.items()}
    return rows.example(row, **prices, usual=rows.raw["close"][near])


# ---- splits ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Jumps:
    """Jumps of the close, and what is around them.

    Attributes
    ----------
    at : int64[jumps]
    size : float64[jumps]
        The logarithm of the ratio.
    earlier, later : float64[jumps, sessions]
        The logarithm of the closes before it, and from it on.
    volume : float64[jumps]
        By how much the usual volume grows, as a logarithm; NaN: not known.
    by_chance : float64[jumps]
        By how much it may do so by chance.
    lonely : bool[jumps]
        Whether there is no other jump within a year, apart from those near n:1.
    """

    at: Ints
    size: Floats
    earlier: Floats
    later: Floats
    volume: Floats
    by_chance: Floats
    lonely: Bools


def _find_splits(found: Found, rows: Rows, jumps: Ints) -> None:
    size = np.log(rows.close[jumps] / rows.close[jumps - 1])
    large = (np.abs(size) >= np.log(_LEAST_SPLIT)) & (_counted(rows.codes[jumps]) <= _MOST_SPLITS)
    at = jumps[large]
    if not len(at):
        return
    size, lonely = size[large], _lonely(rows, jumps)[large]
    splits = joined([_splits_among(rows, at[some], size[some], lonely[some]) for some in batches(len(at))])
    examples = (
        rows.example(row, **{"from": rows.close[row - 1], "to": rows.close[row]})
        for row in splits[:MOST_EXAMPLES].tolist()
    )
    found.add("suspected-split", len(splits), examples)


def _splits_among(rows: Rows, at: Ints, size: Floats, lonely: Bools) -> Ints:
    """Return which of some jumps are splits; volumes are looked at only where the closes are calm, as noise is not."""
    earlier, later = (np.log(part) for part in around(rows.close, at, rows.of_symbol(at), _SESSIONS_AROUND))
    calm = _is_calm(size, earlier, later)
    volume = volume_shift(rows, at[calm], _SESSIONS_OF_VOLUME)
    jumps = _Jumps(at[calm], size[calm], earlier[calm], later[calm], *volume, lonely[calm])
    return jumps.at[_is_split(jumps, rows)] if len(jumps.at) else jumps.at


def _counted(codes: Ints) -> Ints:
    """Return how often each code is in ascending codes."""
    counts: Ints = np.searchsorted(codes, codes, "right") - np.searchsorted(codes, codes)
    return counts


def _lonely(rows: Rows, jumps: Ints) -> Bools:
    """Tell which jumps have no other one within a year that no n:1 is near to."""
    size = np.abs(np.log(rows.close[jumps] / rows.close[jumps - 1]))
    wild = jumps[(size < np.log(_LEAST_SPLIT)) | (_from_whole(size) > _FARTHEST)]
    codes = rows.codes
    following = np.searchsorted(wild, jumps, "right")
    preceding = np.searchsorted(wild, jumps) - 1
    lonely = np.ones(len(jumps), bool)
    if len(wild):
        for near, there in (
            (wild[np.minimum(following, len(wild) - 1)], following < len(wild)),
            (wild[np.maximum(preceding, 0)], preceding >= 0),
        ):
            lonely &= ~(there & (codes[near] == codes[jumps]) & (np.abs(near - jumps) <= _SESSIONS_OF_YEAR))
    return lonely


def _from_whole(size: Floats) -> Floats:
    """Return how far a jump is from the nearest n:1, as logarithms."""
    distance: Floats = np.abs(size - np.log(np.maximum(2.0, np.rint(np.exp(size)))))
    return distance


def _moves(closes: Floats) -> Floats:
    return np.abs(np.diff(closes, axis=1))


def _is_calm(size: Floats, earlier: Floats, later: Floats) -> Bools:
    """Tell which jumps stay, and have no move of their size around them."""
    enough = [(~np.isnan(part)).sum(axis=1) >= _LEAST_SESSIONS for part in (earlier, later)]
    largest = np.fmax(*(np.fmax.reduce(_moves(part), axis=1) for part in (earlier, later)))
    level = median(later[:, :_SESSIONS_OF_LEVEL]) - median(earlier[:, -_SESSIONS_OF_LEVEL:])
    most = np.abs(size)
    calm: Bools = enough[0] & enough[1] & (largest <= _CALM * most) & (np.abs(level - size) <= _STAYS * most)
    return calm


def _is_split(jumps: _Jumps, rows: Rows) -> Bools:
    size = np.abs(jumps.size)
    usual = median(np.concatenate([_moves(jumps.earlier), _moves(jumps.later)], axis=1))
    near = _from_whole(size) <= np.clip(_USUAL_MOVES * usual, _NEAREST, _FARTHEST)
    volume = -jumps.volume * np.sign(jumps.size) / size
    with_volume = (volume > _SHARE_OF_VOLUME) & (volume < 2 - _SHARE_OF_VOLUME)
    three_to_two = (
        with_volume
        & jumps.lonely
        & (volume * size > jumps.by_chance)
        & (np.abs(size - np.log(1.5)) <= _OF_THREE_TO_TWO)
    )
    large = size >= np.log(_ANY_RATIO)
    at_once = rows.days[jumps.at] - rows.days[jumps.at - 1] <= _MOST_DAYS
    like_crash = _within_day(jumps, rows) | ~(with_volume | large) & (_like_crash(jumps, rows) | ~jumps.lonely)
    split: Bools = ((near | three_to_two) & at_once | large) & ~like_crash & (with_volume | ~_of_ticks(jumps, rows))
    return split


def _within_day(jumps: _Jumps, rows: Rows) -> Bools:
    """Tell which jumps are within their day's range."""
    at = jumps.at
    high, low = (rows.raw.get(role, rows.raw["close"])[at] for role in ("high", "low"))
    opened = rows.raw.get("open", rows.raw["close"])[at]
    reach = np.fmax(np.log(high / low), np.abs(np.log(opened / rows.raw["close"][at])))
    within: Bools = (reach > _WITHIN_DAY * np.abs(jumps.size)) & (reach < np.log(_UNIT / _UNIT_TOLERANCE))
    return within


def _like_crash(jumps: _Jumps, rows: Rows) -> Bools:
    """Tell which jumps come with much volume on their day, or bring unrest."""
    moves = [median(_moves(part)) for part in (jumps.earlier, jumps.later)]
    unrest: Bools = moves[1] > _UNREST * moves[0]
    if rows.volume is None:
        return unrest
    usual = median(around(rows.volume, jumps.at, rows.of_symbol(jumps.at), _SESSIONS_AROUND)[0])
    return unrest | (rows.volume[jumps.at] > _VOLUME_OF_CRASH * np.exp(np.abs(jumps.size)) * usual)


def _of_ticks(jumps: _Jumps, rows: Rows) -> Bools:
    """Tell which jumps are of few of the smallest moves around them, at prices below 1."""
    closes = np.exp(np.concatenate([jumps.earlier, jumps.later], axis=1))
    moves = _moves(closes)
    tick = np.fmin.reduce(np.where(moves > 1e-9, moves, np.nan), axis=1)
    lowest = np.fmin(rows.close[jumps.at], rows.close[jumps.at - 1])
    of_ticks: Bools = (lowest < 1) & (lowest < _LEAST_TICKS * tick)
    return of_ticks
