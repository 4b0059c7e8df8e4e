"""Tables joined as of each session: against pandas, without look-ahead, on every route; and what is refused."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from frames import ROUTES, build, build_by, build_here, daily, in_order, read, run_cli, shuffled, write

import weekly_cli
from weekly_cli.dataset.footers import read_footers
from weekly_cli.errors import BudgetError, OutputConflict, UsageError
from weekly_cli.files.writers import WRITERS
from weekly_cli.settings import from_python, resolve
from weekly_cli.verify import verify

SYMBOLS = ["AAA", "BBB", "CCC"]
JOINED = ["eps", "note", "facts_age_days"]


def facts(symbols: list[Any], n_rows: int = 60, seed: int = 5) -> pd.DataFrame:
    """Rows that became known at some time of some day, two of them at the same moment, in no order."""
    rng = np.random.default_rng(seed)
    seconds = rng.integers(0, 86_400 * 90, n_rows)
    seconds[-1] = seconds[0]
    rows = pd.DataFrame(
        {
            "symbol": rng.choice(np.array(symbols), n_rows),
            "known_at": pd.Timestamp("2021-12-20") + pd.to_timedelta(seconds, unit="s"),
            "eps": np.where(rng.random(n_rows) < 0.1, np.nan, rng.normal(size=n_rows)),
            "note": [f"note {number}" if number % 5 else None for number in range(n_rows)],
        }
    )
    rows.loc[n_rows - 1, "symbol"] = rows["symbol"][0]
    return rows


def by_pandas(rows: pd.DataFrame, known: pd.DataFrame, *, same_day: bool, most_days: int | None) -> pd.DataFrame:
    """The joined columns of daily rows by `merge_asof`."""
    known = known.assign(day=known["known_at"].dt.tz_localize(None).dt.normalize()).sort_values(
        "known_at", kind="stable"
    )
    by = "symbol" if "symbol" in known else None
    left = pd.DataFrame({"symbol": rows["symbol"], "day": pd.to_datetime(rows["date"]).astype("datetime64[us]")})
    right = known.sort_values("day", kind="stable").assign(of=lambda all_rows: all_rows["day"])
    right["day"] = right["day"].astype("datetime64[us]")
    merged = pd.merge_asof(
        left.reset_index().sort_values("day", kind="stable"),
        right,
        on="day",
        by=by,
        allow_exact_matches=same_day,
        tolerance=None if most_days is None else pd.Timedelta(days=most_days),
    ).sort_values("index")
    merged["facts_age_days"] = (merged["day"] - merged["of"]).dt.days
    return merged.reset_index(drop=True)


def same(built: pa.Table, wanted: pd.DataFrame, names: list[str]) -> None:
    for name in names:
        values = [None if pd.isna(value) else value for value in wanted[name]]
        found = [None if value is None or value != value else value for value in built[name].to_pylist()]
        assert found == values, name


@pytest.mark.parametrize("most_days", [None, 9])
@pytest.mark.parametrize("same_day", [False, True])
@pytest.mark.parametrize("kind", ["by symbol", "numbers", "for all", "in a zone"])
def test_columns_are_those_of_merge_asof(tmp_path: Path, kind: str, same_day: bool, most_days: int | None) -> None:
    symbols: list[Any] = [10, 20, 30] if kind == "numbers" else SYMBOLS
    known = facts([*symbols[:2], 99 if kind == "numbers" else "ZZZ"])
    if kind == "for all":
        known = known[known["known_at"] > "2022-01-12"].drop(columns="symbol")
    if kind == "in a zone":
        known["known_at"] = known["known_at"].dt.tz_localize("Asia/Tokyo")
    known.to_parquet(tmp_path / "facts.parquet", index=False)
    source = write(daily(symbols), tmp_path / "p.parquet")
    settings: dict[str, Any] = {"join": f"{tmp_path / 'facts.parquet'}:known_at", "join_same_day": same_day}
    settings |= {"join_max_age": most_days} if most_days else {}
    built = build_here(source, tmp_path / "out", features="w_ret", **settings)
    assert built.column_names == [*daily().column_names, *JOINED, "w_ret"]
    same(built, by_pandas(built.to_pandas(), known, same_day=same_day, most_days=most_days), JOINED)
    assert 0 < built["facts_age_days"].null_count < built.num_rows
    assert built["eps"].type == pa.float64()


def test_a_csv_keeps_its_symbols_as_text(tmp_path: Path) -> None:
    (tmp_path / "facts.csv").write_text("ticker,day,eps\n000001,2022-01-10,1.5\nNA,2022-01-10,2\n", encoding="utf-8")
    source = write(daily(["000001", "NA"], 20), tmp_path / "p.parquet")
    built = build_here(source, tmp_path / "out", features="w_ret", join=f"{tmp_path / 'facts.csv'}:day").to_pandas()
    last = built.groupby("symbol").last()
    assert last["eps"].to_dict() == {"000001": 1.5, "NA": 2.0}
    assert built[pd.to_datetime(built["date"]) <= "2022-01-10"]["eps"].isna().all()


def test_what_became_known_later_changes_nothing_before(tmp_path: Path) -> None:
    """Each row is as it would have been if the table had ended on the day before."""
    known = facts(SYMBOLS)
    source = write(daily(SYMBOLS), tmp_path / "p.parquet")
    known.to_parquet(tmp_path / "facts.parquet", index=False)
    settings: dict[str, Any] = {"features": "w_ret", "join": f"{tmp_path / 'facts.parquet'}:known_at"}
    whole = build_here(source, tmp_path / "whole", **settings)
    for day in (dt.date(2022, 1, 12), dt.date(2022, 2, 1), dt.date(2022, 2, 28)):
        known[known["known_at"] < pd.Timestamp(day)].to_parquet(tmp_path / "facts.parquet", index=False)
        cut = build_here(source, tmp_path / "cut", **settings)
        assert cut.filter(pc.field("date") <= day).equals(whole.filter(pc.field("date") <= day))
        assert not cut.equals(whole)


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("route", ROUTES)
def test_every_route_and_writer_makes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str
) -> None:
    facts(SYMBOLS).to_parquet(tmp_path / "facts.parquet", index=False)
    settings: dict[str, Any] = {"features": "w_ret", "join": f"{tmp_path / 'facts.parquet'}:known_at"}
    table = daily(SYMBOLS)
    wanted = build_here(write(table, tmp_path / "p.parquet"), tmp_path / "wanted", **settings)
    table = in_order(table) if route == "clustered" else shuffled(table) if route == "partitioned" else table
    source = write(table, tmp_path / "q.parquet", row_group_size=30)
    build_by(route, source, tmp_path / "out", monkeypatch, writer=writer, **settings)
    assert read(tmp_path / "out").equals(wanted)


def test_symbols_are_those_that_the_output_has(tmp_path: Path) -> None:
    """Of several columns, and renamed ones."""
    table = daily(["A", "B"], 30)
    table = table.append_column("venue", pa.array(["X"] * table.num_rows))
    source = write(table, tmp_path / "p.parquet")
    numbers = pd.DataFrame({"symbol": ["A:X", "B:X"], "day": ["2022-01-01"] * 2, "n": [1, 2]})
    numbers.to_csv(tmp_path / "n.csv", index=False)
    built = build_here(source, tmp_path / "a", columns="symbol=symbol+venue", join=f"{tmp_path / 'n.csv'}:day")
    assert set(zip(built["symbol+venue"].to_pylist(), built["n"].to_pylist(), strict=True)) == {("A:X", 1), ("B:X", 2)}
    (tmp_path / "map.csv").write_text("old,new,from\nA,C,2022-01-20\n", encoding="utf-8")
    pd.DataFrame({"symbol": ["C"], "day": ["2022-01-01"], "n": [7]}).to_csv(tmp_path / "n.csv", index=False)
    before = (pc.field("date") < dt.date(2022, 1, 20)) | (pc.field("symbol") == "B")
    source = write(table.filter(before), tmp_path / "p.parquet")
    built = build_here(source, tmp_path / "b", symbol_map=str(tmp_path / "map.csv"), join=f"{tmp_path / 'n.csv'}:day")
    assert set(zip(built["symbol"].to_pylist(), built["n"].to_pylist(), strict=True)) == {("B", None), ("C", 7)}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """An output in a folder, with the table that was joined."""
    facts(SYMBOLS).to_parquet(tmp_path / "facts.parquet", index=False)
    write(daily(SYMBOLS), tmp_path / "p.parquet")
    build(
        tmp_path / "p.parquet",
        tmp_path / "out.parquet",
        features="w_ret",
        join=f"{tmp_path / 'facts.parquet'}:known_at",
    )
    return tmp_path / "out.parquet"


@pytest.mark.slow
def test_verify_joins_again(built: Path, tmp_path: Path) -> None:
    proof = verify(built)
    assert proof.passed
    assert next(check for check in proof.checks if check.name == "joined").did.startswith("3 columns of 1 tables")
    table = pq.read_table(built)
    at = table.column_names.index("eps")
    values = table["eps"].to_pylist()
    row = max(number for number, value in enumerate(values) if value is not None)
    values[row] += 1.0
    pq.write_table(table.set_column(at, table.field(at), pa.array(values)), tmp_path / "x.parquet")
    found = {check.name: check.findings for check in verify(tmp_path / "x.parquet").checks}
    assert any("eps is" in finding for finding in found["rows"])


@pytest.mark.slow
def test_another_content_is_another_input(built: Path) -> None:
    words = ("build", built.with_name("p.parquet"), "-o", built, "--features", "w_ret", "--if-changed")
    words = (*words, "--join", f"{built.with_name('facts.parquet')}:known_at")
    assert "is up to date" in run_cli(*words).stderr
    facts(SYMBOLS, seed=6).to_parquet(built.with_name("facts.parquet"), index=False)
    assert "the input has changed" in run_cli(*words).stderr


def test_explain_names_the_row(built: Path) -> None:
    rows = read(built).to_pandas()
    last = rows[rows["facts_age_days"].notna()].iloc[-1]
    notes = weekly_cli.explain(built, last["symbol"], last["date"]).notes
    day = pd.Timestamp(last["date"]) - pd.Timedelta(days=int(last["facts_age_days"]))
    assert any(f"the row of {day:%A %Y-%m-%d}, {int(last['facts_age_days'])} days before" in note for note in notes)
    first = rows[rows["facts_age_days"].isna()].iloc[0]
    assert any(
        "no row was known yet" in note for note in weekly_cli.explain(built, first["symbol"], first["date"]).notes
    )


def test_columns_out_takes_them(built: Path, tmp_path: Path) -> None:
    join = f"{built.with_name('facts.parquet')}:known_at"
    table = build_here(
        built.with_name("p.parquet"), tmp_path / "few", features="w_ret", join=join, columns_out="close,eps"
    )
    assert table.column_names == ["symbol", "date", "close", "eps", "w_ret"]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such file": ({"join": "nowhere.parquet:day"}, r"nowhere\.parquet can't be read"),
    "no such column": ({"join": "FACTS:day"}, "has no column 'day' that says when a row was known; it has symbol"),
    "no moment": ({"join": "FACTS:eps"}, "column 'eps' of .* is double; it takes dates"),
    "twice": ({"join": ["FACTS:known_at", "FACTS:known_at"]}, "has a column 'eps' already; rename it in the table"),
    "its own age": ({"join": "AGES:known_at"}, "has a column 'ages_age_days' already"),
    "weekly rows": (
        {"join": "FACTS:known_at", "rows": "weekly"},
        "adds columns to daily rows, and rows weekly has none",
    ),
    "nothing joined": ({"join_max_age": 3}, "join_max_age is about tables that are joined; name one with --join"),
    "two of a name": ({"join": "TWO:known_at"}, "two.parquet has two columns 'eps'; rename one of them"),
    "only keys": ({"join": "KEYS:known_at"}, "has no column beside its keys"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(tmp_path: Path, case: str) -> None:
    settings, message = REFUSED[case]
    known = facts(SYMBOLS)
    known.to_parquet(tmp_path / "facts.parquet", index=False)
    known[["symbol", "known_at"]].to_parquet(tmp_path / "keys.parquet", index=False)
    two = [pa.array(known["known_at"]), pa.array(known["eps"]), pa.array(known["eps"])]
    pq.write_table(pa.Table.from_arrays(two, ["known_at", "eps", "eps"]), tmp_path / "two.parquet")
    known.assign(ages_age_days=1).to_parquet(tmp_path / "ages.parquet", index=False)
    specs = [settings["join"]] if isinstance(settings.get("join"), str) else settings.get("join", [])
    for name in ("facts", "keys", "ages", "two"):
        specs = [spec.replace(f"{name.upper()}:", f"{tmp_path / name}.parquet:") for spec in specs]
    given = {**settings, **({"join": specs} if specs else {})}
    with pytest.raises(UsageError, match=message):
        build_here(write(daily(SYMBOLS), tmp_path / "p.parquet"), tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_a_joined_table_is_never_replaced(built: Path) -> None:
    table = built.with_name("facts.parquet")
    before = table.read_bytes()
    with pytest.raises(OutputConflict, match="would replace a table of --join"):
        build_here(built.with_name("p.parquet"), table, join=f"{table}:known_at", overwrite=True)
    assert table.read_bytes() == before


# ---- memory ----------------------------------------------------------------------------------------------


def test_a_table_that_the_budget_cannot_hold_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its footer; with the limit that the message names, the same build runs."""
    rows = facts(SYMBOLS, 1000)
    large = pa.Table.from_pandas(rows[["symbol", "known_at", "eps"]], preserve_index=False)
    pq.write_table(pa.concat_tables([large] * 1200), tmp_path / "facts.parquet")
    source = write(daily(SYMBOLS), tmp_path / "p.parquet")
    job: dict[str, Any] = {"features": "w_ret", "join": f"{tmp_path / 'facts.parquet'}:known_at"}
    with monkeypatch.context() as patched:
        patched.setattr("weekly_cli.dataset.as_of.rows_of", lambda table: pytest.fail("it was read"))
        with pytest.raises(BudgetError, match=r"facts.parquet:known_at \(about 73 MiB while it is read\)") as caught:
            build_here(source, tmp_path / "out", memory_limit="310MiB", **job)
    (limit,) = re.findall(r"pass --memory-limit (\d+MiB) or more$", str(caught.value))
    assert build_here(source, tmp_path / "out", memory_limit=limit, **job)["eps"].null_count < 180


def test_the_plan_tells_what_tables_take(built: Path) -> None:
    words = ("plan", built.with_name("p.parquet"), "--join", f"{built.with_name('facts.parquet')}:known_at", "--json")
    assert "tables to join 0.0 MiB in a process" in run_cli(*words).stdout


def test_rows_in_order_need_no_sorting(tmp_path: Path) -> None:
    """In any order of the file, and with rows that have no date or no symbol, the joined columns are the same."""
    known = facts(SYMBOLS)
    source = write(daily(SYMBOLS), tmp_path / "p.parquet")
    job: dict[str, Any] = {"features": "w_ret", "join": f"{tmp_path / 'facts.parquet'}:known_at"}
    tables = []
    unusable = pd.DataFrame({"symbol": [None, "AAA"], "known_at": [known["known_at"][0], None], "eps": 99.0})
    in_order_of_time = known.sort_values("known_at", kind="stable")
    by_symbol = in_order_of_time.sort_values("symbol", kind="stable")
    for rows in (known, in_order_of_time, by_symbol, pd.concat([unusable, by_symbol, unusable])):
        rows.to_parquet(tmp_path / "facts.parquet", index=False)
        tables.append(build_here(source, tmp_path / "out", **job).select(JOINED))
    assert all(table.equals(tables[0]) for table in tables[1:])
    assert tables[0]["eps"].null_count < len(tables[0])


@pytest.mark.parametrize(
    ("moments", "told"),
    [
        (["2022-01-03", "2022-01-04"], "as of known_at, "),
        (["2022-01-03T09:30", "2022-01-04T00:00"], "as of the days of known_at, whose times do not count, "),
        (pd.to_datetime(["2022-01-03", "2022-01-04"]), "as of known_at, "),
        (pd.to_datetime(["2022-01-03 16:10", None]), "as of the days of known_at, whose times order the rows of a day"),
        # midnight in its zone, which is none in UTC; and the other way round
        (pd.to_datetime(["2022-01-03", "2022-01-04"]).tz_localize("Asia/Tokyo"), "as of known_at, "),
        (pd.to_datetime(["2022-01-03"] * 2).tz_localize("UTC").tz_convert("Asia/Tokyo"), "as of the days of known_at"),
    ],
)
def test_times_within_a_day_are_told_of(tmp_path: Path, moments: Any, told: str) -> None:
    pd.DataFrame({"known_at": moments, "rate": [1.0, 2.0]}).to_parquet(tmp_path / "macro.parquet", index=False)
    source = write(daily(SYMBOLS), tmp_path / "p.parquet")
    config = resolve(from_python({"input": str(source), "join": f"{tmp_path / 'macro.parquet'}:known_at"}))
    (note,) = [note for note in read_footers(config, None).schema.notes if "macro" in note]
    assert told in note
