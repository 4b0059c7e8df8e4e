"""Features of the user's own: computed by every engine, told of, audited, and run only where they are named."""

from __future__ import annotations

import json
import os
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import daily, in_order, read, report_here, run_cli, write

import weekly_cli
from weekly_cli.errors import InputRefused, PluginFailed, UsageError
from weekly_cli.questions.latest import latest
from weekly_cli.settings import from_file
from weekly_cli.testing import (
    assert_equals_oracle,
    assert_no_lookahead,
    assert_one_null_is_local,
    assert_same_for_any_jobs,
)
from weekly_cli.verify import Proof, verify

MINE = """
from weekly_cli.plugin import feature, rolling_mean, rolling_std

def by_pandas(bars, n):
    return ((bars["high"] + bars["low"] + bars["close"]) / 3).rolling(n).mean()

@feature(n=[5, 10], first_bar=lambda n: n - 1, window=lambda n: n, reference=by_pandas)
def typical(high, low, close, *, n):
    "mean of (H + L + C) / 3 over window n"
    return rolling_mean((high + low + close) / 3.0, n)

@feature(first_bar=30)
def rsi_spread(w_rsi_14, w_rsi_30):
    return w_rsi_14 - w_rsi_30

@feature(pandas=True, n=8, window=8, first_bar=7)
def range_z(bars, *, n):
    x = bars["high"] / bars["low"]
    return (x - x.rolling(n).mean()) / x.rolling(n).std()
"""
COLUMNS = ["w_typical_5", "w_typical_10", "w_rsi_spread", "w_range_z"]


def plugin(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def declared(body: str, options: str = "") -> str:
    return f"import numpy as np\nfrom weekly_cli.plugin import feature\n\n@feature{options}\n{body}\n"


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(["AAA", "BBB", "CCC"], 600), tmp_path_factory.mktemp("plugins") / "prices.parquet")


@pytest.fixture(scope="module")
def mine(prices: Path) -> Path:
    return plugin(prices.parent, MINE)


@pytest.fixture(scope="module")
def output(prices: Path, mine: Path) -> Path:
    report_here(prices, prices.parent / "out", plugin=[str(mine)], dtype="float64")
    return prices.parent / "out"


def findings(proof: Proof) -> dict[str, list[str]]:
    return {check.name: check.findings for check in proof.checks if check.findings}


def test_columns_come_last_with_their_values(output: Path) -> None:
    table = read(output)
    assert table.column_names[-4:] == COLUMNS
    rows = table.filter(pa.compute.equal(table.column("symbol"), "BBB")).to_pandas()
    bars = rows.drop_duplicates("w_week_end").dropna(subset="w_week_end")
    typical = (bars["w_high"] + bars["w_low"] + bars["w_close"]) / 3
    ratio = bars["w_high"] / bars["w_low"]
    expected = {
        "w_typical_10": typical.rolling(10).mean(),
        "w_rsi_spread": bars["w_rsi_14"] - bars["w_rsi_30"],
        "w_range_z": (ratio - ratio.rolling(8).mean()) / ratio.rolling(8).std(),
    }
    for name, values in expected.items():
        pd.testing.assert_series_equal(bars[name], values, check_names=False, rtol=1e-9)
        assert bars[name].notna().any()


def test_own_columns_and_their_family_can_be_selected(prices: Path, mine: Path, tmp_path: Path) -> None:
    report_here(prices, tmp_path / "out", plugin=[str(mine)], features="mine,w_ret,-w_typical_5")
    assert [name for name in read(tmp_path / "out").column_names if name.startswith("w_")] == ["w_ret", *COLUMNS[1:]]
    rows = json.loads(run_cli("features", "mine", "--plugin", mine, "--json").stdout)
    assert [row["column"] for row in rows] == COLUMNS
    assert rows[0] == {
        "family": "mine",
        "column": "w_typical_5",
        "formula": "mean of (H + L + C) / 3 over window n",
        "first_bar": 4,
        "window": 5,
        "parity": "",
    }


def test_a_frame_gets_the_same(prices: Path, mine: Path, output: Path) -> None:
    held = weekly_cli.add_weekly_features(in_order(read(prices)), plugin=[str(mine)], dtype="float64")
    assert held.select(COLUMNS).equals(read(output).select(COLUMNS))


@pytest.mark.slow
def test_workers_load_the_file(prices: Path, mine: Path, output: Path, tmp_path: Path) -> None:
    done = run_cli(
        *("build", prices.name, "-o", tmp_path / "out", "--plugin", mine.name, "--dtype", "float64", "-q"),
        *("--strategy", "per-symbol", "--jobs", "2"),
        cwd=prices.parent,
    )
    assert done.returncode == 0, done.stderr
    assert read(tmp_path / "out").equals(read(output))


# ---- verify ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_verify_audits_them(output: Path, mine: Path) -> None:
    proof = verify(output, plugin=[str(mine)], dates=3, symbols=3)
    assert findings(proof) == {}
    (reference,) = [check.did for check in proof.checks if check.name == "reference"]
    assert reference.endswith("no formula for w_rsi_spread, w_range_z")


@pytest.mark.slow
def test_a_plugin_that_looks_ahead_or_errs_is_found(prices: Path, tmp_path: Path) -> None:
    leak = plugin(
        tmp_path, declared("def centred(close):\n    return close - np.nanmean(close, axis=0)")
        + "\n@feature(reference=lambda bars: bars['close'])\ndef off(close):\n    return close * 1.01\n",
    )  # fmt: skip
    report_here(prices, tmp_path / "out", plugin=[str(leak)])
    found = findings(verify(tmp_path / "out", plugin=[str(leak)], dates=3, symbols=3))
    assert list(found) == ["look-ahead", "reference"]
    assert all("w_centred is" in each for each in found["look-ahead"])
    assert "w_off is" in found["reference"][0]


def test_no_output_makes_code_run(output: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"columns of the plugin .*mine.py, which is code .* --plugin .*mine.py"):
        verify(output)
    told = json.loads(run_cli("inspect", output, "--json").stdout)["build"]
    assert told["input_state"] == "unknown"
    assert "plugin" in told["input_reason"]
    assert "--plugin" in told["command"]


def test_no_settings_file_makes_code_run(prices: Path, tmp_path: Path) -> None:
    plugin(tmp_path, "from pathlib import Path\nPath('it-ran').touch()\n" + MINE)
    (tmp_path / "weekly.toml").write_text('plugin = ["mine.py"]\n')
    with pytest.raises(UsageError, match=r"weekly.toml: plugin is read from --plugin or WEEKLY_CLI_PLUGIN alone"):
        from_file(tmp_path)
    done = run_cli("build", prices, "-o", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 2
    assert not (tmp_path / "it-ran").exists()
    (tmp_path / "weekly.toml").unlink()
    listed = run_cli("features", "--json", cwd=tmp_path, env={"WEEKLY_CLI_PLUGIN": "mine.py"})
    assert "w_range_z" in listed.stdout
    assert (tmp_path / "it-ran").exists()


# ---- what is refused -------------------------------------------------------------------------------------

WRONG: dict[str, tuple[str, str]] = {
    "an error in the function": (
        declared("def bad(close):\n    x = close\n    return x / {}"),
        "mine.py: w_bad, line 7: TypeError",
    ),
    "an error in pandas' form": (
        declared("def bad(bars):\n    return bars['vwap']", "(pandas=True)"),
        "line 6: Key",
    ),
    "an error of the file": ("import weekly_cli\n1 / 0\n", "mine.py, line 2: ZeroDivisionError"),
    "no Python": ("def (\n", "mine.py, line 1: SyntaxError"),
    "a shape": (declared("def bad(close):\n    return close[1:]"), r"returned float64\[\d+, 3\], not float64\["),
    "a type": (declared("def bad(close):\n    return close > 1"), r"returned bool\["),
    "no array": (declared("def bad(close):\n    return None"), "returned NoneType"),
    "a write to an input": (declared("def bad(close):\n    close[:] = 0\n    return close"), "read-only"),
    "a length": (declared("def bad(bars):\n    return bars['close'][1:]", "(pandas=True)"), "a value for each of"),
    "text": (declared("def bad(bars):\n    return bars['close'].astype(str) + 'x'", "(pandas=True)"), "no numbers"),
    "an input that is not there": (declared("def bad(clsoe):\n    return clsoe"), "did you mean close"),
    "no input": (declared("def bad():\n    return 1"), "it takes no column"),
    "a parameter without a value": (
        declared("def bad(close, *, n):\n    return close"),
        "parameter n has no value",
    ),
    "an unknown parameter": (declared("def bad(close):\n    return close", "(n=[1])"), "it has no parameter n"),
    "a name that is taken": (declared("def ret(close):\n    return close"), "a column w_ret already"),
    "a name that is none": (declared("def Bad(close):\n    return close"), "lower-case"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_plugin_does_wrong_is_one_clear_line(prices: Path, tmp_path: Path, wrong: str) -> None:
    text, told = WRONG[wrong]
    with pytest.raises(PluginFailed, match=told) as caught:
        report_here(prices, tmp_path / "out", plugin=[str(plugin(tmp_path, text))])
    assert str(caught.value).startswith("plugin ") or str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_plugin_that_fails_in_a_worker_ends_the_run_with_code_9(prices: Path, tmp_path: Path) -> None:
    bad = plugin(tmp_path, declared("def bad(close):\n    return close / {}"))
    words = ("build", prices, "-o", tmp_path / "out", "--plugin", bad)
    done = run_cli(*words, "--strategy", "batched", "--jobs", "1")
    assert done.returncode == 9
    (line,) = [line for line in done.stderr.splitlines() if "w_bad" in line]
    assert "line 6: TypeError" in line
    assert "a bug" not in done.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [("gone.py", "can't be read"), ("no_such_package", "neither a file"), ("momentum.py", "family's name")],
)
def test_what_is_no_plugin_is_refused(prices: Path, tmp_path: Path, name: str, told: str) -> None:
    plugin(tmp_path, MINE, "momentum.py")
    named = str(tmp_path / name) if name.endswith(".py") else name
    with pytest.raises(UsageError, match=told):
        report_here(prices, tmp_path / "out", plugin=[named])


def test_a_file_without_a_feature_is_refused(prices: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="declares no feature"):
        report_here(prices, tmp_path / "out", plugin=[str(plugin(tmp_path, "x = 1\n"))])


# ---- packages, and change --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_package_is_a_plugin_and_so_is_an_installed_entry_point(prices: Path, tmp_path: Path) -> None:
    (tmp_path / "mypack").mkdir()
    plugin(tmp_path / "mypack", MINE, "__init__.py")
    info = tmp_path / "mypack-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mypack\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[weekly_cli.features]\nranges = mypack\n")
    env = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])}
    for name, family in (("mypack", "mypack"), ("ranges", "ranges")):
        done = run_cli(
            "build", prices, "-o", tmp_path / "out" / name, "--plugin", name, "--features", family, "-q", env=env
        )
        assert done.returncode == 0, done.stderr
        assert [column for column in read(tmp_path / "out" / name).column_names if column.startswith("w_")] == COLUMNS
    assert run_cli("verify", tmp_path / "out/ranges", "--symbols", "1", "--dates", "1", env=env).returncode == 0
    assert run_cli("verify", tmp_path / "out/mypack", env=env).returncode == 2


@pytest.mark.slow
def test_a_change_of_a_plugin_is_a_change(prices: Path, tmp_path: Path) -> None:
    """To `--if-changed`, and to `verify`, which finds the old values."""
    mine = plugin(tmp_path, declared("def x(close):\n    return close * 1.0"))
    words = ("build", prices, "-o", tmp_path / "out", "--plugin", mine, "--features", "w_x", "--if-changed")
    assert run_cli(*words, "-q").returncode == 0
    assert "up to date" in run_cli(*words).stderr
    plugin(tmp_path, declared("def x(close):\n    return close * 2.0"))
    (columns, values) = [
        check for check in verify(tmp_path / "out", plugin=[str(mine)], symbols=1, dates=0).checks
        if check.name in ("columns", "values")
    ]  # fmt: skip
    assert columns.did.endswith("the plugin's content is another by now")
    assert "w_x is" in values.findings[0]
    assert "up to date" not in run_cli(*words).stderr
    assert verify(tmp_path / "out", plugin=[str(mine)], symbols=1, dates=0).passed


def test_the_fingerprint_knows_the_content(prices: Path, tmp_path: Path) -> None:
    prints: list[Any] = []
    for number in (1, 2, 1):
        mine = plugin(tmp_path, declared(f"def x(close):\n    return close * {number}"))
        report_here(prices, tmp_path / "out", plugin=[str(mine)], features="w_x")
        prints.append(json.loads(read(tmp_path / "out").schema.metadata[b"weekly_cli"])["fingerprint"])
    assert prints[0] == prints[2] != prints[1]


# ---- tests to borrow -------------------------------------------------------------------------------------


@pytest.mark.soak
@pytest.mark.slow
def test_the_tests_to_borrow_pass_what_is_right(mine: Path) -> None:
    assert_no_lookahead(mine)
    assert_same_for_any_jobs(mine)
    for column in COLUMNS:
        assert_one_null_is_local(mine, column)
    assert_equals_oracle(mine, "w_typical_5", lambda b: ((b["high"] + b["low"] + b["close"]) / 3).rolling(5).mean())


@pytest.mark.slow
def test_the_tests_to_borrow_find_what_is_wrong(tmp_path: Path) -> None:
    leak = plugin(tmp_path, declared("def x(close):\n    return close - np.nanmean(close, axis=0)"), "leak.py")
    with pytest.raises(AssertionError, match="w_x"):
        assert_no_lookahead(leak)
    across = plugin(tmp_path, declared("def y(close):\n    return close - np.nanmean(close)"), "across.py")
    with pytest.raises(AssertionError, match="w_y"):
        assert_same_for_any_jobs(across)
    with pytest.raises(AssertionError, match="symbol 0 at bar 0 changes"):
        assert_one_null_is_local(across, "w_y")
    with pytest.raises(AssertionError, match="w_y"):
        assert_equals_oracle(across, "w_y", lambda bars: bars["close"])


def test_questions_to_an_output_tell_that_they_run_no_plugin(output: Path, mine: Path) -> None:
    listed = run_cli("latest", output)
    assert listed.returncode == 0, listed.stderr
    told = f"{', '.join(COLUMNS)}: left out, as a plugin runs only where you name it: --plugin {mine} "
    assert told.replace(" ", "") in "".join(listed.stdout.split())
    assert latest(str(output)).of_plugins == COLUMNS
    with pytest.raises(UsageError, match=rf"w_range_z is a plugin's column, .*: --plugin {mine}$"):
        latest(str(output), features="w_range_z")
    refused = run_cli("explain", output, "AAA", "2023-06-01", "--feature", "w_range_z")
    assert refused.returncode == 2
    assert f"runs only where you name it: --plugin {mine}" in refused.stderr


def test_a_named_plugin_computes_what_the_next_session_sees(
    prices: Path, mine: Path, output: Path, tmp_path: Path
) -> None:
    """Next Monday's values are in a build with a row of that day."""
    days = pq.read_table(prices)
    monday = pa.compute.add(days.column("date")[-3:], pa.scalar(timedelta(3), pa.duration("s"))).cast(pa.date32())
    more = days[-3:].set_column(1, "date", monday)  # a row of each symbol
    report_here(
        write(pa.concat_tables([days, more]), tmp_path / "prices.parquet"),
        tmp_path / "out",
        plugin=[str(mine)],
        dtype="float64",
    )
    rows = read(tmp_path / "out")
    stored = rows.filter(pa.compute.equal(rows.column("date"), pa.compute.max(rows.column("date"))))
    found = latest(str(output), plugin=[str(mine)])
    assert found.computed.all() and not found.of_plugins
    for name in COLUMNS:
        assert found.table.column(name).to_pylist() == stored.column(name).to_pylist()
    done = run_cli("latest", output, "--plugin", mine, "--features", "mine", "--json")
    assert set(COLUMNS) < set(json.loads(done.stdout)["rows"][0]), done.stderr


def test_another_plugin_is_refused(output: Path, tmp_path: Path) -> None:
    other = plugin(tmp_path, declared("def x(close):\n    return close"), "other.py")
    with pytest.raises(UsageError, match=r"other\.py: .* has no column of it"):
        latest(str(output), plugin=[str(other)])
    changed = plugin(tmp_path, MINE.replace("/ 3.0", "/ 4.0"))
    with pytest.raises(InputRefused, match=r"w_typical_5 of AAA .*the plugin's content is another by now"):
        latest(str(output), plugin=[str(changed)])
