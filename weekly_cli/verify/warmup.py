"""Warm-up: how long a column depends on where the history begins.

Every symbol's first year is cut, the rest is built again, and each bar's value is compared with the one computed with
that year. A window's column is the same from its first bar; a recursive one approaches the other value gradually.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.features import Feature
from weekly_cli.compute.warmup import settled_from
from weekly_cli.names import written_name
from weekly_cli.run.clocks import weekly_clock
from weekly_cli.verify.proof import Check, WarmUp
from weekly_cli.verify.rebuild import SampledSymbols
from weekly_cli.verify.rows import Rows

YEAR_DAYS = 365


def measure(check: Check, sample: SampledSymbols, rebuilt: Rows) -> tuple[WarmUp, ...]:
    """Return the columns that change when a year is cut, with the bar from which they change by less than `SMALL`.

    `rebuilt` are the rows of a build of the complete sample.
    """
    rows = sample.rows
    first, last = (_by_code(rows, len(sample.scan.symbols), which) for which in (np.minimum, np.maximum))
    # Keep complete weeks: half a bar is a different bar, for every column.
    clock = weekly_clock(sample.config)
    begin = clock.end(clock.period(first + YEAR_DAYS)) + 1
    whole_years = last >= begin
    begins, long = begin[rows.codes], whole_years[rows.codes]
    if not (long & np.isin(rows.codes, sample.codes)).any():
        check.not_checked = "no symbol of the sample has more than a year of history, so none can lose one"
        return ()
    shorter = _bars(sample.rebuilt((rows.days >= begins) | ~long))
    uncut = _bars(rebuilt)
    columns = [feature for feature in sample.features if _measured(feature)]
    codes = sample.codes[whole_years[sample.codes]]
    warm_ups = [_warm_up(feature, shorter, uncut, codes, sample.config.prefix) for feature in columns]
    moving = tuple(row for row in warm_ups if row is not None)
    check.did = (
        f"the first year of {len(codes):,} symbols cut and the rest built again: {len(columns) - len(moving)} columns "
        f"do not depend on it from their first bar on, {len(moving)} do for some time"
    )
    return moving


def _measured(feature: Feature) -> bool:
    return feature.family != "bars" and not feature.of_rows  # facts of one bar, the count of bars before it, of days


def _by_code(rows: Rows, n_symbols: int, extreme: np.ufunc) -> Ints:
    extremes = np.full(n_symbols, np.iinfo(np.int64).max if extreme is np.minimum else np.iinfo(np.int64).min // 2)
    extreme.at(extremes, rows.codes, rows.days)
    return np.where(extremes == np.iinfo(np.int64).max, 0, extremes)


def _bars(rows: Rows) -> Rows:
    """Return the first row that sees each bar, with the bar's day as its day."""
    seen = rows.where(np.asarray(rows.table.column("w_week_end").is_valid()))
    weeks = to_numpy(seen.table.column("w_week_end").cast(pa.date32()).cast(pa.int32())).astype(np.int64)
    new = np.ones(len(seen), bool)
    new[1:] = (np.diff(seen.codes) != 0) | (np.diff(weeks) != 0)
    return Rows(seen.codes[new], weeks[new], seen.table.filter(pa.array(new)))


def _warm_up(feature: Feature, shorter: Rows, uncut: Rows, codes: Ints, prefix: str) -> WarmUp | None:
    """Return when a column settles; None: it does not change at all."""
    settled: list[int] = []
    symbols, moves = 0, False
    for code in codes.tolist():
        a, b = (rows.where(rows.codes == code) for rows in (shorter, uncut))
        a = a.where(np.isin(a.days, b.days))  # padding is none once the row is cut that it repeats
        at = np.searchsorted(b.days, a.days)
        short, full = _values(a, feature.name), _values(b, feature.name)[at]
        bar = to_numpy(a.table.column("w_bars")).astype(np.int64) - 1
        position, has_values, has_moved = settled_from(short, full)
        symbols += has_values
        moves |= has_moved
        if position is not None:
            settled.append(int(bar[position]))
    if not moves:
        return None
    settled.sort()
    half = symbols // 2
    return WarmUp(
        column=written_name(feature.name, prefix),
        first_bar=feature.first_bar,
        median_bar=settled[half] if half < len(settled) else None,
        last_bar=settled[-1] if settled else None,
        symbols=symbols,
        unsettled=symbols - len(settled),
    )


def _values(rows: Rows, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray(rows.table.column(name).cast(pa.float64()), np.float64)
