"""A Dask scheduler and its workers as real processes on the loopback interface, as a user starts them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from frames import MODULES, environment, lives, wait_for

_SECONDS = 30.0
#: After so many deaths of workers over a task beyond the first, it fails; Dask's default is 3.
_FEW_FAILURES = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}


@dataclass
class DaskCluster:
    """A cluster whose processes work in a folder of their own; leaving its context ends all of them."""

    folder: Path
    address: str = ""
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start_scheduler(self, port: int = 0) -> None:
        """Start the scheduler and learn its address."""
        file = self.folder / "scheduler.json"
        file.unlink(missing_ok=True)
        words = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--scheduler-file", str(file)]
        self.scheduler = self._start("dask_scheduler", words, _FEW_FAILURES)
        assert wait_for(lambda: file.exists() and file.read_text().strip().endswith("}"), _SECONDS)
        self.address = json.loads(file.read_text())["address"]

    def start_worker(self, *words: str, memory: str = "1GiB", env: Mapping[str, str] | None = None) -> None:
        """Start a worker of one thread; whoever needs it waits for it."""
        given = ["--nthreads", "1", "--memory-limit", memory, "--no-dashboard", "--local-directory", str(self.folder)]
        self.workers.append(self._start("dask_worker", [self.address, *given, *words], env or {}))

    def wait_for_workers(self, count: int) -> None:
        """Wait until so many workers are at the scheduler's."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=_SECONDS)

    def _start(self, module: str, words: list[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{module}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.{module}", *words],
                cwd=self.folder,
                env=environment({**MODULES, **env}),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def end(self) -> None:
        """Kill all processes."""
        started = [*self.workers, *([self.scheduler] if self.scheduler is not None else [])]
        every: list[psutil.Process] = []
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                every += [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for one in every:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        for process in started:
            process.wait()
        assert wait_for(lambda: not any(map(lives, every)), _SECONDS)


@contextlib.contextmanager
def dask_cluster(folder: Path, n_workers: int) -> Iterator[DaskCluster]:
    """Start a scheduler and some workers."""
    cluster = DaskCluster(folder)
    try:
        cluster.start_scheduler()
        for _ in range(n_workers):
            cluster.start_worker()
        if n_workers:
            cluster.wait_for_workers(n_workers)
        yield cluster
    finally:
        cluster.end()
