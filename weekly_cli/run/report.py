"""The report of a run; its JSON is the report itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from weekly_cli import __version__
from weekly_cli.compute.bars import Quality
from weekly_cli.dataset.dates import as_date
from weekly_cli.errors import EXIT_DONE, EXIT_SYMBOLS_FAILED
from weekly_cli.files import parquet
from weekly_cli.files.discovery import Skipped
from weekly_cli.findings import Finding
from weekly_cli.notebook import Shown
from weekly_cli.run.repeats import NO_REPEATS
from weekly_cli.run.resources import peak_bytes
from weekly_cli.run.timeline import Timeline
from weekly_cli.settings.sources import GivenSetting, given_settings

if TYPE_CHECKING:
    from weekly_cli.dataset.scan import Scan
    from weekly_cli.run.partition import Partitioned
    from weekly_cli.run.plan import Plan
    from weekly_cli.run.task import Job, Outcome
    from weekly_cli.settings import Config


#: Of the fields of `Report`, and of what is in them.
REPORT_VERSION = 1


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """What a run did.

    Attributes
    ----------
    table : str
        Of which rows the output is: "daily" or "weekly", as `--rows` says.
    rows, daily_rows, symbols, weeks, columns : int
        Rows written, daily rows read (one a session), symbols written, weekly bars, columns of the output.
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
    table: str
    rows: int
    daily_rows: int
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

    def figures(self) -> dict[str, str]:
        """Return what a session shows of it."""
        shown = {
            "output": self.output,
            "rows": f"{self.rows:,}",
            "symbols": f"{self.symbols:,}",
            "weeks": f"{self.weeks:,}",
            "weekly columns": f"{self.features:,}",
            "seconds": f"{self.seconds['total']:.2f}",
        }
        shown |= {"failed symbols": f"{len(self.rejected):,}"} if self.rejected else {}
        shown |= {"findings": ", ".join(f"{one.code} {one.count:,}" for one in self.findings)} if self.findings else {}
        return shown | ({"warnings": "; ".join(self.warnings)} if self.warnings else {})

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
    rows, daily_rows = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("rows", "daily_rows"))
    rejected = tuple(entry for outcome in outcomes for entry in outcome.rejected)
    symbols = sum(outcome.symbols for outcome in outcomes) - len(rejected)
    total = sum(seconds.values())
    cpu = sum(outcome.cpu_seconds for outcome in outcomes)
    recipe = job.recipe()
    estimates = sum(column.stored == "estimate" for column in recipe.added)
    in_pool = plan.strategy != "direct"
    repeats = sum((outcome.repeats for outcome in outcomes), NO_REPEATS)
    aggregates = job.on_intraday == "aggregate"
    parent = peak_bytes()
    largest = max((outcome.peak_bytes for outcome in outcomes), default=0) if in_pool else 0
    return Report(
        output=config.output,
        table=config.rows,
        rows=rows,
        daily_rows=daily_rows,
        symbols=symbols,
        weeks=sum(outcome.bars for outcome in outcomes),
        columns=len(job.output_schema()),
        features=len(job.features.split(",")),
        seconds={**seconds, "total": total},
        worker_seconds=_added(outcome.seconds for outcome in outcomes),
        rows_per_second=daily_rows / total,
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


def _fingerprint(job: Job) -> str:
    import json

    return str(json.loads(job.metadata[parquet.METADATA_KEY.decode()])["fingerprint"])


def _added(parts: Any) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0.0) + value
    return total
