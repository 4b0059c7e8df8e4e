"""The week to date of a row: a weekly column whose last bar is the running week, recomputed bar by bar.

A build goes on from the averages of the bars before. Here the running bar is put after them, and the weekly column's
own steps are evaluated: another way to the same values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np

from weekly_cli.compute.bars import Bars, UsedColumns
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.features import Feature, catalogue
from weekly_cli.compute.features.developing import weekly_column
from weekly_cli.compute.running import running_bars
from weekly_cli.questions.seen_bar import Row, in_words
from weekly_cli.questions.step_formulas import write
from weekly_cli.questions.workings import At, Evaluated, Working, workings


@dataclass(frozen=True)
class RunningWeek:
    """The bars before a row's own week and the running one, the last; `evaluated` is None if nothing of it is known.

    `days` are the first and the last usable day of the running bar.
    """

    evaluated: Evaluated | None
    n_older: int
    days: tuple[int, int] = (0, 0)

    @property
    def note(self) -> str:
        """Of which rows the running bar is made; empty if there are none."""
        if self.evaluated is None:
            return ""
        first, last = map(in_words, self.days)
        return f"the last bar is that of the running week so far, of {first}" + (f" to {last}" if last != first else "")

    def value(self, feature: Feature) -> float:
        """Return the value of a feature of rows; NaN: null."""
        return np.nan if self.evaluated is None else float(self.evaluated.column(weekly_column(feature.name))[-1])

    def workings(self, feature: Feature) -> Iterator[Working]:
        """Yield its formula with numbers, and those of what it is made of."""
        if self.evaluated is None:
            return
        for line in workings(weekly_column(feature.name), At(self.evaluated, self.evaluated.n_bars - 1), write):
            yield replace(line, name=feature.name) if line.name == weekly_column(feature.name) else line

    def why_null(self, feature: Feature) -> str:
        """Return why a value is null."""
        if self.evaluated is None:
            return "the row knows of no usable row of its own week yet"
        n_bars = self.evaluated.n_bars + self.n_older
        if n_bars <= feature.first_bar:
            return f"it needs {feature.first_bar + 1} bars, the running one included, and there are {n_bars}"
        return "it divides by zero, or its type can't hold it"


def running_week(row: Row, features: list[Feature]) -> RunningWeek:
    """Return the running week of a row, with what these features of rows are made of."""
    rows, clock = row.history.rows, row.clock
    of_rows = running_bars(
        np.zeros(len(rows.days), np.int64), rows.days, UsedColumns(rows.used, rows.unusable), SymbolClocks((clock,))
    ).of(slice(row.at, row.at + 1))
    if np.isnan(of_rows.days[0]):
        return RunningWeek(None, row.offset)
    n_before = int(np.searchsorted(row.bars.periods, row.own))
    own = {
        "codes": [0],
        "periods": [row.own],
        "last_days": [row.day],
        **{one.name: getattr(of_rows, one.name) for one in fields(of_rows)},
    }
    bars = Bars(**{one.name: np.append(getattr(row.bars, one.name)[:n_before], own[one.name]) for one in fields(Bars)})
    names = [weekly_column(feature.name) for feature in features]
    is_own = (clock.period(rows.days) == row.own) & ~rows.unusable["close"]
    known = rows.days[is_own & (rows.days < row.day + clock.lead_days)]
    evaluated = row.history.evaluated_on(clock, bars, names, row.offset, catalogue().steps)
    return RunningWeek(evaluated, row.offset, (int(known[0]), int(known[-1])))
