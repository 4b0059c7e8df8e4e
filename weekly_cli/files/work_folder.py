"""The folder in which a run works: beside its output, or in `--work-dir`.

Its mark is there from the first moment and is removed last: a half-removed folder can still be recognized as this
tool's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from weekly_cli import failpoints
from weekly_cli.errors import OutputConflict, UsageError, WeeklyError
from weekly_cli.files import records
from weekly_cli.files.disk import writing
from weekly_cli.files.locations import is_url

#: Every folder that this tool works in contains a file with this name from the first moment.
MARK = "made-by-weekly-cli"
#: How their names end; while one is made, with one more word.
SUFFIX, NEW = ".weekly-cli-work", "-new"


def work_place(output: Path, work_dir: str | None, setting: str) -> Path:
    """Return the work folder of an output.

    Raises
    ------
    UsageError
        If `work_dir`, which `setting` gave, can't be used.
    """
    if work_dir is None:
        return output.with_name(f".{output.name}{SUFFIX}")
    named = f"{setting} {work_dir}"
    if is_url(work_dir):
        raise UsageError(f"{named}: the output is on this machine, and so must be the work; give a path")
    inside = Path(work_dir).resolve()
    if not inside.is_dir():
        raise UsageError(f"{named} is not a directory")
    if output in (inside, *inside.parents):
        raise UsageError(f"{named} lies in the output {output}, which is replaced as a whole; choose another")
    if inside.stat().st_dev != output.parent.stat().st_dev:
        raise UsageError(f"{named} is on another filesystem than the output {output}")
    records.check_name(inside, setting)
    which = hashlib.sha256(os.fsencode(output)).hexdigest()[:8]
    return inside / f".{output.name}-{which}{SUFFIX}"


def is_work_folder(folder: Path) -> bool:
    """Tell whether a folder was made by this tool, or is empty."""
    is_folder = folder.is_dir() and not folder.is_symlink()
    return is_folder and ((folder / MARK).is_file() or not any(folder.iterdir()))


def remove_work_folder(folder: Path) -> None:
    """Remove an earlier run's work folder.

    Raises
    ------
    OutputConflict
        If it is not a work folder.
    """
    if not os.path.lexists(folder):
        return
    if not is_work_folder(folder):
        raise OutputConflict(f"{folder} is in the way, and was not created by weekly-cli; move it, or pass --work-dir")
    remove_tree(folder)


def make_work_folder(folder: Path) -> None:
    """Create a work folder that has its mark from the first moment."""
    new = folder.with_name(f"{folder.name}{NEW}")
    remove_work_folder(new)
    try:
        new.mkdir(mode=0o700)
        failpoints.reached("work:made")
        (new / MARK).touch()
        failpoints.reached("work:marked")
        new.rename(folder)
    except BaseException:
        with contextlib.suppress(OSError, WeeklyError):  # the first error counts; the next run removes what is left
            remove_work_folder(new)
        raise
    failpoints.reached("work:renamed")


def remove_tree(folder: Path) -> None:
    """Remove a folder that this tool made, its mark last: half removed, it can still be recognized."""
    failpoints.reached("work:removing")
    empty(folder, ())
    with writing(folder):
        (folder / MARK).unlink(missing_ok=True)
        failpoints.reached("work:unmarked")
        folder.rmdir()
    failpoints.reached("work:removed")


def empty(folder: Path, keep: Collection[Path]) -> None:
    """Remove what this tool has written to one of its folders, except for some files and the mark."""
    with writing(folder):
        entries = list(folder.iterdir())
    for path in entries:
        if path in keep or path.name == MARK:
            continue
        with writing(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        failpoints.reached("work:entry-removed")
