"""The sessions that the documentation shows: what the commands print for the sample."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "sample_data"


def of_verify() -> str:
    """Build the sample and return what `verify` prints of it, but for the rows of the warm-up.

    Their last digits may be another machine's.
    """
    with tempfile.TemporaryDirectory() as folder:
        _printed(folder, "build", str(SAMPLE), "--output", "daily_weekly", "--quiet")
        lines = [line.rstrip() for line in _printed(folder, "verify", "daily_weekly").splitlines()]
    (heading,) = (number for number, line in enumerate(lines) if "first bar " in line)
    return "\n".join([*lines[: heading + 1], "...", lines[-1]])


def of_inspect() -> str:
    """Return what `inspect` prints of the sample."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / SAMPLE.name).symlink_to(SAMPLE)
        printed = _printed(folder, "inspect", SAMPLE.name)
    return "\n".join(line.rstrip() for line in printed.splitlines())


def _printed(folder: str, *words: str) -> str:
    command = [sys.executable, "-m", "weekly_cli", *words]
    env = os.environ | {"COLUMNS": "80"}
    return subprocess.run(command, cwd=folder, env=env, check=True, text=True, stdout=subprocess.PIPE).stdout
