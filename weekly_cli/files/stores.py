"""Selects the store for an output's path."""

from __future__ import annotations

from weekly_cli.files.local import LocalStore
from weekly_cli.files.store import OutputStore
from weekly_cli.settings import Config


def open_store(config: Config) -> OutputStore:
    """Return the store of a run's output.

    Raises
    ------
    OutputConflict
        If the output must not be replaced.
    """
    return LocalStore(config)
