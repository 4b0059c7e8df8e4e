"""Delta tables by their log: which files count in the newest version, their partition values, and the columns' types.

The log is read by `deltalake`, the optional extra; the files it names are then read like any others. Rejected: a
replay of the log of our own. It is short for plain commits and wrong for the rest (checkpoints, protocol versions,
deletion vectors), and then removed rows come back in silence. It is used for the one kind that `deltalake` refuses and
in which there is nothing but plain commits (`bare_log`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa

from weekly_cli.errors import InputRefused, WeeklyError
from weekly_cli.files.bare_log import read_bare_log
from weekly_cli.files.disk import first_line

if TYPE_CHECKING:
    from deltalake import DeltaTable

LOG = "_delta_log"
EXTRA = "pip install 'weekly-cli[delta]'"
#: Before, partition values and the paths of files come in other forms.
_OLDEST = (1, 6)
#: What messages advise for tables that are not read.
WRITE_IT_OUT = (
    "write the table's rows to Parquet files with an engine that reads it (Spark, DuckDB, Polars), and give those"
)
#: How the reason ends why a file in a table's folder is not read.
BY_ITS_LOG = "of the Delta table by its log"
#: With these, the live files hold the table's rows and no others. Vectors and mapping are looked for by themselves.
_PLAIN_FEATURES = {"columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
_MAPPING = "delta.columnMapping.mode"
#: `deltalake` resolves links and takes what comes out for a URL; with these it would open another folder.
_MISREAD = ("%", "\\", "\n")
#: What its Rust code may raise, which is no Exception and has no module to import it from.
_PANIC = "PanicException"

Keys = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class DeltaFiles:
    """What a table's log says.

    Attributes
    ----------
    version : int
        The version that was read, the newest one.
    schema : pa.Schema or None
        The table's columns in order, partition columns included; None where the log does not tell.
    files : sequence of (path, partition values as text)
        The live files in path order.
    """

    version: int
    schema: pa.Schema | None
    files: Sequence[tuple[Path, Keys]]


def read_delta(folder: Path) -> DeltaFiles:
    """Read the log of a Delta table.

    Raises
    ------
    InputRefused
        If `deltalake` is not installed or can't read the log, or the files alone do not hold the table's rows.
    """
    try:
        from deltalake import DeltaTable, __version__
    except ImportError as error:
        raise InputRefused(
            f"{folder} is a Delta table: its log tells which of its files and rows count; install its reader "
            f"({EXTRA}), or {WRITE_IT_OUT}"
        ) from error
    if tuple(map(int, __version__.split(".")[:2])) < _OLDEST:
        raise InputRefused(f"{folder} is a Delta table, and deltalake {__version__} is too old to read it; {EXTRA}")
    misread = next((sign for sign in _MISREAD if sign in str(folder.resolve())), None)
    if misread is not None:
        raise InputRefused(
            f"{folder} is a Delta table in a path with {misread!r}, which deltalake takes for another; move the table"
        )
    bare = read_bare_log(folder / LOG)
    if bare is not None:
        version, names = bare
        return DeltaFiles(version, None, _there(folder, ((_local(folder, name), ()) for name in names)))
    try:
        table = DeltaTable(str(folder.absolute()))
        _refuse_more_than_files(folder, table)
        actions = pa.table(table.get_add_actions()).combine_chunks()
        paths = [_local(folder, name) for name in actions.column("path").to_pylist()]
        files = zip(paths, _keys(table, actions), strict=True)
        return DeltaFiles(table.version(), pa.schema(table.schema().to_arrow()), _there(folder, files))
    except WeeklyError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _PANIC:
            raise
        raise InputRefused(
            f"{folder} is a Delta table whose log deltalake can't read: {first_line(error).rstrip('.')}; {WRITE_IT_OUT}"
        ) from error


def _refuse_more_than_files(folder: Path, table: DeltaTable) -> None:
    """Refuse a table of which the live files, read as they are, are not the rows."""
    found = ""
    features = set(table.protocol().reader_features or ())
    unknown = sorted(features - _PLAIN_FEATURES)
    if unknown:
        found = f"the reader feature {unknown[0]}"
    elif table.metadata().configuration.get(_MAPPING, "none") != "none":
        found = "column mapping (its files have other column names than the table)"
    elif "deletionVectors" in features and pa.table(table.deletion_vectors()).num_rows:
        found = "deletion vectors (rows that are deleted but still in its files)"
    if found:
        raise InputRefused(f"{folder} is a Delta table with {found}, which this tool does not read; {WRITE_IT_OUT}")


def _keys(table: DeltaTable, actions: pa.Table) -> list[Keys]:
    """Return the partition values of each live file."""
    names = table.metadata().partition_columns
    columns = [_texts(actions.column("partition").combine_chunks().field(name)) for name in names]
    return [
        tuple((name, column[row]) for name, column in zip(names, columns, strict=True))
        for row in range(actions.num_rows)
    ]


def _there(folder: Path, files: Iterable[tuple[Path, Keys]]) -> list[tuple[Path, Keys]]:
    """Return the files in path order.

    Raises
    ------
    InputRefused
        If one of them does not exist.
    """
    in_order = sorted(files, key=lambda file: file[0])
    missing = next((path for path, _ in in_order if not path.is_file()), None)
    if missing is not None:
        raise InputRefused(
            f"{missing} is not there, but the log of {folder} counts it in; restore the file, or restore the table to "
            "a version that has all of its files"
        )
    return in_order


def _texts(values: pa.Array) -> list[str | None]:
    """Return values as texts that can be cast back to them."""
    texts = values.cast(pa.string())
    if not texts.cast(values.type).equals(values):
        raise ValueError(f"partition values of type {values.type} have no exact text")
    return list(texts.to_pylist())


def _local(folder: Path, name: str) -> Path:
    """Return the path of a file by its URL in the log, which is relative to the table or absolute."""
    scheme, separator, rest = name.partition("://")
    if not separator:
        return folder / unquote(name)
    if scheme != "file":
        raise InputRefused(f"{folder} is a Delta table with files elsewhere ({name}); {WRITE_IT_OUT}")
    return Path(unquote(rest))
