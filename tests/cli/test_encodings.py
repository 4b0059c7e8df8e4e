"""Columns that Arrow reads wrongly, or not at all, unless it is told how: INT96, and text in a DELTA encoding."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import ROUTES, build_by, daily, in_order, parts, read, report_here, write

from weekly_cli.errors import InputRefused

FAR = [datetime.datetime(1000, 1, 1), datetime.datetime(9999, 12, 31, 1, 2, 3), datetime.datetime(2023, 5, 6, 7), None]


# ---- INT96 -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", ["fast", "arrow"])
@pytest.mark.parametrize("route", ROUTES)
def test_int96_comes_out_as_the_moment_that_it_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str
) -> None:
    """As Spark writes timestamps; Arrow's own reading wraps beyond the years 1677 to 2262."""
    table = daily(n_days=40, order=ROUTES[route])
    moments = pa.array([FAR[row % len(FAR)] for row in range(table.num_rows)], pa.timestamp("us"))
    table = table.append_column("until", moments)
    table = table.append_column("several", pa.array([[moment] for moment in moments.to_pylist()]))
    dates = table.column("date").cast(pa.timestamp("us"))
    table = table.set_column(1, "date", dates)
    source = tmp_path / "in/p.parquet"
    write(table, source, use_deprecated_int96_timestamps=True, row_group_size=40, compression="zstd")
    assert pq.ParquetFile(source).schema.column(1).physical_type == "INT96"
    build_by(route, source, tmp_path / "out", monkeypatch, writer=writer)
    out = read(tmp_path / "out")
    assert out.select(table.column_names).equals(in_order(table))
    stored = pq.ParquetFile(parts(tmp_path / "out")[0])
    assert {stored.schema.column(number).physical_type for number in range(len(stored.schema))} >= {"INT64"}
    assert "INT96" not in str(stored.schema)
    assert out.schema.field("until").type == pa.timestamp("us")  # which Spark opens, unlike nanoseconds


def test_int96_dates_beyond_nanoseconds_are_sessions(tmp_path: Path) -> None:
    table = daily(["A"], 30)
    dates = [datetime.datetime(1000, 1, day) for day in range(1, 31)]
    table = table.set_column(1, "date", pa.array(dates, pa.timestamp("us")))
    source = write(table, tmp_path / "p.parquet", use_deprecated_int96_timestamps=True)
    report_here(source, tmp_path / "out")
    out = read(tmp_path / "out")
    assert out.column("date").to_pylist() == dates
    assert out.column("w_week_end")[-1].as_py() == datetime.date(1000, 1, 24)  # a Friday before the 30th


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_timestamps_beyond_nanoseconds_stay_what_they_are(tmp_path: Path, unit: str) -> None:
    table = daily(["A", "B"], 20)
    far = pa.array([FAR[row % len(FAR)] for row in range(40)], pa.timestamp("us")).cast(pa.timestamp(unit))
    source = write(table.append_column("until", far), tmp_path / "p.parquet")
    report_here(source, tmp_path / "out")
    assert read(tmp_path / "out").column("until").to_pylist() == in_order(read(source)).column("until").to_pylist()


def test_a_moment_that_a_finer_unit_does_not_hold_is_refused(tmp_path: Path) -> None:
    """One file has INT96, the other nanoseconds: the common type holds both only where moments are near."""
    table = daily(["A", "B"], 20)
    near = pa.array([datetime.datetime(2023, 1, 1)] * 20, pa.timestamp("ns"))
    for number, far in enumerate((FAR, [datetime.datetime(2023, 1, 1)])):
        values = pa.array([far[row % len(far)] for row in range(20)], pa.timestamp("us"))
        folder = tmp_path / f"in{number}"
        rows = table.slice(0, 20).append_column("until", values)
        write(rows, folder / "a.parquet", use_deprecated_int96_timestamps=True)
        write(table.slice(20).append_column("until", near), folder / "b.parquet")
    with pytest.raises(InputRefused, match="does not fit"):
        report_here(tmp_path / "in0", tmp_path / "out")
    report_here(tmp_path / "in1", tmp_path / "out")
    assert set(read(tmp_path / "out").column("until").to_pylist()) == {datetime.datetime(2023, 1, 1)}


# ---- DELTA encodings -------------------------------------------------------------------------------------

DELTA = ("DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY")


@pytest.mark.parametrize("encoding", DELTA)
@pytest.mark.parametrize("route", ROUTES)
def test_delta_encoded_text_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, encoding: str) -> None:
    """As Spark's second version of pages and arrow-rs write it; Arrow decodes it, but not into dictionaries."""
    table = daily(n_days=60, order=ROUTES[route])
    table = table.append_column("exchange", pa.array(["N", "Q", None, "N"] * 45))
    source = tmp_path / "in/p.parquet"
    how = {"use_dictionary": False, "column_encoding": {"symbol": encoding, "exchange": encoding}}
    write(table, source, row_group_size=60, data_page_version="2.0", **how)
    build_by(route, source, tmp_path / "out", monkeypatch, compression="snappy")
    out = read(tmp_path / "out")
    assert out.select(table.column_names).equals(in_order(table))


@pytest.mark.parametrize("encoding", DELTA)
@pytest.mark.parametrize("route", ROUTES)
def test_delta_encoded_text_that_arrow_notes_as_dictionaries_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, encoding: str
) -> None:
    """By pyarrow's own writer; the types of columns beside it, which Parquet does not know, stay what they are."""
    table = daily(n_days=60, order=ROUTES[route])
    rows = table.num_rows
    moments = pa.array([datetime.datetime(2023, 5, 6, row % 24) for row in range(rows)], pa.timestamp("us", "UTC"))
    beside = {
        "exchange": pa.array([["N", "Q", None][row % 3] for row in range(rows)]).dictionary_encode(),
        "moment": moments.cast(pa.timestamp("us", "Europe/Berlin")),
        "age": pa.array(range(rows), pa.duration("us")),
        "long": pa.array([str(row) for row in range(rows)], pa.large_string()),
        "paid": pa.array([row * 86_400_000 for row in range(rows)], pa.date64()),
    }
    for name, column in beside.items():
        table = table.append_column(name, column)
    table = table.set_column(0, "symbol", table.column("symbol").dictionary_encode())
    source = tmp_path / "in/p.parquet"
    how = {"use_dictionary": False, "column_encoding": {"symbol": encoding, "exchange": encoding}}
    write(table, source, row_group_size=60, **how)
    with pytest.raises(OSError, match="DictAccumulator"):
        pq.read_table(source, partitioning=None)
    build_by(route, source, tmp_path / "out", monkeypatch, compression="snappy")
    out = read(tmp_path / "out").select(table.column_names)
    assert out.schema.types == pq.read_schema(source).types
    assert out.to_pylist() == in_order(table).to_pylist()


def test_files_may_have_text_in_different_encodings(tmp_path: Path) -> None:
    """A dictionary in one row group, plain text or differences in others."""
    table = daily(n_days=60, order="symbol").append_column("exchange", pa.array(["N", "Q", "N"] * 60))
    plain: dict[str, Any] = {"use_dictionary": False}
    for number, how in enumerate(({}, plain, *({**plain, "column_encoding": {"symbol": kind}} for kind in DELTA))):
        write(table.slice(45 * number, 45), tmp_path / f"in/{number}.parquet", **how)
    for strategy in ("direct", "batched"):
        report_here(tmp_path / "in", tmp_path / strategy, strategy=strategy)
        assert read(tmp_path / strategy).select(table.column_names).equals(in_order(table))
