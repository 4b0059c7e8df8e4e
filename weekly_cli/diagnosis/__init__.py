"""What the tool finds where it runs: CPUs, memory, the pool that would start, disks, software, terminal; and advice."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weekly_cli import __version__
from weekly_cli.diagnosis.advice import Advice, advice
from weekly_cli.diagnosis.cluster import DaskCluster, look_at_cluster
from weekly_cli.diagnosis.facts import Disks, Pool
from weekly_cli.diagnosis.software import Software, software
from weekly_cli.diagnosis.terminal import Terminal, terminal
from weekly_cli.errors import WeeklyError
from weekly_cli.files import places
from weekly_cli.files.locations import is_url
from weekly_cli.files.stores import connect, open_store
from weekly_cli.run import resources
from weekly_cli.run.resources import Limit
from weekly_cli.settings import Config

#: Bytes of a daily row with a symbol, a date, four prices and a volume.
_ROW_BYTES = 64.0
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Diagnosis:
    """All that was found.

    Attributes
    ----------
    cpus, memory : tuple of Limit
        Every limit; the smallest one is in force.
    pool : Pool or None
        None: a library that the plan needs is broken.
    cluster : DaskCluster or None
        None: `--engine dask` is not asked for.
    """

    software: Software
    cpus: tuple[Limit, ...]
    memory: tuple[Limit, ...]
    pool: Pool | None
    cluster: DaskCluster | None
    disks: Disks
    terminal: Terminal
    advice: tuple[Advice, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        found = asdict(self)
        for extra, row in zip(self.software.extras, found["software"]["extras"], strict=True):
            row["is_installed"] = extra.is_installed
        return {"version": __version__, **found}


def diagnose(config: Config) -> Diagnosis:
    """Look at the machine and the software, for a build with these settings."""
    of_software = software()
    cpus, memory = tuple(resources.cpu_limits()), tuple(resources.memory_limits())
    works = not of_software.broken
    pool = _pool(config) if works else None
    disks = _disks(config, try_exchange=works)
    of_terminal = terminal()
    cluster = look_at_cluster(config) if works else None
    found = advice(config, of_software, cpus, memory, pool, disks, of_terminal, cluster)
    return Diagnosis(of_software, cpus, memory, pool, cluster, disks, of_terminal, tuple(found))


def _pool(config: Config) -> Pool:
    from weekly_cli.run import plan, sizes

    reason, workers, budget = plan.smallest_pool(config, resources.probe(), _ROW_BYTES)
    each = (budget - sizes.PARENT_BYTES) // workers if workers else 0
    return Pool(workers, reason, budget, each)


def _store(config: Config) -> tuple[str, str]:
    """Return what an object store says of the output, and why nothing can be published there."""
    try:
        connect(config)
        standing = open_store(config).standing
    except WeeklyError as error:
        return f"{config.output}, in an object store", str(error)
    what = "an output of this tool is there" if standing else "no output of this tool is there yet"
    return f"{config.output}, in an object store that answers: {what}", ""


def _disks(config: Config, *, try_exchange: bool) -> Disks:
    import tempfile

    in_store = is_url(config.output)
    store, trouble = _store(config) if in_store else ("", "")
    of_disk = None if in_store else Path(config.output).resolve().parent
    work = None if in_store or config.work_dir is None else places.look_at(Path(config.work_dir))
    return Disks(
        store=store,
        store_trouble=trouble,
        output=None if of_disk is None else places.look_at(of_disk, try_exchange=try_exchange),
        work=work,
        temporary=places.look_at(Path(tempfile.gettempdir())),
        shared_memory=places.look_at(_SHARED_MEMORY) if places.is_there(str(_SHARED_MEMORY)) else None,
        needs_shared_memory=sys.platform.startswith("linux"),
    )
