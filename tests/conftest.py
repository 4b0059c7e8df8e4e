"""What all tests share: data that is made once, and a process left as it was."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from frames import write_bulk

from weekly_cli.verify import verify

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


def roomy(folder: Path) -> bool:
    """Whether the tests' files fit in."""
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > LEAST_BYTES


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Processes take files in this order: long ones first, as the last one has nothing beside it.
    sizes = {path: path.stat().st_size for path in {item.path for item in items}}
    items.sort(key=lambda item: (-sizes[item.path], item.path))
    cases: dict[str, list[pytest.Function]] = {}
    for item in items:
        if item.path.parent.name in SLOW_ROOMS:
            item.add_marker(pytest.mark.slow)
        elif isinstance(item, pytest.Function) and hasattr(item, "callspec") and item.get_closest_marker("slow"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for several in cases.values():
        for item in beyond_a_cover(several):
            item.add_marker(pytest.mark.soak)


def beyond_a_cover(cases: Sequence[pytest.Function]) -> list[pytest.Function]:
    """The cases of a slow test that are not needed for each value of each of its parameters to be tried.

    Those left are a diagonal through the product of the parameters: each value, with one after the other of the others.
    """
    numbers: dict[str, dict[int, int]] = {}
    places = [
        {name: numbers.setdefault(name, {}).setdefault(id(value), len(numbers[name])) for name, value in params.items()}
        for params in (case.callspec.params for case in cases)
    ]
    longest = max(numbers, key=lambda name: len(numbers[name]))
    seen: set[tuple[str, int]] = set()
    beyond = []
    for case, place in zip(cases, places, strict=True):
        if all(number == place[longest] % len(numbers[name]) for name, number in place.items()):
            seen |= place.items()
        else:
            beyond.append((case, place))
    left = []
    for case, place in beyond:  # of parameters that are no whole product
        if place.items() - seen:
            seen |= place.items()
        else:
            left.append(case)
    return left


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A verification that is not told otherwise cuts the input once; where it is what is tried, twice."""
    monkeypatch.setattr(verify, "__kwdefaults__", {**verify.__kwdefaults__, "dates": 1})


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
