"""Delimited text as Parquet: its header, the types of its columns, which all rows decide, and the conversion.

The text is read twice, a block at a time: a column that has whole numbers in the first million rows may have fractions
later. Symbols stay text: 000001, NA, TRUE and 1E5 are all listed somewhere.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from weekly_cli.compute import arrays
from weekly_cli.dataset.wide_names import is_date
from weekly_cli.errors import InputRefused
from weekly_cli.files import delimited, output_file
from weekly_cli.files.locations import Location
from weekly_cli.names import ALIASES, FIELDS, PRICE_ROLES, names_of, normal
from weekly_cli.settings import Config

#: What stands for a missing number or date; in text, only what is empty is missing.
NULLS = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "None", "none", "-", "--", ".")
_DELIMITERS = ",;\t|"
#: Arrow reads some thirty blocks ahead; but with thousands of columns, a small one has few rows, and each costs calls.
_BLOCK_BYTES, _MOST_BLOCK_BYTES, _BYTES_PER_COLUMN = 2**20, 4 * 2**20, 2048
#: Bytes of a row group.
_GROUP_BYTES = 16 * 2**20
_EXACT = 2**53
_DECIMAL_COMMA = re.compile(r"[+-]?\d+(\.\d{3})*,\d+")
_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?")


@dataclass(frozen=True)
class Layout:
    """How a file is written.

    Attributes
    ----------
    names : tuple of str
        Of the columns. Two header lines, of fields and tickers, give the names that pandas gives a MultiIndex.
    header_lines : int
        The lines before the first row.
    texts : frozenset of str
        The columns that are text whatever they look like.
    """

    delimiter: str
    names: tuple[str, ...]
    header_lines: int
    texts: frozenset[str]


# ---- header ----------------------------------------------------------------------------------------------


def examine(path: Location, config: Config) -> Layout:
    """Return how a file is written, by its first lines.

    Raises
    ------
    InputRefused
        If it has no header, or two columns of one name.
    """
    lines = [line.rstrip("\r") for line in delimited.head(path).split("\n")]
    blank = next((number for number, line in enumerate(lines) if line.strip() and line[0] != "#"), len(lines))
    lines = lines[blank:]
    if not lines:
        raise InputRefused(f"{path} is empty")
    delimiter = max(_DELIMITERS, key=lambda sign: len(_cells(lines[0], sign)))
    rows = [_cells(line, delimiter) for line in lines[:3]]
    names, used = _names(rows)
    of_dates = sum(map(is_date, names)) > 2  # a column a date, which is refused for what it is
    for name in names:
        if names.count(name) > 1:
            raise InputRefused(f"{path} has more than one column named {name!r}; rename one of them")
        if (is_date(name) and not of_dates) or (name == names[0] and _is_number(name)):
            raise InputRefused(
                f"{path} has {name!r} in its first line, where names of columns should be; put a line with them first"
            )
    texts = {name for name in names if normal(name) in names_of("symbol")}
    texts |= {part for role, value in config.columns if role == "symbol" for part in (value, *value.split("+"))}
    return Layout(delimiter, tuple(names), blank + used, frozenset(texts & set(names)))


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]


def _names(rows: Sequence[Sequence[str]]) -> tuple[list[str], int]:
    """Return the columns' names and the number of lines that they take."""
    if len(rows) > 1 and len(rows[1]) == len(rows[0]) > 1 and _are_levels(*rows[:2]):
        pairs = [str(pair) for pair in zip(rows[0][1:], rows[1][1:], strict=True)]
        third = rows[2] if len(rows) > 2 and not any(rows[2][1:]) else None
        corner = third[0] if third else rows[1][0] if normal(rows[1][0]) in names_of("date") else ""
        return [corner or "date", *pairs], 3 if third else 2
    return [name or f"Unnamed: {number}" for number, name in enumerate(rows[0])], 1


def _are_levels(one: Sequence[str], other: Sequence[str]) -> bool:
    """Tell whether two lines are the fields and the tickers of the columns, in either order, and no line has values."""
    for fields, tickers in ((one[1:], other[1:]), (other[1:], one[1:])):
        if all(normal(field) in FIELDS for field in fields) and all(tickers) and not is_date(other[0]):
            repeated = len(set(fields)) < len(fields)
            return repeated or not any(_is_number(ticker) or ticker in NULLS for ticker in tickers)
    return False


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return normal(text) not in ("nan", "inf", "infinity")


# ---- types -----------------------------------------------------------------------------------------------


class _Guess:
    """The type of a column, as far as its values so far go."""

    #: From the narrowest on; the kinds of a row go together.
    _LADDERS = (
        (pa.int64(), pa.float64()),
        (pa.date32(), pa.timestamp("us"), pa.timestamp("ns")),
    )

    def __init__(self) -> None:
        self._ladders = [list(ladder) for ladder in self._LADDERS]
        self.has_values = False

    def add(self, texts: pa.Array) -> None:
        """Narrow the types down to those that have these values too."""
        if texts.null_count == len(texts):
            return
        self.has_values = True
        first = (texts if texts[0].is_valid else texts.drop_null()).slice(0, 1)
        for ladder in self._ladders:
            # A cast that fails tells an error for each value, which takes long; most fail at the first value already.
            while ladder and not (_fits(first, ladder[0]) and _fits(texts, ladder[0])):
                del ladder[0]
            # 007 and 0x10 are not what one calculates with, and would not come out as they came.
            if ladder and ladder[0] == pa.int64() and pc.any(pc.match_substring_regex(texts, "^-?0[0-9xX]")).as_py():
                ladder.clear()

    @property
    def kind(self) -> pa.DataType:
        """The type: text if no other one has all values."""
        if not self.has_values:
            return pa.null()
        return next((ladder[0] for ladder in self._ladders if ladder), pa.string())


def _fits(texts: pa.Array, kind: pa.DataType) -> bool:
    try:
        texts.cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def infer(path: Location, layout: Layout) -> tuple[dict[str, pa.DataType], int]:
    """Return the type of each column, and the number of rows.

    Raises
    ------
    InputRefused
        If the file is no UTF-8, a row has more or fewer values than the header, or prices are not written as numbers.
    """
    guesses = {name: _Guess() for name in layout.names if name not in layout.texts}
    first_texts: dict[str, str] = {}
    rows = 0
    for batch in _batches(path, layout):
        rows += batch.num_rows
        for name, texts in _cleaned(batch, list(guesses)).items():
            guess = guesses[name]
            guess.add(texts)
            if name not in first_texts and guess.has_values and guess.kind == pa.string():
                first_texts[name] = _first_no_number(texts)
    kinds = {name: guesses[name].kind if name in guesses else pa.string() for name in layout.names}
    for name, text in first_texts.items():
        _refuse_other_numbers(path, layout, name, text)
    return kinds, rows


def _refuse_other_numbers(path: Location, layout: Layout, name: str, text: str) -> None:
    """Refuse prices that are text, and commas in numbers: which is for the decimals, can't be told."""
    of_role = any(normal(name) in names_of(role) for role in (*PRICE_ROLES, "volume"))
    with_comma = _DECIMAL_COMMA.fullmatch(text) or (of_role and _THOUSANDS.fullmatch(text))
    if with_comma and (of_role or layout.delimiter != ","):
        raise InputRefused(
            f"{path}: column {name!r} has commas in its numbers (first: {text!r}); write them with a decimal point and "
            "nothing between thousands"
        )
    if any(normal(name) in ALIASES[role] for role in (*PRICE_ROLES, "volume")):
        raise InputRefused(
            f"{path}: column {name!r} has {text!r}, which is no number; write it as one, or rename the column"
        )


def _first_no_number(texts: pa.Array) -> str:
    known = texts.drop_null()
    others = known.filter(pc.invert(pc.match_substring_regex(known, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")))
    return str((others if len(others) else known)[0].as_py())


# ---- rows ------------------------------------------------------------------------------------------------


def _batches(path: Location, layout: Layout) -> Iterator[pa.RecordBatch]:
    """Yield the rows as text, a block at a time."""
    from pyarrow import csv as arrow_csv

    block_bytes = min(max(_BLOCK_BYTES, _BYTES_PER_COLUMN * len(layout.names)), _MOST_BLOCK_BYTES)
    with delimited.reading_text(path), delimited.opened(path) as stream:
        yield from arrow_csv.open_csv(
            stream,
            read_options=arrow_csv.ReadOptions(
                column_names=list(layout.names), skip_rows=layout.header_lines, block_size=block_bytes
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=layout.delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(layout.names, pa.string()), strings_can_be_null=False
            ),
        )


#: As arrays: a value of Python's would make Arrow import pandas.
_NULLS, _EMPTY = arrays.text_array(NULLS), arrays.text_array([""])


def _cleaned(batch: pa.RecordBatch, names: Sequence[str]) -> dict[str, pa.Array]:
    """Return columns without blanks around their values, null where a value stands for a missing one.

    All are done at once: with thousands of columns, calls for each would take half of the time.
    """
    if not names:
        return {}
    trimmed = pc.utf8_trim_whitespace(pa.concat_arrays([batch.column(name) for name in names]))
    together = pc.if_else(pc.is_in(trimmed, value_set=_NULLS), pa.NA, trimmed)
    rows = batch.num_rows
    return {name: together.slice(place * rows, rows) for place, name in enumerate(names)}


def write_parquet(
    path: Location, layout: Layout, kinds: Mapping[str, pa.DataType], target: Location, on_rows: Callable[[int], None]
) -> None:
    """Write the rows with these types to a Parquet file."""
    schema = pa.schema(list(kinds.items()))
    dictionaries = [name for name, kind in kinds.items() if kind in (pa.string(), pa.date32())]
    values = [name for name, kind in kinds.items() if kind not in (pa.string(), pa.null())]
    done = waiting_bytes = 0
    with output_file.ParquetOutput(target, schema, use_dictionary=dictionaries, compression="lz4") as written:
        waiting: list[pa.RecordBatch] = []
        for batch in _batches(path, layout):
            cleaned = _cleaned(batch, values)
            columns = [
                _typed(path, name, cleaned.get(name, batch.column(place)), kind, done)
                for place, (name, kind) in enumerate(kinds.items())
            ]
            waiting.append(pa.record_batch(columns, schema=schema))
            waiting_bytes += waiting[-1].nbytes
            done += batch.num_rows
            if waiting_bytes >= _GROUP_BYTES:
                written.write(pa.Table.from_batches(waiting))
                waiting, waiting_bytes = [], 0
            on_rows(batch.num_rows)
        if waiting:
            written.write(pa.Table.from_batches(waiting))
        written.close(durable=False)


def _typed(path: Location, name: str, texts: pa.Array, kind: pa.DataType, first: int) -> pa.Array:
    if kind == pa.string():
        return pc.if_else(pc.is_in(texts, value_set=_EMPTY), pa.NA, texts)
    if kind == pa.null():
        return pa.nulls(len(texts))
    values = texts.cast(kind)
    if kind == pa.float64():
        _refuse_inexact(path, name, texts, values, first)
    return values


def _refuse_inexact(path: Location, name: str, texts: pa.Array, values: pa.Array, first: int) -> None:
    """Refuse whole numbers that float64 does not have, in a column that has fractions, too."""
    large = np.flatnonzero(np.abs(arrays.to_numpy(values, 0)) >= _EXACT)
    for row in large.tolist():
        text = texts[row].as_py()
        if re.fullmatch(r"[+-]?\d+", text) and int(text) != int(values[row].as_py()):
            raise InputRefused(
                f"{path}: column {name!r} has {text} in row {first + row + 1:,}, which no 64-bit number beside "
                "fractions holds exactly; write it as text, or leave the column out"
            )
