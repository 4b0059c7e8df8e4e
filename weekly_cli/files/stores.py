"""Selects the store for an output's path."""

from __future__ import annotations

from weekly_cli.files.local import LocalStore
from weekly_cli.files.locations import is_url
from weekly_cli.files.objects import filesystems
from weekly_cli.files.store import OutputStore
from weekly_cli.settings import Config


def connect(config: Config) -> None:
    """Reach object stores as the settings say, if they say anything; else it stays as it is."""
    if not set(filesystems.CONNECTION).isdisjoint(config.sources):
        told = filesystems.Connection(config.s3_endpoint, config.s3_region, config.s3_anonymous)
        filesystems.connect_by(lambda: told)


def open_store(config: Config) -> OutputStore:
    """Return the store of a run's output.

    Raises
    ------
    OutputConflict
        If the output must not be replaced.
    """
    if is_url(config.output):
        from weekly_cli.files.objects.store import ObjectStore

        return ObjectStore(config)
    return LocalStore(config)
