"""The report of a run, and how it is shown on a terminal; the JSON is the report itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from weekly_cli import __version__
from weekly_cli.compute.bars import Quality
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.schema import roles_in_words
from weekly_cli.errors import EXIT_DONE, EXIT_SYMBOLS_FAILED
from weekly_cli.files import parquet
from weekly_cli.files.discovery import Skipped
from weekly_cli.findings import Finding
from weekly_cli.names import printable
from weekly_cli.run.repeats import NO_REPEATS, differences
from weekly_cli.run.resources import peak_bytes
from weekly_cli.run.task import SHORT_HISTORY_BARS
from weekly_cli.run.timeline import Timeline
from weekly_cli.settings.sources import GivenSetting, given_settings

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from weekly_cli.dataset.scan import Scan
    from weekly_cli.run.partition import Partitioned
    from weekly_cli.run.plan import Plan
    from weekly_cli.run.task import Job, Outcome
    from weekly_cli.settings import Config

_MIB = 2**20


#: Of the fields of `Report`, and of what is in them.
REPORT_VERSION = 1


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes
    ----------
    rows, symbols, weeks, columns : int
        Daily rows written, symbols written, weekly bars, columns of the output.
    seconds : mapping
        Wall seconds by stage, and their sum ("total").
    worker_seconds : mapping
        Seconds within tasks by stage, summed over the tasks.
    cpu_use : float
        CPU seconds of the tasks divided by (wall seconds of the fan-out x workers).
    peak_bytes : mapping
        "parent" and "largest_worker" are resident sizes; "all" is the sampled sum of proportional set sizes.
    bytes_saved : int
        Bytes saved by narrower types: in the bundles, and in the features compared with float64.
    roles : mapping of role to column name
    notes : tuple of str
        What was decided about the input that its names and types do not say.
    first_date, last_date : str or None
        Of the input's rows.
    sessions_a_week : float
        The mean over the weeks that have one.
    duplicates_identical : int
        Rows that repeat another one in all columns.
    duplicates_differing : mapping of column name to int
        How many rows that repeat the moment of another one differ from it there.
    intraday_rows, intraday_sessions : int
        Rows that were made one row a session, and the number of these sessions.
    rejected : tuple of (symbol, reason)
        Symbols that failed and are not in the output.
    warnings : tuple of str
        Problems that did not stop the run.
    findings : tuple of Finding
        What in the data is probably not as its owner thinks.
    settings : mapping of setting to GivenSetting
        Input, output, and whatever else was given.
    timeline : Timeline
        When the stages and the tasks ran, and the memory over time.
    report_version : int
        Which fields there are: another number as soon as one comes, goes or means something else.
    """

    output: str
    rows: int
    symbols: int
    weeks: int
    columns: int
    features: int
    seconds: Mapping[str, float]
    worker_seconds: Mapping[str, float]
    rows_per_second: float
    symbols_per_second: float
    layout: str
    roles: Mapping[str, str]
    notes: tuple[str, ...]
    first_date: str | None
    last_date: str | None
    sessions_a_week: float
    strategy: str
    strategy_reason: str
    partition_reason: str
    tasks: int
    workers: int
    workers_reason: str
    worker_limits: Mapping[str, int]
    cpu_use: float
    peak_bytes: Mapping[str, int]
    budget_bytes: int
    budget_reason: str
    bytes_read: int
    bytes_partitioned: int
    bytes_written: int
    bytes_saved: int
    skipped: tuple[Skipped, ...]
    bad_rows_dropped: int
    duplicates_dropped: int
    padding_left_out: int
    duplicates_identical: int
    duplicates_differing: Mapping[str, int]
    intraday_rows: int
    intraday_sessions: int
    quality: Mapping[str, int]
    rejected: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    findings: tuple[Finding, ...]
    settings: Mapping[str, GivenSetting]
    timeline: Timeline
    fingerprint: str
    version: str
    report_version: int = REPORT_VERSION

    @property
    def exit_code(self) -> int:
        """The exit code of the command after this run."""
        return EXIT_SYMBOLS_FAILED if self.rejected else EXIT_DONE

    def to_dict(self) -> dict[str, Any]:
        """Return the report as it is written to JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Ran:
    """The results of a run's stages.

    Attributes
    ----------
    seconds : mapping
        Wall seconds by stage.
    bytes_written : int
        Size of the output.
    peak_bytes : int
        The most memory that all processes used together, sampled.
    """

    partitioned: Partitioned | None
    outcomes: Sequence[Outcome]
    seconds: Mapping[str, float]
    bytes_written: int
    peak_bytes: int
    warnings: Sequence[str]
    findings: Sequence[Finding]
    timeline: Timeline


def make_report(config: Config, scan: Scan, plan: Plan, job: Job, ran: Ran) -> Report:
    """Return the report of a run."""
    outcomes, seconds, partitioned = ran.outcomes, ran.seconds, ran.partitioned
    rows = sum(outcome.rows for outcome in outcomes)
    rejected = tuple(entry for outcome in outcomes for entry in outcome.rejected)
    symbols = sum(outcome.symbols for outcome in outcomes) - len(rejected)
    total = sum(seconds.values())
    cpu = sum(outcome.cpu_seconds for outcome in outcomes)
    recipe = job.recipe()
    estimates = sum(feature.stored == "estimate" for feature in recipe.features)
    in_pool = plan.strategy != "direct"
    repeats = sum((outcome.repeats for outcome in outcomes), NO_REPEATS)
    aggregates = job.on_intraday == "aggregate"
    parent = peak_bytes()
    largest = max((outcome.peak_bytes for outcome in outcomes), default=0) if in_pool else 0
    return Report(
        output=config.output,
        rows=rows,
        symbols=symbols,
        weeks=sum(outcome.bars for outcome in outcomes),
        columns=len(job.output_schema()),
        features=len(recipe.features),
        seconds={**seconds, "total": total},
        worker_seconds=_added(outcome.seconds for outcome in outcomes),
        rows_per_second=rows / total,
        symbols_per_second=symbols / total,
        layout=scan.layout,
        roles=dict(scan.footers.schema.roles),
        notes=scan.footers.schema.notes,
        first_date=_date(scan.first_day) if len(scan.symbols) else None,
        last_date=_date(scan.last_day) if len(scan.symbols) else None,
        sessions_a_week=round(scan.calendar.sessions_a_week, 2),
        strategy=plan.strategy,
        strategy_reason=plan.strategy_reason,
        partition_reason=plan.partition_reason,
        tasks=len(plan.tasks),
        workers=plan.workers,
        workers_reason=plan.workers_reason,
        worker_limits=dict(plan.worker_limits),
        cpu_use=cpu / max(1e-9, seconds["fan out"] * plan.workers),
        peak_bytes={
            "parent": parent,
            "largest_worker": largest,
            "all": max(ran.peak_bytes, parent if not in_pool else 0),
        },
        budget_bytes=plan.budget_bytes,
        budget_reason=plan.budget_reason,
        bytes_read=scan.footers.file_bytes,
        bytes_partitioned=partitioned.bytes_written if partitioned else 0,
        bytes_written=ran.bytes_written,
        bytes_saved=(partitioned.bytes_saved if partitioned else 0)
        + (4 * estimates * rows if job.dtype == "float32" else 0),
        skipped=scan.footers.skipped,
        bad_rows_dropped=scan.bad_rows,
        padding_left_out=sum(outcome.padding for outcome in outcomes),
        duplicates_dropped=repeats.rows if aggregates else repeats.surplus,
        duplicates_identical=repeats.identical,
        duplicates_differing=repeats.differing,
        intraday_rows=repeats.moments if aggregates else 0,
        intraday_sessions=repeats.sessions if aggregates else 0,
        quality=asdict(sum((outcome.quality for outcome in outcomes), Quality())),
        rejected=rejected,
        warnings=tuple(ran.warnings),
        findings=tuple(ran.findings),
        settings=given_settings(config),
        timeline=ran.timeline,
        fingerprint=_fingerprint(job),
        version=__version__,
    )


def _date(day: int) -> str:
    return as_date(day).isoformat()


def _dates(first: str | None, last: str | None, sessions_a_week: float) -> str:
    return f"{first} to {last}, {sessions_a_week:.1f} sessions a week"


def _fingerprint(job: Job) -> str:
    import json

    return str(json.loads(job.metadata[parquet.METADATA_KEY.decode()])["fingerprint"])


def _added(parts: Any) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + value
    return total


# ---- views -----------------------------------------------------------------------------------------------

_QUALITY_WORDS = {
    "unusable_close": "rows without a usable close",
    "unusable_open": "unusable opens",
    "unusable_high": "unusable highs",
    "unusable_low": "unusable lows",
    "unusable_volume": "unusable volumes",
    "high_below_low": "rows with high < low",
    "close_outside_range": "closes outside of low to high",
    "weeks_without_bar": "weeks without a bar inside of histories",
    "short_histories": f"histories of less than {SHORT_HISTORY_BARS} bars",
}


def render(report: Report) -> RenderableType:
    """Return the report as a table at most 80 columns wide."""
    table = _table()
    for name, value in _report_lines(report):
        table.add_row(name, printable(value))
    return table


def _table() -> Table:
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _report_lines(report: Report) -> Sequence[tuple[str, str]]:
    seconds = report.seconds
    stages = ", ".join(f"{name} {value:.2f}" for name, value in seconds.items() if name != "total")
    inside = ", ".join(f"{name} {value:.2f}" for name, value in report.worker_seconds.items())
    peak = report.peak_bytes
    memory = f"parent {mib(peak['parent'])}"
    memory += f", largest worker {mib(peak['largest_worker'])}" if peak["largest_worker"] else ""
    flaws = [f"{count:,} {_QUALITY_WORDS[name]}" for name, count in report.quality.items() if count]
    dropped = [
        f"{count:,} {what}"
        for count, what in (
            (report.bad_rows_dropped, "rows without a key"),
            (report.padding_left_out, "rows of padding, out of the bars"),
            (report.duplicates_dropped, "repeated rows" + _differences(report)),
        )
        if count
    ]
    intraday = f"{report.intraday_rows:,} rows at several moments of a session became {report.intraday_sessions:,}"
    bytes_moved = f"read {mib(report.bytes_read)}, written {mib(report.bytes_written)}"
    bytes_moved += f", saved by narrower types {mib(report.bytes_saved)}"
    lines = [
        ("rows", f"{report.rows:,} daily rows of {report.symbols:,} symbols, {report.weeks:,} weekly bars"),
        ("roles", roles_in_words(report.roles)),
        ("dates", _dates(report.first_date, report.last_date, report.sessions_a_week) if report.first_date else ""),
        ("read as", "; ".join(report.notes)),
        ("columns", f"{report.columns}, of which {report.features} are weekly features"),
        ("seconds", f"{seconds['total']:.2f}: {stages}"),
        ("in tasks", inside),
        ("rate", f"{report.rows_per_second:,.0f} rows/s, {report.symbols_per_second:,.0f} symbols/s"),
        ("strategy", f"{report.strategy}: {report.strategy_reason}"),
        ("fragments", report.partition_reason),
        ("pool", f"{report.workers} of {report.tasks:,} tasks at a time, limited by {report.workers_reason}"),
        ("CPU use", f"{report.cpu_use:.0%} of the fan-out's wall time x workers"),
        ("memory", f"{memory}, all together {mib(peak['all'])} of {mib(report.budget_bytes)}"),
        ("bytes", bytes_moved),
        ("quality", "; ".join(flaws) or "nothing unusual"),
        *_finding_lines(report.findings),
        ("not read", _not_read(report.skipped)),
        ("dropped", "; ".join(dropped)),
        ("intraday", f"{intraday} daily rows" if report.intraday_rows else ""),
        ("warnings", "; ".join(report.warnings)),
        ("failed", "; ".join(f"{symbol}: {reason}" for symbol, reason in report.rejected)),
        ("output", report.output),
    ]  # fmt: skip
    return [line for line in lines if line[1]]


def _differences(report: Report) -> str:
    identical, differing = report.duplicates_identical, report.duplicates_differing
    return f" ({differences(identical, differing)})" if identical or differing else ""


def render_plan(scan: Scan, plan: Plan, findings: Sequence[Finding]) -> RenderableType:
    """Return a plan as a table at most 80 columns wide."""
    table = _table()
    for name, value in [*plan_lines(scan, plan).items(), *_finding_lines(findings)]:
        table.add_row(name.replace("_", " "), printable(str(value)))
    return table


def _finding_lines(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [("finding", one.line) for one in findings]


def plan_lines(scan: Scan, plan: Plan) -> dict[str, str | int]:
    """Return the lines that describe a plan, for the table and the JSON."""
    rows = [task.rows for task in plan.tasks]
    limits = "; ".join(f"{name}: {limit}" for name, limit in plan.worker_limits)
    footers = scan.footers
    days = _date(scan.first_day), _date(scan.last_day)
    return {
        "input": f"{footers.rows:,} rows, {len(scan.symbols):,} symbols, {footers.files:,} files, {scan.layout}",
        "roles": roles_in_words(footers.schema.roles),
        **({"dates": _dates(*days, scan.calendar.sessions_a_week)} if len(scan.symbols) else {}),
        **({"read_as": "; ".join(footers.schema.notes)} if footers.schema.notes else {}),
        **({"not_read": _not_read(footers.skipped)} if footers.skipped else {}),
        "selected": f"{plan.rows:,} rows, {len(plan.selected):,} symbols",
        "strategy": f"{plan.strategy}: {plan.strategy_reason}",
        "partition": f"{'yes' if plan.partition else 'no'}: {plan.partition_reason}",
        "tasks": f"{len(rows):,}" + (f" of {min(rows):,} to {max(rows):,} rows" if rows else ""),
        "workers": f"{plan.workers}, limited by {plan.workers_reason} ({limits})",
        "memory": f"budget {mib(plan.budget_bytes)} ({plan.budget_reason}), largest task {mib(plan.task_bytes)}",
        "disk": f"{mib(plan.disk_bytes)} beside the output while it works",
    }  # fmt: skip


def _few(paths: Sequence[str]) -> str:
    more = len(paths) - 3
    return ", ".join(paths[:3]) + (f" and {more:,} more" if more > 0 else "")


def _not_read(skipped: Sequence[Skipped]) -> str:
    """Return the files that are not read by reason, with examples."""
    by_reason: dict[str, list[str]] = {}
    for skip in skipped:
        by_reason.setdefault(skip.reason, []).append(skip.path)
    return "; ".join(f"{_few(paths)}: {reason}" for reason, paths in by_reason.items())


def mib(size: int) -> str:
    """Return a size in MiB.

    >>> mib(1572864)
    '1.5 MiB'
    """
    return f"{size / _MIB:,.1f} MiB" if size < 100 * _MIB else f"{size / _MIB:,.0f} MiB"
