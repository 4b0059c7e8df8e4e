"""Thrift's compact protocol, as far as the headers and footers of Parquet need it.

A struct is a dict of field number -> `Field`: its type on the wire and its value. What is decoded and encoded again
is the same bytes, fields that this tool does not know included.

Source: "Thrift Compact protocol encoding", doc/specs/thrift-compact-protocol.md of Apache Thrift.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)


class Field(NamedTuple):
    """A value and its type on the wire; a list's value is `Items`."""

    kind: int
    value: Any


class Items(NamedTuple):
    """The values of a list and their type on the wire."""

    kind: int
    values: Sequence[Any]


class Raw(bytes):
    """A struct or a list as it is on the wire, for `encode` to take over."""


Struct: TypeAlias = dict[int, Field]
INTEGERS = frozenset((I16, I32, I64))
#: What `select` is asked for: a type on the wire; the fields of a struct; the one shape of a list's values.
Shape: TypeAlias = "int | dict[int, Shape] | list[Shape]"


def encode(fields: Struct) -> bytes:
    """Return a struct's bytes; its fields must stand in ascending order."""
    out = bytearray()
    _put_struct(out, fields)
    return bytes(out)


def decode(data: bytes | memoryview, begin: int = 0) -> tuple[Struct, int]:
    """Return the struct that begins at `begin`, and the position after it.

    Raises
    ------
    ValueError
        If the bytes are no struct.
    """
    reader = _Reader(data, begin)
    return _read(reader, None), reader.at


def split(data: bytes | memoryview, begin: int = 0) -> Struct:
    """Return the fields of the struct that begins at `begin`; structs and lists among them as `Raw`.

    Raises
    ------
    ValueError
        If the bytes are no struct.
    """
    reader, number = _Reader(data, begin), 0
    fields: Struct = {}
    try:
        while True:
            number, kind, at = header(data, reader.at, number)
            if not kind:
                return fields
            reader.at = at
            if kind in (STRUCT, LIST, SET):
                reader.at = reader.after(at, kind)
                fields[number] = Field(kind, Raw(data[at : reader.at]))
            else:
                fields[number] = Field(kind, kind == TRUE if kind <= FALSE else reader.value(kind, None))
    except IndexError as error:
        raise ValueError("the bytes of a Thrift struct end too early") from error


def decoded(field: Field) -> Field:
    """Return a field of `split` as `decode` returns it."""
    return Field(field.kind, _Reader(field.value, 0).value(field.kind, None)) if isinstance(field.value, Raw) else field


def elements(field: Field) -> list[Raw]:
    """Return the structs of a list of `split`, each as it is on the wire."""
    reader = _Reader(field.value, 0)
    size, kind = reader.list_head()
    bounds = [reader.at]
    for _ in range(size):
        bounds.append(reader.after(bounds[-1], kind))
    return [Raw(field.value[begin:end]) for begin, end in itertools.pairwise(bounds)]


def select(data: bytes, begin: int, shape: dict[int, Shape]) -> dict[int, Any]:
    """Return what `shape` asks for of the struct that begins at `begin`, as plain values by their field numbers.

    A field that is not there, or has another type, is left out, as in the readers that Thrift generates. What is not
    asked for is passed over, which takes a tenth of the time of `decode`.

    Raises
    ------
    ValueError
        If the bytes are no struct.
    """
    return _read(_Reader(data, begin), _wanted(shape)[1])


def _read(reader: _Reader, wanted: Mapping[int, _Wanted] | None) -> dict[int, Any]:
    try:
        return reader.struct(wanted)
    except IndexError as error:
        raise ValueError("the bytes of a Thrift struct end too early") from error


def header(data: bytes | memoryview, begin: int, before: int) -> tuple[int, int, int]:
    """Return the number of the field that begins at `begin`, its type and where its value is; type 0: a struct's end.

    `before` is the number of the field before it, 0 for the first one.
    """
    byte = data[begin]
    if byte > 0x0F or not byte:
        return before + (byte >> 4), byte & 0x0F, begin + 1
    reader = _Reader(data, begin + 1)
    return reader.integer(), byte & 0x0F, reader.at


def after(data: bytes, begin: int, kind: int) -> int:
    """Return where a field's value ends that begins at `begin`."""
    return begin if kind <= FALSE else _Reader(data, begin).after(begin, kind)


def value(data: bytes, begin: int, shape: Shape) -> tuple[Any, int]:
    """Return what `shape` asks for of the value that begins at `begin`, as `select` does, and where it ends."""
    reader = _Reader(data, begin)
    return reader.value(*_wanted(shape)), reader.at


def items(data: bytes, begin: int) -> Items:
    """Return all of a list that begins at `begin`."""
    found: Items = _Reader(data, begin).value(LIST, None)
    return found


def unsigned(value: int) -> bytes:
    """Return a number of no sign, seven bits a byte from the lowest on, as Parquet's run lengths are told, too."""
    out = bytearray()
    _put_unsigned(out, value)
    return bytes(out)


# ---- writing ---------------------------------------------------------------------------------------------


def _put_struct(out: bytearray, fields: Struct) -> None:
    last = 0
    for number, (kind, value) in fields.items():
        step = number - last
        if 0 < step < 16:
            out.append(step << 4 | kind)
        else:
            out.append(kind)
            _put_integer(out, number)
        last = number
        if kind > FALSE:
            _put(out, kind, value)
    out.append(0)


def _put(out: bytearray, kind: int, value: Any) -> None:
    if kind in (I16, I32, I64):
        _put_integer(out, value)
    elif kind == BINARY:
        _put_unsigned(out, len(value))
        out += value
    elif type(value) is Raw:
        out += value
    elif kind == STRUCT:
        _put_struct(out, value)
    elif kind in (LIST, SET):
        _put_list(out, value)
    elif kind == DOUBLE:
        out += struct.pack("<d", value)
    elif kind == BYTE:
        out += struct.pack("<b", value)
    elif kind in (TRUE, FALSE):  # in a list
        out.append(TRUE if value else FALSE)
    else:
        raise ValueError(f"Parquet has no Thrift type {kind}")


def _put_list(out: bytearray, items: Items) -> None:
    size = len(items.values)
    if size < 15:
        out.append(size << 4 | items.kind)
    else:
        out.append(0xF0 | items.kind)
        _put_unsigned(out, size)
    for value in items.values:
        _put(out, items.kind, value)


def _put_integer(out: bytearray, value: int) -> None:
    _put_unsigned(out, value << 1 if value >= 0 else (-value << 1) - 1)


def _put_unsigned(out: bytearray, value: int) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


# ---- reading ---------------------------------------------------------------------------------------------


class _Reader:
    """Goes through a struct; the position stays in a local name for as long as it can, which halves the time.

    What is wanted of a struct is a mapping, None: all of it, as `Field`s.
    """

    def __init__(self, data: bytes | memoryview, begin: int) -> None:
        self._data, self.at = data, begin

    def struct(self, wanted: Mapping[int, _Wanted] | None) -> dict[int, Any]:
        data, at = self._data, self.at
        found: dict[int, Any] = {}
        number = 0
        while kind := (header := data[at]) & 0x0F:
            at += 1
            if header > 0x0F:
                number += header >> 4
            else:
                self.at = at
                number, at = self.integer(), self.at
            if wanted is None:
                self.at = at
                found[number] = Field(kind, kind == TRUE if kind <= FALSE else self.value(kind, None))
                at = self.at
                continue
            asked, inner = wanted.get(number, _NOTHING)
            if kind == asked:
                self.at = at
                found[number], at = self.value(kind, inner), self.at
            elif kind in INTEGERS:
                while data[at] > 0x7F:
                    at += 1
                at += 1
            elif kind > FALSE:
                at = self.after(at, kind)
        self.at = at + 1
        return found

    def value(self, kind: int, inner: Any) -> Any:
        if kind in INTEGERS:
            return self.integer()
        if kind == BINARY:
            size = self._unsigned()
            return bytes(self._data[self._passed(size) : self.at])
        if kind == STRUCT:
            return self.struct(inner)
        if kind in (LIST, SET):
            size, kind = self.list_head()
            if inner is None:
                return Items(kind, [self.value(kind, None) for _ in range(size)])
            return [self.value(*inner) for _ in range(size)]
        return self._fixed(kind)

    def _fixed(self, kind: int) -> bool | int | float:
        """Return a value that always has so many bytes; a bool is one of a list."""
        begin = self._passed(_size(kind))
        if kind == DOUBLE:
            return float(struct.unpack_from("<d", self._data, begin)[0])
        byte = self._data[begin]
        return byte == TRUE if kind <= FALSE else (byte ^ 0x80) - 0x80

    def after(self, at: int, kind: int) -> int:
        """Return where a value ends that begins at `at`."""
        data = self._data
        if kind == BINARY and data[at] <= 0x7F:
            return at + 1 + data[at]
        if kind == STRUCT:
            while kind := (header := data[at]) & 0x0F:
                at += 1
                if header <= 0x0F:
                    at = self.after(at, I16)
                if kind in INTEGERS:
                    while data[at] > 0x7F:
                        at += 1
                    at += 1
                elif kind > FALSE:
                    at = self.after(at, kind)
            return at + 1
        self.at = at
        if kind in INTEGERS:
            self._unsigned()
        elif kind == BINARY:
            self._passed(self._unsigned())
        elif kind in (LIST, SET):
            size, kind = self.list_head()
            at = self.at
            for _ in range(size):
                at = self.after(at, kind)
            return at
        else:
            self._passed(_size(kind))
        return self.at

    def _passed(self, size: int) -> int:
        """Pass over some bytes and return where they began."""
        begin, self.at = self.at, self.at + size
        if self.at > len(self._data):
            raise IndexError
        return begin

    def _unsigned(self) -> int:
        value = shift = 0
        while (byte := self._data[self.at]) > 0x7F:
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
        self.at += 1
        return value | byte << shift

    def integer(self) -> int:
        value = self._unsigned()
        return value >> 1 ^ -(value & 1)

    def list_head(self) -> tuple[int, int]:
        """Return how many values a list has, and their type."""
        header = self._data[self._passed(1)]
        return (header >> 4 if header >> 4 < 15 else self._unsigned()), header & 0x0F


def _size(kind: int) -> int:
    if kind not in (TRUE, FALSE, BYTE, DOUBLE):
        raise ValueError(f"Parquet has no Thrift type {kind}")
    return 8 if kind == DOUBLE else 1


#: A type on the wire, and for structs and lists what is wanted of what they hold.
_Wanted: TypeAlias = tuple[int, Any]
_NOTHING: _Wanted = (-1, None)


def _wanted(shape: Shape) -> _Wanted:
    if isinstance(shape, dict):
        return STRUCT, {number: _wanted(inner) for number, inner in shape.items()}
    return (LIST, _wanted(shape[0])) if isinstance(shape, list) else (shape, None)
