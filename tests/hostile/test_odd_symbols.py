"""Odd symbols come out exactly, by every way in and through, with the features of plain ones."""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from frames import build_here, daily, in_order, write
from odd_symbols import symbols
from rounds import soaked

from weekly_cli.names import benchmark_name
from weekly_cli.run import cuts, sizes
from weekly_cli.settings.table import STRATEGIES

ODD = symbols()
N_DAYS = 15
FEW = "w_close,w_ret,w_volume"


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several tasks and several chunks, in this process."""
    monkeypatch.setattr(cuts, "LEAST_TASK_ROWS", 256)
    monkeypatch.setattr(sizes, "_MOST_CHUNK_ROWS", 1000)


@cache
def rows(order: str) -> pa.Table:
    return daily(ODD, N_DAYS, order=order)


def plain_of(names: tuple[str, ...]) -> dict[str, str]:
    """A plain symbol for each odd one, in the same order."""
    ranked = sorted(names, key=str.encode)
    return {name: f"S{rank:04d}" for rank, name in enumerate(ranked)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """What comes out for plain symbols, by the simplest way: other tests hold that all ways lead to the same."""
    folder = tmp_path_factory.mktemp("plain")
    return build_here(write(renamed(rows("date"), plain_of(ODD)), folder / "p.parquet"), folder / "out", features=FEW)


def renamed(table: pa.Table, names: dict[str, str]) -> pa.Table:
    return table.set_column(0, "symbol", pa.array([names[name] for name in table["symbol"].to_pylist()]))


def test_there_are_many_odd_symbols() -> None:
    assert len(ODD) == len(set(ODD)) >= 300


#: Both layouts, and the strategies that differ most; the others in the soak.
TRIED = [("direct", "symbol"), ("batched", "date"), ("per-symbol", "symbol")]
ALL = list(itertools.product(STRATEGIES, ["date", "symbol"]))


@pytest.mark.parametrize(("strategy", "order"), soaked(TRIED, [one for one in ALL if one not in TRIED]))
def test_odd_symbols_come_out_with_the_features_of_plain_ones(
    plain: pa.Table, tmp_path: Path, strategy: str, order: str
) -> None:
    table = in_order(rows("symbol")) if order == "symbol" else rows("date")
    path = write(table, tmp_path / "odd.parquet", row_group_size=600)
    odd = build_here(path, tmp_path / "out", features=FEW, strategy=strategy)
    assert renamed(odd, plain_of(ODD)).equals(plain)
    assert odd.select(table.column_names).equals(in_order(table))


def test_odd_symbols_can_be_asked_for_by_a_file_and_by_a_list(tmp_path: Path) -> None:
    """A file has one a line; what is a line's end, or begins with the sign for a file, goes by the other way."""
    source = write(rows("date"), tmp_path / "p.parquet")
    lines = [name for name in ODD if name and "\n" not in name and not name.endswith("\r")]
    (tmp_path / "wanted").write_text("plain\n" + "\n".join(lines), encoding="utf-8", newline="")
    table = pa.concat_tables([rows("date"), daily(["plain"], N_DAYS)])
    write(table, source)
    for wanted, expected in (
        ([f"@{tmp_path / 'wanted'}"], {"plain", *lines}),
        ([name for name in ODD if not name.startswith("@")], {name for name in ODD if not name.startswith("@")}),
    ):
        out = build_here(source, tmp_path / "out", features=FEW, symbols=wanted)
        assert set(out["symbol"].unique().to_pylist()) == expected
        assert out.num_rows == N_DAYS * len(expected)


def test_odd_symbols_come_through_hive_folders(tmp_path: Path) -> None:
    """Their names are percent-encoded; the word for null names no symbol, and some are too long for a folder."""
    names = [name for name in ODD if len(quote(name, safe="")) < 240 and name != "__HIVE_DEFAULT_PARTITION__"]
    assert len(names) >= 300
    table = rows("symbol")
    for name in names:
        mine = table.slice(ODD.index(name) * N_DAYS, N_DAYS).drop_columns(["symbol"])
        write(mine, tmp_path / "in" / f"symbol={quote(name, safe='')}" / "x.parquet")
    out = build_here(tmp_path / "in", tmp_path / "out", features=FEW)
    wanted = table.filter(pc.is_in(table["symbol"], pa.array(names)))
    assert out.select(table.column_names).equals(
        in_order(wanted.select([*table.column_names[1:], "symbol"])).select(table.column_names)
    )


def test_a_hive_folder_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write(daily(["A"]).drop_columns(["symbol"]), tmp_path / "in" / "symbol=%FF" / "x.parquet")
    with pytest.raises(Exception, match=r"symbol=%FF.*not UTF-8"):
        build_here(tmp_path / "in", tmp_path / "out")


def test_odd_symbols_can_be_benchmarks(tmp_path: Path) -> None:
    """One for each name that a column may get from them; columns are those of plain benchmarks, under other names."""
    chosen = {benchmark_name(name): name for name in ODD if not name.startswith("@")}
    few = list(chosen.values())[::4]
    assert len(few) >= 30
    plain = plain_of(ODD)
    made: dict[str, pa.Table] = {}
    for kind, table, benchmark in (
        ("odd", rows("date"), few),
        ("plain", renamed(rows("date"), plain), [plain[name] for name in few]),
    ):
        source = write(table, tmp_path / f"{kind}.parquet")
        made[kind] = build_here(source, tmp_path / kind, features="relative", benchmark=benchmark)
    assert made["odd"].num_columns == 7 + 5 * len(few)
    assert [f"w_rs_{benchmark_name(name)}" in made["odd"].column_names for name in few] == [True] * len(few)
    columns: list[Any] = [made[kind].columns[7:] for kind in ("odd", "plain")]
    assert columns[0] == columns[1]
