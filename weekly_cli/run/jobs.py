"""Turns a plan into tasks: everything that a worker needs to know, and nothing large."""

from __future__ import annotations

import json

import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.suspects.scheduled import schedule_of
from weekly_cli.compute.treatment import Treatment
from weekly_cli.dataset.dates import day_of
from weekly_cli.dataset.pandas_metadata import for_columns
from weekly_cli.dataset.roles import adjusted_column
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.written import columns_left_out
from weekly_cli.files.parquet import METADATA_KEY
from weekly_cli.files.store import OutputStore
from weekly_cli.run.clocks import RunClocks, bound
from weekly_cli.run.comparisons import Comparisons
from weekly_cli.run.cuts import TaskPlan
from weekly_cli.run.manifest import conventions
from weekly_cli.run.part_names import part_name
from weekly_cli.run.partition import Partitioned
from weekly_cli.run.plan import Plan
from weekly_cli.run.plugins import PluginName
from weekly_cli.run.standing import recognized_by
from weekly_cli.run.task import Job, Task
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config


def make_job(
    config: Config,
    wanted: Wanted,
    scan: Scan,
    plan: Plan,
    comparisons: Comparisons,
    clocks: RunClocks,
    store: OutputStore,
) -> Job:
    """Return what all tasks have in common."""
    footers = scan.footers
    left_out = columns_left_out(footers.schema, config, wanted.written(config))
    of_days = config.rows == "daily"  # the index of daily rows is none of weekly ones
    metadata = for_columns(footers.schema.pandas, set(footers.schema.arrow.names) - set(left_out)) if of_days else {}
    record = conventions(footers, config, wanted) | recognized_by(footers, config, wanted, len(plan.selected))
    record |= {"weeks": clocks.recorded} if clocks.recorded else {}
    metadata[METADATA_KEY.decode()] = json.dumps(record)
    return Job(
        schema=footers.schema.numbered() if plan.ordering else footers.schema,
        features=",".join(wanted.feature_names),
        cross_section=config.cross_section,
        labels=wanted.labels,
        benchmark_names=comparisons.names,
        windows=config.windows,
        plugins=tuple(PluginName(one.name, one.sha256) for one in wanted.plugins),
        benchmark_file=store.address("benchmarks.parquet") if comparisons.symbols else None,
        clocks=bound(clocks.every, None),
        schedules=tuple(schedule_of(one.first_day, one.last_day, one.sessions) for one in clocks.exchanges),
        price=config.price,
        treatment=Treatment(config.negative_prices, config.drop_padding, config.adjust_volume),
        unused_adjusted=adjusted_column(footers.schema, config),
        dtype=config.dtype,
        prefix=config.prefix,
        date_type=config.date_type,
        start_day=None if config.start is None else day_of(config.start),
        end_day=None if config.end is None else day_of(config.end),
        last_day=scan.last_day,
        last_day_read=plan.last_day,
        rows=config.rows,
        on_duplicates=config.on_duplicates,
        on_intraday=config.on_intraday,
        compression=config.compression,
        writer=config.writer,
        left_out=tuple(left_out),
        metadata=metadata,
        row_bytes=footers.row_bytes,
        low_memory=plan.low_memory,
    )


def make_tasks(
    scan: Scan,
    plan: Plan,
    job: Job,
    partitioned: Partitioned | None,
    comparisons: Comparisons,
    clocks: RunClocks | None,
    store: OutputStore,
) -> list[Task]:
    """Return the tasks of a plan, with the locations of their rows and of their parts.

    `clocks` are those of the symbols; None: all have the job's first one.
    """
    return [
        Task(
            number=number,
            job=job,
            symbols=pa.concat_arrays([scan.symbols.take(from_numpy(plan.selected[planned.first : planned.stop]))]),
            pieces=planned.pieces,
            fragments=None if partitioned is None else partitioned.fragments[number],
            planned_codes=range(planned.stop - planned.first),
            part=store.address(part_name(planned.first, planned.stop)),
            compared=comparisons.of(planned.first, planned.stop),
            clock_numbers=None if clocks is None else _of_task(clocks.of_symbol, planned),
            schedule_numbers=None if clocks is None else _of_task(clocks.schedule_of_symbol, planned),
        )
        for number, planned in enumerate(plan.tasks)
    ]


def _of_task(numbers: Ints | None, planned: TaskPlan) -> tuple[int, ...] | None:
    """Return the numbers of a task's symbols."""
    return None if numbers is None else tuple(numbers[planned.first : planned.stop].tolist())
