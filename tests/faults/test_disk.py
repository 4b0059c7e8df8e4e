"""Every operation on the output's disk fails once, in each way; and disks that are really full.

The faults are put where Python and Arrow meet the system, for what lies below one folder. Arrow writes and reads by
itself, so its files are opened here and handed to it.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import COMMAND, build, daily, environment, names_beside, put, read, report_here, run_words, seen, write
from rounds import soaked
from test_faults import DIRECT, FILE, FOLDER, POOL, holds

import weekly_cli
from weekly_cli.errors import BudgetError, DiskError, OutputConflict, WeeklyError
from weekly_cli.files import switch

FAULTS = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EDQUOT)
FULL = (errno.ENOSPC, errno.EDQUOT)


class Faults:
    """Lets the n-th operation below a folder fail."""

    def __init__(self, folder: Path, visit: int, number: int) -> None:
        self.folder, self.visit, self.number = os.fspath(folder), visit, number
        self.visits = 0
        self.where = ""
        self.raised = 0

    def check(self, operation: str, path: object) -> None:
        if isinstance(path, int):
            path = Path(f"/proc/self/fd/{path}").readlink()
        if os.fsdecode(path).startswith(self.folder):  # type: ignore[arg-type]
            self.visits += 1
            if self.visits == self.visit:
                self.where = f"{operation} {path}"
                changes = operation not in ("read", "map", "listdir") or self.number == errno.EACCES
                self.raised = self.number if changes else errno.EIO  # nothing is full for who reads
                raise OSError(self.raised, os.strerror(self.raised), path)

    def checked(self, function: Callable[..., Any], operation: str) -> Callable[..., Any]:
        """A function of `os`, whose first argument is a path or a descriptor (or relative to one)."""

        def call(path: Any, *args: Any, **settings: Any) -> Any:
            self.check(operation, settings.get("dir_fd") or path)
            return function(path, *args, **settings)

        return call


class Raw(io.FileIO):
    """A file whose opening, every write and closing are operations."""

    def __init__(self, faults: Faults, path: Any, mode: str) -> None:
        faults.check("read" if mode == "r" else "open", path)
        super().__init__(path, mode)
        self._faults = faults

    def write(self, data: Any) -> int:
        self._faults.check("write", self.name)
        return super().write(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._faults.check("close", self.name)


@contextlib.contextmanager
def failing(faults: Faults) -> Iterator[None]:
    """Put the faults where files are opened and changed."""
    io_open, writer_class, file_class, memory_map = io.open, pq.ParquetWriter, pq.ParquetFile, pa.memory_map
    exchange = switch.exchange

    def opened(path: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, *rest: Any, **named: Any) -> Any:
        if isinstance(path, int) or not os.fspath(path).startswith(faults.folder):
            return io_open(path, mode, buffering, encoding, *rest, **named)
        raw = Raw(faults, path, mode.replace("b", "").replace("t", ""))
        if "b" in mode and buffering == 0:
            return raw
        stream = io.BufferedReader(raw) if "r" in mode else io.BufferedWriter(raw)
        return stream if "b" in mode else io.TextIOWrapper(stream, encoding)

    class Writer(writer_class):  # type: ignore[misc, valid-type]
        def __init__(self, where: Any, *args: Any, **settings: Any) -> None:
            self._raw = Raw(faults, where, "w") if isinstance(where, str) else None
            try:
                super().__init__(self._raw or where, *args, **settings)
            except OSError:
                io.FileIO.close(self._raw)
                raise

        def close(self) -> None:
            try:
                super().close()
            finally:
                if self._raw is not None:
                    self._raw.close()

    def file(path: Any, *args: Any, **settings: Any) -> pq.ParquetFile:
        faults.check("read", path)
        return file_class(path, *args, **settings)

    def mapped(path: str) -> Any:
        faults.check("map", path)
        return memory_map(path)

    def exchanged(made: Path, target: Path) -> bool:
        faults.check("exchange", target)
        return exchange(made, target)

    with pytest.MonkeyPatch.context() as patched:
        names = ("open", "link", "rename", "replace", "unlink", "mkdir", "rmdir", "listdir", "fsync", "write")
        for name in (*names, "copy_file_range"):
            place = 1 if name == "copy_file_range" else 0
            patched.setattr(os, name, _second(faults, name) if place else faults.checked(getattr(os, name), name))
        patched.setattr(io, "open", opened)
        patched.setattr(pq, "ParquetWriter", Writer)
        patched.setattr(pq, "ParquetFile", file)
        patched.setattr(pa, "memory_map", mapped)
        patched.setattr(switch, "exchange", exchanged)
        yield


def _second(faults: Faults, name: str) -> Callable[..., Any]:
    function = getattr(os, name)

    def call(source: int, target: int, *args: Any, **settings: Any) -> Any:
        faults.check(name, target)
        return function(source, target, *args, **settings)

    return call


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(["S0", "S1", "S2"], 30), tmp_path_factory.mktemp("prices") / "prices.parquet")


SETTINGS: dict[str, Any] = {"benchmark": ["S0"], "features": "w_ret,w_rs_s0", "jobs": 1}


#: Which output is made how, and the error of the system.
SWEPT = [
    (FOLDER, "direct", "", errno.ENOSPC),
    (FILE, "direct", "no exchange", errno.EIO),
]
ALL_SWEPT = [
    *((name, "direct", "", number) for name in (FOLDER, FILE) for number in FAULTS),
    *((FOLDER, "per-symbol", "", number) for number in (errno.ENOSPC, errno.EACCES)),
    (FILE, "per-symbol", "", errno.EIO),
    (FILE, "direct", "no exchange", errno.EIO),
    *((FOLDER, "direct", "no exchange", number) for number in (errno.EIO, errno.EACCES)),
]


@pytest.mark.parametrize(
    ("name", "strategy", "change", "number"), soaked(SWEPT, [one for one in ALL_SWEPT if one not in SWEPT])
)
def test_whichever_operation_on_the_disk_fails_the_output_is_whole(
    name: str,
    strategy: str,
    change: str,
    number: int,
    prices: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if change:
        monkeypatch.setattr(switch, "exchange", lambda made, target: False)
    settings = SETTINGS | {"strategy": strategy}
    output = tmp_path / "disk" / name
    output.parent.mkdir()
    report_here(prices, tmp_path / "wanted" / name, **settings)
    report_here(prices, tmp_path / "old" / name, features="w_close", jobs=1)
    wanted = read(tmp_path / "wanted" / name)
    visit, met = 0, True
    while met:
        visit += 1
        put(tmp_path / "old" / name, output)
        old = seen(output)
        faults = Faults(output.parent, visit, number)
        met = ends_well(faults, prices, output, settings, old, wanted)
        report_here(prices, output, **settings)
        assert read(output).equals(wanted), faults.where
        assert names_beside(output) == [name], faults.where
    assert visit > 40, "the operations of a run"


def ends_well(
    faults: Faults, prices: Path, output: Path, settings: dict[str, Any], old: object, wanted: pa.Table
) -> bool:
    """Build with a fault and hold what came of it; return whether it met the fault."""
    try:
        with failing(faults):
            weekly_cli.build(prices, output, **settings)
    except WeeklyError as error:
        text = str(error)
        assert isinstance(error, DiskError | OutputConflict), (faults.where, text)
        assert str(output.parent) in text and "\n" not in text, (faults.where, text)
        assert ("make room" in text) == (faults.raised in FULL), (faults.where, text)
        assert faults.where
        assert holds(output, old, wanted), faults.where
        return True
    assert read(output).equals(wanted), faults.where
    return bool(faults.where)


# ---- real processes --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prices = daily([f"S{number:02d}" for number in range(20)], 500)
    return write(prices, tmp_path_factory.mktemp("long") / "prices" / "prices.parquet", row_group_size=2000)


@pytest.fixture(scope="module")
def long_wanted(long_prices: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return build(long_prices, tmp_path_factory.mktemp("wanted") / "out")


@pytest.mark.parametrize("kind", WeeklyError.__subclasses__())
def test_an_error_leaves_a_worker_as_it_is(kind: type[WeeklyError]) -> None:
    again = pickle.loads(pickle.dumps(kind("what, where, why")))
    assert (type(again), str(again), again.exit_code) == (kind, "what, where, why", kind.exit_code)


@pytest.mark.parametrize(
    ("name", "how", "kib"), soaked([(FOLDER, POOL, 16), (FILE, DIRECT, 128)], [(FOLDER, POOL, 1), (FILE, DIRECT, 16)])
)
def test_a_limit_on_the_size_of_files_is_told_and_leaves_the_old_output(
    name: str, how: Sequence[str], kib: int, long_prices: Path, long_wanted: pa.Table, tmp_path: Path
) -> None:
    """A limit of the process, which its workers have too; Arrow's own writes meet it."""
    output = tmp_path / name
    build(long_prices, output, features="w_close")
    old = seen(output)
    words = [str(COMMAND), "build", str(long_prices), "-o", str(output), *how, "-q"]
    limited = run_words(["prlimit", f"--fsize={kib * 1024}", *words])
    assert limited.returncode == DiskError.exit_code, limited.stderr
    assert re.fullmatch(rf"weekly-cli: {re.escape(str(tmp_path))}/.* File too large; make room .*\n", limited.stderr)
    assert seen(output) == old
    assert run_words(words).returncode == 0
    assert read(output).equals(long_wanted)
    assert names_beside(output) == [name]


class Disk(NamedTuple):
    """A small filesystem that only `enter` sees, at `inside`; this process sees it at `outside`."""

    enter: list[str]
    inside: Path
    outside: Path

    @property
    def free(self) -> int:
        return shutil.disk_usage(self.outside).free

    def fill(self, but: int) -> None:
        with (self.outside / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, max(1, self.free - but))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """64 MiB in a namespace of its own."""
    if shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("no unshare or nsenter here")
    inside = tmp_path / "disk"
    inside.mkdir()
    script = 'mount -t tmpfs -o size=64m tmpfs "$0" && echo ready && exec cat'
    holder = subprocess.Popen(
        ["unshare", "-Urm", "sh", "-c", script, str(inside)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    ready = holder.stdout.readline()
    try:
        if ready != "ready\n":
            pytest.skip(f"no filesystem can be mounted here: {holder.communicate(timeout=10)[1].strip()}")
        enter = ["nsenter", "-t", str(holder.pid), "-U", "-m", "--preserve-credentials"]
        yield Disk(enter, inside, Path(f"/proc/{holder.pid}/root{inside}"))
    finally:
        holder.kill()
        holder.communicate()


UNCHECKED = """
from weekly_cli import cli
from weekly_cli.run import pipeline
pipeline.check_disk = lambda plan, free: None
cli.main()
"""
#: Tenths of what a run takes for which there is room.
LEVELS, OTHER_LEVELS = (3,), (0, 1, 2, 4, 5, 6, 7, 8, 9)


@pytest.mark.parametrize(
    ("name", "how", "met"),
    soaked([(FOLDER, POOL, {"bundle", "part"})], [(FILE, POOL, {"bundle", "joined"})]),
    ids=[FOLDER, FILE],
)
@pytest.mark.parametrize("levels", soaked([LEVELS], [(OTHER_LEVELS,)]), ids=str)
def test_a_full_disk_is_told_and_leaves_the_old_output(
    levels: Sequence[int],
    name: str,
    how: Sequence[str],
    met: set[str],
    disk: Disk,
    long_prices: Path,
    long_wanted: pa.Table,
    tmp_path: Path,
) -> None:
    """Room for tenths of what a run takes, and no look at it beforehand."""
    output = disk.outside / name
    words = ["build", str(long_prices), "-o", str(disk.inside / name), *how, "-q"]
    unchecked = [*disk.enter, sys.executable, "-c", UNCHECKED, *words]
    (tmp_path / "old").mkdir()
    build(long_prices, tmp_path / "old" / name, features="w_close")
    put(tmp_path / "old" / name, output)
    need = most_taken(unchecked, disk)
    where = set()
    for level in levels:
        put(tmp_path / "old" / name, output)
        old = seen(output)
        disk.fill(but=need * level // 10)
        done = run_words(unchecked)
        assert done.returncode in (0, DiskError.exit_code), done.stderr
        if done.returncode:
            found = re.fullmatch(
                rf"weekly-cli: {disk.inside}/(\S+) can't be written to: No space left .*\n", done.stderr
            )
            assert found, done.stderr
            where.add(Path(found[1]).name.lstrip(".").partition("-")[0].partition(".")[0])
            assert seen(output) == old
        (disk.outside / "filler").unlink()
        assert run_words([*disk.enter, str(COMMAND), *words]).returncode == 0
        assert read(output).equals(long_wanted)
        assert names_beside(output) == [name]
    assert where >= met if levels == OTHER_LEVELS else where


def most_taken(words: Sequence[str], disk: Disk) -> int:
    """Run a command and return the most bytes that the disk held more than before."""
    before = least = disk.free
    with subprocess.Popen(words, env=environment(), cwd=COMMAND.parent) as process:
        while process.poll() is None:
            least = min(least, disk.free)
            time.sleep(0.001)
    assert process.returncode == 0
    return before - least


@pytest.mark.parametrize("room", [0, 4096, 65536])
def test_a_full_disk_is_seen_beforehand(room: int, disk: Disk, long_prices: Path, tmp_path: Path) -> None:
    build(long_prices, tmp_path / FOLDER, features="w_close")
    put(tmp_path / FOLDER, disk.outside / FOLDER)
    old = seen(disk.outside / FOLDER)
    disk.fill(but=room)
    done = run_words([*disk.enter, str(COMMAND), "build", str(long_prices), "-o", str(disk.inside / FOLDER), "-q"])
    assert done.returncode in (BudgetError.exit_code, DiskError.exit_code)
    assert len(done.stderr.splitlines()) == 1
    assert seen(disk.outside / FOLDER) == old
    assert names_beside(disk.outside / FOLDER) == ["filler", FOLDER]
