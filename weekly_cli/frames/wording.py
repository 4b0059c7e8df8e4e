"""Errors in the words of Python: arguments instead of flags."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from weekly_cli.errors import WeeklyError

#: The value after a flag in a message: a word in capitals, or an example.
_ROLE = re.compile(r"(?:--)?columns (\w+)=([\w@+]+|\.\.\.)")
_VALUE = re.compile(r"--([a-z][a-z-]*) ([A-Z]+\b|\d+)")
_FLAG = re.compile(r"--([a-z][a-z-]*)")


@contextlib.contextmanager
def in_python() -> Iterator[None]:
    """Raise errors with the arguments that help in Python where the command's name flags."""
    try:
        yield
    except WeeklyError as error:
        told = worded(str(error))
        if told == str(error):
            raise
        raise type(error)(told) from error


def worded(message: str) -> str:
    """Return a message with its flags as arguments.

    >>> worded("choose with --columns close=NAME, or pass --date-unit with one of s, ms")
    "choose with columns={'close': 'NAME'}, or pass date_unit= with one of s, ms"
    """
    message = _ROLE.sub(lambda found: f"columns={{{found[1]!r}: {found[2]!r}}}", message)
    message = _VALUE.sub(lambda found: f"{_argument(found[1])}={found[2]!r}", message)
    return _FLAG.sub(lambda found: f"{_argument(found[1])}=", message)


def _argument(flag: str) -> str:
    return flag.replace("-", "_")
