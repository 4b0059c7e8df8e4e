"""Opens Parquet files and small tables; a file that can't be read is refused with a one-line message."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from weekly_cli.errors import InputRefused
from weekly_cli.files.disk import first_line, mapped, reading, reading_input, refuse_of_store
from weekly_cli.files.locations import Location, is_url, location, source_of
from weekly_cli.files.objects.path import ObjectPath

PARQUET_SUFFIXES = (".parquet", ".parq", ".pq")


#: Of the metadata of an output's files: how all of them were built, and how many symbols are in this one.
METADATA_KEY, SYMBOLS_KEY = b"weekly_cli", b"weekly_cli.symbols"


def open_parquet(
    path: Location | str, *, verify: bool = False, dictionaries: Sequence[str] = (), plain: bool = False
) -> pq.ParquetFile:
    """Open a Parquet file; `verify` checks page checksums, `dictionaries` names columns to read as dictionaries.

    With `plain`, columns have the types that Parquet knows and not those that Arrow has noted beside them, of which
    dictionaries are read from some encodings only.

    INT96, in which Spark writes timestamps, is read in microseconds. Arrow's default, nanoseconds, wraps beyond the
    years 1677 to 2262, and Spark reads no output with them.

    Raises
    ------
    InputRefused
        If it can't be read, or is not a Parquet file.
    """
    try:
        return pq.ParquetFile(
            source_of(path),
            pre_buffer=is_url(str(path)),  # ranges that lie side by side are one request
            page_checksum_verification=verify,
            read_dictionary=list(dictionaries),
            coerce_int96_timestamp_unit="us",
            metadata=_without_arrow_types(location(str(path))) if plain else None,
        )
    except UnicodeEncodeError as error:
        name = os.fsencode(str(path))
        raise InputRefused(f"{name!r}: Arrow opens no file whose name is not UTF-8; rename it") from error
    except UnicodeDecodeError as error:
        raise InputRefused(
            f"{path} has a column name that is not UTF-8: {error.object!r}; rename the column"
        ) from error
    except (OSError, pa.ArrowException) as error:
        refuse_of_store(path, error)
        if is_lfs_pointer(location(str(path))):
            raise InputRefused(
                f"{path} is a Git LFS pointer in the place of the file: run git lfs pull in its repository"
            ) from error
        other = other_format(location(str(path)))
        if other is not None:
            raise InputRefused(f"{path} is {other}; write it as Parquet or CSV") from error
        reason = first_line(error).rstrip(".")
        raise InputRefused(f"{path} can't be read as Parquet: {reason}; write it again, or leave it out") from error


def _without_arrow_types(path: Location) -> pq.FileMetaData:
    """Return a file's footer, in which Arrow does not find its types under another name of the same length."""
    footer = footer_bytes(path).replace(_ARROW_TYPES, _ARROW_TYPES.lower())
    ending = len(footer).to_bytes(4, "little") + _MAGIC[0]
    return pq.read_metadata(pa.BufferReader(_MAGIC[0] + footer + ending))


#: What files begin with that are given in the place of Parquet.
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"ARROW1": "an Arrow (Feather) file",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format 3": "an SQLite database",
    b"ORC": "an ORC file",
    b"Obj\x01": "an Avro file",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
    b"{": "JSON",
    b"[": "JSON",
}


def other_format(path: Location) -> str | None:
    """Return what a file is that is not Parquet, as far as its first bytes tell."""
    with contextlib.suppress(OSError), path.open("rb") as stream:
        start = stream.read(16)
        return next((what for mark, what in _OTHER_FORMATS.items() if start.startswith(mark)), None)
    return None


def is_lfs_pointer(path: Location) -> bool:
    """Tell whether Git LFS has left a pointer in the place of a file.

    Source: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
    """
    with contextlib.suppress(OSError), path.open("rb") as stream:
        return stream.read(40).startswith(b"version https://git-lfs.github.com/spec/")
    return False


def open_own(path: Location | str) -> pq.ParquetFile:
    """Open a file that this run has written, and check its page checksums.

    Raises
    ------
    DiskError, Unreachable
        If it can't be read.
    """
    with reading(path):
        return pq.ParquetFile(source_of(path), pre_buffer=is_url(str(path)), page_checksum_verification=True)


def own_symbols(path: Location) -> int:
    """Return how many symbols a finished file of an output has, as its metadata tells.

    Raises
    ------
    InputRefused
        If it is no such file, or its pages do not end where its footer begins: bytes were lost or added.
    """
    file = open_parquet(path)
    metadata = file.schema_arrow.metadata or {}
    if SYMBOLS_KEY not in metadata or not _ends_with_its_pages(file.metadata, path):
        raise InputRefused(f"{path} is not as weekly-cli has written it")
    return int(metadata[SYMBOLS_KEY])


def _ends_with_its_pages(footer: pq.FileMetaData, path: Location) -> bool:
    if not footer.num_row_groups:
        return True
    last = footer.row_group(footer.num_row_groups - 1).column(footer.num_columns - 1)
    begin = last.data_page_offset if last.dictionary_page_offset is None else last.dictionary_page_offset
    end = begin + last.total_compressed_size
    return bool(end + footer.serialized_size + _TAIL_BYTES == path.stat().st_size)


def footer_bytes(path: Location) -> bytes:
    """Return the footer of an input file, unparsed.

    Raises
    ------
    InputRefused
        If it can't be read.
    """
    with reading_input(path), path.open("rb") as stream:
        stop = stream.seek(0, os.SEEK_END) - _TAIL_BYTES
        asked = _OBJECT_TAIL_BYTES if isinstance(path, ObjectPath) else _TAIL_BYTES
        stream.seek(max(0, stop + _TAIL_BYTES - asked))
        end = stream.read()
        tail = end[-_TAIL_BYTES:]
        size = int.from_bytes(tail[:4], "little")
        if tail[4:] == _MAGIC[0] and size < stop:
            if size + _TAIL_BYTES <= len(end):
                return bytes(end[-_TAIL_BYTES - size : -_TAIL_BYTES])
            stream.seek(stop - size)
            return bytes(stream.read(size))
    open_parquet(path)  # which refuses it, and says why
    raise InputRefused(f"{path} has no footer that can be read; write the file again")


@contextlib.contextmanager
def mapped_input(path: Location) -> Iterator[memoryview]:
    """Provide the bytes of an input file, as `mapped` does.

    Raises
    ------
    InputRefused
        If it can't be read.
    """
    with reading_input(path), mapped(path) as data:
        yield data


_MAGIC = (b"PAR1", b"PARE")
#: The key of the schema that Arrow keeps in a footer.
_ARROW_TYPES = b"ARROW:schema"
#: The length of the footer, and the magic bytes.
_TAIL_BYTES = 8
#: What is asked for at an object's end: one request for most footers.
_OBJECT_TAIL_BYTES = 64 * 1024


def is_parquet(path: Location) -> bool:
    """Tell by its first and last bytes whether a file is Parquet, regardless of its name."""
    with path.open("rb") as stream:
        first = stream.read(4)
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - (_OBJECT_TAIL_BYTES if isinstance(path, ObjectPath) else 4)))
        return bool(size >= 12 and first in _MAGIC and stream.read()[-4:] == first)
