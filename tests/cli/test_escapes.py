"""What names smuggle in does not steer a terminal, and does not break JSON."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from frames import COMMAND, SECONDS, daily, environment, on_a_terminal, run_cli, write
from rich.console import Console

import weekly_cli
from weekly_cli.cli.views.build import render
from weekly_cli.run import fan_out
from weekly_cli.run.task import Outcome, Task, run_task

pytestmark = pytest.mark.slow

#: Colour, title, clearing the screen by one byte, a bell, a mark that turns the rest around, a line of its own.
NASTY = "E\x1b[31m\x1b]0;owned\x07\x9b2J\u202e\rX\nY\x7f"
SHOWN = "E\\x1b[31m\\x1b]0;owned\\x07\\x9b2J\\u202e\\rX\\nY\\x7f"


def nasty_prices() -> pa.Table:
    """Symbols and columns of nasty names."""
    return daily([NASTY, f"{NASTY}2", "plain"], 30).append_column(NASTY, pa.array(range(90)))


def is_clean(said: str) -> bool:
    return all(line.isprintable() for line in said.split("\n"))


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """A file and folders of nasty names: hive keys too."""
    return write(nasty_prices(), tmp_path / NASTY / f"{NASTY}k=%1b[31m" / f"{NASTY}.parquet").parents[1]


ENDS: dict[str, tuple[int, list[str]]] = {
    "build": (0, ["build"]),
    "plan": (0, ["plan"]),
    "no such symbol": (3, ["build", "--symbols", f"{NASTY}3"]),
    "no such benchmark": (3, ["build", "--benchmark", f"{NASTY}3"]),
    "no such column": (3, ["build", "--columns", f"close={NASTY}4"]),
    "column of another type": (3, ["build", "--columns", f"date={NASTY}"]),
    "no such price": (3, ["build", "--price", f"{NASTY}4"]),
    "no such feature": (2, ["build", "--features", NASTY]),
    "no such week": (2, ["build", "--week", NASTY]),
    "no such start": (2, ["build", "--start", NASTY]),
    "no such file of symbols": (2, ["build", "--symbols", f"@{NASTY}"]),
    "no such sector map": (2, ["build", "--sector-map", NASTY]),
    "no such work folder": (2, ["build", "--work-dir", f"{NASTY}9"]),
    "no such report folder": (2, ["build", "--report", f"{NASTY}9/x"]),
    "no such option": (2, ["build", f"--{NASTY}"]),
    "no such command": (2, [NASTY]),
}


@pytest.mark.parametrize("name", ENDS)
def test_every_end_is_printable(tmp_path: Path, prices: Path, name: str) -> None:
    code, (command, *words) = ENDS[name]
    said = run_cli(command, *([prices] if command in ("build", "plan") else []), *words, cwd=tmp_path)
    assert said.returncode == code, said.stderr
    assert is_clean(said.stdout) and is_clean(said.stderr)
    if code:
        *stages, last = said.stderr.splitlines()
        if name in ("no such option", "no such command"):  # which Typer tells in a panel
            last = said.stderr
        else:
            assert all(line.startswith(("scan: ", "plan: ")) for line in stages)
        assert "E\\x1b[31m" in last


@pytest.mark.parametrize("content", ["no Parquet", "duplicates", "no date", "two types"])
def test_every_refusal_of_a_file_is_one_printable_line(tmp_path: Path, prices: Path, content: str) -> None:
    table = nasty_prices()
    others: dict[str, Any] = {
        "no Parquet": b"text",
        "duplicates": table,
        "no date": table.set_column(1, "date", pa.nulls(90, pa.date32())),
        "two types": table.set_column(7, NASTY, pa.array(["x"] * 90)),
    }
    other = others[content]
    path = prices / f"{NASTY}2.parquet"
    path.write_bytes(other) if isinstance(other, bytes) else write(other, path)
    said = run_cli("build", prices, "-q", cwd=tmp_path)
    assert (said.returncode, said.stdout, len(said.stderr.splitlines())) == (3, "", 1)
    assert is_clean(said.stderr)
    assert SHOWN in said.stderr


def test_bytes_of_the_command_line_that_are_no_text_are_told_printably(tmp_path: Path, prices: Path) -> None:
    for words in ([b"--benchmark", b"\xff\x1b[31m"], [b"-o", b"\xff.parquet"], [b"--work-dir", b"\xff"]):
        Path(tmp_path, "\udcff").mkdir(exist_ok=True)
        said = subprocess.run(
            [os.fsencode(COMMAND), b"build", os.fsencode(prices), *words],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert said.returncode == (3 if words[0] == b"--benchmark" else 2), said.stderr
        assert is_clean(said.stderr.decode())
        assert b"\\udcff" in said.stderr


def test_on_a_terminal_only_the_bars_steer_it(tmp_path: Path, prices: Path) -> None:
    """Besides colours and what moves the cursor for the live bars nothing comes through."""
    code, said = on_a_terminal(
        "build", prices, "-o", tmp_path / f"{NASTY}out", "--strategy", "batched", cwd=tmp_path, env={"COLUMNS": "200"}
    )
    assert code == 0
    without = re.sub(r"\x1b\[(\?25[lh]|[0-9;]*m|2K|1A)", "", said)
    assert is_clean(without.replace("\r", ""))
    assert "owned" in said and "\x1b]0" not in said and "\x1b[31m\\" not in said


def test_json_gives_a_failed_symbol_back_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prices: Path) -> None:
    def fails(task: Task) -> Outcome:
        if NASTY in task.symbols.to_pylist():
            raise RuntimeError(f"of {NASTY}")
        return run_task(task)

    monkeypatch.setattr(fan_out, "run_task", fails)
    report = weekly_cli.build(prices, tmp_path / "out", strategy="direct")
    text = json.dumps(report.to_dict(), indent=2)
    assert is_clean(text)
    assert json.loads(text)["rejected"] == [[NASTY, f"RuntimeError: of {NASTY}"]]
    screen = io.StringIO()
    Console(file=screen, width=200, markup=False).print(render(report))
    assert is_clean(screen.getvalue())
    assert SHOWN in screen.getvalue()


def test_json_on_stdout_and_in_a_file_is_whole(tmp_path: Path, prices: Path) -> None:
    for command, words in (("build", ["-q", "--report", tmp_path / "report.json"]), ("plan", [])):
        said = run_cli(command, prices, "-o", tmp_path / f"{NASTY}out", "--json", *words, cwd=tmp_path)
        assert (said.returncode, said.stderr) == (0, "")
        assert is_clean(said.stdout)
        assert isinstance(json.loads(said.stdout), dict)
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["output"] == str(tmp_path / f"{NASTY}out")
