"""`--week auto`: the last day of the week of each symbol, from the weekdays on which it has sessions.

A week should end where a market pauses. Years are looked at one by one, since a market may change its week: Tel Aviv's
was from Sunday to Thursday until 2025 and is from Monday to Friday now, and weeks that end on Friday cut neither. The
anchor is a fact of a symbol's whole history. It says how weeks are cut, and no value is computed from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.clocks import DAYS_PER_WEEK
from weekly_cli.dataset import source
from weekly_cli.dataset.calendar import fitting_anchor, used_weekdays, weekday
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import as_text
from weekly_cli.dataset.selection import pieces_of
from weekly_cli.dataset.source import Chunk
from weekly_cli.names import ANCHORS, AUTO
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config

#: A year with fewer rows does not tell the weekdays of its market: chance leaves one out of what is seldom traded.
_LEAST_OF_YEAR = 60
#: Nor does a history without such a year, unless it has so many rows, and on each of its weekdays so many of those on
#: the one with the most.
_LEAST_ROWS, _EVEN = 20, 0.6
#: Years beyond count as one: dates far out are wrong, and take no memory.
_FIRST_YEAR, _LAST_YEAR = 1900 - 1970, 2100 - 1970
#: Of whom nothing is known, while there are no others.
_USUAL = "W-FRI"


def with_anchors(
    wanted: Wanted,
    config: Config,
    scan: Scan,
    selected: Ints,
    threads: int,
    most_rows: int = source.BATCH_ROWS,
    known: Mapping[str, str] | None = None,
) -> Wanted:
    """Return what is wanted with the week of each symbol of the scan, if the settings leave it to the sessions.

    Parameters
    ----------
    wanted : Wanted
    config : Config
    scan : Scan
    selected : int64[symbols]
        The positions of the symbols whose keys are read; the others have the week of most.
    threads : int
    most_rows : int
        How many rows may be decoded at a time.
    known : mapping of symbol to anchor, optional
        Those of a longer history, where the input is only some of it.
    """
    if config.week != AUTO:
        return wanted
    symbols = scan.symbols.take(from_numpy(selected))
    if known is not None:
        of_selected = [known[as_text(symbol)] for symbol in symbols]
    else:
        schema, pieces = scan.footers.schema, pieces_of(scan, selected) if len(selected) else ()
        keys = list(schema.key_columns)
        chunks = source.chunks_ahead(pieces, schema, symbols, max(1, most_rows // threads), threads, keys)
        of_selected = anchors_of(rows_by_weekday(chunks, len(symbols), (scan.first_day, scan.last_day)))
    anchors = np.full(len(scan.symbols), _usual(of_selected, np.zeros(DAYS_PER_WEEK, bool)))
    anchors[selected] = of_selected
    return replace(wanted, anchors=tuple(anchors.tolist()))


def rows_by_weekday(chunks: Iterable[Chunk], n_symbols: int, span: tuple[int, int]) -> NDArray[np.int32]:
    """Return how many rows each symbol has on each weekday of each year, int32[symbols, years, 7].

    `span` is the first and the last day of all rows.
    """
    first, last = _years(np.array(span))
    counts = np.zeros((n_symbols, last - first + 1, DAYS_PER_WEEK), np.int32)
    for chunk in chunks:
        days = chunk.days.astype(np.int64)
        np.add.at(counts, (chunk.codes, _years(days) - first, weekday(days)), 1)
    return counts


def _years(days: Ints) -> Ints:
    years = days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)
    return np.clip(years, _FIRST_YEAR, _LAST_YEAR)


def anchors_of(counts: NDArray[np.integer[Any]]) -> list[str]:
    """Return the anchor that fits each symbol; one of whom too little is known has one of those of most.

    Parameters
    ----------
    counts : int[symbols, years, 7]
        Rows on each weekday from Monday on.
    """
    total = counts.sum(axis=1)
    used_at_all = used_weekdays(total)
    telling = counts.sum(axis=2) >= _LEAST_OF_YEAR
    least = np.where(used_at_all, total, np.iinfo(np.int64).max).min(axis=1)
    tells = ~telling.any(axis=1) & (total.sum(axis=1) >= _LEAST_ROWS) & (least >= _EVEN * total.max(axis=1))
    used = np.concatenate([used_weekdays(counts), used_at_all[:, None]], axis=1)
    used &= np.concatenate([telling, tells[:, None]], axis=1)[:, :, None]
    patterns = (used << np.arange(DAYS_PER_WEEK)).sum(axis=2)
    distinct, of_symbol = np.unique(patterns, axis=0, return_inverse=True)
    fitting = [_fitting([_weekdays(mask) for mask in row.tolist() if mask]) for row in distinct]
    anchors = [fitting[number] for number in of_symbol.ravel().tolist()]
    known = [anchor for anchor in anchors if anchor]
    return [anchor or _usual(known, used_at_all[code]) for code, anchor in enumerate(anchors)]


def _weekdays(mask: int) -> list[int]:
    return [day for day in range(DAYS_PER_WEEK) if mask >> day & 1]


def _fitting(years: Sequence[Sequence[int]]) -> str:
    """Return the anchor that cuts the trading weeks of the fewest years; of several, the last day before a pause.

    Empty if there is no year. A market of seven days has no week that could be cut.

    >>> _fitting([[6, 0, 1, 2, 3]] * 9 + [[0, 1, 2, 3, 4]])
    'W-FRI'
    """
    if not years:
        return ""
    with_pause = [used for used in years if len(used) < DAYS_PER_WEEK]
    cuts = [
        sum(last in used and (last + 1) % DAYS_PER_WEEK in used for used in with_pause) for last in range(DAYS_PER_WEEK)
    ]
    of_all = fitting_anchor(sorted({day for used in with_pause or years for day in used}))
    candidates = [anchor for anchor, count in zip(ANCHORS, cuts, strict=True) if count == min(cuts)]
    if of_all in candidates:
        return of_all
    fitting = [fitting_anchor(used) for used in with_pause]
    return max(candidates, key=lambda anchor: (fitting.count(anchor), ANCHORS.index(anchor)))


def _usual(anchors: Sequence[str], used: NDArray[np.bool_]) -> str:
    """Return the most common of some anchors, if there is one of those that do not cut `used` weekdays apart."""
    cuts = used & np.roll(used, -1) & (not used.all())

    def rank(anchor: str) -> tuple[bool, int, bool]:
        return not cuts[ANCHORS.index(anchor)], anchors.count(anchor), anchor == _USUAL

    return max(ANCHORS, key=rank)
