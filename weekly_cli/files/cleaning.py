"""Selects who cleans up beside an output: on a disk, or in an object store."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from weekly_cli.files import leftovers
from weekly_cli.files.leftovers import Leftovers
from weekly_cli.files.locations import is_url


class Cleaner(NamedTuple):
    """How leftovers of an output are found, how the output is locked meanwhile, and how they are removed."""

    find: Callable[[str, str | None, str], Leftovers[Any]]
    lock: Callable[[Leftovers[Any]], AbstractContextManager[None]]
    remove: Callable[[Leftovers[Any]], None]


def cleaner_of(output: str) -> Cleaner:
    """Return who cleans up beside an output."""
    if is_url(output):
        from weekly_cli.files.objects import leftovers as objects

        return Cleaner(objects.find_objects, objects.only_cleaner, objects.remove_objects)
    return Cleaner(leftovers.find_leftovers, leftovers.only_cleaner, leftovers.remove_leftovers)
