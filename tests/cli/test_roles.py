"""Symbols and dates that are no plain columns: file names, constants, several columns, numbers, text, moments, maps.

Each input stands for a plain one; its features must be those of the plain one, and `verify` must agree.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from frames import build_here, business_days, daily, read, report_here, run_cli, write
from rounds import soaked

from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.run import cuts
from weekly_cli.verify import verify

pytestmark = pytest.mark.slow

FEW = "w_week_end,w_close,w_ret,w_days"
PRICES = ["open", "high", "low", "close", "volume"]
SYMBOLS = ("000001", "AAA", "BRK.B")
#: Plain rows, clustered by symbol.
PLAIN = daily(SYMBOLS, 40, order="symbol")


@pytest.fixture(params=soaked(["adaptive"], ["direct"]))
def strategy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(cuts, "LEAST_TASK_ROWS", 16)
    return str(request.param)


def features_of(table: pa.Table) -> list[dict[str, Any]]:
    return table.select(FEW.split(",")).to_pylist()


def same_as_plain(source: Path, tmp_path: Path, strategy: str, plain: pa.Table = PLAIN, **settings: Any) -> pa.Table:
    """Build both, compare the features, verify, and return the output."""
    expected = build_here(write(plain, tmp_path / "plain.parquet"), tmp_path / "expected", features=FEW)
    out = build_here(source, tmp_path / "out", features=FEW, strategy=strategy, **settings)
    assert features_of(out) == features_of(expected)
    assert verify(tmp_path / "out").passed
    return out


def of(symbol: str, table: pa.Table = PLAIN) -> pa.Table:
    return table.filter(pc.equal(table.column("symbol"), symbol)).drop_columns(["symbol"])


# ---- symbols ---------------------------------------------------------------------------------------------


def test_a_file_per_symbol_is_named_after_it(tmp_path: Path, strategy: str) -> None:
    for number, rows in enumerate((of("AAA"), of("BRK.B"))):  # numbers of a writer, and codes of an exchange
        write(rows, tmp_path / "parts" / f"{number}.parquet")
        write(rows, tmp_path / "codes" / f"{(1, 700)[number]:04}.parquet")
    with pytest.raises(InputRefused, match="symbol=@file"):
        build_here(tmp_path / "parts", tmp_path / "x")
    assert set(build_here(tmp_path / "codes", tmp_path / "y").column("symbol").to_pylist()) == {"0001", "0700"}
    for symbol, suffix in zip(SYMBOLS, (".parquet", ".parquet.gzip", ".pq"), strict=True):
        write(of(symbol), tmp_path / "in" / f"{symbol}{suffix}")
    out = same_as_plain(tmp_path / "in", tmp_path, strategy)
    assert out.column("symbol").to_pylist() == PLAIN.column("symbol").to_pylist()
    assert "each file's name" in report_here(tmp_path / "in", tmp_path / "again", features=FEW).notes[0]


@pytest.mark.parametrize(
    "names",
    [
        "{symbol}/prices.parquet",
        "{symbol}/{year}.parquet",
        "{year}/{symbol}.parquet",
        "{symbol}/prices_{year}.parquet",
        "{symbol}_{year}.parquet",
        "{year}-Q3 {symbol}.parquet",
        "{symbol}.{year}-01-01.parquet",
        "{year}/{symbol}-{year}.parquet",
    ],
)
def test_folders_tell_the_symbol_where_files_do_not(tmp_path: Path, strategy: str, names: str) -> None:
    for symbol in SYMBOLS:
        years = (
            [("2022", of(symbol))] if "year" not in names else [("2021", of(symbol)[:20]), ("2022", of(symbol)[20:])]
        )
        for year, rows in years:
            write(rows, tmp_path / "in" / names.format(symbol=symbol, year=year))
    same_as_plain(tmp_path / "in", tmp_path, strategy)


def test_names_with_dates_are_taken_for_symbols_only_where_they_tell_them(tmp_path: Path) -> None:
    """Numbers of an exchange may look like years; prices of two years in two folders may be of two symbols."""
    write(of("AAA"), tmp_path / "codes" / "2018.HK.parquet")
    write(of("BRK.B"), tmp_path / "codes" / "2020.HK.parquet")
    assert set(build_here(tmp_path / "codes", tmp_path / "x").column("symbol").to_pylist()) == {"2018.HK", "2020.HK"}
    write(of("AAA"), tmp_path / "folders" / "AAA" / "prices_2021.parquet")
    write(of("BRK.B"), tmp_path / "folders" / "BBB" / "prices_2022.parquet")
    with pytest.raises(InputRefused, match="symbol=@file"):
        build_here(tmp_path / "folders", tmp_path / "y")


def test_one_symbol_is_the_files_name_or_a_constant(tmp_path: Path, strategy: str) -> None:
    source = write(of("AAA"), tmp_path / "prices.parquet")
    plain = PLAIN.filter(pc.equal(PLAIN.column("symbol"), "AAA"))
    assert set(same_as_plain(source, tmp_path, strategy, plain).column("symbol").to_pylist()) == {"prices"}
    out = build_here(source, tmp_path / "named", features=FEW, symbol="NA")
    assert set(out.column("symbol").to_pylist()) == {"NA"}
    assert verify(tmp_path / "named").passed
    with pytest.raises(InputRefused, match="leave out symbol"):
        build_here(write(PLAIN, tmp_path / "has.parquet"), tmp_path / "x", symbol="AAA")


@pytest.mark.parametrize("name", ["2024", "part-00000-1b4e28ba-2fa1-11d2-883f-0016d3cca427", "part-0"])
def test_names_that_are_no_symbols_are_refused_with_the_ways_out(tmp_path: Path, name: str) -> None:
    source = write(of("AAA"), tmp_path / f"{name}.parquet")
    said = run_cli("build", source, "-q", cwd=tmp_path)
    assert said.returncode == 3
    assert "--symbol AAA" in said.stderr
    assert run_cli("build", source, "-q", "--symbol", "AAA", cwd=tmp_path).returncode == 0
    assert run_cli("build", source, "-q", "-o", "2", "--columns", "symbol=@file", cwd=tmp_path).returncode == 0
    assert set(read(tmp_path / "2").column("symbol").to_pylist()) == {name}


def test_several_columns_are_a_symbol(tmp_path: Path, strategy: str) -> None:
    codes = pa.array([f"X{symbol}" for symbol in PLAIN.column("symbol").to_pylist()])
    venues = pa.array(["XNYS", "XNAS"]).take(pa.array(np.arange(PLAIN.num_rows) % 2))
    split = PLAIN.drop_columns(["symbol"]).append_column("venue", venues).append_column("code", codes)
    joined = pa.array([f"{venue}:{code}" for venue, code in zip(venues.to_pylist(), codes.to_pylist(), strict=True)])
    plain = PLAIN.set_column(0, "symbol", joined)
    source = write(split, tmp_path / "in.parquet")
    out = same_as_plain(source, tmp_path, strategy, plain, columns="symbol=venue+code")
    assert out.column("symbol").to_pylist() == sorted(joined.to_pylist())
    colon = split.set_column(6, "venue", pa.array(["a:b"] * split.num_rows))
    with pytest.raises(InputRefused, match="'a:b'"):
        build_here(write(colon, tmp_path / "colon.parquet"), tmp_path / "x", columns="symbol=venue+code")


def test_a_renamed_symbol_has_one_history(tmp_path: Path, strategy: str) -> None:
    days = business_days(40)
    old = pa.array(np.where(days < days[17], "FB", "META"))
    source = write(of("AAA").append_column("symbol", old), tmp_path / "in.parquet")
    renames = tmp_path / "map.csv"
    renames.write_text(f"old,new,from\nFB,META,{days[17]}\nOTHER,FB,2000-01-01\n")
    plain = of("AAA").append_column("symbol", pa.array(["META"] * 40))
    out = same_as_plain(source, tmp_path, strategy, plain, symbol_map=str(renames))
    assert set(out.column("symbol").to_pylist()) == {"META"}
    reused = old.take(pa.array([*range(39), 0]))  # the last day's FB is another company
    again = build_here(
        write(of("AAA").append_column("symbol", reused), tmp_path / "reused.parquet"),
        tmp_path / "reused",
        features=FEW,
        symbol_map=str(renames),
    )
    assert again.column("symbol").to_pylist() == ["FB", *["META"] * 39]
    renames.write_text("old,new\nFB,META\n")
    with pytest.raises(UsageError, match="old, new and from"):
        build_here(source, tmp_path / "x", symbol_map=str(renames))


# ---- dates -----------------------------------------------------------------------------------------------

DAYS = PLAIN.column("date").to_pylist()
SECONDS = [(day - datetime.date(1970, 1, 1)).days * 86_400 for day in DAYS]
US, NAMED = [f"{day:%m/%d/%Y}" for day in DAYS], [f"{day:%d-%b-%Y}" for day in DAYS]
FORMS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "yyyymmdd": ([int(f"{day:%Y%m%d}") for day in DAYS], {}),
    "yyyymmdd as floats": ([float(f"{day:%Y%m%d}") for day in DAYS], {}),
    "seconds": (SECONDS, {}),
    "milliseconds": ([second * 10**3 for second in SECONDS], {}),
    "microseconds": ([second * 10**6 for second in SECONDS], {}),
    "nanoseconds": ([second * 10**9 for second in SECONDS], {}),
    "days": ([second // 86_400 for second in SECONDS], {"date_unit": "d"}),
    "US text": (US, {"date_format": "%m/%d/%Y"}),
    "text of months": (NAMED, {"date_format": "%d-%b-%Y"}),
    "an hour before midnight": ([(s - 3600) * 10**3 for s in SECONDS], {"timezone": "Europe/Berlin"}),
}


@pytest.mark.parametrize("form", FORMS)
def test_dates_of_any_form_give_the_same_features(tmp_path: Path, strategy: str, form: str) -> None:
    values, settings = FORMS[form]
    table = PLAIN.set_column(1, "date", pa.array(values))
    out = same_as_plain(write(table, tmp_path / "in.parquet"), tmp_path, strategy, **settings)
    assert out.column("date").to_pylist() == values


def test_without_statistics_the_values_tell_the_unit(tmp_path: Path, strategy: str) -> None:
    table = PLAIN.set_column(1, "date", pa.array(FORMS["milliseconds"][0]))
    source = write(table, tmp_path / "in.parquet", write_statistics=False, row_group_size=50)
    same_as_plain(source, tmp_path, strategy)


@pytest.mark.parametrize("as_keys", [False, True])
def test_year_month_and_day_are_a_date(tmp_path: Path, strategy: str, as_keys: bool) -> None:
    if as_keys:
        for day in sorted(set(DAYS)):
            rows = PLAIN.filter(pc.equal(PLAIN.column("date"), day)).drop_columns(["date"])
            write(rows, tmp_path / "in" / f"year={day.year}" / f"month={day.month}" / f"day={day.day}" / "p.parquet")
    else:
        table = PLAIN.drop_columns(["date"])
        for name in ("day", "Year", "MONTH"):
            table = table.append_column(name, pa.array([getattr(day, name.lower()) for day in DAYS], pa.int16()))
        write(table, tmp_path / "in" / "prices.parquet")
    out = same_as_plain(tmp_path / "in", tmp_path, strategy)
    assert out.column("date").to_pylist() == DAYS


def test_the_only_column_of_dates_and_of_prices_are_taken(tmp_path: Path, strategy: str) -> None:
    table = PLAIN.select(["symbol", "date", "close"]).rename_columns(["symbol", "Handelstag", "Kurs"])
    plain = PLAIN.select(["symbol", "date", "close"])
    same_as_plain(write(table, tmp_path / "in.parquet"), tmp_path, strategy, plain)
    report = report_here(tmp_path / "in.parquet", tmp_path / "again", features=FEW)
    assert report.roles == {"symbol": "symbol", "date": "Handelstag", "close": "Kurs"}
    assert (report.first_date, report.last_date) == (str(DAYS[0]), str(DAYS[-1]))


def test_an_unnamed_pandas_index_is_the_date(tmp_path: Path, strategy: str) -> None:
    frame = PLAIN.to_pandas()
    frame.index = frame.pop("date").astype("datetime64[us]")
    frame.index.name = None
    frame["listed"] = frame.index.min()
    frame.to_parquet(tmp_path / "in.parquet")
    same_as_plain(tmp_path / "in.parquet", tmp_path, strategy)


def test_an_unnamed_pandas_index_of_two_levels_is_symbol_and_date(tmp_path: Path, strategy: str) -> None:
    frame = PLAIN.to_pandas()
    frame["listed"] = frame["date"].min()
    frame["note"] = "not the symbol"
    frame = frame.set_index(["symbol", "date"])
    frame.index.names = [None, None]
    frame.to_parquet(tmp_path / "in.parquet")
    same_as_plain(tmp_path / "in.parquet", tmp_path, strategy)


def test_text_of_an_unknown_form_is_refused_with_a_format_that_works(tmp_path: Path) -> None:
    source = write(PLAIN.set_column(1, "date", pa.array(NAMED)), tmp_path / "in.parquet")
    said = run_cli("build", source, "-q", cwd=tmp_path)
    assert said.returncode == 3
    assert repr(NAMED[0]) in said.stderr
    assert '--date-format "%d-%b-%Y"' in said.stderr
    assert run_cli("build", source, "-q", "--date-format", "%d-%b-%Y", cwd=tmp_path).returncode == 0


# ---- files that differ -----------------------------------------------------------------------------------


def test_integers_that_float64_can_not_represent_are_refused(tmp_path: Path) -> None:
    write(of("AAA").append_column("symbol", pa.array(["A"] * 40)), tmp_path / "in" / "a.parquet")
    other = of("AAA").append_column("symbol", pa.array(["B"] * 40))
    other = other.set_column(5, "volume", pa.array([2**53 + 1] * 40))
    write(other, tmp_path / "in" / "b.parquet")
    floats = of("AAA").append_column("symbol", pa.array(["C"] * 40))
    write(floats.set_column(5, "volume", pa.array([0.5] * 40)), tmp_path / "in" / "c.parquet")
    with pytest.raises(InputRefused, match=r"'volume' is int64 in .*b\.parquet but double"):
        build_here(tmp_path / "in", tmp_path / "out", features=FEW)


def test_a_column_without_values_has_no_say_in_the_type(tmp_path: Path, strategy: str) -> None:
    for number, column in enumerate((pa.nulls(40, pa.float64()), pa.array(["x"] * 40), pa.nulls(40, pa.int32()))):
        rows = of(SYMBOLS[number]).append_column("note", column)
        write(rows, tmp_path / "in" / f"{SYMBOLS[number]}.parquet")
    out = build_here(tmp_path / "in", tmp_path / "out", features=FEW, strategy=strategy, columns="symbol=@file")
    assert out.column("note").to_pylist() == [None] * 40 + ["x"] * 40 + [None] * 40
    assert verify(tmp_path / "out").passed


def test_a_date_and_its_midnight_are_the_same_day(tmp_path: Path, strategy: str) -> None:
    for symbol, kind in zip(
        SYMBOLS, (pa.date32(), pa.timestamp("ms", "UTC"), pa.timestamp("us", "+00:00")), strict=True
    ):
        rows = PLAIN.filter(pc.equal(PLAIN.column("symbol"), symbol))
        dates = rows.column("date")
        dates = dates if kind == pa.date32() else dates.cast(pa.timestamp(kind.unit)).cast(kind)
        write(rows.set_column(1, "date", dates), tmp_path / "in" / f"{symbol}.parquet")
    same_as_plain(tmp_path / "in", tmp_path, strategy)
    notes = report_here(tmp_path / "in", tmp_path / "again", features=FEW).notes
    assert any(note.startswith("date: date32[day] and timestamp[ms, tz=UTC]") for note in notes)
