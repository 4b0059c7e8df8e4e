"""What is in a dataset: `weekly-cli inspect`.

The footers and the keys are read as `plan` reads them, then the prices once; memory does not grow with the number of
rows. `rows` counts, `history` tells what the counts by day mean, `command` and `origin` turn settings into command
lines, `facts` has the result and `view` shows it.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from weekly_cli import __version__
from weekly_cli.dataset.convert import converted
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.each import in_threads
from weekly_cli.dataset.findings import findings_of_keys
from weekly_cli.dataset.footers import Footers, read_footers
from weekly_cli.dataset.scan import Scan, scan
from weekly_cli.errors import OutputConflict
from weekly_cli.files import discovery, file_states
from weekly_cli.files.locations import Location
from weekly_cli.files.target import place
from weekly_cli.findings import merged
from weekly_cli.inspection import history, origin
from weekly_cli.inspection.advice import Seen, fitting_build
from weekly_cli.inspection.facts import Build, Column, Inspection, Values
from weekly_cli.inspection.repeats import sampled_repeats
from weekly_cli.inspection.rows import ADJUSTED_CLOSE, RowFacts, count_rows
from weekly_cli.inspection.suspects import search_prices
from weekly_cli.names import AUTO, KEY_ROLES, REQUIRED_ROLES, ROLES
from weekly_cli.run import resources
from weekly_cli.run.findings import with_suspects
from weekly_cli.run.manifest import recorded_columns
from weekly_cli.settings import Config, from_python, resolve

__all__ = ["Inspection", "inspect", "look"]


def inspect(input: str | Location | Sequence[str | Location], **settings: Any) -> Inspection:
    """Tell what is in a daily dataset, or in an output of `build`.

    Parameters
    ----------
    input : str or Location, or a sequence of them
        As in `build`.
    **settings
        The settings of `weekly-cli inspect` by their names, such as `columns={"symbol": "Ticker"}`.

    Raises
    ------
    weekly_cli.errors.WeeklyError
        UsageError or InputRefused, matching the command's exit codes.
    """
    names = [input] if isinstance(input, str | Location) else input
    return look(resolve(from_python({**settings, "input": [str(name) for name in names]})))


def look(config: Config) -> Inspection:
    """Do what `inspect` does with resolved settings.

    Raises
    ------
    InputRefused
        If the input can't be read.
    """
    inputs, left_out = _inputs(config)
    record = origin.record_of([path for path, _ in inputs.files])
    if record is not None:
        config = origin.as_built(config, record)
    required = REQUIRED_ROLES if record is None else KEY_ROLES
    with converted(config, left_out) as conversion:
        footers = read_footers(config, left_out, conversion, required)
        is_daily = record is None or not origin.is_weekly(record)
        seen = _see(config, footers, () if record is None else recorded_columns(record), is_daily)
        file_states.refuse_changed(seen.scan.footers.states)
        build = None if record is None else origin.describe(record, seen.scan.footers)
        return _told(config, seen, build)


def _see(config: Config, footers: Footers, features: Sequence[str], has_daily_rows: bool) -> Seen:
    """Read the keys and the rows; of `features`, which have no unusable values, only nulls are counted."""
    threads = resources.probe().cpus
    scanned = _scan(footers, config, threads)
    facts = count_rows(scanned, config.price, features, threads)
    planned = merged(findings_of_keys(scanned, config, np.arange(len(scanned.symbols)), _today()), config.ignore)
    suspects, n_searched = (
        search_prices(scanned, config) if "close" in footers.schema.roles and has_daily_rows else ({}, 0)
    )
    return Seen(
        scanned,
        facts,
        history.calendar(scanned, facts, config.week if "week" in config.sources and config.week != AUTO else None),
        sampled_repeats(scanned, facts, threads),
        with_suspects(config, scanned, planned, suspects),
        n_searched,
    )


def _told(config: Config, seen: Seen, build: Build | None) -> Inspection:
    scanned, facts, footers = seen.scan, seen.facts, seen.scan.footers
    shortest, longest = history.shortest_and_longest(scanned, facts)
    command, undecided = fitting_build(config, seen) if build is None else (None, None)
    has_rows = bool(len(scanned.symbols))
    return Inspection(
        input=config.input,
        rows=footers.rows,
        symbols=len(scanned.symbols),
        first=as_date(scanned.first_day) if has_rows else None,
        last=as_date(scanned.last_day) if has_rows else None,
        files=footers.files,
        bytes=footers.file_bytes,
        row_groups=len(footers.pieces),
        layout=scanned.layout,
        skipped=footers.skipped,
        roles={role: footers.schema.roles.get(role) for role in ROLES},
        notes=footers.schema.notes,
        columns=_columns(footers, config.price, facts),
        rows_without_key=scanned.bad_rows,
        unread_dates=scanned.unread_dates,
        first_unread_date=scanned.first_unread_date or None,
        repeated_rows=facts.repeated,
        unusable_rows=facts.unusable_rows,
        high_below_low=facts.high_below_low,
        close_outside_range=facts.close_outside_range,
        calendar=seen.calendar,
        years=history.years(scanned, facts),
        shortest=shortest,
        longest=longest,
        findings=seen.findings,
        symbols_searched=seen.symbols_searched,
        build=build,
        command=command,
        undecided=undecided,
        version=__version__,
    )


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()


def _inputs(config: Config) -> tuple[discovery.Inputs, Location | None]:
    """Return the files, and the place of the output, which a build does not read; unless that is inspected."""
    output = place(config.output)
    try:
        return discovery.find_inputs(config.input, output), output
    except OutputConflict:
        return discovery.find_inputs(config.input, None), None


def _scan(footers: Footers, config: Config, threads: int) -> Scan:
    """Read the keys; rows without one are refused if there is little else."""

    def with_bad_rows(way: str) -> Scan:
        return scan(footers, replace(config, on_bad_rows=way), in_threads(threads), lambda _: None)

    seen = with_bad_rows("drop")
    return with_bad_rows("error") if 2 * seen.bad_rows > footers.rows else seen


def _columns(footers: Footers, price: str | None, facts: RowFacts) -> tuple[Column, ...]:
    schema = footers.schema
    roles = [*schema.roles.items(), *([] if price is None else [(ADJUSTED_CLOSE, price)])]
    return tuple(
        Column(
            column.name,
            str(column.type),
            tuple(role for role, name in roles if name == column.name),
            facts.values.get(column.name, Values()),
            facts.unusable.get(column.name, 0),
        )
        for column in schema.arrow
    )
