"""The symbols that a run processes, and where their rows are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from weekly_cli.compute.arrays import text_array
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.each import Each
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.scan import Presence, Scan, scan
from weekly_cli.dataset.schema import is_text, plain_type, symbol_codes
from weekly_cli.dataset.source import Piece
from weekly_cli.dataset.statistics import TextRanges
from weekly_cli.errors import InputRefused
from weekly_cli.names import did_you_mean
from weekly_cli.settings import Config


def scan_selected(footers: Footers, config: Config, each: Each, on_rows: Callable[[int], None]) -> Scan:
    """Read the keys of the pieces that may have rows of the symbols that are asked for, as far as footers tell."""
    numbers = _pieces_in_question(footers, config)
    found = scan(footers, config, each, on_rows, numbers)
    if numbers is None or all(_position(found.symbols, symbol) >= 0 for symbol in _asked_for(config)):
        return found
    return scan(footers, config, each, on_rows)  # which tells what symbols there are


def _asked_for(config: Config) -> tuple[str, ...]:
    return (*(config.symbols or ()), *config.benchmark)


def _pieces_in_question(footers: Footers, config: Config) -> list[int] | None:
    """Return the numbers of the pieces; None: all of them.

    The last date of all rows tells which weeks are over, sectors may name any symbol, and a cross section takes all.
    """
    symbol, kind = footers.schema.roles["symbol"], plain_type(footers.schema.symbol_type)
    takes_all = config.rows == "weekly" or config.label or config.sector_map is not None or config.cross_section
    if config.symbols is None or takes_all or symbol in footers.schema.derived or not is_text(kind):
        return None
    wanted = [name.encode(errors="surrogateescape") for name in _asked_for(config)]

    def is_in_question(piece: Piece, ranges: TextRanges) -> bool:
        keys = dict(piece.keys)
        if symbol in keys:
            return keys[symbol] in _asked_for(config)
        least, most = ranges.get(symbol, (b"", None))
        return any(least <= name and (most is None or name <= most) for name in wanted)

    pairs = zip(footers.pieces, footers.text_ranges, strict=True)
    return [number for number, (piece, ranges) in enumerate(pairs) if is_in_question(piece, ranges)]


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
    position = _position(symbols, symbol)
    if position < 0:
        hint = did_you_mean(symbol, map(str, symbols.to_pylist()))
        raise InputRefused(f"{setting} {symbol}: {where} has no such symbol{hint}")
    return position


def _position(symbols: pa.Array, symbol: str) -> int:
    try:
        return int(symbol_codes(text_array([symbol]).cast(symbols.type), symbols)[0])
    except pa.ArrowInvalid:  # text that is not a number, but the symbols are integers
        return -1


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
