"""What is published at a path of an object store.

A store has no rename, so parts have names of their own in a folder of their generation, and one small object, the
manifest, says which of them are the output. Who reads the manifest and then its files reads one output, whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from weekly_cli import __version__
from weekly_cli.errors import InputRefused
from weekly_cli.files.disk import reading_input
from weekly_cli.files.objects.path import ObjectPath

MANIFEST = "manifest.json"
_MARK = "weekly-cli"


class Published(NamedTuple):
    """A manifest.

    Attributes
    ----------
    generation : str
        The folder of its parts.
    files : sequence of str
        Their URLs, in the order of their rows.
    size_bytes : int
        Of all of them.
    retired : mapping of str to str
        Generations before it, and when each was replaced (ISO 8601, UTC).
    """

    generation: str
    files: Sequence[str]
    size_bytes: int
    retired: Mapping[str, str]

    def encoded(self) -> bytes:
        """Return the manifest's bytes."""
        return (json.dumps({_MARK: __version__, **self._asdict()}, indent=1) + "\n").encode()


def manifest_path(output: ObjectPath) -> ObjectPath:
    """Return where the manifest of an output is."""
    return output / MANIFEST


def published_parts(output: ObjectPath) -> list[ObjectPath] | None:
    """Return the parts of an output; None: none of this tool is published there.

    Raises
    ------
    InputRefused, Unreachable
        If the store does not tell.
    """
    published = read_published(output)
    return None if published is None else [ObjectPath(url) for url in published.files]


def read_published(output: ObjectPath) -> Published | None:
    """Return the manifest of an output; None: there is none of this tool.

    Raises
    ------
    InputRefused, Unreachable
        If the store does not tell.
    """
    path = manifest_path(output)
    with reading_input(path):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
    return decoded(content)


def decoded(content: bytes) -> Published | None:
    """Return a manifest by its bytes; None: it is not of this tool.

    Raises
    ------
    InputRefused
        If it is of this tool, and damaged.
    """
    try:
        told: Any = json.loads(content)
    except ValueError:
        return None
    if not isinstance(told, dict) or _MARK not in told:
        return None
    try:
        return Published(told["generation"], list(told["files"]), int(told["size_bytes"]), dict(told["retired"]))
    except (LookupError, TypeError, ValueError) as error:
        raise InputRefused(f"{MANIFEST} of weekly-cli is damaged: {error!r}; build the output again") from error
