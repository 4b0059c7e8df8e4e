"""The build that fits a dataset, or what must be decided before there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from weekly_cli.dataset.findings import adjusted_column
from weekly_cli.dataset.scan import Scan
from weekly_cli.findings import Finding
from weekly_cli.inspection.command import command_line, typed_settings
from weekly_cli.inspection.facts import Calendar
from weekly_cli.inspection.rows import RowFacts
from weekly_cli.settings import Config

#: With a larger share of repeated rows, something else is wrong: two series under one symbol, or several times of day.
_MOST_REPEATED = 0.01
#: Findings that only their owner can decide on, and without which a build is wrong.
_OF_THE_OWNER = ("shifted-dates", "intraday-input")


def fitting_build(
    config: Config, scan: Scan, facts: RowFacts, calendar: Calendar | None, findings: Sequence[Finding]
) -> tuple[str | None, str | None]:
    """Return the command that fits this data and None, or None and why there is none.

    Flags that were given to `inspect` are given to the build, too.
    """
    reasons = list(_undecided(config, scan, facts, findings))
    if reasons or calendar is None:
        return None, "; ".join(reasons)
    fitting: dict[str, Any] = typed_settings(config)
    if calendar.anchor != config.week:
        fitting["week"] = calendar.anchor
    if scan.bad_rows and config.on_bad_rows == "error":
        fitting["on_bad_rows"] = "drop"
    if facts.repeated and config.on_duplicates == "error":
        fitting["on_duplicates"] = "last"
    adjusted = adjusted_column(scan.footers, config)
    if adjusted is not None and _missing(adjusted, facts) <= _missing(scan.footers.schema.roles["close"], facts):
        fitting["price"] = adjusted
    return command_line("build", config.input, fitting), None


def _undecided(config: Config, scan: Scan, facts: RowFacts, findings: Sequence[Finding]) -> Iterator[str]:
    keyed = int(scan.rows_per_symbol.sum())
    if not keyed:
        yield "there are no rows with a symbol and a date"
    elif keyed <= facts.unusable_rows:
        yield "no close is usable"
    found = [finding for finding in findings if finding.code in _OF_THE_OWNER]
    yield from (f"{finding.code}: {finding.help}" for finding in found)
    if not found and config.on_duplicates == "error" and (facts.repeated or 0) > _MOST_REPEATED * keyed:
        yield (
            f"{facts.repeated:,} rows repeat a symbol's date, too many to drop unseen; build refuses them, and its "
            "message names what they are"
        )


def _missing(column: str, facts: RowFacts) -> int:
    values = facts.values[column]
    return values.nulls + values.nan + values.infinite + values.zero + values.negative
