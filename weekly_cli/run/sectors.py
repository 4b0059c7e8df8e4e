"""The sector map that columns of the input tell: one value a symbol, which all its rows share.

A value that changes is refused. Rows before the change would be compared with a sector that only later rows tell, and
a history of sectors has no one benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy, text_array, to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset import source
from weekly_cli.dataset.dates import as_date
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import as_text
from weekly_cli.dataset.selection import pieces_of
from weekly_cli.dataset.source import Chunk
from weekly_cli.errors import InputRefused
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config


def with_sectors(
    wanted: Wanted, config: Config, scan: Scan, selected: Ints, threads: int, most_rows: int = source.BATCH_ROWS
) -> Wanted:
    """Return what is wanted with the sector map that the input's columns tell, if they do and anything is compared.

    Parameters
    ----------
    wanted : Wanted
    config : Config
    scan : Scan
    selected : int64[symbols]
        The positions of the symbols that the map is for.
    threads : int
    most_rows : int
        How many rows may be decoded at a time.

    Raises
    ------
    InputRefused
        If a symbol has two values.
    """
    if not (config.sector_columns and wanted.compares):
        return wanted
    footers = scan.footers
    symbols = scan.symbols.take(from_numpy(selected))
    pieces = pieces_of(scan, selected) if len(selected) else ()
    columns = list(dict.fromkeys([*footers.schema.key_columns, *config.sector_columns.values()]))

    def chunks() -> Iterator[Chunk]:
        return source.chunks_ahead(pieces, footers.schema, symbols, max(1, most_rows // threads), threads, columns)

    return replace(wanted, sector_map=sectors_of(chunks, symbols, config, config.where))


def sectors_of(chunks: Callable[[], Iterable[Chunk]], symbols: pa.Array, config: Config, where: str) -> pa.Table:
    """Return the sector map of `symbols` that columns of rows tell, as `values_of_symbols` does."""
    columns = config.sector_columns
    settings = {name: f"{config.named('sector_map')} @{column}" for name, column in columns.items()}
    return values_of_symbols(chunks, symbols, columns, settings, where)


def values_of_symbols(
    chunks: Callable[[], Iterable[Chunk]],
    symbols: pa.Array,
    columns: Mapping[str, str],
    settings: Mapping[str, str],
    where: str,
) -> pa.Table:
    """Return the one value that each symbol has in some columns, as text; memory grows with symbols, and not with rows.

    Parameters
    ----------
    chunks : callable
        Returns rows with these columns; it is called again to tell of a refusal.
    symbols : pa.Array
        Each once, as the codes of the rows count them.
    columns : mapping of name to column
        By the names that they have in the result, beside `symbol`.
    settings : mapping of name to text
        What asked for each, in messages.
    where : str
        The rows in messages.

    Raises
    ------
    InputRefused
        If a symbol has two values.
    """
    values = {name: _Values(len(symbols)) for name in columns}
    for chunk in chunks():
        for name, column in columns.items():
            code = values[name].add(chunk.codes, chunk.table.column(column))
            if code is not None:
                raise InputRefused(_sentence(chunks(), code, as_text(symbols[code]), column, settings[name], where))
    texts = {name: one.texts() for name, one in values.items()}
    return pa.table({"symbol": symbols.cast(pa.string()), **texts})


class _Values:
    """The one value of each symbol in a column."""

    def __init__(self, n_symbols: int) -> None:
        self._numbers: dict[str, int] = {}
        self._of_symbol = np.full(n_symbols, -1)

    def add(self, codes: NDArray[np.integer], column: pa.ChunkedArray) -> int | None:
        """Add rows; return the code of a symbol that has another value than before, if there is one."""
        numbers = numbered(column, self._numbers)
        has_value = numbers >= 0
        codes, numbers = codes[has_value], numbers[has_value]
        is_new = self._of_symbol[codes] < 0
        self._of_symbol[codes[is_new]] = numbers[is_new]
        others = codes[self._of_symbol[codes] != numbers]
        return int(others.min()) if len(others) else None

    def texts(self) -> pa.Array:
        """Return the value of each symbol, null where it has none."""
        known = text_array(list(self._numbers)).cast(pa.string())
        return known.take(from_numpy(self._of_symbol, known=self._of_symbol >= 0))


def numbered(column: pa.ChunkedArray, numbers: dict[str, int]) -> Ints:
    """Return the number of each row's value as text, -1 for null; new values get the next numbers."""
    parts = [np.empty(0, np.int64)]
    for chunk in column.chunks:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        texts = encoded.dictionary.cast(pa.string()).to_pylist()
        used = np.unique(to_numpy(encoded.indices, -1))  # a dictionary may have values that no row has
        of_entry = np.full(len(texts) + 1, -1)
        for entry in used[used >= 0].tolist():
            if texts[entry] is not None:
                of_entry[entry] = numbers.setdefault(texts[entry], len(numbers))
        parts.append(of_entry[to_numpy(encoded.indices, -1)])
    return np.concatenate(parts)


def _sentence(chunks: Iterable[Chunk], code: int, symbol: str, column: str, setting: str, where: str) -> str:
    """Return a sentence that tells a symbol's first two values, by date, and since when it has the second one."""
    numbers: dict[str, int] = {}
    first_days: dict[int, int] = {}
    for chunk in chunks:
        rows = np.flatnonzero(chunk.codes == code)
        if len(rows):
            values = numbered(chunk.table.column(column).take(from_numpy(rows)), numbers)
            for number in np.unique(values[values >= 0]).tolist():
                day = int(chunk.days[rows[values == number]].min())
                first_days[number] = min(day, first_days.get(number, day))
    texts = list(numbers)
    (_, one), (day, other) = sorted((day, number) for number, day in first_days.items())[:2]
    return (
        f"{setting}: {symbol} has {texts[one]!r} in {where}, and {texts[other]!r} from "
        f"{as_date(day)} on; a symbol has one value, as a later one would look ahead: make the column constant, or "
        "give a file of symbol and sector"
    )
