"""The prices of a block of symbols in one year."""

from __future__ import annotations

import numpy as np

from weekly_cli.cli.sample.sessions import sessions_of
from weekly_cli.cli.sample.universe import (
    DIVIDEND_SESSIONS,
    PROFILE_BLOCK,
    PROFILE_WORDS,
    Columns,
    Floats,
    Ints,
    Source,
    Words,
    bell,
    cents,
    make_listings,
    make_traits,
    make_universe,
    uniform,
)

FIRST_YEAR = 2018


class Sample:
    """The sample's calendar, universe, traits, listings and benchmarks: everything except the blocks.

    Attributes
    ----------
    days : int32[sessions]
        Days since 1970-01-01.
    bounds : int64[years + 1]
        The first session of each year, and the number of sessions.
    """

    def __init__(self, symbols: int, years: int, seed: int) -> None:
        calendar = [sessions_of(FIRST_YEAR + year) for year in range(years)]
        self.days = np.concatenate(calendar)
        self.bounds = np.cumsum([0, *map(len, calendar)])
        self.universe = make_universe(symbols)
        self._source = Source(seed)
        self._streams = self.universe.ordinals + 2**32  # a symbol's stream does not depend on the rest of the sample
        words = self._source.words(self._streams, PROFILE_BLOCK, PROFILE_WORDS)
        self.traits = make_traits(self.universe, words)
        self.listings = make_listings(self.universe, words, self.days)
        self._factors = [self._benchmark_returns(year) for year in range(years)]

    def first_levels(self) -> Floats:
        """Return the log level of each symbol's total return before the first session, float64[symbols]."""
        all_symbols = slice(0, len(self.universe.names))
        levels: Floats = self.traits.log_price + self._log_to_come(all_symbols, np.zeros(1, np.int64))[:, 0]
        return levels

    def block(self, rows: slice, year: int, levels: Floats) -> Columns:
        """Return the columns of some symbols in one year, and "present"; `levels` is advanced to the end of the year.

        Parameters
        ----------
        levels : float64[symbols]
            The log level of each symbol's total return at the beginning of the year.
        """
        start, stop = (int(bound) for bound in self.bounds[year : year + 2])
        sessions = np.arange(start, stop)
        words, burst, returns = self._returns(rows, year, self._factors[year])
        level = np.cumsum(returns, axis=1)
        level += levels[rows, None]
        levels[rows] = level[:, -1]
        to_come = self._log_to_come(rows, sessions)
        columns = self._bars(rows, level - to_come, returns, burst, words)
        self.listings.apply(columns, rows, start, stop)
        columns["total_return"] = np.rint(columns["close"] * np.exp(to_come) * 1e4) / 1e4
        columns["present"] = self.listings.present(rows, sessions)
        return columns

    def _returns(self, rows: slice, year: int, factors: Floats) -> tuple[Words, Floats, Floats]:
        """Return each day's spare word, burst and log return (within 0.5), all [symbols, sessions]."""
        traits, sessions = self.traits, int(self.bounds[year + 1] - self.bounds[year])
        words = self._source.words(self._streams[rows], year, 3 * sessions).reshape(-1, 3, sessions)
        burst = np.exp(0.45 * bell(words[:, 0]))
        returns = bell(words[:, 1])
        returns *= burst
        returns *= traits.noise[rows, None]
        returns += traits.beta[rows, None] * factors[self.universe.parents[rows]]
        returns += traits.drift[rows, None]
        np.clip(returns, -0.5, 0.5, out=returns)
        return words[:, 2], burst, returns

    def _bars(self, rows: slice, log_close: Floats, returns: Floats, burst: Floats, words: Words) -> Columns:
        close = np.exp(log_close)
        reach = np.minimum(0.6 * self.traits.noise[rows, None] * burst, 0.3)
        opened = cents(close * (1.0 - returns * (0.3 + uniform(words, 0))))
        close = cents(close)
        high = cents(np.maximum(opened, close) * (1.0 + reach * uniform(words, 1)))
        low = cents(np.minimum(opened, close) * (1.0 - reach * uniform(words, 2)))
        shares = self.traits.volume[rows, None] * burst * (0.4 + uniform(words, 3))
        return {"open": opened, "high": high, "low": low, "close": close, "volume": shares.astype(np.int64)}

    def _log_to_come(self, rows: slice, sessions: Ints) -> Floats:
        """Return the logarithm of the total return over the close, float64[symbols, sessions]."""
        traits = self.traits
        phase, end = traits.ex_phase[rows, None], np.minimum(len(self.days) - 1, self.listings.last[rows, None])
        dividends = (end - phase) // DIVIDEND_SESSIONS - (sessions - phase) // DIVIDEND_SESSIONS
        return dividends * traits.log_dividend[rows, None]

    def _benchmark_returns(self, year: int) -> Floats:
        """Return the benchmarks' log returns, and a row of zeros for symbols without a parent.

        The shape is [benchmarks + 1, sessions].
        """
        sessions = int(self.bounds[year + 1] - self.bounds[year])
        factors = np.zeros((len(self.universe.benchmarks) + 1, sessions))
        for number, position in enumerate(self.universe.benchmarks.tolist()):
            factors[number] = self._returns(slice(position, position + 1), year, factors)[2]
        return factors
