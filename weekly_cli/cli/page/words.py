"""Texts of the page: data that is marked as such, times, and lists that end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from weekly_cli.cli.page.elements import Element, element

_Item = TypeVar("_Item")

#: Signs of one text of the data; a name of 300 is still whole.
MOST_SIGNS = 400
#: Steps between the marks of an axis, in seconds.
_STEPS = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 14400, 28800, 86400),
)


def shortened(text: str) -> str:
    """Return a text of the data, cut where it is very long.

    >>> len(shortened("A" * 9999)), shortened("A" * 9999)[-20:]
    (427, ' (9,999 characters)')
    """
    return text if len(text) <= MOST_SIGNS else f"{text[:MOST_SIGNS]}\u2026 ({len(text):,} characters)"


def data(text: object) -> Element:
    """Return a text of the data: its direction and its blanks are its own."""
    return element("bdi", shortened(str(text)), class_="data")


def listed(items: Sequence[_Item], most: int, shown: Callable[[_Item], Element]) -> Element | None:
    """Return a list of the first items, which says how many there are besides; None: there are none."""
    if not items:
        return None
    more = len(items) - most
    rest = element("li", f"and {more:,} more, which --report NAME.json names", class_="more") if more > 0 else None
    return element("ul", *(element("li", shown(item)) for item in items[:most]), rest)


def duration(seconds: float) -> str:
    """Return a time.

    >>> duration(0.0804), duration(42.5), duration(125), duration(7384)
    ('0.08 s', '42.5 s', '2 min 5 s', '2 h 3 min')
    """
    if seconds < 10:
        return f"{seconds:.2f} s"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60} min"


def ticks(total: float, most: int) -> list[float]:
    """Return where an axis from 0 to `total` seconds has its marks.

    >>> ticks(4.2, 5)
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    step = float(next((step for step in _STEPS if total / step <= most), _STEPS[-1]))
    while total / step > most:
        step *= 2
    return [number * step for number in range(int(total / step) + 1)]


def sizes(most: int) -> list[int]:
    """Return where a scale of bytes has its marks: from 0 to the first one at or above `most`.

    >>> [size // 2**20 for size in sizes(402 * 2**20)]
    [0, 200, 400, 600]
    """
    step = 2**20
    while most > 4 * step:
        step = step * 5 // 2 if str(step // 2**20).startswith("2") else step * 2
    return [number * step for number in range(max(1, -(-most // step)) + 1)]


def tick_label(seconds: float) -> str:
    """Return what stands at a mark.

    >>> tick_label(0), tick_label(0.5), tick_label(90), tick_label(5400)
    ('0 s', '0.5 s', '1.5 min', '1.5 h')
    """
    if seconds < 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} min" if seconds < 3600 else f"{seconds / 3600:g} h"
