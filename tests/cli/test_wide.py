"""Wide tables: a column a ticker, or a column for each field of each ticker."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import build, build_here, read, report_here, run_cli, write

from weekly_cli.dataset import wide
from weekly_cli.errors import InputRefused
from weekly_cli.events import Event, StageEnded
from weekly_cli.run.task import Outcome, Task, run_task
from weekly_cli.verify import verify

pytestmark = pytest.mark.slow

FEW = "w_week_end,w_close,w_ret,w_high"
TICKERS = ["AAPL", "BRK.B", "BF B", "^GSPC", "BTC-USD", "000001", "A_B", "ÅSE", "C", "1E5", "NA", "MSFT", "BRK"]
FIELDS = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]


def closes(tickers: Sequence[str] = TICKERS, n_days: int = 120, seed: int = 1) -> pd.DataFrame:
    """A random walk for each ticker, with holes, and nulls before its listing and after its end."""
    rng = np.random.default_rng(seed)
    values = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, (n_days, len(tickers))), axis=0))
    values[rng.random(values.shape) < 0.05] = np.nan
    for place in range(len(tickers)):
        begin, end = (rng.integers(0, n_days // 2), rng.integers(n_days // 2, n_days)) if place % 3 else (0, n_days)
        values[:begin, place] = np.nan
        values[end:, place] = np.nan
    return pd.DataFrame(values, pd.bdate_range("2022-01-03", periods=n_days, name="Date"), list(tickers))


def all_fields(tickers: Sequence[str] = TICKERS, seed: int = 1) -> pd.DataFrame:
    """What yfinance returns: the columns are a MultiIndex of field and ticker."""
    close = closes(tickers, seed=seed)
    shares = close.notna() * 1000.0
    columns = {"Open": close * 0.99, "High": close * 1.02, "Low": close * 0.98, "Close": close}
    columns |= {"Adj Close": close / 2, "Volume": shares.where(close.notna())}
    return pd.concat(columns, axis=1, names=["Price", "Ticker"])


def long(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a wide table of closes from each ticker's first to its last value."""
    parts = []
    for ticker in frame:
        own = frame[ticker]
        own = own.loc[own.first_valid_index() : own.last_valid_index()] if own.notna().any() else own.iloc[:0]
        parts.append(pd.DataFrame({"symbol": ticker, "Date": own.index, "close": own.to_numpy()}))
    return pd.concat(parts, ignore_index=True)


def write_long(frame: pd.DataFrame, path: Path) -> Path:
    table = pa.Table.from_pandas(long(frame), preserve_index=False).replace_schema_metadata()
    return write(table.set_column(0, "symbol", table.column(0).cast(pa.string())), path)


def saved(frame: pd.DataFrame, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(path, **options)
    return path


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
def test_a_wide_table_is_its_long_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str, seed: int
) -> None:
    monkeypatch.setattr(wide, "_BATCH_VALUES", 300)
    frame = closes(seed=seed).assign(NONE=np.nan)
    expected = build(write_long(frame, tmp_path / "long.parquet"), tmp_path / "expected", features=FEW)
    report = report_here(
        saved(frame, tmp_path / "wide.parquet", row_group_size=50), tmp_path / "out", strategy=strategy, features=FEW
    )
    assert read(tmp_path / "out").equals(expected)
    assert report.notes == ("a wide table of closes: 14 tickers", "no value at all, so no row: NONE")
    assert report.seconds["convert"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("of_fields", [False, True])
def test_its_output_passes_verify(tmp_path: Path, of_fields: bool) -> None:
    frame = all_fields() if of_fields else closes()
    build(saved(frame, tmp_path / "wide.parquet"), tmp_path / "out", features="bars,returns")
    proof = verify(tmp_path / "out", symbols=8)
    assert proof.passed
    check = next(check for check in proof.checks if check.name == "conversion")
    assert check.did.startswith("8 symbols of 1 files read by pandas")


def test_verify_finds_what_was_converted_wrongly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code on both sides would agree with itself."""
    monkeypatch.setattr(
        wide._Batch, "_values", lambda self, field, kind: pa.nulls(self.present.size, kind).fill_null(1)
    )
    build(saved(closes(), tmp_path / "wide.parquet"), tmp_path / "out", features=FEW)
    proof = verify(tmp_path / "out")
    assert [check.name for check in proof.checks if check.findings] == ["conversion"]


@pytest.mark.parametrize("split", ["dates", "tickers", "both"])
def test_several_wide_files_are_one_input(tmp_path: Path, split: str) -> None:
    """A ticker's span is that over all files: a file without a value of it may lie between two others."""
    frame = closes()
    frame.iloc[40:80, 0] = np.nan
    expected = build(write_long(frame, tmp_path / "long.parquet"), tmp_path / "expected", features=FEW)
    rows = [frame] if split == "tickers" else [frame.iloc[begin : begin + 40] for begin in (0, 40, 80)]
    columns = [list(frame)] if split == "dates" else [list(frame)[:5], list(frame)[5:]]
    for number, (part, names) in enumerate((part, names) for part in rows for names in columns):
        saved(part[names], tmp_path / f"wide/{number}.parquet")
    assert build(tmp_path / "wide", tmp_path / "out", features=FEW).equals(expected)


def test_columns_of_a_multi_index(tmp_path: Path) -> None:
    frame = all_fields()
    out = build(saved(frame, tmp_path / "a.parquet"), tmp_path / "a", features=FEW)
    assert out.column_names[:8] == ["symbol", "Date", *FIELDS]
    expected = long(frame["Close"]).sort_values(
        ["symbol", "Date"], key=lambda x: x if x.name == "Date" else x.map(str.encode)
    )
    assert out.column("symbol").to_pylist() == expected["symbol"].to_list()
    np.testing.assert_array_equal(out.column("Close").to_numpy(), expected["close"])
    swapped = build(saved(frame.swaplevel(axis=1), tmp_path / "b.parquet"), tmp_path / "b", features=FEW)
    assert swapped.equals(out)


@pytest.mark.parametrize("name", ["{field}_{ticker}", "{ticker}_{field}", "{field} {ticker}", "{ticker}.{field}"])
def test_columns_of_joined_names(tmp_path: Path, name: str) -> None:
    frame = all_fields()
    expected = build(saved(frame, tmp_path / "a.parquet"), tmp_path / "a", features=FEW)
    frame.columns = pd.Index([name.format(field=field, ticker=ticker) for field, ticker in frame.columns])
    assert build(saved(frame, tmp_path / "b.parquet"), tmp_path / "b", features=FEW).equals(expected)


def test_the_date_is_the_pandas_index_or_any_column_of_dates(tmp_path: Path) -> None:
    frame = closes()
    unnamed = build(saved(frame.rename_axis(None), tmp_path / "a.parquet"), tmp_path / "a", features=FEW)
    assert unnamed.column_names[:3] == ["symbol", "date", "close"]
    column = saved(frame.reset_index(names="Session"), tmp_path / "b.parquet", index=False)
    assert build(column, tmp_path / "b", features=FEW).rename_columns(unnamed.column_names).equals(unnamed)
    text = frame.set_axis(frame.index.strftime("%Y-%m-%d"), axis=0).rename_axis("day")
    days = build(saved(text, tmp_path / "c.parquet"), tmp_path / "c", features=FEW)
    assert days.column("day").to_pylist() == [str(date.date()) for date in unnamed.column("date").to_pylist()]
    assert days.drop_columns("day").equals(unnamed.drop_columns("date"))


@pytest.mark.parametrize(
    ("dates", "settings"),
    [
        (lambda index: index.strftime("%Y%m%d").astype("int64"), {}),
        (lambda index: index.astype("datetime64[ms]").astype("int64"), {}),
        (lambda index: index.strftime("%m/%d/%Y"), {"date_format": "%m/%d/%Y"}),
        (lambda index: index.tz_localize("UTC"), {"timezone": "Europe/Berlin"}),
    ],
)
def test_dates_of_any_form(tmp_path: Path, dates: Callable[[Any], Any], settings: dict[str, Any]) -> None:
    """The rows of a ticker are those between its first and last date, in whatever form it has them."""
    frame = closes().sample(frac=1, random_state=1)
    expected = build(saved(frame, tmp_path / "a.parquet"), tmp_path / "a", features=FEW)
    other = saved(frame.set_axis(dates(frame.index), axis=0).rename_axis("date"), tmp_path / "b.parquet")
    out = build(other, tmp_path / "b", features=FEW, **settings)
    assert out.drop_columns("date").equals(expected.drop_columns("Date"))
    assert verify(tmp_path / "b", symbols=5).passed


def test_hive_keys_are_columns_of_wide_tables_too(tmp_path: Path) -> None:
    for market, names in (("us", ["AA", "BB"]), ("eu", ["CC", "DD"])):
        saved(closes(names), tmp_path / f"wide/market={market}/closes.parquet")
    out = build(tmp_path / "wide", tmp_path / "out", features=FEW)
    assert set(zip(*(out.column(name).to_pylist() for name in ("symbol", "market")), strict=True)) == {
        ("AA", "us"),
        ("BB", "us"),
        ("CC", "eu"),
        ("DD", "eu"),
    }
    assert verify(tmp_path / "out").passed


def test_a_folder_a_symbol_is_not_wide(tmp_path: Path) -> None:
    for symbol in ("AA", "BB"):
        write(dated(px=1.5, quantity=2.0), tmp_path / f"prices/symbol={symbol}/data.parquet")
    assert set(build(tmp_path / "prices", tmp_path / "out", features=FEW).column("symbol").to_pylist()) == {"AA", "BB"}


def test_a_file_a_field_is_refused(tmp_path: Path) -> None:
    saved(closes(), tmp_path / "wide/close.parquet")
    build(tmp_path / "wide", tmp_path / "out", features=FEW)
    saved(closes(seed=2), tmp_path / "wide/volume.parquet")
    with pytest.raises(InputRefused, match="by its name one of 'volume'"):
        build(tmp_path / "wide", tmp_path / "out")


def test_decimals_beside_floats_become_the_nearest_float(tmp_path: Path) -> None:
    frame = closes(["AA", "BB"]).round(2).dropna()
    expected = build(saved(frame, tmp_path / "a.parquet"), tmp_path / "a", features=FEW)
    table = pq.ParquetFile(tmp_path / "a.parquet").read()
    decimals = pa.array([Decimal(f"{value:.2f}") for value in frame["AA"]])
    path = write(table.set_column(table.column_names.index("AA"), "AA", decimals), tmp_path / "b.parquet")
    assert build(path, tmp_path / "b", features=FEW).equals(expected)


def test_two_dates_are_refused_and_one_is_named(tmp_path: Path) -> None:
    frame = closes().assign(settled=lambda own: own.index)
    path = saved(frame, tmp_path / "a.parquet")
    with pytest.raises(InputRefused, match="more than one date among its columns: settled, Date; name it with"):
        build(path, tmp_path / "out")
    out = build(path, tmp_path / "out", columns={"date": "Date"}, wide="closes", features=FEW)
    assert set(out.column("symbol").to_pylist()) == set(TICKERS)


def test_numbers_of_several_types_become_one(tmp_path: Path) -> None:
    dates = pa.array(pd.bdate_range("2022-01-03", periods=10).date)
    table = pa.table(
        {"date": dates, "AA": list(range(1, 11)), "BB": [1.5] * 10, "EE": pa.array([2.0] * 10, pa.float32())}
    )
    out = build(write(table, tmp_path / "a.parquet"), tmp_path / "out", features=FEW)
    assert out.schema.field("close").type == pa.float64()
    table = table.set_column(1, "AA", pa.array([2**53 + 1] * 10))
    with pytest.raises(InputRefused, match="column 'AA' is int64, others are double, in which it does not fit"):
        build(write(table, tmp_path / "b.parquet"), tmp_path / "out", features=FEW)


def dated(**columns: Any) -> pa.Table:
    dates = pd.bdate_range("2022-01-03", periods=4).date
    return pa.table({"date": pa.array(dates)} | {name: pa.array([value] * 4) for name, value in columns.items()})


LISTED = dict.fromkeys(("AAPL", "MSFT", "C", "V", "LOW", "IBM", "KO", "GE", "BA", "F", "XOM", "PFE"), 1.0)


@pytest.mark.parametrize(
    ("columns", "setting", "expected"),
    [
        (LISTED, "auto", True),
        (LISTED, "no", False),
        ({"open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1, "sma_20": 1.0, "rsi": 2.0}, "auto", False),
        ({"o": 1.0, "h": 1.0, "l": 1.0, "c": 1.0, "v": 1, "x": 2.0}, "auto", False),
        ({"close": 1.0}, "auto", False),
        ({"close": 1.0}, "closes", True),
        ({"symbol": "A", "close": 1.0}, "auto", False),
        ({"symbol": "A", "AA": 1.0, "BB": 1.0, "EE": 1.0, "FF": 1.0, "GG": 1.0}, "auto", False),
        ({"adj_close": 1.0, "adj_open": 1.0}, "auto", False),
        ({"bid": 1.0, "ask": 1.0}, "auto", False),
        ({"price": 1.0, "one": 1.0, "two": 1.0}, "auto", False),
        ({"volume": 1.0, "one": 1.0}, "auto", False),
        ({"rsi_14": 1.0, "sma_20": 1.0, "ret_5d": 0.1}, "auto", False),
        ({"bitcoin": 1.0, "ethereum": 1.0}, "auto", True),
        ({"AA": 1.0, "BB": 1, "EE": None}, "auto", True),
        ({"AA": 1.0, "BB": 1, "note": "x"}, "closes", True),
    ],
)
def test_what_is_taken_for_wide(tmp_path: Path, columns: dict[str, Any], setting: str, expected: bool) -> None:
    path = write(dated(**columns), tmp_path / "prices.parquet")
    schema = pq.ParquetFile(path).schema_arrow
    config = wide.Config(input=(str(path),), wide=setting)
    assert (wide.recognize(path, schema, config) is not None) == expected


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"C": 1.0, "AAPL": 1.0}, "could be a wide table with a ticker 'AAPL' or one symbol's prices"),
        ({"BTC": 1.0, "ETH": 1.0, "volume": 1.0}, "could be a wide table with a ticker 'BTC' or one symbol's prices"),
        ({"AAPL": 1.0}, "could be a wide table with a ticker 'AAPL'"),
        ({"AA": 1.0, "BB": 1, "note": "x"}, "looks like a wide table with 2 tickers, but for column 'note'"),
        ({**LISTED, "note": "x"}, "looks like a wide table with 12 tickers, but for column 'note', which is string"),
    ],
)
def test_what_has_several_meanings_is_refused_with_the_way_out(
    tmp_path: Path, columns: dict[str, Any], says: str
) -> None:
    path = write(dated(**columns), tmp_path / "prices.parquet")
    with pytest.raises(InputRefused, match="--wide closes") as refused:
        build(path, tmp_path / "out")
    assert says in str(refused.value)
    out = build(path, tmp_path / "out", wide="closes", features=FEW)
    assert set(out.column("symbol").to_pylist()) == {name for name in columns if name != "note"}
    assert verify(tmp_path / "out").passed


def test_messages_name_the_users_file(tmp_path: Path) -> None:
    frame = closes(["AA", "BB"])
    path = saved(pd.concat([frame, frame.iloc[5:6]]), tmp_path / "wide.parquet")
    with pytest.raises(InputRefused, match=f"{path}") as refused:
        build(path, tmp_path / "out")
    assert "work" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_wide_table_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = saved(closes(), tmp_path / "wide.parquet")

    def change(event: Event) -> None:
        if isinstance(event, StageEnded) and event.stage == "convert":
            saved(closes(seed=9), path)

    with pytest.raises(InputRefused, match="was changed while it was being read"):
        report_here(path, tmp_path / "out", change, features=FEW)


def test_a_killed_build_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The input is converted again, to the same bytes: what was done of the rest counts."""
    path = saved(closes(), tmp_path / "wide.parquet")
    settings: dict[str, Any] = {"features": FEW, "strategy": "per-symbol"}
    expected = build_here(path, tmp_path / "expected", **settings)
    done: list[int] = []

    def until(task: Task) -> Outcome:
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(task.number)
        return run_task(task)

    monkeypatch.setattr("weekly_cli.run.fan_out.run_task", until)
    with pytest.raises(KeyboardInterrupt):
        report_here(path, tmp_path / "out", **settings)
    done.clear()
    monkeypatch.setattr("weekly_cli.run.fan_out.run_task", lambda task: done.append(task.number) or run_task(task))
    assert build_here(path, tmp_path / "out", **settings).equals(expected)
    assert len(done) == len(closes().columns) - 5
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["expected", "out", "wide.parquet"]


def test_plan_says_so_and_writes_nothing(tmp_path: Path) -> None:
    path = saved(closes(), tmp_path / "wide.parquet")
    done = run_cli("plan", path, "--output", tmp_path / "out", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["read_as"] == "a wide table of closes: 13 tickers"
    assert [entry.name for entry in tmp_path.iterdir()] == ["wide.parquet"]
