"""The sources of values: flags, the environment, a settings file, Python; and which of them takes precedence.

A flag overrides the environment, which overrides the settings file: `weekly.toml`, or `[tool.weekly-cli]` in
`pyproject.toml`, in the current folder. Only the value that takes precedence is parsed, and an error about it names
its source.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from weekly_cli import failpoints
from weekly_cli.errors import UsageError
from weekly_cli.names import AUTO, did_you_mean
from weekly_cli.settings.kinds import Kind
from weekly_cli.settings.table import SETTINGS, VARIABLE_PREFIX, Config, Setting, Source

SETTINGS_FILE, PROJECT_FILE, PROJECT_TABLE = "weekly.toml", "pyproject.toml", "weekly-cli"
NO_INPUT = (
    "no input: give it as the first argument (weekly-cli build PRICES), as WEEKLY_CLI_INPUT in the environment, "
    'or as input = "PRICES" in weekly.toml or [tool.weekly-cli] of pyproject.toml'
)


class Given(NamedTuple):
    """A value that was given, and its name in error messages; `is_text` says whether it must still be parsed."""

    value: Any
    name: str
    is_text: bool = False

    def read(self, kind: Kind) -> Any:
        """Return the value for the configuration.

        Raises
        ------
        UsageError
        """
        try:
            if self.is_text:
                return kind.parse([self.value] if isinstance(self.value, str) else self.value)
            return kind.check(self.value)
        except ValueError as error:
            raise UsageError(f"{self.name} {error}") from error


Layer = Mapping[str, Given]


def from_flags(typed: Mapping[str, Any]) -> Layer:
    """Return the values from the command line: texts, lists of texts, switches; None means not given."""
    rows = [(SETTINGS[name], value) for name, value in typed.items() if value is not None and value != []]
    return {row.name: Given(value, row.flag, not isinstance(value, bool)) for row, value in rows}


def from_environment(environment: Mapping[str, str]) -> Layer:
    """Return the values from the environment; an empty variable is ignored."""
    return {
        row.name: Given(text, row.variable, is_text=True)
        for row in SETTINGS.values()
        if row.variable and (text := environment.get(row.variable))
    }


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Return a sentence for each variable that looks like a setting's but is not one."""
    known = [row.variable for row in SETTINGS.values() if row.variable]
    messages = []
    for name in sorted(environment):
        if not name.startswith(VARIABLE_PREFIX) or name in (*known, failpoints.VARIABLE):
            continue
        row = SETTINGS.get(name.removeprefix(VARIABLE_PREFIX).lower())
        if row is not None:
            messages.append(f"{name} has no effect: {row.flag} is read from the command line alone")
        else:
            messages.append(f"{name} has no effect: there is no such setting{did_you_mean(name, known)}")
    return messages


def from_file(folder: Path) -> Layer:
    """Return the values from the settings file in a folder, if there is one.

    Raises
    ------
    UsageError
        If it can't be read, or names an unknown setting or one that is not allowed in files.
    """
    path = folder / SETTINGS_FILE
    table = _toml(path)
    if table is None:
        path = folder / PROJECT_FILE
        table = _project_table(path)
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [tool.{PROJECT_TABLE}] is a table of settings, not {table!r}")
    layer = {}
    for typed, value in table.items():
        row = _known(typed.replace("-", "_"), f"{path}: ")
        if Source.FILE not in row.sources:
            places = f"{row.flag} or {row.variable}" if row.variable else "the command line"
            raise UsageError(f"{path}: {typed} is read from {places} alone; take it out there")
        layer[row.name] = Given(value, f"{typed} in {path}")
    return layer


def has_project_settings(folder: Path) -> bool:
    """Tell whether `pyproject.toml` in a folder has settings, which are read as long as `weekly.toml` is not there."""
    return bool(_project_table(folder / PROJECT_FILE))


def _project_table(path: Path) -> Any:
    tools = (_toml(path) or {}).get("tool", {})
    return tools.get(PROJECT_TABLE, {}) if isinstance(tools, dict) else {}


def from_python(values: Mapping[str, Any]) -> Layer:
    """Return the values from a function's arguments; None and empty lists mean not given.

    Raises
    ------
    UsageError
        If one is not a setting, or is for the command only.
    """
    rows = [(_known(name, ""), value) for name, value in values.items()]
    for row, _ in rows:
        if Source.PYTHON not in row.sources:
            raise UsageError(f"{row.name} is a setting of the command line; the function returns its report")
    return {row.name: Given(value, row.name) for row, value in rows if value is not None and value not in ((), [])}


def resolve(*layers: Layer) -> Config:
    """Return the settings of a run; a later layer overrides an earlier one.

    Raises
    ------
    UsageError
        If a value is not valid, two values contradict each other, or there is no input.
    """
    given = winning(*layers)
    if "input" not in given or given["input"].value in ("", []):
        raise UsageError(NO_INPUT)
    values = {name: one.read(SETTINGS[name].kind) for name, one in given.items()}
    config = Config(**values, sources={name: one.name for name, one in given.items()})
    if config.start and config.end and config.end < config.start:
        raise UsageError(f"{config.named('end')} {config.end} is before {config.named('start')} {config.start}")
    if config.cross_section and config.week == AUTO:
        raise UsageError(
            f"{config.named('cross_section')} compares bars of the same weeks, and with {config.named('week')} {AUTO} "
            "symbols may have others; name one anchor for all of them"
        )
    early = next((name for name in ("calendar_map", "calendar") if getattr(config, name)), None)
    if config.cross_section and config.available == "week-end" and early is not None:
        raise UsageError(
            f"{config.named('cross_section')} compares bars that are known at the same time, and with "
            f"{config.named(early)} symbols may see theirs on other days; leave one of them out, or take "
            f"{SETTINGS['available'].flag} next-week"
        )
    if config.columns_out and config.rows == "weekly":
        columns, rows = config.named("columns_out"), config.named("rows")
        raise UsageError(f"{rows} weekly writes no column of the input but the symbol; leave out {columns}")
    if config.order == "input" and config.rows == "weekly":
        order, rows = config.named("order"), config.named("rows")
        raise UsageError(f"{rows} weekly writes rows that the input does not have; leave out {order} input")
    if config.join and config.rows == "weekly":
        join, rows = config.named("join"), config.named("rows")
        raise UsageError(f"{join} adds columns to daily rows, and {rows} weekly has none; leave one of them out")
    for name in ("join_same_day", "join_max_age"):  # in a file they may stand for the runs that join
        typed = config.sources.get(name) in (name, SETTINGS[name].flag)
        if typed and not config.join:
            raise UsageError(f"{config.named(name)} is about tables that are joined; name one with --join")
    for name in ("universe", "min_group"):
        typed = config.sources.get(name) in (name, SETTINGS[name].flag)
        if typed and not config.cross_section:
            raise UsageError(f"{config.named(name)} is about columns among symbols; name one with --cross-section")
    if config.developing and config.rows == "weekly":
        developing, rows = config.named("developing"), config.named("rows")
        raise UsageError(f"{developing} adds columns of daily rows, and {rows} weekly has none; leave one of them out")
    if config.adjust_volume and config.price is None:
        raise UsageError(
            f"{config.named('adjust_volume')} scales the volume as an adjusted close tells; name its column with "
            f"{SETTINGS['price'].flag}"
        )
    if config.negative_prices == "absolute" and config.on_intraday == "aggregate":
        sign, moments = config.named("negative_prices"), config.named("on_intraday")
        raise UsageError(f"{sign} absolute is for daily rows, and {moments} aggregate is not; leave one of them out")
    # In a file or the environment a scheduler may stand for the runs that have a cluster.
    typed = config.sources.get("scheduler") in ("scheduler", SETTINGS["scheduler"].flag)
    if typed and config.engine == "loky":
        raise UsageError(f"{config.named('scheduler')} names a Dask cluster; add {SETTINGS['engine'].flag} dask")
    if config.task_timeout is not None and config.strategy == "direct":
        timeout, strategy = config.named("task_timeout"), config.named("strategy")
        raise UsageError(f"{timeout} ends workers, and {strategy} direct has none; leave one of them out")
    return config


def resolve_some(names: Iterable[str], *layers: Layer) -> dict[str, Any]:
    """Return some settings by name, with the default for those that are not given.

    Raises
    ------
    UsageError
        If a value is not valid.
    """
    given = winning(*layers)
    rows = [SETTINGS[name] for name in names]
    return {row.name: given[row.name].read(row.kind) if row.name in given else row.default for row in rows}


def winning(*layers: Layer) -> dict[str, Given]:
    """Return the last given value of each setting."""
    given: dict[str, Given] = {}
    for layer in layers:
        given.update(layer)
    return given


@dataclass(frozen=True)
class GivenSetting:
    """The plain value of a setting, and where it came from."""

    value: Any
    source: str


def given_settings(config: Config) -> dict[str, GivenSetting]:
    """Return the settings that were given, and in any case input and output."""
    return {
        row.name: GivenSetting(row.kind.plain(value), config.sources.get(row.name, "default"))
        for row in SETTINGS.values()
        if row.name in ("input", "output", *config.sources) and (value := getattr(config, row.name)) is not None
    }


def _known(name: str, where: str) -> Setting:
    if name not in SETTINGS:
        raise UsageError(f"{where}there is no setting {name}{did_you_mean(name, list(SETTINGS))}")
    return SETTINGS[name]


def _toml(path: Path) -> dict[str, Any] | None:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
