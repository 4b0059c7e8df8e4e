"""Exchanges' sessions by pandas, read from exchange_calendars apart from the build; and what a week is to a symbol."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import pandas as pd

from weekly_cli.dataset.exchange import Calendars
from weekly_cli.verify.reference.table import Market

#: A period that begins or ends outside of the data is at most so long.
_QUARTER = pd.Timedelta(days=92)
_WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@dataclass(frozen=True)
class Markets:
    """The market of each symbol.

    Attributes
    ----------
    week : str
        The last day of the weeks of symbols that have no other in `anchors`.
    calendars : Calendars or None
    first, last : pd.Timestamp
        The span of the data.
    anchors : mapping of symbol to anchor
    """

    week: str
    calendars: Calendars | None
    first: pd.Timestamp
    last: pd.Timestamp
    anchors: Mapping[Any, str] = field(default_factory=dict)

    def of(self, symbol: Any) -> Market:
        """Return the market of a symbol."""
        name = None if self.calendars is None else self.calendars.listed.get(str(symbol), self.calendars.default)
        week = self.anchors.get(symbol, self.week)
        return Market(week) if name is None else Market(week, *_sessions(name, self.first, self.last))


@cache
def _sessions(name: str, first: pd.Timestamp, last: pd.Timestamp) -> tuple[pd.DatetimeIndex, pd.Timestamp]:
    """Return the sessions of a calendar around a span, and the last day that it covers."""
    from exchange_calendars.calendar_utils import global_calendar_dispatcher

    kind = global_calendar_dispatcher._calendar_factories[name]
    rules = kind.__new__(kind)
    begin, end = first - _QUARTER, last + _QUARTER
    begin = begin if kind.bound_min() is None else max(begin, kind.bound_min())
    end = end if kind.bound_max() is None else min(end, kind.bound_max())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pieces = list(_pieces(rules, begin, end))
    days = sorted(day for piece in pieces for day in piece)
    return pd.DatetimeIndex(days).as_unit("us"), end


def _pieces(rules: Any, begin: pd.Timestamp, end: pd.Timestamp) -> Iterator[pd.DatetimeIndex]:
    """Yield the sessions day by day where a special weekmask holds, and those of the rest as business days."""
    regular = rules.regular_holidays
    closed = [] if regular is None else list(regular.holidays(begin.strftime("%Y-%m-%d"), end.strftime("%Y-%m-%d")))
    holidays = sorted({pd.Timestamp(date).tz_localize(None).normalize() for date in (*closed, *rules.adhoc_holidays)})
    special = getattr(rules, "special_weekmasks", None) or []
    bounds = {begin, end + pd.Timedelta(days=1)}
    for first, last, _ in special:
        bounds |= {first or begin, (last or end) + pd.Timedelta(days=1)}
    cuts = sorted(bound for bound in bounds if begin <= bound <= end + pd.Timedelta(days=1))
    for start, stop in pairwise(cuts):
        masks = [mask for first, last, mask in special if (first or begin) <= start <= (last or end)]
        names = [name for name, sign in zip(_WEEKDAYS, (masks or [rules.weekmask])[-1], strict=True) if sign == "1"]
        if names:
            days = pd.offsets.CustomBusinessDay(weekmask=" ".join(names), holidays=holidays)
            yield pd.date_range(start, stop - pd.Timedelta(days=1), freq=days)
