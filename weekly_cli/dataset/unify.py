"""One schema for all files of an input: types that can represent every file's values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations

import pyarrow as pa

from weekly_cli.dataset.schema import is_text, working_type
from weekly_cli.errors import InputRefused


@dataclass(frozen=True)
class FileSchema:
    """A file's columns; those in `empty` have no value, so their types say nothing."""

    path: str
    schema: pa.Schema
    empty: frozenset[str] = frozenset()


def unify(files: Sequence[FileSchema]) -> pa.Schema:
    """Return the one schema that has every file's columns and can represent all values.

    Types that can't be converted for certain, such as integers to float64, are converted where every value is exact:
    reading refuses a value that is not.

    Parameters
    ----------
    files : sequence of FileSchema
        In order; the first file's column order is kept, and columns that it lacks follow.

    Raises
    ------
    InputRefused
        If a column's types can't be unified without loss, a file lacks a column that is not nullable, or a file has
        two columns with the same name.
    """
    fields: dict[str, pa.Field] = {}
    types = types_by_column(files)
    previous: pa.Schema | None = None
    for file in files:
        if previous is not None and file.schema.equals(previous):
            continue
        previous = file.schema
        repeated = sorted(name for name, count in Counter(file.schema.names).items() if count > 1)
        if repeated:
            raise InputRefused(f"{file.path} has more than one column named {repeated[0]!r}; rename one of them")
        for column in file.schema:
            unified = fields.setdefault(column.name, column)
            fields[column.name] = unified.with_nullable(unified.nullable or column.nullable)
    for name, paths in types.items():
        fields[name] = fields[name].with_type(_common_of(name, paths))
    _refuse_absent(files, fields, {name: next(iter(paths.values())) for name, paths in types.items()})
    if len(files) > 1:  # files may have different values, which together need a wider index
        fields = {name: column.with_type(_wide_dictionary(column.type)) for name, column in fields.items()}
    return pa.schema(list(fields.values()))


def types_by_column(files: Sequence[FileSchema]) -> dict[str, dict[pa.DataType, str]]:
    """Return every type of each column, with the first file that has it; types of empty columns count if all are."""
    types: dict[str, dict[pa.DataType, str]] = {}
    last_resort: dict[str, dict[pa.DataType, str]] = {}
    previous: FileSchema | None = None
    for file in files:
        if previous is None or file.empty != previous.empty or not file.schema.equals(previous.schema):
            for column in file.schema:
                target = last_resort if column.name in file.empty else types
                target.setdefault(column.name, {}).setdefault(column.type, file.path)
        previous = file
    return {name: types.get(name) or last_resort[name] for name in (types | last_resort)}


def unified_notes(files: Sequence[FileSchema], schema: pa.Schema) -> list[str]:
    """Return for each column that has several types which ones, and the one that all are converted to."""
    return [
        f"{name}: {' and '.join(map(str, types))} in different files, all read as {schema.field(name).type}"
        for name, types in types_by_column(files).items()
        if len(types) > 1
    ]


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


def _refuse_absent(files: Sequence[FileSchema], fields: dict[str, pa.Field], paths: Mapping[str, str]) -> None:
    """Make columns that some file lacks nullable; refuse columns that must not be null."""
    for file in files:
        if len(file.schema) == len(fields):
            continue
        for name in fields.keys() - set(file.schema.names):
            if not fields[name].nullable:
                raise InputRefused(
                    f"{file.path} has no column {name!r}, which is {fields[name].type} and never null in "
                    f"{paths[name]}; add it there, or build the files apart"
                )


def common_type(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """Return the type for the values of both, None if there is none; it is exact for each value, or reading refuses it.

    >>> common_type(pa.int32(), pa.int64())
    DataType(int64)
    >>> common_type(pa.int64(), pa.float64())
    DataType(double)
    """
    if a.equals(b) or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if is_text(a) and is_text(b):
        return pa.large_string() if _large(a) or _large(b) else pa.string()
    if pa.types.is_dictionary(a) or pa.types.is_dictionary(b):
        return common_type(*(kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (a, b)))
    if _numeric(a) and _numeric(b):
        return _smallest_number([a, b])
    if pa.types.is_decimal(a) or pa.types.is_decimal(b):
        return _common_decimal(a, b)
    return _common_moment(a, b)


def _common_decimal(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """Return the decimal that has the digits of both, or float64 beside floats and beyond 76 digits."""
    if not all(pa.types.is_decimal(kind) or _numeric(kind) for kind in (a, b)):
        return None
    digits = [_digits(kind) for kind in (a, b)]
    if pa.types.is_floating(a) or pa.types.is_floating(b):
        return pa.float64()
    scale = max(after for _, after in digits)
    precision = max(before for before, _ in digits) + scale
    if precision <= _DECIMAL128_DIGITS:
        return pa.decimal128(precision, scale)
    return pa.decimal256(precision, scale) if precision <= _DECIMAL256_DIGITS else pa.float64()


_DECIMAL128_DIGITS, _DECIMAL256_DIGITS, _INTEGER_DIGITS = 38, 76, 20


def _digits(kind: pa.DataType) -> tuple[int, int]:
    """Return the digits before and after the point that a type's values may have."""
    return (kind.precision - kind.scale, kind.scale) if pa.types.is_decimal(kind) else (_INTEGER_DIGITS, 0)


def _common_moment(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    """Return the type for dates and timestamps; a date is its midnight, in the zone of the others if they have one."""
    if pa.types.is_date(a) and pa.types.is_date(b):
        return pa.date32()
    moments = [kind for kind in (a, b) if pa.types.is_timestamp(kind)]
    if not moments or not all(pa.types.is_timestamp(kind) or pa.types.is_date(kind) for kind in (a, b)):
        return None
    zones = {"UTC" if kind.tz in _UTC_NAMES else kind.tz for kind in moments}
    if len(zones) > 1:
        return None
    unit = max((kind.unit for kind in moments), key=_UNITS.index)
    return pa.timestamp(unit, zones.pop())


#: Names under which writers know UTC.
_UTC_NAMES = frozenset(
    {"UTC", "utc", "Etc/UTC", "Z", "+00:00", "-00:00", "+0000", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu"}
)


_UNITS = ("s", "ms", "us", "ns")
_NUMBERS = (
    *(pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
    *(pa.int8(), pa.int16(), pa.int32(), pa.int64()),
    *(pa.float32(), pa.float64()),
)
_EXACT_BITS = {"float": 24, "double": 53}


def _smallest_number(kinds: Sequence[pa.DataType]) -> pa.DataType:
    """Return the narrowest number type that can represent every value of all `kinds`, regardless of their order.

    If there is none: int64 for integers, else float64; values that these can't represent are refused when read.
    """
    holding = [number for number in _NUMBERS if all(_holds(number, kind) for kind in kinds)]
    widest = pa.int64() if all(map(pa.types.is_integer, kinds)) else pa.float64()
    return min(holding, key=lambda number: number.bit_width, default=widest)


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
