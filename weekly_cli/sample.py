"""Made-up daily prices with life's warts: the same arguments give the same rows, whatever the layout.

Randomness is counter-based: the words of a symbol's year are Philox at the place (seed, symbol, year), so
every block can be drawn alone and in any order, and neither the layout nor the size of a chunk changes a bit.
Bells are sums of four uniform 16-bit numbers, so no value hangs on how numpy makes its normal numbers.

Prices follow one market factor down a tree (market, sectors, subsectors, tickers): the log return of a day is
beta times the parent's return, plus a bell scaled by that day's burst. Bursts are log-normal, which makes
the tails heavy, and they move ranges and volume too. Returns add up to the level of the total return; the raw
close is the level without the splits and dividends that are still to come, so `adj_close` ends at the close.

A block [symbols, sessions of one year] is simulated at a time; only the level is carried to the next year. By
symbol, the years of one row group's symbols stand together; by date, the symbols of one year do.
"""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LAYOUTS = ("date", "symbol", "day")
SECTORS_FILE = "sectors.csv"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Words = NDArray[np.uint64]
#: The columns of a block by name, each [symbols, sessions].
Columns = dict[str, NDArray[Any]]

_FIRST_YEAR = 2018
_ROW_GROUP_ROWS = 256 * 1024
_FILE_ROWS = 16 * _ROW_GROUP_ROWS
_MIN_FILES = 4
#: Symbols simulated together in date order: a column of their year is half a megabyte, which a core caches.
_CHUNK_SYMBOLS = 256
_SESSIONS_PER_YEAR = 252

_PRICES = ("open", "high", "low", "close")
_VALUES = {**dict.fromkeys(_PRICES, np.float64), "volume": np.int64, "adj_close": np.float64}
_TEXT = pa.dictionary(pa.int32(), pa.string())
_SCHEMA = pa.schema(
    [
        ("symbol", _TEXT),
        ("date", pa.date32()),
        *((name, pa.float64()) for name in _PRICES),
        ("volume", pa.int64()),
        ("adj_close", pa.float64()),
        ("exchange", _TEXT),
    ]
)


@dataclass(frozen=True)
class SampleFiles:
    """What was written: the number of rows, and the Parquet files in order of their rows."""

    rows: int
    paths: tuple[Path, ...]


def write_sample(
    folder: Path, *, symbols: int = 40, years: int = 6, layout: str = "date", seed: int = 7
) -> SampleFiles:
    """Write made-up daily prices as Parquet files, and `sectors.csv` beside them.

    Columns: symbol and exchange (string), date (date32), open, high, low and close (float64, dollars to the
    cent), volume (int64, shares), adj_close (float64, dollars to four decimals, adjusted back for dividends
    and splits). adj_close is null where close is; nothing but prices is ever null.
    The default sample holds every wart; a smaller one holds those that its symbols carry.

    Parameters
    ----------
    folder : Path
        Made if it is not there. Files of the same names are replaced, anything else is left alone: another
        layout, or fewer years, belongs into another folder.
    symbols : int
        Benchmarks included: `MARKET`, from 12 symbols on five sectors, from 24 on two subsectors.
    years : int
        Calendar years from 2018 on, of about 251 sessions.
    layout : {"date", "symbol", "day"}
        "date": sorted by (date, symbol), a file a year. "symbol": sorted by (symbol, date), four or more
        files if there are as many symbols, row groups of whole symbols. "day": as "date", a file a session.
        The rows are the same in all of them.
    seed : int
        Another seed, other prices; taken modulo 2**64.

    Raises
    ------
    ValueError
        If `symbols` or `years` is less than 1, or the layout is unknown.
    OSError
        If the folder can't be made or written to.
    """
    if symbols < 1:
        raise ValueError(f"a sample needs at least 1 symbol, not {symbols}")
    if years < 1:
        raise ValueError(f"a sample needs at least 1 year, not {years}")
    if layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; it is one of {', '.join(LAYOUTS)}")
    sample = _Sample(symbols, years, seed)
    folder.mkdir(parents=True, exist_ok=True)
    files = _files_by_symbol(sample) if layout == "symbol" else _files_by_date(sample, daily=layout == "day")
    written = [(folder / name, _write(folder / name, tables)) for name, tables in files]
    _write_text(folder / SECTORS_FILE, sample.people.sectors_csv())
    return SampleFiles(sum(rows for _, rows in written), tuple(path for path, _ in written))


# ---- the calendar ----------------------------------------------------------------------------------------


def _easter(year: int) -> datetime.date:
    """Return Easter Sunday by the anonymous Gregorian rule (Meeus, Astronomical Algorithms, chapter 8)."""
    golden, (century, rest) = year % 19, divmod(year, 100)
    moon = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - century // 4 - moon + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (rest // 4) - epact - rest % 4) % 7
    late = (golden + 11 * epact + 22 * weekday) // 451
    month, day = divmod(epact + weekday - 7 * late + 114, 31)
    return datetime.date(year, month, day + 1)


def _nth(n: int, weekday: int, month: int, year: int) -> datetime.date:
    """Return the n-th Monday (0) to Sunday (6) of a month; n = 0 is the last one before the month."""
    first = datetime.date(year, month, 1)
    return first + datetime.timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _observed(day: datetime.date) -> datetime.date:
    """Return the day off for a holiday: Friday for a Saturday, Monday for a Sunday."""
    return day + datetime.timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def _holidays(year: int) -> set[datetime.date]:
    """Return the weekdays of a year without a session; a New Year's Day on a Saturday is not made up for."""
    return {
        _observed(datetime.date(year, 1, 1)),
        _easter(year) - datetime.timedelta(days=2),  # Good Friday
        _nth(0, 0, 6, year),  # Memorial Day
        _observed(datetime.date(year, 7, 4)),
        _nth(1, 0, 9, year),  # Labor Day
        _nth(4, 3, 11, year),  # Thanksgiving
        _observed(datetime.date(year, 12, 25)),
    }


def _sessions(year: int) -> NDArray[np.int32]:
    """Return the sessions of a year in days since 1970-01-01."""
    days = np.arange(np.datetime64(f"{year:04}-01-01"), np.datetime64(f"{year:04}-12-31") + 1)
    holidays = np.array(sorted(_holidays(year)), "datetime64[D]")
    return days[np.is_busday(days, holidays=holidays)].astype(np.int32)


# ---- words -----------------------------------------------------------------------------------------------


class _Source:
    """Random 64-bit words by place; setting a generator's state costs a third of making a generator."""

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


def _bell(words: Words) -> Floats:
    """Return numbers of mean 0 and deviation 1, within 3.5: the sum of the four 16-bit numbers of a word."""
    pairs = (words & _SIXTEEN_OF_32) + ((words >> 16) & _SIXTEEN_OF_32)
    bell: Floats = ((pairs + (pairs >> 32)) & 0xFFFFFFFF).astype(np.float64)
    bell -= 2 * 65535
    bell /= np.sqrt((65536**2 - 1) / 3)
    return bell


def _uniform(words: Words, which: int) -> Floats:
    """Return numbers within [0, 1): one of the four 16-bit numbers of a word."""
    numbers = ((words >> (16 * which)) & 0xFFFF).astype(np.float64)
    numbers *= 2.0**-16
    return numbers


# ---- who is in it ----------------------------------------------------------------------------------------

_MARKET = "MARKET"
_SECTORS = ("SEC_TECH", "SEC_FIN", "SEC_HLTH", "SEC_ENRG", "SEC_CONS")
#: A subsector by the number of its sector.
_SUBSECTORS = {0: "SUB_CHIPS", 1: "SUB_BANKS"}
_SECTORS_FROM, _SUBSECTORS_FROM = 12, 24
_EXCHANGES = ("ARCX", "XNAS", "XNYS")
#: Paths, numbers, truth values, missing values and device names to those who guess.
_ODD_NAMES = ("BRK/B", "NA", "000001", "TRUE", "NULL", "CON", "1E5", "INF")
_LENGTHS = (4, 3, 4, 1, 3, 5, 2, 4)
_STRIDE = 7_368_787


def _word(number: int) -> str:
    """Return one to five letters: the next preferred length that tells `number` from all before it.

    The stride is prime to 26, so the words of a length are all different.
    """
    length = _LENGTHS[number % len(_LENGTHS)]
    while 26**length <= number:
        length += 1
    rest, letters = (number * _STRIDE + 11) % 26**length, ""
    for _ in range(length):
        rest, letter = divmod(rest, 26)
        letters += chr(ord("A") + letter)
    return letters


def _tickers(count: int) -> list[str]:
    made = (word for word in map(_word, itertools.count()) if word not in _ODD_NAMES)
    return list(itertools.islice(itertools.chain(_ODD_NAMES, made), count))


@dataclass(frozen=True)
class _People:
    """The symbols in the order of their names, and what each is compared with.

    Attributes
    ----------
    names : list of str
    ordinals : int64[symbols]
        The number of an ordinary ticker, which says what happens to it; a benchmark's is negative.
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
        """Return the sector map: every 13th ticker is not in it, most have no subsector."""
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


def _people(symbols: int) -> _People:
    sectors = _SECTORS if symbols >= _SECTORS_FROM else ()
    subsectors = _SUBSECTORS if symbols >= _SUBSECTORS_FROM else {}
    benchmarks = (_MARKET, *sectors, *subsectors.values())
    tickers = symbols - len(benchmarks)
    ordinals = np.array([*(-1 - number for number in range(len(benchmarks))), *range(tickers)])
    names = np.array([*benchmarks, *_tickers(tickers)], object)
    parents = np.array(
        [-1, *(0 for _ in sectors), *(1 + sector for sector in subsectors)]
        + [_parent(ordinal, len(sectors), list(subsectors)) for ordinal in range(tickers)]
    )
    order = np.argsort(names)
    places = np.argsort(order)[: len(benchmarks)]
    return _People(names[order].tolist(), ordinals[order], places, parents[order])


def _parent(ordinal: int, sectors: int, with_subsector: Sequence[int]) -> int:
    """Return the number of a ticker's benchmark: its subsector, else its sector, else the market."""
    if not sectors:
        return 0
    sector = ordinal % sectors
    if sector in with_subsector and ordinal % 3 == 0:
        return 1 + sectors + with_subsector.index(sector)
    return 1 + sector


# ---- what they are like ----------------------------------------------------------------------------------

_PROFILE_BLOCK, _PROFILE_WORDS = 2**63, 5
_DIVIDEND_SESSIONS = 63
_SPLIT_RATIOS = np.array([2.0, 3.0, 1.5, 0.1])


@dataclass(frozen=True)
class _Traits:
    """What drives each symbol's prices; every array is [symbols].

    Attributes
    ----------
    beta, drift, noise : float64
        Of a day's log return: the share of the parent's, a constant, the deviation of the own part.
    log_price, volume : float64
        Of the first session, and of a usual day.
    log_dividend, ex_phase : float64, int64
        What a dividend takes from the log price, and its day within a quarter.
    split, log_ratio : int64, float64
        The session of the split, and the logarithm of new shares for an old one; 0 for no split.
    exchange : int32
    """

    beta: Floats
    drift: Floats
    noise: Floats
    log_price: Floats
    volume: Floats
    log_dividend: Floats
    ex_phase: Ints
    split: Ints
    log_ratio: Floats
    exchange: NDArray[np.int32]


def _traits(people: _People, words: Words, sessions: int) -> _Traits:
    ordinary, market = people.ordinals >= 0, people.parents < 0
    u = [_uniform(words[:, i // 4], i % 4) for i in range(10)]
    ratio = np.log(_SPLIT_RATIOS)[(u[8] * 16).astype(np.int64) % 4]
    return _Traits(
        beta=np.where(ordinary, 0.5 + u[0], np.where(market, 0.0, 0.8 + 0.4 * u[0])),
        drift=np.where(market, 0.05 / _SESSIONS_PER_YEAR, 0.0),
        noise=np.where(ordinary, 0.009 + 0.014 * u[1], np.where(market, 0.009, 0.006)),
        log_price=np.log(10.0) + np.log(30.0) * u[2],
        volume=10.0 ** (4.0 + 3.0 * u[3] + 1.0 * ~ordinary),
        log_dividend=np.where(ordinary & (u[4] < 0.6), np.log1p(-0.01 * u[5]), 0.0),
        ex_phase=(u[6] * _DIVIDEND_SESSIONS).astype(np.int64),
        split=(u[7] * sessions).astype(np.int64),
        log_ratio=np.where(ordinary & (u[8] < 0.25), ratio, 0.0),
        exchange=np.where(ordinary, 1 + (u[9] < 0.6), 0).astype(np.int32),
    )


# ---- what happens to them --------------------------------------------------------------------------------

# What happens to a ticker hangs on its number modulo 64, so that the default sample has every wart and a
# large one stays mostly sound. Some things happen to one ticker only.
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
    columns["high"][at] = columns["open"][at] = _cents(0.98 * close)
    columns["low"][at] = _cents(0.95 * close)


def _close_below(columns: Columns, at: Place) -> None:
    close = columns["close"][at]
    columns["low"][at] = columns["open"][at] = _cents(1.02 * close)
    columns["high"][at] = _cents(1.05 * close)


def _cross(columns: Columns, at: Place) -> None:
    high, low = columns["high"][at], columns["low"][at]
    columns["high"][at], columns["low"][at] = low, _cents(high + 0.05)


_WARTS: tuple[tuple[int, Callable[[Columns, Place], None]], ...] = (
    *((_NULLS, _setting(np.nan, name)) for name in _PRICES),
    *((_NULLS, _setting(np.nan, *_PRICES)) for _ in range(2)),
    *((_ZEROS, _setting(0.0, name)) for name in ("close", "close", "open", "low")),
    *((_NO_TRADES, _setting(0, "open", "high", "low", "volume")) for _ in range(5)),
    *((_OUTSIDE, change) for change in (_close_above, _close_below, _close_above)),
    (_CROSSED, _cross),
)


@dataclass(frozen=True)
class _Lives:
    """When each symbol has rows, and which rows are odd.

    Attributes
    ----------
    first, last, halt, resume : int64[symbols]
        Sessions: first and last with a row, first without and first with a row again.
    all_null : bool[symbols]
    wart_symbol, wart_session, wart : int64[warts]
        Sorted by symbol; `wart` is a position in `_WARTS`.
    """

    first: Ints
    last: Ints
    halt: Ints
    resume: Ints
    all_null: NDArray[np.bool_]
    wart_symbol: Ints
    wart_session: Ints
    wart: Ints

    def present(self, rows: slice, sessions: Ints) -> NDArray[np.bool_]:
        """Return bool[symbols, sessions]: which rows there are."""
        listed = (sessions >= self.first[rows, None]) & (sessions <= self.last[rows, None])
        halted = (sessions >= self.halt[rows, None]) & (sessions < self.resume[rows, None])
        return listed & ~halted

    def apply(self, columns: Columns, rows: slice, start: int, stop: int) -> None:
        """Change the odd rows of a block of the sessions from `start` to `stop`."""
        for name in _PRICES:
            columns[name][self.all_null[rows]] = np.nan
        among = slice(*np.searchsorted(self.wart_symbol, (rows.start, rows.stop)))
        session = self.wart_session[among]
        here = (session >= start) & (session < stop)
        places = np.stack([self.wart_symbol[among] - rows.start, session - start])[:, here]
        wart = self.wart[among][here]
        for kind in np.unique(wart):
            symbol, day = places[:, wart == kind]
            _WARTS[kind][1](columns, (symbol, day))


def _lives(people: _People, words: Words, days: NDArray[np.int32]) -> _Lives:
    n, roles = len(days), people.ordinals % _CYCLE
    roles[(people.ordinals < 0) | ((people.ordinals >= _CYCLE) & np.isin(roles, _ONCE))] = -1
    u, v = _uniform(words[:, 3], 0), _uniform(words[:, 3], 1)
    first, last = np.zeros(len(roles), np.int64), np.full(len(roles), n - 1)
    halt, resume = np.full((2, len(roles)), n)
    for which, session in (
        (np.isin(roles, _LISTED_IN_LAST_WEEKS), n - 10 - 50 * u),
        (np.isin(roles, _LISTED_LATE), n * (0.1 + 0.6 * u)),
        (roles == _SINGLE_ROW, n * (0.3 + 0.5 * u)),
    ):
        first[which] = session[which]
    gone, single, halted = np.isin(roles, _DELISTED), roles == _SINGLE_ROW, roles == _HALTED
    last[gone] = _next_session_on(2, days, (n * (0.4 + 0.5 * v[gone])).astype(np.int64))
    last[single] = first[single]
    halt[halted] = _next_session_on(0, days, (n * (0.3 + 0.5 * v[halted])).astype(np.int64))
    resume[halted] = np.searchsorted(days, days[halt[halted]] + 14)
    return _Lives(first, last, halt, resume, roles == _ALL_NULL, *_warts(roles, words[:, 4], n))


def _next_session_on(weekday: int, days: NDArray[np.int32], sessions: Ints) -> Ints:
    """Return the first session on a weekday (Monday is 0) that is no earlier than the given ones."""
    found = np.flatnonzero((days + 3) % 7 == weekday)  # 1970-01-01 was a Thursday
    return found[np.searchsorted(found, sessions)]


def _warts(roles: Ints, words: Words, n: int) -> tuple[Ints, Ints, Ints]:
    """Return (symbol, session, wart), sorted by symbol; a symbol's warts lie apart."""
    kinds = np.array([role for role, _ in _WARTS])
    symbol, wart = np.nonzero(roles[:, None] == kinds)
    place, places = wart - np.searchsorted(kinds, kinds[wart]), np.bincount(kinds)[kinds[wart]]
    spread = 0.9 * _uniform(words, 0)[symbol]
    return symbol, (n * (0.1 + 0.85 * (place + spread) / places)).astype(np.int64), wart


# ---- prices ----------------------------------------------------------------------------------------------


def _cents(x: Floats) -> Floats:
    """Round to cents, a cent at least."""
    x = np.rint(x * 100.0)
    np.maximum(x, 1.0, out=x)
    x /= 100.0
    return x


class _Sample:
    """The sample's calendar, people, traits, lives and benchmarks: everything but the blocks.

    Attributes
    ----------
    days : int32[sessions]
        Days since 1970-01-01.
    bounds : int64[years + 1]
        The first session of each year, and the number of sessions.
    """

    def __init__(self, symbols: int, years: int, seed: int) -> None:
        calendar = [_sessions(_FIRST_YEAR + year) for year in range(years)]
        self.days = np.concatenate(calendar)
        self.bounds = np.cumsum([0, *map(len, calendar)])
        self.people = _people(symbols)
        self._source = _Source(seed)
        self._streams = self.people.ordinals + 2**32  # of a symbol, whoever else is in the sample
        words = self._source.words(self._streams, _PROFILE_BLOCK, _PROFILE_WORDS)
        self.traits = _traits(self.people, words, len(self.days))
        self.lives = _lives(self.people, words, self.days)
        self._factors = [self._benchmark_returns(year) for year in range(years)]

    def first_levels(self) -> Floats:
        """Return the log level of each symbol's total return before the first session, float64[symbols]."""
        everyone = slice(0, len(self.people.names))
        levels: Floats = self.traits.log_price + self._log_to_come(everyone, np.zeros(1, np.int64))[:, 0]
        return levels

    def block(self, rows: slice, year: int, levels: Floats) -> Columns:
        """Return the columns of some symbols in one year, and "present"; `levels` moves on to the year's end.

        Parameters
        ----------
        levels : float64[symbols]
            The log level of each symbol's total return when the year begins.
        """
        start, stop = (int(bound) for bound in self.bounds[year : year + 2])
        sessions = np.arange(start, stop)
        words, burst, returns = self._returns(rows, year, self._factors[year])
        level = np.cumsum(returns, axis=1)
        level += levels[rows, None]
        levels[rows] = level[:, -1]
        to_come = self._log_to_come(rows, sessions)
        columns = self._bars(rows, level - to_come, returns, burst, words)
        self.lives.apply(columns, rows, start, stop)
        columns["adj_close"] = np.rint(columns["close"] * np.exp(to_come) * 1e4) / 1e4
        columns["present"] = self.lives.present(rows, sessions)
        return columns

    def _returns(self, rows: slice, year: int, factors: Floats) -> tuple[Words, Floats, Floats]:
        """Return each day's spare word, burst and log return (within 0.5), all [symbols, sessions]."""
        traits, sessions = self.traits, int(self.bounds[year + 1] - self.bounds[year])
        words = self._source.words(self._streams[rows], year, 3 * sessions).reshape(-1, 3, sessions)
        burst = np.exp(0.45 * _bell(words[:, 0]))
        returns = _bell(words[:, 1])
        returns *= burst
        returns *= traits.noise[rows, None]
        returns += traits.beta[rows, None] * factors[self.people.parents[rows]]
        returns += traits.drift[rows, None]
        np.clip(returns, -0.5, 0.5, out=returns)
        return words[:, 2], burst, returns

    def _bars(self, rows: slice, log_close: Floats, returns: Floats, burst: Floats, words: Words) -> Columns:
        close = np.exp(log_close)
        reach = np.minimum(0.6 * self.traits.noise[rows, None] * burst, 0.3)
        opened = _cents(close * (1.0 - returns * (0.3 + _uniform(words, 0))))
        close = _cents(close)
        high = _cents(np.maximum(opened, close) * (1.0 + reach * _uniform(words, 1)))
        low = _cents(np.minimum(opened, close) * (1.0 - reach * _uniform(words, 2)))
        shares = self.traits.volume[rows, None] * burst * (0.4 + _uniform(words, 3))
        return {"open": opened, "high": high, "low": low, "close": close, "volume": shares.astype(np.int64)}

    def _log_to_come(self, rows: slice, sessions: Ints) -> Floats:
        """Return the logarithm of adjusted over raw price, float64[symbols, sessions]."""
        traits = self.traits
        phase, end = traits.ex_phase[rows, None], np.minimum(len(self.days) - 1, self.lives.last[rows, None])
        dividends = (end - phase) // _DIVIDEND_SESSIONS - (sessions - phase) // _DIVIDEND_SESSIONS
        before_split = (sessions < traits.split[rows, None]) & (traits.split[rows, None] <= end)
        return dividends * traits.log_dividend[rows, None] - before_split * traits.log_ratio[rows, None]

    def _benchmark_returns(self, year: int) -> Floats:
        """Return the benchmarks' log returns, and zeros for no parent, [benchmarks + 1, sessions]."""
        sessions = int(self.bounds[year + 1] - self.bounds[year])
        factors = np.zeros((len(self.people.benchmarks) + 1, sessions))
        for number, position in enumerate(self.people.benchmarks.tolist()):
            factors[number] = self._returns(slice(position, position + 1), year, factors)[2]
        return factors


# ---- files -----------------------------------------------------------------------------------------------


def _files_by_date(sample: _Sample, *, daily: bool) -> Iterator[tuple[str, Iterator[pa.Table]]]:
    """Yield the files in date order: a name, and the tables to write as row groups."""
    names = sample.people.names
    group = max(1, _ROW_GROUP_ROWS // len(names))
    for year, columns in enumerate(_years(sample)):
        days = sample.days[sample.bounds[year] : sample.bounds[year + 1]]
        table = partial(_days_table, sample, columns, days)
        if daily:
            for date, cut in zip(days.astype("datetime64[D]"), _cuts(0, len(days), 1), strict=True):
                yield f"prices_{date}.parquet", map(table, [cut])
        else:
            yield f"prices_{_FIRST_YEAR + year}.parquet", map(table, _cuts(0, len(days), group))


def _years(sample: _Sample) -> Iterator[Columns]:
    """Yield the columns of each year, [sessions, symbols]; they are overwritten by the next."""
    symbols, longest = len(sample.people.names), int(np.diff(sample.bounds).max())
    buffers = _buffers(longest, symbols)
    levels = sample.first_levels()
    for year in range(len(sample.bounds) - 1):
        sessions = int(sample.bounds[year + 1] - sample.bounds[year])
        for rows in _cuts(0, symbols, _CHUNK_SYMBOLS):
            for name, values in sample.block(rows, year, levels).items():
                buffers[name][:sessions, rows] = values.T
        yield {name: buffer[:sessions] for name, buffer in buffers.items()}


def _days_table(sample: _Sample, columns: Columns, days: NDArray[np.int32], cut: slice) -> pa.Table:
    places = np.flatnonzero(columns["present"][cut])
    day, symbol = np.divmod(places, len(sample.people.names))
    return _table(sample, slice(0, len(sample.people.names)), symbol, days[cut][day], columns, cut, places)


def _files_by_symbol(sample: _Sample) -> Iterator[tuple[str, Iterator[pa.Table]]]:
    """Yield the files clustered by symbol: a name, and the tables to write as row groups."""
    symbols, sessions = len(sample.people.names), len(sample.days)
    files = min(symbols, max(_MIN_FILES, round(symbols * sessions / _FILE_ROWS)))
    group = max(1, round(_ROW_GROUP_ROWS / sessions))
    table = partial(_symbols_table, sample, sample.first_levels(), _buffers(group, sessions))
    bounds = np.linspace(0, symbols, files + 1).round().astype(int).tolist()
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        yield f"prices_{number:03}.parquet", map(table, _cuts(start, stop, group))


def _symbols_table(sample: _Sample, levels: Floats, buffers: Columns, rows: slice) -> pa.Table:
    everyone = slice(0, rows.stop - rows.start)
    for year, (start, stop) in enumerate(itertools.pairwise(sample.bounds.tolist())):
        for name, values in sample.block(rows, year, levels).items():
            buffers[name][everyone, start:stop] = values
    places = np.flatnonzero(buffers["present"][everyone])
    symbol, session = np.divmod(places, len(sample.days))
    return _table(sample, rows, symbol, sample.days[session], buffers, everyone, places)


def _buffers(*shape: int) -> Columns:
    return {name: np.empty(shape, kind) for name, kind in {**_VALUES, "present": np.bool_}.items()}


def _cuts(start: int, stop: int, size: int) -> Iterator[slice]:
    """Cut a range into slices of `size` and a shorter last one."""
    return (slice(cut, min(cut + size, stop)) for cut in range(start, stop, size))


def _table(
    sample: _Sample,
    rows: slice,
    symbol: Ints,
    days: NDArray[np.int32],
    columns: Mapping[str, NDArray[Any]],
    cut: slice,
    places: Ints,
) -> pa.Table:
    """Return the rows at `places` of the columns' part `cut`; `symbol` counts from the first of `rows`."""
    exchange = sample.traits.exchange[rows][symbol]
    arrays = {
        "symbol": _text(symbol.astype(np.int32), sample.people.names[rows]),
        "date": _arrow(days, pa.date32()),
        "exchange": _text(exchange, _EXCHANGES),
    }
    for name in _VALUES:
        arrays[name] = _arrow(columns[name][cut].ravel()[places], _SCHEMA.field(name).type)
    return pa.Table.from_arrays([arrays[name] for name in _SCHEMA.names], schema=_SCHEMA)


def _text(codes: NDArray[np.int32], names: Sequence[str]) -> pa.Array:
    texts = [name.encode() for name in names]
    offsets = np.cumsum([0, *map(len, texts)], dtype=np.int32)
    known = pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(b"".join(texts)))
    return pa.DictionaryArray.from_arrays(_arrow(codes, pa.int32()), known)  # `pa.array` would import pandas


def _arrow(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return an Arrow array on the values' own memory, null where they are NaN."""
    missing = np.isnan(values) if values.dtype.kind == "f" else np.zeros(1, np.bool_)
    mask = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    return pa.Array.from_buffers(kind, len(values), [mask, pa.py_buffer(values)])


def _write(path: Path, tables: Iterator[pa.Table]) -> int:
    """Write a Parquet file aside, then give it its name; return its rows."""
    from weekly_cli.storage import ParquetOutput

    # Dictionaries are handed over; without the Arrow schema in the file, readers see plain strings.
    options = {"compression": "zstd", "use_dictionary": ["symbol", "exchange"], "store_schema": False}
    with ParquetOutput(path, _SCHEMA, **options) as output:
        for table in tables:
            output.write(table)
        output.close(durable=False)
    return output.rows


def _write_text(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.aside")
    aside.write_text(text, encoding="utf-8", newline="\n")
    aside.replace(path)
