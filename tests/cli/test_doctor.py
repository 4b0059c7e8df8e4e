"""`doctor` through the process: what it shows, what a script reads, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from frames import environment, picture, run_cli

import weekly_cli


def facts(*words: object, cwd: Path, env: dict[str, str] | None = None) -> dict[str, Any]:
    done = run_cli("doctor", "--json", *words, cwd=cwd, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def codes(found: dict[str, Any]) -> list[str]:
    return [one["code"] for one in found["advice"]]


def test_everything_has_a_line_in_80_columns(tmp_path: Path) -> None:
    done = run_cli("doctor", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    names = [line[:13].strip() for line in done.stdout.splitlines() if line[:1].strip()]
    assert names[:9] == [
        *("python", "system", "cpus", "memory", "pool", "output", "work folder", "temporary", "/dev/shm"),
    ]
    assert {"libraries", "[delta]", "optional", "codecs", "terminal", "encoding", "advice"} <= set(names)
    assert all(len(line) <= 80 and line.isprintable() for line in done.stdout.splitlines())
    assert list(tmp_path.iterdir()) == []


def test_json_has_the_facts_of_this_machine(tmp_path: Path) -> None:
    found = facts(cwd=tmp_path)
    assert found["version"] == weekly_cli.__version__
    assert found["cpus"][0]["amount"] == os.cpu_count()
    assert found["pool"]["workers"] <= min(limit["amount"] for limit in found["cpus"])
    assert abs(found["memory"][0]["total"] - psutil.virtual_memory().total) < 2**20
    assert found["disks"]["output"]["folder"] == str(tmp_path)
    assert abs(found["disks"]["output"]["free_bytes"] - shutil.disk_usage(tmp_path).free) < 2**30
    assert found["disks"]["work"] is None
    assert found["terminal"]["stdout"] is False
    assert found["software"]["codecs"]["zstd"] is True


def test_the_settings_of_a_build_count(tmp_path: Path) -> None:
    """From flags, the environment and the file, as in a build."""
    (tmp_path / "weekly.toml").write_text('jobs = 1\noutput = "deep/er/out"\n')
    found = facts("--memory-limit", "1GiB", cwd=tmp_path, env={"WEEKLY_CLI_WORK_DIR": "nowhere"})
    assert (found["pool"]["workers"], found["pool"]["reason"]) == (1, f"jobs in {tmp_path}/weekly.toml 1")
    assert found["pool"]["budget_bytes"] == 2**30
    assert found["disks"]["output"]["path"] == str(tmp_path / "deep/er")
    assert found["disks"]["output"]["folder"] == str(tmp_path)
    assert "no-work-folder" in codes(found)
    assert "WEEKLY_CLI_WORK_DIR nowhere" in next(
        o["sentence"] for o in found["advice"] if o["code"] == "no-work-folder"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["weekly.toml"]


def test_a_budget_below_a_worker_is_advised_on_and_a_build_says_the_same(tmp_path: Path) -> None:
    assert "no-worker" in codes(facts("--memory-limit", "100MiB", cwd=tmp_path))
    refused = run_cli("doctor", "--memory-limit", "lots", cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.count("\n") == 1


def test_encodings_are_those_of_the_process(tmp_path: Path) -> None:
    found = facts(cwd=tmp_path, env={"PYTHONIOENCODING": "latin-1"})
    assert found["terminal"]["encoding"] == "iso8859-1"
    assert "not-utf-8" in codes(found)
    assert "not-utf-8" not in codes(facts(cwd=tmp_path))


def test_names_do_not_steer_the_terminal(tmp_path: Path) -> None:
    done = run_cli("doctor", "--output", "\x1b[31mred/out", "--work-dir", "\x1b]0;title\x07", cwd=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\\x1b" in done.stdout


@pytest.mark.slow
def test_modules_that_are_compiled_at_each_start_are_told_and_the_advice_helps(tmp_path: Path) -> None:
    """A copy of the package without compiled modules, where nothing writes them."""
    source = Path(weekly_cli.__file__).parent
    shutil.copytree(source, tmp_path / "weekly_cli", ignore=shutil.ignore_patterns("__pycache__"))
    env = environment({"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"})

    def sentences() -> list[str]:
        command = [sys.executable, "-m", "weekly_cli", "doctor", "--json"]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        return [one["help"] for one in json.loads(done.stdout)["advice"] if one["code"] == "no-bytecode"]

    before = picture(tmp_path)
    (advice,) = sentences()
    assert picture(tmp_path) == before
    _, _, command = advice.partition(": ")
    subprocess.run(command.split(), check=True, env=environment())
    assert sentences() == []
