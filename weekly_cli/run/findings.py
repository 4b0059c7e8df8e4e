"""The findings of a run: those of the plan, and what the tasks found among the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weekly_cli.compute.suspects import Suspicion
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.findings import price_flag
from weekly_cli.dataset.roles import adjusted_column
from weekly_cli.dataset.scan import Scan
from weekly_cli.findings import Example, Finding, finding, merged
from weekly_cli.run.plan import Plan
from weekly_cli.run.task import Outcome
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config

#: Volumes of some data are adjusted for splits, and chance moves a few of them like a split.
_LEAST_SHARE_OF_RAW = 0.2


def findings_of_run(
    config: Config, scan: Scan, plan: Plan, planned: Sequence[Finding], outcomes: Sequence[Outcome]
) -> tuple[Finding, ...]:
    """Return the findings of the plan and of all outcomes, without those that are ignored."""
    return with_suspects(config, scan, planned, _suspects_of(plan, outcomes))


def with_suspects(
    config: Config, scan: Scan, planned: Sequence[Finding], suspects: Mapping[str, Suspicion]
) -> tuple[Finding, ...]:
    """Return the findings of a plan, and those of suspects by symbols' positions in the scan."""
    column = adjusted_column(scan.footers.schema, config)
    found = {one.code: one for one in planned}
    for code, suspicion in suspects.items():
        if code == "weekly-input" and code in found:
            continue  # all of the input is
        found[code] = _finding(code, suspicion, scan, column)
    return merged(found.values(), (*config.ignore, *_answered(config)))


def missing_members(scan: Scan, wanted: Wanted) -> Iterator[Finding]:
    """Yield a finding if the universe of a cross section has symbols that the input lacks."""
    if wanted.universe is not None:
        missing = wanted.universe.of(scan.symbols).missing
        n_members = len(wanted.universe.symbols)
        sentence = (
            f"{len(missing):,} of {n_members:,} symbols of the universe are not in the input: the others are placed "
        )
        sentence += "without them, and survive"
        yield finding("missing-members", len(missing), ({"symbol": one} for one in missing), sentence=sentence)


def _answered(config: Config) -> Iterator[str]:
    """Yield the codes of findings that a setting takes care of."""
    if config.drop_padding:
        yield "padding"
    if config.negative_prices == "absolute":
        yield "negative-prices"
    if config.adjust_volume:
        yield "adjusted-price-raw-volume"


def _suspects_of(plan: Plan, outcomes: Sequence[Outcome]) -> dict[str, Suspicion]:
    """Return the suspicions of all outcomes; symbols are named by their positions in the scan."""
    total: dict[str, Suspicion] = {}
    for outcome in outcomes:
        numbers = plan.selected[plan.tasks[outcome.number].first :]
        for code, suspicion in outcome.suspects.items():
            total[code] = total.get(code, Suspicion(0)) + suspicion.named(numbers)
    return total


def _finding(code: str, suspicion: Suspicion, scan: Scan, adjusted: str | None) -> Finding:
    count = suspicion.count
    if code == "adjusted-price-raw-volume" and count < _LEAST_SHARE_OF_RAW * suspicion.among:
        count = 0
    sentence, help = "", ""
    if code == "adjusted-close-available":
        sentence = f"{count:,} rows have an adjusted close that is not used and differs from the close: "
        sentence += "returns do not include splits and dividends"
    if code == "weekly-input":
        sentence = f"{count:,} of {suspicion.among:,} symbols have a row a week or fewer: a bar has one row"
    if code in ("adjusted-close-available", "suspected-split") and adjusted is not None:
        help = f"use it with {price_flag(adjusted)}" if code != "suspected-split" else f"pass {price_flag(adjusted)}"
    return finding(code, count, _examples(suspicion, scan), sentence=sentence, help=help)


def _examples(suspicion: Suspicion, scan: Scan) -> Iterator[Example]:
    for number, day, values in suspicion.first:
        example: dict[str, Any] = {"symbol": str(scan.symbols[number].as_py()), "date": str(as_date(day))}
        yield example | _values(values)


def _values(values: Mapping[str, float]) -> dict[str, Any]:
    """Return the values of an example, with the ratio of what changes."""
    if "from" not in values:
        return dict(values)
    ratio = values["to"] / values["from"]
    return {**values, "ratio": f"{ratio:.3g}:1" if ratio > 1 else f"1:{1 / ratio:.3g}"}
