"""The week to date: the bar that a daily row's own week has so far, as far as the row may know it.

A bar of a finished week is one for all of its rows; a running one is another for each row. Rows of a week are adjacent,
and at most seven, so what they have seen so far takes six steps over all weeks at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Floats, Ints, UsedColumns, run_starts
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.features.declare import RUNNING, Feature
from weekly_cli.names import AVAILABILITIES

_KEY_DAYS = 2**32


@dataclass(frozen=True)
class RunningBars:
    """The running bar of each daily row, float64[rows]: NaN where the row knows of no usable row of its week yet.

    `days` counts the usable daily rows of it; `volume` is NaN throughout if the input has no volume.
    """

    days: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def of(self, rows: slice | NDArray[np.bool_]) -> RunningBars:
        """Return the running bars of some rows."""
        return RunningBars(*(getattr(self, field.name)[rows] for field in fields(self)))


@np.errstate(all="ignore")  # a sum that overflows is stored as null
def running_bars(codes: Ints, days: Ints, used: UsedColumns, clock: SymbolClocks) -> RunningBars:
    """Return the running bar of each row: of the rows of its week up to the day before it, or up to the row itself.

    The latter where a bar may be seen on the last day of its week. Parameters are those of `bars.bars_of`, and so is
    what a bar is made of, and what it takes where no open, high or low is usable.
    """
    values = {role: _usable(column, used.unusable[role]) for role, column in used.columns.items()}
    is_usable = ~np.isnan(values["close"])
    for column in values.values():
        column[~is_usable] = np.nan
    starts = run_starts(codes, clock.period(codes, days))
    steps = _steps(starts, len(codes))
    count = _so_far(is_usable.astype(np.float64), steps, np.add)
    close = values["close"]
    none = np.full(len(close), np.nan)
    bars = RunningBars(
        days=count,
        open=_else(_so_far(values.get("open", none), steps, _first), _so_far(close, steps, _first)),
        high=_else(_so_far(values.get("high", none), steps, np.fmax), _so_far(close, steps, np.fmax)),
        low=_else(_so_far(values.get("low", none), steps, np.fmin), _so_far(close, steps, np.fmin)),
        close=_so_far(close, steps, _last),
        volume=_so_far(np.nan_to_num(values["volume"], nan=0.0), steps, np.add) if "volume" in values else none,
    )
    return _known(bars, starts, lead_days=clock.lead_days)


def running_before(
    codes: Ints, days: Ints, of_rows: tuple[Ints, Ints, UsedColumns], clock: SymbolClocks
) -> RunningBars:
    """Return what is known of some weeks before some days: the running bar of the newest row before each day.

    Parameters
    ----------
    codes, days : int64[n]
        Symbols, and days that need have no row.
    of_rows : int64[rows], int64[rows], UsedColumns
        Codes, days and prices of daily rows, sorted.
    clock : SymbolClocks
    """
    row_codes, row_days, used = of_rows
    including_itself = replace(
        clock, distinct=tuple(replace(one, available=AVAILABILITIES[-1]) for one in clock.distinct)
    )
    with_itself = running_bars(row_codes, row_days, used, including_itself)
    keys, wanted = (code * _KEY_DAYS + day for code, day in ((row_codes, row_days), (codes, days)))
    at = np.searchsorted(keys, wanted, "left") - 1
    there = at >= 0
    there[there] = row_codes[at[there]] == codes[there]
    there[there] = clock.period(row_codes[at[there]], row_days[at[there]]) == clock.period(codes[there], days[there])
    known = {}
    for field in fields(with_itself):
        known[field.name] = np.full(len(codes), np.nan)
        known[field.name][there] = getattr(with_itself, field.name)[at[there]]
    return RunningBars(**known)


def _usable(column: Floats, unusable: NDArray[np.bool_] | None) -> Floats:
    """Return a copy with NaN where values are not usable."""
    return np.array(column) if unusable is None else np.where(unusable, np.nan, column)


def _steps(starts: Ints, n_rows: int) -> list[Ints]:
    """Return the second rows of all runs, the third ones, and so on."""
    lengths = np.diff(starts, append=n_rows)
    return [starts[lengths > step] + step for step in range(1, int(lengths.max(initial=0)))]


def _so_far(values: Floats, steps: list[Ints], combine: Callable[[Floats, Floats], Floats]) -> Floats:
    """Return what each row's value makes with those of its run before it."""
    out = np.array(values)
    for rows in steps:
        out[rows] = combine(out[rows - 1], out[rows])
    return out


def _first(before: Floats, now: Floats) -> Floats:
    return np.where(np.isnan(before), now, before)


def _last(before: Floats, now: Floats) -> Floats:
    return np.where(np.isnan(now), before, now)


def _else(values: Floats, others: Floats) -> Floats:
    return np.where(np.isnan(values), others, values)


def _known(bars: RunningBars, starts: Ints, lead_days: int) -> RunningBars:
    """Return of each row what it may know: the bar with the row itself, or that of the row before in its week."""
    known = {}
    nothing = bars.days == 0.0
    for field in fields(bars):
        values = np.where(nothing, np.nan, getattr(bars, field.name))
        if lead_days == 0:
            values[1:] = values[:-1]
            values[starts] = np.nan
        known[field.name] = values
    return RunningBars(**known)


# ---- features of rows ------------------------------------------------------------------------------------


def inputs_of_rows(features: Iterable[Feature]) -> list[str]:
    """Return what features of rows take of bars: each name once."""
    names = (name for feature in features if feature.of_rows for name in feature.inputs)
    return list(dict.fromkeys(name for name in names if not name.startswith(RUNNING)))


@np.errstate(all="ignore")  # undefined values are NaN, and NaN is null
def value_of_rows(feature: Feature, running: RunningBars, of_bars: Mapping[str, Floats], before: Ints) -> Floats:
    """Return a feature of rows, float64[rows].

    Parameters
    ----------
    feature : Feature
    running : RunningBars
        Of these rows.
    of_bars : mapping of name to float64[bars]
        The inputs that belong to bars.
    before : int64[rows]
        The newest bar before each row's own period; -1: there is none.
    """
    there = before >= 0
    inputs = []
    for name in feature.inputs:
        if name.startswith(RUNNING):
            inputs.append(getattr(running, name.removeprefix(RUNNING)))
        else:
            inputs.append(np.full(len(before), np.nan))
            inputs[-1][there] = of_bars[name][before[there]]
    values: Floats = np.array(feature.function(*inputs))
    return values
