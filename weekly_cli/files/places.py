"""What a folder offers to those who write there: free space, its filesystem, and what the switch of an output needs."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """A folder, or the nearest one above a path that does not exist yet.

    Attributes
    ----------
    path : str
        As it was asked for, absolute.
    folder : str
        The folder that exists.
    filesystem : str
        The type of its filesystem, such as ext4; empty where the system does not tell.
    free_bytes : int
        For this user.
    writable : bool
        Whether a file can be made there.
    exchanges : bool or None
        Whether two names can be exchanged in one system call; None: it was not tried.
    """

    path: str
    folder: str
    filesystem: str
    free_bytes: int
    writable: bool
    exchanges: bool | None


def look_at(path: Path, *, try_exchange: bool = False, root: Path = Path("/")) -> Place | None:
    """Look at a place; two empty files are made and removed there. None: no folder of the path can be looked at.

    `root` is the folder that contains `/proc`.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow a link that leads nowhere
    # A name may be too long to be asked for, by which `Path.is_dir` raises.
    folder = next((one for one in (path, *path.parents) if os.path.isdir(one)), None)  # noqa: PTH112
    if folder is None:
        return None
    try:
        free_bytes = shutil.disk_usage(folder).free
    except OSError:
        return None
    writable, exchanges = _tried(folder, try_exchange)
    return Place(str(path), str(folder), filesystem_of(folder, root), free_bytes, writable, exchanges)


def is_there(path: str) -> bool:
    """Tell whether there is something at a path."""
    return os.path.exists(path)  # noqa: PTH110 - of a text


def same_filesystem(one: Place, other: Place) -> bool:
    """Tell whether files can be renamed from one place to the other."""
    return os.stat(one.folder).st_dev == os.stat(other.folder).st_dev  # noqa: PTH116


def filesystem_of(folder: Path, root: Path = Path("/")) -> str:
    """Return the type of the filesystem that a folder lies on, by the longest mount point above it.

    Source: `/proc/self/mounts`, where blanks in names are written as octal numbers.
    """
    real = folder.resolve()
    found, longest = "", -1
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/mounts").read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            _, mount_point, kind, *_ = line.split(" ")
            mount = Path(mount_point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\"))
            if len(mount.parts) >= longest and (mount == real or mount in real.parents):
                found, longest = kind, len(mount.parts)  # of mounts on each other, the last one is seen
    return found


def _tried(folder: Path, try_exchange: bool) -> tuple[bool, bool | None]:
    """Return whether files can be made in a folder, and whether two of them can be exchanged."""
    try:
        with _two_files(folder) as (one, other):
            if not try_exchange:
                return True, None
            from weekly_cli.files.switch import exchange

            return True, exchange(one, other)
    except OSError:
        return False, None


@contextlib.contextmanager
def _two_files(folder: Path) -> Iterator[tuple[Path, Path]]:
    with tempfile.TemporaryDirectory(prefix=".weekly-cli-doctor-", dir=folder) as inside:
        one, other = Path(inside) / "one", Path(inside) / "other"
        one.touch()
        other.touch()
        yield one, other
