"""What pandas has written about its frames: it travels on, so that an index comes back as one.

A RangeIndex does not: it is a count of rows that the output does not have. Source of the format:
https://pandas.pydata.org/docs/development/developer.html.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import pyarrow as pa

from weekly_cli.dataset.schema import index_columns

KEY = "pandas"


class PandasMetadata:
    """Gathers the metadata of files, which must agree on the index."""

    def __init__(self) -> None:
        self._first: pa.Schema | None = None
        self._last: bytes | None = None
        self._agree = True

    def add(self, schema: pa.Schema) -> None:
        """Add a file's."""
        text = (schema.metadata or {}).get(KEY.encode(), b"")
        if self._first is None:
            self._first = schema
        elif text != self._last:
            self._agree &= index_columns(schema) == index_columns(self._first)
        self._last = text

    def of(self, schema: pa.Schema) -> tuple[str, list[str]]:
        """Return the metadata for a dataset with this schema ("": there are none), and what is to be told of them."""
        first = self._first
        if first is None or KEY.encode() not in (first.metadata or {}):
            return "", []
        if not self._agree:
            return "", ["the pandas index is not kept: it differs between files"]
        try:
            document = json.loads(first.metadata[KEY.encode()])
            if len(document.get("column_indexes", ())) > 1:
                return "", ["the pandas index is not kept: the columns had several levels"]
            index = index_columns(first)
            same = {name for name in first.names if first.field(name).type == schema.field(name).type}
            document["columns"] = [entry for entry in document["columns"] if _field(entry) in {*same, *index}]
            return json.dumps(document | {"index_columns": index}), list(map(_not_kept, _ranges(document)))
        except (ValueError, TypeError, AttributeError, KeyError):  # other metadata of that name
            return "", []


def _ranges(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the ranges of the index, but for the plain count of rows that every frame begins with."""
    ranges = [entry for entry in document["index_columns"] if isinstance(entry, dict)]
    return [entry for entry in ranges if (entry["name"], entry["start"], entry["step"]) != (None, 0, 1)]


def _not_kept(entry: dict[str, Any]) -> str:
    name = f" {entry['name']}" if entry["name"] is not None else ""
    return f"the pandas index{name} is not kept: it is a range from {entry['start']}, not a column"


def for_columns(text: str, columns: Collection[str]) -> dict[str, str]:
    """Return schema metadata for an output that has only these columns of the input: an index is kept if all are."""
    if not text:
        return {}
    document = json.loads(text)
    document["columns"] = [entry for entry in document["columns"] if _field(entry) in columns]
    index = document["index_columns"]
    document["index_columns"] = index if set(index) <= set(columns) else []
    return {KEY: json.dumps(document)}


def _field(entry: dict[str, Any]) -> str | None:
    return entry.get("field_name") or entry.get("name")
