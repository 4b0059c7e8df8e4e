"""The single table of settings: each setting is a row, and everything shown about it elsewhere is derived from the row.

To add a setting, add a row to `Config` and use it. Its flag, its variable, its key in the settings file, the checks of
its value, help, completion, the editor's schema, the reference in the README, and whether another value makes a
different output: all of these follow from the row.

It is longer than 400 lines, as it has all settings: cut in two, it would no longer be the one place.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Flag, auto
from types import MappingProxyType
from typing import Any

from weekly_cli.findings import ALL
from weekly_cli.names import ANCHORS, AUTO, AVAILABILITIES, DATE_UNITS, PREFIX, SAME_AVAILABILITIES, SECTOR_COLUMNS
from weekly_cli.settings import kinds, lists
from weekly_cli.settings.kinds import Kind

STRATEGIES = ("auto", "direct", "batched", "per-symbol", "adaptive")
COMPRESSIONS = ("zstd", "snappy", "lz4", "none")
WRITERS = ("fast", "arrow")
ENGINES = ("loky", "dask")
DTYPES = ("float32", "float64")
DATE_TYPES = ("date", "timestamp")


class Source(Flag):
    """Where a value may come from."""

    FLAG = auto()
    ENVIRONMENT = auto()
    FILE = auto()
    PYTHON = auto()


ANYWHERE = Source.FLAG | Source.ENVIRONMENT | Source.FILE | Source.PYTHON
#: Settings that can let user files be replaced must be given again for each run.
EACH_TIME = Source.FLAG | Source.PYTHON
#: Settings that make code run: a file that lies in a folder does not.
BY_THE_USER = Source.FLAG | Source.ENVIRONMENT | Source.PYTHON
#: Settings of the command only: a function returns its results instead.
OF_THE_COMMAND = Source.FLAG | Source.ENVIRONMENT | Source.FILE

INPUT, FEATURES, OUTPUT, RUN, RESOURCES = "Input", "Features", "Output", "Run", "Resources"


@dataclass(frozen=True)
class Setting:
    """A row of the table, except for name and default.

    Attributes
    ----------
    help : str
        What it does.
    panel : str
        The heading under which the help shows it.
    short : str
        Its one-letter flag, such as "-o".
    is_argument : bool
        Whether it is positional, without a flag.
    sources : Source
        Where its value may come from.
    changes_values : bool
        Whether a run with another value makes a different output.
    shows_variable : bool
        Whether the help names its variable; the names of all variables follow one rule.
    example : Any
        A value for the template of a settings file; None: the kind's.
    """

    kind: Kind
    help: str
    panel: str
    short: str = ""
    is_argument: bool = False
    sources: Source = ANYWHERE
    changes_values: bool = False
    shows_variable: bool = False
    example: Any = None
    name: str = ""
    default: Any = None

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return self.name.upper() if self.is_argument else "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str | None:
        """Its environment variable, if it may come from the environment."""
        return f"{VARIABLE_PREFIX}{self.name.upper()}" if Source.ENVIRONMENT in self.sources else None

    @property
    def shown_default(self) -> str:
        """The default as the help shows it; empty if there is nothing to show."""
        default = ",".join(self.default) if isinstance(self.default, tuple) else self.default
        return str(default or self.kind.none or "")


VARIABLE_PREFIX = "WEEKLY_CLI_"


def _row(default: Any, kind: Kind, panel: str, help: str, **more: Any) -> Any:
    return field(default=default, metadata={"setting": Setting(kind, help, panel, default=default, **more)})


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of a run: every field except `sources` is a setting.

    `sources` has the source of each setting that was given, as it is named in error messages.
    """

    # ---- Input
    input: tuple[str, ...] = _row(
        (), kinds.PathNames(), INPUT, "Parquet or CSV files, folders of them, or quoted globs; also s3://.",
        is_argument=True, shows_variable=True,
    )  # fmt: skip
    columns: tuple[tuple[str, str], ...] = _row(
        (),
        lists.Roles(),
        INPUT,
        "Roles by hand: symbol=Ticker,close=Last, or symbol=code+exchange.",
        changes_values=True,
    )
    wide: str = _row(
        "auto", kinds.Choice("auto", "closes", "no"), INPUT, "Whether the input has a column a ticker, and no symbol.",
        changes_values=True,
    )  # fmt: skip
    symbol: str | None = _row(
        None, kinds.Word(), INPUT, "The symbol of all rows, for files of one symbol.", changes_values=True
    )
    symbol_map: str | None = _row(
        None, kinds.PathName(), INPUT,
        "CSV or Parquet with old, new and from: rows of old before that date belong to new.", changes_values=True,
        example="renamed.csv",
    )  # fmt: skip
    date_unit: str = _row(
        "auto", kinds.Choice("auto", *DATE_UNITS), INPUT, "What a date that is a number counts.", changes_values=True
    )
    date_format: str | None = _row(
        None, kinds.DateFormat(), INPUT, "The format of dates that are text, such as %m/%d/%Y.", changes_values=True
    )
    timezone: str | None = _row(
        None, kinds.TimeZone(), INPUT, "The exchange's zone: the date there is the session's, for timestamps.",
        changes_values=True,
    )  # fmt: skip
    symbols: tuple[str, ...] | None = _row(
        None, lists.Symbols(), INPUT, "Only these: A,B,C, or @FILE with one a line.", changes_values=True
    )
    max_symbols: int | None = _row(
        None, kinds.Whole(1), INPUT, "Only the first so many, in sorted order.", changes_values=True
    )
    start: datetime.date | None = _row(
        None, kinds.Date(), INPUT, "First date that is written; earlier rows still feed the features.",
        changes_values=True,
    )  # fmt: skip
    end: datetime.date | None = _row(
        None,
        kinds.Date(),
        INPUT,
        "Last date that is written; of later rows only keys are read.",
        changes_values=True,
        example="2024-12-31",
    )
    join: tuple[str, ...] = _row(
        (), lists.Joins(), INPUT, "Tables to join as of each session, by the column that says when a row was known.",
        changes_values=True,
    )  # fmt: skip
    join_same_day: bool = _row(
        False, kinds.Switch(), INPUT, "Join rows that were known on the session's own day, too.", changes_values=True
    )
    join_max_age: int | None = _row(
        None, kinds.Whole(1), INPUT, "Join no row that has been known for more days than this.", changes_values=True
    )
    on_duplicates: str = _row(
        "error", kinds.Choice("error", "first", "last"), INPUT, "Rows that repeat a symbol's date.",
        changes_values=True,
    )  # fmt: skip
    on_intraday: str = _row(
        "error", kinds.Choice("error", "aggregate"), INPUT, "Several moments of a symbol's session.",
        changes_values=True,
    )  # fmt: skip
    on_bad_rows: str = _row(
        "error", kinds.Choice("error", "drop"), INPUT, "Rows without symbol or date.", changes_values=True
    )
    on_key_conflict: str = _row(
        "error", kinds.Choice("error", "path", "column"), INPUT,
        "Which counts where a folder's key=value and the column of that name differ.", changes_values=True,
    )  # fmt: skip

    # ---- Features
    features: str = _row(
        "all", lists.Features(), FEATURES, "Families, columns, exclusions: momentum,w_vol_12 or all,-relative."
    )
    windows: tuple[tuple[str, tuple[int, ...]], ...] = _row(
        (), lists.Windows(), FEATURES, "Other windows for columns, in weeks: rsi=7,14,sma=10,40.", changes_values=True
    )
    plugin: tuple[str, ...] = _row(
        (), lists.Plugins(), FEATURES, "A Python file or package with features of your own.", sources=BY_THE_USER
    )
    label: tuple[str, ...] = _row(
        (), lists.Labels(), FEATURES,
        "Columns that look ahead, as targets for models: forward_return_4w, of any number of weeks.",
        changes_values=True,
    )  # fmt: skip
    cross_section: tuple[str, ...] = _row(
        (), lists.CrossSection(), FEATURES,
        "Columns among all symbols' bars of the period: rank(w_mom_12), zscore(w_vol_26) by sector.",
        changes_values=True,
    )  # fmt: skip
    universe: str | None = _row(
        None, kinds.PathName(), FEATURES,
        "CSV or Parquet with symbol, from and to: who is a member, and when; others have no place in a cross section.",
        changes_values=True, example="members.csv",
    )  # fmt: skip
    min_group: int = _row(
        2, kinds.Whole(1), FEATURES, "Groups of fewer values than this have no ranks or scores.", changes_values=True
    )
    developing: bool = _row(
        False, kinds.Switch(), FEATURES,
        "Columns of the week to date, as far as a row may know its own week.", changes_values=True,
    )  # fmt: skip
    every: tuple[str, ...] = _row(
        ("week",), lists.Periods(), FEATURES, "Periods with bars and columns of their own: week,month,quarter, 2W, 4W.",
        changes_values=True,
    )  # fmt: skip
    week: str = _row(
        "W-FRI", kinds.Choice(*ANCHORS, AUTO), FEATURES,
        "The week's last day; auto takes the one that fits the sessions of each symbol.", changes_values=True,
    )  # fmt: skip
    available: str = _row(
        "next-week", kinds.Choice(*AVAILABILITIES, same=SAME_AVAILABILITIES), FEATURES,
        "When a bar can be seen: from the day after its period, or from its last day on; also next-period, period-end.",
        changes_values=True,
    )  # fmt: skip
    calendar: str | None = _row(
        None, kinds.Word(), FEATURES,
        "The exchange's calendar (XNYS): with --available week-end a bar is seen from its last session on.",
        changes_values=True, example="XNYS",
    )  # fmt: skip
    calendar_map: str | None = _row(
        None, kinds.PathName(), FEATURES, "CSV or Parquet with symbol and calendar, for exchanges that differ.",
        changes_values=True, example="calendars.csv",
    )  # fmt: skip
    benchmark: tuple[str, ...] = _row(
        (), lists.Benchmarks(), FEATURES, "Symbols to compare all others with: SPY,QQQ.", changes_values=True
    )
    sector_map: str | None = _row(
        None, lists.SectorMap(), FEATURES,
        "CSV or Parquet with symbol and sector, sector_equal_weight or subsector, the symbol to compare with; or "
        "@COLUMN,...: columns of the input.",
        changes_values=True, example="sectors.csv",
    )  # fmt: skip
    price: str | None = _row(
        None, kinds.ColumnName(), FEATURES, "A column with the adjusted close; open, high and low are scaled with it.",
        changes_values=True,
    )  # fmt: skip
    negative_prices: str = _row(
        "unusable", kinds.Choice("unusable", "absolute"), FEATURES,
        "What a negative price means: nothing, or the mean of bid and ask by its absolute value (CRSP).",
        changes_values=True,
    )  # fmt: skip
    drop_padding: bool = _row(
        False, kinds.Switch(), FEATURES, "Leave days without volume that repeat the day before out of the bars.",
        changes_values=True,
    )  # fmt: skip
    adjust_volume: bool = _row(
        False, kinds.Switch(), FEATURES, "Scale the volume by close / adjusted close; needs --price.",
        changes_values=True,
    )  # fmt: skip
    dtype: str = _row("float32", kinds.Choice(*DTYPES), FEATURES, "Type of the features.", changes_values=True)
    replace_features: bool = _row(
        False, kinds.Switch(), FEATURES, "Compute columns again that the input has already.", changes_values=True
    )

    # ---- Output
    output: str = _row(
        "daily_weekly", kinds.PathName(), OUTPUT,
        "NAME.parquet (.pq, .parq) is one file; NAME, NAME/ or s3://BUCKET/NAME a folder of parts.",
        short="-o", shows_variable=True,
    )  # fmt: skip
    rows: str = _row(
        "daily", kinds.Choice("daily", "weekly"), OUTPUT,
        "A row a symbol and day of the input, or a row a symbol and week: the weekly table itself.",
        changes_values=True,
    )  # fmt: skip
    order: str = _row(
        "symbol", kinds.Choice("symbol", "input"), OUTPUT, "Order of the rows: by symbol and date, or as in the input.",
        changes_values=True,
    )  # fmt: skip
    prefix: str = _row(
        PREFIX, kinds.Prefix(), OUTPUT, "What the names of the weekly columns begin with; '' for nothing.",
        changes_values=True,
    )  # fmt: skip
    date_type: str = _row(
        "date", kinds.Choice(*DATE_TYPES), OUTPUT,
        "Type of the weekly columns that are dates; pandas compares timestamps with its own.", changes_values=True,
    )  # fmt: skip
    columns_out: tuple[str, ...] = _row(
        (), lists.ColumnNames(), OUTPUT, "Only these columns of the input are written, symbol and date always.",
        changes_values=True,
    )  # fmt: skip
    compression: str = _row("zstd", kinds.Choice(*COMPRESSIONS), OUTPUT, "Codec of the files.")
    writer: str = _row(
        "fast", kinds.Choice(*WRITERS), OUTPUT, "What writes the files: this tool, or Arrow alone; equal tables."
    )
    overwrite: bool = _row(
        False, kinds.Switch(), OUTPUT, "Replace Parquet files that this tool did not write; never anything else.",
        sources=EACH_TIME,
    )  # fmt: skip
    allow_empty: bool = _row(
        False, kinds.Switch(), OUTPUT, "Publish an output without rows, or without a weekly bar.", sources=EACH_TIME
    )
    quiet: bool = _row(
        False, kinds.Switch(), OUTPUT, "Say nothing when all is well.", short="-q", sources=OF_THE_COMMAND
    )
    json: bool = _row(False, kinds.Switch(), OUTPUT, "Print JSON on stdout.", sources=OF_THE_COMMAND)
    report: str | None = _row(
        None,
        kinds.PathName(),
        OUTPUT,
        "Write the report to this file: NAME.html is a page, any other name JSON.",
        sources=OF_THE_COMMAND,
        example="run.json",
    )
    verbose: bool = _row(
        False, kinds.Switch(), OUTPUT, "Say more: how the work was cut, worker seconds, memory, bytes.", short="-v",
        sources=OF_THE_COMMAND,
    )  # fmt: skip
    log_file: str | None = _row(
        None, kinds.PathName(), OUTPUT, "Write a log with times: plain, or JSON lines if it ends in .jsonl or .json.",
        sources=OF_THE_COMMAND, example="run.log",
    )  # fmt: skip

    # ---- Run
    if_changed: bool = _row(
        False, kinds.Switch(), RUN, "Do nothing if input, settings and version are those of the output that stands.",
        sources=OF_THE_COMMAND,
    )  # fmt: skip
    fail_on: tuple[str, ...] = _row(
        (), lists.Codes(ALL), RUN, "Publish nothing if one of these findings is there: suspected-split,... or all.",
        example=("suspected-split", "padding"),
    )  # fmt: skip
    ignore: tuple[str, ...] = _row((), lists.Codes(), RUN, "Findings that are known, and not to be said.")
    strict: bool = _row(False, kinds.Switch(), RUN, "Publish nothing if a symbol fails.")
    wait: float = _row(0.0, kinds.Seconds(), RUN, "How long to wait for another run of the same output.")
    fresh: bool = _row(False, kinds.Switch(), RUN, "Do not resume where an earlier run was cut off.")
    task_timeout: float | None = _row(
        None, kinds.Seconds(above_zero=True), RUN, "After this time a task counts as hung and its worker is ended."
    )
    work_dir: str | None = _row(
        None,
        kinds.PathName(),
        RUN,
        "Folder to work in, on the output's filesystem; else beside the output.",
        example="work",
    )
    keep_replaced: float = _row(
        3600.0, kinds.Seconds(), RUN, "How long an object store keeps the parts of an output that was replaced."
    )
    s3_endpoint: str | None = _row(
        None, kinds.Kind(), RUN, "URL of a service other than Amazon's for s3:// paths.",
        example="http://localhost:9000",
    )  # fmt: skip
    s3_region: str | None = _row(None, kinds.Kind(), RUN, "Region of s3:// paths.", example="eu-central-1")
    s3_anonymous: bool = _row(False, kinds.Switch(), RUN, "Read public buckets without credentials.")
    keep_work: bool = _row(False, kinds.Switch(), RUN, "Leave the work folder there after the run.")

    # ---- Resources
    jobs: int = _row(-1, kinds.Jobs(), RESOURCES, "Workers: -1 all cores, -2 all but one.", short="-j")
    memory_limit: int | None = _row(None, kinds.Size(), RESOURCES, "For all processes together: auto, 2GB, 512MiB.")
    strategy: str = _row("auto", kinds.Choice(*STRATEGIES), RESOURCES, "How tasks are cut.")
    engine: str = _row(
        "loky", kinds.Choice(*ENGINES), RESOURCES, "Where tasks run: in processes here, or on a Dask cluster."
    )
    scheduler: str | None = _row(
        None, kinds.Address(), RESOURCES,
        "The scheduler of the Dask cluster; else that of DASK_SCHEDULER_ADDRESS, or a cluster of this machine's cores.",
    )  # fmt: skip

    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def role_columns(self) -> dict[str, str]:
        """The columns that were assigned to roles by the user."""
        return dict(self.columns)

    @property
    def sector_columns(self) -> dict[str, str]:
        """The input's columns that are the sector map, by what they are in it; empty if it is a file, or none."""
        return {} if self.sector_map is None else lists.sector_columns(self.sector_map)

    @property
    def group_columns(self) -> dict[str, str]:
        """The input's columns that tell groups of a cross section, by their names there; others are of a sector map."""
        from_file = SECTOR_COLUMNS if self.sector_map is not None and not self.sector_columns else ()
        names = (name for name in lists.group_names(self.cross_section) if name not in from_file)
        return {name: self.sector_columns.get(name, name) for name in names}

    @property
    def where(self) -> str:
        """The input's name in messages."""
        more = len(self.input) - 1
        return f"{self.input[0]} and {more:,} more" if more else self.input[0]

    def named(self, name: str) -> str:
        """Return a setting's name in error messages: its flag, or the source of its value."""
        return self.sources.get(name, SETTINGS[name].flag)

    def changing_values(self) -> dict[str, Any]:
        """Return, as plain values, the settings that change the output's values and differ from their defaults."""
        return {
            name: row.kind.plain(value)
            for name, row in SETTINGS.items()
            if row.changes_values and (value := getattr(self, name)) != row.default
        }


def settings_of(table: type[Config]) -> dict[str, Setting]:
    """Return the rows of a table by name."""
    from dataclasses import replace

    return {
        entry.name: replace(entry.metadata["setting"], name=entry.name)
        for entry in fields(table)
        if "setting" in entry.metadata
    }


SETTINGS: Mapping[str, Setting] = MappingProxyType(settings_of(Config))
