"""The Vega-Lite specification of a chart.

Data stand in it as CSV, a table of daily rows and one of steps, under names of their own: no text of the output is ever
a field's name, which Vega-Lite would take apart at dots and brackets. Texts of the output are titles and labels only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from weekly_cli.compute.weeks import DAYS_PER_WEEK
from weekly_cli.dataset.dates import as_date
from weekly_cli.names import printable
from weekly_cli.questions.chart import NO_WEEK, Chart, Floats
from weekly_cli.questions.chart_panels import Panel

if TYPE_CHECKING:
    import altair as alt

WIDTH, PRICE_HEIGHT, PANEL_HEIGHT = 900, 330, 110
#: Okabe and Ito's colours, which the colour-blind tell apart, in the order of their contrast to white and each other.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, DAILY_COLOR, FAINT, GRID = "#1f2933", "#4a5560", "#b8c0c8", "#e9edf1"
_DASHES = ([1, 0], [5, 3], [2, 2])
#: In one view, no more weeks than this are marked: their marks would be one band.
MOST_MARKS = 120
_DAY_MS = 86_400_000
_FONT = "Helvetica, Arial, sans-serif"
#: The tables, and the variable by which the page says where the mouse is; its script uses these names.
DAILY, STEPS, POINTED = "daily", "steps", "pointed"


def specification(chart: Chart, *, interactive: bool) -> dict[str, Any]:
    """Return a chart's specification; `interactive` charts can be zoomed and have tooltips."""
    import altair as alt

    drawing = _Drawing(chart, interactive)
    panels = [drawing.panel(number) for number in range(len(chart.panels))]
    whole = alt.vconcat(*panels, spacing=6).resolve_scale(x="shared", color="independent")
    whole = whole.properties(title=_title(chart, interactive), background="white", padding=16)
    whole.datasets = {DAILY: daily_csv(chart), STEPS: steps_csv(chart)}
    spec: dict[str, Any] = _configured(whole).to_dict()
    if interactive:
        spec["params"] = _parameters(spec)
    return spec


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
        import altair as alt

        self._chart, self._is_interactive = chart, interactive
        self._fields = {name: f"v{number}" for number, name in enumerate(chart.steps.values)}
        self._steps, self._daily = (
            alt.NamedData(name=name, format=alt.CsvDataFormat(type="csv", parse=None)) for name in (STEPS, DAILY)
        )
        is_last = len(chart.panels) - 1
        self._x = [
            alt.X(
                "date:T",
                title=None,
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(labels=number == is_last, ticks=number == is_last, tickCount=10, labelFlush=True),
            )
            for number in range(len(chart.panels))
        ]

    def panel(self, number: int) -> Any:
        """Return one panel."""
        import altair as alt

        panel, is_price = self._chart.panels[number], number == 0
        lines = [self._step_line(panel, name, number) for name in (*panel.bars, *panel.columns)]
        if is_price:
            lines.insert(0, self._price_line())
        lines[0] = lines[0].properties(name="zoomed")
        layers = [self._legend(panel), *self._levels(panel), *lines]
        if is_price:
            layers += self._week_marks()
        if self._is_interactive:
            layers.append(self._pointer())
        return alt.layer(*layers).properties(width=WIDTH, height=PRICE_HEIGHT if is_price else PANEL_HEIGHT)

    def _in_view(self, data: Any) -> Any:
        """Return a layer of what is seen and a little beside it, so that the other scale fits what is seen."""
        import altair as alt

        # Vega-Lite parses a named table twice if its format has the types.
        numbers = {"price": "p"} if data is self._daily else {field: f"c{field[1:]}" for field in self._fields.values()}
        layer = alt.Chart(data).transform_calculate(
            date="utcParse(datum.d, '%Y-%m-%d')",
            **{field: f"datum.{text} === '' ? null : toNumber(datum.{text})" for field, text in numbers.items()},
        )
        if not self._is_interactive:
            return layer
        margin = 3 * DAYS_PER_WEEK * _DAY_MS
        return layer.transform_filter(
            f"!zoom.date || (datum.date >= zoom.date[0] - {margin} && datum.date <= +zoom.date[1] + {margin})"
        )

    def _y(self, field: str, panel: Panel) -> alt.Y:
        import altair as alt

        is_price = panel is self._chart.panels[0]
        if panel.ends is not None:
            scale, axis = alt.Scale(domain=list(panel.ends), nice=False), alt.Axis(values=[*panel.levels])
        elif is_price and self._chart.is_log:
            unlabeled = {"condition": {"test": "datum.label === ''", "value": 0}, "value": 1}
            axis = alt.Axis(tickCount=6, format=",.10~g", gridOpacity=unlabeled)
            scale = alt.Scale(type="log", nice=False)
        else:
            scale, axis = alt.Scale(zero=bool(panel.bars)), alt.Axis(tickCount=6 if is_price else 4)
        return alt.Y(f"{field}:Q", title=None, scale=scale, axis=axis, stack=None)

    def _legend(self, panel: Panel) -> Any:
        """Return a layer that draws nothing: with it, the panel's other layers have their colours and the legend."""
        import altair as alt

        labels, colors = zip(*_legend(self._chart, panel), strict=True)
        layer = alt.Chart(alt.InlineData(values=[{"label": label} for label in labels])).mark_point(size=0)
        scale = alt.Scale(domain=list(labels), range=list(colors))
        return layer.encode(color=alt.Color("label:N", scale=scale, legend=alt.Legend(title=None)))

    def _price_line(self) -> Any:
        panel = self._chart.panels[0]
        line = self._in_view(self._daily).mark_line(strokeWidth=1.1, strokeJoin="round", strokeCap="round", clip=True)
        return line.encode(self._x[0], self._y("price", panel), color=_datum(self._chart.price_label))

    def _step_line(self, panel: Panel, name: str, number: int) -> Any:
        import altair as alt

        layer = self._in_view(self._steps)
        if name in panel.bars:
            layer = layer.mark_area(interpolate="step-after", opacity=0.55, clip=True)
        else:
            dash = _DASHES[panel.columns.index(name) // len(PALETTE) % len(_DASHES)]
            width = alt.expr(f"{self._weeks_in_view()} > {MOST_MARKS} ? 1.2 : 1.8")
            layer = layer.mark_line(interpolate="step-after", strokeWidth=width, strokeDash=dash, clip=True)
        return layer.encode(self._x[number], self._y(self._fields[name], panel), color=_datum(name))

    def _levels(self, panel: Panel) -> Iterator[alt.Chart]:
        import altair as alt

        for level in panel.levels:
            rule = alt.Chart(alt.InlineData(values=[{}])).mark_rule(color=FAINT, strokeDash=[3, 3])
            yield rule.encode(y=alt.datum(level))

    def _week_marks(self) -> Iterator[alt.Chart]:
        import altair as alt

        if not len(self._chart.visible):
            return
        layer = self._in_view(self._steps).transform_filter(
            f"datum.level !== '' && toNumber(datum.level) >= ceil(log({self._weeks_in_view()} / {MOST_MARKS}) / LN2)"
        )
        mark = layer.mark_tick(orient="vertical", size=7, thickness=1, color=PALETTE[0], opacity=0.8, clip=True)
        yield mark.encode(self._x[0], y=alt.value(PRICE_HEIGHT - 4))

    def _weeks_in_view(self) -> str:
        """Return an expression."""
        weeks = f"{_weeks(self._chart):.2f}"
        in_zoom = f"(zoom.date[1] - zoom.date[0]) / {DAYS_PER_WEEK * _DAY_MS}"
        return f"(zoom.date ? {in_zoom} : {weeks})" if self._is_interactive else weeks

    def _pointer(self) -> Any:
        """Return a line at the day under the mouse, which the page's script finds: no row needs a mark of its own."""
        import altair as alt

        rule = alt.Chart(alt.InlineData(values=[{}])).mark_rule(color=INK, strokeWidth=0.8)
        return rule.encode(x=alt.value(alt.expr(POINTED)), opacity=alt.value(alt.expr(f"{POINTED} < 0 ? 0 : 0.6")))


def _parameters(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the zoom, which all panels share, and where the mouse is, in pixels from the left; -1: nowhere.

    A zoom is bound to one layer of each panel, by its name, to which altair adds numbers of its own.
    """
    names = [layer["name"] for panel in spec["vconcat"] for layer in panel["layer"] if "name" in layer]
    across = {"type": "interval", "encodings": ["x"]}
    return [{"name": "zoom", "select": across, "bind": "scales", "views": names}, {"name": POINTED, "value": -1}]


def _datum(label: str) -> Any:
    import altair as alt

    return alt.datum(printable(label))


def _legend(chart: Chart, panel: Panel) -> Sequence[tuple[str, str]]:
    """Return the labels of a panel with their colours."""
    lines = [(name, PALETTE[number % len(PALETTE)]) for number, name in enumerate(panel.columns)]
    daily = [(printable(chart.price_label), DAILY_COLOR)] if panel is chart.panels[0] else []
    return [*daily, *lines, *((name, FAINT) for name in panel.bars)]


# ---- looks -----------------------------------------------------------------------------------------------


def _title(chart: Chart, is_interactive: bool) -> alt.TitleParams:
    import altair as alt

    every = 2 ** max(0, math.ceil(math.log2(max(1.0, _weeks(chart)) / MOST_MARKS)))
    which = "a week" if every == 1 else f"every {every}{'nd' if every in (2, 32) else 'th'} week"
    more = " (every one if you zoom in)" if is_interactive and every > 1 else ""
    marks = f"; ticks: {which} becomes visible{more}" if len(chart.visible) else ""
    return alt.TitleParams(
        text=printable(chart.symbol),
        subtitle=[chart.caption, chart.convention + marks],
        anchor="start",
        frame="group",
        limit=WIDTH,
        offset=10,
    )


def _weeks(chart: Chart) -> float:
    """Return how many weeks a chart spans."""
    return float(chart.days[-1] - chart.days[0]) / DAYS_PER_WEEK


def _configured(whole: Any) -> Any:
    return (
        whole.configure(font=_FONT)
        .configure_view(stroke=None)
        .configure_title(fontSize=20, fontWeight=600, subtitleFontSize=12, subtitleColor="#5b6673", subtitlePadding=6)
        .configure_axis(
            labelColor="#5b6673", labelFontSize=11, gridColor=GRID, domain=False, tickColor=FAINT, labelPadding=6
        )
        .configure_axisY(ticks=False)
        .configure_legend(
            orient="top", direction="horizontal", symbolType="stroke", symbolStrokeWidth=2.4, symbolSize=260,
            symbolOpacity=1, labelColor=INK, labelFontSize=11, labelLimit=320, columnPadding=16, offset=4, padding=2,
        )
    )  # fmt: skip
