"""The symbols that a run processes, and where their rows are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import text_array
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.scan import Presence, Scan
from weekly_cli.dataset.schema import symbol_codes
from weekly_cli.dataset.source import Piece
from weekly_cli.errors import InputRefused
from weekly_cli.names import did_you_mean
from weekly_cli.settings import Config


def select_symbols(scan: Scan, config: Config) -> Ints:
    """Return the positions of the symbols that `--symbols` and `--max-symbols` select.

    Raises
    ------
    InputRefused
        If a requested symbol is not in the input.
    """
    selected = np.arange(len(scan.symbols))
    if config.symbols is not None:
        named, where = config.named("symbols"), scan.footers.where
        positions = [find_symbol(scan.symbols, symbol, named, where) for symbol in config.symbols]
        selected = np.unique(np.array(positions, np.int64))
    return selected[: config.max_symbols]


def find_symbol(symbols: pa.Array, symbol: str, setting: str, where: str) -> int:
    """Return the position of `symbol` among the input's; errors name `setting`, which requested it, and `where`.

    Raises
    ------
    InputRefused
        If it is not in the input.
    """
    try:
        position = int(symbol_codes(text_array([symbol]).cast(symbols.type), symbols)[0])
    except pa.ArrowInvalid:  # text that is not a number, but the symbols are integers
        position = -1
    if position < 0:
        hint = did_you_mean(symbol, map(str, symbols.to_pylist()))
        raise InputRefused(f"{setting} {symbol}: {where} has no such symbol{hint}")
    return position


def pieces_with(scan: Scan, presence: Presence, wanted: Ints) -> tuple[Piece, ...]:
    """Return the pieces of the input that contain `wanted` symbols, each no longer than needed."""
    if wanted[-1] - wanted[0] == len(wanted) - 1:
        bounds = np.searchsorted(presence.codes, [wanted[0], wanted[-1] + 1])
        entries = np.arange(bounds[0], bounds[1])
    else:
        entries = np.flatnonzero(np.isin(presence.codes, wanted))
    spans: dict[int, tuple[int, int]] = {}
    columns = (presence.pieces[entries], presence.first[entries], presence.stop[entries])
    for number, first, stop in zip(*(column.tolist() for column in columns), strict=True):
        known = spans.get(number, (first, stop))
        spans[number] = min(known[0], first), max(known[1], stop)
    return tuple(
        replace(scan.footers.pieces[number], start=first, stop=stop) for number, (first, stop) in sorted(spans.items())
    )


def pieces_of(scan: Scan, wanted: Ints) -> tuple[Piece, ...]:
    """Return the pieces of the input that may contain rows of `wanted` symbols."""
    return scan.footers.pieces if scan.presence is None else pieces_with(scan, scan.presence, wanted)
