"""The pages of a file as bytes: where they lie, and whether they are what their checksums say.

Source: the Apache Parquet format, src/main/thrift/parquet.thrift.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from weekly_cli.files import thrift
from weekly_cli.files.footer import CHUNK_STORED_BYTES, COLUMNS, META_DATA, OFFSETS, ROW_GROUPS, read_footer
from weekly_cli.files.thrift import Struct

#: Of `PageHeader`.
_PAGE_STORED_BYTES, CHECKSUM = 3, 4


class Pages(NamedTuple):
    """How many pages a file has, and how many of them have no checksum."""

    all: int
    unchecked: int


def check_pages(data: memoryview) -> Pages:
    """Check every page of a file against its checksum.

    Raises
    ------
    ValueError
        If the bytes of a page are others, or pages don't lie where the footer says.
    """
    count = unchecked = 0
    try:
        for number, group in enumerate(read_footer(data)[ROW_GROUPS].value.values):
            for column in group[COLUMNS].value.values:
                for header, page in pages_between(data, *span(column[META_DATA].value)):
                    count += 1
                    if CHECKSUM not in header:
                        unchecked += 1
                    elif header[CHECKSUM].value != signed(zlib.crc32(page)):
                        raise ValueError(f"the bytes of a page of row group {number} are not what its checksum says")
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError("its footer or a page's header has not the fields that it needs") from error
    return Pages(count, unchecked)


def signed(crc: int) -> int:
    """Return a checksum as the integer with a sign that a page's header has."""
    return crc - 2**32 if crc >= 2**31 else crc


def span(metadata: Struct) -> tuple[int, int]:
    """Return where the pages of a column chunk begin and end."""
    # Some writers say 0 for a page that is not there.
    begin = min(metadata[number].value for number in OFFSETS if number in metadata and metadata[number].value)
    return begin, begin + metadata[CHUNK_STORED_BYTES].value


def pages_between(data: memoryview, begin: int, end: int) -> Iterator[tuple[Struct, memoryview]]:
    """Yield (header, bytes) of each page.

    Raises
    ------
    ValueError
        If one is cut off, or the last ends elsewhere.
    """
    at = begin
    while at < end:
        header, start = thrift.decode(data, at)
        at = start + header[_PAGE_STORED_BYTES].value
        if not start <= at <= len(data):
            raise ValueError("a page is cut off")
        yield header, data[start:at]
    if at != end:
        raise ValueError("pages end elsewhere than the footer says")
