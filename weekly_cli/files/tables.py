"""Small tables beside the input, such as those that are joined: what identifies their content."""

from __future__ import annotations

import functools
import hashlib

from weekly_cli.errors import UsageError
from weekly_cli.files import disk
from weekly_cli.files.locations import location

_CHUNK_BYTES = 2**20


def content_hash(name: str, setting: str) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises
    ------
    UsageError
        If it can't be read.
    """
    path = location(name)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as stream:
            for chunk in iter(functools.partial(stream.read, _CHUNK_BYTES), b""):
                digest.update(chunk)
    except OSError as error:
        raise UsageError(f"{setting}: {name} can't be read: {disk.first_line(error)}") from error
    return digest.hexdigest()
