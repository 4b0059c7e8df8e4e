"""`--week auto`: the last day of each symbol's week, from its rows by weekday and year."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.dates import day_of
from weekly_cli.dataset.exchange import exchange_of
from weekly_cli.dataset.source import Chunk
from weekly_cli.names import ANCHORS
from weekly_cli.run.weeks import anchors_of, rows_by_weekday


def days_on(weekdays: Sequence[int], first: str, last: str) -> Ints:
    """The days from one to another that are weekdays of these, Monday = 0."""
    days = np.arange(day_of(dt.date.fromisoformat(first)), day_of(dt.date.fromisoformat(last)) + 1)
    return days[np.isin((days + 3) % 7, weekdays)]


def anchors(*histories: Ints) -> list[str]:
    """The anchors of symbols with rows on these days."""
    codes = np.repeat(np.arange(len(histories)), [len(days) for days in histories]).astype(np.int32)
    days = np.concatenate(histories).astype(np.int32)
    span = (int(days.min()), int(days.max())) if len(days) else (0, 0)
    order = np.random.default_rng(1).permutation(len(days))
    half = len(days) // 2
    chunks = [Chunk(codes[some], days[some], pa.table({})) for some in (order[:half], order[half:])]
    return anchors_of(rows_by_weekday(chunks, len(histories), span))


FRI, SUN, SIX, SEVEN = (0, 1, 2, 3, 4), (6, 0, 1, 2, 3), (0, 1, 2, 3, 4, 5), tuple(range(7))
MARKETS = {
    "Monday to Friday": (FRI, "W-FRI"),
    "Sunday to Thursday": (SUN, "W-THU"),
    "Saturday to Wednesday": ((5, 6, 0, 1, 2), "W-WED"),
    "without Sunday": (SIX, "W-SAT"),
    "without Friday": ((5, 6, 0, 1, 2, 3), "W-THU"),
    "every day": (SEVEN, "W-SUN"),
    "four days": ((0, 1, 2, 3), "W-THU"),
}


@pytest.mark.parametrize("name", MARKETS)
def test_a_week_ends_on_the_last_day_before_the_pause(name: str) -> None:
    weekdays, anchor = MARKETS[name]
    assert anchors(days_on(weekdays, "2015-01-01", "2020-06-30")) == [anchor]
    assert anchors(days_on(weekdays, "2020-01-01", "2020-02-15")) == [anchor], "a new listing"


def test_each_symbol_has_its_own() -> None:
    histories = [days_on(weekdays, "2015-01-01", "2016-12-31") for weekdays, _ in MARKETS.values()]
    assert anchors(*histories) == [anchor for _, anchor in MARKETS.values()]


def test_a_market_that_changed_its_week_is_cut_in_neither() -> None:
    """Tel Aviv, by its calendar: from Sunday to Thursday until 2025, from Monday to Friday since."""
    tase = exchange_of("XTAE", day_of(dt.date(2015, 1, 1)), day_of(dt.date(2026, 6, 30))).sessions
    assert anchors(tase) == ["W-FRI"]
    assert anchors(tase[tase < day_of(dt.date(2026, 1, 1))]) == ["W-THU"]


@pytest.mark.parametrize("name", ["XNYS", "XBOM", "XHKG", "XTKS", "XLON", "XSHG"])
def test_exchanges_with_holidays_and_special_sessions(name: str) -> None:
    sessions = exchange_of(name, day_of(dt.date(2005, 1, 1)), day_of(dt.date(2025, 12, 31))).sessions
    assert anchors(sessions) == ["W-FRI"]
    assert anchors(sessions[-30:]) == ["W-FRI"]


@given(st.integers(0, 2**32 - 1), st.sampled_from([name for name in MARKETS if name != "four days"]))
def test_a_regular_market_keeps_its_anchor_wherever_it_is_cut(seed: int, name: str) -> None:
    """Holidays and a few make-up sessions on other days change nothing, nor does the end of the data."""
    rng = np.random.default_rng(seed)
    weekdays, anchor = MARKETS[name]
    days = days_on(weekdays, "2014-01-01", "2019-12-31")
    days = days[rng.random(len(days)) < 0.93]
    others = np.setdiff1d(days_on(SEVEN, "2014-06-01", "2019-12-31"), days_on(weekdays, "2014-01-01", "2019-12-31"))
    days = np.sort(np.append(days, rng.choice(others, min(len(others), 8), replace=False)))
    cuts = rng.integers(300, len(days), 5)
    assert {anchors(days[:cut])[0] for cut in cuts.tolist()} == {anchor}


def test_of_whom_too_little_is_known_has_the_week_of_most_that_does_not_cut_its_own() -> None:
    few, full = days_on(FRI, "2020-03-02", "2020-03-05"), days_on(FRI, "2020-01-01", "2020-12-31")
    crypto = days_on(SEVEN, "2020-01-01", "2020-12-31")
    assert anchors(few, full, crypto, full) == ["W-FRI", "W-FRI", "W-SUN", "W-FRI"]
    assert anchors(few, crypto, crypto, full)[0] == "W-SUN"
    sundays = days_on((6, 0), "2020-01-05", "2020-01-20")
    assert anchors(sundays, crypto, crypto, full)[0] == "W-FRI", "W-SUN would cut Sunday and Monday apart"
    assert anchors(few) == ["W-FRI"]
    assert anchors(np.empty(0, np.int64)) == ["W-FRI"]


def test_every_anchor_is_one() -> None:
    rng = np.random.default_rng(3)
    assert set(anchors_of(rng.integers(0, 300, (500, 3, 7)))) <= set(ANCHORS)
