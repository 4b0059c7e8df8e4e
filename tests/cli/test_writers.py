"""Both writers make equal tables of a build, and readers that share no code read and trust what the fast one wrote."""

from __future__ import annotations

import ast
import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import datafusion
import duckdb
import fastparquet
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from frames import build, daily, parts, write
from rounds import soaked

import weekly_cli
from weekly_cli.compute.spans import SpanColumn
from weekly_cli.files.fast.row_groups import RowGroupFile
from weekly_cli.files.fast.sorting import ascending
from weekly_cli.files.parquet import METADATA_KEY
from weekly_cli.files.writers import WRITERS
from weekly_cli.run import cuts
from weekly_cli.run import rows as rows_room
from weekly_cli.run import task as worker
from weekly_cli.settings.table import COMPRESSIONS
from weekly_cli.settings.table import WRITERS as NAMES

ODD = ["000001", "NA", "", "BRK/B", "ذوب", "a b", "Z", "é"]


def test_the_setting_names_the_writers() -> None:
    assert tuple(WRITERS) == NAMES


def test_one_module_knows_of_the_fast_writer() -> None:
    """What one commit could delete: the folder, and that module's line."""
    package = Path(weekly_cli.__file__).parent
    names = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("weekly_cli.files.fast")
    }
    assert {name for name in names if not name.startswith("files/fast/")} == {"files/writers.py"}


# ---- the same tables -------------------------------------------------------------------------------------


def mixed(symbols: Any = tuple(ODD), n_days: int = 300) -> pa.Table:
    """A year of odd symbols, with text of few values, nulls and lists."""
    table = daily(symbols, n_days)
    rows = np.arange(table.num_rows)
    venues = pa.array(["XNYS", "XNAS", None, "ÅRHUS", ""]).take(pa.array(rows // 150 % 5))
    table = table.append_column("venue", venues)
    table = table.append_column("kind", venues.dictionary_encode())
    table = table.append_column("view", venues.cast(pa.string_view()))
    table = table.append_column("note", pa.array([None if row % 7 == 0 else f"note {row}" for row in rows]))
    return table.append_column("list", pa.array([[row, None] if row % 3 else None for row in rows.tolist()]))


CASES: dict[str, tuple[pa.Table, dict[str, Any], dict[str, Any]]] = {
    **{compression: (mixed(), {}, {"compression": compression}) for compression in COMPRESSIONS},
    "direct": (mixed(), {}, {"strategy": "direct"}),
    "adaptive": (mixed(), {}, {"strategy": "adaptive", "jobs": 2}),
    "row groups": (mixed(), {"rows": 100}, {}),
    "copied": (daily(ODD, 130, order="symbol"), {"copied": 70, "row_group_size": 260, "compression": "zstd"}, {}),
    "float64": (mixed(), {}, {"dtype": "float64", "benchmark": ["Z"]}),
    "integer symbols": (mixed(range(8)), {}, {}),
    "empty": (mixed(), {}, {"start": "2050-01-01", "allow_empty": True}),
}


def told(table: pa.Table) -> dict[bytes, Any]:
    """The metadata, without the digest of the settings: the writer is one of them."""
    metadata: dict[bytes, Any] = dict(table.schema.metadata)
    record = json.loads(metadata[METADATA_KEY])
    del record["digests"]["settings"]
    return {**metadata, METADATA_KEY: record}


@pytest.mark.parametrize("name", soaked(["out"], ["out.parquet"]))
@pytest.mark.parametrize("case", CASES)
def test_both_writers_make_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, name: str
) -> None:
    table, files, settings = CASES[case]
    monkeypatch.setattr(cuts, "LEAST_TASK_ROWS", 500)
    monkeypatch.setattr(worker, "ROW_GROUP_ROWS", files.get("rows", worker.ROW_GROUP_ROWS))
    monkeypatch.setattr(rows_room, "LEAST_COPIED_ROWS", files.get("copied", rows_room.LEAST_COPIED_ROWS))
    options = {key: value for key, value in files.items() if key not in ("rows", "copied")}
    source = write(table, tmp_path / "p.parquet", **options)
    made = {writer: build(source, tmp_path / writer / name, writer=writer, **settings) for writer in NAMES}
    assert made["fast"].schema.equals(made["arrow"].schema)
    assert told(made["fast"]) == told(made["arrow"])
    assert made["fast"].equals(made["arrow"])
    assert made["fast"].num_rows == (0 if case == "empty" else table.num_rows)
    groups = [[pq.ParquetFile(part).num_row_groups for part in parts(tmp_path / writer / name)] for writer in NAMES]
    assert groups[0] == groups[1]
    creators = {str(pq.ParquetFile(parts(tmp_path / writer / name)[0]).metadata.created_by) for writer in NAMES}
    assert creators == {f"weekly-cli version {weekly_cli.__version__} (build fast)", pq_created_by(tmp_path)}


def pq_created_by(folder: Path) -> str:
    """What Arrow calls itself."""
    return str(pq.ParquetFile(write(pa.table({"a": [1]}), folder / "own.parquet")).metadata.created_by)


@pytest.mark.parametrize("writer", NAMES)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_every_reader_reads_the_same(tmp_path: Path, writer: str, compression: str) -> None:
    table = daily(ODD, 300)
    output = tmp_path / "out.parquet"
    wanted = build(write(table, tmp_path / "p.parquet"), output, writer=writer, compression=compression)
    rows = wanted.to_pylist()
    assert pq.read_table(output, page_checksum_verification=True).equals(wanted)
    columns = ", ".join(f'"{name}"' for name in wanted.column_names)
    duck = duckdb.sql(f"select {columns} from '{output}'").fetchall()
    assert [tuple(row.values()) for row in rows] == duck
    assert pl.read_parquet(output).rows() == duck
    context = datafusion.SessionContext()
    context.register_parquet("output", str(output))
    found = context.sql(f"select {columns} from output order by symbol, date").to_arrow_table()
    assert found.cast(wanted.schema).to_pylist() == rows
    read_by_fastparquet(output, wanted)


def read_by_fastparquet(output: Path, wanted: pa.Table) -> None:
    with output.open("rb") as stream:
        frame = fastparquet.ParquetFile(stream).to_pandas()
    assert list(frame.columns) == wanted.column_names
    for name in wanted.column_names:
        values = wanted.column(name).to_pylist()
        found = frame[name]
        if name in ("date", "w_week_end"):
            days = found.to_numpy().astype("datetime64[D]")
            assert [None if np.isnat(day) else day.item() for day in days] == values, name
        else:
            assert found.astype(object).where(found.notna(), None).to_list() == values, name


# ---- what lets readers skip ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def skipping(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six row groups in which each weekly column lies in a range of its own."""
    path = tmp_path_factory.mktemp("skipping") / "file.parquet"
    schema = pa.schema([("symbol", pa.string()), ("date", pa.date32()), ("w_x", pa.float32()), ("w_n", pa.int16())])
    with RowGroupFile(path, schema, "zstd", sorted_by=("symbol", "date")) as file:
        for number in range(6):
            symbols = pa.array([f"S{number}"]).take(pa.array([0] * 1000))
            own = pa.table([symbols.dictionary_encode(), pa.array(np.arange(1000, dtype=np.int32)).cast(pa.date32())],
                           names=["symbol", "date"])  # fmt: skip
            values = 100 * number + np.arange(200) / 4
            missing = np.arange(200) < number
            columns = [
                SpanColumn("w_x", pa.float32(), values.astype(np.float32), missing),
                SpanColumn("w_n", pa.int16(), values.astype(np.int16), None),
            ]
            file.write(own, np.full(200, 5), columns)
        file.close(durable=False)
    return path


def test_arrow_trusts_the_statistics(skipping: Path) -> None:
    """It leaves out what it takes for the work of a writer that is known to be wrong."""
    metadata = pq.ParquetFile(skipping).metadata
    for number in range(6):
        told = [metadata.row_group(number).column(index).statistics for index in range(4)]
        assert [(one.min, one.max, one.null_count) for one in told] == [
            (f"S{number}", f"S{number}", 0),
            (dt.date(1970, 1, 1), dt.date(1970, 1, 1) + dt.timedelta(999), 0),
            (100 * number + number / 4, 100 * number + 49.75, 5 * number),
            (100 * number, 100 * number + 49, 0),
        ]


def test_arrow_skips_by_weekly_columns(skipping: Path) -> None:
    """Where there are no nulls: others it reads, whoever wrote them."""
    fragment = next(ds.dataset(skipping).get_fragments())
    assert [group.id for group in fragment.subset(pc.field("w_n") >= 510).row_groups] == [5]
    assert not fragment.subset(pc.field("w_n") >= 1000).row_groups
    assert 0 not in [group.id for group in fragment.subset(pc.field("w_x") > 510).row_groups]


def test_duckdb_trusts_the_statistics(skipping: Path) -> None:
    told = duckdb.sql(
        "select row_group_id, stats_min_value, stats_max_value, stats_null_count "
        f"from parquet_metadata('{skipping}') where path_in_schema = 'w_n' order by 1"
    ).fetchall()
    assert told == [(number, str(100 * number), str(100 * number + 49), 0) for number in range(6)]


@pytest.mark.parametrize("column", ["w_x", "w_n"])
def test_duckdb_and_datafusion_skip_by_weekly_columns(skipping: Path, column: str) -> None:
    broken = damaged(skipping)
    wanted = pq.read_table(skipping, filters=pc.field(column) > 510).num_rows
    assert len(duckdb.sql(f"select {column} from '{broken}' where {column} > 510").fetchall()) == wanted
    context = datafusion.SessionContext()
    context.register_parquet("output", str(broken))
    assert context.sql(f"select {column} from output where {column} > 510").to_arrow_table().num_rows == wanted
    with pytest.raises(Exception, match="Unknown frame"):
        context.sql(f"select {column} from output where {column} > 310").to_arrow_table()


def test_polars_skips_by_weekly_columns_of_integers(skipping: Path) -> None:
    """By floats it skips nothing, whoever wrote them."""
    found = pl.scan_parquet(damaged(skipping)).filter(pl.col("w_n") > 510).select("w_n").collect()
    assert found.height == pq.read_table(skipping, filters=pc.field("w_n") > 510).num_rows


def damaged(path: Path) -> Path:
    """A copy in which only the last row group's weekly columns are Zstandard frames: who reads others, fails."""
    data, metadata = bytearray(path.read_bytes()), pq.ParquetFile(path).metadata
    for number in range(metadata.num_row_groups - 1):
        for index in (2, 3):
            chunk = metadata.row_group(number).column(index)
            end = chunk.data_page_offset + chunk.total_compressed_size
            at = data.index(b"\x28\xb5\x2f\xfd", chunk.data_page_offset, end)
            data[at : at + 4] = bytes(4)
    broken = path.with_name("broken.parquet")
    broken.write_bytes(data)
    return broken


@pytest.mark.parametrize(
    ("values", "missing", "wanted"),
    [
        ([0.0, 1.0], None, (-0.0, 1.0, 0)),
        ([-1.0, -0.0], None, (-1.0, 0.0, 0)),
        ([-0.0, 0.0], None, (-0.0, 0.0, 0)),
        ([-5.0, 7.0], [True, False], (7.0, 7.0, 3)),
        ([-math.inf, math.inf], None, (-math.inf, math.inf, 0)),
        ([math.nan, 1.0], None, (None, None, 0)),
        ([math.nan, 1.0], [True, False], (1.0, 1.0, 3)),
        ([1.0, 2.0], [True, True], (None, None, 6)),
    ],
)
def test_statistics_of_a_weekly_column(tmp_path: Path, values: list[float], missing: Any, wanted: Any) -> None:
    for kind in (pa.float32(), pa.float64()):
        column = SpanColumn("w_x", kind, np.array(values, kind.to_pandas_dtype()), missing and np.array(missing))
        with RowGroupFile(tmp_path / "file.parquet", pa.schema([("row", pa.int64()), ("w_x", kind)]), "zstd") as file:
            file.write(pa.table({"row": np.arange(6)}), np.array([3, 3]), [column])
            file.close(durable=False)
        told = pq.ParquetFile(tmp_path / "file.parquet").metadata.row_group(0).column(1).statistics
        assert repr((told.min, told.max, told.null_count)) == repr(wanted)


# ---- what rows ascend by ---------------------------------------------------------------------------------

DAYS = pa.array([1, 2, 1, 1], pa.int32()).cast(pa.date32())
DICTIONARY = pa.DictionaryArray.from_arrays(pa.array([0, 0, 1, 2]), pa.array(["A", "Z", "é"]))


@pytest.mark.parametrize(
    ("symbols", "days", "wanted"),
    [
        (DICTIONARY, DAYS, ["symbol", "date"]),
        (pa.array([-3, -3, 0, 7]), DAYS, ["symbol", "date"]),
        (pa.array([1, 1, 2, 2**64 - 1], pa.uint64()), DAYS.cast(pa.timestamp("ns")), ["symbol", "date"]),
        (DICTIONARY, pa.array([2, 1, 1, 1], pa.int32()).cast(pa.date32()), ["symbol"]),
        (DICTIONARY, pa.array([1, None, 1, 1], pa.int32()).cast(pa.date32()), ["symbol"]),
        (DICTIONARY, pa.array(["1", "2", "1", "1"]), ["symbol"]),
        (pa.array(["A", "A", "B", "C"]), DAYS, []),
        (pa.DictionaryArray.from_arrays(pa.array([0, 0, 1, 1]), pa.array(["b", "a"])), DAYS, []),
        (pa.array([3, 3, 2, 1]), DAYS, []),
    ],
)
def test_what_rows_ascend_by(symbols: pa.Array, days: pa.Array, wanted: list[str]) -> None:
    assert ascending(pa.table({"symbol": symbols, "date": days}), ["symbol", "date"]) == wanted


def test_files_say_what_they_ascend_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a row group taken over, too, after nested columns, whose leaves count, and in a file joined of parts."""
    monkeypatch.setattr(cuts, "LEAST_TASK_ROWS", 500)
    monkeypatch.setattr(rows_room, "LEAST_COPIED_ROWS", 70)
    table = mixed()
    nested = pa.array([{"a": 1, "b": 2}] * table.num_rows)
    table = table.select(["list"]).append_column("pair", nested).append_column("symbol", table["symbol"])
    table = table.append_column("date", mixed()["date"])
    for name in ("open", "high", "low", "close", "volume"):
        table = table.append_column(name, mixed()[name])
    source = write(table, tmp_path / "p.parquet", row_group_size=300, compression="zstd")
    for name in ("out", "out.parquet"):
        build(source, tmp_path / name, strategy="adaptive")
        for part in parts(tmp_path / name):
            metadata = pq.ParquetFile(part).metadata
            for number in range(metadata.num_row_groups):
                told = metadata.row_group(number).sorting_columns
                assert told == (pq.SortingColumn(3), pq.SortingColumn(4))
                assert not any(one.descending or one.nulls_first for one in told)


# ---- NaN -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("kind", ["float64", "float32", "list"])
@pytest.mark.parametrize("codec", ["zstd", "snappy"])
def test_engines_that_order_nan_above_all_numbers_find_it(tmp_path: Path, writer: str, kind: str, codec: str) -> None:
    """Copied or encoded: extremes that leave NaN out would have them skip its rows."""
    table = daily(["A", "B"], 252)
    values = np.where(np.arange(504) % 2, 1.0, np.nan)
    array = pa.array(values, {"float32": pa.float32()}.get(kind, pa.float64()))
    if kind == "list":
        array = pa.ListArray.from_arrays(pa.array(np.arange(505, dtype=np.int32)), array)
    path = tmp_path / "prices.parquet"
    pq.write_table(table.append_column("beside", array), path, compression=codec, row_group_size=252)
    build(path, tmp_path / "out.parquet", writer=writer, features="w_ret")
    name = "beside[1]" if kind == "list" else "beside"
    query = f"SELECT count(*) FROM '{tmp_path / 'out.parquet'}' WHERE"
    for condition, rows in ((f"{name} > 1e30", 252), (f"isnan({name})", 252), (f"{name} = 1", 252)):
        assert duckdb.sql(f"{query} {condition}").fetchall() == [(rows,)]
    context = datafusion.SessionContext()
    context.register_parquet("t", str(tmp_path / "out.parquet"))
    assert context.sql(f"SELECT count(*) AS n FROM t WHERE {name} > 1e30").to_pydict() == {"n": [252]}


@pytest.mark.parametrize("writer", WRITERS)
def test_floats_without_nan_keep_their_null_counts(tmp_path: Path, writer: str) -> None:
    table = daily(["A"], 252).append_column("beside", pa.array([None, math.nan, *[1.0] * 250]))
    build(write(table, tmp_path / "prices.parquet"), tmp_path / "out.parquet", writer=writer, features="w_ret")
    metadata = pq.ParquetFile(tmp_path / "out.parquet").metadata.row_group(0)
    told = {metadata.column(at).path_in_schema: metadata.column(at).statistics for at in range(metadata.num_columns)}
    assert told["w_ret"].has_min_max
    if writer == "fast":
        assert (told["close"].has_min_max, told["beside"].has_min_max, told["beside"].null_count) == (True, False, 1)
