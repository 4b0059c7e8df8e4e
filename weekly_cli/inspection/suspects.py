"""What a build would find among the prices, without a build: some symbols at a time, in memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Floats, Ints, bars_of, columns_as_used, quality_of
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.suspects import Suspects, Suspicion, find_suspects
from weekly_cli.compute.treatment import Treatment, treated
from weekly_cli.dataset import source
from weekly_cli.dataset.roles import adjusted_column
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import prices
from weekly_cli.dataset.selection import pieces_of
from weekly_cli.run.clocks import weekly_clock
from weekly_cli.run.rows import sort_order
from weekly_cli.settings import Config

#: Rows in memory at a time; 100 bytes each, and as much again while they are sorted.
_MOST_ROWS = 4 * 2**20
#: Rows in date order are read again for every so many symbols.
_MOST_PASSES = 4


def search_prices(scan: Scan, config: Config) -> tuple[Suspects, int]:
    """Return what is suspicious, by symbols' positions in the scan, and among how many symbols it was searched.

    Rows in date order are read again for each batch of symbols. Where these would be too many, as many symbols as a few
    batches hold are searched, from everywhere among all.

    Raises
    ------
    InputRefused
        If a file can't be decoded.
    """
    searched = np.arange(len(scan.symbols))
    n_batches = len(list(_batches(scan.rows_per_symbol)))
    if scan.presence is None and n_batches > _MOST_PASSES:
        searched = searched[:: -(-n_batches // _MOST_PASSES)]
    total: dict[str, Suspicion] = {}
    for batch in _batches(scan.rows_per_symbol[searched]):
        numbers = searched[batch]
        for code, suspicion in _suspects_of(scan, config, numbers).items():
            total[code] = total.get(code, Suspicion(0)) + suspicion.named(numbers)
    return total, len(searched)


def _batches(rows_per_symbol: Ints) -> Iterator[Ints]:
    begin, rows = 0, 0
    for number, count in enumerate(rows_per_symbol.tolist()):
        if number > begin and rows + count > _MOST_ROWS:
            yield np.arange(begin, number)
            begin, rows = number, 0
        rows += count
    if len(rows_per_symbol):
        yield np.arange(begin, len(rows_per_symbol))


def _suspects_of(scan: Scan, config: Config, numbers: Ints) -> Suspects:
    schema = scan.footers.schema
    roles = {role: name for role, name in schema.roles.items() if role not in ("symbol", "date")}
    beside = adjusted_column(scan.footers.schema, config)
    names = list(dict.fromkeys(name for name in (*roles.values(), config.price, beside) if name is not None))
    codes, days, columns = _sorted_columns(scan, numbers, names)
    raw = {role: columns[name] for role, name in roles.items()}
    adjusted = None if config.price is None else columns[config.price]
    treatment = Treatment(config.negative_prices, config.drop_padding, config.adjust_volume)
    raw, adjusted, _ = treated(codes, raw, adjusted, treatment)
    used = columns_as_used(raw, adjusted)
    bars = bars_of(codes, days, used, SymbolClocks((weekly_clock(config, scan),)))
    return find_suspects(
        (codes, days), raw, adjusted, (bars, quality_of(used)), None if beside is None else columns[beside]
    )


def _sorted_columns(scan: Scan, numbers: Ints, names: list[str]) -> tuple[Ints, Ints, dict[str, Floats]]:
    """Return codes, days and columns of prices of some symbols, each (code, day) once."""
    schema, symbols = scan.footers.schema, scan.symbols.take(from_numpy(numbers))
    read = list(dict.fromkeys([*schema.key_columns, *names]))
    codes_of, days_of = [np.empty(0, np.int32)], [np.empty(0, np.int32)]
    parts = {name: [np.empty(0)] for name in names}
    for chunk in source.chunks(pieces_of(scan, numbers), schema, symbols, read, use_threads=True):
        codes_of.append(chunk.codes)
        days_of.append(chunk.days)
        for name in names:
            parts[name].append(prices(chunk.table.column(name)))
    codes, days = np.concatenate(codes_of).astype(np.int64), np.concatenate(days_of).astype(np.int64)
    order = sort_order(codes, days)
    if order is not None:
        codes, days = codes[order], days[order]
    first = np.append(True, (codes[1:] != codes[:-1]) | (days[1:] != days[:-1]))[: len(codes)]
    rows = (np.arange(len(codes)) if order is None else order)[first]
    is_all = order is None and first.all()
    columns = {}
    for name in names:
        column = np.concatenate(parts.pop(name))
        columns[name] = column if is_all else column[rows]
    return codes[first], days[first], columns
