"""The key columns of a row group, read: which symbols and days its rows have, where, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.arrays import known as is_known
from weekly_cli.compute.bars import Ints, run_starts
from weekly_cli.dataset import source
from weekly_cli.dataset.calendar import DayCounts, count_days
from weekly_cli.dataset.dates import session_days, times_of_day
from weekly_cli.dataset.schema import DatasetSchema, as_text
from weekly_cli.dataset.source import Piece
from weekly_cli.errors import InputRefused
from weekly_cli.files import disk

#: A row group in which a symbol has more runs than this, on average, is not clustered by symbol.
_RUNS_PER_SYMBOL = 4
OFFENDERS_SHOWN = 3


@dataclass(frozen=True)
class Keys:
    """The facts from the keys of some pieces' rows.

    Attributes
    ----------
    symbols : pa.Array
        Those of the rows.
    entries, pieces, counts : int64[entries]
        Of each symbol in each piece that has it: its position in `symbols`, the piece's number, and the rows.
    first, stop : int64[entries] or None
        The rows of the row group between which these are; None if symbols are scattered.
    first_days : (int64[parts], int32[parts])
        The earliest day in each part of a piece that has rows, after the piece's number.
    days : tuple of int, or None
        The first row's, the last row's, the smallest and the largest.
    keys : tuple, or None
        Symbol and day of the first row and of the last.
    bad : tuple of str
        The first rows without a key, each with its place.
    bad_of_files : mapping of str to int
        How many there are, by the names of files.
    unread : tuple of (value, place), or None
        The first value in the date column that is no date.
    """

    rows: int
    symbols: pa.Array
    entries: Ints
    pieces: Ints
    counts: Ints
    first: Ints | None
    stop: Ints | None
    first_days: tuple[Ints, NDArray[np.int32]]
    days: tuple[int, int, int, int] | None
    ascending: bool
    keys: tuple[tuple[Any, int], tuple[Any, int]] | None
    keys_ascending: bool
    bad: tuple[str, ...]
    bad_of_files: Mapping[str, int]
    unread: tuple[str, str] | None
    unread_count: int
    by_day: DayCounts | None
    times_of_day: frozenset[int]


def read_keys(schema: DatasetSchema, by_key: bool, numbered: Sequence[tuple[int, Piece]]) -> list[Keys]:
    """Return the facts from the keys of pieces, each with its number; `by_key`: whether rows are in key order, too."""
    number_of = {(piece.path, piece.row_group): number for number, piece in numbered}
    keys = []
    for parts, table in source.joined_tables([piece for _, piece in numbered], schema, schema.key_columns):
        places = _Places(parts, np.array([number_of[part.piece.path, part.piece.row_group] for part in parts]))
        keys.append(_keys_of(places, table, schema, by_key))
    return keys


class _Places:
    """Where the rows of a table are in the input: `numbers` are those of the parts' pieces."""

    def __init__(self, parts: Sequence[source.Part], numbers: Ints) -> None:
        self.parts, self.numbers = parts, numbers
        self.bounds = np.cumsum([0, *(part.rows for part in parts)])

    def part_of(self, rows: Ints) -> Ints:
        """Return the position of the part that each row belongs to; rows ascend."""
        return np.repeat(np.arange(len(self.parts)), np.diff(np.searchsorted(rows, self.bounds)))

    def in_group(self, rows: Ints, parts: Ints) -> Ints:
        """Return the numbers in their row groups of rows that belong to these parts, or bounds of such rows."""
        before: Ints = self.bounds[:-1] - [part.first for part in self.parts]
        return rows - before[parts]

    def first_days(self, rows: Ints, days: NDArray[np.int32]) -> tuple[Ints, NDArray[np.int32]]:
        """Return the pieces' numbers of the parts that have some of these rows, and the least of each one's days."""
        begins, ends = np.searchsorted(rows, self.bounds[:-1]), np.searchsorted(rows, self.bounds[1:])
        some = begins < ends
        return self.numbers[some], np.minimum.reduceat(days, begins[some]) if some.any() else days[:0]

    def place(self, row: int) -> str:
        """Return in words where a row is for the user."""
        parts = self.part_of(np.array([row]))
        return self.parts[int(parts[0])].piece.place(int(self.in_group(np.array([row]), parts)[0]))

    def by_file(self, rows: Ints) -> dict[str, int]:
        """Return how many of some rows each file has."""
        found: dict[str, int] = {}
        for number, count in enumerate(np.bincount(self.part_of(rows))):
            if count:
                name = self.parts[number].piece.name
                found[name] = found.get(name, 0) + int(count)
        return found


def _encoded(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return array if pa.types.is_dictionary(array.type) else array.dictionary_encode()


def _refuse_other_bytes(symbols: pa.Array, name: str, places: _Places) -> None:
    """Refuse symbols that are not valid UTF-8, which Arrow does not check: they could be neither sorted nor named."""
    if _is_text(symbols.dictionary):
        return
    for part, begin in zip(places.parts, places.bounds.tolist(), strict=False):
        used = symbols.indices.slice(begin, part.rows).unique().drop_null()
        try:
            symbols.dictionary.take(used).validate(full=True)
        except pa.ArrowInvalid as error:
            raise InputRefused(
                f"column {name!r} of {part.piece.name} is text, but not all of it is UTF-8 (row group "
                f"{part.piece.row_group}): {disk.first_line(error)}; write it as UTF-8"
            ) from error


def _is_text(symbols: pa.Array) -> bool:
    try:
        symbols.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _keys_of(places: _Places, table: pa.Table, schema: DatasetSchema, by_key: bool) -> Keys:
    names = schema.key_columns
    encoded = _encoded(table.column(0))
    _refuse_other_bytes(encoded, names[0], places)
    days, known = session_days(table.column(1), schema.dates)
    usable = known if encoded.null_count == 0 else is_known(encoded)
    if usable is not None and known is not None:
        usable = usable & known
    bad_rows = np.flatnonzero(~usable) if usable is not None else np.empty(0, np.int64)
    unread_rows = _unread(table.column(1), known)
    codes = to_numpy(encoded.indices, 0)
    rows = np.arange(len(codes))
    if len(bad_rows):
        codes, days, rows = codes[usable], days[usable], rows[usable]
    parts, symbols, counts, first, stop = _entries(codes, rows, places, len(encoded.dictionary))
    present, entries = np.unique(symbols, return_inverse=True)
    everything = len(present) == len(encoded.dictionary)
    smallest, largest = (int(days.min()), int(days.max())) if len(days) else (0, -1)
    return Keys(
        rows=table.num_rows,
        symbols=encoded.dictionary if everything else encoded.dictionary.take(from_numpy(present)),
        entries=entries,
        pieces=places.numbers[parts],
        counts=counts,
        first=None if first is None else places.in_group(first, parts),
        stop=None if stop is None else places.in_group(stop, parts),
        first_days=places.first_days(rows, days),
        days=(int(days[0]), int(days[-1]), smallest, largest) if len(days) else None,
        ascending=bool((days[1:] >= days[:-1]).all()),
        keys=((_symbol(encoded, codes[0]), int(days[0])), (_symbol(encoded, codes[-1]), int(days[-1])))
        if len(days)
        else None,
        keys_ascending=by_key and first is not None and _keys_ascend(encoded.dictionary, codes, days),
        bad=tuple(
            f"{_offender(table, row, names)} in {places.place(row)}" for row in bad_rows[:OFFENDERS_SHOWN].tolist()
        ),
        bad_of_files=places.by_file(bad_rows),
        unread=(as_text(table.column(1)[int(unread_rows[0])]), places.place(int(unread_rows[0])))
        if len(unread_rows)
        else None,
        unread_count=len(unread_rows),
        by_day=count_days(days, smallest, largest) if len(days) else None,
        times_of_day=times_of_day(table.column(1), schema.dates),
    )


def _symbol(encoded: pa.Array, code: np.int32) -> Any:
    """Return a symbol by its code; texts compare by their characters as they do by their UTF-8 bytes."""
    return encoded.dictionary[int(code)].as_py()


def _keys_ascend(symbols: pa.Array, codes: NDArray[np.int32], days: NDArray[np.int32]) -> bool:
    """Tell whether rows are in the order of symbol and date."""
    rank = np.empty(len(symbols), np.int64)
    rank[to_numpy(pc.array_sort_indices(symbols))] = np.arange(len(symbols))
    starts = run_starts(codes)
    later = days[1:] >= days[:-1]
    later[starts[1:] - 1] = True
    return bool((np.diff(rank[codes[starts]]) > 0).all() and later.all())


def _unread(dates: pa.ChunkedArray, known: NDArray[np.bool_] | None) -> NDArray[np.int64]:
    """Return the rows that have a value in the date column that is not a valid date."""
    if known is None:
        return np.empty(0, np.int64)
    return np.flatnonzero(~known & is_known(dates))


def _offender(table: pa.Table, row: int, names: Sequence[str]) -> str:
    symbol, date = (table.column(name)[row] for name in names)
    return f"{names[0]} {symbol.as_py()!r}, {names[1]} {as_text(date)}"


def _entries(
    codes: NDArray[np.int32], rows: Ints, places: _Places, n_symbols: int
) -> tuple[Ints, Ints, Ints, Ints | None, Ints | None]:
    """Return of each symbol in each part: the part, the symbol, its rows, the first one, and the one after the last.

    The last two are None if symbols are scattered in a part.
    """
    n_parts = len(places.parts)
    pairs = codes if n_parts == 1 else codes + n_symbols * places.part_of(rows)
    counts = np.bincount(pairs, minlength=n_parts * n_symbols)
    present = np.flatnonzero(counts)
    parts, symbols = np.divmod(present, max(1, n_symbols))
    starts = run_starts(pairs)
    runs_of_parts = np.diff(np.searchsorted(starts, np.searchsorted(rows, places.bounds)))
    if (runs_of_parts > _RUNS_PER_SYMBOL * np.bincount(parts, minlength=n_parts)).any():
        return parts, symbols, counts[present], None, None
    first = np.full(len(counts), np.iinfo(np.int64).max)
    stop = np.zeros(len(counts), np.int64)
    if len(starts):
        last = np.append(starts[1:], len(pairs)) - 1
        np.minimum.at(first, pairs[starts], rows[starts])
        np.maximum.at(stop, pairs[starts], rows[last] + 1)
    return parts, symbols, counts[present], first[present], stop[present]
