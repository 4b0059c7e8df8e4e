"""Where things are: a path of this machine's filesystem, or a path in an object store; this tells which."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeAlias

from weekly_cli.errors import UsageError
from weekly_cli.files.objects.path import ObjectPath

Location: TypeAlias = Path | ObjectPath

#: A single letter is a drive of Windows.
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://.+", re.DOTALL)


def is_url(name: str) -> bool:
    """Tell whether a name is that of an object store.

    >>> is_url("s3://bucket/prices"), is_url("C://prices"), is_url("./s3://odd")
    (True, False, False)
    """
    return _URL.fullmatch(name) is not None


def location(name: str) -> Location:
    """Return where a name leads to."""
    return ObjectPath(name) if is_url(name) else Path(name)


def source_of(path: Location | str) -> Any:
    """Return what Arrow opens a file by: a local one by its name, an object as a file of its store."""
    path = location(path) if isinstance(path, str) else path
    return str(path) if isinstance(path, Path) else path.source()


def refuse_url(name: str, setting: str) -> None:
    """Refuse an object store where a file of this machine is written.

    Raises
    ------
    UsageError
    """
    if is_url(name):
        raise UsageError(f"{setting} {name}: this is written on this machine only; give a path, and copy it there")


def is_local(name: str) -> bool:
    """Tell whether a name is a path of this machine's filesystem."""
    return not is_url(name)
