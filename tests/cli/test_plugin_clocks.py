"""Columns of plugins that belong to months, quarters or two weeks: their values, where they are left out, audits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from frames import build, daily, read, report_here, run_cli, write

from weekly_cli.errors import PluginFailed, UsageError
from weekly_cli.plugin import feature
from weekly_cli.questions.explain import explain
from weekly_cli.questions.latest import latest
from weekly_cli.testing import (
    assert_equals_oracle,
    assert_no_lookahead,
    assert_one_null_is_local,
    assert_same_for_any_jobs,
)
from weekly_cli.verify import verify

MINE = """
from weekly_cli.plugin import feature, rolling_mean

def by_pandas(bars, n):
    return ((bars["high"] + bars["low"] + bars["close"]) / 3).rolling(n).mean()

@feature(every=["week", "month", "quarter"], n=[3, 5], first_bar=lambda n: n - 1, window=lambda n: n,
         reference=by_pandas)
def typical(high, low, close, *, n):
    "mean of (H + L + C) / 3 over window n"
    return rolling_mean((high + low + close) / 3.0, n)

@feature(every="week,2W", first_bar=14)
@feature(every="month", first_bar=14, name="rsi_and_end")
def rsi_end(rsi_14, period_end):
    return rsi_14 + period_end

@feature(every="month")
def from_mine(m_typical_3, close, month_end):
    return close / m_typical_3 + 0 * month_end

@feature(every="month", pandas=True)
def gap(bars):
    assert bars.index.name == "month_end"
    return bars.index.to_series().diff().dt.days
"""
OF_WEEK = ["w_typical_3", "w_typical_5", "w_rsi_end"]
OF_MONTH = ["m_typical_3", "m_typical_5", "m_rsi_and_end", "m_from_mine", "m_gap"]
OF_QUARTER = ["q_typical_3", "q_typical_5"]
COLUMNS = [*OF_WEEK, *OF_MONTH, *OF_QUARTER]
EVERY = ["week", "month", "quarter"]


def plugin(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(f"from weekly_cli.plugin import feature\nimport numpy as np\n{text}", encoding="utf-8")
    return path


def text_of(found: str) -> str:
    return "".join(found.split())


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four years from 2022-01-03 on."""
    return write(daily(("AAA", "BBB"), 1044), tmp_path_factory.mktemp("clocks") / "prices.parquet")


@pytest.fixture(scope="module")
def mine(prices: Path) -> Path:
    return plugin(prices.parent, MINE)


@pytest.fixture(scope="module")
def out(prices: Path, mine: Path) -> Path:
    build(prices, prices.parent / "out", every=EVERY, plugin=[str(mine)], dtype="float64")
    return prices.parent / "out"


# ---- values ----------------------------------------------------------------------------------------------


def bars_by_pandas(prices: Path, every: str) -> pd.DataFrame:
    """The bars of AAA by their last days."""
    rows = pd.read_parquet(prices).query("symbol == 'AAA'").set_index("date")
    freq = {"week": "W-FRI", "month": "M", "quarter": "Q"}[every]
    of_period = rows.groupby(pd.DatetimeIndex(rows.index).to_period(freq).end_time.normalize())
    return of_period.agg({"high": "max", "low": "min", "close": "last"})


@pytest.mark.parametrize(("every", "p"), [("week", "w"), ("month", "m"), ("quarter", "q")])
def test_values_are_those_of_the_clocks_bars(prices: Path, out: Path, every: str, p: str) -> None:
    bars = bars_by_pandas(prices, every)
    expected = ((bars["high"] + bars["low"] + bars["close"]) / 3).rolling(3).mean()
    end = f"{p}_{every}_end"
    rows = read(out).select(["symbol", end, f"{p}_typical_3"]).to_pandas().dropna().query("symbol == 'AAA'")
    assert rows[end].nunique() == len(bars) - 1 - 2  # the last bar is not over, and the first two have no window
    np.testing.assert_allclose(rows[f"{p}_typical_3"], expected.loc[pd.DatetimeIndex(rows[end])], rtol=1e-12)


def test_inputs_are_columns_of_the_own_clock(out: Path) -> None:
    table = read(out).to_pandas()
    ends = (pd.to_datetime(table["m_month_end"]) - pd.Timestamp("1970-01-01")).dt.days
    np.testing.assert_allclose(table["m_rsi_and_end"], table["m_rsi_14"] + ends, rtol=1e-12)
    np.testing.assert_allclose(table["m_from_mine"], table["m_close"] / table["m_typical_3"], rtol=1e-12)
    assert table["m_rsi_and_end"].notna().any()
    one = table.query("symbol == 'AAA'").drop_duplicates("m_month_end")["m_gap"].dropna()
    assert set(one) == {28, 29, 30, 31}


def test_each_clock_has_its_own_after_those_of_the_package(out: Path) -> None:
    names = [name for name in read(out).column_names if name.startswith(("w_", "m_", "q_"))]
    assert [name for name in names if name in COLUMNS] == COLUMNS
    assert names[names.index("m_month_end") - len(OF_WEEK) : names.index("m_month_end")] == OF_WEEK
    assert names[-len(OF_QUARTER) :] == OF_QUARTER


@pytest.mark.parametrize(
    ("every", "columns"),
    [
        ("week", OF_WEEK),
        ("month", OF_MONTH),
        ("2W", ["w2_rsi_end"]),
        ("month,quarter", [*OF_MONTH, *OF_QUARTER]),
    ],
)
def test_columns_of_clocks_that_are_not_on_are_left_out(
    prices: Path, out: Path, mine: Path, tmp_path: Path, every: str, columns: list[str]
) -> None:
    table = build(prices, tmp_path / "out", every=every, plugin=[str(mine)], features="mine", dtype="float64")
    assert table.column_names[7:] == columns
    together = read(out)
    for name in columns:
        assert name not in together.column_names or table[name].equals(together[name])


def test_a_plugin_without_a_column_of_these_clocks_is_refused(prices: Path, mine: Path, tmp_path: Path) -> None:
    words = ("build", prices, "-o", tmp_path / "out", "--plugin", mine)
    refused = run_cli(*words, "--every", "4W")
    assert refused.returncode == 2
    assert "columns of weeks, two weeks, months and quarters alone, and --every is 4W" in refused.stderr
    assert "--every week,2W,4W,month,quarter adds them" in refused.stderr
    assert run_cli("features", "mine", "--plugin", mine, "--every", "4W").returncode == 2
    with pytest.raises(UsageError, match=r"m_gap is neither .*\(--every week,month adds it\)"):
        build(prices, tmp_path / "out", plugin=[str(mine)], features="m_gap")


# ---- what is refused -------------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, str]] = {
    "an unknown clock": (
        '@feature(every="mnth")\ndef x(close):\n    return close',
        r"line 3: feature x: every takes any of week, .*, not 'mnth'; did you mean month\?",
    ),
    "no clock": ("@feature(every=[])\ndef x(close):\n    return close", "every names no period"),
    "a column of weeks": (
        '@feature(every="month")\ndef x(w_rsi_14):\n    return w_rsi_14',
        "m_x takes w_rsi_14, .* column of months, but one of weeks; rsi_14 is that of the feature's own clock",
    ),
    "the end of a week": (
        '@feature(every="month")\ndef x(week_end):\n    return week_end',
        "m_x takes week_end, .*; period_end is a bar's last day with every clock",
    ),
    "a column that quarters do not have": (
        '@feature(every=["month", "quarter"])\ndef x(rsi_14):\n    return rsi_14',
        "q_x takes rsi_14, which is neither of quarter_end, .* nor another column of quarters",
    ),
    "a name that is taken": (
        '@feature(every="month")\ndef mom_1(close):\n    return close',
        "a column m_mom_1 already",
    ),
    "itself": ("@feature\ndef x(w_x):\n    return w_x", "plugin mine: w_x takes w_x, and so none of them has a value"),
    "itself through another": (
        '@feature(every="month")\ndef x(y):\n    return y\n\n@feature(every="month")\ndef y(x):\n    return x',
        "m_x takes m_y takes m_x|m_y takes m_x takes m_y",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_declaration_does_wrong_is_one_clear_line(prices: Path, tmp_path: Path, wrong: str) -> None:
    text, told = WRONG[wrong]
    with pytest.raises(PluginFailed, match=told) as caught:
        report_here(prices, tmp_path / "out", every=EVERY, plugin=[str(plugin(tmp_path, text))])
    assert "\n" not in str(caught.value)


def test_the_decorator_returns_the_function() -> None:
    @feature(every=["week", "month"], name="other")
    def x(close: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return close + 1.0

    assert x(np.ones((2, 1))).sum() == 4.0


# ---- questions -------------------------------------------------------------------------------------------


def test_the_list_and_the_card_know_them(mine: Path) -> None:
    listed = json.loads(run_cli("features", "mine", "--plugin", mine, "--every", "month,quarter", "--json").stdout)
    assert [row["column"] for row in listed] == [*OF_MONTH, *OF_QUARTER]
    card = json.loads(run_cli("features", "m_rsi_and_end", "--plugin", mine, "--json").stdout)
    assert card["inputs"] == ["close", "month_end"]
    assert card["example"]["rows"][0][-1] is None
    assert card["example"]["rows"][-1][-1] > 17900


def test_explain_shows_them_where_the_plugin_is_named(out: Path, mine: Path) -> None:
    date = "2025-06-11"
    refused = run_cli("explain", out, "AAA", date, "--feature", "m_from_mine")
    assert refused.returncode == 2
    assert f"--plugin {mine}" in refused.stderr
    done = run_cli("explain", out, "AAA", date, "--feature", "m_from_mine", "--plugin", mine)
    assert done.returncode == 0, done.stderr
    assert "m_from_mine=f(m_typical_3,C,month_end)" in text_of(done.stdout)
    found = explain(out, "AAA", date, "m_from_mine", [str(mine)])
    assert found.every == "month" and found.feature is not None
    assert found.agrees and not found.not_compared
    row = [row for row in read(out).to_pylist() if row["symbol"] == "AAA" and str(row["date"])[:10] == date]
    assert found.feature.value.computed == row[0]["m_from_mine"]
    assert set(explain(out, "AAA", date).not_compared) == set(COLUMNS)


def test_explain_tells_of_a_plugin_that_is_another_one_by_now(out: Path, tmp_path: Path) -> None:
    changed = plugin(tmp_path, MINE.replace("/ 3.0", "/ 4.0"))
    found = explain(out, "AAA", "2025-06-11", plugin=[str(changed)])
    assert "m_from_mine" in {value.column for value in found.differing}
    assert found.conclusion.endswith("the plugin's content is another by now.")
    other = plugin(tmp_path, "@feature\ndef x(close):\n    return close", "other.py")
    with pytest.raises(UsageError, match=r"other\.py: .* has no column of it"):
        explain(out, "AAA", "2025-06-11", plugin=[str(other)])


def test_latest_gives_what_the_next_session_will_see(prices: Path, mine: Path, tmp_path: Path) -> None:
    """The last row is that of Friday, 2024-05-31: the month is over, and no row sees it yet."""
    rows = read(prices)
    days = np.array(rows["date"])
    job: dict[str, Any] = {"every": EVERY, "features": "mine", "plugin": [str(mine)]}
    at_end = rows.filter(pa.array(days <= np.datetime64("2024-05-31")))
    build(write(at_end, tmp_path / "in.parquet"), tmp_path / "out", **job)
    with_next = rows.filter(pa.array(days <= np.datetime64("2024-06-03")))
    whole = build(write(with_next, tmp_path / "next.parquet"), tmp_path / "next", **job)
    found = latest(str(tmp_path / "out"), plugin=[str(mine)])
    assert found.computed.all() and not found.of_plugins
    expected = {row["symbol"]: row for row in whole.to_pylist() if str(row["date"]).startswith("2024-06-03")}
    for row in found.table.to_pylist():
        assert {name: row[name] for name in COLUMNS} == {name: expected[row["symbol"]][name] for name in COLUMNS}
    with pytest.raises(UsageError, match="w_typical_3 is a plugin's column"):  # the only ones that there are
        latest(str(tmp_path / "out"))


# ---- audited ---------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_verify_audits_them(out: Path, mine: Path) -> None:
    proof = verify(out, plugin=[str(mine)], dates=3)
    assert proof.passed
    (reference,) = [check.did for check in proof.checks if check.name == "reference"]
    assert reference.endswith("no formula for w_rsi_end, m_rsi_and_end, m_from_mine, m_gap")


@pytest.mark.slow
def test_a_month_that_looks_ahead_or_errs_is_found(prices: Path, tmp_path: Path) -> None:
    leak = plugin(
        tmp_path,
        '@feature(every="month")\ndef centred(close):\n    return close - np.nanmean(close, axis=0)\n\n'
        '@feature(every="month", reference=lambda bars: bars["close"])\ndef off(close):\n    return close * 1.01\n',
    )
    report_here(prices, tmp_path / "out", every=EVERY, plugin=[str(leak)])
    proof = verify(tmp_path / "out", plugin=[str(leak)], dates=3)
    found = {check.name: check.findings for check in proof.checks if check.findings}
    assert list(found) == ["look-ahead", "reference"]
    assert all("m_centred is" in each for each in found["look-ahead"])
    assert "m_off is" in found["reference"][0]
    with pytest.raises(AssertionError, match="m_centred"):
        assert_no_lookahead(leak)


@pytest.mark.slow
def test_the_tests_to_borrow_pass_what_is_right(mine: Path) -> None:
    assert_no_lookahead(mine)
    assert_same_for_any_jobs(mine)
    for column in ("w_rsi_end", "m_typical_5", "m_gap", "q_typical_3"):
        assert_one_null_is_local(mine, column)
    assert_equals_oracle(mine, "q_typical_3", lambda b: ((b["high"] + b["low"] + b["close"]) / 3).rolling(3).mean())
