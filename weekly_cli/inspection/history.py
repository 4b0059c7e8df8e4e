"""What the days of the rows tell: the calendar, how complete each year is, and the shortest and longest histories."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints
from weekly_cli.compute.sessions import (
    alive_by_day,
    by_weekday,
    fitting_anchor,
    session_days,
    sessions_a_week,
    trading_weekdays,
)
from weekly_cli.compute.weeks import DAYS_PER_WEEK, week_number
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.scan import Scan
from weekly_cli.inspection.facts import Calendar, Gap, History, Year
from weekly_cli.inspection.rows import RowFacts
from weekly_cli.names import ANCHORS

WEEKDAYS = tuple(anchor.removeprefix("W-").capitalize() for anchor in ANCHORS)
N_HISTORIES, N_GAPS = 5, 3
_MONTHS = 12
_EPOCH_YEAR = 1970


def calendar(scan: Scan, facts: RowFacts, chosen: str | None) -> Calendar | None:
    """Return the calendar of the data, None if there are no rows; the `chosen` anchor stays if its week fits."""
    if not facts.rows_by_day.any():
        return None
    sessions, _ = _sessions_and_alive(facts)
    days = np.flatnonzero(sessions) + scan.first_day
    trading = trading_weekdays(by_weekday(scan.first_day, sessions.astype(np.int64)))
    fitting = fitting_anchor(trading, chosen)
    pauses = np.diff(days)
    longest = np.argsort(-pauses, kind="stable")[:N_GAPS]
    return Calendar(
        sessions=len(days),
        sessions_a_week=sessions_a_week(week_number(days, fitting)),
        weekdays=dict(zip(WEEKDAYS, by_weekday(scan.first_day, facts.rows_by_day).tolist(), strict=True)),
        trading_weekdays=tuple(WEEKDAYS[day] for day in np.flatnonzero(trading)),
        anchor=fitting,
        gaps=tuple(Gap(as_date(days[n]), as_date(days[n + 1])) for n in longest if pauses[n] > DAYS_PER_WEEK),
    )


def _sessions_and_alive(facts: RowFacts) -> tuple[NDArray[np.bool_], Ints]:
    alive = alive_by_day(facts.first, facts.last, len(facts.rows_by_day))
    return session_days(facts.symbols_by_day, alive), alive


def years(scan: Scan, facts: RowFacts) -> tuple[Year, ...]:
    """Return the years that have sessions, and how complete each is."""
    if not facts.rows_by_day.any():
        return ()
    sessions, alive = _sessions_and_alive(facts)
    month = _month_of(scan.first_day + np.arange(len(sessions)))
    first_year = int(month[0]) // _MONTHS
    month -= first_year * _MONTHS
    n_years = int(month[-1]) // _MONTHS + 1

    def by_month(counts: Ints) -> Ints:
        sums = np.bincount(month, weights=counts, minlength=n_years * _MONTHS)
        return sums.astype(np.int64).reshape(n_years, _MONTHS)

    counted, rows = by_month(sessions.astype(np.int64)), by_month(facts.rows_by_day)
    due = by_month(np.where(sessions, alive, 0))
    there = by_month(np.where(sessions, np.minimum(facts.symbols_by_day, alive), 0))
    symbols = alive_by_day(month[facts.first] // _MONTHS, month[facts.last] // _MONTHS, n_years)
    return tuple(
        Year(
            year=_EPOCH_YEAR + first_year + year,
            symbols=int(symbols[year]),
            sessions=int(counted[year].sum()),
            rows=int(rows[year].sum()),
            complete=float(there[year].sum() / due[year].sum()),
            months=tuple(
                float(seen / expected) if expected else None
                for seen, expected in zip(there[year], due[year], strict=True)
            ),
        )
        for year in np.flatnonzero(counted.sum(axis=1)).tolist()
    )


def _month_of(days: Ints) -> Ints:
    """Return the number of each day's month, counted from January 1970."""
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def shortest_and_longest(scan: Scan, facts: RowFacts) -> tuple[tuple[History, ...], tuple[History, ...]]:
    """Return the histories with the fewest and the most rows; those with equal rows in the order of their symbols."""
    rows = scan.rows_per_symbol
    fewest = np.argsort(rows, kind="stable")[:N_HISTORIES]
    most = np.argsort(-rows, kind="stable")[:N_HISTORIES]

    def histories(numbers: Ints) -> tuple[History, ...]:
        return tuple(
            History(
                str(scan.symbols[number].as_py()),
                int(rows[number]),
                as_date(scan.first_day + facts.first[number]),
                as_date(scan.first_day + facts.last[number]),
            )
            for number in numbers.tolist()
        )

    return histories(fewest), histories(most)
