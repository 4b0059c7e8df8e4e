"""Files on this machine that wait to be put into an object store, or were fetched from one for a moment."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from weekly_cli.files.objects.path import ObjectPath

_PREFIX = "weekly-cli-waiting-"
_UNKNOWN = "0"
_numbers = itertools.count()


@contextlib.contextmanager
def local_copy(path: Path | ObjectPath) -> Iterator[Path]:
    """Provide a file on this machine for a program that opens files by their names: itself, or an object's bytes."""
    if isinstance(path, Path):
        yield path
        return
    copy = waiting_file()
    try:
        path.fetch(copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def waiting_file() -> Path:
    """Return a new path on this machine, in a folder that goes when this process ends."""
    return _folder(os.getpid()) / str(next(_numbers))


@functools.cache
def _folder(process: int) -> Path:
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{_counted_in()}-{process}-"))
    atexit.register(_remove, folder)
    return folder


def remove_those_of_the_dead() -> None:
    """Remove what processes that were killed have left."""
    import tempfile

    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        counted_in, owner, *_ = folder.name.removeprefix(_PREFIX).split("-")
        if counted_in == _counted_in() != _UNKNOWN and not Path(f"/proc/{owner}").exists():
            _remove(folder)


def _counted_in() -> str:
    """Return what tells containers apart in which process ids are counted."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return _UNKNOWN


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another user's, or another process removes it
        shutil.rmtree(folder)
