"""The file to which a question's answer is written: Parquet or CSV, by its name; in one step.

The same command writes it again every day, so an earlier answer is replaced. Nothing else is.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from weekly_cli.errors import UsageError
from weekly_cli.files import disk, parquet, records
from weekly_cli.files.locations import refuse_url
from weekly_cli.files.parquet import PARQUET_SUFFIXES

#: In the metadata of a Parquet file: which question it answers. Build outputs have another key.
_KEY = b"weekly-cli answer"
_CSV = ".csv"


def check_answer(name: str, setting: str, question: str, columns: tuple[str, ...]) -> None:
    """Refuse a file that can't be written, or where something else is; `columns` are in every answer, side by side.

    Raises
    ------
    UsageError
        Before the work begins.
    """
    refuse_url(name, setting)
    path = Path(name)
    if path.suffix.lower() not in (*PARQUET_SUFFIXES, _CSV):
        raise UsageError(f"{setting} {name}: give a name that ends in .parquet or .csv, which tells what is written")
    records.check_name(path, setting)
    records.check_writable(path, setting)
    if path.is_file() and path.stat().st_size and not _is_answer(path, question, columns):
        raise UsageError(
            f"{setting} {name} already exists and is not an answer of weekly-cli {question}; choose another file, or "
            "move it away"
        )


def _is_answer(path: Path, question: str, columns: tuple[str, ...]) -> bool:
    if path.suffix.lower() == _CSV:
        with path.open("rb") as stream:
            header = stream.readline(2**20).decode(errors="replace")
        return ",".join(f'"{column}"' for column in columns) in header
    if not parquet.is_parquet(path):
        return False
    return (parquet.open_parquet(path).schema_arrow.metadata or {}).get(_KEY) == question.encode()


def write_answer(name: str, table: pa.Table, question: str) -> None:
    """Write an answer in one step.

    Raises
    ------
    OutputConflict, DiskError
        If it can't be written.
    """
    path = Path(name).resolve()  # a link stays, and its target is replaced
    aside = path.with_name(f".{path.name}.aside")
    try:
        with disk.writing(path):
            if path.suffix.lower() == _CSV:
                from pyarrow import csv

                csv.write_csv(table, str(aside))
            else:
                import pyarrow.parquet as pq

                metadata = {**(table.schema.metadata or {}), _KEY: question.encode()}
                pq.write_table(table.replace_schema_metadata(metadata), str(aside), compression="zstd")
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
