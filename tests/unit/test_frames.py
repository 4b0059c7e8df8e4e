"""Frames in memory: the command's values in the caller's kind of frame, order and index; errors in Python's words."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from frames import build, daily, write
from hypothesis import given, settings
from hypothesis import strategies as st

import weekly_cli
from weekly_cli.errors import InputRefused, UsageError, WeeklyError
from weekly_cli.frames import FrameSettings
from weekly_cli.frames.wording import worded
from weekly_cli.inspection import Inspection
from weekly_cli.run.report import Report
from weekly_cli.settings import SETTINGS
from weekly_cli.verify import Proof, verify

SYMBOLS = ("AAA", "BBB", "CCC")
TABLE = daily(SYMBOLS, 120)
DAILY = TABLE.to_pandas(date_as_object=False)
FEW = "w_week_end,w_bars,w_close,w_ret,w_rsi_14"
NAMES = FEW.split(",")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What the command writes, by symbol and date."""
    folder = tmp_path_factory.mktemp("written")
    table = build(write(TABLE, folder / "in.parquet"), folder / "out", features=FEW)
    return table.to_pandas(date_as_object=False).set_index(["symbol", "date"])[NAMES]


def numbers(column: pd.Series) -> np.ndarray:
    """A column to compare to the bit, whatever unit its days have."""
    days = column.dtype.kind == "M"
    return column.to_numpy().astype("datetime64[s]").astype("int64") if days else column.to_numpy().astype("float64")


def assert_as_written(found: pd.DataFrame, keys: pd.MultiIndex, written: pd.DataFrame) -> None:
    expected = written.loc[keys]
    for name in NAMES:
        assert np.array_equal(numbers(found[name]), numbers(expected[name]), equal_nan=True), name


def keys_of(frame: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(frame[["symbol", "date"]])


# ---- the caller's order and index ------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), index=st.sampled_from(["range", "shuffled", "repeated", "text", "none"]))
def test_rows_and_index_stay_as_they_are(seed: int, index: str, written: pd.DataFrame) -> None:
    """So that assigning a column back is right, whatever the order of rows."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(DAILY))[: int(rng.integers(1, len(DAILY) + 1))] if index == "none" else None
    frame = DAILY.sample(frac=1.0, random_state=seed) if rows is None else DAILY
    if index == "range":
        frame = frame.reset_index(drop=True)
    elif index == "repeated":
        frame = frame.set_axis(rng.integers(0, 3, len(frame)), axis=0)
    elif index == "text":
        frame = frame.set_axis([f"row {number}" for number in rng.permutation(len(frame))], axis=0)
    before = frame.copy(deep=True)
    found = weekly_cli.add_weekly_features(frame, features=FEW)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(found[list(frame.columns)], frame)
    assert list(found.columns) == [*frame.columns, *NAMES]
    assert_as_written(found, keys_of(frame), written)
    frame = frame.assign(rsi=found["w_rsi_14"]) if index != "repeated" else frame.assign(rsi=found["w_rsi_14"].array)
    assert_as_written(found.assign(w_rsi_14=frame["rsi"]), keys_of(frame), written)


@pytest.mark.parametrize(
    "indexed",
    [
        lambda frame: frame.set_index(["symbol", "date"]),
        lambda frame: frame.set_index(["date", "symbol"]).sort_index(),
        lambda frame: frame.set_index(["date", "symbol"]).rename_axis([None, None]),
        lambda frame: frame.set_index("date"),
        lambda frame: frame.set_index("date").rename_axis("when"),
        lambda frame: frame.set_index(pd.DatetimeIndex(frame["date"], name=None)).drop(columns="date"),
        lambda frame: frame.set_index(pd.DatetimeIndex(frame["date"], name="date")),
        lambda frame: frame.set_index("symbol"),
    ],
)
def test_keys_may_be_in_the_index(indexed: Callable[[pd.DataFrame], pd.DataFrame], written: pd.DataFrame) -> None:
    frame = indexed(DAILY.sample(frac=1.0, random_state=1))
    found = weekly_cli.add_weekly_features(frame, features=FEW)
    assert found.index.equals(frame.index)
    assert found.index.names == frame.index.names
    flat = frame.assign(row=np.arange(len(frame))).rename_axis(
        [name or ("symbol" if frame.index.get_level_values(n).dtype.kind != "M" else "date")
         for n, name in enumerate(frame.index.names)]
    )  # fmt: skip
    flat = flat.drop(columns=[name for name in flat.columns if name in flat.index.names]).reset_index()
    flat = flat.rename(columns={"when": "date"}).sort_values("row")
    assert_as_written(found, keys_of(flat), written)


def test_one_history_needs_no_symbol(written: pd.DataFrame) -> None:
    one = DAILY[DAILY["symbol"] == "BBB"].drop(columns="symbol").set_index("date")
    found = weekly_cli.add_weekly_features(one, features=FEW)
    assert_as_written(found, pd.MultiIndex.from_product([["BBB"], one.index]), written)
    named = weekly_cli.add_weekly_features(one, features="all", symbol="BBB", benchmark="BBB")
    assert (named["w_rs_bbb"].dropna() == 1.0).all()
    assert named["w_rs_bbb"].count() > 100
    assert "symbol" not in named.columns


def test_columns_of_yfinance_are_refused_with_what_makes_rows_of_them(written: pd.DataFrame) -> None:
    """The advice is followed to the letter."""
    wide = DAILY.pivot(index="date", columns="symbol", values=["open", "high", "low", "close", "volume"])
    for columns in (wide, wide.swaplevel(axis=1), wide.rename_axis(columns=[None, None])):
        with pytest.raises(InputRefused, match=r"df\.stack\(level=") as refusal:
            weekly_cli.add_weekly_features(columns)
        df = columns
        rows = eval(str(refusal.value).rpartition(": ")[2], {"df": df})
        found = weekly_cli.add_weekly_features(rows, features=FEW)
        assert_as_written(
            found, pd.MultiIndex.from_arrays([rows.index.get_level_values(1), rows.index.get_level_values(0)]), written
        )


def test_a_wide_frame_of_closes_is_refused_with_what_makes_rows_of_it() -> None:
    wide = DAILY.pivot(index="date", columns="symbol", values="close")
    with pytest.raises(InputRefused, match="if its columns are symbols") as refusal:
        weekly_cli.add_weekly_features(wide)
    df = wide
    rows = eval(str(refusal.value).rpartition(": ")[2].partition(", with")[0], {"df": df})
    closes = DAILY[["symbol", "date", "close"]]
    expected = weekly_cli.add_weekly_features(closes, features=FEW).set_index(["date", "symbol"]).sort_index()
    found = weekly_cli.add_weekly_features(rows, features=FEW).sort_index()
    pd.testing.assert_frame_equal(found, expected[found.columns], check_names=False)


# ---- other libraries -------------------------------------------------------------------------------------


def test_a_frame_of_polars_returns_as_one(written: pd.DataFrame) -> None:
    frame = pl.DataFrame(TABLE).sample(fraction=1.0, shuffle=True, seed=3)
    found = weekly_cli.add_weekly_features(frame, features=FEW)
    assert isinstance(found, pl.DataFrame)
    assert found.select(frame.columns).equals(frame)
    assert found.columns == [*frame.columns, *NAMES]
    assert_as_written(found.to_pandas(), keys_of(found.to_pandas()), written)


class Elsewhere:
    """A frame of a library that only Arrow's interface knows."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize("kind", [lambda table: table, Elsewhere])
def test_arrow_comes_back_as_a_table(kind: Callable[[pa.Table], Any], written: pd.DataFrame) -> None:
    found = weekly_cli.add_weekly_features(kind(TABLE), features=FEW)
    assert isinstance(found, pa.Table)
    assert found.select(TABLE.column_names).equals(TABLE)
    assert_as_written(found.to_pandas(date_as_object=False), keys_of(DAILY), written)


# ---- settings and errors ---------------------------------------------------------------------------------


def test_settings_mean_what_the_flags_mean(tmp_path: Path) -> None:
    """Those that change what bars are made of, too."""
    table = TABLE.set_column(5, "close", pa.array(-TABLE.column("close").to_numpy()))
    source = write(table, tmp_path / "in.parquet")
    expected = build(
        source, tmp_path / "out", features=FEW, negative_prices="absolute", week="W-WED", available="week-end"
    )
    found = weekly_cli.add_weekly_features(
        table, features=FEW, negative_prices="absolute", week="W-WED", available="week-end"
    )
    order = [("symbol", "ascending"), ("date", "ascending")]
    assert found.sort_by(order).select(NAMES).equals(expected.sort_by(order).select(NAMES))


def test_every_setting_of_a_frame_is_one_of_the_command() -> None:
    assert set(FrameSettings.__annotations__) <= set(SETTINGS)


REFUSED: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (DAILY["close"], {}, TypeError, "DataFrame with the columns symbol, date and close, not a Series"),
    (pl.DataFrame(TABLE)["close"], {}, TypeError, "not a Series"),
    (pl.DataFrame(TABLE).lazy(), {}, TypeError, r"collect\(\)"),
    ("prices.parquet", {}, TypeError, r"weekly_cli.build\('prices.parquet'\)"),
    (Path("prices"), {}, TypeError, "use weekly_cli.build"),
    ([1, 2], {}, TypeError, "not list"),
    (DAILY, {"feature": "all"}, TypeError, "unexpected keyword argument 'feature'"),
    (DAILY, {"features": "momentun"}, UsageError, "did you mean momentum"),
    (DAILY, {"benchmark": "SPY"}, WeeklyError, "benchmark SPY: the frame has no such symbol"),
    (DAILY.drop(columns="close"), {}, InputRefused, r"columns={'close': 'NAME'}"),
    (DAILY, {"columns": {"close": "clos"}}, InputRefused, r"columns={'close': '...'}; .*did you mean close"),
    (
        DAILY.drop(columns="symbol"),
        {},
        InputRefused,
        r"no column for symbol, and 240 rows repeat a date .*columns={'symbol'",
    ),
    (pd.concat([DAILY, DAILY[:2]]), {}, InputRefused, "2 rows of the frame repeat a symbol's date .first: 'AAA' on"),
    (DAILY.assign(close="a"), {}, InputRefused, r"close takes numbers; .*columns={'close': 'NAME'}"),
    (DAILY.assign(date=1.5), {}, InputRefused, "date_unit= with one of"),
    (DAILY.assign(symbol=[None, *DAILY["symbol"][1:]]), {}, InputRefused, "1 rows of the frame have no symbol"),
    (DAILY, {"price": "adj"}, InputRefused, "no column 'adj' for price="),
    (DAILY.assign(w_close=1.0), {}, InputRefused, "already has the columns w_close"),
    (pd.concat([DAILY, DAILY[["close"]]], axis=1), {}, InputRefused, "more than one column 'close'"),
]


@pytest.mark.parametrize(("frame", "arguments", "kind", "told"), REFUSED)
def test_errors_speak_python(frame: Any, arguments: dict[str, Any], kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told) as raised:
        weekly_cli.add_weekly_features(frame, **arguments)
    assert "--" not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_flags_become_arguments() -> None:
    told = "pass --on-duplicates first, or --columns symbol=code+exchange; --symbol AAA if all rows have the same"
    expected = (
        "pass on_duplicates= first, or columns={'symbol': 'code+exchange'}; symbol='AAA' if all rows have the same"
    )
    assert worded(told) == expected


# ---- rows of an output -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("read")
    build(write(TABLE, folder / "in.parquet"), folder / "out", features=FEW)
    return folder / "out"


def test_rows_of_an_output_are_read_by_symbol_date_and_column(output: Path) -> None:
    whole = pd.concat(pd.read_parquet(path) for path in sorted(output.glob("*.parquet")))
    day = sorted(set(whole["date"]))[60]
    found = weekly_cli.read(output, symbols=["BBB"], start=day, end="2030-01-01", columns=["date", "w_close"])
    expected = whole[(whole["symbol"] == "BBB") & (whole["date"] >= day)]
    assert list(found.columns) == ["date", "w_close"]
    assert found["w_close"].tolist() == expected["w_close"].tolist()
    assert found["date"].dt.date.tolist() == expected["date"].tolist()
    assert len(weekly_cli.read(output)) == TABLE.num_rows
    assert set(weekly_cli.read(output, symbols="CCC")["symbol"]) == {"CCC"}
    assert weekly_cli.read(output, start=datetime.date(2200, 1, 1)).empty


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"symbols": "BB"}, "has no symbol BB; did you mean BBB"),
        ({"columns": ["w_clos"]}, "has no column w_clos; did you mean w_close"),
        ({"start": "yesterday"}, "start takes a date such as 2024-03-01"),
    ],
)
def test_what_an_output_has_not_is_told(output: Path, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        weekly_cli.read(output, **arguments)


def test_a_table_of_others_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="is no output of weekly-cli build"):
        weekly_cli.read(write(TABLE, tmp_path / "prices.parquet"))


# ---- results in a session --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Proof, Inspection]:
    """The results of a build whose paths would be markup."""
    folder = tmp_path_factory.mktemp("odd") / "<script>alert('&')<"
    source = write(TABLE, folder / "in.parquet")
    report = weekly_cli.build(source, folder / "out", features=FEW, jobs=1)
    return report, verify(folder / "out", dates=1, symbols=1), weekly_cli.inspect(folder / "out")


def test_results_show_their_figures(odd: tuple[Report, Proof, Inspection]) -> None:
    report, proof, found = odd
    assert repr(report).startswith("Report(output: ")
    assert f"rows: {TABLE.num_rows:,}, symbols: 3, " in repr(report)
    assert "passed: yes" in repr(proof)
    assert "not checked: " in repr(proof) or "passed" in repr(proof)
    assert repr(found).startswith("Inspection(input: ")
    assert all(len(repr(one)) < 2_000 for one in odd)


def test_a_notebook_shows_text_whatever_it_holds(odd: tuple[Report, Proof, Inspection]) -> None:
    for one in odd:
        page = ElementTree.fromstring(one._repr_html_())
        cells = {row.findtext("th"): row.findtext("td") for row in page.iter("tr")}
        assert cells == dict(one.figures())
        assert not list(page.iter("script"))
        assert "<script>" in str(list(cells.values()))
