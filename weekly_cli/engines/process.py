"""What a worker process does before its first task.

This module imports next to nothing, as the process that starts workers names it before it has imported anything.
"""

from __future__ import annotations

import os
import sys
import threading
import time

_WATCH_SECONDS = 0.5


def start_worker(parent: int) -> None:
    """Prepare a worker process: one thread for each kind of work, and an end when its parent is gone."""
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    import pyarrow as pa
    from joblib.externals.loky import process_executor

    import weekly_cli.worker  # noqa: F401 - what tasks need is there before they are

    # loky restarts a worker that has grown by 300 MB, in the middle of the work: a plan counts on more than that.
    process_executor._MAX_MEMORY_LEAK_SIZE = sys.maxsize
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(1)
