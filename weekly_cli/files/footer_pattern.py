"""Structs that differ in their numbers and extremes alone: the first one's shape as a pattern that reads the others.

A folder with a file for each symbol has thousands of footers of one shape. Field by field, one takes 0.29 ms; a regular
expression finds what is news in it in 0.10 ms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from weekly_cli.files import thrift
from weekly_cli.files.thrift import BINARY, FALSE, INTEGERS, LIST, SET, STRUCT, Field, Items, Shape, Struct

_NUMBER = rb"[\x80-\xff]{0,9}[\x00-\x7f]"
#: Bytes of numbers.
_WIDTHS = (4, 8, 12, 16)
#: A text of up to so many bytes, with its length before it.
_MOST_TEXT_BYTES = 63
_TEXT = b"|".join(re.escape(bytes([size])) + b".{%d}" % size for size in range(_MOST_TEXT_BYTES + 1))


class StructsPattern:
    """Reads lists of structs that look like a known one.

    Parameters
    ----------
    data : bytes
    begin : int
        Where the known list begins.
    shape : dict
        What is read of each struct, as `thrift.value` takes it.

    Raises
    ------
    ValueError
        If the list is written in a way of which no pattern is made.
    """

    def __init__(self, data: bytes, begin: int, shape: Mapping[int, Shape]) -> None:
        self._known, _ = thrift.value(data, begin, [dict(shape)])
        self._slots: list[tuple[int, int, bool]] = []  # which struct, the field's number, whether it is text
        self._structs = 0
        self._pattern = re.compile(self._list(thrift.items(data, begin), dict(shape)), re.DOTALL)

    def read(self, data: bytes, begin: int) -> tuple[list[dict[int, Any]], int] | None:
        """Return what `thrift.value` does of the list at `begin`; None: it looks different."""
        found = self._pattern.match(data, begin)
        if found is None:
            return None
        structs: list[dict[int, Any]] = []
        value: list[dict[int, Any]] = _copied(self._known, structs)
        for (which, number, is_text), told in zip(self._slots, found.groups(), strict=True):
            structs[which][number] = told[1:] if is_text else _number(told)
        return value, found.end()

    def _list(self, items: Items, shape: Shape | None) -> bytes:
        """Return a pattern for a list; what is asked for beside structs is a part of what makes lists alike."""
        head = re.escape(_list_head(items))
        if items.kind == STRUCT:
            return head + b"".join(
                self._struct(value, shape if isinstance(shape, dict) else None) for value in items.values
            )
        if items.kind in INTEGERS and shape is None:
            return head + _NUMBER * len(items.values)
        return head + re.escape(b"".join(_alone(items.kind, value) for value in items.values))

    def _struct(self, fields: Struct, shape: Mapping[int, Shape] | None) -> bytes:
        which, before, made = self._structs, 0, []
        self._structs += shape is not None
        for number, (kind, value) in fields.items():
            if not 0 < number - before < 16:
                raise ValueError(f"field {number} after {before}")
            made.append(re.escape(bytes([number - before << 4 | kind])))
            before = number
            asked = None if shape is None else shape.get(number)
            if asked in (BINARY, *INTEGERS):
                self._slots.append((which, number, kind == BINARY))
                made.append(b"(" + (_text_like(value) if kind == BINARY else _NUMBER) + b")")
            elif kind == STRUCT:
                made.append(self._struct(value, asked if isinstance(asked, dict) else None))
            elif kind in (LIST, SET):
                made.append(self._list(value, asked[0] if isinstance(asked, list) else None))
            elif kind in INTEGERS:
                made.append(_NUMBER)
            elif kind > FALSE:
                made.append(re.escape(_alone(kind, value)))
        return b"".join([*made, rb"\x00"])


def _text_like(value: bytes) -> bytes:
    """Return a pattern for a text with its length before it; one that has a number's width is taken for a number."""
    return re.escape(bytes([len(value)])) + b".{%d}" % len(value) if len(value) in _WIDTHS else _TEXT


def _alone(kind: int, value: Any) -> bytes:
    """Return the bytes of a value without a field around it."""
    return thrift.encode({1: Field(kind, value)})[1:-1]


def _list_head(items: Items) -> bytes:
    return _alone(LIST, Items(items.kind, items.values))[: 1 if len(items.values) < 15 else 2]


def _copied(value: Any, structs: list[dict[int, Any]]) -> Any:
    """Return a copy of structs and lists; `structs` gets every struct in the order in which they begin."""
    if isinstance(value, list):
        return [_copied(one, structs) for one in value] if value and isinstance(value[0], dict) else value
    made = dict(value)
    structs.append(made)
    for number, inner in value.items():
        if isinstance(inner, dict | list):
            made[number] = _copied(inner, structs)
    return made


def _number(told: bytes) -> int:
    value = 0
    for byte in reversed(told):
        value = value << 7 | byte & 0x7F
    return value >> 1 ^ -(value & 1)
