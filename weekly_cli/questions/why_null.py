"""Why a weekly value is null: no bar yet, a missing input, a division by zero, or a type that can't hold it."""

from __future__ import annotations

import numpy as np

from weekly_cli.compute.features import Feature
from weekly_cli.dataset.dates import as_date
from weekly_cli.questions.seen_bar import Row, in_words
from weekly_cli.questions.step_formulas import write
from weekly_cli.questions.workings import At, Evaluated, Term, Working


def too_early(row: Row, feature: Feature) -> str:
    """Return when the first value of a feature will be there; empty if it could be there already."""
    number = row.bar + row.offset
    if number >= feature.first_bar:
        return ""
    need = f"{feature.name} needs {feature.first_bar + 1} bars, and up to this one there are {number + 1}"
    known, wanted = row.bars.periods, feature.first_bar - row.offset
    if wanted < len(known):
        period = int(known[wanted])
        later = row.row_from(row.seen_from(period))
        here = "no row of this output is that late" if later is None else f"here first by the row of {in_words(later)}"
        return f"{need}: its first value is that of the {row.clock.noun} to {as_date(row.end(period))}, {here}"
    period = int(known[-1]) + wanted - (len(known) - 1)
    return (
        f"{need}: its first value will be that of the {row.clock.noun} to {as_date(row.end(period))} at the earliest, "
        f"seen from {in_words(row.seen_from(period))} on"
    )


def why_null(row: Row, evaluated: Evaluated, name: str) -> str:
    """Return which input is missing at a bar, or which formula has no result, for a step whose value is null there."""
    k = row.bar
    while True:
        lines = write(evaluated.steps[name], At(evaluated, k))
        if not lines:
            return f"{name} has no value"
        line = lines[0]
        while True:
            term = next((term for term in line.terms if term.missing), None)
            if term is None:
                return _undefined(line, lines)
            part = next((each for each in lines if each.name == term.name and each is not line), None)
            if part is None:
                break
            line = part
        if term.step not in evaluated.steps:
            return _missing_input(row, term)
        name, k = term.step, term.missing[-1]


def _undefined(line: Working, lines: list[Working]) -> str:
    if np.isfinite(line.value):
        return f"{line.name} = {line.with_numbers}, which its column's type can't hold"
    notes = [each.note for each in lines if "rounding" in each.note]
    return f"{line.name} = {line.with_numbers} has no result: it divides by zero{f' ({notes[-1]})' if notes else ''}"


def _missing_input(row: Row, term: Term) -> str:
    bar = term.missing[-1]
    if bar < 0:
        return f"{term.name} needs a bar from before the first one"
    end = as_date(row.end(int(row.bars.periods[bar])))
    if term.step.startswith("benchmark:"):
        name = term.step.removeprefix("benchmark:")
        peer = row.history.peers[name]
        if peer.bars is None:
            return peer.trouble
        missing = len(term.missing)
        more = f", nor in {missing - 1:,} other {row.clock.nouns} of the window" if missing > 1 else ""
        return f"{peer.symbol}, with which it is compared, has no bar in the {row.clock.noun} to {end}{more}"
    if term.step == "volume" and "volume" not in row.history.rows.raw:
        return "the output has no volume column"
    return f"{term.name} has no value in the {row.clock.noun} to {end}"
