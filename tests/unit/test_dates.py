"""Dates that are numbers or text of any format, against Python's own calendar."""

from __future__ import annotations

import datetime
import zoneinfo

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weekly_cli.dataset.dates import civil_days, day_of, fitting_formats, number_unit, session_days
from weekly_cli.dataset.schema import DateReading
from weekly_cli.names import DATE_UNITS, EPOCH_UNITS

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
DATES = st.dates(datetime.date(1800, 1, 1), datetime.date(2199, 12, 31))


def days_of(column: pa.Array, **reading: str) -> list[int | None]:
    days, known = session_days(column, DateReading(**reading))
    usable = np.ones(len(days), bool) if known is None else known
    return [int(day) if use else None for day, use in zip(days, usable, strict=True)]


@given(
    st.lists(st.one_of(st.integers(-(10**9), 10**9), DATES.map(lambda day: int(f"{day:%Y%m%d}"))), min_size=1),
    st.sampled_from([pa.int64(), pa.int32(), pa.float64()]),
)
def test_a_number_is_a_date_exactly_where_its_digits_are_one(numbers: list[int], kind: pa.DataType) -> None:
    expected = []
    for number in numbers:
        try:
            expected.append(day_of(datetime.datetime.strptime(f"{number:08d}", "%Y%m%d").date()))
        except ValueError:
            expected.append(None)
    assert days_of(pa.array(numbers, pa.int64()).cast(kind), unit="yyyymmdd") == expected


def test_parts_are_a_date_exactly_where_the_calendar_has_it() -> None:
    years, months, days = (grid.ravel() for grid in np.meshgrid([0, 1, 1900, 2000, 2023, 2024, 9999, 10000],
                                                                 range(14), range(33), indexing="ij"))  # fmt: skip
    numbers, valid = civil_days(years, months, days)
    for year, month, day, number, is_valid in zip(years, months, days, numbers, valid, strict=True):
        try:
            expected = day_of(datetime.date(year, month, day))
        except ValueError:
            assert not is_valid
        else:
            assert is_valid
            assert number == expected


@given(
    st.lists(st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2037, 1, 1)), min_size=1, max_size=5),
    st.sampled_from(EPOCH_UNITS),
    st.sampled_from([None, "Asia/Tokyo", "America/New_York"]),
)
def test_an_epoch_has_the_date_of_its_moment(moments: list[datetime.datetime], unit: str, zone: str | None) -> None:
    aware = [moment.replace(microsecond=0, tzinfo=datetime.UTC) for moment in moments]
    counts = pa.array([int((moment - EPOCH).total_seconds()) * UNITS[unit] for moment in aware])
    tz = zoneinfo.ZoneInfo(zone or "UTC")
    expected: list[int | None] = [day_of(moment.astimezone(tz).date()) for moment in aware]
    given_zone = {} if zone is None else {"timezone": zone}
    assert days_of(counts, unit=unit, **given_zone) == expected
    if unit == "s":
        assert days_of(counts.cast(pa.float64()), unit=unit, **given_zone) == expected
    text = pa.array([moment.isoformat() for moment in aware])
    if zone is not None:
        assert days_of(text, timezone=zone) == expected
        assert days_of(pa.array(aware, pa.timestamp("us", "UTC")), timezone=zone) == expected
        naive = pa.array([moment.replace(tzinfo=None) for moment in aware], pa.timestamp("us"))
        assert days_of(naive, timezone=zone) == expected


@given(DATES, st.integers(0, 20_000))
def test_the_unit_follows_from_the_extremes(first: datetime.date, span: int) -> None:
    last = min(first + datetime.timedelta(days=span), datetime.date(2199, 12, 31))
    assert number_unit(int(f"{first:%Y%m%d}"), int(f"{last:%Y%m%d}")) == "yyyymmdd"
    if last.year >= 1976:
        ends = [(day_of(day)) * 86_400 for day in (first, last)]
        for unit in EPOCH_UNITS:
            assert number_unit(*(end * UNITS[unit] for end in ends)) == unit


@pytest.mark.parametrize("ends", [(0, 0), (1, 500), (-5, 20240101), (20240230, 20240301), (10**30, 10**31), (0.5, 3.0)])
def test_numbers_that_may_be_anything_have_no_unit(ends: tuple[float, float]) -> None:
    assert number_unit(*ends) is None
    assert number_unit(19700101, 20231231) == DATE_UNITS[0]


@given(DATES, st.sampled_from(["%m/%d/%Y", "%d.%m.%Y", "%b %d, %Y", "%d-%b-%Y"]))
def test_text_is_read_in_the_given_format_and_the_format_is_suggested(date: datetime.date, pattern: str) -> None:
    text = date.strftime(pattern)
    assert days_of(pa.array([text, None, "soon"]), format=pattern) == [day_of(date), None, None]
    assert pattern in fitting_formats(text)


def test_dates_without_a_time_keep_their_date_in_any_zone() -> None:
    expected = [day_of(datetime.date(2024, 3, 14))]
    for column in (pa.array(["2024-03-14"]), pa.array(["20240314"]), pa.array([datetime.date(2024, 3, 14)])):
        assert days_of(column, timezone="Pacific/Auckland") == expected
    assert days_of(pa.array([20240314]), unit="yyyymmdd", timezone="Pacific/Auckland") == expected
