"""Other windows of the built-in columns: what a build writes, what tells of it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import talib
from frames import build, daily, in_order, read, report_here, run_cli, write

import weekly_cli
from weekly_cli.compute.features import catalogue
from weekly_cli.errors import UsageError
from weekly_cli.files.parquet import METADATA_KEY
from weekly_cli.names import WINDOWS
from weekly_cli.verify import verify

SETTINGS = {"rsi": [7, 14], "sma": [10, 40], "macd": [8, 17, 9], "atr": 5, "beta": [26], "breakout": [13, 26]}
FLAG = "rsi=7,14,sma=10,40,macd=8,17,9,atr=5,beta=26,breakout=13,26"


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(["AAA", "BBB", "CCC"], 700), tmp_path_factory.mktemp("windows") / "prices.parquet")


@pytest.fixture(scope="module")
def output(prices: Path) -> Path:
    report_here(prices, prices.parent / "out", windows=SETTINGS, benchmark=["AAA"], dtype="float64")
    return prices.parent / "out"


def weekly(table: pa.Table) -> list[str]:
    return [name for name in table.column_names if name.startswith("w_")]


def test_a_build_has_the_columns_of_its_windows(output: Path) -> None:
    columns = weekly(read(output))
    assert columns == [feature.name for feature in catalogue(["aaa"], [*SETTINGS_AS_PAIRS]).features]
    for name in ("w_rsi_7", "w_rsi_14", "w_sma_10_40_z", "w_dist_sma_40", "w_macd_8_17_9_hist_slope", "w_natr_5"):
        assert name in columns
    assert not {"w_rsi_21", "w_sma_20", "w_macd", "w_atr_14", "w_sma_20_50"} & set(columns)
    assert {"w_beta_aaa_26", "w_corr_aaa_26", "w_high_13", "w_position_26", "w_mom_4"} <= set(columns)


SETTINGS_AS_PAIRS = [
    (key, tuple(SETTINGS[key]) if isinstance(SETTINGS[key], list) else (SETTINGS[key],)) for key in SETTINGS
]


def test_values_are_those_of_talib(output: Path) -> None:
    table = read(output).filter(pa.compute.equal(read(output).column("symbol"), "BBB")).to_pandas()
    bars = table.drop_duplicates("w_week_end").dropna(subset="w_week_end")
    close, high, low = (bars[f"w_{name}"].to_numpy() for name in ("close", "high", "low"))
    expected = {
        "w_rsi_7": talib.RSI(close, 7),
        "w_sma_10": talib.SMA(close, 10),
        "w_macd_8_17_9": talib.MACD(close, 8, 17, 9)[0],
        "w_macd_8_17_9_signal": talib.MACD(close, 8, 17, 9)[1],
        "w_atr_5": talib.ATR(high, low, close, 5),
        "w_high_13": close / talib.MAX(high, 13) - 1,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(bars[name], values, rtol=1e-9, atol=1e-11, err_msg=name)


@pytest.mark.slow
def test_verify_knows_the_windows(output: Path) -> None:
    proof = verify(output, dates=2, symbols=2)
    assert [check.findings for check in proof.checks if check.findings] == []
    (reference,) = [check.did for check in proof.checks if check.name == "reference"]
    assert "no formula" not in reference
    assert f"{len(weekly(read(output)))} columns" in reference


def test_a_column_of_one_window_is_the_same_whatever_the_others(prices: Path, output: Path, tmp_path: Path) -> None:
    usual = build(prices, tmp_path / "usual", dtype="float64", benchmark=["AAA"])
    shared = set(weekly(usual)) & set(weekly(read(output))) - {
        *("w_trend_score", "w_trend_sign", "w_trend_score_change", "w_trend_persistence", "w_trend_alignment"),
        "w_dist_sma_min",
    }
    assert "w_rsi_14" in shared
    assert "w_vol_52" in shared
    assert all(usual.column(name).equals(read(output).column(name)) for name in shared)


def test_the_usual_windows_are_no_other_output(prices: Path, tmp_path: Path) -> None:
    usual = report_here(prices, tmp_path / "out")
    again = report_here(prices, tmp_path / "again", windows={key: list(numbers) for key, numbers in WINDOWS.items()})
    assert usual.features == again.features
    assert read(tmp_path / "out").schema.equals(read(tmp_path / "again").schema, check_metadata=True)


def test_a_frame_gets_the_same(prices: Path, output: Path) -> None:
    frame = in_order(read(prices))
    held = weekly_cli.add_weekly_features(frame, windows=SETTINGS, benchmark="AAA", dtype="float64")
    assert held.select(weekly(held)).equals(read(output).select(weekly(read(output))))


def test_the_metadata_and_the_command_of_inspect_build_it_again(output: Path, tmp_path: Path) -> None:
    done = run_cli("inspect", output, "--json")
    build_ = json.loads(done.stdout)["build"]
    assert build_["settings"]["windows"]["sma"] == [10, 40]
    assert build_["settings"]["windows"]["macd"] == [8, 17, 9]
    assert "--windows rsi=7,14 --windows macd=8,17,9 --windows sma=10,40" in build_["command"]
    assert "--features" not in build_["command"]


def test_features_lists_them(tmp_path: Path) -> None:
    done = run_cli("features", "--windows", FLAG, "--json", cwd=tmp_path)
    rows = {row["column"]: row for row in json.loads(done.stdout)}
    assert rows["w_rsi_7"]["first_bar"] == 7
    assert rows["w_sma_10_40_z"]["formula"].startswith("(x - mean) / population std of w_sma_10_40")
    assert rows["w_sma_10_40"]["first_bar"] == 39
    assert (
        rows["w_macd_8_17_9_signal"]["formula"] == "EMA9 of the MACD line, seeded with the mean of its first 9 values"
    )
    assert rows["w_macd_8_17_9"]["first_bar"] == 24
    assert rows["w_trend_score"]["window"] == 44


def test_a_file_and_the_environment_set_windows(prices: Path, tmp_path: Path) -> None:
    (tmp_path / "weekly.toml").write_text("[windows]\nrsi = [7]\nsma = 13\n")
    listed = run_cli("features", "--json", cwd=tmp_path)
    names = {row["column"] for row in json.loads(listed.stdout)}
    assert {"w_rsi_7", "w_sma_13", "w_dist_sma_min"} <= names
    assert not {"w_rsi_14", "w_sma_20", "w_sma_20_50"} & names
    by_variable = run_cli("features", "--json", cwd=tmp_path, env={"WEEKLY_CLI_WINDOWS": "rsi=9"})
    assert "w_rsi_9" in by_variable.stdout
    assert "w_sma_13" not in by_variable.stdout


def test_a_column_of_a_window_that_is_not_there_says_how_to_get_it(prices: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"w_rsi_7 is neither .* \(--windows rsi=7,14,21,30 adds it\)$"):
        build(prices, tmp_path / "out", features="w_rsi_7")
    done = run_cli(
        "build", prices, "-o", tmp_path / "out", "--features", "w_rsi_7", "--windows", "rsi=7,14,21,30", "-q"
    )
    assert done.returncode == 0, done.stderr
    assert weekly(read(tmp_path / "out")) == ["w_rsi_7"]


@pytest.mark.slow
def test_workers_get_the_windows(prices: Path, output: Path, tmp_path: Path) -> None:
    weekly_cli.build(
        prices, tmp_path / "out", windows=SETTINGS, benchmark=["AAA"], dtype="float64", strategy="batched", jobs=2
    )
    assert read(tmp_path / "out").equals(read(output))


def test_other_windows_are_another_output(prices: Path, tmp_path: Path) -> None:
    """What was computed with other windows is not taken up again, even where the names are the same."""
    prints = []
    for sma in ([10, 40], [10, 30]):
        report_here(prices, tmp_path / "out", windows={"sma": sma}, features="w_trend_score")
        metadata = read(tmp_path / "out").schema.metadata
        prints.append(json.loads(metadata[METADATA_KEY])["fingerprint"])
    assert len(set(prints)) == 2


def test_a_card_tells_of_a_column_of_another_window(tmp_path: Path) -> None:
    card = json.loads(run_cli("features", "w_rsi_7", "--windows", "rsi=7", "--json", cwd=tmp_path).stdout)
    assert (card["column"], card["first_bar"]) == ("w_rsi_7", 7)
    assert run_cli("features", "w_rsi_7", cwd=tmp_path).returncode == 2
