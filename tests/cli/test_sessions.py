"""Several rows of a symbol's session: repeats by their moments, what they differ in, the day's bar of intraday rows."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from frames import ROUTES, build, build_by, daily, in_order, read, report_of, shuffled, write

from weekly_cli.errors import InputRefused
from weekly_cli.run.repeats import Repeats
from weekly_cli.verify import verify

pytestmark = pytest.mark.slow

UTC = datetime.UTC
MONDAY = datetime.datetime(2024, 1, 8)


def at(day: int, hour: int, minute: int = 0) -> datetime.datetime:
    return MONDAY + datetime.timedelta(days=day, hours=hour, minutes=minute)


def refusal(source: Path, folder: Path, **settings: Any) -> str:
    with pytest.raises(InputRefused) as caught:
        build(source, folder / "refused", **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def prices(rows: Sequence[tuple[Any, ...]], names: str = "symbol date close mark", **kinds: pa.DataType) -> pa.Table:
    columns = dict(zip(names.split(), map(list, zip(*rows, strict=True)), strict=True))
    return pa.table({name: pa.array(values, kinds.get(name)) for name, values in columns.items()})


# ---- first and last --------------------------------------------------------------------------------------

#: The later moment comes first, one moment comes twice; `mark` is the row.
REPEATED = [
    ("A", at(0, 16), 1.0, 0),
    ("A", at(0, 9), 2.0, 1),
    ("A", at(0, 9), 3.0, 2),
    ("A", at(1, 9), 4.0, 3),
    ("B", at(0, 17), 5.0, 4),
    ("B", at(0, 18), 6.0, 5),
    ("B", at(0, 18), 7.0, 6),
    ("B", at(0, 10), 8.0, 7),
]
LATER_KIND = {
    "timestamp": lambda moment: moment,
    "text": lambda moment: moment.isoformat(),
    "text with an offset": lambda moment: moment.isoformat() + "-05:00",
    "time zone": lambda moment: moment.replace(tzinfo=UTC),
    "epoch": lambda moment: int(moment.replace(tzinfo=UTC).timestamp()),
    "text of a format": lambda moment: f"{moment:%m/%d/%Y %I %p}",
}


@pytest.mark.parametrize("kind", LATER_KIND)
@pytest.mark.parametrize(("keep", "marks"), [("first", [1, 3, 7]), ("last", [0, 3, 6])])
def test_first_and_last_are_moments_and_the_order_of_rows_only_within_one(
    tmp_path: Path, kind: str, keep: str, marks: list[int]
) -> None:
    table = prices([(symbol, LATER_KIND[kind](moment), *rest) for symbol, moment, *rest in REPEATED])
    source = write(table, tmp_path / "p.parquet")
    settings = {"date_format": "%m/%d/%Y %I %p"} if kind == "text of a format" else {}
    report = report_of(source, tmp_path / "out", on_duplicates=keep, **settings)
    assert read(tmp_path / "out").column("mark").to_pylist() == marks
    assert report.duplicates_dropped == 5
    assert (report.duplicates_identical, report.duplicates_differing) == (0, {"close": 2, "mark": 2})
    assert verify(tmp_path / "out").passed


def test_offsets_count_where_text_has_them(tmp_path: Path) -> None:
    rows = [("A", "2024-01-08T10:00:00+05:00", 1.0, 0), ("A", "2024-01-08T09:00:00-05:00", 2.0, 1)]
    source = write(prices(rows), tmp_path / "p.parquet")
    assert build(source, tmp_path / "out", on_duplicates="last").column("mark").to_pylist() == [1]
    assert verify(tmp_path / "out").passed


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("keep", ["first", "last"])
def test_every_route_keeps_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: str, route: str
) -> None:
    days = daily(n_days=40)
    moments = days.column("date").cast(pa.timestamp("ms"))
    hours = [pc.add(moments, pa.scalar(datetime.timedelta(hours=hour), pa.duration("ms"))) for hour in (16, 9, 9)]
    tables = [days.set_column(1, "date", hour).append_column("n", [[n] * 120]) for n, hour in enumerate(hours)]
    table = pa.concat_tables(tables)
    table = in_order(table) if route == "clustered" else table
    source = write(table, tmp_path / "in/p.parquet", row_group_size=50)
    report = build_by(route, source, tmp_path / "out", monkeypatch, on_duplicates=keep, features="w_close")
    assert set(read(tmp_path / "out").column("n").to_pylist()) == {1 if keep == "first" else 0}
    assert (report.rows, report.duplicates_dropped) == (120, 240)


def test_what_repeats_is_told(tmp_path: Path) -> None:
    """Copies, and rows that differ; null equals null, NaN equals NaN, and so do lists."""
    day = datetime.date(2024, 1, 8)
    rows = [
        ("A", day, 1.0, math.nan, None, [1]),
        ("A", day, 1.0, math.nan, None, [1]),
        ("A", day, 1.0, math.nan, "x", [1, 2]),
        ("B", day, 2.0, 1.0, "y", None),
        ("B", day, 2.5, 1.0, "y", None),
    ]
    source = write(prices(rows, "symbol date close x y z"), tmp_path / "p.parquet")
    told = refusal(source, tmp_path)
    assert told.startswith("3 rows")
    assert "1 identical in all columns, the others differ in close (1), y (1), z (1);" in told
    assert "symbol=" not in told
    copies = write(prices([rows[0]] * 3, "symbol date close x y z"), tmp_path / "copies.parquet")
    assert ": identical in all columns; remove them" in refusal(copies, tmp_path)


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int8(), pa.string())], ids=str)
def test_a_column_that_tells_series_apart_is_named(tmp_path: Path, kind: pa.DataType) -> None:
    days = daily(["A", "B"], 30)
    both = [days.append_column("series", pa.array([name] * 60).cast(kind)) for name in ("EQ", "BE")]
    source = write(pa.concat_tables(both), tmp_path / "p.parquet")
    assert "differ in series (60); pass --columns symbol=symbol+series, as" in refusal(source, tmp_path)
    third = pa.concat_tables([*both, both[0].slice(7, 1)])
    assert "symbol=" not in refusal(write(third, tmp_path / "q.parquet"), tmp_path)
    orders = pa.array([f"order {row}" for row in range(120)])
    unique = write(pa.concat_tables([days, days]).append_column("order", orders), tmp_path / "r.parquet")
    assert "symbol=" not in refusal(unique, tmp_path)


def test_repeats_come_back_from_the_journal() -> None:
    repeats = Repeats(3, 1, {"close": 2}, ("series",), ((0, 5), (1, 6)), 4, 2, ((0, 5, "a", "b"),))
    assert Repeats.of(json.loads(json.dumps(dataclasses.asdict(repeats)))) == repeats
    total = repeats + Repeats() + Repeats(1, 0, {"close": 1, "x": 1}, ("series", "x"))
    assert (total.rows, total.differing, total.telling) == (4, {"close": 3, "x": 1}, ("series",))
    assert (repeats + Repeats(1, 0, {}, ())).telling == ()


# ---- intraday --------------------------------------------------------------------------------------------

NAMES = "symbol date open high low close volume venue"
HALVES = [  # in no order
    ("A", at(0, 12), 2.0, 9.0, 1.5, 3.0, 20, "y"),
    ("A", at(0, 9), 1.0, 4.0, 0.5, 2.0, 10, "x"),
    ("A", at(0, 16), 5.0, 8.0, 1.0, 6.0, 30, None),
    ("A", at(1, 16), 7.0, 7.5, 6.5, 7.0, 40, "z"),
    # no usable price at 9, at 16 no close; the opening of 10 is missing, the low of 12 is zero
    ("B", at(0, 9), 0.0, 99.0, 0.1, None, 1000, "p"),
    ("B", at(0, 10), None, 3.0, 2.0, 2.5, 5, "q"),
    ("B", at(0, 12), 2.25, math.nan, 0.0, 2.75, -1, "r"),
    ("B", at(0, 16), 8.0, 100.0, 0.2, 0.0, 1000, "s"),
    # nothing is usable: the last moment stays
    ("B", at(1, 9), 1.0, 2.0, 1.0, None, 5, "t"),
    ("B", at(1, 10), 3.0, 4.0, 3.0, -1.0, 6, "u"),
]
BARS = [
    ("A", at(0, 16), 1.0, 9.0, 0.5, 6.0, 60, None),
    ("A", at(1, 16), 7.0, 7.5, 6.5, 7.0, 40, "z"),
    ("B", at(0, 16), 2.25, 3.0, 2.0, 2.75, 5, "s"),
    ("B", at(1, 10), 3.0, 4.0, 3.0, -1.0, 6, "u"),
]


def test_the_days_bar_is_that_of_its_moments(tmp_path: Path) -> None:
    table = prices(HALVES, NAMES)
    source = write(table, tmp_path / "p.parquet")
    report = report_of(source, tmp_path / "out", on_intraday="aggregate", features="w_close", allow_empty=True)
    out = read(tmp_path / "out").select(table.column_names)
    assert out.to_pylist() == prices(BARS, NAMES).to_pylist()
    assert out.schema.equals(read(source).schema)
    assert (report.rows, report.intraday_rows, report.intraday_sessions) == (4, 9, 3)
    assert report.duplicates_dropped == 0
    assert verify(tmp_path / "out").passed


def test_intraday_rows_are_refused_with_the_way_out(tmp_path: Path) -> None:
    source = write(prices(HALVES, NAMES), tmp_path / "p.parquet")
    told = refusal(source, tmp_path)
    assert "is intraday: 3 rows a symbol and day in 3 sessions (first: A 2024-01-08 09:00:00 and" in told
    assert "--on-intraday aggregate" in told
    assert "p.parquet" in told


def test_repeats_of_a_moment_stay_repeats(tmp_path: Path) -> None:
    rows = [*HALVES, ("A", at(0, 12), 2.0, 10.0, 1.5, 3.0, 100, "y")]
    source = write(prices(rows, NAMES), tmp_path / "p.parquet")
    told = refusal(source, tmp_path, on_intraday="aggregate")
    assert told.startswith("1 rows")
    assert "differ in high (1), volume (1)" in told
    for keep, volume, high in (("first", 60, 9.0), ("last", 140, 10.0)):
        settings = {"on_intraday": "aggregate", "on_duplicates": keep, "features": "w_close"}
        report = report_of(source, tmp_path / keep, **settings, allow_empty=True)
        out = read(tmp_path / keep)
        assert (out.column("volume")[0].as_py(), out.column("high")[0].as_py()) == (volume, high)
        assert (report.duplicates_dropped, report.intraday_rows, report.rows) == (1, 9, 4)
        assert verify(tmp_path / keep).passed


def test_days_without_a_time_are_repeats_whatever_is_said(tmp_path: Path) -> None:
    table = daily(["A"], 10)
    midnights = table.set_column(1, "date", table.column("date").cast(pa.timestamp("us")))
    for number, rows in enumerate((table, midnights)):
        source = write(pa.concat_tables([rows, rows]), tmp_path / f"{number}.parquet")
        assert refusal(source, tmp_path, on_intraday="aggregate").startswith("10 rows")


def hourly(n_days: int = 30, *, seed: int = 3) -> pa.Table:
    """Seven moments a day of three symbols, some of whose prices and volumes are not usable."""
    rng = np.random.default_rng(seed)
    days = daily(["A", "B", "C"], n_days * 7, seed=seed)
    n = np.repeat(np.arange(n_days * 7), 3)
    moments = np.busday_offset("2023-01-02", n // 7).astype("datetime64[us]") + (9 + n % 7).astype("timedelta64[h]")
    table = days.set_column(1, "date", pa.array(moments))
    for name in ("open", "high", "low", "close", "volume"):
        values = table.column(name).to_pylist()
        for row in rng.choice(len(values), len(values) // 8, replace=False):
            values[row] = [None, 0, -1][row % 3]
        table = table.set_column(table.column_names.index(name), name, pa.array(values, table.schema.field(name).type))
    return table.append_column("mark", [list(range(len(table)))])


def by_hand(table: pa.Table) -> list[dict[str, Any]]:
    """The day's bars, one row at a time."""
    sessions: dict[Any, list[dict[str, Any]]] = {}
    for row in sorted(table.to_pylist(), key=lambda row: (row["symbol"], row["date"])):
        sessions.setdefault((row["symbol"], row["date"].date()), []).append(row)
    bars = []
    for rows in sessions.values():
        bar = dict(rows[-1])
        rows = [row for row in rows if row["close"] is not None and row["close"] > 0]
        used = {
            name: [
                row[name] for row in rows if row[name] is not None and row[name] >= (0 if name == "volume" else 1e-9)
            ]
            for name in ("open", "high", "low", "close", "volume")
        }
        picks = {"open": lambda x: x[0], "high": max, "low": min, "close": lambda x: x[-1], "volume": sum}
        bars.append(bar | {name: pick(used[name]) for name, pick in picks.items() if used[name]})
    return bars


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_makes_the_same_bars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str) -> None:
    table = hourly()
    rows = in_order(table) if route == "clustered" else shuffled(table)
    source = write(rows, tmp_path / "in/p.parquet", row_group_size=70)
    settings: dict[str, Any] = {"on_intraday": "aggregate", "benchmark": ["B"]}
    report = build_by(route, source, tmp_path / "out", monkeypatch, **settings)
    out = read(tmp_path / "out")
    assert out.select(table.column_names).to_pylist() == by_hand(table)
    assert report.intraday_rows == table.num_rows
    days = write(out.select(table.column_names), tmp_path / "days.parquet")
    assert build(days, tmp_path / "again", benchmark=["B"]).equals(out)
    proof = verify(tmp_path / "out")
    assert [finding for check in proof.checks for finding in check.findings] == []


VOLUMES: dict[str, tuple[pa.DataType, Any]] = {
    "float32": (pa.float32(), 0.5),
    "float64": (pa.float64(), 0.125),
    "int32": (pa.int32(), 7),
    "uint64": (pa.uint64(), 2**50),
    "decimal": (pa.decimal128(12, 2), Decimal("0.01")),
    "decimal256": (pa.decimal256(40, 2), Decimal("123456789.01")),
    "null": (pa.null(), None),
}


@pytest.mark.parametrize("name", VOLUMES)
def test_sums_and_prices_keep_their_types(tmp_path: Path, name: str) -> None:
    kind, value = VOLUMES[name]
    price = pa.decimal128(9, 3)
    rows = [("A", at(day, hour), Decimal(hour), value) for day in range(20) for hour in (16, 10, 12)]
    table = prices(rows, "symbol date close volume", volume=kind, close=price)
    out = build(write(table, tmp_path / "p.parquet"), tmp_path / "out", on_intraday="aggregate", features="w_close")
    assert out.schema.field("volume").type == kind
    assert set(out.column("volume").to_pylist()) == {None if value is None else 3 * value}
    assert set(out.column("close").to_pylist()) == {Decimal(16)}
    assert verify(tmp_path / "out").passed


@pytest.mark.parametrize("kind", [pa.int16(), pa.int64(), pa.decimal128(5, 0)], ids=str)
def test_a_sum_that_does_not_fit_is_refused(tmp_path: Path, kind: pa.DataType) -> None:
    most = {"int16": 2**15 - 1, "int64": 2**63 - 1}.get(str(kind), Decimal(99999))
    rows = [("A", at(0, hour), 1.0, most) for hour in (9, 10)]
    source = write(prices(rows, "symbol date close volume", volume=kind), tmp_path / "p.parquet")
    told = refusal(source, tmp_path, on_intraday="aggregate", allow_empty=True)
    assert "'volume'" in told
    assert str(kind) in told


def test_the_adjusted_close_is_that_of_the_close(tmp_path: Path) -> None:
    rows = [("A", at(0, 9), 10.0, 5.0), ("A", at(0, 12), 12.0, 6.0), ("A", at(0, 16), 14.0, None)]
    source = write(prices(rows, "symbol date close adj"), tmp_path / "p.parquet")
    settings: dict[str, Any] = {"on_intraday": "aggregate", "price": "adj", "features": "w_close"}
    out = build(source, tmp_path / "out", **settings, allow_empty=True)
    assert out.select(["close", "adj"]).to_pylist() == [{"close": 12.0, "adj": 6.0}]
    assert verify(tmp_path / "out").passed


@pytest.mark.parametrize("name", ["open", "high", "low", "close", "volume", "mark"])
def test_a_wrong_bar_is_found(tmp_path: Path, name: str) -> None:
    source = write(hourly(), tmp_path / "p.parquet")
    out = build(source, tmp_path / "out.parquet", on_intraday="aggregate", features="w_close")
    place = out.column_names.index(name)
    values = out.column(name).to_pylist()
    values[11] = 12345
    wrong = out.set_column(place, out.schema.field(place), pa.array(values, out.schema.field(place).type))
    write(wrong, tmp_path / "out.parquet")
    assert "rows" in [check.name for check in verify(tmp_path / "out.parquet").checks if not check.passed]
