"""The clocks with which an output was built, for some of its symbols."""

from __future__ import annotations

import pyarrow as pa

from weekly_cli.compute.arrays import text_array
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.dataset.exchange import calendars_of
from weekly_cli.dataset.schema import as_text
from weekly_cli.questions.built import Built
from weekly_cli.run.clocks import RunClocks, run_clocks


def clocks_of(built: Built, symbols: pa.Array, days: Ints) -> tuple[SymbolClocks, ...]:
    """Return the clocks of symbols that have rows on these days: the week's, and those of the further periods.

    When the day after a period begins does not depend on sessions, and no calendar is read for it.

    Raises
    ------
    UsageError
        If it was built with a calendar that is not there any more.
    """
    return clocks_with_calendars(built, symbols, days, read=built.config.available == "week-end").every


def clocks_with_calendars(built: Built, symbols: pa.Array, days: Ints, *, read: bool = True) -> RunClocks:
    """Return the same with the calendars of the symbols, if they are to be read."""
    span = (int(days.min()), int(days.max())) if len(days) else (0, 0)
    calendars = calendars_of(built.config) if read else None
    return run_clocks(built.config, calendars, symbols, span, _anchors(built, symbols))


def week_of(built: Built, symbol: str) -> str:
    """Return the last day of a symbol's week."""
    anchors = _anchors(built, text_array([symbol]))
    return built.config.week if anchors is None else anchors[0]


def _anchors(built: Built, symbols: pa.Array) -> list[str] | None:
    """Return the last day of each symbol's week as the output's metadata tells it: of most, no symbol is listed."""
    weeks = built.record.get("weeks")
    if weeks is None:
        return None
    listed = {symbol: anchor for anchor, of_anchor in weeks.items() for symbol in of_anchor}
    return [listed.get(as_text(symbol), next(iter(weeks))) for symbol in symbols]
