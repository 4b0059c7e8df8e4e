"""The shape of the output: rows of weeks; each holds what the daily rows hold that see them, bit for bit."""

from __future__ import annotations

import bisect
import datetime as dt
import json
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from frames import ROUTES, build, build_by, build_here, daily, parts, read, report_here, run_cli, write
from golden import GOLDEN
from hypothesis import given, settings
from hypothesis import strategies as st

import weekly_cli
from weekly_cli.compute.clocks import Clock
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.files.writers import WRITERS
from weekly_cli.names import ANCHORS, AVAILABILITIES
from weekly_cli.questions.built import open_output
from weekly_cli.verify import Proof, verify

pytestmark = pytest.mark.slow

SYMBOLS = ["AAA", "BBB", "CCC", "DDD"]
CHECKS = ["bytes", "columns", "rows", "values", "look-ahead", "reference", "warm-up"]


def gappy(order: str = "date", n_days: int = 260) -> pa.Table:
    """Histories that begin, pause and end at different times, with closes that are not usable."""
    table = daily(SYMBOLS, n_days, order=order)
    rng = np.random.default_rng(5)
    close = np.array(table.column("close").to_pylist())
    close[rng.random(len(close)) < 0.2] = np.nan
    table = table.set_column(5, "close", pa.array(close))
    day = (np.array(table.column("date")) - np.datetime64("2022-01-03")).astype(int)
    symbol = np.array(table.column("symbol"))
    keep = ~((symbol == "BBB") & ((day < 30) | ((day > 100) & (day < 125)))) & ~((symbol == "CCC") & (day > 200))
    return table.filter(pa.array(keep & (rng.random(len(close)) > 0.3)))


def joined(daily_rows: pa.Table, weekly: pa.Table) -> pa.Table:
    """The weekly columns that each daily row sees: those of the newest row of its symbol that it may see."""
    key = [(s, d) for s, d in zip(weekly["symbol"].to_pylist(), weekly["visible_from"].to_pylist(), strict=True)]
    assert key == sorted(set(key))
    found: list[int | None] = []
    for symbol, date in zip(daily_rows["symbol"].to_pylist(), daily_rows["date"].to_pylist(), strict=True):
        place = bisect.bisect_right(key, (symbol, date)) - 1
        found.append(place if place >= 0 and key[place][0] == symbol else None)
    names = [name for name in daily_rows.column_names if name.startswith("w_")]
    return weekly.select(names).take(pa.array(found, pa.int64()))


def with_a_broken_column(path: Path) -> Path:
    """Prices, and a column of text whose page's header is none."""
    table = daily().append_column("note", pa.array([f"note {n}" for n in range(180)]))
    write(table, path, use_dictionary=False, compression="none")
    data = bytearray(path.read_bytes())
    begin = pq.ParquetFile(path).metadata.row_group(0).column(7).data_page_offset
    data[begin : begin + 20] = b"\xff" * 20
    path.write_bytes(bytes(data))
    return path


def failed(proof: Proof) -> list[str]:
    return [check.name for check in proof.checks if not check.passed]


def features_of(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.column_names if name.startswith("w_")])


# ---- a row a week ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("available", AVAILABILITIES)
def test_daily_rows_have_what_the_weekly_row_has_that_they_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str, available: str
) -> None:
    source = write(gappy(ROUTES[route]), tmp_path / "p.parquet", row_group_size=70)
    settings: dict[str, Any] = {"writer": writer, "available": available, "benchmark": ["AAA"]}
    for name in ("daily", "weekly"):
        build_by(route, source, tmp_path / name, monkeypatch, rows=name, **settings)
    by_day, weekly = read(tmp_path / "daily"), read(tmp_path / "weekly")
    assert weekly.column_names[:3] == ["symbol", "w_week_end", "visible_from"]
    assert weekly.column_names[3:] == [n for n in features_of(by_day).column_names if n != "w_week_end"]
    assert weekly.schema.field("symbol") == by_day.schema.field("symbol")
    assert joined(by_day, weekly).equals(features_of(by_day))
    lag = {"next-week": 1, "week-end": 0}[available]
    days = zip(weekly["w_week_end"].to_pylist(), weekly["visible_from"].to_pylist(), strict=True)
    assert {(seen - end).days for end, seen in days} == {lag}


@given(st.integers(-(10**6), 10**6), st.sampled_from(ANCHORS), st.sampled_from(AVAILABILITIES))
@settings(max_examples=200)
def test_a_bar_is_the_newest_on_the_first_day_that_sees_it(week: int, anchor: str, available: str) -> None:
    clock = Clock("week", anchor, available)
    day = clock.first_day_seen(week)
    assert clock.newest_seen(day) == week
    assert clock.newest_seen(day - 1) == week - 1


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_the_golden_weeks(tmp_path: Path, case: Any) -> None:
    """Every week that a golden row sees is a row; the last week is one only if the dates reach its last day."""
    rows = [(dt.date.fromisoformat(day), close) for day, close, _, _ in case.days]
    table = pa.table(
        {"symbol": ["A"] * len(rows), "date": [day for day, _ in rows], "close": pa.array([c for _, c in rows])}
    )
    source = write(table, tmp_path / "p.parquet")
    for place, available in ((2, "next-week"), (3, "week-end")):
        out = build(source, tmp_path / available, rows="weekly", week=case.week, available=available, allow_empty=True)
        bars = dict(zip(map(str, out["w_week_end"].to_pylist()), out["w_close"].to_pylist(), strict=True))
        seen = [row[place] for row in case.days if row[place] is not None]
        assert {end: bars[end] for end, _ in seen} == dict(seen)
        assert max(bars, default="") <= case.days[-1][0]


def test_a_week_is_a_row_once_it_is_over(tmp_path: Path) -> None:
    """It is over when any symbol's row, usable or not, is on its last day or later: the others' bars are final then."""
    days = [dt.date(2024, 5, 6) + dt.timedelta(n) for n in range(12)]  # Monday to Friday of the next week
    table = pa.table({"symbol": ["A"] * 8 + ["B"] * 4, "date": days[:8] + days[:4], "close": [1.0] * 12})
    ends = {}
    for name, more in {"open": [], "B": ["B"], "C": ["C"]}.items():
        extra = pa.table({"symbol": pa.array(more, pa.string()), "date": pa.array([days[11]] * len(more), pa.date32())})
        extra = extra.append_column("close", pa.nulls(len(more), pa.float64()))
        write(pa.concat_tables([table, extra]), tmp_path / name / "p.parquet")
        out = build(tmp_path / name, tmp_path / f"{name}-out", rows="weekly")
        ends[name] = list(zip(out["symbol"].to_pylist(), map(str, out["w_week_end"].to_pylist()), strict=True))
    assert ends["open"] == [("A", "2024-05-10"), ("B", "2024-05-10")]
    assert ends["B"] == ends["C"] == [("A", "2024-05-10"), ("A", "2024-05-17"), ("B", "2024-05-10")]


def test_start_and_end_select_by_the_day_from_which_a_bar_is_seen(tmp_path: Path) -> None:
    source = write(daily(), tmp_path / "p.parquet")
    every = build(source, tmp_path / "all", rows="weekly")
    first, last = dt.date(2022, 1, 29), dt.date(2022, 2, 12)  # Saturdays
    some = build(source, tmp_path / "some", rows="weekly", start=first, end=last)
    inside = [first <= day <= last for day in every["visible_from"].to_pylist()]
    assert some.equals(every.filter(pa.array(inside)).replace_schema_metadata(some.schema.metadata))
    assert 0 < some.num_rows < every.num_rows
    assert verify(tmp_path / "some", dates=1).passed


def test_features_are_chosen_and_the_week_stays(tmp_path: Path) -> None:
    source = write(daily(), tmp_path / "p.parquet")
    out = build(source, tmp_path / "out", rows="weekly", features="w_ret,-bars")
    assert out.column_names == ["symbol", "w_week_end", "visible_from", "w_ret"]
    alone = build(source, tmp_path / "alone", rows="weekly", features="w_week_end")
    assert alone.column_names == ["symbol", "w_week_end", "visible_from"]
    assert alone.equals(out.select(alone.column_names).replace_schema_metadata(alone.schema.metadata))


def test_what_is_not_needed_is_not_read(tmp_path: Path) -> None:
    """A column that could not even be decoded is no hindrance."""
    source = with_a_broken_column(tmp_path / "p.parquet")
    with pytest.raises(InputRefused, match="decoded"):
        build(source, tmp_path / "daily")
    assert build(source, tmp_path / "weekly", rows="weekly").num_rows == 3 * 12


def test_nothing_that_is_over_is_refused_and_says_why(tmp_path: Path) -> None:
    source = write(daily(n_days=4), tmp_path / "p.parquet")
    with pytest.raises(InputRefused, match=r"all 3 weekly bars are of weeks that are not over on 2022-01-06"):
        build(source, tmp_path / "out", rows="weekly")
    out = build(source, tmp_path / "out", rows="weekly", allow_empty=True)
    assert out.num_rows == 0
    assert verify(tmp_path / "out").passed


def test_a_symbol_column_of_a_name_that_is_added_is_refused(tmp_path: Path) -> None:
    table = daily().rename_columns(["visible_from", "date", "open", "high", "low", "close", "volume"])
    source = write(table, tmp_path / "p.parquet")
    with pytest.raises(InputRefused, match="visible_from"):
        build(source, tmp_path / "out", rows="weekly", columns={"symbol": "visible_from"})


def test_an_index_of_days_is_no_index_of_weeks(tmp_path: Path) -> None:
    frame = daily().to_pandas().set_index(["symbol", "date"])
    frame.to_parquet(tmp_path / "p.parquet")
    out = build(tmp_path / "p.parquet", tmp_path / "out.parquet", rows="weekly")
    assert b"pandas" not in out.schema.metadata
    assert out.column_names[0] == "symbol"


def test_a_weekly_build_resumes(tmp_path: Path) -> None:
    """A part that is there is not made again, and what it counted is told again."""
    source = write(gappy("symbol"), tmp_path / "p.parquet", row_group_size=50)
    options: dict[str, Any] = {"rows": "weekly", "strategy": "per-symbol"}
    whole = report_here(source, tmp_path / "whole", **options)

    class Stop(Exception):
        pass

    def stop(event: Any) -> None:
        if getattr(event, "stage", "") == "fan out" and getattr(event, "symbols", 0) == 2:
            raise Stop

    with pytest.raises(Stop):
        report_here(source, tmp_path / "out", stop, **options)
    notes: list[str] = []
    report = report_here(source, tmp_path / "out", lambda event: notes.append(getattr(event, "what", "")), **options)
    assert any("resumes" in note for note in notes)
    assert (report.rows, report.daily_rows) == (whole.rows, whole.daily_rows)
    assert read(tmp_path / "out").equals(read(tmp_path / "whole"))


# ---- some columns of the input ---------------------------------------------------------------------------


def wide_rows(order: str = "date") -> pa.Table:
    """Prices with text and numbers that no feature needs, one of them in the way of a feature's name."""
    table = gappy(order)
    rows = table.num_rows
    table = table.append_column("venue", pa.array([None if n % 7 == 0 else "XNYS" for n in range(rows)]))
    table = table.append_column("w_ret", pa.array(np.arange(rows, dtype=float)))
    return table.append_column("note", pa.array([f"note {n}" for n in range(rows)]))


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("route", ROUTES)
def test_the_columns_asked_for_are_those_of_the_whole_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str
) -> None:
    """In the input's order, with the keys; the features need what is not written all the same."""
    source = write(wide_rows(ROUTES[route]), tmp_path / "p.parquet", row_group_size=70)
    settings: dict[str, Any] = {"writer": writer, "features": "all,-returns", "price": "high"}
    for name, columns in {"all": [], "some": ["venue", "w_ret"]}.items():
        build_by(route, source, tmp_path / name, monkeypatch, columns_out=columns, **settings)
    every, some = read(tmp_path / "all"), read(tmp_path / "some")
    weekly = [name for name in every.column_names if name not in wide_rows().column_names]
    assert some.column_names == ["symbol", "date", "venue", "w_ret", *weekly]
    assert some.equals(every.select(some.column_names).replace_schema_metadata(some.schema.metadata))


def test_what_is_neither_written_nor_needed_is_not_read(tmp_path: Path) -> None:
    source = with_a_broken_column(tmp_path / "p.parquet")
    with pytest.raises(InputRefused, match="decoded"):
        build(source, tmp_path / "all")
    report = report_here(source, tmp_path / "some", columns_out=["close"])
    assert "1 of 8 columns are not read, as nothing needs them" in report.notes
    assert report.rows == 180


def test_a_name_that_is_in_the_way_of_a_feature_is_so_only_if_it_is_written(tmp_path: Path) -> None:
    source = write(wide_rows(), tmp_path / "p.parquet")
    with pytest.raises(InputRefused, match="w_ret"):
        build(source, tmp_path / "all")
    out = build(source, tmp_path / "some", columns_out=["close"])
    assert out.column_names[:3] == ["symbol", "date", "close"]
    assert out.schema.field("w_ret").type == pa.float32()
    assert verify(tmp_path / "some", dates=1).passed


@pytest.mark.parametrize("columns", [["volume", "note"], ["date"], ["symbol", "date", "high", "close"]], ids=str)
def test_an_output_of_some_columns_is_verified_and_inspected(tmp_path: Path, columns: list[str]) -> None:
    source = write(wide_rows(), tmp_path / "p.parquet")
    build(source, tmp_path / "out", columns_out=columns, features="momentum,w_close")
    proof = verify(tmp_path / "out", dates=1)
    assert [(check.name, check.findings) for check in proof.checks] == [(name, []) for name in CHECKS]
    found = weekly_cli.inspect(tmp_path / "out")
    assert found.roles["close"] == ("close" if "close" in columns else None)
    assert found.build is not None
    assert (found.build.input_state, found.rows) == ("unchanged", wide_rows().num_rows)
    assert "--columns-out" in found.build.command
    assert open_output(tmp_path / "out").rows(["AAA"], columns=["date"]).num_rows > 0


def test_a_column_that_should_not_be_there_is_found(tmp_path: Path) -> None:
    source = write(wide_rows(), tmp_path / "p.parquet")
    out = build(source, tmp_path / "out.parquet", columns_out=["close"], features="momentum")
    more = out.add_column(2, "open", out.column("close")).replace_schema_metadata(out.schema.metadata)
    pq.write_table(more, tmp_path / "out.parquet", write_page_checksum=True)
    assert "columns" in failed(verify(tmp_path / "out.parquet", dates=0, symbols=1))


def test_unknown_columns_are_refused_with_what_was_meant(tmp_path: Path) -> None:
    source = write(daily(), tmp_path / "p.parquet")
    done = run_cli("build", source, "-o", tmp_path / "out", "--columns-out", "symbol,closs")
    assert done.returncode == 3
    assert "no column 'closs' for --columns-out; it has symbol, date, open" in done.stderr
    assert "did you mean close?" in done.stderr
    done = run_cli("plan", source, "--columns-out", "close", "--rows", "weekly")
    assert (done.returncode, "leave out --columns-out" in done.stderr) == (2, True)


def test_a_settings_file_lists_names_with_commas(tmp_path: Path) -> None:
    table = daily().append_column("a,b", pa.array(range(180)))
    write(table, tmp_path / "p.parquet")
    (tmp_path / "weekly.toml").write_text('input = "p.parquet"\ncolumns_out = ["a,b"]\nfeatures = "w_ret"\n')
    assert run_cli("build", "-q", "-o", "out", cwd=tmp_path).returncode == 0
    assert read(tmp_path / "out").column_names == ["symbol", "date", "a,b", "w_ret"]


def test_repeats_are_told_apart_by_what_is_read(tmp_path: Path) -> None:
    table = daily().append_column("note", pa.array([f"note {n}" for n in range(180)]))
    again = table.set_column(7, "note", pa.array(["other"] * 180))
    source = write(pa.concat_tables([table, again]), tmp_path / "p.parquet")
    with pytest.raises(InputRefused, match="they differ in note"):
        build(source, tmp_path / "out")
    with pytest.raises(InputRefused, match="identical in all columns that are read"):
        build(source, tmp_path / "out", columns_out=["close"])


def test_an_index_is_kept_with_its_columns(tmp_path: Path) -> None:
    frame = wide_rows().to_pandas()
    frame.set_index(["symbol", "date"]).to_parquet(tmp_path / "keys.parquet")
    frame.set_index(["symbol", "date", "note"]).to_parquet(tmp_path / "three.parquet")
    for name, levels in {"keys": ["symbol", "date"], "three": [None]}.items():
        build(tmp_path / f"{name}.parquet", tmp_path / f"{name}-out.parquet", columns_out=["close"])
        assert pd.read_parquet(tmp_path / f"{name}-out.parquet").index.names == levels


# ---- other names -----------------------------------------------------------------------------------------

PREFIXES = ["W_", "weekly_", ""]


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_another_prefix_changes_names_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str, prefix: str
) -> None:
    source = write(gappy(ROUTES[route]), tmp_path / "p.parquet", row_group_size=70)
    settings: dict[str, Any] = {"writer": writer, "features": "momentum,w_vol_4,relative", "benchmark": ["AAA"]}
    for name, of_names in {"own": {}, "other": {"prefix": prefix}}.items():
        build_by(route, source, tmp_path / name, monkeypatch, **settings, **of_names)
    own, other = read(tmp_path / "own"), read(tmp_path / "other")
    names = [prefix + name[2:] if name.startswith("w_") else name for name in own.column_names]
    assert other.column_names == names
    weekly = names[7:]
    same = own.rename_columns(names).replace_schema_metadata(other.schema.metadata).select(weekly)
    assert other.select(weekly).equals(same)


@pytest.mark.parametrize("rows", ["daily", "weekly"])
def test_every_command_goes_by_the_prefix_of_the_record(tmp_path: Path, rows: str) -> None:
    source = write(gappy(n_days=420), tmp_path / "p.parquet")
    settings: dict[str, Any] = {"rows": rows, "prefix": "W_", "features": "all,-w_week_end", "benchmark": ["AAA"]}
    out = build(source, tmp_path / "out", **settings)
    record = json.loads(out.schema.metadata[b"weekly_cli"])
    assert record["settings"]["prefix"] == "W_"
    assert "w_rsi_14" in record["features"]
    proof = verify(tmp_path / "out", dates=1)
    assert [(check.name, check.findings) for check in proof.checks] == [(name, []) for name in CHECKS]
    assert {row.column[:2] for row in proof.warm_up} == {"W_"}
    found = weekly_cli.inspect(tmp_path / "out")
    assert found.build is not None
    assert set(found.build.features) <= set(out.column_names)
    assert "--prefix W_" in found.build.command
    assert found.build.input_state == "unchanged"
    if rows == "weekly":
        assert found.roles["close"] == "W_close"


def test_a_wrong_value_is_named_as_its_column(tmp_path: Path) -> None:
    out = build(write(gappy(), tmp_path / "p.parquet"), tmp_path / "out.parquet", prefix="", features="w_ret")
    changed = put("ret", 100, 0.5)(out).replace_schema_metadata(out.schema.metadata)
    pq.write_table(changed, tmp_path / "out.parquet", write_page_checksum=True)
    proof = verify(tmp_path / "out.parquet", dates=0)
    assert failed(proof) == ["values", "reference"]
    assert all("ret is 0.5 in the table" in check.findings[0] for check in proof.checks if check.findings)


def test_names_that_are_there_already_are_refused(tmp_path: Path) -> None:
    source = write(wide_rows(), tmp_path / "p.parquet")
    done = run_cli("build", source, "-o", tmp_path / "out", "--prefix", "")
    assert done.returncode == 3
    assert "already has the columns open, high, low, close, volume; " in done.stderr
    done = run_cli("build", source, "-o", tmp_path / "out", "--prefix", "", "--replace-features")
    assert done.returncode == 3
    assert "the prices of which" in " ".join(done.stderr.split())
    assert build(source, tmp_path / "out", prefix="W_").column_names[10:12] == ["W_week_end", "W_bars"]
    alone = build(source, tmp_path / "alone", prefix="", rows="weekly", features="w_close,w_volume")
    assert alone.column_names == ["symbol", "week_end", "visible_from", "close", "volume"]
    assert weekly_cli.inspect(tmp_path / "alone").roles["close"] == "close"


@pytest.mark.parametrize("prefix", ["a b", "1_", "w-", "ü", "w_\n"])
def test_a_prefix_is_a_word_of_any_query(prefix: str) -> None:
    with pytest.raises(UsageError, match="letters, digits and underscores"):
        weekly_cli.build("nothing.parquet", prefix=prefix)


# ---- the type of dates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", ["daily", "weekly"])
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("route", ROUTES)
def test_timestamps_are_the_midnights_of_the_dates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str, rows: str
) -> None:
    source = write(gappy(ROUTES[route]), tmp_path / "p.parquet", row_group_size=70)
    for name in ("date", "timestamp"):
        build_by(route, source, tmp_path / name, monkeypatch, writer=writer, rows=rows, date_type=name)
    dates, moments = read(tmp_path / "date"), read(tmp_path / "timestamp")
    for name in ("w_week_end", *(["visible_from"] if rows == "weekly" else [])):
        assert dates.schema.field(name).type == pa.date32()
        assert moments.schema.field(name).type == pa.timestamp("us")
        assert moments.column(name).equals(dates.column(name).cast(pa.timestamp("us")))
    others = [name for name in features_of(dates).column_names if name != "w_week_end"]
    assert moments.select(others).equals(dates.select(others).replace_schema_metadata(moments.schema.metadata))


@pytest.mark.parametrize("rows", ["daily", "weekly"])
def test_pandas_compares_and_joins_timestamps(tmp_path: Path, rows: str) -> None:
    """What it does not do with dates, and every reader sees the same moments."""
    source = write(gappy(n_days=420), tmp_path / "p.parquet")
    build(source, tmp_path / "out.parquet", rows=rows, date_type="timestamp")
    frame = pd.read_parquet(tmp_path / "out.parquet")
    before = frame["w_week_end"] < pd.Timestamp("2022-06-01")
    assert 0 < before.sum() < len(frame)
    days = pd.DataFrame({"day": pd.to_datetime(["2022-05-18", "2022-06-20"])})
    seen = frame[["w_week_end"]].dropna().sort_values("w_week_end")
    found = pd.merge_asof(days, seen, left_on="day", right_on="w_week_end")
    assert found["w_week_end"].dt.day_name().tolist() == ["Friday", "Friday"]
    ends = pl.read_parquet(tmp_path / "out.parquet")["w_week_end"]
    query = f"select min(w_week_end), max(w_week_end) from '{tmp_path / 'out.parquet'}'"
    assert duckdb.sql(query).fetchall() == [(ends.min(), ends.max())]
    assert (ends.min(), ends.max()) == (frame["w_week_end"].min(), frame["w_week_end"].max())
    proof = verify(tmp_path / "out.parquet", dates=1)
    assert [(check.name, check.findings) for check in proof.checks] == [(name, []) for name in CHECKS]


def test_questions_go_by_the_names_and_types_of_the_record(tmp_path: Path) -> None:
    source = write(daily(), tmp_path / "p.parquet")
    build(source, tmp_path / "own")
    build(source, tmp_path / "other", date_type="timestamp", prefix="W_")
    for words in (["latest", "--json"], ["explain", "AAA", "2022-03-01", "--json"], ["chart", "AAA"]):
        own, other = (run_cli(words[0], tmp_path / name, *words[1:]) for name in ("own", "other"))
        assert (other.returncode, other.stderr) == (0, "")
        assert other.stdout.replace(str(tmp_path / "other"), "") == own.stdout.replace(str(tmp_path / "own"), "")


# ---- explain ---------------------------------------------------------------------------------------------


def test_explain_reads_the_columns_of_the_prefix(tmp_path: Path) -> None:
    source = write(daily(), tmp_path / "p.parquet")
    build(source, tmp_path / "out", prefix="W_")
    for name in ("W_ret", "w_ret"):
        done = run_cli("explain", tmp_path / "out", "AAA", "2022-03-01", "--feature", name)
        assert done.returncode == 0, done.stderr
    found = json.loads(run_cli("explain", tmp_path / "out", "AAA", "2022-03-01", "--json").stdout)
    assert "are what the output stores" in json.dumps(found)


@pytest.mark.parametrize(
    ("settings", "flag"), [({"rows": "weekly"}, "--rows weekly"), ({"columns_out": ["volume"]}, "--columns-out")]
)
def test_explain_needs_the_prices(tmp_path: Path, settings: dict[str, Any], flag: str) -> None:
    build(write(daily(), tmp_path / "p.parquet"), tmp_path / "out", **settings)
    done = run_cli("explain", tmp_path / "out", "AAA", "2022-03-05")
    assert done.returncode == 3
    assert flag in " ".join(done.stderr.split())


# ---- its report, inspect, questions ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def weekly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weekly table by the command itself."""
    folder = tmp_path_factory.mktemp("shape")
    source = write(gappy(), folder / "p.parquet")
    done = run_cli("build", source, "-o", folder / "out", "--rows", "weekly", "--json")
    assert done.returncode == 0, done.stderr
    (folder / "report.json").write_text(done.stdout)
    return folder / "out"


def test_the_report_counts_both(weekly: Path) -> None:
    report = json.loads((weekly.parent / "report.json").read_text())
    rows = pq.ParquetFile(weekly.parent / "p.parquet").metadata.num_rows
    assert (report["table"], report["rows"], report["daily_rows"]) == ("weekly", read(weekly).num_rows, rows)
    assert report["columns"] == len(read(weekly).column_names)
    assert report["features"] == report["columns"] - 2
    done = run_cli("build", weekly.parent / "p.parquet", "-o", weekly, "--rows", "weekly")
    assert f"{report['rows']:,} weekly rows of 4 symbols, of {rows:,} daily rows" in " ".join(done.stderr.split())


def test_inspect_tells_of_weeks_and_has_no_findings_about_days(weekly: Path) -> None:
    found = weekly_cli.inspect(weekly)
    assert found.rows == read(weekly).num_rows
    assert (found.roles["date"], found.roles["close"]) == ("visible_from", "w_close")
    assert not found.findings
    assert found.build is not None
    assert found.build.input_state == "unchanged"
    assert found.build.command.endswith("--rows weekly")
    done = run_cli("inspect", weekly)
    assert (done.returncode, "calendar" in done.stdout) == (0, False)


def test_inspect_of_a_weekly_table_without_a_close(tmp_path: Path) -> None:
    build(write(daily(), tmp_path / "p.parquet"), tmp_path / "out", rows="weekly", features="momentum")
    found = weekly_cli.inspect(tmp_path / "out")
    assert (found.roles["close"], found.rows) == (None, 36)
    assert found.build is not None
    assert found.build.command.endswith("--rows weekly --features momentum,w_week_end")


def test_questions_open_it(weekly: Path) -> None:
    built = open_output(weekly)
    assert (built.roles["symbol"], built.roles["date"]) == ("symbol", "visible_from")
    some = built.rows(["BBB"], start=dt.date(2022, 7, 1))
    assert set(some["symbol"].to_pylist()) == {"BBB"}
    assert min(some["visible_from"].to_pylist()) >= dt.date(2022, 7, 1)


# ---- verify ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"available": "week-end", "week": "W-WED", "dtype": "float64", "benchmark": ["BBB"]},
        {"symbols": ["CCC", "AAA"], "start": "2022-03-01", "end": "2022-11-30", "features": "all,-bars"},
        pytest.param({"price": "adj", "drop_padding": True, "negative_prices": "absolute"}, marks=pytest.mark.soak),
    ],
    ids=str,
)
def test_a_weekly_table_passes_every_check(tmp_path: Path, options: dict[str, Any]) -> None:
    table = gappy(n_days=420)
    table = table.append_column("adj", pc.multiply(table.column("close"), -0.5))
    build_here(write(table, tmp_path / "p.parquet"), tmp_path / "out", rows="weekly", **options)
    proof = verify(tmp_path / "out", dates=2)
    assert [(check.name, check.findings) for check in proof.checks] == [(name, []) for name in CHECKS]
    assert not proof.not_checked


def test_rows_of_moments_and_repeats_pass(tmp_path: Path) -> None:
    table = gappy()
    again = table.slice(100, 300).set_column(5, "close", pa.nulls(300, pa.float64()))
    source = write(pa.concat_tables([table, again]), tmp_path / "p.parquet")
    build_here(source, tmp_path / "out", rows="weekly", on_duplicates="last", features="w_ret")
    assert verify(tmp_path / "out", dates=1).passed


def put(name: str, row: int, value: Any) -> Any:
    def change(made: pa.Table) -> pa.Table:
        values = made.column(name).to_pylist()
        values[row] = value
        field = made.schema.field(name)
        return made.set_column(made.schema.get_field_index(name), field, pa.array(values, field.type))

    return change


def unfinished(made: pa.Table) -> pa.Table:
    """One week more, as if it were over."""
    more = put("w_week_end", -1, dt.date(2023, 1, 6))(made)
    more = put("visible_from", -1, dt.date(2023, 1, 7))(more)
    return pa.concat_tables([made, more.slice(made.num_rows - 1)])


@pytest.mark.parametrize(
    ("change", "check", "says"),
    [
        (lambda made: made.slice(1), "rows", "no row of that week in the table, one row"),
        (lambda made: pa.concat_tables([made.slice(0, 3), made.slice(2)]), "rows", "several rows"),
        (lambda made: made.take(pa.array([1, 0, *range(2, made.num_rows)])), "rows", "too late"),
        (put("visible_from", 4, dt.date(2022, 1, 4)), "rows", "not seen from that day on"),
        (unfinished, "rows", "is of no week of the input"),
        (lambda made: made.drop_columns(["visible_from"]), "columns", "visible_from"),
        (put("w_close", 7, 3.25), "values", "w_close is 3.25 in the table"),
        (put("w_ret", 9, 0.5), "reference", "w_ret is 0.5 in the table"),
    ],
    ids=["missing", "twice", "order", "seen too early", "not over", "column", "value", "reference"],
)
def test_damage_is_found(weekly: Path, tmp_path: Path, change: Any, check: str, says: str) -> None:
    made = read(weekly)
    changed = change(made).replace_schema_metadata(made.schema.metadata)
    pq.write_table(changed, tmp_path / "out.parquet", write_page_checksum=True)
    proof = verify(tmp_path / "out.parquet", dates=1)
    assert check in failed(proof)
    assert says in "\n".join(finding for one in proof.checks for finding in one.findings)


def test_bars_of_weeks_that_are_not_over_are_found_by_verify(weekly: Path, tmp_path: Path) -> None:
    """The command says so, too, with its exit code."""
    made = read(weekly)
    pq.write_table(unfinished(made).replace_schema_metadata(made.schema.metadata), tmp_path / "out.parquet")
    done = run_cli("verify", tmp_path / "out.parquet", "--symbols", 1, "--dates", 0)
    assert (done.returncode, "failed: bytes, rows" in " ".join(done.stdout.split())) == (7, True)
    assert len(parts(weekly)) == 1
