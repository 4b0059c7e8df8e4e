"""The lock of a local output: an operating system lock, so it ends with its owner, however that process ends."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path

from weekly_cli import failpoints
from weekly_cli.errors import OutputBusy
from weekly_cli.files.disk import writing

_LOCK = ".weekly-cli-lock"
_POLL_SECONDS = 0.1
_READ_AGAIN = 5


def lock_path(output: Path) -> Path:
    """Return where the lock of an output is."""
    return output.with_name(f".{output.name}{_LOCK}")


@contextlib.contextmanager
def only_run(output: Path, wait_seconds: float) -> Iterator[None]:
    """Hold the output's lock.

    Missing folders above the output are created, and removed again if they stay empty.

    Raises
    ------
    OutputBusy
        If another run holds it longer than `wait_seconds`.
    OutputConflict
        If the folder of the output can't be written to.
    """
    from filelock import FileLock, Timeout

    path = lock_path(output)
    missing = [parent for parent in output.parents if not parent.exists()]
    lock = FileLock(path, timeout=wait_seconds, poll_interval=_POLL_SECONDS, fallback_to_soft=False)
    try:
        try:
            with writing(output.parent):
                output.parent.mkdir(parents=True, exist_ok=True)
                path.touch()  # a problem with the folder is not a reason to wait
                failpoints.reached("lock:touched")
                try:
                    lock.acquire()
                except Timeout:
                    raise OutputBusy(
                        f"{output} is being built by {_holder(path)}; wait for it, or pass --wait SECONDS"
                    ) from None
            failpoints.reached("lock:acquired")
            with writing(path):
                path.write_text(json.dumps(_myself()), encoding="utf-8")
            failpoints.reached("lock:written")
            yield
        finally:
            if not lock.is_locked:  # interrupted before it was acquired: remove its file anyway, if no one holds it
                with contextlib.suppress(Timeout, OSError):
                    lock.acquire(timeout=0)
            if lock.is_locked:
                with contextlib.suppress(OSError):  # a lock that no one holds is free, even if its file exists
                    path.unlink(missing_ok=True)  # a process waiting for this file sees that its name is gone
                failpoints.reached("lock:unlinked")
                lock.release()
                failpoints.reached("lock:released")
    finally:
        for parent in missing:
            with contextlib.suppress(OSError):  # not empty
                parent.rmdir()


def _myself() -> dict[str, object]:
    now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": platform.node(), "since": now}


def _holder(path: Path) -> str:
    """Return a description of the lock's holder, which writes it a moment after it acquires the lock."""
    for _ in range(_READ_AGAIN):
        try:
            holder = json.loads(path.read_text(encoding="utf-8"))
            return f"process {holder['pid']} on {holder['host']} since {holder['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(_POLL_SECONDS)
    return "another run"
