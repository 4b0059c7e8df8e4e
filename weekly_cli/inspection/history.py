"""What the days of the rows tell: the calendar, how complete each year is, and the shortest and longest histories."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints
from weekly_cli.compute.clocks import DAYS_PER_WEEK
from weekly_cli.compute.sessions import alive_by_day, session_days
from weekly_cli.dataset import calendar as days
from weekly_cli.dataset.calendar import WEEKDAYS, fitting_anchor
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.scan import Scan
from weekly_cli.inspection.facts import Calendar, Gap, History, Year
from weekly_cli.inspection.rows import RowFacts

N_HISTORIES, N_GAPS = 5, 3
_MONTHS = 12
_EPOCH_YEAR = 1970


def calendar(scan: Scan, facts: RowFacts, chosen: str | None) -> Calendar | None:
    """Return the calendar of the data, None if there are no rows; the `chosen` anchor stays if its week fits."""
    every = scan.calendar
    if not len(every.days):
        return None
    is_session, _ = _sessions_and_alive(scan, facts)
    sessions = days.Calendar(every.days[is_session], every.rows[is_session])
    pauses = np.diff(sessions.days)
    longest = np.argsort(-pauses, kind="stable")[:N_GAPS]
    return Calendar(
        sessions=len(sessions.days),
        sessions_a_week=round(sessions.sessions_a_week, 2),
        weekdays=dict(zip(WEEKDAYS, every.rows_by_weekday.tolist(), strict=True)),
        trading_weekdays=tuple(WEEKDAYS[day] for day in sessions.used_weekdays),
        anchor=fitting_anchor(sessions.used_weekdays, chosen),
        gaps=tuple(
            Gap(as_date(sessions.days[n]), as_date(sessions.days[n + 1])) for n in longest if pauses[n] > DAYS_PER_WEEK
        ),
    )


def _sessions_and_alive(scan: Scan, facts: RowFacts) -> tuple[NDArray[np.bool_], Ints]:
    alive = alive_by_day(facts.first, facts.last, len(scan.calendar.days))
    return session_days(facts.symbols_by_day, alive), alive


def years(scan: Scan, facts: RowFacts) -> tuple[Year, ...]:
    """Return the years that have sessions, and how complete each is."""
    if not len(scan.calendar.days):
        return ()
    sessions, alive = _sessions_and_alive(scan, facts)
    month = _month_of(scan.calendar.days)
    first_year = int(month[0]) // _MONTHS
    month -= first_year * _MONTHS
    n_years = int(month[-1]) // _MONTHS + 1

    def by_month(counts: Ints) -> Ints:
        sums = np.bincount(month, weights=counts, minlength=n_years * _MONTHS)
        return sums.astype(np.int64).reshape(n_years, _MONTHS)

    counted, rows = by_month(sessions.astype(np.int64)), by_month(scan.calendar.rows)
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
                as_date(scan.calendar.days[facts.first[number]]),
                as_date(scan.calendar.days[facts.last[number]]),
            )
            for number in numbers.tolist()
        )

    return histories(fewest), histories(most)
