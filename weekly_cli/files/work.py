"""The work folder of a run, and the lock that makes it the only one for its output.

The lock is the operating system's: it ends with the process that holds it, however that ends. The work folder stays
where a run was cut off, for the next one to go on from.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from weekly_cli import failpoints
from weekly_cli.errors import OutputBusy, OutputConflict, UsageError, WeeklyError
from weekly_cli.files import storage
from weekly_cli.settings import Config

_LOCK, _WORK = ".weekly-cli-lock", ".weekly-cli-work"
_POLL_SECONDS = 0.1
_READ_AGAIN = 5


@dataclass
class Work:
    """A work folder; `proven` says whether it holds what a next run can go on from."""

    folder: Path
    proven: bool


@contextlib.contextmanager
def only_run(output: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the output's lock.

    The folders above the output are made where they are missing, and removed again if they stay empty.

    Raises
    ------
    OutputBusy
        If another run holds it for longer than `wait_seconds`.
    OutputConflict
        If the folder of the output can't be written to.
    """
    from filelock import FileLock, Timeout

    path = output.with_name(f".{output.name}{_LOCK}")
    made = [parent for parent in output.parents if not parent.exists()]
    lock = FileLock(path, timeout=wait_seconds, poll_interval=_POLL_SECONDS, fallback_to_soft=False)
    try:
        try:
            with storage.writing(output.parent):
                output.parent.mkdir(parents=True, exist_ok=True)
                path.touch()  # what is wrong with the folder is no reason to wait
                failpoints.reached("lock:touched")
                try:
                    lock.acquire()
                except Timeout:
                    raise OutputBusy(
                        f"{output} is being built by {_holder(path)}; wait for it, or pass --wait SECONDS"
                    ) from None
            failpoints.reached("lock:acquired")
            with storage.writing(path):
                path.write_text(json.dumps(_myself()), encoding="utf-8")
            failpoints.reached("lock:written")
            yield
        finally:
            if not lock.is_locked:  # interrupted on the way to it: its file is to go all the same, if it is nobody's
                with contextlib.suppress(Timeout, OSError):
                    lock.acquire(timeout=0)
            if lock.is_locked:
                with contextlib.suppress(OSError):  # a lock that nobody holds is free, whatever its file
                    path.unlink(missing_ok=True)  # who waits for this very file sees that it has no name any more
                failpoints.reached("lock:unlinked")
                lock.release()
                failpoints.reached("lock:released")
    finally:
        for parent in made:
            with contextlib.suppress(OSError):  # not empty
                parent.rmdir()


def _myself() -> dict[str, object]:
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": platform.node(), "since": now}


def _holder(path: Path) -> str:
    """Return who holds a lock, in words; it says so a moment after it has it."""
    for _ in range(_READ_AGAIN):
        try:
            holder = json.loads(path.read_text(encoding="utf-8"))
            return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(_POLL_SECONDS)
    return "another run"


@contextlib.contextmanager
def work_folder(output: Path, config: Config) -> Iterator[Work]:
    """Give the folder in which a run works; the output's lock must be held.

    It is removed at the end unless `--keep-work`; where the run was cut off and something is proven, it stays.

    Raises
    ------
    OutputConflict
        If something that this tool did not make is in its place, or it can't be made.
    UsageError
        If `--work-dir` is not on the filesystem of the output.
    """
    folder, keep = _place(output, config), config.keep_work
    with storage.writing(folder.parent):
        if (folder / storage.MARK).is_file():
            storage.restore_displaced_output(folder, output)
        if config.fresh or not (folder / storage.MARK).is_file():
            _remove(folder)
            _make(folder)
    work = Work(folder, proven=(folder / storage.JOURNAL).exists())
    try:
        yield work
    except BaseException:
        keep |= work.proven
        raise
    finally:
        if not keep:
            with contextlib.suppress(WeeklyError):  # how the run ended counts; the next one removes what stays
                storage.restore_displaced_output(folder, output)
                storage.remove_tree(folder)


def _place(output: Path, config: Config) -> Path:
    if config.work_dir is None:
        return output.with_name(f".{output.name}{_WORK}")
    named = f"{config.named('work_dir')} {config.work_dir}"
    inside = Path(config.work_dir).resolve()
    if not inside.is_dir():
        raise UsageError(f"{named} is not a directory")
    if output in (inside, *inside.parents):
        raise UsageError(f"{named} lies in the output {output}, which is replaced as a whole; choose another")
    if inside.stat().st_dev != output.parent.stat().st_dev:
        raise UsageError(f"{named} is on another filesystem than the output {output}")
    storage.check_name(inside, config.named("work_dir"))
    which = hashlib.sha256(os.fsencode(output)).hexdigest()[:8]
    return inside / f".{output.name}-{which}{_WORK}"


def _remove(folder: Path) -> None:
    """Remove a work folder of an earlier run.

    Raises
    ------
    OutputConflict
        If it is not one.
    """
    if not os.path.lexists(folder):
        return
    ours = (
        folder.is_dir() and not folder.is_symlink() and ((folder / storage.MARK).is_file() or not any(folder.iterdir()))
    )
    if not ours:
        raise OutputConflict(f"{folder} is in the way, and weekly-cli did not make it; move it, or pass --work-dir")
    storage.remove_tree(folder)


def _make(folder: Path) -> None:
    """Make a work folder that has its mark from its first moment on."""
    new = folder.with_name(f"{folder.name}-new")
    _remove(new)
    try:
        new.mkdir(mode=0o700)
        failpoints.reached("work:made")
        (new / storage.MARK).touch()
        failpoints.reached("work:marked")
        new.rename(folder)
    except BaseException:
        with contextlib.suppress(OSError, WeeklyError):  # the reason counts; the next run removes what stays
            _remove(new)
        raise
    failpoints.reached("work:renamed")
