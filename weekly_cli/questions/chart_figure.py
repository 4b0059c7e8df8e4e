"""The figure of a chart as Lets-Plot draws it: panels one below the other, with a strip of the weeks under the price's.

No text of the output is in it but the labels of legends: Lets-Plot takes parts of a text for formulas and links. The
data of each layer are runs of known values, so nothing is dropped and nothing bridges a gap.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.clocks import DAYS_PER_WEEK
from weekly_cli.names import printable
from weekly_cli.questions.chart import Chart, Days, Floats, plain
from weekly_cli.questions.chart_panels import Panel

#: Columns of a layer: arrays, of which Lets-Plot reads a whole at a time what it reads of lists value by value.
Data = dict[str, NDArray[Any]]

#: In pixels: of a picture without its head, of the strip with the marks of weeks, and of panels with their legends.
WIDTH, STRIP_HEIGHT, PRICE_HEIGHT, PANEL_HEIGHT, DATES_HEIGHT = 932, 16, 364, 140, 22
#: Okabe and Ito's colours, which the colour-blind tell apart, in the order of their contrast to white and each other.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK, MUTED, DAILY_COLOR, FAINT, GRID = "#1f2933", "#5b6673", "#4a5560", "#b8c0c8", "#e9edf1"
#: Lets-Plot does not tell where a panel is; only the background of one has this colour.
PANEL_COLOR = "#fffffe"
_DASHES = ("solid", "dashed", "dotted")
#: Of steps, in Lets-Plot's unit of 2.2 pixels: where few weeks or months are in view, and where many are.
STEP_SIZES = (0.8, 0.55)
#: In one view, no more of them than this are marked: their marks would be one band.
MOST_MARKS = 120
DAY_MS = 86_400_000
_PERIOD_DAYS = {"week": 7.0, "2W": 14.0, "4W": 28.0, "month": 30.4, "quarter": 91.3}
#: One date for so many pixels, at most.
DATE_PIXELS = 76
#: Distances of dates on the axis: in days, for Lets-Plot, and the format. Years are those of the calendar.
SPACINGS: tuple[tuple[float, str, str], ...] = (
    *((days, f"{days} days", "%Y-%m-%d") for days in (1, 2)),
    *((DAYS_PER_WEEK * weeks, f"{weeks} weeks", "%Y-%m-%d") for weeks in (1, 2)),
    *((30.4 * months, f"{months} months", "%Y-%m") for months in (1, 2, 3, 6)),
    *((365.25 * years, f"{years} years", "%Y") for years in (1, 2, 5, 10, 20, 50, 100)),
)
#: The levels of a logarithmic scale within a power of ten; the first with enough of them in view is taken.
_LOG_LEVELS = ((1,), (1, 2, 5), tuple(range(1, 10)), tuple(tenth / 10 for tenth in range(10, 100)))
ENOUGH_LEVELS = 4
#: A legend shows no more of a label: longer ones would take a second line.
_MOST_LETTERS = 30
#: Parts what Lets-Plot would take for a formula or a link, and is not seen.
BREAK = "\u200b"


@lru_cache(maxsize=1)
def lets_plot() -> Any:
    """Return the library; a Python that compiles it now, as after an installation that does not, complains of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lets_plot as library
    return library


def height_of(chart: Chart) -> int:
    """Return the height of a figure in pixels."""
    return sum(_heights(chart))


def figure(chart: Chart, *, interactive: bool = False) -> Any:
    """Return a chart's figure, a `lets_plot.plot.subplots.SupPlotsSpec`.

    It is as a picture shows it; `interactive` ones have all marks, of which a page chooses.
    """
    lp = lets_plot()
    panels = [_panel(chart, number) for number in range(len(chart.panels))]
    if len(chart.visible):
        panels.insert(1, _strip(chart, 0 if interactive else lowest_level(periods_of(chart))))
    heights = _heights(chart)
    grid = lp.gggrid(panels, ncol=1, heights=heights, align=True, vspace=0)
    return grid + lp.ggsize(WIDTH, sum(heights))


def span_of(chart: Chart) -> tuple[float, float]:
    """Return the ends of the axis of dates in milliseconds since 1970-01-01; one row has a day around it."""
    first, last = float(chart.days[0]), float(chart.days[-1])
    margin = 0.5 if first == last else 0.0
    return (first - margin) * DAY_MS, (last + margin) * DAY_MS


def period_days(chart: Chart) -> float:
    """Return how many days of the calendar a week has, or what else is marked."""
    return _PERIOD_DAYS[chart.every]


def periods_of(chart: Chart) -> float:
    """Return how many weeks, or months, a chart spans."""
    return float(chart.days[-1] - chart.days[0]) / period_days(chart)


def log_levels(low: float, high: float) -> list[list[float]]:
    """Return the levels of a logarithmic scale, a list for each fineness.

    >>> log_levels(3.0, 40.0)[:2]
    [[10.0], [5.0, 10.0, 20.0]]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    finenesses = [[float(f"{level}e{power}") for power in powers for level in levels] for levels in _LOG_LEVELS]
    return [[level for level in levels if low <= level <= high] for levels in finenesses]


def prices_drawn(chart: Chart) -> Floats:
    """Return all values of the price's panel."""
    columns = [chart.prices, *(chart.steps.values[name] for name in chart.panels[0].names)]
    values: Floats = np.concatenate([column[np.isfinite(column)] for column in columns])
    return values


# ---- data ------------------------------------------------------------------------------------------------


def daily_data(chart: Chart) -> Data:
    """Return the daily prices: time in milliseconds, price, and the number of the run without a gap."""
    is_known = np.isfinite(chart.prices)
    runs = np.cumsum(~is_known)
    return {"x": _times(chart.days[is_known]), "y": chart.prices[is_known], "run": runs[is_known]}


def step_data(chart: Chart, name: str) -> Data:
    """Return a weekly column's steps; each run ends with a row more, on the day on which it has no value any longer."""
    times = _times(chart.days[np.append(chart.steps.rows, len(chart.days) - 1)])
    # With the fewest digits that give a float32 back, as the page and `--json` have them.
    values = np.array([*plain(chart.steps.values[name]), None], np.float64)
    before = np.append(np.nan, values[:-1])
    is_end = np.isnan(values)
    is_drawn = ~(is_end & np.isnan(before))
    runs = np.cumsum(is_end) - is_end
    return {"x": times[is_drawn], "y": np.where(is_end, before, values)[is_drawn], "run": runs[is_drawn]}


def mark_data(chart: Chart) -> Data:
    """Return when weeks or months became visible, with levels: every 2 ** n-th one has the level n or above."""
    levels = [(number & -number).bit_length() - 1 if number else 99 for number in range(len(chart.visible))]
    return {"x": _times(chart.days[chart.steps.rows[chart.visible]]), "level": np.array(levels, np.int64)}


def lowest_level(periods: float) -> int:
    """Return from which level on they are marked if so many are in view."""
    return max(0, math.ceil(math.log2(max(1.0, periods) / MOST_MARKS)))


def _times(days: Days) -> NDArray[np.float64]:
    return days.astype(np.float64) * DAY_MS


def _corners(data: Data) -> Data:
    """Return steps as the line that they are: an area has no steps of its own."""
    x, y, run = data["x"], data["y"], data["run"]
    at = np.flatnonzero(run[1:] == run[:-1]) + 1
    return {"x": np.insert(x, at, x[at]), "y": np.insert(y, at, y[at - 1]), "run": np.insert(run, at, run[at])}


def _single(data: Data) -> Data:
    """Return the rows that are a run of their own, which no line shows."""
    _, runs, counts = np.unique(data["run"], return_inverse=True, return_counts=True)
    return _rows(data, counts[runs] == 1)


def _rows(data: Data, is_taken: NDArray[np.bool_]) -> Data:
    return {name: column[is_taken] for name, column in data.items()}


# ---- panels ----------------------------------------------------------------------------------------------


def _heights(chart: Chart) -> list[int]:
    strip = [STRIP_HEIGHT] if len(chart.visible) else []
    heights = [PRICE_HEIGHT, *strip, *[PANEL_HEIGHT] * (len(chart.panels) - 1)]
    return [*heights[:-1], heights[-1] + DATES_HEIGHT]


def _panel(chart: Chart, number: int) -> Any:
    lp = lets_plot()

    panel, is_price = chart.panels[number], number == 0
    lines = lp.ggplot()
    for level in panel.levels:
        lines += lp.geom_hline(yintercept=level, color=FAINT, linetype="dashed", size=0.5, tooltips="none")
    for name in panel.bars:
        lines += _layer(lp.geom_area, _corners(step_data(chart, name)), name, 99, fill=FAINT, alpha=0.55, size=0)
    if is_price:
        lines += _prices(chart)
    size = STEP_SIZES[periods_of(chart) > MOST_MARKS]
    for place, name in enumerate(panel.columns):
        look = {"color": PALETTE[place % len(PALETTE)], "linetype": _DASHES[place // len(PALETTE) % len(_DASHES)]}
        lines += _layer(lp.geom_step, step_data(chart, name), name, place + 1, size=size, **look)
    return lines + _scale_of(panel, chart) + _dates(chart, panel.ends) + _looks(number == len(chart.panels) - 1)


def _prices(chart: Chart) -> Any:
    lp = lets_plot()

    data = daily_data(chart)
    layer = _layer(lp.geom_line, data, chart.price_label, 0, color=DAILY_COLOR, size=0.5)
    single = _single(data)
    if not len(single["x"]):
        return layer
    return layer + lp.geom_point(
        lp.aes("x", "y"), data=single, color=DAILY_COLOR, size=1.2, sampling="none", tooltips="none", na_rm=True
    )


def _layer(geom: Any, data: Data, label: str, place: int, **look: Any) -> Any:
    """Return a layer with all its rows: without a word, Lets-Plot draws a sample of many."""
    lp = lets_plot()

    key = lp.layer_key(_literal(label), index=place, **({"size": 0} if geom is lp.geom_area else {}))
    mapping = lp.aes("x", "y", group="run")
    stays = {"position": "identity"} | ({"stat": "identity"} if geom is lp.geom_area else {})
    return geom(mapping, data=data, manual_key=key, sampling="none", tooltips="none", na_rm=True, **stays, **look)


def _literal(label: str) -> str:
    """Return a label that Lets-Plot shows as it is."""
    text = printable(label)
    text = text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"
    return text.replace("<", f"<{BREAK}").replace("\\", f"\\{BREAK}")


def _strip(chart: Chart, lowest: int) -> Any:
    """Return the marks. Lets-Plot gives a panel 50 pixels, of which the strip shows the first few."""
    lp = lets_plot()

    data = mark_data(chart)
    marks = lp.geom_segment(
        lp.aes(x="x", xend="x"),
        data=_rows(data, data["level"] >= lowest),
        y=1,
        yend=0.84,
        color=PALETTE[0],
        size=0.5,
        sampling="none",
        tooltips="none",
        na_rm=True,
    )
    blank = lp.element_blank()
    bare = lp.theme(axis_text_y=blank, panel_grid_major=blank, plot_margin=[0, 10, 0, 2])
    low_end = lp.scale_y_continuous(expand=[0, 0])
    return lp.ggplot() + marks + low_end + _dates(chart, (0.0, 1.0)) + _looks(False) + bare


def _scale_of(panel: Panel, chart: Chart) -> Any:
    lp = lets_plot()

    if panel.ends is not None:
        return lp.scale_y_continuous(breaks=list(panel.levels), format=",.10~g")
    if panel is chart.panels[0] and chart.is_log:
        values = prices_drawn(chart)
        return lp.scale_y_log10(breaks=enough(log_levels(values.min(), values.max())), format=",.10~g")
    return lp.scale_y_continuous(format=",.10~g")


def enough(finenesses: Sequence[Sequence[float]]) -> list[float]:
    """Return the first levels that are enough, else the last."""
    return list(next((levels for levels in finenesses if len(levels) >= ENOUGH_LEVELS), finenesses[-1]))


def _dates(chart: Chart, ends: tuple[float, float] | None) -> Any:
    lp = lets_plot()

    low, high = span_of(chart)
    most = (WIDTH - 60) // DATE_PIXELS
    fitting = (spacing for spacing in SPACINGS if (high - low) / DAY_MS / spacing[0] <= most)
    _, width, text = next(fitting, SPACINGS[-1])
    limits = lp.coord_cartesian(xlim=[low, high], ylim=None if ends is None else list(ends))
    return lp.scale_x_datetime(break_width=width, format=text, expand=[0, 0]) + limits


def _looks(has_dates: bool) -> Any:
    lp = lets_plot()

    # With an angle, dates stay level where the first one is at the edge.
    blank, small = lp.element_blank(), lp.element_text(color=MUTED, size=11, angle=0)
    return lp.theme(
        axis_title=blank,
        axis_line=blank,
        axis_ticks_y=blank,
        axis_text_y=small,
        axis_text_x=small if has_dates else blank,
        axis_ticks_x=lp.element_line(color=FAINT) if has_dates else blank,
        panel_grid_minor=blank,
        panel_grid_major=lp.element_line(color=GRID, size=1),
        panel_background=lp.element_rect(fill=PANEL_COLOR, size=0),
        panel_border=blank,
        plot_margin=[2, 10, 2, 2],
        legend_title=blank,
        legend_text=lp.element_text(color=INK, size=11),
        legend_position="top",
        legend_direction="horizontal",
        legend_justification=[0, 0.5],
        legend_margin=0,
        legend_box_spacing=2,
        legend_key_height=12,
        legend_key_width=20,
    )
