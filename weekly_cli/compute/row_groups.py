"""Cuts computed blocks into row groups."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from weekly_cli.compute.bars import Ints
from weekly_cli.compute.spans import Block, SpanColumn


@dataclass(frozen=True)
class RowGroup:
    """Rows from `first` to `stop`, their columns as spans of `lengths` rows; `is_requested`: a requested range."""

    first: int
    stop: int
    lengths: Ints
    columns: Iterator[SpanColumn]
    is_requested: bool


def row_groups(
    computed_blocks: Iterable[Block], most_rows: int, copyable_row_groups: Iterable[tuple[int, int]] = ()
) -> Iterator[RowGroup]:
    """Cut blocks into row groups of at most `most_rows`, between symbols unless a single symbol has more rows.

    Parameters
    ----------
    computed_blocks : iterable of Block
        In row order, without gaps.
    most_rows : int
    copyable_row_groups : iterable of (first, stop)
        Ascending ranges of rows that each become one row group, regardless of their size.
    """
    waiting = deque(copyable_row_groups)
    held: list[Block] = []
    begin = 0
    for block in computed_blocks:
        held.append(block)
        while begin < block.stop:
            if waiting and waiting[0][0] == begin:
                if waiting[0][1] > block.stop:
                    break
                first, begin = waiting.popleft()
                yield _row_group_of(held, first, begin, is_requested=True)
            else:
                stop = min(block.stop, waiting[0][0]) if waiting else block.stop
                for first, end in _between_symbols(block.symbol_starts, begin, stop, most_rows):
                    yield _row_group_of([block], first, end, is_requested=False)
                begin = stop
        held = [one for one in held if one.stop > begin]


def _row_group_of(parts: Sequence[Block], first: int, stop: int, *, is_requested: bool) -> RowGroup:
    spans = [
        block.spans(max(first, block.first), min(stop, block.stop))
        for block in parts
        if block.first < stop and block.stop > first
    ]
    lengths = np.concatenate([lengths for lengths, _ in spans])
    columns = (
        spans[0][1]
        if len(spans) == 1
        else map(_one_column, zip(*(span_columns for _, span_columns in spans), strict=True))
    )
    return RowGroup(first, stop, lengths, columns, is_requested)


def _one_column(parts: Sequence[SpanColumn]) -> SpanColumn:
    missing = None
    if any(part.missing is not None for part in parts):
        masks = (np.zeros(len(part.values), bool) if part.missing is None else part.missing for part in parts)
        missing = np.concatenate(list(masks))
    values = np.concatenate([part.values for part in parts])
    own = [part.lengths for part in parts if part.lengths is not None]
    lengths = np.concatenate(own) if own else None
    return SpanColumn(parts[0].name, parts[0].kind, values, missing, parts[0].of_rows, lengths)


def _between_symbols(symbol_starts: Ints, first: int, stop: int, most_rows: int) -> Iterator[tuple[int, int]]:
    """Cut the rows from `first` to `stop` between symbols, and inside of symbols with more than `most_rows` rows."""
    inside = symbol_starts[(symbol_starts > first) & (symbol_starts < stop)]
    bounds: Sequence[int] = [*dict.fromkeys(inside.tolist()), stop]
    begin = first
    for bound, following in zip(bounds, [*bounds[1:], None], strict=True):
        while bound - begin > most_rows:
            yield begin, begin + most_rows
            begin += most_rows
        if begin < bound and (following is None or following - begin > most_rows):
            yield begin, bound
            begin = bound
