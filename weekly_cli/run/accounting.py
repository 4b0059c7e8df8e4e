"""Row accounting: what removes input rows, step by step, and whether anything is left to publish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weekly_cli.compute.bars import Quality
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.scan import Scan, files_with, unread_dates_sentence
from weekly_cli.errors import InputRefused, SymbolsFailed
from weekly_cli.findings import ALL, Finding
from weekly_cli.run.plan import Plan
from weekly_cli.run.repeats import EXAMPLES, NO_REPEATS, Repeats, differences
from weekly_cli.run.task import Outcome
from weekly_cli.settings import Config


def refuse_nothing(config: Config, scan: Scan, plan: Plan, outcomes: Sequence[Outcome], has_output: bool) -> None:
    """Refuse a result without rows, or without a single weekly bar, unless `allow_empty` allows it.

    It could replace an output that has rows; if one exists (`has_output`), the error does not suggest the flag.

    Raises
    ------
    InputRefused
        Its message says how many rows came in and what removed them.
    """
    if config.allow_empty:
        return
    if not any(outcome.rows for outcome in outcomes):
        what, bars_too = "no rows are left to write", False
    elif not any(outcome.bars for outcome in outcomes):
        what, bars_too = "there are no weekly bars", True
    else:
        return
    steps = "; ".join(_steps(config, scan, plan, outcomes, bars_too))
    remedy = "the existing output is unchanged" if has_output else "or pass --allow-empty to publish an empty output"
    raise InputRefused(
        f"{what}, and nothing is published: {steps}. Change the setting or the input that removes the rows; {remedy}"
    )


def refuse_duplicates(config: Config, scan: Scan, plan: Plan, outcomes: Sequence[Outcome]) -> None:
    """Refuse rows that repeat a symbol's session, unless the settings say what becomes of them.

    Raises
    ------
    InputRefused
        Its message names the first of them and the files that contain them.
    """
    repeats = repeats_of(plan, outcomes)
    if config.on_duplicates != "error":
        return
    if repeats.moments and config.on_intraday == "error":
        raise InputRefused(_intraday_sentence(config, scan, repeats))
    if repeats.rows:
        raise InputRefused(_duplicates_sentence(config, scan, repeats))


def repeats_of(plan: Plan, outcomes: Sequence[Outcome]) -> Repeats:
    """Return the repeated rows of all outcomes; the first ones are named by their symbols' positions in the scan."""
    total = NO_REPEATS
    for outcome in outcomes:
        if outcome.repeats:
            symbols = plan.selected[plan.tasks[outcome.number].first :]
            total += outcome.repeats.named(symbols)
    return total


def _duplicates_sentence(config: Config, scan: Scan, repeats: Repeats) -> str:
    first = list(dict.fromkeys(sorted(repeats.first)))[:EXAMPLES]
    named = ", ".join(f"{scan.symbols[symbol].as_py()} {as_date(day)}" for symbol, day in first)
    symbol = scan.footers.schema.roles["symbol"]
    in_files = not any(symbol in dict(piece.keys) for piece in scan.footers.pieces)
    among = "all columns that are read" if scan.footers.schema.unread else "all columns"
    series = ""
    if repeats.telling and in_files:
        by = repeats.telling[0]
        series = f" pass --columns symbol={symbol}+{by}, as {by!r} tells them all apart; or"
    return (
        f"{repeats.rows:,} rows of {config.where} repeat a symbol's date (first: {named}; in "
        f"{', '.join(files_with(scan, first))}): {differences(repeats.identical, repeats.differing, among)};{series} "
        "remove them, or pass --on-duplicates first or last"
    )


def _intraday_sentence(config: Config, scan: Scan, repeats: Repeats) -> str:
    symbol, day, *moments = min(repeats.first_moments)
    return (
        f"{config.where} is intraday: {repeats.moments / repeats.sessions:.3g} rows a symbol and day in "
        f"{repeats.sessions:,} sessions (first: {scan.symbols[symbol].as_py()} {' and '.join(moments)}; in "
        f"{', '.join(files_with(scan, [(symbol, day)]))}); pass --on-intraday aggregate to make the day's bar of them, "
        "or --on-duplicates first or last to keep one moment a day"
    )


def refuse_failures(config: Config, outcomes: Sequence[Outcome]) -> None:
    """With `strict`, refuse to publish an output that lacks the symbols that failed.

    Raises
    ------
    SymbolsFailed
    """
    rejected = [entry for outcome in outcomes for entry in outcome.rejected]
    if config.strict and rejected:
        symbol, reason = rejected[0]
        raise SymbolsFailed(
            f"{len(rejected):,} symbols failed (first: {symbol}: {reason}); with --strict nothing is published then"
        )


def refuse_findings(config: Config, findings: Sequence[Finding]) -> None:
    """Refuse an input with a finding that `fail_on` names.

    Raises
    ------
    InputRefused
        Its message says what was found, the first example, and what helps.
    """
    failing = [one for one in findings if one.code in config.fail_on or ALL in config.fail_on]
    if failing:
        more = f" (and {', '.join(one.code for one in failing[1:])})" if failing[1:] else ""
        raise InputRefused(
            f"{config.where}: {failing[0].line}{more}; nothing is published, as {config.named('fail_on')} says: take "
            f"the code out there, or pass --ignore {','.join(one.code for one in failing)}, where this is known"
        )


def _steps(config: Config, scan: Scan, plan: Plan, outcomes: Sequence[Outcome], bars_too: bool) -> Iterator[str]:
    where, rows = scan.footers.where, scan.rows
    yield f"{rows:,} rows were read from {where}"
    if scan.bad_rows > scan.unread_dates:
        yield f"{scan.bad_rows - scan.unread_dates:,} of them have no symbol or no date (--on-bad-rows drop)"
    if scan.unread_dates:
        yield unread_dates_sentence(scan)
    rows -= scan.bad_rows
    if plan.rows < rows:
        yield f"{rows - plan.rows:,} belong to symbols that --symbols or --max-symbols exclude"
    repeated = repeats_of(plan, outcomes).surplus
    if repeated:
        flag = "on_intraday" if config.on_intraday == "aggregate" else "on_duplicates"
        yield f"{repeated:,} repeat a symbol's date (--{flag.replace('_', '-')} {getattr(config, flag)})"
    rejected = sum(len(outcome.rejected) for outcome in outcomes)
    if rejected:
        yield f"{rejected:,} symbols failed"
    if bars_too:
        yield f"{sum((outcome.quality for outcome in outcomes), Quality()).unusable_close:,} have no usable close"
    elif config.rows == "weekly" and any(outcome.bars for outcome in outcomes):
        window = f", or of such as can be seen outside {_window(config)} only" if config.start or config.end else ""
        yield (
            f"all {sum(outcome.bars for outcome in outcomes):,} weekly bars are of weeks that are not over on "
            f"{as_date(scan.last_day)}, the last date{window}"
        )
    elif plan.rows > repeated and (config.start or config.end):
        yield (
            f"{plan.rows - repeated:,} are outside {_window(config)}, as the dates go from "
            f"{as_date(scan.first_day)} to {as_date(scan.last_day)}"
        )


def _window(config: Config) -> str:
    return " ".join(f"{flag} {date}" for flag, date in (("--start", config.start), ("--end", config.end)) if date)
