"""Each input that people have is read as the plain table that it stands for, or refused with a way out that works."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cases import CASES, Case, Way
from frames import build, parts, read, report_here, write

from weekly_cli.cli.views.plan import plan_lines
from weekly_cli.errors import InputRefused
from weekly_cli.run import cuts, pipeline, sizes
from weekly_cli.run import rows as task_rows
from weekly_cli.run.report import Report
from weekly_cli.run.wanted import wanted_by
from weekly_cli.settings import from_python, resolve
from weekly_cli.verify import verify

pytestmark = pytest.mark.slow
#: How each is read: in this process; tasks that read their rows from the input; tasks that read bundles.
#: Features that need every price, the volume, and other weeks.
FEW = "bars,returns,volume"
ROUTES = {"direct": math.inf, "from the input": math.inf, "partitioned": 0.0}
WAYS = [
    pytest.param(case, way, id=f"{case.name}-{number}")
    for case in CASES.values()
    for number, way in enumerate(case.ways)
]


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The folder of a case, written once."""

    @functools.cache
    def folder(name: str) -> Path:
        place = tmp_path_factory.mktemp("cases") / name
        CASES[name].make(place)
        return place

    return folder


def built(route: str, source: str, output: Path, monkeypatch: pytest.MonkeyPatch, way: Way) -> Report:
    monkeypatch.setattr(cuts, "LEAST_TASK_ROWS", 16)
    monkeypatch.setattr(sizes, "_MOST_CHUNK_ROWS", 50)
    monkeypatch.setattr(cuts, "_MOST_DECODED", ROUTES[route])
    monkeypatch.setattr(task_rows, "LEAST_COPIED_ROWS", 1)
    strategy = "direct" if route == "direct" else "adaptive"
    report = report_here(source, output, strategy=strategy, **{"features": FEW, **way.settings})
    assert (report.bytes_partitioned > 0) == (route == "partitioned")
    return report


def weekly(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.column_names if name.startswith("w_")]).combine_chunks()


def of_keys(out: pa.Table, report: Report, plain: pa.Table) -> pa.Table:
    """The output's rows that the plain table has too."""
    if out.num_rows == plain.num_rows:
        return out
    keys = set(zip(*(plain.column(name).to_pylist() for name in ("symbol", "date")), strict=True))
    there = zip(*(out.column(report.roles[name]).to_pylist() for name in ("symbol", "date")), strict=True)
    return out.filter(pa.array([key in keys for key in there]))


@pytest.mark.parametrize(("case", "way"), WAYS)
def test_a_case_is_the_plain_table_that_it_stands_for(
    case: Case, way: Way, made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = str(made(case.name) / way.at)
    expected = build(
        write(way.plain, tmp_path / "plain.parquet"), tmp_path / "expected", **{"features": FEW, **way.plain_settings}
    )
    for route in ROUTES:
        report = built(route, source, tmp_path / route, monkeypatch, way)
        out = read(tmp_path / route)
        assert weekly(of_keys(out, report, way.plain)).equals(weekly(expected)), route
        notes = "; ".join(report.notes)
        assert all(words in notes for words in way.says), notes
        assert {finding.code for finding in report.findings} == way.finds
        if way.passes is not None:
            left = out.select(way.passes.column_names).combine_chunks()
            assert left.schema.equals(way.passes.schema)
            assert str(left.to_pydict()) == str(way.passes.to_pydict())  # NaN is NaN
    assert_plan_says_it(source, tmp_path / "planned", way)
    proof = verify(tmp_path / "direct", dates=1, symbols=2)
    assert proof.passed, [check.findings for check in proof.checks]


def assert_plan_says_it(source: str, output: Path, way: Way) -> None:
    config = resolve(from_python({"input": source, "output": str(output), **way.settings}))
    scan, planned = pipeline.plan_only(config)
    said = str(plan_lines(scan, planned, wanted_by(config)).get("read_as", ""))
    assert all(words in said for words in way.says), said


REFUSED = [pytest.param(case, id=case.name) for case in CASES.values() if case.refused]


@pytest.mark.parametrize("case", REFUSED)
def test_a_case_that_needs_a_decision_is_refused_in_one_line_with_the_ways_out(
    case: Case, made: Any, tmp_path: Path
) -> None:
    with pytest.raises(InputRefused) as caught:
        report_here(made(case.name), tmp_path / "out")
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert "\n" not in message
    assert all(words in message for words in case.refused), message
    assert not (tmp_path / "out").exists()
    for way in case.ways:  # the message names each flag with which it works
        assert all(f"--{name.replace('_', '-')}" in message for name in way.settings), message


def test_no_bounds_of_a_column_with_nan(made: Any, tmp_path: Path) -> None:
    build(made("nan_beside"), tmp_path / "out")
    (part,) = parts(tmp_path / "out")
    groups = pq.ParquetFile(part).metadata
    at = groups.schema.to_arrow_schema().names.index("adjusted")
    bounds = [groups.row_group(number).column(at).statistics for number in range(groups.num_row_groups)]
    assert not any(bound is not None and bound.has_min_max for bound in bounds)
