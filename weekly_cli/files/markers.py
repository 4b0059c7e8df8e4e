"""Start markers: which process has begun to write a part. They identify the suspects when a worker dies.

A marker records the process and not the time: the clocks of two machines may disagree, so a process that needs to know
how long a part takes counts from the moment it first sees the marker.
"""

from __future__ import annotations

import os
import platform
from typing import NamedTuple

from weekly_cli.files.disk import writing
from weekly_cli.files.locations import Location, location


class StartMarker(NamedTuple):
    """The machine and the process that have begun to write a part."""

    host: str
    process: int

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == platform.node()


def write_start_marker(part: str) -> None:
    """Record that this process has begun a part.

    Raises
    ------
    DiskError, OutputConflict
        If the disk refuses it.
    """
    path = _marker(part)
    with writing(path):
        path.write_bytes(f"{os.getpid()} {platform.node()}".encode())


def remove_start_marker(part: str) -> None:
    """Remove a part's start marker."""
    path = _marker(part)
    with writing(path):
        path.unlink(missing_ok=True)


def read_start_marker(part: str) -> StartMarker | None:
    """Return which process has begun a part; None: no process has."""
    try:
        process, _, host = _marker(part).read_bytes().decode().partition(" ")
        return StartMarker(host, int(process))
    except (FileNotFoundError, ValueError):  # there is none, or it is being written
        return None


def _marker(part: str) -> Location:
    return location(part).with_suffix(".begun")
