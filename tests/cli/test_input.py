"""What the tool reads: places, roles, symbols, dates, input columns of every type, and what it refuses."""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from frames import (
    OWN,
    build,
    build_by,
    build_here,
    business_days,
    daily,
    in_order,
    picture,
    read,
    report_here,
    report_of,
    run_cli,
    shuffled,
    write,
    write_files,
)
from frames import ROUTES as BY_ROUTE

import weekly_cli
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.run import cuts, sizes
from weekly_cli.verify import verify

FEW = "w_week_end,w_close,w_ret"
ROUTES = ("direct", "bundles", "pieces")


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pa.Table]:
    """Build by one of the three ways that rows reach a task; several tasks and several chunks for the latter two."""
    monkeypatch.setattr(cuts, "LEAST_TASK_ROWS", 16)
    monkeypatch.setattr(sizes, "_MOST_CHUNK_ROWS", 50)

    def run(table: pa.Table, folder: Path, symbol: str = "symbol", **settings: Any) -> pa.Table:
        if request.param == "pieces":
            table = in_order(table, symbol)
        source = write(table, folder / "in" / "prices.parquet", row_group_size=40)
        strategy = "direct" if request.param == "direct" else "adaptive"
        report = report_here(source, folder / "out", **{"features": FEW, "strategy": strategy, **settings})
        if request.param == "bundles" and report.symbols > 1:
            assert report.bytes_partitioned > 0
        return read(folder / "out")

    return run


def refusal(source: Path | str, folder: Path, **settings: Any) -> str:
    """The sentence with which an input is refused; nothing may be left behind."""
    with pytest.raises(InputRefused) as caught:
        build(source, folder / "refused_out", **settings)
    assert caught.value.exit_code == 3
    assert not [path.name for path in folder.iterdir() if "refused_out" in path.name]
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def same_rows(out: pa.Table, expected: pa.Table, symbol: str = "symbol", date: str = "date") -> None:
    """The input columns of an output are the expected rows, in order, in type and value."""
    assert out.column_names[: expected.num_columns] == expected.column_names
    wanted = in_order(expected, symbol, date)
    for name in expected.column_names:
        assert out.column(name).type == expected.column(name).type, name
        assert out.column(name).to_pylist() == wanted.column(name).to_pylist(), name


# ---- places ----------------------------------------------------------------------------------------------


def test_one_file_is_an_input(tmp_path: Path) -> None:
    table = daily()
    same_rows(build(write(table, tmp_path / "prices.parquet"), tmp_path / "out"), table)


def test_a_file_may_have_any_name(tmp_path: Path) -> None:
    table = daily()
    same_rows(build(write(table, tmp_path / "prices.data"), tmp_path / "out", features=FEW), table)


@pytest.mark.parametrize("suffix", ["parquet", "parq", "pq", "PARQUET"])
def test_other_files_in_a_folder_are_passed_over(tmp_path: Path, suffix: str) -> None:
    table = daily()
    for number in range(4):
        write(table.slice(number * 45, 45), tmp_path / "in" / f"{number}.{suffix}")
    (tmp_path / "in" / "README.txt").write_text("not Parquet")
    same_rows(build(tmp_path / "in", tmp_path / "out", features=FEW), table)


def test_nested_folders_are_one_dataset(tmp_path: Path) -> None:
    table = daily()
    for number in range(4):
        write(table.slice(number * 45, 45), tmp_path / "in" / f"level{number % 2}" / "deeper" / f"{number}.parquet")
    same_rows(build(tmp_path / "in", tmp_path / "out", features=FEW), table)


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    table = daily()
    write(table, tmp_path / "in" / "prices.parquet")
    for name in (".hidden.parquet", "_metadata.parquet", ".folder/x.parquet", "_temporary/x.parquet"):
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"rubbish")
    same_rows(build(tmp_path / "in", tmp_path / "out", features=FEW), table)


def test_a_glob_is_one_dataset(tmp_path: Path) -> None:
    table = daily()
    write_files(table, tmp_path / "in", 4)
    (tmp_path / "in" / "README.txt").write_text("not Parquet")
    same_rows(build(f"{tmp_path}/in/*.parquet", tmp_path / "out", features=FEW), table)
    some = build(f"{tmp_path}/in/000[01].parquet", tmp_path / "out", features=FEW)
    same_rows(some, table.slice(0, 90))


def test_a_recursive_glob_goes_down_every_folder(tmp_path: Path) -> None:
    table = daily()
    write(table.slice(0, 90), tmp_path / "in" / "a" / "x.parquet")
    write(table.slice(90), tmp_path / "in" / "b" / "c" / "y.parquet")
    same_rows(build(f"{tmp_path}/in/**/*.parquet", tmp_path / "out", features=FEW), table)


def test_a_glob_skips_hidden_files(tmp_path: Path) -> None:
    table = daily()
    write(table, tmp_path / "in" / "prices.parquet")
    (tmp_path / "in" / ".prices.parquet.aside.parquet").write_bytes(b"rubbish")
    write(table, tmp_path / "in" / ".work" / "part.parquet")
    for pattern in ("*.parquet", "**/*.parquet"):
        same_rows(build(f"{tmp_path}/in/{pattern}", tmp_path / "out", features=FEW), table)


def test_a_name_with_glob_signs_is_a_name_first(tmp_path: Path) -> None:
    table = daily()
    source = write(table, tmp_path / "prices[2024]" / "a*.parquet")
    same_rows(build(source, tmp_path / "out", features=FEW), table)
    same_rows(build(source.parent, tmp_path / "out", features=FEW), table)


def hive(folder: Path, symbols: dict[str, str], extra: str = "") -> pa.Table:
    """Write one folder for each quoted symbol and year; return the rows with the keys as columns."""
    tables = []
    for number, (quoted, symbol) in enumerate(symbols.items()):
        table = daily([symbol], 300, seed=number)
        years = pc.year(table.column("date")).to_pylist()
        for year in sorted(set(years)):
            rows = table.filter(pa.array([year == other for other in years]))
            write(rows.drop_columns(["symbol"]), folder / f"symbol={quoted}" / f"year={year}{extra}" / "x.parquet")
        keyed = table.drop_columns(["symbol"]).append_column("symbol", table.column("symbol"))
        tables.append(keyed.append_column("year", pa.array([f"{year}{extra}" for year in years])))
    return pa.concat_tables(tables)


def test_hive_keys_are_text_and_exact(tmp_path: Path) -> None:
    quoted = {"000001": "000001", "1": "1", "BRK%2FB": "BRK/B", "NA": "NA", "null": "null", "a%3Db": "a=b"}
    expected = hive(tmp_path / "in", quoted)
    out = build(tmp_path / "in", tmp_path / "out", features=FEW)
    same_rows(out, expected)
    assert set(out.column("symbol").to_pylist()) == {"000001", "1", "BRK/B", "NA", "null", "a=b"}
    assert set(out.column("year").to_pylist()) == {"2022", "2023"}


def test_hive_keys_come_through_a_glob_and_a_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = hive(tmp_path / "in", {"A": "A", "B": "B"})
    same_rows(build_here(f"{tmp_path}/in/symbol=*/*/*.parquet", tmp_path / "out", features=FEW), expected)
    same_rows(build_here(tmp_path / "in", tmp_path / "out", features=FEW, strategy="adaptive"), expected)


def test_hive_null_key_is_a_null(tmp_path: Path) -> None:
    table = daily(["AAA"])
    write(table.slice(0, 30), tmp_path / "in" / "venue=__HIVE_DEFAULT_PARTITION__" / "x.parquet")
    write(table.slice(30), tmp_path / "in" / "venue=XNYS" / "x.parquet")
    out = build(tmp_path / "in", tmp_path / "out", features=FEW)
    assert out.column("venue").to_pylist() == [None] * 30 + ["XNYS"] * 30
    write(table.drop_columns(["symbol"]), tmp_path / "bad" / "symbol=__HIVE_DEFAULT_PARTITION__" / "x.parquet")
    sentence = refusal(tmp_path / "bad", tmp_path)
    assert "60 rows have no symbol" in sentence
    assert "__HIVE_DEFAULT_PARTITION__" in sentence


# ---- symbols ---------------------------------------------------------------------------------------------

TEXT_KINDS = {
    "string": pa.string(),
    "large_string": pa.large_string(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "ordered_dictionary": pa.dictionary(pa.int32(), pa.string(), ordered=True),
    "large_dictionary": pa.dictionary(pa.int32(), pa.large_string()),
}
ODD = [
    *("000001", "1", "NA", "nan", "null", "None", "BRK/B", "../x", "..", "CON", "ذوب", "", " ", " A", "A ", "A"),
    *("a", "x" * 300, "N\0UL", "N", "qu\"o'te", "new\nline", "tab\t", "🚀", "\ufffd", "\U0010ffff", "\uffff", "%41"),
    *(
        unicodedata.normalize("NFC", "é"),
        unicodedata.normalize("NFD", "é"),
        "a,b",
        "a=b",
        "*",
        "[x]",
        "\u202e",
        "é" * 130,
    ),
]


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_text_symbols_keep_their_type(tmp_path: Path, route: Callable[..., pa.Table], kind: str) -> None:
    table = daily(["000001", "BRK/B", "NA", ""], 30)
    table = table.set_column(0, "symbol", table.column("symbol").cast(TEXT_KINDS[kind]))
    expected = read(write(table, tmp_path / "expected.parquet"))
    out = route(table, tmp_path)
    same_rows(out, expected)
    assert out.schema.field("symbol").type == expected.schema.field("symbol").type


@pytest.mark.parametrize("kind", [pa.int8(), pa.int32(), pa.int64(), pa.uint64()], ids=str)
def test_integer_symbols_keep_their_type(tmp_path: Path, route: Callable[..., pa.Table], kind: pa.DataType) -> None:
    largest = {"int8": 100, "int32": 2**31 - 1, "int64": 2**62, "uint64": 2**63 + 1}[str(kind)]
    lowest = 0 if str(kind) == "uint64" else -5
    table = daily(pa.array([9, 10, largest, lowest], kind), 30)
    out = route(table, tmp_path)
    same_rows(out, table)
    assert out.column("symbol").unique().to_pylist() == [lowest, 9, 10, largest]


def test_odd_symbols_come_out_exactly(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    table = daily(ODD, 12)
    out = route(table, tmp_path)
    same_rows(out, table)
    assert out.column("symbol").unique().to_pylist() == sorted(ODD, key=str.encode)


def test_nfc_and_nfd_are_two_symbols_with_their_own_prices(tmp_path: Path) -> None:
    twins = [unicodedata.normalize(form, "é") for form in ("NFC", "NFD")]
    out = build(write(daily(twins, 30), tmp_path / "p.parquet"), tmp_path / "out", features="w_bars")
    assert out.num_rows == 60
    assert sorted(out.column("symbol").value_counts().to_pylist(), key=str) == sorted(
        [{"values": twin, "counts": 30} for twin in twins], key=str
    )


def test_only_wanted_symbols_come_out(tmp_path: Path) -> None:
    source = write(daily(["A", "B", "C", "D"], 30), tmp_path / "p.parquet")
    out = build(source, tmp_path / "out", symbols=["C", "A"], features=FEW)
    assert out.column("symbol").unique().to_pylist() == ["A", "C"]
    whole = build(source, tmp_path / "whole", features=FEW)
    assert out.equals(whole.filter(pc.is_in(whole.column("symbol"), pa.array(["A", "C"]))).combine_chunks())
    assert build(source, tmp_path / "out", max_symbols=2).column("symbol").unique().to_pylist() == ["A", "B"]
    both = build(source, tmp_path / "out", symbols=["D", "C", "B"], max_symbols=2)
    assert both.column("symbol").unique().to_pylist() == ["B", "C"]


def test_wanted_symbols_may_stand_with_commas_on_the_command_line(tmp_path: Path) -> None:
    source = write(daily(["A", "B", "C"], 30), tmp_path / "p.parquet")
    done = run_cli("build", source, "-o", tmp_path / "out", "--symbols", "A,C", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert read(tmp_path / "out").column("symbol").unique().to_pylist() == ["A", "C"]


def test_wanted_symbols_may_stand_in_a_file(tmp_path: Path) -> None:
    source = write(daily(["A", "a,b", "ذوب", "D"], 30), tmp_path / "p.parquet")
    (tmp_path / "wanted.txt").write_text("a,b\r\nذوب\n", encoding="utf-8", newline="")
    out = build(source, tmp_path / "out", symbols=[f"@{tmp_path / 'wanted.txt'}"])
    assert out.column("symbol").unique().to_pylist() == ["a,b", "ذوب"]
    with pytest.raises(UsageError, match="nowhere"):
        build(source, tmp_path / "out", symbols=[f"@{tmp_path / 'nowhere.txt'}"])


def test_a_wanted_symbol_that_is_not_there_is_refused(tmp_path: Path) -> None:
    source = write(daily(["A"], 30), tmp_path / "p.parquet")
    assert "symbols ZZZ" in refusal(source, tmp_path, symbols=["ZZZ"])
    numbers = write(daily([1, 2], 30), tmp_path / "n.parquet")
    assert "symbols abc" in refusal(numbers, tmp_path, symbols=["abc"])
    assert build(numbers, tmp_path / "out", symbols=["2"]).column("symbol").unique().to_pylist() == [2]


# ---- dates -----------------------------------------------------------------------------------------------

NOON = np.timedelta64(12, "h")
DATES: dict[str, Callable[[np.ndarray[Any, Any]], pa.Array]] = {
    "date32": lambda days: pa.array(days),
    "date64": lambda days: pa.array(days).cast(pa.date64()),
    **{
        f"timestamp_{unit}": lambda days, unit=unit: pa.array((days + NOON).astype(f"datetime64[{unit}]"))
        for unit in ("s", "ms", "us", "ns")
    },
    "last_moment": lambda days: pa.array((days + np.timedelta64(24 * 3600 * 10**9 - 1, "ns")).astype("datetime64[ns]")),
    "utc": lambda days: pa.array((days + NOON).astype("datetime64[us]"), pa.timestamp("us", tz="UTC")),
    # Midnight in Tokyo is the day before in UTC.
    "tokyo": lambda days: pa.array(
        (days.astype("datetime64[h]") - np.timedelta64(9, "h")).astype("datetime64[us]"),
        pa.timestamp("us", tz="Asia/Tokyo"),
    ),
    # Eight in the evening in New York is the day after in UTC.
    "new_york": lambda days: pa.array(
        (days.astype("datetime64[h]") + np.timedelta64(25, "h")).astype("datetime64[ms]"),
        pa.timestamp("ms", tz="America/New_York"),
    ),
    "text": lambda days: pa.array(days.astype(str)),
    "text_with_time": lambda days: pa.array([f"{day}T23:30:00" for day in days.astype(str)]),
    "large_text": lambda days: pa.array(days.astype(str)).cast(pa.large_string()),
    "text_dictionary": lambda days: pa.array(days.astype(str)).cast(pa.string()).dictionary_encode(),
}


@pytest.mark.parametrize("kind", DATES)
@pytest.mark.parametrize("first", ["2022-01-03", "1969-11-24"])
def test_dates_of_every_type_give_the_same_features(tmp_path: Path, kind: str, first: str) -> None:
    table = daily(["A", "B"], 60)
    days = np.repeat(business_days(60, first), 2)
    plain = table.set_column(1, "date", pa.array(days))
    other = table.set_column(1, "date", DATES[kind](days))
    expected = build(write(plain, tmp_path / "plain.parquet"), tmp_path / "a")
    source = write(shuffled(other), tmp_path / "other.parquet")
    out = build(source, tmp_path / "b")
    same_rows(out, read(source))
    made = expected.column_names[7:]
    assert out.select(made).equals(expected.select(made))


@pytest.mark.parametrize("column", [pa.array([1] * 3), pa.array([1.0] * 3), pa.array([True] * 3)], ids=str)
def test_a_date_column_of_another_type_is_refused(tmp_path: Path, column: pa.Array) -> None:
    source = write(pa.table({"symbol": ["A"] * 3, "date": column, "close": [1.0] * 3}), tmp_path / "p.parquet")
    sentence = refusal(source, tmp_path)
    assert "'date'" in sentence
    assert str(column.type) in sentence
    assert "--columns date=" in sentence


def test_text_that_is_no_date_is_a_bad_row(tmp_path: Path) -> None:
    dates = ["2024-01-05", "2024-13-01", "", "soon", "2024-01-08"]
    source = write(pa.table({"symbol": ["A"] * 5, "date": dates, "close": [1.0] * 5}), tmp_path / "p.parquet")
    sentence = refusal(source, tmp_path)
    assert "3 rows" in sentence
    assert "2024-13-01" in sentence
    report = report_of(source, tmp_path / "out", on_bad_rows="drop")
    assert (report.rows, report.bad_rows_dropped) == (2, 3)
    assert read(tmp_path / "out").column("date").to_pylist() == ["2024-01-05", "2024-01-08"]


# ---- input columns -----------------------------------------------------------------------------------------

MOMENT = datetime.datetime(2024, 1, 5, 15, 30, 1, 123456)
OWN_COLUMNS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "null": (pa.null(), [None]),
    "bool": (pa.bool_(), [True, False, None]),
    "int8": (pa.int8(), [-128, 127, None]),
    "int16": (pa.int16(), [-(2**15), 2**15 - 1, None]),
    "int32": (pa.int32(), [-(2**31), 2**31 - 1, None]),
    "int64": (pa.int64(), [-(2**63), 2**63 - 1, None]),
    "small int64": (pa.int64(), [-3, 4, None]),
    "uint8": (pa.uint8(), [0, 255, None]),
    "uint16": (pa.uint16(), [0, 2**16 - 1, None]),
    "uint32": (pa.uint32(), [0, 2**32 - 1, None]),
    "uint64": (pa.uint64(), [0, 2**64 - 1, None]),
    "small uint64": (pa.uint64(), [0, 200, None]),
    "float16": (pa.float16(), [np.float16(1.5), np.float16(-0.0), None]),
    "float32": (pa.float32(), [np.float32(0.1), float("inf"), None]),
    "float64": (pa.float64(), [0.1, -0.0, float("-inf"), None]),
    "decimal32": (pa.decimal32(5, 2), [Decimal("1.25"), None]),
    "decimal64": (pa.decimal64(12, 4), [Decimal("-1.2500"), None]),
    "decimal128": (pa.decimal128(38, 10), [Decimal("1234567890123456789012345678.0123456789"), None]),
    "decimal256": (pa.decimal256(60, 5), [Decimal("-1e50"), None]),
    "string": (pa.string(), ["", "NA", "ذوب\0", None]),
    "large_string": (pa.large_string(), ["x" * 1000, "", None]),
    "string_view": (pa.string_view(), ["short", "a text that is longer than twelve bytes", None]),
    "binary": (pa.binary(), [b"", b"\xff\x00", None]),
    "large_binary": (pa.large_binary(), [b"\x00" * 100, None]),
    "fixed_binary": (pa.binary(3), [b"abc", b"\x00\x00\x00", None]),
    "dictionary": (pa.dictionary(pa.int32(), pa.string()), ["a", "b", None]),
    "small dictionary": (pa.dictionary(pa.int8(), pa.string()), ["a", "b", None]),
    "ordered dictionary": (pa.dictionary(pa.int32(), pa.string(), ordered=True), ["b", "a", None]),
    "dictionary of int": (pa.dictionary(pa.int32(), pa.int64()), [5, 4, None]),
    "date32": (pa.date32(), [MOMENT.date(), datetime.date(1, 1, 1), None]),
    "date64": (pa.date64(), [MOMENT.date(), None]),
    "time32": (pa.time32("ms"), [datetime.time(23, 59, 59, 999000), None]),
    "time64": (pa.time64("ns"), [datetime.time(1, 2, 3, 4), None]),
    "timestamp": (pa.timestamp("us"), [MOMENT, None]),
    "timestamp ns": (pa.timestamp("ns"), [MOMENT, None]),
    "timestamp tz": (pa.timestamp("ms", tz="Asia/Tehran"), [MOMENT.replace(microsecond=0), None]),
    "duration": (pa.duration("us"), [datetime.timedelta(days=-3, microseconds=7), None]),
    "list": (pa.list_(pa.int32()), [[], [1, None], None]),
    "large_list": (pa.large_list(pa.string()), [["a"], [], None]),
    "fixed_list": (pa.list_(pa.float32(), 2), [[1.0, 2.0], None]),
    "struct": (pa.struct({"a": pa.int8(), "b": pa.list_(pa.string())}), [{"a": 1, "b": ["x"]}, {"a": None, "b": None}]),
    "map": (pa.map_(pa.string(), pa.float64()), [[("a", 1.0)], [], None]),
    "list of dictionary": (pa.list_(pa.struct({"c": pa.string()})), [[{"c": "y"}], None]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OWN_COLUMNS)
def test_own_columns_pass_through(tmp_path: Path, route: Callable[..., pa.Table], name: str) -> None:
    kind, values = OWN_COLUMNS[name]
    table = shuffled(daily(["A", "B", "C"], 40))
    column = pa.array([values[row % len(values)] for row in range(table.num_rows)], kind)
    table = table.append_column("own.column", column)
    expected = read(write(table, tmp_path / "expected.parquet"))
    out = route(table, tmp_path)
    same_rows(out, expected)
    assert out.schema.field("own.column").type == expected.schema.field("own.column").type


def test_keys_may_be_views(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    """Arrow has few functions for views; the text of a table that is joined may be one, too."""
    table = daily(["A", "B", "C"], 40, order="date")
    for place in (0, 1):
        views = pa.array(table.column(place).cast(pa.string()).to_pylist(), pa.string_view())
        table = table.set_column(place, table.column_names[place], views)
    known = {"symbol": ["A", "B"], "known": ["2022-01-20"] * 2, "note": ["of A", "a text that is not so short"]}
    joined = write(pa.table(known, pa.schema([(name, pa.string_view()) for name in known])), tmp_path / "j.parquet")
    out = route(table, tmp_path, join=[f"{joined}:known"])
    same_rows(out, table)
    assert set(out.column("note").to_pylist()) == {None, *known["note"]}
    assert verify(tmp_path / "out").passed
    some = weekly_cli.read(tmp_path / "out", symbols=["B"], start=datetime.date(2022, 1, 20))
    assert set(some["symbol"]) == {"B"}


@pytest.mark.parametrize("name", ["uuid", "json"])
def test_extension_columns_pass_through(tmp_path: Path, route: Callable[..., pa.Table], name: str) -> None:
    kind = {"uuid": pa.uuid(), "json": pa.json_()}[name]
    storage = pa.array([b"0123456789abcdef"] * 120) if name == "uuid" else pa.array(["{}"] * 120)
    column = pa.ExtensionArray.from_storage(kind, storage.cast(kind.storage_type))
    table = daily(["A", "B", "C"], 40).append_column("own", column)
    expected = read(write(table, tmp_path / "expected.parquet"))
    same_rows(route(table, tmp_path), expected)


def test_own_columns_stay_where_they_stand(tmp_path: Path) -> None:
    table = daily().append_column("Extra", pa.array(range(180)))
    table = table.select(["volume", "Extra", "close", "date", "low", "symbol", "high", "open"])
    out = build(write(table, tmp_path / "p.parquet"), tmp_path / "out", features="w_ret,w_close")
    assert out.column_names == [*table.column_names, "w_close", "w_ret"]
    same_rows(out, table)


def test_a_column_that_is_never_null_stays_so(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    table = daily()
    schema = pa.schema([column.with_nullable(column.name in ("open", "volume")) for column in table.schema])
    out = route(table.cast(schema), tmp_path)
    assert [out.schema.field(name).nullable for name in OWN] == [name in ("open", "volume") for name in OWN]
    same_rows(out, table)


def test_user_nan_stays_nan_and_null_stays_null(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    table = daily().append_column("x", pa.array([float("nan"), None, 1.0] * 60, from_pandas=False))
    column = in_order(route(table, tmp_path)).column("x")
    assert column.null_count == 60
    assert pc.sum(pc.is_nan(column)).as_py() == 60


@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
def test_dictionaries_of_many_files_may_outgrow_their_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    table = daily(["A", "B"], 200)
    words = pa.array([f"word{row}" for row in range(400)])
    for number in range(4):
        own = words.slice(number * 100, 100).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string()))
        write(table.slice(number * 100, 100).append_column("own", own), tmp_path / "in" / f"{number}.parquet")
    out = build_here(tmp_path / "in", tmp_path / "out", features=FEW, strategy=strategy)
    assert pa.types.is_dictionary(out.schema.field("own").type)
    assert out.column("own").to_pylist() == [f"word{row}" for row in [*range(0, 400, 2), *range(1, 400, 2)]]


@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
def test_symbol_dictionaries_of_many_files_may_outgrow_their_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    names = [f"S{number:03d}" for number in range(400)]
    for number in range(4):
        table = daily(names[number * 100 : number * 100 + 100], 3)
        symbol = table.column("symbol").combine_chunks().dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string()))
        write(table.set_column(0, "symbol", symbol), tmp_path / "in" / f"{number}.parquet")
    out = build_here(tmp_path / "in", tmp_path / "out", features=FEW, strategy=strategy)
    assert pa.types.is_dictionary(out.schema.field("symbol").type)
    assert out.column("symbol").to_pylist() == [name for name in names for _ in range(3)]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.parquet"))


# ---- duplicates ------------------------------------------------------------------------------------------


def repeated(folder: Path) -> tuple[Path, pa.Table]:
    """Three files; A's day 3 lies in all of them, B's day 5 twice in the second; `mark` tells the input order."""
    table = daily(["A", "B"], 10)
    again = pa.concat_tables([table.slice(6, 1), table.slice(11, 1), table.slice(11, 1)])
    files = [table.slice(0, 10), pa.concat_tables([table.slice(10), again]), table.slice(6, 1)]
    mark = 0
    for number, rows in enumerate(files):
        marks = pa.array(range(mark, mark + rows.num_rows))
        mark += rows.num_rows
        write(rows.append_column("mark", marks), folder / f"{number}.parquet")
    return folder, pa.concat_tables([read(path) for path in _files(folder)])


def test_duplicates_are_refused_with_counts_offenders_and_files(tmp_path: Path) -> None:
    source, _ = repeated(tmp_path / "in")
    sentence = refusal(source, tmp_path)
    assert sentence.startswith("4 rows")
    assert "A 2022-01-06" in sentence
    assert "--on-duplicates first" in sentence
    assert "1.parquet" in sentence  # the files are named, as for rows without a key


@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
@pytest.mark.parametrize("keep", ["first", "last"])
def test_on_duplicates_keeps_the_first_or_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, strategy: str
) -> None:
    monkeypatch.setattr(cuts, "LEAST_TASK_ROWS", 4)
    monkeypatch.setattr(sizes, "_MOST_CHUNK_ROWS", 7)
    source, rows = repeated(tmp_path / "in")
    report = report_here(source, tmp_path / "out", on_duplicates=keep, strategy=strategy)
    assert (report.rows, report.duplicates_dropped) == (20, 4)
    winners: dict[tuple[str, datetime.date], int] = {}
    for symbol, date, mark in zip(*(rows.column(name).to_pylist() for name in ("symbol", "date", "mark")), strict=True):
        if keep == "last" or (symbol, date) not in winners:
            winners[symbol, date] = mark
    assert read(tmp_path / "out").column("mark").to_pylist() == [winners[key] for key in sorted(winners)]


# ---- rows without a key ----------------------------------------------------------------------------------


def test_rows_without_a_key_are_refused_or_dropped(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    table = daily(["A", "B"], 40)
    symbols, dates = table.column("symbol").to_pylist(), table.column("date").to_pylist()
    symbols[5] = symbols[17] = dates[17] = dates[30] = None
    bad = table.set_column(0, "symbol", pa.array(symbols)).set_column(1, "date", pa.array(dates, pa.date32()))
    (tmp_path / "refused").mkdir()
    sentence = refusal(write(bad, tmp_path / "bad.parquet"), tmp_path / "refused")
    assert sentence.startswith("3 rows have no symbol or no date: 3 in")
    assert "bad.parquet" in sentence
    assert f"date {dates[5]} in row 5" in sentence
    assert "--on-bad-rows drop" in sentence
    keep = [row for row in range(80) if row not in (5, 17, 30)]
    same = in_order(table.take(pa.array(keep)))
    out = build(tmp_path / "bad.parquet", tmp_path / "out", on_bad_rows="drop", features=FEW)
    same_rows(out, same)


def test_rows_without_a_key_are_counted_the_same_by_every_route(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    table = daily(["A", "B"], 40)
    dates = table.column("date").to_pylist()
    dates[17] = dates[30] = None
    bad = table.set_column(1, "date", pa.array(dates, pa.date32()))
    bad = pa.concat_tables([bad.filter(pc.is_valid(bad.column("date"))), bad.filter(pc.is_null(bad.column("date")))])
    source = write(bad, tmp_path / "bad.parquet")
    report = report_of(source, tmp_path / "out", on_bad_rows="drop", strategy="adaptive")
    assert (report.rows, report.bad_rows_dropped) == (78, 2)
    good = table.take(pa.array([row for row in range(80) if row not in (17, 30)]))
    same_rows(read(tmp_path / "out"), good)


def test_null_keys_of_many_files_are_named(tmp_path: Path) -> None:
    for number in range(5):
        table = daily(["A"], 10, seed=number).slice(0, 2)
        write(table.set_column(0, "symbol", pa.array(["A", None])), tmp_path / "in" / f"f{number}.parquet")
    sentence = refusal(tmp_path / "in", tmp_path)
    assert sentence.startswith("5 rows")
    assert "f0.parquet" in sentence
    assert "2 more files" in sentence


def test_null_symbols_in_a_dictionary_are_rows_without_a_key(tmp_path: Path) -> None:
    dictionary = pa.DictionaryArray.from_arrays(pa.array([0, None, 1, None], pa.int32()), pa.array(["A", "B"]))
    days = pa.array(business_days(4))
    source = write(pa.table({"symbol": dictionary, "date": days, "close": [1.0] * 4}), tmp_path / "p.parquet")
    assert refusal(source, tmp_path).startswith("2 rows")
    assert build(source, tmp_path / "out", on_bad_rows="drop").column("symbol").to_pylist() == ["A", "B"]


# ---- files that differ -----------------------------------------------------------------------------------

LOSSLESS: dict[str, tuple[pa.DataType, pa.DataType, pa.DataType]] = {
    "int32_int64": (pa.int32(), pa.int64(), pa.int64()),
    "uint8_int16": (pa.uint8(), pa.int16(), pa.int16()),
    "uint32_int32": (pa.uint32(), pa.int32(), pa.int64()),
    "int32_float64": (pa.int32(), pa.float64(), pa.float64()),
    "float32_float64": (pa.float32(), pa.float64(), pa.float64()),
    "int16_float32": (pa.int16(), pa.float32(), pa.float32()),
    "int32_float32": (pa.int32(), pa.float32(), pa.float64()),
    "string_dictionary": (pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.string()),
    "string_large": (pa.string(), pa.large_string(), pa.large_string()),
    "null_int": (pa.null(), pa.int16(), pa.int16()),
    "null_dictionary": (pa.null(), pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int32(), pa.string())),
    "null_list": (pa.null(), pa.list_(pa.int8()), pa.list_(pa.int8())),
    "null_struct": (pa.null(), pa.struct({"a": pa.int8()}), pa.struct({"a": pa.int8()})),
    "null_map": (pa.null(), pa.map_(pa.string(), pa.int8()), pa.map_(pa.string(), pa.int8())),
    "int64_double": (pa.int64(), pa.float64(), pa.float64()),
    "int64_uint64": (pa.int64(), pa.uint64(), pa.int64()),
    "decimals": (pa.decimal128(9, 2), pa.decimal128(18, 6), pa.decimal128(18, 6)),
    "decimal_double": (pa.decimal128(9, 2), pa.float64(), pa.float64()),
    "decimal_int": (pa.decimal128(9, 2), pa.int64(), pa.decimal128(22, 2)),
    "utc": (pa.timestamp("us", "UTC"), pa.timestamp("us", "+00:00"), pa.timestamp("us", "UTC")),
    "ms_us": (pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("us")),
    "date32_date64": (pa.date32(), pa.date64(), pa.date32()),
}


def two_files(folder: Path, a: pa.DataType, b: pa.DataType) -> Path:
    table = daily(["A", "B"], 40)
    for number, kind in enumerate((a, b)):
        column = pa.nulls(40, kind) if _nested(kind) else _some_values(kind)
        write(table.slice(number * 40, 40).append_column("own", column), folder / f"f{number}.parquet")
    return folder


def _nested(kind: pa.DataType) -> bool:
    return pa.types.is_nested(kind) or pa.types.is_null(kind)


def _some_values(kind: pa.DataType) -> pa.Array:
    if pa.types.is_temporal(kind):
        return pa.array(business_days(40)).cast(kind)
    text = pa.array([str(row) for row in range(40)])
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) or pa.types.is_string(kind):
        return text.cast(kind)
    return pa.array(range(40), pa.int8()).cast(kind)


@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("name", LOSSLESS)
def test_files_whose_types_differ_without_loss_get_the_wider_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, swapped: bool, strategy: str
) -> None:
    a, b, common = LOSSLESS[name]
    source = two_files(tmp_path / "in", *((b, a) if swapped else (a, b)))
    out = build_here(source, tmp_path / "out", features=FEW, strategy=strategy)
    assert out.schema.field("own").type == common
    rows = pa.concat_tables([read(path).select(["symbol", "date"]) for path in _files(source)])
    values = [value for path in _files(source) for value in read(path).column("own").to_pylist()]
    keys = list(zip(rows.column("symbol").to_pylist(), rows.column("date").to_pylist(), strict=True))
    assert out.column("own").to_pylist() == [values[row] for row in sorted(range(80), key=keys.__getitem__)]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (pa.int32(), pa.string()),
        (pa.string(), pa.date32()),
        (pa.bool_(), pa.int8()),
        (pa.timestamp("us"), pa.timestamp("us", tz="UTC")),
        (pa.timestamp("us", tz="Asia/Tokyo"), pa.timestamp("us", tz="UTC")),
        (pa.list_(pa.int8()), pa.int8()),
    ],
    ids=str,
)
def test_files_whose_types_can_not_meet_without_loss_are_refused(
    tmp_path: Path, a: pa.DataType, b: pa.DataType
) -> None:
    source = two_files(tmp_path / "in", a, b)
    sentence = refusal(source, tmp_path)
    kinds = [str(pq.read_schema(path).field("own").type) for path in _files(source)]
    for part in ("'own'", "f0.parquet", "f1.parquet", *kinds):
        assert part in sentence


def test_files_may_differ_in_order_and_number_of_columns(tmp_path: Path) -> None:
    table = daily(["A", "B"], 40)
    write(table.slice(0, 40), tmp_path / "in" / "0.parquet")
    more = table.slice(40).select(OWN[::-1]).append_column("late", pa.array(range(40)))
    write(more, tmp_path / "in" / "1.parquet")
    out = build(tmp_path / "in", tmp_path / "out", features=FEW)
    assert out.column_names[:8] == [*OWN, "late"]
    same_rows(out.select(OWN), table)
    assert out.schema.field("late").type == pa.int64()
    assert out.column("late").null_count == 40


def test_a_column_that_is_never_null_can_not_be_missing(tmp_path: Path) -> None:
    table = daily(["A", "B"], 40)
    write(table.slice(0, 40), tmp_path / "in" / "0.parquet")
    strict = table.slice(40).append_column(pa.field("late", pa.int64(), nullable=False), pa.array(range(40)))
    write(strict, tmp_path / "in" / "1.parquet")
    sentence = refusal(tmp_path / "in", tmp_path)
    for part in ("0.parquet", "1.parquet", "'late'"):
        assert part in sentence


@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
@pytest.mark.parametrize(
    ("a", "b", "common"),
    [
        (pa.string(), pa.dictionary(pa.int32(), pa.string()), pa.string()),
        (pa.large_string(), pa.string(), pa.large_string()),
    ],
    ids=["dictionary", "large"],
)
def test_symbols_of_two_types_of_text_get_a_common_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    a: pa.DataType,
    b: pa.DataType,
    common: pa.DataType,
    strategy: str,
) -> None:
    table = daily(["A", "B", "000001"], 40)
    for number, kind in enumerate((a, b)):
        rows = table.slice(number * 60, 60)
        write(rows.set_column(0, "symbol", rows.column("symbol").cast(kind)), tmp_path / "in" / f"{number}.parquet")
    out = build_here(tmp_path / "in", tmp_path / "out", features=FEW, strategy=strategy)
    same_rows(out, table.set_column(0, "symbol", table.column("symbol").cast(common)))


def test_integer_symbols_of_two_widths_get_the_wider_one(tmp_path: Path) -> None:
    table = daily([7, 8], 40)
    for number, kind in enumerate((pa.int32(), pa.int64())):
        rows = table.slice(number * 40, 40)
        write(rows.set_column(0, "symbol", rows.column("symbol").cast(kind)), tmp_path / "in" / f"{number}.parquet")
    same_rows(build(tmp_path / "in", tmp_path / "out", features=FEW), table)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    table = daily(["A"], 5)
    doubled = pa.Table.from_arrays([*table.columns, table.column("close")], names=[*table.column_names, "close"])
    assert "'close'" in refusal(write(doubled, tmp_path / "p.parquet"), tmp_path)


# ---- roles -----------------------------------------------------------------------------------------------


def test_roles_are_found_without_case(tmp_path: Path) -> None:
    table = daily()
    names = ["TICKER", "Trade Date", "Open", "HIGH", "Low", "Last", "Vol"]
    out = build(write(table.rename_columns(names), tmp_path / "a.parquet"), tmp_path / "a")
    expected = build(write(table, tmp_path / "b.parquet"), tmp_path / "b")
    assert out.rename_columns(expected.column_names).equals(expected)
    assert out.column_names[:7] == names


def test_roles_can_be_given_by_hand(tmp_path: Path) -> None:
    table = daily()
    names = ["Wertpapier", "Tag", "Eröffnung", "Hoch", "Tief", "Schluss", "Umsatz"]
    source = write(table.rename_columns(names), tmp_path / "a.parquet")
    given = dict(zip(OWN, names, strict=True))
    out = build(source, tmp_path / "a", columns=given)
    expected = build(write(table, tmp_path / "b.parquet"), tmp_path / "b")
    assert out.rename_columns(expected.column_names).equals(expected)
    typed = ",".join(f"{role}={name}" for role, name in given.items())
    assert build(source, tmp_path / "c", columns=[typed]).equals(out)
    with pytest.raises(UsageError, match="columns takes ROLE=COLUMN"):
        build(source, tmp_path / "d", columns=["Wertpapier"])
    with pytest.raises(UsageError, match="one of symbol"):
        build(source, tmp_path / "d", columns=["ticker=Wertpapier"])


def test_two_columns_for_one_role_are_refused(tmp_path: Path) -> None:
    table = daily().append_column("Ticker", pa.array(["T"] * 180))
    source = write(table, tmp_path / "p.parquet")
    sentence = refusal(source, tmp_path)
    assert "symbol, Ticker" in sentence
    assert "--columns symbol=" in sentence
    assert build(source, tmp_path / "out", columns=["symbol=symbol"], features=FEW).num_rows == 180


@pytest.mark.parametrize("role", ["symbol", "date", "close"])
def test_a_missing_role_is_refused_with_the_way_to_give_it(tmp_path: Path, role: str) -> None:
    note = pa.array(["a text column that might be the symbol"] * 180)
    source = write(daily().drop_columns([role]).append_column("note", note), tmp_path / "p.parquet")
    sentence = refusal(source, tmp_path)
    assert f"no column for {role}" in sentence
    assert "volume" in sentence  # what was found
    assert f"--columns {role}=" in sentence
    assert "'Nope'" in refusal(source, tmp_path, columns=[f"{role}=Nope"])


@pytest.mark.parametrize("absent", [["open"], ["high", "low"], ["volume"], ["open", "high", "low", "volume"]], ids=str)
def test_without_optional_columns_their_features_are_null(tmp_path: Path, absent: list[str]) -> None:
    table = daily(n_days=120)
    out = build(write(table.drop_columns(absent), tmp_path / "p.parquet"), tmp_path / "out")
    nulls = pa.nulls(table.num_rows, pa.float64())
    filled = table
    for name in absent:
        filled = filled.set_column(OWN.index(name), name, nulls)
    expected = build(write(filled, tmp_path / "f.parquet"), tmp_path / "full")
    made = [
        name
        for name in expected.column_names
        if name.startswith("w_") and name not in ("w_volume", "w_volume_ratio_12")
    ]
    assert out.select(made).equals(expected.select(made))
    if "volume" in absent:
        assert out.column("w_volume").null_count == out.column("w_volume_ratio_12").null_count == out.num_rows
    if "open" in absent:
        assert pc.sum(pc.is_valid(out.column("w_open"))).as_py() > 0


@pytest.mark.parametrize(
    "kind", [pa.float32(), pa.float16(), pa.int64(), pa.decimal128(23, 4), pa.decimal256(40, 4)], ids=str
)
def test_prices_of_every_number_type_give_the_same_features(tmp_path: Path, kind: pa.DataType) -> None:
    table = daily()
    rounded = pc.round(table.column("close"))
    exact = table.set_column(5, "close", rounded)
    other = table.set_column(
        5, "close", rounded.cast(pa.int64()).cast(kind) if "decimal" in str(kind) else rounded.cast(kind)
    )
    expected = build(write(exact, tmp_path / "a.parquet"), tmp_path / "a")
    out = build(write(other, tmp_path / "b.parquet"), tmp_path / "b")
    assert out.select(expected.column_names[7:]).equals(expected.select(expected.column_names[7:]))
    assert out.schema.field("close").type == kind


def test_prices_that_are_text_are_refused(tmp_path: Path) -> None:
    table = daily()
    text = table.set_column(5, "close", table.column("close").cast(pa.string()))
    sentence = refusal(write(text, tmp_path / "p.parquet"), tmp_path)
    assert "'close'" in sentence
    assert "string" in sentence


def test_features_can_be_of_another_price_column(tmp_path: Path) -> None:
    table = daily(n_days=120)
    halved = table.append_column("adj", pc.divide(table.column("close"), 2.0))
    out = build(write(halved, tmp_path / "p.parquet"), tmp_path / "out", price="adj", dtype="float64")
    plain = build(write(table, tmp_path / "q.parquet"), tmp_path / "plain", dtype="float64")
    for name in ("w_open", "w_high", "w_low", "w_close"):
        np.testing.assert_allclose(
            out.column(name).to_numpy(), plain.column(name).to_numpy() / 2, rtol=1e-12, equal_nan=True
        )
    assert out.column("w_volume").equals(plain.column("w_volume"))
    same_rows(out, halved)
    assert "'nope'" in refusal(tmp_path / "p.parquet", tmp_path, price="nope")
    assert "but price takes numbers" in refusal(tmp_path / "p.parquet", tmp_path, price="symbol")


def test_unusable_prices_are_counted(tmp_path: Path) -> None:
    table = daily(["A"], 20)
    close = table.column("close").to_pylist()
    close[3], close[5], close[7], close[9], close[11] = None, float("nan"), float("inf"), 0.0, -1.0
    table = table.set_column(5, "close", pa.array(close, from_pandas=False))
    report = report_of(write(table, tmp_path / "p.parquet"), tmp_path / "out")
    assert report.rows == 20
    assert report.quality["unusable_close"] == 5


# ---- features that are there already ---------------------------------------------------------------------


def test_a_column_with_a_features_name_is_refused_unless_it_is_to_be_replaced(tmp_path: Path) -> None:
    table = daily()
    taken = table.append_column("w_ret", pa.array(["mine"] * 180))
    source = write(taken, tmp_path / "p.parquet")
    sentence = refusal(source, tmp_path)
    assert "w_ret" in sentence
    assert "--replace-features" in sentence
    expected = build(write(table, tmp_path / "q.parquet"), tmp_path / "plain")
    assert build(source, tmp_path / "out", replace_features=True).equals(expected)
    kept = build(source, tmp_path / "out", features="w_close,w_mom_4")
    same_rows(kept, taken)


def test_an_output_can_be_built_again_with_replace_features(tmp_path: Path) -> None:
    first = build(write(daily(), tmp_path / "p.parquet"), tmp_path / "one")
    assert "w_week_end" in refusal(tmp_path / "one", tmp_path)
    assert build(tmp_path / "one", tmp_path / "two", replace_features=True).equals(first)


# ---- small and empty -------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["auto", "direct", "batched", "per-symbol", "adaptive"])
def test_an_empty_dataset_is_refused_unless_it_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    source = write(daily().slice(0, 0), tmp_path / "p.parquet")
    with pytest.raises(InputRefused, match="0 rows were read"):
        build_here(source, tmp_path / "out", strategy=strategy)
    assert not (tmp_path / "out").exists()
    out = build_here(source, tmp_path / "out", strategy=strategy, allow_empty=True)
    full = build_here(write(daily(), tmp_path / "q.parquet"), tmp_path / "full")
    assert out.num_rows == 0
    assert out.schema.equals(full.schema)
    file = build_here(source, tmp_path / "out.parquet", strategy=strategy, allow_empty=True)
    assert file.schema.equals(full.schema)


def test_empty_files_among_full_ones_change_nothing(tmp_path: Path) -> None:
    table = daily()
    for number in (0, 2, 4):
        write(table.slice(0, 0), tmp_path / "in" / f"{number}.parquet")
    write(table.slice(0, 90), tmp_path / "in" / "1.parquet")
    write(table.slice(90), tmp_path / "in" / "3.parquet")
    same_rows(build(tmp_path / "in", tmp_path / "out", features=FEW), table)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert "no Parquet or CSV file" in refusal(tmp_path / "in", tmp_path)
    assert "matches no files" in refusal(f"{tmp_path}/in/*.parquet", tmp_path)


def test_symbols_of_one_row_or_without_prices_come_out(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    table = daily(["A", "B", "C"], 40)
    none = table.filter(pc.equal(table.column("symbol"), "B"))
    none = none.set_column(5, "close", pa.array([None, 0.0, float("nan"), -1.0] * 10, from_pandas=False))
    others = table.filter(pc.not_equal(table.column("symbol"), "B"))
    one = daily(["ONE"], 1)
    out = route(pa.concat_tables([others, none, one]), tmp_path, features="all")
    assert out.num_rows == 121
    made = [name for name in out.column_names if name.startswith("w_")]
    unseen = out.filter(pc.is_in(out.column("symbol"), pa.array(["B", "ONE"]))).select(made)
    assert unseen.num_rows == 41
    assert all(column.null_count == 41 for column in unseen.columns)
    plain = build(write(others, tmp_path / "others.parquet"), tmp_path / "plain")
    seen = out.filter(pc.is_in(out.column("symbol"), pa.array(["A", "C"])))
    assert seen.equals(plain)


def test_rows_may_come_in_any_order(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    table = daily(["A", "B", "C", "D"], 120)
    expected = build(write(table, tmp_path / "p.parquet"), tmp_path / "plain", features="all")
    assert route(shuffled(table), tmp_path, features="all").equals(expected)


# ---- broken ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["empty", "text", "truncated", "no_footer", "flipped"])
def test_a_broken_file_is_refused_by_name(tmp_path: Path, how: str) -> None:
    table = daily()
    write(table.slice(0, 90), tmp_path / "in" / "good.parquet")
    path = write(table.slice(90), tmp_path / "in" / "broken.parquet", write_page_checksum=True, compression="none")
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    content = {
        "empty": b"",
        "text": b"symbol,date,close\n" * 100,
        "truncated": bytes(data[: len(data) // 2]),
        "no_footer": bytes(data[:-8]),
        "flipped": bytes(data),
    }
    path.write_bytes(content[how])
    assert "broken.parquet" in refusal(tmp_path / "in", tmp_path)


def test_a_broken_file_is_one_line_of_the_command(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but not really PAR1")
    done = run_cli("build", "x.parquet", cwd=tmp_path)
    assert done.returncode == 3
    assert "x.parquet" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["x.parquet"]


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere", tmp_path)
    assert "does not exist" in refusal(tmp_path / "nowhere.parquet", tmp_path)


# ---- the window ------------------------------------------------------------------------------------------


def test_start_and_end_cut_rows_but_not_history(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    table = daily(n_days=200)
    whole = build(write(table, tmp_path / "p.parquet"), tmp_path / "whole", features="all")
    start, end = datetime.date(2022, 6, 1), datetime.date(2022, 8, 31)
    out = route(table, tmp_path, features="all", start=start.isoformat(), end=end)
    date = whole.column("date")
    inside = pc.and_(pc.greater_equal(date, pa.scalar(start)), pc.less_equal(date, pa.scalar(end)))
    assert out.equals(whole.filter(inside))
    assert 0 < out.num_rows < whole.num_rows


def with_broken_pages(path: Path, column: str, row_groups: Sequence[int]) -> None:
    """Overwrite the pages of a column in some row groups."""
    footer, data = pq.ParquetFile(path).metadata, bytearray(path.read_bytes())
    place = footer.schema.names.index(column)
    for number in row_groups:
        chunk = footer.row_group(number).column(place)
        begin = chunk.dictionary_page_offset or chunk.data_page_offset
        data[begin : begin + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    path.write_bytes(data)


@pytest.mark.parametrize("route", BY_ROUTE)
def test_row_groups_after_the_end_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str) -> None:
    table = daily(["AAA", "BBB"], n_days=90, order=BY_ROUTE[route])
    source = write(table, tmp_path / "in" / "prices.parquet", row_group_size=30)
    end = table.column("date")[29].as_py()
    build_by(route, source, tmp_path / "whole", monkeypatch)
    wanted = read(tmp_path / "whole").filter(pc.field("date") <= end)
    firsts = [pc.min(table.column("date")[30 * number : 30 * number + 30]).as_py() for number in range(6)]
    with_broken_pages(source, "close", [number for number, first in enumerate(firsts) if first > end])
    build_by(route, source, tmp_path / "cut", monkeypatch, end=end)
    assert read(tmp_path / "cut").equals(wanted)
    for reads_all in ({}, {"end": end, "label": ["forward_return_1w"]}, {"end": end, "rows": "weekly"}):
        with pytest.raises(InputRefused, match="can't be decoded"):
            build_by(route, source, tmp_path / "ahead", monkeypatch, **reads_all)


def test_what_is_after_the_end_is_not_judged(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    table = daily(n_days=60)
    again = pa.concat_tables([table, table.slice(table.num_rows - 3)])
    end = table.column("date")[30].as_py()
    assert route(again, tmp_path, end=end).equals(route(table, tmp_path / "once", end=end))
    with pytest.raises(InputRefused, match="3 rows of"):
        route(again, tmp_path / "whole")


def test_a_window_without_rows_is_refused_unless_it_is_allowed(tmp_path: Path, route: Callable[..., pa.Table]) -> None:
    with pytest.raises(InputRefused, match="no rows are left"):
        route(daily(), tmp_path, start="2030-01-01")
    out = route(daily(), tmp_path, start="2030-01-01", allow_empty=True)
    assert out.num_rows == 0
    assert out.column_names[:7] == OWN


EMPTY: dict[str, tuple[pa.Table, dict[str, Any], str]] = {
    "no rows": (daily().slice(0, 0), {}, "0 rows were read"),
    "late start": (
        daily(),
        {"start": "2030-01-01"},
        "180 are outside --start 2030-01-01, as the dates go",
    ),
    "early end": (daily(), {"end": "1999-12-31"}, "180 are outside --end 1999-12-31"),
    "null closes": (
        daily().set_column(5, "close", pa.nulls(180, pa.float64())),
        {},
        "no weekly bars, and nothing is published: 180 rows were read from .*; 180 have no usable close",
    ),
    "no dates": (
        daily().set_column(1, "date", pa.nulls(180, pa.date32())),
        {"on_bad_rows": "drop"},
        "180 of them have no symbol or no date",
    ),
    "unread dates": (
        daily().set_column(1, "date", pa.array(["03/14/2024"] * 180)),
        {"on_bad_rows": "drop"},
        r"180 rows have something other than a date .*\(first: '03/14/2024' in row 0 .*2024-03-14, 20240314",
    ),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("stands", [True, False])
def test_a_build_with_nothing_in_it_replaces_nothing(tmp_path: Path, name: str, stands: bool) -> None:
    table, settings, told = EMPTY[name]
    output = tmp_path / "out"
    if stands:
        build(write(daily(), tmp_path / "full.parquet"), output)
    source = write(table, tmp_path / "empty.parquet")
    before = picture(tmp_path)
    with pytest.raises(InputRefused, match=told) as caught:
        build(source, output, **settings)
    assert picture(tmp_path) == before
    assert ("--allow-empty" in str(caught.value)) != stands, "followed literally, it would replace a good table"
    assert not build(source, output, **settings, allow_empty=True).column("w_close").drop_null()


def test_text_that_is_no_date_is_told_from_a_missing_date(tmp_path: Path) -> None:
    texts = ["2024-03-14"] * 178 + ["14.03.2024", None]
    source = write(daily().set_column(1, "date", pa.array(texts)), tmp_path / "p.parquet")
    with pytest.raises(InputRefused, match=r"column 'date' .* 1 rows .*'14\.03\.2024' in row 178 ") as caught:
        build(source, tmp_path / "out")
    assert "--on-bad-rows drop" in str(caught.value)
    assert "no symbol or no date" not in str(caught.value)
    most = write(daily().set_column(1, "date", pa.array(["14.03.2024"] * 180)), tmp_path / "q.parquet")
    with pytest.raises(InputRefused) as caught:
        build(most, tmp_path / "out")
    assert "drop" not in str(caught.value), "it would leave nothing"


def test_the_input_is_left_as_it_was(tmp_path: Path) -> None:
    source = write(daily(), tmp_path / "in" / "p.parquet")
    before, when = source.read_bytes(), source.stat().st_mtime_ns
    build(tmp_path / "in", tmp_path / "out")
    assert source.read_bytes() == before
    assert source.stat().st_mtime_ns == when
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["p.parquet"]
    assert pq.ParquetFile(source).metadata.num_rows == 180
