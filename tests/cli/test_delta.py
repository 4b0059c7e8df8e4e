"""Delta tables are read by their log, as `deltalake` reads them, or refused in one line."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from frames import build, build_here, daily, in_order, read, report_here, run_cli, write

from weekly_cli.errors import InputRefused
from weekly_cli.events import Event, StageEnded
from weekly_cli.verify import verify

pytestmark = pytest.mark.slow

SYMBOLS = ("AAA", "BRK/B", "NA", "a b", "=%2F")


def prices(symbols: tuple[str, ...] = SYMBOLS, n_days: int = 60, seed: int = 1) -> pa.Table:
    table = daily(symbols, n_days, seed=seed)
    years = pc.year(table.column("date")).cast(pa.int32())
    sectors = pa.array(["x", None, "ä/ö%"] * table.num_rows).slice(0, table.num_rows)
    return table.append_column("year", years).append_column("sector", sectors)


def append(table: pa.Table, folder: Path, *keys: str) -> None:
    write_deltalake(str(folder), table, partition_by=list(keys) or None, mode="append")


def assert_as_deltalake_reads_it(folder: Path, output: Path, **settings: Any) -> None:
    """In this process, on the tasks of a pool, and by bundles; verified once."""
    wanted = in_order(DeltaTable(str(folder)).to_pyarrow_table())
    for strategy in ("direct", "batched", "per-symbol"):
        given = {"features": "w_close,w_ret", "strategy": strategy, **settings}
        table = build_here(folder, output, **given).select(wanted.column_names)
        assert table.schema.equals(wanted.schema)
        assert table.equals(wanted)
    assert verify(output).passed


# ---- what is read ----------------------------------------------------------------------------------------


def removed(folder: Path) -> None:
    DeltaTable(str(folder)).delete("symbol = 'AAA'")


def changed(folder: Path) -> None:
    DeltaTable(str(folder)).update(updates={"close": "close * 2"}, predicate="symbol = 'NA'")


def overwritten(folder: Path) -> None:
    write_deltalake(str(folder), prices(seed=9), mode="overwrite")


def compacted(folder: Path) -> None:
    DeltaTable(str(folder)).optimize.compact()


def vacuumed(folder: Path) -> None:
    removed(folder)
    DeltaTable(str(folder)).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


def after_a_checkpoint(folder: Path) -> None:
    removed(folder)
    table = DeltaTable(str(folder))
    table.create_checkpoint()
    for commit in sorted((folder / "_delta_log").glob("*.json"))[:-1]:
        commit.unlink()
    changed(folder)


CHANGES: Mapping[str, Callable[[Path], None]] = {
    change.__name__: change
    for change in (removed, changed, overwritten, compacted, vacuumed, after_a_checkpoint)
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("keys", [(), ("year", "sector"), pytest.param(("symbol",), marks=pytest.mark.soak)], ids=str)
@pytest.mark.parametrize("change", CHANGES)
def test_a_table_is_what_its_log_says(tmp_path: Path, change: str, keys: tuple[str, ...]) -> None:
    for seed, days in ((1, slice(0, 30)), (1, slice(30, 60))):
        table = prices(seed=seed)
        width = len(SYMBOLS)
        append(table.slice(days.start * width, 30 * width), tmp_path / "table", *keys)
    CHANGES[change](tmp_path / "table")
    assert_as_deltalake_reads_it(tmp_path / "table", tmp_path / "out")


@pytest.mark.parametrize(
    "values",
    [
        pa.array([dt.date(2022, 1, 3), None]),
        pa.array([dt.datetime(2022, 1, 3, 1, 2, 3, 456), None], pa.timestamp("us")),
        pa.array([dt.datetime(2022, 1, 3, 1, 2, 3, 456), None], pa.timestamp("us", "UTC")),
        pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)),
        pa.array([True, False]),
        pa.array([2**62, -1]),
        pa.array([0.1, 1e-5]),
        pa.array(["__HIVE_DEFAULT_PARTITION__x", "ü?*\n/=%41"]),
    ],
    ids=lambda values: str(values.type),
)
def test_partition_values_have_their_types(tmp_path: Path, values: pa.Array) -> None:
    table = daily(["AAA", "BBB"], 20)
    append(table.append_column("key", pa.concat_arrays([values] * 20)), tmp_path / "table", "key")
    assert_as_deltalake_reads_it(tmp_path / "table", tmp_path / "out")


def test_columns_that_came_later_are_null_before(tmp_path: Path) -> None:
    append(daily(["AAA"], 40), tmp_path / "table")
    more = daily(["BBB"], 40).append_column("more", pa.array(range(40), pa.int16()))
    write_deltalake(str(tmp_path / "table"), more, mode="append", schema_mode="merge")
    assert_as_deltalake_reads_it(tmp_path / "table", tmp_path / "out")


def test_the_types_of_the_log_count(tmp_path: Path) -> None:
    """Spark writes moments as INT96, which say nothing of their zone; other writers' text may be large."""
    table = daily(["AAA"], 40)
    moments = table.column("date").cast(pa.timestamp("us")).cast(pa.timestamp("us", "UTC"))
    append(table.append_column("at", moments), tmp_path / "table")
    (path,) = (tmp_path / "table").glob("*.parquet")
    naive = table.append_column("at", moments.cast(pa.timestamp("us")))
    naive = naive.set_column(0, "symbol", naive.column("symbol").cast(pa.large_string()))
    pq.write_table(naive, path, use_deprecated_int96_timestamps=True)
    built = build(tmp_path / "table", tmp_path / "out").select(["symbol", "at"])
    assert built.schema.types == [pa.string(), pa.timestamp("us", "UTC")]
    assert built.column("at").equals(moments)


def test_what_is_not_in_the_newest_version_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "table"
    append(prices(), folder, "symbol")
    gone = sorted((folder / "symbol=AAA").iterdir())
    removed(folder)
    write(prices(), folder / "stray.parquet")
    done = run_cli("build", folder, "--output", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    skipped = {skip["path"]: skip["reason"] for skip in json.loads(done.stdout)["skipped"]}
    assert skipped == dict.fromkeys(
        map(str, [folder / "stray.parquet", *gone]), "not in version 1 of the Delta table by its log"
    )
    assert "AAA" not in read(tmp_path / "out").column("symbol").to_pylist()


def test_a_table_and_other_files_are_one_dataset(tmp_path: Path) -> None:
    append(daily(["AAA"]), tmp_path / "table")
    write(daily(["BBB"]), tmp_path / "b.parquet")
    done = run_cli("build", tmp_path / "table", tmp_path / "b.parquet", "--output", tmp_path / "out", "-q")
    assert done.returncode == 0, done.stderr
    assert set(read(tmp_path / "out").column("symbol").to_pylist()) == {"AAA", "BBB"}


# ---- what is refused -------------------------------------------------------------------------------------


def rewritten(folder: Path, *, features: list[str] | None = None, settings: dict[str, str] | None = None,
              vector: dict[str, Any] | None = None) -> None:  # fmt: skip
    """Put into the first commit what `deltalake` writes none of."""
    (log,) = (folder / "_delta_log").glob("*.json")
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    for action in actions:
        if "protocol" in action and features is not None:
            versions = {"minReaderVersion": 3, "minWriterVersion": 7}
            action["protocol"] = versions | {"readerFeatures": features, "writerFeatures": features}
        if "metaData" in action:
            action["metaData"]["configuration"] = settings or {}
        if "add" in action and vector is not None:
            action["add"]["deletionVector"] = vector
    log.write_text("\n".join(map(json.dumps, actions)))


#: Six rows are deleted. Source: a test of the Delta kernel's, by the Delta protocol's example.
VECTOR = {
    "storageType": "i",
    "pathOrInlineDv": "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
    "sizeInBytes": 44,
    "cardinality": 6,
}


def with_vectors(folder: Path) -> None:
    rewritten(folder, features=["deletionVectors"], vector=VECTOR)


def with_column_mapping(folder: Path) -> None:
    rewritten(folder, features=["columnMapping"], settings={"delta.columnMapping.mode": "name"})


def of_a_later_protocol(folder: Path) -> None:
    rewritten(folder, features=["rowsOfTheFuture"])


def without_columns(folder: Path) -> None:
    (log,) = (folder / "_delta_log").glob("*.json")
    log.write_text(log.read_text().splitlines()[-1])


def half_a_commit(folder: Path) -> None:
    (log,) = (folder / "_delta_log").glob("*.json")
    log.write_text(log.read_text()[:-20])


def without_a_log(folder: Path) -> None:
    (log,) = (folder / "_delta_log").glob("*.json")
    log.unlink()


def without_a_file(folder: Path) -> None:
    next(folder.glob("*.parquet")).unlink()


def without_rows(folder: Path) -> None:
    DeltaTable(str(folder)).delete()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (with_vectors, "deletion vectors"),
        (with_column_mapping, "olumn mapping"),
        (of_a_later_protocol, "rowsOfTheFuture"),
        (without_columns, "log deltalake can't read: Kernel error: No table metadata or protocol found"),
        (half_a_commit, "log deltalake can't read"),
        (without_a_log, "log deltalake can't read"),
        (without_a_file, "is not there, but the log"),
        (without_rows, "has no rows in version 1"),
    ],
)
def test_what_can_not_be_read_by_its_log_is_refused(tmp_path: Path, harm: Callable[[Path], None], told: str) -> None:
    folder = tmp_path / "table"
    append(daily(), folder)
    harm(folder)
    done = run_cli("build", folder, "--output", tmp_path / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert str(folder) in done.stderr
    assert told in done.stderr
    assert not (tmp_path / "out").exists()


def test_features_that_change_no_rows_are_read(tmp_path: Path) -> None:
    """Many writers allow deletion vectors and have none."""
    append(daily(), tmp_path / "table")
    rewritten(tmp_path / "table", features=["deletionVectors", "columnMapping"], settings={})
    assert build(tmp_path / "table", tmp_path / "out").num_rows == daily().num_rows


@pytest.mark.parametrize("given", ["*.parquet", "symbol=*/*.parquet", "symbol=AAA", "..", "file"])
def test_a_part_of_a_table_is_refused(tmp_path: Path, given: str) -> None:
    """A file alone does not tell whether it still counts; nor does a folder that has a table somewhere in it."""
    folder = tmp_path / "lake" / "table"
    append(daily(), folder, "symbol")
    write(daily(), folder / "a.parquet")
    name = next(folder.glob("symbol=AAA/*")) if given == "file" else folder / given
    done = run_cli("build", name, "--output", tmp_path / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "is a Delta table" in done.stderr
    assert "where the folder itself is given" in done.stderr


@pytest.mark.parametrize("name", ["100%25", "a\\b"])
def test_a_folder_that_deltalake_would_misread_is_refused(tmp_path: Path, name: str) -> None:
    append(daily(), tmp_path / "table")
    (tmp_path / "table").rename(tmp_path / name)
    done = run_cli("build", tmp_path / name, "--output", tmp_path / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "move the table" in done.stderr


@pytest.mark.parametrize("there", ["raise ImportError", "__version__ = '1.5.9'\nDeltaTable = None"])
def test_without_the_extra_the_way_to_it_is_named(tmp_path: Path, there: str) -> None:
    append(daily(), tmp_path / "table")
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/deltalake.py").write_text(there)
    done = run_cli(
        "build", tmp_path / "table", "--output", tmp_path / "out", env={"PYTHONPATH": str(tmp_path / "hidden")}
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert "pip install 'weekly-cli[delta]'" in done.stderr


def test_a_new_version_that_comes_while_a_table_is_read_is_not_mixed_in(tmp_path: Path) -> None:
    """It leaves the files of the version before in their places."""
    folder = tmp_path / "table"
    append(daily(), folder)
    wanted = in_order(daily())

    def after_the_scan(event: Event) -> None:
        if isinstance(event, StageEnded) and event.stage == "scan":
            removed(folder)

    report_here(folder, tmp_path / "out", after_the_scan)
    assert DeltaTable(str(folder)).version() == 1
    assert read(tmp_path / "out").select(wanted.column_names).equals(wanted)


def test_a_file_that_is_vacuumed_while_it_is_read_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "table"
    append(daily(), folder)

    def after_the_scan(event: Event) -> None:
        if isinstance(event, StageEnded) and event.stage == "scan":
            vacuumed(folder)

    with pytest.raises(InputRefused, match="can't be read as Parquet"):
        report_here(folder, tmp_path / "out", after_the_scan)
    assert not (tmp_path / "out").exists()
