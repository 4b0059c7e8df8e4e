"""The index of a pandas frame comes back as one from the output, or the report says that it does not."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import daily, parts, report_of, write

from weekly_cli.verify import verify


def frame() -> pd.DataFrame:
    made = daily(["B", "A"], 40).to_pandas()
    return made.assign(date=pd.to_datetime(made["date"]).dt.as_unit("ms"), count=pd.array([None, 1] * 40, "Int64"))


INDEXES: dict[str, list[str]] = {
    "named": ["date"],
    "of several": ["symbol", "date"],
    "of another column": ["volume"],
}


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("writer", ["fast", "arrow"])
def test_an_index_comes_back(tmp_path: Path, name: str, writer: str) -> None:
    made = frame().set_index(INDEXES[name])
    (tmp_path / "in").mkdir()
    made.iloc[:30].to_parquet(tmp_path / "in/a.parquet")
    made.iloc[30:].to_parquet(tmp_path / "in/b.parquet")
    report = report_of(tmp_path / "in", tmp_path / "out", features="w_close,w_ret", writer=writer)
    back = pd.read_parquet(tmp_path / "out")
    plain = frame().sort_values(["symbol", "date"]).set_index(INDEXES[name])
    pd.testing.assert_frame_equal(back[list(plain.columns)], plain)
    assert list(back.columns) == [*plain.columns, "w_close", "w_ret"]
    assert not [note for note in report.notes if "pandas" in note]
    assert verify(tmp_path / "out").passed


def test_an_index_without_a_name_comes_back_without_one(tmp_path: Path) -> None:
    made = frame().set_index("date").rename_axis(index=None)
    made.to_parquet(tmp_path / "p.parquet")
    report_of(tmp_path / "p.parquet", tmp_path / "out.parquet")
    back = pd.read_parquet(tmp_path / "out.parquet")
    assert back.index.name is None
    assert isinstance(back.index, pd.DatetimeIndex)
    assert "__index_level_0__" not in back.columns


@pytest.mark.parametrize("first", [0, 5])
def test_a_range_is_made_anew(tmp_path: Path, first: int) -> None:
    """Rows are sorted, and in two parts: what the range said of them would be wrong."""
    made = frame()
    made.index = pd.RangeIndex(first, first + len(made))
    made.to_parquet(tmp_path / "p.parquet")
    report = report_of(tmp_path / "p.parquet", tmp_path / "out", end="2022-02-01")
    back = pd.read_parquet(tmp_path / "out")
    assert back.index.equals(pd.RangeIndex(report.rows))
    assert back["count"].dtype == "Int64"
    assert bool([note for note in report.notes if "range of numbers" in note]) == bool(first)


def test_files_with_different_indexes_have_none_together(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    frame().iloc[:30].set_index("date").to_parquet(tmp_path / "in/a.parquet")
    frame().iloc[30:].to_parquet(tmp_path / "in/b.parquet")
    report = report_of(tmp_path / "in", tmp_path / "out")
    (note,) = [note for note in report.notes if "pandas" in note]
    assert "a.parquet" in note
    assert "b.parquet" in note
    assert isinstance(pd.read_parquet(tmp_path / "out").index, pd.RangeIndex)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"index_columns": 3, "columns": []}', '{"index_columns": ["date"]}']
)
def test_other_metadata_of_that_name_are_left_out(tmp_path: Path, content: str) -> None:
    table = daily(["A"], 20).replace_schema_metadata({"pandas": content})
    report_of(write(table, tmp_path / "p.parquet"), tmp_path / "out")
    metadata = pq.ParquetFile(parts(tmp_path / "out")[0]).schema_arrow.metadata
    assert b"pandas" not in metadata


def test_files_without_pandas_have_no_metadata_of_it(tmp_path: Path) -> None:
    report_of(write(daily(["A"], 20), tmp_path / "p.parquet"), tmp_path / "out")
    assert pa.table(pd.read_parquet(tmp_path / "out")).num_rows == 20
    assert list(pq.ParquetFile(parts(tmp_path / "out")[0]).schema_arrow.metadata) == [b"weekly_cli"]
