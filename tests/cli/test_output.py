"""What the tool writes: readers, order, row groups, encodings, checksums, metadata, replacement, equal bits."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from frames import (
    MANY,
    OWN,
    build,
    build_here,
    daily,
    in_order,
    in_the_middle,
    lives,
    names_beside,
    parts,
    picture,
    put,
    read,
    report_here,
    report_of,
    run_cli,
    shuffled,
    sort_keys,
    start_cli,
    wait_for,
    write,
    write_files,
)
from rounds import soaked

import weekly_cli
from weekly_cli.compute import spans as align
from weekly_cli.compute.features import catalogue
from weekly_cli.compute.panel import symbol_groups
from weekly_cli.errors import BudgetError, InputRefused, OutputConflict
from weekly_cli.events import Event, StageEnded
from weekly_cli.files import switch
from weekly_cli.files.fast.row_groups import RowGroupFile
from weekly_cli.run import bundles, cuts, fan_out, pipeline, sizes
from weekly_cli.run import rows as rows_room
from weekly_cli.run import task as worker
from weekly_cli.run.pipeline import plan_only
from weekly_cli.settings import from_python, resolve
from weekly_cli.settings.table import WRITERS

ODD = ["000001", "NA", "", "BRK/B", "ذوب", "a b", "Z", "é"]
ADDED = [feature.name for feature in catalogue().features]
MARK = b"weekly_cli"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A year of eight odd symbols."""
    return write(daily(ODD, 300), tmp_path_factory.mktemp("small") / "prices.parquet")


@pytest.fixture(scope="module")
def made(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Its outputs by the settings of the files, each made once: to be read, or copied."""

    @functools.cache
    def output(name: str, **settings: str) -> Path:
        place = tmp_path_factory.mktemp("made") / name
        report_of(small, place, **settings)
        return place

    return output


def fewer_rows_a_task(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(cuts, "LEAST_TASK_ROWS", rows)


# ---- readers ---------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_every_reader_sees_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path, name: str, writer: str
) -> None:
    fewer_rows_a_task(monkeypatch, 300)
    output = tmp_path / name
    build_here(small, output, strategy="adaptive", jobs=2, writer=writer)
    files = parts(output)
    assert (len(files) > 1) == (name == "out")
    arrow = ds.dataset(output).to_table()
    assert arrow.column_names == [*OWN, *ADDED]
    assert arrow.equals(pq.read_table(output))
    pandas = pd.read_parquet(output)
    assert pandas.columns.to_list() == arrow.column_names
    polars = pl.read_parquet(output)
    scanned = pl.scan_parquet(output).collect()
    duck = duckdb.sql(f"from read_parquet('{output / '*.parquet' if output.is_dir() else output}')").arrow()
    duck = duck if isinstance(duck, pa.Table) else duck.read_all()
    assert scanned.equals(polars)
    for column in arrow.column_names:
        values = arrow.column(column).to_pylist()
        assert polars.get_column(column).to_list() == values, column
        assert duck.column(column).to_pylist() == values, column
        seen = pandas[column].astype(object).where(pandas[column].notna(), None).to_list()
        assert seen == values, column


def test_hidden_names_do_not_lie_in_the_output(tmp_path: Path, small: Path) -> None:
    build_here(small, tmp_path / "out", strategy="adaptive")
    assert [path.name[:10] for path in (tmp_path / "out").iterdir()] == ["part-00000"]


# ---- order and row groups --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_parts_are_sorted_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path, name: str
) -> None:
    fewer_rows_a_task(monkeypatch, 300)
    keys = sort_keys(build_here(small, tmp_path / name, strategy="adaptive", jobs=2))
    assert len(keys) == 8 * 300
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def row_groups(output: Path, column: str = "symbol") -> Iterator[tuple[Any, Any, int]]:
    """The smallest and largest value of each row group, and its rows."""
    for part in parts(output):
        metadata = pq.ParquetFile(part).metadata
        index = metadata.schema.names.index(column)
        for number in range(metadata.num_row_groups):
            statistics = metadata.row_group(number).column(index).statistics
            assert statistics is not None
            assert statistics.has_min_max
            yield statistics.min, statistics.max, metadata.row_group(number).num_rows


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out", "out.parquet"])
@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
@pytest.mark.parametrize("writer", WRITERS)
def test_row_groups_let_one_symbol_skip_the_rest(
    tmp_path: Path, bulk: Path, name: str, strategy: str, writer: str
) -> None:
    build_here(bulk, tmp_path / name, strategy=strategy, features="w_ret", jobs=2, writer=writer)
    groups = list(row_groups(tmp_path / name))
    assert len(groups) >= 3
    assert all(before[1] < after[0] for before, after in itertools.pairwise(groups))
    assert max(rows for _, _, rows in groups) <= worker.ROW_GROUP_ROWS
    one = [group for group in groups if group[0] <= "S0200" <= group[1]]
    assert len(one) == 1
    found = duckdb.sql(
        f"select count(*) from read_parquet('{tmp_path / name}{'/*' if name == 'out' else ''}') where symbol = 'S0200'"
    )
    assert found.fetchall() == [(750,)]


def test_a_symbol_may_be_longer_than_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "ROW_GROUP_ROWS", 100)
    table = daily(["A", "B", "C", "D"], 130)
    tail = daily(["E", "F", "G"], 30)
    out = build(write(pa.concat_tables([table, tail]), tmp_path / "p.parquet"), tmp_path / "out")
    sizes = [rows for _, _, rows in row_groups(tmp_path / "out")]
    assert max(sizes) <= 100
    assert sum(sizes) == 610
    monkeypatch.undo()
    assert build(tmp_path / "p.parquet", tmp_path / "whole").equals(out)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [260, 100, 77])
@pytest.mark.parametrize("cells", [10**6, 60])
def test_row_groups_of_the_input_are_copied_where_they_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, cells: int
) -> None:
    """Whether they end with symbols (260) or not, and however many panels they lie in."""
    monkeypatch.setattr(rows_room, "LEAST_COPIED_ROWS", 70)
    monkeypatch.setattr(align, "symbol_groups", functools.partial(symbol_groups, max_cells=cells))
    copied: list[int] = []
    copy = RowGroupFile.copied

    def counted(self: RowGroupFile, path: Path, row_group: int, own: pa.Schema) -> Any:
        chunks = copy(self, path, row_group, own)
        copied.append(0 if chunks is None else 1)
        return chunks

    monkeypatch.setattr(RowGroupFile, "copied", counted)
    table = daily([f"S{number}" for number in range(8)], 130, order="symbol")
    wanted = build(write(table, tmp_path / "snappy.parquet", row_group_size=rows), tmp_path / "wanted")
    assert set(copied) == {0}
    assert build(write(shuffled(table), tmp_path / "s.parquet", compression="zstd"), tmp_path / "s").equals(wanted)
    zstd = write(table, tmp_path / "zstd.parquet", row_group_size=rows, compression="zstd")
    copied.clear()
    found = build(zstd, tmp_path / "out")
    assert copied == [1] * (1040 // rows + (1040 % rows >= 70))
    assert found.equals(wanted)
    assert [size for _, _, size in row_groups(tmp_path / "out")][: 1040 // rows] == [rows] * (1040 // rows)
    copied.clear()
    later = build(zstd, tmp_path / "later", start="2022-02-01")
    assert not copied
    assert later.equals(wanted.filter(pc.field("date") >= pa.scalar(dt.date(2022, 2, 1))))
    some = build(zstd, tmp_path / "some", symbols="S1,S2,S3,S5")
    assert some.equals(wanted.filter(pc.is_in(pc.field("symbol"), pa.array(["S1", "S2", "S3", "S5"]))))


# ---- encodings, checksums, metadata ----------------------------------------------------------------------


def chunks(output: Path) -> Iterator[tuple[str, Any]]:
    for part in parts(output):
        metadata = pq.ParquetFile(part).metadata
        for number in range(metadata.num_row_groups):
            for index, name in enumerate(metadata.schema.names):
                yield name, metadata.row_group(number).column(index)


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_symbols_are_stored_as_a_dictionary_and_features_plain(made: Callable[..., Path], name: str) -> None:
    for column, chunk in chunks(made(name)):
        assert ("RLE_DICTIONARY" in chunk.encodings) == (column == "symbol"), column
        if column in ADDED:
            assert "PLAIN" in chunk.encodings


CODECS = {"zstd": "ZSTD", "snappy": "SNAPPY", "lz4": "LZ4", "none": "UNCOMPRESSED"}


@pytest.mark.parametrize("name", ["out", "out.parquet"])
@pytest.mark.parametrize("compression", CODECS)
def test_every_compression_holds_the_same_rows(made: Callable[..., Path], compression: str, name: str) -> None:
    output, default = made(name, compression=compression), made("out")
    assert {chunk.compression for _, chunk in chunks(output)} == {CODECS[compression]}
    assert read(output).equals(read(default))
    assert {chunk.compression for _, chunk in chunks(default)} == {"ZSTD"}


@pytest.mark.parametrize("name", ["out", "out.parquet"])
@pytest.mark.parametrize("column", ["symbol", "close", "w_close", "w_ret", "w_vol_52"])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_flipped_bit_is_found(tmp_path: Path, made: Callable[..., Path], name: str, column: str, writer: str) -> None:
    put(made(name, compression="none", writer=writer), tmp_path / name)
    path = parts(tmp_path / name)[0]
    chunk = next(chunk for found, chunk in chunks(path) if found == column)
    begin = chunk.dictionary_page_offset or chunk.data_page_offset
    data = bytearray(path.read_bytes())
    data[begin + chunk.total_compressed_size - 1] ^= 4  # the last byte of the column's last page
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"(?i)crc|checksum"):
        pq.ParquetFile(path, page_checksum_verification=True).read()


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_metadata_carry_the_conventions(tmp_path: Path, small: Path, name: str) -> None:
    source = write(read(small).append_column("adj", read(small).column("close")), tmp_path / "p.parquet")
    settings: dict[str, Any] = {"week": "W-SUN", "available": "week-end", "price": "adj", "benchmark": ["BRK/B"]}
    report = report_of(source, tmp_path / name, features="w_ret,relative", dtype="float64", **settings)
    for part in parts(tmp_path / name):
        said = json.loads(pq.read_schema(part).metadata[MARK])
        assert said["week"] == "W-SUN"
        assert said["available"] == "week-end"
        assert said["price"] == "adj"
        assert said["dtype"] == "float64"
        assert said["benchmarks"] == ["brk_b"]
        assert said["features"] == [name for name in pq.read_schema(part).names if name.startswith("w_")]
        assert said["fingerprint"] == report.fingerprint
        assert said["version"] == report.version


def test_the_fingerprint_knows_the_settings_that_matter(tmp_path: Path, small: Path) -> None:
    first = report_of(small, tmp_path / "a", features="w_ret").fingerprint
    assert report_of(small, tmp_path / "b.parquet", features="w_ret", compression="none").fingerprint == first
    assert report_of(small, tmp_path / "a", features="w_ret", week="W-SUN").fingerprint != first
    assert report_of(small, tmp_path / "a", features="w_ret,w_close").fingerprint != first


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_new_columns_have_the_types_that_dtype_says(tmp_path: Path, small: Path, dtype: str) -> None:
    out = build(small, tmp_path / "out", dtype=dtype, benchmark=["Z"])
    facts = {"w_week_end": "date32[day]", "w_bars": "int32", "w_days": "int16"}
    facts |= dict.fromkeys(["w_open", "w_high", "w_low", "w_close", "w_volume"], "double")
    estimate = "float" if dtype == "float32" else "double"
    for column in out.schema:
        if column.name.startswith("w_"):
            assert str(column.type) == facts.get(column.name, estimate), column.name


def test_a_missing_value_is_null_and_never_nan(tmp_path: Path) -> None:
    table = daily(["A", "B", "FLAT", "M"], 600)
    flat = pc.equal(table.column("symbol"), "FLAT")
    for name in ("open", "high", "low", "close"):
        table = table.set_column(OWN.index(name), name, pc.if_else(flat, 5.0, table.column(name)))
    table = table.set_column(6, "volume", pc.if_else(flat, 0, table.column("volume")))
    for dtype in ("float32", "float64"):
        out = build(write(table, tmp_path / "p.parquet"), tmp_path / "out", dtype=dtype, benchmark=["M", "FLAT"])
        for name in out.column_names[7:]:
            column = out.column(name)
            assert column.null_count > 0, name
            if pa.types.is_floating(column.type):
                assert pc.all(pc.is_finite(column)).as_py() in (True, None), name


# ---- what is replaced ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_an_own_output_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path, name: str) -> None:
    fewer_rows_a_task(monkeypatch, 300)
    report_here(small, tmp_path / name, strategy="adaptive", jobs=2)
    out = build(small, tmp_path / name, features="w_ret", symbols=["Z", "é"])
    assert out.column_names == [*OWN, "w_ret"]
    assert out.num_rows == 600
    assert names_beside(tmp_path / name) == [name]


def foreign_file(path: Path) -> None:
    write(daily(), path)


def foreign_folder(path: Path) -> None:
    write(daily(), path / "part-00000.parquet")


def hive_tree(path: Path) -> None:
    """As Spark leaves one, with its companions."""
    write(daily(), path / "year=2024" / "part-00000.parquet")
    for name in ("_SUCCESS", "._SUCCESS.crc", "year=2024/.part-00000.parquet.crc", "_metadata", "_common_metadata"):
        (path / name).touch()


def text_file(path: Path) -> None:
    path.write_text("precious")


def note(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text("precious")


def note_named_as_parquet(path: Path) -> None:
    path.mkdir()
    (path / "part-00000.parquet").write_text("precious")


def hidden_note(path: Path) -> None:
    path.mkdir()
    (path / ".notes").write_text("precious")


def note_far_below(path: Path) -> None:
    hive_tree(path)
    (path / "year=2024" / "notes.txt").write_text("precious")


def empty_folder_within(path: Path) -> None:
    (path / "deeper").mkdir(parents=True)


def link_to_parquet(path: Path) -> None:
    path.mkdir()
    (path / "linked.parquet").symlink_to(write(daily(), path.parent / "elsewhere" / "p.parquet"))


def link_to_a_folder(path: Path) -> None:
    path.mkdir()
    write(daily(), path.parent / "elsewhere" / "p.parquet")
    (path / "linked").symlink_to(path.parent / "elsewhere", target_is_directory=True)


def broken_link(path: Path) -> None:
    path.mkdir()
    (path / "linked").symlink_to("nowhere")


def git_repository(path: Path) -> None:
    (path / ".git" / "objects").mkdir(parents=True)
    (path / ".git" / "HEAD").write_text("ref: refs/heads/main")
    write(daily(), path / "prices.parquet")


def pipe(path: Path) -> None:
    path.mkdir()
    os.mkfifo(path / "pipe")


PARQUET_OF_OTHERS = [foreign_file, foreign_folder, hive_tree]
DAMAGE = [
    *(text_file, note, note_named_as_parquet, hidden_note, note_far_below, empty_folder_within),
    *(link_to_parquet, link_to_a_folder, broken_link, git_repository, pipe),
]


@pytest.mark.parametrize("make", [*PARQUET_OF_OTHERS, *DAMAGE])
@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_an_output_that_this_tool_did_not_make_is_refused(tmp_path: Path, small: Path, name: str, make: Any) -> None:
    make(tmp_path / name)
    before = picture(tmp_path)
    with pytest.raises(OutputConflict, match="choose another --output") as caught:
        build(small, tmp_path / name)
    assert caught.value.exit_code == 6
    assert name in str(caught.value)
    assert "--overwrite" not in str(caught.value), "advice that is followed must not lose anything"
    assert picture(tmp_path) == before


@pytest.mark.parametrize("make", PARQUET_OF_OTHERS)
@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_parquet_files_are_replaced_when_that_is_asked_for(tmp_path: Path, small: Path, name: str, make: Any) -> None:
    make(tmp_path / name)
    out = build(small, tmp_path / name, overwrite=True)
    assert out.num_rows == 8 * 300
    assert (tmp_path / name).is_file() == (name == "out.parquet")
    assert names_beside(tmp_path / name) == [name]


@pytest.mark.parametrize("make", DAMAGE)
@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_what_is_no_parquet_file_is_never_replaced(tmp_path: Path, small: Path, name: str, make: Any) -> None:
    make(tmp_path / name)
    before = picture(tmp_path)
    with pytest.raises(OutputConflict, match="choose another --output"):
        build(small, tmp_path / name, overwrite=True)
    assert picture(tmp_path) == before


def test_a_refusal_names_the_first_three_strangers_and_how_many_there_are(tmp_path: Path, small: Path) -> None:
    note(tmp_path / "out")
    for number in range(4):
        (tmp_path / "out" / f"{number}.txt").write_text("precious")
    with pytest.raises(OutputConflict, match=r"5 entries .*: 0\.txt, 1\.txt, 2\.txt and more;"):
        build(small, tmp_path / "out", overwrite=True)


def test_the_current_folder_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path) -> None:
    """Not the project that somebody works in, nor one of this tool's own outputs, nor an empty folder."""
    report_of(small, tmp_path / "own")
    (tmp_path / "empty").mkdir()
    git_repository(tmp_path / "project")
    for name in ("own", "empty", "project"):
        monkeypatch.chdir(tmp_path / name)
        before = picture(tmp_path)
        for output in (".", "..", "../..", str(tmp_path / name), f"../{name}/."):
            with pytest.raises(OutputConflict, match="current folder"):
                weekly_cli.build(small, output, overwrite=True)
        assert picture(tmp_path) == before


def test_a_sector_map_is_never_replaced(tmp_path: Path, small: Path) -> None:
    sectors = write(pa.table({"symbol": ["Z"], "sector": ["NA"]}), tmp_path / "out" / "sectors.parquet")
    before = picture(tmp_path)
    for output in (tmp_path / "out", sectors):
        with pytest.raises(OutputConflict, match="would replace the sector map"):
            build(small, output, sector_map=str(sectors), overwrite=True)
    assert picture(tmp_path) == before


def test_home_the_root_and_mount_points_are_never_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path
) -> None:
    home = tmp_path / "users" / "me"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(write(daily(), tmp_path / "elsewhere" / "p.parquet").parent)
    before = picture(tmp_path)
    for output in ("~", str(home), str(home.parent)):
        with pytest.raises(OutputConflict, match="home folder"):
            weekly_cli.build(small, output, overwrite=True)
    for output in ("/", "/proc"):
        with pytest.raises(OutputConflict, match="never replaced"):
            weekly_cli.build(small, output, overwrite=True)
    assert picture(tmp_path) == before


@pytest.mark.parametrize("name", ["out", "out.parquet"])
@pytest.mark.parametrize("exchanges", [True, False])
def test_what_is_put_there_while_a_run_goes_on_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Path, name: str, exchanges: bool
) -> None:
    output = tmp_path / name
    report_of(small, output)
    if not exchanges:
        monkeypatch.setattr(switch, "exchange", lambda made, target: False)

    def somebody_writes(event: Event) -> None:
        if getattr(event, "stage", None) == "fan out" and isinstance(event, StageEnded):
            (output / "notes.txt" if output.is_dir() else output).write_text("precious")

    with pytest.raises(OutputConflict, match="changed by another program"):
        config = resolve(from_python({"input": str(small), "output": str(output), "features": "w_ret"}))
        pipeline.run(config, somebody_writes)
    kept = output / "notes.txt" if output.is_dir() else output
    assert kept.read_text() == "precious"
    assert names_beside(output) == [f".{name}.weekly-cli-work", name], "the work that is done stays done"


def test_an_output_that_somebody_changed_is_not_replaced(tmp_path: Path, small: Path) -> None:
    """Arrow's tables keep the metadata of what they were read from."""
    build(small, tmp_path / "out", features="w_ret")
    derived = pq.read_table(tmp_path / "out").slice(0, 100)
    assert MARK in derived.schema.metadata
    pq.write_table(derived, tmp_path / "out" / "derived.parquet")
    before = picture(tmp_path)
    with pytest.raises(OutputConflict, match="derived"):
        build(small, tmp_path / "out")
    assert picture(tmp_path) == before


def test_an_own_output_may_change_from_a_folder_to_a_file_and_back(tmp_path: Path, small: Path) -> None:
    for name in ("made", "made.parquet"):
        build(small, tmp_path / name, features="w_ret")
    (tmp_path / "made").rename(tmp_path / "folder.parquet")
    (tmp_path / "made.parquet").rename(tmp_path / "file")
    for name in ("folder.parquet", "file"):
        build(small, tmp_path / name, features="w_close")
        assert (tmp_path / name).is_file() == name.endswith(".parquet")


def test_an_empty_folder_may_become_the_output(tmp_path: Path, small: Path) -> None:
    (tmp_path / "out").mkdir()
    assert build(small, tmp_path / "out", features="w_ret").num_rows == 2400


@pytest.mark.parametrize("name", ["out", "out.parquet"])
@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
def test_a_failed_run_leaves_the_old_output(tmp_path: Path, small: Path, name: str, strategy: str) -> None:
    build(small, tmp_path / name)
    twice = pa.concat_tables([read(small), read(small).slice(700, 3)])
    source = write(twice, tmp_path / "twice" / "p.parquet")
    before = picture(tmp_path)
    with pytest.raises(InputRefused, match="3 rows"):
        build(source, tmp_path / name, strategy=strategy)
    assert picture(tmp_path) == before


@pytest.mark.parametrize("name", ["out", "out.parquet"])
def test_a_failed_first_run_leaves_nothing(tmp_path: Path, small: Path, name: str) -> None:
    source = write(pa.concat_tables([read(small), read(small).slice(0, 1)]), tmp_path / "in" / "p.parquet")
    before = picture(tmp_path)
    with pytest.raises(InputRefused):
        build(source, tmp_path / name)
    assert picture(tmp_path) == before
    with pytest.raises(InputRefused):
        build(source, tmp_path / "deep" / "deeper" / name)
    assert picture(tmp_path) == before


def test_a_file_in_the_way_of_the_outputs_folder_is_told_before_a_row_is_read(
    tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("precious")
    monkeypatch.setattr(pq, "ParquetFile", None)
    with pytest.raises(OutputConflict, match="file"):
        weekly_cli.build(small, tmp_path / "file" / "out")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_target_that_can_not_be_written_ends_before_the_work(
    tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scan(*_: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr("weekly_cli.run.pipeline.read_footers", scan)
    locked = tmp_path / "locked"
    locked.mkdir()
    if os.geteuid() == 0:  # nothing is read-only for root but what the kernel itself makes so
        locked = Path("/proc")
        if not locked.is_dir():
            pytest.skip("no /proc here")
    else:
        locked.chmod(0o500)
    with pytest.raises(OutputConflict, match="can't be written to"):
        build(small, locked / "weekly_out")
    with pytest.raises(OutputConflict, match="can't be written to"):
        build(small, locked / "weekly_out.parquet")


def test_an_output_through_a_link_is_replaced_where_it_leads(tmp_path: Path, small: Path) -> None:
    """A link that leads to an own output keeps working: what it leads to is the new output afterwards."""
    (tmp_path / "here").symlink_to(tmp_path / "there", target_is_directory=True)
    build(small, tmp_path / "there", features="w_ret")
    out = build(small, tmp_path / "here", features="w_ret,w_close")
    assert out.column_names[7:] == ["w_close", "w_ret"]


# ---- killed runs -----------------------------------------------------------------------------------------


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize("name", soaked(["out"], ["out.parquet"]))
def test_a_killed_run_leaves_the_old_output_and_the_next_run_tidies_up(
    tmp_path: Path, bulk: Path, small: Path, name: str
) -> None:
    build(small, tmp_path / name, features="w_ret")
    before = picture(tmp_path)
    with start_cli("build", bulk, "-o", tmp_path / name, "--strategy", "adaptive", "--jobs", 2, *MANY) as process:
        assert wait_for(lambda: in_the_middle(tmp_path) or process.poll() is not None, 30)
        assert process.poll() is None
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        process.kill()
        process.wait(10)
        assert wait_for(lambda: not any(map(lives, workers)), 2)
    assert names_beside(tmp_path / name) == [f".{name}.weekly-cli-lock", f".{name}.weekly-cli-work", name]
    assert {path: data for path, data in picture(tmp_path).items() if not path.startswith(".")} == before
    done = run_cli("build", bulk, "-o", tmp_path / name, "--features", "w_ret", "-q")
    assert (done.returncode, done.stderr) == (0, "")
    assert names_beside(tmp_path / name) == [name]
    assert read(tmp_path / name).num_rows == 300_000


# ---- the same bits ---------------------------------------------------------------------------------------


def feature_bytes(table: pa.Table) -> dict[str, bytes]:
    """The bytes of each new column; a null counts as one, whatever lies under it."""
    found = {}
    for name in table.column_names:
        if name.startswith("w_"):
            column = table.column(name).combine_chunks()
            chunk = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
            known = np.asarray(pc.is_valid(chunk))
            values = chunk.cast(pa.int32()) if pa.types.is_date(chunk.type) else chunk
            found[name] = known.tobytes() + np.asarray(values.drop_null()).tobytes()
    return found


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    """40 symbols with histories from 1 to 900 days, a benchmark among them."""
    table = daily([f"S{number:02d}" for number in range(40)], 900, seed=5)
    rows = np.arange(table.num_rows)
    day, number = rows // 40, rows % 40
    keep = day >= np.where(number == 0, 0, number * 900 // 40)
    return table.filter(pa.array(keep | (day == 899)))


@pytest.fixture(scope="module")
def expected(panel: pa.Table, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    folder = tmp_path_factory.mktemp("expected")
    return build(write(panel, folder / "p.parquet"), folder / "out", strategy="direct", benchmark=["S00"])


def same_bits(out: pa.Table, expected: pa.Table) -> None:
    assert out.equals(expected)
    assert feature_bytes(out) == feature_bytes(expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("jobs", "strategy"),
    soaked(
        [(1, "direct"), (1, "adaptive"), (2, "batched"), (2, "per-symbol"), (2, "adaptive")],
        [(2, "direct"), (1, "batched"), (1, "per-symbol")],
    ),
)
def test_same_bits_for_jobs_and_strategies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, panel: pa.Table, expected: pa.Table, jobs: int, strategy: str
) -> None:
    fewer_rows_a_task(monkeypatch, 2000)
    source = write(panel, tmp_path / "p.parquet")
    report = report_of(source, tmp_path / "out", strategy=strategy, jobs=jobs, benchmark=["S00"])
    assert report.strategy == strategy
    assert (report.tasks > 2) == (strategy != "direct")
    same_bits(read(tmp_path / "out"), expected)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
@pytest.mark.parametrize("layout", ["shuffled", "clustered", "thirty", "thirty_clustered", "thirty_shuffled"])
def test_same_bits_for_every_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, panel: pa.Table, expected: pa.Table, layout: str, strategy: str
) -> None:
    fewer_rows_a_task(monkeypatch, 2000)
    table = shuffled(panel) if "shuffled" in layout else panel
    table = in_order(table) if "clustered" in layout else table
    source = tmp_path / "in"
    write_files(table, source, 30 if "thirty" in layout else 1)
    report = report_here(source, tmp_path / "out", strategy=strategy, jobs=2, benchmark=["S00"])
    if strategy == "adaptive":
        assert (report.bytes_partitioned == 0) == ("clustered" in layout and "thirty" in layout)
    same_bits(read(tmp_path / "out"), expected)


@pytest.mark.parametrize("chunk_rows", [100, 1777])
def test_same_bits_for_any_chunk_of_the_partition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, panel: pa.Table, expected: pa.Table, chunk_rows: int
) -> None:
    monkeypatch.setattr(sizes, "_MOST_CHUNK_ROWS", chunk_rows)
    fewer_rows_a_task(monkeypatch, chunk_rows)
    source = write(shuffled(panel), tmp_path / "p.parquet")
    out = build_here(source, tmp_path / "out.parquet", strategy="adaptive", benchmark=["S00"])
    same_bits(out, expected)


@pytest.mark.parametrize("most", [1, 300])
def test_same_bits_for_any_number_of_sets_of_bundles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, panel: pa.Table, expected: pa.Table, most: int
) -> None:
    """What footers will say of row groups is held until a bundle is closed: more sets of bundles, less of that."""
    seen: set[str] = set()
    run = fan_out.run_task

    def looking(task: worker.Task) -> worker.Outcome:
        assert task.fragments is not None
        seen.update(Path(bundle).name.split("-")[1] for bundle, _ in task.fragments.runs)
        return run(task)

    monkeypatch.setattr(bundles, "_MOST_COLUMN_CHUNKS", most)
    monkeypatch.setattr(sizes, "_MOST_CHUNK_ROWS", 1777)
    monkeypatch.setattr(fan_out, "run_task", looking)
    fewer_rows_a_task(monkeypatch, 1777)
    source = write(shuffled(panel), tmp_path / "p.parquet")
    same_bits(build_here(source, tmp_path / "out", strategy="adaptive", benchmark=["S00"]), expected)
    chunks = -(-panel.num_rows // 1777)
    assert 1 < len(seen) <= chunks if most > 1 else len(seen) >= chunks


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
@pytest.mark.parametrize("order", ["date", "symbol"])
def test_text_of_few_values_leaves_as_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str, strategy: str
) -> None:
    """It travels as a dictionary: with other values in every file, with nulls, and where a file lacks the column."""
    monkeypatch.setattr(sizes, "_MOST_CHUNK_ROWS", 1000)
    fewer_rows_a_task(monkeypatch, 2000)
    table = daily([f"S{number:02d}" for number in range(20)], 500, order=order)
    rows = np.arange(table.num_rows)
    venues = pa.array(["XNYS", "XNAS", None, "ÅRHUS", ""]).take(pa.array(rows // 1500 % 5))
    sectors = pa.array(["energy", "banks"]).take(pa.array(rows % 2))
    table = table.append_column("venue", venues)
    table = table.append_column("sector", sectors.cast(pa.large_string()))
    table = table.append_column("kind", sectors.dictionary_encode())
    table = table.append_column("note", pa.array([f"note {row}" for row in rows]))
    source = write_files(table, tmp_path / "in", 4)
    write(read(source / "0003.parquet").drop_columns(["venue"]), source / "0003.parquet")
    given = {"input": str(source), "output": str(tmp_path / "planned"), "strategy": strategy}
    scanned = plan_only(resolve(from_python(given)))[0]
    assert scanned.footers.schema.dictionary_text == {"venue", "sector", "kind"}
    lacks = pa.array(rows >= table.num_rows * 3 // 4)
    venues = pc.if_else(lacks, pa.scalar(None, pa.string()), venues)
    wanted = in_order(table.set_column(table.column_names.index("venue"), "venue", venues))
    out = build_here(source, tmp_path / "out", strategy=strategy, features="w_close")
    for name in ("venue", "sector", "note"):
        assert out.schema.field(name).type == table.schema.field(name).type
    for name in ("venue", "sector", "kind", "note"):
        assert out.column(name).to_pylist() == wanted.column(name).to_pylist()


@pytest.mark.soak
@pytest.mark.slow
def test_same_bits_for_a_small_memory_limit(tmp_path: Path) -> None:
    """A limit that only just holds the smallest task makes the partition of wide rows go in several chunks."""
    table = daily([f"S{number:03d}" for number in range(120)], 1000)
    for number in range(60):
        table = table.append_column(f"own{number}", pa.array(np.full(120_000, float(number))))
    source = write(table, tmp_path / "p.parquet")
    settings = {"features": "w_ret,w_rsi_14,w_vol_12", "strategy": "adaptive", "memory_limit": "380MiB"}
    planned = plan_only(resolve(from_python({"input": str(source), "output": str(tmp_path / "planned"), **settings})))[
        1
    ]
    assert planned.partition
    assert planned.chunk_rows < planned.rows / 2
    assert (planned.workers, len(planned.tasks) > 4) == (1, True)
    large = build(source, tmp_path / "large", strategy="direct", features=settings["features"])
    assert build(source, tmp_path / "tight", jobs=2, **settings).equals(large)
    with pytest.raises(BudgetError, match=r"--memory-limit \d+MiB"):
        build(source, tmp_path / "none", **{**settings, "memory_limit": "300MiB"})


@pytest.mark.parametrize("strategy", ["direct", "batched"])
def test_the_limit_that_an_error_names_is_enough(tmp_path: Path, small: Path, strategy: str) -> None:
    with pytest.raises(BudgetError) as caught:
        build(small, tmp_path / "out", strategy=strategy, memory_limit="64MiB", features="w_ret")
    limit = str(caught.value).split("--memory-limit ")[1].split()[0]
    assert build(small, tmp_path / "out", strategy=strategy, memory_limit=limit, features="w_ret").num_rows == 2400


@pytest.mark.parametrize("writer", WRITERS)
def test_two_files_of_one_run_are_the_same_bytes(tmp_path: Path, small: Path, writer: str) -> None:
    build(small, tmp_path / "a.parquet", writer=writer)
    build(small, tmp_path / "b.parquet", writer=writer)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.soak
@pytest.mark.slow
def test_many_tasks_of_one_partition_do_not_run_out_of_files(tmp_path: Path) -> None:
    """The partition has a bundle for each task; a shell gives a process 1,024 open files, often 256."""
    import resource

    table = daily([f"S{number:04d}" for number in range(220)], 4)
    source = write(table, tmp_path / "p.parquet")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        out = build_here(source, tmp_path / "out", strategy="per-symbol", features="w_bars", jobs=2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert out.num_rows == 880


# ---- output and input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", [".", "in", "in/p.parquet"])
def test_an_output_never_replaces_its_input(output: str, tmp_path: Path) -> None:
    source = write(daily(["A", "B"], 60), tmp_path / "in" / "p.parquet")
    before = source.read_bytes()
    for given in (source, source.parent, source.parent / "*.parquet", source.parent / "?.parquet"):
        with pytest.raises(OutputConflict, match="would replace the input"):
            weekly_cli.build(given, tmp_path / output, overwrite=True)
    assert source.read_bytes() == before


def test_an_output_inside_of_the_input_is_made_anew(tmp_path: Path) -> None:
    write(daily(["A", "B"], 60), tmp_path / "p.parquet")
    first = weekly_cli.build(tmp_path, tmp_path / "daily_weekly")
    second = weekly_cli.build(tmp_path, tmp_path / "daily_weekly")
    assert first.rows == second.rows == 120


def test_a_link_as_output_stays_a_link(tmp_path: Path) -> None:
    source = write(daily(["A"], 60), tmp_path / "p.parquet")
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    for _ in range(2):
        weekly_cli.build(source, tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert [path.name[:10] for path in (tmp_path / "real").iterdir()] == ["part-00000"]
