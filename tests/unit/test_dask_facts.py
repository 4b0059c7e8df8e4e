"""What a Dask cluster tells about itself, judged: other versions are refused, and what its workers have is counted."""

from __future__ import annotations

from typing import Any

import pytest

from weekly_cli.errors import ClusterError
from weekly_cli.run.engines.dask_facts import mismatch, resources_of
from weekly_cli.run.sizes import DASK_BYTES

MIB, GIB = 2**20, 2**30
HERE = {"python": "3.12.4.final.0", "weekly-cli": "1.2", "pyarrow": "26.0.1", "numpy": "2.4.6"}


def versions(scheduler: dict[str, Any] | None = None, **workers: dict[str, Any]) -> dict[str, Any]:
    """As `Client.get_versions` returns them: this process's, but for what is given."""
    of_workers = {name: {"packages": HERE | other} for name, other in workers.items()}
    return {"client": {"packages": HERE}, "scheduler": {"packages": HERE | (scheduler or {})}, "workers": of_workers}


def test_equal_versions_are_no_mismatch() -> None:
    """A patch of Python changes no pickle; the scheduler computes nothing."""
    assert mismatch(versions({"pyarrow": None, "numpy": "1.0"}, one={}, two={"python": "3.12.9.final.0"})) == ""


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            versions(one={}, two={"pyarrow": "25.0", "numpy": "2.0"}),
            "worker two has pyarrow 25.0 and not 26.0.1, numpy 2.0 and not 2.4.6; pip install 'pyarrow==26.0.1' "
            "'numpy==2.4.6' in its environment",
        ),
        (
            versions({"weekly-cli": None}, one={"weekly-cli": "1.1"}),
            "the scheduler has no weekly-cli (2 processes of the cluster differ from this one); pip install "
            "'weekly-cli==1.2' in its environment",
        ),
        (
            versions(one={"python": "3.11.4.final.0"}),
            "worker one has python 3.11 and not 3.12; start it with Python 3.12",
        ),
    ],
    ids=["libraries", "nothing", "python"],
)
def test_other_versions_are_named_with_what_helps(found: dict[str, Any], sentence: str) -> None:
    assert mismatch(found) == sentence


def test_the_worst_equipped_thread_counts() -> None:
    """Threads of one worker share its memory; a task may have all of the smallest one."""
    workers = {
        "tcp://a:1": {"nthreads": 4, "memory_limit": 8 * GIB + DASK_BYTES},
        "tcp://b:1": {"nthreads": 1, "memory_limit": 4 * GIB + DASK_BYTES},
    }
    found = resources_of(workers, "tcp://s:8786")
    assert (found.cpus, found.memory_bytes) == (5, 5 * 2 * GIB)
    assert found.worker_bytes == int(found.memory_share * 4 * GIB)
    assert found.cpus_reason == "threads of 2 workers at tcp://s:8786"
    assert found.memory_reason == "memory of 2 workers at tcp://s:8786"


def test_a_worker_without_a_limit_of_memory_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"worker tcp://a:1 has no limit of memory, .*; start it with dask worker"):
        resources_of({"tcp://a:1": {"nthreads": 4, "memory_limit": 0}}, "tcp://s:8786")
