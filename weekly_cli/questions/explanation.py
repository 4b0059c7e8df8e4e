"""What `explain` finds: plain values, for the view and for JSON."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from weekly_cli.questions.workings import Working, plain


@dataclass(frozen=True)
class Day:
    """A daily row of the bar.

    Attributes
    ----------
    values : mapping of role to float
        As the output has them; NaN where null.
    factor : float or None
        Adjusted close / close, with which open, high and low are scaled.
    is_used : bool
        Whether the row adds to the bar.
    note : str
        Why it adds nothing, or which of its values do not.
    """

    date: datetime.date
    values: Mapping[str, float]
    factor: float | None
    is_used: bool
    note: str


@dataclass(frozen=True)
class CalendarWeek:
    """A week of the calendar, or a month: its sessions, those that add to a bar, and from when its bar may be seen."""

    period_end: datetime.date
    sessions: tuple[datetime.date, ...]
    used: tuple[datetime.date, ...]
    seen_from: datetime.date
    is_bar: bool
    is_own: bool


@dataclass(frozen=True)
class SeenBar:
    """The bar that a row sees.

    Attributes
    ----------
    number : int
        k: how many bars of the symbol are before it.
    seen_from : datetime.date
        The first day on which it may be seen.
    first_row, last_row : datetime.date
        The first and the last row of the symbol that sees it.
    days : tuple of Day
        The daily rows of its period.
    workings : tuple of Working
        How its open, high, low, close, volume and days come out of them.
    """

    period_end: datetime.date
    number: int
    seen_from: datetime.date
    first_row: datetime.date
    last_row: datetime.date
    days: tuple[Day, ...]
    workings: tuple[Working, ...]


@dataclass(frozen=True)
class Value:
    """A weekly value of the row.

    Attributes
    ----------
    stored : float
        What the output has; NaN: null.
    computed : float
        What its daily rows give, as the column stores it.
    agrees : bool or None
        None: it can't be computed, and `trouble` says why.
    trouble : str
    """

    column: str
    stored: float
    computed: float
    agrees: bool | None
    trouble: str = ""


@dataclass(frozen=True)
class ExplainedFeature:
    """A feature of the row: its declaration, its value, and the formulas with numbers, the feature's own first.

    Attributes
    ----------
    null : str
        Why the value is null; empty if it is not.
    workings : tuple of Working
    """

    column: str
    family: str
    formula: str
    first_bar: int
    window: int | None
    value: Value
    null: str
    workings: tuple[Working, ...]


@dataclass(frozen=True)
class Explanation:
    """Why a row has the weekly values that it has.

    Attributes
    ----------
    every : str
        The clock that is explained: that of the feature, else the first one of the output.
    summary : str
        Which period the row sees, and why: one sentence.
    visible : str
        From when on that bar is seen, and why not earlier.
    own_period_end : datetime.date
        The last day of the period in which the row lies.
    bar : SeenBar or None
        None: the row sees no bar, or none that the output's rows make.
    calendar : tuple of CalendarWeek
        From the bar's period to the row's own, those without sessions too.
    feature : ExplainedFeature or None
        The one that was asked for.
    values : tuple of Value
        A few, where no feature was asked for.
    n_compared : int
        Weekly values of the row that were computed again.
    differing : tuple of Value
        Those that are not what the output stores.
    not_compared : mapping of column to reason
    conclusion : str
        Whether stored and computed values agree, and if not, why that may be.
    notes : tuple of str
        Settings of the build that matter here.
    """

    output: str
    symbol: str
    date: datetime.date
    every: str
    week: str
    available: str
    summary: str
    visible: str
    own_period_end: datetime.date
    bar: SeenBar | None
    calendar: tuple[CalendarWeek, ...]
    feature: ExplainedFeature | None
    values: tuple[Value, ...]
    n_compared: int
    differing: tuple[Value, ...]
    not_compared: Mapping[str, str]
    conclusion: str
    notes: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether everything that was computed again is what the output stores."""
        return not self.differing

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it: dates as text, missing numbers as null; a week's last day has two names."""
        values: dict[str, Any] = _plain(self)
        if self.every == "week":
            values["own_week_end"] = values["own_period_end"]
            for named in filter(None, (values["bar"], *values["calendar"])):
                named["week_end"] = named["period_end"]
        return values | {"agrees": self.agrees}


def _plain(value: Any) -> Any:
    if isinstance(value, Working):
        return value.to_dict()
    if is_dataclass(value):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    return plain(value) if isinstance(value, float) else value
