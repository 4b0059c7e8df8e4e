"""`docs`: the documentation as a terminal, a pipe and a script get it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

import pytest
from frames import COMMAND, environment, run_cli

from weekly_cli.cli.chapters import chapters
from weekly_cli.files.manual_pages import read_pages

CHAPTERS = chapters(read_pages())


def on_a_screen(*words: str, cwd: Path, **variables: str) -> str:
    """What a terminal of 80 columns gets as stdin and stdout."""
    master, slave = pty.openpty()
    env = environment({"COLUMNS": "80", "TERM": "xterm", **variables})
    process = subprocess.Popen([COMMAND, *words], cwd=cwd, env=env, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    said = b""
    try:
        while data := os.read(master, 65536):
            said += data
    except OSError:  # the process has ended
        pass
    os.close(master)
    assert process.wait(timeout=20) == 0
    return said.decode().replace("\r\n", "\n")


def test_without_a_topic_all_chapters_are_listed(tmp_path: Path) -> None:
    done = run_cli("docs", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    first = [line.split()[0] for line in done.stdout.splitlines() if line[:1].strip()]
    assert first == ["topic", *(one.topic for one in CHAPTERS if one.level <= 2)]
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_a_pipe_gets_the_chapter_as_markdown(tmp_path: Path) -> None:
    done = run_cli("docs", "exit", "codes", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    (chapter,) = (one for one in CHAPTERS if one.topic == "exit-codes")
    assert done.stdout == chapter.markdown
    assert "\n| 75 | another run" in done.stdout


def test_json_has_the_chapters(tmp_path: Path) -> None:
    listed = json.loads(run_cli("docs", "--json", cwd=tmp_path).stdout)
    assert [one["topic"] for one in listed] == [one.topic for one in CHAPTERS]
    (one,) = json.loads(run_cli("docs", "glossary", "--json", cwd=tmp_path).stdout)
    assert one.keys() == {"topic", "title", "page", "level", "markdown"}
    assert one["markdown"].startswith("## Glossary\n")


@pytest.mark.parametrize(
    ("typed", "said"), [("glosary", "did you mean glossary?"), ("weekly", "fits "), ("\x1b[31m", "\\x1b[31m")]
)
def test_another_topic_is_one_line_and_exit_2(tmp_path: Path, typed: str, said: str) -> None:
    done = run_cli("docs", typed, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stderr[:-1].isprintable()


def test_a_terminal_gets_no_markdown_and_a_pager(tmp_path: Path) -> None:
    """The pager of the user: here one that leaves a mark."""
    shown = on_a_screen("docs", "exit-codes", cwd=tmp_path, PAGER="sed s/^/pager:/")
    assert shown.count("pager:") > 10
    assert "\x1b" not in shown, "of an unknown pager nothing is known"
    assert "| --- |" not in shown
    assert "output conflict" in shown
    assert all(len(line.removeprefix("pager:")) <= 80 for line in shown.splitlines())
    assert "\x1b[1" in on_a_screen("docs", "exit-codes", cwd=tmp_path, PAGER="cat")
    assert "\x1b[1" not in on_a_screen("docs", "exit-codes", cwd=tmp_path, PAGER="cat", NO_COLOR="1", TERM="dumb")


def test_an_encoding_without_the_signs_of_a_chapter_escapes_them(tmp_path: Path) -> None:
    env = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = run_cli("docs", "inspect", cwd=tmp_path, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert "\\u2588" in done.stdout
