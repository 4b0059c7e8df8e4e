"""Python sources of plugins, as bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from weekly_cli.errors import UsageError


def is_source(path: str) -> bool:
    """Tell whether a name is meant as a file: it ends as one, or is one."""
    return path.endswith(".py") or Path(path).is_file()


def read_source(path: str, setting: str) -> bytes:
    """Return a file's bytes.

    Raises
    ------
    UsageError
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"{setting}: {path} can't be read: {error.strerror}") from error


def sha256_of(source: bytes) -> str:
    """Return what identifies a source, as 64 hexadecimal digits."""
    return hashlib.sha256(source).hexdigest()


def sha256_of_package(folders: list[str], origin: str | None) -> str:
    """Return what identifies the Python files of a package or module."""
    paths = sorted(path for folder in folders for path in Path(folder).rglob("*.py")) or [Path(str(origin))]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
