"""Small tables beside the input: maps of symbols, and tables that are joined."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from weekly_cli.errors import UsageError
from weekly_cli.files import disk
from weekly_cli.files.locations import location, source_of
from weekly_cli.files.parquet import PARQUET_SUFFIXES

_CHUNK_BYTES = 2**20
#: What a text takes in memory besides its characters, and at least.
_TEXT_BYTES, _LEAST_TEXT_BYTES = 4, 8


class TableFile:
    """A CSV or Parquet file, of which columns are read when they are asked for.

    Parameters
    ----------
    name : str
    setting : str
        What named it, for error messages.
    is_text : callable
        Of a CSV the columns are text of which it says so by their names; the types of others are inferred.

    Raises
    ------
    UsageError
        From here on, if it can't be read.
    """

    def __init__(self, name: str, setting: str, is_text: Callable[[str], bool] = lambda _: True) -> None:
        self._path, self._named, self._is_text = location(name), f"{setting} {name}", is_text
        self._is_parquet = self._path.suffix.lower() in PARQUET_SUFFIXES

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Its columns; to know those of a CSV, all of it is read, and kept until `columns` yields it."""
        with self._reading():
            if self._is_parquet:
                return pq.ParquetFile(source_of(self._path)).schema_arrow
            return self._csv.schema

    def read(self) -> pa.Table:
        """Return all of it."""
        with self._reading():
            return pq.ParquetFile(source_of(self._path)).read() if self._is_parquet else self._csv

    def columns(self, names: Sequence[str], repeated: Sequence[str] = ()) -> Iterator[pa.ChunkedArray]:
        """Yield some columns one after the other, each once; of a Parquet file the text `repeated` as dictionaries."""
        with self._reading():
            if not self._is_parquet:
                for name in names:
                    column = self._csv.column(name)
                    self._csv = self._csv.drop_columns(name)
                    yield column
                return
            file = pq.ParquetFile(source_of(self._path), read_dictionary=list(repeated))
            for name in names:
                yield file.read([name]).column(name)

    @property
    def names(self) -> list[str]:
        """The names of its columns; none of a CSV, of which no more than its size is known before it is read."""
        return self.schema.names if self._is_parquet else []

    def expected_size(self, names: Sequence[str]) -> tuple[int, int]:
        """Estimate its rows, and the bytes that some columns take in memory, without reading them.

        A CSV has no rows here, and all columns count.
        """
        with self._reading():
            if not self._is_parquet:
                return 0, int(self._path.stat().st_size)
            footer = pq.ParquetFile(source_of(self._path)).metadata
        chunks = (
            footer.row_group(group).column(column)
            for group in range(footer.num_row_groups)
            for column in range(footer.num_columns)
        )
        return footer.num_rows, sum(
            _bytes_of(chunk)
            for chunk in chunks
            if any(chunk.path_in_schema == name or chunk.path_in_schema.startswith(f"{name}.") for name in names)
        )

    @functools.cached_property
    def _csv(self) -> pa.Table:
        from pyarrow import csv

        with self._path.open("rb") as stream:
            header = stream.readline().decode("utf-8-sig")
        names = next(iter(_csv_rows(header)), [])
        options = csv.ConvertOptions(
            column_types=dict.fromkeys(filter(self._is_text, names), pa.string()),
            null_values=[""],
            strings_can_be_null=True,
        )
        return csv.read_csv(source_of(self._path), convert_options=options)

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
            raise UsageError(f"{self._named} can't be read: {disk.first_line(error)}") from error


def read_table_file(name: str, setting: str) -> pa.Table:
    """Return a small table from a CSV, whose columns are text, or a Parquet file.

    Raises
    ------
    UsageError
        If it can't be read.
    """
    return TableFile(name, setting).read()


def _csv_rows(text: str) -> Iterator[list[str]]:
    import csv

    yield from csv.reader([text])


_FIXED_BYTES = {"BOOLEAN": 1, "INT32": 4, "INT64": 8, "INT96": 8, "FLOAT": 4, "DOUBLE": 8}


def _bytes_of(chunk: pq.ColumnChunkMetaData) -> int:
    """Estimate what a column of a row group takes in memory: values that repeat are stored once, and decoded each."""
    size = _FIXED_BYTES.get(chunk.physical_type)
    if size is not None:
        return size * int(chunk.num_values)
    known = chunk.statistics
    longest = max(map(len, (known.min_raw, known.max_raw))) if known is not None and known.has_min_max else 0
    decoded = chunk.num_values * (_TEXT_BYTES + max(longest, _LEAST_TEXT_BYTES))
    return max(int(chunk.total_uncompressed_size), int(decoded))


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
