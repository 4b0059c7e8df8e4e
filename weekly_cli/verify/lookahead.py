"""The look-ahead check: what a row sees does not change by a bit when everything after its day is cut from the input.

About half of the cuts are inside of weeks, and of months and quarters where there are such bars: so a leak from later
rows of the row's own period, or within the newest bar, is detected as well as one from later periods.

Labels look ahead by design, and are no features: a cut may make a label null, and must not make it another value.

Rows on days for which a calendar has no session are against it: a row after a week's last session holds the week's bar
back, and the cut that takes it away does not. The rows between are not compared; they see no bar with a later row.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.schema import as_text
from weekly_cli.names import written_name
from weekly_cli.verify.proof import Check, Refuted
from weekly_cli.verify.rebuild import SampledSymbols
from weekly_cli.verify.rows import Rows, Sides, same

_KEY_DAYS = 2**32


def check_values(check: Check, sides: Sides, sample: SampledSymbols, table_rows: Rows) -> Rows:
    """Compare the table's weekly columns with those of a new build of the sample, which is returned."""
    rebuilt = sample.rebuilt()
    labels = [label.name for label in sample.labels]
    names = [*(feature.name for feature in sample.features), *labels]
    check.did = (
        f"{len(sample.codes):,} symbols built again, alone: {len(table_rows):,} rows, {len(sample.features)} "
        f"columns{f' and {len(labels)} that look ahead' if labels else ''}, equal bit for bit"
    )
    difference = same(table_rows, rebuilt, names)
    if difference is not None:
        check.findings.append(_describe(sides, difference, table_rows, rebuilt, "in the table", "when built again"))
    return rebuilt


def check_lookahead(check: Check, sides: Sides, sample: SampledSymbols, rebuilt: Rows, n_dates: int, seed: int) -> None:
    """Cut the input after each of some dates, build it, and compare all earlier rows with those of the uncut build."""
    names = [feature.name for feature in sample.features]
    cuts, held = cut_days(sides, sample, n_dates, seed), _held_back(sample)
    if not len(cuts):
        check.not_checked = "no date to cut at (--dates 0)" if not n_dates else "the sample has no day to cut after"
        return
    rows = made_null = 0
    for cut in cuts.tolist():
        before = rebuilt.where((rebuilt.days <= cut) & ~held(rebuilt))
        rows += len(before)
        try:
            shorter = sample.rebuilt(sample.rows.days <= cut, last_day=cut)
            kept = shorter.where((shorter.days <= cut) & ~held(shorter))
            difference = same(kept, before, names)
        except Refuted as refuted:
            check.findings.append(f"with the input cut after {as_date(cut)}: {refuted}")
            continue
        if difference is not None:
            message = _describe(
                sides, difference, before, shorter, "with all rows", f"without those after {as_date(cut)}"
            )
            check.findings.append(f"a row sees what comes after it: {message}")
        if sample.labels and len(kept) == len(before):
            made_null += _check_labels(check, sides, sample, (before, kept), cut)
    check.did = (
        f"the input cut after {', '.join(str(as_date(cut)) for cut in cuts.tolist())} and built again: "
        f"{rows:,} earlier rows of {len(sample.codes):,} symbols, equal bit for bit"
    )
    if sample.labels:
        check.did += f"; labels look ahead by design: {made_null:,} of theirs became null, none another value"


def _held_back(sample: SampledSymbols) -> Callable[[Rows], NDArray[np.bool_]]:
    """Return what tells which rows are from a period's last session by its calendar to before the last row in it."""
    codes, days = sample.rows.codes, sample.rows.days
    bounds = []
    for clock in sample.clocks:
        complete = clock.first_day_seen(codes, clock.period(codes, days)) if clock.has_sessions else days
        late = np.flatnonzero(days > complete)
        bounds += [codes[late] * _KEY_DAYS + day[late] for day in (complete, days)] if clock.lead_days else []
    begins, ends = (np.sort(np.concatenate([np.empty(0, np.int64), *bounds[part::2]])) for part in (0, 1))

    def held(rows: Rows) -> NDArray[np.bool_]:
        keys = rows.codes * _KEY_DAYS + rows.days
        inside: NDArray[np.bool_] = np.searchsorted(begins, keys, "right") > np.searchsorted(ends, keys, "right")
        return inside

    return held


def _check_labels(check: Check, sides: Sides, sample: SampledSymbols, both: tuple[Rows, Rows], cut: int) -> int:
    """Compare the labels with all rows and without those after a cut; return how many became null."""
    before, kept = both
    made_null = 0
    for name in (label.name for label in sample.labels):
        uncut, short = (np.asarray(rows.table.column(name).cast(pa.float64()), np.float64) for rows in both)
        changed = np.flatnonzero(~np.isnan(short) & (short != uncut))
        made_null += int(np.count_nonzero(np.isnan(short) & ~np.isnan(uncut)))
        if len(changed):
            message = _describe(
                sides, (name, int(changed[0])), before, kept, "with all rows", f"without those after {as_date(cut)}"
            )
            check.findings.append(f"a label changes with what comes after its exit: {message}")
    return made_null


def cut_days(sides: Sides, sample: SampledSymbols, n_dates: int, seed: int) -> Ints:
    """Return days after which to cut, half of them inside of a period of every clock; by then benchmarks have begun."""
    rows = sample.rows
    of_symbols = rows.where(np.isin(rows.codes, sample.codes))
    days = np.unique(of_symbols.days)
    days = days[sides.window(days)]
    of_peers = (rows.days[rows.codes == peer] for peer in sample.peers)
    first_days = [int(peer_days.min()) for peer_days in of_peers if len(peer_days)]
    inside = np.ones(len(days), bool)
    for clock in sample.clocks:
        periods = clock.distinct[0].period(days)
        inside &= np.append(periods[1:] == periods[:-1], False)
    is_cuttable = days >= max(first_days, default=np.iinfo(np.int64).min)
    is_cuttable[-1:] = False  # there is nothing to cut after the last day
    rng = np.random.default_rng(seed)
    cuts: list[int] = []
    for pool, count in ((days[is_cuttable & inside], -(-n_dates // 2)), (days[is_cuttable], n_dates)):
        remaining = np.setdiff1d(pool, cuts)
        cuts += rng.choice(remaining, min(count, n_dates - len(cuts), len(remaining)), replace=False).tolist()
    return np.array(sorted(cuts), np.int64)


def _describe(sides: Sides, difference: tuple[str, int], a: Rows, b: Rows, where_a: str, where_b: str) -> str:
    name, row = difference
    values = [as_text(rows.table.column(name)[row]) for rows in (a, b)]
    name = written_name(name, sides.config.prefix)
    return f"{sides.named(a.codes[row], a.days[row])}: {name} is {values[0]} {where_a}, {values[1]} {where_b}"
