"""What `doctor` finds and advises: made-up facts for the advice, made-up trees and broken libraries for the facts."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from weekly_cli.diagnosis.advice import advice
from weekly_cli.diagnosis.facts import Disks, Pool
from weekly_cli.diagnosis.software import Extra, Library, Software, install_command, release, software
from weekly_cli.diagnosis.terminal import Terminal
from weekly_cli.files.places import Place, filesystem_of, look_at
from weekly_cli.run.resources import Limit, cpu_limits, memory_limits
from weekly_cli.settings import Config

MIB, GIB = 2**20, 2**30
HERE = str(Path(__file__).parent)

SOFTWARE = Software(
    python="3.11.7", executable="/usr/bin/python3", system="Linux", package="/lib/weekly_cli",
    libraries=(Library("pyarrow", "21.0.0", "21.0"),), extras=(), optional={}, codecs={"zstd": True, "gzip": True},
    bytecode="", zones=True,
)  # fmt: skip
HOST = Limit(8, "the host's cores", source="os.cpu_count()")
MEMORY = Limit(16 * GIB, "memory available on the host", 0.6, "/proc/meminfo", 32 * GIB)
POOL = Pool(8, "the host's cores", 9 * GIB, GIB)
PLACE = Place(HERE, HERE, "ext4", 100 * GIB, True, True)
DISKS = Disks("", "", PLACE, None, PLACE, replace(PLACE, path="/dev/shm", filesystem="tmpfs"), True)
TERMINAL = Terminal(False, False, False, 80, False, "xterm", "utf-8", "C.UTF-8", "UTF-8", "utf-8")

#: What is odd, and the advice about it: its code, and words of its sentence and of its help.
ODD: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "quota": (
        {"cpus": (HOST, Limit(1.5, "CPU quota of the control group", source="/sys/fs/cgroup/cpu.max"))},
        "fewer-cpus",
        "leaves 1.5 of the host's 8 cores (/sys/fs/cgroup/cpu.max)",
        "docker run --cpus",
    ),
    "affinity": (
        {"cpus": (HOST, Limit(2, "CPU affinity", source="os.sched_getaffinity(0)"))},
        "fewer-cpus",
        "CPU affinity leaves 2 of",
        "taskset",
    ),
    "memory limit": (
        {"config": Config(memory_limit=20 * GIB)},
        "limit-above-memory",
        "--memory-limit is 20.0 GiB",
        "13107MiB",
    ),
    "no worker": (
        {"pool": Pool(0, "memory budget of 100 MiB", 100 * MIB, 0)},
        "no-worker",
        "100 MiB holds no",
        "larger",
    ),
    "little memory": (
        {"pool": Pool(2, "memory budget of 900 MiB", 900 * MIB, 400 * MIB)},
        "little-memory",
        "400 MiB",
        "larger",
    ),
    "broken": (
        {
            "software": replace(SOFTWARE, libraries=(Library("pyarrow", "21.0.0", "21.0", "no libarrow.so"),)),
            "pool": None,
        },
        "broken-library",
        "pyarrow 21.0.0 can't be imported: no libarrow.so",
        "--force-reinstall 'pyarrow>=21.0'",
    ),
    "old": (
        {"software": replace(SOFTWARE, libraries=(Library("pandas", "2.1.4", "2.2.2"),))},
        "old-library",
        "pandas 2.1.4 is older than 2.2.2",
        "--upgrade 'pandas>=2.2.2'",
    ),
    "old extra": (
        {
            "software": replace(
                SOFTWARE, extras=(Extra("delta", (Library("deltalake", "1.2", "1.6"),), "pip install it"),)
            )
        },
        "old-extra",
        "deltalake 1.2 is older than 1.6, which delta needs",
        "pip install it",
    ),
    "codec": ({"software": replace(SOFTWARE, codecs={"zstd": False})}, "missing-codec", "lacks zstd", "--compression"),
    "bytecode": (
        {"software": replace(SOFTWARE, bytecode="PYTHONDONTWRITEBYTECODE is set")},
        "no-bytecode",
        "PYTHONDONTWRITEBYTECODE is set",
        "/usr/bin/python3 -m compileall -q /lib/weekly_cli",
    ),
    "zones": ({"software": replace(SOFTWARE, zones=False)}, "no-time-zones", "--timezone", "pip install tzdata"),
    "output": ({"disks": replace(DISKS, output=None)}, "no-output-folder", "daily_weekly", "--output"),
    "unwritable": (
        {"disks": replace(DISKS, output=replace(PLACE, writable=False))},
        "unwritable-output",
        HERE,
        "--output",
    ),
    "full": (
        {"disks": replace(DISKS, output=replace(PLACE, free_bytes=5 * MIB))},
        "small-output-disk",
        "5 MiB free",
        "plan",
    ),
    "two renames": (
        {"disks": replace(DISKS, output=replace(PLACE, exchanges=False))},
        "no-exchange",
        "two renames",
        "nothing",
    ),
    "network": (
        {"disks": replace(DISKS, output=replace(PLACE, filesystem="nfs4"))},
        "network-filesystem",
        "nfs4",
        "one machine",
    ),
    "no work folder": ({"config": Config(work_dir="/no/where")}, "no-work-folder", "/no/where", "mkdir -p"),
    "temporary": (
        {"disks": replace(DISKS, temporary=replace(PLACE, path="/var/tmp", free_bytes=64 * MIB))},
        "small-temporary",
        "/var/tmp has 64 MiB free",
        "TMPDIR",
    ),
    "shared memory": (
        {"disks": replace(DISKS, shared_memory=replace(PLACE, free_bytes=MIB))},
        "small-shared-memory",
        "1 MiB",
        "--shm-size",
    ),
    "no shared memory": (
        {"disks": replace(DISKS, shared_memory=None)},
        "small-shared-memory",
        "not there",
        "--shm-size",
    ),
    "encoding": (
        {"terminal": replace(TERMINAL, encoding="latin-1", locale_encoding="ANSI_X3.4-1968")},
        "not-utf-8",
        "stdout latin-1, the locale ANSI_X3.4-1968",
        "PYTHONUTF8=1",
    ),
}


def advised(**changed: Any) -> list[Any]:
    facts = {
        "config": Config(), "software": SOFTWARE, "cpus": (HOST,), "memory": (MEMORY,), "pool": POOL, "disks": DISKS,
        "terminal": TERMINAL,
    }  # fmt: skip
    return list(advice(**{**facts, **changed}))


def test_where_nothing_is_odd_there_is_no_advice() -> None:
    assert advised() == []


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_said_with_what_helps(name: str) -> None:
    changed, code, said, helped = ODD[name]
    (one,) = advised(**changed)
    assert one.code == code
    assert said in one.sentence
    assert helped in one.help


def test_a_system_without_shared_memory_needs_none() -> None:
    assert advised(disks=replace(DISKS, shared_memory=None, needs_shared_memory=False)) == []


# ---- limits and their sources ----------------------------------------------------------------------------


def test_each_limit_names_the_file_that_tells_it(tmp_path: Path) -> None:
    proc, group = tmp_path / "proc/self", tmp_path / "sys/fs/cgroup/job"
    proc.mkdir(parents=True)
    group.mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 4096 kB\nMemAvailable: 2048 kB\n")
    (proc / "cgroup").write_text("0::/job\n")
    (proc / "mountinfo").write_text("30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    (group / "cpu.max").write_text("150000 100000\n")
    (group / "memory.max").write_text("max\n")
    (group / "memory.high").write_text(f"{1000 * 1024}\n")
    (group / "memory.current").write_text(f"{300 * 1024}\n")
    host, *_, quota = cpu_limits(tmp_path)
    assert (host.reason, host.source) == ("the host's cores", "os.cpu_count()")
    assert (quota.amount, quota.source) == (1.5, str(group / "cpu.max"))
    of_host, of_group = memory_limits(tmp_path)
    assert (of_host.amount, of_host.total) == (2048 * 1024, 4096 * 1024)
    assert of_host.source == str(tmp_path / "proc/meminfo")
    assert (of_group.amount, of_group.total) == (700 * 1024, 1000 * 1024)
    assert of_group.source == str(group / "memory.high")


# ---- places ----------------------------------------------------------------------------------------------


def mounts(root: Path, *lines: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/mounts").write_text("".join(f"dev {line} rw 0 0\n" for line in lines))
    return root


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        (["/ ext4"], "ext4"),
        (["/ ext4", "{0} nfs4", "{1} tmpfs"], "nfs4"),
        (["/ overlay", "{0} ext4", "{0} xfs"], "xfs"),
        (["/ ext4", "{0}x nfs4"], "ext4"),
        ([], ""),
    ],
    ids=["root", "own mount", "mount on a mount", "name that only begins alike", "unknown"],
)
def test_the_filesystem_is_that_of_the_nearest_mount(tmp_path: Path, lines: list[str], kind: str) -> None:
    folder, deeper = tmp_path / "a b", tmp_path / "a b/deeper"
    deeper.mkdir(parents=True)
    named = [line.format(str(folder).replace(" ", "\\040"), str(deeper).replace(" ", "\\040")) for line in lines]
    assert filesystem_of(folder, mounts(tmp_path / "root", *named)) == kind


def test_a_place_is_looked_at_and_left_as_it_was(tmp_path: Path) -> None:
    found = look_at(tmp_path / "not/there", try_exchange=True)
    assert found is not None
    assert (found.path, found.folder) == (str(tmp_path / "not/there"), str(tmp_path))
    assert found.writable
    assert found.exchanges is not None
    assert found.free_bytes > 0
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_looked_at_above(tmp_path: Path) -> None:
    found = look_at(tmp_path / ("x" * 300) / "out")
    assert found is not None
    assert found.folder == str(tmp_path)


def test_a_place_that_takes_no_file_is_not_writable() -> None:
    found = look_at(Path("/proc/self"), try_exchange=True)
    assert found is not None
    assert (found.writable, found.exchanges) == (False, None)


# ---- software --------------------------------------------------------------------------------------------


def test_the_software_of_this_environment_is_in_order() -> None:
    found = software()
    assert {one.name for one in found.libraries} >= {"pyarrow", "pandas", "numpy", "typer", "rich", "joblib", "psutil"}
    assert not found.broken
    assert not any(one.is_old for one in found.libraries)
    assert all(found.codecs.values())
    assert found.zones
    assert "delta" in [extra.name for extra in found.extras]
    assert "test" not in [extra.name for extra in found.extras]


def break_import(monkeypatch: pytest.MonkeyPatch, broken: str, error: Exception) -> None:
    real: Callable[[str], Any] = importlib.import_module

    def import_module(name: str) -> Any:
        if name == broken:
            raise error
        return real(name)

    monkeypatch.setattr(importlib, "import_module", import_module)


@pytest.mark.parametrize("error", [ImportError("libarrow.so: wrong ELF class\nmore"), OSError()], ids=repr)
def test_a_library_that_can_not_be_imported_is_told(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    break_import(monkeypatch, "pyarrow", error)
    found = software()
    (broken,) = found.broken
    assert broken.name == "pyarrow"
    assert broken.trouble == (str(error).split("\n")[0] or "OSError")
    assert found.codecs == {}


REQUIRED = [
    "numpy>=2.0",
    "joblib<1.7,>=1.4",
    'deltalake>=1.6; extra == "delta"',
    'lets-plot>=4.9; extra == "plot"',
    'no-such-library>=3; extra == "plot"',
    'weekly-cli[delta]; extra == "all"',
    'pytest>=8; extra == "test"',
]


def test_extras_are_those_of_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"numpy": "2.1", "joblib": "1.4.2", "deltalake": "1.2", "lets-plot": "4.11"}

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "requires", lambda _: REQUIRED)
    monkeypatch.setattr(importlib.metadata, "version", version)
    found = software()
    assert [(one.name, one.version, one.lowest) for one in found.libraries] == [
        ("numpy", "2.1", "2.0"),
        ("joblib", "1.4.2", "1.4"),
    ]
    assert [extra.name for extra in found.extras] == ["delta", "plot"]
    delta, plot = found.extras
    assert [one.is_old for one in delta.libraries] == [True]
    assert [one.version for one in plot.libraries] == ["4.11", None]
    assert not delta.is_installed
    assert not plot.is_installed
    assert plot.command == "pip install 'weekly-cli[plot]'"


def test_in_an_environment_of_pipx_its_own_command_installs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/home/me/.local/share/pipx/venvs/weekly-cli")
    found = install_command("delta", [Library("deltalake", None, "1.6")])
    assert found == "pipx inject weekly-cli 'deltalake>=1.6'"


@pytest.mark.parametrize(
    ("older", "newer"), [("2.9.1", "2.10"), ("1", "1.0.1"), ("2.2.0", "2.2.2"), ("3.0.0rc1", "3.0.1"), ("", "0.1")]
)
def test_versions_are_compared_by_their_numbers(older: str, newer: str) -> None:
    assert release(older) < release(newer)
    assert release("4.0") == release("4.0.0")
