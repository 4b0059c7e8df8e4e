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

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.dataset import source
from weekly_cli.dataset.dates import as_date, day_of, session_days
from weekly_cli.dataset.each import in_order
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.scan import Scan
from weekly_cli.dataset.schema import DatasetSchema, as_text, symbol_codes
from weekly_cli.dataset.selection import pieces_of
from weekly_cli.files import parquet, target
from weekly_cli.files.locations import Location
from weekly_cli.files.pages import check_pages
from weekly_cli.run.rows import sort_order
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config
from weekly_cli.verify import hashes
from weekly_cli.verify.proof import MAX_LISTED, Check, Refuted, of_the_table
from weekly_cli.verify.sessions import one_a_session

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

    def once(self, config: Config, schema: DatasetSchema) -> Rows:
        """Return sorted rows with each (code, day) once, as `--on-duplicates` and `--on-intraday` say."""
        rows, table = one_a_session(self.codes, self.days, self.table, config, schema)
        return Rows(self.codes[rows], self.days[rows], table)


@dataclass(frozen=True)
class Sides:
    """The input and the table that is supposed to be built from it.

    Attributes
    ----------
    selected : int64[symbols that the table should have]
        Their positions among the scan's symbols.
    columns : tuple of str
        The input columns that are compared, without the symbol column.
    has_record : bool
        Whether the table's metadata says that this tool wrote it.
    """

    config: Config
    wanted: Wanted
    scan: Scan
    table: Footers
    selected: Ints
    columns: tuple[str, ...]
    has_record: bool

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
        return f"{as_text(self.scan.symbols[int(code)])} {as_date(day)}"


@dataclass
class Tally:
    """The contents of one side.

    Attributes
    ----------
    counts, sums : int64[symbols], uint64[symbols]
        Rows of each symbol, and the sum of their hashes.
    sample : list of Rows
        All rows of the requested symbols, in the side's order.
    foreign_row, misplaced_row : str or None
        The first row without a date or with a symbol that the input lacks, and the first row that should be earlier.
    """

    counts: Ints
    sums: hashes.Hashes
    sample: list[Rows] = field(default_factory=list)
    foreign_row: str | None = None
    misplaced_row: str | None = None
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


def check_bytes(check: Check, files: Sequence[Location], has_record: bool) -> None:
    """Compare every page with its checksum, and every part with the checksum in its name."""
    pages = unchecked = named = 0
    for path in files:
        with of_the_table(), parquet.mapped_input(path) as data:
            name = target.PART_NAME.fullmatch(path.name)
            if name is not None and name[1] != f"{zlib.crc32(data):08x}":
                check.findings.append(f"{path}: its bytes are not those that its name tells")
            named += name is not None
            try:
                result = check_pages(data)
            except ValueError as error:
                check.findings.append(f"{path}: {error}")
                continue
            pages, unchecked = pages + result.all, unchecked + result.unchecked
    check.did = f"{pages - unchecked:,} of {pages:,} pages checked against their checksums"
    if named:
        check.did += f", {named:,} of {len(files):,} files against that of all their bytes, which their names tell"
    if unchecked == pages and not named and not has_record and not check.findings:
        check.not_checked = f"none of its {pages:,} pages has a checksum"
    if unchecked and has_record:
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
    wanted = np.zeros(len(sides.scan.symbols), bool)
    wanted[sample] = True
    read = partial(_read, footers, sides, columns, wanted, kept)
    tasks = (partial(read, *run) for run in source.runs(footers.pieces, source.BATCH_ROWS))
    total = _empty_tally(len(wanted))
    for part in in_order(tasks, threads):
        _fold(total, part, sides)
    return total


def _empty_tally(symbols: int) -> Tally:
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
    part = _empty_tally(len(wanted))
    for piece, first, table in source.tables(footers.pieces[begin:end], footers.schema, columns, _BATCH_ROWS):
        codes = symbol_codes(table.column(symbol), sides.scan.symbols).astype(np.int64)
        days, known = session_days(table.column(date), footers.schema.dates)
        usable = codes >= 0 if known is None else (codes >= 0) & known
        rows = Rows(codes, days.astype(np.int64), table.drop_columns([symbol]))
        if not usable.all():
            row = int(np.argmin(usable))
            key = f"{as_text(table.column(symbol)[row])!r} {as_text(table.column(date)[row])}"
            part.foreign_row = part.foreign_row or f"{key} in {piece.place(first + row)}"
            rows = rows.where(usable)
        if not part.sample or wanted[rows.codes].any():
            sample = rows.where(wanted[rows.codes])
            part.sample.append(sample if kept is None else Rows(sample.codes, sample.days, sample.table.select(kept)))
        inside = sides.window(rows.days)
        _add(part, rows if inside.all() else rows.where(inside), sides)
    return part


def _add(total: Tally, rows: Rows, sides: Sides) -> None:
    if not len(rows):
        return
    of_rows = hashes.of_rows([rows.table.column(name) for name in sides.columns], len(rows))
    total.counts += np.bincount(rows.codes, minlength=len(total.counts))
    np.add.at(total.sums, rows.codes, of_rows)
    if sides.config.order == "input":
        return  # which takes both sides to tell
    back = (np.diff(rows.codes) < 0) | ((np.diff(rows.codes) == 0) & (np.diff(rows.days) < 0))
    if back.any() and total.misplaced_row is None:
        row = int(np.argmax(back)) + 1
        total.misplaced_row = sides.named(rows.codes[row], rows.days[row])
    begins, ends = ((int(rows.codes[row]), int(rows.days[row])) for row in (0, -1))
    _follows(total, begins, ends, sides)


def _follows(total: Tally, begins: tuple[int, int] | None, ends: tuple[int, int] | None, sides: Sides) -> None:
    if begins is None or ends is None:
        return
    if total.last is not None and begins < total.last and total.misplaced_row is None:
        total.misplaced_row = sides.named(*begins)
    total.first, total.last = total.first or begins, ends


def _fold(total: Tally, part: Tally, sides: Sides) -> None:
    total.counts += part.counts
    total.sums += part.sums
    total.sample += part.sample
    total.foreign_row = total.foreign_row or part.foreign_row
    _follows(total, part.first, part.last, sides)
    total.misplaced_row = total.misplaced_row or part.misplaced_row


def check_rows(check: Check, sides: Sides, of_input: Tally, of_table: Tally) -> NDArray[np.bool_]:
    """Compare the two sides' sums and return bool[symbols]: which are the same."""
    expected = np.zeros(len(of_input.counts), bool)
    expected[sides.selected] = True
    unit = "row" if sides.config.on_intraday == "error" else "session"
    check.did = (
        f"{of_table.rows:,} rows of {np.count_nonzero(of_table.counts):,} symbols, "
        f"{len(sides.columns) + 1} input columns: each {unit} of the input once, equal in value, in "
        + ("the input's order" if sides.config.order == "input" else "order")
    )
    if of_table.foreign_row is not None:
        check.findings.append(f"a row of the table is not of the input: {of_table.foreign_row}")
    if of_table.misplaced_row is not None:
        check.findings.append(f"rows are not in the order of symbol and date: {of_table.misplaced_row} comes too late")
    counts = np.where(expected, of_input.counts, 0)
    sums = np.where(expected, of_input.sums, np.uint64(0))
    same: NDArray[np.bool_] = (counts == of_table.counts) & (sums == of_table.sums)
    suspects = np.flatnonzero(~same)
    messages: list[str] = []
    for batch in batches_of(sides, suspects):
        differences = dict(_differences(sides, batch, expected))
        messages += differences.values()
        same[batch] = ~np.isin(batch, list(differences))
        if sides.config.on_duplicates == sides.config.on_intraday == "error" and messages:
            same[suspects] = False
            break
    if messages:
        check.findings += [f"{np.count_nonzero(~same):,} symbols differ from the input", *messages[:MAX_LISTED]]
    return same


def batches_of(sides: Sides, suspects: Ints) -> Iterator[Ints]:
    """Yield symbols, in batches whose rows fit into memory."""
    rows = np.cumsum(sides.scan.rows_per_symbol[suspects])
    for number in np.unique(rows // _COMPARED_ROWS):
        yield suspects[rows // _COMPARED_ROWS == number]


def _differences(sides: Sides, codes: Ints, expected: NDArray[np.bool_]) -> Iterator[tuple[int, str]]:
    """Yield (code, first difference) for each of the given symbols that differs."""
    schema = sides.scan.footers.schema
    wanted = rows_of(sides, codes, pieces_of(sides.scan, codes), schema, sides.columns).once(sides.config, schema)
    wanted = wanted.where(sides.window(wanted.days) & expected[wanted.codes])
    with of_the_table():
        table_rows = rows_of(sides, codes, sides.table.pieces, sides.table.schema, sides.columns)
    table_rows = table_rows.where(sides.window(table_rows.days))
    for code in codes.tolist():
        a, b = (rows.where(rows.codes == code) for rows in (wanted, table_rows))
        difference = _difference(sides, a, b)
        if difference is not None:
            yield code, difference


def rows_of(
    sides: Sides, codes: Ints, pieces: Sequence[source.Piece], schema: DatasetSchema, names: Sequence[str]
) -> Rows:
    """Return the rows of some symbols, sorted, with the columns `names` and the date."""
    symbol, date = schema.key_columns
    columns = list(dict.fromkeys([symbol, date, *names]))
    chunks = list(source.chunks(pieces, schema, sides.scan.symbols.take(from_numpy(codes)), columns, _BATCH_ROWS))
    if not chunks:
        empty = pa.table({name: pa.nulls(0) for name in columns})
        return Rows(np.empty(0, np.int64), np.empty(0, np.int64), empty)
    table = pa.concat_tables([chunk.table for chunk in chunks]).unify_dictionaries()
    own_codes = codes[np.concatenate([chunk.codes for chunk in chunks])]
    return Rows(own_codes, np.concatenate([chunk.days for chunk in chunks]).astype(np.int64), table).in_order()


def _difference(sides: Sides, wanted: Rows, table_rows: Rows) -> str | None:
    """Return a description of the first difference in one symbol's rows; None: there is none."""
    days, places = np.unique(np.concatenate([wanted.days, table_rows.days]), return_inverse=True)
    counts = [
        np.bincount(places[: len(wanted)], minlength=len(days)),
        np.bincount(places[len(wanted) :], minlength=len(days)),
    ]
    differing = np.flatnonzero(counts[0] != counts[1])
    if len(differing):
        day = days[differing[0]]
        in_table, in_input = counts[1][differing[0]], counts[0][differing[0]]
        code = (wanted if len(wanted) else table_rows).codes[0]
        return f"{sides.named(code, day)}: {in_table} rows in the table, {in_input} in the input"
    for name in sides.columns:
        pair = [rows.table.column(name) for rows in (wanted, table_rows)]
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
        differing = np.flatnonzero(hashes.of_column(a.table.column(name)) != hashes.of_column(b.table.column(name)))
        if len(differing):
            return name, int(differing[0])
    return None
