"""The completeness check: the table has every input row once, in order, with equal input columns and unchanged bytes.

Each side is read once, in batches, into a count and a sum of row hashes per symbol. Sums do not depend on the order of
rows, and differ if a row is missing, doubled or changed. Only symbols whose sums differ are read again, to find the
first row that differs.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset import source
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import DatasetSchema, as_date, as_text, day_of, session_days, symbol_codes
from weekly_cli.dataset.selection import pieces_of
from weekly_cli.files import parquet, target
from weekly_cli.files.pages import check_pages
from weekly_cli.run.rows import sort_order
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config
from weekly_cli.verify import hashes
from weekly_cli.verify.proof import MOST_TOLD, Check, Refuted, of_the_table

_BATCH_ROWS = 256 * 1024
#: Rows of symbols that are compared row by row at a time.
_COMPARED_ROWS = 1024 * 1024


@dataclass
class Rows:
    """Rows of some symbols: their codes, days and columns."""

    codes: Ints
    days: Ints
    table: pa.Table

    def __len__(self) -> int:
        return len(self.codes)

    def where(self, keep: NDArray[np.bool_]) -> Rows:
        """Return the rows for which `keep` is true."""
        return Rows(self.codes[keep], self.days[keep], self.table.filter(pa.array(keep)))

    def in_order(self) -> Rows:
        """Return the rows in a stable sort by (code, day)."""
        order = sort_order(self.codes, self.days) if len(self) else None
        if order is None:
            return self
        return Rows(self.codes[order], self.days[order], self.table.take(from_numpy(order)))

    def once(self, on_duplicates: str) -> Rows:
        """Return sorted rows with each (code, day) once, selected as `--on-duplicates` does."""
        again = (np.diff(self.codes) == 0) & (np.diff(self.days) == 0)
        if on_duplicates == "error" or not again.any():
            return self
        keep = np.ones(len(self), bool)
        keep[slice(1, None) if on_duplicates == "first" else slice(None, -1)] = ~again
        return self.where(keep)


@dataclass(frozen=True)
class Sides:
    """The input and the table that is supposed to be built from it.

    Attributes
    ----------
    selected : int64[symbols that the table should have]
        Their positions among the scan's symbols.
    own : tuple of str
        The input columns that are compared, without the symbol column.
    ours : bool
        Whether the table's metadata says that this tool wrote it.
    """

    config: Config
    wanted: Wanted
    found: Scan
    table: Footers
    selected: Ints
    own: tuple[str, ...]
    ours: bool

    def window(self, days: Ints) -> NDArray[np.bool_]:
        """Tell which days are within the settings' date range."""
        keep = np.ones(len(days), bool)
        if self.config.start is not None:
            keep &= days >= day_of(self.config.start)
        if self.config.end is not None:
            keep &= days <= day_of(self.config.end)
        return keep

    def named(self, code: int, day: int) -> str:
        """Return a row's symbol and date in words."""
        return f"{as_text(self.found.symbols[int(code)])} {as_date(day)}"


@dataclass
class Tally:
    """The contents of one side.

    Attributes
    ----------
    counts, sums : int64[symbols], uint64[symbols]
        Rows of each symbol, and the sum of their hashes.
    sample : list of Rows
        All rows of the requested symbols, in the side's order.
    strangers, disorder : str or None
        The first row without a date or with a symbol that the input lacks, and the first row that should be earlier.
    """

    counts: Ints
    sums: hashes.Hashes
    sample: list[Rows] = field(default_factory=list)
    strangers: str | None = None
    disorder: str | None = None
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None

    @property
    def rows(self) -> int:
        """Total number of rows."""
        return int(self.counts.sum())

    def sampled(self) -> Rows:
        """Return the sample as one `Rows`."""
        codes, days = (np.concatenate([getattr(rows, name) for rows in self.sample]) for name in ("codes", "days"))
        return Rows(codes, days, pa.concat_tables([rows.table for rows in self.sample]).unify_dictionaries())


# ---- bytes -----------------------------------------------------------------------------------------------


def check_bytes(check: Check, files: Sequence[Path], ours: bool) -> None:
    """Compare every page with its checksum, and every part with the checksum in its name."""
    pages = unchecked = named = 0
    for path in files:
        with of_the_table(), parquet.mapped_input(path) as data:
            name = target.PART_NAME.fullmatch(path.name)
            if name is not None and name[1] != f"{zlib.crc32(data):08x}":
                check.findings.append(f"{path}: its bytes are not those that its name tells")
            named += name is not None
            try:
                found = check_pages(data)
            except ValueError as error:
                check.findings.append(f"{path}: {error}")
                continue
            pages, unchecked = pages + found.all, unchecked + found.unchecked
    check.did = f"{pages - unchecked:,} of {pages:,} pages checked against their checksums"
    if named:
        check.did += f", {named:,} of {len(files):,} files against that of all their bytes, which their names tell"
    if unchecked == pages and not named and not ours and not check.findings:
        check.not_checked = f"none of its {pages:,} pages has a checksum"
    if unchecked and ours:
        check.findings.append(f"{unchecked:,} pages have no checksum, and this tool writes none without")


# ---- rows ------------------------------------------------------------------------------------------------


def tally(
    footers: Footers,
    sides: Sides,
    columns: Sequence[str] | None,
    sample: Ints,
    kept: Sequence[str] | None,
    threads: int,
) -> Tally:
    """Count and hash the rows of one side.

    Parameters
    ----------
    columns : sequence of str or None
        The columns to decode; None: all.
    sample : int64[symbols]
        The codes of the symbols whose rows are kept.
    kept : sequence of str or None
        The columns of these rows; None: all except the symbol.
    """
    wanted = np.zeros(len(sides.found.symbols), bool)
    wanted[sample] = True
    read = partial(_read, footers, sides, columns, wanted, kept)
    tasks = (partial(read, *run) for run in source.runs(footers.pieces, source.BATCH_ROWS))
    whole = _nothing(len(wanted))
    for part in source.in_order(tasks, threads):
        _fold(whole, part, sides)
    return whole


def _nothing(symbols: int) -> Tally:
    return Tally(np.zeros(symbols, np.int64), np.zeros(symbols, np.uint64))


def _read(
    footers: Footers,
    sides: Sides,
    columns: Sequence[str] | None,
    wanted: NDArray[np.bool_],
    kept: Sequence[str] | None,
    begin: int,
    end: int,
) -> Tally:
    symbol, date = footers.schema.key_columns
    found = _nothing(len(wanted))
    for piece, first, table in source.tables(footers.pieces[begin:end], footers.schema, columns, _BATCH_ROWS):
        codes = symbol_codes(table.column(symbol), sides.found.symbols).astype(np.int64)
        days, known = session_days(table.column(date))
        usable = codes >= 0 if known is None else (codes >= 0) & known
        rows = Rows(codes, days.astype(np.int64), table.drop_columns([symbol]))
        if not usable.all():
            row = int(np.argmin(usable))
            what = f"{as_text(table.column(symbol)[row])!r} {as_text(table.column(date)[row])}"
            found.strangers = (
                found.strangers or f"{what} in row {first + row} of row group {piece.row_group} of {piece.path}"
            )
            rows = rows.where(usable)
        if not found.sample or wanted[rows.codes].any():
            one = rows.where(wanted[rows.codes])
            found.sample.append(one if kept is None else Rows(one.codes, one.days, one.table.select(kept)))
        inside = sides.window(rows.days)
        _add(found, rows if inside.all() else rows.where(inside), sides)
    return found


def _add(found: Tally, rows: Rows, sides: Sides) -> None:
    if not len(rows):
        return
    of_rows = hashes.of_rows([rows.table.column(name) for name in sides.own], len(rows))
    found.counts += np.bincount(rows.codes, minlength=len(found.counts))
    np.add.at(found.sums, rows.codes, of_rows)
    back = (np.diff(rows.codes) < 0) | ((np.diff(rows.codes) == 0) & (np.diff(rows.days) < 0))
    if back.any() and found.disorder is None:
        row = int(np.argmax(back)) + 1
        found.disorder = sides.named(rows.codes[row], rows.days[row])
    begins, ends = ((int(rows.codes[row]), int(rows.days[row])) for row in (0, -1))
    _follows(found, begins, ends, sides)


def _follows(found: Tally, begins: tuple[int, int] | None, ends: tuple[int, int] | None, sides: Sides) -> None:
    if begins is None or ends is None:
        return
    if found.last is not None and begins < found.last and found.disorder is None:
        found.disorder = sides.named(*begins)
    found.first, found.last = found.first or begins, ends


def _fold(whole: Tally, part: Tally, sides: Sides) -> None:
    whole.counts += part.counts
    whole.sums += part.sums
    whole.sample += part.sample
    whole.strangers = whole.strangers or part.strangers
    _follows(whole, part.first, part.last, sides)
    whole.disorder = whole.disorder or part.disorder


def check_rows(check: Check, sides: Sides, of_input: Tally, of_table: Tally) -> NDArray[np.bool_]:
    """Compare the two sides' sums and return bool[symbols]: which are the same."""
    expected = np.zeros(len(of_input.counts), bool)
    expected[sides.selected] = True
    check.did = (
        f"{of_table.rows:,} rows of {np.count_nonzero(of_table.counts):,} symbols, {len(sides.own) + 1} input columns: "
        "each row of the input once, equal in value, in order"
    )
    if of_table.strangers is not None:
        check.findings.append(f"a row of the table is not of the input: {of_table.strangers}")
    if of_table.disorder is not None:
        check.findings.append(f"rows are not in the order of symbol and date: {of_table.disorder} comes too late")
    counts = np.where(expected, of_input.counts, 0)
    sums = np.where(expected, of_input.sums, np.uint64(0))
    same: NDArray[np.bool_] = (counts == of_table.counts) & (sums == of_table.sums)
    suspects = np.flatnonzero(~same)
    told: list[str] = []
    for batch in _batches(sides, suspects):
        differences = dict(_differences(sides, batch, expected))
        told += differences.values()
        same[batch] = ~np.isin(batch, list(differences))
        if sides.config.on_duplicates == "error" and told:
            same[suspects] = False
            break
    if told:
        check.findings += [f"{np.count_nonzero(~same):,} symbols differ from the input", *told[:MOST_TOLD]]
    return same


def _batches(sides: Sides, suspects: Ints) -> Iterator[Ints]:
    rows = np.cumsum(sides.found.rows_per_symbol[suspects])
    for number in np.unique(rows // _COMPARED_ROWS):
        yield suspects[rows // _COMPARED_ROWS == number]


def _differences(sides: Sides, codes: Ints, expected: NDArray[np.bool_]) -> Iterator[tuple[int, str]]:
    """Yield (code, first difference) for each of the given symbols that differs."""
    schema = sides.found.footers.schema
    wanted = _rows_of(sides, codes, pieces_of(sides.found, codes), schema).once(sides.config.on_duplicates)
    wanted = wanted.where(sides.window(wanted.days) & expected[wanted.codes])
    with of_the_table():
        there = _rows_of(sides, codes, sides.table.pieces, sides.table.schema)
    there = there.where(sides.window(there.days))
    for code in codes.tolist():
        a, b = (rows.where(rows.codes == code) for rows in (wanted, there))
        said = _difference(sides, a, b)
        if said is not None:
            yield code, said


def _rows_of(sides: Sides, codes: Ints, pieces: Sequence[source.Piece], schema: DatasetSchema) -> Rows:
    symbol, date = schema.key_columns
    columns = list(dict.fromkeys([symbol, date, *sides.own]))
    chunks = list(source.chunks(pieces, schema, sides.found.symbols.take(from_numpy(codes)), columns, _BATCH_ROWS))
    if not chunks:
        empty = pa.table({name: pa.nulls(0) for name in columns})
        return Rows(np.empty(0, np.int64), np.empty(0, np.int64), empty)
    table = pa.concat_tables([chunk.table for chunk in chunks]).unify_dictionaries()
    own_codes = codes[np.concatenate([chunk.codes for chunk in chunks])]
    return Rows(own_codes, np.concatenate([chunk.days for chunk in chunks]).astype(np.int64), table).in_order()


def _difference(sides: Sides, wanted: Rows, there: Rows) -> str | None:
    """Return a description of the first difference in one symbol's rows; None: there is none."""
    days, places = np.unique(np.concatenate([wanted.days, there.days]), return_inverse=True)
    counts = [
        np.bincount(places[: len(wanted)], minlength=len(days)),
        np.bincount(places[len(wanted) :], minlength=len(days)),
    ]
    apart = np.flatnonzero(counts[0] != counts[1])
    if len(apart):
        day = days[apart[0]]
        have, want = counts[1][apart[0]], counts[0][apart[0]]
        code = (wanted if len(wanted) else there).codes[0]
        return f"{sides.named(code, day)}: {have} rows in the table, {want} in the input"
    for name in sides.own:
        pair = [rows.table.column(name) for rows in (wanted, there)]
        other = np.flatnonzero(hashes.of_column(pair[0]) != hashes.of_column(pair[1]))
        if len(other):
            row = int(other[0])
            a, b = (as_text(column[row]) for column in pair)
            return f"{sides.named(wanted.codes[row], wanted.days[row])}: {name} is {b} in the table, {a} in the input"
    return None


def same(a: Rows, b: Rows, names: Sequence[str]) -> tuple[str, int] | None:
    """Return the first (column, row) at which rows with the same keys differ in any bit; None: nowhere.

    Raises
    ------
    Refuted
        If their keys differ.
    """
    if len(a) != len(b) or (a.codes != b.codes).any() or (a.days != b.days).any():
        raise Refuted(f"{len(a):,} rows, where {len(b):,} others are expected")
    for name in names:
        apart = np.flatnonzero(hashes.of_column(a.table.column(name)) != hashes.of_column(b.table.column(name)))
        if len(apart):
            return name, int(apart[0])
    return None
