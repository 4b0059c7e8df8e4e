"""`verify` reads columns by a second decoder too, so that what Arrow makes of a file is not its own proof."""

from __future__ import annotations

import datetime
import importlib.util
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import build, daily, write

from weekly_cli.files import parquet
from weekly_cli.verify import Proof, verify

pytestmark = pytest.mark.slow

PROGRAMS = {"duckdb": "DuckDB", "polars": "Polars"}
MOMENTS = [datetime.datetime(9999, 12, 31, 1, 2, 3), datetime.datetime(1000, 1, 1), None]


def only(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the other programs."""
    find = importlib.util.find_spec
    hidden = PROGRAMS.keys() - {program}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in hidden else find(name, *rest))


def rows_of(proof: Proof) -> tuple[str, list[str]]:
    (check,) = (check for check in proof.checks if check.name == "rows")
    return check.did, check.findings


@pytest.fixture
def far(tmp_path: Path) -> Path:
    table = daily(["A", "B"], 30)
    table = table.append_column("until", pa.array([MOMENTS[n % 3] for n in range(60)], pa.timestamp("us")))
    return write(table, tmp_path / "p.parquet", use_deprecated_int96_timestamps=True)


def test_a_wrong_decoding_of_arrow_is_found(far: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrow's own reading of INT96, in nanoseconds, wraps; build and both sides of the comparison share it."""
    read = pq.ParquetFile

    def wrapping(*args: Any, coerce_int96_timestamp_unit: str = "", **options: Any) -> pq.ParquetFile:
        return read(*args, **options)

    monkeypatch.setattr(parquet.pq, "ParquetFile", wrapping)
    build(far, tmp_path / "out", features="w_close")
    _, findings = rows_of(verify(tmp_path / "out"))
    assert len(findings) == 1
    assert "the input" in findings[0]
    assert "'until'" in findings[0]
    assert "DuckDB" in findings[0]


def test_the_right_decoding_passes(far: Path, tmp_path: Path) -> None:
    build(far, tmp_path / "out", features="w_close")
    did, findings = rows_of(verify(tmp_path / "out"))
    assert not findings
    assert "8 of 8 columns read by DuckDB too" in did


KINDS: dict[str, pa.Array] = {
    "float": pa.array([1.5, math.nan, None, -0.0]),
    "float32": pa.array([1.5, math.inf, None, -0.0], pa.float32()),
    "int8": pa.array([-1, 127, None, 0], pa.int8()),
    "uint64": pa.array([2**64 - 1, 0, None, 5], pa.uint64()),
    "bool": pa.array([True, None, False, True]),
    "decimal": pa.array([Decimal("1.23"), None, Decimal("-9.99"), Decimal(0)]),
    "text": pa.array(["é", "", None, "a"]),
    "dictionary": pa.array(["é", "", None, "a"]).dictionary_encode(),
    "zone": pa.array([*MOMENTS, None], pa.timestamp("ms", "Europe/Berlin")),
    "nanoseconds": pa.array([1, -1, None, 10**18], pa.timestamp("ns")),
    'a "quoted" name': pa.array([1, 2, 3, 4]),
    "list": pa.array([[1], None, [], [2, 3]]),
    "binary": pa.array([b"\xff", None, b"", b"a"]),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_columns_of_all_types_are_read_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    only(program, monkeypatch)
    table = daily(["A", "B"], 30)
    for name, values in KINDS.items():
        table = table.append_column(name, values.take(pa.array([row % 4 for row in range(60)])))
    source = write(table, tmp_path / "[odd] names*/p?.parquet", row_group_size=25)
    build(source.parent, tmp_path / "out", features="w_close")
    did, findings = rows_of(verify(tmp_path / "out"))
    assert not findings
    assert f"18 of 20 columns read by {PROGRAMS[program]} too, with the same values" in did


def test_files_that_differ_are_read_alike(tmp_path: Path) -> None:
    """Each is compared in the type that all have in common."""
    table = daily(["A", "B"], 30)
    write(table.slice(0, 30), tmp_path / "in/a.parquet")
    floats = table.slice(30).set_column(6, "volume", table.slice(30).column("volume").cast(pa.float64()))
    write(floats.drop_columns(["open"]), tmp_path / "in/b.parquet")
    build(tmp_path / "in", tmp_path / "out", features="w_close")
    did, findings = rows_of(verify(tmp_path / "out"))
    assert not findings
    assert "7 of 7 columns" in did


def test_without_a_second_decoder_nothing_fails(far: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build(far, tmp_path / "out", features="w_close")
    only("none", monkeypatch)
    did, findings = rows_of(verify(tmp_path / "out"))
    assert not findings
    assert "not checked by a second decoder (neither duckdb nor polars is installed)" in did
