"""Checks that converted input has what the user's own files have, by pandas and not by what converted them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.convert import Conversion
from weekly_cli.dataset.delimited import NULLS, Layout
from weekly_cli.dataset.schema import DateReading, as_text
from weekly_cli.dataset.wide import WideTable
from weekly_cli.files import delimited, parquet
from weekly_cli.files.locations import Location
from weekly_cli.names import normal
from weekly_cli.verify.proof import MAX_LISTED, Check
from weekly_cli.verify.rows import Rows, Sides

#: Values of text that pandas holds at a time.
_CHUNK_VALUES = 500_000


def check_conversion(check: Check, sides: Sides, conversion: Conversion, codes: Ints, rows: Rows) -> None:
    """Compare the sample's rows of the converted input with the user's own files, read and turned by pandas."""
    schema = sides.scan.footers.schema
    date = schema.roles["date"]
    symbols = {as_text(sides.scan.symbols[int(code)]): int(code) for code in codes}
    own = [
        *_wide_rows(conversion, list(symbols), date, schema.dates),
        *_text_rows(sides, conversion, list(symbols)),
    ]
    if not own:
        check.not_checked = "its symbols or dates are made of several columns or of paths"
        return
    fields = [name for role, name in schema.roles.items() if role not in ("symbol", "date")]
    expected = _comparable(pd.concat(own, ignore_index=True), date, fields, schema.dates)
    found = _comparable(rows.table.to_pandas(), date, fields, schema.dates)
    for symbol, code in symbols.items():
        difference = _difference(expected[expected["symbol"] == symbol], found[rows.codes == code])
        if difference is not None:
            check.findings.append(f"{symbol}: {difference}")
    del check.findings[MAX_LISTED:]
    check.did = (
        f"{len(symbols):,} symbols of {len(conversion.converted):,} files read by pandas: {len(expected):,} rows, "
        "equal to what was made of them"
    )


# ---- wide tables -----------------------------------------------------------------------------------------


def _wide_rows(
    conversion: Conversion, symbols: Sequence[str], date: str, reading: DateReading
) -> Iterator[pd.DataFrame]:
    """Yield the rows of some symbols in wide tables: those from each one's first to its last value in any file."""
    frames = [
        _melted(_wide(path, conversion.texts.get(path), table, symbols), table, symbols, date)
        for path, table in conversion.tables.items()
    ]
    if not frames:
        return
    together = pd.concat(frames, ignore_index=True)
    together[date] = _dates(together[date], reading)
    for _, rows in together.groupby("symbol", sort=False):
        dated = rows[rows[date].notna()].sort_values(date, kind="stable")
        present = dated[dated["present"]]
        if len(present):
            yield dated[dated[date].between(present[date].iloc[0], present[date].iloc[-1])]
        yield rows[rows[date].isna() & rows["present"]]


def _wide(path: Location, layout: Layout | None, table: WideTable, symbols: Sequence[str]) -> pd.DataFrame:
    """Return the date column and those of some tickers."""
    of_tickers = (fields for ticker, fields in table.tickers.items() if ticker in symbols)
    names = [table.date, *(name for fields in of_tickers for name in fields.values())]
    if layout is None:
        frame: pd.DataFrame = parquet.open_parquet(path).read(columns=names).to_pandas(ignore_metadata=True)
        return frame
    return pd.concat(_chunks(path, layout, names), ignore_index=True)


def _melted(wide: pd.DataFrame, table: WideTable, symbols: Sequence[str], date: str) -> pd.DataFrame:
    """Return a row for each ticker and row of a wide table; `present`: whether any field has a value."""
    frames = [pd.DataFrame({"symbol": [], date: [], "present": []})]
    for ticker in symbols:
        fields: Mapping[str, str] = table.tickers.get(ticker, {})
        if not fields:
            continue
        own = _numbers(wide[list(fields.values())].set_axis(list(fields), axis=1))
        present = pd.Series(False, index=own.index)
        for name in own:
            present |= own[name].notna() & ((own[name] != 0) | (normal(str(name)) != "volume"))
        own["symbol"], own[date], own["present"] = ticker, wide[table.date], present
        frames.append(own)
    return pd.concat(frames[1:] or frames, ignore_index=True)


# ---- text ------------------------------------------------------------------------------------------------


def _text_rows(sides: Sides, conversion: Conversion, symbols: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield the rows of some symbols in files of delimited text that are no wide tables."""
    roles = sides.scan.footers.schema.roles
    keys = {piece.name: dict(piece.keys) for piece in sides.scan.footers.pieces}
    for path, layout in conversion.texts.items():
        if path in conversion.tables or roles["date"] not in layout.names:
            continue
        symbol = keys.get(str(path), {}).get(roles["symbol"])
        for chunk in _chunks(path, layout, layout.names):
            if roles["symbol"] in layout.names:
                yield chunk[chunk[roles["symbol"]].isin(symbols)].assign(symbol=lambda rows: rows[roles["symbol"]])
            elif symbol in symbols:
                yield chunk.assign(symbol=symbol)


def _chunks(path: Location, layout: Layout, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    with delimited.opened(path) as stream:
        yield from pd.read_csv(
            stream,
            sep=layout.delimiter,
            names=list(layout.names),
            header=None,
            usecols=list(columns),
            index_col=False,
            skiprows=layout.header_lines,
            dtype=str,
            keep_default_na=False,
            chunksize=max(1, _CHUNK_VALUES // len(columns)),
        )


# ---- comparison ------------------------------------------------------------------------------------------


def _numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Return float64; the text of a number becomes the nearest one, as Python reads it."""
    return frame.apply(lambda column: _stripped(column).astype("float64"))


def _stripped(column: pd.Series[Any]) -> pd.Series[Any]:
    if not pd.api.types.is_string_dtype(column):
        return column
    text = column.str.strip()
    return text.mask(text.isin(NULLS)).astype(object)


def _dates(dates: pd.Series[Any], reading: DateReading) -> pd.Series[Any]:
    """Return dates in a form in which they compare, null where they are none: moments, or numbers."""
    stripped = _stripped(dates)
    numbers: pd.Series[Any] = pd.to_numeric(stripped, errors="coerce") if reading.unit is not None else stripped
    if pd.api.types.is_numeric_dtype(numbers):
        return numbers.astype("float64")
    moments: pd.Series[Any] = pd.to_datetime(stripped, format=reading.format or "ISO8601", errors="coerce", utc=True)
    return moments


def _comparable(frame: pd.DataFrame, date: str, fields: Sequence[str], reading: DateReading) -> pd.DataFrame:
    """Return the symbol, if there is one, the date and the fields, all in types that compare, in order."""
    values = _numbers(pd.DataFrame({name: frame.get(name, np.nan) for name in fields}, index=frame.index))
    values.insert(0, date, _dates(frame[date], reading))
    return values if "symbol" not in frame else values.assign(symbol=frame["symbol"])


def _difference(expected: pd.DataFrame, found: pd.DataFrame) -> str | None:
    """Return the first difference; None: there is none."""
    if len(expected) != len(found):
        return f"{len(found):,} rows, where its own file has {len(expected):,}"
    names = [str(name) for name in found if name != "symbol"]
    a, b = (frame[names].sort_values(names, kind="stable").reset_index(drop=True) for frame in (expected, found))
    for name in names:
        other = np.asarray((a[name] != b[name]) & (a[name].notna() | b[name].notna()), bool)
        if other.any():
            row = int(np.argmax(other))
            return f"{b.iloc[row, 0]!s}: {name} is {b[name].iloc[row]}, its own file has {a[name].iloc[row]}"
    return None
