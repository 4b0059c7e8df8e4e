"""Roles and checks of columns: the columns of each file, how the files' schemas are unified, and keys as numbers."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute import arrays
from weekly_cli.compute.arrays import Column
from weekly_cli.errors import InputRefused
from weekly_cli.names import ALIASES, KEY_ROLES, REQUIRED_ROLES, ROLES, did_you_mean, normal

_UNIX_EPOCH = datetime.date(1970, 1, 1)
#: The years 1 to 9999, in days since 1970-01-01.
FIRST_DAY, LAST_DAY = ((day - _UNIX_EPOCH).days for day in (datetime.date.min, datetime.date.max))
_DAY_SECONDS = 24 * 3600
_SECONDS_OF_UNIT = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


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
    """

    arrow: pa.Schema
    roles: Mapping[str, str]
    dictionary_text: frozenset[str] = frozenset()

    @property
    def symbol_type(self) -> pa.DataType:
        """The type of the symbol column."""
        return self.arrow.field(self.roles["symbol"]).type

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The symbol and date columns."""
        return tuple(self.roles[role] for role in KEY_ROLES)

    def working_type(self, name: str) -> pa.DataType:
        """Return the type in which a column is processed until it is written in its original type."""
        kind = working_type(self.arrow.field(name).type)
        as_it_is = name not in self.dictionary_text or pa.types.is_dictionary(kind)
        return kind if as_it_is else pa.dictionary(pa.int32(), kind)


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


# ---- one schema for all files ----------------------------------------------------------------------------


def unify(schemas: Sequence[tuple[str, pa.Schema]]) -> pa.Schema:
    """Return the one schema that has every file's columns and loses nothing.

    Parameters
    ----------
    schemas : sequence of (path, schema)
        In the order of the files; the first file's column order is kept, and columns that it lacks follow.

    Raises
    ------
    InputRefused
        If a column's types can't be unified without loss, a file lacks a column that is not nullable, or a file has
        two columns with the same name.
    """
    fields: dict[str, pa.Field] = {}
    kinds: dict[str, dict[pa.DataType, str]] = {}  # for each column: every type, and the first file that has it
    previous: pa.Schema | None = None
    for path, schema in schemas:
        if previous is not None and schema.equals(previous):
            continue
        previous = schema
        repeated = sorted({name for name in schema.names if schema.names.count(name) > 1})
        if repeated:
            raise InputRefused(f"{path} has more than one column named {repeated[0]!r}; rename one of them")
        for column in schema:
            unified = fields.setdefault(column.name, column)
            fields[column.name] = unified.with_nullable(unified.nullable or column.nullable)
            kinds.setdefault(column.name, {}).setdefault(column.type, path)
    for name, types in kinds.items():
        fields[name] = fields[name].with_type(_common_of(name, types))
    _refuse_absent(schemas, fields, {name: next(iter(types.values())) for name, types in kinds.items()})
    if len(schemas) > 1:  # files may have different values, which together need a wider index
        fields = {name: column.with_type(_wide_dictionary(column.type)) for name, column in fields.items()}
    return pa.schema(list(fields.values()))


def _common_of(name: str, kinds: Mapping[pa.DataType, str]) -> pa.DataType:
    """Return the type that can represent every value of all `kinds`, or refuse and name two files that differ."""
    for (one, path_one), (other, path_other) in combinations(kinds.items(), 2):
        if common_type(one, other) is None:
            raise InputRefused(
                f"column {name!r} is {one} in {path_one} but {other} in {path_other}; "
                "write them with one type, or build them apart"
            )
    numbers = [kind for kind in kinds if not pa.types.is_null(kind)]
    if len(numbers) > 1 and all(map(_numeric, numbers)):
        return _smallest_number(numbers)
    return reduce(lambda one, other: common_type(one, other) or other, kinds)


def _wide_dictionary(kind: pa.DataType) -> pa.DataType:
    return working_type(kind) if pa.types.is_dictionary(kind) else kind


def _refuse_absent(
    schemas: Sequence[tuple[str, pa.Schema]], fields: dict[str, pa.Field], paths: Mapping[str, str]
) -> None:
    """Make columns that some file lacks nullable; refuse columns that must not be null."""
    for path, schema in schemas:
        if len(schema) == len(fields):
            continue
        for name in fields.keys() - set(schema.names):
            if not fields[name].nullable:
                raise InputRefused(
                    f"{path} has no column {name!r}, which is {fields[name].type} and never null in {paths[name]}; "
                    "add it there, or build the files apart"
                )


def common_type(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """Return the type that can represent every value of both exactly, None if there is none.

    >>> common_type(pa.int32(), pa.int64())
    DataType(int64)
    >>> common_type(pa.int64(), pa.float64()) is None
    True
    """
    if a.equals(b) or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if is_text(a) and is_text(b):
        return pa.large_string() if _large(a) or _large(b) else pa.string()
    if _numeric(a) and _numeric(b):
        return _smallest_number([a, b])
    if pa.types.is_timestamp(a) and pa.types.is_timestamp(b) and a.tz == b.tz:
        return max(a, b, key=lambda kind: _UNITS.index(kind.unit))
    if pa.types.is_date(a) and pa.types.is_date(b):
        return pa.date32()
    return None


_UNITS = ("s", "ms", "us", "ns")
_NUMBERS = (
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.float32(), pa.float64()),
)
_EXACT_BITS = {"float": 24, "double": 53}


def _smallest_number(kinds: Sequence[pa.DataType]) -> pa.DataType | None:
    """Return the narrowest number type that can represent every value of all `kinds`, regardless of their order."""
    holding = [number for number in _NUMBERS if all(_holds(number, kind) for kind in kinds)]
    return min(holding, key=lambda number: number.bit_width, default=None)


def _large(kind: pa.DataType) -> bool:
    return bool(pa.types.is_large_string(kind.value_type if pa.types.is_dictionary(kind) else kind))


def _numeric(kind: pa.DataType) -> bool:
    return any(kind.equals(number) for number in _NUMBERS)


def _holds(wide: pa.DataType, narrow: pa.DataType) -> bool:
    """Tell whether `wide` can represent every value of `narrow` exactly."""
    if pa.types.is_floating(narrow):
        return bool(pa.types.is_floating(wide) and wide.bit_width >= narrow.bit_width)
    if pa.types.is_floating(wide):
        return bool(narrow.bit_width <= _EXACT_BITS[str(wide)])
    if pa.types.is_signed_integer(narrow):
        return bool(pa.types.is_signed_integer(wide) and wide.bit_width >= narrow.bit_width)
    if pa.types.is_signed_integer(wide):
        return bool(wide.bit_width > narrow.bit_width)
    return bool(wide.bit_width >= narrow.bit_width)


# ---- roles -----------------------------------------------------------------------------------------------


def find_roles(schema: pa.Schema, given: Mapping[str, str], where: str, setting: str = "--columns") -> dict[str, str]:
    """Return the column of each role that the input has.

    Parameters
    ----------
    schema : pa.Schema
    given : mapping of role to column name
        The value of `--columns`; the other roles are found by their aliases, ignoring case.
    where : str
        The input, for error messages.
    setting : str
        Where `given` came from, for error messages.

    Raises
    ------
    InputRefused
        If a required role is missing, a role has two columns, or a column's type does not suit its role.
    """
    roles: dict[str, str] = {}
    for role in ROLES:
        if role in given:
            if given[role] not in schema.names:
                raise InputRefused(
                    f"{where} has no column {given[role]!r} for {setting} {role}=...; it has {', '.join(schema.names)}"
                    f"{did_you_mean(given[role], schema.names)}"
                )
            roles[role] = given[role]
            continue
        matches = [name for name in schema.names if normal(name) in ALIASES[role] and name not in given.values()]
        if len(matches) > 1:
            raise InputRefused(
                f"{where} has more than one column for {role}: {', '.join(matches)}; choose with --columns {role}=NAME"
            )
        if matches:
            roles[role] = matches[0]
        elif role in REQUIRED_ROLES:
            raise InputRefused(
                f"{where} has no column for {role} among {', '.join(schema.names) or 'none at all'}; "
                f"name it with --columns {role}=NAME"
            )
    for role, name in roles.items():
        check_type(role, name, schema.field(name).type, where)
    return roles


def check_type(role: str, name: str, kind: pa.DataType, where: str) -> None:
    """Raise InputRefused if a column of this type can't have this role."""
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    if role == "symbol":
        suits, takes = is_text(kind) or pa.types.is_integer(values), "text or integers"
    elif role == "date":
        suits = pa.types.is_date(kind) or pa.types.is_timestamp(kind) or is_text(kind)
        takes = "dates, timestamps or ISO text"
    else:
        number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
        suits, takes = number or pa.types.is_null(kind), "numbers"
    if not suits:
        raise InputRefused(
            f"column {name!r} of {where} is {kind}, but {role} takes {takes}; "
            f"convert it, or choose another with --columns {role}=NAME"
        )


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


def session_days(dates: Column) -> tuple[NDArray[np.int32], NDArray[np.bool_] | None]:
    """Return the session date of each row in days since 1970-01-01, and which rows have one (None: all).

    The session date of a timestamp with a time zone is the date in that zone. Text is read as ISO 8601. Text that is
    not a date, and values beyond the years 1 to 9999, count as missing.
    """
    chunks = dates.chunks if isinstance(dates, pa.ChunkedArray) else [dates]
    column = pa.chunked_array([_date32(chunk) for chunk in chunks], pa.date32())
    days = arrays.to_numpy(column, 0)
    known = None if column.null_count == 0 else arrays.known(column)
    if days.min(initial=0) < FIRST_DAY or days.max(initial=0) > LAST_DAY:
        inside = (days >= FIRST_DAY) & (days <= LAST_DAY)
        known = inside if known is None else known & inside
    return days, known


def _date32(dates: pa.Array) -> pa.Array:
    kind = dates.type
    if is_text(kind):
        encoded = dates if pa.types.is_dictionary(kind) else dates.dictionary_encode()
        parsed = [_parsed(text) for text in encoded.dictionary.cast(pa.large_binary()).to_pylist()]
        known = np.array([date is not None for date in parsed], bool)
        days = np.array([0 if date is None else day_of(date) for date in parsed], np.int32)
        return arrays.from_numpy(days, pa.date32(), known).take(encoded.indices)
    if pa.types.is_timestamp(kind):
        dates = _of_calendar(dates, _SECONDS_OF_UNIT[kind.unit])
        dates = dates if kind.tz is None else pc.local_timestamp(dates)
    return dates.cast(pa.date32(), safe=False)


#: Rows of a table whose times of day are looked at.
_TIMED_ROWS = 1024
#: More times of day than this are those of intraday rows, and no other is of interest.
_MOST_TIMES = 32


def times_of_day(dates: Column) -> frozenset[int]:
    """Return the times of day of some rows, in seconds since midnight; none for dates, which have no time."""
    if not pa.types.is_timestamp(dates.type) or not len(dates):
        return frozenset()
    rows = np.linspace(0, len(dates) - 1, min(len(dates), _TIMED_ROWS)).astype(np.int64)
    taken = dates.take(arrays.from_numpy(rows))
    chunks = taken.chunks if isinstance(taken, pa.ChunkedArray) else [taken]
    some = pa.concat_arrays([_of_calendar(chunk, _SECONDS_OF_UNIT[dates.type.unit]) for chunk in chunks]).drop_null()
    local = some if dates.type.tz is None else pc.local_timestamp(some)
    seconds = arrays.to_numpy(local.cast(pa.timestamp("s"), safe=False).cast(pa.int64())) % _DAY_SECONDS
    return frozenset(np.unique(seconds)[:_MOST_TIMES].tolist())


def _of_calendar(moments: pa.Array, seconds: float) -> pa.Array:
    """Return timestamps in units of `seconds`, null beyond the calendar: as days they would wrap around."""
    counts = arrays.to_numpy(moments.view(pa.int64()), 0)
    first, last = (int((day + more) * _DAY_SECONDS / seconds) for day, more in ((FIRST_DAY, -1), (LAST_DAY, 2)))
    if counts.min(initial=0) >= first and counts.max(initial=0) <= last:
        return moments
    inside = arrays.known(moments) & (counts >= first) & (counts <= last)
    return arrays.from_numpy(counts, moments.type, inside)


def _parsed(text: bytes | None) -> datetime.date | None:
    try:
        return datetime.datetime.fromisoformat((text or b"").decode()).date()
    except ValueError:
        return None


def as_text(value: pa.Scalar) -> str:
    """Return any value as text for an error message."""
    try:
        return str(value.as_py())
    except (ValueError, OverflowError):  # bytes that are not valid text, or a timestamp that Python can't represent
        integer_type = pa.int32() if value.type == pa.date32() else pa.int64()
        return str(value.cast(pa.large_binary() if is_text(value.type) else integer_type).as_py())


def as_date(day: int) -> datetime.date:
    """Return the date of a number of days since 1970-01-01."""
    return _UNIX_EPOCH + datetime.timedelta(days=int(day))


def day_of(date: datetime.date) -> int:
    """Return a date in days since 1970-01-01."""
    return (date - _UNIX_EPOCH).days


def prices(column: Column) -> NDArray[np.float64]:
    """Return a price or volume column as float64[rows], NaN where null."""
    return arrays.to_numpy(column.cast(pa.float64(), safe=False), np.nan)


def name_collisions(input_names: Iterable[str], added: Iterable[str]) -> list[str]:
    """Return the names of `added` that are already in the input, in order."""
    taken = set(input_names)
    return [name for name in added if name in taken]
