"""Finds splits that changed the volume, though the close is adjusted for them."""

from __future__ import annotations

import numpy as np

from weekly_cli.compute.bars import Floats, Ints
from weekly_cli.compute.suspects.facts import Found, Rows, around, batches, before, blocks, joined, median
from weekly_cli.findings import MOST_EXAMPLES

#: A stock dividend below this changes the volume less than chance does.
_LEAST_SPLIT = 1.9
#: Sessions on either side whose median volume is compared: that of 20 changes by a fifth from chance alone.
_SESSIONS = 100
#: Fewer do not tell.
_LEAST_SESSIONS = 5
#: Standard error of a median, in median absolute deviations and for one value; and how many of them are chance.
_ERROR_OF_MEDIAN, _DEVIATIONS = 1.25 * 1.48, 3.0
#: The volume is raw if it changes by more than this share of the split, as logarithms.
_SHARE_OF_SPLIT = 0.5


def find_raw_volume(found: Found, rows: Rows) -> None:
    """Find the days on which the ratio of close and adjusted close changes, and the volume by as much."""
    if rows.volume is None:
        return
    splits = _splits(rows)
    raw, adjusted = rows.raw["close"], rows.close
    size = np.log(raw[splits - 1] / adjusted[splits - 1]) - np.log(raw[splits] / adjusted[splits])
    shift, _ = volume_shift(rows, splits, _SESSIONS)
    known = ~np.isnan(shift)
    is_raw = known & (shift / size > _SHARE_OF_SPLIT)
    examples = (
        rows.example(row, split=np.exp(split), volume=np.exp(moved))
        for row, split, moved in zip(*(x[is_raw][:MOST_EXAMPLES].tolist() for x in (splits, size, shift)), strict=True)
    )
    found.add("adjusted-price-raw-volume", int(is_raw.sum()), examples, among=int(known.sum()))


def _splits(rows: Rows) -> Ints:
    raw, adjusted = rows.raw["close"], rows.close
    hits = []
    for now in blocks(len(raw), 1):
        earlier = before(now)
        ratio = raw[earlier] * adjusted[now] / (raw[now] * adjusted[earlier])
        hit = (ratio > _LEAST_SPLIT) | (ratio < 1 / _LEAST_SPLIT)
        if hit.any():
            hits.append(np.flatnonzero(hit) + now.start)
    return rows.follow(joined(hits))


def volume_shift(rows: Rows, at: Ints, n_sessions: int) -> tuple[Floats, Floats]:
    """Return how much larger the usual volume is from each of the rows `at` on, and how much it may be by chance.

    Both are float64[rows], as logarithms; NaN: not known.
    """
    if rows.volume is None or not len(at):
        return np.full(len(at), np.nan), np.full(len(at), np.nan)
    parts = [_shift_of(rows.volume, at[some], rows.of_symbol(at[some]), n_sessions) for some in batches(len(at))]
    return np.concatenate([shift for shift, _ in parts]), np.concatenate([chance for _, chance in parts])


def _shift_of(volume: Floats, at: Ints, bounds: tuple[Ints, Ints], n_sessions: int) -> tuple[Floats, Floats]:
    usual, variances = [], []
    for volumes in around(volume, at, bounds, n_sessions):
        side = np.log(np.where(volumes > 0, volumes, np.nan))
        counts = (~np.isnan(side)).sum(axis=1)
        middle = np.where(counts >= _LEAST_SESSIONS, median(side), np.nan)
        usual.append(middle)
        variances.append((_ERROR_OF_MEDIAN * median(np.abs(side - middle[:, None]))) ** 2 / counts)
    return usual[1] - usual[0], _DEVIATIONS * np.sqrt(variances[0] + variances[1])
