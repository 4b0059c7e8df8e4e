"""joblib's loky, and the private parts of it that the pool leans on: all of them are here.

They are those of joblib 1.4 to 1.6 (loky 3.4 to 3.6), which `pyproject.toml` bounds: the executor's queue of waiting
work and its processes, the limit on a worker's growth, and the tracker of its resources. Nothing is imported before
it is called for, as workers name this module before they have imported anything.
"""

from __future__ import annotations

import contextlib
import multiprocessing.resource_tracker
import queue
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

#: How long a worker without work lives.
_IDLE_SECONDS = 3600.0


def start_executor(
    workers: int, initializer: Callable[..., None], arguments: tuple[Any, ...], environment: Mapping[str, str]
) -> Any:
    """Return an executor of so many processes, which start when they are first asked for something."""
    from joblib.externals.loky.process_executor import ProcessPoolExecutor

    return ProcessPoolExecutor(
        workers, timeout=_IDLE_SECONDS, initializer=initializer, initargs=arguments, env=dict(environment)
    )


def processes(executor: Any) -> Collection[int]:
    """Return the numbers of an executor's processes."""
    return executor._processes or ()


def end_executor(executor: Any) -> None:
    """Kill an executor's processes and wait for their end."""
    # loky looks up what it has just dropped, and its thread ends in a traceback: what waits goes before.
    with contextlib.suppress(queue.Empty):
        while True:
            executor._work_ids.get_nowait()
    executor.shutdown(wait=True, kill_workers=True)


def start_trackers() -> None:
    """Start the processes that track resources, loky's and the standard library's."""
    from joblib.externals.loky.backend import resource_tracker

    multiprocessing.resource_tracker.ensure_running()
    resource_tracker.ensure_running()


def let_workers_grow() -> None:
    """Keep loky from restarting a worker that has grown by 300 MB, in the middle of the work."""
    from joblib.externals.loky import process_executor

    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize
