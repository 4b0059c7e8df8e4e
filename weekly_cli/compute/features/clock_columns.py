"""Which columns the bars of a clock have, and over which windows: what the families are told of it.

All windows are in bars. A month has fewer columns than a week, and a quarter fewer still: ten years have 120 months and
40 quarters, which windows of a year or two do not use up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from weekly_cli.compute.features.declare import Windows
from weekly_cli.names import PERIODS, WINDOWS


@dataclass(frozen=True, kw_only=True)
class ClockColumns:
    """What the families declare for one clock.

    Attributes
    ----------
    every : str
        One of `names.PERIODS`.
    windows : mapping of key to windows
        The keys are those of `names.WINDOWS`; no windows, no such columns.
    bars_per_year : int
        By whose root a deviation is annualised.
    slope_bars : int
        Over how many bars a slope goes.
    norm_bars : int
        Bars of the mean to which relative strength is compared.
    z_bars : int
        Bars of a z-score; 0: there is none.
    has_scores : bool
        What is made of several averages or slopes at once: the trend's scores, the smallest distance, the ratio.
    has_macd_slope, has_skipped_momentum : bool
        `macd_hist_slope`; `mom_12_1`.
    """

    every: str
    windows: Windows
    bars_per_year: int
    slope_bars: int
    norm_bars: int
    z_bars: int
    has_scores: bool = False
    has_macd_slope: bool = False
    has_skipped_momentum: bool = False

    @property
    def prefix(self) -> str:
        """What the names of the columns begin with."""
        return PERIODS[self.every].prefix

    @property
    def noun(self) -> str:
        """What a period is called."""
        return PERIODS[self.every].noun

    @property
    def nouns(self) -> str:
        """What periods are called."""
        return PERIODS[self.every].nouns

    @property
    def end(self) -> str:
        """The bar's last day, as the columns name it."""
        return PERIODS[self.every].end

    def step(self, name: str) -> str:
        """Return the name of an intermediate value: each clock has its own."""
        return name if self.every == "week" else f"{self.every}:{name}"


_WEEK = ClockColumns(
    every="week",
    windows=WINDOWS,
    bars_per_year=52,
    slope_bars=4,
    norm_bars=12,
    z_bars=12,
    has_scores=True,
    has_macd_slope=True,
)
_MONTH = ClockColumns(
    every="month",
    windows={
        "mom": (1, 3, 6, 12),
        "rsi": (14,),
        "macd": WINDOWS["macd"],
        "sma": (6, 10, 12, 24),
        "vol": (12, 36),
        "atr": (14,),
        "breakout": (12,),
        "volume_ratio": (12,),
        "beta": (36,),
    },
    bars_per_year=12,
    slope_bars=3,
    norm_bars=12,
    z_bars=12,
    has_skipped_momentum=True,
)
_QUARTER = ClockColumns(
    every="quarter",
    windows={
        "mom": (1, 2, 4),
        "rsi": (),
        "macd": (),
        "sma": (4, 8),
        "vol": (8,),
        "atr": (),
        "breakout": (4,),
        "volume_ratio": (4,),
        "beta": (),
    },
    bars_per_year=4,
    slope_bars=1,
    norm_bars=4,
    z_bars=0,
)


def clock_columns(every: str, windows: Iterable[tuple[str, Sequence[int]]] = ()) -> ClockColumns:
    """Return what a clock's bars have; `windows` are those that `--windows` gives: of weeks, and periods of weeks."""
    if every == "month":
        return _MONTH
    if every == "quarter":
        return _QUARTER
    n_weeks = {"week": 1, "2W": 2, "4W": 4}[every]
    return replace(_WEEK, every=every, windows={**WINDOWS, **dict(windows)}, bars_per_year=52 // n_weeks)
