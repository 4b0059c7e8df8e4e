"""The states of input files: what tells that one has changed since it was found."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from weekly_cli.errors import InputRefused
from weekly_cli.files.disk import refuse_of_store
from weekly_cli.files.locations import Location
from weekly_cli.files.objects.path import ObjectPath, ObjectState, states_now


@dataclass(frozen=True)
class FileState:
    """The system's record of a file: what changes when its bytes change, and when anything about it last changed."""

    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int = field(compare=False)


def file_state(path: Location) -> FileState:
    """Return the state of a file.

    Raises
    ------
    InputRefused
        If it no longer exists, or can't be examined.
    """
    try:
        state = path.stat()
    except OSError as error:
        refuse_of_store(path, error)
        raise InputRefused(f"{path} can't be read: {os.strerror(error.errno or 0)}") from error
    return _state(state)


def _state(state: os.stat_result | ObjectState) -> FileState:
    return FileState(state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def refuse_changed(states: Mapping[Location, FileState]) -> None:
    """Refuse files that have changed: rows of two states may have been mixed.

    Raises
    ------
    InputRefused
    """
    for path, now in _states_now(states):
        if now is None:
            what = "was removed"
        elif now != states[path]:
            what = "was changed"
        else:
            continue
        raise InputRefused(
            f"{path} {what} while it was being read; run the same command again when nothing else writes to it"
        )


def _states_now(paths: Collection[Location]) -> Iterator[tuple[Location, FileState | None]]:
    objects = [path for path in paths if isinstance(path, ObjectPath)]
    for one, state in zip(objects, states_now(objects), strict=True):
        yield one, None if state is None else _state(state)
    for path in paths:
        if not isinstance(path, ObjectPath):
            yield path, file_state(path) if path.exists() else None
