"""What footers tell of columns, added up over row groups: integers' extremes, nulls, and the sizes of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from weekly_cli.dataset.schema import is_text
from weekly_cli.files.footer import DELTA_TEXT, ChunkFooter


class IntegerRanges:
    """Smallest and largest value of integer columns, from the statistics of all row groups."""

    def __init__(self) -> None:
        self._ranges: dict[str, tuple[int, int] | None] = {}

    def add(self, chunks: Sequence[ChunkFooter], integers: Mapping[str, bool]) -> None:
        """Add a row group's chunks; `integers` are its file's integer columns, and whether each is signed."""
        for chunk in chunks:
            if chunk.path not in integers:
                continue
            extremes = _extremes(chunk, integers[chunk.path])
            previous = self._ranges.get(chunk.path, extremes)
            if extremes is None or previous is None:
                self._ranges[chunk.path] = None
            else:
                self._ranges[chunk.path] = min(previous[0], extremes[0]), max(previous[1], extremes[1])

    def hide(self, names: Iterable[str]) -> None:
        """Make columns unknown, such as those that have values of keys beside or instead of those of files."""
        self._ranges |= dict.fromkeys(names)

    def known(self, schema: pa.Schema) -> dict[str, tuple[int, int]]:
        integers = {column.name for column in schema if pa.types.is_integer(column.type)}
        return {name: extremes for name, extremes in self._ranges.items() if extremes is not None and name in integers}


def _extremes(chunk: ChunkFooter, signed: bool) -> tuple[int, int] | None:
    """Return the smallest and the largest integer of a chunk; None: unknown."""
    width = {"INT32": 4, "INT64": 8}.get(chunk.kind)
    if (chunk.signed_only and not signed) or chunk.least is None or chunk.most is None:
        return None
    if not len(chunk.least) == len(chunk.most) == width:
        return None
    return int.from_bytes(chunk.least, "little", signed=signed), int.from_bytes(chunk.most, "little", signed=signed)


class NullCounts:
    """Counts the nulls of columns, from the statistics of all row groups."""

    def __init__(self) -> None:
        self._rows = 0
        self._values: dict[str, int] = {}
        self._nulls: dict[str, int | None] = {}

    def add(self, rows: int, chunks: Sequence[ChunkFooter]) -> None:
        """Add a row group's chunks."""
        self._rows += rows
        for chunk in chunks:
            before = self._nulls.get(chunk.path, 0)
            known = 0 <= chunk.nulls <= chunk.values
            self._nulls[chunk.path] = before + chunk.nulls if known and before is not None else None
            self._values[chunk.path] = self._values.get(chunk.path, 0) + chunk.values

    def known(self, schema: pa.Schema) -> dict[str, int]:
        """Return the nulls of the columns that files have as they are: not hive keys, not columns with parts."""
        names = {column.name for column in schema if not pa.types.is_nested(column.type)}
        return {
            name: nulls + self._rows - self._values[name]
            for name, nulls in self._nulls.items()
            if name in names and nulls is not None and self._values[name] <= self._rows
        }


class TextBytes:
    """Estimates the sizes of columns without a fixed width, from the footers."""

    _OVERHEAD_BYTES, _LEAST_BYTES = 8.0, 16.0
    _CODE_BYTES = 4
    #: Text whose dictionaries take at most this share of a byte per row is kept as a dictionary. Every fragment and
    #: every row group of the output has one, and each may contain the values of everything that it was built from.
    _MOST_DICTIONARY_BYTES = 1 / 20

    def __init__(self) -> None:
        self._bytes: dict[str, int] = {}
        self._dictionary_bytes: dict[str, float] = {}
        self.delta_text: set[str] = set()
        self._rows = 0

    def add(self, rows: int, chunks: Sequence[ChunkFooter]) -> None:
        """Add a row group's chunks."""
        self._rows += rows
        for chunk in chunks:
            if chunk.kind == "BYTE_ARRAY" or "." in chunk.path:
                name = chunk.path.split(".")[0]
                size = max(chunk.size_bytes, _decoded_bytes(chunk))
                self._bytes[name] = self._bytes.get(name, 0) + size
                name = chunk.path
                self._dictionary_bytes[name] = self._dictionary_bytes.get(name, 0.0) + self._of_dictionary(chunk)
                if not DELTA_TEXT.isdisjoint(chunk.encodings):
                    self.delta_text.add(name)

    def _of_dictionary(self, chunk: ChunkFooter) -> float:
        """Return the bytes of a chunk's dictionary, infinity if it has none or not all values are in it."""
        plain = self._CODE_BYTES * chunk.values < chunk.size_bytes
        if plain or chunk.dictionary_offset is None:
            return float("inf")
        return float(chunk.data_offset - chunk.dictionary_offset)

    def repeated(self, schema: pa.Schema) -> frozenset[str]:
        """Return the text columns with few distinct values, all of which are in small dictionaries."""
        most = self._rows * self._MOST_DICTIONARY_BYTES
        small = {name for name, size in self._dictionary_bytes.items() if size <= most} - self.delta_text
        return frozenset(column.name for column in schema if column.name in small and is_text(column.type))

    def row_bytes(self, schema: pa.Schema, repeated: frozenset[str]) -> float:
        total = 0.0
        for column in schema:
            if column.name in repeated:
                total += self._CODE_BYTES
                continue
            try:
                total += column.type.bit_width / 8
            except ValueError:  # no fixed width
                mean = self._bytes.get(column.name, 0) / max(1, self._rows)
                total += self._OVERHEAD_BYTES + max(self._LEAST_BYTES, mean)
        return total


#: Of the text columns of a row group for which it is known: between which bytes their values are.
TextRanges = Mapping[str, tuple[bytes, bytes]]


def text_ranges(chunks: Sequence[ChunkFooter]) -> TextRanges:
    """Return what a row group's chunks tell of text; extremes may be shortened, and are bounds all the same."""
    return {
        chunk.path: (chunk.least, chunk.most)
        for chunk in chunks
        if chunk.kind == "BYTE_ARRAY" and not chunk.signed_only and chunk.least is not None and chunk.most is not None
    }


def _decoded_bytes(chunk: ChunkFooter) -> int:
    """Estimate the decoded bytes of dictionary-encoded text from the longer of its extremes."""
    if chunk.dictionary_offset is None or chunk.least is None or chunk.most is None:
        return 0
    if chunk.kind != "BYTE_ARRAY":
        return 0
    return max(0, chunk.values - max(0, chunk.nulls)) * max(len(chunk.least), len(chunk.most))
