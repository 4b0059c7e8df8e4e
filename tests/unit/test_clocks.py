"""Weeks, months and quarters against pandas' naming, and the availability rule against its plain definition."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weekly_cli.compute.clocks import DAYS_PER_WEEK, Clock
from weekly_cli.names import ANCHORS, AVAILABILITIES, PERIODS

EPOCH = datetime.date(1970, 1, 1)
DATES = st.dates(datetime.date(1700, 1, 1), datetime.date(2240, 1, 1))
ALL_DAYS = st.integers(-719_162, 2_932_000)  # 0001-01-01 to 9997: what is seen of the newest periods lies within
CLOCKS = st.builds(Clock, st.sampled_from(list(PERIODS)), st.sampled_from(ANCHORS), st.sampled_from(AVAILABILITIES))


def day_number(date: datetime.date) -> int:
    return (date - EPOCH).days


def date_of(day: int) -> datetime.date:
    return EPOCH + datetime.timedelta(days=day)


def week(anchor: str) -> Clock:
    return Clock("week", anchor, "next-week")


@settings(deadline=None)
@given(date=DATES, anchor=st.sampled_from(ANCHORS))
def test_periods_are_named_as_pandas_names_them(date: datetime.date, anchor: str) -> None:
    for every, freq in (("week", anchor), ("month", "M"), ("quarter", "Q")):
        clock = Clock(every, anchor, "next-week")
        end = date_of(clock.end(clock.period(day_number(date))))
        assert end == pd.Period(date, freq=freq).end_time.date()


@pytest.mark.parametrize("n_days", [2000, 200])  # looked up in a table, and each alone
@pytest.mark.parametrize("anchor", ANCHORS)
def test_arrays_across_1970_as_pandas_has_them(anchor: str, n_days: int) -> None:
    days = np.arange(-n_days // 2, n_days // 2)
    dates = pd.DatetimeIndex(days.astype("datetime64[D]"))
    for every, freq in (("week", anchor), ("month", "M"), ("quarter", "Q")):
        clock = Clock(every, anchor, "next-week")
        expected = dates.to_period(freq).end_time.normalize()
        for kind in (np.int32, np.int64):
            ends = clock.end(clock.period(days.astype(kind)))
            assert ends.dtype == kind
            assert (ends.astype("datetime64[D]") == expected.to_numpy().astype("datetime64[D]")).all()


@pytest.mark.parametrize("every", ["month", "quarter"])
def test_few_days_over_many_years_are_those_of_each_day(every: str) -> None:
    """A table of the calendar would be longer than the days."""
    clock = Clock(every, "W-FRI", "next-week")
    days = np.linspace(-700_000, 2_900_000, 5000).astype(np.int64)
    assert clock.period(days).tolist() == [clock.period(day) for day in days.tolist()]


@settings(deadline=None)
@given(day=ALL_DAYS, anchor=st.sampled_from(ANCHORS))
def test_a_week_has_seven_days_and_ends_on_its_anchor(day: int, anchor: str) -> None:
    clock = week(anchor)
    number = clock.period(day)
    end = clock.end(number)
    assert end - DAYS_PER_WEEK < day <= end
    assert (end - day_number(datetime.date(2024, 1, 1))) % DAYS_PER_WEEK == ANCHORS.index(anchor)  # a Monday
    assert [clock.period(end + step) - number for step in (-7, -6, 0, 1)] == [-1, 0, 0, 1]


@pytest.mark.parametrize("anchor", ANCHORS)
@pytest.mark.parametrize(("every", "n_weeks"), [("2W", 2), ("4W", 4)])
def test_periods_of_several_weeks_begin_with_the_week_of_the_first_of_january_1970_or_the_anchor_before(
    every: str, n_weeks: int, anchor: str
) -> None:
    """Of whole weeks, the first of which is week 0, whatever the data begin with."""
    days = np.arange(-200, 200)
    weeks = week(anchor).period(days)
    assert Clock(every, anchor, "next-week").period(days).tolist() == [number // n_weeks for number in weeks.tolist()]
    first = date_of(week(anchor).end(0))
    assert datetime.date(1969, 12, 29) <= first <= datetime.date(1970, 1, 4)
    assert Clock(every, anchor, "next-week").end(0) == week(anchor).end(n_weeks - 1)


@settings(deadline=None)
@given(day=ALL_DAYS, clock=CLOCKS)
def test_a_bar_is_seen_from_the_day_after_its_period_or_from_its_last_day(day: int, clock: Clock) -> None:
    period = clock.period(day)
    assert clock.period(clock.end(period)) == period == clock.period(clock.end(period) + 1) - 1
    lag = {"next-week": 1, "week-end": 0}[clock.available]
    assert clock.first_day_seen(period) == clock.end(period) + lag


@settings(deadline=None)
@given(day=ALL_DAYS, clock=CLOCKS)
def test_the_newest_period_seen_is_known_and_the_next_is_not(day: int, clock: Clock) -> None:
    near = range(clock.period(day) - 3, clock.period(day) + 3)
    known = [period for period in near if clock.first_day_seen(period) <= day]
    assert clock.newest_seen(day) == max(known)


@settings(deadline=None)
@given(day=ALL_DAYS, clock=CLOCKS)
def test_an_unfinished_period_is_never_seen(day: int, clock: Clock) -> None:
    own = clock.period(day)
    finished = day == clock.end(own)
    assert clock.newest_seen(day) == (own if finished and clock.available == "week-end" else own - 1)
    assert clock.newest_over(day) == (own if finished else own - 1)


@settings(deadline=None)
@given(days=st.lists(ALL_DAYS, max_size=8), clock=CLOCKS)
def test_arrays_are_their_elements(days: list[int], clock: Clock) -> None:
    array = np.array(days, np.int32)
    assert clock.period(array).tolist() == [clock.period(day) for day in days]
    assert clock.newest_seen(array).tolist() == [clock.newest_seen(day) for day in days]
    assert clock.end(clock.period(array)).tolist() == [clock.end(clock.period(day)) for day in days]
