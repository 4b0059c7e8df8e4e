"""What to do: plans of hand-made scans, literally; what holds for all plans; and that planning reads only keys."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import daily, write, write_files
from hypothesis import given, settings
from hypothesis import strategies as st

import weekly_cli
from weekly_cli.dataset.as_of_table import JoinedTable
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.scan import Presence, Scan
from weekly_cli.dataset.schema import DatasetSchema, Derived
from weekly_cli.dataset.source import Piece
from weekly_cli.errors import BudgetError, InputRefused
from weekly_cli.run import pipeline
from weekly_cli.run.cuts import TaskPlan
from weekly_cli.run.plan import DIRECT_ROWS, Plan, check_disk, make_plan
from weekly_cli.run.resources import Resources, requested_workers
from weekly_cli.run.sizes import PARENT_BYTES, WORKER_BYTES, tables_bytes
from weekly_cli.run.wanted import wanted_by
from weekly_cli.settings import Config, from_python, resolve
from weekly_cli.settings.table import STRATEGIES

MIB, GIB = 2**20, 2**30
SCHEMA = DatasetSchema(
    pa.schema([("symbol", pa.string()), ("date", pa.date32()), ("close", pa.float64())]),
    {"symbol": "symbol", "date": "date", "close": "close"},
)


# ---- scans made by hand ----------------------------------------------------------------------------------


def names(count: int) -> list[str]:
    return [f"S{number:05d}" for number in range(count)]


def pieces_at(bounds: Sequence[int]) -> tuple[Piece, ...]:
    """Row groups between `bounds`, three to a file."""
    return tuple(
        Piece(f"{number // 3}.parquet", number % 3, 0, stop - first, stop - first)
        for number, (first, stop) in enumerate(pairwise(bounds))
    )


def scan_of(
    rows: Sequence[int],
    presence: Presence | None = None,
    pieces: tuple[Piece, ...] | None = None,
    symbols: pa.Array | None = None,
    row_bytes: float = 40.0,
) -> Scan:
    """A scan of symbols with so many rows each; without `presence` in date order."""
    total = sum(rows)
    footers = Footers(
        where="prices",
        schema=SCHEMA,
        pieces=pieces if pieces is not None else pieces_at([0, total] if total else []),
        files=1,
        skipped=(),
        file_bytes=total * 20,
        row_bytes=row_bytes,
        identity="",
        states={},
        integer_ranges={},
        null_counts={},
        text_ranges=(),
    )
    return Scan(
        footers=footers,
        rows=total,
        symbols=pa.array(names(len(rows)), pa.string()) if symbols is None else symbols,
        rows_per_symbol=np.array(rows, np.int64),
        presence=presence,
        sorted_by_date=True,
        sorted_by_key=False,
        first_day=0,
        last_day=1000,
        bad_rows=0,
    )


def clustered(rows: Sequence[int], cuts: Sequence[int], order: Sequence[int] | None = None) -> Scan:
    """Symbols one after the other, in `order`, with row groups that end at `cuts`."""
    total = sum(rows)
    bounds = sorted({0, total, *(cut for cut in cuts if cut < total)})
    entries = []
    begin = 0
    for symbol in order if order is not None else range(len(rows)):
        end = begin + rows[symbol]
        for piece, (first, stop) in enumerate(pairwise(bounds)):
            if max(begin, first) < min(end, stop):
                entries.append((symbol, piece, max(begin, first) - first, min(end, stop) - first))
        begin = end
    columns = np.array(sorted(entries), np.int64).reshape(-1, 4).T
    return scan_of(rows, Presence(*columns), pieces_at(bounds))


def where_symbols_lie(scan: Scan) -> list[set[tuple[str, int, int]]]:
    """The rows of each symbol as (file, row group, row)."""
    assert scan.presence is not None
    found: list[set[tuple[str, int, int]]] = [set() for _ in scan.rows_per_symbol]
    presence = scan.presence
    for code, number, first, stop in zip(presence.codes, presence.pieces, presence.first, presence.stop, strict=True):
        piece = scan.footers.pieces[number]
        found[code] |= {(piece.path, piece.row_group, row) for row in range(first, stop)}
    return found


def resources(cpus: int = 4, memory: int = 64 * GIB) -> Resources:
    return Resources(cpus, "CPU affinity", memory, "memory available on the host")


def plan_of(scan: Scan, found: Resources | None = None, **settings: Any) -> Plan:
    return make_plan(scan, config := Config(input=("prices",), **settings), wanted_by(config), found or resources())


# ---- plans, literally ------------------------------------------------------------------------------------


def facts(plan: Plan) -> dict[str, Any]:
    """The plan without the estimates of sizes, which measurements may change."""
    found = {field.name: getattr(plan, field.name) for field in dataclasses.fields(plan)}
    for estimate in ("budget_bytes", "task_bytes", "disk_bytes", "chunk_rows", "low_memory"):
        del found[estimate]
    limits = [(name, None if "memory" in name else limit) for name, limit in plan.worker_limits]
    return found | {"selected": plan.selected.tolist(), "worker_limits": limits}


def test_the_plan_of_a_small_dataset_is_literally_this() -> None:
    assert facts(plan_of(scan_of([10, 20, 30]))) == {
        "strategy": "direct",
        "strategy_reason": f"60 rows are done before a pool has started (up to {DIRECT_ROWS:,})",
        "partition": False,
        "partition_reason": "everything is read in this process",
        "ordering": None,
        "tasks": (TaskPlan(0, 3, 60, 60, (Piece("0.parquet", 0, 0, 60, 60),)),),
        "selected": [0, 1, 2],
        "workers": 1,
        "workers_reason": "strategy direct works in this process",
        "worker_limits": [("strategy direct works in this process", 1)],
        "budget_reason": "60% of the memory available on the host",
        "tables_bytes": 0,
        "last_day": None,
        "bars_at_once": None,
    }


def test_the_plan_of_a_clustered_dataset_is_literally_this() -> None:
    """Row groups of 15 and 45 rows: the first ends within the second symbol."""
    assert facts(plan_of(clustered([10, 20, 30], [15]), strategy="per-symbol", memory_limit=8 * GIB)) == {
        "strategy": "per-symbol",
        "strategy_reason": "asked for with --strategy",
        "partition": False,
        "partition_reason": "the input is clustered by symbol: its row groups serve at 1.42 rows decoded a row",
        "ordering": None,
        "tasks": (
            TaskPlan(0, 1, 10, 10, (Piece("0.parquet", 0, 0, 10, 15),)),
            TaskPlan(1, 2, 20, 30, (Piece("0.parquet", 0, 10, 15, 15), Piece("0.parquet", 1, 0, 15, 45))),
            TaskPlan(2, 3, 30, 45, (Piece("0.parquet", 1, 15, 45, 45),)),
        ),
        "selected": [0, 1, 2],
        "workers": 3,
        "workers_reason": "number of tasks",
        "worker_limits": [
            ("--jobs -1", 4),
            ("CPU affinity", 4),
            ("memory budget of 8,192 MiB", None),
            ("number of tasks", 3),
        ],
        "budget_reason": "--memory-limit",
        "tables_bytes": 0,
        "last_day": None,
        "bars_at_once": None,
    }


def test_the_plan_of_a_scattered_dataset_is_literally_this() -> None:
    found = plan_of(scan_of([70_000, 10, 70_000]), strategy="adaptive", symbols=("S00002", "S00000"), jobs=1)
    assert facts(found) == {
        "strategy": "adaptive",
        "strategy_reason": "asked for with --strategy",
        "partition": True,
        "partition_reason": "the input is in date order",
        "ordering": None,
        "tasks": (TaskPlan(0, 1, 70_000, 70_000, None), TaskPlan(1, 2, 70_000, 70_000, None)),
        "selected": [0, 2],
        "workers": 1,
        "workers_reason": "--jobs 1",
        "worker_limits": [
            ("--jobs 1", 1),
            ("CPU affinity", 4),
            ("memory budget of 39,322 MiB", None),
            ("number of tasks", 2),
        ],
        "budget_reason": "60% of the memory available on the host",
        "tables_bytes": 0,
        "last_day": None,
        "bars_at_once": None,
    }
    assert (found.rows, found.budget_bytes) == (140_000, int(0.6 * 64 * GIB))
    assert found.disk_bytes > 140_000 * 40


def test_the_same_numbers_give_the_same_plan() -> None:
    rows = [300_000, 5, 200_000, 40_000]
    assert facts(plan_of(clustered(rows, [100_000]))) == facts(plan_of(clustered(rows, [100_000])))


# ---- strategies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "strategy"),
    [
        ([], "direct"),
        ([1], "direct"),
        ([DIRECT_ROWS], "direct"),
        ([DIRECT_ROWS + 1], "per-symbol"),
        ([DIRECT_ROWS, DIRECT_ROWS, DIRECT_ROWS], "per-symbol"),
        ([1, 2 * DIRECT_ROWS], "per-symbol"),
        ([2501] * 400, "batched"),
        ([2500] * 399 + [5000], "batched"),
        ([2500] * 399 + [5001], "adaptive"),
        ([10] * 400 + [DIRECT_ROWS], "adaptive"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} symbols",
)
def test_the_strategy_comes_from_the_row_counts(rows: list[int], strategy: str) -> None:
    found = plan_of(scan_of(rows))
    assert found.strategy == strategy
    assert found.strategy_reason


def test_only_the_selected_symbols_count() -> None:
    scan = scan_of([1000, 2 * DIRECT_ROWS])
    assert plan_of(scan).strategy == "per-symbol"
    assert plan_of(scan, symbols=("S00000",)).strategy == "direct"


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "auto"])
@pytest.mark.parametrize("rows", [[], [1], [10, 20, 30], [2500] * 400, [10] * 40 + [DIRECT_ROWS]], ids=len)
def test_a_strategy_that_is_asked_for_is_taken(rows: list[int], strategy: str) -> None:
    found = plan_of(scan_of(rows), strategy=strategy)
    assert (found.strategy, found.strategy_reason) == (strategy, "asked for with --strategy")
    assert found.partition == (strategy != "direct")
    if strategy == "per-symbol":
        assert [task.rows for task in found.tasks] == rows
    if strategy == "direct":
        assert [task.rows for task in found.tasks] == ([sum(rows)] if rows else [])


def test_batched_cuts_by_symbols_and_adaptive_by_rows() -> None:
    batched = plan_of(scan_of([2500] * 400), strategy="batched", jobs=1)
    assert len(batched.tasks) > 1
    assert len({task.stop - task.first for task in batched.tasks[:-1]}) == 1
    adaptive = plan_of(scan_of([100] * 1000 + [200_000] + [30_000] * 20), strategy="adaptive", jobs=1)
    largest = max(task.rows for task in adaptive.tasks if task.stop - task.first > 1)
    assert largest < 200_000
    assert max(task.stop - task.first for task in adaptive.tasks) > 100


# ---- workers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jobs", "cpus", "expected"), [(-1, 8, 8), (-2, 8, 7), (-8, 8, 1), (-9, 8, 1), (5, 2, 5)])
def test_jobs_are_read_as_joblib_reads_them(jobs: int, cpus: int, expected: int) -> None:
    assert requested_workers(jobs, cpus) == expected


@pytest.mark.parametrize(
    ("jobs", "cpus", "workers", "word"),
    [(-1, 8, 8, ""), (-2, 8, 7, "--jobs -2"), (-2, 1, 1, ""), (5, 8, 5, "--jobs 5"), (5, 3, 3, "CPU affinity")],
)
def test_the_number_of_workers_is_the_least_of_jobs_and_cpus(jobs: int, cpus: int, workers: int, word: str) -> None:
    found = plan_of(scan_of([2500] * 400), resources(cpus), jobs=jobs, strategy="per-symbol")
    assert found.workers == workers
    assert word in found.workers_reason


def test_the_number_of_tasks_cuts_the_workers() -> None:
    found = plan_of(scan_of([10, 20, 30]), resources(64), strategy="per-symbol")
    assert (found.workers, found.workers_reason) == (3, "number of tasks")


def test_the_memory_budget_cuts_the_workers() -> None:
    scan = scan_of([2500] * 400)
    counts = []
    for workers_bytes in range(1, 12):
        limit = PARENT_BYTES + workers_bytes * GIB // 4
        found = plan_of(scan, resources(8), strategy="per-symbol", memory_limit=limit)
        counts.append(found.workers)
        assert PARENT_BYTES + found.workers * (WORKER_BYTES + found.task_bytes) <= limit == found.budget_bytes
        assert found.workers == 8 or found.workers_reason.startswith("memory budget")
    assert counts == sorted(counts)
    assert counts[0] < 3
    assert counts[-1] == 8


def test_a_budget_is_a_share_of_what_the_process_may_use() -> None:
    found = plan_of(scan_of([2501] * 400), resources(8, 2 * GIB))
    assert found.budget_bytes == int(0.6 * 2 * GIB)
    assert found.workers < 8
    assert found.workers_reason.startswith("memory budget")


# ---- what holds for all plans ----------------------------------------------------------------------------

ROWS = st.lists(st.integers(1, 200) | st.integers(1, 3_000_000), max_size=30)


@st.composite
def scans(draw: st.DrawFn, rows: st.SearchStrategy[list[int]] = ROWS) -> Scan:
    counts = draw(rows)
    row_bytes = draw(st.sampled_from([20.0, 56.5, 900.0]))
    if draw(st.booleans()):
        return joining(scan_of(counts, row_bytes=row_bytes), *draw(TABLES))
    cuts = draw(st.lists(st.integers(1, max(1, sum(counts))), max_size=12))
    found = clustered(counts, cuts, draw(st.permutations(range(len(counts)))))
    found = dataclasses.replace(found, footers=dataclasses.replace(found.footers, row_bytes=row_bytes))
    return joining(found, *draw(TABLES))


#: What a table to join takes while it is held, and beyond that while it is read.
TABLES = st.just((0, 0)) | st.tuples(st.integers(1, GIB), st.integers(0, GIB))


def joining(scan: Scan, held: int, reading: int) -> Scan:
    """The scan with a column of a table that takes so many bytes; 0: without."""
    if not held:
        return scan
    table = JoinedTable("facts.parquet", "", "known_at", "symbol", pa.string(), False, None, held, held + reading)
    derived = {"eps": Derived("as of", ("symbol", "date"), as_of=(table, "eps"))}
    schema = dataclasses.replace(
        scan.footers.schema, arrow=scan.footers.schema.arrow.append(pa.field("eps", pa.float64())), derived=derived
    )
    return dataclasses.replace(scan, footers=dataclasses.replace(scan.footers, schema=schema))


@st.composite
def configs(draw: st.DrawFn, symbols: int) -> Config:
    wanted = draw(st.none() | st.lists(st.sampled_from(names(symbols)), min_size=1)) if symbols else None
    return Config(
        input=("prices",),
        strategy=draw(st.sampled_from(STRATEGIES)),
        jobs=draw(st.integers(-9, 9).filter(bool)),
        memory_limit=draw(st.none() | st.integers(MIB, 8 * GIB)),
        symbols=None if wanted is None else tuple(wanted),
        max_symbols=draw(st.none() | st.integers(1, 20)),
    )


@settings(deadline=None)
@given(data=st.data(), scan=scans(), cpus=st.integers(1, 16))
def test_tasks_cover_every_selected_symbol_once_and_in_order(data: st.DataObject, scan: Scan, cpus: int) -> None:
    config = data.draw(configs(len(scan.symbols)))
    try:
        plan = make_plan(scan, config, wanted_by(config), resources(cpus))
    except BudgetError:
        return
    wanted = [
        number
        for number, name in enumerate(scan.symbols.to_pylist())
        if config.symbols is None or name in config.symbols
    ][: config.max_symbols]
    assert plan.selected.tolist() == wanted
    assert [number for task in plan.tasks for number in range(task.first, task.stop)] == list(range(len(wanted)))
    assert [task.rows for task in plan.tasks] == [
        int(scan.rows_per_symbol[plan.selected[task.first : task.stop]].sum()) for task in plan.tasks
    ]
    assert all(task.first < task.stop for task in plan.tasks)
    assert all((task.pieces is None) == plan.partition for task in plan.tasks)
    assert plan.workers == min(limit for _, limit in plan.worker_limits) >= 1
    assert plan.workers_reason in [name for name, limit in plan.worker_limits if limit == plan.workers]
    assert plan.strategy == config.strategy or config.strategy == "auto"
    of_workers = plan.workers * WORKER_BYTES if plan.strategy != "direct" else 0
    assert PARENT_BYTES + plan.task_bytes + of_workers <= plan.budget_bytes
    if plan.tasks:  # the tables are here while rows are partitioned, else in each process with a task
        tables = tables_bytes(scan.footers.schema)
        joining_here = PARENT_BYTES + tables.held + max(tables.reading, of_workers if plan.partition else 0)
        in_tasks = (0 if plan.partition else plan.workers) * (tables.held + max(tables.reading, plan.task_bytes))
        assert max(joining_here, PARENT_BYTES + of_workers + in_tasks) <= plan.budget_bytes
    assert plan.chunk_rows > 0
    assert (plan.disk_bytes > 0) == bool(plan.tasks)


@settings(deadline=None)
@given(data=st.data())
def test_pieces_hold_every_row_of_their_task(data: st.DataObject) -> None:
    scan = data.draw(scans(st.lists(st.integers(1, 60), min_size=1, max_size=12)).filter(lambda scan: scan.presence))
    strategy = data.draw(st.sampled_from(STRATEGIES))
    wanted = data.draw(st.none() | st.lists(st.sampled_from(names(len(scan.symbols))), min_size=1))
    plan = plan_of(scan, strategy=strategy, symbols=None if wanted is None else tuple(wanted))
    homes = where_symbols_lie(scan)
    for task in plan.tasks:
        if task.pieces is None:
            continue
        rows = [(piece.path, piece.row_group, row) for piece in task.pieces for row in range(piece.start, piece.stop)]
        assert len(rows) == len(set(rows))
        needed = set().union(*(homes[symbol] for symbol in plan.selected[task.first : task.stop]))
        assert needed <= set(rows)
        assert [(piece.path, piece.row_group) for piece in task.pieces] == sorted(
            (piece.path, piece.row_group) for piece in task.pieces
        )
        assert all(0 <= piece.start < piece.stop <= piece.rows_in_group for piece in task.pieces)
        assert task.decoded_rows == sum(piece.stop for piece in task.pieces) or plan.strategy == "direct"


@settings(deadline=None)
@given(data=st.data(), scan=scans(), cpus=st.integers(1, 16))
def test_a_refused_budget_names_a_limit_that_works(data: st.DataObject, scan: Scan, cpus: int) -> None:
    config = data.draw(configs(len(scan.symbols)))
    config = dataclasses.replace(config, memory_limit=data.draw(st.integers(MIB, GIB)))
    try:
        make_plan(scan, config, wanted_by(config), resources(cpus))
    except BudgetError as error:
        named = re.search(r"--memory-limit (\d+MiB)", str(error))
        assert named is not None
        limit = resolve(from_python({"input": "prices", "memory_limit": named[1]})).memory_limit
        assert limit is not None
        assert limit > config.memory_limit
        make_plan(scan, dataclasses.replace(config, memory_limit=limit), wanted_by(config), resources(cpus))


def test_tables_to_join_are_in_each_task_or_are_joined_here_if_they_are_large() -> None:
    """Rows in order of symbols need no partition, unless so many tables would take too much of the budget."""
    scan = clustered([70_000] * 4, [70_000, 140_000, 210_000])
    job: dict[str, Any] = {"strategy": "per-symbol", "jobs": 2, "memory_limit": GIB}
    assert not plan_of(joining(scan, 50 * MIB, 40 * MIB), **job).partition
    found = plan_of(joining(scan, 300 * MIB, 200 * MIB), **job)
    assert found.partition and found.workers == 2
    assert found.partition_reason == "the tables to join take 300 MiB in each process that reads the input"
    with pytest.raises(BudgetError, match=r"beside the tables to join \(600 MiB\); pass --memory-limit"):
        plan_of(joining(scan, 400 * MIB, 200 * MIB), **job | {"memory_limit": 700 * MIB})


def test_a_refused_budget_names_the_largest_symbol_and_its_rows() -> None:
    with pytest.raises(BudgetError) as caught:
        plan_of(scan_of([10, 5_000_000, 20]), strategy="adaptive", memory_limit=600 * MIB)
    for word in ("'S00001'", "5,000,000 rows", "600 MiB", "--memory-limit "):
        assert word in str(caught.value)


def test_a_refused_budget_names_a_limit_that_works_where_batches_differ() -> None:
    """Batches are cut by the mean, and the longest symbols lie together: their batch is larger than a task may be."""
    scan = scan_of([1] * 2000 + [1000] * 2000 + [2000] * 50, row_bytes=900.0)
    assert plan_of(scan).strategy == "batched"
    assert plan_of(scan, strategy="adaptive", memory_limit=500 * MIB).workers == 1
    try:
        plan_of(scan, memory_limit=500 * MIB)
    except BudgetError as error:
        limit = re.search(r"--memory-limit (\d+)MiB", str(error))
        assert limit is not None
        plan_of(scan, memory_limit=int(limit[1]) * MIB)


def test_small_data_with_wide_rows_is_not_refused_where_tasks_would_fit() -> None:
    """400,000 rows of 4 kB are too much for this process at once; the strategy nobody asked for must give way."""
    scan = scan_of([1000] * 400, row_bytes=4000.0)
    assert plan_of(scan, strategy="adaptive", memory_limit=GIB).workers >= 1
    assert plan_of(scan, memory_limit=GIB).workers >= 1


# ---- partition -------------------------------------------------------------------------------------------


def test_scattered_symbols_are_partitioned_and_clustered_ones_are_not() -> None:
    rows = [100_001] * 10
    scattered = plan_of(scan_of(rows))
    assert scattered.partition
    assert {task.pieces for task in scattered.tasks} == {None}
    aligned = plan_of(clustered(rows, range(100_001, 1_000_010, 100_001)))
    assert not aligned.partition
    assert sum(task.decoded_rows for task in aligned.tasks) == 1_000_010


def test_one_row_group_of_many_symbols_is_partitioned() -> None:
    """Each symbol of a row group costs all rows before it: ten tasks would decode it five times."""
    found = plan_of(clustered([100_000] * 10, []), strategy="per-symbol")
    assert found.partition
    assert "rows decoded a row" in found.partition_reason


def test_a_disk_that_is_too_small_is_refused() -> None:
    found = plan_of(scan_of([100_000] * 10))
    check_disk(found, found.disk_bytes)
    with pytest.raises(BudgetError, match=f"about {found.disk_bytes / MIB:.0f} MiB of disk are needed"):
        check_disk(found, found.disk_bytes - 1)


def test_the_disk_is_for_bundles_and_parts_and_one_file_of_them() -> None:
    """Of like data: fragments cost nothing where the input serves, fewer features less, a single file twice."""
    scan = scan_of([100_001] * 10)
    bundled = plan_of(scan).disk_bytes
    assert plan_of(scan, order="input").disk_bytes > 2 * bundled
    assert plan_of(clustered([100_001] * 10, range(100_001, 1_000_010, 100_001))).disk_bytes < bundled
    assert plan_of(scan, features="w_ret").disk_bytes < bundled < plan_of(scan, dtype="float64").disk_bytes
    assert bundled < plan_of(scan, output="one.parquet").disk_bytes < 2 * bundled


# ---- symbols ---------------------------------------------------------------------------------------------


def test_wanted_symbols_are_taken_in_sorted_order_each_once() -> None:
    found = plan_of(scan_of([1, 2, 3, 4]), symbols=("S00003", "S00001", "S00003"))
    assert found.selected.tolist() == [1, 3]
    assert found.rows == 6
    assert plan_of(scan_of([1, 2, 3, 4]), symbols=("S00003", "S00001"), max_symbols=1).selected.tolist() == [1]
    assert plan_of(scan_of([1, 2, 3, 4]), max_symbols=9).selected.tolist() == [0, 1, 2, 3]


def test_integer_symbols_are_asked_for_as_text() -> None:
    scan = scan_of([1, 2, 3], symbols=pa.array([-5, 7, 1000], pa.int32()))
    assert plan_of(scan, symbols=("1000", "-5")).selected.tolist() == [0, 2]
    for unknown in ("8", "A", "", "7.0", str(2**70)):
        with pytest.raises(InputRefused, match="--symbols"):
            plan_of(scan, symbols=(unknown,))


@pytest.mark.parametrize("unknown", ["S99999", "s00000", "S00000 ", "", "NULL"])
def test_an_unknown_symbol_is_named(unknown: str) -> None:
    with pytest.raises(InputRefused) as caught:
        plan_of(scan_of([1, 2]), symbols=("S00001", unknown))
    for word in ("--symbols", unknown, "prices"):
        assert word in str(caught.value)


def test_a_file_without_symbols_is_an_answer_or_a_refusal(tmp_path: Path) -> None:
    """`--symbols @FILE` with an empty file: exit 2 or 3, or nothing selected, but no crash."""
    (tmp_path / "symbols.txt").write_text("")
    try:
        config = resolve(from_python({"input": "prices", "symbols": f"@{tmp_path / 'symbols.txt'}"}))
        selected = make_plan(scan_of([1, 2]), config, wanted_by(config), resources()).selected.tolist()
    except weekly_cli.errors.WeeklyError as error:
        assert "symbols" in str(error)
    else:
        assert selected == []


# ---- real files: the keys only ---------------------------------------------------------------------------


def damaged(path: Path, columns: set[str]) -> None:
    """Overwrite every page of some columns."""
    metadata = pq.ParquetFile(path).metadata
    content = bytearray(path.read_bytes())
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            if column.path_in_schema in columns:
                first = column.dictionary_page_offset or column.data_page_offset
                content[first : first + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(content)


@pytest.fixture(params=["date", "symbol"])
def prices(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Three files, in date order or clustered by symbol, whose pages cannot be read but for the keys'."""
    folder = write_files(daily(order=request.param), tmp_path / "prices", 3)
    for path in folder.iterdir():
        damaged(path, {"open", "high", "low", "close", "volume"})
    return folder


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_planning_does_not_need_the_pages_of_other_columns(prices: Path, strategy: str) -> None:
    found, plan = pipeline.plan_only(Config(input=(str(prices),), output=str(prices / "out"), strategy=strategy))
    assert found.rows_per_symbol.tolist() == [60, 60, 60]
    assert plan.rows == 180


def test_building_does_need_the_pages_of_other_columns(prices: Path, tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="can't be decoded"):
        weekly_cli.build(prices, tmp_path / "out")


def test_planning_never_asks_for_other_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[set[str]] = []

    def watched(name: str) -> None:
        original = getattr(pq.ParquetFile, name)

        def read(self: pq.ParquetFile, *args: Any, columns: list[str] | None = None, **options: Any) -> Any:
            asked.append(set(self.schema_arrow.names if columns is None else columns))
            assert asked[-1] <= {"symbol", "date"}, f"{name} reads {sorted(asked[-1])}"
            return original(self, *args, columns=columns, **options)

        monkeypatch.setattr(pq.ParquetFile, name, read)

    for name in ("read", "read_row_group", "read_row_groups", "iter_batches"):
        watched(name)
    write(daily(), tmp_path / "prices.parquet", row_group_size=50)
    output = str(tmp_path / "out")
    found, _ = pipeline.plan_only(Config(input=(str(tmp_path / "prices.parquet"),), output=output, price="open"))
    assert found.rows_per_symbol.tolist() == [60, 60, 60]
    assert asked == [{"symbol", "date"}] * len(asked)
    assert len(asked) == 4
    with pytest.raises(RuntimeError, match="close"):
        weekly_cli.build(tmp_path / "prices.parquet", tmp_path / "out")


# ---- the order of rows -----------------------------------------------------------------------------------


def test_rows_are_put_into_the_inputs_order_where_they_do_not_have_it() -> None:
    scan = scan_of([70_000] * 4)
    assert plan_of(scan).ordering is None
    assert plan_of(dataclasses.replace(scan, sorted_by_key=True), order="input").ordering is None
    wide, narrow = (plan_of(scan, order="input", memory_limit=limit).ordering for limit in (8 * GIB, 512 * MIB))
    assert wide is not None
    assert narrow is not None
    assert narrow.chunk_rows < wide.chunk_rows
    assert narrow.range_rows < wide.range_rows


# ---- tasks that follow row groups ------------------------------------------------------------------------


@pytest.mark.parametrize("group", [100_000, 122_880, 1_048_576])
def test_tasks_end_where_row_groups_do_so_that_every_row_is_decoded_once(group: int) -> None:
    """But for the head of the next one, which has the last rows of a task's last symbol."""
    rows = [2_500] * 4_000
    found = plan_of(clustered(rows, range(group, sum(rows), group)), resources(2))
    assert not found.partition
    assert sum(task.decoded_rows for task in found.tasks) <= 1.01 * found.rows


def test_row_groups_that_are_too_few_for_the_workers_are_cut() -> None:
    rows = [2_500] * 800
    found = plan_of(clustered(rows, [1_000_000, 1_500_000]), resources(2))
    sizes = [task.rows for task in found.tasks]
    assert max(sizes) < 1.2 * min(sizes)


def test_symbols_that_are_asked_for_are_read_from_the_row_groups_that_have_them() -> None:
    rows = [2_500] * 300
    found = plan_of(clustered(rows, range(100_000, 750_000, 100_000)), symbols=("S00000", "S00299"))
    (task,) = found.tasks
    assert (found.strategy, [piece.row_group for piece in task.pieces or ()]) == ("direct", [0, 1])


# ---- clusters --------------------------------------------------------------------------------------------


def of_cluster(workers: int, each: int) -> Resources:
    """Workers of one thread with so much memory each."""
    return Resources(
        workers, f"threads of {workers} workers at tcp://s:1", workers * each, f"memory of {workers} workers at "
        "tcp://s:1", 1.0, each
    )  # fmt: skip


def test_on_a_cluster_no_task_is_larger_than_a_worker() -> None:
    """One worker of the cluster can't use the memory of the others."""
    scan = scan_of([3_000_000, 10_000])
    assert plan_of(scan, of_cluster(4, 2 * GIB)).tasks[0].rows >= 3_000_000
    with pytest.raises(BudgetError, match=r"4 workers at tcp://s:1 can't hold symbol 'S00000' .* dask worker --memory"):
        plan_of(scan, of_cluster(4, GIB // 2))


def test_on_a_cluster_every_worker_has_chunks_to_partition() -> None:
    """But with many workers, and so tasks, no run of a chunk's rows becomes so short that its row group costs more."""
    scan = scan_of([5_000] * 10_000)
    few, many = plan_of(scan, of_cluster(4, 2 * GIB)), plan_of(scan, of_cluster(200, 2 * GIB))
    assert few.partition and many.partition
    assert few.chunk_rows <= 50_000_000 // (4 * 4)
    assert many.chunk_rows == 2**11 * len(many.tasks) > 50_000_000 // (4 * 200)
