"""Rows and sessions of an exchange's calendar, side by side: sessions without a row, and rows without a session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints, run_starts
from weekly_cli.compute.suspects.facts import Found, Suspects
from weekly_cli.findings import MOST_EXAMPLES


@dataclass(frozen=True, eq=False)
class Schedule:
    """The days on which an exchange has sessions: a bit a day for `n_days` from `first_day` on, which it tells."""

    first_day: int
    n_days: int
    bits: NDArray[np.uint8]

    @property
    def is_open(self) -> NDArray[np.bool_]:
        """Whether each day is a session."""
        return np.unpackbits(self.bits, count=self.n_days).astype(bool)


def schedule_of(first_day: int, last_day: int, sessions: Ints) -> Schedule:
    """Return the schedule of the days from one to another, both included."""
    n_days = max(0, last_day - first_day + 1)
    is_open = np.zeros(n_days, bool)
    is_open[sessions - first_day] = True
    return Schedule(first_day, n_days, np.packbits(is_open))


def find_unscheduled(rows: tuple[Ints, Ints], schedules: Sequence[Schedule], of_symbol: Ints) -> Suspects:
    """Return the rows on days without a session, and the sessions without a row from a symbol's first row to its last.

    Parameters
    ----------
    rows : codes and days
        int64[rows] each, sorted by both, each pair once.
    schedules : sequence of Schedule
    of_symbol : int64[symbols]
        The position of each symbol's schedule; -1: it has none.
    """
    found = Found()
    for number, schedule in enumerate(schedules):
        _of_schedule(found, rows, schedule, of_symbol == number)
    return found.by_code


def _of_schedule(found: Found, rows: tuple[Ints, Ints], schedule: Schedule, has_it: NDArray[np.bool_]) -> None:
    codes, days = rows
    is_open, at = schedule.is_open, days - schedule.first_day
    here = (at >= 0) & (at < schedule.n_days)
    if not has_it.all():
        here &= has_it[codes]
    scheduled = np.zeros(len(days), bool)
    scheduled[here] = is_open[at[here]]
    strays = np.flatnonzero(here & ~scheduled)
    examples = ((int(codes[row]), int(days[row]), dict[str, float]()) for row in strays[:MOST_EXAMPLES].tolist())
    found.add("unscheduled-sessions", len(strays), examples)
    starts = run_starts(codes)
    symbols, ends = codes[starts], np.append(starts[1:], len(codes))[: len(starts)] - 1
    first, stop = (np.clip(bound, 0, schedule.n_days) for bound in (at[starts], at[ends] + 1))
    counted = np.append(0, np.cumsum(is_open))
    with_row = np.append(0, np.cumsum(scheduled))
    missing = (counted[stop] - counted[first]) - (with_row[ends + 1] - with_row[starts])
    missing = np.where(has_it[symbols], missing, 0)
    found.add("missing-sessions", int(missing.sum()), _missing(rows, schedule, symbols[missing > 0]))


def _missing(rows: tuple[Ints, Ints], schedule: Schedule, codes: Ints) -> Iterator[tuple[int, int, dict[str, float]]]:
    """Yield the first sessions without a row of some symbols that have such."""
    left = MOST_EXAMPLES
    for code in codes[:MOST_EXAMPLES].tolist():
        begin, end = np.searchsorted(rows[0], [code, code + 1])
        days = rows[1][begin:end]
        sessions = schedule.first_day + np.flatnonzero(schedule.is_open)
        sessions = sessions[(sessions > days[0]) & (sessions < days[-1])]
        first = np.setdiff1d(sessions, days, assume_unique=True)[:left].tolist()
        yield from ((code, day, {}) for day in first)
        left -= len(first)
