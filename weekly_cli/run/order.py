"""Rows in the input's order: the finished parts, which are in the order of symbol and date, are sorted once more.

Each row brings the number that it has in the input. One pass over the parts sends the rows to bundles by ranges of
numbers; each range is then sorted in memory, and a part of the output is some ranges, one after the other. Values
are taken over as they are. A row that was made of several stands where the last of them stood.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.dataset.each import in_order
from weekly_cli.dataset.schema import is_text, plain_type, working_type
from weekly_cli.files import disk, parquet
from weekly_cli.files.locations import location
from weekly_cli.files.parquet import METADATA_KEY
from weekly_cli.run.bundles import Batch, BundleSet, Runs, read_runs
from weekly_cli.run.plan import Plan
from weekly_cli.run.sizes import Ordering
from weekly_cli.run.task import Job, Outcome, part_file


@dataclass(frozen=True)
class Ordered:
    """Parts in the input's order, with the checksums of their bytes, and what they have in common."""

    parts: dict[str, int]
    job: Job


def in_input_order(
    outcomes: Sequence[Outcome],
    job: Job,
    plan: Plan,
    ordering: Ordering,
    n_input_rows: int,
    address: Callable[[str], str],
    threads: int,
    on_rows: Callable[[int], None],
) -> Ordered:
    """Write the parts of `outcomes` again, with the rows of all of them in the input's order.

    Parameters
    ----------
    outcomes : sequence of Outcome
    job : Job
        Its rows are numbered.
    plan : Plan
    ordering : Ordering
    n_input_rows : int
        Numbers are less than this.
    address : callable
        Returns the path of the file with this name.
    threads : int
    on_rows : callable
        Called with the number of rows that are on their way so far.
    """
    rows = sum(outcome.rows for outcome in outcomes)
    n_symbols = sum(outcome.symbols - len(outcome.rejected) for outcome in outcomes)
    metadata = {**job.metadata, METADATA_KEY.decode(): _with_rows(job.metadata[METADATA_KEY.decode()], rows)}
    new_job = replace(job, left_out=(*job.left_out, job.schema.row_number), metadata=metadata)
    parts = [outcome.part for outcome in outcomes if outcome.part is not None and outcome.rows]
    cuts = np.append(np.arange(0, n_input_rows, ordering.range_rows), n_input_rows)
    ranges = len(cuts) - 1
    kinds = _kinds(job)
    repeated = [column.name for column in kinds if pa.types.is_dictionary(column.type)]
    bundles = BundleSet(kinds, repeated, np.arange(ranges + 1), address, "order", plan.low_memory)
    batches = _batches(parts, job, kinds, plan, ordering, threads)
    runs, _ = bundles.write(batches, threads, on_rows)

    def write(number: int, span: tuple[int, int]) -> tuple[str, int]:
        path = location(address(f"ordered-{number:05d}.parquet"))
        # How many symbols a part has says whether a part is missing; here the number of rows does.
        with part_file(path, new_job, 0 if number else n_symbols) as output:
            for of_range in runs[slice(*span)]:
                for table in _row_groups(of_range, job, kinds):
                    output.write(table, np.array([table.num_rows]), ())
                    del table
                if plan.low_memory:
                    pa.default_memory_pool().release_unused()
            output.close(durable=False)
        return str(path), output.checksum

    bounds = np.unique(np.linspace(0, ranges, min(ranges, max(len(parts), threads)) + 1).astype(int)).tolist()
    with ThreadPoolExecutor(threads) as pool:
        written = list(pool.map(write, range(len(bounds) - 1), pairwise(bounds)))
    return Ordered(dict(written), new_job)


def _with_rows(record: str, rows: int) -> str:
    return json.dumps(json.loads(record) | {"rows": rows})


def _kinds(job: Job) -> pa.Schema:
    """Return the columns of the bundles, by position: text with few values in a row as dictionaries."""
    schema, columns = job.schema, job.output_schema()
    own = {column.name for column in job.input_schema}
    kinds = []
    for column in columns:
        kind = schema.working_type(column.name) if column.name in own else column.type
        if column.name == schema.roles["symbol"] and is_text(kind):
            kind = pa.dictionary(pa.int32(), plain_type(working_type(kind)))
        kinds.append(kind)
    return pa.schema([pa.field(str(place), kind) for place, kind in enumerate(kinds)])


def _batches(
    parts: Sequence[str], job: Job, kinds: pa.Schema, plan: Plan, ordering: Ordering, threads: int
) -> Iterator[Batch]:
    """Yield the rows of parts, numbered by their range."""
    names = job.output_schema().names
    dictionaries = [name for name, kind in zip(names, kinds.types, strict=True) if pa.types.is_dictionary(kind)]
    place = names.index(job.schema.row_number)
    files = [parquet.open_parquet(part, verify=True, dictionaries=dictionaries) for part in parts]

    def read(number: int, group: int) -> Callable[[], pa.Table]:
        def table() -> pa.Table:
            with disk.reading(parts[number]):
                read = files[number].read_row_group(group, use_threads=plan.low_memory)
            columns = [column.cast(kind) for column, kind in zip(read.columns, kinds.types, strict=True)]
            return pa.table(columns, schema=kinds)

        return table

    reads = (read(number, group) for number, file in enumerate(files) for group in range(file.num_row_groups))
    waiting: list[pa.Table] = []
    rows = 0
    # Reading ahead takes a row group for each thread; one by one, its columns are read in parallel.
    tables = (read() for read in reads) if plan.low_memory else in_order(reads, threads)
    for table in tables:
        if waiting and rows + table.num_rows > ordering.chunk_rows:
            yield _batch(waiting, place, ordering.range_rows)
            waiting, rows = [], 0
        waiting.append(table)
        rows += table.num_rows
    if waiting:
        yield _batch(waiting, place, ordering.range_rows)


def _batch(tables: list[pa.Table], place: int, range_rows: int) -> Batch:
    numbers = np.concatenate([to_numpy(table.column(place)) for table in tables]) // range_rows
    batch = Batch(numbers.astype(np.int32), list(tables))
    tables.clear()
    return batch


def _row_groups(runs: Runs, job: Job, kinds: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of a range in the input's order, as tables of a row group each."""
    tables = list(read_runs(runs, at_once=True))
    if not tables:
        return
    table = pa.concat_tables(tables).unify_dictionaries()
    del tables
    names = job.output_schema().names
    place = names.index(job.schema.row_number)
    order = np.argsort(to_numpy(table.column(place)), kind="stable")
    for first in range(0, len(order), job.row_group_rows):
        gather = from_numpy(order[first : first + job.row_group_rows])
        taken = pa.table([column.take(gather) for column in table.columns], names=names)
        yield taken.drop_columns([job.schema.row_number])
