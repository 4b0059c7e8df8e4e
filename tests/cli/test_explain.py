"""`explain`: which week a row sees and why, against calendars, the output's own values, and cut inputs."""

from __future__ import annotations

import datetime
import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import ROOT, build, daily, run_cli, run_words, write

import weekly_cli
from weekly_cli.errors import UsageError
from weekly_cli.questions.explanation import Explanation

SAMPLE = ROOT / "sample_data"
#: A generous bound: it takes about 0.4 s on a free core.
SECONDS = 5.0


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("explain") / "out"
    build(SAMPLE, output, benchmark=["BXA"])
    return output


@pytest.fixture(scope="module")
def prices() -> pa.Table:
    return daily(("AAA", "BBB"), 400)


def explained(table: pa.Table, folder: Path, date: str, feature: str | None = None, **settings: object) -> Explanation:
    build(write(table, folder / "in.parquet"), folder / "out", **settings)
    return weekly_cli.explain(folder / "out", "AAA", date, feature)


def test_friday_is_answered_in_one_sentence(sample: Path) -> None:
    found = weekly_cli.explain(sample, "ABIQA", "2023-03-10")
    assert found.summary == (
        "Friday 2023-03-10 shows the week that ended on Friday 2023-03-03: its own week ends on this very day, whose "
        "close nobody knows when the day begins, so that week's bar is seen from Saturday 2023-03-11 on."
    )
    assert found.agrees
    assert found.n_compared == 60


def test_the_process_draws_a_calendar_and_formulas_in_time(sample: Path) -> None:
    began = time.perf_counter()
    done = run_cli("explain", sample, "ABIQA", "2023-03-10", "--feature", "w_rsi_14")
    assert time.perf_counter() - began < SECONDS
    assert done.returncode == 0, done.stderr
    assert "2023-03-03   .    .  [27] [28]  [1]  [2]  [3]  the bar it sees" in done.stdout
    assert "2023-03-10   .    .    6    7    8    9  >10<  its own week, seen from Sat 03-11" in done.stdout
    assert "= 100 * 0.066728185 / (0.066728185 + 0.081134427)" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_json_is_what_python_returns(sample: Path) -> None:
    done = run_cli("explain", sample, "ABIQA", "2023-03-10", "--feature", "w_ret", "--json")
    found = weekly_cli.explain(sample, "ABIQA", datetime.date(2023, 3, 10), "w_ret").to_dict()
    assert json.loads(done.stdout) == found
    assert found["feature"]["workings"][0]["with_numbers"] == "ln(3.15 / 2.97)"


def test_all_features_of_several_rows_agree_with_their_daily_rows(sample: Path) -> None:
    rng = np.random.default_rng(1)
    for symbol in ("ABIQA", "BRK/B", "C", "BXA"):
        days = build_days(sample, symbol)
        for day in rng.choice(days, 5):
            found = weekly_cli.explain(sample, symbol, str(day))
            assert found.differing == (), (symbol, day)
            assert found.n_compared == 60
            if found.bar is not None:
                assert all(row.date < found.bar.seen_from <= found.date for row in found.bar.days)
                assert found.bar.first_row <= found.date <= found.bar.last_row


def build_days(output: Path, symbol: str) -> list[datetime.date]:
    from weekly_cli.questions.built import open_output

    days: list[datetime.date] = open_output(output).rows([symbol], columns=["date"]).column("date").to_pylist()
    return days


def test_a_day_without_a_row_names_the_nearest_sessions(sample: Path) -> None:
    done = run_cli("explain", sample, "ABIQA", "2023-03-11")
    assert done.returncode == 2
    assert "no row of ABIQA on Saturday 2023-03-11" in done.stderr
    assert "Friday 2023-03-10 and Monday 2023-03-13" in done.stderr
    with pytest.raises(UsageError, match="the nearest is of Friday 2023-12-29"):
        weekly_cli.explain(sample, "ABIQA", "2024-01-01")


def test_wrong_names_are_refused_with_a_hint(sample: Path) -> None:
    assert "did you mean w_rsi_14?" in run_cli("explain", sample, "BXA", "2023-03-10", "--feature", "w_rsi14").stderr
    assert "did you mean ABIQA?" in run_cli("explain", sample, "ABIQ", "2023-03-10").stderr
    assert "takes a date such as" in run_cli("explain", sample, "BXA", "10.3.2023").stderr


# ---- situations ------------------------------------------------------------------------------------------


def changed(prices: pa.Table, symbol: str, day: str, **values: float | None) -> pa.Table:
    """The prices with other values in one row."""
    frame = prices.to_pandas()
    row = frame.index[(frame["symbol"] == symbol) & (frame["date"] == datetime.date.fromisoformat(day))]
    assert len(row) == 1
    for name, value in values.items():
        frame[name] = frame[name].astype(float)
        frame.loc[row, name] = np.nan if value is None else value
    return pa.Table.from_pandas(frame, preserve_index=False)


def without(prices: pa.Table, symbol: str, first: str, last: str) -> pa.Table:
    frame = prices.to_pandas()
    days = frame["date"].astype(str)
    return pa.Table.from_pandas(
        frame[~((frame["symbol"] == symbol) & (days >= first) & (days <= last))], preserve_index=False
    )


def test_a_row_before_the_first_bar_is_told_when_it_comes(prices: pa.Table, tmp_path: Path) -> None:
    found = explained(prices, tmp_path, "2022-01-07", "w_rsi_14")
    assert found.summary == (
        "Friday 2022-01-07 shows no bar, and all its weekly values are null: the first bar of AAA is that of the week "
        "to Friday 2022-01-07, which is seen from Saturday 2022-01-08 on, here first by the row of Monday 2022-01-10."
    )
    assert found.bar is None
    assert found.feature is not None
    assert (found.feature.null, found.agrees) == ("the row sees no bar", True)


def test_a_feature_that_needs_more_bars_says_when_it_begins(prices: pa.Table, tmp_path: Path) -> None:
    found = explained(prices, tmp_path, "2022-01-17", "w_rsi_14").feature
    assert found is not None
    assert found.null == (
        "w_rsi_14 needs 15 bars, and up to this one there are 2: its first value is that of the week to 2022-04-15, "
        "here first by the row of Monday 2022-04-18"
    )
    first = weekly_cli.explain(tmp_path / "out", "AAA", "2022-04-18", "w_rsi_14").feature
    before = weekly_cli.explain(tmp_path / "out", "AAA", "2022-04-15", "w_rsi_14").feature
    assert first is not None
    assert before is not None
    assert (first.null, before.value.stored == before.value.stored) == ("", False)
    assert first.workings[1].note == "the seed: the first of its values, at bar 14"
    late = weekly_cli.explain(tmp_path / "out", "AAA", "2023-07-07", "w_sma_200").feature
    assert late is not None
    assert "will be that of the week to 2025-10-31 at the earliest, seen from Saturday 2025-11-01 on" in late.null


def test_week_end_lets_a_friday_see_its_own_week(prices: pa.Table, tmp_path: Path) -> None:
    found = explained(prices, tmp_path, "2022-06-10", available="week-end")
    assert found.summary.startswith("Friday 2022-06-10 shows its own week: it ends on this day, and --available")
    assert found.bar is not None
    assert found.bar.period_end == found.date == found.bar.seen_from
    thursday = weekly_cli.explain(tmp_path / "out", "AAA", "2022-06-09")
    assert "its own week is not over before Friday 2022-06-10" in thursday.summary
    assert thursday.bar is not None
    assert thursday.bar.last_row == thursday.date


def test_other_weeks_are_drawn_from_their_first_day(prices: pa.Table, tmp_path: Path) -> None:
    build(write(prices, tmp_path / "in.parquet"), tmp_path / "out", week="W-TUE")
    said = run_cli("explain", tmp_path / "out", "AAA", "2022-06-08").stdout
    assert "week to     Wed  Thu  Fri  Sat  Sun  Mon  Tue" in said
    assert "2022-06-07  [1]  [2]  [3]   .    .   [6]  [7]  the bar it sees" in said
    assert "2022-06-14  >8<   9   10" in said


def test_weeks_without_a_row_are_skipped_and_told(prices: pa.Table, tmp_path: Path) -> None:
    found = explained(without(prices, "AAA", "2022-05-09", "2022-06-08"), tmp_path, "2022-06-10")
    assert "ended on Friday 2022-05-06: the 4 weeks after that have no usable row of AAA, and" in found.summary
    assert [week.is_bar for week in found.calendar] == [True, False, False, False, False, False]
    assert [bool(week.sessions) for week in found.calendar] == [True, False, False, False, False, True]
    assert found.agrees


def test_rows_that_add_nothing_are_told(prices: pa.Table, tmp_path: Path) -> None:
    table = changed(prices, "AAA", "2022-06-01", close=None)
    table = changed(table, "AAA", "2022-05-30", open=-1.0, volume=-4.0)
    found = explained(table, tmp_path, "2022-06-10")
    assert found.bar is not None
    assert [day.note for day in found.bar.days] == ["unusable: open, volume", "", "left out: its close", "", ""]
    assert [day.is_used for day in found.bar.days] == [True, True, False, True, True]
    frame = table.to_pandas().query("symbol == 'AAA'").set_index("date")
    assert found.bar.workings[0].value == frame.loc[datetime.date(2022, 5, 31), "open"]
    assert "(1)" in run_cli("explain", tmp_path / "out", "AAA", "2022-06-10").stdout


def test_padding_and_adjusted_prices_are_read_from_the_record(prices: pa.Table, tmp_path: Path) -> None:
    frame = prices.to_pandas()
    row = frame.index[(frame["symbol"] == "AAA") & (frame["date"] == datetime.date(2022, 6, 1))][0]
    before = frame.index[(frame["symbol"] == "AAA") & (frame["date"] == datetime.date(2022, 5, 31))][0]
    for name in ("open", "high", "low", "close"):
        frame.loc[row, name] = frame.loc[before, "close"]
    frame.loc[row, "volume"] = 0
    frame["adjusted"] = frame["close"] * 0.5
    table = pa.Table.from_pandas(frame, preserve_index=False)
    found = explained(
        table, tmp_path, "2022-06-10", "w_volume_ratio_12", price="adjusted", drop_padding=True, adjust_volume=True
    )
    assert found.agrees
    assert found.bar is not None
    assert [day.note for day in found.bar.days] == ["", "", "left out: padding", "", ""]
    assert [day.factor for day in found.bar.days] == [0.5, 0.5, None, 0.5, 0.5]
    assert found.bar.workings[0].value == 0.5 * found.bar.days[0].values["open"]
    assert [note.split(":")[0] for note in found.notes] == ["--price adjusted", "--adjust-volume", "--drop-padding"]


@pytest.mark.parametrize("setting", [{"negative_prices": "absolute"}, {"on_duplicates": "first"}, {}])
def test_settings_of_the_build_are_taken_from_its_record(
    prices: pa.Table, tmp_path: Path, setting: dict[str, str]
) -> None:
    frame = prices.to_pandas()
    if "negative_prices" in setting:
        frame.loc[50:300, ["open", "high", "low", "close"]] *= -1
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if "on_duplicates" in setting:
        again = changed(prices, "AAA", "2022-06-01", close=50.0).slice(150, 300)
        table = pa.concat_tables([table, again.cast(table.schema)])
    for day in ("2022-06-10", "2022-12-07", "2023-05-02"):
        found = explained(table, tmp_path / day, day, **setting)
        assert found.agrees, found.conclusion
        assert [note.split()[0].removeprefix("--").replace("-", "_") for note in found.notes] == list(setting)


def test_a_null_names_the_input_that_is_missing(prices: pa.Table, tmp_path: Path) -> None:
    gap = without(prices, "BBB", "2022-05-09", "2022-05-13")
    found = explained(gap, tmp_path / "gap", "2022-06-10", "w_rs_bbb_norm", benchmark=["BBB"]).feature
    assert found is not None
    assert found.null == "BBB, with which it is compared, has no bar in the week to 2022-05-13"
    bare = prices.drop_columns(["volume"])
    found = explained(bare, tmp_path / "bare", "2022-06-10", "w_volume_ratio_12").feature
    assert found is not None
    assert found.null == "the output has no volume column"
    flat = prices.to_pandas()
    flat[["open", "high", "low", "close"]] = 10.0
    flat = pa.Table.from_pandas(flat, preserve_index=False)
    found = explained(flat, tmp_path / "flat", "2022-12-09", "w_dist_sma_20_z").feature
    assert found is not None
    assert found.null == "w_dist_sma_20_z = (0 - 0) / 0 has no result: it divides by zero"


def test_an_output_that_begins_later_says_that_rows_are_missing(prices: pa.Table, tmp_path: Path) -> None:
    found = explained(prices, tmp_path, "2022-09-16", "w_rsi_14", start="2022-06-08")
    assert found.bar is not None
    assert found.bar.number == 35
    assert not found.agrees
    assert "it was built with --start 2022-06-08, and the rows before that date are not in it" in found.conclusion
    assert {"w_rsi_14", "w_mom_26"} <= {value.column for value in found.differing}
    assert not {"w_close", "w_bars", "w_mom_4", "w_vol_4"} & {value.column for value in found.differing}
    first = weekly_cli.explain(tmp_path / "out", "AAA", "2022-06-08")
    assert "shows the week that ended on Friday 2022-06-03, of which this output has no rows" in first.summary


def test_a_value_that_its_rows_do_not_give_is_found(prices: pa.Table, tmp_path: Path) -> None:
    build(write(prices, tmp_path / "in.parquet"), tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    closes = table.column("close").to_pylist()
    (row,) = (
        number
        for number, key in enumerate(zip(table["symbol"].to_pylist(), table["date"].to_pylist(), strict=True))
        if key == ("AAA", datetime.date(2022, 6, 3))
    )
    closes[row] *= 1.5
    table = table.set_column(table.column_names.index("close"), table.schema.field("close"), pa.array(closes))
    pq.write_table(table, tmp_path / "out.parquet")
    found = weekly_cli.explain(tmp_path / "out.parquet", "AAA", "2022-06-10", "w_ret")
    assert found.feature is not None
    assert found.feature.value.agrees is False
    assert found.feature.value.computed - found.feature.value.stored == pytest.approx(np.log(1.5), abs=1e-6)
    assert "rows or values were changed after the build" in found.conclusion
    assert "weekly-cli verify" in found.conclusion


def test_what_is_not_in_the_output_is_not_guessed(prices: pa.Table, tmp_path: Path) -> None:
    found = explained(prices, tmp_path, "2022-06-10", "w_rs_bbb", benchmark=["BBB"], symbols=["AAA"])
    assert found.agrees
    assert found.n_compared == 55
    assert found.feature is not None
    assert found.feature.value.agrees is None
    assert "has no rows of BBB" in found.feature.value.trouble
    for name, settings, missing in (("weekly", {"rows": "weekly"}, "a row a week"), ("few", {}, "no column open")):
        given = settings or {"columns_out": ["symbol", "date"]}
        build(tmp_path / "in.parquet", tmp_path / name, **given)
        done = run_cli("explain", tmp_path / name, "AAA", "2022-06-10")
        assert done.returncode == 3
        assert missing in done.stderr
    assert "is no output of weekly-cli build" in run_cli("explain", tmp_path / "in.parquet", "AAA", "2022-06-10").stderr


def test_symbols_of_any_text_cannot_reach_the_terminal(tmp_path: Path) -> None:
    odd = "A\x1b[31mB"
    build(write(daily((odd, "BBB"), 60), tmp_path / "in.parquet"), tmp_path / "out", benchmark=[odd])
    done = run_cli("explain", tmp_path / "out", odd, "2022-03-01", "--feature", "w_ret")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "\\x1b[31mB" in done.stdout


def test_it_imports_no_pandas(sample: Path) -> None:
    explain = f"weekly_cli.explain({str(sample)!r}, 'BXA', '2023-03-10')"
    code = f"import sys, weekly_cli; {explain}; print('pandas' in sys.modules)"
    assert run_words([sys.executable, "-c", code]).stdout == "False\n"
