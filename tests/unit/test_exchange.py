"""Exchanges' calendars: their sessions, and what the clocks make of them."""

from __future__ import annotations

import datetime as dt
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weekly_cli.compute.clocks import Clock, LastSessions, SymbolClocks
from weekly_cli.compute.suspects import Suspicion
from weekly_cli.compute.suspects.scheduled import find_unscheduled, schedule_of
from weekly_cli.dataset.dates import as_date, day_of
from weekly_cli.dataset.exchange import Exchange, exchange_of
from weekly_cli.names import ANCHORS, PERIODS
from weekly_cli.run.clocks import _last_sessions
from weekly_cli.verify.reference.exchange import Markets, _sessions


def day(text: str) -> int:
    return day_of(dt.date.fromisoformat(text))


def sessions(name: str, first: str, last: str) -> list[str]:
    return [as_date(one).isoformat() for one in exchange_of(name, day(first), day(last)).sessions.tolist()]


def weekdays(name: str, first: str, last: str) -> str:
    """The sessions as days of the week: "Mon Tue"."""
    return " ".join(dt.date.fromisoformat(one).strftime("%a") for one in sessions(name, first, last))


# ---- sessions --------------------------------------------------------------------------------------------

#: What the exchanges have announced, or what happened.
WEEKS = {
    "Good Friday": ("XNYS", "2024-03-25", "2024-03-31", "Mon Tue Wed Thu"),
    "hurricane Sandy": ("XNYS", "2012-10-29", "2012-11-04", "Wed Thu Fri"),
    "11 September 2001": ("XNYS", "2001-09-10", "2001-09-16", "Mon"),
    "Tel Aviv, its old week": ("XTAE", "2025-12-14", "2025-12-20", "Sun Mon Tue Wed Thu"),
    "Tel Aviv, the change": ("XTAE", "2026-01-04", "2026-01-17", "Sun Mon Tue Wed Thu Fri Mon Tue Wed Thu Fri"),
    "a Saturday in India": ("XBOM", "2024-01-15", "2024-01-21", "Mon Tue Wed Thu Fri Sat"),
    "the day of the budget": ("XBOM", "2025-01-27", "2025-02-02", "Mon Tue Wed Thu Fri Sat"),
    "Chinese New Year": ("XHKG", "2024-02-05", "2024-02-18", "Mon Tue Wed Thu Fri Wed Thu Fri"),
    "Golden Week": ("XTKS", "2019-04-29", "2019-05-05", ""),
    "never closed": ("24/7", "2024-03-25", "2024-03-31", "Mon Tue Wed Thu Fri Sat Sun"),
}


@pytest.mark.parametrize("name", WEEKS)
def test_known_weeks(name: str) -> None:
    exchange, first, last, expected = WEEKS[name]
    assert weekdays(exchange, first, last) == expected


@pytest.mark.parametrize("name", ["XNYS", "XLON", "XHKG", "XTKS", "XETR", "CMES", "BVMF", "24/7"])
def test_sessions_are_those_of_the_library(name: str) -> None:
    """Where it has no special weekmasks."""
    import exchange_calendars

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = exchange_calendars.get_calendar(name, start="2000-01-03", end="2025-12-31").sessions
    assert sessions(name, "2000-01-03", "2025-12-31") == list(expected.strftime("%Y-%m-%d"))


@pytest.mark.parametrize("name", ["XNYS", "XTAE", "XBOM", "XKRX", "XMOS", "XTKS"])
def test_two_readings_of_the_library_agree(name: str) -> None:
    """The build's by numpy, and that of verify by pandas."""
    import pandas as pd

    first, last = ("1997-06-02", "2000-06-30") if name == "XKRX" else ("1997-06-02", "2026-06-30")
    found, until = _sessions(name, pd.Timestamp(first), pd.Timestamp(last))
    inside = [one.date().isoformat() for one in found if first <= one.date().isoformat() <= last]
    assert inside == sessions(name, first, last)
    assert until >= pd.Timestamp(last)


def test_a_calendar_tells_nothing_beyond_its_bounds() -> None:
    exchange = exchange_of("XTKS", day("1990-01-01"), day("1997-01-31"))
    assert (as_date(exchange.first_day), as_date(exchange.last_day)) == (dt.date(1997, 1, 1), dt.date(1997, 1, 31))
    nothing = exchange_of("XTKS", day("1980-01-01"), day("1990-01-01"))
    assert len(nothing.sessions) == 0
    assert nothing.last_day < nothing.first_day


# ---- clocks ----------------------------------------------------------------------------------------------


def clock_of(every: str, anchor: str, exchange: Exchange) -> Clock:
    plain = Clock(every, anchor, "week-end")
    return Clock(every, anchor, "week-end", _last_sessions(plain, exchange))


def made(seed: int, n_days: int = 400) -> Exchange:
    """An exchange with weeks and months without a session, and bounds inside of periods."""
    rng = np.random.default_rng(seed)
    first = int(rng.integers(-400, 20_000))
    days = first + np.flatnonzero(rng.random(n_days) < rng.choice([0.05, 0.3, 0.7, 1.0]))
    return Exchange("MADE", first, first + n_days - 1, days.astype(np.int64))


@given(st.integers(0, 2**32 - 1), st.sampled_from(list(PERIODS)), st.sampled_from(ANCHORS))
def test_a_day_sees_the_newest_period_without_a_later_session(seed: int, every: str, anchor: str) -> None:
    exchange = made(seed)
    clock, plain = clock_of(every, anchor, exchange), Clock(every, anchor, "week-end")
    days = np.arange(exchange.first_day - 150, exchange.last_day + 150)
    seen = clock.newest_seen(days)
    assert [clock.newest_seen(one) for one in days[::37].tolist()] == seen[::37].tolist()
    assert (clock.period(days) == plain.period(days)).all(), "a calendar cuts no weeks"
    has_session = set(exchange.sessions.tolist())
    for one, newest in list(zip(days.tolist(), seen.tolist(), strict=True))[:: 1 if every == "week" else 7]:
        own = plain.period(one)
        end = plain.end(own)
        begin = plain.end(own - 1) + 1
        of_period = [each for each in range(begin, end + 1) if each in has_session]
        complete = of_period[-1] if of_period and end <= exchange.last_day else end
        assert newest == (own if one >= complete else own - 1)
        assert clock.first_day_seen(own) == complete


def test_without_sessions_it_is_as_without_a_calendar() -> None:
    nothing = LastSessions(0, np.empty(0, np.int32))
    days = np.arange(-800, 800)
    for every in PERIODS:
        with_it, plain = Clock(every, "W-FRI", "week-end", nothing), Clock(every, "W-FRI", "week-end")
        assert (with_it.newest_seen(days) == plain.newest_seen(days)).all()


@given(st.integers(0, 2**32 - 1), st.sampled_from(list(PERIODS)))
def test_symbols_with_several_clocks_have_each_its_own(seed: int, every: str) -> None:
    rng = np.random.default_rng(seed)
    distinct = (
        Clock(every, "W-SUN", "week-end"),
        clock_of(every, "W-FRI", made(seed)),
        Clock(every, "W-THU", "week-end"),
    )
    clocks = SymbolClocks(distinct, rng.integers(0, 3, 5))
    codes, days = np.sort(rng.integers(0, 5, 300)), rng.integers(0, 20_000, 300)
    periods = clocks.period(codes, days)
    expected = [clocks.of(code).period(one) for code, one in zip(codes.tolist(), days.tolist(), strict=True)]
    assert periods.tolist() == expected
    for name, values in (("end", periods), ("newest_seen", days), ("first_day_seen", periods)):
        found = getattr(clocks, name)(codes, values)
        pairs = zip(codes.tolist(), values.tolist(), strict=True)
        assert found.tolist() == [getattr(clocks.of(code), name)(value) for code, value in pairs], name


# ---- findings --------------------------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_sessions_without_a_row_and_rows_without_a_session_are_counted(seed: int) -> None:
    """Of each symbol between its first row and its last, as far as its calendar reaches."""
    rng = np.random.default_rng(seed)
    exchanges = [made(seed + number, 200) for number in range(2)]
    schedules = [schedule_of(one.first_day, one.last_day, one.sessions) for one in exchanges]
    of_symbol = rng.integers(-1, 2, 5)
    missing, strays, rows = [], [], []
    for code, number in enumerate(of_symbol.tolist()):
        exchange = exchanges[max(number, 0)]
        days = np.arange(exchange.first_day - 40, exchange.last_day + 40)
        sessions = set(exchange.sessions.tolist())
        days = days[rng.random(len(days)) < np.where(np.isin(days, exchange.sessions), 0.9, 0.1)]
        rows += [(code, day) for day in days.tolist()]
        if number >= 0 and len(days):
            inside = range(max(days[0], exchange.first_day), min(days[-1], exchange.last_day) + 1)
            missing += [(code, day) for day in inside if day in sessions and day not in days]
            strays += [(code, day) for day in inside if day not in sessions and day in days]
    codes, days = (np.array([row[place] for row in rows], np.int64) for place in (0, 1))
    found = find_unscheduled((codes, days), schedules, of_symbol)
    for code, expected in (("missing-sessions", missing), ("unscheduled-sessions", strays)):
        suspicion = found.get(code, Suspicion(0))
        assert suspicion.count == len(expected)
        assert [example[:2] for example in suspicion.first] == expected[: len(suspicion.first)]
        assert len(suspicion.first) == min(3, len(expected))


def test_a_symbol_that_no_map_lists_has_the_default() -> None:
    import pandas as pd

    from weekly_cli.dataset.exchange import Calendars

    calendars = Calendars("XNYS", {"LEUMI": "XTAE"}, "4.13")
    assert calendars.of(["LEUMI", "SPY"]) == ["XTAE", "XNYS"]
    markets = Markets("W-FRI", calendars, pd.Timestamp("2024-01-01"), pd.Timestamp("2024-06-01"))
    assert markets.of("SPY").sessions is not None
    assert markets.of("SPY") is not markets.of("LEUMI")
