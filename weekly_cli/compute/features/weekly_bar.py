"""Family `bars`: the facts of the bar that a row sees, unchanged."""

from __future__ import annotations

from weekly_cli.compute.features.declare import Feature, Step, Windows
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


WEEK_END = _fact("w_week_end", "week_end", "last day of the week of the bar that the row sees", "date32")
#: A column of weekly tables only: on a daily row it would say what the row's date says.
VISIBLE_FROM = _fact("visible_from", "visible_from", "first day on which a row may see the bar", "date32")


def steps(windows: Windows) -> tuple[Step, ...]:
    """Return the family's columns, which have no windows."""
    return (
        WEEK_END,
        Feature(
            name="w_bars",
            family="bars",
            formula="bars of history up to and including it, k + 1",
            first_bar=0,
            whole_history=True,
            inputs=("bar_number",),
            function=_history,
            stored="int32",
        ),
        _fact("w_days", "days", "usable daily rows in it", "int16"),
        _fact("w_open", "open", "O, first usable open", parity="pandas resample"),
        _fact("w_high", "high", "H, highest usable high", parity="pandas resample"),
        _fact("w_low", "low", "L, lowest usable low", parity="pandas resample"),
        _fact("w_close", "close", "C, last usable close", parity="pandas resample"),
        _fact("w_volume", "volume", "V, sum of the usable volumes", parity="pandas resample"),
    )
