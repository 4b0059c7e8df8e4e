"""A chart as a page, a PNG or an SVG: nothing is loaded from anywhere, neither here nor by who opens the page.

All are drawn by Lets-Plot: SVG and PNG here, a page by the browser, with the script of Lets-Plot in it.
"""

from __future__ import annotations

import html
import json
import pkgutil
from importlib.util import find_spec
from typing import Any

from weekly_cli.errors import UsageError
from weekly_cli.names import PERIODS
from weekly_cli.questions.chart import Chart
from weekly_cli.questions.chart_figure import (
    DATE_PIXELS,
    ENOUGH_LEVELS,
    MOST_MARKS,
    PANEL_COLOR,
    SPACINGS,
    STEP_SIZES,
    figure,
    height_of,
    log_levels,
    period_days,
    prices_drawn,
    span_of,
)
from weekly_cli.questions.chart_picture import FONTS, png, subtitles_of, svg, title_of
from weekly_cli.questions.chart_script import SCRIPT

EXTRA = "pip install 'weekly-cli[plot]'"
_LIBRARIES = {"lets_plot": "lets-plot", "resvg_py": "resvg-py"}
#: The browser itself sees to it that the page loads nothing and compiles no text.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)
_HEAD = """\
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: daily prices and weekly features</title>
<style>
body {{ margin: 16px; background: white; color: #5b6673; font: 12px {fonts}; }}
h1 {{ margin: 0 0 6px; color: black; font-size: 20px; font-weight: 600; overflow-wrap: anywhere; }}
p {{ margin: 0 0 2px; }}
#chart {{ position: relative; height: {height}px; margin: 8px 0; cursor: crosshair; touch-action: pan-y; }}
#chart text {{ font-family: {fonts}; }}
#day {{ display: none; position: absolute; width: 1px; background: #1f2933; opacity: 0.6; pointer-events: none; }}
#values {{ display: none; position: absolute; pointer-events: none; background: rgba(255, 255, 255, 0.94);
  border: 1px solid #d5dbe1; border-radius: 4px; padding: 6px 8px; box-shadow: 0 2px 6px rgba(0, 0, 0, 0.12); }}
#values td {{ padding: 1px 0 1px 12px; color: #1f2933; text-align: right; font-variant-numeric: tabular-nums; }}
#values td:first-child {{ padding-left: 0; color: #5b6673; text-align: left; }}
</style>
<h1>{title}</h1>
<p>{what}</p>
<p>{when}</p>
<div id="chart" role="img" aria-label="{title}: {what}; {when}"></div>
<div id="day"></div>
<table id="values"></table>
<p>Scroll to zoom, drag to move, double-click to see all again.</p>
<script type="application/json" id="drawn">{drawn}</script>
"""


def check_library(path: str) -> None:
    """Raise UsageError if what draws files is not installed."""
    missing = [library for module, library in _LIBRARIES.items() if find_spec(module) is None]
    if missing:
        raise UsageError(
            f"-o {path} is drawn with {missing[0]}, which is not installed: {EXTRA}; without -o, the chart is "
            "drawn in the terminal"
        )


def rendered(chart: Chart, suffix: str) -> bytes:
    """Return a chart in one of the formats of `files.charts`, without its mark."""
    if suffix == ".png":
        return png(chart)
    return (_page(chart) if suffix == ".html" else svg(chart)).encode()


def _page(chart: Chart) -> str:
    what, when = map(html.escape, subtitles_of(chart, interactive=True))
    head = _HEAD.format(
        policy=html.escape(_POLICY),
        fonts=FONTS,
        title=html.escape(title_of(chart)),
        what=what,
        when=when,
        height=height_of(chart),
        drawn=_as_json(_drawn(chart)),
    )
    return f"{head}<script>{_library()}</script>\n<script>{SCRIPT}</script>\n"


def _drawn(chart: Chart) -> dict[str, Any]:
    """Return what the page's script reads."""
    shown = chart.to_dict()
    levels = []
    if chart.is_log:
        values = prices_drawn(chart)
        levels = log_levels(values.min(), values.max())
    return {
        "figure": _with_plain_ids(figure(chart, interactive=True).as_dict()),
        "height": height_of(chart),
        "span": span_of(chart),
        "daily": shown["daily"],
        "steps": {name: values for name, values in shown["steps"].items() if name != "week_end"},
        "columns": {"price": chart.price_label, "weekly": list(chart.steps.values)},
        "newest": f"newest {PERIODS[chart.every].noun} seen",
        "periodDays": period_days(chart),
        "spacings": SPACINGS,
        "datePixels": DATE_PIXELS,
        "mostMarks": MOST_MARKS,
        "stepSizes": STEP_SIZES,
        "panelColor": PANEL_COLOR,
        "levels": levels,
        "enoughLevels": ENOUGH_LEVELS,
    }


def _with_plain_ids(figure_spec: dict[str, Any]) -> dict[str, Any]:
    """Return a figure with the numbers of its panels where Lets-Plot counts what a process has made."""
    panels = [panel | {"spec_id": str(number)} for number, panel in enumerate(figure_spec["figures"])]
    return figure_spec | {"figures": panels}


def _library() -> str:
    """Return the script of Lets-Plot, without the address of its source, which browsers' tools would ask for."""
    script = (pkgutil.get_data("lets_plot", "package_data/lets-plot.min.js") or b"").decode()
    script = script.rpartition("\n//# sourceMappingURL=")[0] or script
    return script.replace("</script", r"<\/script").replace("<!--", r"<\!--")


def _as_json(value: Any) -> str:
    """Return JSON for a script element: only "<" can end that or begin a comment, and JSON takes its escape."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, default=lambda column: column.tolist())
    return text.replace("<", "\\u003c")
