"""Every value: against the oracles column by column, against the reference as a whole, and against time."""

from __future__ import annotations

import datetime
import gc
import gzip
import importlib.metadata
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from golden import GOLDEN, Golden
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import ORACLES, RELATIVE, oracles, relative_name
from reference_job import reference_table

import weekly_cli
from weekly_cli.compute.features import Catalogue, Feature, catalogue, evaluate
from weekly_cli.compute.panel import PanelShape
from weekly_cli.names import ANCHORS, AVAILABILITIES, PERIODS, WINDOWS
from weekly_cli.verify.reference.columns import FORMULAS, rounding
from weekly_cli.verify.reference.formulas import is_relative

TOLERANCE = 1e-9
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CATALOGUE = catalogue(["b"])
#: The clocks besides the week.
LONGER = tuple(every for every in PERIODS if every != "week")
NOT_COMPUTED = [f"{period.prefix}{name}" for period in PERIODS.values() for name in (period.end, "days")]


def computed_features(columns: Catalogue) -> list[Feature]:
    return [feature for feature in columns.features if feature.name not in NOT_COMPUTED]


COMPUTED = computed_features(CATALOGUE)


def assert_close(found: np.ndarray, expected: np.ndarray, what: str) -> None:
    """Equal to 1e-9 of the value (of 1 where it is smaller), and missing in the same places."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert np.array_equal(np.isnan(found), np.isnan(expected)), f"{what}: values are missing in other places"
    there = ~np.isnan(expected)
    error = np.abs(found[there] - expected[there]) / np.maximum(1.0, np.abs(expected[there]))
    assert error.max(initial=0.0) <= TOLERANCE, f"{what}: off by {error.max()}"


# ---- each column against its oracle ----------------------------------------------------------------------


def random_bars(rng: np.random.Generator, bars: int) -> pd.DataFrame:
    """A random walk with flat stretches, jumps and weeks in which the benchmark has no bar."""
    steps = rng.standard_normal(bars) * rng.choice([0.001, 0.03, 0.2])
    begin = int(rng.integers(0, bars + 1))
    steps[begin : begin + int(rng.integers(0, 90))] = 0.0
    close = np.round(100.0 * np.exp(np.clip(np.cumsum(steps), -3.0, 3.0)), 2)
    spread = np.abs(rng.standard_normal((2, bars))) * rng.choice([0.0, 0.02])
    bench = 50.0 * np.exp(np.cumsum(rng.standard_normal(bars) * 0.02))
    bench[rng.random(bars) < rng.choice([0.0, 0.01])] = np.nan
    return pd.DataFrame(
        {
            "open": close * (1 + spread[0] / 2),
            "high": close * (1 + spread[0]),
            "low": close * (1 - spread[1] / 4),
            "close": close,
            "volume": np.round(rng.exponential(1e6, bars) * (rng.random(bars) < 0.95)),
            "bench": bench,
        }
    )


def computed(histories: list[pd.DataFrame], columns: Catalogue = CATALOGUE) -> dict[str, list[np.ndarray]]:
    """Every column of several symbols side by side in one panel."""
    features = computed_features(columns)
    lengths = np.array([len(bars) for bars in histories])
    shape = PanelShape(lengths)
    together = pd.concat(histories, ignore_index=True)
    given_panels = {name: shape.panel(together[name].to_numpy()) for name in ("open", "high", "low", "close", "volume")}
    given_panels |= {
        "bar_number": shape.panel(shape.bar_number),
        "benchmark:b": shape.panel(together["bench"].to_numpy()),
    }
    with np.errstate(all="ignore"):
        panels = evaluate([feature.name for feature in features], columns.steps, given_panels.__getitem__)
        cuts = np.cumsum(lengths)[:-1]
        return {
            feature.name: np.split(shape.ragged(panel), cuts) for feature, panel in zip(features, panels, strict=True)
        }


def test_panels_do_not_wait_for_the_garbage_collector() -> None:
    """A block's panels are tens of MB, in objects so few that the collector would come after many blocks."""
    seen: list[weakref.ref[np.ndarray]] = []

    def panel_of(name: str) -> np.ndarray:
        panel = np.arange(60.0).reshape(-1, 1) + 1
        seen.append(weakref.ref(panel))
        return panel

    gc.disable()
    try:
        for _ in evaluate(["w_macd"], CATALOGUE.steps, panel_of):
            assert any(panel() is not None for panel in seen)
        del _
        assert seen and all(panel() is None for panel in seen)
    finally:
        gc.enable()


CONTRACT_NAME = {relative_name(key, "b") if key in RELATIVE else key: key for key in ORACLES}
ORACLE_OF = {name: ORACLES[key] for name, key in CONTRACT_NAME.items()}


def test_every_column_has_an_oracle() -> None:
    assert {feature.name for feature in COMPUTED} == set(ORACLE_OF)


@SLOW
@given(seed=st.integers(0, 2**32 - 1), lengths=st.lists(st.integers(1, 290), min_size=1, max_size=3))
def test_columns_equal_their_oracles(seed: int, lengths: list[int]) -> None:
    rng = np.random.default_rng(seed)
    histories = [random_bars(rng, bars) for bars in lengths]
    for name, columns in computed(histories).items():
        for bars, column in zip(histories, columns, strict=True):
            certain = rounding(bars, CONTRACT_NAME[name]) < TOLERANCE / 10
            assert_close(column[certain], ORACLE_OF[name](bars)[certain], name)


@settings(SLOW, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), bars=st.integers(1, 230))
@pytest.mark.parametrize("every", LONGER)
def test_columns_of_longer_periods_equal_their_oracles(every: str, seed: int, bars: int) -> None:
    history = random_bars(np.random.default_rng(seed), bars)
    columns, of_name = catalogue(["b"], every=[every]), oracles({}, every)
    keys = {relative_name(key, "b") if is_relative(key) else key: key for key in of_name}
    assert {feature.name for feature in computed_features(columns)} == set(keys)
    for name, (column,) in computed([history], columns).items():
        certain = rounding(history, keys[name]) < TOLERANCE / 10
        assert_close(column[certain], of_name[keys[name]](history)[certain], name)


def windows_of(least: int, most: int = 3) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(least, 120), min_size=1, max_size=most, unique=True).map(lambda ns: tuple(sorted(ns)))


@settings(SLOW, max_examples=12)
@given(
    seed=st.integers(0, 2**32 - 1),
    bars=st.integers(1, 290),
    windows=st.fixed_dictionaries(
        {key: windows_of({"mom": 1, "beta": 3}.get(key, 2)) for key in WINDOWS if key != "macd"}
    ),
    spans=st.tuples(st.integers(2, 30), st.integers(2, 30), st.integers(2, 20)).filter(lambda ns: ns[0] < ns[1]),
)
def test_columns_of_any_windows_equal_their_oracles(
    seed: int, bars: int, windows: dict[str, tuple[int, ...]], spans: tuple[int, int, int]
) -> None:
    windows |= {"macd": spans}
    history = random_bars(np.random.default_rng(seed), bars)
    columns = catalogue(["b"], windows.items())
    expected = {relative_name(key, "b") if is_relative(key) else key: key for key in oracles(windows)}
    assert {feature.name for feature in computed_features(columns)} == set(expected)
    for name, (column,) in computed([history], columns).items():
        certain = rounding(history, expected[name], windows) < TOLERANCE / 10
        assert_close(column[certain], oracles(windows)[expected[name]](history)[certain], name)


@SLOW
@given(seed=st.integers(0, 2**32 - 1))
def test_columns_equal_their_formulas_where_a_price_is_far_off(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bars = random_bars(rng, 260)
    bars[["open", "high", "low", "close"]] *= 10.0 ** rng.integers(-12, 5)
    column, row = rng.choice(["high", "low", "close", "volume", "bench"]), int(rng.integers(0, 260))
    bars.loc[row, column] = rng.choice(
        [1e300, 1.7e308, 1e-300, 5e-324, bars.loc[row, column] * rng.choice([1e12, 1e-7])]
    )
    with_formula = {name: columns for name, columns in computed([bars]).items() if CONTRACT_NAME[name] in FORMULAS}
    for name, columns in with_formula.items():
        with np.errstate(all="ignore"):
            expected = FORMULAS[CONTRACT_NAME[name]](bars)
        error = rounding(bars, CONTRACT_NAME[name]) / np.maximum(1.0, np.abs(expected))
        assert_close(
            *(np.where(np.isfinite(x) & ~(error > TOLERANCE / 10), x, np.nan) for x in (columns[0], expected)), name
        )


def test_a_flat_price_has_no_z_score_and_no_distance() -> None:
    bars = random_bars(np.random.default_rng(1), 120)
    bars["close"] = bars["open"] = bars["high"] = bars["low"] = 0.1
    columns = {name: parts[0] for name, parts in computed([bars]).items()}
    assert np.isnan(columns["w_dist_sma_20_z"]).all()
    assert (columns["w_dist_sma_20"][19:] == 0.0).all()
    assert (columns["w_vol_12"][12:] == 0.0).all()
    assert np.isnan(columns["w_rsi_14"]).all()
    assert np.isnan(columns["w_position_52"]).all()
    assert np.isnan(columns["w_beta_b_52"]).all()


@pytest.mark.parametrize(
    "feature",
    [*COMPUTED, *(one for every in ("month", "quarter") for one in computed_features(catalogue(["b"], every=[every])))],
    ids=lambda feature: feature.name,
)
def test_first_bar_is_as_declared(feature: Feature) -> None:
    bars = random_bars(np.random.default_rng(3), 290)
    bars["bench"] = np.arange(1.0, 291.0) ** 1.1
    bars["close"] = 100 + np.sin(np.arange(290.0)) * 5
    bars["high"], bars["low"], bars["open"] = bars["close"] + 1, bars["close"] - 1, bars["close"]
    bars["volume"] = 5.0
    column = computed([bars], catalogue(["b"], every=[feature.every]))[feature.name][0]
    assert int(np.flatnonzero(~np.isnan(column))[0]) == feature.first_bar


# ---- the whole job against the reference implementation --------------------------------------------------


def random_daily(rng: np.random.Generator, symbols: int, days: int) -> pd.DataFrame:
    """Daily rows with gaps, holes of weeks, late listings, delistings and prices that are not usable."""
    frames = []
    for number in range(symbols):
        calendar = pd.date_range("2019-12-20", periods=days, freq="D")
        keep = rng.random(days) < rng.choice([0.7, 0.3, 1.0])
        keep &= np.arange(days) >= rng.integers(0, days // 2) * (number % 2)
        keep &= np.arange(days) < days - rng.integers(0, days // 3) * (number % 3 == 2)
        hole = int(rng.integers(0, days))
        keep[hole : hole + int(rng.integers(0, 60))] = False
        keep[days // 2] = True
        rows = int(keep.sum())
        close = np.round(20 * np.exp(np.cumsum(rng.standard_normal(rows) * 0.03)), 2)
        prices = {"open": close, "high": close * 1.01, "low": close * 0.98, "close": close}
        frame = pd.DataFrame({"symbol": f"S{number}", "date": calendar[keep], **prices})
        frame["volume"] = np.round(rng.exponential(1e5, rows))
        frame["adj"] = close * np.linspace(0.5, 1.0, rows)
        for name in ("open", "high", "low", "close", "volume", "adj"):
            bad = rng.random(rows) < 0.01
            frame.loc[bad, name] = rng.choice([np.nan, 0.0, -1.0, np.inf], int(bad.sum()))
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def built(daily: pd.DataFrame, folder: Path, **settings_: object) -> pd.DataFrame:
    """The output of the real job for a frame, as float64."""
    table = pa.Table.from_pandas(daily, preserve_index=False)
    table = table.set_column(table.column_names.index("date"), "date", table.column("date").cast(pa.date32()))
    pq.write_table(table, folder / "in.parquet", row_group_size=1000)
    report = weekly_cli.build(folder / "in.parquet", folder / "out", dtype="float64", **settings_)
    assert report.rejected == ()
    return pd.read_parquet(folder / "out")


def assert_same_job(found: pd.DataFrame, expected: pd.DataFrame) -> None:
    assert sorted(found.columns) == sorted(expected.columns)
    added = ORACLES.keys() - FORMULAS.keys()  # these stand in their family's place, and at the end of the oracles
    assert list(found.columns.drop(added, errors="ignore")) == list(expected.columns.drop(added, errors="ignore"))
    assert len(found) == len(expected)
    assert list(found["symbol"]) == list(expected["symbol"])
    ends = [name for name in found.columns if name.endswith(("_week_end", "_month_end", "_quarter_end"))]
    for name in ("date", *ends):
        dates = (pd.to_datetime(frame[name]).astype("datetime64[us]") for frame in (found, expected))
        pd.testing.assert_series_equal(*dates, check_index=False)
    for name in found.columns.difference(["symbol", "date", *ends]):
        if not name.startswith(
            tuple(period.prefix for period in PERIODS.values())
        ):  # the user's own leave as they came
            assert np.array_equal(found[name], expected[name], equal_nan=True), name
            continue
        assert_close(found[name].to_numpy(np.float64), expected[name].to_numpy(np.float64), name)


@pytest.mark.parametrize("available", AVAILABILITIES)
@pytest.mark.parametrize("week", ANCHORS)
def test_the_job_equals_the_reference(week: str, available: str, tmp_path: Path) -> None:
    daily = random_daily(np.random.default_rng(ANCHORS.index(week)), symbols=4, days=460)
    shuffled = daily.sample(frac=1.0, random_state=1)
    found = built(shuffled, tmp_path, week=week, available=available, benchmark=["S0"])
    assert_same_job(found, reference_table(daily, week=week, available=available, benchmarks=("S0",)))


@settings(SLOW, max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), available=st.sampled_from(AVAILABILITIES), price=st.sampled_from([None, "adj"]))
def test_random_datasets_equal_the_reference(
    seed: int, available: str, price: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(seed)
    daily = random_daily(rng, symbols=3, days=int(rng.integers(30, 700)))
    sectors = pd.DataFrame({"symbol": ["S0", "S2"], "sector": ["S1", "S1"], "subsector": ["S0", None]})
    folder = tmp_path_factory.mktemp("job")
    sectors.to_csv(folder / "sectors.csv", index=False)
    repeated = pd.concat([daily, daily.sample(frac=0.1, random_state=1).assign(close=1e6)], ignore_index=True)
    found = built(
        repeated, folder, available=available, price=price, on_duplicates="first",
        sector_map=str(folder / "sectors.csv"), start="2020-03-01", allow_empty=True,
    )  # fmt: skip
    expected = reference_table(daily, available=available, price=price, sector_map=sectors, start="2020-03-01")
    assert_same_job(found, expected)


@settings(SLOW, max_examples=8)
@given(
    seed=st.integers(0, 2**32 - 1),
    available=st.sampled_from(AVAILABILITIES),
    week=st.sampled_from(ANCHORS),
    every=st.lists(st.sampled_from(list(PERIODS)), min_size=1, unique=True),
)
def test_random_datasets_of_several_clocks_equal_the_reference(
    seed: int, available: str, week: str, every: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Symbols have months without rows, and begin and end inside of them; rows begin inside of one."""
    rng = np.random.default_rng(seed)
    daily = random_daily(rng, symbols=3, days=int(rng.integers(30, 1500)))
    daily = daily[~daily["date"].dt.month.isin(rng.choice(12, int(rng.integers(0, 5)))) | (daily["symbol"] != "S1")]
    folder = tmp_path_factory.mktemp("clocks")
    job = {"available": available, "week": week, "start": "2020-02-11"}
    found = built(daily, folder, benchmark=["S0"], every=every, allow_empty=True, **job)
    in_order = [one for one in PERIODS if one in every]
    assert_same_job(found, reference_table(daily, benchmarks=("S0",), every=in_order, **job))


def test_real_prices_equal_the_reference(tmp_path: Path) -> None:
    listed = importlib.metadata.files("bokeh_sampledata") or []
    stocks = next(file for file in listed if file.name == "stocks.csv.gz")
    with gzip.open(stocks.locate(), "rt") as stream:  # type: ignore[arg-type]
        prices = pd.read_csv(stream, parse_dates=["Date"])
    prices.columns = [name.lower().replace(" ", "_") for name in prices.columns]
    daily = prices.rename(columns={"ticker": "symbol"}).astype({"volume": np.float64})
    benchmark = daily["symbol"].iloc[0]
    found = built(daily, tmp_path, price="adj_close", benchmark=[benchmark])
    assert len(found) == len(daily) > 10_000
    assert_same_job(found, reference_table(daily, price="adj_close", benchmarks=(benchmark,)))


@pytest.mark.parametrize("available", AVAILABILITIES)
@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.name)
def test_the_job_gives_the_golden_weeks(case: Golden, available: str, tmp_path: Path) -> None:
    found = built(case.frame(), tmp_path, week=case.week, available=available)
    seen = [
        None if pd.isna(close) else (end.isoformat(), close)
        for end, close in zip(found["w_week_end"], found["w_close"], strict=True)
    ]
    assert seen == case.expected(available)


# ---- against time ----------------------------------------------------------------------------------------


@settings(SLOW, max_examples=12)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.1, 1.0), available=st.sampled_from(AVAILABILITIES))
def test_what_comes_later_changes_nothing_before(
    seed: int, share: float, available: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    daily = random_daily(np.random.default_rng(seed), symbols=3, days=900)
    first, last = daily["date"].min(), daily["date"].max()
    cut = first + (last - first) * share
    folder = tmp_path_factory.mktemp("cut")
    job = {"available": available, "benchmark": ["S0"], "every": ["week", "2W", "month", "quarter"]}
    whole = built(daily, folder, **job)
    short = built(daily[daily["date"] <= cut], folder, **job)
    before = whole[pd.to_datetime(whole["date"]) <= cut].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, short, check_exact=True, check_dtype=False)  # int32 with nulls is float64


def test_a_frame_gets_what_the_command_writes(tmp_path: Path) -> None:
    daily = random_daily(np.random.default_rng(5), symbols=5, days=600)
    sectors = pd.DataFrame({"symbol": ["S1", "S2"], "sector": ["S3", "S4"]})
    sectors.to_csv(tmp_path / "sectors.csv", index=False)
    written = built(daily, tmp_path, benchmark=["S0"], sector_map=str(tmp_path / "sectors.csv"))
    held = weekly_cli.add_weekly_features(
        daily.sample(frac=1.0, random_state=2), benchmark="S0", sector_map=sectors, dtype="float64"
    )
    held = held.sort_values(["symbol", "date"], ignore_index=True)
    for name in ("date", "w_week_end"):
        held[name] = held[name].dt.date.replace({pd.NaT: None})
    pd.testing.assert_frame_equal(held, written, check_exact=True)
    assert isinstance(written["date"].iloc[0], datetime.date)
