"""The child process of the tests of hostile input: builds one input after the other and says how each ended.

Arrow may crash or hang on a damaged file and would take the tests along. So this runs as a process of its own, with a
bound on its memory and a deadline for every trial; the line that it began and did not end names the file.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from frames import parts, picture, read

import weekly_cli
from weekly_cli.errors import WeeklyError
from weekly_cli.files import parquet, writers
from weekly_cli.files.fast.column_chunks import ColumnChunk
from weekly_cli.files.fast.row_groups import RowGroupFile
from weekly_cli.names import printable
from weekly_cli.run import cuts
from weekly_cli.run import rows as rows_room
from weekly_cli.run.engines import pool

SECONDS_EACH = 30
MOST_BYTES = 6 * 2**30
FEW = "w_close,w_ret"
ROUTES = ("direct", "batched")
SETTINGS: dict[str, Any] = {"features": FEW, "memory_limit": "8GB", "jobs": 2}


#: The row groups that this process has taken over as they are.
COPIED: list[Path] = []


class _CopiesCounted(RowGroupFile):
    """An output that tells which row groups it took over."""

    def copied(self, path: Path, row_group: int, own: pa.Table) -> list[ColumnChunk] | None:
        chunks = super().copied(path, row_group, own)
        if chunks is not None:
            COPIED.append(path)
        return chunks


class _LastingPool(pool.Pool):
    """A pool that serves many trials: to start one takes ten times as long as a trial.

    It ends as any other where a trial leaves tasks behind, which would write on into a work folder that is removed.
    """

    def close(self) -> None:
        if self._executor is not None and self._executor._pending_work_items:
            super().close()


def _one_pool() -> Callable[[int, int, float | None], pool.Pool]:
    pools: dict[int, pool.Pool] = {}

    def started(workers: int, budget_bytes: int, task_seconds: float | None) -> pool.Pool:
        if workers not in pools:
            pools[workers] = _LastingPool(workers, budget_bytes, task_seconds)
        return pools[workers]

    return started


def plain(column: pa.ChunkedArray) -> Any:
    """The values of a column so that they can be compared to the bit, whatever they are."""
    array = column.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return array.cast(pa.large_string()).cast(pa.large_binary()).to_pylist()
    if pa.types.is_floating(kind) or pa.types.is_temporal(kind):
        whole = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[kind.bit_width]
        return array.view(whole).to_pylist()
    return array.to_pylist() if not pa.types.is_nested(kind) else [str(value) for value in array]


def own_columns(files: list[Path]) -> pa.Table:
    """What Arrow itself reads, in the order of the output: by symbol, then by date, then as it came."""
    table = pa.concat_tables([rows for path in files for rows in _row_groups(path)], promote_options="permissive")
    names = {name.lower(): name for name in table.column_names}
    keys = list(zip(plain(table.column(names["symbol"])), _days(table.column(names["date"])), strict=True))
    rows = sorted((row for row in range(len(keys)) if None not in keys[row]), key=keys.__getitem__)
    return table.take(pa.array(rows, pa.int64()))


def _row_groups(path: Path) -> list[pa.Table]:
    """A file by its row groups: of a whole file Arrow lets a damaged list run on into the next."""
    file = parquet.open_parquet(path, verify=True)
    return [file.schema_arrow.empty_table(), *map(file.read_row_group, range(file.num_row_groups))]


def _days(dates: pa.ChunkedArray) -> list[Any]:
    from weekly_cli.dataset.dates import session_days

    days, known = session_days(dates)
    return [day if known is None or known[row] else None for row, day in enumerate(days.tolist())]


def different(out: pa.Table, expected: pa.Table) -> str:
    """The first input column that is not as expected, empty if all are."""
    for name in expected.column_names:
        try:
            ours, theirs = plain(out.column(name)), plain(expected.column(name))
        except (pa.ArrowException, KeyError) as error:
            return f"{name}: {type(error).__name__} {error}"
        if ours != theirs:
            return f"column {name!r} differs"
    return ""


def untrue_statistics(output: Path) -> str:
    """A column whose statistics in the output rule out a value that it has, empty if there is none."""
    for part in parts(output):
        file = pq.ParquetFile(part)
        for number in range(file.num_row_groups):
            group, rows = file.metadata.row_group(number), file.read_row_group(number)
            for chunk in map(group.column, range(group.num_columns)):
                name, told = chunk.path_in_schema, chunk.statistics
                if name not in ("symbol", "volume", "venue") or told is None or not told.has_min_max:
                    continue
                values = [value for value in plain(rows.column(name)) if value is not None]
                signed = not pa.types.is_unsigned_integer(rows.column(name).type)
                if signed and values and not told.min_raw <= min(values) <= max(values) <= told.max_raw:
                    return f"{name} of row group {number} of {part.name}"
    return ""


def trial(folder: Path, route: str) -> dict[str, Any]:
    """Build what lies in `folder/in` over the old output `folder/out` and say how that ended."""
    before = picture(folder)
    told: dict[str, Any] = {"name": folder.name, "route": route}
    try:
        report = weekly_cli.build(folder / "in", folder / "out", strategy=route, **SETTINGS)
    except WeeklyError as error:
        sentence = str(error)
        told |= {"code": error.exit_code, "sentence": printable(sentence), "one line": "\n" not in sentence}
        told["as it was"] = picture(folder) == before
        return told | {"names it": str(folder / "in") in sentence}
    except Exception as error:  # noqa: BLE001 - what a bug looks like
        return told | {"code": 1, "sentence": f"{type(error).__name__}: {error}"}
    told |= {"code": 0, "partitioned": report.bytes_partitioned > 0, "copied": len(COPIED)}
    COPIED.clear()
    files = sorted(path for path in (folder / "in").rglob("*") if path.is_file())
    try:
        told["differs"] = different(read(folder / "out"), own_columns(files))
        told["untrue"] = untrue_statistics(folder / "out")
    except (pa.ArrowException, OSError, WeeklyError) as error:
        told["differs"] = f"Arrow itself: {type(error).__name__}: {error}"
    after = picture(folder)
    strangers = {name for name in after.keys() ^ before.keys() if not name.startswith("out/")}
    told["strangers"] = sorted(
        strangers | {name for name in before if name.startswith("in") and after[name] != before[name]}
    )
    return told


def _tell(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main() -> None:
    """`hostile_trials.py ROUTE FOLDER...`: a line of JSON when a trial begins, one when it ends."""
    route, *folders = sys.argv[1:]
    warnings.simplefilter("error")
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    writers.WRITERS["fast"] = _CopiesCounted
    rows_room.LEAST_COPIED_ROWS = 8  # so that small files take the way on which pages are taken over as they are
    cuts.LEAST_TASK_ROWS = 16
    pool.Pool = _one_pool()  # type: ignore[assignment, misc]
    for folder in map(Path, folders):
        _tell({"name": folder.name})
        faulthandler.dump_traceback_later(SECONDS_EACH, exit=True)
        told = trial(folder, route)
        faulthandler.cancel_dump_traceback_later()
        _tell(told)


if __name__ == "__main__":
    main()
