"""Checks that converted input has what the user's own files have, by pandas and not by what converted them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from weekly_cli.compute.bars import Ints
from weekly_cli.dataset.convert import Conversion
from weekly_cli.dataset.schema import as_text
from weekly_cli.dataset.wide import WideTable
from weekly_cli.files import parquet
from weekly_cli.names import normal
from weekly_cli.verify.proof import MAX_LISTED, Check
from weekly_cli.verify.rows import Rows, Sides


def check_conversion(check: Check, sides: Sides, conversion: Conversion, codes: Ints, rows: Rows) -> None:
    """Compare the sample's rows of the converted input with the user's own files, read and turned by pandas."""
    roles = sides.scan.footers.schema.roles
    fields = [name for role, name in roles.items() if role not in ("symbol", "date")]
    symbols = {as_text(sides.scan.symbols[int(code)]): int(code) for code in codes}
    expected = pd.concat(_own_rows(conversion, list(symbols), roles["date"]), ignore_index=True)
    found = rows.table.to_pandas()
    for symbol, code in symbols.items():
        a = _sorted(expected[expected["symbol"] == symbol], roles["date"], fields)
        b = _sorted(found[rows.codes == code], roles["date"], fields)
        difference = _difference(a, b)
        if difference is not None:
            check.findings.append(f"{symbol}: {difference}")
    del check.findings[MAX_LISTED:]
    check.did = (
        f"{len(symbols):,} symbols of {len(conversion.tables):,} files read by pandas: {len(expected):,} rows, equal "
        "to what was made of them"
    )


def _own_rows(conversion: Conversion, symbols: Sequence[str], date: str) -> Iterator[pd.DataFrame]:
    """Yield the rows of some symbols in each file, as pandas makes them."""
    frames = [_wide_frame(path, table, symbols, date) for path, table in conversion.tables.items()]
    together = pd.concat(frames, ignore_index=True)
    for _, rows in together.groupby("symbol", sort=False):
        dated = rows[rows[date].notna()].sort_values(date, kind="stable")
        present = dated[dated["present"]]
        if len(present):
            yield dated[dated[date].between(present[date].iloc[0], present[date].iloc[-1])]
        yield rows[rows[date].isna() & rows["present"]]


def _wide_frame(path: Path, table: WideTable, symbols: Sequence[str], date: str) -> pd.DataFrame:
    """Return a row for each ticker and row of a wide table; `present`: whether any field has a value."""
    tickers: Mapping[str, Mapping[str, str]] = {name: table.tickers[name] for name in symbols if name in table.tickers}
    names = [table.date, *(name for fields in tickers.values() for name in fields.values())]
    wide = parquet.open_parquet(path).read(columns=names).to_pandas(ignore_metadata=True)
    frames = []
    for ticker, fields in tickers.items():
        own = wide[list(fields.values())].set_axis(list(fields), axis=1).astype("float64")
        volumes = [name for name in own if normal(str(name)) == "volume"]
        counted = own.assign(**{name: own[name].replace(0, np.nan) for name in volumes})
        frames.append(own.assign(**{"symbol": ticker, date: wide[table.date], "present": counted.notna().any(axis=1)}))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"symbol": [], date: [], "present": []})


def _sorted(frame: pd.DataFrame, date: str, fields: Sequence[str]) -> pd.DataFrame:
    own = pd.DataFrame({name: frame.get(name, np.nan) for name in fields}, index=frame.index).astype("float64")
    own.insert(0, date, frame[date])
    return own.sort_values([date, *fields], kind="stable").reset_index(drop=True)


def _difference(expected: pd.DataFrame, found: pd.DataFrame) -> str | None:
    """Return the first difference; None: there is none."""
    if len(expected) != len(found):
        return f"{len(found):,} rows, where its own file has {len(expected):,}"
    for name in expected:
        other = ~_same(expected[name], found[name])
        if other.any():
            row = int(np.argmax(other))
            values = [frame[name].iloc[row] for frame in (found, expected)]
            return f"{found.iloc[row, 0]!s}: {name!s} is {values[0]}, its own file has {values[1]}"
    return None


def _same(a: pd.Series[Any], b: pd.Series[Any]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray((a == b) | (a.isna() & b.isna()), bool)
