"""The reference check: weekly columns equal those of an implementation that shares no code with the build."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import DateReading, plain_symbols
from weekly_cli.errors import PluginFailed
from weekly_cli.names import ANCHORS, PERIODS, ROLES, written_name
from weekly_cli.plugin import OwnFeature
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config
from weekly_cli.verify.proof import MAX_LISTED, Check
from weekly_cli.verify.rebuild import SampledSymbols
from weekly_cli.verify.reference.ahead import label_columns
from weekly_cli.verify.reference.columns import formulas_of, rounding
from weekly_cli.verify.reference.exchange import Markets
from weekly_cli.verify.reference.formulas import Values, is_relative
from weekly_cli.verify.reference.running import running_columns
from weekly_cli.verify.reference.table import (
    as_meant,
    first_seen,
    period_bars,
    reference_table,
    session_date,
    usable_rows,
)
from weekly_cli.verify.rows import Rows, Sides

TOLERANCE = 1e-9
#: Half a unit in the last place of a float32.
_ROUNDED = 2.0**-24
_ROUNDING = " may be off by"
_ADJUSTED = "adjusted close"
#: Single sessions on other days, such as those that make up for others, may be cut off: a share of all sessions.
_MOST_CUT = 0.02


def check_reference(check: Check, sides: Sides, sample: SampledSymbols, table_rows: Rows) -> None:
    """Recompute the sample's weekly columns with the reference implementation, one symbol at a time."""
    truth = _truth(sample)
    truth = truth[truth["code"].isin(sample.codes)].reset_index(drop=True)
    if sample.wanted.anchors is not None:
        check.findings += _cut_weeks(sides, sample)
    names = [feature.name for feature in sample.features] + [label.name for label in sample.labels]
    known = [name for name in names if name in truth]
    check.did = (
        f"{len(sample.codes):,} symbols recomputed in plain pandas: {len(known)} columns, equal to {TOLERANCE:g} and "
        "their types' rounding"
    )
    if len(known) < len(names):
        check.did += f"; no formula for {', '.join(name for name in names if name not in known)}"
    if len(truth) != len(table_rows) or (truth["code"].to_numpy() != table_rows.codes).any():
        check.findings.append(f"{len(table_rows):,} rows in the table, {len(truth):,} in the reference implementation")
        return
    differences = [_difference(sides, table_rows, truth, name) for name in known]
    findings = [difference for difference in differences if difference is not None]
    check.findings += findings[:MAX_LISTED]
    if len(findings) > MAX_LISTED:
        check.findings.append(f"and {len(findings) - MAX_LISTED} columns more")


def weeks_with_bars(rows: Rows, scan: Scan, config: Config, markets: Markets) -> Iterator[tuple[int, Ints, Ints]]:
    """Yield each symbol's code with its weeks that have a bar: their last days, and the first ones that see the bar.

    Both are int64[bars], days since 1970-01-01.
    """
    price = None if config.price is None else _ADJUSTED
    for code, of_one in _daily(rows, scan, config).groupby("code", sort=False):
        market = markets.of(of_one["symbol"].iloc[0])
        ends = pd.DatetimeIndex(period_bars(of_one, market.week, price).index)
        seen = first_seen(of_one, market, price, "week", config.available)
        yield int(str(code)), _days(ends), _days(seen)


def _cut_weeks(sides: Sides, sample: SampledSymbols) -> Iterator[str]:
    """Yield the symbols whose weeks end between two consecutive sessions more often than those of another anchor."""
    frame = _daily(sample.rows, sample.scan, sample.config)
    for code, of_one in frame.groupby("code", sort=False):
        days = pd.DatetimeIndex(session_date(of_one["date"]).unique()).sort_values()
        before = days[:-1][np.diff(days) == np.timedelta64(1, "D")]
        cuts = {anchor: int((before.day_name().str[:3].str.upper() == anchor[2:]).sum()) for anchor in ANCHORS}
        assert sample.wanted.anchors is not None
        anchor = sample.wanted.anchors[int(str(code))]
        if cuts[anchor] > min(cuts.values()) + _MOST_CUT * len(days):
            yield f"{sides.named(int(str(code)), sample.scan.first_day)}: {anchor} cuts {cuts[anchor]:,} trading weeks"


def _days(dates: pd.DatetimeIndex) -> Ints:
    return dates.to_numpy("datetime64[D]").astype(np.int64)


def markets_of(scan: Scan, config: Config, wanted: Wanted) -> Markets:
    """Return what a week is to each symbol."""
    first, last = (pd.Timestamp(np.datetime64(day, "D")) for day in (scan.first_day, scan.last_day))
    symbols = plain_symbols(scan.symbols).to_pylist()
    anchors = {} if wanted.anchors is None else dict(zip(symbols, wanted.anchors, strict=True))
    return Markets(config.week, wanted.calendars, first, last, anchors)


def _daily(rows: Rows, scan: Scan, config: Config) -> pd.DataFrame:
    """Return daily rows, one a session, with the prices that the settings mean."""
    schema = scan.footers.schema
    rows = rows.in_order().once(config, schema)
    columns = {role: rows.table.column(schema.roles[role]) for role in ROLES[1:] if role in schema.roles}
    if config.price is not None:
        columns[_ADJUSTED] = rows.table.column(config.price)
    frame = pd.DataFrame({name: _series(column) for name, column in columns.items()})
    frame["date"] = _moments(frame["date"], schema.dates)
    values = plain_symbols(scan.symbols).to_pylist()
    frame["symbol"] = pd.Series([values[code] for code in rows.codes.tolist()], dtype=object)
    frame["code"] = rows.codes
    price = None if config.price is None else _ADJUSTED
    settings = (config.negative_prices, config.drop_padding, config.adjust_volume)
    if settings != ("unusable", False, False):
        frame = pd.concat([as_meant(of_one, price, *settings) for _, of_one in frame.groupby("code", sort=False)])
    return frame


def _truth(sample: SampledSymbols) -> pd.DataFrame:
    config = sample.config
    frame = _daily(sample.rows, sample.scan, config)
    markets = markets_of(sample.scan, config, sample.wanted)
    values = plain_symbols(sample.scan.symbols).to_pylist()
    peers = pd.DataFrame(index=pd.Index(frame["symbol"].unique(), dtype=object))
    of_numbers = np.array([*(values[code] for code in sample.comparisons.symbols), None], object)
    for name, numbers in sample.comparisons.numbers.items():
        compared = dict(zip((values[code] for code in sample.codes), of_numbers[numbers], strict=True))
        peers[name] = pd.Series([compared.get(symbol) for symbol in peers.index], index=peers.index, dtype=object)
    windows = dict(config.windows)
    every = tuple(one for one in PERIODS if one == "week" or one in config.every)
    usual = {name: formula for one in every for name, formula in formulas_of(windows, one).items()}
    known = usual | {
        feature.name: partial(_own, reference=feature.reference, end=PERIODS[feature.every].end)
        for feature in sample.features
        if isinstance(feature, OwnFeature) and feature.reference is not None
    }
    wanted = {feature.name for feature in sample.features}
    known = {name: formula for name, formula in known.items() if name in wanted or is_relative(name)}
    roundings = {
        f"{name}{_ROUNDING}": partial(rounding, name=name, others=windows) for name in known if not is_relative(name)
    }
    weekly = config.rows == "weekly"
    truth = reference_table(
        frame,
        last_day=np.datetime64(sample.scan.last_day, "D") if weekly else None,
        peers=peers,
        market_of=markets.of,
        available=config.available,
        price=None if config.price is None else _ADJUSTED,
        window=(None if config.start is None else str(config.start), None if config.end is None else str(config.end)),
        formulas=known | roundings,
        every=every,
    )
    beside = [_labels(sample, frame, truth, markets)] if config.label else []
    beside += [_running(sample, frame, truth, markets)] if config.developing else []
    return pd.concat([truth, *beside], axis=1)


def _running(sample: SampledSymbols, frame: pd.DataFrame, truth: pd.DataFrame, markets: Markets) -> pd.DataFrame:
    """Return the week to date of the rows of `truth`, from the daily rows in `frame`."""
    config = sample.config
    price = None if config.price is None else _ADJUSTED
    found = []
    for _, of_one in frame.groupby("code", sort=False):
        week = markets.of(of_one["symbol"].iloc[0]).week
        rows = usable_rows(of_one, week, price)
        closes = period_bars(of_one, week, price)["close"]
        keys = [of_one["code"].to_numpy(), session_date(of_one["date"])]
        found.append(running_columns(rows, closes, config.available).set_index(keys))
    wanted = pd.MultiIndex.from_arrays([truth["code"].to_numpy(), session_date(truth["date"])])
    return pd.concat(found).reindex(wanted).reset_index(drop=True)


def _labels(sample: SampledSymbols, frame: pd.DataFrame, truth: pd.DataFrame, markets: Markets) -> pd.DataFrame:
    """Return the labels of the rows of `truth`, from the daily rows in `frame`."""
    config = sample.config
    price = None if config.price is None else _ADJUSTED
    closes, seen = {}, {}
    for symbol, of_one in frame.groupby("symbol", sort=False):
        market = markets.of(symbol)
        closes[symbol] = period_bars(of_one, market.week, price)["close"]
        seen[symbol] = first_seen(of_one, market, price, "week", config.available)
    last_day = np.datetime64(sample.scan.last_day, "D")
    dates = session_date(truth["date"])
    return label_columns(closes, seen, truth["symbol"], dates, config.label, last_day)


def _own(bars: pd.DataFrame, reference: Callable[[pd.DataFrame], Any], end: str) -> Values:
    """Return what a plugin's own reference gives; `end` is what the last day of bars is called."""
    try:
        values = np.asarray(pd.Series(reference(bars.rename_axis(end))).to_numpy(np.float64, na_value=np.nan))
    except Exception as error:
        raise PluginFailed(f"the reference of a plugin: {type(error).__name__}: {error}") from error
    if len(values) != len(bars):
        raise PluginFailed(f"the reference of a plugin: it has {len(values)} values for {len(bars)} bars")
    return values


#: At the end of a time of day.
_OFFSET = r"(\d\d:\d\d.*?)\s*(?:Z|[+-]\d\d:?\d\d)$"


def _moments(dates: pd.Series[Any], reading: DateReading) -> pd.Series[Any]:
    """Return dates that are numbers, text of another format than ISO, or moments of a zone, as pandas reads them."""
    if reading.unit == "yyyymmdd":
        return pd.to_datetime(dates.astype("int64").astype(str), format="%Y%m%d")
    if reading.unit == "d":
        return pd.Series(dates.to_numpy(np.int64).astype("datetime64[D]"))
    if reading.unit is not None:
        dates = pd.Series(dates.to_numpy(np.int64).astype(f"datetime64[{reading.unit}]"))
    elif reading.format is not None:
        dates = pd.to_datetime(dates, format=reading.format)
    elif pd.api.types.is_string_dtype(dates):  # the date as it is written, whatever the offset from UTC
        dates = dates.str.replace(_OFFSET, r"\1", regex=True)
    if reading.timezone is None or not isinstance(dates.dtype, np.dtype | pd.DatetimeTZDtype) or dates.dtype == object:
        return dates
    aware = dates if isinstance(dates.dtype, pd.DatetimeTZDtype) else dates.dt.tz_localize("UTC")
    local: pd.Series[Any] = aware.dt.tz_convert(reading.timezone)
    return local


def _series(column: pa.ChunkedArray) -> pd.Series[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    series: pd.Series[Any] = column.to_pandas()
    return series


def _difference(sides: Sides, table_rows: Rows, truth: pd.DataFrame, name: str) -> str | None:
    """Return a description of the first value that is off; None: there is none."""
    column = table_rows.table.column(name)
    if pa.types.is_temporal(column.type):
        actual = np.asarray(column.cast(pa.date32()).cast(pa.int32()).cast(pa.float64()))
        days = truth[name].to_numpy("datetime64[D]")
        expected = np.where(np.isnat(days), np.nan, days.astype(np.int64))
    else:
        actual, expected = np.asarray(column.cast(pa.float64()), np.float64), truth[name].to_numpy(np.float64)
        with np.errstate(over="ignore"):
            stored = expected.astype(np.float32) if pa.types.is_float32(column.type) else expected
        expected = np.where(np.isfinite(stored), expected, np.nan)  # what its type can't hold is missing
    tolerance = TOLERANCE + (_ROUNDED if pa.types.is_float32(column.type) else 0.0)
    allowed = tolerance * np.maximum(1.0, np.abs(expected))
    if f"{name}{_ROUNDING}" in truth:
        allowed += truth[f"{name}{_ROUNDING}"].to_numpy(np.float64)
    differs = np.abs(actual - expected) > allowed
    differs |= (np.isnan(actual) != np.isnan(expected)) & ~np.isinf(allowed)
    if not differs.any():
        return None
    row = int(np.argmax(differs))
    name = written_name(name, sides.config.prefix)
    return (
        f"{sides.named(table_rows.codes[row], table_rows.days[row])}: {name} is {actual[row]:.12g} in the table, "
        f"{expected[row]:.12g} by its formula"
    )
