"""What a Dask cluster tells about itself, judged: versions that differ, and what its workers have. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weekly_cli.errors import ClusterError
from weekly_cli.run.resources import THREADS_OF, Resources
from weekly_cli.run.sizes import DASK_BYTES

#: What computes, and what writes the bytes of the output: other versions may give other bits.
PACKAGES = ("weekly-cli", "pyarrow", "numpy")
#: The share of a worker's memory that tasks may take: beyond 0.8 Dask pauses it, beyond 0.95 its nanny ends it.
_SHARE = 0.75


def mismatch(versions: Mapping[str, Any]) -> str:
    """Return a sentence about the first process of a cluster that runs other versions; empty: none does.

    Parameters
    ----------
    versions : mapping
        As `distributed.Client.get_versions` returns them, with `PACKAGES`.
    """
    here = _of(versions["client"])
    processes: dict[str, tuple[Any, tuple[str, ...]]]
    processes = {"the scheduler": (versions["scheduler"], ("weekly-cli",))}  # which computes nothing
    processes |= {f"worker {name}": (facts, PACKAGES) for name, facts in versions["workers"].items()}
    found = [
        (where, theirs, differing)
        for where, theirs, names in ((where, _of(facts), names) for where, (facts, names) in processes.items())
        if (differing := [name for name in ("python", *names) if theirs[name] != here[name]])
    ]
    if not found:
        return ""
    where, theirs, differing = found[0]
    words = [f"{name} {theirs[name]} and not {here[name]}" if theirs[name] else f"no {name}" for name in differing]
    others = f" ({len(found):,} processes of the cluster differ from this one)" if found[1:] else ""
    wanted = [f"'{name}=={here[name]}'" for name in PACKAGES if name in differing and here[name]]
    remedies = [f"start it with Python {here['python']}"] if "python" in differing else []
    remedies += [f"pip install {' '.join(wanted)} in its environment"] if wanted else []
    return f"{where} has {', '.join(words)}{others}; {', and '.join(remedies) or 'install the same there as here'}"


def _of(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of a process; of Python the first two numbers, "" for what it does not have."""
    packages = facts["packages"]
    python = ".".join(str(packages["python"]).split(".")[:2])
    return {"python": python} | {name: packages.get(name) or "" for name in PACKAGES}


def resources_of(workers: Mapping[str, Mapping[str, Any]], address: str) -> Resources:
    """Return what tasks may use on a cluster: its threads, and for each thread what the worst equipped one has.

    Parameters
    ----------
    workers : mapping of address to facts
        As `distributed.Client.scheduler_info` returns them.
    address : str
        The scheduler's.

    Raises
    ------
    ClusterError
        If a worker does not tell how much memory it may use.
    """
    unlimited = [name for name, worker in workers.items() if not worker["memory_limit"]]
    if unlimited:
        raise ClusterError(
            f"worker {unlimited[0]} has no limit of memory, by which tasks are cut; start it with dask worker "
            "--memory-limit auto"
        )
    threads = sum(worker["nthreads"] for worker in workers.values())
    usable = {name: max(0, worker["memory_limit"] - DASK_BYTES) for name, worker in workers.items()}
    per_thread = min(usable[name] // worker["nthreads"] for name, worker in workers.items())
    count = f"{len(workers):,} worker{'' if len(workers) == 1 else 's'} at {address}"
    return Resources(
        cpus=threads,
        cpus_reason=f"{THREADS_OF}{count}",
        memory_bytes=per_thread * threads,
        memory_reason=f"memory of {count}",
        memory_share=_SHARE,
        worker_bytes=int(_SHARE * min(usable.values())),
    )
