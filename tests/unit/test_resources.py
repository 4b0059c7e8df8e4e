"""What this process may use: made-up trees of control groups, this machine, and a child that holds memory."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from frames import wait_for

from weekly_cli.run import resources
from weekly_cli.run.resources import MemoryMeter, Resources, probe, wait_for_memory

MIB = 2**20
SECONDS = 20.0
NO_LIMIT = str(2**63 - 4096)  # what version 1 writes for "none": the largest multiple of a page
HOST_CPUS, HOST_MEMORY = 64, 2**50

V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1_CPU_MOUNT = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY_MOUNT = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
OTHER_MOUNTS = (
    "23 28 0:21 / /proc rw,nosuid - proc proc rw",
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755",
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd",
)
V1_OWN = "7:cpu,cpuacct:{0}\n5:memory:{0}\n1:name=systemd:{0}\n0::{0}\n"


@pytest.fixture(autouse=True)
def big_host(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A host so large that a control group's limit is the smaller one, except where the real machine is asked."""
    if "real_machine" in request.fixturenames:
        return
    memory = psutil.virtual_memory()._replace(total=HOST_MEMORY, available=HOST_MEMORY)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(resources.os, "cpu_count", lambda: HOST_CPUS)
    monkeypatch.setattr(resources.os, "sched_getaffinity", lambda _: set(range(HOST_CPUS)), raising=False)


@pytest.fixture
def real_machine() -> None:
    """Nothing is replaced."""


def tree(root: Path, own: str, mounts: tuple[str, ...], files: Mapping[str, str]) -> Path:
    """Write a fake root; `files` are paths below /sys/fs/cgroup with their content."""
    proc = root / "proc/self"
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text(own)
    (proc / "mountinfo").write_text("\n".join((*OTHER_MOUNTS, *mounts)) + "\n")
    (root / "sys/fs/cgroup").mkdir(parents=True)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def version_2(root: Path, files: Mapping[str, str], own: str = "/", mount: str = V2_MOUNT) -> Resources:
    return probe(tree(root, f"0::{own}\n", (mount,), files))


def version_1(root: Path, files: Mapping[str, str], own: str = "/") -> Resources:
    return probe(tree(root, V1_OWN.format(own), (V1_CPU_MOUNT, V1_MEMORY_MOUNT), files))


UNLIMITED = (HOST_CPUS, HOST_MEMORY)


def amounts(found: Resources) -> tuple[int, int]:
    return found.cpus, found.memory_bytes


# ---- each version ----------------------------------------------------------------------------------------


def test_without_proc_the_host_is_asked(tmp_path: Path) -> None:
    found = probe(tmp_path)
    assert found == Resources(HOST_CPUS, "the host's cores", HOST_MEMORY, "memory available on the host")


def test_limits_of_version_2_are_found(tmp_path: Path) -> None:
    found = version_2(tmp_path, {"job/cpu.max": "300000 100000", "job/memory.max": str(600 * MIB)}, own="/job")
    assert amounts(found) == (3, 600 * MIB)
    assert "control group" in found.cpus_reason
    assert "control group" in found.memory_reason


def test_limits_of_version_1_are_found(tmp_path: Path) -> None:
    files = {
        "cpu,cpuacct/job/cpu.cfs_quota_us": "250000",
        "cpu,cpuacct/job/cpu.cfs_period_us": "50000",
        "memory/job/memory.limit_in_bytes": str(700 * MIB),
    }
    found = version_1(tmp_path, files, own="/job")
    assert amounts(found) == (5, 700 * MIB)
    assert "control group" in found.cpus_reason
    assert "control group" in found.memory_reason


def test_hybrid_takes_each_controller_from_where_it_is(tmp_path: Path) -> None:
    """systemd's hybrid mode: version 2 is mounted without controllers, version 1 has them."""
    mounts = (V1_CPU_MOUNT, V1_MEMORY_MOUNT, "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw")
    files = {
        "unified/job/cgroup.procs": "1",
        "cpu,cpuacct/job/cpu.cfs_quota_us": "200000",
        "cpu,cpuacct/job/cpu.cfs_period_us": "100000",
        "memory/other/memory.limit_in_bytes": str(MIB),
        "memory/job/memory.limit_in_bytes": str(300 * MIB),
    }
    assert amounts(probe(tree(tmp_path, V1_OWN.format("/job"), mounts, files))) == (2, 300 * MIB)


def test_controllers_may_be_in_groups_of_different_names(tmp_path: Path) -> None:
    own = "7:cpu,cpuacct:/a\n5:memory:/b\n"
    files = {
        "cpu,cpuacct/a/cpu.cfs_quota_us": "400000",
        "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
        "cpu,cpuacct/b/cpu.cfs_quota_us": "100000",
        "cpu,cpuacct/b/cpu.cfs_period_us": "100000",
        "memory/a/memory.limit_in_bytes": str(MIB),
        "memory/b/memory.limit_in_bytes": str(90 * MIB),
    }
    assert amounts(probe(tree(tmp_path, own, (V1_CPU_MOUNT, V1_MEMORY_MOUNT), files))) == (4, 90 * MIB)


# ---- nested groups ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("parent", "leaf", "expected"),
    [(2, None, 2), (None, 3, 3), (2, 5, 2), (5, 2, 2), (None, None, None)],
    ids=["parent only", "leaf only", "parent smaller", "leaf smaller", "neither"],
)
def test_nested_groups_give_the_minimum(
    tmp_path: Path, version: int, parent: int | None, leaf: int | None, expected: int | None
) -> None:
    """The limit, as cores and as 100 MiB each, on the group two above the process's own, on its own, or both."""
    files = {}
    for group, limit in (("a", parent), ("a/b", None), ("a/b/c", leaf)):
        if version == 2:
            files[f"{group}/cpu.max"] = f"{limit * 100_000 if limit else 'max'} 100000"
            files[f"{group}/memory.max"] = str(limit * 100 * MIB) if limit else "max"
        else:
            files[f"cpu,cpuacct/{group}/cpu.cfs_quota_us"] = str(limit * 100_000 if limit else -1)
            files[f"cpu,cpuacct/{group}/cpu.cfs_period_us"] = "100000"
            files[f"memory/{group}/memory.limit_in_bytes"] = str(limit * 100 * MIB) if limit else NO_LIMIT
    found = (version_2 if version == 2 else version_1)(tmp_path, files, own="/a/b/c")
    assert amounts(found) == ((expected, expected * 100 * MIB) if expected else UNLIMITED)


def test_a_limit_at_the_mount_counts(tmp_path: Path) -> None:
    files = {"cpu.max": "100000 100000", "memory.max": str(50 * MIB), "a/memory.max": "max"}
    assert amounts(version_2(tmp_path, files, own="/a")) == (1, 50 * MIB)


def test_groups_beside_the_way_up_do_not_count(tmp_path: Path) -> None:
    files = {"a/memory.max": str(MIB), "a/b2/memory.max": str(MIB), "b/memory.max": str(80 * MIB)}
    assert amounts(version_2(tmp_path, files, own="/b")) == (HOST_CPUS, 80 * MIB)


def test_each_level_has_its_own_use(tmp_path: Path) -> None:
    """Siblings use the parent's allowance: 500 - 450 leave less than 200 - 20."""
    files = {
        "a/memory.max": str(500 * MIB),
        "a/memory.current": str(450 * MIB),
        "a/b/memory.max": str(200 * MIB),
        "a/b/memory.current": str(20 * MIB),
    }
    assert amounts(version_2(tmp_path, files, own="/a/b")) == (HOST_CPUS, 50 * MIB)


# ---- containers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "/worker"])
def test_a_mount_may_have_the_own_group_as_its_root(tmp_path: Path, below: str) -> None:
    """Docker on version 1: the process sees its full name, but the mount begins at its group."""
    mounts = (
        V1_CPU_MOUNT.replace(" / /sys", " /docker/abc /sys"),
        V1_MEMORY_MOUNT.replace(" / /sys", " /docker/abc /sys"),
    )
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "600000",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": str(400 * MIB),
        "memory/worker/memory.limit_in_bytes": NO_LIMIT,
        "memory/docker/abc/memory.limit_in_bytes": str(MIB),  # another container in this one: not our way up
    }
    assert amounts(probe(tree(tmp_path, V1_OWN.format("/docker/abc" + below), mounts, files))) == (6, 400 * MIB)


def test_a_mount_root_that_only_begins_like_the_group_is_another(tmp_path: Path) -> None:
    mount = V2_MOUNT.replace(" / /sys", " /pods/a /sys")
    files = {"memory.max": str(70 * MIB), "b/memory.max": str(MIB)}
    assert amounts(version_2(tmp_path, files, own="/pods/ab", mount=mount)) == (HOST_CPUS, 70 * MIB)


@pytest.mark.parametrize("own", ["/../sibling", "/gone/long/ago"])
def test_a_group_outside_of_what_is_mounted_counts_as_the_mounts_root(tmp_path: Path, own: str) -> None:
    """A namespace or a moved process: the mount's root stands for it."""
    files = {"cpu.max": "200000 100000", "memory.max": str(60 * MIB), "a/memory.max": str(MIB)}
    assert amounts(version_2(tmp_path, files, own=own)) == (2, 60 * MIB)


def test_a_mount_point_may_have_a_blank(tmp_path: Path) -> None:
    mount = V2_MOUNT.replace("/sys/fs/cgroup rw", "/sys/fs/cgroup/my\\040groups rw")
    assert version_2(tmp_path, {"my groups/memory.max": str(40 * MIB)}, mount=mount).memory_bytes == 40 * MIB


# ---- values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["max 100000", "max", "", "\n"])
def test_a_cpu_max_without_a_limit_is_none(tmp_path: Path, text: str) -> None:
    assert amounts(version_2(tmp_path, {"cpu.max": text, "memory.max": "max", "memory.high": "max"})) == UNLIMITED


@pytest.mark.parametrize("amount", [2**60, 2**63 - 4096, 2**63 - 1, 2**64 - 4096])
def test_huge_numbers_of_version_1_are_none(tmp_path: Path, amount: int) -> None:
    found = version_1(tmp_path, {"memory/memory.limit_in_bytes": str(amount)})
    assert (found.memory_bytes, found.memory_reason) == (HOST_MEMORY, "memory available on the host")


@pytest.mark.parametrize("quota", ["-1", "0", ""])
def test_a_version_1_quota_without_a_number_is_none(tmp_path: Path, quota: str) -> None:
    files = {"cpu,cpuacct/cpu.cfs_quota_us": quota, "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    assert version_1(tmp_path, files).cpus == HOST_CPUS


@pytest.mark.parametrize(("quota", "cpus"), [(1_000, 1), (50_000, 1), (100_000, 1), (199_999, 1), (200_000, 2)])
def test_a_quota_gives_whole_cores_and_at_least_one(tmp_path: Path, quota: int, cpus: int) -> None:
    assert version_2(tmp_path / "2", {"cpu.max": f"{quota} 100000"}).cpus == cpus
    files = {"cpu,cpuacct/cpu.cfs_quota_us": str(quota), "cpu,cpuacct/cpu.cfs_period_us": "100000"}
    assert version_1(tmp_path / "1", files).cpus == cpus


@pytest.mark.parametrize(("high", "expected"), [("300", 300), ("900", 500), ("max", 500)])
def test_memory_high_counts_where_it_is_below_memory_max(tmp_path: Path, high: str, expected: int) -> None:
    """Above `high` a group is throttled until it hardly moves: it limits like `max`."""
    text = high if high == "max" else str(int(high) * MIB)
    found = version_2(tmp_path, {"memory.max": str(500 * MIB), "memory.high": text})
    assert found.memory_bytes == expected * MIB


def test_memory_high_counts_alone(tmp_path: Path) -> None:
    assert version_2(tmp_path, {"memory.max": "max", "memory.high": str(33 * MIB)}).memory_bytes == 33 * MIB


def test_what_is_in_use_is_not_free_but_page_cache_is(tmp_path: Path) -> None:
    files = {
        "memory.max": str(1000 * MIB),
        "memory.current": str(700 * MIB),
        "memory.stat": f"anon {100 * MIB}\nfile {600 * MIB}\nfile_mapped {50 * MIB}\nshmem 0",
    }
    assert version_2(tmp_path, files).memory_bytes == 900 * MIB


def test_page_cache_of_version_1_counts_with_its_children(tmp_path: Path) -> None:
    files = {
        "memory/memory.limit_in_bytes": str(1000 * MIB),
        "memory/memory.usage_in_bytes": str(700 * MIB),
        "memory/memory.stat": f"cache {MIB}\nrss {99 * MIB}\ntotal_cache {600 * MIB}\ntotal_rss {100 * MIB}",
    }
    assert version_1(tmp_path, files).memory_bytes == 900 * MIB


@pytest.mark.parametrize("version", [1, 2])
def test_shared_memory_is_in_the_cache_but_does_not_go(tmp_path: Path, version: int) -> None:
    """The kernel counts tmpfs and shared memory as `file` (v2) and `cache` (v1); only writing to swap frees them."""
    if version == 2:
        files = {
            "memory.max": str(1000 * MIB),
            "memory.current": str(700 * MIB),
            "memory.stat": f"anon {100 * MIB}\nfile {600 * MIB}\nshmem {400 * MIB}",
        }
        found = version_2(tmp_path, files)
    else:
        files = {
            "memory/memory.limit_in_bytes": str(1000 * MIB),
            "memory/memory.usage_in_bytes": str(700 * MIB),
            "memory/memory.stat": f"total_cache {600 * MIB}\ntotal_rss {100 * MIB}\ntotal_shmem {400 * MIB}",
        }
        found = version_1(tmp_path, files)
    assert found.memory_bytes == 500 * MIB


def test_memory_that_is_about_to_return_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_use = [900, 700, 300, 300]
    files = {"memory.max": str(1000 * MIB), "memory.current": str(1000 * MIB)}
    root = tree(tmp_path, "0::/\n", (V2_MOUNT,), files)

    def sleep(_: float) -> None:
        (root / "sys/fs/cgroup/memory.current").write_text(str(in_use.pop(0) * MIB))

    monkeypatch.setattr(resources.time, "sleep", sleep)
    wait_for_memory(500 * MIB, root=root)
    assert in_use == [300]
    wait_for_memory(800 * MIB, seconds=0.0, root=root)
    assert in_use == [300], "what does not return is not waited for"


def test_a_group_above_its_limit_has_nothing_left(tmp_path: Path) -> None:
    files = {"memory.max": str(100 * MIB), "memory.current": str(120 * MIB)}
    assert version_2(tmp_path, files).memory_bytes == 0


def test_more_cache_than_use_gives_no_more_than_the_limit(tmp_path: Path) -> None:
    files = {
        "memory.max": str(100 * MIB),
        "memory.current": str(10 * MIB),
        "memory.stat": f"file {20 * MIB}",
    }
    assert version_2(tmp_path, files).memory_bytes == 100 * MIB


def test_cores_are_the_fewest_of_host_affinity_and_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tree(tmp_path, "0::/\n", (V2_MOUNT,), {"cpu.max": "400000 100000", "memory.max": str(2**51)})
    found = probe(root)
    assert (found.cpus, found.cpus_reason) == (4, "CPU quota of the control group")
    assert (found.memory_bytes, found.memory_reason) == (HOST_MEMORY, "memory available on the host")
    monkeypatch.setattr(resources.os, "sched_getaffinity", lambda _: {0, 7, 9}, raising=False)
    assert (probe(root).cpus, probe(root).cpus_reason) == (3, "CPU affinity")
    monkeypatch.setattr(resources.os, "cpu_count", lambda: 2)
    assert (probe(root).cpus, probe(root).cpus_reason) == (2, "the host's cores")


# ---- this machine ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("real_machine")
def test_this_machine_has_a_core_and_memory() -> None:
    found = probe()
    assert 1 <= found.cpus <= (psutil.cpu_count() or 1)
    assert 0 <= found.memory_bytes <= psutil.virtual_memory().total
    assert found.cpus_reason
    assert found.memory_reason


HOLD = """
import sys
held = b"x" * int(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
@pytest.mark.usefixtures("real_machine")
@pytest.mark.parametrize("nested", [False, True], ids=["child", "grandchild"])
def test_the_meter_sees_what_a_descendant_holds(nested: bool) -> None:
    held_bytes = 150 * MIB
    command = [sys.executable, "-c", HOLD, str(held_bytes)]
    if nested:
        command = [sys.executable, "-c", "import subprocess, sys; subprocess.run(sys.argv[1:])", *command]
    with MemoryMeter() as before:
        assert wait_for(lambda: before.peak_bytes > 0, SECONDS)
    with (
        MemoryMeter() as meter,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child,
    ):
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        seen = wait_for(lambda: meter.peak_bytes > before.peak_bytes + 0.9 * held_bytes, SECONDS)
        child.communicate()
    assert seen
    assert meter.peak_bytes - before.peak_bytes < held_bytes + 150 * MIB


@pytest.mark.slow
@pytest.mark.usefixtures("real_machine")
def test_the_meter_ends_with_its_block_and_keeps_the_peak() -> None:
    with MemoryMeter() as meter:
        assert wait_for(lambda: meter.peak_bytes > 0, SECONDS)
    peak = meter.peak_bytes
    assert not meter._thread.is_alive()
    held = b"x" * (100 * MIB)
    time.sleep(0.3)
    assert meter.peak_bytes == peak > 0
    assert len(held) == 100 * MIB
