"""Family `relative`: a symbol compared with a benchmark; `{b}` is replaced by the benchmark's name.

The panel `benchmark:{b}` has the benchmark's close in the period of each of the symbol's bars, NaN if the benchmark
has none, so its return covers the same two periods as the symbol's.
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter

import numpy as np

from weekly_cli.compute.features.clock_columns import ClockColumns
from weekly_cli.compute.features.declare import Feature, Step
from weekly_cli.compute.features.returns import log_return
from weekly_cli.compute.kernels import Panel, ratio_change, rolling_comoments, rolling_mean


def _relative_strength(close: Panel, benchmark: Panel) -> Panel:
    strength = close / benchmark
    strength[np.isinf(strength)] = np.nan  # is stored as null, so no window may take it for a value
    return strength


def _to_its_mean(x: Panel, n: int) -> Panel:
    return x / rolling_mean(x, n) - 1.0


def _beta_and_correlation(returns: Panel, benchmark_returns: Panel, n: int) -> tuple[Panel, Panel]:
    """Return slope and correlation over the last `n` bars; NaN where either variance is 0."""
    # If a return is missing on either side, so is the pair.
    squares, benchmark_squares, products = rolling_comoments(
        returns + 0.0 * benchmark_returns, benchmark_returns + 0.0 * returns, n
    )
    squares[squares == 0.0] = np.nan
    benchmark_squares[benchmark_squares == 0.0] = np.nan
    correlation = products / (np.sqrt(squares) * np.sqrt(benchmark_squares))
    beta = products / benchmark_squares
    beta[np.isnan(squares)] = np.nan
    return beta, np.clip(correlation, -1.0, 1.0)


def templates(clock: ClockColumns) -> tuple[Step, ...]:
    """Return the family's columns of one benchmark, with beta and correlation for each window `beta`."""
    strength, norm_bars, slope_bars = f"{clock.prefix}rs_{{b}}", clock.norm_bars, clock.slope_bars
    return (
        Feature(
            name=strength,
            every=clock.every,
            family="relative",
            formula=f"C / C of the benchmark in the same {clock.noun}; null where it has no bar that {clock.noun}",
            first_bar=0,
            inputs=("close", "benchmark:{b}"),
            function=_relative_strength,
            source="Levy (1967), Relative Strength as a Criterion for Investment Selection",
        ),
        Feature(
            name=f"{strength}_norm",
            every=clock.every,
            family="relative",
            formula=f"rs / mean(rs, window {norm_bars}) - 1",
            first_bar=norm_bars - 1,
            inputs=(strength,),
            function=partial(_to_its_mean, n=norm_bars),
            source="Mansfield's relative performance, in Weinstein (1988), Secrets for Profiting in Bull and Bear "
            "Markets",
        ),
        Feature(
            name=f"{strength}_slope",
            every=clock.every,
            family="relative",
            formula=f"rs / rs[-{slope_bars}] - 1",
            first_bar=slope_bars,
            inputs=(strength,),
            function=partial(ratio_change, n=slope_bars),
        ),
        Step(name=clock.step("benchmark_return:{b}"), inputs=("benchmark:{b}",), function=log_return),
        *(step for n in clock.windows["beta"] for step in _beta(n, clock)),
    )


def _beta(n: int, clock: ClockColumns) -> tuple[Step, ...]:
    both, returns = clock.step(f"beta_and_correlation_{n}:{{b}}"), f"{clock.prefix}ret"
    return (
        Step(
            name=both,
            inputs=(returns, clock.step("benchmark_return:{b}")),
            function=partial(_beta_and_correlation, n=n),
        ),
        Feature(
            name=f"{clock.prefix}beta_{{b}}_{n}",
            every=clock.every,
            family="relative",
            formula=f"slope of {returns} on the benchmark's log return between the same {clock.nouns}, window {n}; "
            "null where a variance is 0",
            first_bar=n,
            inputs=(both,),
            function=itemgetter(0),
            source="Sharpe (1964), Capital Asset Prices",
        ),
        Feature(
            name=f"{clock.prefix}corr_{{b}}_{n}",
            every=clock.every,
            family="relative",
            formula=f"their correlation, window {n}; null where a variance is 0",
            first_bar=n,
            inputs=(both,),
            function=itemgetter(1),
            source="Pearson (1896), Regression, Heredity, and Panmixia",
            parity="TA-Lib CORREL on the returns",
        ),
    )
