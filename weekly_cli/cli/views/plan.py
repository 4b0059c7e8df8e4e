"""What a build would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from weekly_cli.cli.heartbeat import duration
from weekly_cli.cli.views.layout import dates, finding_lines, grid, mib, not_read, of_cluster
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import roles_in_words
from weekly_cli.findings import Finding
from weekly_cli.run.estimate import Estimate
from weekly_cli.run.plan import Plan
from weekly_cli.run.wanted import Wanted

if TYPE_CHECKING:
    from rich.console import RenderableType


#: How the work is cut: for those who want to know why.
_OF_THE_WORK = ("partition", "tasks", "workers")


def render(lines: Mapping[str, str], findings: Sequence[Finding], *, verbose: bool) -> RenderableType:
    """Return the lines of a plan as a table at most 80 columns wide; `verbose` shows how the work is cut, too."""
    shown = [(name.replace("_", " "), text) for name, text in lines.items() if verbose or name not in _OF_THE_WORK]
    return grid([*shown, *finding_lines(findings)])


def estimate_lines(estimated: Estimate, output: str) -> dict[str, str]:
    """Return the lines about what a build takes and makes."""
    size = f"about {mib(estimated.output_bytes)}"
    return {
        "output": f"{output}: about {estimated.rows:,} rows of {estimated.columns} columns, {size}",
        "time": f"about {_rounded(estimated.seconds)} where no other program needs the cores",
    }


def _rounded(seconds: float) -> str:
    """Return a time that promises no more than it knows.

    >>> _rounded(0.437), _rounded(8.5), _rounded(312.0)
    ('0.4 s', '8 s', '5 min 12 s')
    """
    return f"{seconds:.1g} s" if seconds < 1 else duration(seconds)


def plan_lines(scan: Scan, plan: Plan, wanted: Wanted) -> dict[str, str]:
    """Return the lines that describe a plan, for the table and the JSON."""
    rows = [task.rows for task in plan.tasks]
    limits = "; ".join(f"{name}: {limit}" for name, limit in plan.worker_limits)
    footers = scan.footers
    days = as_date(scan.first_day).isoformat(), as_date(scan.last_day).isoformat()
    return {
        "input": f"{scan.size}, {footers.files:,} files, {scan.layout}",
        "roles": roles_in_words(footers.schema.roles),
        **({"dates": dates(*days, scan.calendar.sessions_a_week)} if len(scan.symbols) else {}),
        **({"read_as": "; ".join(footers.schema.notes)} if footers.schema.notes else {}),
        **({"not_read": not_read(footers.skipped)} if footers.skipped else {}),
        "selected": f"{plan.rows:,} rows, {len(plan.selected):,} symbols",
        **({"cross_section": _among(scan, wanted)} if wanted.crosses else {}),
        "strategy": f"{plan.strategy}: {plan.strategy_reason}",
        **({"cluster": cluster} if (cluster := of_cluster(plan.worker_limits)) else {}),
        "partition": f"{'yes' if plan.partition else 'no'}: {plan.partition_reason}",
        "tasks": f"{len(rows):,}" + (f" of {min(rows):,} to {max(rows):,} rows" if rows else ""),
        "workers": f"{plan.workers}, limited by {plan.workers_reason} ({limits})",
        "memory": f"budget {mib(plan.budget_bytes)} ({plan.budget_reason}), largest task {mib(plan.task_bytes)}"
        + (f", tables to join {mib(plan.tables_bytes)} in a process" if plan.tables_bytes else ""),
        **({} if plan.ordering is None else {"order": "the input's: the finished rows are sorted once more"}),
        "disk": f"{mib(plan.disk_bytes)} beside the output while it works",
    }  # fmt: skip


def _among(scan: Scan, wanted: Wanted) -> str:
    """Return what is placed, and among whom."""
    names = ", ".join(feature.name for feature in wanted.crosses)
    if wanted.universe is None:
        return f"{names}: among the bars of all {len(scan.symbols):,} symbols of the input"
    members = wanted.universe.of(scan.symbols)
    found = members.n_members - len(members.missing)
    return (
        f"{names}: among members of {wanted.universe.path}, {found:,} of whose {members.n_members:,} are in the input"
    )
