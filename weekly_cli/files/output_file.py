"""Parquet files being written.

A file is written under a temporary name, closed, checked by its footer and flushed to disk before it gets its name: a
writer that is closed after an exception leaves a file that is valid but too short, and a full disk may show up only in
the footer. A file for an object store is written on this machine and put there once it is checked.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from weekly_cli import failpoints
from weekly_cli.errors import DiskError
from weekly_cli.files.disk import flush, reading, writing
from weekly_cli.files.locations import Location
from weekly_cli.files.objects.path import ObjectPath
from weekly_cli.files.objects.waiting import waiting_file


class OutputFile(ABC):
    """A Parquet file being written under a temporary name: `close` checks and renames it; an exception discards it."""

    def __init__(self, path: Location) -> None:
        self.path = path
        self.aside = waiting_file() if isinstance(path, ObjectPath) else path.with_name(f".{path.name}.aside")
        self.rows = 0

    @abstractmethod
    def finish(self) -> None:
        """Write the remaining data, the footer last."""

    @abstractmethod
    def abandon(self) -> None:
        """Release a file that will not be finished."""

    def close(self, *, durable: bool) -> int:
        """Finish, check the footer, rename; return the file's size in bytes.

        Raises
        ------
        DiskError
            If the closed file does not contain every row that was written.
        """
        with writing(self.path):
            self.finish()
        self.reached("closed")
        with reading(self.aside):
            written_rows = pq.ParquetFile(str(self.aside)).metadata.num_rows
        if written_rows != self.rows:
            raise DiskError(
                f"{self.path}: {written_rows} of {self.rows} rows are in the file that was written; check the disk"
            )
        with writing(self.path):
            size = self.aside.stat().st_size
            if isinstance(self.path, ObjectPath):
                self.path.put(self.aside)
                self.aside.unlink()
            else:
                if durable:
                    flush(self.aside)
                self.aside.rename(self.path)
        self.reached("renamed")
        return size

    def reached(self, step: str) -> None:
        """Trigger the failpoint of a step."""
        failpoints.reached(f"{self.path.stem.partition('-')[0]}:{step}")

    def discard(self) -> None:
        """Remove what was written."""
        with contextlib.suppress(OSError, pa.ArrowException):  # the first error is the one to report
            self.abandon()
        with contextlib.suppress(OSError):  # likewise; what is left is removed with its folder
            self.aside.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.discard()


class ParquetOutput(OutputFile):
    """A file of tables, written by Arrow."""

    def __init__(self, path: Location, schema: pa.Schema, **options: Any) -> None:
        super().__init__(path)
        with writing(path):
            self._writer = pq.ParquetWriter(str(self.aside), schema, write_page_checksum=True, **options)
        self.reached("opened")

    def write(self, table: pa.Table, row_group_rows: int | None = None) -> None:
        """Append a table as one row group, or as several with `row_group_rows` rows each."""
        with writing(self.path):
            self._writer.write_table(table, row_group_size=row_group_rows or max(1, table.num_rows))
        self.rows += table.num_rows
        self.reached("written")

    def finish(self) -> None:
        """Write the footer."""
        self._writer.close()

    def abandon(self) -> None:
        """Close the writer, which leaves a valid but incomplete file."""
        self._writer.close()


class Flusher:
    """Flushes finished files to disk in a thread, while other work continues; a normal exit waits for the last one."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._flushes: list[Future[None]] = []

    def add(self, path: Path) -> None:
        """Queue a file to be flushed."""
        self._flushes.append(self._pool.submit(flush, path))

    def wait(self) -> None:
        """Wait until all added files are flushed.

        Raises
        ------
        DiskError
            If a file could not be flushed.
        """
        for waiting in self._flushes:
            waiting.result()

    def __enter__(self) -> Flusher:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._pool.shutdown(wait=kind is None, cancel_futures=kind is not None)
        if kind is None:
            self.wait()
