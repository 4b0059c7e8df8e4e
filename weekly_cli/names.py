"""Column names: the roles of the input's columns, their aliases, and the benchmark's part of a column name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

KEY_ROLES = ("symbol", "date")
PRICE_ROLES = ("open", "high", "low", "close")
ROLES = (*KEY_ROLES, *PRICE_ROLES, "volume")
REQUIRED_ROLES = ("symbol", "date", "close")

#: Names by which a role is found; case is ignored, and blanks and hyphens are read as underscores.
ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "code", "instrument", "security", "sym", "stock", "asset", "secid"),
    "date": ("date", "timestamp", "datetime", "day", "trade_date", "trading_date", "session"),
    "open": ("open", "open_price", "px_open", "o"),
    "high": ("high", "high_price", "px_high", "h"),
    "low": ("low", "low_price", "px_low", "l"),
    "close": ("close", "close_price", "px_last", "c"),
    "volume": ("volume", "vol", "px_volume", "v"),
}

#: Fields that a table has for a symbol's day, as far as their names are no tickers: roles, and what vendors add.
FIELDS = frozenset(
    {name for role in (*PRICE_ROLES, "volume") for name in ALIASES[role] if len(name) > 1}
    | {"adj_close", "adjclose", "adjusted_close", "close_adj", "adj_open", "adj_high", "adj_low", "adj_volume"}
    | {"dividends", "dividend", "stock_splits", "splits", "split_factor", "capital_gains", "vwap", "turnover", "amount"}
    | {
        "last",
        "price",
        "value",
        "return",
        "returns",
        "change",
        "trades",
        "transactions",
        "average",
        "open_interest",
        "settle",
    }
)
#: What else stands in columns beside prices: figures of one symbol, and no tickers.
FIGURES = frozenset(
    {"bid", "ask", "mid", "spread", "market_cap", "mktcap", "aum", "shares", "shares_outstanding", "eps", "pe", "yield"}
    | {"sma", "ema", "wma", "ma", "rsi", "macd", "macd_signal", "macd_hist", "atr", "obv", "cci", "roc", "momentum"}
    | {"ret", "log_return", "log_ret", "pct_change", "volatility", "vol", "std", "beta", "drawdown", "zscore"}
    | {"signal", "position", "weight", "score", "pnl", "equity", "target", "label", "bb_upper", "bb_middle", "bb_lower"}
)

#: Names that count where no column has one of the above.
SECOND_ALIASES: dict[str, tuple[str, ...]] = {
    "symbol": (
        *("ticker_symbol", "act_symbol", "ts_code", "ric", "permno", "isin", "figi", "cusip", "sedol", "gvkey"),
        *("tckrsymb", "name"),
    ),
    "date": (
        *("time", "datadate", "tradedate", "trade_dt", "traddt", "dt", "price_date", "pricing_date", "business_date"),
        *("caldt", "as_of", "window_start"),
    ),
    "open": ("openprc", "prcod", "opnpric"),
    "high": ("askhi", "prchd", "hghpric"),
    "low": ("bidlo", "prcld", "lwpric"),
    "close": (
        *("last", "price", "prc", "prccd", "clspric", "px", "closing_price", "close_px", "settle", "settlement"),
        *("settlement_price", "nav"),
    ),
    "volume": ("cshtrd", "tottrdqty", "ttltradgvol"),
}
#: Columns that together are a date: year, month and day.
DATE_PARTS = (("year", "yyyy", "yr"), ("month", "mm", "mon"), ("day", "dd", "dayofmonth", "day_of_month"))
#: Units of numbers that count from 1970-01-01, and what else a number may mean as a date.
EPOCH_UNITS = ("s", "ms", "us", "ns")
DATE_UNITS = ("yyyymmdd", "d", *EPOCH_UNITS)
#: Where a role's values come from if not from a column.
FROM_FILE, FROM_FOLDER = "@file", "@folder"

#: The last day of the week, named like pandas' anchored weekly offsets.
ANCHORS = ("W-MON", "W-TUE", "W-WED", "W-THU", "W-FRI", "W-SAT", "W-SUN")
#: The anchor of each symbol's own sessions.
AUTO = "auto"
#: When a bar becomes visible.
AVAILABILITIES = ("next-week", "week-end")
#: The same for bars of any period.
SAME_AVAILABILITIES = {"next-period": "next-week", "period-end": "week-end"}


class Period(NamedTuple):
    """What bars may be made of: what it is called, what its columns' names begin with, and the name of its last day."""

    noun: str
    prefix: str
    end: str

    @property
    def nouns(self) -> str:
        """The plural."""
        return self.noun if self.noun.endswith("s") else f"{self.noun}s"


#: The periods of which bars are made, by their names in `--every`, in the order of their columns.
PERIODS = {
    "week": Period("week", "w_", "week_end"),
    "2W": Period("two weeks", "w2_", "week_end"),
    "4W": Period("four weeks", "w4_", "week_end"),
    "month": Period("month", "m_", "month_end"),
    "quarter": Period("quarter", "q_", "quarter_end"),
}

#: The windows of the features in weeks, by the key under which `--windows` sets others. MACD: fast, slow, signal.
WINDOWS: dict[str, tuple[int, ...]] = {
    "mom": (4, 12, 26, 52),
    "rsi": (14, 21, 30),
    "macd": (12, 26, 9),
    "sma": (20, 50, 100, 200),
    "vol": (4, 12, 26, 52),
    "atr": (14,),
    "breakout": (52,),
    "volume_ratio": (12,),
    "beta": (52,),
}

#: A label as `--label` names it, with its weeks, and what its column's name begins with.
FORWARD_RETURN = re.compile(r"forward_return_([1-9]\d*)w")
LABEL_PREFIX = "label_"
#: Those that are suggested and completed.
USUAL_LABELS = tuple(f"forward_return_{weeks}w" for weeks in (1, 2, 4, 8, 12, 13, 26, 52))

#: A column among the bars of the same period, as `--cross-section` names it: how it is placed, the column, the group.
CROSS_SECTION = re.compile(r"(rank|zscore)\(\s*([^()\s]+)\s*\)(?:\s+by\s+(.+))?")

#: Columns of a sector map, in the order in which their features are written.
SECTOR_COLUMNS = ("sector", "sector_equal_weight", "subsector")


def names_of(role: str) -> tuple[str, ...]:
    """Return all names by which a role is found."""
    return (*ALIASES[role], *SECOND_ALIASES.get(role, ()))


#: What the names of weekly columns begin with, unless an output has another prefix.
PREFIX = "w_"


def written_name(feature: str, prefix: str) -> str:
    """Return the name of a feature's column in an output with a prefix of its own.

    >>> written_name("w_rsi_14", "W_"), written_name("w_close", ""), written_name("visible_from", "W_")
    ('W_rsi_14', 'close', 'visible_from')
    """
    return prefix + feature.removeprefix(PREFIX) if feature.startswith(PREFIX) else feature


def normal(name: str) -> str:
    """Return `name` in the form in which aliases are compared.

    >>> normal("Trade Date"), normal("<CLOSE>")
    ('trade_date', 'close')
    """
    return re.sub(r"[\s\-]+", "_", name.strip(" <>")).lower()


def benchmark_name(symbol: object) -> str:
    """Return the part of a column name that names the benchmark `symbol`.

    >>> benchmark_name("BRK/B")
    'brk_b'
    """
    return re.sub(r"[^a-z0-9]", "_", str(symbol).lower())


def printable(text: str) -> str:
    """Return text that can't affect a terminal: control characters are escaped.

    >>> printable("A\\x1b[31mB")
    'A\\\\x1b[31mB'
    """
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def of_label(name: str) -> str:
    """Return a sentence that `name` is a label, which is no feature; empty if it is none.

    >>> of_label("label_forward_return_4w")
    '; it is a label, which looks ahead: build --label forward_return_4w adds it'
    """
    label = name.removeprefix(LABEL_PREFIX)
    return (
        f"; it is a label, which looks ahead: build --label {label} adds it" if FORWARD_RETURN.fullmatch(label) else ""
    )


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return a question that suggests the known word nearest to an unknown one; empty if none is near.

    >>> did_you_mean("momentun", ["momentum", "trend"])
    '; did you mean momentum?'
    """
    import difflib

    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(str(word).lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]}?" if near else ""
