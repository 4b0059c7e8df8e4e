"""The atomic switch of a local output: two names exchanged in one step, or two renames that can be undone."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

from weekly_cli import failpoints
from weekly_cli.errors import OutputConflict
from weekly_cli.files.disk import flush, writing
from weekly_cli.files.target import Listing, listing

#: Where an output is kept that was moved out of the way, and from where it is restored if nothing replaces it.
REPLACED = "replaced"


def put_in_place(new_output: Path, target: Path, before: Listing) -> None:
    """Put a finished file or folder in its place in one step; what was there moves to the folder of `new_output`.

    Raises
    ------
    OutputConflict
        If the target no longer matches `before`: another process has written there, and its files are restored.
    """
    if new_output.is_dir():
        flush(new_output)
    failpoints.reached("publish:ready")
    with writing(target):
        if not os.path.lexists(target):
            new_output.rename(target)
        elif exchange(new_output, target):
            if listing(new_output) != before:
                exchange(new_output, target)
                raise _changed(target)
        else:
            _replace_by_two_renames(new_output, target, before)
    failpoints.reached("publish:switched")
    flush(target.parent)
    failpoints.reached("publish:flushed")


def _changed(target: Path) -> OutputConflict:
    return OutputConflict(
        f"{target} was changed by another program during the build, and is left as it is; "
        "run the same command again when nothing else writes to it, or choose another --output"
    )


def _replace_by_two_renames(new_output: Path, target: Path, before: Listing) -> None:
    """Replace a target where no system call can in one step; `restore_displaced_output` undoes a half-done switch."""
    displaced = new_output.with_name(REPLACED)
    target.rename(displaced)
    failpoints.reached("publish:moved")
    if listing(displaced) != before:
        restore_displaced_output(new_output.parent, target)
        raise _changed(target)
    try:
        new_output.rename(target)
    except OSError:
        restore_displaced_output(new_output.parent, target)
        raise


def restore_displaced_output(work: Path, output: Path) -> None:
    """Restore an output that was moved out of the way and that nothing has replaced."""
    with writing(output):
        if (work / REPLACED).exists() and not output.exists():
            (work / REPLACED).rename(output)


_AT_FDCWD, _RENAME_EXCHANGE = -100, 2
_UNKNOWN_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def exchange(a: Path, b: Path) -> bool:
    """Switch two names in one atomic step; return False where the system can't."""
    if not sys.platform.startswith("linux"):
        return False
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(a), _AT_FDCWD, os.fsencode(b), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number))
