"""The scan: what the input contains, from the footers and the key columns only.

The footers provide schema, rows and sizes; the key columns (symbol, date) provide the rows of each symbol, where each
symbol is in each row group, the range of dates, and the rows without a key. Threads, or a cluster's workers, decode row
groups, and the results are combined in input order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset import source
from weekly_cli.dataset.calendar import Calendar, DayCounter, no_days
from weekly_cli.dataset.dates import fitting_formats, session_days
from weekly_cli.dataset.each import Each
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.keys import OFFENDERS_SHOWN, Keys, read_keys
from weekly_cli.dataset.schema import DateReading, plain_symbols, plain_type, symbol_codes, working_type
from weekly_cli.errors import InputRefused
from weekly_cli.settings import Config

_FOLD_SYMBOLS = 64 * 1024
#: Rows of small row groups whose keys are read in one go. What is found is in memory for a few runs at a time, and of a
#: file a day it is an entry for each row: with a million rows a run, 4.8 million took 390 MiB in this process, and 280
#: with these, in the same time.
_RUN_ROWS = 128 * 1024
#: Symbols that are in more row groups than this, on average, are scattered; this limits the memory of a scan.
_PLACES_PER_SYMBOL = 64


@dataclass(frozen=True)
class Presence:
    """Where symbols are: entry i says that the rows of `codes[i]` in piece `pieces[i]` are within [first, stop)."""

    codes: Ints
    pieces: Ints
    first: Ints
    stop: Ints


@dataclass(frozen=True)
class Scan:
    """What the input contains.

    Attributes
    ----------
    rows : int
        Those whose keys were read.
    symbols : pa.Array
        Every symbol of these once, sorted (text by its UTF-8 bytes).
    rows_per_symbol : int64[symbols]
    presence : Presence or None
        None if symbols are scattered over the row groups.
    sorted_by_key : bool
        Whether the rows are in the order of symbol (as `symbols` has them) and date; it is only found out if the
        output is to have the input's order.
    first_day, last_day : int
        Days since 1970-01-01; 0 and -1 if there are no rows.
    bad_rows : int
        Rows without a symbol or a date, which are dropped.
    unread_dates : int
        Those of them that have a value in the date column that is not a valid date.
    first_unread_date : str
        The first of these values, and its location.
    calendar : Calendar
        The days that have rows, and how many.
    times_of_day : frozenset of int
        Times of day in the date column, in seconds, of some rows of each row group.
    """

    footers: Footers
    rows: int
    symbols: pa.Array
    rows_per_symbol: Ints
    presence: Presence | None
    sorted_by_date: bool
    sorted_by_key: bool
    first_day: int
    last_day: int
    bad_rows: int
    unread_dates: int = 0
    first_unread_date: str = ""
    calendar: Calendar = field(default_factory=no_days)
    times_of_day: frozenset[int] = frozenset()

    @property
    def size(self) -> str:
        """How many rows and symbols were read, in words."""
        passed_over = f" of {self.footers.rows:,}" if self.rows < self.footers.rows else ""
        return f"{self.rows:,}{passed_over} rows, {len(self.symbols):,} symbols"

    @cached_property
    def layout(self) -> str:
        """The order of the data, in words."""
        if self.presence is not None:
            return "clustered by symbol"
        return "in date order" if self.sorted_by_date else "in no order"


def scan(
    footers: Footers,
    config: Config,
    each: Each,
    on_rows: Callable[[int], None],
    numbers: Sequence[int] | None = None,
) -> Scan:
    """Read the key columns.

    Parameters
    ----------
    footers : Footers
    config : Config
    each : Each
        Reads the keys of runs of row groups.
    on_rows : callable
        Called with the number of rows read so far.
    numbers : sequence of int, optional
        Of the pieces that are read; without it, all are.

    Raises
    ------
    InputRefused
        If a row has no symbol or no date and `on_bad_rows` is "error".
    """
    fold = _Fold(footers, with_days=config.end is not None)
    done = 0
    numbers = range(len(footers.pieces)) if numbers is None else numbers
    numbered = [(number, footers.pieces[number]) for number in numbers]
    runs = source.runs([piece for _, piece in numbered], _RUN_ROWS)
    read = partial(read_keys, footers.schema, config.order == "input")
    for run_keys in each(read, (numbered[begin:end] for begin, end in runs)):
        for keys in run_keys:
            fold.add(keys)
            done += keys.rows
        on_rows(done)
    if fold.bad_count and config.on_bad_rows == "error":
        raise InputRefused(fold.bad_rows_sentence())
    return fold.result(done)


def unread_dates_sentence(scan: Scan) -> str:
    """Return a sentence that says how many dates can't be read, and how dates are read."""
    return _unread_sentence(scan.unread_dates, scan.first_unread_date, scan.footers.schema.dates)


def _unread_sentence(count: int, first: str, reading: DateReading) -> str:
    if reading.format is not None:
        looks = f"text is read in the format {reading.format} (--date-format)"
    elif reading.unit is not None:
        looks = f"numbers are read as {reading.unit} (--date-unit)"
    else:
        looks = "text must look like 2024-03-14, 20240314 or 2024-03-14T16:00:00 (ISO 8601, years 1 to 9999)"
    return f"{count:,} rows have something other than a date in their date column (first: {first}); {looks}"


def files_with(scan: Scan, rows: Sequence[tuple[int, int]]) -> list[str]:
    """Return the files with a row of one of the (symbol's position, day) pairs; this reads the keys again."""
    footers = scan.footers
    numbers = np.unique([symbol for symbol, _ in rows])
    symbols = scan.symbols.take(from_numpy(numbers))
    wanted = set(rows)
    paths: dict[str, None] = {}
    for piece, _, table in source.tables(footers.pieces, footers.schema, footers.schema.key_columns):
        codes = symbol_codes(table.column(0), symbols)
        days, _ = session_days(table.column(1), footers.schema.dates)
        places = np.flatnonzero(codes >= 0)
        pairs = zip(numbers[codes[places]].tolist(), days[places].tolist(), strict=True)
        if wanted.intersection(pairs):
            paths[piece.name] = None
    return list(paths)


class _Fold:
    """Combines the facts from the tables' keys, in input order."""

    def __init__(self, footers: Footers, *, with_days: bool) -> None:
        self._footers = footers
        self._first_days = np.full(len(footers.pieces), np.iinfo(np.int64).max) if with_days else None
        self._known: pa.Array = pa.nulls(0, working_type(plain_type(footers.schema.symbol_type)))
        self._counts = np.zeros(0, np.int64)
        self._waiting: list[Keys] = []
        self._n_waiting = 0
        self._places: list[tuple[Ints, Ints, Ints, Ints]] | None = []
        self._days: tuple[int, int, int] | None = None  # last row's, smallest, largest
        self._ascending = True
        self._keys_ascending = True
        self._last_key: tuple[Any, int] | None = None
        self._bad: list[str] = []
        self._bad_files: dict[str, int] = {}
        self.bad_count = 0
        self._unread_count, self._first_unread, self._first_unread_text = 0, "", ""
        self._day_counter = DayCounter()
        self._times_of_day: frozenset[int] = frozenset()

    def add(self, keys: Keys) -> None:
        self._bad += keys.bad
        for name, count in keys.bad_of_files.items():
            self.bad_count += count
            self._bad_files[name] = self._bad_files.get(name, 0) + count
        if keys.unread is not None:
            self._unread_count += keys.unread_count
            if not self._first_unread:
                value, place = keys.unread
                self._first_unread, self._first_unread_text = f"{value!r} in {place}", value
        if self._first_days is not None:
            np.minimum.at(self._first_days, *keys.first_days)
        if keys.days is not None:
            first, last, smallest, largest = keys.days
            before = self._days or (first, smallest, largest)
            self._ascending &= keys.ascending and first >= before[0]
            self._days = last, min(before[1], smallest), max(before[2], largest)
        if keys.keys is not None:
            first_key, last_key = keys.keys
            self._keys_ascending &= keys.keys_ascending and (self._last_key is None or first_key >= self._last_key)
            self._last_key = last_key
        if keys.by_day is not None:
            self._day_counter.add(keys.by_day)
        self._times_of_day |= keys.times_of_day
        self._waiting.append(keys)
        self._n_waiting += len(keys.symbols)
        if self._n_waiting >= _FOLD_SYMBOLS:
            self._fold()

    def _fold(self) -> None:
        """Number the waiting symbols; new ones get the next numbers."""
        if not self._waiting:
            return
        symbols = pa.concat_arrays([plain_symbols(keys.symbols).cast(self._known.type) for keys in self._waiting])
        entries = pc.index_in(symbols, value_set=self._known)
        if entries.null_count:
            new = symbols.filter(pc.is_null(entries)).unique()
            self._known = pa.concat_arrays([self._known, new])
            self._counts = np.append(self._counts, np.zeros(len(new), np.int64))
            entries = pc.index_in(symbols, value_set=self._known)
        codes = to_numpy(entries)
        begins = np.cumsum([0, *(len(keys.symbols) for keys in self._waiting)])
        of_entries = [codes[begin + keys.entries] for begin, keys in zip(begins, self._waiting, strict=False)]
        np.add.at(self._counts, np.concatenate(of_entries), np.concatenate([keys.counts for keys in self._waiting]))
        self._place(of_entries)
        self._waiting, self._n_waiting = [], 0

    def _place(self, of_entries: Sequence[NDArray[np.int32]]) -> None:
        for codes, keys in zip(of_entries, self._waiting, strict=True):
            if keys.first is None or keys.stop is None:
                self._places = None
            elif self._places is not None:
                self._places.append((codes.astype(np.int64), keys.pieces, keys.first, keys.stop))
        places = sum(len(entry[0]) for entry in self._places or ())
        if places > _PLACES_PER_SYMBOL * (len(self._known) + len(self._footers.pieces)):
            self._places = None

    def bad_rows_sentence(self) -> str:
        symbol, date = self._footers.schema.key_columns
        few = 2 * self.bad_count < self._footers.rows
        if self._unread_count:
            unread = _unread_sentence(self._unread_count, self._first_unread, self._footers.schema.dates)
            remedy = "" if few else self._format_advice()
            remedy = remedy or "rewrite them"
            remedy += ", or pass --on-bad-rows drop to leave these rows out" if few else ""
            return f"column {date!r} of {self._footers.where}: {unread}; {remedy}"
        counts = ", ".join(f"{count} in {path}" for path, count in list(self._bad_files.items())[:OFFENDERS_SHOWN])
        more = len(self._bad_files) - OFFENDERS_SHOWN
        return (
            f"{self.bad_count} rows have no {symbol} or no {date}: {counts}"
            + (f" and {more} more files" if more > 0 else "")
            + f" (first: {'; '.join(self._bad[:OFFENDERS_SHOWN])}); fill them in, or pass --on-bad-rows drop to leave "
            "these rows out"
        )

    def _format_advice(self) -> str:
        """Return how to name the format of text dates; empty if it is not known."""
        schema = self._footers.schema
        fitting = fitting_formats(self._first_unread_text) if schema.dates.unit is None else []
        flags = [f'--date-format "{pattern}"' for pattern in fitting if pattern != schema.dates.format]
        return "pass " + " or ".join(flags) if flags else ""

    def result(self, rows: int) -> Scan:
        self._fold()
        order = to_numpy(pc.array_sort_indices(self._known))
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        _, smallest, largest = self._days or (0, 0, -1)
        return Scan(
            footers=self._footers if self._first_days is None else self._footers.beginning(self._first_days.tolist()),
            rows=rows,
            symbols=self._known.take(from_numpy(order)),
            rows_per_symbol=self._counts[order],
            presence=self._presence(rank),
            sorted_by_date=self._ascending,
            sorted_by_key=self._keys_ascending,
            first_day=smallest,
            last_day=largest,
            bad_rows=self.bad_count,
            unread_dates=self._unread_count,
            first_unread_date=self._first_unread,
            calendar=self._day_counter.calendar(smallest, largest) if self._days else no_days(),
            times_of_day=self._times_of_day,
        )

    def _presence(self, rank: Ints) -> Presence | None:
        if self._places is None:
            return None
        empty = (np.empty(0, np.int64),) * 4
        codes, pieces, first, stop = (np.concatenate(part) for part in zip(empty, *self._places, strict=True))
        codes = rank[codes] if len(codes) else codes
        order = np.lexsort((pieces, codes))
        return Presence(codes[order], pieces[order], first[order], stop[order])
