"""The columns of a wide table by their names: which are tickers, and which are a field of a ticker.

A wide table has a column a ticker, or a column for each field of each ticker. The latter is how yfinance writes:
`("Close", "AAPL")` as text where the columns were a pandas MultiIndex, or `Close_AAPL` and the like where somebody has
joined the two. A ticker may be called C, LOW or OPEN, so no column decides alone.
"""

from __future__ import annotations

import ast
import datetime
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from weekly_cli.names import ALIASES, FIELDS, FIGURES, PRICE_ROLES, ROLES, SECOND_ALIASES, names_of, normal

#: Separators between a field and a ticker in one name.
_SEPARATORS = "_ .|:/-"
#: What pandas calls an index without a name, or one that was written as a column of a text file.
_INDEX_NAME = re.compile(r"__index_level_\d+__|Unnamed: \d+|")
#: The length of a window at the end of a name.
_LENGTH = re.compile(r"_?\d+[dwmy]?$")
#: Tickers may equal names of roles, up to this share of the columns: C, V, O, L, H, LOW and OPEN are all listed.
_MOST_ROLE_NAMES = 1 / 4


@dataclass(frozen=True)
class Column:
    """A column of numbers: the ticker that it belongs to, and its field."""

    name: str
    ticker: str
    field: str


def plain_name(name: str) -> str:
    """Return the name of a column that is not a ticker's: without the empty second level of a pandas MultiIndex.

    >>> plain_name("('Date', '')")
    'Date'
    """
    levels = _levels(name)
    named = [level for level in levels or () if level]
    return named[0] if len(named) == 1 else name


def is_index(name: str) -> bool:
    """Tell whether a column's name is that of a pandas index without a name."""
    return _INDEX_NAME.fullmatch(name) is not None


def is_role(name: str) -> bool:
    """Tell whether a column's name is that of a role, or of another figure of one symbol.

    >>> [is_role(name) for name in ("Adj Close", "rsi_14", "ret_5d", "BRK.B", "600519")]
    [True, True, True, False, False]
    """
    known = normal(name)
    figure = _LENGTH.sub("", known) in FIGURES
    return figure or known in FIELDS or any(known in names_of(role) for role in ROLES)


def fields_and_tickers(names: Sequence[str]) -> list[Column] | None:
    """Return the columns if each is a field of a ticker, None if they are not.

    >>> fields_and_tickers(["('Close', 'BRK.B')"])
    [Column(name="('Close', 'BRK.B')", ticker='BRK.B', field='Close')]
    >>> fields_and_tickers(["AAPL_Adj Close", "AAPL_Close"])[0]
    Column(name='AAPL_Adj Close', ticker='AAPL', field='Adj Close')
    >>> fields_and_tickers(["AAPL", "MSFT"]) is None
    True
    """
    levels = [_levels(name) for name in names]
    if all(pair is not None and len(pair) == 2 for pair in levels):
        return _by_levels(names, [pair for pair in levels if pair is not None])
    if any(map(is_role, names)):  # adj_close is a field, and not that of a ticker adj
        return None
    for separator in _SEPARATORS:
        for field_first in (True, False):
            pairs = [_parted(name, separator, field_first) for name in names]
            if None not in pairs and _plausible(found := [pair for pair in pairs if pair is not None]):
                return [Column(name, *pair) for name, pair in zip(names, found, strict=True)]
    return None


def _levels(name: str) -> tuple[str, ...] | None:
    """Return the levels of a column of a pandas MultiIndex, which Parquet files have as the text of a tuple."""
    if not name.startswith("("):
        return None
    try:
        value = ast.literal_eval(name)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return tuple(str(level) for level in value) if isinstance(value, tuple) else None


def _by_levels(names: Sequence[str], levels: Sequence[tuple[str, ...]]) -> list[Column] | None:
    for field_at in (0, 1):
        pairs = [(pair[1 - field_at], pair[field_at]) for pair in levels]
        if all(normal(field) in FIELDS for _, field in pairs) and _plausible(pairs):
            return [Column(name, *pair) for name, pair in zip(names, pairs, strict=True)]
    return None


def _parted(name: str, separator: str, field_first: bool) -> tuple[str, str] | None:
    """Return (ticker, field) of a name, at the separator that leaves the longest known field."""
    places = [place for place, sign in enumerate(name) if sign == separator]
    for place in reversed(places) if field_first else places:
        field, ticker = name[:place], name[place + 1 :]
        if not field_first:
            field, ticker = ticker, field
        if ticker and normal(field) in FIELDS:
            return ticker, field
    return None


def _plausible(pairs: Sequence[tuple[str, str]]) -> bool:
    """Tell whether there is a price for each ticker, and each field of a ticker is there once."""
    priced = {ticker for ticker, field in pairs if _is_price(field)}
    return len(set(pairs)) == len(pairs) and priced == {ticker for ticker, _ in pairs}


def is_date(name: str) -> bool:
    """Tell whether a column's name is a date.

    >>> [is_date(name) for name in ("2023-01-31", "2023-01-31 00:00:00", "000001", "20230131")]
    [True, True, False, False]
    """
    try:
        datetime.datetime.fromisoformat(name)
    except ValueError:
        return False
    return "-" in name


def is_close(field: str) -> bool:
    """Tell whether a field is a price at the end of a day, or may be."""
    known = normal(field)
    return "close" in known or known in names_of("close") or known in ("value", "vwap", "average")


def _is_price(field: str) -> bool:
    known = normal(field)
    return "close" in known or "price" in known or any(known in ALIASES[role] for role in PRICE_ROLES)


def are_tickers(names: Sequence[str]) -> bool | None:
    """Tell whether the names of columns are tickers: False: they are fields; None: it can't be told.

    >>> are_tickers(["AAPL", "C", "MSFT", "IBM", "KO", "LOW", "GE", "BA"])
    True
    >>> are_tickers(["open", "high", "low", "close", "sma_20"])
    False
    >>> are_tickers(["C", "AAPL"]) is None
    True
    """
    roles = [name for name in names if is_role(name)]
    words = {normal(name) for name in roles}
    if not roles:
        return len(names) > 1 or (None if names[0].isupper() else False)
    if len(roles) <= _MOST_ROLE_NAMES * len(names) and all(_may_be_listed(name) for name in roles):
        return True
    if len(roles) == len(names) or words & _CLOSE_WORDS or words >= {"o", "h", "l", "c"}:
        return False
    if words & set(SECOND_ALIASES["close"]):
        return False
    has_close, others = bool(words & set(ALIASES["close"])), len(names) - len(roles)
    return None if has_close or others > 1 else False


#: Names that mean a close and are no tickers.
_CLOSE_WORDS = {name for name in ALIASES["close"] if len(name) > 1}


def _may_be_listed(name: str) -> bool:
    return name.isupper() and name.isalpha() and len(name) <= 5 and normal(name) not in ("close", "date", "price")


def by_ticker(columns: Sequence[Column]) -> Mapping[str, Mapping[str, str]]:
    """Return for each ticker, in order, the name of the column of each of its fields."""
    tickers: dict[str, dict[str, str]] = {}
    for column in columns:
        tickers.setdefault(column.ticker, {})[column.field] = column.name
    return tickers
