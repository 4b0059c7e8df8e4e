"""Bars of other rows than the input has: without padding, of absolute prices, of a volume that is scaled too."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from frames import ROUTES, build, build_by, business_days, daily, read, report_of, run_cli, shuffled, write

from weekly_cli.compute.treatment import Treatment
from weekly_cli.run import jobs
from weekly_cli.verify import verify

pytestmark = pytest.mark.slow

SYMBOLS = ("AAA", "BBB", "QUIET")
PRICES = ("open", "high", "low", "close")
N_DAYS = 300
FLAGS: dict[str, dict[str, Any]] = {
    "drop_padding": {"drop_padding": True},
    "negative_prices": {"negative_prices": "absolute"},
    "adjust_volume": {"adjust_volume": True},
}
COMBINED = {name: value for flag in FLAGS.values() for name, value in flag.items()}
SETTINGS = {**FLAGS, "all": COMBINED}
#: Volumes are scaled by a power of two, so that they are the same bits whichever way they are computed.
SPLIT = 4.0
#: What reads each price, the volume, other weeks and another symbol: all else is computed from the same bars.
FEW = "bars,returns,volume,relative,w_atr_14"
COMPARED = {"price": "adj", "benchmark": "QUIET", "dtype": "float64", "features": FEW}


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Histories with every kind of row that the settings look at, and unusable rows between them."""
    rng = np.random.default_rng(5)
    made = daily(SYMBOLS, N_DAYS, order="symbol").to_pandas()
    made["volume"] = made["volume"].astype(float)
    number = made.groupby("symbol").cumcount()
    for name in PRICES:  # half of a symbol's days repeat the day before; whole weeks of another do
        again = (made["symbol"] == "QUIET") & (rng.random(len(made)) < 0.5) | (number % 40).between(20, 31)
        made[name] = made[name].where(~again | (number == 0)).groupby(made["symbol"]).ffill()
    quiet = rng.choice(["volume", "zero", "null", "below"], len(made), p=[0.3, 0.4, 0.2, 0.1])
    for kind, volume in (("zero", 0.0), ("null", np.nan), ("below", -1.0)):
        made.loc[quiet == kind, "volume"] = volume
    for name in PRICES[:3]:  # of padding, the open, high and low may be the close, or missing
        kind = rng.random(len(made))
        made[name] = made[name].where(kind < 0.8, made["close"]).where(kind < 0.9)
    made["adj"] = made["close"].where(number >= N_DAYS // 2, made["close"] / SPLIT)
    for name in (*PRICES, "adj"):
        made.loc[rng.random(len(made)) < 0.02, name] = 0.0
        made[name] *= rng.choice([1.0, -1.0], len(made), p=[0.9, 0.1])
    return made


def table_of(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def kept(frame: pd.DataFrame) -> Iterator[int]:
    """The rows that are no padding, row by row."""
    before: dict[str, Any] = {}
    for row in frame.to_dict("records"):
        close, earlier = row["close"], before.get(row["symbol"])
        usable = close > 0 and row["adj"] > 0
        copy = usable and earlier is not None and close == earlier["close"] and not row["volume"] > 0
        for name in PRICES[:3]:
            copy = copy and (not row[name] > 0 or row[name] in (close, earlier[name]))
        yield not copy
        if usable:
            before[row["symbol"]] = row


def plain(frame: pd.DataFrame, settings: dict[str, Any]) -> pa.Table:
    """The rows from which an ordinary build makes the same bars."""
    if settings.get("negative_prices"):
        frame = frame.assign(**{name: frame[name].abs() for name in (*PRICES, "adj")})
    if settings.get("drop_padding"):
        frame = frame[list(kept(frame))]
        assert 500 < len(frame) < len(SYMBOLS) * N_DAYS - 50
    if settings.get("adjust_volume"):
        with np.errstate(all="ignore"):
            frame = frame.assign(volume=frame["volume"] * (frame["close"] / frame["adj"]))
    return table_of(frame)


def weekly(table: pa.Table) -> pa.Table:
    return table.select([name for name in table.column_names if name.startswith("w_")]).combine_chunks()


def of_keys(table: pa.Table, wanted: pa.Table) -> pa.Table:
    keys = set(zip(*(wanted.column(name).to_pylist() for name in ("symbol", "date")), strict=True))
    there = zip(*(table.column(name).to_pylist() for name in ("symbol", "date")), strict=True)
    return table.filter(pa.array([key in keys for key in there]))


@pytest.mark.parametrize("name", SETTINGS)
def test_bars_are_those_of_the_rows_that_they_are_made_of(
    name: str, frame: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, rows = SETTINGS[name], table_of(frame)
    expected_rows = plain(frame, settings)
    expected = build(write(expected_rows, tmp_path / "plain.parquet"), tmp_path / "expected", **COMPARED)
    for writer, (route, order) in zip(("fast", "arrow", "fast"), ROUTES.items(), strict=True):
        source = write(rows if order == "symbol" else shuffled(rows), tmp_path / f"{order}.parquet", row_group_size=40)
        build_by(route, source, tmp_path / route, monkeypatch, writer=writer, **COMPARED, **settings)
        built = read(tmp_path / route)
        assert built.select(rows.column_names).combine_chunks().to_pandas().equals(frame)
        assert weekly(of_keys(built, expected_rows)).equals(weekly(expected)), (route, writer)
    assert not weekly(build(write(rows, tmp_path / "clean.parquet"), tmp_path / "without", **COMPARED)).equals(
        weekly(built)
    )
    proof = verify(tmp_path / "partitioned", dates=3, symbols=3)
    assert proof.passed, [check.findings for check in proof.checks]


def test_workers_make_the_same(frame: pd.DataFrame, tmp_path: Path) -> None:
    source = write(table_of(frame), tmp_path / "prices.parquet")
    here = build(source, tmp_path / "here", **COMPARED, **COMBINED, jobs=1)
    there = build(source, tmp_path / "there", **COMPARED, **COMBINED, jobs=2, strategy="per-symbol")
    assert here.equals(there)


def treatment_without(none: dict[str, Any], *values: Any) -> Treatment:
    return replace(Treatment(*values), **none)


def test_the_reference_implementation_sees_rows_that_were_not_left_out(frame: pd.DataFrame, tmp_path: Path) -> None:
    """It would be of no use if it took the settings for granted: an output that claims others is found."""
    source = write(table_of(frame), tmp_path / "prices.parquet")
    for setting, no in (("drop_padding", False), ("negative_prices", "unusable"), ("adjust_volume", False)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(jobs, "Treatment", functools.partial(treatment_without, {setting: no}))
            report_of(source, tmp_path / setting, **COMPARED, **COMBINED)
            proof = verify(tmp_path / setting, dates=0, symbols=3)
        checks = {check.name: check.findings for check in proof.checks}
        assert checks["reference"], setting


def test_what_was_left_out_is_counted(frame: pd.DataFrame, tmp_path: Path) -> None:
    source = write(table_of(frame), tmp_path / "prices.parquet")
    report = report_of(source, tmp_path / "out", price="adj", drop_padding=True)
    assert report.padding_left_out == len(frame) - sum(kept(frame))
    assert report_of(source, tmp_path / "all", price="adj").padding_left_out == 0


def test_settings_that_contradict_others_are_refused(tmp_path: Path) -> None:
    write(table_of(pd.DataFrame({"symbol": ["A"], "date": business_days(1), "close": [1.0]})), tmp_path / "a.parquet")
    for flags, says in (
        (
            ["--adjust-volume"],
            "--adjust-volume scales the volume as an adjusted close tells; name its column with --price",
        ),
        (["--negative-prices", "absolute", "--on-intraday", "aggregate"], "leave one of them out"),
    ):
        refused = run_cli("build", "a.parquet", *flags, cwd=tmp_path)
        assert refused.returncode == 2
        assert says in " ".join(refused.stderr.split())


def test_a_history_that_ends_in_padding_is_verified(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Cut by its first year, for the warm-up, it begins with a row that repeats none: a bar that was not there."""
    rows = frame[frame["symbol"] == "AAA"].assign(volume=1.0)
    for name in (*PRICES, "adj"):
        rows[name] = np.where(np.arange(N_DAYS) < 200, 100.0 + np.arange(N_DAYS), 300.0)
    rows["volume"] = np.where(np.arange(N_DAYS) < 201, 1.0, 0.0)
    report = report_of(write(table_of(rows), tmp_path / "a.parquet"), tmp_path / "out", drop_padding=True)
    assert report.padding_left_out == N_DAYS - 201
    assert "padding" not in {finding.code for finding in report.findings}
    proof = verify(tmp_path / "out", dates=2)
    assert proof.passed, [check.findings for check in proof.checks]
