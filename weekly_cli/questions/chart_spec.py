"""The Vega-Lite specification of a chart, as plain values: importing what checks them would take longer than drawing.

Data stand in it as CSV, a table of daily rows and one of steps, under names of their own: no text of the output is ever
a field's name, which Vega-Lite would take apart at dots and brackets. Texts of the output are titles and labels only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weekly_cli.compute.weeks import DAYS_PER_WEEK
from weekly_cli.dataset.dates import as_date
from weekly_cli.names import printable
from weekly_cli.questions.chart import NO_WEEK, Chart, Floats
from weekly_cli.questions.chart_panels import Panel

Spec = dict[str, Any]

WIDTH, PRICE_HEIGHT, PANEL_HEIGHT = 900, 330, 110
#: Okabe and Ito's colours, which the colour-blind tell apart, in the order of their contrast to white and each other.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, DAILY_COLOR, FAINT, GRID = "#1f2933", "#4a5560", "#b8c0c8", "#e9edf1"
_DASHES = ([1, 0], [5, 3], [2, 2])
#: In one view, no more weeks than this are marked: their marks would be one band.
MOST_MARKS = 120
_DAY_MS = 86_400_000
#: So much beside what is seen is drawn, too.
_MARGIN_MS = 3 * DAYS_PER_WEEK * _DAY_MS
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
_LOOKS = {
    "font": "Helvetica, Arial, sans-serif",
    "view": {"stroke": None},
    "title": {
        "fontSize": 20,
        "fontWeight": 600,
        "subtitleFontSize": 12,
        "subtitleColor": "#5b6673",
        "subtitlePadding": 6,
    },
    "axis": {
        "labelColor": "#5b6673",
        "labelFontSize": 11,
        "labelPadding": 6,
        "gridColor": GRID,
        "tickColor": FAINT,
        "domain": False,
    },
    "axisY": {"ticks": False},
    "legend": {
        "orient": "top",
        "direction": "horizontal",
        "symbolType": "stroke",
        "symbolStrokeWidth": 2.4,
        "symbolSize": 260,
        "symbolOpacity": 1,
        "labelColor": INK,
        "labelFontSize": 11,
        "labelLimit": 320,
        "columnPadding": 16,
        "offset": 4,
        "padding": 2,
    },
}
#: The data of a layer that draws one mark.
_ONE_ROW: Spec = {"values": [{}]}
#: The tables, and the variable by which the page says where the mouse is; its script uses these names.
DAILY, STEPS, POINTED = "daily", "steps", "pointed"


def specification(chart: Chart, *, interactive: bool) -> Spec:
    """Return a chart's specification; `interactive` charts can be zoomed and have tooltips."""
    drawing = _Drawing(chart, interactive)
    spec = {
        "$schema": _SCHEMA,
        "background": "white",
        "padding": 16,
        "spacing": 6,
        "config": _LOOKS,
        "title": _title(chart, interactive),
        "datasets": {DAILY: daily_csv(chart), STEPS: steps_csv(chart)},
        "vconcat": [drawing.panel(number) for number in range(len(chart.panels))],
        "resolve": {"scale": {"x": "shared", "color": "independent"}},
    }
    return spec | ({"params": _parameters(chart)} if interactive else {})


# ---- data ------------------------------------------------------------------------------------------------


def daily_csv(chart: Chart) -> str:
    """Return the daily rows: date and price."""
    return "\n".join(["d,p", *map(",".join, zip(_dates(chart.days), _texts(chart.prices), strict=True))])


def steps_csv(chart: Chart) -> str:
    """Return the steps: date, week, level of its mark, and the values as c0, c1 and so on.

    Where a column ends, and at the end of all, a row more is before the step: what draws steps needs their ends.
    """
    columns = [_texts(values) for values in chart.steps.values.values()]
    dates = _dates(chart.days)
    levels = _levels(chart)
    lines = [",".join(["d", "week", "level", *(f"c{number}" for number in range(len(columns)))])]
    before: list[str] = []
    for step, (row, week) in enumerate(zip(chart.steps.rows.tolist(), chart.steps.week_ends.tolist(), strict=True)):
        values = [column[step] for column in columns]
        if any(was and not now for was, now in zip(before, values, strict=False)):
            lines.append(",".join([dates[row], "", "", *before]))
        named = "" if week == NO_WEEK else str(as_date(week))
        lines.append(",".join([dates[row], named, levels.get(step, ""), *values]))
        before = values
    return "\n".join([*lines, ",".join([dates[-1], "", "", *before])])


def _levels(chart: Chart) -> dict[int, str]:
    """Return how often each mark is shown: every 2 ** n-th week has the level n or above."""
    marks = chart.visible.tolist()
    return {step: str((number & -number).bit_length() - 1 if number else 99) for number, step in enumerate(marks)}


def _dates(days: Any) -> list[str]:
    return [str(as_date(day)) for day in days.tolist()]


def _texts(values: Floats) -> list[str]:
    return ["" if not math.isfinite(value) else str(value) for value in values]


# ---- panels ----------------------------------------------------------------------------------------------


class _Drawing:
    """The panels of a chart, and what they share."""

    def __init__(self, chart: Chart, interactive: bool) -> None:
        self._chart, self._is_interactive = chart, interactive
        # Without a zoom nothing is outside, and what draws a PNG takes long to clip.
        self._clip: Spec = {"clip": True} if interactive else {}
        self._fields = {name: f"v{number}" for number, name in enumerate(chart.steps.values)}
        weeks = f"{_weeks(chart):.2f}"
        in_zoom = f"(zoom.date[1] - zoom.date[0]) / {DAYS_PER_WEEK * _DAY_MS}"
        #: An expression.
        self._weeks_in_view = f"(zoom.date ? {in_zoom} : {weeks})" if interactive else weeks

    def panel(self, number: int) -> Spec:
        """Return one panel."""
        panel, is_price = self._chart.panels[number], number == 0
        lines = [self._step_line(panel, name, number) for name in (*panel.bars, *panel.columns)]
        if is_price:
            lines.insert(0, self._price_line())
        lines[0]["name"] = _zoomed(number)
        layers = [self._legend(panel), *_levels_of(panel), *lines]
        if is_price and len(self._chart.visible):
            layers.append(self._week_marks())
        if self._is_interactive:
            layers.append(_pointer())
        return {"width": WIDTH, "height": PRICE_HEIGHT if is_price else PANEL_HEIGHT, "layer": layers}

    def _legend(self, panel: Panel) -> Spec:
        """Return a layer that draws nothing: with it, the panel's other layers have their colours and the legend."""
        labels, colors = zip(*_legend(self._chart, panel), strict=True)
        scale = {"domain": list(labels), "range": list(colors)}
        return {
            "data": {"values": [{"label": label} for label in labels]},
            "mark": {"type": "point", "size": 0},
            "encoding": {"color": {"field": "label", "type": "nominal", "scale": scale, "legend": {"title": None}}},
        }

    def _price_line(self) -> Spec:
        y = self._y("price", self._chart.panels[0])
        return {
            **self._in_view(DAILY, {"price": "p"}),
            "mark": {"type": "line", "strokeWidth": 1.1, "strokeJoin": "round", "strokeCap": "round"} | self._clip,
            "encoding": {"x": self._x(0), "y": y, "color": _datum(self._chart.price_label)},
        }

    def _step_line(self, panel: Panel, name: str, number: int) -> Spec:
        mark: Spec = {"type": "area", "opacity": 0.55}
        if name not in panel.bars:
            dash = _DASHES[panel.columns.index(name) // len(PALETTE) % len(_DASHES)]
            width = {"expr": f"{self._weeks_in_view} > {MOST_MARKS} ? 1.2 : 1.8"}
            mark = {"type": "line", "strokeWidth": width, "strokeDash": dash}
        y = self._y(self._fields[name], panel)
        return {
            **self._steps_in_view(),
            "mark": {**mark, "interpolate": "step-after", **self._clip},
            "encoding": {"x": self._x(number), "y": y, "color": _datum(name)},
        }

    def _week_marks(self) -> Spec:
        layer = self._steps_in_view()
        level = f"ceil(log({self._weeks_in_view} / {MOST_MARKS}) / LN2)"
        layer["transform"].append({"filter": f"datum.level !== '' && toNumber(datum.level) >= {level}"})
        look = {"size": 7, "thickness": 1, "color": PALETTE[0], "opacity": 0.8, **self._clip}
        return {
            **layer,
            "mark": {"type": "tick", "orient": "vertical", **look},
            "encoding": {"x": self._x(0), "y": {"value": PRICE_HEIGHT - 4}},
        }

    def _steps_in_view(self) -> Spec:
        # All layers have all fields: Vega-Lite computes equal transforms once.
        return self._in_view(STEPS, {field: f"c{field[1:]}" for field in self._fields.values()})

    def _in_view(self, table: str, numbers: Mapping[str, str]) -> Spec:
        """Return data of what is seen and a little beside it, so that the other scale fits what is seen."""
        transforms = [
            {"calculate": "utcParse(datum.d, '%Y-%m-%d')", "as": "date"},
            *(
                {"calculate": f"datum.{text} === '' ? null : toNumber(datum.{text})", "as": field}
                for field, text in numbers.items()
            ),
        ]
        if self._is_interactive:
            after, before = (f"zoom.date[0] - {_MARGIN_MS}", f"+zoom.date[1] + {_MARGIN_MS}")
            transforms.append({"filter": f"!zoom.date || (datum.date >= {after} && datum.date <= {before})"})
        # Vega-Lite parses a named table twice if its format has the types.
        return {"data": {"name": table, "format": {"type": "csv", "parse": None}}, "transform": transforms}

    def _x(self, number: int) -> Spec:
        is_last = number == len(self._chart.panels) - 1
        axis = {"labels": is_last, "ticks": is_last, "tickCount": 10, "labelFlush": True}
        return {"field": "date", "type": "temporal", "title": None, "scale": {"type": "utc"}, "axis": axis}

    def _y(self, field: str, panel: Panel) -> Spec:
        is_price = panel is self._chart.panels[0]
        scale: Spec = {"zero": bool(panel.bars)}
        axis: Spec = {"tickCount": 6 if is_price else 4}
        if panel.ends is not None:
            scale, axis = {"domain": list(panel.ends), "nice": False}, {"values": list(panel.levels)}
        elif is_price and self._chart.is_log:
            scale = {"type": "log", "nice": False}
            unlabeled = {"condition": {"test": "datum.label === ''", "value": 0}, "value": 1}
            axis |= {"format": ",.10~g", "gridOpacity": unlabeled}
        return {"field": field, "type": "quantitative", "title": None, "scale": scale, "axis": axis, "stack": None}


def _levels_of(panel: Panel) -> Iterator[Spec]:
    for level in panel.levels:
        mark = {"type": "rule", "color": FAINT, "strokeDash": [3, 3]}
        yield {"data": _ONE_ROW, "mark": mark, "encoding": {"y": {"datum": level}}}


def _pointer() -> Spec:
    """Return a line at the day under the mouse, which the page's script finds: no row needs a mark of its own."""
    encoding = {"x": {"value": {"expr": POINTED}}, "opacity": {"value": {"expr": f"{POINTED} < 0 ? 0 : 0.6"}}}
    return {"data": _ONE_ROW, "mark": {"type": "rule", "color": INK, "strokeWidth": 0.8}, "encoding": encoding}


def _parameters(chart: Chart) -> list[Spec]:
    """Return the zoom, which all panels share, and where the mouse is, in pixels from the left; -1: nowhere."""
    names = [_zoomed(number) for number in range(len(chart.panels))]
    across = {"type": "interval", "encodings": ["x"]}
    return [{"name": "zoom", "select": across, "bind": "scales", "views": names}, {"name": POINTED, "value": -1}]


def _zoomed(number: int) -> str:
    """Return the name of the layer of a panel to which the zoom is bound."""
    return f"zoomed_{number}"


def _datum(label: str) -> Spec:
    return {"datum": printable(label)}


def _legend(chart: Chart, panel: Panel) -> Sequence[tuple[str, str]]:
    """Return the labels of a panel with their colours."""
    lines = [(name, PALETTE[number % len(PALETTE)]) for number, name in enumerate(panel.columns)]
    daily = [(printable(chart.price_label), DAILY_COLOR)] if panel is chart.panels[0] else []
    return [*daily, *lines, *((name, FAINT) for name in panel.bars)]


def _title(chart: Chart, is_interactive: bool) -> Spec:
    every = 2 ** max(0, math.ceil(math.log2(max(1.0, _weeks(chart)) / MOST_MARKS)))
    which = "a week" if every == 1 else f"every {every}{'nd' if every in (2, 32) else 'th'} week"
    more = " (every one if you zoom in)" if is_interactive and every > 1 else ""
    marks = f"; ticks: {which} becomes visible{more}" if len(chart.visible) else ""
    return {
        "text": printable(chart.symbol),
        "subtitle": [chart.caption, chart.convention + marks],
        "anchor": "start",
        "frame": "group",
        "limit": WIDTH,
        "offset": 10,
    }


def _weeks(chart: Chart) -> float:
    """Return how many weeks a chart spans."""
    return float(chart.days[-1] - chart.days[0]) / DAYS_PER_WEEK
