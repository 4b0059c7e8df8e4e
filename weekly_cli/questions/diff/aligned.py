"""Two outputs side by side: the histories of the same symbols, one block after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute.arrays import to_numpy
from weekly_cli.questions.histories import Histories


def aligned(a: Iterator[Histories], b: Iterator[Histories]) -> Iterator[tuple[Histories, Histories]]:
    """Yield the histories of the same range of symbols from both, in order; each symbol of either comes once.

    Both must be sorted alike, and have symbols of one type.
    """
    held = [next(a, None), next(b, None)]
    sources = (a, b)
    while held[0] is not None and held[1] is not None:
        bound = min((one.symbols[-1] for one in held if one is not None), key=_Ordered)
        cut = [one.cut(_until(one.symbols, bound)) for one in held if one is not None]
        yield cut[0][0], cut[1][0]
        held = [
            rest if len(rest.symbols) else next(source, None) for (_, rest), source in zip(cut, sources, strict=True)
        ]
    for side in (0, 1):
        rest = held[side]
        while rest is not None:
            nothing = rest.cut(0)[0]
            yield (rest, nothing) if side == 0 else (nothing, rest)
            rest = next(sources[side], None)


class _Ordered:
    """A symbol in the order of the output: Arrow's, by which text is compared by its bytes."""

    def __init__(self, symbol: pa.Scalar) -> None:
        self.symbol = symbol

    def __lt__(self, other: _Ordered) -> bool:
        return bool(pc.less(self.symbol, other.symbol).as_py())


def _until(symbols: pa.Array, last: pa.Scalar) -> int:
    """Return how many of the ascending symbols are not after one."""
    return int(np.count_nonzero(to_numpy(pc.less_equal(symbols, last).cast(pa.int8()))))
