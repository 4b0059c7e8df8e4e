"""What a run computes, resolved once: the features, and what replaces `{b}` in the names of the relative ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute.features import (
    CROSS,
    WEEK_END,
    CrossFeature,
    Feature,
    Step,
    catalogue,
    columns_of_bars,
    with_week_end,
)
from weekly_cli.compute.features.developing import FAMILY, PREFIX
from weekly_cli.compute.labels import Label, labels_named
from weekly_cli.dataset.exchange import Calendars, calendars_of
from weekly_cli.dataset.schema import DatasetSchema, name_collisions
from weekly_cli.dataset.written import written_columns
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.files.tables import read_table_file
from weekly_cli.names import SECTOR_COLUMNS, benchmark_name, written_name
from weekly_cli.run.plugins import Plugin, own_features, plugins_of, refuse_without_columns
from weekly_cli.run.universe import Universe, read_universe
from weekly_cli.settings import Config
from weekly_cli.settings.lists import group_names

_COLLISIONS_SHOWN = 5


@dataclass(frozen=True)
class Wanted:
    """What a run computes.

    Attributes
    ----------
    features : tuple of Feature
        In output order.
    steps : mapping of name to Step
        What they may be computed from, themselves included.
    comparisons : tuple of str
        What replaces `{b}`: the names of the benchmarks, then the sector map's columns.
    sector_map : pa.Table or None
        Its known columns, as text; None where columns of the input tell it, which `sectors` reads.
    plugins : tuple of Plugin
        Where features of the user's own come from.
    labels : tuple of Label
        The columns that look ahead; none of the features.
    universe : Universe or None
        Who takes part in a cross section; None: everybody.
    calendars : Calendars or None
        Which symbols have which exchange's calendar.
    anchors : tuple of str or None
        The last day of the week of each symbol of the scan; None: they have the same, or `weeks` is to find them.
    """

    features: tuple[Feature, ...]
    steps: Mapping[str, Step]
    comparisons: tuple[str, ...]
    sector_map: pa.Table | None
    plugins: tuple[Plugin, ...]
    labels: tuple[Label, ...]
    universe: Universe | None = None
    calendars: Calendars | None = None
    anchors: tuple[str, ...] | None = None

    @property
    def added(self) -> tuple[Feature | Label, ...]:
        """What a run adds: the features, then the labels."""
        return (*self.features, *self.labels)

    @property
    def columns(self) -> list[str]:
        """The names of what it adds."""
        return [column.name for column in self.added]

    @property
    def feature_names(self) -> list[str]:
        """The names of the features."""
        return [feature.name for feature in self.features]

    def written(self, config: Config) -> list[str]:
        """Return the names of the columns that the output has besides the input's, the features' with its prefix."""
        every = columns_of_bars(self.features) if config.rows == "weekly" else self.features
        names = [written_name(feature.name, config.prefix) for feature in every]
        return names + [label.name for label in self.labels]

    @property
    def compares(self) -> bool:
        """Whether any feature compares a symbol with another one."""
        placed = (feature.placed for feature in self.crosses)
        return any(feature.family == "relative" for feature in (*self.features, *placed))

    @property
    def crosses(self) -> list[CrossFeature]:
        """The features that place bars among those of all symbols."""
        return [feature for feature in self.features if isinstance(feature, CrossFeature)]

    def refuse_collisions(self, schema: DatasetSchema, config: Config) -> None:
        """Refuse features whose names columns of the input that are written already use, unless they are replaced.

        Raises
        ------
        InputRefused
        """
        taken = name_collisions(written_columns(schema, config), self.written(config))
        if config.rows == "weekly":
            if taken:
                raise InputRefused(
                    f"the symbol column of {config.where} is named {taken[0]}, as a column of weekly rows is; rename it"
                )
            return
        prices = [name for name in taken if name in schema.roles.values()]
        if prices and config.replace_features:
            raise InputRefused(
                f"{config.where}: weekly columns would replace {', '.join(prices[:_COLLISIONS_SHOWN])}, the prices of "
                f"which they are made; give them another {config.named('prefix')}"
            )
        if taken and not config.replace_features:
            raise InputRefused(
                f"{config.where} already has the columns {', '.join(taken[:_COLLISIONS_SHOWN])}"
                f"{' and more' if len(taken) > _COLLISIONS_SHOWN else ''}; pass --replace-features to compute them "
                "again, leave them out with --features, or name the new ones otherwise with --prefix"
            )


def wanted_by(config: Config, sector_map: pa.Table | None = None) -> Wanted:
    """Return what the settings ask for; a sector map that is not a file may be passed as a table.

    Raises
    ------
    UsageError
        If a feature is unknown, the sector map can't be used, or two comparisons would produce the same columns.
    """
    sector_map = _read_sector_map(config) if sector_map is None else _checked(sector_map, "sector_map")
    names = [benchmark_name(symbol) for symbol in config.benchmark]
    names += config.sector_columns if sector_map is None else sector_map.column_names[1:]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        raise UsageError(f"two benchmarks would both give the columns w_rs_{repeated}, ...; leave one of them out")
    plugins = plugins_of(config)
    refuse_without_columns(plugins, config.every, config.named("every"))
    own = own_features(plugins)
    columns = catalogue(names, config.windows, own, config.every, with_developing=config.developing)
    columns = columns.with_cross(config.cross_section, config.named("cross_section"))
    crosses = {one.name for one in columns.features if isinstance(one, CrossFeature)}
    features = columns.select(_selection(config, crosses), config.named("features"))
    if config.rows == "weekly":
        features = with_week_end(features)
    universe = read_universe(config) if config.cross_section else None
    _check_groups(config, sector_map)
    beside = (universe, calendars_of(config))
    return Wanted(features, columns.steps, tuple(names), sector_map, plugins, labels_named(config.label), *beside)


def _check_groups(config: Config, sector_map: pa.Table | None) -> None:
    """Refuse groups of a cross section that the sector map should tell and does not."""
    for by in group_names(config.cross_section):
        if sector_map is not None and by not in (*config.group_columns, *sector_map.column_names):
            raise UsageError(
                f"{config.named('cross_section')} by {by}: {config.named('sector_map')} {config.sector_map} has no "
                f"column {by}; it has {', '.join(sector_map.column_names)}"
            )


def _selection(config: Config, crosses: Collection[str]) -> str:
    """Return what selects the features: with all of the week to date, or of a cross section, if it names none of them.

    The key of weekly rows is not asked for: it is there without the week's columns too.
    """
    words = [word for word in config.features.split(",") if word.strip()]
    if config.rows == "weekly" and "week" not in config.every:
        words = [word for word in words if word.strip() != WEEK_END.name] or words
    names = [word.strip().removeprefix("-") for word in words]
    if config.developing and not any(name == FAMILY or name.startswith(PREFIX) for name in names):
        words.append(FAMILY)
    if crosses and not any(name == CROSS or name in crosses for name in names):
        words.append(CROSS)
    return ",".join(words)


def _read_sector_map(config: Config) -> pa.Table | None:
    if config.sector_map is None or config.sector_columns:
        return None
    table = read_table_file(config.sector_map, config.named("sector_map"))
    return _checked(table, f"{config.named('sector_map')} {config.sector_map}")


def _checked(table: pa.Table, named: str) -> pa.Table:
    """Return a sector map with its known columns as text.

    Raises
    ------
    UsageError
        If it has no symbol column, lists a symbol twice, or has no known column.
    """
    columns = [name for name in SECTOR_COLUMNS if name in table.column_names]
    if "symbol" not in table.column_names or not columns:
        raise UsageError(
            f"{named} needs a column symbol and one or more of {', '.join(SECTOR_COLUMNS)}; "
            f"it has {', '.join(table.column_names)}"
        )
    table = table.select(["symbol", *columns]).cast(pa.schema([(name, pa.string()) for name in ["symbol", *columns]]))
    counts = table.column("symbol").value_counts()
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(repeated):
        raise UsageError(f"{named} lists {repeated[0]['values'].as_py()!r} more than once")
    return table
