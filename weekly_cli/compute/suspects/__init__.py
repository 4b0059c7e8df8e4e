"""Searches daily rows for what is probably not as their owner thinks.

Everything is found from the columns that the bars need anyway. On clean data it costs one comparison of each close with
the one before, and of each price with its close, in blocks that stay in cache; what is said of the few rows that stand
out is found among these alone. A symbol's suspicions do not depend on other symbols, nor on how tasks are cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Bars, Floats, Ints, Quality, unusable_values
from weekly_cli.compute.clocks import DAYS_PER_WEEK
from weekly_cli.compute.suspects.facts import Found, Rows, Suspects, Suspicion, blocks, joined
from weekly_cli.compute.suspects.jumps import find_jumps
from weekly_cli.compute.suspects.still import find_still
from weekly_cli.compute.suspects.volumes import find_raw_volume
from weekly_cli.findings import MOST_EXAMPLES
from weekly_cli.names import PRICE_ROLES

__all__ = ["Suspects", "Suspicion", "find_suspects"]

#: Tickers are given to other companies after one or two years.
_WEEKS_OF_A_HOLE = 104
#: A few rows with wrong dates, before a hole or after it, are no other company.
_ROWS_OF_A_HISTORY = 5
_DAYS_PER_YEAR = 365.25
#: A symbol is weekly if so many of its bars are of one row, and there are this many of them.
_SHARE_OF_SINGLE_ROWS = 0.95
_LEAST_BARS = 12
#: An adjusted close that differs by less is rounded differently.
_LEAST_ADJUSTMENT = 1e-3
_ROWS_AT_A_TIME = 32 * 1024
#: Rows that are left out are few if there are this many between two of them.
_ROWS_BETWEEN = 256

Number = TypeVar("Number", np.float64, np.int64)


@np.errstate(all="ignore")
def find_suspects(
    rows: tuple[Ints, Ints],
    raw: Mapping[str, Floats],
    adjusted: Floats | None,
    bars: tuple[Bars, Quality],
    beside: Floats | None,
) -> Suspects:
    """Return what is suspicious in daily rows, by the code of the finding.

    Parameters
    ----------
    rows : codes and days
        int64[rows] each, sorted by both.
    raw, adjusted
        As `columns_as_used` takes them.
    bars : bars and quality
        The weekly bars of these rows, and the counts of anomalies in them.
    beside : float64[rows], optional
        An adjusted close that is not used.
    """
    found = Found()
    _find_holes(found, rows, bars[0])
    _find_weekly(found, rows, bars[0])
    for some in _of_some_symbols(rows[0]):
        columns = {role: column[some] for role, column in raw.items()}
        _find_among(
            found, (rows[0][some], rows[1][some]), columns, None if adjusted is None else adjusted[some], bars[1]
        )
    if beside is not None:
        ratios = (beside[at] / raw["close"][at] for at in blocks(len(beside)))
        differs = sum(int((np.abs(ratio - 1) > _LEAST_ADJUSTMENT).sum()) for ratio in ratios)
        found.add("adjusted-close-available", differs, iter(()), among=len(beside))
    return found.by_code


def _of_some_symbols(codes: Ints) -> Iterator[slice]:
    """Yield slices of the rows of a few symbols: what is copied without unusable rows stays small then."""
    start = 0
    while start < len(codes):
        last = codes[min(start + _ROWS_AT_A_TIME, len(codes)) - 1]
        stop = int(np.searchsorted(codes, last, "right"))
        yield slice(start, stop)
        start = stop


def _find_among(
    found: Found, rows: tuple[Ints, Ints], raw: Mapping[str, Floats], adjusted: Floats | None, quality: Quality
) -> None:
    bad = _unusable_prices(raw, quality)
    usable = _usable_rows(rows, raw, adjusted, bad)
    _find_negative(found, rows, raw, bad)
    find_jumps(found, usable)
    find_still(found, usable)
    if adjusted is not None:
        find_raw_volume(found, usable)


def _unusable_prices(raw: Mapping[str, Floats], quality: Quality) -> dict[str, Ints]:
    """Return the rows of each role whose price is not usable; nothing where all are, as nearly always."""
    if not (quality.unusable_open or quality.unusable_high or quality.unusable_low or quality.unusable_close):
        return {}
    return {role: _unusable(raw[role]) for role in PRICE_ROLES if role in raw}


def _usable_rows(
    rows: tuple[Ints, Ints], raw: Mapping[str, Floats], adjusted: Floats | None, bad: Mapping[str, Ints]
) -> Rows:
    """Return the rows with a usable close; nearly always these are all of them, and nothing is copied."""
    close = raw["close"] if adjusted is None else adjusted
    prices = {role: raw[role] for role in PRICE_ROLES if role in raw}
    volume = raw.get("volume")
    if not any(map(len, bad.values())) and (adjusted is None or not len(_unusable(adjusted))):
        return Rows(*rows, close, prices, volume)
    dropped = bad["close"] if adjusted is None else np.union1d(bad["close"], _unusable(adjusted))
    kept = {role: _without(price, dropped) for role, price in prices.items()}
    for role, at in bad.items():
        at = np.setdiff1d(at, dropped, assume_unique=True)
        if len(at):
            kept[role] = kept[role] if len(dropped) else kept[role].copy()
            kept[role][at - np.searchsorted(dropped, at)] = np.nan
    return Rows(
        _without(rows[0], dropped),
        _without(rows[1], dropped),
        kept["close"] if adjusted is None else _without(adjusted, dropped),
        kept,
        None if volume is None else _without(volume, dropped),
    )


def _unusable(values: Floats) -> Ints:
    """Return the rows of prices that are not usable, in blocks that stay in cache."""
    hits = []
    for now in blocks(len(values)):
        unusable = unusable_values(values[now], "close")
        if unusable is not None:
            hits.append(np.flatnonzero(unusable) + now.start)
    return joined(hits)


def _without(values: NDArray[Number], dropped: Ints) -> NDArray[Number]:
    """Return values without some rows; a few are cut out by copying what is between them, which is much faster."""
    if not len(dropped):
        return values
    if len(dropped) * _ROWS_BETWEEN > len(values):
        return np.delete(values, dropped)
    starts, stops = [0, *(dropped + 1).tolist()], [*dropped.tolist(), len(values)]
    return np.concatenate([values[start:stop] for start, stop in zip(starts, stops, strict=True)])


def _find_negative(found: Found, rows: tuple[Ints, Ints], raw: Mapping[str, Floats], bad: Mapping[str, Ints]) -> None:
    if not bad:
        return
    prices = {role: raw[role] for role in PRICE_ROLES if role in raw}
    negative = np.unique(joined([at[prices[role][at] < 0] for role, at in bad.items()]))
    every = Rows(*rows, raw["close"], prices, None)
    first = negative[:MOST_EXAMPLES].tolist()
    examples = (
        every.example(row, **{role: price[row] for role, price in prices.items() if price[row] < 0}) for row in first
    )
    found.add("negative-prices", len(negative), examples)


def _find_holes(found: Found, rows: tuple[Ints, Ints], bars: Bars) -> None:
    if not ((bars.periods[1:] - bars.periods[:-1] > _WEEKS_OF_A_HOLE) & (bars.codes[1:] == bars.codes[:-1])).any():
        return
    codes, days = rows  # of all rows, as unusable ones are no hole
    gaps = np.diff(days)
    after = 1 + np.flatnonzero((gaps > DAYS_PER_WEEK * _WEEKS_OF_A_HOLE) & (codes[1:] == codes[:-1]))
    begins, ends = np.searchsorted(codes, codes[after]), np.searchsorted(codes, codes[after], "right")
    after = after[(after - begins >= _ROWS_OF_A_HISTORY) & (ends - after >= _ROWS_OF_A_HISTORY)]
    examples = (
        (int(codes[row]), int(days[row]), {"years": round(float(gaps[row - 1]) / _DAYS_PER_YEAR, 1)})
        for row in after[:MOST_EXAMPLES].tolist()
    )
    found.add("reused-symbol", len(np.unique(codes[after])), examples)


def _find_weekly(found: Found, rows: tuple[Ints, Ints], bars: Bars) -> None:
    if not len(bars.codes):
        return
    n_bars = np.bincount(bars.codes)
    single = np.bincount(bars.codes[bars.days == 1], minlength=len(n_bars))
    codes = np.flatnonzero((n_bars >= _LEAST_BARS) & (single >= _SHARE_OF_SINGLE_ROWS * n_bars))
    starts, stops = np.searchsorted(rows[0], codes), np.searchsorted(rows[0], codes, "right")
    starts = starts[n_bars[codes] >= _SHARE_OF_SINGLE_ROWS * (stops - starts)]  # not with many unusable rows
    first = starts[:MOST_EXAMPLES].tolist()
    examples = ((int(rows[0][row]), int(rows[1][row]), dict[str, float]()) for row in first)
    found.add("weekly-input", len(starts), examples, among=int((n_bars > 0).sum()))
