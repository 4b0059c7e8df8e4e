"""What the footers of the input say: schema, roles, row groups, sizes; no page is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from weekly_cli import source, storage
from weekly_cli.config import Config
from weekly_cli.errors import InputRefused
from weekly_cli.schema import DatasetSchema, find_roles, is_text, unify
from weekly_cli.source import Piece


@dataclass(frozen=True)
class Footers:
    """What the footers say: the input's schema, its row groups as pieces, and sizes.

    Attributes
    ----------
    integer_ranges : mapping
        Smallest and largest value of each integer column whose footers all tell.
    row_bytes : float
        Estimated bytes of a row in memory.
    identity : str
        A hash of the files' paths, inodes, sizes, times and footers.
    """

    where: str
    schema: DatasetSchema
    pieces: tuple[Piece, ...]
    files: int
    file_bytes: int
    row_bytes: float
    identity: str
    integer_ranges: Mapping[str, tuple[int, int]]

    @property
    def rows(self) -> int:
        """Rows in all."""
        return sum(piece.rows_in_group for piece in self.pieces)


def read_footers(config: Config, output: Path | None) -> Footers:
    """Read the footers of the input, which is not what lies in the place of `output`, if there is one.

    Raises
    ------
    InputRefused
        If a file can't be read, schemas don't agree, or a role is not found.
    """
    found = storage.find_inputs(config.input, output)
    schemas: list[tuple[str, pa.Schema]] = []
    pieces: list[Piece] = []
    leaves: _Leaves | None = None  # files have the same ones more often than not
    ranges = _IntegerRanges()
    file_bytes, text_bytes, identity = 0, _TextBytes(), hashlib.sha256()
    for path, keys in found:
        file = storage.open_parquet(path)
        schemas.append((str(path), _with_keys(file.schema_arrow, keys)))
        status = path.stat()
        file_bytes += status.st_size
        which = (str(path), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        identity.update(repr(which).encode(errors="surrogateescape"))
        identity.update(storage.footer_bytes(path))
        if leaves is None or not leaves.schema.equals(file.schema):
            leaves = _leaves(file)
        for group, rows, chunks in _row_groups(path, status.st_size, file.metadata, leaves):
            if rows:
                pieces.append(Piece(str(path), group, 0, rows, rows, keys))
                ranges.add(chunks, leaves.integers)
                text_bytes.add(rows, chunks)
    arrow = unify(schemas).remove_metadata()
    roles = find_roles(arrow, config.role_columns, config.input)
    schema = DatasetSchema(arrow, roles, text_bytes.repeated(arrow) - {roles["symbol"]})
    if config.price is not None:
        _check_price(config.price, schema, config.input)
    return Footers(
        where=config.input,
        schema=schema,
        pieces=tuple(pieces),
        files=len(found),
        file_bytes=file_bytes,
        identity=identity.hexdigest(),
        row_bytes=text_bytes.row_bytes(arrow, schema.repeated),
        integer_ranges=ranges.known(arrow),
    )


@dataclass(frozen=True)
class _Leaves:
    """The columns of a file's pages: path and type, whether values repeat within a row; and which are integers."""

    schema: pq.ParquetSchema
    columns: Sequence[tuple[str, str]]
    repeated: Sequence[bool]
    integers: frozenset[str]


def _leaves(file: pq.ParquetFile) -> _Leaves:
    columns = [file.schema.column(number) for number in range(file.metadata.num_columns)]
    return _Leaves(
        file.schema,
        [(column.path, column.physical_type) for column in columns],
        [column.max_repetition_level > 0 for column in columns],
        frozenset(column.name for column in file.schema_arrow if pa.types.is_integer(column.type)),
    )


def _row_groups(
    path: Path, size: int, metadata: pq.FileMetaData, leaves: _Leaves
) -> Iterator[tuple[int, int, Sequence[Any]]]:
    """Yield (number, rows, column chunks) of each row group of a file of `size` bytes.

    Raises
    ------
    InputRefused
        If counts contradict each other, or bytes lie outside of the file: memory is planned with them.
    """
    counted = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        rows, chunks = group.num_rows, [group.column(column) for column in range(group.num_columns)]
        if rows < 0 or list(map(_leaf, chunks)) != leaves.columns:
            raise _damaged(path, f"row group {number} of {rows:,} rows has other columns than the schema")
        for chunk, (name, _), repeated in zip(chunks, leaves.columns, leaves.repeated, strict=True):
            if chunk.num_values != rows and not repeated:
                counts = f"{rows:,} rows, but {chunk.num_values:,} values of {name!r}"
                raise _damaged(path, f"row group {number} has {counts}")
            if not _lies_within(chunk, size):
                raise _damaged(path, f"{name!r} of row group {number} can't lie where it says")
        counted += rows
        yield number, rows, chunks
    if counted != metadata.num_rows:
        raise _damaged(path, f"it tells of {metadata.num_rows:,} rows, but its row groups of {counted:,}")


def _leaf(chunk: Any) -> tuple[str, str] | None:
    """Return a chunk's path and type; to look at statistics of another type than the schema's ends the process."""
    try:
        return chunk.path_in_schema, chunk.physical_type
    except UnicodeDecodeError:
        return None


#: No page's body is shortened by more; what a codec makes of nothing but zeros is some thousandth.
_MOST_RATIO = 2**20


def _lies_within(chunk: Any, size: int) -> bool:
    data, stored = chunk.data_page_offset, chunk.total_compressed_size
    begin = min(data, (chunk.dictionary_page_offset if chunk.has_dictionary_page else 0) or data)
    plausible = 0 <= chunk.total_uncompressed_size <= _MOST_RATIO * size
    return bool(plausible and 0 <= begin <= data <= begin + stored <= size)


def _damaged(path: Path, what: str) -> InputRefused:
    return InputRefused(f"{path} has a damaged footer: {what}; write the file anew")


def _with_keys(schema: pa.Schema, keys: source.HiveKeys) -> pa.Schema:
    """Return a file's schema with its hive keys as text columns; a column of the file itself wins."""
    for key, _ in keys:
        if key not in schema.names:
            schema = schema.append(pa.field(key, pa.string()))
    return schema


def _check_price(name: str, schema: DatasetSchema, where: str) -> None:
    if name not in schema.arrow.names:
        raise InputRefused(f"{where} has no column {name!r} for --price; it has {', '.join(schema.arrow.names)}")
    kind = schema.arrow.field(name).type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        raise InputRefused(f"column {name!r} of {where} is {kind}, but --price takes numbers")


class _IntegerRanges:
    """Smallest and largest value of integer columns, from the statistics of all row groups."""

    def __init__(self) -> None:
        self._ranges: dict[str, tuple[int, int] | None] = {}

    def add(self, chunks: Sequence[Any], integers: Set[str]) -> None:
        """Add a row group's chunks, of the columns that are integers in its file."""
        for column in chunks:
            name = column.path_in_schema
            if name not in integers:
                continue
            statistics = column.statistics
            if statistics is None or not statistics.has_min_max:
                self._ranges[name] = None
                continue
            least, most = statistics.min, statistics.max
            known = self._ranges.get(name, (least, most))
            if known is not None:
                self._ranges[name] = min(known[0], least), max(known[1], most)

    def known(self, schema: pa.Schema) -> dict[str, tuple[int, int]]:
        integers = {column.name for column in schema if pa.types.is_integer(column.type)}
        return {name: found for name, found in self._ranges.items() if found is not None and name in integers}


class _TextBytes:
    """Sizes of columns without a fixed width, from the footers."""

    _OVERHEAD_BYTES, _LEAST_BYTES = 8.0, 16.0
    _CODE_BYTES = 4
    #: Text whose dictionaries take at most this share of a byte a row is carried as a dictionary. Every fragment
    #: and every row group of the output has one, and each may hold the values of all that it was made from.
    _MOST_DICTIONARY_BYTES = 1 / 20

    def __init__(self) -> None:
        self._bytes: dict[str, int] = {}
        self._dictionary_bytes: dict[str, float] = {}
        self._rows = 0

    def add(self, rows: int, chunks: Sequence[Any]) -> None:
        """Add a row group's chunks."""
        self._rows += rows
        for column in chunks:
            if column.physical_type == "BYTE_ARRAY" or "." in column.path_in_schema:
                name = column.path_in_schema.split(".")[0]
                size = max(column.total_uncompressed_size, _decoded_bytes(column))
                self._bytes[name] = self._bytes.get(name, 0) + size
                name = column.path_in_schema
                self._dictionary_bytes[name] = self._dictionary_bytes.get(name, 0.0) + self._of_dictionary(column)

    def _of_dictionary(self, column: Any) -> float:
        """Return the bytes of a chunk's dictionary, infinity if it has none or not all values come from it."""
        plain = self._CODE_BYTES * column.num_values < column.total_uncompressed_size
        if plain or not column.has_dictionary_page:
            return float("inf")
        return float(column.data_page_offset - column.dictionary_page_offset)

    def repeated(self, schema: pa.Schema) -> frozenset[str]:
        """Return the text columns of few values, all of which lie behind small dictionaries."""
        most = self._rows * self._MOST_DICTIONARY_BYTES
        small = {name for name, size in self._dictionary_bytes.items() if size <= most}
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


def _decoded_bytes(column: Any) -> int:
    """Estimate the bytes of texts that lie behind a dictionary by the longer of its extremes."""
    statistics = column.statistics
    if not column.has_dictionary_page or statistics is None or not statistics.has_min_max:
        return 0
    lengths = [len(value) for value in (statistics.min_raw, statistics.max_raw) if isinstance(value, bytes)]
    return int(statistics.num_values * max(lengths, default=0))
