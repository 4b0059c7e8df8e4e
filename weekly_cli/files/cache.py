"""Texts that take long to make, kept in the user's folder for caches: any of them may be deleted at any time."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

from weekly_cli.errors import DiskError, OutputConflict
from weekly_cli.files import records

#: Where systems have such a folder; elsewhere it is `~/.cache`, and everywhere that of XDG_CACHE_HOME, if it is set.
_BASES = {"darwin": "~/Library/Caches", "win32": "%LOCALAPPDATA%"}


def kept(name: str, version: str, recipe: str, make: Callable[[], str]) -> str:
    """Return a script that is made once for each version of what makes it.

    Where it can't be kept, it is made each time.

    Parameters
    ----------
    name, version : str
        The file is `NAME-VERSION.js.gz`. When it is written, those of older versions are removed.
    recipe : str
        What it is made from: a file of another recipe is not used, nor is one that is damaged.
    make : callable
        Called without arguments if there is no such file.
    """
    folder = _folder()
    if folder is None:
        return make()
    path = folder / f"{name}-{version}.js.gz"
    text = _read(path, recipe)
    if text is None:
        text = make()
        with contextlib.suppress(OSError, DiskError, OutputConflict):
            folder.mkdir(parents=True, exist_ok=True)
            records.write_bytes(path, gzip.compress(f"{_mark(recipe, text)}\n{text}".encode(), 6, mtime=0))
            _remove_older(folder, name, version)
    return text


def _folder() -> Path | None:
    """Return the folder, which may not be there yet; None: the user has no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given if Path(given).is_absolute() else os.path.expandvars(_BASES.get(sys.platform, "~/.cache")))
    with contextlib.suppress(RuntimeError):
        base = base.expanduser()
    return base / "weekly-cli" if base.is_absolute() else None


def _read(path: Path, recipe: str) -> str | None:
    """Return the text of a file, None if there is none that is whole."""
    try:
        if not path.is_file():
            return None
        mark, _, text = gzip.decompress(path.read_bytes()).decode().partition("\n")
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    return text if mark == _mark(recipe, text) else None


def _mark(recipe: str, text: str) -> str:
    return f"// weekly-cli {zlib.crc32(f'{recipe}{text}'.encode()):08x}"


def _remove_older(folder: Path, name: str, version: str) -> None:
    for path in folder.iterdir():
        found = re.fullmatch(rf"{re.escape(name)}-([\d.]+)\.js\.gz", path.name)
        if found and _numbers(found[1]) < _numbers(version) and path.is_file():
            path.unlink()


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]
