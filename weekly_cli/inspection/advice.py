"""The build that fits a dataset, or what must be decided before there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from weekly_cli.dataset.roles import adjusted_column
from weekly_cli.dataset.scan import Scan
from weekly_cli.errors import OutputConflict
from weekly_cli.files import discovery
from weekly_cli.files.target import place
from weekly_cli.findings import Finding
from weekly_cli.inspection.command import command_line, typed_settings
from weekly_cli.inspection.facts import Calendar
from weekly_cli.inspection.rows import RowFacts
from weekly_cli.names import AUTO
from weekly_cli.run.repeats import Repeats, differences
from weekly_cli.settings import Config

#: With a larger share of repeated rows, something else is wrong: two series under one symbol, or several times of day.
_MOST_REPEATED = 0.01
#: A finding that only the data's owner can decide on, and without which a build is wrong.
_OF_THE_OWNER = "shifted-dates"


@dataclass(frozen=True)
class Seen:
    """What was seen of a dataset; `repeats` are those of some symbols."""

    scan: Scan
    facts: RowFacts
    calendar: Calendar | None
    repeats: Repeats
    findings: tuple[Finding, ...]
    symbols_searched: int


def fitting_build(config: Config, seen: Seen) -> tuple[str | None, str | None]:
    """Return the command that fits this data and None, or None and why there is none.

    Flags that were given to `inspect` are given to the build, too.
    """
    scan, facts, calendar = seen.scan, seen.facts, seen.calendar
    reasons = list(_undecided(config, seen))
    if reasons or calendar is None:
        return None, "; ".join(reasons)
    fitting: dict[str, Any] = typed_settings(config)
    if config.week not in (calendar.anchor, AUTO):
        fitting["week"] = calendar.anchor
    if scan.bad_rows and config.on_bad_rows == "error":
        fitting["on_bad_rows"] = "drop"
    fitting |= _of_repeats(config, seen)
    adjusted = adjusted_column(scan.footers.schema, config)
    if adjusted is not None and _missing(adjusted, facts) <= _missing(scan.footers.schema.roles["close"], facts):
        fitting["price"] = adjusted
    found = {one.code for one in seen.findings}
    fitting |= {name: value for code, (name, value) in _ANSWERS.items() if code in found}
    if _replaces_input(config):
        fitting["output"] = _OTHER_OUTPUT
    return command_line("build", config.input, fitting), None


#: Findings that have one answer, and the setting.
_ANSWERS = {
    "padding": ("drop_padding", True),
    "negative-prices": ("negative_prices", "absolute"),
    "adjusted-price-raw-volume": ("adjust_volume", True),
}
#: Where a build goes that would replace its own input.
_OTHER_OUTPUT = "weekly_features"


def _replaces_input(config: Config) -> bool:
    try:
        discovery.find_inputs(config.input, place(config.output))
    except OutputConflict:
        return True
    return False


def _of_repeats(config: Config, seen: Seen) -> dict[str, Any]:
    """Return the settings that rows that repeat a symbol's date need."""
    repeats, settings = seen.repeats, dict[str, Any]()
    if repeats.moments and config.on_intraday == "error" and config.on_duplicates == "error":
        settings["on_intraday"] = "aggregate"
    if repeats.rows and config.on_duplicates == "error":
        symbol = seen.scan.footers.schema.roles["symbol"]
        of_files = symbol in seen.scan.footers.null_counts  # and not of their names, or of several columns
        if repeats.telling and of_files:
            settings["columns"] = {**config.role_columns, "symbol": f"{symbol}+{repeats.telling[0]}"}
        else:
            settings["on_duplicates"] = "last"
    return settings


def _undecided(config: Config, seen: Seen) -> Iterator[str]:
    keyed = int(seen.scan.rows_per_symbol.sum())
    if not keyed:
        yield "there are no rows with a symbol and a date"
    elif keyed <= seen.facts.unusable_rows:
        yield "no close is usable"
    yield from (f"{one.code}: {one.help}" for one in seen.findings if one.code == _OF_THE_OWNER)
    repeats, dropped = seen.repeats, _of_repeats(config, seen).get("on_duplicates")
    if not repeats and seen.facts.repeated and config.on_duplicates == "error":
        yield f"{seen.facts.repeated:,} rows repeat a symbol's date; a build refuses them, and tells what they are"
    if dropped and repeats.identical < repeats.rows and (seen.facts.repeated or 0) > _MOST_REPEATED * keyed:
        told = differences(repeats.identical, repeats.differing)
        yield f"{seen.facts.repeated:,} rows repeat a symbol's date, too many to drop unseen: {told}"


def _missing(column: str, facts: RowFacts) -> int:
    values = facts.values[column]
    return values.nulls + values.nan + values.infinite + values.zero + values.negative
