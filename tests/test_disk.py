"""Every operation on the output's disk fails once, in each way; and disks that are really full.

The faults are put where Python and Arrow meet the system, for what lies below one folder. Arrow writes and reads by
itself, so its files are opened here and handed to it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import COMMAND, daily, environment, names_beside, read, wait_for, write
from test_faults import FILE, FOLDER, holds, seen
from test_resume import here

import weekly_cli
from weekly_cli import pipeline, storage
from weekly_cli.errors import DiskError, OutputConflict, WeeklyError

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
            path = os.readlink(f"/proc/self/fd/{path}")
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
    exchange = storage._exchange

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
        patched.setattr(storage, "_exchange", exchanged)
        yield


def _second(faults: Faults, name: str) -> Callable[..., Any]:
    function = getattr(os, name)

    def call(source: int, target: int, *args: Any, **settings: Any) -> Any:
        faults.check(name, target)
        return function(source, target, *args, **settings)

    return call


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily([f"S{number}" for number in range(4)], 30), tmp_path_factory.mktemp("prices") / "prices.parquet")


SETTINGS: dict[str, Any] = {"benchmark": ["S0"], "features": "w_ret,w_rs_s0", "jobs": 1}


@pytest.mark.parametrize(
    ("name", "strategy", "change", "errors"),
    [
        (FOLDER, "direct", "", FAULTS),
        (FILE, "direct", "", FAULTS),
        (FOLDER, "per-symbol", "", FAULTS),
        (FILE, "per-symbol", "", (errno.ENOSPC,)),
        (FOLDER, "direct", "no exchange", FAULTS),
    ],
)
def test_every_operation_fails_once(
    name: str,
    strategy: str,
    change: str,
    errors: Sequence[int],
    prices: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pipeline._Run, "_start_pool", here)
    monkeypatch.setattr(pipeline.resources, "MemoryMeter", Still)
    if change:
        monkeypatch.setattr(storage, "_exchange", lambda made, target: False)
    settings = SETTINGS | {"strategy": strategy}
    output = tmp_path / "disk" / name
    output.parent.mkdir()
    weekly_cli.build(prices, tmp_path / "wanted" / name, **settings)
    weekly_cli.build(prices, tmp_path / "old" / name, features="w_close", jobs=1)
    wanted = read(tmp_path / "wanted" / name)
    ends: dict[int, int] = {}
    for number in errors:
        visit, met = 0, True
        while met:
            visit += 1
            put(tmp_path / "old" / name, output)
            old = seen(output)
            faults = Faults(output.parent, visit, number)
            met = ends_well(faults, prices, output, settings, old, wanted)
            weekly_cli.build(prices, output, **settings)
            assert read(output).equals(wanted), faults.where
            assert names_beside(output) == [name], faults.where
        ends[number] = visit - 1
    assert min(ends.values()) >= 40, "the operations of a run"


class Still:
    """For a thread that samples memory."""

    peak_bytes = 0

    def __enter__(self) -> Still:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def put(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    elif source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


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
