"""Who takes part in a cross section: the group of each symbol, and the days on which it is a member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.cross_section import members
from weekly_cli.dataset.dates import as_date, session_days
from weekly_cli.dataset.schema import as_text
from weekly_cli.errors import UsageError
from weekly_cli.files.tables import content_hash, read_table_file
from weekly_cli.names import did_you_mean
from weekly_cli.settings import Config

_SYMBOL, _FROM, _TO = _COLUMNS = ("symbol", "from", "to")
#: What stands for a span without an end: no date of an input is later.
_NO_END = 2**31 - 1


@dataclass(frozen=True)
class Universe:
    """Spans of membership, both ends included.

    Attributes
    ----------
    path, sha256 : str
        The file, and the hash of its bytes.
    symbols : pa.Array
        Of the file, each once.
    codes, first, last : int64[spans]
        Position of each span's symbol in `symbols`, and its days.
    """

    path: str
    sha256: str
    symbols: pa.Array
    codes: Ints
    first: Ints
    last: Ints

    def of(self, symbols: pa.Array) -> Memberships:
        """Return the spans of the input's symbols, and how many of the file's symbols the input lacks."""
        try:
            places = to_numpy(pc.index_in(self.symbols.cast(symbols.type), value_set=symbols), -1).astype(np.int64)
        except pa.ArrowInvalid as error:
            raise UsageError(f"--universe {self.path}: its symbols are not the {symbols.type} of the input") from error
        codes = places[self.codes]
        there = codes >= 0
        return Memberships(
            (codes[there], self.first[there], self.last[there]),
            n_members=len(self.symbols),
            missing=tuple(as_text(self.symbols[place]) for place in np.flatnonzero(places < 0).tolist()),
        )


@dataclass(frozen=True)
class Memberships:
    """The spans of some symbols by their positions, how many symbols the universe has, and which are missing."""

    spans: tuple[Ints, Ints, Ints]
    n_members: int
    missing: tuple[str, ...]

    def at(self, codes: Ints, days: Ints) -> NDArray[np.bool_]:
        """Tell which symbols are members on which days."""
        return members(codes, days, self.spans)


def read_universe(config: Config) -> Universe | None:
    """Return the universe that the settings name.

    Raises
    ------
    UsageError
        If the file can't be read, lacks a column, or has a span that is none.
    """
    if config.universe is None:
        return None
    setting, path = config.named("universe"), config.universe
    named = f"{setting} {path}"
    sha256 = content_hash(path, setting)
    table = read_table_file(path, setting)
    missing = next((name for name in _COLUMNS if name not in table.column_names), None)
    if missing is not None:
        raise UsageError(
            f"{named} needs the columns {', '.join(_COLUMNS)}; it has {', '.join(table.column_names)}"
            f"{did_you_mean(missing, table.column_names)}"
        )
    symbols = table.column(_SYMBOL).combine_chunks()
    days = {name: _days(table.column(name), f"{named}: column {name!r}") for name in (_FROM, _TO)}
    first, last = days[_FROM][0], np.where(days[_TO][1], days[_TO][0], _NO_END)
    for wrong, what in (
        (np.asarray(symbols.is_null()), "has no symbol"),
        (~days[_FROM][1], "has no date in 'from'"),
        (last < first, "ends before it begins"),
    ):
        if wrong.any():
            row = int(np.argmax(wrong))
            shown = "" if not symbols[row].is_valid else f" ({as_text(symbols[row])}{_shown(days, row)})"
            raise UsageError(f"{named}: row {row + 1:,}{shown} {what}")
    encoded = symbols.dictionary_encode() if not pa.types.is_dictionary(symbols.type) else symbols
    return Universe(path, sha256, encoded.dictionary, to_numpy(encoded.indices).astype(np.int64), first, last)


def _days(column: pa.ChunkedArray, named: str) -> tuple[Ints, NDArray[np.bool_]]:
    """Return a column of dates as days, and which there are."""
    if pa.types.is_null(column.type):
        return np.zeros(len(column), np.int64), np.zeros(len(column), bool)
    if not (pa.types.is_temporal(column.type) or pa.types.is_string(column.type)):
        raise UsageError(f"{named} is {column.type}; it takes dates, or ISO 8601 text")
    days, usable = session_days(column)
    given = np.asarray(column.is_valid())
    known = given if usable is None else given & usable
    unread = given & ~known
    if unread.any():
        row = int(np.argmax(unread))
        raise UsageError(f"{named}: {as_text(column[row])!r} in row {row + 1:,} is no date; write it as 2024-01-31")
    return days.astype(np.int64), known


def _shown(days: Mapping[str, tuple[Ints, NDArray[np.bool_]]], row: int) -> str:
    return "".join(f", {name} {as_date(int(of[row]))}" for name, (of, known) in days.items() if known[row])


def group_numbers(groups: pa.Array) -> Ints:
    """Return the number of each symbol's group, -1 where it has none."""
    encoded = groups.dictionary_encode()
    numbers: Ints = to_numpy(encoded.indices, -1).astype(np.int64)
    return numbers
