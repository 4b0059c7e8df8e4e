"""How much memory and disk the parts of a run take: estimates from the schema, and what fits by them."""

from __future__ import annotations

from dataclasses import dataclass

from weekly_cli.dataset.as_of import tables_of
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import DatasetSchema
from weekly_cli.files import output_name
from weekly_cli.run.resources import Resources
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config

#: Bytes of a worker and of the parent (with loky's own two processes) before they have any rows, as proportional set
#: sizes. These and the sizes below are what tasks of 0.1 to 1 million rows took, plus a margin.
WORKER_BYTES = 70 * 2**20
PARENT_BYTES = 160 * 2**20
#: Memory of a task, regardless of its size (panels of a group, a row group being written) and per row.
_WORKING_BYTES = 80 * 2**20
_NUMBERS_BYTES_PER_ROW = 140
_COPIES = 2.2
#: Memory of the partition per row of a chunk: its columns, each as decoded or in symbol order, and one to two chunks
#: that are decoded at the same time.
_CHUNK_COPIES = 4.0
_CHUNK_NUMBERS_BYTES_PER_ROW = 100
#: The buffers of the open bundles.
_BUNDLES_BYTES = 64 * 2**20
#: Larger chunks save nothing: a chunk's column should stay in the cache while it is gathered. With chunks of 0.25, 0.5,
#: 1 and 4 Mi rows, 9.6 million rows took 1.85, 1.75, 1.85 and 2.3 CPU seconds to partition, 260, 310, 390 and 1,050 MiB
#: in the parent, and 0.75, 0.65, 0.6 and 0.6 CPU seconds to read and sort in the workers.
_MOST_CHUNK_ROWS = 2**19
#: Chunks are larger if there would be more of them than this: each adds a run to every task, which is a row group of
#: its bundle to write, keep track of and read.
_MANY_CHUNKS = 24
#: Chunks per worker of a cluster, so that few workers are idle while the last ones are sorted; but a chunk has so many
#: rows for each task on average, for each run of rows is a row group to write, to keep track of and to read.
_CHUNKS_PER_WORKER = 4
_LEAST_RUN_ROWS = 2**11
#: A text column in one piece is limited to 2 GiB.
_MOST_CHUNK_BYTES = 2**30
_LEAST_CHUNK_ROWS = 2**12
#: Memory, per row, of a range that a thread puts into the input's order: as read, in order, and as it is written.
_RANGE_COPIES = 4.0
_RANGE_NUMBERS_BYTES_PER_ROW = 40
_MOST_RANGE_ROWS = 2**18
NUMBER_BYTES = 8
#: Running bars, as bytes of a row: a task of 0.8 million rows took 160 MiB more with them.
RUNNING_BYTES = 90
#: Memory of a cross section per bar: its keys, the values and their order, and what each column takes.
_BAR_BYTES, _BAR_COLUMN_BYTES = 110, 14
_LEAST_BARS, _MOST_BARS = 2**16, 2**21
#: On disk, the symbol and the period of a bar.
_KEY_BYTES = 8
#: Sizes are estimates, so a plan assigns only this share of the budget.
PLANNED = 0.92
#: What a worker of a Dask cluster takes beyond a worker of the pool.
DASK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Ordering:
    """How rows are put into the input's order: the rows routed at a time, and those of a range that is sorted."""

    chunk_rows: int
    range_rows: int


@dataclass(frozen=True)
class TablesBytes:
    """What the tables that are joined take in a process that reads the input's rows.

    Attributes
    ----------
    held : int
        For as long as it reads.
    reading : int
        Beyond that, while it reads the tables themselves, before it has rows.
    """

    held: int = 0
    reading: int = 0


NO_TABLES = TablesBytes()


def tables_bytes(schema: DatasetSchema) -> TablesBytes:
    """Return what the tables that are joined take, which are read one after the other."""
    tables = {table for table, _ in tables_of(schema).values()}
    return TablesBytes(
        held=sum(table.held_bytes for table in tables),
        reading=max((table.reading_bytes - table.held_bytes for table in tables), default=0),
    )


@dataclass(frozen=True)
class Sizes:
    """Sizes of what is done with rows of so many bytes, in processes that hold these tables."""

    row_bytes: float
    tables: TablesBytes = NO_TABLES

    def beside_tables(self, size: int) -> int:
        """Return the bytes of something, and of the tables that are there before it."""
        return self.tables.held + max(self.tables.reading, size)

    @property
    def least_chunk_bytes(self) -> int:
        """What a process takes that partitions the rows in the smallest chunks, beside tables."""
        row = _CHUNK_COPIES * self.row_bytes + _CHUNK_NUMBERS_BYTES_PER_ROW
        return int(_BUNDLES_BYTES + _LEAST_CHUNK_ROWS * row)

    def task_bytes(self, rows: int, decoded_rows: int) -> int:
        return int(
            _WORKING_BYTES + rows * (_COPIES * self.row_bytes + _NUMBERS_BYTES_PER_ROW)
            + (decoded_rows - rows) * self.row_bytes
        )  # fmt: skip

    def most_rows(self, worker_bytes: int) -> int:
        free = worker_bytes - self.tables.held
        if free < self.tables.reading:
            return 0
        return int((free - _WORKING_BYTES) / (_COPIES * self.row_bytes + _NUMBERS_BYTES_PER_ROW))

    def chunk_rows(self, free_bytes: int, rows: int) -> int:
        fits = int(
            (free_bytes - self.tables.held - _BUNDLES_BYTES)
            / (_CHUNK_COPIES * self.row_bytes + _CHUNK_NUMBERS_BYTES_PER_ROW)
        )
        wanted = min(max(_MOST_CHUNK_ROWS, rows // _MANY_CHUNKS), int(_MOST_CHUNK_BYTES / self.row_bytes))
        return min(wanted, max(_LEAST_CHUNK_ROWS, fits))

    def cluster_chunk_rows(self, worker_bytes: int, rows: int, workers: int, tasks: int) -> int:
        """Return the rows of a chunk that a worker of a cluster sorts by tasks: all workers get some chunks."""
        even = max(rows // (_CHUNKS_PER_WORKER * workers), _LEAST_RUN_ROWS * tasks)
        return min(even, self.chunk_rows(worker_bytes - WORKER_BYTES, rows))


def ordering_of(config: Config, sizes: Sizes, free_bytes: int, threads: int, n_features: int, rows: int) -> Ordering:
    """Return how rows are put into the input's order, by this process alone: the pool has ended."""
    row_bytes = sizes.row_bytes + n_features * (8 if config.dtype == "float64" else 4)
    fits = int(free_bytes / threads / (_RANGE_COPIES * row_bytes + _RANGE_NUMBERS_BYTES_PER_ROW))
    return Ordering(
        chunk_rows=Sizes(row_bytes).chunk_rows(free_bytes, rows),
        range_rows=min(_MOST_RANGE_ROWS, max(_LEAST_CHUNK_ROWS, fits)),
    )


def section_bars(planned: int, workers: int, resources: Resources, wanted: Wanted) -> int | None:
    """Return how many bars of a cross section may be held at a time while workers wait; None: there is none."""
    of_workers = workers * WORKER_BYTES if resources.worker_bytes is None else 0
    free_bytes = bytes_of_one_machine(planned, resources) - of_workers
    crosses = wanted.crosses
    n_columns = len(crosses) + len({one.placed.name for one in crosses})
    fits = int(free_bytes // (_BAR_BYTES + n_columns * _BAR_COLUMN_BYTES))
    return min(_MOST_BARS, max(_LEAST_BARS, fits)) if crosses else None


def _section_bytes(scan: Scan, wanted: Wanted, rows: int) -> int:
    """Estimate the bytes on disk of a cross section's files: values and places of the bars of all symbols.

    If `rows` are not all of the input's, the others may have to be sorted by symbol, too.
    """
    if not wanted.crosses:
        return 0
    bars = scan.rows / max(1.0, scan.calendar.sessions_a_week)
    others = scan.footers.row_bytes * scan.rows if rows < scan.rows and scan.presence is None else 0.0
    return int(others + bars * (2 * _KEY_BYTES + 8 * 2 * len(wanted.crosses)))


def bytes_of_one_machine(planned: int, resources: Resources) -> int:
    """Return what this process may take while no worker runs; with a cluster, as much as one of its workers."""
    most = planned if resources.worker_bytes is None else int(PLANNED * resources.worker_bytes)
    return min(planned, most) - PARENT_BYTES


def cant_hold(budget: int, what: str, task_bytes: int) -> str:
    """Return a sentence that a budget can't hold something that takes so much in a worker, and which one could."""
    needed = int((task_bytes + PARENT_BYTES + WORKER_BYTES) / PLANNED)
    return (
        f"the memory budget of {budget / 2**20:.0f} MiB can't hold {what}; "
        f"pass --memory-limit {-(-needed // 2**20)}MiB or more"
    )


def worker_cant_hold(resources: Resources, what: str, task_bytes: int) -> str:
    """Return a sentence that no worker of a cluster can hold something, and how large it must be."""
    needed = int((task_bytes + WORKER_BYTES) / PLANNED / resources.memory_share) + DASK_BYTES
    return (
        f"a worker of those with the {resources.memory_reason} can't hold {what}; start them with dask worker "
        f"--memory-limit {-(-needed // 2**20)}MiB or more"
    )


#: Bytes that a repeated 4-byte value takes in the output: 0.8 with zstd, for 60 columns and ten years of prices.
_STORED_BYTES = {"zstd": 1.0, "snappy": 2.0, "lz4": 2.0, "none": 4.0}


def disk_bytes_of(
    scan: Scan, config: Config, wanted: Wanted, rows: int, partition: bool, n_tasks: int, reorder: bool
) -> int:
    """Estimate the bytes of the bundles, the parts, the file into which they are joined, and a cross section."""
    footers, n_features = scan.footers, len(wanted.columns)
    input_bytes = footers.row_bytes if config.compression == "none" else footers.file_bytes / max(1, footers.rows)
    if config.columns_out:
        input_bytes = min(input_bytes, footers.row_bytes)
    added = n_features * _STORED_BYTES[config.compression] * (2 if config.dtype == "float64" else 1)
    if config.rows == "weekly":  # there are no more bars than rows, and their values do not repeat
        added *= 4.0 / _STORED_BYTES[config.compression] / max(1.0, scan.calendar.sessions_a_week)
        input_bytes = 0.0
    copies = 2 if n_tasks > 1 and output_name.is_single_file(config.output) else 1
    bundles = footers.row_bytes if partition else 0.0
    if reorder:
        bundles += input_bytes + added + footers.row_bytes + n_features * (8 if config.dtype == "float64" else 4)
    return int(rows * ((input_bytes + added) * copies + bundles)) + _section_bytes(scan, wanted, rows)
