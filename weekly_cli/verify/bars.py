"""The completeness check of a weekly table: a row for each symbol and week that has a bar and is over, once, in order.

Memory holds a byte for each pair of a symbol and a week of either side. A week of the input counts at first if any of
its rows has a usable close; only the symbols whose weeks then differ from the table's are read again, with all that the
settings say about rows and prices. Where a calendar or the symbol tells what a week is, all symbols are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints, usable_values
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.features import VISIBLE_FROM, WEEK_END
from weekly_cli.dataset import source
from weekly_cli.dataset.dates import as_date, session_days
from weekly_cli.dataset.each import in_order
from weekly_cli.dataset.schema import prices, symbol_codes
from weekly_cli.dataset.selection import pieces_of
from weekly_cli.names import written_name
from weekly_cli.run.clocks import clocks_of_scan
from weekly_cli.verify.proof import MAX_LISTED, Check, of_the_table
from weekly_cli.verify.rebuild import needed_columns
from weekly_cli.verify.reference import markets_of, weeks_with_bars
from weekly_cli.verify.rows import Sides, Tally, batches_of, rows_of

_BATCH_ROWS = 256 * 1024
#: uint8[symbols, weeks]: how many rows each symbol has for each week of the calendar; 2 stands for more.
Weeks = NDArray[np.uint8]
_ROWS = ("no row", "one row", "several rows", "one row, first seen on another day,")
_OTHER_DAY = 3


def check_bars(check: Check, sides: Sides, of_table: Tally, threads: int) -> NDArray[np.bool_]:
    """Compare the weeks of both sides and return bool[symbols]: which are the same."""
    check.did = (
        f"{of_table.rows:,} rows of {np.count_nonzero(of_table.counts):,} symbols: each week of the input's "
        f"{sides.scan.footers.rows:,} rows that has a bar and is over on {as_date(sides.scan.last_day)} once, in order"
    )
    if of_table.foreign_row is not None:
        check.findings.append(f"a row of the table is not of the input: {of_table.foreign_row}")
    if of_table.misplaced_row is not None:
        check.findings.append(f"rows are not in the order of symbol and week: {of_table.misplaced_row} comes too late")
    calendar = _Calendar(sides)
    expected = calendar.counted(_weeks_of_input(calendar, threads))
    with of_the_table():
        found, seen = _weeks_of_table(calendar, check)
    same: NDArray[np.bool_] = (expected == found).all(axis=1)
    same[sides.selected] &= not calendar.differs
    messages: list[str] = []
    for batch in batches_of(sides, np.flatnonzero(~same)):
        exact, exact_seen = _exact_weeks(calendar, batch)
        exact[(exact == 1) & (found == 1) & (exact_seen != seen)] = _OTHER_DAY
        same[batch] = (exact[batch] == found[batch]).all(axis=1)
        messages += [calendar.difference(code, exact[code], found[code]) for code in batch[~same[batch]].tolist()]
        if len(messages) >= MAX_LISTED:
            break
    if messages:
        check.findings += [f"{np.count_nonzero(~same):,} symbols differ from the input", *messages[:MAX_LISTED]]
    return same


@dataclass(frozen=True)
class _Calendar:
    """The weeks from the input's first date to its last."""

    sides: Sides

    @cached_property
    def clock(self) -> SymbolClocks:
        """The week of each symbol of the scan, and when its bar may be seen."""
        sides = self.sides
        every = np.arange(len(sides.scan.symbols))
        return clocks_of_scan(sides.config, sides.wanted, sides.scan, every).every[0]

    @property
    def differs(self) -> bool:
        """Whether symbols have other weeks than others, or other days from which on they see bars."""
        return self.clock.has_sessions or self.clock.of_symbol is not None

    @property
    def first(self) -> int:
        """The number of the first week."""
        return min(clock.period(self.sides.scan.first_day) for clock in self.clock.distinct)

    @property
    def shape(self) -> tuple[int, int]:
        """Symbols and weeks."""
        last = max(clock.period(self.sides.scan.last_day) for clock in self.clock.distinct)
        return len(self.sides.scan.symbols), last - self.first + 1

    def empty(self) -> Weeks:
        """Return no row for any week."""
        return np.zeros(self.shape, np.uint8)

    def counted(self, weeks: Weeks) -> Weeks:
        """Return the weeks of these that a table has: over, seen within the dates asked for, of a symbol asked for."""
        clock, number = self.clock.distinct[0], self.first + np.arange(self.shape[1])
        is_over = clock.end(number) <= self.sides.scan.last_day
        inside = self.sides.window(clock.first_day_seen(number))
        result = self.empty()
        result[self.sides.selected] = weeks[self.sides.selected]
        result[:, ~(is_over & inside)] = 0
        return result

    def difference(self, code: int, expected: NDArray[np.uint8], found: NDArray[np.uint8]) -> str:
        """Return a description of the first week in which a symbol's rows differ."""
        week = int(np.argmax(expected != found))
        day = self.clock.of(code).end(self.first + week)
        of_input, of_table = (_ROWS[int(weeks[week])] for weeks in (expected, found))
        return f"{self.sides.named(code, day)}: {of_table} of that week in the table, {of_input} by the input"


# ---- the input -------------------------------------------------------------------------------------------


def _weeks_of_input(calendar: _Calendar, threads: int) -> Weeks:
    """Return the weeks in which any row has a usable close, and a usable adjusted one where that is used."""
    result = calendar.empty().ravel()
    pieces = calendar.sides.scan.footers.pieces
    read = partial(_usable_weeks, calendar)
    for keys in in_order((partial(read, *run) for run in source.runs(pieces, source.BATCH_ROWS)), threads):
        result[keys] = 1
    return result.reshape(calendar.shape)


def _usable_weeks(calendar: _Calendar, begin: int, end: int) -> Ints:
    """Return symbol and week of the usable rows of some pieces, each once, as positions in the calendar's weeks."""
    sides = calendar.sides
    schema, config = sides.scan.footers.schema, sides.config
    closes = [schema.roles["close"], *([] if config.price is None else [config.price])]
    columns = list(dict.fromkeys([*schema.key_columns, *closes]))
    found = [np.empty(0, np.int64)]
    for _, _, table in source.tables(sides.scan.footers.pieces[begin:end], schema, columns, _BATCH_ROWS):
        codes = symbol_codes(table.column(schema.roles["symbol"]), sides.scan.symbols).astype(np.int64)
        days, known = session_days(table.column(schema.roles["date"]), schema.dates)
        usable = codes >= 0 if known is None else (codes >= 0) & known
        for name in closes:
            values = prices(table.column(name))
            usable &= usable_values(np.abs(values) if config.negative_prices == "absolute" else values, "close")
        weeks = calendar.clock.period(codes[usable], days[usable].astype(np.int64)) - calendar.first
        found.append(np.unique(codes[usable] * calendar.shape[1] + weeks))
    return np.concatenate(found)


def _exact_weeks(calendar: _Calendar, codes: Ints) -> tuple[Weeks, Ints]:
    """Return the weeks of some symbols that have a row by the reference implementation, and the days of these rows."""
    sides, result = calendar.sides, calendar.empty()
    seen_from = np.zeros(calendar.shape, np.int64)
    markets = markets_of(sides.scan, sides.config, sides.wanted)
    schema = sides.scan.footers.schema
    rows = rows_of(sides, codes, pieces_of(sides.scan, codes), schema, needed_columns(sides.scan, sides.config))
    for code, ends, seen in weeks_with_bars(rows, sides.scan, sides.config, markets):
        wanted = (seen + calendar.clock.lead_days - 1 <= sides.scan.last_day) & sides.window(seen)
        places = calendar.clock.of(code).period(ends[wanted]) - calendar.first
        result[code, places] = 1
        seen_from[code, places] = seen[wanted]
    return result, seen_from


# ---- the table -------------------------------------------------------------------------------------------


def _weeks_of_table(calendar: _Calendar, check: Check) -> tuple[Weeks, Ints]:
    """Return the weeks of the table's rows, and their days.

    Rows whose two days contradict each other, or the input's, are findings.
    """
    sides, result = calendar.sides, calendar.empty()
    seen_from = np.zeros(calendar.shape, np.int64)
    schema, clock = sides.table.schema, calendar.clock
    columns = [schema.roles["symbol"], VISIBLE_FROM.name, written_name(WEEK_END.name, sides.config.prefix)]
    for _, _, table in source.tables(sides.table.pieces, schema, columns, _BATCH_ROWS):
        codes = symbol_codes(table.column(columns[0]), sides.scan.symbols).astype(np.int64)
        seen, ends = (session_days(table.column(name))[0].astype(np.int64) for name in columns[1:])
        known = np.maximum(codes, 0)
        weeks = clock.period(known, ends)
        first_seen = clock.first_day_seen(known, weeks)
        wrong = (clock.end(known, weeks) != ends) | (
            (seen < first_seen) if clock.has_sessions else (seen != first_seen)
        )
        places = weeks - calendar.first
        wrong |= (places < 0) | (places >= calendar.shape[1]) | (codes < 0)
        if wrong.any() and len(check.findings) < MAX_LISTED:
            row = int(np.argmax(wrong))
            check.findings.append(
                f"{sides.named(codes[row], seen[row])}: a row of the week that ends on {as_date(ends[row])} is not "
                "seen from that day on, or is of no week of the input"
            )
        np.add.at(result, (codes[~wrong], places[~wrong]), 1)
        np.minimum(result, 2, out=result)
        seen_from[codes[~wrong], places[~wrong]] = seen[~wrong]
    return result, seen_from
