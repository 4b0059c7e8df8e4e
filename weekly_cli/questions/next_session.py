"""Where the histories of an output end, and the session that comes next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints
from weekly_cli.compute.clocks import DAYS_PER_WEEK
from weekly_cli.dataset.calendar import next_on, used_weekdays, weekday
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.schema import as_text
from weekly_cli.errors import UsageError
from weekly_cli.questions.built import Built
from weekly_cli.questions.histories import histories, newest_rows
from weekly_cli.run.clocks import RunClocks

#: A history of fewer rows than four weeks have does not tell its weekdays: it has those of most others, too.
_LEAST_ROWS = 20
#: Weekdays of a market of which too little is known.
_MONDAY_TO_FRIDAY = np.array([True] * 5 + [False] * 2)


@dataclass(frozen=True)
class Ends:
    """Where the histories end: each symbol, its newest row's day, and the rows of each weekday, int64[symbols, 7].

    `first_day` is the first day of all rows.
    """

    symbols: pa.Array
    last: Ints
    weekdays: Ints
    first_day: int

    @property
    def days(self) -> Ints:
        """The first and the last day of all rows; empty if there are none."""
        return np.array([self.first_day, int(self.last.max())]) if len(self.last) else self.last


def ends_of(built: Built, symbols: Sequence[str] | None = None) -> Ends:
    """Return where the histories of all symbols end, or of some; only keys are read.

    Raises
    ------
    UsageError
        If the output has no such symbol.
    """
    first_days: list[int] = []
    texts, last, weekdays = [], [np.empty(0, np.int64)], [np.empty((0, DAYS_PER_WEEK), np.int64)]
    for rows in histories(built, [], symbols):
        n_symbols = len(rows.symbols)
        texts.append(rows.symbols)
        first_days.append(int(rows.days.min()))
        last.append(rows.days[newest_rows(rows.codes, n_symbols)])
        cells = rows.codes * DAYS_PER_WEEK + weekday(rows.days)
        weekdays.append(np.bincount(cells, minlength=n_symbols * DAYS_PER_WEEK).reshape(-1, DAYS_PER_WEEK))
    known_symbols = pa.concat_arrays(texts) if texts else pa.array([], pa.large_string())
    built.refuse_missing(symbols or (), {as_text(symbol) for symbol in known_symbols} if symbols else ())
    first_day = min(first_days, default=0)
    return Ends(known_symbols, np.concatenate(last), np.concatenate(weekdays), first_day)


def next_sessions(built: Built, ends: Ends, timing: RunClocks, *, of_all: bool) -> Ints:
    """Return the first session after each symbol's newest row.

    Where no calendar tells it, that is the first day that is a weekday on which the symbol has rows.
    """
    sessions = _by_weekdays(built, ends, of_all=of_all)
    for number, exchange in enumerate(timing.exchanges):
        here = timing.exchange_of_symbol == number
        at = np.searchsorted(exchange.sessions, ends.last, "right")
        here &= (at < len(exchange.sessions)) & (ends.last >= exchange.first_day)
        sessions[here] = exchange.sessions[at[here]]
    return sessions


def _by_weekdays(built: Built, ends: Ends, *, of_all: bool) -> Ints:
    """Return the first day after each symbol's newest row that is a weekday on which it has rows."""
    used, tells = used_weekdays(ends.weekdays), _tells(ends)
    if not tells.all():
        every = ends if of_all else ends_of(built)
        telling = used_weekdays(every.weekdays[_tells(every)])
        most = 2 * telling.sum(axis=0) > len(telling)
        used = np.where(tells[:, None], used, used | most if most.any() else used | _MONDAY_TO_FRIDAY)
    return next_on(ends.last, used)


def _tells(ends: Ends) -> NDArray[np.bool_]:
    tells: NDArray[np.bool_] = ends.weekdays.sum(axis=1) >= _LEAST_ROWS
    return tells


def all_on(built: Built, ends: Ends, session: int) -> Ints:
    """Return one day for all symbols.

    Raises
    ------
    UsageError
        If a symbol has a row then, or later.
    """
    late = np.flatnonzero(ends.last >= session)
    if len(late):
        symbol, day = as_text(ends.symbols[int(late[0])]), as_date(int(ends.last[late[0]]))
        raise UsageError(
            f"--session {as_date(session)}: {len(late):,} symbols of {built.name} have a row then or later (first: "
            f"{symbol} {day}), and those say what it saw; give a day after the last row"
        )
    return np.full(len(ends.last), session)
