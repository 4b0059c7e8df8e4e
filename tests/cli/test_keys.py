"""The keys in folders' names: the same table by every way to a file, and which counts where a column differs."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import build, build_here, daily, in_order, report_here, run_cli, write

from weekly_cli.verify import verify

pytestmark = pytest.mark.slow

#: For each layout, the folders of a tree, and what of the rows their files hold.
TREES = {
    "symbols": {f"symbol={symbol}": [symbol] for symbol in ("AAA", "000001", "NA", "BRK.B")},
    "symbols with signs": {f"symbol={quote(symbol, safe='')}": [symbol] for symbol in ("BRK/B", "a b", "=%2F", "ü*?")},
    "years": {"year=2022": ["AAA"], "year=2023": ["BBB"]},
    "null": {"sector=__HIVE_DEFAULT_PARTITION__": ["AAA"], "sector=x": ["BBB"]},
    "two keys": {"market=us/symbol=AAA": ["AAA"], "market=__HIVE_DEFAULT_PARTITION__/symbol=BBB": ["BBB"]},
    "hidden names": {"_year=2022": ["AAA"], ".year=2023": ["BBB"]},
}


def tree(folder: Path, layout: str) -> Path:
    for number, (inner, symbols) in enumerate(TREES[layout].items()):
        table = daily(symbols, seed=number)
        write(table.drop_columns("symbol") if "symbol=" in inner else table, folder / inner / "a.parquet")
    return folder


@pytest.mark.parametrize("layout", TREES)
@pytest.mark.parametrize("way", ["files", "inner folders", "glob", "deep glob", "from inside"])
def test_every_way_to_the_files_of_a_tree_gives_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, way: str
) -> None:
    folder = tree(tmp_path / "prices", layout)
    wanted = build(folder, tmp_path / "wanted")
    files = sorted(folder.rglob("*.parquet"))
    named: dict[str, list[Any]] = {
        "files": files,
        "inner folders": [file.parent for file in files],
        "glob": [folder / "/".join("*" * len(files[0].relative_to(folder).parts))],
        "deep glob": [folder / "**" / "*.parquet"],
        "from inside": ["."],
    }
    if way == "from inside":
        monkeypatch.chdir(folder)
    assert build(named[way], tmp_path / "out").equals(wanted)  # type: ignore[arg-type]


# ---- keys and columns that differ ------------------------------------------------------------------------


def keyed(folder: Path, key: str, column: pa.Array, **options: Any) -> Path:
    path = folder / key / "a.parquet"
    table = daily(["AAA"])
    name = key.partition("=")[0]
    if name in table.column_names:
        write(table.set_column(table.column_names.index(name), name, column), path, **options)
    else:
        write(table.append_column(name, column), path, **options)
    return path


CONFLICTS = [
    ("key=A", pa.array(["A"] * 59 + ["B"]), pa.array(["A"] * 60)),
    ("key=A", pa.array(["B"] * 60).dictionary_encode(), pa.array(["A"] * 60).dictionary_encode()),
    ("key=2023", pa.array([2023] * 59 + [2024], pa.int16()), pa.array([2023] * 60, pa.int16())),
    ("key=70000", pa.array([1] * 60, pa.int16()), pa.array(["70000"] * 60)),
    ("key=spring", pa.array([2023] * 60), pa.array(["spring"] * 60)),
    ("key=1.5", pa.array([1.25] * 60), pa.array([1.5] * 60)),
    ("key=2023-01-03", pa.array([dt.date(2023, 1, 4)] * 60), pa.array([dt.date(2023, 1, 3)] * 60)),
    ("key=__HIVE_DEFAULT_PARTITION__", pa.array(["A"] * 60), pa.nulls(60, pa.string())),
    ("symbol=BRK%2FB", pa.array(["AAA"] * 60), pa.array(["BRK/B"] * 60)),
]


@pytest.mark.parametrize(("key", "column", "wanted"), CONFLICTS)
@pytest.mark.parametrize("writer", ["fast", "arrow"])
def test_the_path_counts_or_the_column_does(
    tmp_path: Path, key: str, column: pa.Array, wanted: pa.Array, writer: str
) -> None:
    keyed(tmp_path / "prices", key, column)
    name = key.partition("=")[0]
    for count, values in (("path", wanted), ("column", column)):
        for strategy in ("direct", "batched"):
            settings = {"on_key_conflict": count, "writer": writer, "strategy": strategy, "features": "w_close"}
            table = build_here(tmp_path / "prices", tmp_path / "out", **settings)
            assert table.column(name).type == values.type
            assert table.column(name).to_pylist() == values.to_pylist()
        assert verify(tmp_path / "out").passed


def test_a_file_that_differs_counts_by_its_path_and_others_keep_their_columns(tmp_path: Path) -> None:
    """Bundles narrow integers to what footers tell; a key may be wider than all columns."""
    keyed(tmp_path / "prices", "key=100000", pa.array([1] * 60))
    write(daily(["BBB"]).append_column("key", pa.array([2] * 60)), tmp_path / "prices" / "key=2" / "b.parquet")
    for strategy in ("direct", "batched"):
        table = build_here(tmp_path / "prices", tmp_path / "out", on_key_conflict="path", strategy=strategy)
        assert table.column("key").to_pylist() == [100000] * 60 + [2] * 60


@pytest.mark.parametrize("count", ["path", "column"])
def test_pages_are_copied_only_where_the_column_counts(tmp_path: Path, count: str) -> None:
    """A row group that goes to the output as it is would take the column's bytes along."""
    rows = 40_000
    table = daily(["BBB"], rows, order="symbol")
    write(table.append_column("key", pa.array(["B"] * rows)), tmp_path / "key=A" / "a.parquet", compression="zstd")
    report_here(tmp_path / "key=A", tmp_path / "out", on_key_conflict=count, strategy="per-symbol")
    (part,) = (tmp_path / "out").glob("*.parquet")
    assert set(pq.read_table(part, partitioning=None).column("key").to_pylist()) == {"A" if count == "path" else "B"}


@pytest.mark.parametrize("count", ["error", "path", "column"])
def test_nothing_changes_where_key_and_column_agree(tmp_path: Path, count: str) -> None:
    """The column keeps its type, the month its leading zero."""
    keyed(tmp_path / "prices", "key=1", pa.array([1] * 60, pa.int8()))
    table = build(tmp_path / "prices", tmp_path / "out", on_key_conflict=count)
    assert table.column("key").type == pa.int8()
    wanted = in_order(daily(["AAA"]))
    assert table.select(wanted.column_names).equals(wanted)


def test_columns_that_are_all_keys(tmp_path: Path) -> None:
    """The scan then reads no column of the file."""
    for day in (3, 4, 5):
        row = daily(["AAA"], 1, seed=day).drop_columns(["symbol", "date"])
        write(row, tmp_path / "prices" / "symbol=AAA" / f"date=2023-01-{day:02d}" / "a.parquet")
    table = build(tmp_path / "prices", tmp_path / "out", allow_empty=True)
    assert table.column("symbol").to_pylist() == ["AAA"] * 3
    assert table.column("date").to_pylist() == ["2023-01-03", "2023-01-04", "2023-01-05"]


def test_the_refusal_names_the_setting(tmp_path: Path) -> None:
    path = keyed(tmp_path / "prices", "symbol=BBB", pa.array(["AAA"] * 60))
    done = run_cli("build", tmp_path / "prices", "--output", tmp_path / "out")
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    for word in (str(path), "symbol=BBB", "has AAA ", "pass --on-key-conflict path or column"):
        assert word in done.stderr


def test_verify_reads_an_output_whose_own_path_has_keys(tmp_path: Path) -> None:
    """Folders above the output may be named as keys are; they say nothing of its columns."""
    keyed(tmp_path / "prices", "symbol=BBB", pa.array(["AAA"] * 60))
    output = tmp_path / "symbol=CCC" / "out"
    build(tmp_path / "prices", output, on_key_conflict="path")
    assert verify(output).passed
