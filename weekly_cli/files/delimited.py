"""Opens delimited text: CSV and its kind, plain or compressed by gzip, which its bytes tell and not its name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from weekly_cli.errors import InputRefused
from weekly_cli.files.disk import first_line, refuse_of_store
from weekly_cli.files.locations import Location
from weekly_cli.files.parquet import PARQUET_SUFFIXES, is_lfs_pointer, is_parquet, other_format

SUFFIXES = (".csv", ".tsv")
_GZIP = b"\x1f\x8b"
#: Bytes in which the header lines must lie.
_HEAD_BYTES = 4 * 2**20
#: Of other encodings than UTF-8, which is what is read.
_OTHER_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def is_named_as_text(path: Location) -> bool:
    """Tell by a file's name whether it is delimited text.

    >>> [is_named_as_text(Path(name)) for name in ("a.csv", "a.TSV.gz", "a.txt", "a.csv.parquet")]
    [True, True, False, False]
    """
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(SUFFIXES)


def is_text(path: Location) -> bool:
    """Tell whether a file that was given is delimited text: by its name, or by its first line.

    Raises
    ------
    InputRefused
        If it can't be read.
    """
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return False
    try:
        if is_parquet(path):
            return False
        if is_named_as_text(path):
            return True
        with path.open("rb") as stream:
            start = stream.read(4096)
    except OSError as error:
        refuse_of_store(path, error)
        raise InputRefused(f"{path} can't be read: {first_line(error)}") from error
    line = start.split(b"\n")[0]
    if other_format(path) is not None:
        return False
    return b"\n" in start and b"\0" not in start and any(sign in line for sign in (b",", b";", b"\t"))


@contextlib.contextmanager
def reading_text(path: Location) -> Iterator[None]:
    """Turn an error while delimited text is read into a one-line message with the path.

    Raises
    ------
    InputRefused
    """
    try:
        yield
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        refuse_of_store(path, error)
        raise InputRefused(f"{path} can't be read as CSV: {first_line(error)}") from error


@contextlib.contextmanager
def opened(path: Location) -> Iterator[pa.NativeFile]:
    """Provide a file's bytes, decompressed where they are compressed."""
    with pa.OSFile(os.fspath(path)) if isinstance(path, Path) else path.source() as raw:
        compressed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        if not compressed:
            yield raw
            return
        with pa.CompressedInputStream(raw, "gzip") as plain:
            yield plain


def head(path: Location) -> str:
    """Return the first lines of a file as text, without the mark of its encoding.

    Raises
    ------
    InputRefused
        If it is no UTF-8.
    """
    if is_lfs_pointer(path):
        raise InputRefused(f"{path} is a Git LFS pointer in the place of the file: run git lfs pull in its repository")
    other = other_format(path)
    if other is not None:
        raise InputRefused(f"{path} is {other}; write it as CSV or Parquet")
    with reading_text(path), opened(path) as stream:
        data = stream.read(_HEAD_BYTES)
    encoding = _OTHER_MARKS.get(data[:2])
    if encoding is not None:
        raise InputRefused(f"{path} is {encoding}; write it as UTF-8")
    if len(data) == _HEAD_BYTES:
        data = data[: data.rfind(b"\n") + 1]
    try:
        return bytes(data).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputRefused(
            f"{path} is not UTF-8 (line {line:,}: byte 0x{data[error.start]:02x}); write it as UTF-8"
        ) from error
