"""Kinds of values: how a setting's text is parsed, how a value is checked, and how help and editors show it.

A kind knows nothing about settings. It refuses a value with a `ValueError` that says what it takes, such as "takes a
whole number, not 'two'"; the caller puts the setting's name and the value's source in front of it.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from weekly_cli.names import did_you_mean

_TRUE, _FALSE = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")
_MOST_BYTES = 2**100
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}


class Kind:
    """Text.

    Attributes
    ----------
    metavar : str
        The placeholder for a value in the help.
    choices : tuple of str
        All possible values; empty: too many to list.
    repeatable : bool
        Whether a flag may be given more than once.
    completer : str
        How a shell completes a value, if `choices` is empty.
    least : float or None
        The smallest value.
    none : str
        The word for None in a configuration, if there is one.
    example : Any
        A value as a settings file may have it.
    """

    metavar = "TEXT"
    choices: tuple[str, ...] = ()
    repeatable = False
    completer = ""
    least: float | None = None
    none = ""
    example: Any = "text"

    def parse(self, texts: Sequence[str]) -> Any:
        """Return the value of a flag, which may be given several times, or of a variable."""
        return self.check(texts[-1])

    def check(self, value: Any) -> Any:
        """Convert a value from a settings file or from Python to the one in the configuration."""
        return text_of(value)

    def plain(self, value: Any) -> Any:
        """Convert a value of the configuration to its JSON and TOML form."""
        return value

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of a value in a settings file."""
        return {"type": "string"}


class PathName(Kind):
    """A path; `~` is the home folder."""

    metavar, completer, example = "PATH", "path", "folder/file"

    def check(self, value: Any) -> str:
        """Return the path with `~` expanded."""
        path = text_of(value)
        if "\0" in path:
            raise ValueError(f"takes a path, which has no NUL, not {value!r}")
        if not path:
            raise ValueError("takes a path, not an empty text")
        return os.path.expanduser(path)  # noqa: PTH111 - an unknown user's `~name` stays as it is


class PathNames(PathName):
    """One or more paths."""

    metavar, repeatable, example = "PATH...", True, "prices"

    def parse(self, texts: Sequence[str]) -> Any:
        """Return the paths; each text is one path."""
        return self.check(texts)

    def check(self, value: Any) -> Any:
        """Return the paths from a text or a list of texts."""
        paths = texts_of(value)
        if not paths:
            raise ValueError("takes at least one path")
        return tuple(super(PathNames, self).check(path) for path in paths)

    def plain(self, value: Any) -> Any:
        """Return one path as text, several as a list."""
        return value[0] if len(value) == 1 else list(value)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a text or a list of texts."""
        return one_or_more("string")


class Choice(Kind):
    """One of several words; `same` are other words for some of them."""

    def __init__(self, *choices: str, same: Mapping[str, str] = MappingProxyType({})) -> None:
        self.choices, self._same = choices, same
        self.example = choices[0]
        self.metavar = f"[{' | '.join(choices)}]"

    def check(self, value: Any) -> str:
        """Return the word."""
        value = self._same.get(value, value) if isinstance(value, str) else value
        if value not in self.choices:
            raise ValueError(
                f"takes one of {', '.join(self.choices)}, not {value!r}{did_you_mean(value, self.choices)}"
            )
        return str(value)

    def schema(self) -> dict[str, Any]:
        """Return the schema of the words."""
        return {"enum": [*self.choices, *self._same]}


class Switch(Kind):
    """True or false."""

    metavar, example = "", True

    def parse(self, texts: Sequence[str]) -> bool:
        """Return the value of a variable; a flag is not text."""
        word = texts[-1].lower()
        if word not in (*_TRUE, *_FALSE):
            raise ValueError(f"is true or false, not {texts[-1]!r}")
        return word in _TRUE

    def check(self, value: Any) -> bool:
        """Return the value."""
        if not isinstance(value, bool):
            raise ValueError(f"is true or false, not {value!r}")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the schema of a boolean."""
        return {"type": "boolean"}


class Whole(Kind):
    """A whole number of at least `least`."""

    metavar = "N"

    def __init__(self, least: int | None = None) -> None:
        self.least = least
        self.example = max(100, least or 0)

    def parse(self, texts: Sequence[str]) -> int:
        """Parse the number in a text."""
        try:
            return self.check(int(texts[-1]))
        except ValueError as error:
            if str(error).startswith("takes"):
                raise
            raise ValueError(f"takes a whole number, not {texts[-1]!r}") from error

    def check(self, value: Any) -> int:
        """Return the number."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"takes a whole number, not {value!r}")
        if self.least is not None and value < self.least:
            raise ValueError(f"takes a number of at least {self.least}, not {value}")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the schema of a whole number with its lower bound."""
        return {"type": "integer"} | ({} if self.least is None else {"minimum": self.least})


class Jobs(Whole):
    """A number of workers by joblib's rules."""

    def check(self, value: Any) -> int:
        """Return the number."""
        if super().check(value) == 0:
            raise ValueError("takes -1 for all cores, -2 for all but one, 1 for a single worker; 0 has no meaning")
        return int(value)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a whole number that is not 0."""
        return {"type": "integer", "not": {"const": 0}}


class Seconds(Kind):
    """A duration; `above_zero` excludes 0."""

    metavar, least, example = "SECONDS", 0, 600

    def __init__(self, *, above_zero: bool = False) -> None:
        self._above_zero = above_zero

    def parse(self, texts: Sequence[str]) -> float:
        """Parse the number in a text."""
        try:
            return self.check(float(texts[-1]))
        except ValueError as error:
            if str(error).startswith("takes"):
                raise
            raise ValueError(f"takes a number of seconds, not {texts[-1]!r}") from error

    def check(self, value: Any) -> float:
        """Return the seconds."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise ValueError(f"takes a number of seconds, not {value!r}")
        if self._above_zero and not value:
            raise ValueError(f"takes a number of seconds above 0, not {value!r}")
        return float(value)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a number with its lower bound."""
        return {"type": "number", "exclusiveMinimum" if self._above_zero else "minimum": 0}


class Date(Kind):
    """A calendar day."""

    metavar, example = "DATE", "2020-01-31"

    def check(self, value: Any) -> datetime.date:
        """Return the day of a date, a datetime or an ISO text."""
        if isinstance(value, datetime.datetime):
            return value.date()
        if isinstance(value, datetime.date):
            return value
        try:
            return datetime.date.fromisoformat(text_of(value))
        except ValueError as error:
            if str(error).startswith("takes text"):
                raise
            raise ValueError(f"takes a date such as 2024-03-01, not {value!r}") from error

    def plain(self, value: datetime.date) -> str:
        """Return the date as text."""
        return value.isoformat()

    def schema(self) -> dict[str, Any]:
        """Return the schema of a date as text."""
        return {"type": "string", "format": "date"}


class DateFormat(Kind):
    """A format of dates, as in `datetime.strptime`."""

    metavar, example = "FORMAT", "%m/%d/%Y"

    def check(self, value: Any) -> str:
        """Return the format, which must give a day back that it has written."""
        text, day = text_of(value), datetime.datetime(2023, 12, 31, tzinfo=datetime.UTC)
        try:
            same = datetime.datetime.strptime(day.strftime(text), text).date() == day.date()
        except ValueError:
            same = False
        if not same:
            raise ValueError(f"takes a format with year, month and day such as %m/%d/%Y, not {value!r}")
        return text


class TimeZone(Kind):
    """A time zone by its name in the IANA database."""

    metavar, example = "ZONE", "America/New_York"

    def check(self, value: Any) -> str:
        """Return the name of the zone."""
        import zoneinfo

        try:
            zoneinfo.ZoneInfo(text_of(value))
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
            near = did_you_mean(value, zoneinfo.available_timezones())
            raise ValueError(f"takes a zone such as Europe/Berlin, not {value!r}{near}") from error
        return str(value)


class Prefix(Kind):
    """What names begin with: letters, digits and underscores, or nothing."""

    def check(self, value: Any) -> str:
        """Return the prefix."""
        if not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", text_of(value)):
            raise ValueError(f"takes letters, digits and underscores, no digit first, or '', not {value!r}")
        return str(value)

    def schema(self) -> dict[str, Any]:
        """Return the schema of a text of such signs."""
        return {"type": "string", "pattern": "^([A-Za-z_][A-Za-z0-9_]*)?$"}


class Word(Kind):
    """Text that is not empty."""

    example = "AAPL"

    def check(self, value: Any) -> str:
        """Return the text."""
        if not text_of(value):
            raise ValueError("takes text, not an empty one")
        return str(value)


class Size(Kind):
    """A size in bytes; None for "auto"."""

    metavar, none, example = "SIZE", "auto", "2GB"

    def check(self, value: Any) -> int | None:
        """Return the bytes.

        >>> Size().check("512MiB")
        536870912
        """
        if value == "auto":
            return None
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(value))
        if isinstance(value, bool) or not match or match[2].upper() not in _UNITS:
            raise ValueError(f"takes auto or a size such as 2GB or 512MiB, not {value!r}")
        from fractions import Fraction

        size = int(Fraction(match[1]) * _UNITS[match[2].upper()])
        if size >= _MOST_BYTES:
            raise ValueError("is more than any machine has; a size has a unit, such as 2GB or 512MiB")
        if size < 2**20:
            raise ValueError(f"{value} is less than 1 MiB; a size has a unit, such as 2GB or 512MiB")
        return size

    def schema(self) -> dict[str, Any]:
        """Return the schema of a text with a unit, or of plain bytes."""
        pattern = r"^(auto|\s*\d+(\.\d+)?\s*([KMGTkmgt][Ii]?)?[Bb]?\s*)$"
        return {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "integer", "minimum": 2**20}]}


class Address(Kind):
    """A host and a port, with a protocol or without one."""

    metavar, example = "ADDRESS", "tcp://scheduler:8786"

    def check(self, value: Any) -> str:
        """Return the address."""
        match = re.fullmatch(r"([a-z]+://)?(\[[0-9a-fA-F:]+\]|[^\s/:\[\]]+):(\d{1,5})", text_of(value))
        if not match or int(match[3]) >= 2**16:
            raise ValueError(f"takes an address such as tcp://host:8786, not {value!r}")
        return str(value)


class ColumnName(Kind):
    """A column of the input."""

    metavar, completer, example = "COLUMN", "prices", "adj_close"


def text_of(value: Any) -> str:
    """Return a value that must be text."""
    if not isinstance(value, str):
        raise ValueError(f"takes text, not {value!r}")
    return value


def texts_of(value: Any) -> tuple[str, ...]:
    """Return one text or a list of texts as a tuple."""
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence):
        raise ValueError(f"takes text or a list of texts, not {value!r}")
    return tuple(map(text_of, values))


def one_or_more(kind: str, **bounds: int) -> dict[str, Any]:
    """Return the JSON schema of one value or a list of values."""
    return {"anyOf": [{"type": kind, **bounds}, {"type": "array", "items": {"type": kind, **bounds}}]}
