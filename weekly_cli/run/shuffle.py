"""The partition on a cluster: each chunk of the input is sorted into bundles of its own, by whichever worker is free.

This process sends the chunks' pieces, and gets back where the rows of each task are, and the checksums of the bundles;
it reads no row. A task of the fan-out then reads its runs from the bundles of all chunks, and merges them as it sorts.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.dataset import source
from weekly_cli.dataset.each import Each
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import DatasetSchema
from weekly_cli.dataset.source import Piece
from weekly_cli.files import disk, output_file, parquet
from weekly_cli.files.locations import Location, location
from weekly_cli.run.bundles import Runs
from weekly_cli.run.partition import Partitioned, Routing, partitioned, routing_of
from weekly_cli.run.plan import Plan

#: With one, a chunk would be a file for each task; with all, each task would read the footer of the rows of all others.
TASKS_PER_BUNDLE = 16


@dataclass(frozen=True)
class _Sorted:
    """What became of a chunk: the runs of each task, bytes, rows, and the sizes and checksums of its bundles."""

    runs: list[Runs]
    bytes_written: int
    rows: int
    proofs: dict[str, list[int]]


@dataclass(frozen=True)
class _SortChunk:
    """Sorts the rows of a chunk, on a worker.

    Attributes
    ----------
    routing : Routing
    symbols : str
        Where the symbols of all tasks are.
    bundles : str
        What the addresses of bundles begin with.
    """

    routing: Routing
    symbols: str
    bundles: str

    def __call__(self, chunk: tuple[int, Sequence[Piece]]) -> _Sorted:
        """Sort the rows of some pieces, which have a number.

        The bundles' names are this attempt's own: a worker that is taken for dead may go on.
        """
        number, pieces = chunk
        with disk.reading(self.symbols):
            symbols = parquet.open_own(self.symbols).read().column(0).combine_chunks()
        rows: list[int] = [0]
        runs, written = self.routing.write(
            pieces, symbols, self.bundles.__add__, f"{number:06d}-{secrets.token_hex(4)}", 1, rows.append
        )
        names = {name for of_task in runs for name, _ in of_task}
        return _Sorted(runs, written, rows[-1], {name: disk.proof(location(name)) for name in sorted(names)})


def shuffle(
    scan: Scan,
    plan: Plan,
    schema: DatasetSchema,
    address: Callable[[str], str],
    each: Each,
    on_rows: Callable[[int], None],
) -> Partitioned:
    """Write the bundles of a plan on a cluster.

    Parameters
    ----------
    scan : Scan
    plan : Plan
    schema : DatasetSchema
        The columns that tasks read.
    address : callable
        Returns the path of the file with this name.
    each : Each
        Calls a function on the cluster.
    on_rows : callable
        Called with the number of rows sorted so far.
    """
    routing = replace(routing_of(scan, plan, schema), tasks_per_bundle=TASKS_PER_BUNDLE)
    symbols = address("symbols.parquet")
    _write_symbols(scan.symbols.take(from_numpy(plan.selected)), location(symbols))
    pieces = scan.footers.pieces
    chunks = enumerate(pieces[begin:end] for begin, end in source.runs(pieces, routing.chunk_rows))
    runs: list[list[tuple[str, tuple[int, ...]]]] = [[] for _ in plan.tasks]
    proofs: dict[str, list[int]] = {}
    rows = written = 0
    for of_chunk in each(_SortChunk(routing, symbols, address("bundle-")), chunks):
        for of_task, more in zip(runs, of_chunk.runs, strict=True):
            of_task += more
        proofs |= of_chunk.proofs
        rows, written = rows + of_chunk.rows, written + of_chunk.bytes_written
        on_rows(rows)
    return partitioned(routing, plan, map(tuple, runs), written, proofs)


def _write_symbols(symbols: pa.Array, path: Location) -> None:
    table = pa.table([symbols], names=["symbol"])
    with output_file.ParquetOutput(path, table.schema, compression="none", use_dictionary=False) as output:
        output.write(table)
        output.close(durable=False)
