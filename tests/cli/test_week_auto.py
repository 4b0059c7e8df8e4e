"""`--week auto`: symbols of several markets in one build, each with its own week."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from frames import ROUTES, build, build_by, read, report_of, run_cli, write
from reference_job import reference_table
from test_calendar import SPANS, frame, table_of

import weekly_cli
from weekly_cli.errors import UsageError
from weekly_cli.questions.built import open_output
from weekly_cli.questions.chart import chart_of
from weekly_cli.questions.explain import explain
from weekly_cli.questions.latest import latest
from weekly_cli.verify import verify
from weekly_cli.verify.reference.table import Market

#: Tel Aviv's week changes at the end of 2025.
WEEKS = {**dict.fromkeys(SPANS, "W-FRI"), "BTC": "W-SUN", "DSE": "W-THU"}
SETTINGS: dict[str, Any] = {
    "week": "auto", "benchmark": ["SPY", "BTC"], "every": "week,month,2W", "available": "week-end",
    "features": "bars,returns,w_rsi_14,relative,developing", "developing": True, "label": ["forward_return_2w"],
}  # fmt: skip
PREFIXES = ("w_", "w2_", "m_", "wtd_", "label_")


def several() -> pd.DataFrame:
    daily = frame()
    leumi = daily[(daily["symbol"] == "LEUMI") & (daily["date"] < "2025-12-01")]
    return pd.concat([daily, leumi.assign(symbol="DSE")]).sort_values(["date", "symbol"], kind="stable")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weeks")
    build(write(table_of(several()), folder / "prices.parquet"), folder / "out", **SETTINGS)
    return folder


def added(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.column_names if name.startswith(PREFIXES)])


def test_each_symbol_has_the_week_of_its_market(folder: Path) -> None:
    rows = read(folder / "out").to_pandas()
    ends = pd.to_datetime(rows["w_week_end"]).dt.day_name().str[:3].str.upper()
    found = rows.assign(end=ends).dropna(subset="w_week_end").groupby("symbol")["end"].unique()
    assert {symbol: f"W-{end[0]}" for symbol, end in found.items()} == WEEKS
    assert all(len(end) == 1 for end in found)


def test_columns_are_those_of_a_build_with_that_week_alone(folder: Path, tmp_path: Path) -> None:
    """Of symbols that are compared with nobody."""
    rows = read(folder / "out").to_pandas().set_index("symbol")
    for anchor in ("W-FRI", "W-SUN", "W-THU"):
        alone = build(folder / "prices.parquet", tmp_path / anchor, **{**SETTINGS, "week": anchor}).to_pandas()
        symbols = [symbol for symbol, own in WEEKS.items() if own == anchor]
        alone = alone[alone["symbol"].isin(symbols)].set_index("symbol")
        names = [name for name in alone if name.startswith(PREFIXES) and "_rs_" not in name and "_52" not in name]
        pd.testing.assert_frame_equal(rows.loc[rows.index.isin(symbols), names], alone[names])


def test_benchmarks_are_compared_in_the_symbol_s_own_weeks(folder: Path, tmp_path: Path) -> None:
    found = build(folder / "prices.parquet", tmp_path / "out", **{**SETTINGS, "dtype": "float64", "label": []})
    every = ["week", "2W", "month"]
    expected = reference_table(
        pd.read_parquet(folder / "prices.parquet"), benchmarks=("SPY", "BTC"), every=every, available="week-end",
        market_of=lambda symbol: Market(WEEKS[symbol]),
    )  # fmt: skip
    compared = [name for name in found.column_names if "_rs_" in name or "_beta_" in name or name.endswith("_close")]
    assert len(compared) > 10
    for name in compared:
        if name in expected:
            values = np.array(found[name].cast(pa.float64()), np.float64)
            np.testing.assert_allclose(values, expected[name].to_numpy(np.float64), rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("writer", ["fast", "arrow"])
def test_all_routes_and_writers_give_the_same_bits(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str
) -> None:
    rows = read(folder / "prices.parquet")
    in_order = rows if ROUTES[route] == "date" else rows.sort_by([("symbol", "ascending"), ("date", "ascending")])
    source = write(in_order, tmp_path / "in.parquet", row_group_size=200)
    build_by(route, source, tmp_path / "out", monkeypatch, writer=writer, **SETTINGS)
    assert added(read(tmp_path / "out")).equals(added(read(folder / "out")))


@pytest.mark.slow
def test_workers_and_frames_give_the_same(folder: Path, tmp_path: Path) -> None:
    table = build(folder / "prices.parquet", tmp_path / "out", jobs=2, strategy="per-symbol", **SETTINGS)
    assert added(table).equals(added(read(folder / "out")))
    daily = pd.read_parquet(folder / "prices.parquet")
    settings = {name: value for name, value in SETTINGS.items() if name != "label"}
    here = weekly_cli.add_weekly_features(daily, **settings).sort_values(["symbol", "date"], kind="stable")
    whole = read(folder / "out").to_pandas()
    for name in ("w_close", "w_rs_btc", "w2_close", "m_rs_spy", "wtd_close"):
        np.testing.assert_array_equal(here[name].to_numpy(), whole[name].to_numpy(), err_msg=name)


@pytest.mark.soak
@pytest.mark.slow
def test_verify_cuts_no_symbol_s_week_otherwise(folder: Path, tmp_path: Path) -> None:
    """Tel Aviv's rows before 2026 alone would have another week: a build of the cut input takes that of all rows."""
    assert verify(folder / "out", dates=3, symbols=4).passed
    settings = {"week": "auto", "available": "week-end", "features": "bars,returns"}
    build(folder / "prices.parquet", tmp_path / "weekly", rows="weekly", **settings)
    assert verify(tmp_path / "weekly", dates=1, symbols=3).passed


@pytest.mark.slow
def test_verify_finds_a_week_that_cuts_sessions(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weekly_cli.run import weeks

    monkeypatch.setattr(weeks, "anchors_of", lambda counts: ["W-WED"] * len(counts))
    build(folder / "prices.parquet", tmp_path / "out", **SETTINGS)
    findings = [finding for check in verify(tmp_path / "out", dates=0, symbols=3).checks for finding in check.findings]
    assert any("W-WED cuts" in finding for finding in findings)


def test_the_questions_know_each_week(folder: Path) -> None:
    out = folder / "out"
    found = explain(out, "BTC", "2024-03-31")
    assert (found.week, str(found.own_period_end), found.differing) == ("W-SUN", "2024-03-31", ())
    dhaka = explain(out, "DSE", "2025-11-26", "w_rs_spy")
    assert (dhaka.week, dhaka.differing) == ("W-THU", ())
    assert chart_of(open_output(out), "BTC").week == "W-SUN"
    newest = latest(str(out)).table
    ends = dict(zip(newest["symbol"].to_pylist(), newest["w_week_end"].to_pylist(), strict=True))
    assert ends["BTC"] == dt.date(2025, 6, 29)


def test_the_plan_and_the_report_say_which_weeks(folder: Path) -> None:
    sentence = "week: W-THU of 1 symbols (DSE), W-FRI of 6 symbols (0700, 7203, INFY, ...), W-SUN of 1 symbols (BTC)"
    done = run_cli("plan", folder / "prices.parquet", "--week", "auto", "--json")
    assert sentence in json.loads(done.stdout)["read_as"]
    report = report_of(folder / "prices.parquet", folder / "again", week="auto", features="w_close")
    assert sentence in report.notes
    assert not report.findings, "of several markets together no weekday is odd"


def test_midnights_of_another_zone_are_found_all_the_same(folder: Path, tmp_path: Path) -> None:
    spy = table_of(frame()[lambda daily: daily["symbol"] == "SPY"])
    local = pa.compute.assume_timezone(spy["date"].cast(pa.timestamp("us")), "Asia/Tokyo")
    source = write(spy.set_column(1, "date", local.cast(pa.timestamp("us", "UTC"))), tmp_path / "in.parquet")
    found = report_of(source, tmp_path / "out", week="auto", features="w_close").findings
    assert [one.code for one in found] == ["shifted-dates"]


def test_with_a_calendar_too(folder: Path, tmp_path: Path) -> None:
    """The Thursday before Good Friday sees its week, and Bitcoin's goes on to Sunday."""
    pd.DataFrame({"symbol": ["BTC"], "calendar": ["24/7"]}).to_csv(tmp_path / "map.csv", index=False)
    settings = {**SETTINGS, "calendar": "XNYS", "calendar_map": str(tmp_path / "map.csv"), "symbols": "SPY,BTC"}
    rows = build(folder / "prices.parquet", tmp_path / "out", **settings).to_pandas().set_index(["symbol", "date"])
    assert str(rows.loc[("SPY", dt.date(2024, 3, 28)), "w_week_end"]) == "2024-03-29"
    assert str(rows.loc[("BTC", dt.date(2024, 3, 30)), "w_week_end"]) == "2024-03-24"
    assert str(rows.loc[("BTC", dt.date(2024, 3, 31)), "w_week_end"]) == "2024-03-31"


def test_places_among_symbols_of_other_weeks_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="cross_section compares bars of the same weeks, and with week auto"):
        weekly_cli.build(folder / "prices.parquet", folder / "ranks", week="auto", cross_section=["rank(w_ret)"])


def test_inspect_takes_it(folder: Path, tmp_path: Path) -> None:
    daily = several()[lambda daily: daily["symbol"].isin(["SPY", "SPX"])]
    done = run_cli("inspect", write(table_of(daily), tmp_path / "prices.parquet"), "--week", "auto")
    assert done.returncode == 0, done.stderr
    assert "--week auto" in done.stdout
