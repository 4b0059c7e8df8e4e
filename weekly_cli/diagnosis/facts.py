"""What was found about the pool and the disks, and how sizes are said."""

from __future__ import annotations

from dataclasses import dataclass

from weekly_cli.files.places import Place


@dataclass(frozen=True)
class Pool:
    """The pool that a build of enough rows would start.

    Attributes
    ----------
    workers : int
        0: the memory budget holds none.
    reason : str
        What bounds their number.
    budget_bytes : int
        For all processes together.
    worker_bytes : int
        What each worker may use of the budget.
    """

    workers: int
    reason: str
    budget_bytes: int
    worker_bytes: int


@dataclass(frozen=True)
class Disks:
    """The places that are written to; None: not there.

    Attributes
    ----------
    store : str
        What an object store says where the output is to be in one; else empty.
    store_trouble : str
        Why it can't be published there; empty if it can, as far as reading tells.
    output : Place or None
        The folder of the output, where it is switched.
    work : Place or None
        The folder that `--work-dir` names; None: the work folder is beside the output.
    temporary : Place or None
        For logs, and what `plan` and `verify` convert.
    shared_memory : Place or None
        `/dev/shm`, where the workers' locks are.
    needs_shared_memory : bool
        Whether this system keeps them there.
    """

    store: str
    store_trouble: str
    output: Place | None
    work: Place | None
    temporary: Place | None
    shared_memory: Place | None
    needs_shared_memory: bool


def size(n_bytes: float) -> str:
    """Return a size as the diagnosis says it.

    >>> size(1.5 * 2**30), size(300 * 2**20)
    ('1.5 GiB', '300 MiB')
    """
    return f"{n_bytes / 2**30:,.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:,.0f} MiB"
