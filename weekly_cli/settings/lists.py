"""Kinds of values that are lists: names, symbols, features, windows, and columns for roles."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from weekly_cli.findings import KINDS
from weekly_cli.names import (
    CROSS_SECTION,
    FORWARD_RETURN,
    LABEL_PREFIX,
    PERIODS,
    ROLES,
    SECTOR_COLUMNS,
    USUAL_LABELS,
    WINDOWS,
    did_you_mean,
)
from weekly_cli.settings.kinds import Kind, PathName, one_or_more, text_of, texts_of


class Names(Kind):
    """One or more names: comma-separated in text; a list is used as it is."""

    metavar, repeatable = "NAME,...", True

    def parse(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the names from all texts."""
        return tuple(name for text in texts for name in self.check(text))

    def check(self, value: Any) -> tuple[str, ...]:
        """Return the names from a text or a list."""
        return tuple(filter(None, value.split(","))) if isinstance(value, str) else texts_of(value)

    def plain(self, value: tuple[str, ...]) -> Any:
        """Return the names as a list."""
        return list(value)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a text or a list of texts."""
        return one_or_more("string")


class Symbols(Names):
    """Symbols, or `@FILE` with one per line."""

    metavar, completer, example = "SYMBOL,...", "symbols", ("AAPL", "MSFT")

    def check(self, value: Any) -> tuple[str, ...]:
        """Return the symbols, each once; an empty name is allowed."""
        symbols: list[str] = []
        for text in value.split(",") if isinstance(value, str) else texts_of(value):
            symbols += _symbols_of_file(text) if text.startswith("@") else [text]
        if not symbols:
            raise ValueError("names no symbol")
        return tuple(dict.fromkeys(symbols))

    def parse(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the symbols from all texts."""
        return tuple(dict.fromkeys(super().parse(texts)))


def _symbols_of_file(text: str) -> list[str]:
    try:
        path = Path(os.path.expanduser(text[1:]))  # noqa: PTH111 - as in `PathName`
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the file's name
        raise ValueError(f"{text} can't be read: {error}") from error
    return [line.removesuffix("\r") for line in lines if line.removesuffix("\r")]


class Benchmarks(Names):
    """Symbols to compare the others with."""

    metavar, completer, example = "SYMBOL,...", "symbols", ("SPY", "QQQ")


class ColumnNames(Names):
    """Columns of the input."""

    metavar, completer = "COLUMN,...", "column names"


class Codes(Names):
    """Codes of findings; `all` where it is allowed."""

    metavar, completer = "CODE,...", "codes"

    def __init__(self, *more: str) -> None:
        self._known = (*more, *KINDS)
        self.example: Sequence[str] = ("similar-symbols",)

    def check(self, value: Any) -> tuple[str, ...]:
        """Return the codes, each once."""
        codes = tuple(dict.fromkeys(code.strip() for code in super().check(value)))
        for code in codes:
            if code not in self._known:
                hint = did_you_mean(code, self._known)
                raise ValueError(f"takes codes of findings, such as suspected-split, not {code!r}{hint}")
        return codes

    def schema(self) -> dict[str, Any]:
        """Return the schema of a text or a list of codes."""
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"enum": list(self._known)}}]}


class Features(Kind):
    """Families, columns and exclusions, separated by commas."""

    metavar, repeatable, completer, example = "NAME,...", True, "features", "all"

    def parse(self, texts: Sequence[str]) -> str:
        """Join all texts into one."""
        return self.check(texts)

    def check(self, value: Any) -> str:
        """Return a text or a list of texts as one text."""
        return ",".join(texts_of(value))

    def schema(self) -> dict[str, Any]:
        """Return the schema of a text or a list of texts."""
        return one_or_more("string")


class SectorMap(PathName):
    """A file, or columns of the input, each with an @ before its name; a file whose name begins so is `./@name`."""

    metavar, completer, example = "PATH", "path", "sectors.csv"

    def check(self, value: Any) -> str:
        """Return the path, or the columns."""
        text = super().check(value)
        sector_columns(text)
        return text


def sector_columns(text: str) -> dict[str, str]:
    """Return the columns that a sector map names, by what they are in it; none if it is a file.

    A column that has none of the known names is the sector.

    >>> sector_columns("@industry,@subsector"), sector_columns("./@industry")
    ({'sector': 'industry', 'subsector': 'subsector'}, {})

    Raises
    ------
    ValueError
        If a column has no name, or two would be the same.
    """
    if not text.startswith("@"):
        return {}
    columns: dict[str, str] = {}
    for column in text[1:].split(",@"):
        if not column:
            raise ValueError(f"takes a path, or columns of the input such as @sector,@subsector, not {text!r}")
        name = column if column in SECTOR_COLUMNS else "sector"
        if name in columns:
            raise ValueError(
                f"{text} has two columns that are the {name}, {columns[name]} and {column}; a column that is not named "
                f"{' or '.join(SECTOR_COLUMNS[1:])} is the sector: leave one of them out"
            )
        columns[name] = column
    return {name: columns[name] for name in SECTOR_COLUMNS if name in columns}


class Labels(Names):
    """Labels: forward_return_Nw of any whole number of weeks; sorted by weeks, each once."""

    completer, example = "labels", ("forward_return_4w",)

    def parse(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the labels from all texts."""
        return self.check(list(super().parse(texts)))

    def check(self, value: Any) -> tuple[str, ...]:
        """Return the labels."""
        found: dict[int, str] = {}
        for name in (name.strip() for name in super().check(value)):
            match = FORWARD_RETURN.fullmatch(name)
            if match is None:
                hint = did_you_mean(name.removeprefix(LABEL_PREFIX), USUAL_LABELS)
                raise ValueError(f"takes forward_return_Nw with a whole number N of weeks, not {name!r}{hint}")
            if int(match[1]) > _MOST_WEEKS:
                raise ValueError(f"takes 1 to {_MOST_WEEKS:,} weeks, not {name!r}")
            found[int(match[1])] = name
        return tuple(found[weeks] for weeks in sorted(found))


class Periods(Names):
    """Periods of which bars are made, each once, in the order of their columns."""

    metavar, completer, example = "PERIOD,...", "periods", ("week", "month")

    def parse(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the periods from all texts."""
        return self.check(list(super().parse(texts)))

    def check(self, value: Any) -> tuple[str, ...]:
        """Return the periods."""
        names = [name.strip() for name in super().check(value)]
        for name in names:
            if name not in PERIODS:
                raise ValueError(f"takes any of {', '.join(PERIODS)}, not {name!r}{did_you_mean(name, PERIODS)}")
        if not names:
            raise ValueError(f"names no period; it takes any of {', '.join(PERIODS)}")
        return tuple(every for every in PERIODS if every in names)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a text or a list of periods."""
        return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"enum": list(PERIODS)}}]}


class CrossSection(Names):
    """Columns among the bars of the same period: rank(COLUMN) or zscore(COLUMN), each with `by GROUP` or without."""

    metavar, completer, example = "rank(COLUMN),...", "column names", ("rank(w_mom_12)", "zscore(w_vol_26) by sector")

    def parse(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the columns from all texts."""
        return self.check(list(super().parse(texts)))

    def check(self, value: Any) -> tuple[str, ...]:
        """Return the columns, each once and written in one way."""
        found = []
        for text in (text.strip() for text in super().check(value)):
            match = CROSS_SECTION.fullmatch(text)
            if match is None:
                raise ValueError(f"takes rank(COLUMN) or zscore(COLUMN), with or without by GROUP, not {text!r}")
            how, column, by = match.groups()
            found.append(f"{how}({column})" + (f" by {by}" if by else ""))
        return tuple(dict.fromkeys(found))


def group_names(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the groups that a cross section names, each once.

    >>> group_names(["rank(w_ret)", "zscore(w_ret) by sector", "rank(w_ret) by sector"])
    ('sector',)
    """
    matches = (CROSS_SECTION.fullmatch(text) for text in texts)
    return tuple(dict.fromkeys(match[3] for match in matches if match is not None and match[3]))


class Joins(Names):
    """Tables, each with the column that says when a row was known: FILE:COLUMN."""

    metavar, completer, example = "FILE:COLUMN", "path", ("fundamentals.parquet:known_at",)

    def parse(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Return the tables; each text is one."""
        return self.check(list(texts))

    def check(self, value: Any) -> tuple[str, ...]:
        """Return the tables."""
        found = (value,) if isinstance(value, str) else texts_of(value)
        for text in found:
            path, _, column = text.rpartition(":")
            if not path.strip() or not column.strip():
                raise ValueError(f"takes FILE:COLUMN, such as fundamentals.parquet:known_at, not {text!r}")
        return tuple(found)


class Plugins(PathName):
    """Python files, or names of installed packages."""

    metavar, repeatable = "PATH", True

    def parse(self, texts: Sequence[str]) -> Any:
        """Return the names; each text is one."""
        return self.check(texts)

    def check(self, value: Any) -> Any:
        """Return the names from a text or a list of texts."""
        return tuple(super(Plugins, self).check(name) for name in texts_of(value))

    def plain(self, value: tuple[str, ...]) -> Any:
        """Return the names as a list."""
        return list(value)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a text or a list of texts."""
        return one_or_more("string")


class Roles(Kind):
    """Which column has which role: ROLE=COLUMN pairs separated by commas, or a table."""

    metavar, repeatable, completer = "ROLE=COLUMN,...", True, "columns"
    example: Any = MappingProxyType({"symbol": "Ticker", "close": "Last"})

    def parse(self, texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
        """Return the pairs from all texts."""
        return self.check(texts)

    def check(self, value: Any) -> tuple[tuple[str, str], ...]:
        """Return the pairs."""
        if isinstance(value, Mapping):
            pairs = [(role, text_of(column)) for role, column in value.items()]
        else:
            items = [item for text in texts_of(value) for item in text.split(",")]
            if not all("=" in item for item in items):
                raise ValueError(f"takes ROLE=COLUMN, such as symbol=Ticker,close=Last; not {','.join(items)!r}")
            pairs = [(role.strip(), column) for role, _, column in (item.partition("=") for item in items)]
        for role, _ in pairs:
            if role not in ROLES:
                raise ValueError(f"takes one of {', '.join(ROLES)} as a role, not {role!r}{did_you_mean(role, ROLES)}")
        return tuple(dict(pairs).items())

    def plain(self, value: tuple[tuple[str, str], ...]) -> dict[str, str]:
        """Return the pairs as a table."""
        return dict(value)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a table of roles, a text or a list of texts."""
        table = {"type": "object", "additionalProperties": False, "properties": {r: {"type": "string"} for r in ROLES}}
        return {"anyOf": [table, *one_or_more("string")["anyOf"]]}


class Windows(Kind):
    """Windows of features in weeks: KEY=N,N pairs separated by commas, or a table.

    Those of a key are sorted, each once, and left out if they are the usual ones; those of MACD are fast, slow and
    signal.
    """

    metavar, repeatable, completer, example = "KEY=N,...", True, "windows", {"rsi": [7, 14]}

    def parse(self, texts: Sequence[str]) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Return the windows from all texts."""
        return self.check(texts)

    def check(self, value: Any) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Return the keys and their windows, in the order of the columns."""
        if isinstance(value, Mapping):
            given = {key: [numbers] if isinstance(numbers, int) else numbers for key, numbers in value.items()}
        else:
            given = _numbers_by_key(texts_of(value))
        for key in given:
            if key not in WINDOWS:
                raise ValueError(f"takes one of {', '.join(WINDOWS)}, not {key!r}{did_you_mean(key, WINDOWS)}")
        windows = {key: _windows_of(key, given[key]) for key in WINDOWS if key in given}
        return tuple((key, numbers) for key, numbers in windows.items() if numbers != WINDOWS[key])

    def plain(self, value: tuple[tuple[str, tuple[int, ...]], ...]) -> dict[str, list[int]]:
        """Return the windows as a table."""
        return {key: list(numbers) for key, numbers in value}

    def schema(self) -> dict[str, Any]:
        """Return the schema of a table of windows, a text or a list of texts."""
        keys = {key: one_or_more("integer", minimum=_LEAST.get(key, 2), maximum=_MOST_WEEKS) for key in WINDOWS}
        table = {"type": "object", "additionalProperties": False, "properties": keys}
        return {"anyOf": [table, *one_or_more("string")["anyOf"]]}


#: Two values have a mean and a deviation, and a momentum has no window; three pairs have a correlation.
_LEAST = {"mom": 1, "beta": 3}
#: A century.
_MOST_WEEKS = 5_200


def _numbers_by_key(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return the numbers of "rsi=7,14,sma=10,40" by key."""
    given: dict[str, list[Any]] = {}
    for item in (item for text in texts for item in text.split(",")):
        key, equals, number = item.rpartition("=")
        if equals:
            numbers = given.setdefault(key.strip(), [])
        elif not given:
            raise ValueError(f"takes KEY=N,N, such as rsi=7,14,sma=10,40; not {','.join(texts)!r}")
        numbers.append(int(number) if number.strip().isdecimal() else number)
    return given


def _windows_of(key: str, numbers: Any) -> tuple[int, ...]:
    least = _LEAST.get(key, 2)
    if not isinstance(numbers, Sequence) or isinstance(numbers, str) or not numbers:
        raise ValueError(f"takes whole numbers of weeks for {key}, such as {key}={WINDOWS[key][0]}; not {numbers!r}")
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= _MOST_WEEKS:
            raise ValueError(f"takes whole numbers of weeks from {least} to {_MOST_WEEKS:,} for {key}, not {number!r}")
    if key != "macd":
        return tuple(sorted(set(numbers)))
    if len(numbers) != len(WINDOWS[key]) or numbers[0] >= numbers[1]:
        raise ValueError(f"takes fast, slow and signal for macd, such as 12,26,9; not {','.join(map(str, numbers))}")
    return tuple(numbers)
