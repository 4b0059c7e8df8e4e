"""Exchanges' calendars: which symbol has which, and the days on which each has sessions.

The days come from the library exchange_calendars: its weekmasks, less its holidays. Its own list of sessions is not
taken: with pandas 3 it leaves out what special weekmasks add (Tel Aviv before 2026, India's and Moscow's Saturdays,
Seoul before 1999), and can't be made at all where one is closed early then. For all other calendars both are the same.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.calendar import weekday
from weekly_cli.dataset.dates import as_date
from weekly_cli.errors import UsageError
from weekly_cli.files.disk import first_line
from weekly_cli.files.tables import read_table_file
from weekly_cli.names import did_you_mean
from weekly_cli.settings import Config

if TYPE_CHECKING:
    from exchange_calendars import ExchangeCalendar

EXTRA = "pip install 'weekly-cli[calendar]'"
_LIST = "https://github.com/gerrymanoim/exchange_calendars"
_COLUMNS = ["symbol", "calendar"]
#: No calendar is asked about days before 1885 or after 2100: such dates are wrong, or stand for none.
_EARLIEST, _LATEST = -31046, 47846


@dataclass(frozen=True)
class Calendars:
    """Which symbols have which calendar; names are the library's own, whatever alias was given.

    Attributes
    ----------
    default : str or None
        The calendar of symbols that are not listed.
    listed : mapping of symbol to calendar
    version : str
        The library's.
    """

    default: str | None
    listed: Mapping[str, str]
    version: str

    def of(self, symbols: Iterable[str]) -> list[str | None]:
        """Return the calendar of each symbol; None: it has none."""
        return [self.listed.get(symbol, self.default) for symbol in symbols]


@dataclass(frozen=True, eq=False)
class Exchange:
    """The sessions of an exchange between two days, both included, where its calendar tells them: int64[sessions]."""

    name: str
    first_day: int
    last_day: int
    sessions: Ints


def calendars_of(config: Config) -> Calendars | None:
    """Return which symbols have which calendar, as the settings say; None: they name none.

    Raises
    ------
    UsageError
        If the library is missing, a calendar is not known, or the map can't be read.
    """
    if config.calendar is None and config.calendar_map is None:
        return None
    default = None if config.calendar is None else _resolved(config.calendar, config.named("calendar"))
    listed = {} if config.calendar_map is None else _map(config.calendar_map, config.named("calendar_map"))
    return Calendars(default, listed, str(_library(config.named("calendar")).__version__))


def _map(path: str, setting: str) -> dict[str, str]:
    """Return the calendar of each symbol that a table lists."""
    named = f"{setting} {path}"
    table = read_table_file(path, setting)
    if any(name not in table.column_names for name in _COLUMNS):
        raise UsageError(f"{named} needs the columns symbol and calendar; it has {', '.join(table.column_names)}")
    try:
        table = table.select(_COLUMNS).cast(pa.schema([(name, pa.string()) for name in _COLUMNS]))
    except pa.ArrowInvalid as error:
        raise UsageError(f"{named}: symbols and calendars are text: {first_line(error)}") from error
    for name in _COLUMNS:
        if table.column(name).null_count:
            row = pc.is_null(table.column(name)).combine_chunks().index(True).as_py() + 1
            raise UsageError(f"{named}: row {row:,} has no {name}; fill it in, or leave the row out")
    counts = table.column("symbol").value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated):
        raise UsageError(f"{named} lists {repeated[0]['values'].as_py()!r} more than once; leave one of the rows out")
    names = {name: _resolved(name, f"{named}:") for name in table.column("calendar").unique().to_pylist()}
    pairs = zip(table.column("symbol").to_pylist(), table.column("calendar").to_pylist(), strict=True)
    return {symbol: names[calendar] for symbol, calendar in pairs}


def _library(setting: str) -> Any:
    try:
        import exchange_calendars
    except ImportError as error:
        raise UsageError(f"{setting} needs exchange_calendars, which is not installed: {EXTRA}") from error
    return exchange_calendars


def _resolved(name: str, setting: str) -> str:
    """Return the library's own name of a calendar."""
    library = _library(setting)
    known = library.get_calendar_names()
    by_lower = {each.lower(): each for each in known}
    if name.strip().lower() not in by_lower:
        raise UsageError(
            f"{setting} {name!r} is no calendar of exchange_calendars {library.__version__}"
            f"{did_you_mean(name, known)}; {_LIST} lists all of them"
        )
    return str(library.resolve_alias(by_lower[name.strip().lower()]))


@functools.lru_cache(64)
def exchange_of(name: str, first_day: int, last_day: int) -> Exchange:
    """Return the sessions of a calendar from one day to another, as far as the library tells them.

    Raises
    ------
    UsageError
        If the installed libraries can't make them.
    """
    library = _library(f"calendar {name}")
    from exchange_calendars.calendar_utils import global_calendar_dispatcher

    kind = global_calendar_dispatcher._calendar_factories[name]
    calendar = kind.__new__(kind)  # its rules, without its schedule of minutes
    earliest, latest = (_day(bound) for bound in (kind.bound_min(), kind.bound_max()))
    first = max(first_day, _EARLIEST if earliest is None else earliest)
    last = min(last_day, _LATEST if latest is None else latest)
    if first > last:
        return Exchange(name, first, first - 1, np.empty(0, np.int64))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they are of pandas, and for the library's developers
            closed = _closed(calendar, first, last)
            days = np.arange(first, last + 1)
            is_open = _weekmask(calendar.weekmask)[weekday(days)]
            for begin, end, mask in getattr(calendar, "special_weekmasks", None) or ():
                begins, ends = _day(begin), _day(end)
                here = (days >= (first if begins is None else begins)) & (days <= (last if ends is None else ends))
                is_open[here] = _weekmask(mask)[weekday(days[here])]
    except Exception as error:
        import pandas

        raise UsageError(
            f"calendar {name} can't be made by exchange_calendars {library.__version__} with pandas "
            f"{pandas.__version__}: {type(error).__name__}: {first_line(error)}; another release of one of them "
            "may, or leave the calendar out"
        ) from error
    return Exchange(name, first, last, days[is_open & ~np.isin(days, closed)])


def _closed(calendar: ExchangeCalendar, first: int, last: int) -> Ints:
    """Return the holidays of a calendar."""
    regular = calendar.regular_holidays
    begin, end = as_date(first).isoformat(), as_date(last).isoformat()
    dates = [] if regular is None else list(regular.holidays(begin, end))
    return np.array([_day(date) for date in [*dates, *calendar.adhoc_holidays]], np.int64)


def _day(date: Any) -> int | None:
    """Return the day of one of the library's dates, whatever its time zone, since 1970-01-01; None stays None."""
    import pandas as pd

    return None if date is None else pd.Timestamp(date).date().toordinal() - as_date(0).toordinal()


def _weekmask(mask: str) -> NDArray[np.bool_]:
    """Return bool[7] from Monday on."""
    return np.array([sign == "1" for sign in mask])
