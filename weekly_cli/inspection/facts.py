"""What an inspection finds, as it is written to JSON."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from weekly_cli.files.discovery import Skipped
from weekly_cli.findings import Finding
from weekly_cli.notebook import Shown


@dataclass(frozen=True)
class Values:
    """What is not a plain number among the values of a column.

    `negative` and `zero` count finite numbers; `nan` and `infinite` are 0 for columns whose type has neither.
    """

    nulls: int = 0
    nan: int = 0
    infinite: int = 0
    zero: int = 0
    negative: int = 0

    def __add__(self, other: Values) -> Values:
        return Values(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Column:
    """A column of the input; `unusable` counts the values that its role can't use, 0 without a role."""

    name: str
    type: str
    roles: tuple[str, ...]
    values: Values
    unusable: int


@dataclass(frozen=True)
class History:
    """A symbol's rows that have a date, and its first and last date."""

    symbol: str
    rows: int
    first: datetime.date
    last: datetime.date


@dataclass(frozen=True)
class Gap:
    """A pause of all symbols: the sessions before and after it."""

    last: datetime.date
    next: datetime.date


@dataclass(frozen=True)
class Calendar:
    """The calendar that the data show.

    Attributes
    ----------
    sessions : int
        Days on which about as many of the symbols alive have a row as on most days.
    sessions_a_week : float
        The mean of the weeks that have one.
    weekdays : mapping of str to int
        Rows by weekday, Monday first.
    trading_weekdays : tuple of str
        Weekdays on which there are sessions regularly.
    anchor : str
        The `--week` that keeps these together.
    gaps : tuple of Gap
        The longest pauses of more than a week, the longest first.
    """

    sessions: int
    sessions_a_week: float
    weekdays: Mapping[str, int]
    trading_weekdays: tuple[str, ...]
    anchor: str
    gaps: tuple[Gap, ...]


@dataclass(frozen=True)
class Year:
    """A year with sessions.

    Attributes
    ----------
    symbols : int
        Symbols alive at any time of the year.
    rows : int
        Rows on any day of the year.
    complete : float
        Of all pairs of a session and a symbol alive on it, the share that has a row.
    months : tuple of float or None
        The same for each month; None if it has no session.
    """

    year: int
    symbols: int
    sessions: int
    rows: int
    complete: float
    months: tuple[float | None, ...]


@dataclass(frozen=True)
class Build:
    """How an output of this tool was built, from its metadata.

    Attributes
    ----------
    version : str
    features, labels : tuple of str
    settings : mapping
        Those that change values and differ from their defaults.
    written : datetime
        When its newest file was last modified.
    input : tuple of str
        Its paths.
    input_state : str
        "unchanged", "changed", "gone" or "unknown".
    input_reason : str
        Why it is said to be so.
    command : str
        The command that builds it again.
    """

    version: str
    features: tuple[str, ...]
    labels: tuple[str, ...]
    settings: Mapping[str, Any]
    written: datetime.datetime
    input: tuple[str, ...]
    input_state: str
    input_reason: str
    command: str


@dataclass(frozen=True, repr=False)
class Inspection(Shown):
    """What is in a dataset.

    Attributes
    ----------
    rows, symbols : int
    first, last : date or None
        None if there are no rows.
    bytes, row_groups : int
        Of all files.
    layout : str
        "clustered by symbol", "in date order" or "in no order".
    skipped : tuple of Skipped
        Files in the input's folders that are not read.
    roles : mapping of role to column name or None
    notes : tuple of str
        What was decided about the input that its names and types do not say.
    columns : tuple of Column
    rows_without_key, unread_dates : int
        Rows without a symbol or a date; those of them that have something else in the date column.
    first_unread_date : str or None
        The first of these values, and its place.
    repeated_rows : int or None
        Rows that repeat a symbol's date; None: symbols x days are too many to tell in bounded memory.
    unusable_rows : int
        Rows without a usable close, which add nothing to a week.
    high_below_low, close_outside_range : int
        As in the report of a build.
    calendar : Calendar or None
    years : tuple of Year
    shortest, longest : tuple of History
    findings : tuple of Finding
        Those of a build; those among the prices, of `symbols_searched` symbols.
    symbols_searched : int
        Not all of them if rows in date order are too many, which would be read again and again.
    build : Build or None
        None if no build of this tool has written the input.
    command : str or None
        The command that fits this data; None if there is nothing to build, or something to decide before.
    undecided : str or None
        Why no command fits.
    """

    input: tuple[str, ...]
    rows: int
    symbols: int
    first: datetime.date | None
    last: datetime.date | None
    files: int
    bytes: int
    row_groups: int
    layout: str
    skipped: tuple[Skipped, ...]
    roles: Mapping[str, str | None]
    notes: tuple[str, ...]
    columns: tuple[Column, ...]
    rows_without_key: int
    unread_dates: int
    first_unread_date: str | None
    repeated_rows: int | None
    unusable_rows: int
    high_below_low: int
    close_outside_range: int
    calendar: Calendar | None
    years: tuple[Year, ...]
    shortest: tuple[History, ...]
    longest: tuple[History, ...]
    findings: tuple[Finding, ...]
    symbols_searched: int
    build: Build | None
    command: str | None
    undecided: str | None
    version: str

    def figures(self) -> dict[str, str]:
        """Return what a session shows of it."""
        shown = {
            "input": ", ".join(self.input),
            "rows": f"{self.rows:,}",
            "symbols": f"{self.symbols:,}",
            "dates": f"{self.first} to {self.last}" if self.rows else "none",
            "files": f"{self.files:,}, {self.layout}",
        }
        shown |= {"findings": ", ".join(f"{one.code} {one.count:,}" for one in self.findings)} if self.findings else {}
        return shown | ({"command": self.command} if self.command else {})

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is written to JSON: dates as text in ISO 8601."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if isinstance(value, datetime.date) else value
