"""The benchmarks' datasets and the honesty of their figures; what they measure is run by `make bench` alone."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SYMBOLS, YEARS = 30, 2
COLUMNS = ["symbol", "date", "open", "close", "volume", "total_return", "exchange"]


@pytest.fixture(scope="module")
def modules() -> dict[str, ModuleType]:
    """The benchmarks' modules by name; they are scripts beside each other, not a package."""
    sys.path.append(str(BENCHMARKS))
    try:
        import figure
        import large
        import layouts
        import quick
        import readme
        import run
    finally:
        sys.path.remove(str(BENCHMARKS))
    return {module.__name__: module for module in (figure, large, layouts, quick, readme, run)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def rows(path: Path) -> pa.Table:
    """The rows of a dataset by symbol and date, whatever its types of text and dates."""
    hive = ds.HivePartitioning(pa.schema([("symbol", pa.string())]))
    inferred = ds.HivePartitioning.discover()
    by_symbol = any(child.name.startswith("symbol=") for child in path.iterdir())
    table = ds.dataset(path, partitioning=hive if by_symbol else inferred).to_table(columns=COLUMNS)
    types = {"symbol": pa.string(), "exchange": pa.string(), "date": pa.date32()}
    schema = pa.schema([(name, types.get(name, table.schema.field(name).type)) for name in COLUMNS])
    return table.cast(schema).sort_by([("symbol", "ascending"), ("date", "ascending")])


def test_every_layout_has_the_same_rows(modules: dict[str, ModuleType], folder: Path) -> None:
    layouts = modules["layouts"]
    expected = rows(layouts.dataset(folder, SYMBOLS, YEARS, "clustered"))
    assert "BRK/B" in expected.column("symbol").unique().to_pylist()
    paths = {name: layouts.dataset(folder, SYMBOLS, YEARS, name) for name in layouts.LAYOUTS}
    assert len(set(paths.values())) == len(layouts.LAYOUTS)
    assert [name for name, path in paths.items() if not rows(path).equals(expected)] == []


def test_a_layout_is_what_its_title_says(modules: dict[str, ModuleType], folder: Path) -> None:
    layouts = modules["layouts"]

    def files(name: str) -> int:
        return len(list(layouts.dataset(folder, SYMBOLS, YEARS, name).rglob("*.parquet")))

    def ascends(name: str, column: str) -> bool:
        values = ds.dataset(layouts.dataset(folder, SYMBOLS, YEARS, name)).to_table(columns=[column]).column(0)
        return bool(pc.all(pc.less_equal(values.slice(0, len(values) - 1), values.slice(1))).as_py())

    assert [files(name) for name in ("symbol-files", "hive-symbol", "hive-year", "year")] == [30, 30, 2, 2]
    assert [files(f"clustered-{writer}") for writer in ("polars", "pandas", "duckdb")] == [1, 1, 1]
    assert (ascends("date-order", "date"), ascends("date-order", "symbol")) == (True, False)
    assert (ascends("clustered-duckdb", "symbol"), ascends("clustered-duckdb", "date")) == (True, False)
    assert (ascends("shuffled", "date"), ascends("shuffled", "symbol")) == (False, False)


def test_a_layout_has_the_same_bytes_each_time(modules: dict[str, ModuleType], folder: Path, tmp_path: Path) -> None:
    layouts = modules["layouts"]
    for name in ("clustered-polars", "clustered-duckdb", "hive-year", "shuffled"):
        first, second = (layouts.dataset(place, SYMBOLS, YEARS, name) for place in (folder, tmp_path))
        for file in first.rglob("*.parquet"):
            assert file.read_bytes() == (second / file.relative_to(first)).read_bytes(), file


def test_rounds_that_disagree_are_noted_wherever_a_figure_is_shown(modules: dict[str, ModuleType]) -> None:
    figure = modules["figure"].Figure("time, Polars / ours: x", "s", 2.0, 6.0, 3.0, rounds=[2.4, 3.0, 3.2], note="lazy")
    assert figure.notes == "lazy; rounds differ by 33 %"
    kept = {"group": "time", **figure.to_dict()}
    assert "lazy; rounds differ by 33 %" in modules["readme"].table([kept])
    assert modules["quick"].verdict(figure, 3.0)[1].count("rounds differ by 33 %") == 1


def test_the_worst_layout_comes_first(modules: dict[str, ModuleType]) -> None:
    figure, readme = modules["figure"], modules["readme"]
    less = figure.Target(0.25, 0.2, more_is_better=False)
    times = [figure.Figure(name, "s", 1.0, value, value) for name, value in (("a", 4.0), ("b", 1.5), ("c", 3.0))]
    memory = [figure.Figure(name, "MiB", 1.0, 2.0, value, less) for name, value in (("d", 0.1), ("e", 0.4))]
    kept = [{"group": "time", **one.to_dict()} for one in times] + [
        {"group": "memory", **one.to_dict()} for one in memory
    ]
    lines = readme.table(kept).splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == ["b", "c", "a", "e", "d"]
    assert "missed" in lines[3] and "missed" not in lines[4]


@pytest.mark.parametrize(("value", "kept"), [(2.56, True), (2.54, False), (4.0, True)])
def test_a_ratio_may_lose_fifteen_percent(modules: dict[str, ModuleType], value: float, kept: bool) -> None:
    figure = modules["figure"].Figure("x", "s", 1.0, value, value)
    good, words = modules["quick"].verdict(figure, 3.0)
    assert (good, words.endswith("LOST")) == (kept, not kept)


def test_a_row_costs_what_a_run_takes_beyond_its_start(modules: dict[str, ModuleType]) -> None:
    large = modules["large"]
    costs = [large.Cost(10**6, 0.8, 0, 0.5), large.Cost(10**7, 3.5, 0, 0.5)]
    assert large.cost_ratio(costs) == pytest.approx(1.0)


def test_the_quick_record_is_of_the_sizes_that_are_measured(modules: dict[str, ModuleType]) -> None:
    quick = modules["quick"]
    record = json.loads(quick.QUICK.read_text())
    assert (record["symbols"], record["years"]) == (quick.SYMBOLS, quick.YEARS)
    assert tuple(record["ratios"]) == quick.LAYOUTS


def test_every_recorded_figure_can_be_measured_again(modules: dict[str, ModuleType]) -> None:
    groups = {figure["group"] for figure in json.loads(modules["readme"].RECORD.read_text())["figures"]}
    assert groups <= set(modules["run"].FIGURES)
    assert set(modules["readme"].OF_LAYOUTS) <= set(modules["run"].FIGURES)
