"""The columns of the input: types, roles, and symbols as numbers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute import arrays
from weekly_cli.compute.arrays import Column
from weekly_cli.names import KEY_ROLES, PRICE_ROLES

if TYPE_CHECKING:
    from weekly_cli.dataset.as_of_table import JoinedTable


@dataclass(frozen=True)
class DateReading:
    """How the date column's values are read where their type does not tell.

    Attributes
    ----------
    unit : str or None
        Of numbers: one of `names.DATE_UNITS`.
    format : str or None
        Of text, as in `datetime.strptime`; None: ISO 8601.
    timezone : str or None
        The zone whose clocks give the session date of moments; None: the column's own. Moments without one are UTC.
    """

    unit: str | None = None
    format: str | None = None
    timezone: str | None = None


AS_THEY_ARE = DateReading()


@dataclass(frozen=True)
class Derived:
    """A column that is made, of others if it is a key, while rows are read.

    Attributes
    ----------
    rule : str
        "joined": texts with a colon between them; "date parts": year, month and day; "renamed": symbols and dates,
        by `renames`; "row number": none, it counts the input's rows from 0; "as of": symbol and date, with a column
        of another table by `as_of`.
    sources : tuple of column names
    renames : tuple of (old symbol, new symbol, day)
        The old name means the new one on dates before the day.
    as_of : (JoinedTable, column name) or None
    """

    rule: str
    sources: tuple[str, ...]
    renames: tuple[tuple[str, str, int], ...] = ()
    as_of: tuple[JoinedTable, str] | None = None


@dataclass(frozen=True)
class DatasetSchema:
    """The input's columns, and which column has which role.

    Attributes
    ----------
    arrow : pa.Schema
        The columns in order, with the types in which they are written.
    roles : mapping of role to column name
    dictionary_text : frozenset of column names
        Text that is kept as a dictionary until it is written.
    delta_text : frozenset of column names
        Text whose encoding, in some file, Arrow does not decode into dictionaries.
    derived : mapping of column name to Derived
    dates : DateReading
    notes : tuple of str
        What was decided about the input that its names and types do not say.
    unread : tuple of column names
        Columns that the input has beside these, and that nothing needs.
    pandas : str
        What pandas has written about the input's columns and index, as JSON; "": nothing.
    row_number : str
        The column with the number of each row in the input, which is none of the input's; "": there is none.
    """

    arrow: pa.Schema
    roles: Mapping[str, str]
    dictionary_text: frozenset[str] = frozenset()
    delta_text: frozenset[str] = frozenset()
    derived: Mapping[str, Derived] = field(default_factory=dict)
    dates: DateReading = AS_THEY_ARE
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    pandas: str = ""
    row_number: str = ""

    def numbered(self) -> DatasetSchema:
        """Return the schema with a column that has the number of each row in the input."""
        name = "row number"
        while name in self.arrow.names:
            name += "_"
        arrow = self.arrow.append(pa.field(name, pa.int64()))
        return replace(self, arrow=arrow, derived={**self.derived, name: Derived("row number", ())}, row_number=name)

    @property
    def symbol_type(self) -> pa.DataType:
        """The type of the symbol column."""
        return self.arrow.field(self.roles["symbol"]).type

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The symbol and date columns."""
        return tuple(self.roles[role] for role in KEY_ROLES)

    @property
    def renames(self) -> tuple[tuple[str, str, int], ...]:
        """The symbols that are renamed: old, new, day."""
        return tuple(rename for how in self.derived.values() for rename in how.renames)

    def read_columns(self, names: Iterable[str]) -> list[str]:
        """Return the columns that must be read for these ones, each once."""
        read: dict[str, None] = {}
        for name in names:
            for source in self.derived[name].sources if name in self.derived else (name,):
                is_read = source == name or source not in self.derived
                read |= dict.fromkeys((source,) if is_read else self.read_columns([source]))
        return list(read)

    @property
    def rewritten(self) -> frozenset[str]:
        """The columns whose values are not those of the files' columns of the same name."""
        return frozenset(name for name, how in self.derived.items() if name in how.sources)

    def working_type(self, name: str) -> pa.DataType:
        """Return the type in which a column is processed until it is written in its original type."""
        kind = working_type(self.arrow.field(name).type)
        as_it_is = name not in self.dictionary_text or pa.types.is_dictionary(kind)
        return kind if as_it_is else pa.dictionary(pa.int32(), kind)


def roles_in_words(roles: Mapping[str, str]) -> str:
    """Return the column of each role, and what is made without those that are missing.

    >>> roles_in_words({"symbol": "Ticker", "date": "date", "close": "close", "volume": "volume"})
    'symbol=Ticker, date, close, volume; no open, high, low: columns that need them are made of closes'
    """
    words = ", ".join(role if role == name else f"{role}={name}" for role, name in roles.items())
    missing = [role for role in PRICE_ROLES if role not in roles]
    words += f"; no {', '.join(missing)}: columns that need them are made of closes" if missing else ""
    return words + ("" if "volume" in roles else "; no volume: its columns are empty")


def index_columns(schema: pa.Schema) -> list[str]:
    """Return the columns that pandas' metadata name as the index, whose form pandas documents.

    Source: https://pandas.pydata.org/docs/development/developer.html.
    """
    try:
        index = json.loads((schema.metadata or {}).get(b"pandas", b"{}")).get("index_columns", [])
        return [name for name in index if isinstance(name, str) and name in schema.names]
    except (ValueError, AttributeError, TypeError):  # other metadata of that name
        return []


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a type is a string: plain, large, a view, or dictionary-encoded."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def working_type(kind: pa.DataType) -> pa.DataType:
    """Return the type nearest to a column's own that can be gathered and concatenated.

    Arrow can't gather views, and a narrow index may be too small for the combined dictionaries of several row groups.
    """
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_dictionary(kind):
        return pa.dictionary(pa.int32(), kind.value_type, kind.ordered)
    return kind


def gatherable(table: pa.Table) -> pa.Table:
    """Return a table with its columns in their working types, so that some of its rows can be taken."""
    kinds = [working_type(kind) for kind in table.schema.types]
    if kinds == table.schema.types:
        return table
    fields = [column.with_type(kind) for column, kind in zip(table.schema, kinds, strict=True)]
    return table.cast(pa.schema(fields, metadata=table.schema.metadata))


# ---- keys as numbers -------------------------------------------------------------------------------------


def symbol_codes(symbols: Column, known: pa.Array) -> NDArray[np.int32]:
    """Return the position of each symbol in `known` as int32[rows], -1 if it is null or not in `known`."""
    return SymbolCodes(known)(symbols)


class SymbolCodes:
    """`symbol_codes` for many columns: a dictionary that equals the previous one is not looked up again."""

    def __init__(self, known: pa.Array) -> None:
        self._known = known
        self._dictionary: pa.Array | None = None
        self._codes = np.empty(0, np.int32)

    def __call__(self, symbols: Column) -> NDArray[np.int32]:
        chunks = symbols.chunks if isinstance(symbols, pa.ChunkedArray) else [symbols]
        coded = [self._of(chunk) for chunk in chunks]
        return np.concatenate(coded) if coded else np.empty(0, np.int32)

    def _of(self, symbols: pa.Array) -> NDArray[np.int32]:
        if not pa.types.is_dictionary(symbols.type):
            return arrays.to_numpy(pc.index_in(symbols.cast(self._known.type), value_set=self._known), -1)
        if self._dictionary is None or not symbols.dictionary.equals(self._dictionary):
            self._dictionary, self._codes = symbols.dictionary, np.append(self._of(symbols.dictionary), np.int32(-1))
        last = len(self._codes) - 1
        of_rows: NDArray[np.int32] = self._codes[arrays.to_numpy(symbols.indices.cast(pa.int32()), last)]
        return of_rows


def plain_symbols(symbols: pa.Array) -> pa.Array:
    """Return symbols without dictionary encoding."""
    return symbols.dictionary_decode() if pa.types.is_dictionary(symbols.type) else symbols


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of a symbol column's values."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def as_text(value: pa.Scalar) -> str:
    """Return any value as text for an error message."""
    try:
        return str(value.as_py())
    except (ValueError, OverflowError):  # bytes that are not valid text, or a timestamp that Python can't represent
        integer_type = pa.int32() if value.type == pa.date32() else pa.int64()
        return str(value.cast(pa.large_binary() if is_text(value.type) else integer_type).as_py())


def prices(column: Column) -> NDArray[np.float64]:
    """Return a price or volume column as float64[rows], NaN where null."""
    return arrays.to_numpy(arrays.floats(column), np.nan)


def name_collisions(input_names: Iterable[str], added: Iterable[str]) -> list[str]:
    """Return the names of `added` that are already in the input, in order."""
    taken = set(input_names)
    return [name for name in added if name in taken]
