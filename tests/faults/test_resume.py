"""Killed runs go on where they were cut off; one run at a time makes an output."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import itertools
import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import termios
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from frames import (
    COMMAND,
    MANY,
    at_work,
    build,
    build_here,
    daily,
    in_the_middle,
    lives,
    names_beside,
    picture,
    put,
    read,
    report_here,
    run_cli,
    start_cli,
    wait_for,
    write,
)
from rounds import soaked

import weekly_cli
from weekly_cli.errors import InputRefused, OutputConflict, UsageError
from weekly_cli.run.task import Outcome, Task, run_task

#: Bits flipped at a time; starters at once; readings of an output while it is published.
FLIPS, STARTERS, READS, PUBLISHES = 20, 5, 100, 10
SYMBOLS = [f"S{number:02d}" for number in range(8)]
#: Several row groups, and as many bytes whatever the values are.
AS_WRITTEN: dict[str, Any] = {"row_group_size": 60, "compression": "none"}
#: Where it matters that work is done, and not what it computes.
ONE = ("--features", "w_close")
FEW: dict[str, object] = {"features": "w_close,w_ret"}


class Killed(BaseException):
    """What stands for the end of the process."""


@pytest.fixture(params=["date", "symbol"])
def prices(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Eight symbols, in date order (with fragments of its own) and clustered."""
    return write(daily(SYMBOLS, order=request.param), tmp_path / "in/prices.parquet", **AS_WRITTEN)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """What an undisturbed run makes of them, in either order."""
    folder = tmp_path_factory.mktemp("wanted")
    return build(write(daily(SYMBOLS), folder / "prices.parquet"), folder / "out", **FEW)


def cut_off(prices: Path, output: Path, monkeypatch: pytest.MonkeyPatch, *, after: int, **settings: object) -> Path:
    """Run until so many tasks are done, and return the work folder that is left."""
    done = []

    def until(task: Task) -> Outcome:
        if len(done) == after:
            raise Killed
        done.append(task.number)
        return run_task(task)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("weekly_cli.run.fan_out.run_task", until)
        report_here(prices, output, strategy="per-symbol", **FEW | settings)
    (left,) = output.parent.glob(".*-work")
    return left


def gone_on(prices: Path, output: Path, monkeypatch: pytest.MonkeyPatch, **settings: object) -> list[int]:
    """Run the same again and return the numbers of the tasks that ran."""
    ran = []

    def noting(task: Task) -> Outcome:
        ran.append(task.number)
        return run_task(task)

    with monkeypatch.context() as patched:
        patched.setattr("weekly_cli.run.fan_out.run_task", noting)
        report_here(prices, output, strategy="per-symbol", **FEW | settings)
    return ran


@pytest.mark.parametrize("name", ["out", "out.parquet"])
@pytest.mark.parametrize("after", [1, 4, 7])
def test_the_same_command_goes_on(
    prices: Path, wanted: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, after: int
) -> None:
    cut_off(prices, tmp_path / name, monkeypatch, after=after)
    assert names_beside(tmp_path / name) == [f".{name}.weekly-cli-work", "in"]
    assert gone_on(prices, tmp_path / name, monkeypatch) == list(range(after, 8))
    assert read(tmp_path / name).equals(wanted)
    assert names_beside(tmp_path / name) == ["in", name]


def test_more_or_fewer_workers_go_on_as_well(
    prices: Path, wanted: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off(prices, tmp_path / "out", monkeypatch, after=4, jobs=1)
    assert gone_on(prices, tmp_path / "out", monkeypatch, jobs=2) == list(range(4, 8))
    assert read(tmp_path / "out").equals(wanted)


def rows_read(monkeypatch: pytest.MonkeyPatch, run: Callable[[], object]) -> Counter[str]:
    """How many rows a run reads: of the input's prices, of fragments, and of nothing but the input's keys."""
    read: Counter[str] = Counter()

    def counted(name: str) -> Callable[..., pa.Table]:
        function = getattr(pq.ParquetFile, name)

        def call(file: pq.ParquetFile, *args: Any, **settings: Any) -> pa.Table:
            table = function(file, *args, **settings)
            names = set(table.column_names)
            read["input" if "close" in names else "keys" if names <= {"symbol", "date"} else "fragments"] += len(table)
            return table

        return call

    with monkeypatch.context() as patched:
        for name in ("read", "read_row_group", "read_row_groups", "iter_batches"):
            patched.setattr(pq.ParquetFile, name, counted(name))
        run()
    return read


@pytest.mark.parametrize("order", ["symbol", "date"])
def test_what_is_half_done_takes_half_of_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    prices = write(daily(SYMBOLS, 600, order=order), tmp_path / "in/prices.parquet", row_group_size=600)
    whole = rows_read(monkeypatch, lambda: gone_on(prices, tmp_path / "whole", monkeypatch))
    cut_off(prices, tmp_path / "out", monkeypatch, after=4)
    rest = rows_read(monkeypatch, lambda: gone_on(prices, tmp_path / "out", monkeypatch))
    rows = 8 * 600
    if order == "symbol":
        assert (whole["input"], rest["input"]) == (rows, rows // 2)
    else:
        assert (whole["input"], whole["fragments"]) == (rows, rows)
        assert (rest["input"], rest["fragments"]) == (0, rows // 2)
    assert picture(tmp_path / "out") == picture(tmp_path / "whole")


@pytest.mark.parametrize("settings", [{"features": "w_ret"}, {"compression": "snappy"}, {"fresh": True}], ids=str)
def test_another_setting_starts_afresh(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    cut_off(prices, tmp_path / "out", monkeypatch, after=5)
    assert gone_on(prices, tmp_path / "out", monkeypatch, **settings) == list(range(8))
    assert read(tmp_path / "out").equals(build(prices, tmp_path / "wanted", **FEW | settings))


@pytest.mark.parametrize("how", ["touched", "rewritten"])
def test_another_input_starts_afresh(prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """Rewritten: of the same size and age, with another volume in one row."""
    cut_off(prices, tmp_path / "out", monkeypatch, after=5)
    status = prices.stat()
    if how == "touched":
        os.utime(prices, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    else:
        table = read(prices)
        volumes = table.column("volume").to_pylist()
        volumes[3] += 1
        place = table.column_names.index("volume")
        write(
            table.set_column(place, "volume", pa.array(volumes, table.schema.field(place).type)),
            prices,
            **AS_WRITTEN,
        )
        assert prices.stat().st_size == status.st_size
        os.utime(prices, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert gone_on(prices, tmp_path / "out", monkeypatch) == list(range(8))
    assert read(tmp_path / "out").equals(build(prices, tmp_path / "wanted", **FEW))


def test_a_sector_map_that_says_something_else_starts_afresh(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sectors = tmp_path / "in/sectors.csv"
    settings = {"sector_map": str(sectors), "features": "relative"}
    sectors.write_text("symbol,sector\n" + "".join(f"{symbol},S00\n" for symbol in SYMBOLS))
    cut_off(prices, tmp_path / "out", monkeypatch, after=5, **settings)
    sectors.write_text(sectors.read_text().replace("S02,S00", "S02,S01"))
    assert gone_on(prices, tmp_path / "out", monkeypatch, **settings) == list(range(8))
    assert read(tmp_path / "out").equals(build(prices, tmp_path / "wanted", **settings))


@pytest.mark.parametrize("what", ["rewritten", "replaced", "removed"])
def test_an_input_that_changes_while_it_is_read_is_refused(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Whoever writes there in the middle of a run: its rows may be of two states, and nothing is published."""
    build_here(prices, tmp_path / "out", features="w_close")
    before = picture(tmp_path / "out")
    data = prices.read_bytes()

    def meanwhile(task: Task) -> Outcome:
        outcome = run_task(task)
        if task.number == 5:
            if what == "replaced":
                prices.with_name("new").write_bytes(data)
                prices.with_name("new").replace(prices)
            elif what == "rewritten":
                prices.write_bytes(data)
        if task.number == 7 and what == "removed":
            prices.unlink()
        return outcome

    with monkeypatch.context() as patched, pytest.raises(InputRefused, match="while it was being read"):
        patched.setattr("weekly_cli.run.fan_out.run_task", meanwhile)
        report_here(prices, tmp_path / "out", strategy="per-symbol", **FEW)
    assert picture(tmp_path / "out") == before
    prices.write_bytes(data)
    assert read(tmp_path / "out").equals(build_here(prices, tmp_path / "wanted", features="w_close"))
    assert build_here(prices, tmp_path / "out", **FEW).equals(build_here(prices, tmp_path / "wanted", **FEW))
    assert names_beside(tmp_path / "out") == ["in", "out", "wanted"]


@pytest.mark.parametrize("round_", soaked(range(1), range(1, 10)))
def test_every_flipped_bit_of_what_is_taken_over_is_found(
    prices: Path, wanted: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, round_: int
) -> None:
    left = cut_off(prices, tmp_path / "out", monkeypatch, after=5)
    shutil.copytree(left, tmp_path / "left")
    files = sorted(path for path in left.iterdir() if path.stat().st_size and path.name != "benchmarks.parquet")
    kinds = {path.name.partition("-")[0] for path in files}
    assert kinds - {"bundle"} == {"journal", "part"}
    assert ("bundle" in kinds) == (read(prices).column("date")[0] == read(prices).column("date")[1]), "fragments"
    rng = np.random.default_rng((11, round_))
    for turn in range(FLIPS):
        path = files[turn % len(files)]
        data = bytearray(path.read_bytes())
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        gone_on(prices, tmp_path / "out", monkeypatch)
        assert read(tmp_path / "out").equals(wanted), path.name
        assert not left.exists()
        shutil.copytree(tmp_path / "left", left)


def test_a_part_that_is_gone_or_short_is_made_again(
    prices: Path, wanted: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = cut_off(prices, tmp_path / "out", monkeypatch, after=5)
    one, other, *_ = sorted(left.glob("part-*"))
    one.unlink()
    os.truncate(other, other.stat().st_size - 1)
    assert gone_on(prices, tmp_path / "out", monkeypatch) == [0, 1, *range(5, 8)]
    assert read(tmp_path / "out").equals(wanted)


def test_what_failed_alone_is_tried_again(
    prices: Path, wanted: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tasks that were halved before the run was cut off: what is left of them is done, and no more."""
    ran: list[int] = []

    def poisoned(task: Task) -> Outcome:
        if "S03" in task.symbols.to_pylist():
            raise ArithmeticError("a poisonous symbol")
        if len(ran) == 2:
            raise Killed
        ran.append(len(task.symbols))
        return run_task(task)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("weekly_cli.run.fan_out.run_task", poisoned)
        weekly_cli.build(prices, tmp_path / "out", strategy="direct", **FEW)
    assert sum(ran) < 7
    again: list[int] = []

    def counted(task: Task) -> Outcome:
        again.append(len(task.symbols))
        return run_task(task)

    with monkeypatch.context() as patched:
        patched.setattr("weekly_cli.run.fan_out.run_task", counted)
        weekly_cli.build(prices, tmp_path / "out", strategy="direct", **FEW)
    assert sum(ran) + sum(again) == 8
    assert read(tmp_path / "out").equals(wanted)


def test_an_error_of_the_input_leaves_nothing(tmp_path: Path) -> None:
    prices = write(pa.concat_tables([daily(), daily().slice(0, 1)]), tmp_path / "in/prices.parquet")
    with pytest.raises(InputRefused, match="repeat"):
        build_here(prices, tmp_path / "out", strategy="per-symbol")
    assert names_beside(tmp_path / "out") == ["in"]


def test_the_work_stays_where_it_is_asked_to(prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = build(prices, tmp_path / "out", keep_work=True, **FEW)
    assert names_beside(tmp_path / "out") == [".out.weekly-cli-work", "in", "out"]
    assert gone_on(prices, tmp_path / "out", monkeypatch, keep_work=True) == list(range(8)), "another strategy"
    assert gone_on(prices, tmp_path / "out", monkeypatch) == [], "all is done"
    assert read(tmp_path / "out").equals(wanted)
    assert names_beside(tmp_path / "out") == ["in", "out"]


def test_the_work_may_be_done_in_another_folder(
    prices: Path, wanted: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    seen: set[str] = set()

    def looking(task: Task) -> Outcome:
        seen.update(path.name for path in (tmp_path / "elsewhere").iterdir())
        assert names_beside(tmp_path / "out") == [".out.weekly-cli-lock", "elsewhere", "in"]
        return run_task(task)

    monkeypatch.setattr("weekly_cli.run.fan_out.run_task", looking)
    assert build(prices, tmp_path / "out", work_dir=str(tmp_path / "elsewhere"), **FEW).equals(wanted)
    assert len(seen) == 1
    assert names_beside(tmp_path / "out") == ["elsewhere", "in", "out"]
    assert not list((tmp_path / "elsewhere").iterdir())
    with pytest.raises(UsageError, match="is not a directory"):
        build(prices, tmp_path / "out", work_dir=str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="another filesystem"):
        build(prices, tmp_path / "out", work_dir="/proc")


@pytest.mark.parametrize("kind", ["folder", "file", "link"])
def test_what_somebody_else_made_in_its_place_stays(prices: Path, tmp_path: Path, kind: str) -> None:
    place = tmp_path / ".out.weekly-cli-work"
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious/notes").write_text("mine")
    match kind:
        case "folder":
            shutil.copytree(tmp_path / "precious", place)
        case "file":
            place.write_text("mine")
        case "link":
            place.symlink_to(tmp_path / "precious", target_is_directory=True)
    before = picture(tmp_path)
    with pytest.raises(OutputConflict, match="was not created by weekly-cli"):
        build(prices, tmp_path / "out", fresh=True)
    assert picture(tmp_path) == before


# ---- real processes --------------------------------------------------------------------------------------


@pytest.mark.alone
def test_a_run_that_is_killed_in_its_middle_goes_on(bulk: Path, tmp_path: Path) -> None:
    options = ("-o", tmp_path / "out", "--strategy", "adaptive", "--jobs", 2, *MANY)
    with start_cli("build", bulk, *options) as process:
        assert wait_for(lambda: at_work(tmp_path), 60)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait(10)
        assert wait_for(lambda: not any(map(lives, workers)), 2)
    done = run_cli("build", bulk, *options)
    assert done.returncode == 0
    assert "resumes where an earlier run was cut off" in done.stderr
    assert names_beside(tmp_path / "out") == ["out"]
    again = run_cli("build", bulk, "-o", tmp_path / "out", *ONE, "--quiet")
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.alone
@pytest.mark.parametrize(("name", "code"), soaked([("SIGTERM", 143)], [("SIGINT", 130)]))
def test_an_interrupted_run_goes_on(bulk: Path, tmp_path: Path, name: str, code: int) -> None:
    options = ("-o", tmp_path / "out", "--strategy", "adaptive", "--jobs", 2, *MANY)
    with start_cli("build", bulk, *options) as process:
        assert wait_for(lambda: at_work(tmp_path), 60)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.Signals[name])
        _, said = process.communicate(timeout=5)
        assert process.returncode == code
        assert "the same command finishes the work" in said
        assert wait_for(lambda: not any(map(lives, workers)), 2)
    assert names_beside(tmp_path / "out") == [".out.weekly-cli-work"]
    assert "resumes where an earlier run was cut off" in run_cli("build", bulk, *options).stderr


def test_a_second_run_is_told_who_holds_the_output(bulk: Path, tmp_path: Path) -> None:
    with held(bulk, tmp_path / "out") as process:
        second = run_cli("build", bulk, "-o", tmp_path / "out", "-q")
        assert second.returncode == 75
        assert f"process {process.pid} on {socket.gethostname()} since 20" in second.stderr
        assert run_cli("build", bulk, "-o", tmp_path / "out", "-q", "--wait", "0.5").returncode == 75
        process.kill()
    assert run_cli("build", bulk, "-o", tmp_path / "out", "-q", *ONE).returncode == 0
    assert names_beside(tmp_path / "out") == ["out"]


def test_a_second_run_may_wait(bulk: Path, tmp_path: Path) -> None:
    with (
        held(bulk, tmp_path / "out") as process,
        start_cli("build", bulk, "-o", tmp_path / "out", "--wait", "60", *ONE) as second,
    ):
        time.sleep(1)
        assert second.poll() is None
        process.send_signal(signal.SIGCONT)
        assert process.wait(60) == 0
        assert second.wait(60) == 0
    assert names_beside(tmp_path / "out") == ["out"]


@contextlib.contextmanager
def held(prices: Path, output: Path) -> Iterator[object]:
    """A run that is stopped in its middle."""
    with start_cli("build", prices, "-o", output, "--strategy", "direct") as process:
        assert wait_for(lambda: in_the_middle(output.parent), 60)
        process.send_signal(signal.SIGSTOP)
        yield process


@pytest.mark.parametrize("round_", soaked(range(1), range(1, 20)))
def test_of_many_starters_one_publishes(tmp_path: Path, round_: int) -> None:
    """The one that has the lock is stopped until the others have given up."""
    prices = write(daily(), tmp_path / "in/prices.parquet")
    lock = tmp_path / ".out.weekly-cli-lock"
    with contextlib.ExitStack() as stack:
        command = ("build", prices, "-o", tmp_path / "out", "-q")
        starters = [stack.enter_context(start_cli(*command)) for _ in range(STARTERS)]
        assert wait_for(lambda: lock.exists() and lock.stat().st_size > 0, 60)
        first = json.loads(lock.read_text())["pid"]
        os.kill(first, signal.SIGSTOP)
        others = [starter for starter in starters if starter.pid != first]
        assert [starter.wait(60) for starter in others] == [75] * (STARTERS - 1)
        assert all(f"process {first} " in starter.communicate()[1] for starter in others)
        os.kill(first, signal.SIGCONT)
        assert sorted(starter.wait(60) for starter in starters) == [0, *[75] * (STARTERS - 1)]
    assert names_beside(tmp_path / "out") == ["in", "out"]


def opened(output: Path) -> pa.Table | None:
    """What a reader sees of a file, or of a folder that Arrow lists and then opens; None where a part has gone.

    A folder that is opened before the switch and listed after it may be the old one, with all of its parts gone.
    """
    if output.suffix == ".parquet":
        return pq.ParquetFile(output).read()
    try:
        table = pq.read_table(output)
    except FileNotFoundError:
        return None
    return table if table.num_columns else None


@pytest.mark.parametrize(
    ("name", "strategy"), [("out.parquet", "direct"), ("out", "direct"), ("out", "per-symbol")], ids=str
)
def test_who_reads_while_outputs_are_published_never_sees_a_mixture_or_nothing(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, strategy: str
) -> None:
    """A part may be gone that was listed a moment before, which a reader is told of and begins again."""
    outputs = [{"features": features, "strategy": strategy} for features in ("w_close", "w_open,w_close")]
    prices = write(read(prices).filter(pc.field("symbol") < "S03"), prices)
    tables = [build_here(prices, tmp_path / "wanted", **settings) for settings in outputs]
    build_here(prices, tmp_path / name, **outputs[-1])
    ended = threading.Event()

    def read_on() -> tuple[Counter[str], int]:
        seen: Counter[str] = Counter()
        while not ended.is_set() or sum(seen.values()) < READS:
            table = opened(tmp_path / name)
            seen["gone" if table is None else f"{[table.equals(one) for one in tables]}"] += 1
        return seen, sum(seen.values())

    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read_on)
        try:
            for number in range(PUBLISHES):
                report_here(prices, tmp_path / name, jobs=1, **outputs[number % 2])
        finally:
            ended.set()
        seen, times = reading.result()
    assert times >= READS
    gone = seen.pop("gone", 0)
    assert set(seen) == {"[True, False]", "[False, True]"}
    assert gone <= (PUBLISHES if name == "out" else 0)


#: The signals, and shares of the time that a build takes.
SIGNALLED = [("SIGINT", 0.1), ("SIGTERM", 0.4), ("SIGHUP", 0.6), ("SIGINT", 0.9)]
ALL_SIGNALLED = list(itertools.product(["SIGINT", "SIGTERM", "SIGHUP"], [0.1, 0.4, 0.6, 0.9]))


@pytest.fixture(scope="module")
def bulk_old(bulk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    build(bulk, folder / "out", features="w_close")
    return folder / "out"


@pytest.fixture(scope="module")
def bulk_wanted(bulk: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], pa.Table]:
    """What an undisturbed run makes, made when it is asked for: most signals come before that."""
    folder = tmp_path_factory.mktemp("wanted")
    return functools.cache(lambda: build(bulk, folder / "out", benchmark=tuple(MANY[1::2])))


@pytest.mark.alone
@pytest.mark.parametrize(("name", "share"), soaked(SIGNALLED, [one for one in ALL_SIGNALLED if one not in SIGNALLED]))
def test_a_signal_at_any_stage_ends_all_and_leaves_the_old_output(
    bulk: Path, bulk_old: Path, bulk_wanted: Callable[[], pa.Table], tmp_path: Path, name: str, share: float
) -> None:
    """Where the switch came first, the new output is whole."""
    put(bulk_old, tmp_path / "out")
    before = picture(tmp_path / "out")
    with start_cli("build", bulk, "-o", tmp_path / "out", "--strategy", "adaptive", "--jobs", 2, *MANY) as process:
        time.sleep(1.5 * share)
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.Signals[name])
        said, _ = process.communicate(timeout=5)
        assert wait_for(lambda: not any(map(lives, workers)), 2)
    assert process.returncode in (0, 128 + signal.Signals[name], -signal.Signals[name])
    if process.returncode == 0 or picture(tmp_path / "out") != before:
        assert read(tmp_path / "out").equals(bulk_wanted())
    assert said == ""


def test_a_full_pipe_on_stderr_keeps_no_run_waiting(wanted: pa.Table, tmp_path: Path) -> None:
    prices = write(daily(SYMBOLS), tmp_path / "in/prices.parquet")
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 1024)
    os.set_blocking(writing, True)
    command = [COMMAND, "build", prices, "-o", tmp_path / "out", "--jobs", "2", "--strategy", "per-symbol"]
    try:
        words = [*map(str, command), "--features", str(FEW["features"])]
        done = subprocess.run(words, stderr=writing, timeout=30, check=False)
    finally:
        os.close(writing)
        os.close(reading)
    assert done.returncode == 0
    assert read(tmp_path / "out").equals(wanted)


@pytest.mark.alone
def test_a_terminal_that_closes_ends_the_run_and_its_workers(bulk: Path, tmp_path: Path) -> None:
    def in_a_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests may ignore it, as nohup does

    ours, theirs = pty.openpty()
    command = [COMMAND, "build", bulk, "-o", tmp_path / "out", "--jobs", "2", "--strategy", "adaptive", *MANY]
    process = subprocess.Popen(
        list(map(str, command)), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=in_a_terminal,
    )  # fmt: skip
    os.close(theirs)
    assert wait_for(lambda: at_work(tmp_path, "bundle-*"), 60)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.close(ours)
    assert process.wait(5) == 128 + signal.SIGHUP
    assert wait_for(lambda: not any(map(lives, workers)), 2)
    assert not (tmp_path / "out").exists()
    assert run_cli("build", bulk, "-o", tmp_path / "out", *ONE).returncode == 0
