"""`--calendar` and `--calendar-map`: a week is seen from its last session on, on every route, and never too early."""

from __future__ import annotations

import builtins
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from frames import ROUTES, build, build_by, read, report_of, run_cli, write
from reference_job import reference_table

import weekly_cli
from weekly_cli.dataset.dates import day_of
from weekly_cli.dataset.exchange import Calendars, exchange_of
from weekly_cli.errors import UsageError
from weekly_cli.findings import Finding
from weekly_cli.questions.explain import explain
from weekly_cli.questions.latest import latest
from weekly_cli.verify import verify
from weekly_cli.verify.reference.exchange import Markets

LISTED = {"LEUMI": "XTAE", "INFY": "XBOM", "0700": "XHKG", "7203": "XTKS", "BTC": "24/7"}
SPANS = {
    "SPY": ("XNYS", "2024-01-01", "2025-06-30"),
    "SPX": ("XNYS", "2001-01-01", "2001-12-31"),
    "LEUMI": ("XTAE", "2024-10-01", "2026-03-31"),
    "INFY": ("XBOM", "2023-06-01", "2024-12-31"),
    "0700": ("XHKG", "2024-01-01", "2024-12-31"),
    "7203": ("XTKS", "2018-11-01", "2019-12-31"),
    "BTC": ("24/7", "2024-01-01", "2025-06-30"),
}
EVERY = ["week", "month", "quarter"]
SETTINGS: dict[str, Any] = {
    "calendar": "NYSE",
    "available": "week-end",
    "every": EVERY,
    "benchmark": ["SPY", "BTC"],
    "features": "bars,returns,w_rsi_14,m_sma_6,relative",
}
BESIDE = {"developing": True, "features": f"{SETTINGS['features']},developing", "label": ["forward_return_2w"]}
PREFIXES = ("w_", "w2_", "m_", "q_", "wtd_", "label_")


def rows_of(symbol: str, days: list[int], seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, len(days))))
    columns = {"open": close * 0.99, "high": close * 1.02, "low": close * 0.97, "close": close}
    volume = rng.integers(1, 1000, len(days))
    return pd.DataFrame({"symbol": symbol, "date": np.array(days, "datetime64[D]"), **columns, "volume": volume})


def frame() -> pd.DataFrame:
    """Every symbol on the sessions of its exchange."""
    found = []
    for number, (symbol, (name, *span)) in enumerate(SPANS.items()):
        first, last = (day_of(dt.date.fromisoformat(one)) for one in span)
        found.append(rows_of(symbol, exchange_of(name, first, last).sessions.tolist(), number))
    return pd.concat(found, ignore_index=True)


def table_of(daily: pd.DataFrame) -> pa.Table:
    table = pa.Table.from_pandas(daily, preserve_index=False)
    return table.set_column(1, "date", table["date"].cast(pa.date32()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("calendar")
    pd.DataFrame(LISTED.items(), columns=["symbol", "calendar"]).to_csv(folder / "map.csv", index=False)
    write(table_of(frame().sort_values(["date", "symbol"], kind="stable")), folder / "prices.parquet")
    settings = {**SETTINGS, **BESIDE}
    build(folder / "prices.parquet", folder / "out", calendar_map=folder / "map.csv", **settings)
    return folder


def added(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.column_names if name.startswith(PREFIXES)])


# ---- what a row sees -------------------------------------------------------------------------------------

#: (symbol, date, week's last day that the row sees); the rows around the weeks of tests/unit/test_exchange.py.
SEEN = [
    ("SPY", "2024-03-27", "2024-03-22"),
    ("SPY", "2024-03-28", "2024-03-29"),  # the Thursday before Good Friday: its week is complete
    ("SPY", "2024-04-01", "2024-03-29"),
    ("SPX", "2001-09-10", "2001-09-14"),  # the only session of its week, as is known by hindsight
    ("SPX", "2001-09-17", "2001-09-14"),
    ("LEUMI", "2025-12-24", "2025-12-19"),
    ("LEUMI", "2025-12-25", "2025-12-26"),  # Tel Aviv's week ended on Thursdays
    ("LEUMI", "2026-01-08", "2026-01-02"),
    ("LEUMI", "2026-01-09", "2026-01-09"),  # and ends on Fridays from 2026 on
    ("INFY", "2024-01-19", "2024-01-19"),
    ("INFY", "2024-01-20", "2024-01-19"),  # a special session on Saturday, of the week after
    ("INFY", "2024-01-24", "2024-01-19"),
    ("INFY", "2024-01-25", "2024-01-26"),  # Friday is Republic Day
    ("7203", "2019-04-26", "2019-04-26"),
    ("7203", "2019-05-07", "2019-04-26"),  # a week without a session has no bar
    ("7203", "2019-05-10", "2019-05-10"),
    ("0700", "2024-02-09", "2024-02-09"),
    ("BTC", "2024-03-28", "2024-03-22"),
    ("BTC", "2024-03-29", "2024-03-29"),
]  # fmt: skip


def test_the_weeks_that_rows_see(folder: Path) -> None:
    rows = read(folder / "out").to_pandas().set_index(["symbol", "date"])
    found = [str(rows.loc[(symbol, dt.date.fromisoformat(date)), "w_week_end"]) for symbol, date, _ in SEEN]
    assert found == [end for *_, end in SEEN]


def test_months_and_quarters_are_complete_at_their_last_session(folder: Path) -> None:
    rows = read(folder / "out").to_pandas().set_index(["symbol", "date"])
    thursday = rows.loc[("SPY", dt.date(2024, 3, 28))]
    assert (str(thursday["m_month_end"]), str(thursday["q_quarter_end"])) == ("2024-03-31", "2024-03-31")
    assert str(rows.loc[("SPY", dt.date(2024, 3, 27)), "m_month_end"]) == "2024-02-29"


def test_a_friday_sees_the_week_of_a_seven_day_anchor(tmp_path: Path) -> None:
    spy = frame()[lambda daily: daily["symbol"] == "SPY"]
    prices = write(table_of(spy), tmp_path / "in.parquet")
    table = build(prices, tmp_path / "out", calendar="XNYS", available="week-end", week="W-SUN", features="w_week_end")
    seen = dict(zip(table["date"].to_pylist(), table["w_week_end"].to_pylist(), strict=True))
    assert seen[dt.date(2024, 3, 15)] == dt.date(2024, 3, 17)
    assert seen[dt.date(2024, 3, 28)] == dt.date(2024, 3, 31)


def test_next_week_does_not_change(folder: Path, tmp_path: Path) -> None:
    prices = folder / "prices.parquet"
    with_it = build(prices, tmp_path / "a", calendar="XNYS", calendar_map=folder / "map.csv", every=EVERY)
    assert added(with_it).equals(added(build(prices, tmp_path / "b", every=EVERY)))


def test_a_calendar_changes_no_bar(folder: Path, tmp_path: Path) -> None:
    """Only from when on it is seen."""
    prices = folder / "prices.parquet"
    settings = {"available": "week-end", "rows": "weekly"}
    plain = build(prices, tmp_path / "a", **settings)
    found = build(prices, tmp_path / "b", calendar="XNYS", calendar_map=folder / "map.csv", **settings)
    names = [name for name in found.column_names if name.startswith("w_")]
    pd.testing.assert_frame_equal(plain.select(names).to_pandas(), found.select(names).to_pandas())
    earlier = pd.to_datetime(plain["visible_from"].to_pandas()) - pd.to_datetime(found["visible_from"].to_pandas())
    assert set(earlier.dt.days) >= {0, 1, 4}


# ---- rows against the calendar ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_row_after_the_last_session_holds_the_bar_back(tmp_path: Path) -> None:
    """The calendar says that Thursday was the last session, but there is a row of Friday: Thursday must not see it."""
    spy = frame()[lambda daily: daily["symbol"] == "SPY"]
    stray = spy[spy["date"] == "2024-03-28"].assign(date=np.datetime64("2024-03-29"), close=5.0, low=1.0)
    daily = pd.concat([spy, stray], ignore_index=True)
    prices = write(table_of(daily), tmp_path / "in.parquet")
    settings = {"calendar": "XNYS", "available": "week-end", "every": "week,month", "features": "bars,returns"}
    rows = build(prices, tmp_path / "out", **settings).to_pandas().set_index("date")
    thursday, friday = rows.loc[dt.date(2024, 3, 28)], rows.loc[dt.date(2024, 3, 29)]
    assert (str(thursday["w_week_end"]), str(thursday["m_month_end"])) == ("2024-03-22", "2024-02-29")
    assert (str(friday["w_week_end"]), friday["w_close"], friday["m_close"]) == ("2024-03-29", 5.0, 5.0)
    assert verify(tmp_path / "out", dates=6).passed
    ended = build(prices, tmp_path / "ended", end="2024-03-28", **settings).to_pandas().set_index("date")
    assert str(ended.loc[dt.date(2024, 3, 28), "w_week_end"]) == "2024-03-22", "where the output ends changes no row"
    assert verify(tmp_path / "ended", dates=1).passed
    weekly = build(prices, tmp_path / "weekly", rows="weekly", **settings).to_pandas().set_index("w_week_end")
    assert str(weekly.loc[dt.date(2024, 3, 29), "visible_from"]) == "2024-03-29"
    assert verify(tmp_path / "weekly").passed
    assert (
        "after the last session that the calendar has in it" in explain(tmp_path / "out", "SPY", "2024-03-28").summary
    )


@pytest.mark.parametrize("seed", range(4))
def test_no_row_sees_a_price_of_a_later_day(seed: int, tmp_path: Path) -> None:
    """Whatever the calendar and the data: without the rows after a day, its row has the same bar or an older one."""
    rng = np.random.default_rng(seed)
    days = np.flatnonzero(rng.random(250) < 0.7) + day_of(dt.date(2024, 1, 1))
    daily = rows_of("A", days.tolist(), seed)
    settings = {
        "calendar": str(rng.choice(["XNYS", "XTAE", "XTKS"])), "week": str(rng.choice(["W-FRI", "W-SUN", "W-WED"])),
        "available": "week-end", "every": "week,month", "features": "bars",
    }  # fmt: skip
    rows = build(write(table_of(daily), tmp_path / "in.parquet"), tmp_path / "out", **settings)
    for at in rng.choice(np.arange(20, len(days) - 1), 3, replace=False).tolist():
        cut = build(write(table_of(daily[: at + 1]), tmp_path / f"in{at}.parquet"), tmp_path / f"{at}", **settings)
        full, short = rows.slice(at, 1).to_pylist()[0], cut.slice(at, 1).to_pylist()[0]
        for prefix, end in (("w_", "w_week_end"), ("m_", "m_month_end")):
            if full[end] == short[end]:
                assert {k: v for k, v in full.items() if k.startswith(prefix)} == {
                    k: v for k, v in short.items() if k.startswith(prefix)
                }
            else:
                assert full[end] is None or full[end] < short[end]


# ---- one build, several markets --------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("writer", ["fast", "arrow"])
def test_all_routes_and_writers_give_the_same_bits(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str
) -> None:
    rows = read(folder / "prices.parquet")
    in_order = rows if ROUTES[route] == "date" else rows.sort_by([("symbol", "ascending"), ("date", "ascending")])
    source = write(in_order, tmp_path / "in.parquet", row_group_size=200)
    settings = {**SETTINGS, **BESIDE, "calendar_map": str(folder / "map.csv")}
    build_by(route, source, tmp_path / "out", monkeypatch, writer=writer, **settings)
    assert added(read(tmp_path / "out")).equals(added(read(folder / "out")))


@pytest.mark.parametrize("available", ["next-week", "week-end"])
def test_each_symbol_equals_the_reference(folder: Path, tmp_path: Path, available: str) -> None:
    """Also what a benchmark of another market is by the time at which the symbol sees its own week."""
    daily = pd.read_parquet(folder / "prices.parquet")
    settings = {**SETTINGS, "available": available}
    found = build(
        folder / "prices.parquet", tmp_path / "out", calendar_map=folder / "map.csv", dtype="float64", **settings
    )
    first, last = pd.Timestamp(daily["date"].min()), pd.Timestamp(daily["date"].max())
    markets = Markets("W-FRI", Calendars("XNYS", LISTED, ""), first, last)
    expected = reference_table(daily, benchmarks=("SPY", "BTC"), every=EVERY, available=available, market_of=markets.of)
    for name in added(found).column_names:
        column = found[name]
        if pa.types.is_date(column.type):
            assert column.to_pylist() == [None if pd.isna(day) else day.date() for day in expected[name]], name
        else:
            values = np.array(column.cast(pa.float64()), np.float64)
            np.testing.assert_allclose(values, expected[name].to_numpy(np.float64), rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "rows"), [(1, "daily"), (2, "daily"), (3, "weekly")])
def test_random_rows_and_random_calendars_equal_the_reference(seed: int, rows: str, tmp_path: Path) -> None:
    """Rows on days without a session, sessions without a row, unusable closes, and weeks that cut sessions."""
    rng = np.random.default_rng(seed)
    listed = dict(zip(("S0", "S1", "S2"), rng.choice(["XNYS", "XTAE", "XTKS", "24/7"], 3).tolist(), strict=True))
    parts = []
    for number, symbol in enumerate((*listed, "S3")):
        days = 19_000 + np.flatnonzero(rng.random(500) < rng.choice([0.2, 0.6, 0.9]))
        parts.append(rows_of(symbol, days.tolist(), seed + number))
        parts[-1].loc[rng.random(len(days)) < 0.05, "close"] = np.nan
    daily, week = pd.concat(parts, ignore_index=True), str(rng.choice(["W-FRI", "W-SUN", "W-WED"]))
    pd.DataFrame(listed.items(), columns=["symbol", "calendar"]).to_csv(tmp_path / "map.csv", index=False)
    settings: dict[str, Any] = {"week": week, "available": "week-end", "every": ["week", "month"]}
    source = write(table_of(daily), tmp_path / "in.parquet")
    found = build(
        source, tmp_path / "out", calendar_map=str(tmp_path / "map.csv"), benchmark=["S0", "S1"], dtype="float64",
        rows=rows, **settings,
    )  # fmt: skip
    first, last = daily["date"].min(), daily["date"].max()
    expected = reference_table(
        daily, benchmarks=("S0", "S1"), every=["week", "month"], available="week-end",
        market_of=Markets(week, Calendars(None, listed, ""), first, last).of,
        last_day=np.datetime64(last, "D") if rows == "weekly" else None,
    )  # fmt: skip
    for name in ("w_week_end", "m_month_end"):
        assert found[name].to_pylist() == [None if pd.isna(day) else day.date() for day in expected[name]], name
    for name in ("w_close", "w_days", "w_ret", "w_rs_s0", "w_rs_s1_norm", "m_close", "m_rs_s1"):
        values = np.array(found[name].cast(pa.float64()), np.float64)
        np.testing.assert_allclose(values, expected[name].to_numpy(np.float64), rtol=1e-9, atol=1e-9, err_msg=name)


def test_a_benchmark_is_what_is_known_when_the_symbol_sees_its_week(folder: Path) -> None:
    """Bitcoin trades on Good Friday; on the Thursday before nobody knows its close."""
    rows = read(folder / "out").to_pandas().set_index(["symbol", "date"])
    thursday = dt.date(2024, 3, 28)
    known = rows.loc[("BTC", thursday), "close"]
    ratio = rows.loc[("SPY", thursday), "close"] / known
    assert rows.loc[("SPY", thursday), "w_rs_btc"] == np.float32(ratio)
    assert rows.loc[("BTC", dt.date(2024, 3, 29)), "w_close"] != known


@pytest.mark.slow
def test_engines_and_frames_give_the_same(folder: Path, tmp_path: Path) -> None:
    settings = {**SETTINGS, "calendar_map": str(folder / "map.csv")}
    table = build(folder / "prices.parquet", tmp_path / "out", jobs=2, strategy="per-symbol", **settings)
    names = added(table).column_names
    assert added(table).equals(added(read(folder / "out")).select(names))
    spy = pd.read_parquet(folder / "prices.parquet")[lambda daily: daily["symbol"] == "SPY"]
    added_here = weekly_cli.add_weekly_features(spy, calendar="XNYS", available="week-end", features="w_close,w_rsi_14")
    mine = read(folder / "out").to_pandas()[lambda daily: daily["symbol"] == "SPY"]
    np.testing.assert_array_equal(added_here["w_rsi_14"].to_numpy(), mine["w_rsi_14"].to_numpy(np.float32))


# ---- findings --------------------------------------------------------------------------------------------


def found_in(source: Path, output: Path, **settings: Any) -> dict[str, Finding]:
    given = {"features": "w_close", "ignore": "shifted-dates,wrong-anchor", **settings}
    return {one.code: one for one in report_of(source, output, **given).findings}


def test_data_that_accord_with_their_calendars_have_nothing_to_find(folder: Path, tmp_path: Path) -> None:
    prices, calendars = folder / "prices.parquet", str(folder / "map.csv")
    assert not found_in(prices, tmp_path / "out", calendar="XNYS", calendar_map=calendars)
    assert not found_in(prices, tmp_path / "out"), "silent without a calendar"
    assert not found_in(prices, tmp_path / "out", calendar_map=calendars), "and for symbols without one"


@pytest.mark.parametrize("strategy", ["auto", "per-symbol"])
def test_missing_and_unscheduled_sessions_are_found(folder: Path, tmp_path: Path, strategy: str) -> None:
    daily = frame()
    kept = daily[~((daily["symbol"] == "SPY") & daily["date"].isin(pd.to_datetime(["2024-03-12", "2024-11-29"])))]
    first = kept[kept["symbol"].isin(["SPY", "LEUMI"])].groupby("symbol").head(1)
    extra = first.assign(date=pd.to_datetime(["2024-12-25", "2025-04-12"]))
    rows = pd.concat([kept, extra]).sort_values(["symbol", "date"])
    source = write(table_of(rows), tmp_path / "in.parquet", row_group_size=100)
    settings = {"calendar": "XNYS", "calendar_map": str(folder / "map.csv"), "strategy": strategy}
    found = found_in(source, tmp_path / "out", available="week-end", **settings)
    assert {code: one.count for code, one in found.items()} == {"missing-sessions": 2, "unscheduled-sessions": 2}
    assert found["missing-sessions"].examples == (
        {"symbol": "SPY", "date": "2024-03-12"},
        {"symbol": "SPY", "date": "2024-11-29"},
    )
    assert {example["symbol"] for example in found["unscheduled-sessions"].examples} == {"SPY", "LEUMI"}


def test_a_calendar_of_its_own_ends_what_another_one_finds(folder: Path, tmp_path: Path) -> None:
    found = found_in(folder / "prices.parquet", tmp_path / "out", calendar="24/7")
    assert found["missing-sessions"].help == "add them, or give the symbol its own calendar with --calendar-map"
    listed = {symbol: name for symbol, (name, *_) in SPANS.items() if name != "24/7"}
    pd.DataFrame(listed.items(), columns=["symbol", "calendar"]).to_parquet(tmp_path / "map.parquet")
    calendars = str(tmp_path / "map.parquet")
    assert not found_in(folder / "prices.parquet", tmp_path / "out", calendar="24/7", calendar_map=calendars)


# ---- the commands ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_verify_passes_and_finds_a_week_that_is_seen_too_early(folder: Path, tmp_path: Path) -> None:
    assert verify(folder / "out", dates=2, symbols=3).passed
    weekly = build(
        folder / "prices.parquet", tmp_path / "weekly", rows="weekly", calendar_map=folder / "map.csv", **SETTINGS
    )
    assert verify(tmp_path / "weekly", dates=1, symbols=2).passed
    seen = pd.to_datetime(weekly["visible_from"].to_pandas())
    moved = seen.where(seen != pd.Timestamp("2024-03-28"), pd.Timestamp("2024-03-29")).dt.date
    at = weekly.column_names.index("visible_from")
    table = weekly.set_column(at, weekly.schema.field(at), pa.array(moved, pa.date32()))
    changed = write(table.replace_schema_metadata(weekly.schema.metadata), tmp_path / "changed.parquet")
    findings = [finding for check in verify(changed, symbols=0).checks for finding in check.findings]
    assert any("SPY 2024-03-29" in finding for finding in findings), findings


def test_explain_says_that_there_is_no_later_session(folder: Path) -> None:
    found = explain(folder / "out", "SPY", "2024-03-28")
    assert found.summary.startswith("Thursday 2024-03-28 shows its own week: the calendar has no later session in it")
    assert not found.differing
    assert any("the last session of a period is that of the calendar" in note for note in found.notes)
    before = explain(folder / "out", "SPY", "2024-03-27", "w_rs_btc")
    assert "its own week has its last session on Thursday 2024-03-28" in before.summary
    assert not before.differing


def test_latest_takes_the_next_session_of_the_calendar(folder: Path) -> None:
    found = latest(str(folder / "out"))
    sessions = dict(zip(found.table["symbol"].to_pylist(), found.table["session"].to_pylist(), strict=True))
    assert sessions["7203"] == dt.date(2020, 1, 6)
    assert sessions["BTC"] == dt.date(2025, 7, 1)


def test_the_report_says_which_calendars(folder: Path) -> None:
    done = run_cli(
        "plan", folder / "prices.parquet", "--calendar", "XTKS", "--calendar-map", folder / "map.csv", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert "calendar: 24/7 of 1 symbols, XBOM of 1 symbols, XHKG of 1 symbols, XTAE of 1 symbols" in done.stdout
    assert "XTKS of 3 symbols" in done.stdout
    old = write(
        table_of(rows_of("A", [day_of(dt.date(1990, 1, 1)) + one for one in range(9)], 1)), folder / "old.parquet"
    )
    calendars = str(folder / "map.csv")
    notes = report_of(old, folder / "old", calendar="XTKS", calendar_map=calendars, allow_empty=True).notes
    assert notes[1:] == (
        "5 of 5 symbols of the calendar map are not in the input (first: 0700)",
        "XTKS tells no sessions before 1997-01-01: weeks end there on their last day",
    )


def test_wrong_dates_far_out_take_no_time_and_no_memory(tmp_path: Path) -> None:
    days = [*range(day_of(dt.date(2024, 1, 1)), day_of(dt.date(2024, 6, 1))), day_of(dt.date(9999, 12, 31))]
    daily = rows_of("A", days, 1)
    daily["date"] = np.array(days, "datetime64[D]").astype("datetime64[s]")
    source = write(table_of(daily), tmp_path / "in.parquet")
    report = report_of(source, tmp_path / "out", calendar="XNYS", week="auto", available="week-end", every="week,month")
    assert any("XNYS tells no sessions after 2100-12-31" in note for note in report.notes)
    assert report.rows == len(days)


ERRORS = {
    "unknown": ({"calendar": "XNYSE"}, "calendar 'XNYSE' is no calendar of exchange_calendars 4"),
    "unknown in the map": ({"calendar_map": "bad.csv"}, "bad.csv: 'XNSE' is no calendar of exchange_calendars"),
    "no such file": ({"calendar_map": "none.csv"}, "none.csv can't be read"),
    "other columns": (
        {"calendar_map": "columns.csv"},
        "needs the columns symbol and calendar; it has ticker, calendar",
    ),
    "twice": ({"calendar_map": "twice.csv"}, "lists 'A' more than once; leave one of the rows out"),
    "empty": ({"calendar_map": "empty.csv"}, "row 2 has no calendar; fill it in, or leave the row out"),
}


def test_places_among_symbols_that_see_their_bars_on_other_days_are_refused(folder: Path) -> None:
    """A rank is among bars that are known at the same time; under next-week a calendar changes nothing of that."""
    settings: dict[str, Any] = {"calendar": "XNYS", "cross_section": ["rank(w_ret)"], "features": "w_ret,cross"}
    with pytest.raises(UsageError, match="cross_section compares bars that are known at the same time") as caught:
        weekly_cli.build(folder / "prices.parquet", folder / "ranks", available="week-end", **settings)
    assert "--available next-week" in str(caught.value)
    table = build(folder / "prices.parquet", folder / "ranks", available="next-week", **settings)
    assert "w_ret_rank" in table.column_names


@pytest.mark.parametrize("name", ERRORS)
def test_one_clear_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for file, text in {
        "bad": "symbol,calendar\nA,XNSE\n",
        "columns": "ticker,calendar\nA,XNYS\n",
        "twice": "symbol,calendar\nA,XNYS\nA,XLON\n",
        "empty": "symbol,calendar\nA,XNYS\nB,\n",
    }.items():
        Path(f"{file}.csv").write_text(text)
    settings, sentence = ERRORS[name]
    with pytest.raises(UsageError, match=r"^calendar") as caught:
        weekly_cli.build("prices.parquet", "out", **settings)
    assert sentence in str(caught.value)


def test_without_the_library_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "exchange_calendars":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"calendar needs exchange_calendars.*pip install 'weekly-cli\[calendar\]'"):
        weekly_cli.build("prices.parquet", "out", calendar="XNYS")


def test_another_calendar_makes_another_output(folder: Path, tmp_path: Path) -> None:
    prices, calendars = folder / "prices.parquet", tmp_path / "map.csv"
    calendars.write_text("symbol,calendar\nSPY,XNYS\n")
    args = (
        "build",
        prices,
        "-o",
        tmp_path / "out",
        "-q",
        "--if-changed",
        "--calendar-map",
        calendars,
        "--available",
        "week-end",
    )
    assert run_cli(*args).returncode == 0
    before = [path.stat().st_ino for path in sorted((tmp_path / "out").iterdir())]
    assert run_cli(*args).returncode == 0
    assert [path.stat().st_ino for path in sorted((tmp_path / "out").iterdir())] == before
    calendars.write_text("symbol,calendar\nSPY,XLON\n")
    assert run_cli(*args).returncode == 0
    assert [path.stat().st_ino for path in sorted((tmp_path / "out").iterdir())] != before
