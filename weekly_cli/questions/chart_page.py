"""A chart as a page, a PNG or an SVG: nothing is loaded from anywhere, neither here nor by who opens the page.

PNG and SVG are drawn by vl-convert. A page is drawn by the browser, with scripts that vl-convert bundles, which takes
longer than all the rest of a page: they are kept for the next one.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from weekly_cli.errors import UsageError
from weekly_cli.files import cache
from weekly_cli.names import printable
from weekly_cli.questions.chart import Chart
from weekly_cli.questions.chart_script import SCRIPT
from weekly_cli.questions.chart_spec import specification

EXTRA = "pip install 'weekly-cli[plot]'"
_LIBRARY = "vl_convert"
#: What the script of a page uses of the bundle.
_EXPORTS = "window.vegaEmbed = vegaEmbed; window.lodashDebounce = lodashDebounce;"
#: A PNG has so many pixels for each of the page's: text stays sharp on fine screens and in print.
_PNG_SCALE = 2.0

#: The browser itself sees to it that the page loads nothing; Vega compiles its expressions, which is "eval".
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
    "form-action 'none'; base-uri 'none'"
)
_HEAD = """\
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0; background: white; color: #5b6673; font: 12px Helvetica, Arial, sans-serif; }}
#chart {{ display: block; width: 100%; }}
p {{ margin: 0 0 16px 16px; }}
#values {{ display: none; position: absolute; pointer-events: none; background: rgba(255, 255, 255, 0.94);
  border: 1px solid #d5dbe1; border-radius: 4px; padding: 6px 8px; box-shadow: 0 2px 6px rgba(0, 0, 0, 0.12); }}
#values td {{ padding: 1px 0 1px 12px; color: #1f2933; text-align: right; font-variant-numeric: tabular-nums; }}
#values td:first-child {{ padding-left: 0; color: #5b6673; text-align: left; }}
</style>
<div id="chart"></div>
<table id="values"></table>
<p>Scroll to zoom, drag to move, double-click to see all again.</p>
<script type="application/json" id="specification">{specification}</script>
<script type="application/json" id="labels">{labels}</script>
"""


def check_library(path: str) -> None:
    """Raise UsageError if what draws files is not installed."""
    if find_spec(_LIBRARY) is None:
        raise UsageError(
            f"-o {path} is drawn with vl-convert-python, which is not installed: {EXTRA}; without -o, the chart is "
            "drawn in the terminal"
        )


def rendered(chart: Chart, suffix: str) -> bytes:
    """Return a chart in one of the formats of `files.charts`, without its mark."""
    spec = specification(chart, interactive=suffix == ".html")
    if suffix == ".html":
        return _page(chart, spec).encode()
    import vl_convert

    if suffix == ".png":
        return bytes(vl_convert.vegalite_to_png(spec, scale=_PNG_SCALE))
    return str(vl_convert.vegalite_to_svg(spec)).encode()


def _page(chart: Chart, spec: Mapping[str, Any]) -> str:
    head = _HEAD.format(
        policy=html.escape(_POLICY),
        title=html.escape(f"{printable(chart.symbol)}: daily prices and weekly features"),
        specification=_as_json(spec),
        labels=_as_json([chart.price_label, *chart.steps.values]),
    )
    # In a function: at its top, the bundle has names that the script has, too.
    return f"{head}<script>\n(() => {{\n{_bundle()}\n}})();\n{SCRIPT}</script>\n"


def _bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    version = str(vl_convert.__version__)  # type: ignore[attr-defined]  # its stubs lack it
    return cache.kept("vega", version, _EXPORTS, lambda: vl_convert.javascript_bundle(_EXPORTS))


def _as_json(value: Any) -> str:
    """Return JSON for a script element: only "<" can end that or begin a comment, and JSON takes its escape."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")
