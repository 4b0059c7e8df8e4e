"""A chart in the terminal: a panel of braille dots for each scale, or of plain signs where there are no others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from weekly_cli.cli.views.canvas import Canvas
from weekly_cli.dataset.dates import as_date
from weekly_cli.names import PERIODS, printable
from weekly_cli.questions.chart import Chart
from weekly_cli.questions.chart_panels import Panel

if TYPE_CHECKING:
    from rich.console import Console

_MOST_COLUMNS, _LEAST_COLUMNS = 120, 30
_PRICE_ROWS, _PANEL_ROWS = 13, 5
_LABEL_COLUMNS = 9
#: Weeks or months are marked if no more of them share a column than this.
_MOST_MARKS_A_COLUMN = 0.5
#: The daily line is the first; a terminal's own colours are legible on its background.
_STYLES = ("default", "blue", "red", "green", "magenta", "yellow", "cyan")
#: The signs of lines where there is no colour, or no dot, to tell them apart.
_SIGNS, _PLAIN_SIGNS = ("━", "┄", "═", "╌", "┅", "╍"), ("-", "=", "+", "o", "x", "%")
_PLAIN_DAILY_SIGN = "*"

#: Texts with their styles.
Line = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class _Series:
    name: str
    x: NDArray[np.float64]
    y: NDArray[np.floating[Any]]
    style: str
    sign: str | None
    last: float | None


def show(chart: Chart, console: Console) -> None:
    """Print a chart that fits the terminal."""
    from rich.text import Text

    lines = drawn(chart, console.width, plain=console.options.ascii_only, colored=console.color_system is not None)
    for line in lines:
        console.print(Text.assemble(*line), soft_wrap=True)


def drawn(chart: Chart, width: int, *, plain: bool, colored: bool) -> Iterator[Line]:
    """Yield the lines of a chart.

    Parameters
    ----------
    chart : Chart
    width : int
        Of the terminal, in characters.
    plain : bool
        Whether only ASCII may be used.
    colored : bool
        Whether colours tell lines apart; else their signs do.
    """
    columns = max(_LEAST_COLUMNS, min(width, _MOST_COLUMNS)) - _LABEL_COLUMNS - 1
    yield [(_cut(printable(chart.symbol), width), "bold")]
    for text in (chart.caption, chart.convention):
        yield [(_cut(text, width), "dim")]
    for number, panel in enumerate(chart.panels):
        yield []
        yield from _panel(chart, panel, number == 0, columns, width, plain, colored)
    yield from _dates(chart, columns)


def _panel(
    chart: Chart, panel: Panel, is_price: bool, columns: int, width: int, plain: bool, colored: bool
) -> Iterator[Line]:
    all_series = list(_series(chart, panel, is_price, plain, colored))
    yield from _legend(all_series, width, plain)
    scale = _Scale.of(panel, all_series, is_log=is_price and chart.is_log)
    if scale is None:
        yield [(f"{'':{_LABEL_COLUMNS}} no values yet", "dim")]
        return
    rows = _PRICE_ROWS if is_price else _PANEL_ROWS
    canvas = Canvas(columns, rows, [series.sign for series in all_series])
    for number in _drawing_order(all_series, is_price):
        canvas.draw(number, all_series[number].x, scale.share(all_series[number].y))
    labels = {row: _number(scale.value(1 - row / (rows - 1))) for row in (0, rows // 2, rows - 1)}
    levels = _levels(panel, scale, rows)
    for row in range(rows):
        texts = [(sign, "default" if owner is None else all_series[owner].style) for sign, owner in canvas.line(row)]
        label = (labels | levels).get(row, "")
        yield [(f"{label:>{_LABEL_COLUMNS}} ", "dim"), *(_on_level(texts, plain) if row in levels else texts)]
    if is_price:
        yield from _marks(chart, columns, plain)


def _levels(panel: Panel, scale: _Scale, rows: int) -> dict[int, str]:
    """Return the rows of lines of reference with their labels; none where the values set the scale."""
    if panel.ends is None:
        return {}
    shares = scale.share(np.array(panel.levels)).tolist()
    return {round((1 - share) * (rows - 1)): _number(level) for share, level in zip(shares, panel.levels, strict=True)}


def _on_level(texts: Line, plain: bool) -> Line:
    """Return a row with a line of reference where nothing else is drawn."""
    sign = "." if plain else "·"
    return [(sign, "dim") if text[0] == " " and not column % 2 else text for column, text in enumerate(texts)]


def _series(chart: Chart, panel: Panel, is_price: bool, plain: bool, colored: bool) -> Iterator[_Series]:
    x = _shares(chart, chart.days)
    styles = list(_STYLES)
    if is_price:
        sign = _PLAIN_DAILY_SIGN if plain else None
        yield _Series(printable(chart.price_label), x, chart.prices, styles.pop(0), sign, _last(chart.prices))
    else:
        styles.pop(0)
    signs = _PLAIN_SIGNS if plain else _SIGNS if is_price else (None, *_SIGNS)
    begins = x[chart.steps.rows]
    for number, name in enumerate(panel.names):
        values = chart.steps.values[name].astype(np.float64)
        sign = None if colored and not plain else signs[number % len(signs)]
        # A step: its value where it begins, and again where the next one does.
        step_x = np.column_stack([begins, np.append(begins[1:], x[-1])]).ravel()
        last = None if np.isnan(values[-1]) else float(str(chart.steps.values[name][-1]))
        yield _Series(name, step_x, np.repeat(values, 2), styles[number % len(styles)], sign, last)


def _drawing_order(all_series: Sequence[_Series], is_price: bool) -> list[int]:
    """Return the numbers of lines, the topmost last: a week's own prices lie below the daily line."""
    numbers = list(range(len(all_series)))
    if not is_price:
        return numbers[::-1]
    return sorted(numbers, key=lambda number: (number > 0) * (1 if "_sma_" in all_series[number].name else -1))


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    is_log: bool

    @classmethod
    def of(cls, panel: Panel, all_series: Sequence[_Series], is_log: bool) -> _Scale | None:
        values = np.concatenate([series.y[np.isfinite(series.y)] for series in all_series])
        if not len(values):
            return None
        low, high = panel.ends or (float(values.min()), float(values.max()))
        if low == high:
            margin = abs(low) / 100 or 1.0
            low, high = low - margin, high + margin
        return cls(low, high, is_log)

    def share(self, values: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return values between 0, the scale's low end, and 1, NaN where there is none."""
        finite = np.where(np.isfinite(values), values, np.nan)
        low, high = self.low, self.high
        if self.is_log:
            finite, low, high = np.log(finite), math.log(low), math.log(high)
        shares: NDArray[np.float64] = (finite - low) / (high - low)
        return shares

    def value(self, share: float) -> float:
        """Return the value at a share of the scale."""
        if self.is_log:
            return float(self.low * (self.high / self.low) ** share)
        return self.low + share * (self.high - self.low)


def _shares(chart: Chart, days: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return where days are between the first of a chart, 0, and its last, 1."""
    first, last = int(chart.days[0]), int(chart.days[-1])
    return (days - first) / max(1, last - first)


def _last(values: NDArray[np.floating[Any]]) -> float | None:
    return None if np.isnan(values[-1]) else float(values[-1])


def _number(value: float) -> str:
    """Return a number in no more than nine characters.

    >>> _number(104735.3), _number(0.000123456), _number(3.14159), _number(-1e12)
    ('104,735', '0.0001235', '3.142', '-1e+12')
    """
    text = f"{value:,.0f}" if 1000 <= abs(value) < 1e7 else f"{value:.4g}"
    return text if len(text) <= _LABEL_COLUMNS else f"{value:.2g}"


def _legend(all_series: Sequence[_Series], width: int, plain: bool) -> Iterator[Line]:
    line: list[tuple[str, str]] = [("  ", "default")]
    for series in all_series:
        sign = series.sign or ("*" if plain else "⠤")
        texts = [
            (sign * 2, series.style),
            (f" {series.name} {'-' if series.last is None else _number(series.last)}  ", "default"),
        ]
        if len(line) > 1 and _length(line) + _length(texts) > width:
            yield line
            line = [("  ", "default")]
        line += [(_cut(text, width - 4), style) for text, style in texts]
    yield line


def _marks(chart: Chart, columns: int, plain: bool) -> Iterator[Line]:
    marked = chart.days[chart.steps.rows[chart.visible]]
    if not len(marked) or len(marked) > columns * _MOST_MARKS_A_COLUMN:
        return
    signs = [" "] * columns
    for share in _shares(chart, marked):
        signs[round(share * (columns - 1))] = "'" if plain else "╵"
    period = PERIODS[chart.every]
    label = "bars" if period.noun == period.nouns else period.nouns  # of two weeks
    yield [(f"{label:>{_LABEL_COLUMNS}} ", "dim"), ("".join(signs), "blue")]


def _dates(chart: Chart, columns: int) -> Iterator[Line]:
    """Yield a line with the first date, the last, and one between them, where they have room."""
    signs = [" "] * columns
    first, last = int(chart.days[0]), int(chart.days[-1])
    shares = (0.0, 0.5, 1.0) if last - first >= 2 else (0.0, 1.0)[: 1 + (last > first)]
    for share in shares:
        text = str(as_date(round(first + share * (last - first))))
        begin = min(max(0, round(share * (columns - 1)) - len(text) // 2), columns - len(text))
        signs[begin : begin + len(text)] = text
    yield [(f"{'':{_LABEL_COLUMNS}} " + "".join(signs).rstrip(), "dim")]


def _length(line: Line) -> int:
    return sum(len(text) for text, _ in line)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: max(1, width - 3)]}..."
