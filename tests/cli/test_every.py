"""`--every`: months and quarters beside the week, on every route, in every command, and never looking ahead."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from frames import ROUTES, build, build_by, daily, read, run_cli, write
from reference_job import reference_table

import weekly_cli
from weekly_cli.compute.clocks import Clock
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.names import AVAILABILITIES, SAME_AVAILABILITIES
from weekly_cli.questions.built import open_output
from weekly_cli.questions.chart import chart_of
from weekly_cli.questions.diff import diff
from weekly_cli.questions.latest import latest
from weekly_cli.verify import verify

EVERY = ["week", "month", "quarter"]
PREFIXES = ("w_", "m_", "q_")
FEW = "w_close,w_rsi_14,m_month_end,m_close,m_mom_1,m_mom_12_1,m_sma_6,m_rs_aaa,q_quarter_end,q_close,q_ret,q_rs_aaa"


def added(table: pa.Table, prefixes: tuple[str, ...] = PREFIXES) -> pa.Table:
    return table.select([name for name in table.column_names if name.startswith(prefixes)])


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four years; BBB has no row in three whole months of the second one."""
    table = daily(("AAA", "BBB", "CCC"), 1044)
    months = np.array(table["date"]).astype("datetime64[M]")
    hole = (
        (np.array(table["symbol"]) == "BBB")
        & (months >= np.datetime64("2023-04"))
        & (months < np.datetime64("2023-07"))
    )
    return write(table.filter(pa.array(~hole)), tmp_path_factory.mktemp("every") / "prices.parquet")


@pytest.fixture(scope="module")
def out(prices: Path) -> Path:
    build(prices, prices.parent / "out", every=EVERY, benchmark=["AAA"])
    return prices.parent / "out"


# ---- what a row sees -------------------------------------------------------------------------------------

#: (date, close, seen under next-period, seen under period-end): the last day and the close of the month's bar.
Seen = tuple[str, float] | None
MONTHS: list[tuple[str, float, Seen, Seen]] = [
    ("2024-01-30", 10.0, None, None),
    ("2024-01-31", 11.0, None, ("2024-01-31", 11.0)),  # the last calendar day: its own row sees it under period-end
    ("2024-02-01", 12.0, ("2024-01-31", 11.0), ("2024-01-31", 11.0)),
    ("2024-02-28", 13.0, ("2024-01-31", 11.0), ("2024-01-31", 11.0)),  # the month has a 29th, without a row
    ("2024-03-01", 14.0, ("2024-02-29", 13.0), ("2024-02-29", 13.0)),
    # Friday is the last session, Sunday the last day: no row of March sees March.
    ("2024-03-29", 15.0, ("2024-02-29", 13.0), ("2024-02-29", 13.0)),
    ("2024-04-02", 16.0, ("2024-03-31", 15.0), ("2024-03-31", 15.0)),
    ("2024-06-03", 17.0, ("2024-04-30", 16.0), ("2024-04-30", 16.0)),  # no row in May: no bar of May
    ("2024-07-01", 18.0, ("2024-06-30", 17.0), ("2024-06-30", 17.0)),
]
QUARTERS = ("2024-03-31", 15.0), ("2024-06-30", 17.0)


@pytest.mark.parametrize(("place", "available"), [(2, "next-period"), (3, "period-end"), (3, "week-end")])
def test_the_golden_months(place: int, available: str, tmp_path: Path) -> None:
    rows = {"symbol": ["A"] * len(MONTHS), "date": [row[0] for row in MONTHS], "close": [row[1] for row in MONTHS]}
    source = write(pa.table(rows), tmp_path / "in.parquet")
    table = build(source, tmp_path / "out", every="month,quarter", available=available)
    ends, closes = (table[name].to_pylist() for name in ("m_month_end", "m_close"))
    seen = [None if end is None else (str(end), close) for end, close in zip(ends, closes, strict=True)]
    assert seen == [row[place] for row in MONTHS]
    quarters = [None if end is None else str(end) for end in table["q_quarter_end"].to_pylist()]
    assert quarters == [None] * 6 + [QUARTERS[0][0]] * 2 + [QUARTERS[1][0]]
    assert not [name for name in table.column_names if name.startswith("w_")]


def test_two_and_four_weeks_are_counted_from_the_first_week_of_1970(tmp_path: Path) -> None:
    """The week that ends on Friday, 1970-01-02, is the first of two; so is the one that ends on 2024-01-05."""
    first = dt.date(1970, 1, 2)
    table = build(write(daily(("A",), 60), tmp_path / "in.parquet"), tmp_path / "out", every="2W,4W", features="bars")
    for name, n_weeks in (("w2_week_end", 2), ("w4_week_end", 4)):
        ends = sorted({end for end in table[name].to_pylist() if end is not None})
        assert len(ends) > 1
        assert {(end - first).days % (7 * n_weeks) for end in ends} == {7 * (n_weeks - 1)}
    # All days of a complete period of weekdays
    assert set(table["w2_days"].to_pylist()[30:]) == {10} and set(table["w4_days"].to_pylist()[50:]) == {20}


def test_months_without_rows_have_no_bar(out: Path) -> None:
    table = read(out)
    of_bbb = [
        end for symbol, end in zip(table["symbol"].to_pylist(), table["m_month_end"].to_pylist(), strict=True)
        if symbol == "BBB" and end is not None and end.year == 2023
    ]  # fmt: skip
    assert sorted({end.month for end in of_bbb}) == [1, 2, 3, 7, 8, 9, 10, 11, 12]


@pytest.mark.slow
@pytest.mark.parametrize("rows", ["daily", "weekly"])
@pytest.mark.parametrize("available", AVAILABILITIES)
def test_every_column_equals_the_reference(prices: Path, tmp_path: Path, available: str, rows: str) -> None:
    """TA-Lib where a column claims parity, pandas for the others; weekly rows see months as their first day does."""
    job: dict[str, Any] = {"every": EVERY, "available": available}
    found = build(prices, tmp_path / "out", benchmark=["AAA"], rows=rows, dtype="float64", **job)
    frame = pd.read_parquet(prices)
    last_day = np.datetime64(frame["date"].max(), "D") if rows == "weekly" else None
    expected = reference_table(frame, benchmarks=("AAA",), last_day=last_day, **job)
    if rows == "weekly":
        assert found["visible_from"].to_pylist() == list(pd.to_datetime(expected["date"]).dt.date)
    for name in added(found).column_names:
        column = found[name]
        if pa.types.is_date(column.type):
            assert column.to_pylist() == [None if pd.isna(day) else day.date() for day in expected[name]], name
        else:
            values = np.array(column.cast(pa.float64()), np.float64)
            np.testing.assert_allclose(values, expected[name].to_numpy(np.float64), rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("writer", ["fast", "arrow"])
def test_all_routes_and_writers_give_the_same_bits(
    prices: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str
) -> None:
    rows = read(prices)
    in_order = rows if ROUTES[route] == "date" else rows.sort_by([("symbol", "ascending"), ("date", "ascending")])
    source = write(in_order, tmp_path / "in.parquet", row_group_size=100)
    build_by(route, source, tmp_path / "out", monkeypatch, every=EVERY, benchmark=["AAA"], writer=writer)
    assert added(read(tmp_path / "out")).equals(added(read(out)))


def test_a_column_is_the_same_with_and_without_other_clocks(prices: Path, out: Path, tmp_path: Path) -> None:
    together = read(out)
    for every, prefix in zip(EVERY, PREFIXES, strict=True):
        alone = build(prices, tmp_path / every, every=every, benchmark=["AAA"], features="all")
        assert added(alone).column_names == [name for name in added(together).column_names if name.startswith(prefix)]
        assert added(alone).equals(added(together, (prefix,)))


@pytest.mark.slow
def test_engines_give_the_same_bits(prices: Path, out: Path, tmp_path: Path) -> None:
    table = build(prices, tmp_path / "out", every=EVERY, benchmark=["AAA"], jobs=2, strategy="per-symbol")
    assert added(table).equals(added(read(out)))


def test_dates_at_which_rows_begin_and_end_change_no_value(prices: Path, out: Path, tmp_path: Path) -> None:
    window = {"start": "2023-05-10", "end": "2024-02-15"}
    cut = build(prices, tmp_path / "out", every=EVERY, benchmark=["AAA"], **window)
    inside = pl.from_arrow(read(out))
    assert isinstance(inside, pl.DataFrame)
    inside = inside.filter(pl.col("date").is_between(dt.date(2023, 5, 10), dt.date(2024, 2, 15)))
    assert added(cut).equals(added(inside.to_arrow().cast(cut.schema)))


def test_the_prefix_is_that_of_weekly_columns(prices: Path, tmp_path: Path) -> None:
    table = build(prices, tmp_path / "out", every=EVERY, prefix="W_", features="w_ret,m_ret,q_ret")
    assert table.column_names[7:] == ["W_ret", "m_ret", "q_ret"]


# ---- audited ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"every": EVERY}, marks=pytest.mark.soak),
        {"every": "month", "rows": "weekly", "available": "period-end", "start": "2022-09-14"},
        {"every": "2W,4W,quarter", "week": "W-WED", "date_type": "timestamp", "prefix": "x_"},
    ],
    ids=lambda settings: str(settings["every"]),
)
def test_verify_passes(prices: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    build(prices, tmp_path / "out", benchmark=["AAA"], **settings)
    proof = verify(tmp_path / "out", dates=3)
    assert proof.passed
    whole = " ".join(check.did for check in proof.checks)
    assert "no formula" not in whole and "equal to 1e-09" in whole


@pytest.mark.parametrize("days", [1, 28])
def test_rows_that_see_a_month_too_early_are_found(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    """By a day: only the reference shows it. By weeks: cuts inside of months show it too."""
    newest_seen = Clock.newest_seen

    def early(self: Clock, day: Any) -> Any:
        return newest_seen(self, day + (days if self.every == "month" else 0))

    monkeypatch.setattr(Clock, "newest_seen", early)
    build(prices, tmp_path / "out", every=EVERY, features="w_close,m_close,q_close")
    proof = verify(tmp_path / "out", dates=12)
    failed = [check.name for check in proof.checks if not check.passed]
    assert failed == (["reference"] if days == 1 else ["look-ahead", "reference"])
    assert "m_close" in " ".join(text for check in proof.checks for text in check.findings)


# ---- what is asked for -----------------------------------------------------------------------------------


def test_families_select_across_the_clocks_that_are_on(prices: Path, tmp_path: Path) -> None:
    table = build(prices, tmp_path / "out", every=EVERY, features="breakout,m_sma_10,-w_low_52")
    assert added(table).column_names == [
        "w_high_52", "w_position_52", "m_sma_10", "m_high_12", "m_low_12", "m_position_12", "q_high_4", "q_low_4",
        "q_position_4",
    ]  # fmt: skip


def test_a_column_of_a_clock_that_is_off_is_refused_with_what_adds_it(prices: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"m_sma_10 is neither .* \(--every week,month adds it\)"):
        build(prices, tmp_path / "out", features="m_sma_10")
    with pytest.raises(UsageError, match=r"w_ret is neither .* \(--every month,week adds it\)"):
        build(prices, tmp_path / "out", features="w_ret", every="month")


def test_columns_of_the_input_are_not_replaced_in_silence(prices: Path, tmp_path: Path) -> None:
    table = read(prices)
    source = write(table.append_column("m_close", table["close"]), tmp_path / "in.parquet")
    with pytest.raises(InputRefused, match="already has the columns m_close"):
        build(source, tmp_path / "out", every="month")


def test_the_words_for_every_clock_are_the_old_ones() -> None:
    assert set(SAME_AVAILABILITIES.values()) == set(AVAILABILITIES)


def test_another_choice_of_clocks_is_another_build(prices: Path, tmp_path: Path) -> None:
    reports = [
        weekly_cli.build(prices, tmp_path / "out", every=every, features="bars", jobs=1) for every in ("week", "month")
    ]
    assert reports[0].fingerprint != reports[1].fingerprint


# ---- the commands ----------------------------------------------------------------------------------------


def test_features_lists_the_clocks_columns() -> None:
    done = run_cli("features", "--every", "month", "--json")
    names = [row["column"] for row in json.loads(done.stdout)]
    assert names[0] == "m_month_end" and "m_mom_12_1" in names and not [one for one in names if one.startswith("w_")]
    card = json.loads(run_cli("features", "m_mom_12_1", "--json").stdout)
    assert card["formula"] == "C[-1] / C[-12] - 1" and card["first_bar"] == 12
    assert card["made_of"] == {"m_mom_12_1": "C[-1] / C[-12] - 1"}


def test_explain_explains_a_month_with_its_own_numbers(out: Path) -> None:
    found = weekly_cli.explain(out, "AAA", "2023-03-15", "m_sma_6")
    assert found.every == "month"
    assert found.summary == (
        "Wednesday 2023-03-15 shows the month that ended on Tuesday 2023-02-28: its own month is not over before "
        "Friday 2023-03-31, so that month's bar is seen from Saturday 2023-04-01 on."
    )
    assert found.agrees and found.n_compared == 60 + 48 + 27
    assert found.bar is not None and len(found.bar.days) == 20
    assert found.feature is not None and found.feature.workings[0].terms[0].values[-1] == pytest.approx(
        next(line.value for line in found.bar.workings if line.name == "close")
    )
    empty = weekly_cli.explain(out, "BBB", "2023-07-05", "q_ret")
    assert "the quarter after that has no usable row of BBB" in empty.summary
    early = weekly_cli.explain(out, "AAA", "2022-05-05", "m_sma_24")
    assert early.feature is not None and "will be that of" not in early.feature.null
    assert "the month to 2023-12-31" in early.feature.null


def test_the_process_shows_a_quarter_in_80_columns(out: Path) -> None:
    done = run_cli("explain", out, "AAA", "2023-03-15", "--feature", "q_high_4")
    assert done.returncode == 0, done.stderr
    assert "quarter to      rows" in done.stdout and "its own quarter" in done.stdout
    assert "more" in done.stdout, "not all rows of a quarter are shown"
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("settings", [{}, {"available": "period-end"}, {"date_type": "timestamp"}], ids=str)
@pytest.mark.parametrize("last", ["2023-03-31", "2023-03-30", "2023-03-15"])
def test_latest_gives_what_the_next_session_would_see(
    prices: Path, tmp_path: Path, settings: dict[str, Any], last: str
) -> None:
    """The same as the next row, once it is there: next-week decides, as no session knows its own close."""
    rows = read(prices)
    days = np.array(rows["date"])
    at_end = rows.filter(pa.array(days <= np.datetime64(last)))
    job: dict[str, Any] = {"every": EVERY, "features": FEW, "benchmark": ["AAA"]}
    build(write(at_end, tmp_path / "in.parquet"), tmp_path / "out", **job, **settings)
    following = days[days > np.datetime64(last)].min()
    with_next = rows.filter(pa.array(days <= following))
    whole = build(write(with_next, tmp_path / "next.parquet"), tmp_path / "next", **job)
    expected = {row["symbol"]: row for row in whole.to_pylist() if row["date"] == following.astype(object)}
    found = {row["symbol"]: row for row in latest(str(tmp_path / "out")).table.to_pylist()}
    for symbol, row in expected.items():
        assert {name: found[symbol][name] for name in FEW.split(",")} == {name: row[name] for name in FEW.split(",")}


def test_diff_read_inspect_and_chart_take_it(prices: Path, out: Path, tmp_path: Path) -> None:
    build(prices, tmp_path / "other", every="week,month", benchmark=["AAA"])
    found = diff(str(out), str(tmp_path / "other"))
    assert not found.equal
    frame = weekly_cli.read(out, symbols=["AAA"], columns=["m_month_end", "q_ret"])
    assert frame["m_month_end"].dtype.kind == "M"
    for words in (
        ["inspect", out],
        ["chart", out, "AAA", "-o", tmp_path / "chart.html"],
        ["chart", out, "AAA", "--features", "bars,m_sma_10,q_ret"],
        ["latest", out],
    ):
        done = run_cli(*words)
        assert done.returncode == 0, done.stderr


def test_a_frame_gets_what_the_command_writes(prices: Path, out: Path) -> None:
    held = weekly_cli.add_weekly_features(pl.from_arrow(read(prices)), every=EVERY, benchmark="AAA")
    assert isinstance(held, pl.DataFrame)
    written = pl.from_arrow(read(out))
    assert isinstance(written, pl.DataFrame)
    assert held.sort("symbol", "date").select(written.columns).equals(written)


@pytest.fixture(scope="module")
def of_months(prices: Path) -> Path:
    build(prices, prices.parent / "months", every="month")
    return prices.parent / "months"


def test_a_chart_of_months_marks_them(of_months: Path, out: Path, tmp_path: Path) -> None:
    """On the first row that sees each; with weeks beside them, if their columns are what is drawn."""
    drawn = chart_of(open_output(str(of_months)), "AAA")
    assert [panel.names[0] for panel in drawn.panels] == ["m_close", "m_rsi_14", "m_macd"]
    assert drawn.caption.endswith("1,044 rows, 48 months became visible")
    assert drawn.convention == "a month is visible from the day after its last one"
    found = drawn.to_dict()
    assert (found["every"], found["periods"]) == ("month", 48)
    assert "weeks" not in found and "week_end" not in found["steps"]
    rows = read(of_months).filter(pc.field("symbol") == "AAA")
    first: dict[str, str] = {}
    for date, end in zip(rows["date"].to_pylist(), rows["m_month_end"].to_pylist(), strict=True):
        if end is not None:
            first.setdefault(str(end), str(date)[:10])
    steps = found["steps"]
    marked = {end: date for end, date in zip(steps["period_end"], steps["date"], strict=True) if end is not None}
    assert marked == first
    assert chart_of(open_output(str(out)), "AAA", "m_close,m_sma_6").every == "month"
    assert chart_of(open_output(str(out)), "AAA", "w_close,m_close").every == "week"
    months = run_cli("chart", of_months, "AAA", "--start", "2024-06-01").stdout.splitlines()
    (marks,) = [line for line in months if line.strip().startswith("months")]
    assert len(marks.split()) == 1 + 20
    page = tmp_path / "months.html"
    done = run_cli("chart", of_months, "AAA", "-o", page)
    assert done.returncode == 0, done.stderr
    assert '"newest": "newest month seen"' in page.read_text(encoding="utf-8").replace('"newest":"', '"newest": "')


@pytest.mark.parametrize(
    ("every", "told", "when"),
    [
        ("2W", "3 bars of two weeks became visible", "W-FRI: two weeks are visible from the day after their last one"),
        ("quarter", "1 quarter became visible", "a quarter is visible from the day after its last one"),
    ],
)
def test_a_chart_says_what_is_visible_and_when(tmp_path: Path, every: str, told: str, when: str) -> None:
    build(write(daily(["A"], 70), tmp_path / "p.parquet"), tmp_path / "out", every=every, features="bars")
    drawn = chart_of(open_output(str(tmp_path / "out")), "A", start=dt.date(2022, 2, 20))
    assert drawn.caption.endswith(told)
    assert drawn.convention == when


def test_latest_says_of_what_its_columns_are(of_months: Path, out: Path) -> None:
    told = " ".join(run_cli("latest", of_months).stdout.split())
    assert "3 of 43 columns of months are shown" in told
    assert "m_close m_ret m_rsi_14" in told
    told = " ".join(run_cli("latest", out, "--features", "returns").stdout.split())
    assert "columns of weeks, months and quarters are shown" in told
    assert "3 of 55 weekly columns" not in told


def test_the_table_of_latest_has_the_columns_that_fit(of_months: Path) -> None:
    """At 80 columns, names that are longer leave room for fewer, and no date is cut off."""
    done = run_cli("latest", of_months, "--features", "m_month_end,m_macd_signal,m_volume_ratio_12")
    heading, first, *_ = done.stdout.splitlines()
    assert heading.split()[-2:] == ["m_month_end", "m_macd_signal"]
    assert "…" not in heading + first
    assert "2 of 3 columns of months are shown" in " ".join(done.stdout.split())


def test_the_json_of_explain_names_the_last_day_of_any_period(out: Path) -> None:
    job = ("explain", out, "AAA", "2024-05-15", "--json")
    week = json.loads(run_cli(*job).stdout)
    month = json.loads(run_cli(*job, "--feature", "m_close").stdout)
    assert (week["every"], week["bar"]["period_end"], week["own_period_end"]) == ("week", "2024-05-10", "2024-05-17")
    assert week["bar"]["week_end"] == "2024-05-10" and week["own_week_end"] == "2024-05-17"
    assert week["calendar"][-1]["week_end"] == week["calendar"][-1]["period_end"]
    assert (month["every"], month["bar"]["period_end"], month["own_period_end"]) == (
        "month",
        "2024-04-30",
        "2024-05-31",
    )
    assert "week_end" not in month["bar"] and "own_week_end" not in month
