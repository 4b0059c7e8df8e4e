"""The log file of a run: a new file each time, the logs of the last runs beside it as NAME.1, NAME.2 and so on."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TextIO

from weekly_cli.errors import OutputConflict, UsageError

#: Older logs than these are removed.
KEPT = 5
#: What the first line of every log begins with, plain or as JSON.
_FIRST_LINE = re.compile(
    rb"\d{4}-\d\d-\d\dT\S+ INFO    weekly-cli \d"
    rb'|\{"time": "\d{4}-\d\d-\d\dT[^"]+", "level": "info", "event": "started", "message": "weekly-cli \d'
)


def create_log(path: Path, named: str) -> TextIO:
    """Move earlier logs out of the way and open a new one, in which every line is written at once.

    Parameters
    ----------
    path : Path
    named : str
        The setting and its value, for messages.

    Raises
    ------
    OutputConflict
        If a file is there, or in the way of an earlier log, that is not a log of this tool.
    UsageError
        If the file can't be created.
    """
    try:
        for older in reversed(_in_the_way(path)):
            older.replace(_next(path, older))
        return path.open("x", buffering=1, encoding="utf-8", errors="backslashreplace", newline="\n")
    except FileExistsError as error:
        raise _foreign(path) from error
    except OSError as error:
        raise UsageError(f"{named} can't be written: {os.strerror(error.errno or 0)}") from error


def _in_the_way(path: Path) -> list[Path]:
    """Return the logs that must be renamed, from the newest on; the last one may be removed."""
    logs: list[Path] = []
    for log in (path, *(_numbered(path, number) for number in range(1, KEPT + 1))):
        if not os.path.lexists(log):
            break
        if not _is_log(log):
            raise _foreign(log)
        logs.append(log)
    return logs[:KEPT]


def _next(path: Path, log: Path) -> Path:
    return _numbered(path, 1 if log == path else int(log.name.rpartition(".")[2]) + 1)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _is_log(path: Path) -> bool:
    """Tell whether a file is a log of this tool, or has nothing in it."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as stream:
        start = stream.read(200)
    return not start or _FIRST_LINE.match(start) is not None


def _foreign(path: Path) -> OutputConflict:
    return OutputConflict(f"{path} already exists and is not a log of weekly-cli; choose another --log-file")
