"""The reference and the oracles, checked against golden weeks, hand-made rows and the contract's first bars."""

from typing import Literal

import numpy as np
import pandas as pd
import pytest
import talib
from golden import GOLDEN, Golden
from oracles import ORACLES, RELATIVE, TALIB
from reference_job import reference_table

from weekly_cli.verify.reference.columns import FORMULAS
from weekly_cli.verify.reference.formulas import Formula
from weekly_cli.verify.reference.table import period_bars

# the contract's "first bar with a value"
FIRST_BAR = {
    **dict.fromkeys(["w_bars", "w_open", "w_high", "w_low", "w_close", "w_volume", "w_range", "w_rs"], 0),
    **{f"w_mom_{n}": n for n in (4, 12, 26, 52)},
    **{f"w_rsi_{n}": n for n in (14, 21, 30)},
    **{f"w_vol_{n}": n for n in (4, 12, 26, 52)},
    **{f"w_sma_{n}": n - 1 for n in (20, 50, 100, 200)},
    **{f"w_sma_{n}_slope": n + 3 for n in (20, 50, 100, 200)},
    **{f"w_dist_sma_{n}": n - 1 for n in (20, 50, 100, 200)},
    **{f"w_dist_sma_{n}_z": n + 10 for n in (20, 50, 100, 200)},
    **dict.fromkeys(["w_macd", "w_macd_signal", "w_macd_hist"], 33),
    **dict.fromkeys(["w_trend_score", "w_trend_sign", "w_trend_persistence", "w_trend_alignment"], 23),
    **dict.fromkeys(["w_high_52", "w_low_52", "w_position_52"], 51),
    **dict.fromkeys(["w_atr_14", "w_natr_14"], 14),
    "w_ret": 1,
    "w_macd_hist_slope": 34,
    "w_trend_score_change": 24,
    "w_dist_sma_min": 19,
    "w_sma_20_50": 49,
    "w_sma_20_50_z": 60,
    "w_volume_ratio_12": 11,
    "w_rs_norm": 11,
    "w_rs_slope": 4,
    "w_beta_52": 52,
    "w_corr_52": 52,
}


def random_bars(n_bars: int) -> pd.DataFrame:
    rng = np.random.default_rng(7)
    close, bench = 100 * np.exp(np.cumsum(rng.normal(0, 0.03, (2, n_bars)), axis=1))
    spread = np.exp(np.abs(rng.normal(0, 0.02, (2, n_bars))))
    volume = rng.integers(1, 1000, n_bars).astype(float)
    prices = {"open": close, "high": close * spread[0], "low": close / spread[1], "close": close}
    return pd.DataFrame(prices | {"volume": volume, "bench": bench})


def test_a_first_bar_for_every_formula() -> None:
    assert FIRST_BAR.keys() == FORMULAS.keys()


@pytest.mark.parametrize("name", FIRST_BAR)
def test_oracle_has_values_from_the_contracts_first_bar_on(name: str) -> None:
    values = ORACLES[name](random_bars(260))
    assert values.dtype == np.float64
    assert (np.isfinite(values) == (np.arange(260) >= FIRST_BAR[name])).all()


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("n_bars", [0, 1, 2, 15, 34])
def test_oracle_of_a_short_history_is_the_beginning_of_a_long_one(name: str, n_bars: int) -> None:
    bars = random_bars(60)
    short = ORACLES[name](bars[:n_bars])
    assert short.dtype == np.float64
    np.testing.assert_allclose(short, ORACLES[name](bars)[:n_bars], rtol=1e-13)


@pytest.mark.parametrize("name", [name for name in TALIB if name in FORMULAS])
@pytest.mark.parametrize("n_bars", [1, 14, 40, 260])
def test_formulas_agree_with_talib(name: str, n_bars: int) -> None:
    bars = random_bars(n_bars)
    np.testing.assert_allclose(FORMULAS[name](bars), TALIB[name](bars), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("table", [ORACLES, FORMULAS], ids=["oracles", "formulas"])
def test_constant_prices_are_decided_exactly(table: dict[str, Formula]) -> None:
    bars = random_bars(260).assign(open=0.1, high=0.1, low=0.1, close=0.1, volume=0.0)
    last = {name: oracle(bars)[-1] for name, oracle in table.items()}
    null = [name for name, value in last.items() if np.isnan(value)]
    assert null == [
        *["w_rsi_14", "w_rsi_21", "w_rsi_30", "w_trend_alignment"],
        *["w_dist_sma_20_z", "w_dist_sma_50_z", "w_dist_sma_100_z", "w_dist_sma_200_z", "w_sma_20_50_z"],
        *["w_position_52", "w_volume_ratio_12", "w_beta_52", "w_corr_52"],
    ]
    exact = ("w_ret", "w_dist", "w_vol_", "w_trend", "w_mom", "w_atr", "w_natr", "w_range", "w_high_")
    assert {value for name, value in last.items() if name.startswith(exact) and name not in null} == {0.0}


def test_macd_by_its_definition() -> None:
    """Both EMAs start at bar 25, the fast one seeded with the mean of bars 14 to 25."""
    close = random_bars(80)["close"].to_numpy()

    def ema(x: np.ndarray, first: int, n: int) -> np.ndarray:
        out = np.full(len(x), np.nan)
        out[first] = np.mean(x[first - n + 1 : first + 1])
        for k in range(first + 1, len(x)):
            out[k] = out[k - 1] + 2 / (n + 1) * (x[k] - out[k - 1])
        return out

    line = ema(close, 25, 12) - ema(close, 25, 26)
    signal = ema(line, 33, 9)
    for name, expected in (("w_macd", line), ("w_macd_signal", signal), ("w_macd_hist", line - signal)):
        np.testing.assert_allclose(ORACLES[name](random_bars(80))[33:], expected[33:], rtol=1e-9, atol=1e-12)


def test_plain_talib_agrees_on_plain_bars() -> None:
    """Where the oracles prepare TA-Lib's input, ordinary bars do not need it."""
    bars = random_bars(260)
    high, low, close, bench = (bars[name].to_numpy() for name in ("high", "low", "close", "bench"))
    plain = {
        "w_rsi_14": talib.RSI(close, 14),
        "w_sma_20": talib.SMA(close, 20),
        "w_atr_14": talib.ATR(high, low, close, 14),
        "w_natr_14": talib.NATR(high, low, close, 14),
        "w_corr_52": np.r_[np.nan, talib.CORREL(np.diff(np.log(close)), np.diff(np.log(bench)), 52)],
    }
    for name, expected in plain.items():
        np.testing.assert_allclose(ORACLES[name](bars), expected, rtol=1e-10)


def test_rsi_has_no_epsilon() -> None:
    """One gain, then 600 equal weeks: the average gain falls below 1e-14, "zero" in some TA-Lib versions."""
    close = np.r_[1.0, np.full(600, 1.1)]
    assert ORACLES["w_rsi_14"](pd.DataFrame({"close": close}))[-1] == 100.0


def test_true_range_follows_the_contract_where_high_is_below_low() -> None:
    bars = pd.DataFrame({"high": 5.0, "low": 6.0, "close": 5.5}, index=range(15))
    assert ORACLES["w_atr_14"](bars)[-1] == 0.0  # max(5, 5.5) - min(6, 5.5)


@pytest.mark.parametrize("available", ["next-week", "week-end"])
@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_the_reference_gives_the_golden_weeks(case: Golden, available: Literal["next-week", "week-end"]) -> None:
    out = reference_table(case.frame(), week=case.week, available=available)
    seen = [
        None if pd.isna(week_end) else (f"{week_end:%Y-%m-%d}", close)
        for week_end, close in zip(out["w_week_end"], out["w_close"], strict=True)
    ]
    assert seen == case.expected(available)
    pd.testing.assert_frame_equal(out[["symbol", "date", "close"]], case.frame(), check_dtype=False)


def test_bars_take_the_usable_part_of_a_row() -> None:
    nan, inf = np.nan, np.inf
    rows = [
        # date, open, high, low, close, volume; the Monday's close is not usable, so nothing of its row counts
        ("2024-03-04", 1.0, 99.0, 1.0, 0.0, 1000.0),
        ("2024-03-05", 0.0, 12.0, 0.0, 11.0, 5.0),
        ("2024-03-06", 10.5, inf, 10.0, 10.4, -1.0),
        ("2024-03-07", 10.4, 11.0, 10.2, 10.9, 7.0),
        # a week of no-trade rows: zeros in the prices, no volume that counts
        ("2024-03-11", 0.0, 0.0, 0.0, 10.9, nan),
        ("2024-03-12", nan, nan, nan, 10.8, nan),
    ]
    daily = pd.DataFrame(rows, columns=["date", "open", "high", "low", "close", "volume"])
    bars = period_bars(daily, "W-FRI", None)
    assert bars.index.tolist() == [pd.Timestamp("2024-03-08"), pd.Timestamp("2024-03-15")]
    first, second = bars.to_numpy().tolist()
    assert first == [10.5, 12.0, 10.0, 10.9, 12.0, 3.0]
    assert second == [10.9, 10.9, 10.8, 10.8, 0.0, 2.0]

    adjusted = period_bars(daily.assign(adj=daily["close"] / 2), "W-FRI", "adj")
    np.testing.assert_allclose(adjusted, bars * [0.5, 0.5, 0.5, 0.5, 1, 1], rtol=1e-15)


def test_rows_columns_and_benchmarks_are_as_the_contract_says() -> None:
    days = pd.bdate_range("2024-03-04", "2024-03-22")
    daily = pd.concat(
        pd.DataFrame({"date": days, "note": range(15), "symbol": symbol, "close": close})
        for symbol, close in (("é", 8.0), ("z", 4.0), ("BRK.B", 2.0))
    )
    daily = daily[~((daily["symbol"] == "BRK.B") & daily["date"].between("2024-03-11", "2024-03-15"))]
    sectors = pd.DataFrame({"symbol": ["é", "z"], "subsector": ["z", None]})
    out = reference_table(daily.sample(frac=1, random_state=1), benchmarks=("BRK.B",), sector_map=sectors)

    assert out["symbol"].unique().tolist() == ["BRK.B", "z", "é"]  # by UTF-8 bytes
    assert [sum(out["symbol"] == symbol) for symbol in ("BRK.B", "z", "é")] == [10, 15, 15]
    own = list(daily.columns)
    expected = daily.sort_values(["symbol", "date"], ignore_index=True)
    pd.testing.assert_frame_equal(out[own], expected)
    common = [name for name in ORACLES if name not in RELATIVE]
    assert list(out.columns[len(own) :]) == [
        *["w_week_end", "w_bars", "w_days", *common[1:]],
        *["w_rs_brk_b", "w_rs_brk_b_norm", "w_rs_brk_b_slope", "w_beta_brk_b_52", "w_corr_brk_b_52"],
        *["w_rs_subsector", "w_rs_subsector_norm", "w_rs_subsector_slope"],
        *["w_beta_subsector_52", "w_corr_subsector_52"],
    ]
    nan = np.nan  # no bar in week 1 is seen; the benchmark has no bar in week 2
    first_of_week = out[out["date"].isin(days[[0, 5, 10]])].groupby("symbol")
    assert str(first_of_week["w_rs_brk_b"].agg(list).to_dict()["é"]) == str([nan, 4.0, nan])
    assert str(first_of_week["w_rs_subsector"].agg(list).to_dict()["é"]) == str([nan, 2.0, 2.0])
    assert out.loc[out["symbol"] != "é", "w_rs_subsector"].isna().all()
    assert out["w_volume"].isna().all()
    assert out["w_volume_ratio_12"].isna().all()

    cut = reference_table(daily, benchmarks=("BRK.B",), sector_map=sectors, start="2024-03-18", end="2024-03-19")
    expected = out[out["date"].between("2024-03-18", "2024-03-19")].reset_index(drop=True)
    pd.testing.assert_frame_equal(cut, expected)
    nobody = reference_table(daily[:0], sector_map=sectors[:0])
    assert list(nobody.columns) == [name for name in out.columns if "brk_b" not in name]


def test_a_benchmark_that_the_dataset_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="SPY"):
        reference_table(GOLDEN[0].frame(), benchmarks=("SPY",))
