"""An index of pandas comes back as one, and what pandas says of columns stays true."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from frames import daily, report_here

pytestmark = pytest.mark.slow

FEW = "w_close,w_ret"


def frame(n_days: int = 30) -> pd.DataFrame:
    made = daily(["AAA", "BBB"], n_days, order="symbol").to_pandas()
    made["date"] = made["date"].astype("datetime64[us]")
    return made


def built(folder: Path, output: Path, **settings: object) -> pd.DataFrame:
    report_here(folder, output, features=FEW, **settings)
    return pd.read_parquet(output)


@pytest.mark.parametrize("writer", ["fast", "arrow"])
@pytest.mark.parametrize("index", [["date"], ["symbol", "date"], ["symbol"]], ids=str)
@pytest.mark.parametrize("named", [True, False])
def test_an_index_comes_back(tmp_path: Path, index: list[str], named: bool, writer: str) -> None:
    before = frame().set_index(index)
    if not named and "date" in index:
        before.index.names = [None] * len(index)
    before.to_parquet(tmp_path / "in.parquet")
    after = built(tmp_path / "in.parquet", tmp_path / "out", writer=writer)
    pd.testing.assert_frame_equal(after.drop(columns=FEW.split(",")), before)


def test_a_range_is_no_index_of_the_output(tmp_path: Path) -> None:
    before = frame().sample(frac=1, random_state=1)
    before.to_parquet(tmp_path / "shuffled.parquet")
    frame().to_parquet(tmp_path / "range.parquet")
    for name in ("range.parquet", "shuffled.parquet"):
        after = built(tmp_path / name, tmp_path / "out")
        if name == "range.parquet":
            pd.testing.assert_frame_equal(after[before.columns], frame())
        else:
            assert sorted(after.index) == sorted(before.index)


def test_a_range_that_is_more_than_a_count_is_told(tmp_path: Path) -> None:
    before = frame()
    before.index = pd.RangeIndex(5, 5 + len(before), name="row")
    before.to_parquet(tmp_path / "in.parquet")
    report = report_here(tmp_path / "in.parquet", tmp_path / "out", features=FEW)
    assert report.notes == ("the pandas index row is not kept: it is a range from 5, not a column",)
    assert isinstance(pd.read_parquet(tmp_path / "out").index, pd.RangeIndex)
    assert report_here(tmp_path / "out", tmp_path / "again", features=FEW, replace_features=True).notes == ()


def test_types_of_pandas_come_back_and_replaced_columns_have_their_own(tmp_path: Path) -> None:
    before = frame().astype({"volume": "Int64", "symbol": "category"})
    before["w_ret"] = pd.array([1] * len(before), "Int64")
    before.to_parquet(tmp_path / "in.parquet")
    after = built(tmp_path / "in.parquet", tmp_path / "out", replace_features=True)
    assert (str(after["volume"].dtype), str(after["symbol"].dtype)) == ("Int64", "category")
    assert str(after["w_ret"].dtype) == "float32"


def test_files_that_differ_in_their_index_are_told(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    halves = frame(), frame().assign(symbol=lambda rows: rows["symbol"] + "2")
    halves[0].set_index("date").to_parquet(tmp_path / "in" / "a.parquet")
    halves[1].to_parquet(tmp_path / "in" / "b.parquet")
    report = report_here(tmp_path / "in", tmp_path / "out", features=FEW)
    assert any("pandas index" in note for note in report.notes)
    assert isinstance(pd.read_parquet(tmp_path / "out").index, pd.RangeIndex)
