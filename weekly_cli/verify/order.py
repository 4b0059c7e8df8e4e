"""Whether the rows of a table have the input's order: its keys, one after the other, are among the input's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset import source
from weekly_cli.dataset.footers import Footers
from weekly_cli.verify.proof import Check
from weekly_cli.verify.rows import Sides

_CHUNK_ROWS = 1024 * 1024
#: What is compared at once begins with this many keys and doubles for as long as they are the same.
_FEW = 64
_DAYS = 2**32  # a key is a symbol's number times this, and the day


def check_input_order(check: Check, sides: Sides, threads: int) -> None:
    """Find the first row of the table that is not after its predecessor in the input.

    Of the input's rows with one key, all but one of which `--on-duplicates` and `--on-intraday` take out, any may be
    the table's.
    """
    following = _keys(sides.scan.footers, sides, threads)
    wanted, place = np.empty(0, np.int64), 0
    for keys in _keys(sides.table, sides, threads):
        row, step = 0, _FEW
        while row < len(keys):
            if place == len(wanted):
                more = next(following, None)
                if more is None:
                    _report(check, sides, int(keys[row]))
                    return
                wanted, place = more, 0
                continue
            n = min(step, len(wanted) - place, len(keys) - row)
            differing = np.flatnonzero(wanted[place : place + n] != keys[row : row + n])
            n_same = int(differing[0]) if len(differing) else n
            row, place = row + n_same, place + n_same
            step = 2 * step
            if n_same < n:
                place, step = _found(wanted, place, keys[row]), _FEW


def _found(keys: Ints, first: int, key: np.int64) -> int:
    """Return the place of a key, from the place `first` on; the end if it is not there."""
    step = _FEW
    while first < len(keys):
        found = np.flatnonzero(keys[first : first + step] == key)
        if len(found):
            return first + int(found[0])
        first, step = first + step, 2 * step
    return len(keys)


def _report(check: Check, sides: Sides, key: int) -> None:
    code, day = divmod(key + _DAYS // 2, _DAYS)
    row = sides.named(int(sides.selected[code]), day - _DAYS // 2)
    check.findings.append(f"rows are not in the input's order: {row} comes too late")


def _keys(footers: Footers, sides: Sides, threads: int) -> Iterator[Ints]:
    """Yield the keys of rows of the wanted symbols and dates, in the order of the rows."""
    symbols = sides.scan.symbols.take(from_numpy(sides.selected))
    columns = footers.schema.key_columns
    for chunk in source.chunks_ahead(footers.pieces, footers.schema, symbols, _CHUNK_ROWS, threads, columns):
        inside = sides.window(chunk.days.astype(np.int64))
        yield chunk.codes[inside].astype(np.int64) * _DAYS + chunk.days[inside]
