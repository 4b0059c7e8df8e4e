"""Small files that are read as one table: the same rows and the same refusals as one file after the other."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from weekly_cli.dataset import source
from weekly_cli.dataset.each import in_threads
from weekly_cli.dataset.footers import Footers, read_footers
from weekly_cli.dataset.scan import Scan, scan
from weekly_cli.dataset.selection import scan_selected, select_symbols
from weekly_cli.errors import InputRefused
from weekly_cli.files import footer as footer_room
from weekly_cli.files import thrift
from weekly_cli.files.footer import FooterReader, footer_begin
from weekly_cli.settings import Config, from_python, resolve

PRICES = ("open", "high", "low", "close")


def config(folder: Path, **given: Any) -> Config:
    return resolve(from_python({"input": str(folder), "output": str(folder.parent / "out.parquet"), **given}))


def footers_of(folder: Path, **given: Any) -> Footers:
    return read_footers(config(folder, **given), None)


def rows(symbols: list[str | None], days: list[int | None]) -> pa.Table:
    """Rows with prices that tell the rows apart."""
    columns = {"symbol": pa.array(symbols, pa.string()), "date": pa.array(days, pa.int32()).cast(pa.date32())}
    columns |= {name: pa.array(np.arange(len(days)) + 1.0) for name in PRICES}
    return pa.table(columns | {"volume": pa.array(np.arange(len(days)) + 1)})


def write(folder: Path, parts: list[pa.Table], **options: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for number, part in enumerate(parts):
        pq.write_table(part, folder / f"{number:03d}.parquet", **options)
    return folder


SYMBOLS = st.sampled_from(["A", "B", "CC", "D.E", None])
DAYS = st.one_of(st.none(), st.integers(18_000, 18_020))
FILES = st.lists(st.lists(st.tuples(SYMBOLS, DAYS), max_size=12), min_size=1, max_size=9)


@settings(max_examples=60, deadline=None)
@given(files=FILES, group=st.sampled_from([2, 100]), most=st.sampled_from([1, 3, 64]))
def test_a_scan_counts_what_a_plain_loop_over_the_files_does(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[tuple[str | None, int | None]]], group: int, most: int
) -> None:
    folder = tmp_path_factory.mktemp("files") / "in"
    write(folder, [rows([s for s, _ in file], [d for _, d in file]) for file in files], row_group_size=group)
    whole = [pair for file in files for pair in file]
    known = [(symbol, day) for symbol, day in whole if symbol is not None and day is not None]
    footers = footers_of(folder, on_bad_rows="drop")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(source, "_MOST_JOINED", most)
        found = scan(footers, config(folder, on_bad_rows="drop", order="input"), in_threads(2), lambda _: None)
    expected = {symbol: sum(one == symbol for one, _ in known) for symbol in sorted({symbol for symbol, _ in known})}
    assert dict(zip(found.symbols.to_pylist(), found.rows_per_symbol.tolist(), strict=True)) == expected
    assert found.bad_rows == len(whole) - len(known)
    assert found.sorted_by_date == all(a[1] <= b[1] for a, b in itertools.pairwise(known))
    if found.presence is not None:  # every row is where its symbol is said to be, and ranges end with one
        places = [(p.path, p.row_group) for p in footers.pieces]
        said = zip(found.presence.codes, found.presence.pieces, found.presence.first, found.presence.stop, strict=True)
        ranges = {(found.symbols[c].as_py(), *places[p]): (int(a), int(b)) for c, p, a, b in said}
        there: dict[tuple[str, str, int], list[int]] = {}
        for number, file in enumerate(files):
            for row, (symbol, day) in enumerate(file):
                if symbol is not None and day is not None:
                    path = str(folder / f"{number:03d}.parquet")
                    there.setdefault((symbol, path, row // group), []).append(row % group)
        assert ranges == {key: (min(at), max(at) + 1) for key, at in there.items()}
        assert found.sorted_by_key == (known == sorted(known))
    days = [day for _, day in known]
    assert dict(zip(found.calendar.days.tolist(), found.calendar.rows.tolist(), strict=True)) == {
        day: days.count(day) for day in days
    }


def test_tables_of_several_files_have_their_rows_in_order_and_their_keys(tmp_path: Path) -> None:
    for number, symbol in enumerate(["B", "A", "C", "A"]):
        folder = tmp_path / "in" / f"symbol={symbol}"
        folder.mkdir(parents=True, exist_ok=True)
        part = rows([None] * 3, [18_000 + number, 18_010, 18_020]).drop_columns(["symbol"])
        pq.write_table(part, folder / f"{number}.parquet")
    footers = footers_of(tmp_path / "in")
    one_by_one = pa.concat_tables([table for _, _, table in source.tables(footers.pieces, footers.schema)])
    [(parts, table)] = source.joined_tables(footers.pieces, footers.schema)
    assert [(part.first, part.rows) for part in parts] == [(0, 3)] * 4
    assert table.equals(one_by_one.combine_chunks().cast(table.schema))
    assert table.column("symbol").to_pylist() == ["A"] * 6 + ["B"] * 3 + ["C"] * 3


def test_files_whose_columns_differ_are_not_joined(tmp_path: Path) -> None:
    day = rows(["A", "A"], [18_000, 18_001])
    other = day.set_column(6, "volume", pa.array([1.5, 2.5]))
    folder = write(tmp_path / "in", [day, day, other, day])
    footers = footers_of(folder)
    joined = list(source.joined_tables(footers.pieces, footers.schema))
    assert [len(parts) for parts, _ in joined] == [2, 1, 1]
    assert pa.concat_tables([table for _, table in joined]).column("volume").to_pylist() == [1, 2, 1, 2, 1.5, 2.5, 1, 2]


def test_a_symbol_that_is_not_utf_8_is_refused_for_its_own_file(tmp_path: Path) -> None:
    good = rows(["A", "B"], [18_000, 18_000])
    bad = good.set_column(0, "symbol", pa.array([b"A", b"\xff"]).view(pa.string()))
    folder = write(tmp_path / "in", [good, good, bad, good])
    footers = footers_of(folder)
    with pytest.raises(InputRefused, match=r"002\.parquet is text, but not all of it is UTF-8 \(row group 0\)"):
        scan(footers, config(folder), in_threads(2), lambda _: None)


def test_a_value_that_does_not_fit_is_refused_for_its_own_file(tmp_path: Path) -> None:
    day = rows(["A"], [18_000])
    whole = day.set_column(6, "volume", pa.array([2**53 + 1]))
    broken = day.set_column(6, "volume", pa.array([0.5]))
    folder = write(tmp_path / "in", [day, day, whole, broken])
    footers = footers_of(folder)
    with pytest.raises(InputRefused, match=r"'volume' is int64 in .*002\.parquet but double in the dataset"):
        list(source.joined_tables(footers.pieces, footers.schema))


def test_the_first_rows_without_a_key_are_told_with_their_places(tmp_path: Path) -> None:
    good = rows(["A", "B"], [18_000, 18_000])
    folder = write(tmp_path / "in", [good, rows(["A", None], [18_001, 18_001]), good, rows(["A", "A"], [None, None])])
    footers = footers_of(folder)
    with pytest.raises(InputRefused) as refused:
        scan(footers, config(folder), in_threads(2), lambda _: None)
    told = str(refused.value)
    assert f"1 in {folder / '001.parquet'}, 2 in {folder / '003.parquet'}" in told
    assert f"symbol None, date 2019-04-15 in row 1 of row group 0 of {folder / '001.parquet'}" in told
    assert f"symbol 'A', date None in row 0 of row group 0 of {folder / '003.parquet'}" in told


_VALUE = thrift.value
VALUES = st.one_of(st.none(), st.integers(-(2**40), 2**40))
TEXTS = st.one_of(st.none(), st.text(max_size=80))


@settings(max_examples=60, deadline=None)
@given(
    files=st.lists(st.lists(st.tuples(VALUES, TEXTS), max_size=5), min_size=2, max_size=8),
    group=st.sampled_from([1, 2, 5]),
    page=st.booleans(),
)
def test_a_footer_is_read_the_same_after_others_that_it_resembles(
    files: list[list[tuple[int | None, str | None]]], group: int, page: bool
) -> None:
    alone, together = FooterReader(), FooterReader()
    for file in files:
        sink = pa.BufferOutputStream()
        table = pa.table(
            {"n": pa.array([n for n, _ in file], pa.int64()), "t": pa.array([t for _, t in file], pa.string())}
        )
        pq.write_table(table, sink, row_group_size=group, write_page_index=page)
        data = memoryview(sink.getvalue())
        footer = bytes(data[footer_begin(data) : -8])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(footer_room, "_ENOUGH_UNLIKE", 1)
            read = together.read(footer)
        assert read == alone.read(footer)  # which makes no pattern of so few


def test_footers_of_one_shape_are_read_by_its_pattern() -> None:
    reader = FooterReader()
    for number in range(6):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"n": [number * 1000, None], "t": ["x" * number, None]}), sink)
        data = memoryview(sink.getvalue())
        footer = bytes(data[footer_begin(data) : -8])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(footer_room, "_ENOUGH_UNLIKE", 1)
            if number > 1:
                patch.setattr(thrift, "value", only_numbers)
            read = reader.read(footer)
        assert [chunk.least for chunk in read.groups[0].chunks] == [
            (number * 1000).to_bytes(8, "little"),
            b"x" * number,
        ]


def only_numbers(data: bytes, begin: int, shape: Any) -> tuple[Any, int]:
    """Stands for `thrift.value` where lists must not be read field by field."""
    assert not isinstance(shape, list)
    return _VALUE(data, begin, shape)


# ---- a few symbols of many -------------------------------------------------------------------------------


NAMES = ["A", "AB", "B", "C", "Ä"]


@settings(max_examples=60, deadline=None)
@example(files=[[None] * 3, ["A"], ["B"]], wanted=["A"], statistics=True)
@given(
    files=st.lists(st.lists(st.sampled_from([*NAMES, None]), min_size=1, max_size=8), min_size=1, max_size=5),
    wanted=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True),
    statistics=st.booleans(),
)
def test_symbols_that_are_asked_for_are_found_where_a_scan_of_everything_finds_them(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[str | None]], wanted: list[str], statistics: bool
) -> None:
    folder = tmp_path_factory.mktemp("files") / "in"
    parts = [rows(symbols, list(range(len(symbols)))) for symbols in files]
    write(folder, parts, row_group_size=3, write_statistics=statistics)
    asked = config(folder, on_bad_rows="drop", symbols=wanted)
    footers = read_footers(asked, None)
    everything, found = scan(footers, asked, map, lambda _: None), scan_selected(footers, asked, map, lambda _: None)
    assert places_of(found, wanted) == places_of(everything, wanted)
    there = {symbol for file in files for symbol in file}
    if set(wanted) <= there and statistics:
        groups = [file[at : at + 3] for file in files for at in range(0, len(file), 3)]
        may = [group for group in groups if any(least(group) <= name <= most(group) for name in wanted)]
        assert found.rows == sum(len(group) for group in may)
    else:
        assert found.rows == footers.rows


def least(group: list[str | None]) -> str:
    return min((symbol for symbol in group if symbol is not None), default="")


def most(group: list[str | None]) -> str:
    return max((symbol for symbol in group if symbol is not None), default="\U0010ffff")  # then nothing is known


def places_of(found: Scan, wanted: list[str]) -> list[tuple[str, int, set[tuple[int, int, int]]]]:
    """How many rows each symbol has, and in which rows of which pieces they are."""
    assert found.presence is not None  # a row group of three rows is never scattered
    places = (found.presence.codes, found.presence.pieces, found.presence.first, found.presence.stop)
    entries = list(zip(*(column.tolist() for column in places), strict=True))
    return [
        (symbol, int(found.rows_per_symbol[number]), {entry[1:] for entry in entries if entry[0] == number})
        for number, symbol in enumerate(found.symbols.to_pylist())
        if symbol in wanted
    ]


def test_only_the_folder_of_a_symbol_is_opened(tmp_path: Path) -> None:
    for symbol in ("A", "B", "C"):
        folder = tmp_path / "in" / f"symbol={symbol}"
        folder.mkdir(parents=True)
        pq.write_table(rows([None] * 3, [18_000, 18_001, 18_002]).drop_columns(["symbol"]), folder / "0.parquet")
    asked = config(tmp_path / "in", symbols=["B"])
    found = scan_selected(read_footers(asked, None), asked, map, lambda _: None)
    assert (found.rows, found.symbols.to_pylist(), found.size) == (3, ["B"], "3 of 9 rows, 1 symbols")


@pytest.mark.parametrize("given", [{"rows": "weekly"}, {"label": ["forward_return_4w"]}], ids=str)
def test_all_keys_are_read_where_their_last_date_matters(tmp_path: Path, given: dict[str, Any]) -> None:
    folder = write(tmp_path / "in", [rows(["A"], [18_000]), rows(["B"], [18_100])])
    asked = config(folder, symbols=["A"], **given)
    found = scan_selected(read_footers(asked, None), asked, map, lambda _: None)
    assert (found.rows, found.last_day) == (2, 18_100)


def test_a_benchmark_is_looked_for_and_a_symbol_that_is_not_there_is_told_among_all(tmp_path: Path) -> None:
    folder = write(tmp_path / "in", [rows([name], [18_000]) for name in ("AAPL", "MSFT", "SPY")])
    asked = config(folder, symbols=["MSFT"], benchmark=["SPY"])
    found = scan_selected(read_footers(asked, None), asked, map, lambda _: None)
    assert found.symbols.to_pylist() == ["MSFT", "SPY"]
    asked = config(folder, symbols=["MSTF"])
    found = scan_selected(read_footers(asked, None), asked, map, lambda _: None)
    with pytest.raises(InputRefused, match="did you mean MSFT"):
        select_symbols(found, asked)


def test_a_large_table_is_given_before_the_next_one_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_JOINED_ROWS", 3)
    folder = write(tmp_path / "in", [rows(["A"] * n, list(range(n))) for n in (3, 4, 1, 1, 2)])
    opened: list[str] = []
    monkeypatch.setattr(source, "_open", lambda piece, schema: opened.append(piece.path) or _OPEN(piece, schema))
    footers = footers_of(folder)
    seen = [
        (len(parts), table.num_rows, len(opened))
        for parts, table in source.joined_tables(footers.pieces, footers.schema)
    ]
    assert seen == [(1, 3, 1), (1, 4, 2), (2, 2, 5), (1, 2, 5)]


_OPEN = source._open
