"""The week rule against pandas' naming, and the availability rule against its plain definition."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weekly_cli.compute.weeks import DAYS_PER_WEEK, first_day_seen, newest_week_seen, week_end, week_number
from weekly_cli.names import ANCHORS, AVAILABILITIES

EPOCH = datetime.date(1970, 1, 1)
DATES = st.dates(datetime.date(1700, 1, 1), datetime.date(2240, 1, 1))
ALL_DAYS = st.integers(-719_162, 2_932_896)  # 0001-01-01 to 9999-12-31


def day_number(date: datetime.date) -> int:
    return (date - EPOCH).days


def date_of(day: int) -> datetime.date:
    return EPOCH + datetime.timedelta(days=day)


@settings(deadline=None)
@given(date=DATES, anchor=st.sampled_from(ANCHORS))
def test_a_week_is_named_as_pandas_names_it(date: datetime.date, anchor: str) -> None:
    end = date_of(week_end(week_number(day_number(date), anchor), anchor))
    assert end == pd.Period(date, freq=anchor).end_time.date()


@pytest.mark.parametrize("anchor", ANCHORS)
def test_arrays_across_1970_as_pandas_has_them(anchor: str) -> None:
    days = np.arange(-1000, 1000)
    dates = pd.DatetimeIndex(days.astype("datetime64[D]"))
    expected = dates.to_period(anchor).end_time.normalize()
    for kind in (np.int32, np.int64):
        ends = week_end(week_number(days.astype(kind), anchor), anchor)
        assert ends.dtype == kind
        assert (ends.astype("datetime64[D]") == expected.to_numpy().astype("datetime64[D]")).all()


@settings(deadline=None)
@given(day=ALL_DAYS, anchor=st.sampled_from(ANCHORS))
def test_a_week_has_seven_days_and_ends_on_its_anchor(day: int, anchor: str) -> None:
    number = week_number(day, anchor)
    end = week_end(number, anchor)
    assert end - DAYS_PER_WEEK < day <= end
    assert (end - day_number(datetime.date(2024, 1, 1))) % DAYS_PER_WEEK == ANCHORS.index(anchor)  # a Monday
    assert [week_number(end + step, anchor) - number for step in (-7, -6, 0, 1)] == [-1, 0, 0, 1]


@settings(deadline=None)
@given(day=ALL_DAYS, anchor=st.sampled_from(ANCHORS))
def test_a_bar_is_seen_from_the_day_after_its_week_or_from_its_last_day(day: int, anchor: str) -> None:
    week = week_number(day, anchor)
    assert first_day_seen(week, anchor, "next-week") == week_end(week, anchor) + 1
    assert first_day_seen(week, anchor, "week-end") == week_end(week, anchor)


@settings(deadline=None)
@given(day=ALL_DAYS, anchor=st.sampled_from(ANCHORS), available=st.sampled_from(AVAILABILITIES))
def test_the_newest_week_seen_is_known_and_the_next_is_not(day: int, anchor: str, available: str) -> None:
    near = range(week_number(day, anchor) - 3, week_number(day, anchor) + 3)
    known = [week for week in near if first_day_seen(week, anchor, available) <= day]
    assert newest_week_seen(day, anchor, available) == max(known)


@settings(deadline=None)
@given(day=ALL_DAYS, anchor=st.sampled_from(ANCHORS))
def test_an_unfinished_week_is_never_seen(day: int, anchor: str) -> None:
    own = week_number(day, anchor)
    seen = {available: newest_week_seen(day, anchor, available) for available in AVAILABILITIES}
    finished = day == week_end(own, anchor)
    assert seen == {"next-week": own - 1, "week-end": own if finished else own - 1}


@settings(deadline=None)
@given(days=st.lists(ALL_DAYS, max_size=8), anchor=st.sampled_from(ANCHORS), available=st.sampled_from(AVAILABILITIES))
def test_arrays_are_their_elements(days: list[int], anchor: str, available: str) -> None:
    array = np.array(days, np.int32)
    assert week_number(array, anchor).tolist() == [week_number(day, anchor) for day in days]
    assert newest_week_seen(array, anchor, available).tolist() == [
        newest_week_seen(day, anchor, available) for day in days
    ]
