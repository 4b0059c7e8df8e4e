"""Runs that nobody watches: what they say without a terminal, and their log."""

from __future__ import annotations

import configparser
import errno
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from frames import (
    COMMAND,
    MANY,
    ROOT,
    daily,
    environment,
    in_the_middle,
    picture,
    run_cli,
    run_words,
    start_cli,
    wait_for,
    write,
)
from rich.console import Console

from weekly_cli.cli import heartbeat, log, progress
from weekly_cli.cli.ending import Ending
from weekly_cli.cli.log import RunLog
from weekly_cli.errors import EXIT_CODES, EXIT_DIFFERENT, EXIT_NOT_PROVEN, OutputBusy, OutputConflict, UsageError
from weekly_cli.events import Progress, StageStarted
from weekly_cli.files.log_file import KEPT, create_log
from weekly_cli.run import pipeline
from weekly_cli.settings import from_python, resolve
from weekly_cli.settings.sources import from_flags

START = "2026-01-02T03:04:05.678+00:00 INFO    weekly-cli 0.1.0 build prices\n"


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(), tmp_path_factory.mktemp("prices") / "prices.parquet")


# ---- a sign of life --------------------------------------------------------------------------------------


def test_long_stages_say_how_far_they_are_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "INTERVAL_SECONDS", 0.02)
    screen = io.StringIO()
    with progress.listener(Console(file=screen, width=80)) as listener:
        time.sleep(0.05)
        assert screen.getvalue() == "", "nothing has begun"
        listener(StageStarted("scan"))
        assert wait_for(lambda: "scan: 0 s since the start\n" in screen.getvalue(), 5)
        listener(Progress("fan out", 25, 100, 1, 4))
        beat = "fan out: 25 of 100 rows (25%), 1 of 4 symbols, 0 s since the start\n"
        assert wait_for(lambda: screen.getvalue().count(beat) > 1, 5)
    said = screen.getvalue()
    time.sleep(0.05)
    assert screen.getvalue() == said, "it ends with the run"


#: The command, with a minute of a few milliseconds.
HASTY = "from weekly_cli.cli import heartbeat, main; heartbeat.INTERVAL_SECONDS = 0.02; main()"


@pytest.mark.slow
def test_a_build_in_a_pipe_has_no_bars_and_beats_unless_it_is_quiet(bulk: Path, tmp_path: Path) -> None:
    words = ["build", bulk, "-o", "out", "--features", "returns", "--log-file", "run.log"]

    def run(*more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", HASTY, *map(str, words), *more],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        assert done.stdout == ""
        return done.stderr

    beat = re.compile(r"(scan|fan out): [\d,]+ of 300,000 rows \(\d+%\), .*\d+ s since the start", re.MULTILINE)
    said = run()
    assert beat.search(said), said
    assert all(line.isprintable() for line in said.splitlines())
    assert run("--quiet") == ""
    assert beat.search((tmp_path / "run.log").read_text()), "the log has them, quiet or not"


# ---- the log ---------------------------------------------------------------------------------------------


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_log_has_the_stages_the_findings_and_the_end(tmp_path: Path, prices: Path) -> None:
    table = daily(["AAA", "aaa"])
    write(table, tmp_path / "prices.parquet")
    done = run_cli("build", "prices.parquet", "-q", "--log-file", "run.jsonl", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rows = lines_of(tmp_path / "run.jsonl")
    assert [row["event"] for row in rows if row["event"] != "progress"] == [
        "started", *4 * ["stage-started", "stage-ended"], "finding", "published", "ended",
    ]  # fmt: skip
    assert [row["stage"] for row in rows if row["event"] == "stage-ended"] == ["scan", "plan", "fan out", "publish"]
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", row["time"]) for row in rows)
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    finding, published, ended = rows[-3:]
    assert (finding["level"], finding["code"]) == ("warning", "similar-symbols")
    assert (published["rows"], published["symbols"], published["rejected"]) == (120, 2, 0)
    assert (ended["level"], ended["exit_code"]) == ("info", 0)


@pytest.mark.parametrize("words", [["--columns", "close=nix"], ["--memory-limit", "100MB"], ["--report", "nowhere/x"]])
def test_a_refusal_is_in_the_log(tmp_path: Path, prices: Path, words: list[str]) -> None:
    done = run_cli("build", prices, "-q", "--log-file", "run.log", *words, cwd=tmp_path)
    assert done.returncode in (2, 3, 5)
    sentence = done.stderr.removeprefix("weekly-cli: ").removesuffix("\n")
    *_, said, ended = (tmp_path / "run.log").read_text().splitlines()
    assert re.fullmatch(rf"\S+ ERROR   {re.escape(sentence)}", said)
    assert ended.endswith(f" ERROR   ended with exit code {done.returncode}")


@pytest.mark.slow
def test_an_interrupt_is_in_the_log(bulk: Path, tmp_path: Path) -> None:
    with start_cli("build", bulk, "-o", tmp_path / "out", *MANY, "-q", "--log-file", tmp_path / "run.log") as process:
        assert wait_for(lambda: in_the_middle(tmp_path), 30)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
    *_, said, ended = (tmp_path / "run.log").read_text().splitlines()
    assert " ERROR   interrupted; " in said
    assert ended.endswith(" ERROR   ended with exit code 130")


def test_a_bug_is_in_the_log_with_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("run.log", "run.jsonl"):
        config = resolve(from_python({"input": "prices"}), from_flags({"log_file": str(tmp_path / name)}))
        with pytest.raises(ZeroDivisionError), log.opened(config):
            raise ZeroDivisionError("of\nall")
    text = (tmp_path / "run.log").read_text()
    assert " ERROR   a bug: ZeroDivisionError: of\n  Traceback (most recent call last):\n" in text
    assert lines_of(tmp_path / "run.jsonl")[-2]["traceback"].endswith("ZeroDivisionError: of\nall\n")
    assert text.endswith("ended with exit code 1\n")


def test_text_of_the_data_can_not_forge_a_line(tmp_path: Path) -> None:
    stream = io.StringIO()
    RunLog(stream, as_json=False).end(Ending(3, "\x1b[31mx\n2026-01-01 INFO all is well"))
    first, second = stream.getvalue().splitlines()
    assert first.endswith("\\x1b[31mx\\n2026-01-01 INFO all is well")
    assert second.endswith("ended with exit code 3")


def test_a_log_that_fails_is_said_once_and_the_run_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    class Full(io.StringIO):
        name = "run.log"

        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    run_log = RunLog(Full(), as_json=False)
    run_log(StageStarted("scan"))
    run_log(StageStarted("plan"))
    said = capsys.readouterr().err
    assert said == "warning: the log run.log can't be written any more: No space left on device\n"


# ---- its place -------------------------------------------------------------------------------------------


def test_earlier_logs_are_numbered_and_the_oldest_goes(tmp_path: Path) -> None:
    for number in range(KEPT + 3):
        with create_log(tmp_path / "run.log", "--log-file") as stream:
            stream.write(f"{START}{number}\n")
    names = ["run.log", *(f"run.log.{number}" for number in range(1, KEPT + 1))]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    newest = KEPT + 2
    assert [int((tmp_path / name).read_text().splitlines()[1]) for name in names] == list(
        range(newest, newest - KEPT - 1, -1)
    )


def test_an_empty_file_and_a_gap_are_no_obstacles(tmp_path: Path) -> None:
    (tmp_path / "run.log").touch()
    (tmp_path / "run.log.3").write_text("notes")
    create_log(tmp_path / "run.log", "--log-file").close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.log", "run.log.1", "run.log.3"]
    assert (tmp_path / "run.log.3").read_text() == "notes"


@pytest.mark.parametrize("name", ["run.log", "run.log.1", "run.log.5"])
@pytest.mark.parametrize("kind", ["notes", "json", "folder", "link"])
def test_what_is_no_log_is_never_moved_or_replaced(tmp_path: Path, name: str, kind: str) -> None:
    make: dict[str, Callable[[Path], object]] = {
        "notes": lambda path: path.write_text("precious"),
        "json": lambda path: path.write_text('{"time": "2026-01-02"}'),
        "folder": lambda path: path.mkdir(),
        "link": lambda path: path.symlink_to("/dev/null"),
    }
    for number in range(KEPT + 1):
        (tmp_path / (f"run.log.{number}" if number else "run.log")).write_text(START)
    (tmp_path / name).unlink()
    make[kind](tmp_path / name)
    before = picture(tmp_path)
    with pytest.raises(OutputConflict, match=f"{re.escape(name)} already exists and is not a log"):
        create_log(tmp_path / "run.log", "--log-file")
    assert picture(tmp_path) == before


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("notes.txt", 6, "is not a log of weekly-cli"),
        ("nowhere/run.log", 2, "can't be written: No such file or directory"),
        ("notes.txt/run.log", 2, "can't be written: Not a directory"),
        ("out/run.log", 2, "lies in the output"),
        ("out", 2, "lies in the output"),
        ("report.json", 2, "is the report's file, too"),
    ],
)
def test_a_log_that_can_not_be_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, code: int, says: str
) -> None:
    monkeypatch.setattr(pipeline, "run", lambda *_: pytest.fail("the work began"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("precious")
    flags = from_flags({"log_file": path, "report": "report.json"})
    config = resolve(from_python({"input": "prices", "output": "out"}), flags)
    with pytest.raises(UsageError if code == 2 else OutputConflict, match=re.escape(says)), log.opened(config):
        pytest.fail("the log was opened")
    assert picture(tmp_path) == {"notes.txt": b"precious"}


# ---- as the documentation sets it up ---------------------------------------------------------------------


def blocks(language: str) -> list[str]:
    """The code of the chapter on unattended runs, by language."""
    text = (ROOT / "weekly_cli/README.md").read_text(encoding="utf-8").partition("## Unattended\n")[2]
    return re.findall(rf"^```{language}\n(.*?)^```", text.partition("\n## ")[0], re.MULTILINE | re.DOTALL)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """The folder of a job, with its settings and its input."""
    (tmp_path / "weekly.toml").write_text(blocks("toml")[0])
    write(daily(), tmp_path / "prices/prices.parquet")
    return tmp_path


@pytest.mark.slow
def test_the_line_for_cron_works_as_cron_runs_it(job: Path) -> None:
    """By /bin/sh, from another folder, with next to nothing in the environment."""
    (line,) = blocks("crontab")
    command = (
        line.split(maxsplit=5)[5].replace("/srv/weekly", str(job)).replace("/usr/local/bin/weekly-cli", str(COMMAND))
    )
    for _ in range(2):
        done = run_words(["env", "-i", "HOME=/", "LOGNAME=root", "PATH=/usr/bin:/bin", "/bin/sh", "-c", command])
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "weekly is up to date" in (job / "weekly.log").read_text()
    assert "publish ended" in (job / "weekly.log.1").read_text()
    (job / "prices/prices.parquet").write_text("PAR1 nonsense PAR1")
    done = run_words(["env", "-i", "HOME=/", "PATH=/usr/bin:/bin", "/bin/sh", "-c", command])
    assert (done.returncode, done.stderr.count("\n")) == (3, 1), "a mail of one line"


@pytest.mark.slow
def test_the_loop_builds_and_mails_what_is_wrong(job: Path) -> None:
    """`sleep` damages the input at first and then ends the loop; `mail` keeps what it gets."""
    (loop,) = blocks("sh")
    tools = job / "bin"
    tools.mkdir()
    (tools / "sleep").write_text("#!/bin/sh\n[ -e slept ] && kill $PPID\ntouch slept; echo no >prices/prices.parquet\n")
    (tools / "mail").write_text("#!/bin/sh\ncat >mail\n")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    path = os.pathsep.join(map(str, (tools, COMMAND.parent, "/usr/bin", "/bin")))
    done = run_words(["/bin/sh", "-c", loop], cwd=job, env={"PATH": path})
    assert done.returncode == -signal.SIGTERM
    assert done.stderr.count("\n") == 1
    assert (job / "weekly").is_dir()
    error, ended = (job / "mail").read_text().splitlines()
    assert " ERROR   " in error
    assert "prices.parquet" in error
    assert ended.endswith("ended with exit code 3")


def test_the_units_for_systemd_are_ones(tmp_path: Path) -> None:
    service, timer = blocks("ini")
    (tmp_path / "weekly-cli.service").write_text(service.replace("/usr/local/bin/weekly-cli", str(COMMAND)))
    (tmp_path / "weekly-cli.timer").write_text(timer)
    parsed = configparser.ConfigParser()
    parsed.read_string(service)
    assert parsed["Service"]["SuccessExitStatus"] == str(OutputBusy.exit_code)
    options = shlex.split(parsed["Service"]["ExecStart"])[2:]
    assert {"--quiet", "--if-changed", "--log-file"} <= set(options)
    if shutil.which("systemd-analyze"):
        units = [str(tmp_path / "weekly-cli.service"), str(tmp_path / "weekly-cli.timer")]
        done = run_words(["systemd-analyze", "verify", *units])
        assert (done.returncode, done.stderr) == (0, "")


def test_every_exit_code_is_in_the_table_of_alerts() -> None:
    text = (ROOT / "weekly_cli/README.md").read_text(encoding="utf-8").partition("## Unattended\n")[2]
    rows = re.findall(r"^\| ([\d, ]+) \|", text.partition("\n## ")[0], re.MULTILINE)
    codes = {int(code) for row in rows for code in row.split(",")}
    assert codes == {row.code for row in EXIT_CODES} - {EXIT_NOT_PROVEN, EXIT_DIFFERENT} | {143}
