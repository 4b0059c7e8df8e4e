"""The rows of an output as complete histories, some symbols at a time, in the order of symbol and date.

Row groups may begin inside of a symbol: the last symbol of those that are read waits for the next ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli.compute.arrays import Column, from_numpy, text_array, to_numpy
from weekly_cli.compute.bars import Ints, run_starts
from weekly_cli.dataset.dates import as_date, session_days
from weekly_cli.dataset.schema import as_text, is_text, plain_symbols, plain_type
from weekly_cli.errors import InputRefused
from weekly_cli.questions.built import Built

#: What is read at once: a quarter of a million rows of 60 columns. Keys in numpy take several times their own bytes.
#: Where rows have the input's order, each block takes a pass over the output, so blocks are larger.
_BLOCK_BYTES, _MOST_ROWS = 128 * 2**20, 2**18
_VALUE_BYTES = 8
_COLUMNS_AT_ONCE = 8
_SCATTERED = 8


@dataclass(frozen=True)
class Histories:
    """All rows of some consecutive symbols.

    Attributes
    ----------
    symbols : pa.Array
        Each once, ascending: text as large_string.
    codes, days : int64[rows]
        The position of each row's symbol, and its session in days since 1970-01-01; ascending by both, each pair once.
    table : pa.Table
        The columns that were asked for.
    """

    symbols: pa.Array
    codes: Ints
    days: Ints
    table: pa.Table

    def cut(self, n_symbols: int) -> tuple[Histories, Histories]:
        """Return the histories of the first symbols, and those of the others."""
        row = int(np.searchsorted(self.codes, n_symbols))
        before = Histories(
            self.symbols.slice(0, n_symbols), self.codes[:row], self.days[:row], self.table.slice(0, row)
        )
        after = Histories(
            self.symbols.slice(n_symbols), self.codes[row:] - n_symbols, self.days[row:], self.table.slice(row)
        )
        return before, after


def histories(built: Built, columns: Sequence[str], symbols: Sequence[str] | None = None) -> Iterator[Histories]:
    """Yield the histories of all symbols, or of some, with these columns; memory does not grow with the output.

    Raises
    ------
    InputRefused
        If the rows are not in the order of symbol and date, or one repeats a symbol's date.
    """
    most_rows = min(_MOST_ROWS, _BLOCK_BYTES // (_VALUE_BYTES * (len(columns) + 2)))
    held: list[pa.Table] = []
    order = _Order(built)
    read = list(dict.fromkeys([*order.keys, *columns]))
    if built.config.order == "input":
        for tables in _gathered(built, read, symbols, most_rows * _SCATTERED):
            yield order.checked(order.sorted(tables), columns)
        return
    for table in built.row_groups(read, symbols):
        if held and sum(map(len, held)) + len(table) > most_rows:
            rows = pa.concat_tables(held)
            block = order.checked(rows, columns)
            whole, waiting = block.cut(len(block.symbols) - 1)
            held = [rows.slice(len(whole.days))] if len(waiting.days) else []
            if len(whole.symbols):
                order.last = whole.symbols[-1], int(whole.days[-1])
                yield whole
        held.append(table)
    if held:
        block = order.checked(pa.concat_tables(held), columns)
        if len(block.symbols):
            yield block


def newest_columns(built: Built, columns: Sequence[str], symbols: Sequence[str] | None = None) -> pa.Table:
    """Return columns of the newest row of each symbol, or of some, for rows in the order that `histories` checks.

    A few columns of a row group are in memory at once: all of them, for a row of each symbol, would be the most of it.
    """
    if built.config.order == "input":
        blocks = histories(built, columns, symbols)
        newest = [rows.table.take(from_numpy(newest_rows(rows.codes, len(rows.symbols)))) for rows in blocks]
        return pa.concat_tables([_no_rows(built, columns), *newest])
    name = built.roles["symbol"]
    found: list[tuple[pa.Array, pa.Table]] = []
    for read in built.readers(symbols):
        texts, lengths = _runs(read([name]).column(name))
        chosen = np.arange(len(texts)) if symbols is None else _positions_of(texts, symbols)
        if not len(chosen):
            continue
        texts, rows = texts.take(from_numpy(chosen)), from_numpy((np.cumsum(lengths) - 1)[chosen])
        if found and found[-1][0][-1].equals(texts[0]):
            found[-1] = found[-1][0], found[-1][1][:-1]  # that symbol goes on here
        few = [columns[at : at + _COLUMNS_AT_ONCE] for at in range(0, len(columns), _COLUMNS_AT_ONCE)]
        taken = [column for names in few for column in read(names).select(names).take(rows).columns]
        found.append((texts, pa.table(taken, names=list(columns))))
    if found:
        return pa.concat_tables([table for _, table in found])
    return _no_rows(built, columns)


def _no_rows(built: Built, columns: Sequence[str]) -> pa.Table:
    return pa.schema([built.schema.field(column) for column in columns]).empty_table()


def _positions_of(symbols: pa.Array, wanted: Sequence[str]) -> Ints:
    is_wanted = pc.is_in(symbols.cast(pa.string()), text_array(list(wanted)))
    return np.flatnonzero(to_numpy(is_wanted.cast(pa.int8()))).astype(np.int64)


def _gathered(
    built: Built, columns: Sequence[str], symbols: Sequence[str] | None, most_rows: int
) -> Iterator[list[pa.Table]]:
    """Yield the rows of some symbols after the other, each from one pass over the output."""
    wanted = built.symbols if symbols is None else [symbol for symbol in built.symbols if symbol in symbols]
    passes = -(-built.n_rows * len(wanted) // (most_rows * max(1, len(built.symbols))))
    for part in np.array_split(np.array(wanted, object), passes) if len(wanted) else ():
        yield list(built.row_groups(columns, part.tolist()))


def newest_rows(codes: Ints, n_symbols: int) -> Ints:
    """Return the position of each symbol's newest row, for the codes of `Histories`."""
    return np.searchsorted(codes, np.arange(1, n_symbols + 1)) - 1


class _Order:
    """Checks that rows ascend by symbol and date, from one block to the next.

    `last` is the symbol and the day of the row before the block.
    """

    def __init__(self, built: Built) -> None:
        self._built = built
        self.keys = self._symbol, self._date = built.roles["symbol"], built.roles["date"]
        self.last: tuple[pa.Scalar, int] | None = None

    def sorted(self, tables: Sequence[pa.Table]) -> pa.Table:
        """Return rows in the order of symbol and date."""
        rows = pa.concat_tables(tables).unify_dictionaries()
        symbols = rows.column(self._symbol).combine_chunks()
        encoded = symbols if pa.types.is_dictionary(symbols.type) else symbols.dictionary_encode()
        rank = to_numpy(pc.rank(comparable(encoded.dictionary), sort_keys="ascending", tiebreaker="first"))
        days = session_days(rows.column(self._date), self._built.dates)[0]
        return rows.take(from_numpy(np.lexsort((days, rank[to_numpy(encoded.indices)]))))

    def checked(self, rows: pa.Table, columns: Sequence[str]) -> Histories:
        symbols, lengths = _runs(rows.column(self._symbol))
        days = session_days(rows.column(self._date), self._built.dates)[0].astype(np.int64)
        codes = np.repeat(np.arange(len(symbols)), lengths)
        if len(symbols):
            ascends = to_numpy(pc.less(symbols[:-1], symbols[1:]).cast(pa.int8())).astype(bool)
            if self.last is not None and not pc.less(self.last[0], symbols[0]).as_py():
                self._refuse(symbols[0], int(days[0]))
            if not ascends.all():
                first = int(np.flatnonzero(~ascends)[0]) + 1
                self._refuse(symbols[first], int(days[np.searchsorted(codes, first)]))
        wrong = np.flatnonzero((codes[1:] == codes[:-1]) & (days[1:] <= days[:-1]))
        if len(wrong):
            row = int(wrong[0]) + 1
            self._refuse(symbols[int(codes[row])], int(days[row]))
        return Histories(symbols, codes, days, rows.select(list(columns)))

    def _refuse(self, symbol: pa.Scalar, day: int) -> None:
        raise InputRefused(
            f"the rows of {self._built.name} do not ascend by {self._symbol} and {self._date}, as build writes them "
            f"(first that does not: {as_text(symbol)} {as_date(day)}); sort them, or build it again"
        )


def _runs(column: Column) -> tuple[pa.Array, NDArray[np.int64]]:
    """Return the symbol of each run of rows, and the rows in it."""
    symbols, lengths = [], []
    for chunk in column.chunks:
        encoded = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        indices = to_numpy(encoded.indices.cast(pa.int32()))
        starts = run_starts(indices)
        symbols.append(comparable(encoded.dictionary).take(from_numpy(indices[starts])))
        lengths.append(np.diff(starts, append=len(indices)))
    of_runs = pa.concat_arrays(symbols) if symbols else pa.array([], comparable_type(column.type))
    rows = np.concatenate([np.empty(0, np.int64), *lengths])
    if len(of_runs) < 2:
        return of_runs, rows
    begins = np.append(True, to_numpy(pc.not_equal(of_runs[1:], of_runs[:-1]).cast(pa.int8())).astype(bool))
    at = np.flatnonzero(begins)
    return of_runs.take(from_numpy(at)), np.add.reduceat(rows, at)


def comparable(symbols: pa.Array) -> pa.Array:
    """Return symbols in the one type of all texts, or of all integers."""
    return plain_symbols(symbols).cast(comparable_type(symbols.type))


def comparable_type(kind: pa.DataType) -> pa.DataType:
    """Return the type in which symbols of a type are compared."""
    if is_text(kind):
        return pa.large_string()
    return plain_type(kind) if plain_type(kind) == pa.uint64() else pa.int64()
