"""What repeated rows are, from some of the symbols that have any: the same row again, two series, several moments."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.dataset import source
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.selection import pieces_of
from weekly_cli.inspection.rows import RowFacts
from weekly_cli.run.repeats import NO_REPEATS, Repeats, facts_of, find_repeated
from weekly_cli.run.rows import sort_order

_N_SYMBOLS = 8
#: Rows of these symbols that are held; the first ones are enough.
_MOST_ROWS = source.BATCH_ROWS


def sampled_repeats(scan: Scan, facts: RowFacts, threads: int) -> Repeats:
    """Return the facts about the repeated rows of the symbols that have the most.

    Raises
    ------
    InputRefused
        If a file can't be decoded.
    """
    counts = facts.repeated_by_symbol
    if counts is None or not counts.any():
        return NO_REPEATS
    most = np.argsort(-counts, kind="stable")[:_N_SYMBOLS]
    numbers = np.sort(most[counts[most] > 0])
    chunks = _first_chunks(scan, numbers, threads)
    codes, days = (
        np.concatenate([getattr(chunk, name) for chunk in chunks]).astype(np.int64) for name in ("codes", "days")
    )
    table = pa.concat_tables([chunk.table for chunk in chunks]).unify_dictionaries()
    order = sort_order(codes, days)
    if order is not None:
        codes, days, table = codes[order], days[order], table.take(from_numpy(order))
    schema = scan.footers.schema
    repeated = find_repeated(codes, days, table.column(schema.roles["date"]), schema.dates)
    return NO_REPEATS if repeated is None else facts_of(repeated, numbers[codes], days, table, schema.roles["date"])


def _first_chunks(scan: Scan, numbers: np.ndarray[tuple[int], np.dtype[np.int64]], threads: int) -> list[source.Chunk]:
    symbols = scan.symbols.take(from_numpy(numbers))
    chunks, rows = [], 0
    for chunk in source.chunks_ahead(
        pieces_of(scan, numbers), scan.footers.schema, symbols, source.BATCH_ROWS, threads
    ):
        chunks.append(chunk)
        rows += len(chunk.codes)
        if rows >= _MOST_ROWS:
            break
    return chunks
