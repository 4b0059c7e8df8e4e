"""Reads the input's footers: schema, roles, row groups, sizes; no page is read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from weekly_cli.dataset.as_of import with_joins
from weekly_cli.dataset.convert import Conversion
from weekly_cli.dataset.each import in_order
from weekly_cli.dataset.hive import keys_that_count, with_keys
from weekly_cli.dataset.pandas_metadata import PandasMetadata
from weekly_cli.dataset.readings import with_dates, with_renames
from weekly_cli.dataset.roles import Choice, Files, choose_roles
from weekly_cli.dataset.schema import DatasetSchema, index_columns
from weekly_cli.dataset.source import Piece
from weekly_cli.dataset.statistics import IntegerRanges, NullCounts, TextBytes, TextRanges, text_ranges
from weekly_cli.dataset.unify import FileSchema, unified_notes, unify
from weekly_cli.dataset.written import with_columns_read
from weekly_cli.errors import InputRefused
from weekly_cli.files import discovery, parquet
from weekly_cli.files.discovery import HiveKeys, Skipped
from weekly_cli.files.file_states import FileState, file_state
from weekly_cli.files.footer import ChunkFooter, Footer, FooterReader, RowGroupFooter
from weekly_cli.files.locations import Location
from weekly_cli.files.objects.path import ObjectPath
from weekly_cli.names import REQUIRED_ROLES, did_you_mean
from weekly_cli.settings import Config


@dataclass(frozen=True)
class Footers:
    """The facts from the footers: the input's schema, its row groups as pieces, and sizes.

    Attributes
    ----------
    skipped : tuple of Skipped
        Files in the input's folders that are not read.
    integer_ranges : mapping
        Smallest and largest value of each integer column for which all footers have statistics.
    text_ranges : sequence of TextRanges
        Of each piece, where symbols are asked for; else empty.
    null_counts : mapping
        Nulls of each column without parts for which all footers have statistics; where a file lacks it, every row's.
    row_bytes : float
        Estimated bytes per row in memory.
    identity : str
        A hash of the files' paths, inodes, sizes, times and footers.
    states : mapping of path to FileState
        The state of each file when its footer was read.
    """

    where: str
    schema: DatasetSchema
    pieces: tuple[Piece, ...]
    files: int
    skipped: tuple[Skipped, ...]
    file_bytes: int
    row_bytes: float
    identity: str
    states: Mapping[Location, FileState]
    integer_ranges: Mapping[str, tuple[int, int]]
    null_counts: Mapping[str, int]
    text_ranges: Sequence[TextRanges]

    @property
    def rows(self) -> int:
        """Total number of rows."""
        return sum(piece.rows_in_group for piece in self.pieces)

    def beginning(self, days: Sequence[int]) -> Footers:
        """Return the same with the earliest day of each piece."""
        pairs = zip(self.pieces, days, strict=True)
        return replace(self, pieces=tuple(replace(piece, first_day=day) for piece, day in pairs))

    def absolute(self) -> Footers:
        """Return the same with paths that a process in another folder, or on another machine, understands."""
        return replace(self, pieces=tuple(piece.absolute() for piece in self.pieces))


def read_footers(
    config: Config,
    output: Location | None,
    conversion: Conversion | None = None,
    required: Collection[str] = REQUIRED_ROLES,
) -> Footers:
    """Read the footers of the input, which does not include what is at `output`, if given.

    With a `conversion`, its files are read, and those that it has converted in that form. An output of this tool may
    lack prices: of such only the roles in `required` must be there.

    Raises
    ------
    InputRefused
        If a file can't be read, schemas are not compatible, or a role is not found.
    """
    conversion = conversion or Conversion(discovery.find_inputs(config.input, output))
    inputs, gathered = conversion.inputs, _Gathered(conversion, with_ranges=config.symbols is not None)
    read = _footers_ahead([conversion.read_path(path) for path, _ in inputs.files])
    for (path, keys), footer in zip(inputs.files, read, strict=True):
        gathered.add(path, keys, footer, inputs.schemas.get(path), config.on_key_conflict)
    arrow = unify(gathered.schemas).remove_metadata()
    choice = choose_roles(arrow, config, gathered.files(), required)
    arrow = pa.schema([*arrow, *choice.added])
    pieces = _with_symbols(gathered.pieces, choice)
    dictionaries = gathered.text_bytes.repeated(arrow) - {choice.roles["symbol"]}
    notes = [*inputs.notes, *conversion.notes, *choice.notes, *unified_notes(gathered.schemas, arrow)]
    notes += [f"{', '.join(gathered.int96)}: INT96, to the microsecond"] if gathered.int96 else []
    pandas, not_kept = gathered.pandas.of(arrow)
    delta_text = frozenset(gathered.text_bytes.delta_text)
    schema = DatasetSchema(
        arrow, choice.roles, dictionaries, delta_text, choice.derived, notes=(*notes, *not_kept), pandas=pandas
    )
    integer_ranges = gathered.ranges.known(arrow)
    schema = with_joins(with_renames(with_dates(schema, config, pieces, integer_ranges), config), config)
    if config.price is not None:
        _check_price(config.price, schema, config)
    schema = with_columns_read(schema, config)
    return Footers(
        where=config.where,
        schema=schema,
        pieces=pieces,
        files=len(inputs.files),
        skipped=tuple(inputs.skipped),
        file_bytes=gathered.file_bytes,
        identity=gathered.identity.hexdigest(),
        states=gathered.states,
        row_bytes=gathered.text_bytes.row_bytes(schema.arrow, schema.dictionary_text),
        integer_ranges=integer_ranges,
        null_counts=gathered.nulls.known(arrow),
        text_ranges=gathered.text_ranges,
    )


def _footers_ahead(paths: Sequence[Location]) -> Iterator[bytes]:
    """Yield the footers of files; from a store, several are asked for at a time."""
    tasks = [partial(parquet.footer_bytes, path) for path in paths]
    if any(isinstance(path, ObjectPath) for path in paths):
        yield from in_order(tasks, _REQUESTS_AT_ONCE)
    else:
        yield from (task() for task in tasks)


#: Requests for footers that wait for a store side by side.
_REQUESTS_AT_ONCE = 16
#: So many kinds of footers are remembered.
_MOST_KNOWN = 256


class _Gathered:
    """The facts from the footers of files, in their order."""

    def __init__(self, conversion: Conversion, *, with_ranges: bool) -> None:
        self._conversion, self._with_ranges = conversion, with_ranges
        self.text_ranges: list[TextRanges] = []
        self.schemas: list[FileSchema] = []
        self.pieces: list[Piece] = []
        self.states: dict[Location, FileState] = {}
        self.ranges, self.nulls, self.text_bytes = IntegerRanges(), NullCounts(), TextBytes()
        self.file_bytes, self.identity = 0, hashlib.sha256()
        self._rows = 0
        self._reader = FooterReader()
        self._columns_of: dict[bytes, _Columns] = {}  # by what a footer tells beside rows, which most files share
        self._leaves: _Leaves | None = None
        self._own_columns: dict[str, None] = {}
        self._index: dict[str, None] = {}
        self.int96: dict[str, None] = {}
        self.pandas = PandasMetadata()

    def add(
        self, path: Location, keys: HiveKeys, footer: bytes, of_table: pa.Schema | None, on_key_conflict: str
    ) -> None:
        """Take a file's footer; `of_table` is its schema if a table's log has it."""
        own = self._conversion.read_path(path)
        state = self.states[path] = self._conversion.state(path)
        self.file_bytes += state.size_bytes
        told, columns = self._read(own, footer)
        self.identity.update(repr((str(path), state)).encode(errors="surrogateescape"))
        self.identity.update(footer)
        if columns.leaves is not self._leaves:
            self._leaves = columns.leaves
            self._own_columns |= dict.fromkeys(columns.arrow.names)
            self._index |= dict.fromkeys(index_columns(columns.arrow))
            self.int96 |= dict.fromkeys(name.split(".")[0] for name, kind in self._leaves.columns if kind == "INT96")
        if own == path:
            self.pandas.add(columns.arrow)
        size = state.size_bytes if own == path else file_state(own).size_bytes
        groups = _row_groups(path, size, told, self._leaves)
        if of_table is None:
            keys = keys_that_count(own, columns.arrow.names, keys, groups, on_key_conflict)
        schema = with_keys(columns.arrow, keys) if of_table is None else of_table
        self.schemas.append(FileSchema(str(path), schema, _empty_columns(groups)))
        self.ranges.hide(key for key, _ in keys)
        origin, row = ("", None) if own == path else (str(path), self._conversion.first_row(path))
        for number, (rows, chunks) in enumerate(groups):
            if rows:
                self.pieces.append(Piece(str(own), number, 0, rows, rows, self._rows, keys, origin, row))
                self._rows += rows
                row = None if row is None else row + rows
                self.ranges.add(chunks, self._leaves.integers)
                self.nulls.add(rows, chunks)
                self.text_bytes.add(rows, chunks)
                if self._with_ranges:
                    self.text_ranges.append(text_ranges(chunks))

    def _read(self, path: Location, footer: bytes) -> tuple[Footer, _Columns]:
        """Return what a footer tells, and its columns: Arrow is asked for those of every footer that is not known."""
        try:
            told = self._reader.read(footer)
        except ValueError as error:
            parquet.open_parquet(path)  # what Arrow does not read either, it refuses with better words
            raise _damaged(path, str(error)) from error
        columns = self._columns_of.get(told.frame)
        if columns is None:
            file = parquet.open_parquet(path)
            same = self._leaves is not None and self._leaves.schema.equals(file.schema)
            columns = _Columns(file.schema_arrow, self._leaves if same and self._leaves else _leaves(file))
            if len(self._columns_of) < _MOST_KNOWN:
                self._columns_of[told.frame] = columns
        return told, columns

    def files(self) -> Files:
        """Return what the files tell besides their columns."""
        return Files([file.path for file in self.schemas], frozenset(self._own_columns), tuple(self._index))


def _empty_columns(groups: Sequence[RowGroupFooter]) -> frozenset[str]:
    """Return the columns that have only nulls by the footer, or no rows."""
    full = {chunk.path for group in groups for chunk in group.chunks if chunk.nulls < chunk.values or not group.rows}
    return frozenset(chunk.path for group in groups for chunk in group.chunks if chunk.path not in full)


def _with_symbols(pieces: Sequence[Piece], choice: Choice) -> tuple[Piece, ...]:
    """Return pieces with the symbol that their file's name tells, if it does, as one more key."""
    if choice.file_symbols is None:
        return tuple(pieces)
    column, symbols = choice.file_symbols
    return tuple(replace(piece, keys=(*piece.keys, (column, symbols[piece.name]))) for piece in pieces)


@dataclass(frozen=True)
class _Leaves:
    """The leaf columns of a file: path and type, and whether values repeat within a row.

    `integers` are the integer columns, and whether each is signed.
    """

    schema: pq.ParquetSchema
    columns: Sequence[tuple[str, str]]
    repeated: Sequence[bool]
    integers: Mapping[str, bool]


class _Columns(NamedTuple):
    """A file's columns as Arrow reads them, and their leaves."""

    arrow: pa.Schema
    leaves: _Leaves


def _leaves(file: pq.ParquetFile) -> _Leaves:
    columns = [file.schema.column(number) for number in range(file.metadata.num_columns)]
    return _Leaves(
        file.schema,
        [(column.path, column.physical_type) for column in columns],
        [column.max_repetition_level > 0 for column in columns],
        {
            column.name: pa.types.is_signed_integer(column.type)
            for column in file.schema_arrow
            if pa.types.is_integer(column.type)
        },
    )


def _row_groups(path: Location, size: int, footer: Footer, leaves: _Leaves) -> list[RowGroupFooter]:
    """Return the row groups of a file of `size` bytes, checked.

    Raises
    ------
    InputRefused
        If counts contradict each other, or byte ranges are outside the file: memory is planned with them.
    """
    declared, groups = footer.rows, footer.groups
    for number, (rows, chunks) in enumerate(groups):
        if rows < 0 or [(chunk.path, chunk.kind) for chunk in chunks] != leaves.columns:
            raise _damaged(path, f"row group {number} of {rows:,} rows has other columns than the schema")
        for chunk, repeated in zip(chunks, leaves.repeated, strict=True):
            if chunk.values != rows and not repeated:
                counts = f"{rows:,} rows, but {chunk.values:,} values of {chunk.path!r}"
                raise _damaged(path, f"row group {number} has {counts}")
            if not _lies_within(chunk, size):
                raise _damaged(path, f"{chunk.path!r} of row group {number} can't lie where it says")
    counted = sum(group.rows for group in groups)
    if counted != declared:
        raise _damaged(path, f"it tells of {declared:,} rows, but its row groups of {counted:,}")
    return groups


#: No page is compressed by more than this; a codec reduces all zeros to about a thousandth.
_MOST_RATIO = 2**20


def _lies_within(chunk: ChunkFooter, size: int) -> bool:
    begin = min(chunk.data_offset, chunk.dictionary_offset or chunk.data_offset)
    plausible = 0 <= chunk.size_bytes <= _MOST_RATIO * size
    return plausible and 0 <= begin <= chunk.data_offset <= begin + chunk.stored_bytes <= size


def _damaged(path: Location, what: str) -> InputRefused:
    return InputRefused(f"{path} has a damaged footer: {what}; write the file again")


def _check_price(name: str, schema: DatasetSchema, config: Config) -> None:
    where, setting = config.where, config.named("price")
    if name not in schema.arrow.names:
        raise InputRefused(
            f"{where} has no column {name!r} for {setting}; it has {', '.join(schema.arrow.names)}"
            f"{did_you_mean(name, schema.arrow.names)}"
        )
    kind = schema.arrow.field(name).type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind)):
        raise InputRefused(f"column {name!r} of {where} is {kind}, but {setting} takes numbers")
