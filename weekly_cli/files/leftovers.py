"""What runs that ended early have left beside an output, or in `--work-dir`: work folders and locks.

A run's journal, bundles, parts and converted input are in its work folder, and so is the old output where a system
needs two renames for a switch and a crash came between them. That one goes back to its place.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from weekly_cli.files.lock import lock_path, only_run
from weekly_cli.files.objects.path import ObjectPath
from weekly_cli.files.switch import REPLACED, restore_displaced_output
from weekly_cli.files.target import local_place
from weekly_cli.files.work_folder import MARK, NEW, SUFFIX, is_work_folder, remove_work_folder, work_place

_MIB = 2**20
Where = TypeVar("Where", Path, ObjectPath)


@dataclass(frozen=True)
class Leftover(Generic[Where]):
    """Something that a run has left.

    Attributes
    ----------
    path : Path or ObjectPath
    what : str
        What it is, in words.
    files, size_bytes : int
    """

    path: Where
    what: str
    files: int
    size_bytes: int


@dataclass(frozen=True)
class Leftovers(Generic[Where]):
    """What is left beside an output.

    Attributes
    ----------
    output : Path or ObjectPath
    removable : sequence of Leftover
    foreign : sequence of paths
        What has the name of a work folder, but was not made by this tool.
    others : sequence of paths
        Work folders of other outputs in the same folder.
    """

    output: Where
    removable: Sequence[Leftover[Where]]
    foreign: Sequence[Where]
    others: Sequence[Where]


def find_leftovers(output: str, work_dir: str | None, setting: str) -> Leftovers[Path]:
    """Return what is left beside an output, and in `work_dir`, which `setting` gave.

    Raises
    ------
    UsageError
        If `work_dir` can't be used.
    """
    target = local_place(output)
    places = [work_place(target, None, setting)]
    if work_dir is not None:
        places.append(work_place(target, work_dir, setting))
    named = [path for one in places for path in (one, one.with_name(one.name + NEW)) if os.path.lexists(path)]
    found = [_folder(path, target) for path in named if is_work_folder(path)]
    lock = lock_path(target)
    if lock.is_file():
        found.append(Leftover(lock, "the lock of a run", 1, lock.stat().st_size))
    others = [
        path for path in sorted(target.parent.glob(f".*{SUFFIX}")) if path not in named and (path / MARK).is_file()
    ]
    return Leftovers(target, found, [path for path in named if not is_work_folder(path)], others)


@contextlib.contextmanager
def only_cleaner(found: Leftovers[Path]) -> Iterator[None]:
    """Hold the lock of the output, if there is anything to remove; in the end the lock is removed, too.

    Raises
    ------
    OutputBusy
        If a run is working there.
    OutputConflict
        If the folder can't be written to.
    """
    with only_run(found.output, 0.0) if found.removable else contextlib.nullcontext():
        yield


def remove_leftovers(found: Leftovers[Path]) -> None:
    """Remove work folders; an old output whose place is empty goes back there. The lock must be held.

    Raises
    ------
    OutputConflict, DiskError
        If the disk refuses it.
    """
    for one in found.removable:
        if is_work_folder(one.path):
            restore_displaced_output(one.path, found.output)
            remove_work_folder(one.path)


def to_dict(found: Leftovers[Any], *, removed: bool) -> dict[str, Any]:
    """Return it as it is written to JSON."""
    return {
        "output": str(found.output),
        "removed": removed and bool(found.removable),
        "leftovers": [
            {"path": str(one.path), "what": one.what, "files": one.files, "bytes": one.size_bytes}
            for one in found.removable
        ],
        "not_ours": [str(path) for path in found.foreign],
        "of_other_outputs": [str(path) for path in found.others],
    }


def what_stays(work: Path, output: str) -> str:
    """Return what a run that ends early leaves there, and how to remove it."""
    _, size = _sizes(work)
    return f"{work} has {size / _MIB:,.1f} MiB of it, which weekly-cli clean {shlex.quote(output)} removes"


def other_output(work: Path) -> str:
    """Return the name of the output beside which a work folder is."""
    return work.name.removeprefix(".").removesuffix(SUFFIX)


def _folder(path: Path, output: Path) -> Leftover[Path]:
    what = "work of a run that ended early; the same build resumes it"
    if (path / REPLACED).exists():
        is_there = os.path.lexists(output)
        what += ", and the output before it" + ("" if is_there else ", which goes back to its place")
    return Leftover(path, what, *_sizes(path))


def _sizes(folder: Path) -> tuple[int, int]:
    sizes = list(_each_size(folder))
    return len(sizes), sum(sizes)


def _each_size(folder: Path) -> Iterator[int]:
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(Path(root) / name).st_size
            except FileNotFoundError:  # a worker that ends removes its own file
                continue
