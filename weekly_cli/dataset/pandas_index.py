"""What pandas wrote of a frame beside its columns: which of them are its index, and types that Arrow does not have.

Source: https://pandas.pydata.org/docs/development/developer.html.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from weekly_cli.dataset.unify import FileSchema

PANDAS_KEY = b"pandas"


def carried_over(files: Sequence[FileSchema], schema: pa.Schema) -> tuple[str, list[str]]:
    """Return pandas' metadata for a table with the files' rows, empty if there are none, and notes on what is lost.

    A range index counts the rows of one file. The output's rows are others, so they get a new one.
    """
    found: dict[bytes, str] = {}  # by content, the first file that has it
    for file in files:
        found.setdefault((file.schema.metadata or {}).get(PANDAS_KEY, b""), file.path)
    frames = [(_parsed(content), path) for content, path in found.items()]
    known = [frame for frame, _ in frames if frame is not None]
    if not known:
        return "", []
    indexes = {json.dumps(_index(frame)): path for frame, path in reversed(frames)}
    notes = []
    index = _index(frames[0][0])
    if len(indexes) > 1:
        named = ", ".join(f"{' and '.join(json.loads(names)) or 'none'} in {path}" for names, path in indexes.items())
        notes, index = [f"pandas index: left out, as files differ: {named}"], []
    elif not set(index) <= set(schema.names):
        notes, index = [f"pandas index: {' and '.join(index)} left out, as the table has no such column"], []
    elif any(_is_telling(entry) for frame in known for entry in frame["index_columns"]):
        notes = ["pandas index: a range of numbers, which is made anew for the output's rows"]
    types = {column.name: column.type for column in files[0].schema}
    columns = [
        entry
        for entry in known[0]["columns"]
        if all(entry in frame["columns"] for frame, _ in frames if frame is not None)
        and types.get(name := _column(entry)) is not None
        and name in schema.names
        and schema.field(name).type.equals(types[name])
    ]
    labels = [
        entry for entry in known[0].get("column_indexes", []) if entry.get("pandas_type") in ("unicode", "string")
    ]
    metadata: dict[str, Any] = {key: known[0][key] for key in ("creator", "pandas_version") if key in known[0]}
    metadata |= {"index_columns": index, "column_indexes": labels[:1], "columns": columns}
    return json.dumps(metadata), notes


def _parsed(content: bytes) -> dict[str, Any] | None:
    """Return pandas' metadata; None if there are none, or they are not what pandas documents."""
    try:
        frame = json.loads(content)
        index, columns = frame["index_columns"], frame["columns"]
        labels = frame.get("column_indexes") or []
        sound = all(isinstance(entry, str | dict) for entry in index)
        sound &= all(isinstance(entry, dict) and "name" in entry for entry in [*columns, *labels])
        return {**frame, "column_indexes": labels} if sound and isinstance(index, list) else None
    except (ValueError, LookupError, AttributeError, TypeError):
        return None


def _column(entry: dict[str, Any]) -> str:
    return str(entry.get("field_name") or entry["name"])


def _index(frame: dict[str, Any] | None) -> list[str]:
    """Return the columns that are the index; a range of numbers is none."""
    return [] if frame is None else [entry for entry in frame["index_columns"] if isinstance(entry, str)]


def _is_telling(entry: Any) -> bool:
    """Tell whether an index is a range that does not just count rows from 0."""
    plain = isinstance(entry, str) or (entry.get("start"), entry.get("step"), entry.get("name")) == (0, 1, None)
    return not plain
