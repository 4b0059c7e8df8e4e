"""`weekly-cli verify`: what is right holds, and every kind of wrong is found by the check that is there for it."""

from __future__ import annotations

import datetime
import decimal
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from frames import (
    build,
    build_here,
    daily,
    in_order,
    on_a_terminal,
    parts,
    picture,
    run_cli,
    shuffled,
    write,
    write_files,
)
from rounds import soaked

from weekly_cli.compute import features
from weekly_cli.compute.clocks import Clock
from weekly_cli.compute.features import Feature, returns
from weekly_cli.compute.kernels import lag
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.verify import Proof, hashes, verify

pytestmark = pytest.mark.slow

SYMBOLS = ["AAA", "BBB", "CCC", "DDD"]
#: Of the bar, of dates, of a window, of a recursion: where the columns are not what a test is about.
FEW = "w_close,w_week_end,w_ret,w_sma_20,w_rsi_14"
CHECKS = ["bytes", "columns", "rows", "values", "look-ahead", "reference", "warm-up"]


@pytest.fixture(autouse=True)
def two_rounds(few_rounds: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verification that is not told otherwise cuts the input twice."""
    monkeypatch.setattr(verify, "__kwdefaults__", {**verify.__kwdefaults__, "dates": 2})


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Three years of four symbols, with columns beside the roles."""
    prices = daily(SYMBOLS, 750)
    rows = prices.num_rows
    prices = prices.append_column("adj", pc.multiply(prices.column("close"), 0.5))
    prices = prices.append_column("exchange", pa.array([None if n % 7 == 0 else "XNYS" for n in range(rows)]))
    return prices.append_column("note", pa.array(np.arange(rows), pa.int32()))


@pytest.fixture(scope="module")
def prices(table: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(table, tmp_path_factory.mktemp("verify") / "prices", 3)


def failed(proof: Proof) -> list[str]:
    return [check.name for check in proof.checks if not check.passed]


def findings(proof: Proof) -> str:
    return "\n".join(finding for check in proof.checks for finding in check.findings)


def said_of_checks(lines: list[str], result: str) -> list[str]:
    """The checks with this result; how far apart columns are depends on the version of rich."""
    return [match[1] for line in lines if (match := re.match(rf"(\S+) +{result}  ", line))]


# ---- what is right ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", soaked(["out"], ["out.parquet"]))
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dtype": "float64", "week": "W-SUN", "available": "week-end", "price": "adj"},
        {"benchmark": ["BBB", "DDD"], "features": "relative,w_macd", "dtype": "float64"},
        {"symbols": ["CCC", "AAA"], "benchmark": ["BBB"], "start": "2023-03-01", "end": "2024-01-31"},
        {"max_symbols": 3, "strategy": "batched", "compression": "snappy", "features": "all,-bars"},
        {"columns": {"close": "adj"}},
    ],
    ids=str,
)
def test_an_output_passes_every_check(prices: Path, tmp_path: Path, name: str, settings: dict[str, Any]) -> None:
    """The table says itself what it was made of, and with which settings."""
    build_here(prices, tmp_path / name, **settings)
    before = picture(tmp_path)
    proof = verify(tmp_path / name)
    assert findings(proof) == ""
    assert proof.passed
    assert [check.name for check in proof.checks] == CHECKS
    assert picture(tmp_path) == before


@pytest.mark.parametrize("on_duplicates", ["first", "last"])
def test_dropped_rows_are_held_against_the_setting_that_dropped_them(
    table: pa.Table, tmp_path: Path, on_duplicates: str
) -> None:
    again = table.slice(100, 300).set_column(5, "close", pc.add(table.slice(100, 300).column("close"), 1.0))
    bad = table.slice(0, 5).set_column(1, "date", pa.nulls(5, pa.date32()))
    source = write(pa.concat_tables([table, again, bad]), tmp_path / "prices.parquet")
    build(source, tmp_path / "out", on_duplicates=on_duplicates, on_bad_rows="drop", features=FEW)
    assert findings(verify(tmp_path / "out")) == ""
    other = {"first": "last", "last": "first"}[on_duplicates]
    build(source, tmp_path / "other", on_duplicates=other, on_bad_rows="drop", features="w_ret")
    relabel(tmp_path / "other", lambda said: said["settings"].update(on_duplicates=on_duplicates))
    assert "rows" in failed(verify(tmp_path / "other"))


def test_columns_computed_anew_pass(table: pa.Table, tmp_path: Path) -> None:
    source = write(table.append_column("w_ret", table.column("close")), tmp_path / "prices.parquet")
    build(source, tmp_path / "out", replace_features=True, features=FEW)
    assert findings(verify(tmp_path / "out")) == ""


def test_sectors_hive_folders_and_symbols_that_are_numbers_pass(table: pa.Table, tmp_path: Path) -> None:
    numbers = table.set_column(0, "symbol", pc.index_in(table.column("symbol"), value_set=pa.array(SYMBOLS)))
    for year in (2022, 2023, 2024):
        rows = numbers.filter(pc.equal(pc.year(numbers.column("date")), year))
        write(rows, tmp_path / f"prices/year={year}/p.parquet")
    (tmp_path / "sectors.csv").write_text("symbol,sector\n0,3\n1,3\n2,0\n")
    build(tmp_path / "prices", tmp_path / "out", sector_map=str(tmp_path / "sectors.csv"), features="relative,w_macd")
    assert findings(verify(tmp_path / "out", symbols=3)) == ""
    elsewhere = (tmp_path / "sectors.csv").rename(tmp_path / "elsewhere.csv")
    with pytest.raises(UsageError, match="--sector-map"):
        verify(tmp_path / "out")
    assert findings(verify(tmp_path / "out", sector_map=elsewhere)) == ""


@pytest.mark.parametrize("rows", [0, 1])
def test_tables_of_next_to_nothing_pass(table: pa.Table, tmp_path: Path, rows: int) -> None:
    source = write(table.slice(0, rows), tmp_path / "prices.parquet")
    build(source, tmp_path / "out.parquet", allow_empty=True)
    proof = verify(tmp_path / "out.parquet")
    assert findings(proof) == ""
    of_the_sample = ["values", "look-ahead", "reference", "warm-up"]
    assert proof.not_checked == (of_the_sample if rows == 0 else ["look-ahead", "warm-up"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_prices_that_are_far_off_pass(table: pa.Table, tmp_path: Path, dtype: str) -> None:
    """Values that their type can't hold are missing, and no two ways to compute a nearly flat z-score agree."""
    close, high = (np.array(table.column(name).to_pylist()) for name in ("close", "high"))
    for number, (symbol, value) in enumerate(zip(SYMBOLS, (1e300, 5e-324, 1e12, 1e7), strict=True)):
        rows = np.flatnonzero(np.array(table.column("symbol")) == symbol)
        close[rows[150 + number]] = value
        high[rows[300 + number]] = value
    table = table.set_column(5, "close", pa.array(close)).set_column(3, "high", pa.array(high))
    source = write(table, tmp_path / "prices.parquet")
    build(source, tmp_path / "out", dtype=dtype, benchmark=["AAA", "BBB"])
    proof = verify(tmp_path / "out", dates=1)
    assert findings(proof) == ""
    assert proof.passed


def test_the_same_seed_looks_at_the_same(prices: Path, tmp_path: Path) -> None:
    build(prices, tmp_path / "out", features="w_rsi_14")
    said = [
        [(check.name, check.did) for check in verify(tmp_path / "out", symbols=2, dates=3, seed=seed).checks]
        for seed in (1, 1, 2)
    ]
    assert said[0] == said[1] != said[2]


def test_an_input_that_has_moved_is_named(prices: Path, table: pa.Table, tmp_path: Path) -> None:
    build(prices, tmp_path / "out", features="w_ret")
    moved = write(shuffled(table), tmp_path / "moved.parquet")
    proof = verify(tmp_path / "out", moved)
    assert findings(proof) == ""
    assert "others by now" in proof.checks[1].did


# ---- what is not whole -----------------------------------------------------------------------------------


def rewritten(output: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change an output of one file as somebody would who keeps its metadata."""
    made = pq.ParquetFile(output).read()
    pq.write_table(change(made).replace_schema_metadata(made.schema.metadata), output, write_page_checksum=True)


def relabel(output: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change what an output says of itself."""
    for part in parts(output):
        made = pq.ParquetFile(part).read()
        said = json.loads(made.schema.metadata[b"weekly_cli"])
        change(said)
        metadata = {b"weekly_cli": json.dumps(said).encode()}
        pq.write_table(made.replace_schema_metadata(metadata), part, write_page_checksum=True)
        part.rename(part.with_name("table.parquet"))


def put_in(name: str, row: int, value: object) -> Callable[[pa.Table], pa.Table]:
    def change(made: pa.Table) -> pa.Table:
        values = made.column(name).to_pylist()
        values[row] = value
        field = made.schema.field(name)
        return made.set_column(made.schema.get_field_index(name), field, pa.array(values, field.type))

    return change


def swapped(made: pa.Table) -> pa.Table:
    """Two rows of a symbol exchange a value: no sum over a column changes."""
    values = made.column("note").to_pylist()
    values[10], values[11] = values[11], values[10]
    return made.set_column(made.schema.get_field_index("note"), "note", pa.array(values, pa.int32()))


def moved(made: pa.Table) -> pa.Table:
    order = np.arange(made.num_rows)
    order[[20, 21]] = order[[21, 20]]
    return made.take(pa.array(order))


def with_type(made: pa.Table) -> pa.Table:
    return made.set_column(made.schema.get_field_index("note"), "note", made.column("note").cast(pa.int64()))


DAMAGE: dict[str, tuple[Callable[[pa.Table], pa.Table], str, str]] = {
    "a row is missing": (
        lambda made: pa.concat_tables([made.slice(0, 7), made.slice(8)]),
        "rows",
        "0 rows in the table",
    ),
    "the last row is missing": (lambda made: made.slice(0, made.num_rows - 1), "rows", "0 rows in the table, 1"),
    "a row is there twice": (
        lambda made: pa.concat_tables([made.slice(0, 8), made.slice(7)]),
        "rows",
        "2 rows in the table, 1 in the input",
    ),
    "a symbol is missing": (lambda made: made.filter(pc.not_equal(made.column("symbol"), "BBB")), "rows", "BBB 2022"),
    "rows change places": (moved, "rows", "comes too late"),
    "values change places": (swapped, "rows", "note is"),
    "a price by one bit": (put_in("close", 5, np.nextafter(7.0, 8.0)), "rows", "close is 7.0"),
    "a volume": (put_in("volume", 999, 1), "rows", "volume is 1 in the table"),
    "a null for a value": (put_in("exchange", 3, None), "rows", "exchange is None in the table, XNYS"),
    "a value for a null": (put_in("exchange", 0, "XNYS"), "rows", "exchange is XNYS in the table, None"),
    "a date": (put_in("date", 4, datetime.date(1999, 1, 1)), "rows", "1999-01-01"),
    "a symbol that is not there": (put_in("symbol", 4, "XXX"), "rows", "a row of the table is not of the input"),
    "a column is missing": (lambda made: made.drop_columns(["note"]), "columns", "has no column note"),
    "another type": (with_type, "columns", "note is int64 in the table, int32"),
    "a column more": (lambda made: made.append_column("more", made.column("close")), "columns", "more"),
    "a feature is missing": (lambda made: made.drop_columns(["w_ret"]), "columns", "w_mom_4"),
    "a feature's value by one bit": (
        put_in("w_macd", 700, np.nextafter(np.float32(7), np.float32(8))),
        "values",
        "w_macd is 7.0000",
    ),
    "a feature's null": (put_in("w_sma_20", 700, None), "values", "w_sma_20 is None in the table"),
    "a feature where none is": (put_in("w_sma_200", 3, 1.0), "values", "w_sma_200 is 1.0 in the table, None"),
    "a week": (put_in("w_week_end", 700, datetime.date(2024, 1, 5)), "values", "w_week_end is 2024-01-05"),
}


@pytest.fixture(scope="module")
def undamaged(prices: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output of two symbols, with the features that are damaged."""
    output = tmp_path_factory.mktemp("undamaged") / "out.parquet"
    build(prices, output, symbols=SYMBOLS[:2], features="w_week_end,w_ret,w_mom_4,w_macd,w_sma_20,w_sma_200")
    return output


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found(undamaged: Path, tmp_path: Path, name: str) -> None:
    change, check, said = DAMAGE[name]
    shutil.copy(undamaged, tmp_path / "out.parquet")
    rewritten(tmp_path / "out.parquet", change)
    proof = verify(tmp_path / "out.parquet", dates=0)
    assert not proof.passed
    assert check in failed(proof)
    assert said in findings(proof)


def test_a_table_that_was_only_written_again_passes(undamaged: Path, tmp_path: Path) -> None:
    """Or the trials above might find what none of them has changed."""
    shutil.copy(undamaged, tmp_path / "out.parquet")
    rewritten(tmp_path / "out.parquet", lambda made: made)
    assert findings(verify(tmp_path / "out.parquet", dates=1)) == ""


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_flipped_bits_are_found(prices: Path, tmp_path: Path, name: str) -> None:
    """In a folder's part everywhere; in a single file everywhere but in the footer, which has no checksum.

    Nor has the header of a page in a single file: where the flipped bits are in one depends on the version of Arrow.
    """
    build(prices, tmp_path / name, features="w_ret,w_close")
    part = parts(tmp_path / name)[0]
    good = part.read_bytes()
    footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    rng = np.random.default_rng(5)
    for at in rng.integers(4, len(good) if name == "out" else footer, 20).tolist():
        data = bytearray(good)
        data[at] ^= 1 << int(rng.integers(8))
        part.write_bytes(data)
        found = failed(verify(tmp_path / name, prices, dates=0, symbols=0))
        assert "bytes" in found or (name == "out.parquet" and "rows" in found), at
    part.write_bytes(good)
    assert verify(tmp_path / name, dates=1, symbols=1).passed


def test_a_part_that_is_missing_or_of_another_run_is_found(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_here(prices, tmp_path / "out", strategy="per-symbol", features=FEW)
    assert len(parts(tmp_path / "out")) == len(SYMBOLS)
    lost = parts(tmp_path / "out")[1]
    content = lost.read_bytes()
    lost.unlink()
    assert failed(verify(tmp_path / "out", dates=1)) == ["rows"]
    lost.write_bytes(content)
    assert verify(tmp_path / "out", dates=1).passed
    build_here(prices, tmp_path / "other", strategy="per-symbol", week="W-SUN", features=FEW)
    lost.write_bytes(parts(tmp_path / "other")[1].read_bytes())
    proof = verify(tmp_path / "out", dates=1)
    assert {"bytes", "columns", "values"} <= set(failed(proof))
    assert "are not those of" in findings(proof)


@pytest.mark.parametrize(
    ("name", "value"), [("week", "W-TUE"), ("available", "week-end"), ("price", "adj"), ("end", "2023-01-01")]
)
def test_settings_that_the_table_was_not_made_with_are_found(
    prices: Path, tmp_path: Path, name: str, value: str
) -> None:
    build(prices, tmp_path / "out", features=FEW)
    relabel(tmp_path / "out", lambda said: said["settings"].update({name: value}))
    assert {"values", "reference"} & set(failed(verify(tmp_path / "out", dates=1)))


@pytest.mark.parametrize("text", [b"{}", b"no json", b'{"settings": {"week": "W-XXX"}, "features": []}'])
def test_metadata_that_can_not_be_read_are_found(prices: Path, tmp_path: Path, text: bytes) -> None:
    build(prices, tmp_path / "out.parquet", features="w_ret")
    made = pq.ParquetFile(tmp_path / "out.parquet").read()
    pq.write_table(made.replace_schema_metadata({b"weekly_cli": text}), tmp_path / "out.parquet")
    proof = verify(tmp_path / "out.parquet", prices)
    assert failed(proof) == ["columns"]
    assert "can't be read" in findings(proof)


# ---- look-ahead, and wrong values ------------------------------------------------------------------------


def add_feature(monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any], *inputs: str) -> None:
    """Add a user's feature to a family's module."""
    leak = Feature(
        name="w_mine", inputs=inputs, function=function, family="returns", formula="the user's own", first_bar=0
    )
    steps = returns.steps
    monkeypatch.setattr(returns, "steps", lambda windows: (*steps(windows), leak))


def next_bar(close: Any) -> Any:
    return np.concatenate([close[1:], close[-1:]])


def of_whole_history(close: Any) -> Any:
    return close - np.nanmean(close, axis=0)


LEAKS = {"the next bar": next_bar, "the mean of all history": of_whole_history}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_feature_of_ones_own_that_looks_ahead_is_found(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leak: str
) -> None:
    add_feature(monkeypatch, LEAKS[leak], "close")
    build(prices, tmp_path / "out", features="returns,momentum")
    proof = verify(tmp_path / "out")
    assert failed(proof) == ["look-ahead"]
    assert "w_mine is" in findings(proof)
    assert "w_mine" in proof.checks[5].did.partition("no formula for ")[2].split(", ")


def test_a_feature_of_ones_own_that_does_not_look_ahead_passes(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_feature(monkeypatch, lambda close: close - lag(close, 1), "close")
    build(prices, tmp_path / "out", features="returns,momentum")
    assert findings(verify(tmp_path / "out")) == ""


def test_rows_that_see_their_own_week_are_found(prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leak within the newest bar: it shows only where a cut falls inside of a week."""
    newest_seen = Clock.newest_seen
    monkeypatch.setattr(Clock, "newest_seen", lambda self, day: newest_seen(self, day) + 1)
    build(prices, tmp_path / "out", features="w_close")
    proof = verify(tmp_path / "out")
    assert failed(proof) == ["look-ahead", "reference"]
    assert "a row sees what comes after it" in findings(proof)


def test_rows_that_see_a_week_a_day_too_early_are_found(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its last day a week's bar is complete: no cut shows that it may not be seen yet, the reference does."""
    newest_seen = Clock.newest_seen
    monkeypatch.setattr(Clock, "newest_seen", lambda self, day: newest_seen(replace(self, available="week-end"), day))
    build(prices, tmp_path / "out", features="w_close")
    assert "reference" in failed(verify(tmp_path / "out"))


@pytest.mark.parametrize("name", ["w_rsi_14", "w_beta_aaa_52", "w_week_end", "m_sma_6", "m_month_end"])
def test_a_feature_that_is_wrong_every_time_is_found(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What builds it again makes the same mistake; the reference implementation does not."""
    true = features.catalogue

    def wrong(*given: Any, **more: Any) -> Any:
        columns = true(*given, **more)
        function = columns.steps[name].function
        off = (
            (lambda *given: function(*given) + 7) if name.endswith("_end") else lambda *given: function(*given) * 1.001
        )
        wrong = Feature(**{**vars(columns.steps[name]), "function": off})
        return replace(columns, steps={**columns.steps, name: wrong})

    for room in ("run.task", "run.wanted"):
        monkeypatch.setattr(f"weekly_cli.{room}.catalogue", wrong)
    settings = {"features": f"{FEW},{name},w_rs_aaa", "every": ["week", "month"]}
    build(prices, tmp_path / "out", benchmark=["AAA"], **settings)
    proof = verify(tmp_path / "out")
    assert failed(proof) == ["reference"]
    assert f"{name} is" in findings(proof)


# ---- warm-up ---------------------------------------------------------------------------------------------


def test_recursive_columns_warm_up_and_windows_do_not(tmp_path: Path) -> None:
    source = write(daily(["A", "B", "C"], 2600), tmp_path / "prices.parquet")
    build(source, tmp_path / "out", features="all", benchmark=["A"], dtype="float64")
    found = {row.column: row for row in verify(tmp_path / "out", dates=1).warm_up}
    recursive = {"w_rsi_14", "w_rsi_21", "w_rsi_30", "w_atr_14", "w_natr_14", "w_trend_persistence"}
    recursive |= {"w_macd", "w_macd_signal", "w_macd_hist", "w_macd_hist_slope"}
    # These take what is there of several windows, the longest of which is 200 bars.
    of_several = {"w_trend_score", "w_trend_sign", "w_trend_score_change", "w_trend_alignment", "w_dist_sma_min"}
    assert set(found) == recursive | of_several
    for row in found.values():
        assert row.symbols == 3
        assert row.unsettled == 0
        assert row.median_bar is not None
        assert row.first_bar < row.median_bar <= row.last_bar
    assert max(found[name].last_bar for name in of_several) <= 205
    # Wilder's weight of 14 falls to a thousandth in ln(1000) / -ln(13/14) = 93 bars, of 30 in 204.
    assert 40 <= found["w_rsi_14"].median_bar <= 150
    assert found["w_rsi_14"].median_bar < found["w_rsi_21"].median_bar < found["w_rsi_30"].median_bar <= 350


def test_histories_of_less_than_a_year_have_no_warm_up(tmp_path: Path) -> None:
    source = write(daily(n_days=200), tmp_path / "prices.parquet")
    build(source, tmp_path / "out")
    proof = verify(tmp_path / "out")
    assert proof.passed
    assert proof.warm_up == ()
    assert proof.not_checked == ["warm-up"]
    assert "no symbol" in proof.checks[-1].not_checked


#: What is not looked at, and the word that says why.
NOT_CHECKED: dict[str, tuple[dict[str, int], list[str], str]] = {
    "no symbols": ({"symbols": 0}, ["values", "look-ahead", "reference", "warm-up"], "--symbols 0"),
    "no dates": ({"dates": 0}, ["look-ahead"], "--dates 0"),
}


@pytest.mark.parametrize("name", NOT_CHECKED)
def test_what_was_not_checked_does_not_count_as_passed(prices: Path, tmp_path: Path, name: str) -> None:
    settings, missing, why = NOT_CHECKED[name]
    build(prices, tmp_path / "out", features="w_ret")
    proof = verify(tmp_path / "out", **settings)
    assert [check.name for check in proof.checks] == CHECKS
    assert proof.not_checked == missing
    assert all(why in check.not_checked for check in proof.checks if check.name in missing)
    flags = [word for flag, count in settings.items() for word in (f"--{flag}", str(count))]
    done = run_cli("verify", tmp_path / "out", *flags)
    lines = done.stdout.splitlines()
    assert said_of_checks(lines, "not checked") == missing
    assert lines[-1] == f"{tmp_path}/out passed what was checked; not checked: {', '.join(missing)}"


def test_symbols_that_differ_are_not_said_to_be_built_again(prices: Path, tmp_path: Path) -> None:
    build(prices, tmp_path / "out.parquet", features=FEW)
    rewritten(tmp_path / "out.parquet", lambda made: made.set_column(5, "close", pc.add(made.column("close"), 1.0)))
    proof = verify(tmp_path / "out.parquet")
    assert failed(proof) == ["rows"]
    assert proof.not_checked == ["values", "look-ahead", "reference", "warm-up"]


def test_the_input_is_found_from_any_folder(table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what happens to lie where the same words lead from there is not taken for it."""
    write(table, tmp_path / "a" / "prices.parquet")
    write(daily(["ZZZ"], 10), tmp_path / "b" / "prices.parquet")
    (tmp_path / "c").mkdir()
    assert run_cli("build", "prices.parquet", "-o", "out", "-q", "--features", FEW, cwd=tmp_path / "a").returncode == 0
    for folder in ("a", "b", "c"):
        monkeypatch.chdir(tmp_path / folder)
        proof = verify(tmp_path / "a" / "out", symbols=1, dates=1)
        assert findings(proof) == ""
        assert "this very input" in proof.checks[1].did
    (tmp_path / "a" / "prices.parquet").rename(tmp_path / "c" / "moved.parquet")
    done = run_cli("verify", tmp_path / "a" / "out", cwd=tmp_path / "c")
    assert done.returncode == 2
    assert f"{tmp_path}/a/prices.parquet, which no longer exists" in done.stderr
    assert "--input" in done.stderr
    done = run_cli("verify", tmp_path / "a" / "out", "--input", "moved.parquet", cwd=tmp_path / "c")
    assert done.returncode == 0


# ---- tables of other programs ----------------------------------------------------------------------------


def by_pandas(table: pa.Table, path: Path) -> None:
    frame = table.to_pandas().sort_values(["symbol", "date"], ignore_index=True)
    frame.assign(sma=frame.groupby("symbol")["close"].transform("mean")).to_parquet(path)


def by_polars(table: pa.Table, path: Path) -> None:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    frame.sort("symbol", "date").with_columns(pl.col("close").alias("last")).write_parquet(path)


@pytest.mark.parametrize("make", [by_pandas, by_polars])
def test_a_table_of_another_program_is_checked_as_far_as_it_goes(
    prices: Path, table: pa.Table, tmp_path: Path, make: Callable[[pa.Table, Path], None]
) -> None:
    """Rows, order and input columns are checked; nobody knows how the others were made."""
    make(table, tmp_path / "theirs.parquet")
    proof = verify(tmp_path / "theirs.parquet", prices)
    assert findings(proof) == ""
    assert [check.name for check in proof.checks] == CHECKS
    assert proof.not_checked == ["bytes", "values", "look-ahead", "reference", "warm-up"]
    make(table.slice(1), tmp_path / "theirs.parquet")
    assert failed(verify(tmp_path / "theirs.parquet", prices)) == ["rows"]
    make(put_in("note", 100, -1)(table), tmp_path / "theirs.parquet")
    assert failed(verify(tmp_path / "theirs.parquet", prices)) == ["rows"]


def test_roles_can_be_given_by_hand(table: pa.Table, tmp_path: Path) -> None:
    renamed = table.rename_columns(["A", "B", *table.column_names[2:]])
    source = write(renamed, tmp_path / "prices.parquet")
    write(in_order(renamed, "A", "B"), tmp_path / "theirs.parquet")
    with pytest.raises(InputRefused, match="no column for symbol"):
        verify(tmp_path / "theirs.parquet", source)
    assert verify(tmp_path / "theirs.parquet", source, columns=["symbol=A,date=B"]).passed


def test_a_table_that_does_not_say_what_it_was_made_of_needs_an_input(table: pa.Table, tmp_path: Path) -> None:
    write(table, tmp_path / "theirs.parquet")
    with pytest.raises(UsageError, match="--input"):
        verify(tmp_path / "theirs.parquet")


# ---- the command -----------------------------------------------------------------------------------------


def test_the_command_prints_checks_and_exits_7_where_one_fails(prices: Path, tmp_path: Path) -> None:
    build(prices, tmp_path / "out.parquet", features=FEW)
    done = run_cli("verify", tmp_path / "out.parquet")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert said_of_checks(lines, "passed") == CHECKS
    assert lines[-1] == f"{tmp_path}/out.parquet passed"
    rewritten(tmp_path / "out.parquet", lambda made: made.slice(1))
    done = run_cli("verify", tmp_path / "out.parquet", "--symbols", "2")
    assert (done.returncode, done.stderr) == (7, "")
    assert done.stdout.splitlines()[-1] == f"{tmp_path}/out.parquet failed: rows"
    done = run_cli("verify", tmp_path / "out.parquet", "--input", prices, "--json", "--dates", "1")
    said = json.loads(done.stdout)
    assert (done.returncode, done.stderr, said["passed"]) == (7, "", False)
    assert [check["name"] for check in said["checks"] if check["findings"]] == ["rows"]
    assert {"column", "first_bar", "median_bar", "last_bar", "symbols", "unsettled"} == said["warm_up"][0].keys()


def test_without_a_table_the_output_of_the_settings_file_is_checked(prices: Path, tmp_path: Path) -> None:
    (tmp_path / "weekly.toml").write_text(f'input = "{prices}"\noutput = "mine"\n')
    build(prices, tmp_path / "mine", features="w_ret")
    done = run_cli("verify", cwd=tmp_path)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "mine passed")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nothing/here"], 3, "nothing/here does not exist"),
        (["{out}", "--input", "nothing/here"], 3, "nothing/here does not exist"),
        (["{out}", "--dates", "-1"], 2, "--dates"),
        (["{out}", "--dates", "many"], 2, "--dates"),
        (["{out}", "--date", "1"], 2, "--date"),
    ],
    ids=str,
)
def test_what_is_asked_for_wrongly_is_refused(
    prices: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    build(prices, tmp_path / "out", features="w_ret")
    done = run_cli("verify", *(word.format(out=tmp_path / "out") for word in words))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1 or "─ Error ─" in done.stderr


def test_a_file_that_is_no_table_is_told_as_that(prices: Path, tmp_path: Path) -> None:
    (tmp_path / "out.parquet").write_bytes(b"PAR1 and nothing else PAR1")
    done = run_cli("verify", tmp_path / "out.parquet", "--input", prices)
    assert done.returncode == 7
    assert "can't be read as Parquet" in " ".join(done.stdout.split())


def test_names_do_not_steer_the_terminal(table: pa.Table, tmp_path: Path) -> None:
    odd = "\x1b[31mred\x07"
    renamed = table.rename_columns([odd if name == "note" else name for name in table.column_names])
    write(renamed, tmp_path / "prices.parquet")
    build(tmp_path / "prices.parquet", tmp_path / "out.parquet", features="w_ret")
    rewritten(tmp_path / "out.parquet", lambda made: made.drop_columns([odd]))
    done = run_cli("verify", tmp_path / "out.parquet")
    assert done.returncode == 7
    assert "\\x1b[31mred" in done.stdout
    assert "\x1b" not in done.stdout
    code, said = on_a_terminal("verify", tmp_path / "nothing\x1b[31m", cwd=tmp_path, env={})
    assert code == 3
    assert "\x1b" not in said


# ---- hashes ----------------------------------------------------------------------------------------------

NAN = np.frombuffer(np.uint64(0x7FF8000000000001).tobytes(), np.float64)[0]
#: Types and values, all of which differ in a bit.
VALUES: list[tuple[pa.DataType, list[Any]]] = [
    (pa.int8(), [0, 1, -1, None]),
    (pa.uint64(), [0, 2**64 - 1, 2**63, None]),
    (pa.float16(), [np.float16(1), np.float16(-0.0), np.float16(0), None]),
    (pa.float32(), [0.0, -0.0, 1.0, None]),
    (pa.float64(), [0.0, -0.0, float("nan"), NAN, float("inf"), 5e-324, None]),
    (pa.bool_(), [True, False, None]),
    (pa.string(), ["", "a", "b", "ä", "NA", "\0", "\0\0", None]),
    (pa.binary(), [b"", b"\xff", b"\0", None]),
    (pa.binary(20), [b"0" * 20, b"0" * 19 + b"1", b"1" + b"0" * 19, None]),
    (pa.decimal128(20, 2), [decimal.Decimal("1.00"), decimal.Decimal("-1.00"), decimal.Decimal("1e15"), None]),
    (pa.decimal256(60, 0), [decimal.Decimal(1), decimal.Decimal(10) ** 50, None]),
    (pa.date32(), [datetime.date(2024, 1, 1), datetime.date(1, 1, 1), None]),
    (pa.timestamp("ns", "UTC"), [0, 1, -1, None]),
    (pa.duration("us"), [0, 1, None]),
    (pa.list_(pa.int32()), [[], [1], [1, 2], [2, 1], [None], [1, None], None]),
    (pa.list_(pa.string()), [["ab"], ["a", "b"], ["b", "a"], None]),
    (pa.list_(pa.int8(), 2), [[1, 2], [2, 1], [None, 1], None]),
    (pa.struct([("a", pa.int32()), ("b", pa.string())]), [{"a": 1, "b": "x"}, {"a": 1}, {"b": "x"}, None]),
    (pa.map_(pa.string(), pa.int32()), [[], [("a", 1)], [("a", 2)], [("a", 1), ("b", 1)], None]),
    (pa.null(), [None]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "values"), VALUES, ids=lambda given: str(given) if isinstance(given, pa.DataType) else ""
)
def test_other_values_have_other_hashes_and_equal_ones_the_same(kind: pa.DataType, values: list[Any]) -> None:
    twice = pa.array([*values, *values], kind)
    found = hashes.of_column(pa.chunked_array([twice])).tolist()
    assert found[: len(values)] == found[len(values) :]
    assert len(set(found)) == len(values)
    for cut in range(len(twice)):
        chunked = pa.chunked_array([twice.slice(0, cut), twice.slice(cut, 1), twice.slice(cut + 1)])
        assert hashes.of_column(chunked).tolist() == found, "cut elsewhere"


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_text_is_the_same_in_every_encoding(kind: pa.DataType) -> None:
    texts = ["b", None, "", "a", "b"]
    plain = hashes.of_column(pa.chunked_array([pa.array(texts, pa.string())]))
    assert hashes.of_column(pa.chunked_array([pa.array(texts, kind)])).tolist() == plain.tolist()


def test_a_rows_hash_knows_which_value_is_in_which_column() -> None:
    """No two columns, and no two rows, can exchange values unseen."""
    a, b = pa.chunked_array([pa.array([1, 2, 3])]), pa.chunked_array([pa.array([2, 1, 3])])
    rows = hashes.of_rows([a, b], 3)
    assert rows[0] != rows[1]
    exchanged = hashes.of_rows([pa.chunked_array([pa.array([2, 1, 3])]), b], 3)
    assert int(rows.sum()) != int(exchanged.sum())


def test_the_reference_shares_no_code_with_the_features() -> None:
    import ast

    from weekly_cli.verify.reference import formulas, table

    for module in (formulas, table):
        assert module.__file__ is not None
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        named = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
        assert not {
            name for name in named if name.startswith("weekly_cli") and not name.startswith("weekly_cli.verify")
        }
