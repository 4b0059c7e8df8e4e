"""One schema for all files of an input: types that can represent every file's values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import combinations

import pyarrow as pa

from weekly_cli.dataset.schema import is_text, working_type
from weekly_cli.errors import InputRefused


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
