"""What all tests share: data that is made once, and a process left as it was."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from frames import write_bulk

#: Rooms whose tests are all slow.
SLOW_ROOMS = ("faults", "hostile")


def pytest_configure(config: pytest.Config) -> None:
    for mark in (
        "slow: takes long enough that `make test-fast` leaves it out",
        "alone: measures memory, or ends processes at a moment; runs beside no other test",
        "soak: repeats what a few rounds show already; only `make soak` runs it",
    ):
        config.addinivalue_line("markers", mark)


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
