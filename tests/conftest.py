"""What all tests share: data that is made once, a cache that is not the user's, and a process left as it was."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from frames import write_bulk

#: Rooms whose tests are all slow.
SLOW_ROOMS = ("faults", "hostile")
#: Where temporary files are flushed at once: two thirds of a small build are waits for a disk.
IN_MEMORY, LEAST_BYTES = Path("/dev/shm"), 4 * 2**30


def pytest_configure(config: pytest.Config) -> None:
    for mark in (
        "slow: takes long enough that `make test-fast` leaves it out",
        "alone: measures memory, or ends processes at a moment; runs beside no other test",
        "soak: repeats what a few rounds show already; only `make soak` runs it",
    ):
        config.addinivalue_line("markers", mark)
    if "PYTEST_DEBUG_TEMPROOT" not in os.environ and roomy(IN_MEMORY):
        os.environ["PYTEST_DEBUG_TEMPROOT"] = str(IN_MEMORY)
    if "PYTEST_XDIST_WORKER" not in os.environ:  # else it is that of the process which started this one
        cache = tempfile.mkdtemp(prefix="weekly-cli-cache-")
        os.environ["XDG_CACHE_HOME"] = cache
        config.add_cleanup(lambda: shutil.rmtree(cache, ignore_errors=True))


def roomy(folder: Path) -> bool:
    """Whether the tests' files fit in."""
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > LEAST_BYTES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent.name in SLOW_ROOMS:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings from outside; the signal handler and the garbage collector's work back."""
    for name in os.environ:
        if name.startswith("WEEKLY_CLI_"):
            monkeypatch.delenv(name)
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
    gc.unfreeze()


@pytest.fixture(scope="session")
def bulk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300,000 rows of 400 symbols in date order, in 6 files: enough that a build can be hit in its middle."""
    return write_bulk(tmp_path_factory.mktemp("bulk") / "prices")
