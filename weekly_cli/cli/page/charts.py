"""Drawings as SVG: widths are percentages, so they fit any screen while texts and bars keep their heights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from weekly_cli.cli.page.elements import Element, Lines, element
from weekly_cli.cli.page.style import HUES
from weekly_cli.cli.page.words import data, duration, tick_label, ticks
from weekly_cli.run.timeline import StageRecord

#: Stages have the same colour on every page.
_HUE = {"convert": 5, "scan": 0, "plan": 1, "partition": 2, "fan out": 3, "publish": 4}
_HUE |= {"read": 0, "bars": 2, "features": 3, "write": 4}
#: A bar is never thinner, in percent: what took no time can still be pointed at.
_THINNEST = 0.15
_MOST_TICKS = 5


@dataclass(frozen=True)
class Axis:
    """The seconds of a run as percentages of a drawing's width."""

    total: float

    def at(self, seconds: float) -> str:
        """Return where a time is."""
        return f"{self._share(seconds):.3f}%"

    def bar(self, start: float, end: float, **attributes: str | int | float) -> dict[str, str | int | float]:
        """Return the attributes of a bar from one time to another."""
        first = min(self._share(start), 100.0 - _THINNEST)
        width = max(_THINNEST, self._share(end) - first)
        return {"x": f"{first:.3f}%", "width": f"{width:.3f}%", **attributes}

    def _share(self, seconds: float) -> float:
        return min(100.0, max(0.0, 100.0 * seconds / self.total))

    def grid(self) -> list[Element]:
        """Return a thin vertical line for each mark."""
        return [
            element("line", x1=self.at(at), x2=self.at(at), y1=0, y2="100%", class_="grid")
            for at in ticks(self.total, _MOST_TICKS)
        ]

    def labels(self) -> Element:
        """Return the times at the marks."""
        marks = []
        for at in ticks(self.total, _MOST_TICKS):
            anchor = "start" if at == 0 else "end" if self._share(at) > 94 else "middle"
            marks.append(element("text", tick_label(at), x=self.at(at), y=12, text_anchor=anchor))
        return element("svg", *marks, height=18, aria_hidden="true")


def hue(name: str, place: int) -> str:
    """Return the class that colours a stage."""
    return f"hue{_HUE.get(name, place % HUES)}"


def shares(seconds: Mapping[str, float], what: str) -> Element:
    """Return a bar that is cut by shares, and its legend."""
    total = sum(seconds.values())
    axis, bars, entries, at = Axis(max(total, 1e-9)), [], [], 0.0
    for place, (name, value) in enumerate(seconds.items()):
        share = value / axis.total
        label = Lines((f"{name}: {duration(value)}, {share:.0%} of {what}",))
        bars.append(
            element("rect", element("title", label), **axis.bar(at, at + value, height=26), class_=hue(name, place))
        )
        swatch = element("svg", element("rect", width=12, height=12, rx=2, class_=hue(name, place)), class_="swatch")
        entries.append(element("li", swatch, data(name), element("span", f"{duration(value)} ({share:.0%})")))
        at += value
    return element(
        "div",
        element("svg", *bars, height=26, role="img", aria_label=f"shares of {what}", class_="sharp"),
        element("ul", *entries, class_="legend"),
    )


def stage_strip(stages: Sequence[StageRecord], axis: Axis) -> Element:
    """Return the stages as a thin strip along the axis."""
    bars = [
        element(
            "rect",
            element("title", f"{stage.name}: {duration(stage.end - stage.start)}"),
            **axis.bar(stage.start, stage.end, y=4, height=10),
            class_=hue(stage.name, place),
        )
        for place, stage in enumerate(stages)
    ]
    return element("svg", *bars, height=18, role="img", aria_label="stages over time", class_="sharp")
