"""The CPUs and the memory that this process can really use.

psutil and joblib report those of the host. A container or a batch system grants less through control groups, which
nest: the effective limit is the smallest one between this process's own group and the root of the hierarchy. Both
versions are read: `/proc/self/cgroup` names the groups, and `/proc/self/mountinfo` says where the hierarchies are
mounted and which group is the root of the mount.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

#: The shares that `--memory-limit auto` takes: of the host's free memory, whose rest is for the page cache and the
#: user's other processes; and of what a control group leaves free, which was set aside for this work.
HOST_SHARE, GROUP_SHARE = 0.6, 0.8

#: What the reason begins with for the number of CPUs, if they are a cluster's.
THREADS_OF = "threads of "

_NO_LIMIT_BYTES = 2**60  # version 1 writes a huge page-aligned number for "none"


@dataclass(frozen=True)
class Limit:
    """A limit and what imposes it.

    Attributes
    ----------
    amount : float
        CPUs, or bytes of memory that are free below the limit.
    reason : str
        What imposes it, for users.
    share : float
        The share of the amount to take.
    source : str
        The file or the system call that tells it.
    total : float or None
        Of memory: the bytes of the limit itself, whether they are in use or not.
    """

    amount: float
    reason: str
    share: float = 1.0
    source: str = ""
    total: float | None = None


@dataclass(frozen=True)
class Resources:
    """What tasks may use: CPUs, bytes of memory that are free for them now, and the share of them to take.

    Attributes
    ----------
    worker_bytes : int or None
        Where workers have memory of their own, on a cluster: the most that a single task may take.
    """

    cpus: int
    cpus_reason: str
    memory_bytes: int
    memory_reason: str
    memory_share: float = HOST_SHARE
    worker_bytes: int | None = None


def probe(root: Path = Path("/")) -> Resources:
    """Return what this process may use; `root` is the folder that contains `/proc` and `/sys`."""
    cpus = min(cpu_limits(root), key=lambda limit: limit.amount)
    memory = min(memory_limits(root), key=lambda limit: limit.amount * limit.share)
    return Resources(max(1, int(cpus.amount)), cpus.reason, int(memory.amount), memory.reason, memory.share)


def requested_workers(jobs: int, cpus: int) -> int:
    """Return the number of workers that `--jobs` means, by joblib's rules.

    >>> requested_workers(-1, 8), requested_workers(-2, 8), requested_workers(3, 8)
    (8, 7, 3)
    """
    return jobs if jobs > 0 else max(1, cpus + 1 + jobs)


def memory_kills(root: Path = Path("/")) -> int:
    """Return how many processes the system has killed for lack of memory, in this process's control group or the host.

    Sources: `memory.events` (version 2), `memory.oom_control` (version 1), `/proc/vmstat`.
    """
    group = next(_groups(root, "memory"), None)
    paths = [group / "memory.events", group / "memory.oom_control"] if group else []
    for path in (*paths, root / "proc/vmstat"):
        counts = dict(line.split(" ", 1) for line in _text(path).splitlines() if " " in line)
        if "oom_kill" in counts:
            return int(counts["oom_kill"])
    return 0


def wait_for_memory(size: int, seconds: float = 5.0, root: Path = Path("/")) -> None:
    """Wait until `size` bytes are free, at most some seconds.

    A killed process is gone before its memory is: if another process was reading its sizes from `/proc`, as a
    `MemoryMeter` does, that one returns it. A worker that started in the meantime would be short of memory at once, and
    as the killed one is no longer listed, the kernel would end this process.
    """
    end = time.monotonic() + seconds
    while probe(root).memory_bytes < size and time.monotonic() < end:
        time.sleep(0.02)


def cpu_limits(root: Path = Path("/")) -> Iterator[Limit]:
    """Yield every limit on the CPUs of this process; the smallest one is in force."""
    yield Limit(os.cpu_count() or 1, "the host's cores", source="os.cpu_count()")
    if hasattr(os, "sched_getaffinity"):
        yield Limit(len(os.sched_getaffinity(0)), "CPU affinity", source="os.sched_getaffinity(0)")
    for group in _groups(root, "cpu"):
        for read_quota, name in ((_version_2_quota, "cpu.max"), (_version_1_quota, "cpu.cfs_quota_us")):
            quota = read_quota(group)
            if quota:
                yield Limit(quota, "CPU quota of the control group", source=str(group / name))
                break


def memory_limits(root: Path = Path("/")) -> Iterator[Limit]:
    """Yield every limit on the memory of this process; the one whose share is the smallest is in force."""
    available, total, source = _host_memory(root)
    yield Limit(available, "memory available on the host", HOST_SHARE, source, total)
    for group in _groups(root, "memory"):
        limits = {name: _number(group / name) for name in ("memory.max", "memory.high", "memory.limit_in_bytes")}
        known = {limit: name for name, limit in limits.items() if limit is not None and limit < _NO_LIMIT_BYTES}
        if known:
            limit = min(known)
            free, source = max(0, limit - _memory_in_use(group)), str(group / known[limit])
            yield Limit(free, "memory limit of the control group", GROUP_SHARE, source, limit)


def _host_memory(root: Path) -> tuple[int, int | None, str]:
    """Return the host's available and total bytes, and who says so; psutil, on every system, takes 6 ms to import."""
    path = root / "proc/meminfo"
    sizes = {
        line.split(":")[0]: int(line.split()[1]) * 1024 for line in _text(path).splitlines() if line.endswith(" kB")
    }
    if "MemAvailable" in sizes:
        return sizes["MemAvailable"], sizes.get("MemTotal"), str(path)
    import psutil

    memory = psutil.virtual_memory()
    return int(memory.available), int(memory.total), "psutil"


def _memory_in_use(group: Path) -> int:
    """Return the group's bytes in use that can't be reclaimed: the page cache is dropped when memory is short."""
    used = _number(group / "memory.current")
    if used is None:
        used = _number(group / "memory.usage_in_bytes") or 0
    stat = dict(line.split(" ", 1) for line in _text(group / "memory.stat").splitlines() if " " in line)
    cache = int(stat.get("file", stat.get("total_cache", 0)))
    shared = int(stat.get("shmem", stat.get("total_shmem", 0)))  # counted as cache, but can't be reclaimed
    return max(0, used - max(0, cache - shared))


def _version_2_quota(group: Path) -> float | None:
    words = _text(group / "cpu.max").split()
    return int(words[0]) / int(words[1]) if len(words) == 2 and words[0] != "max" else None


def _version_1_quota(group: Path) -> float | None:
    quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:  # no such limit, or no permission to read it
        return ""


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.lstrip("-").isdigit() else None


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups for a controller, from its own group to each mount's root."""
    own_groups = _own_groups(root)
    for mount_root, mount_point, version, controllers in _mounts(root):
        name = own_groups.get("") if version == 2 else own_groups.get(controller)
        if name is None or (version == 1 and controller not in controllers):
            continue
        mount = root / mount_point.lstrip("/")
        if mount_root != "/" and (name + "/").startswith(mount_root + "/"):
            name = name[len(mount_root) :]
        group = mount / name.lstrip("/")
        if (
            ".." in group.parts or not group.is_dir()
        ):  # the group is outside of what is mounted here: use the mount's root instead
            group = mount
        yield from (folder for folder in (group, *group.parents) if folder == mount or mount in folder.parents)


def _own_groups(root: Path) -> dict[str, str]:
    """Return the process's group by controller; the version 2 group has an empty name."""
    groups: dict[str, str] = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, name = line.split(":", 2)
        groups |= dict.fromkeys(controllers.split(","), name)
    return groups


def _mounts(root: Path) -> Iterator[tuple[str, str, int, tuple[str, ...]]]:
    """Yield (root, mount point, version, controllers) of every mounted control group hierarchy."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        mount, _, source = line.partition(" - ")
        mount_root, mount_point = mount.split()[3:5]
        words = source.split()
        if words and words[0] in ("cgroup", "cgroup2"):
            version = 2 if words[0] == "cgroup2" else 1
            yield mount_root, mount_point.replace("\\040", " "), version, tuple(words[-1].split(","))


class MemoryMeter:
    """Samples the memory of this process and its descendants twice a second until it is stopped.

    Shared pages count once: proportional set sizes where the system reports them, resident sizes elsewhere.

    Attributes
    ----------
    peak_bytes : int
    samples : list of (float, int, int)
        When, by `time.monotonic`, and the bytes of this process and of its descendants: at most 500, evenly over the
        time. Of neighbours the largest is kept, so the peak is always among them.
    """

    _SECONDS = 0.5
    _MOST_SAMPLES = 500

    def __init__(self) -> None:
        self.peak_bytes = 0
        self.samples: list[tuple[float, int, int]] = []
        self._merged, self._to_merge = 0, 1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> MemoryMeter:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._SECONDS):
            self._sample()

    def _sample(self) -> None:
        import psutil

        process = psutil.Process()
        self._keep((time.monotonic(), _held(process), sum(map(_held, process.children(recursive=True)))))

    def _keep(self, sample: tuple[float, int, int]) -> None:
        self.peak_bytes = max(self.peak_bytes, sum(sample[1:]))
        if self.samples and self._merged < self._to_merge:
            self.samples[-1] = _larger(self.samples[-1], sample)
            self._merged += 1
            return
        if len(self.samples) == self._MOST_SAMPLES:
            self.samples = list(map(_larger, self.samples[::2], self.samples[1::2]))
            self._to_merge *= 2
        self.samples.append(sample)
        self._merged = 1


def _larger(one: tuple[float, int, int], other: tuple[float, int, int]) -> tuple[float, int, int]:
    return max(one, other, key=lambda sample: sum(sample[1:]))


def _held(process: psutil.Process) -> int:
    import psutil

    try:
        memory = process.memory_full_info()
    except psutil.Error:  # it has ended since it was listed, or may not be read
        return 0
    return int(getattr(memory, "pss", memory.rss))


def peak_bytes() -> int:
    """Return the largest resident size that this process has had, in bytes.

    On Linux, `getrusage` passes a parent's peak on to its child processes, so `/proc/self/status` is read first.
    """
    status = Path("/proc/self/status")
    if status.exists():
        peak = next((line for line in status.read_text().splitlines() if line.startswith("VmHWM:")), None)
        if peak is not None:
            return int(peak.split()[1]) * 1024
    import resource

    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak_kib if sys.platform == "darwin" else peak_kib * 1024
