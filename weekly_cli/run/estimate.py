"""How long a build will take, and how large its output will be: from the plan's numbers and measured constants.

The seconds are those of two idle cores of AMD EPYC, from the figures of the benchmarks: 9.6 million rows of 4,000
symbols with 55 features in 3.3 s where rows are clustered by symbol, 5.1 s in date order, and 8.5 s with a file a day.
Other machines differ by their speed, and busy ones by more. The bytes are those of made-up prices of 400 symbols over
ten years; they depend on the data much less than the time does on the machine.
"""

from __future__ import annotations

from dataclasses import dataclass

from weekly_cli.compute.features import columns_of_bars
from weekly_cli.dataset.dates import day_of
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.written import columns_left_out
from weekly_cli.run.plan import Plan
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config

#: Until the first row is read, and what a pool adds to it.
_START_SECONDS, _POOL_SECONDS = 0.3, 0.3
#: For each file: its footer, and opening it again for the rows. A file a day of ten years took 3.3 s more on two cores.
_FILE_SECONDS = 2.6e-3
#: For each row: its keys; in a task; and what rows that are not clustered by symbol cost more, to partition or to sort.
_SCAN_SECONDS, _TASK_SECONDS, _SORT_SECONDS = 0.02e-6, 0.17e-6, 0.18e-6
#: For each row, to make bars for a cross section, and for each bar and column, to place it.
_PANEL_SECONDS, _PLACE_SECONDS = 0.12e-6, 0.3e-6
#: For each value of the output, to put rows into the input's order.
_ORDER_SECONDS = 20e-9
#: For each row and feature, in a task: 4.6 s of one worker with all features, 1.7 s with two of them.
_FEATURE_SECONDS = 5.7e-9
#: Bytes of the output for each daily row and feature, whose values repeat for a week, and for each weekly one.
_DAILY_BYTES = {"zstd": 0.74, "snappy": 1.38, "lz4": 1.23, "none": 4.0}
_WEEKLY_BYTES = {"zstd": 2.9, "snappy": 4.0, "lz4": 4.0, "none": 4.1}
#: What float64 takes compared with float32; 2 without compression.
_FLOAT64 = 1.8
#: What a column of a row group takes in the input besides its values: page headers, a dictionary, its part of the
#: footer. Files of thirty rows are five sixths of this, which the output has little of.
_CHUNK_BYTES, _LEAST_VALUES = 280, 1 / 6


@dataclass(frozen=True)
class Estimate:
    """What a build will take, and what it will make.

    Attributes
    ----------
    seconds : float
        Of the whole command, on two idle cores as they were measured.
    rows, columns, output_bytes : int
        Of the output.
    """

    seconds: float
    rows: int
    columns: int
    output_bytes: int


def estimate(scan: Scan, plan: Plan, config: Config, wanted: Wanted) -> Estimate:
    """Return the estimate for a plan."""
    rows = round(plan.rows * _share_of_days(scan, config))
    weekly = config.rows == "weekly"
    rows = round(rows / max(1.0, scan.calendar.sessions_a_week)) if weekly else rows
    features = columns_of_bars(wanted.features) if weekly else wanted.features
    n_features, schema = len(features) + len(wanted.labels), scan.footers.schema
    n_passed = len(schema.arrow) - len(columns_left_out(schema, config, wanted.columns))
    return Estimate(
        seconds=_seconds(scan, plan, n_features)
        + _section_seconds(scan, plan, len(wanted.crosses))
        + (0.0 if plan.ordering is None else rows * (n_passed + n_features) * _ORDER_SECONDS),
        rows=rows,
        columns=n_passed + n_features,
        output_bytes=round(rows * _row_bytes(scan, config, n_passed, n_features)),
    )


def _seconds(scan: Scan, plan: Plan, n_features: int) -> float:
    pool = plan.strategy != "direct"
    start = _START_SECONDS + (_POOL_SECONDS if pool else 0.0)
    files = scan.footers.files * _FILE_SECONDS / plan.workers
    row = _SCAN_SECONDS + (_SORT_SECONDS if scan.presence is None else 0.0)
    in_task = _TASK_SECONDS + n_features * _FEATURE_SECONDS
    return start + files + scan.rows * row + plan.rows * in_task / plan.workers


def _section_seconds(scan: Scan, plan: Plan, n_placed: int) -> float:
    """Return the seconds of a cross section, which takes the rows of all symbols."""
    bars = scan.rows / max(1.0, scan.calendar.sessions_a_week)
    return scan.rows * _PANEL_SECONDS / plan.workers + bars * n_placed * _PLACE_SECONDS if n_placed else 0.0


def _row_bytes(scan: Scan, config: Config, n_passed: int, n_features: int) -> float:
    """Return the bytes of a row of the output, of whose columns `n_passed` are passed through."""
    footers = scan.footers
    added = n_features * (_FLOAT64 if config.dtype == "float64" else 1.0)
    if config.rows == "weekly":
        return added * _WEEKLY_BYTES[config.compression]
    n_columns = len(footers.schema.arrow)
    passed = footers.row_bytes
    if config.compression != "none":
        values = footers.file_bytes - len(footers.pieces) * n_columns * _CHUNK_BYTES
        passed = max(values, _LEAST_VALUES * footers.file_bytes) / max(1, footers.rows)
    return passed * n_passed / n_columns + added * _DAILY_BYTES[config.compression]


def _share_of_days(scan: Scan, config: Config) -> float:
    """Return the share of the input's days that is written."""
    if not len(scan.symbols):
        return 0.0
    first = scan.first_day if config.start is None else max(scan.first_day, day_of(config.start))
    last = scan.last_day if config.end is None else min(scan.last_day, day_of(config.end))
    return max(0, last - first + 1) / (scan.last_day - scan.first_day + 1)
