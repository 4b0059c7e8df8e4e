"""Shows all about one feature in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weekly_cli.cli.views.formulas import columns, formulas
from weekly_cli.cli.views.layout import grid
from weekly_cli.questions.feature_card import Example, FeatureCard
from weekly_cli.questions.workings import SYMBOLS, number, result

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_WORDS = {"bar_number": "the bar's number", "days": "usable daily rows"} | {
    f"{noun}_end": f"the {noun}'s last day" for noun in ("week", "month", "quarter")
}


def show(card: FeatureCard, console: Console) -> None:
    """Print all about a feature."""
    console.print(card.column, style="bold")
    console.print(grid(_lines(card)))
    console.print("\nAn example, computed now, on made bars", style="bold")
    console.print(_example(card.example))
    console.print(f"\nThe last of these rows, k = {number(card.example.rows[-1][0])}")
    console.print(formulas([line for line in card.example.workings if line.value == line.value]))


def _lines(card: FeatureCard) -> Iterator[tuple[str, str]]:
    yield "family", card.family
    yield "formula", card.formula
    yield "defined by", card.source or "nobody known: the formula is its definition"
    yield "equals", card.equals or "no function of TA-Lib or pandas that is known"
    yield "first bar", f"k = {card.first_bar}, counted from 0: the first value needs {_bars(card.first_bar + 1)}"
    yield "window", "all bars up to its own" if card.window is None else _bars(card.window)
    yield "warm-up", _warm_up(card)
    yield "inputs", ", ".join(_input(name) for name in card.inputs)
    for place, (name, formula) in enumerate(card.made_of.items()):
        yield "made of" if place == 0 else "", f"{name} = {formula}"
    yield "stored as", card.stored
    yield "version", f"{card.version}; a change of its values raises it"


def _input(name: str) -> str:
    if name.startswith("benchmark:"):
        return f"the benchmark's close, as C({name.removeprefix('benchmark:')})"
    return f"{SYMBOLS[name]} ({_WORDS.get(name, name)})" if name in SYMBOLS else _WORDS.get(name, name)


def _bars(count: int) -> str:
    return f"{count} bar{'' if count == 1 else 's'}"


def _warm_up(card: FeatureCard) -> str:
    measure = card.warm_up
    if measure is None:
        return "none" if card.window is None else "none: bars before its window do not count"
    median, last = ("never" if bar is None else f"from bar {bar} on" for bar in (measure.median_bar, measure.last_bar))
    return (
        f"with and without an earlier year, its value differs by less than {measure.share:.1%} of its usual size "
        f"{median} in the median of {measure.symbols} made histories, {last} in the last (verify measures an output's)"
    )


def _example(example: Example) -> Table:
    table = columns(*example.columns, last_is_text=False)
    for row in example.rows:
        *others, own = row
        table.add_row(*(result(value) for value in others), number(own, 6, is_date=example.is_date))
    return table
