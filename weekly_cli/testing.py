"""Tests to borrow for features of your own: call one in a test, with the plugin's path or name.

    from weekly_cli.testing import assert_no_lookahead

    def test_my_features_do_not_look_ahead():
        assert_no_lookahead("my_features.py")

All run on made-up prices, from a seed, with every clock that the plugin has columns of. They raise an AssertionError
that says where values differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from weekly_cli.compute.clocks import Clock
from weekly_cli.compute.features import Catalogue, Feature, catalogue, evaluate
from weekly_cli.compute.kernels import Panel
from weekly_cli.files import output_file, parquet, records
from weekly_cli.names import PERIODS
from weekly_cli.plugin import OwnFeature
from weekly_cli.run.pipeline import build
from weekly_cli.run.plugins import own_features, plugins_of
from weekly_cli.settings import Config
from weekly_cli.verify import verify

_SYMBOLS, _BARS = 4, 240
#: Sessions that make some dozens of bars.
_DAYS = {"week": 600, "2W": 900, "4W": 1200, "month": 1200, "quarter": 2400}
_FIRST_FRIDAY = 17900  # 2019-01-04
#: A running sum, as pandas has, keeps a trace of what has left its window; less than this of it is let pass.
_SMALL = 1e-9
#: How tasks are cut and by how many workers they are done.
_WAYS = (("direct", 1), ("batched", 1), ("per-symbol", 2))


def assert_no_lookahead(plugin: str | Path, seed: int = 0) -> None:
    """Build made-up prices, cut them after some days, and compare all earlier rows, as `weekly-cli verify` does."""
    settings = _settings(plugin)
    with _prices(seed, settings["every"]) as source:
        build(source, source.with_name("out"), strategy="direct", **settings)
        proof = verify(source.with_name("out"), plugin=[str(plugin)], symbols=_SYMBOLS, dates=6, seed=seed)
    found = [each for check in proof.checks if check.name in ("values", "look-ahead") for each in check.findings]
    assert not found, "; ".join(found)


def assert_same_for_any_jobs(plugin: str | Path, seed: int = 0) -> None:
    """Build made-up prices in one process, in batches, and symbol by symbol on two workers: equal bit for bit."""
    settings = _settings(plugin)
    with _prices(seed, settings["every"]) as source:
        tables = []
        for strategy, jobs in _WAYS:
            output = source.with_name(f"{strategy}.parquet")
            build(source, output, strategy=strategy, jobs=jobs, **settings)
            tables.append(parquet.open_own(output).read())
    for (strategy, _), table in zip(_WAYS[1:], tables[1:], strict=True):
        for name in (feature.name for feature in _own(plugin)):
            same = tables[0].column(name).equals(table.column(name))
            assert same, f"{name} with --strategy {strategy} is another than with --strategy {_WAYS[0][0]}"


def assert_one_null_is_local(plugin: str | Path, column: str, seed: int = 0) -> None:
    """Leave out one value of a bar: only the same symbol's values change, from that bar on, within the window."""
    columns, feature = _feature(plugin, column)
    bars = _bars(seed, feature.every)
    clean = _value(columns, feature, bars)
    k, symbol = _BARS // 2, _SYMBOLS // 2
    for name in ("open", "high", "low", "close", "volume"):
        panel = bars[name].copy()
        panel[k, symbol] = np.nan
        other = _value(columns, feature, {**bars, name: panel})
        differs = ~np.isclose(clean, other, rtol=_SMALL, atol=_SMALL, equal_nan=True)
        stop = _BARS if feature.window is None else k + feature.window
        differs[k:stop, symbol] = False
        places = np.argwhere(differs)
        assert not len(places), (
            f"{column} of symbol {places[0][1]} at bar {places[0][0]} changes with the {name} of symbol {symbol} at "
            f"bar {k}; its window is {feature.window or 'all bars before'}"
        )


def assert_equals_oracle(
    plugin: str | Path, column: str, oracle: Callable[[pd.DataFrame], Any], rtol: float = 1e-9, seed: int = 0
) -> None:
    """Compare a column with a function of one symbol's bars: a DataFrame -> a value a bar, NaN where it is null."""
    columns, feature = _feature(plugin, column)
    bars = _bars(seed, feature.every)
    found = _value(columns, feature, bars)
    for symbol in range(_SYMBOLS):
        frame = pd.DataFrame({name: bars[name][:, symbol] for name in ("open", "high", "low", "close", "volume")})
        expected = np.asarray(oracle(frame), np.float64)
        np.testing.assert_allclose(found[:, symbol], expected, rtol=rtol, atol=rtol, err_msg=column)


# ---- made-up data ----------------------------------------------------------------------------------------


def _own(plugin: str | Path) -> tuple[OwnFeature, ...]:
    return own_features(plugins_of(Config(plugin=(str(plugin),))))


def _clocks(plugin: str | Path) -> list[str]:
    return [every for every in PERIODS if any(feature.every == every for feature in _own(plugin))]


def _settings(plugin: str | Path) -> dict[str, Any]:
    """Return those of a build with the columns of a plugin and no others."""
    names = ",".join(feature.name for feature in _own(plugin))
    return {"plugin": [str(plugin)], "every": _clocks(plugin), "features": names, "dtype": "float64"}


def _feature(plugin: str | Path, column: str) -> tuple[Catalogue, Feature]:
    columns = catalogue(own=_own(plugin), every=_clocks(plugin))
    return columns, columns.select(column)[0]


def _value(columns: Catalogue, feature: Feature, bars: Mapping[str, Panel]) -> Panel:
    with np.errstate(all="ignore"):
        (value,) = evaluate([feature.name], columns.steps, bars.__getitem__)
    panel: Panel = np.asarray(value, np.float64)
    return panel


def _bars(seed: int, every: str) -> dict[str, Panel]:
    rng = np.random.default_rng(seed)
    shape = (_BARS, _SYMBOLS)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.03, shape), axis=0))
    spread = 1.0 + np.abs(rng.normal(0.0, 0.02, (2, *shape)))
    k = np.repeat(np.arange(float(_BARS))[:, None], _SYMBOLS, axis=1)
    clock = Clock(every, "W-FRI", "next-week")
    ends = clock.end(clock.period(_FIRST_FRIDAY) + np.arange(_BARS)).astype(np.float64)
    return {
        "open": close * np.sqrt(spread[0]),
        "high": close * spread[0],
        "low": close / spread[1],
        "close": close,
        "volume": np.round(rng.exponential(1e6, shape)),
        "days": np.full(shape, 5.0),
        "bar_number": k,
        PERIODS[every].end: np.repeat(ends[:, None], _SYMBOLS, axis=1),
    }


@contextmanager
def _prices(seed: int, every: Iterable[str]) -> Iterator[Path]:
    """Write daily rows to a folder that is removed afterwards; symbols begin on different days."""
    rng = np.random.default_rng(seed)
    n_days = max(_DAYS[clock] for clock in every)
    days = np.busday_offset("2019-01-01", np.arange(n_days), roll="forward")
    frames = []
    for number in range(_SYMBOLS):
        own_days = days[number * 30 :]
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.015, len(own_days))))
        spread = 1.0 + np.abs(rng.normal(0.0, 0.01, (2, len(own_days))))
        prices = {"open": close * np.sqrt(spread[0]), "high": close * spread[0], "low": close / spread[1]}
        frame = {"symbol": [f"S{number}"] * len(own_days), "date": own_days, **prices, "close": close}
        frames.append(pa.table({**frame, "volume": np.round(rng.exponential(1e6, len(own_days)))}))
    table = pa.concat_tables(frames)
    with records.scratch() as folder:
        with output_file.ParquetOutput(folder / "prices.parquet", table.schema) as output:
            output.write(table)
            output.close(durable=False)
        yield folder / "prices.parquet"
