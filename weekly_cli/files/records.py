"""Small files: JSON, text, journal lines, logs; and checks, before the work begins, that a file can be created."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weekly_cli import failpoints
from weekly_cli.errors import InputRefused, OutputConflict, UsageError
from weekly_cli.files.disk import first_line, reading, refuse_of_store, writing
from weekly_cli.files.locations import Location
from weekly_cli.files.objects import filesystems
from weekly_cli.files.objects.path import ObjectPath

#: Bytes of a file that tell whether it may be JSON, and what may stand before it: blanks, and marks of an encoding.
_LOOKED_AT_BYTES, _BEFORE_JSON = 512, b" \t\r\n\0\xef\xbb\xbf\xff\xfe"


def write_json(path: Location, value: Any) -> None:
    """Write a JSON file as `write_result` does."""
    write_result(path, (json.dumps(value, indent=2) + "\n").encode())


def write_report(path: Location, text: str) -> None:
    """Write a text file as `write_result` does."""
    write_result(path, text.encode())


def write_result(path: Location, content: bytes) -> None:
    """Write a file in one step; if `path` is a device, a pipe or a link, write directly to it or its target."""
    if isinstance(path, ObjectPath):
        with writing(path):
            path.write_bytes(content)
        return
    if _is_special(path):
        with writing(path):
            path.write_bytes(content)
        return
    write_bytes(path, content)


def read_json(path: Location) -> Any:
    """Return the content of a JSON file, None if it is not valid JSON or can't be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def begins_with_page(path: Location, generator: str) -> bool:
    """Tell whether a file is a page of a generator, by what its head says."""
    try:
        with path.open("rb") as stream:
            beginning = bytes(stream.read(_LOOKED_AT_BYTES))
    except OSError:
        return False
    mark = f'<meta name="generator" content="{generator} '
    return beginning.startswith(b"<!DOCTYPE html>") and mark.encode() in beginning


def required_json(path: Location, way_out: str) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    InputRefused
        If it can't be read, or is not JSON.
    """
    try:
        with path.open("rb") as stream:
            beginning = stream.read(_LOOKED_AT_BYTES)
            if not beginning.lstrip(_BEFORE_JSON).startswith((b"{", b"[")):  # a large file of another kind
                raise ValueError("it does not begin as JSON does")
            return json.loads(beginning + stream.read())
    except OSError as error:
        refuse_of_store(path, error)
        raise InputRefused(f"{path} can't be read: {error.strerror}; {way_out}") from error
    except (ValueError, RecursionError) as error:
        raise InputRefused(f"{path} is not JSON: {first_line(error)}; {way_out}") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in one step; if that fails, nothing is left aside."""
    aside = path.with_name(f".{path.name}.aside")
    with writing(path):
        try:
            aside.write_bytes(content)
            failpoints.reached("report:aside")
            aside.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                aside.unlink()
            raise
    failpoints.reached("report:renamed")


def write_new_text(path: Path, text: str) -> None:
    """Write a text file where nothing is yet.

    Raises
    ------
    OutputConflict
        If something is there already, or the place can't be written to.
    DiskError
        If the disk is full or fails; then nothing is there.
    """
    with writing(path):
        try:
            stream = path.open("x", encoding="utf-8", newline="\n")
        except FileExistsError as error:
            raise OutputConflict(
                f"{path} already exists and is left as it is; move it away, or give another path"
            ) from error
        try:
            with stream:
                stream.write(text)
        except OSError:
            path.unlink()
            raise


def append_line(path: Path, line: bytes) -> None:
    """Append a line to a file; it begins with a line break, because the file may end in an incomplete line."""
    failpoints.reached("journal:before")
    half = len(line) // 2
    with writing(path), path.open("ab") as stream:
        stream.write(b"\n" + line[:half])
        stream.flush()
        failpoints.reached("journal:half")
        stream.write(line[half:])
    failpoints.reached("journal:after")


def lines(path: Path) -> list[bytes]:
    """Return the lines of a file that this tool wrote, none if the file does not exist."""
    with reading(path):
        return path.read_bytes().split(b"\n") if path.exists() else []


def _is_special(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not path.is_file())


def new_folder(folder: Path) -> None:
    """Create a folder, or accept an empty one.

    Raises
    ------
    OutputConflict
        If it is not empty, or can't be created.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise OutputConflict(f"{folder} holds files already; choose a new or an empty folder")


def check_writable(path: Location, flag: str) -> None:
    """Raise UsageError if a file can't be created at `path`: before the work begins, not after."""
    if isinstance(path, ObjectPath):
        filesystems.refuse_scheme(str(path), flag)
        return
    try:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder")
        if not _is_special(path):
            import tempfile

            with tempfile.TemporaryFile(dir=path.parent):
                pass
        elif path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(f"{path} is not ours to write")
    except OSError as error:
        raise UsageError(f"{flag} {path} can't be written: {error.strerror or error}") from error


def check_name(path: Location, flag: str) -> None:
    """Raise UsageError if a path is not valid UTF-8: Arrow can't open such a file."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UsageError(f"{flag} {path}: Arrow makes no file whose path is not UTF-8; choose another") from error


def write_log(text: str) -> Path:
    """Write a log file to the folder for temporary files and return its path."""
    import tempfile

    descriptor, name = tempfile.mkstemp(prefix="weekly-cli-", suffix=".log")
    with os.fdopen(descriptor, "w", encoding="utf-8") as log:
        log.write(text)
    return Path(name)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Provide a temporary folder for as long as the context lasts."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="weekly-cli-") as folder:
        yield Path(folder)
