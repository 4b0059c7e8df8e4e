"""Small random daily frames, builds in this process, and the installed command as a real process."""

from __future__ import annotations

import contextlib
import glob
import os
import pty
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
from forks import ForkServer

import weekly_cli
from weekly_cli import events
from weekly_cli.events import Listener
from weekly_cli.run import cuts, pipeline, sizes
from weekly_cli.run import rows as task_rows
from weekly_cli.run.engines.in_process import InProcess
from weekly_cli.run.report import Report
from weekly_cli.settings import from_python, resolve

if TYPE_CHECKING:
    import pytest

COMMAND = Path(sys.executable).with_name("weekly-cli")
TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
#: Where a process finds what tests are made of.
MODULES = {"PYTHONPATH": os.pathsep.join(str(TESTS / room) for room in ("support", "faults", "hostile"))}
OWN = ["symbol", "date", "open", "high", "low", "close", "volume"]
SECONDS = 60.0


def source_of(module: str) -> str:
    """The text of a module of tests, wherever it lies."""
    (path,) = TESTS.glob(f"*/{module}.py")
    return path.read_text(encoding="utf-8")


def business_days(n_days: int, first: str = "2022-01-03") -> np.ndarray[Any, Any]:
    """datetime64[D][n_days]."""
    return np.busday_offset(first, np.arange(n_days), roll="forward")


def daily(
    symbols: Sequence[Any] | pa.Array = ("AAA", "BBB", "CCC"), n_days: int = 60, *, seed: int = 1, order: str = "date"
) -> pa.Table:
    """A random walk for each symbol, in date order or clustered by symbol; the symbols as pyarrow infers them."""
    rng = np.random.default_rng(seed)
    count = len(symbols)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.02, (n_days, count)), axis=0)).ravel()
    spread = np.exp(np.abs(rng.normal(0, 0.01, (2, n_days * count))))
    table = pa.table(
        {
            "symbol": (symbols if isinstance(symbols, pa.Array) else pa.array(list(symbols))).take(
                pa.array(np.tile(np.arange(count), n_days))
            ),
            "date": pa.array(np.repeat(business_days(n_days), count)),
            "open": close * np.sqrt(spread[0]),
            "high": close * spread[0],
            "low": close / spread[1],
            "close": close,
            "volume": rng.integers(1, 10**6, n_days * count),
        }
    )
    if order == "date":
        return table
    return table.take(pa.array(np.arange(n_days * count).reshape(n_days, count).T.ravel()))


def shuffled(table: pa.Table, seed: int = 2) -> pa.Table:
    return table.take(pa.array(np.random.default_rng(seed).permutation(table.num_rows)))


def write(table: pa.Table, path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)
    return path


def write_files(table: pa.Table, folder: Path, n_files: int) -> Path:
    """The rows in their order, spread over files."""
    bounds = np.linspace(0, table.num_rows, n_files + 1).astype(int)
    for number in range(n_files):
        first, stop = int(bounds[number]), int(bounds[number + 1])
        write(table.slice(first, stop - first), folder / f"{number:04d}.parquet")
    return folder


def parts(output: Path) -> list[Path]:
    return [output] if output.is_file() else sorted(output.glob("*.parquet"))


def read(output: Path) -> pa.Table:
    """The rows of an output (or of an input file) in the order of its parts."""
    return pa.concat_tables([pq.ParquetFile(part).read() for part in parts(output)])


def build(source: Path | str, output: Path, **settings: Any) -> pa.Table:
    """Build in this process and return what is in the output."""
    report_of(source, output, **settings)
    return read(output)


def report_of(source: Path | str, output: Path, **settings: Any) -> Report:
    return weekly_cli.build(source, output, **{"jobs": 1, **settings})


class Here(InProcess):
    """A pool's tasks in this process, where a test can see and stop them."""

    def __init__(self, workers: int) -> None:
        self.workers = workers


def build_here(source: Path | str, output: Path, **settings: Any) -> pa.Table:
    """What `build` does, without a pool where there would be one."""
    report_here(source, output, **settings)
    return read(output)


def report_here(source: Path | str, output: Path, listener: Listener = events.ignore, **settings: Any) -> Report:
    given = {"jobs": 1, **settings, "input": str(source), "output": str(output)}
    return pipeline.run(resolve(from_python(given)), listener, start_engine=Here)


#: The ways on which rows reach a task, and the order of rows that leads to each.
ROUTES = {"direct": "date", "clustered": "symbol", "partitioned": "date"}


def build_by(route: str, source: Path, output: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Report:
    """Build by one of the three routes; several tasks and several chunks for the latter two."""
    monkeypatch.setattr(cuts, "LEAST_TASK_ROWS", 16)
    monkeypatch.setattr(sizes, "_MOST_CHUNK_ROWS", 50)
    monkeypatch.setattr(task_rows, "LEAST_COPIED_ROWS", 1)
    report = report_here(source, output, strategy="direct" if route == "direct" else "adaptive", **settings)
    assert (report.bytes_partitioned > 0) == (route == "partitioned")
    return report


def sort_keys(table: pa.Table, symbol: str = "symbol", date: str = "date") -> list[tuple[Any, Any]]:
    """The keys by which the output is sorted: text by its UTF-8 bytes."""
    names = table.column(symbol).to_pylist()
    coded = [name.encode() if isinstance(name, str) else name for name in names]
    return list(zip(coded, table.column(date).to_pylist(), strict=True))


def order_of(table: pa.Table, symbol: str = "symbol", date: str = "date") -> list[int]:
    """Where the output's rows are in a table."""
    keys = sort_keys(table, symbol, date)
    return sorted(range(len(keys)), key=keys.__getitem__)


def taken(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    """`Table.take`, for types that it does not know too."""
    columns = []
    for column in table.columns:
        if pa.types.is_string_view(column.type):
            values = column.to_pylist()
            columns.append(pa.array([values[row] for row in rows], column.type))
        else:
            columns.append(column.take(pa.array(rows, pa.int64())))
    return pa.table(columns, schema=table.schema)


def in_order(table: pa.Table, symbol: str = "symbol", date: str = "date") -> pa.Table:
    """The rows as the output has them."""
    return taken(table, order_of(table, symbol, date))


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment without what would steer the tool or its terminal."""
    steering = ("WEEKLY_CLI_", "COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_", "PYTHONWARNINGS")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    return clean | {"TERM": "xterm", "PYTHONUTF8": "1"} | dict(extra or {})


#: Without `REAL_STARTS` in the environment, `run_cli` forks a process in which everything is imported already.
_FORKS = None if "REAL_STARTS" in os.environ else ForkServer(environment())


def run_cli(
    *args: object, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the installed command: stdin closed, streams apart; without `cwd` where no settings file lies."""
    return run_words([str(COMMAND), *map(str, args)], cwd=cwd, env=env)


def run_words(
    words: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run any command as `run_cli` does the installed one."""
    given = environment(env)
    if _FORKS is not None and words[0] == str(COMMAND) and _FORKS.fits(given):
        return _FORKS.run(words, cwd or COMMAND.parent, given, SECONDS)
    return subprocess.run(
        words,
        cwd=cwd or COMMAND.parent,
        env=given,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=SECONDS,
        check=False,
    )


def run_line(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a line that is shown to users: `weekly-cli` and the words that a shell makes of the rest."""
    name, _, rest = line.strip().partition(" ")
    assert name == "weekly-cli"
    made = subprocess.run(["sh", "-c", f"printf '%s\\0' {rest}"], cwd=cwd, capture_output=True, text=True, check=True)
    return run_cli(*made.stdout.split("\0")[:-1], cwd=cwd)


@contextlib.contextmanager
def start_cli(*args: object, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Start the installed command in a process group of its own; leaving kills it if it still runs."""
    process = subprocess.Popen(
        [str(COMMAND), *map(str, args)],
        cwd=COMMAND.parent,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def on_a_terminal(*args: object, cwd: Path, env: dict[str, str]) -> tuple[int, str]:
    """Run the command with stderr on a pseudo-terminal; return its code and what a terminal got."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, *map(str, args)],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=slave,
    )
    os.close(slave)
    said = b""
    end = time.perf_counter() + 60
    while time.perf_counter() < end:
        if not select.select([master], [], [], 0.1)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            data = os.read(master, 65536)
        except OSError:  # the last writer has gone
            break
        if not data:
            break
        said += data
    os.close(master)
    out, _ = process.communicate(timeout=10)
    assert out == b""
    return process.returncode, said.decode()


def names_beside(output: Path) -> list[str]:
    """Everything in the output's folder, hidden names too."""
    return sorted(path.name for path in output.parent.iterdir())


def write_bulk(folder: Path) -> Path:
    """300,000 rows of 400 symbols in date order, in 6 files: with `MANY`, a build can be hit in its middle."""
    return write_files(daily([f"S{number:04d}" for number in range(400)], 750), folder, 6)


#: Enough columns that the fan-out takes a second or more.
MANY = [word for number in range(40) for word in ("--benchmark", f"S{number:04d}")]


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def marked(name: str, value: str) -> list[psutil.Process]:
    """The processes that live and were started with this in their environment."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):  # gone meanwhile, or somebody else's
            if lives(process) and process.environ().get(name) == value:
                found.append(process)
    return found


def at_work(folder: Path, name: str = "part-*") -> list[Path]:
    """What the builds into `folder` have made so far; `Path.glob` raises where a work folder vanishes meanwhile."""
    return [Path(found) for found in glob.glob(f"{glob.escape(str(folder))}/.*-work/{name}")]  # noqa: PTH207


def in_the_middle(folder: Path) -> bool:
    """A build into `folder` has begun to write parts."""
    return bool(at_work(folder) or at_work(folder, ".part-*"))


def picture(folder: Path) -> dict[str, bytes | None]:
    """Every name below a folder, with the content of files."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def seen(output: Path) -> tuple[dict[str, bytes | None], dict[str, int]]:
    """What is at an output's place: its bytes, and its inodes."""
    files = [output, *sorted(output.rglob("*"))] if output.is_dir() else [output]
    content = picture(output) if output.is_dir() else {output.name: output.read_bytes()}
    return content, {path.name: path.stat().st_ino for path in files}


def put(source: Path, target: Path) -> None:
    """Copy an output to a place where another one may be."""
    if target.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    elif source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
