"""`diff`: what differs between two outputs, against pandas on random changes, and the ways in which outputs differ."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from frames import build, daily, read, run_cli, write

from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.questions import histories
from weekly_cli.questions.diff import Diff, diff

SYMBOLS = [f"S{number}" for number in range(8)]


@pytest.fixture(scope="module")
def source() -> pd.DataFrame:
    return daily(SYMBOLS, 140).to_pandas()


def built(frame: pd.DataFrame, output: Path, **settings: object) -> str:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    build(write(table, output.with_suffix(".prices.parquet")), output, **settings)
    return str(output)


@pytest.fixture(scope="module")
def yesterday(source: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Without the last two days."""
    days = sorted(source["date"].unique())
    return built(source[source["date"] <= days[-3]], tmp_path_factory.mktemp("a") / "yesterday")


def frame_of(output: str) -> pd.DataFrame:
    return read(Path(output)).to_pandas().set_index(["symbol", "date"])


def by_pandas(a: str, b: str) -> dict[str, tuple[int, datetime.date]]:
    """Rows that differ and the first date of them, by column."""
    x, y = frame_of(a), frame_of(b)
    shared = x.index.intersection(y.index)
    found = {}
    for name in x.columns.intersection(y.columns):
        left, right = x.loc[shared, name], y.loc[shared, name]
        other = (left != right) & ~(left.isna() & right.isna())
        if other.any():
            found[name] = int(other.sum()), min(shared[other].get_level_values("date"))
    return found


def told(found: Diff) -> dict[str, tuple[int, datetime.date]]:
    return {change.column: (change.rows, change.first) for change in found.changes}


def test_new_rows_are_no_changed_history(source: pd.DataFrame, yesterday: str, tmp_path: Path) -> None:
    found = diff(yesterday, built(source, tmp_path / "today"))
    assert (found.rows.new, found.changed_rows, found.history_changed, found.equal) == (16, 0, False, False)
    assert found.conclusion == "no history changed; 16 rows are new"
    assert found.settings.keys() == {"input"}
    same = diff(yesterday, yesterday)
    assert same.equal
    assert same.conclusion == f"equal: {138 * 8:,} rows of 8 symbols"


@pytest.mark.parametrize("n_bytes", [1, 2**27])
def test_a_restated_split_is_found(
    source: pd.DataFrame, yesterday: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_bytes: int
) -> None:
    monkeypatch.setattr(histories, "_BLOCK_BYTES", n_bytes)
    split = source.copy()
    before = (split["symbol"] == "S3") & (split["date"] < datetime.date(2022, 5, 2))
    split.loc[before, ["open", "high", "low", "close"]] /= 4
    today = built(split, tmp_path / "today")
    found = diff(yesterday, today)
    (symbol,) = found.symbols_changed
    assert (symbol.symbol, symbol.first, symbol.close_factor) == ("S3", datetime.date(2022, 1, 3), 0.25)
    assert found.conclusion == "history of 1 symbol changed from 2022-01-03 on; 16 rows are new"
    assert told(found) == by_pandas(yesterday, today)
    (close,) = (change for change in found.changes if change.column == "close")
    there = frame_of(yesterday).loc["S3"]["close"]
    assert close.date == (there[there.index < datetime.date(2022, 5, 2)]).idxmax()
    assert (close.a, close.b) == (there[close.date], there[close.date] / 4)


@pytest.mark.parametrize("seed", range(4))
def test_random_changes_are_those_of_pandas(
    source: pd.DataFrame, yesterday: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Values, missing ones, rows that come and go, symbols that come and go."""
    monkeypatch.setattr(histories, "_BLOCK_BYTES", 30_000)
    rng = np.random.default_rng(seed)
    frame = source.copy()
    frame["volume"] = frame["volume"].astype(float)
    for column in ("open", "close", "volume"):
        frame.loc[rng.random(len(frame)) < 0.002, column] *= 1.5
        frame.loc[rng.random(len(frame)) < 0.002, column] = np.nan
    frame = frame[(rng.random(len(frame)) > 0.003) & (frame["symbol"] != "S5")]
    came = source[source["symbol"] == "S0"].assign(symbol=["S45", "A", "Z", "S55"][seed])
    frame = pd.concat([frame, came])
    today = built(frame, tmp_path / "today")
    found = diff(yesterday, today)
    assert told(found) == by_pandas(yesterday, today)
    x, y = frame_of(yesterday), frame_of(today)
    both = set(SYMBOLS) - {"S5"}
    last = x.index.get_level_values("date").max()
    gone = [key for key in x.index.difference(y.index) if key[0] in both]
    new = [key for key in y.index.difference(x.index) if key[1] > last]
    assert (found.rows.history_went, found.rows.history_came, found.rows.new) == (len(gone), 0, len(new))
    assert (found.rows.of_symbols_that_went, found.rows.of_symbols_that_came) == (138, 138)
    assert (found.symbols_went, found.symbols_came) == (("S5",), tuple(came["symbol"].unique()))
    shared = x.index.intersection(y.index)
    columns = x.columns.intersection(y.columns)
    left, right = x.loc[shared, columns], y.loc[shared, columns]
    other = ((left != right) & ~(left.isna() & right.isna())).any(axis=1)
    assert found.changed_rows == int(other.sum())
    keys = [*shared[other], *gone]
    firsts = {symbol: min(day for one, day in keys if one == symbol) for symbol, _ in keys}
    assert {one.symbol: one.first for one in found.symbols_changed} == firsts
    assert [one.rows for one in found.symbols_changed] == sorted(
        (sum(one == symbol for one, _ in keys) for symbol in firsts), reverse=True
    )
    back = diff(today, yesterday)
    assert told(back) == told(found)
    assert (back.symbols_went, back.symbols_came) == (found.symbols_came, found.symbols_went)


def test_other_settings_types_and_columns(source: pd.DataFrame, yesterday: str, tmp_path: Path) -> None:
    """What was rounded is compared as rounded."""
    days = sorted(source["date"].unique())
    frame = source[source["date"] <= days[-3]].assign(exchange="X")
    double = built(frame, tmp_path / "double", dtype="float64", features="all,-w_ret", available="week-end")
    found = diff(yesterday, double)
    assert found.columns_came == ("exchange",)
    assert found.columns_went == ("w_ret",)
    assert found.types["w_rsi_14"] == ("float", "double")
    assert found.settings["available"] == (None, "week-end")
    assert found.settings["dtype"] == (None, "float64")
    assert "in weekly columns alone" in found.conclusion
    exact = built(frame, tmp_path / "exact", dtype="float64")
    assert not diff(yesterday, exact).changes
    assert diff(yesterday, exact).history_changed, "types are"


def test_symbols_of_another_type(source: pd.DataFrame, tmp_path: Path) -> None:
    numbers = source.assign(symbol=source["symbol"].str[1:].astype(int))
    narrow = numbers.assign(symbol=numbers["symbol"].astype(np.int16))
    texts = source.assign(symbol=pd.Categorical(source["symbol"]))
    outputs = [built(one, tmp_path / f"{number}") for number, one in enumerate((numbers, narrow, texts, source))]
    assert (
        diff(outputs[0], outputs[1]).conclusion
        == diff(outputs[2], outputs[3]).conclusion
        == "equal: 1,120 rows of 8 symbols"
    )
    with pytest.raises(UsageError, match=r"symbols are int64 in .* and (large_)?string in"):
        diff(outputs[0], outputs[3])


def test_a_tolerance_is_relative_above_one(yesterday: str, tmp_path: Path) -> None:
    rows = read(Path(yesterday))
    close = rows.column("close")
    moved = pc.multiply(close, 1 + 1e-9)
    nan = pc.if_else(
        pc.is_null(rows.column("w_sma_20")), pa.scalar(float("nan"), pa.float32()), rows.column("w_sma_20")
    )
    names = rows.schema.names
    other = rows.set_column(names.index("close"), "close", moved)
    other = other.set_column(names.index("w_sma_20"), rows.schema.field("w_sma_20"), nan)
    b = str(write(other.replace_schema_metadata(rows.schema.metadata), tmp_path / "b.parquet"))
    found = diff(yesterday, b)
    assert [change.column for change in found.changes] == ["close"]
    assert diff(yesterday, b, 1e-8).conclusion == "equal to 1e-08: 1,104 rows of 8 symbols"
    assert not diff(yesterday, b, 1e-10).equal
    with pytest.raises(UsageError, match="--tolerance"):
        diff(yesterday, b, float("nan"))


def test_rows_in_another_order_are_told(yesterday: str, tmp_path: Path) -> None:
    rows = read(Path(yesterday))
    order = np.arange(rows.num_rows)
    order[[5, 6]] = order[[6, 5]]
    write(rows.take(pa.array(order)), tmp_path / "b.parquet")
    with pytest.raises(InputRefused, match=r"b\.parquet do not ascend by symbol and date.*S0 2022-01-10"):
        diff(yesterday, str(tmp_path / "b.parquet"))


def test_an_output_without_rows(source: pd.DataFrame, yesterday: str, tmp_path: Path) -> None:
    empty = built(source, tmp_path / "empty", start="2030-01-01", allow_empty=True)
    found = diff(empty, yesterday)
    assert (found.rows.new, len(found.symbols_came), found.a.last) == (1104, 8, None)
    assert diff(empty, empty).equal


@pytest.mark.slow
def test_the_command(source: pd.DataFrame, yesterday: str, tmp_path: Path) -> None:
    today = built(source, tmp_path / "today")
    done = run_cli("diff", yesterday, today, "--json")
    assert (done.returncode, done.stderr) == (8, "")
    facts = json.loads(done.stdout)
    assert (facts["equal"], facts["history_changed"], facts["rows"]["new"]) == (False, False, 16)
    done = run_cli("diff", "--ignore-new", yesterday, today, env={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "no history changed; 16 rows are new"
