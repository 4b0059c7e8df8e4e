"""What is odd about the machine and the software, and what to do about it. Pure: it judges facts that others found."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from weekly_cli.diagnosis.cluster import DaskCluster
from weekly_cli.diagnosis.facts import Disks, Pool, size
from weekly_cli.diagnosis.software import NEEDED_CODECS, Software
from weekly_cli.diagnosis.terminal import Terminal
from weekly_cli.files.places import Place, same_filesystem
from weekly_cli.run.resources import Limit
from weekly_cli.settings import Config

_MIB, _GIB = 2**20, 2**30
#: Less than this is little: of disk for an output or a conversion, and of memory for a worker.
_LITTLE_DISK, _LITTLE_MEMORY, _LITTLE_SHARED = _GIB, 256 * _MIB, 16 * _MIB
#: Filesystems that other machines write to as well; not all of them keep locks between machines.
_NETWORKS = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "lustre", "ceph", "glusterfs", "fuse.gcsfuse")


@dataclass(frozen=True)
class Advice:
    """Something odd: its code, what it is and what it leads to, and what to do about it."""

    code: str
    sentence: str
    help: str


def advice(
    config: Config,
    software: Software,
    cpus: Sequence[Limit],
    memory: Sequence[Limit],
    pool: Pool | None,
    disks: Disks,
    terminal: Terminal,
    cluster: DaskCluster | None = None,
) -> Iterator[Advice]:
    """Yield what is odd, the gravest first."""
    yield from _of_libraries(software)
    if cluster is not None and cluster.trouble:
        sentence, _, help = cluster.trouble.partition("; ")
        yield Advice("no-cluster", f"{sentence}: no build with --engine dask can run", help or "install the extra")
    yield from _of_disks(config, disks)
    yield from _of_memory(config, memory, pool)
    yield from _of_cpus(cpus)
    yield from _of_python(software)
    yield from _of_texts(terminal)


def _of_libraries(software: Software) -> Iterator[Advice]:
    for one in software.libraries:
        if one.trouble:
            what = f"{one.name} {one.version or ''}".strip()
            yield Advice(
                "broken-library", f"{what} can't be imported: {one.trouble}; no build can run",
                f"pip install --force-reinstall '{one.name}>={one.lowest}'",
            )  # fmt: skip
        elif one.is_old:
            yield Advice(
                "old-library", f"{one.name} {one.version} is older than {one.lowest}, the oldest that is tested",
                f"pip install --upgrade '{one.name}>={one.lowest}'",
            )  # fmt: skip
    for extra in software.extras:
        for one in extra.libraries:
            if one.is_old:
                yield Advice(
                    "old-extra", f"{one.name} {one.version} is older than {one.lowest}, which {extra.name} needs",
                    extra.command,
                )  # fmt: skip
    missing = [name for name in NEEDED_CODECS if not software.codecs.get(name, True)]
    if missing:
        yield Advice(
            "missing-codec", f"this pyarrow lacks {', '.join(missing)}: files so compressed can't be read or written",
            "install pyarrow from PyPI or conda-forge; until then, --compression takes another codec",
        )  # fmt: skip


def _of_disks(config: Config, disks: Disks) -> Iterator[Advice]:
    if not disks.store:
        yield from _of_local_output(config, disks)
    elif disks.store_trouble:
        yield Advice("no-store", disks.store_trouble, "until then, choose another --output")
    yield from _of_temporary(disks)


def _of_local_output(config: Config, disks: Disks) -> Iterator[Advice]:
    output, work = disks.output, disks.work
    if output is None:
        yield Advice("no-output-folder", f"nothing of {config.output} can be looked at", "choose another --output")
    else:
        yield from _of_place(output, "output", "--output")
    if config.work_dir is not None:
        if work is None or work.folder != work.path:
            yield Advice(
                "no-work-folder", f"{config.named('work_dir')} {config.work_dir} is not a directory",
                f"mkdir -p '{config.work_dir}', or leave it out: then the work folder is beside the output",
            )  # fmt: skip
        elif output is not None and not same_filesystem(work, output):
            yield Advice(
                "work-elsewhere", f"the work folder {work.path} is on another filesystem than the output: refused",
                f"choose one on the filesystem of {output.folder}, or leave it out",
            )  # fmt: skip
        else:
            yield from _of_place(work, "work folder", "--work-dir")
    if output is not None and output.exchanges is False and output.writable:
        yield Advice(
            "no-exchange",
            f"the filesystem of {output.folder} can't exchange two names: the switch takes two renames, and between "
            "them there is no output for a moment",
            "nothing must be done: a crash between them is repaired by the next run; or choose another --output",
        )


def _of_temporary(disks: Disks) -> Iterator[Advice]:
    temporary, shared = disks.temporary, disks.shared_memory
    if temporary is None or not temporary.writable or temporary.free_bytes < _LITTLE_DISK:
        where = "no temporary folder" if temporary is None else temporary.path
        free = "" if temporary is None else f" has {size(temporary.free_bytes)} free"
        yield Advice(
            "small-temporary", f"{where}{free}: plan and verify convert CSV and wide tables there",
            "export TMPDIR=/a/larger/folder",
        )  # fmt: skip
    if disks.needs_shared_memory and (shared is None or not shared.writable or shared.free_bytes < _LITTLE_SHARED):
        state = "is not there" if shared is None else f"has {size(shared.free_bytes)} free"
        state += " and can't be written to" if shared is not None and not shared.writable else ""
        yield Advice(
            "small-shared-memory", f"/dev/shm {state}: workers keep their locks there, and may not start",
            "mount it or make room there (in a container: --shm-size 64m), or pass --strategy direct",
        )  # fmt: skip


def _of_place(place: Place, name: str, flag: str) -> Iterator[Advice]:
    if not place.writable:
        yield Advice(
            f"unwritable-{name.split()[0]}", f"{place.folder}, for the {name}, can't be written to",
            f"give this user the right to write there, or choose another {flag}",
        )  # fmt: skip
    if place.free_bytes < _LITTLE_DISK:
        yield Advice(
            f"small-{name.split()[0]}-disk", f"{place.folder}, for the {name}, has {size(place.free_bytes)} free",
            f"weekly-cli plan tells how much a build needs; make room, or choose another {flag}",
        )  # fmt: skip
    if place.filesystem in _NETWORKS:
        yield Advice(
            "network-filesystem",
            f"{place.folder} is on {place.filesystem}: where it does not keep locks between machines, two runs may "
            "both build the output",
            "start runs of one output on one machine, or build on a local disk and copy",
        )


def _of_memory(config: Config, memory: Sequence[Limit], pool: Pool | None) -> Iterator[Advice]:
    free = min(limit.amount for limit in memory)
    if config.memory_limit is not None and config.memory_limit > free:
        yield Advice(
            "limit-above-memory",
            f"{config.named('memory_limit')} is {size(config.memory_limit)}, and {size(free)} are free: the system "
            "may kill workers",
            f"leave it out, or pass --memory-limit {max(1, int(free * 0.8) // _MIB)}MiB or less",
        )
    if pool is None:
        return
    if not pool.workers:
        yield Advice(
            "no-worker", f"the memory budget of {size(pool.budget_bytes)} holds no worker beside this process",
            "pass a larger --memory-limit, or free memory",
        )  # fmt: skip
    elif pool.worker_bytes < _LITTLE_MEMORY or pool.reason.startswith("memory"):
        yield Advice(
            "little-memory",
            f"the memory budget of {size(pool.budget_bytes)} leaves {size(pool.worker_bytes)} to each of "
            f"{pool.workers} workers: tasks are small, or workers fewer than cores",
            "pass a larger --memory-limit, or free memory",
        )


def _of_cpus(cpus: Sequence[Limit]) -> Iterator[Advice]:
    host = cpus[0].amount
    for limit in cpus[1:]:
        if limit.amount == min(other.amount for other in cpus) and limit.amount < host:
            where = (
                "where the container or the job is started (docker run --cpus, limits.cpu, CPUQuota)"
                if "quota" in limit.reason
                else "where the process is started (taskset, --cpuset-cpus, --cpus-per-task)"
            )
            yield Advice(
                "fewer-cpus", f"{limit.reason} leaves {limit.amount:g} of the host's {host:g} cores ({limit.source})",
                f"nothing, if it is meant; else raise it {where}",
            )  # fmt: skip
            return


def _of_python(software: Software) -> Iterator[Advice]:
    if software.bytecode:
        yield Advice(
            "no-bytecode", f"Python compiles the tool at each start: {software.bytecode}",
            f"run once, as a user who may write there: {software.executable} -m compileall -q {software.package}",
        )  # fmt: skip
    if not software.zones:
        yield Advice("no-time-zones", "there is no database of time zones: --timezone knows none", "pip install tzdata")


def _of_texts(terminal: Terminal) -> Iterator[Advice]:
    named = {"stdout": terminal.encoding, "the locale": terminal.locale_encoding, "file names": terminal.file_encoding}
    other = [f"{name} {encoding}" for name, encoding in named.items() if encoding and not _is_utf_8(encoding)]
    if other:
        yield Advice(
            "not-utf-8", f"not in UTF-8: {', '.join(other)}; signs that are missing there are shown as escapes",
            "export PYTHONUTF8=1, or LC_ALL=C.UTF-8",
        )  # fmt: skip


def _is_utf_8(encoding: str) -> bool:
    try:
        return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    except LookupError:
        return False
