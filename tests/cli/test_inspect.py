"""`inspect`: what it counts against pandas, in every layout and from several writers; its views, and its commands."""

from __future__ import annotations

import datetime
import io
import json
import os
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import ROOT, build, daily, report_of, run_cli, run_line, shuffled, write, write_files
from rich.console import Console

import weekly_cli
from weekly_cli.cli.views.inspect import show
from weekly_cli.dataset.calendar import fitting_anchor
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.inspection import facts, suspects
from weekly_cli.names import ANCHORS

pytestmark = pytest.mark.slow

PRICES = ("open", "high", "low", "close")
README = (ROOT / "weekly_cli/README.md").read_text(encoding="utf-8")


def random_prices(seed: int) -> pa.Table:
    """Symbols that begin late and pause; prices that nobody can use; rows without keys and repeated ones."""
    rng = np.random.default_rng(seed)
    table = daily([f"S{number}" for number in range(int(rng.integers(2, 9)))], int(rng.integers(30, 500)), seed=seed)
    frame = table.to_pandas()
    frame["adjusted"] = frame["close"] * 0.5
    frame["sector"] = pd.Series(["tech", None, "oil"])[rng.integers(0, 3, len(frame))].to_numpy()
    for column in (*PRICES, "adjusted"):
        for value in (np.nan, 0.0, -1.5, np.inf, -np.inf):
            frame.loc[rng.random(len(frame)) < 0.01, column] = value
    frame.loc[rng.random(len(frame)) < 0.02, "volume"] = -3
    frame.loc[rng.random(len(frame)) < 0.02, "volume"] = 0
    frame.loc[rng.random(len(frame)) < 0.03, "high"] *= 0.9
    frame = frame[rng.random(len(frame)) < 0.9]
    begins = frame["symbol"].map({symbol: rng.integers(0, 25) for symbol in frame["symbol"].unique()})
    frame = frame[pd.to_datetime(frame["date"]) >= pd.Timestamp("2022-01-03") + pd.to_timedelta(begins, "D")]
    frame = pd.concat([frame, frame.sample(5, random_state=seed)])
    made = pa.Table.from_pandas(frame, preserve_index=False)
    nulls = pa.array(rng.random(made.num_rows) < 0.01)
    for name in ("symbol", "close", "volume"):
        column = pa.compute.if_else(nulls, pa.scalar(None, made.schema.field(name).type), made.column(name))
        made = made.set_column(made.schema.names.index(name), name, column)
    # pandas made nulls of NaN; some are to be NaN
    as_nan = pa.compute.if_else(pa.array(rng.random(made.num_rows) < 0.5), float("nan"), None)
    return made.set_column(2, "open", pa.compute.coalesce(made.column("open"), as_nan))


def in_layout(table: pa.Table, layout: str) -> pa.Table:
    by = {"date": [("date", "ascending")], "symbol": [("symbol", "ascending"), ("date", "ascending")]}
    return table.sort_by(by[layout]) if layout in by else shuffled(table)


def by_arrow(table: pa.Table, folder: Path) -> Path:
    return write_files(table, folder, 3)


def by_polars(table: pa.Table, folder: Path) -> Path:
    folder.mkdir()
    pl.from_arrow(table).write_parquet(folder / "prices.parquet", row_group_size=200)
    return folder


def by_duckdb(table: pa.Table, folder: Path) -> Path:
    folder.mkdir()
    duckdb.from_arrow(table).write_parquet(str(folder / "prices.parquet"))
    return folder


def without_statistics(table: pa.Table, folder: Path) -> Path:
    return write(table, folder / "prices.parquet", write_statistics=False, row_group_size=100, use_dictionary=False)


WRITERS: tuple[Callable[[pa.Table, Path], Path], ...] = (by_arrow, by_polars, by_duckdb, without_statistics)


def words(text: str) -> str:
    """The text as one line, without the columns of a table."""
    return " ".join(text.split())


def run_shell(command: str, folder: Path) -> str:
    """Run a suggested command as a user does, quietly; return what it has to say."""
    done = run_line(f"{command} --quiet", folder)
    assert done.returncode == 0, done.stderr
    return done.stderr


def usable(frame: pd.DataFrame, column: str) -> pd.Series:
    least = frame[column] >= 0 if column == "volume" else frame[column] > 0
    return least & np.isfinite(frame[column])


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
@pytest.mark.parametrize("layout", ["date", "symbol", "shuffled"])
def test_counts_are_those_of_pandas(tmp_path: Path, writer: Callable[[pa.Table, Path], Path], layout: str) -> None:
    seed = WRITERS.index(writer) * 3 + len(layout)
    table = in_layout(random_prices(seed), layout)
    found = weekly_cli.inspect(writer(table, tmp_path / "prices"))
    frame = pd.DataFrame({name: table.column(name).to_pylist() for name in table.column_names})
    numbers = frame[[*PRICES, "adjusted", "volume"]].astype(float)
    frame[numbers.columns] = numbers

    for column in found.columns:
        nulls = table.column(column.name).null_count
        assert column.values.nulls == nulls, column
        if column.name in numbers:
            values = numbers[column.name]
            expected = {
                "nan": int(values.isna().sum()) - nulls,
                "infinite": int(np.isinf(values).sum()),
                "zero": int((values == 0).sum()),
                "negative": int((np.isfinite(values) & (values < 0)).sum()),
            }
            assert {name: getattr(column.values, name) for name in expected} == expected, column
            bad = int((~usable(frame, column.name)).sum())
            assert column.unusable == (0 if column.name == "adjusted" else bad), column

    keyed = frame[frame["symbol"].notna() & frame["date"].notna()]
    symbols = keyed.groupby("symbol")["date"]
    assert (found.rows, found.symbols, found.rows_without_key) == (
        len(frame),
        symbols.ngroups,
        len(frame) - len(keyed),
    )
    assert (found.first, found.last) == (keyed["date"].min(), keyed["date"].max())
    assert found.repeated_rows == int(keyed.duplicated(["symbol", "date"]).sum())
    assert found.unusable_rows == int((~usable(keyed, "close")).sum())
    histories = pd.DataFrame({"rows": symbols.size(), "first": symbols.min(), "last": symbols.max()}).reset_index()
    shortest = histories.sort_values(["rows", "symbol"]).head(5)
    longest = histories.sort_values(["rows", "symbol"], ascending=[False, True]).head(5)
    for shown, expected_rows in ((found.shortest, shortest), (found.longest, longest)):
        assert [(one.symbol, one.rows, one.first, one.last) for one in shown] == list(
            expected_rows[["symbol", "rows", "first", "last"]].itertuples(index=False, name=None)
        )
    assert [(year.year, year.rows) for year in found.years] == list(
        keyed.groupby(pd.to_datetime(keyed["date"]).dt.year).size().items()
    )
    assert completeness(keyed) == pytest.approx({year.year: year.complete for year in found.years})


def completeness(keyed: pd.DataFrame) -> dict[int, float]:
    """Pairs of a session and a symbol alive on it that have a row."""
    spans = keyed.groupby("symbol")["date"].agg(["min", "max"])
    shares = {}
    for day, symbols in keyed.groupby("date")["symbol"].nunique().items():
        shares[day] = symbols / ((spans["min"] <= day) & (spans["max"] >= day)).sum()
    median = np.median(list(shares.values()))
    days = [day for day, share in shares.items() if share >= median / 2]
    due: dict[int, int] = {}
    there: dict[int, int] = {}
    for _, dates in keyed.groupby("symbol")["date"]:
        own = set(dates)
        for day in days:
            if min(own) <= day <= max(own):
                due[day.year] = due.get(day.year, 0) + 1
                there[day.year] = there.get(day.year, 0) + (day in own)
    return {year: there[year] / due[year] for year in due}


def test_rows_are_counted_as_the_report_counts_them(tmp_path: Path) -> None:
    prices = write(random_prices(77), tmp_path / "prices.parquet")
    found = weekly_cli.inspect(prices)
    report = report_of(prices, tmp_path / "out", on_bad_rows="drop", on_duplicates="first")
    plain = write(random_prices(77).group_by(["symbol", "date"], use_threads=False).aggregate(
        [(name, "first") for name in (*PRICES, "volume")]
    ).rename_columns(["symbol", "date", *PRICES, "volume"]), tmp_path / "plain.parquet")  # fmt: skip
    once = weekly_cli.inspect(plain)
    assert found.repeated_rows == report.duplicates_dropped > 0
    assert found.rows_without_key == report.bad_rows_dropped > 0
    quality = report.quality
    assert (once.unusable_rows, once.high_below_low, once.close_outside_range) == (
        quality["unusable_close"],
        quality["high_below_low"],
        quality["close_outside_range"],
    )
    assert quality["high_below_low"] > 0


# ---- the calendar ----------------------------------------------------------------------------------------


def on_weekdays(weekdays: str, n_days: int = 700) -> pa.Table:
    """Rows of three symbols on some weekdays, 0 for Monday."""
    days = [day for day in pd.date_range("2021-01-01", periods=n_days) if str(day.day_of_week) in weekdays]
    return daily(n_days=len(days)).set_column(1, "date", pa.array([day.date() for day in days for _ in range(3)]))


@pytest.mark.parametrize(
    ("weekdays", "anchor", "said"),
    [
        ("01234", "W-FRI", "Mon to Fri"),
        ("60123", "W-THU", "Sun to Thu"),
        ("56012", "W-WED", "Sat to Wed"),
        ("0123456", "W-SUN", "every day"),
        ("012345", "W-SAT", "Mon to Sat"),
        ("4", "W-FRI", "Fri"),
        ("13", "W-THU", "Tue, Thu"),
    ],
)
def test_the_calendar_and_the_week_that_fits(tmp_path: Path, weekdays: str, anchor: str, said: str) -> None:
    prices = write(on_weekdays(weekdays), tmp_path / "prices.parquet")
    done = run_cli("inspect", prices)
    assert f"calendar {said}: " in words(done.stdout)
    found = weekly_cli.inspect(prices)
    assert found.calendar is not None
    assert found.calendar.anchor == anchor
    assert len(weekdays) - 0.2 < found.calendar.sessions_a_week <= len(weekdays)
    command = done.stdout.splitlines()[-1].strip()
    assert command == f"weekly-cli build {prices}" + (f" --week {anchor}" if anchor != "W-FRI" else "")


@pytest.mark.parametrize("chosen", ANCHORS)
def test_a_chosen_week_that_fits_stays(chosen: str) -> None:
    """No session of a five-day week lies on the other side of an anchor from Friday to Sunday."""
    kept = chosen in ("W-FRI", "W-SAT", "W-SUN")
    assert fitting_anchor(range(5), chosen) == (chosen if kept else "W-FRI")
    assert fitting_anchor(range(7), chosen) == chosen


def test_strays_are_no_sessions(tmp_path: Path) -> None:
    """One symbol of twenty with rows at weekends, and a make-up Saturday of all."""
    many = daily([f"S{number:02d}" for number in range(20)], 521).to_pandas()
    weekend = many[(many["symbol"] == "S00") & (pd.to_datetime(many["date"]).dt.day_of_week == 4)].copy()
    weekend["date"] = weekend["date"].map(lambda day: day + datetime.timedelta(days=1))
    saturday = many[many["date"] == datetime.date(2023, 3, 3)].assign(date=datetime.date(2023, 3, 4))
    table = pa.Table.from_pandas(pd.concat([many, weekend, saturday]).drop_duplicates(["symbol", "date"]))
    found = weekly_cli.inspect(write(table, tmp_path / "prices.parquet"))
    assert found.calendar is not None
    assert found.calendar.trading_weekdays == ("Mon", "Tue", "Wed", "Thu", "Fri")
    assert found.calendar.sessions == 522
    assert found.calendar.weekdays["Sat"] == 104 + 19
    assert {year.complete for year in found.years} == {1.0}


def test_a_hole_is_seen(tmp_path: Path) -> None:
    """A month that half of the symbols lack, and one that all do."""
    table = daily(["A", "B", "C", "D"], 260).to_pandas()
    month = pd.to_datetime(table["date"]).dt.month
    table = table[~((month == 3) & table["symbol"].isin(["A", "B"])) & (month != 6)]
    prices = write(pa.Table.from_pandas(table, preserve_index=False), tmp_path / "prices.parquet")
    (year,) = weekly_cli.inspect(prices).years
    assert year.months == (1.0, 1.0, 0.5, 1.0, 1.0, None, *[1.0] * 6)
    assert "2022  ████▒▒████  ████████████" in run_cli("inspect", prices).stdout
    plain = run_cli("inspect", prices, env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert "2022  ####--####  ############" in plain.stdout
    assert "pauses 31 days before 2022-07-01" in words(plain.stdout)


def test_many_years_share_lines(tmp_path: Path) -> None:
    days = pa.array([datetime.date(year, 7, 1) for year in range(1700, 2020)])
    table = pa.table({"symbol": ["A"] * 320, "date": days, "close": np.arange(1.0, 321.0)})
    done = run_cli("inspect", write(table, tmp_path / "prices.parquet"))
    lines = [line for line in done.stdout.splitlines() if re.match(r"\d{4}-\d{4} ", line)]
    assert 20 < len(lines) <= 24
    assert max(len(line) for line in done.stdout.splitlines() if not line.startswith("  ")) <= 80


# ---- views -----------------------------------------------------------------------------------------------


def test_json_has_the_documented_keys(tmp_path: Path) -> None:
    done = run_cli("inspect", write(daily(), tmp_path / "prices.parquet"), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    section = README.partition("\n## Inspect\n")[2].partition("\n## ")[0]
    documented = [name for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in row.split("`")[1::2]]
    assert sorted(documented) == sorted(found) == sorted(field.name for field in fields(facts.Inspection))
    for kind, entry in (("Column", found["columns"][0]), ("Year", found["years"][0]), ("History", found["longest"][0])):
        assert list(entry) == [field.name for field in fields(getattr(facts, kind))]
    assert found["rows"] == 180
    assert found["first"] == "2022-01-03"
    assert found["build"] is None


def test_nothing_to_tell(tmp_path: Path) -> None:
    empty = write(daily().slice(0, 0), tmp_path / "empty.parquet")
    done = run_cli("inspect", empty)
    assert (done.returncode, done.stderr) == (0, "")
    assert "rows 0 of 0 symbols" in words(done.stdout)
    assert done.stdout.endswith("\nNo build fits: there are no rows with a symbol and a date.\n")
    assert weekly_cli.inspect(empty).to_dict()["first"] is None


def test_a_single_row(tmp_path: Path) -> None:
    found = weekly_cli.inspect(write(daily(["A"], 1), tmp_path / "one.parquet"))
    assert (found.rows, found.symbols, found.shortest, found.layout) == (1, 1, found.longest, "clustered by symbol")
    assert [year.complete for year in found.years] == [1.0]
    assert found.command is not None
    assert run_shell(found.command, tmp_path) == ""


def test_no_close_is_usable(tmp_path: Path) -> None:
    table = pa.table({"symbol": ["A"], "date": ["2024-01-02"], "close": [0.0]})
    found = weekly_cli.inspect(write(table, tmp_path / "prices.parquet"))
    assert (found.unusable_rows, found.command) == (1, None)


def test_names_do_not_reach_the_terminal_as_they_are(tmp_path: Path) -> None:
    table = daily(["\x1b[31mRED", "a\nb", "\u202eRTL", "[bold]x"], 10).append_column(
        "\x1b]0;t\x07", pa.array([1.0] * 40)
    )
    prices = write(table, tmp_path / "prices.parquet")
    done = run_cli("inspect", prices)
    assert done.returncode == 0
    assert all(line.isprintable() for line in done.stdout.splitlines())
    assert "[bold]x" in done.stdout
    assert "\\x1b[31mRED" in done.stdout
    plain = run_cli("inspect", prices, env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1"})
    assert plain.returncode == 0, plain.stderr


def test_other_alphabets_on_a_terminal_that_lacks_them(tmp_path: Path) -> None:
    prices = write(daily(["Ак", "فولاد"], 10), tmp_path / "prices.parquet")
    done = run_cli("inspect", prices, env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u0410\\u043a" in done.stdout


@pytest.mark.slow
def test_what_can_not_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no PAR1")
    (tmp_path / "empty").mkdir()
    for name in ("bad.parquet", "empty", "nowhere"):
        done = run_cli("inspect", tmp_path / name)
        assert (done.returncode, done.stdout) == (3, "")
        assert done.stderr.count("\n") == 1
        assert name in done.stderr
    with pytest.raises(InputRefused):
        weekly_cli.inspect(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="momentun"):
        weekly_cli.inspect(tmp_path, momentun=1)


def test_roles_by_hand_and_missing_ones(tmp_path: Path) -> None:
    table = pa.table({"Name": ["A", "B"], "Day": ["2024-01-02", "2024-01-03"], "Px": [1.0, 2.0]})
    prices = write(table, tmp_path / "my prices.parquet")
    done = run_cli("inspect", prices, "--columns", "symbol=Name,date=Day", "--columns", "close=Px")
    assert done.returncode == 0, done.stderr
    assert "symbol=Name, date=Day, close=Px; no open, high, low: " in words(done.stdout)
    command = done.stdout.splitlines()[-1].strip()
    assert "--columns symbol=Name --columns date=Day --columns close=Px" in command
    assert run_shell(command, tmp_path) == ""


# ---- the build that fits ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["date", "shuffled"])
def test_the_build_that_fits_runs(tmp_path: Path, layout: str) -> None:
    """With repeated rows, rows without a key and another week, from a folder whose name a shell would split."""
    frame = on_weekdays("60123", 200).to_pandas()
    frame = pd.concat([frame, frame.head(4), frame.head(1).assign(symbol=None)])
    table = in_layout(pa.Table.from_pandas(frame, preserve_index=False), layout)
    write(table, tmp_path / "it's $HOME/-x *" / "prices.parquet")
    (tmp_path / "weekly.toml").write_text('quiet = true\non_bad_rows = "error"\n')
    done = run_cli("inspect", "it's $HOME", "--week", "W-MON", cwd=tmp_path)
    command = done.stdout.splitlines()[-1].strip()
    assert command == ("weekly-cli build 'it'\"'\"'s $HOME' --week W-THU --on-bad-rows drop --on-duplicates last")
    assert run_shell(command, tmp_path) == ""
    assert run_cli("verify", "daily_weekly", cwd=tmp_path).returncode == 0


def test_an_adjusted_close_is_used(tmp_path: Path) -> None:
    """It is a role of its own: a row needs both closes. One with more holes than the close is not advised."""
    table = daily(n_days=60)
    adjusted = pa.array([None if row % 50 == 0 else 1.0 + row for row in range(180)])
    prices = write(table.append_column("Adj Close", adjusted), tmp_path / "prices.parquet")
    found = weekly_cli.inspect(prices)
    assert [finding.code for finding in found.findings] == ["adjusted-close-available"]
    assert (found.unusable_rows, found.command) == (0, f"weekly-cli build {prices}")
    found = weekly_cli.inspect(prices, price="Adj Close")
    assert (found.unusable_rows, found.findings) == (4, ())
    assert found.columns[-1].roles == ("adjusted close",)
    assert found.columns[-1].unusable == found.columns[-1].values.nulls == 4
    full = table.append_column("Adj Close", pa.array(np.arange(1.0, 181.0)))
    found = weekly_cli.inspect(write(full, tmp_path / "full.parquet"))
    assert found.command == f"weekly-cli build {tmp_path / 'full.parquet'} --price 'Adj Close'"
    assert run_shell(found.command, tmp_path) == ""


@pytest.mark.slow
def test_findings_are_told_unless_they_are_known(tmp_path: Path) -> None:
    prices = write(daily(["AAA", "aaa"]), tmp_path / "prices.parquet")
    assert "finding similar-symbols: 2 symbols differ only in case" in words(run_cli("inspect", prices).stdout)
    assert "finding " not in run_cli("inspect", prices, "--ignore", "similar-symbols").stdout
    (finding,) = json.loads(run_cli("inspect", prices, "--json").stdout)["findings"]
    assert list(finding) == ["code", "count", "sentence", "help", "examples"]


def test_dates_that_are_shifted_are_for_their_owner(tmp_path: Path) -> None:
    """Midnights of Berlin in UTC: a week from Sunday to Thursday would be the wrong advice."""
    table = daily(["AAA"], 260)
    midnights = pa.compute.assume_timezone(table.column("date").cast(pa.timestamp("us")), "Europe/Berlin")
    moments = midnights.cast(pa.timestamp("us", "UTC"))
    prices = write(table.set_column(1, "date", moments), tmp_path / "prices.parquet")
    found = weekly_cli.inspect(prices)
    assert found.command is None
    assert found.undecided is not None
    assert "--timezone" in found.undecided
    found = weekly_cli.inspect(prices, timezone="Europe/Berlin")
    assert found.command == f"weekly-cli build {prices} --timezone Europe/Berlin"


def test_what_repeated_rows_are_decides(tmp_path: Path) -> None:
    """The same rows again, two series under one symbol, or other prices, on which only their owner can decide."""
    table = daily(n_days=30)
    other = table.set_column(5, "close", pa.compute.multiply(table.column("close"), 2.0))

    def inspected(again: pa.Table, **settings: Any) -> facts.Inspection:
        path = tmp_path / "prices.parquet"
        write(pa.concat_tables([table, again], promote_options="default"), path)
        return weekly_cli.inspect(path, **settings)

    build = f"weekly-cli build {tmp_path / 'prices.parquet'}"
    same = inspected(table)
    assert (same.repeated_rows, same.command) == (90, f"{build} --on-duplicates last")
    found = inspected(other)
    assert found.command is None
    assert found.undecided == ("90 rows repeat a symbol's date, too many to drop unseen: they differ in close (90)")
    assert "No build fits: 90 rows" in run_cli("inspect", *found.input).stdout
    assert inspected(other, on_duplicates="first").command == f"{build} --on-duplicates first"
    few = inspected(other.slice(0, 1))
    assert few.undecided is not None, "one of 91 rows is more than 1 %"

    series = [part.append_column("series", pa.array([name] * 90)) for name, part in (("N", table), ("A", other))]
    write(pa.concat_tables(series), tmp_path / "prices.parquet")
    two = weekly_cli.inspect(tmp_path / "prices.parquet")
    assert two.command == f"{build} --columns symbol=symbol+series"
    assert run_shell(two.command, tmp_path) == ""


@pytest.mark.parametrize("layout", ["date", "shuffled"])
def test_intraday_rows_are_made_daily(tmp_path: Path, layout: str) -> None:
    table = daily(n_days=30)
    days = table.column("date").cast(pa.timestamp("us"))
    hours = [
        table.set_column(1, "date", pa.compute.add(days, pa.scalar(datetime.timedelta(hours=hour)))) for hour in (9, 15)
    ]
    prices = write(in_layout(pa.concat_tables(hours), layout), tmp_path / "prices.parquet", row_group_size=50)
    found = weekly_cli.inspect(prices)
    assert found.repeated_rows == 90
    assert found.command == f"weekly-cli build {prices} --on-intraday aggregate"
    assert run_shell(found.command, tmp_path) == ""


def test_dates_that_are_none(tmp_path: Path) -> None:
    """A few are told; many are refused with the format that reads them, and read with it."""
    table = daily(["A"], 40)
    days = [day.isoformat() for day in table.column("date").to_pylist()]
    few = write(table.set_column(1, "date", pa.array([*days[:38], "soon", None])), tmp_path / "few.parquet")
    found = weekly_cli.inspect(few)
    assert (found.rows_without_key, found.unread_dates) == (2, 1)
    assert found.first_unread_date is not None
    assert found.first_unread_date.startswith("'soon' in row 38")
    assert found.command == f"weekly-cli build {few} --on-bad-rows drop"
    american = [day.strftime("%m/%d/%Y") for day in table.column("date").to_pylist()]
    many = write(table.set_column(1, "date", pa.array(american)), tmp_path / "many.parquet")
    with pytest.raises(InputRefused, match='--date-format "%m/%d/%Y"'):
        weekly_cli.inspect(many)
    found = weekly_cli.inspect(many, date_format="%m/%d/%Y")
    assert found.command == f"weekly-cli build {many} --date-format %m/%d/%Y"
    assert run_shell(found.command, tmp_path) == ""


def wide_closes(folder: Path) -> Path:
    """Two tickers, of which one begins a week later and lacks a close in its middle."""
    days = daily(["A"], 60).column("date")
    second = pa.array([None] * 5 + [1.0] * 20 + [None] + [2.0] * 34)
    return write(pa.table({"Date": days, "AAA": np.arange(1.0, 61.0), "BBB": second}), folder / "wide.parquet")


def delimited(folder: Path) -> Path:
    path = folder / "prices.csv"
    daily(["AAA", "000001"], 60).to_pandas().to_csv(path, index=False)
    return path


@pytest.mark.slow
def test_wide_tables_and_text_are_inspected_as_they_are_read(tmp_path: Path) -> None:
    wide = weekly_cli.inspect(wide_closes(tmp_path))
    assert (wide.rows, wide.symbols, wide.unusable_rows, wide.files) == (115, 2, 1, 1)
    assert [(one.symbol, one.rows) for one in wide.shortest] == [("BBB", 55), ("AAA", 60)]
    assert any("wide table" in note for note in wide.notes)
    text = weekly_cli.inspect(delimited(tmp_path))
    assert (text.rows, text.symbols, text.shortest[0].symbol) == (120, 2, "000001")
    for found in (wide, text):
        assert found.command is not None
        assert run_shell(found.command, tmp_path) == ""
        built = weekly_cli.inspect(tmp_path / "daily_weekly").build
        assert built is not None
        assert (built.input_state, built.input) == ("unchanged", found.input)
        (tmp_path / "daily_weekly").rename(tmp_path / f"built of {len(found.input[0])} letters")


# ---- outputs ---------------------------------------------------------------------------------------------


@pytest.fixture
def built(tmp_path: Path) -> Path:
    prices = write(daily(["AAA", "SPY"], 300), tmp_path / "prices.parquet")
    build(prices, tmp_path / "out", features="momentum", benchmark=["SPY"], available="week-end")
    return tmp_path / "out"


@pytest.mark.slow
def test_an_output_tells_how_it_was_built(built: Path) -> None:
    done = run_cli("inspect", "out", cwd=built.parent)
    assert done.returncode == 0, done.stderr
    said = words(done.stdout)
    assert "less than a minute ago" in said
    assert f"by weekly-cli {weekly_cli.__version__}" in said
    assert "available week-end; benchmark ['SPY']" in said
    assert "its input unchanged: " in said
    assert "build that fits" not in said
    found = weekly_cli.inspect(built)
    assert found.build is not None
    assert found.build.command == (
        f"weekly-cli build {built.parent / 'prices.parquet'} --available week-end --benchmark SPY --features momentum"
    )
    assert run_shell(f"{found.build.command} --output again", built.parent) == ""
    (one,), (other,) = (sorted(folder.glob("*.parquet")) for folder in (built, built.parent / "again"))
    assert pq.ParquetFile(one).read().equals(pq.ParquetFile(other).read())


def test_an_output_whose_input_is_another_by_now(built: Path) -> None:
    prices = built.parent / "prices.parquet"

    def state() -> str:
        found = weekly_cli.inspect(built)
        assert found.build is not None
        return found.build.input_state

    assert state() == "unchanged"
    os.utime(prices, ns=(2**62, 2**62))
    assert state() == "changed"
    write(daily(["AAA", "SPY"], 301), prices)
    assert state() == "changed"
    prices.write_bytes(b"nothing")
    assert state() == "unknown"
    prices.unlink()
    assert state() == "gone"


@pytest.mark.slow
def test_a_dataset_in_the_place_of_the_output_is_built_elsewhere(tmp_path: Path) -> None:
    write(daily(), tmp_path / "daily_weekly/prices.parquet")
    done = run_cli("inspect", "daily_weekly", cwd=tmp_path)
    command = done.stdout.splitlines()[-1].strip()
    assert command == "weekly-cli build daily_weekly --output weekly_features"
    assert run_shell(command, tmp_path) == ""
    assert len(list((tmp_path / "weekly_features").iterdir())) == 1


def test_a_part_beside_other_data_is_no_output(built: Path) -> None:
    (part,) = built.glob("*.parquet")
    table = pq.ParquetFile(part).read(["symbol", "date", "close"])
    write(table.replace_schema_metadata(None), built / "z.parquet")
    found = weekly_cli.inspect(built)
    assert (found.build, found.files, found.repeated_rows) == (None, 2, 600)


@pytest.mark.slow
def test_an_output_in_the_input_is_left_out(built: Path) -> None:
    """As a build leaves it out, unless it is what is asked about."""
    (built.parent / "weekly.toml").write_text('output = "out"\n')
    assert json.loads(run_cli("inspect", ".", "--json", cwd=built.parent).stdout)["files"] == 1
    found: dict[str, Any] = json.loads(run_cli("inspect", "out", "--json", cwd=built.parent).stdout)
    assert found["build"]["input_state"] == "unchanged"
    assert len(found["build"]["features"]) == 7


@pytest.mark.parametrize("batch", [150, 10**6])
@pytest.mark.parametrize("order", ["symbol", "date", "none"])
def test_findings_are_those_of_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, batch: int) -> None:
    """A split, padding and negative prices, found by some symbols at a time as by all together."""
    monkeypatch.setattr(suspects, "_MOST_ROWS", batch)
    monkeypatch.setattr(suspects, "_MOST_PASSES", 10)
    frame = daily(["AAA", "BBB", "CCC", "DDD"], 130, order="symbol").to_pandas()
    day = frame.groupby("symbol").cumcount()
    frame.loc[(frame["symbol"] == "AAA") & (day < 60), list(PRICES)] *= 20.0
    frame.loc[(frame["symbol"] == "BBB") & (day % 9 == 0), "close"] *= -1.0
    padded = (frame["symbol"] == "CCC") & (day % 10 == 5)
    frame.loc[padded, list(PRICES)] = frame[list(PRICES)].shift()[padded]
    frame.loc[padded, "volume"] = 0
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = {"symbol": table, "date": table.sort_by("date"), "none": shuffled(table)}[order]
    prices = write(table, tmp_path / "prices.parquet", row_group_size=100)
    found = weekly_cli.inspect(prices)
    assert found.findings == report_of(prices, tmp_path / "out").findings
    assert {one.code for one in found.findings} >= {"suspected-split", "padding", "negative-prices"}
    assert found.symbols_searched == 4
    assert "--drop-padding" in str(found.command)
    if order != "symbol" and batch == 150:
        monkeypatch.setattr(suspects, "_MOST_PASSES", 2)
        some = weekly_cli.inspect(prices)
        assert some.symbols_searched == 2
        assert {example["symbol"] for one in some.findings for example in one.examples} == {"AAA", "CCC"}
        shown = io.StringIO()
        show(some, Console(file=shown, width=200))
        assert "of 2 of 4 symbols" in shown.getvalue()
