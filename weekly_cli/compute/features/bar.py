"""Family `bars`: the facts of the bar that a row sees, unchanged."""

from __future__ import annotations

from dataclasses import replace

from weekly_cli.compute.features.clock_columns import ClockColumns, clock_columns
from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.kernels import Panel


def _itself(x: Panel) -> Panel:
    return x


def _history(bar_number: Panel) -> Panel:
    return bar_number + 1.0


def _fact(name: str, source: str, formula: str, stored: str = "float64", parity: str = "") -> Feature:
    return Feature(
        name=name, family="bars", formula=formula, first_bar=0, inputs=(source,), function=_itself, stored=stored,
        parity=parity,
    )  # fmt: skip


def _end(clock: ClockColumns) -> Feature:
    formula = f"last day of the {clock.noun} of the bar that the row sees"
    return _of(clock, _fact(clock.end, clock.end, formula, "date32"))


def _of(clock: ClockColumns, fact: Feature) -> Feature:
    return replace(fact, name=f"{clock.prefix}{fact.name}", every=clock.every)


WEEK_END = _end(clock_columns("week"))
#: A column of weekly tables only: on a daily row it would say what the row's date says.
VISIBLE_FROM = _fact("visible_from", "visible_from", "first day on which a row may see the bar", "date32")


def steps(clock: ClockColumns) -> tuple[Step, ...]:
    """Return the family's columns, which have no windows."""
    history = Feature(
        name="bars",
        family="bars",
        formula="bars of history up to and including it, k + 1",
        first_bar=0,
        whole_history=True,
        inputs=("bar_number",),
        function=_history,
        stored="int32",
    )
    facts = (
        history,
        _fact("days", "days", "usable daily rows in it", "int16"),
        _fact("open", "open", "O, first usable open", parity="pandas resample"),
        _fact("high", "high", "H, highest usable high", parity="pandas resample"),
        _fact("low", "low", "L, lowest usable low", parity="pandas resample"),
        _fact("close", "close", "C, last usable close", parity="pandas resample"),
        _fact("volume", "volume", "V, sum of the usable volumes", parity="pandas resample"),
    )
    return (_end(clock), *(_of(clock, fact) for fact in facts))
