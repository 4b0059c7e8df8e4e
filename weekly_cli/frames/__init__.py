"""The same weekly columns for a frame in memory: pandas, polars or Arrow.

`incoming` has the kinds of frames, `keys` finds symbol and date in columns and index, `wording` tells errors in the
words of Python. The values are computed by the code that the command's workers run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Floats, Ints, bars_by_clock, closes_by_clock, columns_as_used
from weekly_cli.compute.columns import BenchmarkBars, Recipe, arrow_type
from weekly_cli.compute.features.cross import placed_features
from weekly_cli.compute.labels import labels_up_to
from weekly_cli.compute.running import running_bars
from weekly_cli.compute.spans import blocks
from weekly_cli.compute.treatment import Treatment, treated
from weekly_cli.dataset.schema import name_collisions, prices, working_type
from weekly_cli.dataset.source import Chunk
from weekly_cli.dataset.written import check_groups, check_sectors
from weekly_cli.errors import InputRefused
from weekly_cli.frames.incoming import Frame, take
from weekly_cli.frames.keys import WHERE, Keys, columns_of, keys_of, refuse_repeated
from weekly_cli.frames.wording import in_python
from weekly_cli.names import AUTO, PRICE_ROLES
from weekly_cli.run.benchmark_file import keyed_closes, numbered, numbers_for
from weekly_cli.run.clocks import run_clocks
from weekly_cli.run.comparisons import compare
from weekly_cli.run.rows import sort_order
from weekly_cli.run.section import CrossSection, Panels, section_of
from weekly_cli.run.sectors import sectors_of
from weekly_cli.run.wanted import Wanted, wanted_by
from weekly_cli.run.weeks import anchors_of, rows_by_weekday
from weekly_cli.settings import Config, from_python, resolve

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

DataFrame = TypeVar("DataFrame")


class FrameSettings(TypedDict, total=False):
    """The settings that a frame can have, with the meaning of the flags of `weekly-cli build`."""

    features: str
    windows: Mapping[str, int | Sequence[int]]
    label: str | Sequence[str]
    plugin: str | Sequence[str]
    columns: Mapping[str, str]
    symbol: str
    date_unit: str
    date_format: str
    timezone: str
    every: str | Sequence[str]
    week: str
    available: str
    calendar: str
    developing: bool
    cross_section: str | Sequence[str]
    universe: str
    min_group: int
    benchmark: str | Sequence[str]
    price: str
    negative_prices: str
    drop_padding: bool
    adjust_volume: bool
    dtype: str
    sector_map: pd.DataFrame | str


def add_weekly_features(df: DataFrame, **settings: Unpack[FrameSettings]) -> DataFrame:
    """Return the frame with the weekly columns after its own: the same rows in the same order, with the same index.

    The values are those that `weekly-cli build` writes. In pandas, a missing value is NaN, and `w_week_end` is a
    datetime64 that compares with Timestamps.

    Parameters
    ----------
    df : DataFrame
        Daily rows in any order, [rows, columns]: of pandas, of polars, a `pyarrow.Table`, or anything else that Arrow's
        PyCapsule interface gives, which returns as a `pyarrow.Table`. Symbol and date may be columns or levels of the
        index; a frame without symbols is one history.
    **settings
        Settings of `weekly-cli build` by their names, as `FrameSettings` lists them: features="momentum,w_vol_12",
        columns={"symbol": "Ticker"}, benchmark="SPY", week, available, price, dtype, and others. `sector_map` is a
        frame with the column symbol and any of sector, sector_equal_weight, subsector, or "@COLUMN": one of `df`.

    Raises
    ------
    TypeError
        If `df` is no frame, or a setting is not known.
    weekly_cli.errors.UsageError
        If a setting's value is not valid.
    weekly_cli.errors.InputRefused
        If a column is missing or has a wrong type, a row has no symbol or date, or a symbol's date occurs twice.
    """
    unknown = next((name for name in settings if name not in FrameSettings.__annotations__), None)
    if unknown is not None:
        raise TypeError(f"add_weekly_features() got an unexpected keyword argument {unknown!r}")
    values: dict[str, Any] = {"input": WHERE, **settings}
    of_columns = str(values.get("sector_map", "")).startswith("@")
    sector_map = None if of_columns else values.pop("sector_map", None)
    with in_python():
        frame = take(df)
        config = resolve(from_python(values))
        sectors = None if sector_map is None else pa.table(_columns(take(sector_map)))
        added = _computed(frame, config, wanted_by(config, sectors))
    with_added: DataFrame = frame.with_columns(added)
    return with_added


def _columns(frame: Frame) -> dict[str, pa.ChunkedArray]:
    return {name: frame.column(name) for name in frame.names}


def _computed(frame: Frame, config: Config, wanted: Wanted) -> pa.Table:
    """Return the weekly columns of the frame's rows, in their order."""
    collisions = name_collisions(frame.names, wanted.columns)
    if collisions:
        raise InputRefused(f"{WHERE} already has the columns {', '.join(collisions)}; drop them first")
    roles, columns = columns_of(frame, config)
    keys = keys_of(columns[roles["symbol"]], columns[roles["date"]], roles, config)
    wanted = _with_sectors(frame, keys, roles["symbol"], config, wanted)
    section = _section(frame, keys, roles["symbol"], config, wanted)
    order = sort_order(keys.codes, keys.days)
    refuse_repeated(keys, order)
    if order is not None:
        keys = Keys(keys.symbols, keys.codes[order], keys.days[order])
    raw = {role: _sorted(columns[roles[role]], order) for role in (*PRICE_ROLES, "volume") if role in roles}
    adjusted = None if config.price is None else _sorted(_adjusted(frame, config), order)
    treatment = Treatment(config.negative_prices, config.drop_padding, config.adjust_volume)
    usable, adjusted, _ = treated(keys.codes, raw, adjusted, treatment)
    added = _values(keys, usable, adjusted, config, wanted, section)
    if order is None:
        return added
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return added.take(from_numpy(places))


def _with_sectors(frame: Frame, keys: Keys, symbol: str, config: Config, wanted: Wanted) -> Wanted:
    """Return what is wanted, with the sector map that columns of the frame tell."""
    names = [name for name in config.sector_columns.values() if name in frame.names]
    columns = {name: frame.column(name) for name in names}
    kinds = [(name, columns[name].type if name in columns else pa.null()) for name in frame.names]
    check_sectors(pa.schema(kinds), symbol, config)
    if not (columns and wanted.compares):
        return wanted
    rows = _rows(frame, keys, columns)
    return replace(wanted, sector_map=sectors_of(lambda: [rows], keys.symbols, config, WHERE))


def _sorted(column: pa.ChunkedArray, order: Ints | None) -> Floats:
    values: Floats = prices(column)
    return values if order is None else values[order]


def _adjusted(frame: Frame, config: Config) -> pa.ChunkedArray:
    if config.price not in frame.names:
        raise InputRefused(f"{WHERE} has no column {config.price!r} for --price; it has {', '.join(frame.names)}")
    return frame.column(str(config.price))


def _section(frame: Frame, keys: Keys, symbol: str, config: Config, wanted: Wanted) -> CrossSection | None:
    """Return among whom bars are placed; None: they are not."""
    if not wanted.crosses:
        return None
    check_groups(pa.schema([(name, frame.column(name).type) for name in frame.names]), symbol, config)

    def chunks(names: list[str]) -> list[Chunk]:
        return [_rows(frame, keys, names)]

    return section_of(config, wanted, keys.symbols, chunks, WHERE)


def _rows(frame: Frame, keys: Keys, names: Iterable[str]) -> Chunk:
    """Return some columns of the frame's rows."""
    columns = {name: frame.column(name) for name in names}
    plain = {name: column.cast(working_type(column.type)) for name, column in columns.items()}
    return Chunk(keys.codes.astype(np.int32), keys.days.astype(np.int32), pa.table(plain))


def _values(
    keys: Keys,
    prices_by_role: Mapping[str, Floats],
    adjusted: Floats | None,
    config: Config,
    wanted: Wanted,
    section: CrossSection | None,
) -> pa.Table:
    """Return the weekly columns of sorted rows; `section` is who takes part where they are placed."""
    n_symbols = len(keys.symbols)
    comparisons = compare(config, wanted, keys.symbols, np.arange(n_symbols), WHERE)
    compared = {name: np.array([*comparisons.symbols, -1])[numbers] for name, numbers in comparisons.numbers.items()}
    first, last = (int(keys.days.min()), int(keys.days.max())) if len(keys.days) else (0, 0)
    anchors = None
    if config.week == AUTO:
        rows = Chunk(keys.codes.astype(np.int32), keys.days.astype(np.int32), pa.table({}))
        anchors = anchors_of(rows_by_weekday([rows], n_symbols, (first, last)))
    clocks = run_clocks(config, wanted.calendars, keys.symbols, (first, last), anchors).every
    labels = labels_up_to(wanted.labels, last)
    recipe = Recipe(wanted.features, wanted.steps, clocks, config.dtype, labels=labels)
    used = columns_as_used(prices_by_role, adjusted)
    bars = bars_by_clock(keys.codes, keys.days, used, clocks)
    running = running_bars(keys.codes, keys.days, used, clocks[0]) if recipe.has_rows else None
    compared = {name: numbers_for(numbers, clocks[0]) for name, numbers in compared.items()}
    differ = bool(compared) and (clocks[0].of_symbol is not None or clocks[0].has_sessions)
    of_clocks = closes_by_clock(keys.codes, keys.days, used, clocks) if differ else [bars]
    benchmarks = BenchmarkBars(keyed_closes(numbered(np.arange(n_symbols), of_clocks)), compared)
    if section is not None:
        panels = Panels(replace(recipe, features=placed_features(wanted.crosses), labels=None))
        panels.add(bars, 0, n_symbols, benchmarks)
        benchmarks = replace(benchmarks, placed=panels.places(section))
    schema = pa.schema([(feature.name, arrow_type(feature, config.dtype)) for feature in recipe.added])
    batches = [
        pa.record_batch(block.arrays(), schema=schema)
        for block in blocks(bars, keys.codes, keys.days, n_symbols, recipe, benchmarks, running)
    ]
    return pa.Table.from_batches(batches, schema=schema)
