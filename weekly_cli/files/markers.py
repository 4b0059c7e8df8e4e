"""Start markers: which process has begun to make a part. They tell suspects from innocents when a worker dies.

A marker says who, and nothing of when: clocks of two machines have nothing to do with each other, so that whoever wants
to know how long a part takes counts from when it first sees the marker.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import NamedTuple

from weekly_cli.files.disk import writing


class StartMarker(NamedTuple):
    """The machine and the process that have begun to make a part."""

    host: str
    process: int

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == platform.node()


def write_start_marker(part: str) -> None:
    """Leave word that this process makes a part.

    Raises
    ------
    DiskError, OutputConflict
        If the disk does not take it.
    """
    path = _marker(part)
    with writing(path):
        path.write_text(f"{os.getpid()} {platform.node()}", encoding="utf-8")


def remove_start_marker(part: str) -> None:
    """Take such a word back."""
    path = _marker(part)
    with writing(path):
        path.unlink(missing_ok=True)


def read_start_marker(part: str) -> StartMarker | None:
    """Return who has begun a part; None: nobody."""
    try:
        process, _, host = _marker(part).read_text(encoding="utf-8").partition(" ")
        return StartMarker(host, int(process))
    except (FileNotFoundError, ValueError):  # not at all, or it is being written
        return None


def _marker(part: str) -> Path:
    return Path(part).with_suffix(".begun")
