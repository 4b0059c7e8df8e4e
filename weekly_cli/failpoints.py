"""Failpoints: points of a run at which a test kills the process by SIGKILL, as a power cut or full memory would.

`WEEKLY_CLI_FAILPOINT=stage:point:n` kills the process that reaches the point for the n-th time. Each process counts
separately; with `stage:point:n:folder` only the process that can create the folder dies, so that a task is not killed
again when it is retried.
"""

from __future__ import annotations

import functools
import itertools
import os
import signal
from pathlib import Path
from typing import NamedTuple

from weekly_cli.errors import UsageError

VARIABLE = "WEEKLY_CLI_FAILPOINT"
#: Files are distinguished by the beginning of their names.
FILES = ("bundle", "benchmarks", "panel", "placed", "part", "order", "ordered", "joined")
POINTS = (
    *("lock:touched", "lock:acquired", "lock:written", "lock:unlinked", "lock:released"),
    *("work:made", "work:marked", "work:renamed", "work:removing", "work:entry-removed", "work:unmarked"),
    *("work:removed", "journal:before", "journal:half", "journal:after"),
    *(f"{file}:{step}" for file in FILES for step in ("opened", "written", "closed", "renamed")),
    *("publish:folder", "publish:linked", "publish:ready", "publish:moved", "publish:switched", "publish:flushed"),
    *("report:aside", "report:renamed"),
)


class _Armed(NamedTuple):
    point: str
    visit: int
    once: Path | None


_visits = itertools.count(1)


@functools.cache
def armed() -> _Armed | None:
    """Return the failpoint that the environment sets; None, the normal case: none is set.

    Raises
    ------
    UsageError
        If the point does not exist.
    """
    text = os.environ.get(VARIABLE)
    if text is None:
        return None
    stage, point, visit, once = [*text.split(":", 3), "", "", ""][:4]
    if f"{stage}:{point}" not in POINTS or not visit.isdecimal() or visit == "0":
        raise UsageError(f"{VARIABLE}={text} is no stage:point:n; the points are {', '.join(POINTS)}")
    return _Armed(f"{stage}:{point}", int(visit), Path(once) if once else None)


def reached(point: str) -> None:
    """Kill this process if this is the point, and the visit, that the environment sets."""
    wanted = armed()
    if wanted is None or wanted.point != point or next(_visits) != wanted.visit:
        return
    if wanted.once is not None:
        try:
            wanted.once.mkdir()
        except FileExistsError:
            return
    os.kill(os.getpid(), signal.SIGKILL)
