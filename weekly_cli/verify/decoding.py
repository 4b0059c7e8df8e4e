"""Whether a second decoder reads the same values: a wrong decoding by Arrow would otherwise be its own proof.

For each file and column, the sum of the values' hashes is compared. Columns of types that the programs do not have in
common are left out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby

import numpy as np
import pyarrow as pa

from weekly_cli.dataset import source
from weekly_cli.dataset.each import in_order
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.schema import is_text, working_type
from weekly_cli.files import parquet
from weekly_cli.files.disk import first_line
from weekly_cli.files.locations import Location, location
from weekly_cli.files.objects.waiting import local_copy
from weekly_cli.files.second_decoder import SecondDecoder, installed
from weekly_cli.verify import hashes
from weekly_cli.verify.proof import MAX_LISTED, Check, of_the_table

_BATCH_ROWS = 256 * 1024


def check_decoding(check: Check, sides: Sequence[tuple[str, Footers]], columns: Sequence[str], threads: int) -> None:
    """Compare the values of columns as Arrow and a second decoder read them.

    Parameters
    ----------
    check : Check
    sides : sequence of (str, Footers)
        What is read, with its name for findings.
    columns : sequence of str
        The columns that are compared where a file has them.
    threads : int
    """
    decoder = installed()
    if decoder is None:
        check.did += "; not checked by a second decoder (neither duckdb nor polars is installed)"
        return
    read: set[str] = set()
    for where, footers in sides:
        by_file = [list(pieces) for _, pieces in groupby(footers.pieces, lambda piece: piece.path)]
        tasks = (partial(_compared, decoder, footers, pieces, columns) for pieces in by_file)
        with of_the_table() if where == "the table" else contextlib.nullcontext():
            for names, finding in in_order(tasks, threads):
                read.update(names)
                check.findings += [f"{where}: {finding}"] if finding and len(check.findings) < MAX_LISTED else []
    check.did += f"; {len(read):,} of {len(columns):,} columns read by {decoder.name} too, with the same values"


def _compared(
    decoder: SecondDecoder, footers: Footers, pieces: Sequence[source.Piece], columns: Sequence[str]
) -> tuple[list[str], str]:
    """Return the columns of a file that the second decoder has read, and what is different, if anything is."""
    path, schema = location(pieces[0].path), footers.schema
    names = [name for name in _comparable(path, decoder, columns) if name not in schema.derived]
    names = [name for name in names if _is_common(schema.arrow.field(name).type) and name not in dict(pieces[0].keys)]
    if not names:
        return [], ""
    kinds = [working_type(schema.arrow.field(name).type) for name in names]
    by_second = np.zeros(len(names), np.uint64)
    try:
        with local_copy(path) as here:
            for table in decoder.batches(here, names):
                for number, (name, kind) in enumerate(zip(names, kinds, strict=True)):
                    try:
                        by_second[number : number + 1] += _sum(table.column(number), kind)  # sums wrap around
                    except pa.ArrowInvalid as error:
                        return names, (
                            f"{path}: column {name!r}, as {decoder.name} reads it, has values that {kind} does not "
                            f"hold: {first_line(error)}"
                        )
    except Exception:  # noqa: BLE001 - whatever a program says that can't read what Arrow can
        return [], ""
    by_arrow = np.zeros(len(names), np.uint64)
    for _, _, table in source.tables(pieces, schema, names, _BATCH_ROWS):
        by_arrow += np.array([_sum(table.column(name), kind) for name, kind in zip(names, kinds, strict=True)])
    other = np.flatnonzero(by_arrow != by_second)
    if not len(other):
        return names, ""
    return names, f"{path}: column {names[other[0]]!r} has other values as {decoder.name} reads it than as Arrow does"


def _sum(column: pa.ChunkedArray, kind: pa.DataType) -> np.uint64:
    if not is_text(kind):
        column = column.cast(kind)
    with np.errstate(over="ignore"):
        return np.uint64(hashes.of_column(column).sum(dtype=np.uint64))


def _comparable(path: Location, decoder: SecondDecoder, columns: Sequence[str]) -> Iterator[str]:
    """Yield the columns of a file whose values both read; names that differ in case only are one to DuckDB."""
    file = parquet.open_parquet(path)
    folded = [name.casefold() for name in file.schema_arrow.names]
    leaves = [file.schema.column(number) for number in range(len(file.schema))]
    int96 = {leaf.name for leaf in leaves if leaf.physical_type == "INT96"}
    for name in columns:
        with contextlib.suppress(KeyError):
            if folded.count(name.casefold()) != 1 or not _is_common(file.schema_arrow.field(name).type):
                continue
            if name not in int96 or decoder.reads_int96:
                yield name


def _is_common(kind: pa.DataType) -> bool:
    if is_text(kind):
        return True
    tests = (
        *(pa.types.is_integer, pa.types.is_float32, pa.types.is_float64, pa.types.is_boolean, pa.types.is_decimal128),
        *(pa.types.is_date32, pa.types.is_timestamp),
    )
    return any(test(kind) for test in tests)
