"""The registry of output columns, in the order in which they are written.

To add a feature, declare it in its family's module (or add a module to `_MODULES`); the command, the output, the
generated tables and the tests take it from here.
"""

from __future__ import annotations

from collections.abc import Sequence

from weekly_cli.compute.features import (
    breakout,
    distance,
    momentum,
    relative,
    returns,
    trend,
    volatility,
    volume,
    weekly_bar,
)
from weekly_cli.compute.features.declare import BAR_INPUTS, Feature, Step, evaluate
from weekly_cli.compute.features.weekly_bar import VISIBLE_FROM, WEEK_END
from weekly_cli.errors import UsageError
from weekly_cli.names import did_you_mean

__all__ = [
    "BAR_INPUTS",
    "FAMILIES",
    "VISIBLE_FROM",
    "WEEK_END",
    "Feature",
    "Step",
    "columns_of_bars",
    "evaluate",
    "registry",
    "select_features",
    "steps_for",
    "templates",
    "with_week_end",
]

_MODULES = (weekly_bar, returns, momentum, trend, distance, volatility, breakout, volume)

FAMILIES = (
    "bars",
    "returns",
    "momentum",
    "trend",
    "distance",
    "volatility",
    "breakout",
    "volume",
    "relative",
)


def steps_for(benchmarks: Sequence[str]) -> dict[str, Step]:
    """Return every step by name, in output order, with the relative family once per benchmark name."""
    steps: list[Step] = [step for module in _MODULES for step in module.STEPS]
    steps += [template.for_benchmark(name) for name in benchmarks for template in relative.TEMPLATES]
    return {step.name: step for step in steps}


def registry(benchmarks: Sequence[str] = ()) -> tuple[Feature, ...]:
    """Return all features in output order."""
    return tuple(step for step in steps_for(benchmarks).values() if isinstance(step, Feature))


def templates() -> tuple[Feature, ...]:
    """Return all features for documentation: the relative ones have `{b}` in their names."""
    return registry(["{b}"])


def with_week_end(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Return the features for a table of bars, in which the week is a key and always there."""
    return (WEEK_END, *(feature for feature in features if feature.name != WEEK_END.name))


def columns_of_bars(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Return what a table of bars has besides the symbol: both of a bar's days, then its features."""
    week_end, *others = with_week_end(features)
    return (week_end, VISIBLE_FROM, *others)


def select_features(wanted: str, benchmarks: Sequence[str] = (), setting: str = "--features") -> tuple[Feature, ...]:
    """Return the features that `--features` asks for, in output order.

    Parameters
    ----------
    wanted : str
        Families, columns and exclusions, separated by commas: "momentum,w_vol_12" or "all,-relative". A list that
        begins with an exclusion starts from all.
    benchmarks : sequence of str
        The names that replace `{b}`.
    setting : str
        Where `wanted` came from, for error messages.

    Raises
    ------
    UsageError
        If a word is neither a family nor a column, or nothing is left.

    >>> [feature.name for feature in select_features("volume,w_ret")]
    ['w_ret', 'w_volume_ratio_12']
    """
    features = registry(benchmarks)
    words = [word.strip() for word in wanted.split(",") if word.strip()]
    chosen: set[str] = {feature.name for feature in features} if not words or words[0].startswith("-") else set()
    for word in words:
        names = _named_by(word.removeprefix("-"), features, setting)
        chosen = chosen - names if word.startswith("-") else chosen | names
    if not chosen:
        raise UsageError(f"{setting} {wanted} leaves no column; name a family ({', '.join(FAMILIES)}) or a column")
    return tuple(feature for feature in features if feature.name in chosen)


def _named_by(word: str, features: Sequence[Feature], setting: str) -> set[str]:
    if word == "all":
        return {feature.name for feature in features}
    if word in FAMILIES:
        return {feature.name for feature in features if feature.family == word}
    if any(feature.name == word for feature in features):
        return {word}
    hint = did_you_mean(word, [*FAMILIES, *(feature.name for feature in features)])
    raise UsageError(f"{setting}: {word} is neither a family nor a column, as weekly-cli features lists them{hint}")
