"""joblib's loky, and all of its private parts that the pool depends on.

They are those of joblib 1.4 to 1.6 (loky 3.4 to 3.6), the range that `pyproject.toml` allows: the executor's queue of
waiting work and its processes, the limit on a worker's growth, and the resource tracker. loky is imported only where
it is needed, because workers import this module before they have imported anything else.
"""

from __future__ import annotations

import contextlib
import multiprocessing.resource_tracker
import queue
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

#: How long an idle worker lives.
_IDLE_SECONDS = 3600.0


def start_executor(
    workers: int, initializer: Callable[..., None], arguments: tuple[Any, ...], environment: Mapping[str, str]
) -> Any:
    """Return an executor with this many processes, which start when the first work is submitted."""
    from joblib.externals.loky.process_executor import ProcessPoolExecutor

    return ProcessPoolExecutor(
        workers, timeout=_IDLE_SECONDS, initializer=initializer, initargs=arguments, env=dict(environment)
    )


def processes(executor: Any) -> Collection[int]:
    """Return the process ids of an executor's workers."""
    return executor._processes or ()


def end_executor(executor: Any) -> None:
    """Kill an executor's processes and wait until they have ended."""
    # loky looks up work items that it has just dropped, and its thread ends with a traceback: empty the queue first.
    with contextlib.suppress(queue.Empty):
        while True:
            executor._work_ids.get_nowait()
    executor.shutdown(wait=True, kill_workers=True)


def start_trackers() -> None:
    """Start loky's and the standard library's resource tracker processes."""
    from joblib.externals.loky.backend import resource_tracker

    multiprocessing.resource_tracker.ensure_running()
    resource_tracker.ensure_running()


def let_workers_grow() -> None:
    """Keep loky from restarting a worker in the middle of its work because it has grown by 300 MB."""
    from joblib.externals.loky import process_executor

    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize
