"""Pictures and pages of charts on the disk: where they may go, and how a former one is recognized.

Each has a mark with the checksum of the bytes behind it: a chart that somebody has edited since is theirs.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from pathlib import Path

from weekly_cli.errors import UsageError
from weekly_cli.files import records
from weekly_cli.files.locations import refuse_url

#: What stands around the mark of a text; its end has as many bytes as a PNG's.
_AROUND: Mapping[str, tuple[bytes, bytes]] = {
    ".html": (
        b'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="generator" content="',
        b'">\n\n',
    ),
    ".svg": (b"<!-- ", b"-->\n"),
}
SUFFIXES = (".html", ".png", ".svg")
_MARK = re.compile(rb"weekly-cli chart ([0-9a-f]{8})")
#: Its signature and the chunk with its size.
_PNG_HEADER_BYTES = 33
#: Between a mark and what its checksum covers: in a PNG, the checksum of the chunk with the mark.
_SKIPPED_BYTES = 4
#: A mark is in the first bytes.
_START_BYTES = 256


def suffix_of(path: str) -> str:
    """Return which of the formats a file's name asks for.

    Raises
    ------
    UsageError
        If it is none.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"-o {path}: a chart is {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; end the name in one")
    return suffix


def check_chart(path: str, output: str) -> None:
    """Refuse a chart's path that can't be written, or where it would overwrite something else.

    Raises
    ------
    UsageError
        Before the work begins.
    """
    refuse_url(path, "-o")
    target, folder = Path(path).resolve(), Path(output).resolve()
    if folder in (target, *target.parents):
        raise UsageError(f"-o {path} lies in the output {output}, which a build replaces as a whole; choose another")
    records.check_writable(Path(path), "-o")
    if target.is_file() and target.stat().st_size and not is_chart(target.read_bytes()):
        raise UsageError(
            f"-o {path} already exists and is not a chart of weekly-cli, or was edited since; choose another file"
        )


def is_chart(content: bytes) -> bool:
    """Tell whether these are the bytes of a chart as `marked` has made them."""
    found = _MARK.search(content[:_START_BYTES])
    covered = content[found.end() + _SKIPPED_BYTES :] if found else b""
    return found is not None and len(covered) > 0 and found[1] == _checksum(covered)


def marked(suffix: str, body: bytes) -> bytes:
    """Return a chart's file with its mark.

    Parameters
    ----------
    suffix : str
    body : bytes
        A whole PNG; of a page what follows in its head, of an SVG its root element.
    """
    if suffix == ".png":
        header, rest = body[:_PNG_HEADER_BYTES], body[_PNG_HEADER_BYTES:]
        chunk = b"tEXtSoftware\0" + _mark(rest)
        length = len(chunk) - len(b"tEXt")
        return header + length.to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + rest
    start, end = _AROUND[suffix]
    return start + _mark(body) + end + body


def write_chart(path: str, suffix: str, body: bytes) -> int:
    """Write a chart and return its size in bytes."""
    content = marked(suffix, body)
    records.write_result(Path(path), content)
    return len(content)


def _mark(covered: bytes) -> bytes:
    return b"weekly-cli chart " + _checksum(covered)


def _checksum(covered: bytes) -> bytes:
    return f"{zlib.crc32(covered):08x}".encode()
