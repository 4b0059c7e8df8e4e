"""Resolved settings: one frozen value that says everything a run was asked for.

A flag beats the environment, which beats the settings file: `weekly.toml`, or `[tool.weekly-cli]` in
`pyproject.toml`, in the current folder. The command line hands flags and environment over as typed; `resolve`
adds the file, fills in the defaults and checks.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from weekly_cli.errors import UsageError
from weekly_cli.names import ROLES
from weekly_cli.weeks import ANCHORS, AVAILABILITIES

STRATEGIES = ("auto", "direct", "batched", "per-symbol", "adaptive")
COMPRESSIONS = ("zstd", "snappy", "lz4", "none")
DTYPES = ("float32", "float64")
ON_DUPLICATES = ("error", "first", "last")
ON_BAD_ROWS = ("error", "drop")
SETTINGS_FILE, PROJECT_FILE, PROJECT_TABLE = "weekly.toml", "pyproject.toml", "weekly-cli"

_MOST_BYTES = 2**100
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a run was asked for; every field is a setting of the same name on the command line.

    Attributes
    ----------
    memory_limit : int or None
        Bytes for parent and workers together; None takes a fraction of what this process may use.
    symbols : tuple of str or None
        The symbols wanted; None: all.
    task_timeout : float or None
        Seconds that a task may take; None: any time.
    """

    input: str
    output: str = "daily_weekly"
    columns: tuple[tuple[str, str], ...] = ()
    week: str = "W-FRI"
    available: str = "next-week"
    features: str = "all"
    benchmark: tuple[str, ...] = ()
    sector_map: str | None = None
    price: str | None = None
    dtype: str = "float32"
    symbols: tuple[str, ...] | None = None
    max_symbols: int | None = None
    start: datetime.date | None = None
    end: datetime.date | None = None
    on_duplicates: str = "error"
    on_bad_rows: str = "error"
    replace_features: bool = False
    jobs: int = -1
    memory_limit: int | None = None
    strategy: str = "auto"
    compression: str = "zstd"
    overwrite: bool = False
    allow_empty: bool = False
    work_dir: str | None = None
    wait: float = 0.0
    fresh: bool = False
    keep_work: bool = False
    strict: bool = False
    task_timeout: float | None = None
    role_columns: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "role_columns", dict(self.columns))


NO_INPUT = (
    "no input: give it as the first argument (weekly-cli build PRICES), as WEEKLY_CLI_INPUT in the environment, "
    'or as input = "PRICES" in weekly.toml or [tool.weekly-cli] of pyproject.toml'
)


def resolve(given: Mapping[str, Any], folder: Path | None = None) -> Config:
    """Return the settings of a run.

    Parameters
    ----------
    given : mapping
        Settings by name as typed; None or an empty sequence means not given.
    folder : Path, optional
        Where to look for a settings file; None: nowhere.

    Raises
    ------
    UsageError
        If a setting is unknown, has no sense, or there is no input.
    """
    settings = dict(_file_settings(folder)) if folder else {}
    settings |= {name: value for name, value in given.items() if not _not_given(value)}
    unknown = settings.keys() - _CHECKS.keys()
    if unknown:
        raise UsageError(_unknown_setting(min(unknown)))
    if not settings.get("input"):
        raise UsageError(NO_INPUT)
    config = Config(**{name: _CHECKS[name](name, value) for name, value in settings.items()})
    if config.start and config.end and config.end < config.start:
        raise UsageError(f"--end {config.end} is before --start {config.start}")
    if config.task_timeout is not None and config.strategy == "direct":
        raise UsageError("--task-timeout ends workers, and --strategy direct has none; leave one of them out")
    return config


def table_settings(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return output, input and columns for `verify`; the table itself may say what it was made of, and how.

    Raises
    ------
    UsageError
        If the settings file can't be read.
    """
    known = _file_settings(folder)
    return {
        "output": _path("output", given["output"] or known.get("output") or Config(input="").output),
        "input": given["input"] and _path("input", given["input"]),
        "columns": given["columns"] or known.get("columns"),
    }


def _not_given(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple) and not value)


def _file_settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS_FILE
    table = _toml(path)
    if table is None:
        path = folder / PROJECT_FILE
        tools = (_toml(path) or {}).get("tool", {})
        table = tools.get(PROJECT_TABLE, {}) if isinstance(tools, dict) else {}
    if not isinstance(table, dict):
        raise UsageError(f"{path}: [tool.{PROJECT_TABLE}] is a table of settings, not {table!r}")
    settings = {name.replace("-", "_"): value for name, value in table.items()}
    unknown = settings.keys() - _CHECKS.keys()
    if unknown:
        raise UsageError(f"{path}: {_unknown_setting(min(unknown))}")
    return settings


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


def _unknown_setting(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, _CHECKS, n=1)
    return f"there is no setting {name}" + (f"; did you mean {near[0]}?" if near else "")


# Checks: (setting's name, value as typed or as TOML has it) -> value as `Config` has it.


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{_flag(name)} takes text, not {value!r}")
    return value


def _path(name: str, value: Any) -> str:
    if "\0" in _text(name, value):
        raise UsageError(f"{_flag(name)} takes a path, which has no NUL, not {value!r}")
    return str(value)


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{_flag(name)} is true or false, not {value!r}")
    return value


def _one_of(*choices: str) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in choices:
            raise UsageError(f"{_flag(name)} takes one of {', '.join(choices)}, not {value!r}")
        return str(value)

    return check


def _texts(name: str, value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence):
        raise UsageError(f"{_flag(name)} takes text or a list of texts, not {value!r}")
    return tuple(_text(name, item) for item in values)


def _symbols(name: str, value: Any) -> tuple[str, ...]:
    """Text is a list with commas between, a list is taken as it stands; @FILE has one symbol a line."""
    symbols: list[str] = []
    for text in value.split(",") if isinstance(value, str) else _texts(name, value):
        if text.startswith("@"):
            try:
                lines = Path(text[1:]).read_bytes().decode("utf-8-sig").split("\n")
                symbols += [line.removesuffix("\r") for line in lines if line.removesuffix("\r")]
            except (OSError, ValueError) as error:  # the latter: not UTF-8, or a NUL in its name
                raise UsageError(f"--symbols {text}: {error}") from error
        else:
            symbols.append(text)
    if not symbols:
        raise UsageError("--symbols names no symbol")
    return tuple(dict.fromkeys(symbols))


def _features(name: str, value: Any) -> str:
    return ",".join(_texts(name, value))


def _columns(name: str, value: Any) -> tuple[tuple[str, str], ...]:
    if isinstance(value, Mapping):
        pairs = [(role, _text(name, column)) for role, column in value.items()]
    else:
        items = [item for text in _texts(name, value) for item in text.split(",")]
        if not all("=" in item for item in items):
            raise UsageError(f"--columns takes ROLE=COLUMN, such as symbol=Ticker,close=Last; not {','.join(items)!r}")
        pairs = [(role.strip(), column) for role, _, column in (item.partition("=") for item in items)]
    for role, _ in pairs:
        _one_of(*ROLES)(name, role)
    return tuple(dict(pairs).items())


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"{_flag(name)} takes a whole number, not {value!r}")
    return value


def _jobs(name: str, value: Any) -> int:
    jobs = _whole(name, value)
    if jobs == 0:
        raise UsageError("--jobs 0 has no meaning: -1 takes all cores, -2 all but one, 1 a single worker")
    return jobs


def _positive(name: str, value: Any) -> int:
    if _whole(name, value) < 1:
        raise UsageError(f"{_flag(name)} takes a number of at least 1, not {value}")
    return int(value)


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise UsageError(f"{_flag(name)} takes a number of seconds, not {value!r}")
    return float(value)


def _timeout(name: str, value: Any) -> float:
    if not _seconds(name, value):
        raise UsageError(f"{_flag(name)} takes a number of seconds above 0, not {value!r}")
    return float(value)


def _date(name: str, value: Any) -> datetime.date:
    if isinstance(value, datetime.datetime):
        return value.date()
    if isinstance(value, datetime.date):
        return value
    try:
        return datetime.date.fromisoformat(_text(name, value))
    except ValueError as error:
        raise UsageError(f"{_flag(name)} takes a date such as 2024-03-01, not {value!r}") from error


def parse_bytes(name: str, value: Any) -> int | None:
    """Return a memory limit in bytes, None for "auto".

    >>> parse_bytes("memory_limit", "512MiB")
    536870912
    """
    if value == "auto":
        return None
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(value))
    if isinstance(value, bool) or not match or match[2].upper() not in _UNITS:
        raise UsageError(f"{_flag(name)} takes auto or a size such as 2GB or 512MiB, not {value!r}")
    from fractions import Fraction

    size = int(Fraction(match[1]) * _UNITS[match[2].upper()])
    if size >= _MOST_BYTES:
        raise UsageError(f"{_flag(name)} is more than any machine has; a size has a unit, such as 2GB or 512MiB")
    if size < 2**20:
        raise UsageError(f"{_flag(name)} {value} is less than 1 MiB; a size has a unit, such as 2GB or 512MiB")
    return size


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "input": _path,
    "output": _path,
    "columns": _columns,
    "week": _one_of(*ANCHORS),
    "available": _one_of(*AVAILABILITIES),
    "features": _features,
    "benchmark": _texts,
    "sector_map": _path,
    "price": _text,
    "dtype": _one_of(*DTYPES),
    "symbols": _symbols,
    "max_symbols": _positive,
    "start": _date,
    "end": _date,
    "on_duplicates": _one_of(*ON_DUPLICATES),
    "on_bad_rows": _one_of(*ON_BAD_ROWS),
    "replace_features": _boolean,
    "jobs": _jobs,
    "memory_limit": parse_bytes,
    "strategy": _one_of(*STRATEGIES),
    "compression": _one_of(*COMPRESSIONS),
    "overwrite": _boolean,
    "allow_empty": _boolean,
    "work_dir": _path,
    "wait": _seconds,
    "fresh": _boolean,
    "keep_work": _boolean,
    "strict": _boolean,
    "task_timeout": _timeout,
}

SETTINGS = tuple(entry.name for entry in fields(Config) if entry.init)
