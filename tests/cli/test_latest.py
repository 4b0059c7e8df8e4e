"""`latest`: what the next session may see is what a build with that session's row stores, for every way to build."""

from __future__ import annotations

import datetime
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from frames import build, daily, read, run_cli, write, write_files

from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.files.answer import check_answer, write_answer
from weekly_cli.questions import histories
from weekly_cli.questions.latest import FACTS, Latest, latest

#: Business days of 2022 and 2023, with Fridays, and weeks of which nothing but a part is there.
DAYS = 330


def prices(n_days: int = DAYS) -> pa.Table:
    """Four symbols with an adjusted close, days without a price, padding, negative prices and one late beginning."""
    rng = np.random.default_rng(3)
    frame = daily(["AAA", "BBB", "CCC", "SPY"], n_days).to_pandas()
    frame["adjusted"] = frame["close"] * rng.choice([0.5, 0.25])
    frame.loc[rng.random(len(frame)) < 0.03, "close"] = np.nan
    frame.loc[rng.random(len(frame)) < 0.03, "close"] *= -1
    padded = frame.index[rng.random(len(frame)) < 0.03][4:]
    for column in ("open", "high", "low", "close", "adjusted"):
        frame.loc[padded, column] = frame[column].shift(4)[padded]
    frame.loc[padded, "volume"] = 0
    frame = frame[(frame["symbol"] != "CCC") | (pd.to_datetime(frame["date"]) > "2023-01-20")]
    return pa.Table.from_pandas(frame, preserve_index=False)


def until(table: pa.Table, day: datetime.date) -> pa.Table:
    return table.filter(pc.less_equal(table.column("date"), day))


def row_of(output: Path, day: datetime.date) -> pa.Table:
    rows = read(output)
    return rows.filter(pc.equal(rows.column("date"), day))


def weekly(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name.startswith("w_")]


WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "benchmark": {"benchmark": ["SPY"], "dtype": "float64"},
    "sectors": {"sector_map": "sectors.csv"},
    "price": {"price": "adjusted", "adjust_volume": True, "week": "W-WED"},
    "treated": {"negative_prices": "absolute", "drop_padding": True},
    "week end": {"available": "week-end", "benchmark": ["SPY"], "price": "adjusted"},
    "some": {"features": "w_rsi_14,w_sma_20", "week": "W-SUN"},
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_next_session_sees_what_a_build_with_its_row_stores(tmp_path: Path, way: str) -> None:
    """For a newest row on each weekday. What `week-end` adds on a week's own last day is not known before it."""
    settings = dict(WAYS[way])
    if "sector_map" in settings:
        settings["sector_map"] = str(tmp_path / "sectors.csv")
        Path(settings["sector_map"]).write_text("symbol,sector\nAAA,SPY\nCCC,BBB\n", encoding="utf-8")
    table = prices()
    days = sorted(set(table.column("date").to_pylist()))[-6:]
    whole = tmp_path / "whole"
    build(write(table, tmp_path / "whole.parquet"), whole, **settings | {"available": "next-week"})
    n_new = set()
    for last, session in itertools.pairwise(days):
        output = tmp_path / f"until {last}"
        build(write(until(table, last), tmp_path / f"{last}.parquet"), output, **settings)
        found = latest(str(output))
        stored = row_of(whole, session)
        assert found.table.column("session").to_pylist() == [session] * 4
        assert found.table.column("last_date").to_pylist() == [last] * 4
        assert found.table.column("symbol").type == stored.column("symbol").type
        names = weekly(stored)
        assert found.table.column_names == ["symbol", *FACTS, *(name for name in names if name != "w_week_end")]
        for name in names:
            assert found.table.column(name).to_pylist() == stored.column(name).to_pylist(), name
            assert found.table.schema.field(name).type == stored.schema.field(name).type
        n_new.add(int(found.computed.sum()))
    stores_none = "w_week_end" not in names
    assert n_new == ({0} if way == "week end" else {4} if stores_none else {0, 4})


@pytest.fixture(scope="module")
def friday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output whose newest row is of a Friday, but for one symbol, which ended on a Wednesday."""
    folder = tmp_path_factory.mktemp("friday")
    table = prices(310)
    assert max(table.column("date").to_pylist()).weekday() == 4
    ended = pc.and_(
        pc.equal(table.column("symbol"), "BBB"), pc.greater(table.column("date"), datetime.date(2023, 3, 1))
    )
    (folder / "sectors.csv").write_text("symbol,sector\nAAA,SPY\n", encoding="utf-8")
    source = write_files(table.filter(pc.invert(ended)), folder / "prices", 3)
    build(source, folder / "out", benchmark=["SPY"], sector_map=str(folder / "sectors.csv"))
    return folder / "out"


def by_symbol(found: Latest) -> dict[str, dict[str, Any]]:
    return {row["symbol"]: row for row in found.to_dict()["rows"]}


def test_each_symbol_has_the_session_after_its_own_last_row(friday: Path) -> None:
    rows = by_symbol(latest(str(friday)))
    assert [rows["AAA"][name] for name in FACTS] == ["2023-03-10", "2023-03-13", "2023-03-10", 3]
    assert [rows["BBB"][name] for name in FACTS] == ["2023-03-01", "2023-03-02", "2023-02-24", 6]
    assert rows["AAA"]["in_no_row_yet"]
    assert not rows["BBB"]["in_no_row_yet"]


def test_one_session_for_all(friday: Path) -> None:
    found = latest(str(friday), session=datetime.date(2023, 3, 14))
    assert set(found.table.column("session").to_pylist()) == {datetime.date(2023, 3, 14)}
    rows = by_symbol(found)
    assert (rows["AAA"]["w_week_end"], rows["AAA"]["age_days"]) == ("2023-03-10", 4)
    assert (rows["BBB"]["w_week_end"], rows["BBB"]["w_days"]) == ("2023-03-03", 3)
    with pytest.raises(UsageError, match="AAA 2023-03-10"):
        latest(str(friday), session=datetime.date(2023, 3, 10))


def test_only_some_symbols_and_columns(friday: Path) -> None:
    every = by_symbol(latest(str(friday)))
    found = latest(str(friday), symbols=["SPY", "AAA"], features="momentum,w_rs_sector")
    assert found.table.column_names[5:] == [
        *("w_rsi_14", "w_rsi_21", "w_rsi_30", "w_macd", "w_macd_signal", "w_macd_hist", "w_macd_hist_slope"),
        "w_rs_sector",
    ]
    for symbol, row in by_symbol(found).items():
        assert row == {name: every[symbol][name] for name in row}
    for arguments, message in (
        ({"symbols": ["SPX"]}, "has no symbol SPX; did you mean SPY"),
        ({"features": "w_rsi_15"}, "no column w_rsi_15 that build added.*did you mean w_rsi"),
        ({"features": "w_rs_subsector"}, "no column w_rs_subsector that build added"),
    ):
        with pytest.raises(UsageError, match=message):
            latest(str(friday), **arguments)


@pytest.mark.parametrize("n_bytes", [1, 40_000])
def test_blocks_of_any_size_give_the_same(friday: Path, monkeypatch: pytest.MonkeyPatch, n_bytes: int) -> None:
    every = latest(str(friday))
    monkeypatch.setattr(histories, "_BLOCK_BYTES", n_bytes)
    found = latest(str(friday))
    assert found.table.equals(every.table)


@pytest.mark.parametrize("n_rows", [40, 700])
def test_row_groups_of_any_size_give_the_same(friday: Path, tmp_path: Path, n_rows: int) -> None:
    """Others may have written the rows again: a symbol may go on in the next row group, or in several."""
    rows = read(friday).replace_schema_metadata(pq.read_schema(next(friday.glob("*.parquet"))).metadata)
    write(rows, tmp_path / "a.parquet", row_group_size=n_rows)
    for symbols in (None, ["BBB"], ["AAA", "SPY"]):
        found = latest(str(tmp_path / "a.parquet"), symbols=symbols)
        assert found.table.equals(latest(str(friday), symbols=symbols).table)


def test_symbols_with_weekdays_of_their_own(tmp_path: Path) -> None:
    """A currency that trades every day beside shares that do not, and a share of three rows."""
    every_day = pa.array(np.arange("2022-01-01", "2022-07-02", dtype="datetime64[D]"))  # a Friday
    currency = daily(["BTC"], len(every_day)).set_column(1, "date", every_day)
    shares = until(daily(["AAA"], 200), datetime.date(2022, 7, 1))
    new = shares.filter(pc.greater(shares.column("date"), datetime.date(2022, 6, 28)))
    new = new.set_column(0, "symbol", pa.array(["NEW"] * 3))
    build(write(pa.concat_tables([currency, shares, new]), tmp_path / "prices.parquet"), tmp_path / "out")
    sessions = {symbol: row["session"] for symbol, row in by_symbol(latest(str(tmp_path / "out"))).items()}
    assert sessions == {"AAA": "2022-07-04", "BTC": "2022-07-02", "NEW": "2022-07-04"}
    alone = latest(str(tmp_path / "out"), symbols=["NEW"])
    assert by_symbol(alone)["NEW"]["session"] == "2022-07-04"


@pytest.mark.parametrize(
    "roles",
    [
        {"rename": {"date": "dt", "symbol": "code"}, "columns": "symbol=exchange+code"},
        {"rename": {"close": "Price of the day"}, "drop": ["open", "high", "low"]},
        {"rename": {"date": "When"}, "numbers": True, "columns": "date=When"},
    ],
    ids=["joined", "one price", "numbers"],
)
def test_columns_have_the_roles_that_the_build_gave_them(tmp_path: Path, roles: dict[str, Any]) -> None:
    table = until(daily(["A", "B"], 200), datetime.date(2022, 9, 16)).append_column("exchange", pa.array(["X"] * 370))
    if roles.get("numbers"):
        number = pa.array([int(day.strftime("%Y%m%d")) for day in table.column("date").to_pylist()])
        table = table.set_column(1, "date", number)
    table = table.drop_columns(roles.get("drop", []))
    table = table.rename_columns([roles["rename"].get(name, name) for name in table.column_names])
    columns = {"columns": dict([roles["columns"].split("=")])} if "columns" in roles else {}
    build(write(table, tmp_path / "prices.parquet"), tmp_path / "out", **columns)
    found = latest(str(tmp_path / "out"))
    assert set(found.table.column("session").to_pylist()) == {datetime.date(2022, 9, 19)}
    assert set(found.table.column("w_week_end").to_pylist()) == {datetime.date(2022, 9, 16)}


# ---- what can't be answered ------------------------------------------------------------------------------


def test_a_sector_map_that_is_gone_or_has_changed(tmp_path: Path) -> None:
    sectors, moved = tmp_path / "sectors.csv", tmp_path / "moved.csv"
    sectors.write_text("symbol,sector\nAAA,SPY\n", encoding="utf-8")
    build(write(prices(310), tmp_path / "prices.parquet"), tmp_path / "out", sector_map=str(sectors))
    output = str(tmp_path / "out")
    every = latest(output)
    sectors.rename(moved)
    with pytest.raises(InputRefused, match=r"w_beta_sector_52, .*sectors\.csv can't be read.*--features all,-relative"):
        latest(output)
    assert latest(output, sector_map=str(moved)).table.equals(every.table)
    assert len(latest(output, features="all,-relative").table) == 4
    sectors.write_text("symbol,sector\nAAA,BBB\n", encoding="utf-8")
    with pytest.raises(InputRefused, match=r"AAA on 2023-03-10 is .*has the sector map changed"):
        latest(output)


def test_rows_that_do_not_reach_back_far_enough(tmp_path: Path) -> None:
    source = write(prices(310), tmp_path / "prices.parquet")
    build(source, tmp_path / "out", start="2023-01-02")
    with pytest.raises(InputRefused, match=r"w_bars of AAA on 2023-03-10 is .*--start 2023-01-02"):
        latest(str(tmp_path / "out"))
    build(source, tmp_path / "alone", symbols=["AAA"], benchmark=["SPY"])
    with pytest.raises(InputRefused, match=r"benchmark SPY: .* has no such symbol"):
        latest(str(tmp_path / "alone"))


def test_rows_in_another_order_are_told(friday: Path, tmp_path: Path) -> None:
    rows = read(friday)
    write(rows.take(pa.array(np.arange(rows.num_rows)[::-1])), tmp_path / "out/a.parquet")
    with pytest.raises(InputRefused, match="do not ascend by symbol and date"):
        latest(str(tmp_path / "out"))


# ---- the command -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command(friday: Path, tmp_path: Path) -> None:
    done = run_cli("latest", friday, "-o", tmp_path / "latest.parquet", env={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "BBB     2023-03-01  2023-03-02  2023-02-24    6" in done.stdout
    assert "of 3 symbols, the session sees a bar that no row sees yet" in " ".join(done.stdout.split())
    found = latest(str(friday)).table
    assert pq.read_table(tmp_path / "latest.parquet").equals(found)
    done = run_cli("latest", friday, "-o", tmp_path / "latest.csv", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    frame = pd.read_csv(tmp_path / "latest.csv")
    assert frame["w_rsi_14"].tolist() == pytest.approx([row["w_rsi_14"] or np.nan for row in rows], nan_ok=True)
    assert [row["w_week_end"] for row in rows] == frame["w_week_end"].tolist()


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_no_answer_is_not_replaced(friday: Path, tmp_path: Path, suffix: str) -> None:
    mine, again = tmp_path / f"mine{suffix}", tmp_path / f"again{suffix}"
    mine.write_text("symbol,close\nAAA,1\n", encoding="utf-8")
    with pytest.raises(UsageError, match="is not an answer of weekly-cli latest"):
        check_answer(str(mine), "-o", "latest", FACTS)
    found = latest(str(friday), features="w_rsi_14").table
    for _ in range(2):
        check_answer(str(again), "-o", "latest", FACTS)
        write_answer(str(again), found, "latest")
    assert sorted(path.name for path in tmp_path.iterdir()) == [again.name, mine.name]
    with pytest.raises(UsageError, match=r"ends in .parquet or .csv"):
        check_answer(str(tmp_path / "latest.txt"), "-o", "latest", FACTS)
