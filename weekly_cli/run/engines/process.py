"""What a worker process does before its first task, and before each.

This module imports next to nothing, because the process that starts workers imports it before anything else.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from weekly_cli.run.engines import loky

if TYPE_CHECKING:
    from weekly_cli.run.engines import RunTask
    from weekly_cli.run.task import Outcome, Task

#: One thread per worker: the plan counts workers, and a library's own threads would only compete with them.
#: One allocator for Arrow and numpy, which keeps freed memory for the next block: returning pages to the system and
#: requesting them again took a third of the workers' system time, and Arrow's own pool took a fifth more memory.
WORKER_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_TOP_PAD_": str(2**26),
}
_WATCH_SECONDS = 0.5
#: What a worker may map beyond the total budget: a plan counts memory in use, the system counts memory requested.
_MAPPED_BEYOND = 2**30
#: By how much of all memory, in thousandths, a worker counts as larger than it is when the kernel looks for a process
#: to end; Chromium gives its pages 300 to 1000.
_SOONER = 300


#: What ends one process, where a terminal sends SIGINT to all of them.
TO_ONE_PROCESS = (
    frozenset({signal.SIGTERM, signal.SIGHUP}) if hasattr(signal, "SIGHUP") else frozenset({signal.SIGTERM})
)


def start_worker(parent: int, budget_bytes: int) -> None:
    """Prepare a worker process: one thread per kind of work, a memory limit, and an exit when its parent exits."""
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TO_ONE_PROCESS)  # blocked while processes start
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    prepare(budget_bytes)
    loky.let_workers_grow()  # the plan allows more memory than loky does


def prepare(budget_bytes: int) -> None:
    """Prepare a process for tasks, one at a time, whoever has started it."""
    _bound_memory(budget_bytes + _MAPPED_BEYOND)
    _offer_itself()
    import pyarrow as pa

    import weekly_cli.run.task  # noqa: F401 - import what tasks need before they arrive

    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)


def _bound_memory(size: int) -> None:
    """Turn a runaway allocation into a `MemoryError` of its task, before it takes down other processes."""
    if sys.platform != "linux":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or size < most:
        resource.setrlimit(resource.RLIMIT_DATA, (size, most))


def _offer_itself() -> None:
    """Make the kernel end this process and not its parent if memory runs out: the parent can replace it."""
    with contextlib.suppress(OSError):  # only Linux has the file
        path = Path("/proc/self/oom_score_adj")
        path.write_text(str(min(1000, int(path.read_text()) + _SOONER)))


def run_marked(run: RunTask, task: Task) -> Outcome:
    """Run a task after recording which process has begun it."""
    from weekly_cli.files import markers

    markers.write_start_marker(task.part)
    return run(task)
