"""What runs that ended early have left beside an output in an object store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from weekly_cli.files.leftovers import Leftover, Leftovers
from weekly_cli.files.objects import requests
from weekly_cli.files.objects.lease import lease_path, only_run
from weekly_cli.files.objects.path import ObjectPath
from weekly_cli.files.objects.published import read_published
from weekly_cli.files.objects.store import is_own, remove_work, work_path
from weekly_cli.files.work_folder import MARK


def find_objects(output: str, work_dir: str | None, setting: str) -> Leftovers[ObjectPath]:
    """Return what is left beside an output, and in `work_dir`, which `setting` gave.

    Raises
    ------
    UsageError
        If `work_dir` can't be used.
    OutputConflict, Unreachable
        If the store does not tell.
    """
    target = ObjectPath(output)
    works = dict.fromkeys([work_path(target, None, setting), work_path(target, work_dir, setting)])
    found, foreign = [], []
    for work in works:
        objects = work.below()
        if work / MARK in objects:
            what = "work of a run that ended early; the same build resumes it"
            found.append(_leftover(work, what, objects))
        elif objects:
            foreign.append(work)
    lease = lease_path(target)
    if lease.is_file():
        found.append(_leftover(lease, "the lock of a run", [lease]))
    known = _known(target)
    depth = len(target.parts)
    unknown: dict[str, list[ObjectPath]] = {}
    for path in target.below():
        parts = path.parts[depth:]
        if len(parts) == 2 and is_own(parts) and parts[0] not in known:
            unknown.setdefault(parts[0], []).append(path)
    found += [_leftover(target / name, "parts that were never published", paths) for name, paths in unknown.items()]
    return Leftovers(target, found, foreign, [])


@contextlib.contextmanager
def only_cleaner(found: Leftovers[ObjectPath]) -> Iterator[None]:
    """Hold the lease of the output, if there is anything to remove.

    Raises
    ------
    OutputBusy
        If a run is working there.
    """
    with only_run(found.output, 0.0) if found.removable else contextlib.nullcontext():
        yield


def remove_objects(found: Leftovers[ObjectPath]) -> None:
    """Remove it, and end uploads that were not finished; the lease must be held.

    Parts that a run has published since they were listed stay.

    Raises
    ------
    OutputConflict, Unreachable
        If the store refuses it.
    """
    lease, known = lease_path(found.output), _known(found.output)
    for one in found.removable:
        if (one.path / MARK).is_file():
            remove_work(one.path)
        elif one.path != lease and one.path.name not in known:  # a lease ends with its holder
            requests.remove_below(one.path)
        requests.end_uploads(one.path)


def _known(output: ObjectPath) -> set[str]:
    """Return the generations that are published, or were until a while ago."""
    published = read_published(output)
    return set() if published is None else {published.generation, *published.retired}


def _leftover(path: ObjectPath, what: str, objects: list[ObjectPath]) -> Leftover[ObjectPath]:
    return Leftover(path, what, len(objects), sum(one.stat().st_size for one in objects))
