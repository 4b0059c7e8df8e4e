"""Thrift's compact protocol, as far as the headers and footers of Parquet need it.

A struct is a dict of field number -> `Field`: its type on the wire and its value. What is decoded and encoded again
is the same bytes, fields that this tool does not know included.

Source: "Thrift Compact protocol encoding", doc/specs/thrift-compact-protocol.md of Apache Thrift.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
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


Struct: TypeAlias = dict[int, Field]


def integers(kind: int, values: Sequence[int]) -> Field:
    """Return a list of integers as a field."""
    return Field(LIST, Items(kind, values))


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
    try:
        return _Reader(data, begin).struct()
    except (IndexError, struct.error) as error:
        raise ValueError("the bytes of a Thrift struct end too early") from error


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
    def __init__(self, data: bytes | memoryview, begin: int) -> None:
        self._data, self._at = data, begin

    def struct(self) -> tuple[Struct, int]:
        fields = self._struct()
        return fields, self._at

    def _struct(self) -> Struct:
        fields: Struct = {}
        number = 0
        while header := self._byte():
            kind = header & 0x0F
            number = number + (header >> 4) if header >> 4 else self._integer()
            fields[number] = Field(kind, kind == TRUE if kind <= FALSE else self._value(kind))
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (I16, I32, I64):
            return self._integer()
        if kind == BINARY:
            return bytes(self._take(self._unsigned()))
        if kind == STRUCT:
            return self._struct()
        if kind in (LIST, SET):
            return self._list()
        if kind == DOUBLE:
            return struct.unpack("<d", self._take(8))[0]
        if kind == BYTE:
            return struct.unpack("<b", self._take(1))[0]
        if kind in (TRUE, FALSE):  # in a list
            return self._byte() == TRUE
        raise ValueError(f"Parquet has no Thrift type {kind}")

    def _list(self) -> Items:
        header = self._byte()
        size = header >> 4 if header >> 4 < 15 else self._unsigned()
        kind = header & 0x0F
        return Items(kind, [self._value(kind) for _ in range(size)])

    def _integer(self) -> int:
        value = self._unsigned()
        return value >> 1 ^ -(value & 1)

    def _unsigned(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _byte(self) -> int:
        byte = self._data[self._at]
        self._at += 1
        return byte

    def _take(self, size: int) -> bytes | memoryview:
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise IndexError
        self._at += size
        return taken
