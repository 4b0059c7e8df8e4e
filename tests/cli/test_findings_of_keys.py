"""Findings from footers and keys: made data with each and without it, in the plan and in the report alike."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from frames import daily, report_of, run_cli, shuffled, write
from hypothesis import given, settings
from hypothesis import strategies as st

from weekly_cli.dataset.calendar import Calendar
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.findings import KINDS, Finding
from weekly_cli.names import ANCHORS
from weekly_cli.run import pipeline
from weekly_cli.run.wanted import wanted_by
from weekly_cli.settings import from_python, resolve

pytestmark = pytest.mark.slow

MONDAY = np.datetime64("2018-01-01")
FIVE_DAYS = {"Mon-Fri": (0, 1, 2, 3, 4), "Sun-Thu": (6, 0, 1, 2, 3), "Sat-Wed": (5, 6, 0, 1, 2)}
SEVEN_DAYS = tuple(range(7))


def findings(source: Path, **given: Any) -> dict[str, Finding]:
    """What the plan finds, by code."""
    config = resolve(from_python({"input": str(source), "output": str(source.parent / "out"), **given}))
    scan, plan = pipeline.plan_only(config)
    return {one.code: one for one in pipeline.findings_in_plan(scan, plan, config, wanted_by(config))}


def on_weekdays(weekdays: Sequence[int], n_weeks: int, first: np.datetime64 = MONDAY) -> np.ndarray[Any, Any]:
    """The days of so many weeks, of which the first one begins on a Monday."""
    days = first + np.arange(7 * n_weeks)
    return days[np.isin(np.arange(7 * n_weeks) % 7, weekdays)]


def rows_on(days: np.ndarray[Any, Any], kind: pa.DataType | None = None, symbols: Sequence[str] = ("AAA",)) -> pa.Table:
    """Rows of each symbol on each of the days, which may be moments."""
    made = daily(symbols, len(days))
    moments = pa.array(np.repeat(days, len(symbols)).astype("datetime64[ms]")).cast(kind or pa.date32(), safe=False)
    return made.set_column(1, "date", moments)


def test_a_clean_walk_has_none(tmp_path: Path) -> None:
    assert not findings(write(daily(["AAA", "BBB", "aab", "B.B"], 300), tmp_path / "prices.parquet"))


@pytest.mark.parametrize("week", FIVE_DAYS.values(), ids=FIVE_DAYS)
def test_the_anchor_that_fits_is_named(tmp_path: Path, week: Sequence[int]) -> None:
    """An anchor fits if it cuts no two consecutive sessions apart; a few sessions on other days do not count."""
    days = on_weekdays(week, 60)
    days = np.sort(np.append(days, np.setdiff1d(on_weekdays(SEVEN_DAYS, 60), days)[[7, 80]]))
    source = write(rows_on(days), tmp_path / "prices.parquet")
    for number, anchor in enumerate(ANCHORS):
        cut = number in week and (number + 1) % 7 in week
        found = findings(source, week=anchor)
        assert found.keys() == ({"wrong-anchor"} if cut else set())
        if cut:
            fitting = found["wrong-anchor"].help.split()[1]
            assert fitting == ANCHORS[week[-1]]
            assert not findings(source, week=fitting)


def test_a_market_of_seven_days_has_no_wrong_anchor(tmp_path: Path) -> None:
    source = write(rows_on(on_weekdays(SEVEN_DAYS, 30)), tmp_path / "prices.parquet")
    assert not any(findings(source, week=anchor) for anchor in ANCHORS)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Tokyo", "Asia/Kolkata"])
def test_midnights_of_the_east_in_utc_are_shifted(tmp_path: Path, zone: str) -> None:
    """With the zone in the type they are not; nor are closing times."""
    days = on_weekdays(FIVE_DAYS["Mon-Fri"], 60)
    local = pa.array(days.astype("datetime64[us]")).cast(pa.timestamp("us"))
    zoned = pa.compute.assume_timezone(local, zone)
    for kind, found in ((pa.timestamp("us", "UTC"), {"shifted-dates"}), (pa.timestamp("us", zone), set())):
        table = daily(["AAA"], len(days)).set_column(1, "date", zoned.cast(kind))
        source = write(table, tmp_path / f"{kind}.parquet".replace("/", "-"))
        assert findings(source).keys() == found
    closing = write(
        rows_on(days + np.timedelta64(15, "h") + np.timedelta64(30, "m"), pa.timestamp("us")), tmp_path / "c.parquet"
    )
    assert not findings(closing)


@pytest.mark.parametrize(
    ("shift", "months"), [(-1, range(4, 11)), (1, range(4, 11)), (1, (1, 2, 3, 11, 12)), (1, range(1, 13))]
)
def test_dates_that_are_shifted_for_half_of_the_year(tmp_path: Path, shift: int, months: Sequence[int]) -> None:
    """As summer time does it: the market's own days in one half, the days beside them in the other."""
    days = on_weekdays(FIVE_DAYS["Mon-Fri"], 130)
    moved = np.isin(days.astype("datetime64[M]").astype(int) % 12 + 1, months)
    found = findings(write(rows_on(np.where(moved, days + shift, days)), tmp_path / "prices.parquet"))
    assert found.keys() == {"shifted-dates"}
    assert found["shifted-dates"].count == pytest.approx(moved.sum(), rel=0.1)


def test_a_market_that_moves_its_week_is_not_shifted(tmp_path: Path) -> None:
    before = on_weekdays(FIVE_DAYS["Sun-Thu"], 60)
    after = on_weekdays(FIVE_DAYS["Mon-Fri"], 60, MONDAY + 7 * 61)
    assert not findings(write(rows_on(np.append(before, after)), tmp_path / "prices.parquet"))


@settings(max_examples=10, deadline=None)
@given(ahead=st.integers(-30, 30), repeats=st.integers(1, 3))
def test_dates_after_today(tmp_path_factory: pytest.TempPathFactory, ahead: int, repeats: int) -> None:
    today = np.datetime64(datetime.datetime.now(datetime.UTC).date())
    days = np.append(today - 400 + np.arange(60), today + ahead + np.arange(repeats))
    source = write(rows_on(days), tmp_path_factory.mktemp("future") / "prices.parquet")
    found = findings(source).get("future-dates")
    assert (found.count if found else 0) == int((days > today + 1).sum())
    assert not found or found.examples[0]["date"] == str(max(today + ahead, today + 2))


@pytest.mark.parametrize("gap", [7, 14, 28])
def test_weekly_rows(tmp_path: Path, gap: int) -> None:
    days = MONDAY + 4 + gap * np.arange(60)
    assert findings(write(rows_on(days), tmp_path / "prices.parquet")).keys() == {"weekly-input"}
    twice = np.sort(np.append(days, days - 3))
    assert not findings(write(rows_on(twice), tmp_path / "twice.parquet"))


def test_intraday_rows(tmp_path: Path) -> None:
    """Several rows a day at several times of day; repeated days without a time, or a few of them, are not."""
    days = on_weekdays(FIVE_DAYS["Mon-Fri"], 10)
    hours = (days[:, None] + np.arange(9, 16).astype("timedelta64[h]")).ravel()
    assert "intraday-input" in findings(write(rows_on(hours, pa.timestamp("ms")), tmp_path / "hours.parquet"))
    assert not findings(write(rows_on(np.repeat(days, 7)), tmp_path / "repeats.parquet"))
    few = np.append(days.astype("datetime64[h]"), days[:3] + np.timedelta64(9, "h"))
    assert not findings(write(rows_on(few, pa.timestamp("ms")), tmp_path / "few.parquet"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("brk.b", "BRK.B"), ("AAA", "AAA "), (" AAA", "AAA"), ("A  B", "A B"), ("AAA.", "AAA"), ("AAA", "A\u200bAA")),
        *(("CAF\u00c9", "CAFE\u0301"), ("\uff21AA", "AAA"), ("STRASSE", "strasse")),
    ],
)
def test_similar_symbols(tmp_path: Path, one: str, other: str) -> None:
    table = daily([one, "BBB", other, "CCC"], 30)
    found = findings(write(table, tmp_path / "prices.parquet"))
    assert found.keys() == {"similar-symbols"}
    assert found["similar-symbols"].count == 2
    assert all(repr(name) in str(found["similar-symbols"].examples[0]["what"]) for name in (one, other))
    assert not findings(tmp_path / "prices.parquet", symbols=[one, "BBB"])


def test_symbols_that_differ_are_not_similar(tmp_path: Path) -> None:
    symbols = ["AAA", "AAAA", "AA.A", "A-AA", "A/AA", "BRK.A", "BRK.B", "000001", "00001", "ÅAA"]
    assert not findings(write(daily(symbols, 30), tmp_path / "prices.parquet"))
    assert not findings(write(daily([1, 11, 111], 30), tmp_path / "integers.parquet"))


@pytest.mark.parametrize("left_out", [["open"], ["high", "low"], ["volume"], ["open", "high", "low", "volume"]])
def test_missing_roles(tmp_path: Path, left_out: list[str]) -> None:
    found = findings(write(daily().drop_columns(left_out), tmp_path / "prices.parquet"))
    assert found.keys() == {"missing-role"}
    assert f"no {', '.join(left_out)}:" in found["missing-role"].sentence


@pytest.mark.parametrize("name", ["adj_close", "Adj Close", "adjusted", "Adj-Close", "closeadj"])
def test_an_adjusted_close_that_is_there(tmp_path: Path, name: str) -> None:
    """It is said with the flag that uses it, and not where it is used, or is no number."""
    table = daily()
    source = write(table.append_column(name, table["close"]), tmp_path / "prices.parquet")
    found = findings(source)
    assert found.keys() == {"adjusted-close-available"}
    assert name in found["adjusted-close-available"].help
    assert not findings(source, price=name)
    assert "adjusted-close-available" not in findings(source, columns={"close": name})
    assert not findings(write(table.append_column(name, table["symbol"]), tmp_path / "text.parquet"))


def test_files_that_may_hold_prices_and_are_not_read(tmp_path: Path) -> None:
    """Hidden files and other formats; not what writers leave, or a list of sectors."""
    folder = tmp_path / "prices"
    write(daily(), folder / "a.parquet")
    for name in ("_SUCCESS", ".a.parquet.crc", "README.md", ".DS_Store"):
        (folder / name).write_bytes(b"x")
    (folder / "sectors.csv").write_text("symbol,sector\nAAA,BBB\n")
    assert not findings(folder)
    write(daily(["DDD"]), folder / ".hidden.parquet")
    (folder / "other.feather").write_bytes(b"ARROW1")
    found = findings(folder)
    assert found.keys() == {"skipped-files"}
    assert found["skipped-files"].count == 2


# ---- what is done with them --------------------------------------------------------------------------------


def test_plan_report_and_their_json_say_the_same(tmp_path: Path) -> None:
    source = write(daily(["AAA", "aaa"]).drop_columns(["open"]), tmp_path / "prices.parquet")
    planned, built = (
        run_cli(command, source, "--output", tmp_path / "out", "--json", cwd=tmp_path) for command in ("plan", "build")
    )
    found = json.loads(planned.stdout)["findings"]
    assert found == json.loads(built.stdout)["findings"]
    assert [one["code"] for one in found] == ["similar-symbols", "missing-role"]
    shown = " ".join(run_cli("plan", source, "--output", tmp_path / "other", cwd=tmp_path).stdout.split())
    for one in found:
        assert set(one) == {"code", "count", "sentence", "help", "examples"}
        assert f"{one['code']}: {one['sentence']}" in shown
        assert f"{one['code']}: {one['sentence']}" in " ".join(built.stderr.split())


@pytest.mark.parametrize("codes", ["missing-role", ["similar-symbols", "missing-role"], "all"])
def test_what_is_not_wanted_ends_a_run_before_anything_is_published(tmp_path: Path, codes: Any) -> None:
    source = write(daily(["AAA", "aaa"]).drop_columns(["open"]), tmp_path / "prices.parquet")
    with pytest.raises(InputRefused, match=r"no open.*--ignore|similar-symbols.*'AAA' and 'aaa'.*--ignore"):
        report_of(source, tmp_path / "out", fail_on=codes)
    with pytest.raises(InputRefused):
        findings(source, fail_on=codes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["prices.parquet"]
    known = ["similar-symbols", "missing-role"]
    assert report_of(source, tmp_path / "out", fail_on=codes, ignore=known).findings == ()


def test_what_is_known_is_not_said(tmp_path: Path) -> None:
    source = write(daily(["AAA", "aaa"]).drop_columns(["open"]), tmp_path / "prices.parquet")
    assert findings(source, ignore="missing-role").keys() == {"similar-symbols"}
    assert findings(source, ignore="missing-role", fail_on="missing-role").keys() == {"similar-symbols"}
    with pytest.raises(UsageError, match="did you mean missing-role"):
        findings(source, ignore="missing-roles")


def test_every_code_is_in_the_table_of_the_documentation() -> None:
    page = (Path(pipeline.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert all(f"| `{code}` |" in page for code in KINDS)


# ---- the calendar ------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(
    days=st.lists(st.integers(-700_000, 2_900_000), min_size=1, max_size=40),
    near=st.lists(st.integers(17_000, 17_800), max_size=40),
    groups=st.integers(1, 50),
)
def test_the_calendar_counts_the_rows_of_each_day(
    tmp_path_factory: pytest.TempPathFactory, days: list[int], near: list[int], groups: int
) -> None:
    """However the rows are ordered and cut into row groups, and however far apart their days are."""
    numbers = np.array(days + near, np.int64)
    table = shuffled(daily(["AAA"], len(numbers)).set_column(1, "date", pa.array(numbers.astype("datetime64[D]"))))
    source = write(table, tmp_path_factory.mktemp("calendar") / "prices.parquet", row_group_size=groups)
    config = resolve(from_python({"input": str(source), "output": str(source.with_name("out"))}))
    calendar: Calendar = pipeline.plan_only(config)[0].calendar
    seen, counts = np.unique(numbers, return_counts=True)
    assert calendar.days.tolist() == seen.tolist()
    assert calendar.rows.tolist() == counts.tolist()
    assert sum(calendar.rows_by_weekday.tolist()) == len(numbers)
    years = {year: part.days.tolist() for year, part in calendar.by_year()}
    assert years == {
        year: [day for day in seen.tolist() if _date(day).year == year]
        for year in sorted({_date(d).year for d in seen.tolist()})
    }


def _date(day: int) -> datetime.date:
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
