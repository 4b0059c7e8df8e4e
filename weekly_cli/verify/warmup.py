"""Warm-up: how long a column depends on where the history begins.

Every symbol's first year is cut, the rest is built again, and each bar's value is compared with the one computed with
that year. A window's column is the same from its first bar; a recursive one approaches the other value gradually.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.features import Feature
from weekly_cli.compute.warmup import settled_from
from weekly_cli.names import written_name
from weekly_cli.verify.proof import Check, WarmUp
from weekly_cli.verify.rebuild import SampledSymbols, counted
from weekly_cli.verify.rows import Rows

YEAR_DAYS = 365


def measure(check: Check, sample: SampledSymbols, rebuilt: Rows) -> tuple[WarmUp, ...]:
    """Return the columns that change when a year is cut, with the bar from which they change by less than `SMALL`.

    `rebuilt` are the rows of a build of the complete sample.
    """
    n_columns, moving, symbols = 0, list[WarmUp](), set[int]()
    for clock in sample.clocks:
        columns = [one for one in sample.features if one.every == clock.every and _measured(one)]
        measured = _of_clock(clock, columns, sample, rebuilt) if columns else None
        if measured is not None:
            n_columns += len(columns)
            moving += measured[0]
            symbols.update(measured[1].tolist())
    if not symbols:
        check.not_checked = "no symbol of the sample has more than a year of history, so none can lose one"
        return ()
    check.did = (
        f"the first year of {len(symbols):,} symbols cut and the rest built again: {n_columns - len(moving)} columns "
        f"do not depend on it from their first bar on, {len(moving)} do for some time"
    )
    return tuple(moving)


def _of_clock(
    clock: SymbolClocks, columns: Sequence[Feature], sample: SampledSymbols, rebuilt: Rows
) -> tuple[list[WarmUp], Ints] | None:
    """Return the columns of one clock that change, and the symbols that lost a year; None: no symbol could."""
    rows = sample.rows
    first, last = (_by_code(rows, len(sample.scan.symbols), which) for which in (np.minimum, np.maximum))
    # Keep complete periods: half a bar is a different bar, for every column.
    every = np.arange(len(first))
    begin = clock.end(every, clock.period(every, first + YEAR_DAYS)) + 1
    whole_years = last >= begin
    begins, long = begin[rows.codes], whole_years[rows.codes]
    if not (long & np.isin(rows.codes, sample.codes)).any():
        return None
    shorter = _bars(sample.rebuilt((rows.days >= begins) | ~long), clock.every)
    uncut = _bars(rebuilt, clock.every)
    codes = sample.codes[whole_years[sample.codes]]
    warm_ups = (_warm_up(feature, shorter, uncut, codes, sample.config.prefix) for feature in columns)
    return [row for row in warm_ups if row is not None], codes


def _measured(feature: Feature) -> bool:
    return feature.family != "bars" and not feature.of_rows  # facts of one bar, the count of bars before it, of days


def _by_code(rows: Rows, n_symbols: int, extreme: np.ufunc) -> Ints:
    extremes = np.full(n_symbols, np.iinfo(np.int64).max if extreme is np.minimum else np.iinfo(np.int64).min // 2)
    extreme.at(extremes, rows.codes, rows.days)
    return np.where(extremes == np.iinfo(np.int64).max, 0, extremes)


def _bars(rows: Rows, every: str) -> Rows:
    """Return the first row that sees each bar of a clock, with the bar's last day as its day."""
    end, _ = counted(every)
    seen = rows.where(np.asarray(rows.table.column(end).is_valid()))
    ends = to_numpy(seen.table.column(end).cast(pa.date32()).cast(pa.int32())).astype(np.int64)
    new = np.ones(len(seen), bool)
    new[1:] = (np.diff(seen.codes) != 0) | (np.diff(ends) != 0)
    return Rows(seen.codes[new], ends[new], seen.table.filter(pa.array(new)))


def _warm_up(feature: Feature, shorter: Rows, uncut: Rows, codes: Ints, prefix: str) -> WarmUp | None:
    """Return when a column settles; None: it does not change at all."""
    settled: list[int] = []
    symbols, moves = 0, False
    for code in codes.tolist():
        a, b = (rows.where(rows.codes == code) for rows in (shorter, uncut))
        a = a.where(np.isin(a.days, b.days))  # padding is none once the row is cut that it repeats
        at = np.searchsorted(b.days, a.days)
        short, full = _values(a, feature.name), _values(b, feature.name)[at]
        bar = to_numpy(a.table.column(counted(feature.every)[1])).astype(np.int64) - 1
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
