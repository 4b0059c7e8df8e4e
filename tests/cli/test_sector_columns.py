"""A sector map of columns of the input: the build that a file of that content makes, and what refuses a history."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from frames import ROUTES, build, build_by, daily, read, run_cli, write

import weekly_cli
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.inspection import inspect
from weekly_cli.questions.explain import explain
from weekly_cli.questions.latest import latest
from weekly_cli.run.sectors import numbered
from weekly_cli.run.standing import outdated
from weekly_cli.settings import from_python, resolve
from weekly_cli.settings.lists import sector_columns
from weekly_cli.verify import verify

SYMBOLS = ["AAA", "BBB", "CCC", "TEC", "OIL"]
#: CCC has no sector, and an index none either; AAA's is unknown in its first rows.
SECTORS = {"AAA": "TEC", "BBB": "OIL"}
SUBSECTORS = {"AAA": "OIL", "CCC": "TEC"}
AT = "@industry,@subsector"
LATE = datetime.date(2022, 3, 1)


def with_sectors(table: pa.Table) -> pa.Table:
    """Add the columns: one is text of few values, the other a dictionary; one begins with nulls."""
    symbols = table.column("symbol").to_pylist()
    dates = table.column("date").to_pylist()
    late = [None if day < LATE and one == "AAA" else SECTORS.get(one) for one, day in zip(symbols, dates, strict=True)]
    subsector = pa.array([SUBSECTORS.get(one) for one in symbols]).dictionary_encode()
    return table.append_column("industry", pa.array(late, pa.string())).append_column("subsector", subsector)


def a_map(folder: Path) -> Path:
    rows = [f"{one},{SECTORS.get(one, '')},{SUBSECTORS.get(one, '')}" for one in ("AAA", "BBB", "CCC")]
    path = folder / "map.csv"
    path.write_text("\n".join(["symbol,sector,subsector", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an input and the output of a build by its columns, which ends on a Friday."""
    folder = tmp_path_factory.mktemp("sectors")
    write(with_sectors(daily(SYMBOLS, 300)), folder / "prices.parquet")
    build(folder / "prices.parquet", folder / "out", sector_map=AT)
    return folder


# ---- the setting -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("@sector", {"sector": "sector"}),
        ("@GICS, level 1", {"sector": "GICS, level 1"}),
        ("@subsector,@sector_equal_weight,@x", dict.fromkeys(["sector"], "x") | {
            "sector_equal_weight": "sector_equal_weight", "subsector": "subsector",
        }),
        ("./@sector", {}),
        ("sectors.csv", {}),
    ],
)  # fmt: skip
def test_an_at_names_columns_and_a_path_never_does(text: str, columns: dict[str, str]) -> None:
    assert list(sector_columns(text).items()) == list(columns.items())


@pytest.mark.parametrize(
    ("text", "told"),
    [("@", "such as @sector"), ("@a,@", "such as @sector"), ("@a,@b", "a and b"), ("@sector,@gics", "leave one")],
)
def test_columns_that_can_not_be_a_map_are_a_wrong_use(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"sector_map .*{told}"):
        resolve(from_python({"input": "x", "sector_map": text}))


def test_values_are_numbered_as_text_whatever_their_type() -> None:
    numbers: dict[str, int] = {}
    assert numbered(pa.chunked_array([["b", None, "a"], ["a"]]), numbers).tolist() == [0, -1, 1, 1]
    codes = pa.DictionaryArray.from_arrays(pa.array([2, None, 1], pa.int8()), pa.array(["not used", None, "a"]))
    assert numbered(pa.chunked_array([codes]), numbers).tolist() == [1, -1, -1]
    assert numbers == {"b": 0, "a": 1}
    assert numbered(pa.chunked_array([pa.array([7, None, 3])]), {}).tolist() == [0, -1, 1]


# ---- values ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("route", ROUTES)
def test_the_same_table_as_with_a_file_on_every_route(
    route: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = with_sectors(daily(SYMBOLS, 300, order=ROUTES[route]))
    source = write(table, tmp_path / "prices.parquet", row_group_size=400)
    for name, value in (("file", str(a_map(tmp_path))), ("columns", AT)):
        build_by(route, source, tmp_path / name, monkeypatch, sector_map=value, features="all")
    by_file, by_columns = read(tmp_path / "file"), read(tmp_path / "columns")
    assert by_columns.equals(by_file)
    known = pc.filter(by_columns.column("symbol"), pc.is_valid(by_columns.column("w_rs_sector"))).unique()
    assert known.to_pylist() == ["AAA", "BBB"]
    assert by_columns.column("w_rs_subsector").null_count < len(by_columns)


def test_symbols_that_are_numbers_in_folders_of_sectors(tmp_path: Path) -> None:
    """The values of hive folders are a column, too."""
    for folder, symbols in (("sector=3", [1, 2]), ("sector=__HIVE_DEFAULT_PARTITION__", [3])):
        write(daily(symbols, 150, seed=len(symbols)), tmp_path / "prices" / folder / "p.parquet")
    (tmp_path / "map.csv").write_text("symbol,sector\n1,3\n2,3\n", encoding="utf-8")
    found = build(tmp_path / "prices", tmp_path / "columns", sector_map="@sector")
    assert found.equals(build(tmp_path / "prices", tmp_path / "file", sector_map=str(tmp_path / "map.csv")))
    assert pc.sum(pc.is_valid(found.column("w_rs_sector"))).as_py() > 0


def test_weekly_rows_and_a_column_that_is_not_written(built: Path, tmp_path: Path) -> None:
    prices, sectors = built / "prices.parquet", str(a_map(tmp_path))
    for name, settings in {"weekly": {"rows": "weekly"}, "some": {"columns_out": ["close"]}}.items():
        found = build(prices, tmp_path / name, sector_map=AT, **settings)
        assert found.equals(build(prices, tmp_path / f"{name} file", sector_map=sectors, **settings))
        assert "industry" not in found.column_names


@pytest.mark.parametrize("kind", ["arrow", "pandas", "polars"])
def test_a_frame_has_the_same_columns(built: Path, kind: str) -> None:
    import polars as pl

    table, written = with_sectors(daily(SYMBOLS, 300)), read(built / "out")
    as_kind: dict[str, Any] = {"arrow": lambda: table, "pandas": table.to_pandas, "polars": lambda: pl.DataFrame(table)}
    found = weekly_cli.add_weekly_features(as_kind[kind](), sector_map=AT)
    found = found if kind == "arrow" else found.to_arrow() if kind == "polars" else pa.Table.from_pandas(found)
    order = [("symbol", "ascending"), ("date", "ascending")]
    names = ["w_rs_sector", "w_rs_subsector", "w_beta_sector_52"]
    assert found.select(["symbol", "date", *names]).sort_by(order).select(names).equals(written.select(names))


# ---- what is refused -------------------------------------------------------------------------------------


def changing(table: pa.Table, order: str) -> pa.Table:
    """BBB is in another sector from a day on."""
    moved = pc.and_(pc.equal(table.column("symbol"), "BBB"), pc.greater(table.column("date"), LATE))
    place = table.column_names.index("industry")
    table = table.set_column(place, "industry", pc.if_else(moved, "TEC", table.column("industry")))
    return table.sort_by([("date", order)])


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_a_symbol_that_changes_its_sector_is_refused_by_date(tmp_path: Path, order: str) -> None:
    """Whatever the order of rows: the earlier value, and since when there is the other one."""
    table = changing(with_sectors(daily(SYMBOLS, 90)), order)
    source = write(table, tmp_path / "prices.parquet", row_group_size=50)
    told = f"@industry: BBB has 'OIL' in {source}, and 'TEC' from 2022-03-02 on"
    if order == "ascending":
        result = run_cli("build", source, "--output", tmp_path / "out", "--sector-map", "@industry")
        assert (result.returncode, f"--sector-map {told}" in result.stderr) == (3, True)
    else:
        with pytest.raises(InputRefused, match=re.escape(f"sector_map {told}")):
            build(source, tmp_path / "out", sector_map="@industry")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputRefused, match=r"BBB has 'OIL' in the frame, and 'TEC' from 2022-03-02 on"):
        weekly_cli.add_weekly_features(table, sector_map="@industry")
    others = build(source, tmp_path / "out", sector_map="@industry", symbols=["AAA", "CCC"])
    assert others.column("w_rs_sector").null_count < len(others)


REFUSED = {
    "@sectr": r"has no column 'sectr' for --sector-map @sectr; it has symbol, .*did you mean sector\?",
    "@s[a]": r"has no column 's\[a\]' for --sector-map @s\[a\]; it has symbol, [a-z, ]*, sector$",
    "@symbol": "column 'symbol' .*is the symbol itself",
    "@close": "column 'close' .*is double, but --sector-map @close takes the symbol of an index",
    "@sector": "--sector-map @sector: XXX: .*has no such symbol",
}


@pytest.mark.parametrize("value", REFUSED)
def test_columns_without_symbols_of_indices(value: str, tmp_path: Path) -> None:
    table = daily(SYMBOLS, 30)
    table = table.append_column("sector", pa.array(["XXX"] * len(table)))
    settings = resolve({
        name: one._replace(name="--sector-map") if name == "sector_map" else one
        for name, one in from_python(
            {"input": str(write(table, tmp_path / "p.parquet")), "output": str(tmp_path / "o"), "sector_map": value}
        ).items()
    })  # fmt: skip
    from weekly_cli.run import pipeline

    with pytest.raises(InputRefused, match=REFUSED[value]):
        pipeline.run(settings)


def test_a_file_whose_name_begins_with_an_at_is_a_path(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice is followed to the letter."""
    a_map(tmp_path).rename(tmp_path / "@map.csv")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputRefused, match=r"the file of this name is \./@map\.csv$"):
        build(built / "prices.parquet", tmp_path / "out", sector_map="@map.csv")
    assert build(built / "prices.parquet", tmp_path / "out", sector_map="./@map.csv").equals(read(built / "out"))


# ---- what is asked of the output -------------------------------------------------------------------------


@pytest.mark.slow
def test_verify_passes_and_sees_no_future_in_rows_without_a_value(built: Path) -> None:
    proof = verify(built / "out", symbols=5, dates=2)
    assert proof.passed, proof.to_dict()
    columns = next(one for one in proof.checks if one.name == "columns")
    assert "of this very input with these settings" in columns.did


def test_latest_is_the_one_of_a_file(built: Path, tmp_path: Path) -> None:
    sectors = a_map(tmp_path)
    build(built / "prices.parquet", tmp_path / "out", sector_map=str(sectors))
    expected = latest(str(tmp_path / "out"))
    assert expected.computed.any()
    assert latest(str(built / "out")).table.equals(expected.table)
    one = latest(str(built / "out"), symbols=["BBB"], features="w_rs_sector")
    assert one.table.column("w_rs_sector")[0].is_valid


def test_latest_tells_of_a_column_that_was_left_out(built: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    build(built / "prices.parquet", output, sector_map=AT, columns_out=["open", "high", "low", "close", "volume"])
    result = run_cli("latest", output)
    assert result.returncode == 3
    assert (
        "lacks the column 'industry' of its --sector-map @industry, which --columns-out has left out" in result.stderr
    )
    assert latest(str(output), sector_map=str(a_map(tmp_path))).table.equals(latest(str(built / "out")).table)
    assert latest(str(output), features="all,-relative").table.num_rows == len(SYMBOLS)
    build(built / "prices.parquet", tmp_path / "none", columns_out=["subsector"], features="momentum")
    with pytest.raises(InputRefused, match=r"none has no column close, .*build it with that in --columns-out"):
        latest(str(tmp_path / "none"))
    told = explain(output, "BBB", LATE, "w_rs_sector").to_dict()
    assert "lacks the column 'industry'" in json.dumps(told, default=str)


def test_explain_names_the_symbol_that_is_compared(built: Path) -> None:
    row = read(built / "out").column("date")[-1].as_py()
    told = explain(built / "out", "BBB", row, "w_rs_sector")
    assert "OIL" in json.dumps(told.to_dict(), default=str)


def test_the_build_that_inspect_tells_makes_the_same_output(built: Path) -> None:
    found = inspect(built / "out")
    assert found.build is not None
    assert f"--sector-map {AT}" in found.build.command
    assert found.build.input_state == "unchanged"


def test_another_column_is_another_output(built: Path) -> None:
    def settings(sector_map: str) -> Any:
        given = {"input": str(built / "prices.parquet"), "output": str(built / "out"), "sector_map": sector_map}
        return resolve(from_python(given))

    assert outdated(settings(AT)) is None
    assert outdated(settings("@subsector")) is not None
