"""Findings that footers and keys suffice for: what `plan` says before a row is read."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute.arrays import from_numpy, to_numpy
from weekly_cli.compute.bars import Ints, run_starts
from weekly_cli.compute.clocks import DAYS_PER_WEEK
from weekly_cli.dataset.calendar import WEEKDAYS, Calendar, fitting_anchor
from weekly_cli.dataset.dates import as_date, day_of
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.roles import adjusted_column
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import is_text, plain_symbols
from weekly_cli.files import discovery
from weekly_cli.files.delta import BY_ITS_LOG
from weekly_cli.files.discovery import Skipped
from weekly_cli.findings import MOST_EXAMPLES, Example, Finding, finding
from weekly_cli.names import ALIASES, ANCHORS, AUTO, PRICE_ROLES, normal
from weekly_cli.settings import Config

#: Somewhere it may be tomorrow already.
_DAYS_AHEAD = 1
#: A week has this many sessions at most if the input is weekly.
_SESSIONS_OF_WEEKLY = 1
_LEAST_WEEKS = 4
#: Days with more rows than symbols must be at least this share of all days to be intraday rows, not a few repeats.
_SHARE_OF_CROWDED = 0.5
#: Files that are beside data and are none themselves.
_TEXT = (".csv", ".tsv", ".txt")
_NO_DATA = (".crc", ".md", ".gitignore", ".gitkeep", ".gitattributes", ".git", ".ds_store", "thumbs.db", "desktop.ini")


def findings_of_keys(scan: Scan, config: Config, selected: Ints, today: datetime.date) -> tuple[Finding, ...]:
    """Return the findings from footers and keys, for the `selected` positions of the scan's symbols."""
    calendar = scan.calendar
    # Of several markets together no weekdays are odd, but the time of day of a shifted midnight still is.
    several = config.week == AUTO or config.calendar_map is not None
    shifted = () if several and not _at_midnight_elsewhere(scan.times_of_day) else tuple(_shifted_dates(scan))
    return (
        *_skipped_files(scan.footers),
        *_missing_roles(scan.footers),
        *_adjusted_close(scan.footers, config),
        *shifted,
        *(() if config.end is not None and config.end <= today else _future_dates(calendar, today)),
        *_weekly_input(calendar),
        *(() if config.on_intraday == "aggregate" else _intraday_input(scan)),
        *(() if shifted else _wrong_anchor(calendar, config)),
        *_similar_symbols(scan.symbols.take(from_numpy(selected))),
    )


# ---- files and columns -----------------------------------------------------------------------------------


def _skipped_files(footers: Footers) -> Iterator[Finding]:
    skipped = [file for file in footers.skipped if _may_be_data(file)]
    examples: list[Example] = [{"file": file.path, "what": f"({file.reason})"} for file in skipped]
    if skipped:
        yield finding("skipped-files", len(skipped), examples)


def _may_be_data(file: Skipped) -> bool:
    """Tell whether a file that is not read may hold prices; text without dates, such as a sector map, can't."""
    path = file.path.lower()
    if file.reason.startswith("a writer's") or file.reason.endswith(BY_ITS_LOG) or path.endswith(_NO_DATA):
        return False
    if not path.endswith(_TEXT):
        return True
    names = re.split(r"[,;|\t]", discovery.first_line(file.path))
    return any(normal(name.strip("\"'")) in ALIASES["date"] for name in names)


def _missing_roles(footers: Footers) -> Iterator[Finding]:
    missing = [role for role in PRICE_ROLES if role not in footers.schema.roles]
    means = ["columns that need them are made of closes"] if missing else []
    if "volume" not in footers.schema.roles:
        missing.append("volume")
        means.append("columns of the volume are null")
    if missing:
        yield finding("missing-role", len(missing), sentence=f"no {', '.join(missing)}: {', '.join(means)}")


def price_flag(column: str) -> str:
    """Return `--price` with a column, as it is typed."""
    return f"--price {column!r}" if " " in column else f"--price {column}"


def _adjusted_close(footers: Footers, config: Config) -> Iterator[Finding]:
    column = adjusted_column(footers.schema, config)
    if column is not None:
        sentence = f"the column {column!r} is not used: returns do not include splits and dividends"
        yield finding("adjusted-close-available", 1, sentence=sentence, help=f"use it with {price_flag(column)}")


# ---- days ------------------------------------------------------------------------------------------------

#: Trading weeks of markets: Monday to Friday, Sunday to Thursday, Saturday to Wednesday, and six days without Friday,
#: Saturday or Sunday; those of five days also with fewer sessions.
_FIVE_DAYS = (frozenset({0, 1, 2, 3, 4}), frozenset({6, 0, 1, 2, 3}), frozenset({5, 6, 0, 1, 2}))
_SIX_DAYS = tuple(frozenset(range(DAYS_PER_WEEK)) - {day} for day in (4, 5, 6))
_MONDAY_TO_FRIDAY, _SUNDAY_TO_THURSDAY = _FIVE_DAYS[:2]
#: A month tells a market's weekdays if it has so many sessions.
_LEAST_SESSIONS = 10
#: Single months have odd weekdays for a make-up session: 21 Fridays in 22 years of Tehran.
_MOST_ODD_MONTHS = 0.2
_NOON = 12 * 3600
_HOUR = 3600


def _shifted_dates(scan: Scan) -> Iterator[Finding]:
    shifted = _shifted(scan.calendar, scan.times_of_day)
    if shifted is None:
        return
    counts = scan.calendar.sessions_by_weekday
    named = ", ".join(f"{WEEKDAYS[day]} {counts[day]:,}" for day in range(DAYS_PER_WEEK) if counts[day])
    rows = int(shifted.rows.sum())
    sentence = f"sessions are on {named}: the days of {rows:,} rows are not the market's own, and in the wrong week"
    first: Example = {"date": str(as_date(int(shifted.days[0]))), "what": WEEKDAYS[shifted.weekdays[0]]}
    yield finding("shifted-dates", rows, [first], sentence=sentence)


def _shifted(calendar: Calendar, times_of_day: frozenset[int]) -> Calendar | None:
    """Return the days that are not the market's own, as midnights in another zone make them; None: there are none.

    Sunday to Thursday is a trading week; but not of rows that are all stamped at one late hour, and not for half of
    the year, as summer time makes it.
    """
    months = [days for _, days in calendar.by_month() if len(days.days) >= _LEAST_SESSIONS]
    weeks = [frozenset(days.used_weekdays) for days in months]
    unknown = [days for days, week in zip(months, weeks, strict=True) if not _is_of_a_market(week)]
    if len(unknown) > _MOST_ODD_MONTHS * len(months):
        return _joined(unknown)
    sunday = [days for days, week in zip(months, weeks, strict=True) if week <= _SUNDAY_TO_THURSDAY and 6 in week]
    monday = [days for days, week in zip(months, weeks, strict=True) if week <= _MONDAY_TO_FRIDAY and 4 in week]
    if sunday and not monday:
        return _joined(sunday) if _at_midnight_elsewhere(times_of_day) else None
    # A market that moves its week does so once, and then to Monday to Friday.
    moved_back = bool(sunday) and monday[0].days[0] < sunday[-1].days[0]
    return _joined(sunday) if moved_back else None


def _joined(parts: list[Calendar]) -> Calendar:
    return Calendar(*(np.concatenate([getattr(days, name) for days in parts]) for name in ("days", "rows")))


def _is_of_a_market(weekdays: frozenset[int]) -> bool:
    return len(weekdays) == DAYS_PER_WEEK or weekdays in _SIX_DAYS or any(weekdays <= week for week in _FIVE_DAYS)


def _at_midnight_elsewhere(times: frozenset[int]) -> bool:
    """Tell whether times are one late hour, or two in a row as with summer time: midnight of a zone in the east."""
    hours = sorted(times)
    return bool(hours) and hours[0] >= _NOON and hours[-1] - hours[0] in (0, _HOUR) and hours[0] % (_HOUR // 2) == 0


def _future_dates(calendar: Calendar, today: datetime.date) -> Iterator[Finding]:
    ahead = calendar.between(day_of(today) + _DAYS_AHEAD + 1, day_of(datetime.date.max) + 1)
    examples = [{"date": str(as_date(day))} for day in ahead.days[:MOST_EXAMPLES].tolist()]
    if len(ahead.days):
        yield finding("future-dates", int(ahead.rows.sum()), examples)


def _weekly_input(calendar: Calendar) -> Iterator[Finding]:
    """Find data that have at most one session a week; where symbols differ, their rows are needed."""
    weeks = calendar.sessions_by_week
    if len(weeks) >= _LEAST_WEEKS and np.median(weeks) <= _SESSIONS_OF_WEEKLY:
        gaps = np.diff(calendar.days)
        sentence = f"sessions are {np.median(gaps):.0f} days apart: a bar has one row, so a week's range is that row's"
        yield finding("weekly-input", int((gaps >= DAYS_PER_WEEK - 1).sum()), sentence=sentence)


def _intraday_input(scan: Scan) -> Iterator[Finding]:
    crowded = scan.calendar.rows > len(scan.symbols)
    count = int(crowded.sum())
    if len(scan.times_of_day) > 1 and count >= _SHARE_OF_CROWDED * max(1, len(crowded)):
        first = [{"date": str(as_date(day))} for day in scan.calendar.days[crowded][:MOST_EXAMPLES].tolist()]
        yield finding("intraday-input", count, first)


def _wrong_anchor(calendar: Calendar, config: Config) -> Iterator[Finding]:
    """Find two consecutive days of the trading week of which `--week` ends on the first.

    A week of seven days is cut by each anchor, and days that are not consecutive by none.
    """
    used = calendar.used_weekdays
    if config.week == AUTO:
        return
    last = ANCHORS.index(config.week)
    following = (last + 1) % DAYS_PER_WEEK
    ends = [day for day in used if (day + 1) % DAYS_PER_WEEK not in used]
    if last not in used or following not in used or not ends:
        return
    days = calendar.days
    cut = np.flatnonzero((calendar.weekdays[:-1] == last) & (days[1:] == days[:-1] + 1))
    examples = [{"date": str(as_date(day))} for day in days[cut][:MOST_EXAMPLES].tolist()]
    sentence = (
        f"{config.week} ends a week between {WEEKDAYS[last]} and {WEEKDAYS[following]}, which are consecutive sessions "
        f"{len(cut):,} times: a trading week is in two bars"
    )
    help = f"--week {fitting_anchor(used)} fits these sessions"
    yield finding("wrong-anchor", len(cut), examples, sentence=sentence, help=help)


# ---- symbols ---------------------------------------------------------------------------------------------

#: Signs without a width, which no eye sees, anywhere; blanks and dots at the ends.
_INVISIBLE = "[\\x{00ad}\\x{200b}-\\x{200f}\\x{2060}\\x{feff}]"


def _similar_symbols(symbols: pa.Array) -> Iterator[Finding]:
    plain = plain_symbols(symbols)
    if not is_text(plain.type) or len(plain) < 2:
        return
    alike = _folded(plain.cast(pa.large_string()))
    groups = alike.dictionary_encode().indices
    group = to_numpy(groups).astype(np.int64)
    order = np.argsort(group, kind="stable")
    starts = run_starts(group[order])
    sizes = np.diff(np.append(starts, len(order)))
    several = np.flatnonzero(sizes > 1)
    if not len(several):
        return
    examples: list[Example] = []
    for begin, size in zip(starts[several].tolist(), sizes[several].tolist(), strict=True):
        names = plain.take(from_numpy(order[begin : begin + size])).to_pylist()
        examples.append({"what": " and ".join(repr(name) for name in names[:MOST_EXAMPLES])})
        if len(examples) == MOST_EXAMPLES:
            break
    yield finding("similar-symbols", int(sizes[several].sum()), examples)


def _folded(symbols: pa.Array) -> pa.Array:
    """Return symbols as an eye reads them: one Unicode form, lower case, no invisible signs, no blanks at the ends."""
    if not pc.all(pc.string_is_ascii(symbols)).as_py():
        symbols = pc.replace_substring_regex(pc.utf8_normalize(symbols, form="NFKC"), _INVISIBLE, "")
    symbols = pc.replace_substring_regex(pc.utf8_lower(symbols), r"\s+", " ")
    return pc.utf8_rtrim(pc.utf8_trim_whitespace(symbols), characters=". ")
