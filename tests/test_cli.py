"""The command as its users and their scripts meet it: exit codes, streams, signals, settings, views."""

from __future__ import annotations

import datetime
import gc
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pytest
from frames import (
    COMMAND,
    MANY,
    OWN,
    build,
    daily,
    environment,
    in_the_middle,
    lives,
    marked,
    names_beside,
    on_a_terminal,
    picture,
    read,
    run_cli,
    start_cli,
    wait_for,
    write,
    write_bulk,
)

from weekly_cli import cli, errors, pipeline
from weekly_cli.cli import process
from weekly_cli.features import registry, templates
from weekly_cli.report import Report
from weekly_cli.settings import SETTINGS, Config

COMMANDS = ("build", "plan", "features", "sample")
STAGES = ("scan", "plan", "fan out", "publish")


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(["AAA", "BBB", "SPY"], 300), tmp_path_factory.mktemp("prices") / "prices.parquet")


@pytest.fixture(scope="module")
def bulk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bulk(tmp_path_factory.mktemp("bulk") / "prices")


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    assert text[:-1].isprintable()
    return text[:-1]


# ---- exit codes through the process ----------------------------------------------------------------------


def test_done(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, "--output", "out", "--jobs", "-1", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == ""
    assert read(tmp_path / "out").num_rows == 900
    assert names_beside(tmp_path / "out") == ["out"]


def test_the_default_output_is_in_the_current_folder(tmp_path: Path, prices: Path) -> None:
    assert run_cli("build", prices, "-q", cwd=tmp_path).returncode == 0
    assert names_beside(tmp_path / "daily_weekly") == ["daily_weekly"]


USAGE: dict[str, tuple[list[str], str]] = {
    "jobs_zero": (["--jobs", "0"], "--jobs"),
    "week": (["--week", "W-FOO"], "W-FRI"),
    "available": (["--available", "now"], "next-week"),
    "dtype": (["--dtype", "int8"], "float32"),
    "features": (["--features", "momentun"], "momentum"),
    "no_features": (["--features", "momentum,-momentum"], "leaves no column"),
    "start": (["--start", "yesterday"], "--start"),
    "window": (["--start", "2024-01-02", "--end", "2024-01-01"], "before"),
    "memory": (["--memory-limit", "lots"], "512MiB"),
    "memory_without_unit": (["--memory-limit", "2000"], "unit"),
    "strategy": (["--strategy", "magic"], "adaptive"),
    "compression": (["--compression", "zip"], "zstd"),
    "columns": (["--columns", "Ticker"], "symbol=Ticker"),
    "role": (["--columns", "price=Last"], "close"),
    "max_symbols": (["--max-symbols", "0"], "--max-symbols"),
    "symbols_file": (["--symbols", "@nowhere.txt"], "nowhere.txt"),
    "sector_map": (["--sector-map", "nowhere.csv"], "nowhere.csv"),
    "benchmarks": (["--benchmark", "SPY", "--benchmark", "spy"], "w_rs_spy"),
    "report": (["--report", "nowhere/report.json"], "nowhere"),
    "duplicates": (["--on-duplicates", "keep"], "first"),
    "bad_rows": (["--on-bad-rows", "keep"], "drop"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage_is_one_line_and_exit_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prices: Path, name: str
) -> None:
    args, word = USAGE[name]
    monkeypatch.chdir(tmp_path)
    assert code_of(monkeypatch, "build", str(prices), "-q", *args) == 2
    said = capsys.readouterr()
    assert word in one_line(said.err)
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("args", [["--nope"], ["--jobs", "two"], ["a", "b"]], ids=str)
def test_what_the_parser_refuses(tmp_path: Path, prices: Path, args: list[str]) -> None:
    done = run_cli("build", prices, *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert one_line(done.stderr).endswith("--help tells what there is")
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_none(tmp_path: Path) -> None:
    done = run_cli("bild", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "build" in done.stderr


def test_no_word_at_all(tmp_path: Path) -> None:
    done = run_cli(cwd=tmp_path)
    assert done.returncode == 2
    assert "Commands:" in done.stdout + done.stderr


def test_no_input_anywhere(tmp_path: Path) -> None:
    done = run_cli("build", "--jobs", "-1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    sentence = one_line(done.stderr)
    for way in ("weekly-cli build PRICES", "WEEKLY_CLI_INPUT", "weekly.toml", "pyproject.toml"):
        assert way in sentence


def test_input_refused(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", tmp_path / "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "nowhere" in one_line(done.stderr)
    done = run_cli("build", prices, "--benchmark", "QQQ", cwd=tmp_path)
    assert done.returncode == 3
    assert "--benchmark QQQ" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_symbols_of_an_error_do_not_steer_the_terminal(tmp_path: Path) -> None:
    source = write(daily(["A\x1b[31m\nB\x07"], 5), tmp_path / "p.parquet")
    twice = write(pa.concat_tables([read(source)] * 2), tmp_path / "in" / "p.parquet")
    done = run_cli("build", twice, "-q", cwd=tmp_path)
    assert done.returncode == 3
    assert "A\\x1b[31m" in one_line(done.stderr)


@pytest.mark.parametrize("strategy", ["auto", "batched"])
def test_budget_too_small(tmp_path: Path, prices: Path, strategy: str) -> None:
    done = run_cli("build", prices, "--memory-limit", "8MiB", "--strategy", strategy, "-q", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (5, "")
    assert "--memory-limit" in one_line(done.stderr)
    assert list(tmp_path.iterdir()) == []
    assert run_cli("plan", prices, "--memory-limit", "8MiB", cwd=tmp_path).returncode == 5


def test_output_conflict(tmp_path: Path, prices: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("precious")
    before = picture(tmp_path)
    for more in ((), ("--overwrite",)):
        done = run_cli("build", prices, "-o", "out", *more, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (6, "")
        assert "notes.txt" in one_line(done.stderr)
        assert picture(tmp_path) == before


def test_a_project_is_never_replaced(tmp_path: Path, prices: Path) -> None:
    """`weekly-cli build prices.parquet -o . --overwrite` in the folder that somebody works in."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main")
    (tmp_path / "prices.parquet").write_bytes(prices.read_bytes())
    before = picture(tmp_path)
    for output in (".", tmp_path, ".git", "..", "prices.parquet"):
        for more in ((), ("--overwrite",)):
            done = run_cli("build", "prices.parquet", "-o", output, *more, cwd=tmp_path)
            assert (done.returncode, done.stdout) == (6, "")
            one_line(done.stderr)
            assert picture(tmp_path) == before


@pytest.mark.parametrize("name", ["x" * 240, "x" * 300, "x" * 300 + ".parquet"])
def test_an_output_whose_name_is_too_long(tmp_path: Path, prices: Path, name: str) -> None:
    done = run_cli("build", prices, "-o", name, "-q", cwd=tmp_path, env={"TMPDIR": str(tmp_path)})
    assert done.returncode == 6
    assert "too long" in one_line(done.stderr)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "group", "code"),
    [(signal.SIGINT, False, 130), (signal.SIGINT, True, 130), (signal.SIGTERM, False, 143)],
    ids=["int", "int_group", "term"],
)
def test_signals(tmp_path: Path, bulk: Path, prices: Path, number: int, group: bool, code: int) -> None:
    build(prices, tmp_path / "out", features="w_ret")
    before = picture(tmp_path)
    with start_cli("build", bulk, "-o", tmp_path / "out", "--strategy", "adaptive", "--jobs", 2, *MANY) as process:
        assert wait_for(lambda: in_the_middle(tmp_path) or process.poll() is not None, 30)
        assert process.poll() is None
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        (os.killpg if group else os.kill)(process.pid, number)
        _, said = process.communicate(timeout=5)
    assert process.returncode == code
    assert wait_for(lambda: not any(map(lives, workers)), 1)
    assert {path: data for path, data in picture(tmp_path).items() if not path.startswith(".")} == before
    assert "Traceback" not in said
    assert said.splitlines()[-1] in (
        "weekly-cli: interrupted; the output is as it was, and the same command finishes the work",
        "weekly-cli: terminated; the output is as it was, and the same command finishes the work",
    )


def test_a_signal_while_it_scans(tmp_path: Path, bulk: Path) -> None:
    """What it leaves is what it had done by then, or nothing, and the same command finishes the work."""
    with start_cli("build", bulk, "-o", tmp_path / "out") as process:
        assert wait_for(lambda: any(tmp_path.iterdir()), 30)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} <= {".out.weekly-cli-work"}
    assert run_cli("build", bulk, "-o", tmp_path / "out").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


#: Ctrl-C, as a terminal sends it to all, in the moment in which workers have been started.
INTERRUPTED_START = """
import os, signal
from weekly_cli import cli
from weekly_cli.engines import pool

class Interrupted(pool.ProcessPoolExecutor):
    def submit(self, *args):
        future = super().submit(*args)
        os.killpg(0, signal.SIGINT)
        return future

pool.ProcessPoolExecutor = Interrupted
cli.main()
"""


def test_an_interrupt_while_workers_start_is_not_lost(tmp_path: Path, bulk: Path) -> None:
    words = [sys.executable, "-c", INTERRUPTED_START, "build", str(bulk), "-o", str(tmp_path / "out")]
    with subprocess.Popen(
        [*words, "--strategy", "adaptive", "-q"],
        stderr=subprocess.PIPE,
        text=True,
        env=environment({"TRIAL": str(tmp_path)}),
        start_new_session=True,
    ) as process:
        _, said = process.communicate(timeout=10)
    assert process.returncode == 130
    assert said == "weekly-cli: interrupted; the output is as it was, and the same command finishes the work\n"
    assert wait_for(lambda: not marked("TRIAL", str(tmp_path)), 2)
    assert list(tmp_path.iterdir()) == []


#: An end of the workers that never comes.
ENDLESS_END = """
import time
from weekly_cli import cli
from weekly_cli.engines import pool

pool.Pool.close = lambda _: time.sleep(600)
cli.main()
"""


def test_an_end_that_hangs_is_cut_short(tmp_path: Path, bulk: Path) -> None:
    words = [sys.executable, "-c", ENDLESS_END, "build", str(bulk), "-o", str(tmp_path / "out"), *MANY]
    with subprocess.Popen(
        [*words, "--strategy", "adaptive", "-q"], env=environment({"TRIAL": str(tmp_path)})
    ) as process:
        assert wait_for(lambda: in_the_middle(tmp_path), 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 143
    assert wait_for(lambda: not marked("TRIAL", str(tmp_path)), 2)
    assert run_cli("build", bulk, "-o", tmp_path / "out", *MANY).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# ---- streams ---------------------------------------------------------------------------------------------


def test_without_a_terminal_one_line_a_stage_and_no_control_codes(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert all(line.isprintable() for line in lines)
    assert tuple(line.partition(":")[0] for line in lines[: len(STAGES)]) == STAGES
    assert all(len(line) <= 80 for line in lines[len(STAGES) :])
    for word in ("rows", "symbols", "weekly bars", "seconds", "strategy", "pool", "memory", "quality", "output"):
        assert word in done.stderr


def test_names_of_the_output_do_not_steer_the_terminal(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, "-o", "o\x1b[31m[bold]ut", cwd=tmp_path)
    assert done.returncode == 0
    assert all(line.isprintable() for line in done.stderr.splitlines())
    last = done.stderr.splitlines()[-1]
    assert "\\x1b[31m[bold]ut" in last  # nor is a part of the name read as markup


def test_json_is_all_alone_on_stdout(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, "--json", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert (done.returncode, report["rows"], report["symbols"]) == (0, 900, 3)
    assert done.stderr.startswith("scan:")
    quiet = run_cli("build", prices, "--json", "--quiet", cwd=tmp_path)
    assert quiet.stderr == ""
    assert json.loads(quiet.stdout).keys() == report.keys() == {entry.name for entry in fields(Report)}
    plain = dict.fromkeys(("NaN", "Infinity"))
    assert not any(word in quiet.stdout for word in plain)


def test_quiet_is_silent(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_report_file(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, "-q", "--report", "report.json", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(done.stdout)
    assert names_beside(tmp_path / "report.json") == ["daily_weekly", "report.json"]


@pytest.mark.parametrize("target", ["folder", "nowhere/report.json", "prices.parquet/report.json"])
def test_a_report_file_that_can_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prices: Path, target: str
) -> None:
    def run(*_: object) -> None:
        raise AssertionError("the work began")

    (tmp_path / "folder").mkdir()
    (tmp_path / "prices.parquet").write_bytes(prices.read_bytes())
    monkeypatch.setattr(pipeline, "run", run)
    assert code_of(monkeypatch, "build", str(prices), "--report", str(tmp_path / target)) == 2
    assert "--report" in one_line(capsys.readouterr().err)


def test_a_report_into_something_that_is_no_file(tmp_path: Path, prices: Path) -> None:
    """`--report` of a pipe or a device writes into it or refuses it; it never puts a file in its place."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        done = run_cli("build", prices, "-q", "--report", fifo, cwd=tmp_path)
        assert done.returncode in (0, 2)
        assert stat.S_ISFIFO(fifo.stat().st_mode)
    finally:
        os.close(reader)


@pytest.mark.parametrize("args", [["features"], ["build", "--json", "-q"], ["build", "--help"], ["--help"]], ids=str)
def test_a_reader_that_has_gone(tmp_path: Path, prices: Path, args: list[str]) -> None:
    """A pipe without a reader is a normal end, not a bug (exit code 1)."""
    reader, writer = os.pipe()
    os.close(reader)
    words = [*args[:1], str(prices), *args[1:]] if "-q" in args else args
    process = subprocess.Popen(
        [COMMAND, *words],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.PIPE,
    )
    os.close(writer)
    _, said = process.communicate(timeout=60)
    assert said == b""
    assert process.returncode in (0, 128 + signal.SIGPIPE)


def test_head(tmp_path: Path) -> None:
    script = f"set -o pipefail; '{COMMAND}' features | head -1"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split()[:2] == ["family", "column"]
    assert done.returncode in (0, 128 + signal.SIGPIPE)


def test_on_a_terminal_of_80_columns(tmp_path: Path, prices: Path) -> None:
    deep = tmp_path / ("a long name of a folder " * 5)
    code, said = on_a_terminal(
        "build", prices, "-o", deep / "out", "--strategy", "batched", cwd=tmp_path, env={"COLUMNS": "80"}
    )
    assert code == 0
    assert "\x1b[" in said  # live bars were there
    lines = [line.rpartition("\r")[2] for line in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said).split("\r\n")]
    assert max(map(len, lines)) <= 80
    for word in ("scan", "partition", "fan out", "publish", "rows/s", "strategy", "pool", "memory"):
        assert any(line.startswith(word) or word in line for line in lines), word
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h")  # the cursor is back


def test_no_color_on_a_dumb_terminal(tmp_path: Path, prices: Path) -> None:
    code, said = on_a_terminal("build", prices, cwd=tmp_path, env={"COLUMNS": "80", "TERM": "dumb", "NO_COLOR": "1"})
    assert code == 0
    assert "\x1b[3" not in said
    assert "daily_weekly" in said


# ---- the other commands ----------------------------------------------------------------------------------


def test_features(tmp_path: Path) -> None:
    table, listed = run_cli("features", cwd=tmp_path), run_cli("features", "--json", cwd=tmp_path)
    assert (table.returncode, table.stderr, listed.returncode, listed.stderr) == (0, "", 0, "")
    rows = json.loads(listed.stdout)
    assert [row["column"] for row in rows] == [feature.name for feature in templates()]
    assert all(row["formula"] and row["family"] and row["first_bar"] is not None for row in rows)
    words = table.stdout.split()
    assert all(row["column"] in words for row in rows)
    assert all(len(line) <= 80 for line in table.stdout.splitlines())
    assert table.stdout.isascii() or all(line.isprintable() for line in table.stdout.splitlines())
    shown, formulas = re.sub(r"\s+", "", table.stdout), [row["formula"] for row in rows]
    assert all(re.sub(r"\s+", "", formula)[:12] in shown for formula in formulas)


def test_plan(tmp_path: Path, prices: Path) -> None:
    shown, listed = run_cli("plan", prices, cwd=tmp_path), run_cli("plan", prices, "--json", cwd=tmp_path)
    assert (shown.returncode, shown.stderr, listed.returncode, listed.stderr) == (0, "", 0, "")
    said = json.loads(listed.stdout)
    assert said["strategy"].startswith("direct: ")
    for name in said:
        assert name.replace("_", " ") in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    assert list(tmp_path.iterdir()) == []
    other = json.loads(run_cli("plan", prices, "--json", "--strategy", "per-symbol", "-j", "1", cwd=tmp_path).stdout)
    assert other["tasks"].startswith("3 ")
    assert "--strategy" in other["strategy"]


def test_plan_takes_the_options_of_build() -> None:
    def options(command: str) -> set[str]:
        return set(re.findall(r"--[a-z][a-z-]+", run_cli(command, "--help").stdout))

    assert options("build") - options("plan") == {"--quiet", "--report"}
    assert options("plan") <= options("build")
    flags = {f"--{name.replace('_', '-')}" for name in SETTINGS if name != "input"}
    assert flags <= options("build")


def test_sample(tmp_path: Path) -> None:
    done = run_cli("sample", tmp_path / "in", "--symbols", 6, "--years", 1, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    again = run_cli("sample", tmp_path / "again", "--symbols", 6, "--years", 1, cwd=tmp_path)
    assert again.returncode == 0
    assert picture(tmp_path / "in") == picture(tmp_path / "again")
    assert run_cli("build", tmp_path / "in", "-q", cwd=tmp_path).returncode == 0
    assert read(tmp_path / "daily_weekly").num_rows > 1000
    assert run_cli("sample", tmp_path / "other", "--layout", "heap", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str) -> None:
    done = run_cli(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: weekly-cli {command}")
    assert all(len(line) <= 80 and line.isprintable() for line in done.stdout.splitlines())


def test_help_tells_the_exit_codes() -> None:
    done = run_cli("--help")
    said = " ".join(done.stdout.split())
    assert done.returncode == 0
    assert all(command in said for command in COMMANDS)
    for row in errors.EXIT_CODES:
        assert f"{row.code} {row.meaning}" in said


@pytest.mark.parametrize("args", [["--help"], ["build", "--help"], ["plan", "--help"]], ids=str)
def test_help_imports_neither_pandas_nor_pyarrow(args: list[str]) -> None:
    script = f"""
import sys
from weekly_cli import cli
sys.argv = ["weekly-cli", *{args!r}]
from weekly_cli.cli import process; process._leave = lambda code: sys.exit(code) if code else None
cli.main()
heavy = sorted({{"pandas", "pyarrow", "joblib"}} & set(sys.modules))
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "usage:" in done.stdout


# ---- settings: what the command resolves -----------------------------------------------------------------


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No settings from outside; the signal handler and the garbage collector's work back."""
    for name in os.environ:
        if name.startswith("WEEKLY_CLI_"):
            monkeypatch.delenv(name)
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
    gc.unfreeze()


def code_of(monkeypatch: pytest.MonkeyPatch, *args: str) -> int:
    """Run `main` in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["weekly-cli", *args])
    monkeypatch.setattr(process, "_leave", sys.exit)
    with pytest.raises(SystemExit) as end:
        cli.main()
    return int(end.value.code or 0)


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Config]:
    """Return the settings with which the pipeline would run, in an empty current folder."""
    caught: list[Config] = []

    def run(config: Config, *_: object) -> None:
        caught.append(config)
        raise errors.InputRefused("caught")

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.chdir(tmp_path)

    def resolve(*args: str) -> Config:
        caught.clear()
        assert code_of(monkeypatch, "build", *args) == 3
        assert len(caught) == 1
        return caught[0]

    return resolve


FLAGS: list[tuple[list[str], dict[str, Any]]] = [
    ([], {}),
    (["--output", "x"], {"output": "x"}),
    (["-o", "x.parquet"], {"output": "x.parquet"}),
    (["--columns", "symbol=T,close=L"], {"columns": (("symbol", "T"), ("close", "L"))}),
    (["--columns", "symbol=T", "--columns", "close=The Close"], {"columns": (("symbol", "T"), ("close", "The Close"))}),
    (["--week", "W-SUN"], {"week": "W-SUN"}),
    (["--available", "week-end"], {"available": "week-end"}),
    (["--features", "momentum,w_vol_12"], {"features": "momentum,w_vol_12"}),
    (["--features", "momentum", "--features", "-w_rsi_14"], {"features": "momentum,-w_rsi_14"}),
    (["--benchmark", "SPY", "--benchmark", "BRK B"], {"benchmark": ("SPY", "BRK B")}),
    (["--sector-map", "s.csv"], {"sector_map": "s.csv"}),
    (["--price", "adj close"], {"price": "adj close"}),
    (["--dtype", "float64"], {"dtype": "float64"}),
    (["--symbols", "A,B"], {"symbols": ("A", "B")}),
    (["--symbols", "A", "--symbols", "B,C"], {"symbols": ("A", "B", "C")}),
    (["--max-symbols", "3"], {"max_symbols": 3}),
    (["--start", "2024-03-01"], {"start": datetime.date(2024, 3, 1)}),
    (["--end", "2024-03-01"], {"end": datetime.date(2024, 3, 1)}),
    (["--on-duplicates", "last"], {"on_duplicates": "last"}),
    (["--on-bad-rows", "drop"], {"on_bad_rows": "drop"}),
    (["--replace-features"], {"replace_features": True}),
    (["--jobs", "2"], {"jobs": 2}),
    (["-j", "-2"], {"jobs": -2}),
    (["--memory-limit", "2GB"], {"memory_limit": 2 * 10**9}),
    (["--memory-limit", "512MiB"], {"memory_limit": 2**29}),
    (["--memory-limit", "auto"], {"memory_limit": None}),
    (["--strategy", "per-symbol"], {"strategy": "per-symbol"}),
    (["--compression", "none"], {"compression": "none"}),
    (["--overwrite"], {"overwrite": True}),
    (["--allow-empty"], {"allow_empty": True}),
    (["--work-dir", "/fast"], {"work_dir": "/fast"}),
    (["--wait", "2.5"], {"wait": 2.5}),
    (["--fresh"], {"fresh": True}),
    (["--keep-work"], {"keep_work": True}),
    (["--strict"], {"strict": True}),
    (["--task-timeout", "90"], {"task_timeout": 90.0}),
    (["--features=-w_rsi_14"], {"features": "-w_rsi_14"}),
    (["--output=x=y"], {"output": "x=y"}),
    (["--price", "--overwrite"], {"price": "--overwrite"}),  # an option takes the next word, whatever it is
    (["--quiet"], {}),
    (["--json"], {}),
]


@pytest.mark.parametrize(
    ("flags", "expected"), FLAGS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_flags(resolved: Callable[..., Config], flags: list[str], expected: dict[str, Any]) -> None:
    assert resolved("prices", *flags) == Config(input="prices", **expected)


def test_every_setting_has_a_flag_test() -> None:
    assert {name for _, expected in FLAGS for name in expected} == set(SETTINGS) - {"input"}


ENVIRONMENT: dict[str, tuple[str, Any]] = {
    "output": ("x", "x"),
    "columns": ("symbol=T,close=The Close", (("symbol", "T"), ("close", "The Close"))),
    "week": ("W-SUN", "W-SUN"),
    "available": ("week-end", "week-end"),
    "features": ("momentum,w_vol_12", "momentum,w_vol_12"),
    "benchmark": ("BRK B", ("BRK B",)),
    "sector_map": ("s.csv", "s.csv"),
    "price": ("adj close", "adj close"),
    "dtype": ("float64", "float64"),
    "symbols": ("A,BRK B", ("A", "BRK B")),
    "max_symbols": ("3", 3),
    "start": ("2024-03-01", datetime.date(2024, 3, 1)),
    "end": ("2024-03-01", datetime.date(2024, 3, 1)),
    "on_duplicates": ("last", "last"),
    "on_bad_rows": ("drop", "drop"),
    "replace_features": ("1", True),
    "jobs": ("-2", -2),
    "memory_limit": ("2GB", 2 * 10**9),
    "strategy": ("batched", "batched"),
    "compression": ("lz4", "lz4"),
    "overwrite": ("true", True),
    "allow_empty": ("true", True),
    "work_dir": ("/fast", "/fast"),
    "wait": ("60", 60.0),
    "fresh": ("yes", True),
    "keep_work": ("1", True),
    "strict": ("on", True),
    "task_timeout": ("0.5", 0.5),
}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_environment(resolved: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text, value = ENVIRONMENT[name]
    monkeypatch.setenv("WEEKLY_CLI_INPUT", "prices")
    monkeypatch.setenv(f"WEEKLY_CLI_{name.upper()}", text)
    assert resolved() == Config(input="prices", **{name: value})


@pytest.mark.parametrize(
    ("name", "text"), [("JOBS", "two"), ("MAX_SYMBOLS", "1.5"), ("OVERWRITE", "perhaps"), ("QUIET", "2"), ("WEEK", "x")]
)
def test_an_environment_that_has_no_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"WEEKLY_CLI_{name}", text)
    assert code_of(monkeypatch, "build", "prices") == 2
    said = one_line(capsys.readouterr().err)
    assert name in said.upper()
    assert repr(text) in said


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("off", False), ("", False)])
def test_switches_of_the_environment(
    resolved: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, text: str, value: bool
) -> None:
    monkeypatch.setenv("WEEKLY_CLI_OVERWRITE", text)
    assert resolved("prices").overwrite is value


def test_after_two_dashes_a_word_is_no_option(resolved: Callable[..., Config]) -> None:
    assert resolved("--jobs", "2", "--", "--jobs") == Config(input="--jobs", jobs=2)


def test_the_environment_of_the_user_and_the_garbage_collector_stay(
    resolved: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    resolved("prices")
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    assert gc.isenabled()


def test_every_setting_has_an_environment_test() -> None:
    assert ENVIRONMENT.keys() == set(SETTINGS) - {"input"}


FILE = """
input = "prices"
output = "from file"
columns = {symbol = "T", close = "a,b=c"}
benchmark = "SPY"
features = ["momentum", "w_ret"]
symbols = ["A", "B,C"]
start = 2024-03-01
end = "2024-03-04"
jobs = 2
memory_limit = "2GB"
on-duplicates = "last"
overwrite = true
"""
FROM_FILE: dict[str, Any] = {
    "input": "prices",
    "output": "from file",
    "columns": (("symbol", "T"), ("close", "a,b=c")),
    "benchmark": ("SPY",),
    "features": "momentum,w_ret",
    "symbols": ("A", "B,C"),
    "start": datetime.date(2024, 3, 1),
    "end": datetime.date(2024, 3, 4),
    "jobs": 2,
    "memory_limit": 2 * 10**9,
    "on_duplicates": "last",
    "overwrite": True,
}


@pytest.mark.parametrize("name", ["weekly.toml", "pyproject.toml"])
def test_settings_file(resolved: Callable[..., Config], tmp_path: Path, name: str) -> None:
    table = "" if name == "weekly.toml" else "[project]\nname = 'x'\n[tool.weekly-cli]\n"
    (tmp_path / name).write_text(table + FILE)
    assert resolved() == Config(**FROM_FILE)


def test_weekly_toml_beats_pyproject(resolved: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.weekly-cli]\ninput = "project"\n')
    assert resolved().input == "project"
    (tmp_path / "weekly.toml").write_text('input = "weekly"\n')
    assert resolved().input == "weekly"


def test_a_flag_beats_the_environment_beats_the_file(
    resolved: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weekly.toml").write_text(FILE)
    monkeypatch.setenv("WEEKLY_CLI_OUTPUT", "from environment")
    monkeypatch.setenv("WEEKLY_CLI_JOBS", "3")
    monkeypatch.setenv("WEEKLY_CLI_BENCHMARK", "QQQ")
    found = resolved("typed", "--jobs", "4", "--features", "volume")
    expected = {"input": "typed", "output": "from environment", "jobs": 4, "benchmark": ("QQQ",), "features": "volume"}
    assert found == Config(**{**FROM_FILE, **expected})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("inptu = 'x'", "input"),
        ("input = 3", "--input"),
        ("input = 'x'\njobs = 'two'", "--jobs"),
        ("input = 'x'\njobs = true", "--jobs"),
        ("input = 'x'\noverwrite = 'yes'", "--overwrite"),
        ("input = 'x'\nweek = 5", "--week"),
        ("input = 'x'\nmemory_limit = 512", "unit"),
        ("input = 'x'\nsymbols = [1]", "--symbols"),
        ("input = ", "TOML"),
    ],
)
def test_a_settings_file_that_has_no_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, word: str
) -> None:
    (tmp_path / "weekly.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert code_of(monkeypatch, "build") == 2
    assert word in one_line(capsys.readouterr().err)


@pytest.mark.parametrize("how", ["folder", "no_table"])
def test_a_settings_file_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    if how == "folder":
        (tmp_path / "weekly.toml").mkdir()
    else:
        (tmp_path / "pyproject.toml").write_text("[tool]\nweekly-cli = 3\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert code_of(monkeypatch, "build", "prices") == 2
    assert "toml" in one_line(capsys.readouterr().err)


def test_settings_through_the_process(tmp_path: Path, prices: Path) -> None:
    (tmp_path / "prices.parquet").write_bytes(prices.read_bytes())
    (tmp_path / "weekly.toml").write_text('input = "prices.parquet"\noutput = "a"\nfeatures = "w_ret"\n')
    assert run_cli("build", "--jobs", "-1", "-q", cwd=tmp_path).returncode == 0
    assert read(tmp_path / "a").column_names == [*OWN, "w_ret"]
    env = {"WEEKLY_CLI_OUTPUT": "b", "WEEKLY_CLI_FEATURES": "w_mom_4", "WEEKLY_CLI_QUIET": "1"}
    done = run_cli("build", "--features", "w_close", cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert read(tmp_path / "b").column_names == [*OWN, "w_close"]
    assert names_beside(tmp_path / "a") == ["a", "b", "prices.parquet", "weekly.toml"]


def test_own_data_from_the_root_of_this_repository(tmp_path: Path, prices: Path) -> None:
    """The README's second command: the settings that this repository has for its sample must not spoil it."""
    root = Path(__file__).parents[1]
    done = run_cli("build", prices, "--output", tmp_path / "out", "--jobs", "-1", "-q", cwd=root)
    assert (done.returncode, done.stderr) == (0, "")


# ---- how a run ends --------------------------------------------------------------------------------------


def test_a_bug_is_one_line_and_a_log_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: object) -> None:
        raise ZeroDivisionError("the first line\nthe second")

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert code_of(monkeypatch, "build", "prices") == 1
    said = capsys.readouterr()
    assert said.out == ""
    line = one_line(said.err)
    assert "bug: ZeroDivisionError: the first line" in line
    (log,) = tmp_path.iterdir()
    assert str(log) in line
    text = log.read_text()
    assert "Traceback (most recent call last)" in text
    assert "the second" in text
    assert "'build', 'prices'" in text


def test_symbols_that_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prices: Path
) -> None:
    work = pipeline.run_task

    def run(task: Any) -> Any:
        if "BBB" in task.symbols.to_pylist():
            raise FloatingPointError("no luck")
        return work(task)

    monkeypatch.setattr(pipeline, "run_task", run)
    monkeypatch.chdir(tmp_path)
    assert code_of(monkeypatch, "build", str(prices), "-q", "--report", "report.json") == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "BBB: FloatingPointError: no luck" in said.err
    assert read(tmp_path / "daily_weekly").column("symbol").unique().to_pylist() == ["AAA", "SPY"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rejected"] == [["BBB", "FloatingPointError: no luck"]]
    assert (report["rows"], report["symbols"]) == (600, 2)


def test_every_symbol_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prices: Path
) -> None:
    def run(task: Any) -> Any:
        raise FloatingPointError("no luck")

    monkeypatch.setattr(pipeline, "run_task", run)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert code_of(monkeypatch, "build", str(prices), "-q") == 1
    assert "no luck" in one_line(capsys.readouterr().err)
    assert not (tmp_path / "daily_weekly").exists()


@pytest.mark.parametrize("kind", [errors.UsageError, errors.InputRefused, errors.BudgetError, errors.OutputConflict])
def test_an_expected_end_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: type[errors.WeeklyError]
) -> None:
    def run(*_: object) -> None:
        raise kind("this is why")

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.chdir(tmp_path)
    assert code_of(monkeypatch, "build", "prices") == kind.exit_code
    assert one_line(capsys.readouterr().err) == "weekly-cli: this is why"


def test_bytes_that_are_no_text(tmp_path: Path, prices: Path) -> None:
    """A file's name may be any bytes; a symbol may not. Neither is a bug."""
    odd = os.fsencode(tmp_path) + b"/p\xff.parquet"
    Path(os.fsdecode(odd)).write_bytes(prices.read_bytes())
    for args in (["build", os.fsdecode(odd)], ["build", str(prices), "--symbols", "\udcff"]):
        process = subprocess.run(
            [os.fsencode(COMMAND), *map(os.fsencode, args), b"-q"],
            cwd=tmp_path,
            env=environment({"TMPDIR": str(tmp_path)}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert process.returncode in (0, 2, 3), process.stderr


def test_the_number_of_columns_that_the_report_tells(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, "--json", "-q", "--benchmark", "SPY", cwd=tmp_path)
    report = json.loads(done.stdout)
    assert report["features"] == len(registry(["spy"]))
    assert report["columns"] == len(OWN) + report["features"] == read(tmp_path / "daily_weekly").num_columns
    assert report["seconds"].keys() == {*STAGES, "total"}
    assert report["output"] == "daily_weekly"
    assert report["bytes_written"] == sum(path.stat().st_size for path in (tmp_path / "daily_weekly").iterdir())
