"""The lock of an output in an object store: a lease, renewed as long as its owner lives.

Who finds a lease that was not renewed in time, or whose owner was a process of this machine that is dead, takes it
over. Correctness does not rest on it: the manifest is put on the condition that nobody else has put one.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from weekly_cli.errors import OutputBusy, WeeklyError
from weekly_cli.files.objects import requests
from weekly_cli.files.objects.path import ObjectPath
from weekly_cli.files.objects.requests import Held

_NAME = ".weekly-cli-lock"
#: A lease is renewed every so many seconds, and is over when it was not for so many.
_RENEWED_SECONDS, _OVER_SECONDS = 15.0, 60.0
_POLL_SECONDS = 1.0


def lease_path(output: ObjectPath) -> ObjectPath:
    """Return where the lease of an output is."""
    return output.with_name(f".{output.name}{_NAME}")


@contextlib.contextmanager
def only_run(output: ObjectPath, wait_seconds: float) -> Iterator[None]:
    """Hold the lease of an output.

    Raises
    ------
    OutputBusy
        If another run holds it longer than `wait_seconds`.
    OutputConflict, Unreachable
        If the store refuses it.
    """
    lease = _Lease(lease_path(output), output)
    lease.take(wait_seconds)
    try:
        yield
    finally:
        lease.end()


class _Lease:
    def __init__(self, path: ObjectPath, output: ObjectPath) -> None:
        self._path, self._output = path, output
        self._owner = uuid.uuid4().hex
        self._since = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        self._etag: str | None = None
        self._ended = threading.Event()
        self._renewing = threading.Thread(target=self._renew, daemon=True)

    def take(self, wait_seconds: float) -> None:
        """Take the lease, and renew it from now on."""
        until = time.monotonic() + wait_seconds
        while True:
            held = requests.read(self._path)
            if held is None or _is_over(held):
                self._etag = requests.put_if(self._path, self._content(), None if held is None else held.etag)
                if self._etag is not None:
                    break
                continue  # another run was faster, and holds it now
            if time.monotonic() >= until:
                raise OutputBusy(
                    f"{self._output} is being built by {_holder(held)}; wait for it, or pass --wait SECONDS"
                )
            time.sleep(min(_POLL_SECONDS, max(0.0, until - time.monotonic())))
        self._renewing.start()

    def _content(self) -> bytes:
        told = {"pid": os.getpid(), "host": platform.node(), "machine": _machine(), "since": self._since}
        return json.dumps({**told, "owner": self._owner, "renewed": time.time()}).encode()

    def _renew(self) -> None:
        while not self._ended.wait(_RENEWED_SECONDS):
            with contextlib.suppress(WeeklyError):  # the store may answer the next time
                etag = requests.put_if(self._path, self._content(), self._etag)
                if etag is None:  # taken over: the manifest's condition decides
                    return
                self._etag = etag

    def end(self) -> None:
        """Give the lease up, if it is still ours."""
        self._ended.set()
        self._renewing.join()
        with contextlib.suppress(WeeklyError, OSError):  # it will be over in a minute
            held = requests.read(self._path)
            if held is not None and held.etag == self._etag:
                requests.remove(self._path)


def _is_over(held: Held) -> bool:
    if held.age_seconds > _OVER_SECONDS:
        return True
    told = _told(held)
    return told.get("machine") == _machine() != "" and not _lives(told.get("pid"))


def _machine() -> str:
    """Return what tells machines and containers apart in which process ids are counted; empty where nothing does."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _lives(process: object) -> bool:
    if not isinstance(process, int) or process <= 0:
        return False
    try:
        os.kill(process, 0)  # it asks only; `_machine` is empty where it would not
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True


def _holder(held: Held) -> str:
    told = _told(held)
    if not told:
        return "another run"
    return f"process {told.get('pid')} on {told.get('host')} since {told.get('since')}"


def _told(held: Held) -> dict[str, object]:
    try:
        told = json.loads(held.content)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
