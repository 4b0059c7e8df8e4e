"""Findings among the rows: made data with each and without it, by every route, and clean data of many kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from frames import ROOT, ROUTES, build_by, business_days, report_here, report_of, run_cli, shuffled, write
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import Generator

from weekly_cli.errors import InputRefused
from weekly_cli.findings import Finding
from weekly_cli.run.report import Report
from weekly_cli.run.task import Outcome, Task, run_task

pytestmark = pytest.mark.slow

DAYS = 1_400
PRICES = ("open", "high", "low", "close")
#: A symbol's columns, float64[days] each, and its dates.
Columns = dict[str, Any]
FEW = {"features": "w_close"}


def walk(rng: Generator, n_days: int = DAYS, move: float = 0.01) -> Columns:
    """A history without anything to find."""
    return around(rng, 100 * np.exp(np.cumsum(rng.normal(0, move, n_days))), move)


def around(rng: Generator, close: Any, move: float, opened: Any = None) -> Columns:
    """Prices around a close, on business days."""
    n_days = len(close)
    opened = close * np.exp(rng.normal(0, move / 2, n_days)) if opened is None else opened
    reach = np.exp(np.abs(rng.normal(0, move / 2, (2, n_days))))
    high, low = np.maximum(opened, close) * reach[0], np.minimum(opened, close) / reach[1]
    volume = np.rint(1e5 * np.exp(rng.normal(0, 0.4, n_days)))
    return {
        "open": opened,
        "high": high,
        "low": low,
        "close": close,
        "volume": volume,
        "date": business_days(n_days, "2012-01-02"),
    }


def table_of(histories: Mapping[str, Columns]) -> pa.Table:
    """The rows of symbols, clustered."""
    return pa.concat_tables(
        pa.table({"symbol": pa.array([symbol] * len(columns["date"])), **{k: pa.array(v) for k, v in columns.items()}})
        for symbol, columns in histories.items()
    ).cast(
        pa.schema(
            [("symbol", pa.string()), *((name, pa.float64()) for name in (*PRICES, "volume")), ("date", pa.date32())]
        )
    )


def found_in(report: Report) -> dict[str, Finding]:
    return {one.code: one for one in report.findings}


def findings(histories: Mapping[str, Columns], folder: Path, **given: Any) -> dict[str, Finding]:
    source = write(table_of(histories), folder / "prices.parquet")
    return found_in(report_of(source, folder / "out", **FEW, **given))


# ---- what is done to a history: each returns how many are to be found ----------------------------------------


def split(rng: Generator, columns: Columns) -> int:
    ratio = float(rng.choice([2, 3, 4, 5, 7.5, 10, 20])) ** rng.choice([1, -1])
    at = int(rng.integers(20, DAYS - 20))
    for role in PRICES:
        columns[role][at:] /= ratio
    if rng.random() < 0.5:
        columns["volume"][at:] *= ratio
    return 1


def unit(rng: Generator, columns: Columns) -> int:
    """Single rows, or a stretch, which may be at the beginning or the end."""
    off = np.zeros(DAYS, bool)
    if rng.random() < 0.5:
        off[rng.choice(DAYS, int(rng.integers(1, 9)), replace=False)] = True
    else:
        length = int(rng.integers(2, DAYS // 3))
        at = int(rng.choice([0, DAYS - length, rng.integers(0, DAYS - length)]))
        off[at : at + length] = True
    factor = float(rng.choice([100, 0.01]))
    for role in PRICES:
        columns[role][off] *= factor
    return int(off.sum())


def unit_of_one_price(rng: Generator, columns: Columns) -> int:
    rows = rng.choice(DAYS, int(rng.integers(1, 9)), replace=False)
    for row in rows.tolist():
        columns[str(rng.choice(PRICES))][row] *= float(rng.choice([100, 0.01]))
    return len(rows)


def padding(rng: Generator, columns: Columns) -> int:
    """Days that repeat all prices of the day before, or its close alone, as flat days or with nothing else."""
    rows = np.sort(rng.choice(np.arange(1, DAYS), int(rng.integers(3, 300)), replace=False))
    how = rng.integers(3)
    for row in rows.tolist():
        for role in PRICES:
            columns[role][row] = columns[role if how == 0 else "close"][row - 1]
            if how == 2 and role != "close":
                columns[role][row] = 0.0
    columns["volume"][rows] = rng.choice([0.0, np.nan])
    return len(rows)


def stale(rng: Generator, columns: Columns) -> int:
    length = int(rng.integers(16, 200))
    at = int(rng.integers(0, DAYS - length))
    for role in PRICES:
        columns[role][at : at + length] = columns["close"][at]
    days = columns["date"]
    return int((days[at + length - 1] - days[at]).astype(int)) // 7


def still_closes(rng: Generator, columns: Columns) -> int:
    """Closes that stand still while the prices of the day move."""
    length = int(rng.integers(30, 200))
    at = int(rng.integers(0, DAYS - length))
    columns["close"][at : at + length] = columns["close"][at]
    days = columns["date"]
    return int((days[at + length - 1] - days[at]).astype(int)) // 7


def negative(rng: Generator, columns: Columns) -> int:
    rows = rng.choice(DAYS, int(rng.integers(1, DAYS)), replace=False)
    for role in rng.choice(PRICES, int(rng.integers(1, 5)), replace=False).tolist():
        columns[role][rows] *= -1
    return len(rows)


def hole(rng: Generator, columns: Columns) -> int:
    length = int(rng.integers(530, 900))
    at = int(rng.integers(5, DAYS - length - 5))
    for name in columns:
        columns[name] = np.delete(columns[name], slice(at, at + length))
    return 1


def weekly(rng: Generator, columns: Columns) -> int:
    first = int(rng.integers(0, 5))
    for name in columns:
        columns[name] = columns[name][first::5]
    return 1


KINDS: Mapping[str, tuple[str, Callable[[Generator, Columns], int]]] = {
    "split": ("suspected-split", split),
    "unit": ("suspected-unit", unit),
    "price": ("suspected-unit", unit_of_one_price),
    "padding": ("padding", padding),
    "stale": ("stale-prices", stale),
    "still closes": ("stale-prices", still_closes),
    "negative": ("negative-prices", negative),
    "hole": ("reused-symbol", hole),
    "weekly": ("weekly-input", weekly),
}


def spoiled(seed: int, kinds: list[str]) -> tuple[dict[str, Columns], dict[str, int], dict[str, set[str]]]:
    """Histories, of which each second one has one thing to find; how many are expected, and in which symbols."""
    rng = np.random.default_rng(seed)
    histories, expected, where = {}, {}, {}
    for number, kind in enumerate(kinds):
        histories[f"{number}A"], columns = walk(rng), walk(rng)
        code, spoil = KINDS[kind]
        expected[code] = expected.get(code, 0) + spoil(rng, columns)
        where.setdefault(code, set()).add(f"{number}B")
        histories[f"{number}B"] = columns
    return histories, expected, where


@pytest.mark.parametrize(("share", "is_stale"), [(1.0, True), (0.6, True), (0.3, False), (0.02, False)])
@pytest.mark.parametrize("place", ["begin", "inside", "end"])
def test_a_price_at_its_floor_where_volume_dries_up_is_not_stale(
    tmp_path: Path, place: str, share: float, is_stale: bool
) -> None:
    columns = walk(np.random.default_rng(7))
    at = {"begin": 0, "inside": DAYS // 2, "end": DAYS - 60}[place]
    for role in PRICES:
        columns[role][at : at + 60] = columns["close"][at]
    columns["volume"][:] = 1000.0
    columns["volume"][at : at + 60] *= share
    assert ("stale-prices" in findings({"A": columns}, tmp_path)) is is_stale


# The same examples each time: one split in a thousand falls on a day whose own move hides it.
@settings(max_examples=25, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32), kinds=st.lists(st.sampled_from(sorted(KINDS)), min_size=1, max_size=6))
def test_what_is_there_is_found_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, seed: int, kinds: list[str]
) -> None:
    """At any place and of any size; examples are of the symbols that have it, and tell the date."""
    histories, expected, where = spoiled(seed, kinds)
    found = findings(histories, tmp_path_factory.mktemp("found"))
    assert {code: one.count for code, one in found.items()} == expected
    for code, one in found.items():
        assert one.examples
        assert {example["symbol"] for example in one.examples} <= where[code]
        assert all("date" in example for example in one.examples)


ALL_KINDS = sorted(KINDS) * 2


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_and_every_order_of_rows_finds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    table = table_of(spoiled(3, ALL_KINDS)[0])
    expected = report_here(write(table, tmp_path / "whole.parquet"), tmp_path / "whole", **FEW).findings
    assert len(expected) == len({code for code, _ in KINDS.values()})
    ordered = table if ROUTES[route] == "symbol" else table.sort_by("date")
    source = write(ordered, tmp_path / "in.parquet", row_group_size=1_000)
    report = build_by(route, source, tmp_path / "out", monkeypatch, **FEW)
    assert report.tasks > 1 or route == "direct"
    assert report.findings == expected
    if route == "partitioned":
        mixed = write(shuffled(table), tmp_path / "mixed.parquet")
        assert build_by(route, mixed, tmp_path / "mixed", monkeypatch, **FEW).findings == expected


def test_a_resumed_run_tells_what_the_first_one_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        """What stands for the end of the process."""

    done: list[int] = []

    def until(task: Task) -> Outcome:
        if len(done) == 2:
            raise Killed
        done.append(task.number)
        return run_task(task)

    source = write(table_of(spoiled(4, ALL_KINDS)[0]), tmp_path / "in.parquet", row_group_size=1_000)
    expected = build_by("clustered", source, tmp_path / "whole", monkeypatch, **FEW).findings
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("weekly_cli.run.fan_out.run_task", until)
        build_by("clustered", source, tmp_path / "out", patched, **FEW)
    again: list[int] = []

    def counted(task: Task) -> Outcome:
        again.append(task.number)
        return run_task(task)

    monkeypatch.setattr("weekly_cli.run.fan_out.run_task", counted)
    assert build_by("clustered", source, tmp_path / "out", monkeypatch, **FEW).findings == expected
    assert not set(done) & set(again)


# ---- clean data ----------------------------------------------------------------------------------------------


def heavy_tails(rng: Generator) -> Columns:
    return around(rng, 100 * np.exp(np.cumsum(0.012 * rng.standard_t(3, DAYS))), 0.01)


def crash(rng: Generator, remains: float, how: str) -> Columns:
    """A day's fall: through its range, or overnight with ten times the volume."""
    at = int(rng.integers(20, DAYS - 20))
    moves = rng.normal(0, 0.02, DAYS)
    moves[at] += np.log(remains)
    close = 100 * np.exp(np.cumsum(moves))
    columns = around(rng, close, 0.02, np.append(close[:1], close[:-1]) if how == "within a day" else None)
    columns["volume"][at] *= 10
    return columns


def penny(rng: Generator) -> Columns:
    columns = around(rng, rng.uniform(0.02, 1) * np.exp(np.cumsum(rng.normal(0, 0.03, DAYS))), 0.03)
    return columns | {role: np.maximum(0.01, np.round(columns[role], 2)) for role in PRICES}


def cents(rng: Generator) -> Columns:
    columns = walk(rng, move=0.005)
    return columns | {role: np.round(columns[role], 2) for role in PRICES}


def without_volume(rng: Generator) -> Columns:
    columns = cents(rng)
    columns["volume"][rng.random(DAYS) < 0.1] = 0
    return columns


CLEAN: Mapping[str, Callable[[Generator], Columns]] = {
    "a walk": walk,
    "lively": lambda rng: walk(rng, move=0.05),
    "heavy tails": heavy_tails,
    "penny": penny,
    "cents": cents,
    "days without volume": without_volume,
    "37 % within a day": lambda rng: crash(rng, 0.63, "within a day"),
    "37 % overnight": lambda rng: crash(rng, 0.63, "overnight"),
    "50 % within a day": lambda rng: crash(rng, 0.5, "within a day"),
    "50 % overnight": lambda rng: crash(rng, 0.5, "overnight"),
}


@pytest.mark.parametrize("closes_only", [False, True], ids=["all prices", "closes"])
def test_clean_walks_have_nothing_to_find(tmp_path: Path, closes_only: bool) -> None:
    """Sixty; where there are closes alone, a fall by half within a day is as one overnight: it needs the volume."""
    rng = np.random.default_rng(7)
    histories = {f"{kind} {number}": make(rng) for kind, make in CLEAN.items() for number in range(6)}
    table = table_of(histories)
    ignored = ["missing-role"]
    if closes_only:
        table = table.drop_columns(["open", "high", "low"])
    report = report_of(write(table, tmp_path / "prices.parquet"), tmp_path / "out", ignore=ignored, **FEW)
    assert report.findings == ()


def test_the_sample_has_nothing_to_find(tmp_path: Path) -> None:
    assert report_of(ROOT / "sample_data", tmp_path / "out", **FEW).findings == ()


@pytest.mark.parametrize("factor", [1.5, 2, 5])
def test_a_bad_price_that_is_taken_back_is_no_split(tmp_path: Path, factor: float) -> None:
    rng = np.random.default_rng(8)
    histories = {}
    for number, length in enumerate((1, 3, 8)):
        columns = walk(rng)
        for role in PRICES:
            columns[role][300 : 300 + length] *= factor
        histories[f"{number}"] = columns
    assert not findings(histories, tmp_path)


# ---- an adjusted close ---------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    ratio=st.sampled_from([2.0, 3.0, 10.0, 0.25]),
    raw_volume=st.booleans(),
    used=st.booleans(),
)
def test_an_adjusted_close_and_its_volume(
    tmp_path_factory: pytest.TempPathFactory, seed: int, ratio: float, raw_volume: bool, used: bool
) -> None:
    """Used, it hides the split, and a raw volume is found; unused, it is what helps."""
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("adjusted")
    histories = {"AAA": walk(rng), "BBB": walk(rng)}
    adjusted = np.concatenate([columns["close"] for columns in histories.values()])
    at = int(rng.integers(100, DAYS - 100))
    for role in PRICES:
        histories["AAA"][role][:at] = histories["AAA"][role][:at] * ratio
    if raw_volume:
        histories["AAA"]["volume"][:at] /= ratio
    table = table_of(histories).append_column("adj_close", pa.array(adjusted))
    source = write(table, folder / "prices.parquet")
    found = found_in(report_of(source, folder / "out", price="adj_close" if used else None, **FEW))
    if used:
        assert found.keys() == ({"adjusted-price-raw-volume"} if raw_volume else set())
        assert all("--adjust-volume" in one.help for one in found.values())
    else:
        assert found.keys() == {"suspected-split", "adjusted-close-available"}
        assert found["adjusted-close-available"].count == at
        assert all("--price adj_close" in one.help for one in found.values())


def test_an_adjusted_close_that_is_the_close_is_none(tmp_path: Path) -> None:
    table = table_of({"AAA": walk(np.random.default_rng(9))})
    source = write(table.append_column("adj_close", table["close"]), tmp_path / "prices.parquet")
    assert report_of(source, tmp_path / "out", **FEW).findings == ()


# ---- what is done with them ----------------------------------------------------------------------------------


def test_what_is_not_wanted_ends_a_run_before_anything_is_published(tmp_path: Path) -> None:
    source = write(table_of(spoiled(5, ["padding", "split"])[0]), tmp_path / "prices.parquet")
    with pytest.raises(InputRefused, match=r"padding.*1B.*|suspected-split.*1B.*--ignore suspected-split"):
        report_of(source, tmp_path / "out", fail_on=["suspected-split"], **FEW)
    assert not (tmp_path / "out").exists()
    known = found_in(report_of(source, tmp_path / "out", fail_on="all", ignore=["suspected-split", "padding"], **FEW))
    assert known == {}


def test_the_command_ends_with_3_and_says_the_first_one(tmp_path: Path) -> None:
    source = write(table_of(spoiled(6, ["split"])[0]), tmp_path / "prices.parquet")
    run = run_cli("build", source, "--output", tmp_path / "out", "--fail-on", "suspected-split", cwd=tmp_path)
    assert run.returncode == 3
    assert "suspected-split: 1 jumps" in " ".join(run.stderr.split())
    assert "0B 2" in " ".join(run.stderr.split())
