"""Rows in the input's order: the same rows, bit for bit, each where it stood."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import ROUTES, build, build_by, daily, in_order, parts, read, report_of, run_cli, shuffled, taken, write
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

import weekly_cli
from weekly_cli.files.writers import WRITERS
from weekly_cli.run import sizes
from weekly_cli.verify import verify

pytestmark = pytest.mark.slow

SYMBOLS = ["AAA", "BBB", "CCC"]


def many_types(table: pa.Table, symbols: pa.DataType) -> pa.Table:
    """Columns of several types beside the prices, and symbols of a type."""
    n = np.arange(table.num_rows)
    table = table.set_column(0, "symbol", table.column("symbol").cast(symbols))
    table = table.append_column("venue", pa.array(np.array(["XNYS", "XNAS"])[n % 2]))
    table = table.append_column(
        "note", pa.array([f"note {k}" if k % 3 else None for k in n.tolist()], pa.string_view())
    )
    return table.append_column("tags", pa.array([[k, k + 1] for k in n.tolist()]))


def in_the_order_of(source: pa.Table, built: pa.Table) -> pa.Table:
    """The rows of an output as the input has them, each of whose rows has its own symbol and date."""
    keys = [tuple(map(str, key)) for key in zip(*(built[name].to_pylist() for name in ("symbol", "date")), strict=True)]
    place = {key: row for row, key in enumerate(keys)}
    wanted = zip(*(source[name].to_pylist() for name in ("symbol", "date")), strict=True)
    return taken(built, [place[tuple(map(str, key))] for key in wanted if tuple(map(str, key)) in place])


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("name", ["out", "out.parquet"])
@pytest.mark.parametrize("symbols", [pa.string(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_the_rows_are_those_of_the_other_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str, name: str, symbols: pa.DataType
) -> None:
    monkeypatch.setattr(sizes, "_MOST_RANGE_ROWS", 40)
    monkeypatch.setattr(sizes, "_LEAST_CHUNK_ROWS", 16)
    table = daily(["CCC", "AAA", "BBB"], order=ROUTES[route])
    table = many_types(shuffled(table) if route == "partitioned" else table, symbols)
    source = write(table, tmp_path / "p.parquet", row_group_size=30)
    build_by(route, source, tmp_path / "sorted", monkeypatch, writer=writer)
    report = build_by(route, source, tmp_path / name, monkeypatch, writer=writer, order="input")
    built, wanted = read(tmp_path / name), in_the_order_of(table, read(tmp_path / "sorted"))
    assert built.schema.equals(wanted.schema)
    assert built["symbol"].to_pylist() == table["symbol"].to_pylist()
    built, wanted, own = (rows.drop_columns("symbol") for rows in (built, wanted, table))
    assert built.equals(wanted)
    assert built.select(own.column_names).equals(own)
    assert "order" in report.seconds
    if name == "out":
        assert len(parts(tmp_path / name)) > (route != "direct")


def test_rows_that_have_the_order_already_are_not_put_into_it(tmp_path: Path) -> None:
    """Which takes nothing: the files are those of the other order, but for what their metadata say."""
    table = daily(order="symbol")
    for name, rows in {"sorted": table, "clustered": in_order(table).slice(60), "dates": daily()}.items():
        rows = pa.concat_tables([rows, table.slice(0, 60)]) if name == "clustered" else rows
        source = write(rows, tmp_path / f"{name}.parquet", row_group_size=70)
        report = report_of(source, tmp_path / name, order="input")
        assert ("order" in report.seconds) == (name != "sorted")
        assert read(tmp_path / name).select(rows.column_names).equals(rows)
    two = [table.slice(60), table.slice(0, 60)]
    for number, rows in enumerate(two):
        write(rows, tmp_path / "two" / f"{number}.parquet")
    report = report_of(tmp_path / "two", tmp_path / "of-two", order="input")
    assert "order" in report.seconds
    assert read(tmp_path / "of-two").select(table.column_names).equals(pa.concat_tables(two))


@given(
    st.lists(st.tuples(st.sampled_from(SYMBOLS), st.integers(0, 40)), min_size=1, max_size=120),
    st.sampled_from(["first", "last"]),
    st.integers(1, 50),
    st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_any_rows_stay_where_they_are(
    tmp_path_factory: pytest.TempPathFactory, keys: list[tuple[str, int]], kept: str, range_rows: int, some: bool
) -> None:
    """With repeated dates, days without a row, and symbols and dates left out."""
    folder = tmp_path_factory.mktemp("rows")
    days = [dt.date(2024, 1, 1) + dt.timedelta(day) for _, day in keys]
    close = [100.0 + n for n in range(len(keys))]
    table = pa.table({"symbol": [symbol for symbol, _ in keys], "date": days, "close": close})
    source = write(table, folder / "p.parquet", row_group_size=7)
    window: dict[str, Any] = {"symbols": "AAA,BBB", "start": "2024-01-09", "end": "2024-02-02"} if some else {}
    rows = list(enumerate(keys))
    of_key = {key: row for row, key in (rows if kept == "last" else rows[::-1])}
    wanted = [row for row in sorted(of_key.values()) if not some or (keys[row][0] != "CCC" and 8 <= keys[row][1] <= 32)]
    if some and not {"AAA", "BBB"} <= {symbol for symbol, _ in keys}:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sizes, "_MOST_RANGE_ROWS", range_rows)
        report_of(source, folder / "out", order="input", on_duplicates=kept, allow_empty=True, **window)
    built = read(folder / "out")
    assert built.select(table.column_names).equals(taken(table, wanted))
    report_of(source, folder / "sorted", on_duplicates=kept, allow_empty=True, **window)
    assert in_order(built).equals(read(folder / "sorted"))


def test_a_day_of_several_moments_stands_where_the_last_one_stood(tmp_path: Path) -> None:
    moments = [dt.datetime(2024, 1, day, hour) for day in (2, 3, 4) for hour in (10, 16)]
    table = pa.table({"symbol": ["B", "A"] * 6, "date": [m for m in moments for _ in range(2)], "close": range(12)})
    table = table.set_column(2, "close", table["close"].cast(pa.float64()))
    source = write(shuffled(table), tmp_path / "p.parquet")
    built = build(source, tmp_path / "out", order="input", on_intraday="aggregate")
    last = [row for row in read(source).to_pylist() if row["date"].hour == 16]
    assert built.select(["symbol", "date", "close"]).to_pylist() == last
    assert not [check.findings for check in verify(tmp_path / "out").checks if check.findings]


def test_a_table_passes_and_one_in_another_order_does_not(tmp_path: Path) -> None:
    table = shuffled(daily(n_days=300))
    source = write(table, tmp_path / "p.parquet", row_group_size=100)
    built = build(source, tmp_path / "out.parquet", order="input")
    proof = verify(tmp_path / "out.parquet")
    assert proof.passed
    assert "in the input's order" in next(check.did for check in proof.checks if check.name == "rows")
    swapped = [*range(500), 501, 500, *range(502, built.num_rows)]
    write(taken(built, swapped).replace_schema_metadata(built.schema.metadata), tmp_path / "out.parquet")
    found = next(check for check in verify(tmp_path / "out.parquet").checks if check.name == "rows").findings
    late = read(source).slice(500, 1).to_pylist()[0]
    assert found == [f"rows are not in the input's order: {late['symbol']} {late['date']} comes too late"]


def test_questions_are_answered_alike(tmp_path: Path) -> None:
    source = write(shuffled(daily(n_days=300)), tmp_path / "p.parquet", row_group_size=100)
    for name in ("symbol", "input"):
        report_of(source, tmp_path / name, order=name)
    answers = {}
    for name in ("symbol", "input"):
        words = [["latest", "--json"], ["explain", "BBB", "2022-12-01", "--json"]]
        told = [run_cli(word, tmp_path / name, *more) for word, *more in words]
        assert [(done.returncode, done.stderr) for done in told] == [(0, ""), (0, "")]
        answers[name] = [done.stdout.replace(str(tmp_path / name), "") for done in told]
    assert answers["symbol"] == answers["input"]
    equal = run_cli("diff", tmp_path / "symbol", tmp_path / "input")
    assert (equal.returncode, equal.stderr) == (0, "")
    assert "order: default in A, input in B" in equal.stdout
    some: dict[str, Any] = {"symbols": ["CCC"], "start": "2022-11-01"}
    rows = [weekly_cli.read(tmp_path / name, **some) for name in ("symbol", "input")]
    assert len(rows[0]) > 30
    pd.testing.assert_frame_equal(rows[0], rows[1].sort_values("date", ignore_index=True))


def test_an_output_with_a_part_too_few_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "_MOST_RANGE_ROWS", 40)
    source = write(daily(), tmp_path / "p.parquet", row_group_size=100)
    words = ("build", source, "-o", tmp_path / "out", "--order", "input")
    report_of(source, tmp_path / "out", order="input")
    assert "is up to date" in run_cli(*words, "--if-changed").stderr
    last = parts(tmp_path / "out")[-1]
    assert len(parts(tmp_path / "out")) > 1
    last.unlink()
    done = run_cli(*words, "--if-changed")
    assert (done.returncode, "is up to date" in done.stderr) == (0, False)
    assert read(tmp_path / "out").num_rows == 180


def test_a_wide_table_has_no_order_of_rows(tmp_path: Path) -> None:
    closes = pa.table({"date": pa.array(np.arange("2024-01-01", "2024-03-01", dtype="datetime64[D]"))})
    for name in SYMBOLS:
        closes = closes.append_column(name, pa.array(np.linspace(10.0, 20.0, 60)))
    source = write(closes, tmp_path / "wide.parquet")
    done = run_cli("build", source, "-o", tmp_path / "out", "--order", "input")
    assert (done.returncode, done.stdout) == (2, "")
    assert "wide.parquet is a wide table, whose values have no order as rows; leave out --order input" in done.stderr
    assert run_cli("build", source, "-o", tmp_path / "out", "-q").returncode == 0


def test_rows_of_text_keep_their_order(tmp_path: Path) -> None:
    table = shuffled(daily())
    with (tmp_path / "p.csv").open("wb") as stream:
        csv.write_csv(table, stream)
    built = build(tmp_path / "p.csv", tmp_path / "out", order="input")
    assert built["symbol"].to_pylist() == table["symbol"].to_pylist()
    assert built["close"].to_pylist() == table["close"].to_pylist()


def test_weekly_rows_have_no_place_in_the_input(tmp_path: Path) -> None:
    source = write(daily(), tmp_path / "p.parquet")
    done = run_cli("build", source, "-o", tmp_path / "out", "--order", "input", "--rows", "weekly")
    assert done.returncode == 2
    assert "--rows weekly writes rows that the input does not have; leave out --order input" in done.stderr
    assert pq.read_table(source).num_rows == 180
    assert not (tmp_path / "out").exists()
