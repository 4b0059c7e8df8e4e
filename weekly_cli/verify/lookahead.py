"""The look-ahead check: what a row sees does not change by a bit when everything after its day is cut from the input.

About half of the cuts are inside of weeks: so a leak from later rows of the row's own week, or within the newest bar,
is detected as well as one from later weeks.
"""

from __future__ import annotations

import numpy as np

from weekly_cli.compute.bars import Ints
from weekly_cli.compute.weeks import week_number
from weekly_cli.dataset.schema import as_date, as_text
from weekly_cli.verify.proof import Check, Refuted
from weekly_cli.verify.rebuild import SampledSymbols
from weekly_cli.verify.rows import Rows, Sides, same


def check_values(check: Check, sides: Sides, sample: SampledSymbols, there: Rows) -> Rows:
    """Compare the table's weekly columns with those of a new build of the sample, which is returned."""
    made = sample.rebuilt()
    names = [feature.name for feature in sample.features]
    check.did = (
        f"{len(sample.codes):,} symbols built again, alone: {len(there):,} rows, {len(names)} weekly columns, equal "
        "bit for bit"
    )
    apart = same(there, made, names)
    if apart is not None:
        check.findings.append(_told(sides, apart, there, made, "in the table", "when built again"))
    return made


def check_lookahead(check: Check, sides: Sides, sample: SampledSymbols, made: Rows, n_dates: int, seed: int) -> None:
    """Cut the input after each of some dates, build it, and compare all earlier rows with those of the uncut build."""
    names = [feature.name for feature in sample.features]
    cuts = cut_days(sides, sample, n_dates, seed)
    if not len(cuts):
        check.not_checked = "no date to cut at (--dates 0)" if not n_dates else "the sample has no day to cut after"
        return
    rows = 0
    for cut in cuts.tolist():
        before = made.where(made.days <= cut)
        rows += len(before)
        try:
            shorter = sample.rebuilt(sample.rows.days <= cut)
            apart = same(shorter, before, names)
        except Refuted as refuted:
            check.findings.append(f"with the input cut after {as_date(cut)}: {refuted}")
            continue
        if apart is not None:
            told = _told(sides, apart, before, shorter, "with all rows", f"without those after {as_date(cut)}")
            check.findings.append(f"a row sees what comes after it: {told}")
    check.did = (
        f"the input cut after {', '.join(str(as_date(cut)) for cut in cuts.tolist())} and built again: "
        f"{rows:,} earlier rows of {len(sample.codes):,} symbols, equal bit for bit"
    )


def cut_days(sides: Sides, sample: SampledSymbols, n_dates: int, seed: int) -> Ints:
    """Return days after which to cut, half of them inside of a week, by which all benchmarks have begun."""
    rows = sample.rows
    of_symbols = rows.where(np.isin(rows.codes, sample.codes))
    days = np.unique(of_symbols.days)
    days = days[sides.window(days)]
    begun = [rows.days[rows.codes == peer].min(initial=days[0] if len(days) else 0) for peer in sample.peers]
    weeks = week_number(days, sample.config.week)
    inside = np.append(weeks[1:] == weeks[:-1], False)
    able = days >= max(begun, default=np.iinfo(np.int64).min)
    able[-1:] = False  # there is nothing to cut after the last day
    rng = np.random.default_rng(seed)
    found: list[int] = []
    for pool, count in ((days[able & inside], -(-n_dates // 2)), (days[able], n_dates)):
        left = np.setdiff1d(pool, found)
        found += rng.choice(left, min(count, n_dates - len(found), len(left)), replace=False).tolist()
    return np.array(sorted(found), np.int64)


def _told(sides: Sides, apart: tuple[str, int], a: Rows, b: Rows, where_a: str, where_b: str) -> str:
    name, row = apart
    values = [as_text(rows.table.column(name)[row]) for rows in (a, b)]
    return f"{sides.named(a.codes[row], a.days[row])}: {name} is {values[0]} {where_a}, {values[1]} {where_b}"
