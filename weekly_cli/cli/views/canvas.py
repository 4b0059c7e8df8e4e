"""A canvas of characters: lines are drawn as dots of braille signs, eight to a character, or as one plain sign each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

#: The bits of a braille sign's dots by row and column, and the sign without dots.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_NO_DOTS = 0x2800

Cells = Sequence[tuple[str, int | None]]


@dataclass
class Canvas:
    """Characters on which lines are drawn, a later one over an earlier one.

    Attributes
    ----------
    columns, rows : int
        Of characters.
    signs : sequence of str or None
        The sign of each line, by its number; None where a line is made of dots.
    """

    columns: int
    rows: int
    signs: Sequence[str | None]
    _dots: dict[tuple[int, int], int] = field(default_factory=dict)
    _owners: dict[tuple[int, int], int] = field(default_factory=dict)

    def draw(self, line: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Draw a line through points, interrupted where `y` is NaN.

        Parameters
        ----------
        line : int
            Its number.
        x, y : float64[points]
            From 0, left and below, to 1, right and above.
        """
        across, down = (2, 4) if self.signs[line] is None else (1, 1)
        pixel_x = np.rint(x * (self.columns * across - 1)).astype(np.int64)
        pixel_y = np.where(np.isnan(y), -1, np.rint((1 - y) * (self.rows * down - 1))).astype(np.int64)
        before: tuple[int, int] | None = None
        for point in dict.fromkeys(_runs(pixel_x.tolist(), pixel_y.tolist())):
            here = None if point[1] < 0 else (point[0], point[1])
            if here is not None:
                for dot_x, dot_y in _between(before or here, here):
                    self._set(line, dot_x // across, dot_y // down, _BITS[dot_y % down][dot_x % across])
            before = here

    def _set(self, line: int, column: int, row: int, bit: int) -> None:
        cell = row, column
        of_dots = self.signs[line] is None
        others = self._owners.get(cell)
        keeps = of_dots and others is not None and self.signs[others] is None
        self._dots[cell] = bit | (self._dots[cell] if keeps else 0)
        self._owners[cell] = line

    def line(self, row: int) -> Cells:
        """Return the characters of a row, each with the number of the line that is drawn there."""
        return [self._cell(row, column) for column in range(self.columns)]

    def _cell(self, row: int, column: int) -> tuple[str, int | None]:
        owner = self._owners.get((row, column))
        if owner is None:
            return " ", None
        return self.signs[owner] or chr(_NO_DOTS + self._dots[row, column]), owner


def _runs(x: Sequence[int], y: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield points with a number that differs for equal points that do not follow each other."""
    number, before = 0, None
    for point in zip(x, y, strict=True):
        if point != before:
            number, before = number + 1, point
        yield (*point, number)


def _between(start: tuple[int, int], stop: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Yield the dots of a straight line."""
    count = max(abs(stop[0] - start[0]), abs(stop[1] - start[1]))
    for step in range(count + 1):
        share = step / count if count else 0.0
        yield round(start[0] + share * (stop[0] - start[0])), round(start[1] + share * (stop[1] - start[1]))
