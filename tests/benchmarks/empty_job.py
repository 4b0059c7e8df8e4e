"""A Typer command that does nothing: what a start takes before any of a tool's own work.

python empty_job.py INPUT
"""

from __future__ import annotations

import pyarrow.parquet  # noqa: F401 - imported for the time that it takes
import rich  # noqa: F401
import typer


def main(source: str, output: str = "") -> None:
    """Take a path and leave."""


if __name__ == "__main__":
    typer.run(main)
