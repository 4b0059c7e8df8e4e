"""The symbols of a sample: random words by position, names, traits, and the events of each symbol."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
#: The columns of a block by name, each [symbols, sessions].
Columns = dict[str, NDArray[Any]]

SESSIONS_PER_YEAR = 252
PRICE_COLUMNS = ("open", "high", "low", "close")


def cents(x: Floats) -> Floats:
    """Round to cents, at least one cent."""
    x = np.rint(x * 100.0)
    np.maximum(x, 1.0, out=x)
    x /= 100.0
    return x


class Source:
    """Random 64-bit words by position; setting a generator's state costs a third of creating a generator."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.Philox(key=0)
        self._state: Any = self._bits.state
        self._state["state"]["key"][0] = seed % 2**64

    def words(self, streams: Ints, block: int, count: int) -> Words:
        """Return uint64[streams, count]: the first words of a block (up to 2**64 of them) of each stream."""
        words = np.empty((len(streams), count), np.uint64)
        place = self._state["state"]
        place["counter"][:] = 0, block, 0, 0
        for row, stream in zip(words, streams, strict=True):
            place["key"][1] = stream
            self._bits.state = self._state
            row[:] = self._bits.random_raw(count)
        return words


_SIXTEEN_OF_32 = np.uint64(0x0000FFFF0000FFFF)


def bell(words: Words) -> Floats:
    """Return numbers with mean 0 and deviation 1, within 3.5: the sum of the four 16-bit numbers of a word."""
    pairs = (words & _SIXTEEN_OF_32) + ((words >> 16) & _SIXTEEN_OF_32)
    bell: Floats = ((pairs + (pairs >> 32)) & 0xFFFFFFFF).astype(np.float64)
    bell -= 2 * 65535
    bell /= np.sqrt((65536**2 - 1) / 3)
    return bell


def uniform(words: Words, which: int) -> Floats:
    """Return numbers within [0, 1): one of the four 16-bit numbers of a word."""
    numbers = ((words >> (16 * which)) & 0xFFFF).astype(np.float64)
    numbers *= 2.0**-16
    return numbers


# ---- the symbols -----------------------------------------------------------------------------------------

_MARKET = "MARKET"
_SECTORS = ("SEC_TECH", "SEC_FIN", "SEC_HLTH", "SEC_ENRG", "SEC_CONS")
#: Subsectors by the number of their sector.
_SUBSECTORS = {0: "SUB_CHIPS", 1: "SUB_BANKS"}
_SECTORS_FROM, _SUBSECTORS_FROM = 12, 24
EXCHANGES = ("ARCX", "XNAS", "XNYS")
#: Names that a program that guesses takes for paths, numbers, booleans, missing values or device names.
_ODD_NAMES = ("BRK/B", "NA", "000001", "TRUE", "NULL", "CON", "1E5", "INF")
_LENGTHS = (4, 3, 4, 1, 3, 5, 2, 4)
_STRIDE = 7_368_787


def _word(number: int) -> str:
    """Return one to five letters: the preferred length, or the next that sets `number` apart from all before it.

    The stride is coprime to 26, so all words of the same length differ.
    """
    length = _LENGTHS[number % len(_LENGTHS)]
    while 26**length <= number:
        length += 1
    rest, letters = (number * _STRIDE + 11) % 26**length, ""
    for _ in range(length):
        rest, letter = divmod(rest, 26)
        letters += chr(ord("A") + letter)
    return letters


def ticker_names(count: int) -> list[str]:
    words = (word for word in map(_word, itertools.count()) if word not in _ODD_NAMES)
    return list(itertools.islice(itertools.chain(_ODD_NAMES, words), count))


@dataclass(frozen=True)
class Universe:
    """The symbols in the order of their names, and the benchmark of each.

    Attributes
    ----------
    names : list of str
    ordinals : int64[symbols]
        The number of an ordinary ticker, which determines its events; a benchmark's is negative.
    benchmarks : int64[benchmarks]
        Their positions, parents before their children.
    parents : int64[symbols]
        The number of the benchmark whose return drives the symbol; -1 for the market.
    """

    names: list[str]
    ordinals: Ints
    benchmarks: Ints
    parents: Ints

    def sectors_csv(self) -> str:
        """Return the sector map: every 13th ticker is missing, most have no subsector."""
        lines = ["symbol,sector,subsector"]
        for name, ordinal, parent in zip(self.names, self.ordinals, self.parents, strict=True):
            if ordinal >= 0 and ordinal % 13 != 5:
                sector, subsector = int(parent), ""
                if sector > len(_SECTORS):
                    subsector = self._benchmark(sector)
                    sector = int(self.parents[self.benchmarks[sector]])
                lines.append(f"{name},{self._benchmark(sector)},{subsector}")
        return "\n".join(lines) + "\n"

    def _benchmark(self, number: int) -> str:
        return self.names[int(self.benchmarks[number])]


def make_universe(symbols: int) -> Universe:
    sectors = _SECTORS if symbols >= _SECTORS_FROM else ()
    subsectors = _SUBSECTORS if symbols >= _SUBSECTORS_FROM else {}
    benchmarks = (_MARKET, *sectors, *subsectors.values())
    tickers = symbols - len(benchmarks)
    ordinals = np.array([*(-1 - number for number in range(len(benchmarks))), *range(tickers)])
    names = np.array([*benchmarks, *ticker_names(tickers)], object)
    parents = np.array(
        [-1, *(0 for _ in sectors), *(1 + sector for sector in subsectors)]
        + [_parent(ordinal, len(sectors), list(subsectors)) for ordinal in range(tickers)]
    )
    order = np.argsort(names)
    places = np.argsort(order)[: len(benchmarks)]
    return Universe(names[order].tolist(), ordinals[order], places, parents[order])


def _parent(ordinal: int, sectors: int, with_subsector: Sequence[int]) -> int:
    """Return the number of a ticker's benchmark: its subsector if it has one, else its sector, else the market."""
    if not sectors:
        return 0
    sector = ordinal % sectors
    if sector in with_subsector and ordinal % 3 == 0:
        return 1 + sectors + with_subsector.index(sector)
    return 1 + sector


# ---- traits ----------------------------------------------------------------------------------------------

PROFILE_BLOCK, PROFILE_WORDS = 2**63, 5
DIVIDEND_SESSIONS = 63


@dataclass(frozen=True)
class Traits:
    """What drives each symbol's prices; every array is [symbols].

    Attributes
    ----------
    beta, drift, noise : float64
        Of a day's log return: the share of the parent's, a constant, the deviation of the symbol's own part.
    log_price, volume : float64
        The log price of the first session, and the volume of a typical day.
    log_dividend, ex_phase : float64, int64
        The change of the log price by a dividend, and the dividend's day within a quarter.
    exchange : int32
    """

    beta: Floats
    drift: Floats
    noise: Floats
    log_price: Floats
    volume: Floats
    log_dividend: Floats
    ex_phase: Ints
    exchange: NDArray[np.int32]


def make_traits(universe: Universe, words: Words) -> Traits:
    ordinary, market = universe.ordinals >= 0, universe.parents < 0
    u = [uniform(words[:, i // 4], i % 4) for i in range(10)]
    return Traits(
        beta=np.where(ordinary, 0.5 + u[0], np.where(market, 0.0, 0.8 + 0.4 * u[0])),
        drift=np.where(market, 0.05 / SESSIONS_PER_YEAR, 0.0),
        noise=np.where(ordinary, 0.009 + 0.014 * u[1], np.where(market, 0.009, 0.006)),
        log_price=np.log(10.0) + np.log(30.0) * u[2],
        volume=10.0 ** (4.0 + 3.0 * u[3] + 1.0 * ~ordinary),
        log_dividend=np.where(ordinary & (u[4] < 0.6), np.log1p(-0.01 * u[5]), 0.0),
        ex_phase=(u[6] * DIVIDEND_SESSIONS).astype(np.int64),
        exchange=np.where(ordinary, 1 + (u[9] < 0.6), 0).astype(np.int32),
    )


# ---- events ----------------------------------------------------------------------------------------------

# The events of a ticker depend on its number modulo 64, so that the default sample has every anomaly and a large one
# stays mostly clean. Some events happen to one ticker only.
_CYCLE = 64
_ALL_NULL, _SINGLE_ROW, _HALTED = 4, 8, 9
_LISTED_IN_LAST_WEEKS, _LISTED_LATE, _DELISTED = (10, 26), (11, 27), (12, 28)
_NULLS, _ZEROS, _NO_TRADES, _OUTSIDE, _CROSSED = 14, 15, 16, 17, 18
_ONCE = (_ALL_NULL, _SINGLE_ROW, _HALTED, _CROSSED)

Place = tuple[Any, Any]


def _setting(value: float, *names: str) -> Callable[[Columns, Place], None]:
    def apply(columns: Columns, at: Place) -> None:
        for name in names:
            columns[name][at] = value

    return apply


def _close_above(columns: Columns, at: Place) -> None:
    close = columns["close"][at]
    columns["high"][at] = columns["open"][at] = cents(0.98 * close)
    columns["low"][at] = cents(0.95 * close)


def _close_below(columns: Columns, at: Place) -> None:
    close = columns["close"][at]
    columns["low"][at] = columns["open"][at] = cents(1.02 * close)
    columns["high"][at] = cents(1.05 * close)


def _cross(columns: Columns, at: Place) -> None:
    high, low = columns["high"][at], columns["low"][at]
    columns["high"][at], columns["low"][at] = low, cents(high + 0.05)


_ANOMALIES: tuple[tuple[int, Callable[[Columns, Place], None]], ...] = (
    *((_NULLS, _setting(np.nan, name)) for name in PRICE_COLUMNS),
    *((_NULLS, _setting(np.nan, *PRICE_COLUMNS)) for _ in range(2)),
    *((_ZEROS, _setting(0.0, name)) for name in ("close", "close", "open", "low")),
    *((_NO_TRADES, _setting(0, "open", "high", "low", "volume")) for _ in range(5)),
    *((_OUTSIDE, change) for change in (_close_above, _close_below, _close_above)),
    (_CROSSED, _cross),
)


@dataclass(frozen=True)
class Listings:
    """When each symbol has rows, and which rows have anomalies.

    Attributes
    ----------
    first, last, halt, resume : int64[symbols]
        Sessions: first and last with a row, first without and first with a row again.
    all_null : bool[symbols]
    anomaly_symbol, anomaly_session, anomaly : int64[anomalies]
        Sorted by symbol; `anomaly` is a position in `_ANOMALIES`.
    """

    first: Ints
    last: Ints
    halt: Ints
    resume: Ints
    all_null: NDArray[np.bool_]
    anomaly_symbol: Ints
    anomaly_session: Ints
    anomaly: Ints

    def present(self, rows: slice, sessions: Ints) -> NDArray[np.bool_]:
        """Return bool[symbols, sessions]: which rows exist."""
        listed = (sessions >= self.first[rows, None]) & (sessions <= self.last[rows, None])
        halted = (sessions >= self.halt[rows, None]) & (sessions < self.resume[rows, None])
        return listed & ~halted

    def apply(self, columns: Columns, rows: slice, start: int, stop: int) -> None:
        """Change the rows with anomalies in a block with the sessions from `start` to `stop`."""
        for name in PRICE_COLUMNS:
            columns[name][self.all_null[rows]] = np.nan
        in_rows = slice(*np.searchsorted(self.anomaly_symbol, (rows.start, rows.stop)))
        session = self.anomaly_session[in_rows]
        in_sessions = (session >= start) & (session < stop)
        places = np.stack([self.anomaly_symbol[in_rows] - rows.start, session - start])[:, in_sessions]
        anomaly = self.anomaly[in_rows][in_sessions]
        for kind in np.unique(anomaly):
            symbol, day = places[:, anomaly == kind]
            _ANOMALIES[kind][1](columns, (symbol, day))


def make_listings(universe: Universe, words: Words, days: NDArray[np.int32]) -> Listings:
    n, roles = len(days), universe.ordinals % _CYCLE
    roles[(universe.ordinals < 0) | ((universe.ordinals >= _CYCLE) & np.isin(roles, _ONCE))] = -1
    u, v = uniform(words[:, 3], 0), uniform(words[:, 3], 1)
    first, last = np.zeros(len(roles), np.int64), np.full(len(roles), n - 1)
    halt, resume = np.full((2, len(roles)), n)
    for chosen, session in (
        (np.isin(roles, _LISTED_IN_LAST_WEEKS), n - 10 - 50 * u),
        (np.isin(roles, _LISTED_LATE), n * (0.1 + 0.6 * u)),
        (roles == _SINGLE_ROW, n * (0.3 + 0.5 * u)),
    ):
        first[chosen] = session[chosen]
    delisted, single, halted = np.isin(roles, _DELISTED), roles == _SINGLE_ROW, roles == _HALTED
    last[delisted] = _next_session_on(2, days, (n * (0.4 + 0.5 * v[delisted])).astype(np.int64))
    last[single] = first[single]
    halt[halted] = _next_session_on(0, days, (n * (0.3 + 0.5 * v[halted])).astype(np.int64))
    resume[halted] = np.searchsorted(days, days[halt[halted]] + 14)
    return Listings(first, last, halt, resume, roles == _ALL_NULL, *_anomalies(roles, words[:, 4], n))


def _next_session_on(weekday: int, days: NDArray[np.int32], sessions: Ints) -> Ints:
    """Return the first session on a weekday (Monday is 0) that is not earlier than each given session."""
    on_weekday = np.flatnonzero((days + 3) % 7 == weekday)  # 1970-01-01 was a Thursday
    return on_weekday[np.searchsorted(on_weekday, sessions)]


def _anomalies(roles: Ints, words: Words, n: int) -> tuple[Ints, Ints, Ints]:
    """Return (symbol, session, anomaly), sorted by symbol; the anomalies of a symbol are spread out."""
    kinds = np.array([role for role, _ in _ANOMALIES])
    symbol, anomaly = np.nonzero(roles[:, None] == kinds)
    place, places = anomaly - np.searchsorted(kinds, kinds[anomaly]), np.bincount(kinds)[kinds[anomaly]]
    spread = 0.9 * uniform(words, 0)[symbol]
    return symbol, (n * (0.1 + 0.85 * (place + spread) / places)).astype(np.int64), anomaly
