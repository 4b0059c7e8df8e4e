"""What a worker process does before its first task, and before each.

This module imports next to nothing, as the process that starts workers names it before it has imported anything.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from weekly_cli.run.engines import loky

if TYPE_CHECKING:
    from weekly_cli.run.engines import RunTask
    from weekly_cli.run.task import Outcome, Task

_WATCH_SECONDS = 0.5
#: What a worker may map beyond the budget of all: a plan counts what is held, the system what was asked for.
_MAPPED_BEYOND = 2**30


def start_worker(parent: int, budget_bytes: int) -> None:
    """Prepare a worker process: one thread for each kind of work, a bound on its memory, an end with its parent's."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _bound_memory(budget_bytes + _MAPPED_BEYOND)
    import pyarrow as pa

    import weekly_cli.run.task  # noqa: F401 - what tasks need is there before they are

    loky.let_workers_grow()  # a plan counts on more than loky does
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def _bound_memory(size: int) -> None:
    """Let an endless allocation end as a `MemoryError` of its task, before it takes other processes along."""
    if sys.platform != "linux":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or size < most:
        resource.setrlimit(resource.RLIMIT_DATA, (size, most))


def run_marked(run: RunTask, task: Task) -> Outcome:
    """Run a task after leaving word which process has begun it."""
    from weekly_cli.files import markers

    markers.write_start_marker(task.part)
    return run(task)
