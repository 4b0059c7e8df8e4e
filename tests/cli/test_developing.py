"""The week to date: against TA-Lib and pandas, and what a row may know of its own week."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import talib
from frames import ROUTES, build, build_by, build_here, daily, in_order, read, run_cli, shuffled, write

import weekly_cli
from weekly_cli.compute.features import catalogue
from weekly_cli.files.writers import WRITERS
from weekly_cli.verify import verify

COLUMNS = [feature.name for feature in catalogue(with_developing=True).features if feature.of_rows]
FEW = "w_close,w_ret,w_rsi_14,w_sma_20"


def flawed(symbols: list[str], n_days: int, seed: int = 3) -> pa.Table:
    """Daily rows without some of their prices, some sessions and a whole week."""
    frame = daily(symbols, n_days, seed=seed).to_pandas()
    rng = np.random.default_rng(seed)
    for name in ("open", "high", "low", "close"):
        frame.loc[rng.random(len(frame)) < 0.05, name] = rng.choice([np.nan, 0.0, -1.0])
    frame.loc[rng.random(len(frame)) < 0.05, "volume"] = 0
    frame = frame[rng.random(len(frame)) > 0.05]
    dates = pd.to_datetime(frame["date"])
    frame = frame[(dates < "2022-03-07") | (dates > "2022-03-13")]
    return pa.Table.from_pandas(frame, preserve_index=False)


def by_pandas(daily_rows: pd.DataFrame, available: str) -> pd.DataFrame:
    """One symbol's columns by pandas and TA-Lib, from nothing but the rows that each row may know."""
    rows = daily_rows.reset_index(drop=True)
    date = pd.to_datetime(rows["date"])
    usable = rows[["open", "high", "low", "close"]].where(rows[["open", "high", "low", "close"]] > 0)
    usable = usable.assign(volume=rows["volume"].astype(float), date=date)[usable["close"].notna()]
    found = []
    for day in date:
        end = day.to_period("W-FRI").end_time.normalize()
        known = usable[(usable["date"] <= day) if available == "week-end" else (usable["date"] < day)]
        own = known[known["date"] > end - pd.Timedelta(days=7)]
        before = usable[usable["date"] <= end - pd.Timedelta(days=7)]
        closes = before.set_index("date")["close"].resample("W-FRI").last().dropna().to_numpy(np.float64)
        if own.empty:
            found.append([np.nan] * len(COLUMNS))
            continue
        close = own["close"].iloc[-1]
        with_own = np.append(closes, close)
        opens, highs, lows = (own[name].dropna() for name in ("open", "high", "low"))
        found.append(
            [
                opens.iloc[0] if len(opens) else own["close"].iloc[0],
                highs.max() if len(highs) else own["close"].max(),
                lows.min() if len(lows) else own["close"].min(),
                close,
                own["volume"].sum(),
                len(own),
                np.log(close / closes[-1]) if len(closes) else np.nan,
                talib.RSI(with_own, 14)[-1] if len(with_own) > 14 else np.nan,
                talib.SMA(with_own, 20)[-1] if len(with_own) >= 20 else np.nan,
            ]
        )
    return pd.DataFrame(found, columns=COLUMNS)


@pytest.mark.slow
@pytest.mark.parametrize("available", ["next-week", "week-end"])
def test_columns_are_those_of_pandas_and_talib(tmp_path: Path, available: str) -> None:
    table = flawed(["AAA", "BBB"], 160)
    source = write(table, tmp_path / "p.parquet")
    settings: dict[str, Any] = {"features": FEW, "developing": True, "dtype": "float64", "available": available}
    built = build_here(source, tmp_path / "out", **settings).to_pandas()
    for symbol, rows in built.groupby("symbol"):
        wanted = by_pandas(rows, available)
        assert wanted["wtd_rsi_14"].notna().sum() > 30
        for name in COLUMNS:
            assert np.allclose(rows[name], wanted[name], rtol=1e-9, atol=1e-9, equal_nan=True), (symbol, name)
    assert weekly_cli.add_weekly_features(in_order(table).to_pandas(), **settings)[COLUMNS].equals(built[COLUMNS])


def test_the_last_row_of_a_week_that_sees_it_has_its_bar(tmp_path: Path) -> None:
    source = write(daily(["AAA"], 200), tmp_path / "p.parquet")
    settings: dict[str, Any] = {"developing": True, "available": "week-end", "dtype": "float64"}
    built = build_here(source, tmp_path / "out", **settings).to_pandas()
    fridays = built[pd.to_datetime(built["date"]).dt.day_of_week == 4]
    for name in ("open", "high", "low", "close", "volume", "days"):
        assert fridays[f"wtd_{name}"].tolist() == fridays[f"w_{name}"].tolist()
    for name in ("ret", "rsi_14", "sma_20"):
        assert np.allclose(fridays[f"wtd_{name}"], fridays[f"w_{name}"], rtol=1e-9, atol=1e-9, equal_nan=True), name
        assert fridays[f"wtd_{name}"].notna().any()


@pytest.mark.parametrize("available", ["next-week", "week-end"])
def test_what_comes_later_in_the_week_changes_nothing(tmp_path: Path, available: str) -> None:
    """The input is cut after each day of two weeks; the rows up to there are as they were, and so is the cut's own."""
    table = flawed(["AAA", "BBB", "CCC"], 60)
    settings: dict[str, Any] = {"developing": True, "features": FEW, "available": available}
    whole = build_here(write(table, tmp_path / "p.parquet"), tmp_path / "whole", **settings)
    for day in range(10):
        last = dt.date(2022, 3, 14) + dt.timedelta(days=day)
        cut = write(table.filter(pc.field("date") <= last), tmp_path / f"{day}.parquet")
        assert build_here(cut, tmp_path / f"{day}", **settings).equals(whole.filter(pc.field("date") <= last))
    assert whole["wtd_ret"].null_count < whole.num_rows / 2


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_and_writer_makes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str
) -> None:
    table = flawed(["CCC", "AAA", "BBB"], 60)
    settings: dict[str, Any] = {"developing": True, "start": "2022-01-20"}
    wanted = build_here(write(in_order(table), tmp_path / "p.parquet"), tmp_path / "wanted", **settings)
    table = shuffled(table) if route == "partitioned" else in_order(table) if route == "clustered" else table
    source = write(table, tmp_path / "q.parquet", row_group_size=30)
    build_by(route, source, tmp_path / "out", monkeypatch, writer=writer, **settings)
    assert read(tmp_path / "out").equals(wanted)
    assert wanted.column_names[-9:] == COLUMNS


@pytest.mark.slow
def test_verify_audits_them(tmp_path: Path) -> None:
    source = write(flawed(["AAA", "BBB"], 120), tmp_path / "p.parquet")
    build(source, tmp_path / "out.parquet", developing=True)
    assert verify(tmp_path / "out.parquet").passed
    table = pq.read_table(tmp_path / "out.parquet")
    for name in ("wtd_high", "wtd_rsi_14"):
        at = table.column_names.index(name)
        values = table[name].to_pylist()
        row = max(number for number, value in enumerate(values) if value is not None)
        values[row] += 1.0
        pq.write_table(
            table.set_column(at, table.field(at), pa.array(values, table.field(at).type)), tmp_path / "x.parquet"
        )
        found = [check for check in verify(tmp_path / "x.parquet", source).checks if not check.passed]
        assert any(name in finding for check in found for finding in check.findings), name


@pytest.fixture
def built(tmp_path: Path) -> Path:
    build(write(daily(["AAA"], 118), tmp_path / "p.parquet"), tmp_path / "out", developing=True, prefix="wk_")
    return tmp_path / "out"


def test_a_row_is_explained_with_the_running_bar(built: Path) -> None:
    rows = read(built).to_pandas()
    wednesday = rows[pd.to_datetime(rows["date"]).dt.day_of_week == 2].iloc[-1]
    found = weekly_cli.explain(built, "AAA", wednesday["date"], "wtd_ret")
    assert not found.differing
    assert not found.not_compared
    assert found.feature is not None
    assert found.feature.value.computed == pytest.approx(wednesday["wtd_ret"])
    line = found.feature.workings[0]
    assert line.name == "wtd_ret"
    assert line.terms[0].values[0] == wednesday["wtd_close"]
    assert any("running week so far, of Monday" in note and "to Tuesday" in note for note in found.notes)
    monday = rows[pd.to_datetime(rows["date"]).dt.day_of_week == 0].iloc[-1]
    nothing = weekly_cli.explain(built, "AAA", monday["date"], "wtd_ret").feature
    assert nothing is not None
    assert nothing.null == "the row knows of no usable row of its own week yet"


def test_the_next_session_sees_all_rows_of_its_week(built: Path) -> None:
    last = read(built).to_pandas().iloc[-1]
    assert pd.Timestamp(last["date"]).day_of_week == 2
    done = run_cli("latest", built, "--features", "wtd_close,wtd_days,wtd_ret", "--json")
    (row,) = json.loads(done.stdout)["rows"]
    assert (row["wtd_close"], row["wtd_days"]) == (last["close"], 3)
    assert row["wtd_ret"] == pytest.approx(np.log(last["close"] / last["wk_close"]))


REFUSED: dict[str, tuple[list[str], str]] = {
    "without the flag": (["--features", "w_ret,wtd_ret"], "wtd_ret is neither a family nor a column"),
    "the family": (["--features", "developing"], "(--developing adds it)"),
    "weekly rows": (["--developing", "--rows", "weekly"], "--developing adds columns of daily rows, and --rows weekly"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(tmp_path: Path, case: str) -> None:
    flags, message = REFUSED[case]
    done = run_cli("build", write(daily(["AAA"], 10), tmp_path / "p.parquet"), "-o", tmp_path / "out", *flags)
    assert done.returncode == 2
    assert message in done.stderr


SELECTED: dict[str, tuple[str, list[str]]] = {
    "all of them": ("w_ret", ["w_ret", *COLUMNS]),
    "one": ("w_ret,wtd_ret", ["w_ret", "wtd_ret"]),
    "all but one": ("w_ret,developing,-wtd_rsi_14", ["w_ret", *(name for name in COLUMNS if name != "wtd_rsi_14")]),
}


@pytest.mark.parametrize("case", SELECTED)
def test_features_select_among_them(tmp_path: Path, case: str) -> None:
    words, wanted = SELECTED[case]
    source = write(daily(["AAA"], 10), tmp_path / "p.parquet")
    assert build_here(source, tmp_path / "out", developing=True, features=words).column_names[7:] == wanted
