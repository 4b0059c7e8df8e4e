"""Which store an output's path leads to."""

from __future__ import annotations

from weekly_cli.files.local import LocalStore
from weekly_cli.files.store import OutputStore
from weekly_cli.settings import Config


def open_store(config: Config) -> OutputStore:
    """Return the store of a run's output.

    Raises
    ------
    OutputConflict
        If the output is not to be replaced.
    """
    return LocalStore(config)
