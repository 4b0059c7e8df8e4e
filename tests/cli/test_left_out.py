"""Nothing in an input is left out in silence: files by their bytes, hidden names, table formats, keys and columns."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import build, daily, read, report_here, report_of, run_cli, write

import weekly_cli
from weekly_cli.errors import InputRefused

pytestmark = pytest.mark.slow


def of(symbol: str) -> pa.Table:
    return daily([symbol], 60)


def symbols(output: Path) -> list[str]:
    return sorted(set(read(output).column("symbol").to_pylist()))


def plan(path: Path) -> dict[str, str]:
    done = run_cli("plan", path, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("name", ["b.parquet.gz", "b", "b.dat", "b.PARQUET", "b.snappy"])
def test_a_file_is_parquet_by_its_bytes(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "prices"
    write(of("AAA"), folder / "a.parquet")
    write(of("BBB"), folder / name)
    build(folder, tmp_path / "out")
    assert symbols(tmp_path / "out") == ["AAA", "BBB"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".SPX.parquet", "hidden by its name"),
        ("_SPX.parquet", "hidden by its name"),
        (".staging", "hidden by its name"),
        ("b.parquet.tmp", "a copy or a leftover by its name"),
        ("a.parquet~", "a copy or a leftover by its name"),
        ("notes.txt", "not Parquet"),
        ("prices.csv", "CSV beside Parquet"),
        ("_SUCCESS", "a writer's mark"),
        ("_metadata", "a writer's summary"),
    ],
)
def test_what_is_not_read_is_told_with_its_reason(tmp_path: Path, name: str, reason: str) -> None:
    folder = tmp_path / "prices"
    write(of("AAA"), folder / "a.parquet")
    if name == ".staging":
        write(of("BBB"), folder / name / "b.parquet")
    elif ".parquet" in name or name == "_metadata":
        write(of("BBB"), folder / name)
    else:
        (folder / name).write_text("symbol,date,close\n")
    (skipped,) = report_here(folder, tmp_path / "out").skipped
    assert (skipped.path, skipped.reason.startswith(reason)) == (str(folder / name), True)
    assert symbols(tmp_path / "out") == ["AAA"]


def test_plan_and_report_tell_what_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    write(of("AAA"), folder / "a.parquet")
    write(of("BBB"), folder / ".b.parquet")
    assert f"{folder}/.b.parquet: hidden by its name" in plan(folder)["not_read"]
    done = run_cli("build", folder, "--output", tmp_path / "out", "--json")
    (skipped,) = json.loads(done.stdout)["skipped"]
    assert skipped["path"] == f"{folder}/.b.parquet"


@pytest.mark.parametrize("name", [".SPX.parquet", ".staging", "a.parquet.bak"])
def test_what_is_hidden_is_read_if_its_path_is_given(tmp_path: Path, name: str) -> None:
    """As the reason says."""
    folder = tmp_path / "prices"
    write(of("AAA"), folder / "a.parquet")
    write(of("BBB"), folder / name / "b.parquet" if name == ".staging" else folder / name)
    weekly_cli.build([folder, folder / name], tmp_path / "out", jobs=1)
    assert symbols(tmp_path / "out") == ["AAA", "BBB"]


def test_nothing_is_told_of_a_clean_folder(tmp_path: Path) -> None:
    write(of("AAA"), tmp_path / "prices" / "a.parquet")
    assert "not_read" not in plan(tmp_path / "prices")


@pytest.mark.parametrize("key", ["_year", ".year", "year"])
def test_folders_of_keys_are_never_hidden(tmp_path: Path, key: str) -> None:
    for year, symbol in ((2023, "AAA"), (2024, "BBB")):
        write(of(symbol), tmp_path / "prices" / f"{key}={year}" / "a.parquet")
    build(tmp_path / "prices", tmp_path / "out")
    assert symbols(tmp_path / "out") == ["AAA", "BBB"]
    assert set(read(tmp_path / "out").column(key).to_pylist()) == {"2023", "2024"}


@pytest.mark.parametrize(
    "inner", ["", "symbol=AAA", "symbol=AAA/a.parquet", "*/*.parquet", "*", "symbol=*", "**", "../pric*"]
)
def test_a_file_an_inner_folder_and_a_glob_give_the_same_table(tmp_path: Path, inner: str) -> None:
    write(of("AAA").drop_columns("symbol"), tmp_path / "prices" / "symbol=AAA" / "a.parquet")
    build(tmp_path / "prices", tmp_path / "wanted")
    build(tmp_path / "prices" / inner, tmp_path / "out")
    assert read(tmp_path / "out").equals(read(tmp_path / "wanted"))


def test_a_folder_that_a_glob_matches_beside_files_is_told(tmp_path: Path) -> None:
    """Where no file matches, the folders that do are read, as Spark names them."""
    write(of("AAA"), tmp_path / "prices" / "a.parquet" / "part-0.parquet")
    write(of("BBB"), tmp_path / "prices" / "b.parquet" / "part-0.parquet")
    write(of("DDD"), tmp_path / "prices" / "_d.parquet" / "part-0.parquet")
    build(tmp_path / "prices/*.parquet", tmp_path / "folders")
    assert symbols(tmp_path / "folders") == ["AAA", "BBB"]
    write(of("CCC"), tmp_path / "prices" / "c.parquet")
    report = report_of(tmp_path / "prices/*.parquet", tmp_path / "files")
    assert symbols(tmp_path / "files") == ["CCC"]
    reasons = {Path(skip.path).name: skip.reason for skip in report.skipped}
    assert reasons.keys() == {"a.parquet", "b.parquet", "_d.parquet"}
    assert "give its path" in reasons["a.parquet"]


@pytest.mark.parametrize("mark", ["_delta_log/0.json", "metadata/v1.metadata.json", ".hoodie/hoodie.properties"])
@pytest.mark.parametrize("given", ["", "a.parquet", "*.parquet", "inner"])
def test_tables_with_a_log_are_refused(tmp_path: Path, mark: str, given: str) -> None:
    """Removed rows stay in their files."""
    table = tmp_path / "table"
    write(of("AAA"), table / "a.parquet")
    write(of("BBB"), table / "inner" / "b.parquet")
    (table / mark).parent.mkdir()
    (table / mark).write_text("{}")
    kind = {"_": "a Delta", "m": "an Iceberg", ".": "a Hudi"}[mark[0]]
    with pytest.raises(InputRefused, match=f"{table} is {kind} table") as caught:
        report_here(table / given, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_pointer_of_git_lfs_is_told(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    (tmp_path / "a.parquet").write_text(pointer)
    done = run_cli("build", tmp_path / "a.parquet", "--output", tmp_path / "out")
    assert done.returncode == 3
    assert "a.parquet is a Git LFS pointer" in done.stderr
    assert "git lfs pull" in done.stderr


# ---- keys and columns ------------------------------------------------------------------------------------

JANUARY = dt.date(2023, 1, 3)


@pytest.mark.parametrize(
    ("key", "column"),
    [
        ("A", pa.array(["A"] * 60)),
        ("A", pa.array(["A"] * 60).dictionary_encode()),
        ("2023", pa.array([2023] * 60, pa.int32())),
        ("01", pa.array([1] * 60, pa.int8())),
        ("1.5", pa.array([1.5] * 60)),
        ("true", pa.array([True] * 60)),
        ("2023-01-03", pa.array([JANUARY] * 60)),
        ("2023-01-03", pa.array([dt.datetime(2023, 1, 3, 16, 0)] * 60, pa.timestamp("us"))),
        ("__HIVE_DEFAULT_PARTITION__", pa.nulls(60, pa.string())),
        ("BRK%2FB", pa.array(["BRK/B"] * 60)),
    ],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_a_key_and_a_column_that_agree(tmp_path: Path, key: str, column: pa.Array, statistics: bool) -> None:
    path = tmp_path / "prices" / f"key={key}" / "a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(of("AAA").append_column("key", column), path, write_statistics=statistics)
    build(tmp_path / "prices", tmp_path / "out")
    assert read(tmp_path / "out").column("key").to_pylist() == column.to_pylist()


@pytest.mark.parametrize(
    ("key", "column", "other"),
    [
        ("A", pa.array(["A"] * 59 + ["B"]), "B"),
        ("A", pa.array(["A"] * 59 + [None]), "null"),
        ("2023", pa.array([2023] * 59 + [2024]), "2024"),
        ("spring", pa.array([2023] * 60), "2023"),
        ("2023-01-03", pa.array([JANUARY] * 59 + [dt.date(2023, 1, 4)]), "2023-01-04"),
        ("__HIVE_DEFAULT_PARTITION__", pa.array(["A"] * 60), "A"),
    ],
)
@pytest.mark.parametrize("statistics", [True, False])
def test_a_key_and_a_column_that_differ_are_refused(
    tmp_path: Path, key: str, column: pa.Array, other: str, statistics: bool
) -> None:
    path = tmp_path / "prices" / f"key={key}" / "a.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(of("AAA").append_column("key", column), path, write_statistics=statistics, row_group_size=20)
    with pytest.raises(InputRefused) as caught:
        report_here(tmp_path / "prices", tmp_path / "out")
    for word in (str(path), "key=", f"has {other} "):
        assert word in str(caught.value)
