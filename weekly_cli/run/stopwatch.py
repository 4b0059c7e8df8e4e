"""Where the time of a task goes."""

from __future__ import annotations

import time


class Stopwatch:
    """Seconds by stage; a stage lasts until the next one begins."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage, self._since = "", time.perf_counter()
        self._cpu = time.process_time()

    def stage(self, name: str) -> None:
        """Begin a stage; "" ends the last one."""
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = name, now

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of this process since the beginning."""
        return time.process_time() - self._cpu
