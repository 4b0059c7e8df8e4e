"""A chart as SVG and as PNG: what Lets-Plot draws, under a head of our own, without what only a browser needs.

Lets-Plot nests a picture for each panel and cuts off what is outside, of which there is nothing: without that, the PNG
takes half of the time. Its names are random and only said to each other, so that none is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from weekly_cli.errors import UsageError
from weekly_cli.names import PERIODS, printable
from weekly_cli.questions.chart import Chart
from weekly_cli.questions.chart_figure import (
    BREAK,
    INK,
    MUTED,
    PANEL_COLOR,
    WIDTH,
    figure,
    height_of,
    lowest_level,
    periods_of,
)

#: What systems have instead of each other; without fontconfig, nobody translates "sans-serif".
FONTS = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', 'Noto Sans', 'Segoe UI', sans-serif"
#: A PNG has so many pixels for each of the SVG's: text stays sharp on fine screens. Twice takes 0.1 s more.
_PNG_SCALE = 1.5
_HEAD_HEIGHT, _MARGIN = 62, 16
#: A title has no more letters: longer ones would be wider than the picture.
_MOST_LETTERS = 80
_NAMESPACE = "http://www.w3.org/2000/svg"
_STYLE = (
    f"text {{ font-family: {FONTS}; font-size: 11px; fill: {MUTED}; }} .legend-item {{ fill: {INK}; }} "
    f".head {{ font-size: 12px; }} .title {{ font-size: 20px; font-weight: 600; fill: black; }}"
)
_KEPT = frozenset(
    {"class", "d", "dx", "dy", "fill", "fill-opacity", "fill-rule", "font-size", "height", "stroke", "stroke-dasharray"}
    | {"stroke-dashoffset", "stroke-opacity", "stroke-width", "text-anchor", "transform", "width", "x", "x1", "x2", "y"}
    | {"cx", "cy", "r", "rx", "ry", "y1", "y2"}
)
#: A hundredth of a pixel is enough.
_DIGITS = re.compile(r"(\.\d\d)\d+")


def title_of(chart: Chart) -> str:
    """Return what a chart is called."""
    return printable(chart.symbol)


def subtitles_of(chart: Chart, *, interactive: bool) -> tuple[str, str]:
    """Return what is drawn and when a week is visible; in an `interactive` chart, zooming shows more of them."""
    nth, period = 2 ** lowest_level(periods_of(chart)), PERIODS[chart.every]
    noun = "bar" if period.noun == period.nouns else period.noun  # of two weeks
    which = f"a {noun}" if nth == 1 else f"every {nth}{'nd' if nth in (2, 32) else 'th'} {noun}"
    more = " (every one if you zoom in)" if interactive and nth > 1 else ""
    marks = f"; ticks: {which} becomes visible{more}" if len(chart.visible) else ""
    return printable(chart.caption), chart.convention + marks


def svg(chart: Chart) -> str:
    """Return a chart as SVG."""
    drawn = ElementTree.fromstring(figure(chart).to_svg().replace(f' xmlns="{_NAMESPACE}"', ""))
    title, (what, when) = title_of(chart), subtitles_of(chart, interactive=False)
    width, height = WIDTH + 2 * _MARGIN, _HEAD_HEIGHT + height_of(chart) + 2 * _MARGIN
    root = ElementTree.Element(
        "svg",
        {"xmlns": _NAMESPACE, "width": str(width), "height": str(height), "viewBox": f"0 0 {width} {height}"}
        | {"role": "img", "aria-label": f"{title}: {what}; {when}"},
    )
    ElementTree.SubElement(root, "style").text = _STYLE
    ElementTree.SubElement(root, "rect", {"width": str(width), "height": str(height), "fill": "white"})
    short = title if len(title) <= _MOST_LETTERS else f"{title[: _MOST_LETTERS - 1]}…"
    left = _MARGIN + _left_of_panels(drawn)
    for kind, y, text in (("title", 20, short), ("head", 42, what), ("head", 57, when)):
        element = ElementTree.SubElement(root, "text", {"class": kind, "x": f"{left:.2f}", "y": str(y + _MARGIN)})
        element.text = text
    body = ElementTree.SubElement(root, "g", {"transform": f"translate({_MARGIN} {_HEAD_HEIGHT + _MARGIN})"})
    body.extend(_tidied(drawn))
    return ElementTree.tostring(root, encoding="unicode").replace(BREAK, "")


def png(chart: Chart) -> bytes:
    """Return a chart as PNG.

    Raises
    ------
    UsageError
        If the system has no font, so that there would be no text.
    """
    import resvg_py

    def drawn(text: str, has_fonts: bool = True) -> bytes:
        return bytes(resvg_py.svg_to_bytes(svg_string=text, zoom=_PNG_SCALE, skip_system_fonts=not has_fonts))

    letter = f'<svg xmlns="{_NAMESPACE}" width="9" height="9"><text y="9" font-family="{FONTS}">M</text></svg>'
    if drawn(letter) == drawn(letter, has_fonts=False):
        raise UsageError(
            "a PNG needs a font for its text, and this system has none; install one, such as fonts-dejavu-core, or "
            "write .svg or .html"
        )
    return drawn(svg(chart))


def _left_of_panels(drawn: ElementTree.Element) -> float:
    """Return where panels begin, in pixels from the left."""
    return next(_background_offsets(drawn, 0.0))


def _background_offsets(element: ElementTree.Element, left: float) -> Iterator[float]:
    left += float(element.get("x", 0)) if element.tag == "svg" else 0.0
    moved = re.match(r"translate\(([-\d.]+)", element.get("transform", ""))
    left += float(moved[1]) if moved else 0.0
    if element.tag == "rect" and element.get("fill") == _rgb(PANEL_COLOR):
        yield left + float(element.get("x", 0))
    for child in element:
        yield from _background_offsets(child, left)


def _rgb(color: str) -> str:
    return f"rgb({','.join(str(int(color[at : at + 2], 16)) for at in (1, 3, 5))})"


def _tidied(parent: ElementTree.Element) -> list[ElementTree.Element]:
    """Return copies of an element's children: groups instead of nested pictures, and nothing that is not seen."""
    found = []
    for child in parent:
        if child.tag in ("style", "defs") or _is_unseen(child):
            continue
        attributes = {name: _DIGITS.sub(r"\1", value) for name, value in child.attrib.items() if name in _KEPT}
        if child.tag == "svg":
            x, y = (_DIGITS.sub(r"\1", child.get(name, "0")) for name in ("x", "y"))
            attributes = {"transform": f"translate({x} {y})"}
        copied = ElementTree.Element("g" if child.tag == "svg" else child.tag, attributes)
        copied.extend(_tidied(child))
        if child.tag == "tspan":
            copied.text = child.text
        if len(copied) or child.tag not in ("g", "svg", "text"):
            found.append(copied)
    return found


def _is_unseen(element: ElementTree.Element) -> bool:
    is_filled = element.get("fill") != "none" and element.get("fill-opacity") not in ("0", "0.0")
    is_stroked = "stroke" in element.attrib and element.get("stroke-width") not in ("0", "0.0")
    return element.tag in ("path", "rect", "line") and not is_filled and not is_stroked
