"""Converts ragged bars to panels and back.

Symbols are side by side in a panel, so a group of symbols with histories of similar length wastes little space.
A group is a contiguous range of symbols whose panel has at most `MAX_CELLS` cells.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from weekly_cli.compute.bars import Floats, Ints

#: Cells of one panel: 64Ki float64 values are half a MiB, so that a kernel's operands stay in a core's L2 cache.
MAX_CELLS = 64 * 1024


def symbol_groups(bars_per_symbol: Ints, max_cells: int = MAX_CELLS) -> Iterator[tuple[int, int]]:
    """Yield contiguous ranges (first, last + 1) of symbols whose panels have at most `max_cells` cells.

    A symbol with more bars than that is a separate group.

    >>> list(symbol_groups(np.array([5, 5, 5, 40, 1, 1]), max_cells=10))
    [(0, 2), (2, 3), (3, 4), (4, 6)]
    """
    first, longest = 0, 0
    for position, bars in enumerate(bars_per_symbol.tolist()):
        grown = max(longest, bars)
        if position > first and grown * (position - first + 1) > max_cells:
            yield first, position
            first, grown = position, bars
        longest = grown
    if len(bars_per_symbol):
        yield first, len(bars_per_symbol)


class PanelShape:
    """How the ragged bars of a group of symbols map to a panel of shape [longest history, symbols]."""

    def __init__(self, bars_per_symbol: Ints) -> None:
        symbols = len(bars_per_symbol)
        longest = int(bars_per_symbol.max(initial=0))
        first_bar = np.cumsum(bars_per_symbol) - bars_per_symbol
        self.shape = (longest, symbols)
        #: k of every ragged bar
        self.bar_number = np.arange(int(bars_per_symbol.sum())) - np.repeat(first_bar, bars_per_symbol)
        #: cell of every ragged bar
        self.cells = self.bar_number * symbols + np.repeat(np.arange(symbols), bars_per_symbol)

    def panel(self, ragged: NDArray[np.generic]) -> Floats:
        """Return the panel of `ragged` [all bars], NaN below each symbol's last bar."""
        out = np.full(self.shape, np.nan)
        out.ravel()[self.cells] = ragged
        return out

    def ragged(self, panel: Floats) -> Floats:
        """Return the bars of `panel`, symbol by symbol: the inverse of `panel`."""
        return panel.ravel()[self.cells]
