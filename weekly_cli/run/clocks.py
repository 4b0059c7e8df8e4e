"""The clocks of a run, as its settings, calendars and symbols have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.clocks import Clock, LastSessions, SymbolClocks
from weekly_cli.dataset.calendar import fitting_anchor
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.exchange import Calendars, Exchange, exchange_of
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import as_text
from weekly_cli.names import ANCHORS, AUTO, PERIODS, printable
from weekly_cli.settings import Config

if TYPE_CHECKING:
    from weekly_cli.run.wanted import Wanted

#: How far beyond the data a period may reach: a quarter.
_LONGEST_DAYS = 92
#: Symbols that a note names.
_MOST_NAMED = 3


@dataclass(frozen=True, eq=False)
class RunClocks:
    """The clocks of a run's symbols, and the calendars that they have.

    Attributes
    ----------
    symbols : pa.Array
    every : tuple of SymbolClocks
        The week's, with or without columns, and those of the further periods whose columns are asked for.
    exchanges : tuple of Exchange
        The calendars in use.
    exchange_of_symbol : int64[symbols]
        The position of each symbol's calendar among them; -1: it has none.
    anchors : str[symbols] or None
        The last day of each symbol's week, where it is the one that fits its sessions.
    calendars : Calendars or None
        Which calendars were asked for.
    """

    symbols: pa.Array
    every: tuple[SymbolClocks, ...]
    exchanges: tuple[Exchange, ...]
    exchange_of_symbol: Ints
    anchors: NDArray[np.str_] | None
    calendars: Calendars | None = None

    def noted(self, scan: Scan) -> Scan:
        """Return a scan with a note of the calendars, which the plan and the report tell."""
        notes = tuple(self._notes(scan))
        if not notes:
            return scan
        schema = replace(scan.footers.schema, notes=(*scan.footers.schema.notes, *notes))
        return replace(scan, footers=replace(scan.footers, schema=schema))

    def _notes(self, scan: Scan) -> Iterator[str]:
        if self.anchors is not None:
            yield "week: " + ", ".join(self._of_anchor(anchor) for anchor in ANCHORS if anchor in self.anchors)
        counts = np.bincount(self.exchange_of_symbol + 1, minlength=len(self.exchanges) + 1).tolist()
        shares = [f"{one.name} of {count:,} symbols" for one, count in zip(self.exchanges, counts[1:], strict=True)]
        if shares:
            yield "calendar: " + ", ".join([*shares, *([f"none of {counts[0]:,}"] if counts[0] else [])])
        listed = {} if self.calendars is None else self.calendars.listed
        missing = sorted(listed.keys() - set(map(as_text, scan.symbols))) if listed else []
        if missing:
            yield (
                f"{len(missing):,} of {len(listed):,} symbols of the calendar map are not in the input (first: "
                f"{printable(missing[0])})"
            )
        for one in self.exchanges:
            beyond = [
                *([f"before {as_date(one.first_day)}"] if one.first_day > scan.first_day else []),
                *([f"after {as_date(one.last_day)}"] if one.last_day < scan.last_day else []),
            ]
            if beyond:
                yield f"{one.name} tells no sessions {' and '.join(beyond)}: weeks end there on their last day"

    def _of_anchor(self, anchor: str) -> str:
        here = np.flatnonzero(self.anchors == anchor).tolist()
        first = ", ".join(printable(as_text(self.symbols[at])) for at in here[:_MOST_NAMED])
        return f"{anchor} of {len(here):,} symbols ({first}{', ...' if len(here) > _MOST_NAMED else ''})"

    @property
    def recorded(self) -> dict[str, list[str]]:
        """The symbols of each anchor, for an output's metadata; that of most comes first and lists none."""
        if self.anchors is None:
            return {}
        found = {anchor: np.flatnonzero(self.anchors == anchor).tolist() for anchor in ANCHORS}
        by_size = sorted((anchor for anchor in ANCHORS if found[anchor]), key=lambda anchor: -len(found[anchor]))
        return {
            anchor: [as_text(self.symbols[at]) for at in found[anchor]] if place else []
            for place, anchor in enumerate(by_size)
        }

    @property
    def of_symbol(self) -> Ints | None:
        """The position of each symbol's clock among the distinct ones; None: all have the first one."""
        return self.every[0].of_symbol

    @property
    def schedule_of_symbol(self) -> Ints | None:
        """The position of each symbol's calendar; None: all have the first one, or none has any."""
        return self.exchange_of_symbol if (self.exchange_of_symbol != 0).any() else None


def clocks_of_scan(config: Config, wanted: Wanted, scan: Scan, selected: Ints) -> RunClocks:
    """Return the clocks of the `selected` symbols of a scan, in their order."""
    anchors = None if wanted.anchors is None else [wanted.anchors[code] for code in selected.tolist()]
    symbols = scan.symbols.take(from_numpy(selected))
    return run_clocks(config, wanted.calendars, symbols, (scan.first_day, scan.last_day), anchors)


def periods_of(config: Config) -> tuple[str, ...]:
    """Return the week, and the further periods whose columns are asked for."""
    return tuple(every for every in PERIODS if every == "week" or every in config.every)


def bound(clocks: Sequence[SymbolClocks], of_symbol: Ints | None) -> tuple[SymbolClocks, ...]:
    """Return the same clocks for other symbols."""
    return tuple(replace(clock, of_symbol=of_symbol) for clock in clocks)


def run_clocks(
    config: Config,
    calendars: Calendars | None,
    symbols: pa.Array,
    span: tuple[int, int],
    anchors: Sequence[str] | None = None,
) -> RunClocks:
    """Return the clocks of some symbols.

    Parameters
    ----------
    config : Config
    calendars : Calendars or None
    symbols : pa.Array
    span : (int, int)
        The first and the last day of the data; a calendar is read as far as these, and the periods around them, reach.
    anchors : sequence of str, optional
        The last day of each symbol's week, where the settings do not tell it.

    Raises
    ------
    UsageError
        If the sessions of a calendar can't be made.
    """
    names: list[str | None] = [None if calendars is None else calendars.default] * len(symbols)
    if calendars is not None and calendars.listed:
        names = calendars.of(map(as_text, symbols))
    used = sorted({name for name in names if name is not None})
    begin, end = span[0] - _LONGEST_DAYS, span[1] + _LONGEST_DAYS
    exchanges = tuple(exchange_of(name, begin, end) for name in used)
    number = {name: place for place, name in enumerate(used)}
    exchange_of_symbol = np.array([-1 if name is None else number[name] for name in names], np.int64)
    kinds, of_symbol = _kinds(config, anchors, exchange_of_symbol)
    every = tuple(
        SymbolClocks(
            tuple(_clock(one, anchor, config.available, exchanges[at] if at >= 0 else None) for anchor, at in kinds),
            of_symbol if len(kinds) > 1 else None,
        )
        for one in periods_of(config)
    )
    return RunClocks(
        symbols, every, exchanges, exchange_of_symbol, None if anchors is None else np.array(anchors), calendars
    )


def _kinds(
    config: Config, anchors: Sequence[str] | None, exchange_of_symbol: Ints
) -> tuple[list[tuple[str, int]], Ints]:
    """Return the distinct pairs of anchor and calendar, and which of them each symbol has.

    Only where bars may be seen on the last day of their period does the calendar make a difference.
    """
    weeks = [config.week] if anchors is None else sorted({*anchors} or {ANCHORS[0]}, key=ANCHORS.index)
    of_weeks = np.zeros(len(exchange_of_symbol), np.int64)
    if anchors is not None:
        of_weeks = np.array([weeks.index(anchor) for anchor in anchors], np.int64)
    numbers = exchange_of_symbol if config.available == "week-end" else np.full(len(exchange_of_symbol), -1)
    distinct, of_symbol = np.unique(numbers * len(weeks) + of_weeks, return_inverse=True)
    kinds = [(weeks[pair % len(weeks)], pair // len(weeks)) for pair in distinct.tolist()]
    return kinds or [(weeks[0], -1)], of_symbol


def _clock(every: str, anchor: str, available: str, exchange: Exchange | None) -> Clock:
    clock = Clock(every, anchor, available)
    return clock if exchange is None else replace(clock, sessions=_last_sessions(clock, exchange))


def _last_sessions(clock: Clock, exchange: Exchange) -> LastSessions:
    """Return the last session of each period, in which the calendar tells all of them."""
    first, last = clock.period(exchange.first_day), clock.period(exchange.last_day + 1) - 1
    periods = np.arange(first, last + 1)
    stops = np.searchsorted(exchange.sessions, clock.end(periods), "right")
    has_session = np.diff(stops, prepend=0) > 0
    ends = clock.end(periods)
    ends[has_session] = exchange.sessions[stops[has_session] - 1]
    return LastSessions(first, ends.astype(np.int32))


def weekly_clock(config: Config, scan: Scan) -> Clock:
    """Return the week as the settings have it, or as all sessions together do, without any calendar."""
    used = scan.calendar.used_weekdays
    anchor = (fitting_anchor(used) if used else ANCHORS[-1]) if config.week == AUTO else config.week
    return Clock("week", anchor, config.available)
