"""The command as its users and their scripts meet it: exit codes, streams, signals, settings, views."""

from __future__ import annotations

import datetime
import functools
import gc
import importlib.metadata
import json
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer.main
from frames import (
    COMMAND,
    MANY,
    OWN,
    ROOT,
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
    run_line,
    run_words,
    start_cli,
    wait_for,
    write,
    write_files,
)

import weekly_cli
from weekly_cli import cli, errors
from weekly_cli.cli import process
from weekly_cli.cli.commands import PANELS
from weekly_cli.cli.process import _STOP_SECONDS
from weekly_cli.compute.features import catalogue
from weekly_cli.run import fan_out, pipeline
from weekly_cli.run.report import Report
from weekly_cli.settings import SETTINGS, Config

COMMANDS = tuple(name for names in PANELS.values() for name in names)
STAGES = ("scan", "plan", "fan out", "publish")


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(["AAA", "BBB", "SPY"], 300), tmp_path_factory.mktemp("prices") / "prices.parquet")


@pytest.fixture(scope="module", autouse=True)
def one_parser() -> Iterator[None]:
    """Typer makes the parser of all commands at each call in this process, from what stays as it is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(typer.main, "get_command", functools.cache(typer.main.get_command))
        yield


def one_line(text: str) -> str:
    assert text.endswith("\n")
    assert text.count("\n") == 1, text
    assert text[:-1].isprintable()
    return text[:-1]


# ---- exit codes through the process ----------------------------------------------------------------------


def test_a_build_that_works_ends_with_0_and_leaves_its_output_alone(tmp_path: Path, prices: Path) -> None:
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
    "writer": (["--writer", "spark"], "arrow"),
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


#: What the parser itself refuses: the words, the command whose help is named, and what is suggested.
REFUSED_BY_THE_PARSER = {
    "option": (["build", "x", "--jbos", "2"], "weekly-cli build", "--jobs"),
    "short option": (["build", "x", "-z"], "weekly-cli build", "-z"),
    "option of another command": (["plan", "x", "--quite"], "weekly-cli plan", "--quite"),
    "option without its value": (["build", "x", "--jobs"], "weekly-cli build", "requires an argument"),
    "command": (["bild"], "weekly-cli", "Did you mean 'build'?"),
    "argument that is missing": (["sample"], "weekly-cli sample", "folder"),
    "value of a command's own": (["verify", "x", "--dates", "many"], "weekly-cli verify", "--dates"),
    "too many": (["features", "x", "y"], "weekly-cli features", "unexpected extra argument"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED_BY_THE_PARSER)
def test_what_the_parser_refuses_is_a_panel_that_names_the_right_help(tmp_path: Path, name: str) -> None:
    words, command, suggestion = REFUSED_BY_THE_PARSER[name]
    done = run_cli(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Try '{command} --help' for help." in done.stderr
    assert "─ Error ─" in done.stderr
    assert suggestion in done.stderr
    assert all(len(line) <= 80 and line.isprintable() for line in done.stderr.splitlines())
    assert list(tmp_path.iterdir()) == []
    help_of = run_cli(*command.split()[1:], "--help", cwd=tmp_path)
    assert help_of.returncode == 0, "the advice works"


def test_without_a_command_the_commands_are_listed(tmp_path: Path) -> None:
    done = run_cli(cwd=tmp_path)
    assert done.returncode == 2
    assert re.findall("─ ([A-Z][a-z]+) ─", done.stdout + done.stderr) == ["Options", *PANELS]


NEAR: dict[str, tuple[list[str], str]] = {
    "feature": (["--features", "w_rsi_141"], "did you mean w_rsi_14?"),
    "family": (["--features", "momentun"], "did you mean momentum?"),
    "choice": (["--week", "W-FRD"], "did you mean W-FRI?"),
    "symbol": (["--symbols", "AAB"], "did you mean AAA?"),
    "benchmark": (["--benchmark", "spi"], "did you mean SPY?"),
    "price": (["--price", "closes"], "did you mean close?"),
    "column": (["--columns", "close=closes"], "did you mean close?"),
    "role": (["--columns", "symbl=symbol"], "did you mean symbol?"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NEAR)
def test_what_is_near_is_suggested(tmp_path: Path, prices: Path, name: str) -> None:
    args, suggestion = NEAR[name]
    done = run_cli("build", prices, "-q", *args, cwd=tmp_path)
    assert done.returncode in (2, 3)
    assert suggestion in one_line(done.stderr)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_error_names_where_a_value_came_from(tmp_path: Path, prices: Path) -> None:
    """Whether it is found when settings are read, or when the input is there."""
    for name, value in (("week", "W-FRD"), ("features", "momentun"), ("symbols", "AAB"), ("price", "closes")):
        done = run_cli("plan", prices, cwd=tmp_path, env={f"WEEKLY_CLI_{name.upper()}": value})
        assert f"WEEKLY_CLI_{name.upper()}" in one_line(done.stderr)
        (tmp_path / "weekly.toml").write_text(f"{name} = {value!r}\n")
        done = run_cli("plan", prices, cwd=tmp_path)
        assert f"{name} in {tmp_path}/weekly.toml" in one_line(done.stderr)
        (tmp_path / "weekly.toml").unlink()
        done = run_cli("plan", prices, f"--{name}", value, cwd=tmp_path)
        assert f"--{name}" in one_line(done.stderr)


def test_a_variable_of_no_setting_is_warned_of(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, "-q", cwd=tmp_path, env={"WEEKLY_CLI_JBOS": "2", "WEEKLY_CLI_OVERWRITE": "1"})
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "warning: WEEKLY_CLI_JBOS has no effect: there is no such setting; did you mean WEEKLY_CLI_JOBS?",
        "warning: WEEKLY_CLI_OVERWRITE has no effect: --overwrite is read from the command line alone",
    ]


@pytest.mark.slow
def test_several_inputs_are_one_dataset(tmp_path: Path) -> None:
    """As a shell makes them of `prices/*.parquet` without quotes; hive folders, and a file that is named twice, too."""
    table = daily(["AAA", "BBB"], 60)
    for number, year in ((0, 2022), (1, 2023)):
        write(table.slice(60 * number, 60), tmp_path / "prices" / f"year={year}" / "p.parquet")
    quoted = run_cli("build", "prices/*/*.parquet", "-o", "quoted", "-q", cwd=tmp_path)
    files = ["prices/year=2022/p.parquet", "prices/year=2023/p.parquet"]
    unquoted = run_cli("build", *files, files[0], "-o", "unquoted", "-q", cwd=tmp_path)
    folder = run_cli("build", "prices", "-o", "folder", "-q", cwd=tmp_path)
    assert (quoted.returncode, unquoted.returncode, folder.returncode) == (0, 0, 0), unquoted.stderr
    assert read(tmp_path / "quoted").equals(read(tmp_path / "unquoted"))
    assert read(tmp_path / "quoted").equals(read(tmp_path / "folder"))
    assert read(tmp_path / "quoted").num_rows == 120
    assert run_cli("verify", tmp_path / "unquoted", cwd=tmp_path / "prices").returncode == 0
    (tmp_path / "weekly.toml").write_text(f"input = {files!r}\noutput = 'listed'\n")
    assert run_cli("build", "-q", cwd=tmp_path).returncode == 0
    assert read(tmp_path / "listed").equals(read(tmp_path / "folder"))
    missing = run_cli("build", files[0], "nowhere.parquet", "-q", cwd=tmp_path)
    assert missing.returncode == 3
    assert "nowhere.parquet" in one_line(missing.stderr)


@pytest.mark.soak
@pytest.mark.slow
def test_very_many_inputs_do_not_swell_the_output(tmp_path: Path) -> None:
    table = daily([f"S{number:03d}" for number in range(40)], 30, order="symbol")
    files = write_files(table, tmp_path / "prices", 40)
    names = sorted(str(path) for path in files.iterdir())
    assert run_cli("build", *names, "-o", "out", "-q", cwd=tmp_path).returncode == 0
    (part,) = (tmp_path / "out").iterdir()
    record = json.loads(pq.read_schema(part).metadata[b"weekly_cli"])
    assert record["paths"]["input"] == [str(files)]
    assert run_cli("verify", "out", cwd=tmp_path).returncode == 0
    assert run_cli("build", *names[:39], "-o", "out", "-q", cwd=tmp_path).returncode == 0
    (part,) = (tmp_path / "out").iterdir()
    record = json.loads(pq.read_schema(part).metadata[b"weekly_cli"])
    assert record["paths"]["input"] == names[:39], "the folder holds more than was built"


def test_quiet_json_and_report_may_stand_in_the_file(tmp_path: Path, prices: Path) -> None:
    (tmp_path / "weekly.toml").write_text(f'input = "{prices}"\nquiet = true\njson = true\nreport = "run.json"\n')
    done = run_cli("build", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == json.loads((tmp_path / "run.json").read_text())
    done = run_cli("build", "--no-quiet", "--no-json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("scan:")


@pytest.mark.slow
@pytest.mark.parametrize("there", ["notes", "prices", "other json", "report", "empty", "device"])
def test_a_report_takes_the_place_of_a_report_only(tmp_path: Path, prices: Path, there: str) -> None:
    target = tmp_path / "run.json"
    if there == "device":
        target = Path("/dev/null")
    elif there == "report":
        assert run_cli("build", prices, "-q", "--report", target, cwd=tmp_path).returncode == 0
    else:
        target.write_bytes({"notes": b"precious", "prices": prices.read_bytes(), "other json": b"{}"}.get(there, b""))
    before = picture(tmp_path)
    done = run_cli("build", prices, "-q", "--report", target, "-o", "out", cwd=tmp_path)
    if there in ("report", "empty", "device"):
        assert done.returncode == 0
    else:
        assert done.returncode == 2
        assert "is not a report of weekly-cli" in one_line(done.stderr)
        assert picture(tmp_path) == before


def test_neither_report_nor_work_folder_may_lie_in_the_output(tmp_path: Path, prices: Path) -> None:
    build(prices, tmp_path / "out", features="w_ret")
    before = picture(tmp_path)
    for flag, path in (("--report", "out/run.json"), ("--work-dir", "out")):
        done = run_cli("build", prices, "-q", "-o", "out", flag, path, cwd=tmp_path)
        assert done.returncode == 2
        assert flag in one_line(done.stderr)
        assert picture(tmp_path) == before


def test_a_current_folder_that_is_gone_is_one_line_and_exit_2(tmp_path: Path, prices: Path) -> None:
    script = f"mkdir gone; cd gone; rmdir ../gone; '{COMMAND}' build '{prices}' -o '{tmp_path}/out' -q"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "current folder" in one_line(done.stderr)


def test_without_an_input_the_ways_to_name_one_are_told(tmp_path: Path) -> None:
    done = run_cli("build", "--jobs", "-1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    sentence = one_line(done.stderr)
    for way in ("weekly-cli build PRICES", "WEEKLY_CLI_INPUT", "weekly.toml", "pyproject.toml"):
        assert way in sentence


def test_an_input_that_is_refused_is_one_line_and_exit_3(tmp_path: Path, prices: Path) -> None:
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


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["auto", "batched"])
def test_a_memory_limit_that_is_too_small_is_one_line_and_exit_5(tmp_path: Path, prices: Path, strategy: str) -> None:
    done = run_cli("build", prices, "--memory-limit", "8MiB", "--strategy", strategy, "-q", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (5, "")
    assert "--memory-limit" in one_line(done.stderr)
    assert list(tmp_path.iterdir()) == []
    assert run_cli("plan", prices, "--memory-limit", "8MiB", cwd=tmp_path).returncode == 5


def test_an_output_folder_with_strangers_in_it_is_refused_with_exit_6(tmp_path: Path, prices: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("precious")
    before = picture(tmp_path)
    for more in ((), ("--overwrite",)):
        done = run_cli("build", prices, "-o", "out", *more, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (6, "")
        assert "notes.txt" in one_line(done.stderr)
        assert picture(tmp_path) == before


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["x" * 240, "x" * 300, "x" * 300 + ".parquet"])
def test_an_output_whose_name_is_too_long_is_one_line_and_exit_6(tmp_path: Path, prices: Path, name: str) -> None:
    done = run_cli("build", prices, "-o", name, "-q", cwd=tmp_path, env={"TMPDIR": str(tmp_path)})
    assert done.returncode == 6
    assert "too long" in one_line(done.stderr)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "group", "code"),
    [(signal.SIGINT, False, 130), (signal.SIGINT, True, 130), (signal.SIGTERM, False, 143)],
    ids=["int", "int_group", "term"],
)
def test_a_signal_ends_the_run_and_its_workers_and_leaves_the_old_output(
    tmp_path: Path, bulk: Path, prices: Path, number: int, group: bool, code: int
) -> None:
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
    assert re.fullmatch(
        r"weekly-cli: (interrupted|terminated); the output is as it was, and the same command finishes the work"
        r"(; .*/\.out\.weekly-cli-work has [\d.]+ MiB of it, which weekly-cli clean .*/out removes)?",
        said.splitlines()[-1],
    )


@pytest.mark.alone
@pytest.mark.slow
def test_an_interrupt_while_it_scans_can_be_gone_on_from(tmp_path: Path, bulk: Path) -> None:
    """What it leaves is what it had done by then, or nothing, and the same command finishes the work."""
    words = ("build", bulk, "-o", tmp_path / "out", "--features", "returns")
    with start_cli(*words) as process:
        assert wait_for(lambda: any(tmp_path.iterdir()), 30)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=5)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert {path.name for path in tmp_path.iterdir()} <= {".out.weekly-cli-work"}
    assert run_cli(*words).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


#: Ctrl-C, as a terminal sends it to all, in the moment in which workers have been started.
INTERRUPTED_START = """
import os, signal
from weekly_cli import cli
from joblib.externals.loky import process_executor

class Interrupted(process_executor.ProcessPoolExecutor):
    def submit(self, *args):
        future = super().submit(*args)
        os.killpg(0, signal.SIGINT)
        return future

process_executor.ProcessPoolExecutor = Interrupted
cli.main()
"""


@pytest.mark.alone
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


#: An end of the workers that never comes; the command's patience with it is shorter than it is.
ENDLESS_END = """
import time
from weekly_cli import cli
from weekly_cli.cli import process
from weekly_cli.run.engines import pool

process._STOP_SECONDS = 1.0
pool.Pool.close = lambda _: time.sleep(600)
cli.main()
"""


@pytest.mark.alone
@pytest.mark.slow
def test_a_pool_that_does_not_close_holds_no_end_up(tmp_path: Path, bulk: Path) -> None:
    assert _STOP_SECONDS <= 4, "the promise is five"
    words = [sys.executable, "-c", ENDLESS_END, "build", str(bulk), "-o", str(tmp_path / "out"), *MANY]
    with subprocess.Popen(
        [*words, "--strategy", "adaptive", "-q"], env=environment({"TRIAL": str(tmp_path)})
    ) as process:
        assert wait_for(lambda: in_the_middle(tmp_path), 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(3) == 143
    assert wait_for(lambda: not marked("TRIAL", str(tmp_path)), 2)
    assert run_cli("build", bulk, "-o", tmp_path / "out", "--features", "w_close").returncode == 0
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
    for word in ("in ", "roles", "symbols", "weekly bars", "out ", "quality", "time", "in Python", "next"):
        assert word in done.stderr
    verbose = run_cli("build", prices, "-v", cwd=tmp_path)
    for word in ("in tasks", "rate", "strategy", "fragments", "pool", "CPU use", "memory", "bytes"):
        assert word not in done.stderr
        assert f"\n{word} " in verbose.stderr


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


def test_quiet_says_nothing(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_report_file_is_what_json_prints(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, "-q", "--report", "report.json", "--json", cwd=tmp_path)
    assert done.returncode == 0
    assert json.loads((tmp_path / "report.json").read_text()) == json.loads(done.stdout)
    assert names_beside(tmp_path / "report.json") == ["daily_weekly", "report.json"]


@pytest.mark.parametrize("target", ["folder", "nowhere/report.json", "prices.parquet/report.json"])
def test_a_report_that_can_not_be_written_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prices: Path, target: str
) -> None:
    def run(*_: object) -> None:
        raise AssertionError("the work began")

    (tmp_path / "folder").mkdir()
    (tmp_path / "prices.parquet").write_bytes(prices.read_bytes())
    monkeypatch.setattr(pipeline, "run", run)
    assert code_of(monkeypatch, "build", str(prices), "--report", str(tmp_path / target)) == 2
    assert "--report" in one_line(capsys.readouterr().err)


def test_a_report_into_a_pipe_leaves_the_pipe(tmp_path: Path, prices: Path) -> None:
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


@pytest.mark.slow
@pytest.mark.parametrize("args", [["features"], ["build", "--json", "-q"], ["build", "--help"], ["--help"]], ids=str)
def test_output_into_a_closed_pipe_ends_normally(tmp_path: Path, prices: Path, args: list[str]) -> None:
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


def test_output_into_head_ends_normally(tmp_path: Path) -> None:
    script = f"set -o pipefail; '{COMMAND}' features | head -1"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    assert done.stdout.split()[:2] == ["family", "column"]
    assert done.returncode in (0, 128 + signal.SIGPIPE)


def test_on_a_terminal_no_line_is_wider_than_it(tmp_path: Path, prices: Path) -> None:
    deep = tmp_path / ("a long name of a folder " * 5)
    code, said = on_a_terminal(
        "build", prices, "-v", "-o", deep / "out", "--strategy", "batched", cwd=tmp_path, env={"COLUMNS": "80"}
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


def test_features_lists_every_column_with_its_formula(tmp_path: Path) -> None:
    table, listed = run_cli("features", cwd=tmp_path), run_cli("features", "--json", cwd=tmp_path)
    assert (table.returncode, table.stderr, listed.returncode, listed.stderr) == (0, "", 0, "")
    rows = json.loads(listed.stdout)
    assert [row["column"] for row in rows] == [feature.name for feature in catalogue(["{b}"]).features]
    assert all(row["formula"] and row["family"] and row["first_bar"] is not None for row in rows)
    words = table.stdout.split()
    assert all(row["column"] in words for row in rows)
    assert all(len(line) <= 80 for line in table.stdout.splitlines())
    assert table.stdout.isascii() or all(line.isprintable() for line in table.stdout.splitlines())
    shown, formulas = re.sub(r"\s+", "", table.stdout), [row["formula"] for row in rows]
    assert all(re.sub(r"\s+", "", formula)[:12] in shown for formula in formulas)


@pytest.mark.slow
def test_plan_tells_the_strategy_and_builds_nothing(tmp_path: Path, prices: Path) -> None:
    shown, listed = run_cli("plan", prices, cwd=tmp_path), run_cli("plan", prices, "--json", cwd=tmp_path)
    assert (shown.returncode, shown.stderr, listed.returncode, listed.stderr) == (0, "", 0, "")
    said = json.loads(listed.stdout)
    assert said["strategy"].startswith("direct: ")
    assert said.pop("findings") == []
    assert said.pop("estimate")["rows"] == 900
    verbose = run_cli("plan", prices, "-v", cwd=tmp_path)
    for name in said:
        assert name.replace("_", " ") in verbose.stdout
        assert (name in shown.stdout) == (name not in ("partition", "tasks", "workers")) or "_" in name
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())
    assert list(tmp_path.iterdir()) == []
    other = json.loads(run_cli("plan", prices, "--json", "--strategy", "per-symbol", "-j", "1", cwd=tmp_path).stdout)
    assert other["tasks"].startswith("3 ")
    assert "--strategy" in other["strategy"]


@pytest.mark.slow
def test_plan_takes_the_options_of_build() -> None:
    def options(command: str) -> set[str]:
        return set(re.findall(r"--[a-z][a-z0-9-]+", run_cli(command, "--help").stdout))

    assert options("build") - options("plan") == {"--quiet", "--report", "--log-file", "--if-changed"}
    assert options("plan") <= options("build")
    assert {row.flag for row in SETTINGS.values() if not row.is_argument} <= options("build")


def test_a_sample_goes_into_an_empty_folder_only(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "prices_2018.parquet").write_text("precious")
    before = picture(tmp_path)
    done = run_cli("sample", tmp_path / "in", "--symbols", 6, "--years", 1, cwd=tmp_path)
    assert done.returncode == 6
    assert "empty folder" in one_line(done.stderr)
    assert picture(tmp_path) == before


def test_config_shows_what_is_in_force_and_where_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "weekly.toml").write_text('input = "a"\njobs = 2\n')
    done = run_cli("config", "--json", cwd=tmp_path, env={"WEEKLY_CLI_JOBS": "3", "WEEKLY_CLI_BENCHMARK": "SPY,QQQ"})
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    assert shown.keys() == SETTINGS.keys()
    assert shown["input"] == {"value": "a", "from": f"input in {tmp_path}/weekly.toml"}
    assert shown["jobs"] == {"value": 3, "from": "WEEKLY_CLI_JOBS"}
    assert shown["benchmark"] == {"value": ["SPY", "QQQ"], "from": "WEEKLY_CLI_BENCHMARK"}
    assert shown["week"] == {"value": "W-FRI", "from": "default"}
    table = run_cli("config", cwd=tmp_path)
    assert (table.returncode, table.stderr) == (0, "")
    assert [line.split()[0] for line in table.stdout.splitlines() if line[0] != " "] == ["setting", *SETTINGS]
    assert "weekly.toml" in re.sub(r"\s", "", table.stdout)


def test_the_schema_knows_what_the_file_may_say(tmp_path: Path) -> None:
    done = run_cli("config", "--schema", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    schema = json.loads(done.stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema).is_valid
    assert check(json.loads(json.dumps(tomllib.loads(FILE), default=str)))
    for bad in ({"week": "W-FRD"}, {"jobs": 0}, {"jobs": "2"}, {"overwrite": True}, {"wait": -1}, {"inptu": "x"}):
        assert not check(bad), bad


def test_version_names_its_libraries(tmp_path: Path) -> None:
    done = run_cli("--version", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    libraries = ("pyarrow", "pandas", "numpy", "joblib", "typer", "rich")
    told = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in libraries)
    assert done.stdout == f"weekly-cli {weekly_cli.__version__} ({told})\n"


@pytest.mark.slow
def test_a_sample_can_be_built_and_is_the_same_each_time(tmp_path: Path) -> None:
    done = run_cli("sample", tmp_path / "in", "--symbols", 6, "--years", 1, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    again = run_cli("sample", tmp_path / "again", "--symbols", 6, "--years", 1, cwd=tmp_path)
    assert again.returncode == 0
    assert picture(tmp_path / "in") == picture(tmp_path / "again")
    assert run_cli("build", tmp_path / "in", "-q", cwd=tmp_path).returncode == 0
    assert read(tmp_path / "daily_weekly").num_rows > 1000
    assert run_cli("sample", tmp_path / "other", "--layout", "heap", cwd=tmp_path).returncode == 2


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_in_80_columns(command: str) -> None:
    done = run_cli(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().startswith(f"Usage: weekly-cli {command}")
    assert all(len(line) <= 80 and line.isprintable() for line in done.stdout.splitlines())
    assert run_cli(command, "-h").stdout == done.stdout


def test_help_shows_panels_choices_ranges_defaults_and_examples() -> None:
    said = run_cli("build", "--help").stdout
    assert re.findall("─ ([A-Z][a-z]+) ─", said) == [
        *("Arguments", "Options", "Input", "Features", "Output", "Run", "Resources"),
    ]
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", said).split())
    for row in SETTINGS.values():
        assert row.is_argument or row.flag in words
        assert row.help.split()[0] in words
    for shown in ("[next-week | week-end]", "[x>=1]", "(default: float32)", "WEEKLY_CLI_INPUT", "Examples:"):
        assert shown in words.replace("next-week | When a bar can be seen:", "next-week |") or shown in words, shown
    assert words.count("WEEKLY_CLI_") <= 4, "not on every line"


@pytest.mark.slow
def test_every_example_of_the_help_works(tmp_path: Path, prices: Path) -> None:
    """As it stands there, in a folder where `prices/` and `weekly/` are."""
    write(read(prices), tmp_path / "prices" / "p.parquet")
    ran = []
    for command in ("build", "plan", "verify", "config"):
        for line in run_cli(command, "--help").stdout.splitlines():
            if not line.strip().startswith("weekly-cli ") or "/data/" in line or "config shows" in line:
                continue
            done = run_line(line.partition(" > ")[0].replace("SPY,QQQ", "SPY,AAA"), tmp_path)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            ran.append(line)
    assert len(ran) >= 7


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
import time
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
    assert "Usage:" in done.stdout


# ---- settings: what the command resolves -----------------------------------------------------------------


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
    (["--week", "auto"], {"week": "auto"}),
    (["--available", "week-end"], {"available": "week-end"}),
    (["--developing"], {"developing": True}),
    (
        ["--cross-section", "rank( w_ret ), zscore(w_ret)  by My Sector", "--cross-section", "rank(w_ret)"],
        {"cross_section": ("rank(w_ret)", "zscore(w_ret) by My Sector")},
    ),
    (
        ["--cross-section", "rank(w_ret)", "--universe", "m.csv", "--min-group", "5"],
        {"cross_section": ("rank(w_ret)",), "universe": "m.csv", "min_group": 5},
    ),
    (["--available", "period-end"], {"available": "week-end"}),
    (["--available", "next-period"], {"available": "next-week"}),
    (["--every", "quarter,week"], {"every": ("week", "quarter")}),
    (["--every", "month", "--every", "2W"], {"every": ("2W", "month")}),
    (["--join", "f.parquet:known", "--join", "a,b.csv:day"], {"join": ("f.parquet:known", "a,b.csv:day")}),
    (
        ["--join", "f.csv:day", "--join-same-day", "--join-max-age", "90"],
        {"join": ("f.csv:day",), "join_same_day": True, "join_max_age": 90},
    ),
    (["--calendar", "XNYS", "--calendar-map", "c.csv"], {"calendar": "XNYS", "calendar_map": "c.csv"}),
    (["--features", "momentum,w_vol_12"], {"features": "momentum,w_vol_12"}),
    (["--features", "momentum", "--features", "-w_rsi_14"], {"features": "momentum,-w_rsi_14"}),
    (["--windows", "rsi=21,7,sma=10,40"], {"windows": (("rsi", (7, 21)), ("sma", (10, 40)))}),
    (["--windows", "macd=8,17,9", "--windows", "mom=1"], {"windows": (("mom", (1,)), ("macd", (8, 17, 9)))}),
    (["--windows", "rsi=14,21,30"], {}),
    (["--plugin", "mine.py", "--plugin", "a,b.py"], {"plugin": ("mine.py", "a,b.py")}),
    (["--benchmark", "SPY", "--benchmark", "BRK B"], {"benchmark": ("SPY", "BRK B")}),
    (["--sector-map", "s.csv"], {"sector_map": "s.csv"}),
    (["--sector-map", "@gics,@subsector"], {"sector_map": "@gics,@subsector"}),
    (["--price", "adj close"], {"price": "adj close"}),
    (["--negative-prices", "absolute"], {"negative_prices": "absolute"}),
    (["--drop-padding"], {"drop_padding": True}),
    (["--adjust-volume", "--price", "adj"], {"adjust_volume": True, "price": "adj"}),
    (["--dtype", "float64"], {"dtype": "float64"}),
    (["--symbol", "A,B"], {"symbol": "A,B"}),
    (["--symbol-map", "m.csv"], {"symbol_map": "m.csv"}),
    (["--wide", "closes"], {"wide": "closes"}),
    (["--date-unit", "ms"], {"date_unit": "ms"}),
    (["--date-format", "%d.%m.%Y"], {"date_format": "%d.%m.%Y"}),
    (["--timezone", "Europe/Berlin"], {"timezone": "Europe/Berlin"}),
    (["--symbols", "A,B"], {"symbols": ("A", "B")}),
    (["--symbols", "A", "--symbols", "B,C"], {"symbols": ("A", "B", "C")}),
    (["--max-symbols", "3"], {"max_symbols": 3}),
    (["--start", "2024-03-01"], {"start": datetime.date(2024, 3, 1)}),
    (["--end", "2024-03-01"], {"end": datetime.date(2024, 3, 1)}),
    (["--on-duplicates", "last"], {"on_duplicates": "last"}),
    (["--on-intraday", "aggregate"], {"on_intraday": "aggregate"}),
    (["--on-bad-rows", "drop"], {"on_bad_rows": "drop"}),
    (["--on-key-conflict", "path"], {"on_key_conflict": "path"}),
    (["--replace-features"], {"replace_features": True}),
    (["--jobs", "2"], {"jobs": 2}),
    (["-j", "-2"], {"jobs": -2}),
    (["--memory-limit", "2GB"], {"memory_limit": 2 * 10**9}),
    (["--memory-limit", "512MiB"], {"memory_limit": 2**29}),
    (["--memory-limit", "auto"], {"memory_limit": None}),
    (["--strategy", "per-symbol"], {"strategy": "per-symbol"}),
    (["--compression", "none"], {"compression": "none"}),
    (["--writer", "arrow"], {"writer": "arrow"}),
    (["--overwrite"], {"overwrite": True}),
    (["--strict", "--no-strict"], {}),
    (["--allow-empty"], {"allow_empty": True}),
    (["--work-dir", "/fast"], {"work_dir": "/fast"}),
    (["--keep-replaced", "60"], {"keep_replaced": 60.0}),
    (["--s3-endpoint", "http://localhost:9000"], {"s3_endpoint": "http://localhost:9000"}),
    (["--s3-region", "eu-central-1"], {"s3_region": "eu-central-1"}),
    (["--s3-anonymous"], {"s3_anonymous": True}),
    (["--engine", "dask"], {"engine": "dask"}),
    (["--engine", "dask", "--scheduler", "tcp://host:8786"], {"engine": "dask", "scheduler": "tcp://host:8786"}),
    (["--wait", "2.5"], {"wait": 2.5}),
    (["--fresh"], {"fresh": True}),
    (["--fail-on", "padding,suspected-split", "--fail-on", "all"], {"fail_on": ("padding", "suspected-split", "all")}),
    (["--ignore", "padding", "--ignore", "stale-prices"], {"ignore": ("padding", "stale-prices")}),
    (["--keep-work"], {"keep_work": True}),
    (["--strict"], {"strict": True}),
    (["--task-timeout", "90"], {"task_timeout": 90.0}),
    (["--features=-w_rsi_14"], {"features": "-w_rsi_14"}),
    (["--output=x=y"], {"output": "x=y"}),
    (["--price", "--overwrite"], {"price": "--overwrite"}),  # an option takes the next word, whatever it is
    (["--quiet"], {"quiet": True}),
    (["-q"], {"quiet": True}),
    (["--json"], {"json": True}),
    (["--report", "run.json"], {"report": "run.json"}),
    (["--rows", "weekly"], {"rows": "weekly"}),
    (["--order", "input"], {"order": "input"}),
    (["--prefix", "W_"], {"prefix": "W_"}),
    (["--prefix="], {"prefix": ""}),
    (["--date-type", "timestamp"], {"date_type": "timestamp"}),
    (["--label", "forward_return_4w"], {"label": ("forward_return_4w",)}),
    (["--columns-out", "close,volume"], {"columns_out": ("close", "volume")}),
    (["--verbose"], {"verbose": True}),
    (["-v"], {"verbose": True}),
    (["--log-file", "run.log"], {"log_file": "run.log"}),
    (["--if-changed"], {"if_changed": True}),
    (["--benchmark", "SPY,QQQ"], {"benchmark": ("SPY", "QQQ")}),
]


@pytest.mark.parametrize(
    ("flags", "expected"), FLAGS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_every_flag_reaches_its_setting(
    resolved: Callable[..., Config], flags: list[str], expected: dict[str, Any]
) -> None:
    assert resolved("prices", *flags) == Config(input=("prices",), **expected)


def test_every_setting_is_among_the_flags_that_are_tried() -> None:
    assert {name for _, expected in FLAGS for name in expected} == set(SETTINGS) - {"input"}


ENVIRONMENT: dict[str, tuple[str, Any]] = {
    "order": ("input", "input"),
    "prefix": ("W_", "W_"),
    "date_type": ("timestamp", "timestamp"),
    "label": ("forward_return_4w", ("forward_return_4w",)),
    "output": ("x", "x"),
    "columns": ("symbol=T,close=The Close", (("symbol", "T"), ("close", "The Close"))),
    "week": ("W-SUN", "W-SUN"),
    "available": ("week-end", "week-end"),
    "developing": ("yes", True),
    "cross_section": ("rank(w_ret),rank(w_ret) by s", ("rank(w_ret)", "rank(w_ret) by s")),
    "universe": ("m.csv", "m.csv"),
    "min_group": ("5", 5),
    "every": ("month,week", ("week", "month")),
    "join": ("f.csv:day", ("f.csv:day",)),
    "join_same_day": ("1", True),
    "join_max_age": ("90", 90),
    "calendar": ("XNYS", "XNYS"),
    "calendar_map": ("c.csv", "c.csv"),
    "features": ("momentum,w_vol_12", "momentum,w_vol_12"),
    "plugin": ("mine.py", ("mine.py",)),
    "windows": ("vol=13", (("vol", (13,)),)),
    "benchmark": ("BRK B", ("BRK B",)),
    "sector_map": ("s.csv", "s.csv"),
    "price": ("adj close", "adj close"),
    "dtype": ("float64", "float64"),
    "negative_prices": ("absolute", "absolute"),
    "drop_padding": ("1", True),
    "adjust_volume": ("0", False),
    "symbol": ("A,B", "A,B"),
    "symbol_map": ("m.csv", "m.csv"),
    "wide": ("no", "no"),
    "date_unit": ("yyyymmdd", "yyyymmdd"),
    "date_format": ("%d.%m.%Y", "%d.%m.%Y"),
    "timezone": ("Asia/Tokyo", "Asia/Tokyo"),
    "symbols": ("A,BRK B", ("A", "BRK B")),
    "max_symbols": ("3", 3),
    "start": ("2024-03-01", datetime.date(2024, 3, 1)),
    "end": ("2024-03-01", datetime.date(2024, 3, 1)),
    "on_duplicates": ("last", "last"),
    "on_intraday": ("aggregate", "aggregate"),
    "on_bad_rows": ("drop", "drop"),
    "on_key_conflict": ("column", "column"),
    "replace_features": ("1", True),
    "jobs": ("-2", -2),
    "memory_limit": ("2GB", 2 * 10**9),
    "strategy": ("batched", "batched"),
    "compression": ("lz4", "lz4"),
    "writer": ("arrow", "arrow"),
    "quiet": ("1", True),
    "json": ("1", True),
    "report": ("run.json", "run.json"),
    "rows": ("weekly", "weekly"),
    "columns_out": ("close,volume", ("close", "volume")),
    "verbose": ("1", True),
    "log_file": ("run.log", "run.log"),
    "if_changed": ("1", True),
    "work_dir": ("/fast", "/fast"),
    "engine": ("dask", "dask"),
    "scheduler": ("tcp://host:8786", "tcp://host:8786"),
    "keep_replaced": ("60", 60.0),
    "s3_endpoint": ("http://localhost:9000", "http://localhost:9000"),
    "s3_region": ("eu-central-1", "eu-central-1"),
    "s3_anonymous": ("true", True),
    "wait": ("60", 60.0),
    "fresh": ("yes", True),
    "fail_on": ("padding,all", ("padding", "all")),
    "ignore": ("padding", ("padding",)),
    "keep_work": ("1", True),
    "strict": ("on", True),
    "task_timeout": ("0.5", 0.5),
}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_every_variable_reaches_its_setting(
    resolved: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    text, value = ENVIRONMENT[name]
    monkeypatch.setenv("WEEKLY_CLI_INPUT", "prices")
    monkeypatch.setenv(f"WEEKLY_CLI_{name.upper()}", text)
    assert resolved() == Config(input=("prices",), **{name: value})


@pytest.mark.parametrize(
    ("name", "text"), [("JOBS", "two"), ("MAX_SYMBOLS", "1.5"), ("STRICT", "perhaps"), ("QUIET", "2"), ("WEEK", "x")]
)
def test_a_variable_without_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"WEEKLY_CLI_{name}", text)
    assert code_of(monkeypatch, "build", "prices") == 2
    said = one_line(capsys.readouterr().err)
    assert name in said.upper()
    assert repr(text) in said


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("off", False), ("", False)])
def test_a_variable_turns_a_switch_on_or_off(
    resolved: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, text: str, value: bool
) -> None:
    monkeypatch.setenv("WEEKLY_CLI_STRICT", text)
    assert resolved("prices").strict is value


def test_after_two_dashes_a_word_is_no_option(resolved: Callable[..., Config]) -> None:
    assert resolved("--jobs", "2", "--", "--jobs") == Config(input=("--jobs",), jobs=2)


def test_a_build_in_this_process_changes_neither_environment_nor_garbage_collector(
    resolved: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    resolved("prices")
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"
    assert gc.isenabled()


def test_every_setting_is_among_the_variables_that_are_tried() -> None:
    assert ENVIRONMENT.keys() == {name for name, row in SETTINGS.items() if row.variable} - {"input"}


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
strict = true
"""
FROM_FILE: dict[str, Any] = {
    "input": ("prices",),
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
    "strict": True,
}


@pytest.mark.parametrize("name", ["weekly.toml", "pyproject.toml"])
def test_every_setting_can_be_said_in_the_file(resolved: Callable[..., Config], tmp_path: Path, name: str) -> None:
    table = "" if name == "weekly.toml" else "[project]\nname = 'x'\n[tool.weekly-cli]\n"
    (tmp_path / name).write_text(table + FILE)
    assert resolved() == Config(**FROM_FILE)


def test_weekly_toml_beats_pyproject(resolved: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.weekly-cli]\ninput = "project"\n')
    assert resolved().input == ("project",)
    (tmp_path / "weekly.toml").write_text('input = "weekly"\n')
    assert resolved().input == ("weekly",)


def test_a_flag_beats_the_environment_beats_the_file(
    resolved: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weekly.toml").write_text(FILE)
    monkeypatch.setenv("WEEKLY_CLI_OUTPUT", "from environment")
    monkeypatch.setenv("WEEKLY_CLI_JOBS", "3")
    monkeypatch.setenv("WEEKLY_CLI_BENCHMARK", "QQQ")
    found = resolved("typed", "--jobs", "4", "--features", "volume")
    expected: dict[str, Any] = {"input": ("typed",), "output": "from environment", "jobs": 4}
    expected |= {"benchmark": ("QQQ",), "features": "volume"}
    assert found == Config(**{**FROM_FILE, **expected})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("inptu = 'x'", "input"),
        ("input = 3", "input in "),
        ("input = 'x'\njobs = 'two'", "jobs in "),
        ("input = 'x'\njobs = true", "jobs in "),
        ("input = 'x'\nstrict = 'yes'", "strict in "),
        ("input = 'x'\noverwrite = true", "command line alone"),
        ("input = 'x'\nweek = 5", "week in "),
        ("input = 'x'\nmemory_limit = 512", "unit"),
        ("input = 'x'\nsymbols = [1]", "symbols in "),
        ("input = ", "TOML"),
    ],
)
def test_a_settings_file_without_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, word: str
) -> None:
    (tmp_path / "weekly.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert code_of(monkeypatch, "build") == 2
    assert word in one_line(capsys.readouterr().err)


@pytest.mark.parametrize("how", ["folder", "no_table"])
def test_what_is_no_settings_file_is_refused(
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


def test_file_and_environment_reach_the_process(tmp_path: Path, prices: Path) -> None:
    (tmp_path / "prices.parquet").write_bytes(prices.read_bytes())
    (tmp_path / "weekly.toml").write_text('input = "prices.parquet"\noutput = "a"\nfeatures = "w_ret"\n')
    assert run_cli("build", "--jobs", "-1", "-q", cwd=tmp_path).returncode == 0
    assert read(tmp_path / "a").column_names == [*OWN, "w_ret"]
    env = {"WEEKLY_CLI_OUTPUT": "b", "WEEKLY_CLI_FEATURES": "w_mom_4", "WEEKLY_CLI_QUIET": "1"}
    done = run_cli("build", "--features", "w_close", cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert read(tmp_path / "b").column_names == [*OWN, "w_close"]
    assert names_beside(tmp_path / "a") == ["a", "b", "prices.parquet", "weekly.toml"]


def test_own_data_can_be_built_from_the_root_of_this_repository(tmp_path: Path, prices: Path) -> None:
    """The README's second command: the settings that this repository has for its sample must not spoil it."""
    done = run_cli("build", prices, "--output", tmp_path / "out", "--jobs", "-1", "-q", cwd=ROOT)
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


def test_symbols_that_fail_are_named_and_exit_4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prices: Path
) -> None:
    work = fan_out.run_task

    def run(task: Any) -> Any:
        if "BBB" in task.symbols.to_pylist():
            raise FloatingPointError("no luck")
        return work(task)

    monkeypatch.setattr(fan_out, "run_task", run)
    monkeypatch.chdir(tmp_path)
    assert code_of(monkeypatch, "build", str(prices), "-q", "--report", "report.json") == 4
    said = capsys.readouterr()
    assert said.out == ""
    assert "BBB: FloatingPointError: no luck" in said.err
    assert read(tmp_path / "daily_weekly").column("symbol").unique().to_pylist() == ["AAA", "SPY"]
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["rejected"] == [["BBB", "FloatingPointError: no luck"]]
    assert (report["rows"], report["symbols"]) == (600, 2)


def test_a_bug_in_every_symbol_is_told_as_a_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], prices: Path
) -> None:
    def run(task: Any) -> Any:
        raise FloatingPointError("no luck")

    monkeypatch.setattr(fan_out, "run_task", run)
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


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path, prices: Path) -> None:
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
    assert report["features"] == len(catalogue(["spy"]).features)
    assert report["columns"] == len(OWN) + report["features"] == read(tmp_path / "daily_weekly").num_columns
    assert report["seconds"].keys() == {*STAGES, "total"}
    assert report["output"] == "daily_weekly"
    assert report["bytes_written"] == sum(path.stat().st_size for path in (tmp_path / "daily_weekly").iterdir())


FREED = """
import os, signal, time
from weekly_cli.cli import commands, main

class Freed:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)

def app(prog_name):
    Freed()
    time.sleep(3)

commands.app = app
main()
"""


def test_a_signal_that_comes_while_an_object_is_freed_is_not_lost() -> None:
    """Python prints what is raised there, and goes on."""
    began = time.monotonic()
    done = run_words([sys.executable, "-c", FREED])
    assert time.monotonic() - began < 2.5
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "")
    assert done.stderr == "weekly-cli: terminated; the output is as it was, and the same command finishes the work\n"
