"""The catalogue of output columns, in the order in which they are written.

To add a feature, declare it in its family's module (or add a module to `_MODULES`); the command, the output, the
generated tables and the tests take it from here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from weekly_cli.compute.features import (
    bar,
    breakout,
    developing,
    distance,
    momentum,
    relative,
    returns,
    trend,
    volatility,
    volume,
)
from weekly_cli.compute.features.bar import VISIBLE_FROM, WEEK_END
from weekly_cli.compute.features.clock_columns import clock_columns
from weekly_cli.compute.features.cross import FAMILY as CROSS
from weekly_cli.compute.features.cross import CrossFeature, cross_features, placed_column, texts_of
from weekly_cli.compute.features.declare import Feature, Step, evaluate
from weekly_cli.compute.features.own import own_steps
from weekly_cli.errors import UsageError
from weekly_cli.names import PERIODS, WINDOWS, did_you_mean, of_label

__all__ = [
    "CROSS",
    "FAMILIES",
    "VISIBLE_FROM",
    "WEEK_END",
    "Catalogue",
    "CrossFeature",
    "Feature",
    "Step",
    "catalogue",
    "columns_of_bars",
    "evaluate",
    "placed_column",
    "with_week_end",
]

_MODULES = (bar, returns, momentum, trend, distance, volatility, breakout, volume)

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


@dataclass(frozen=True)
class Catalogue:
    """Every column that there is with some settings.

    Attributes
    ----------
    steps : mapping of name to Step
        Features and intermediate values, in output order. Those of the week are there without its columns too: the week
        to date is made of them.
    features : tuple of Feature
        The columns in output order, one clock after the other.
    every : tuple of str
        The clocks whose columns there are.
    own : sequence of Feature
        The columns of plugins, those of other clocks too.
    """

    steps: dict[str, Step]
    features: tuple[Feature, ...]
    every: tuple[str, ...]
    own: Sequence[Feature] = ()

    @cached_property
    def families(self) -> tuple[str, ...]:
        """The families that there may be, those of plugins last."""
        return tuple(dict.fromkeys([*FAMILIES, *(feature.family for feature in self.features)]))

    def select(self, wanted: str, setting: str = "--features") -> tuple[Feature, ...]:
        """Return the features that `--features` asks for, in output order.

        Parameters
        ----------
        wanted : str
            Families, columns and exclusions, separated by commas: "momentum,w_vol_12" or "all,-relative". A list that
            begins with an exclusion starts from all.
        setting : str
            Where `wanted` came from, for error messages.

        Raises
        ------
        UsageError
            If a word is neither a family nor a column, or nothing is left.

        >>> [feature.name for feature in catalogue().select("volume,w_ret")]
        ['w_ret', 'w_volume_ratio_12']
        """
        words = [word.strip() for word in wanted.split(",") if word.strip()]
        chosen: set[str] = set()
        if not words or words[0].startswith("-"):
            chosen = {feature.name for feature in self.features}
        for word in words:
            names = self._named_by(word.removeprefix("-"), setting)
            chosen = chosen - names if word.startswith("-") else chosen | names
        if not chosen:
            known = ", ".join(self.families)
            raise UsageError(f"{setting} {wanted} leaves no column; name a family ({known}) or a column")
        return tuple(feature for feature in self.features if feature.name in chosen)

    def with_cross(self, texts: Sequence[str], setting: str = "--cross-section") -> Catalogue:
        """Return the catalogue with columns among the bars of a period, each after the others of its clock.

        Parameters
        ----------
        texts : sequence of str
            As `--cross-section` has them: "rank(w_mom_12)", "zscore(w_vol_26) by sector".
        setting : str
            Where they came from, for error messages.

        Raises
        ------
        UsageError
            If one is of no column of a bar that is a number, or two columns would have the same name.
        """
        if not texts:
            return self
        added = cross_features(texts, self.features, setting, lambda word: self._hint(word, ()))
        every = list(PERIODS)
        features = sorted((*self.features, *added), key=lambda one: (one.of_rows, every.index(one.every)))
        return replace(self, steps=self.steps | {one.name: one for one in added}, features=tuple(features))

    def _named_by(self, word: str, setting: str) -> set[str]:
        if word == "all":
            return {feature.name for feature in self.features}
        if word in self.families:
            return {feature.name for feature in self.features if feature.family == word}
        if any(feature.name == word for feature in self.features):
            return {word}
        hint = _of_cross(word, self.steps) or self._hint(word, self.families)
        raise UsageError(f"{setting}: {word} is neither a family nor a column, as weekly-cli features lists them{hint}")

    def _hint(self, word: str, families: Sequence[str]) -> str:
        """Return how to get a column that there is not, or what else may be meant."""
        near = did_you_mean(word, [*families, *(feature.name for feature in self.features)])
        return of_label(word) or _of_developing(word) or self._every_of(word) or near + _windows_of(word)

    def _every_of(self, word: str) -> str:
        """Return how to get a column of a clock that is not on; empty if it is none."""
        for every in PERIODS:
            own = [feature for feature in self.own if feature.every == every]
            if every not in self.every and any(one.name == word for one in (*catalogue(every=(every,)).features, *own)):
                return f" (--every {','.join((*self.every, every))} adds it)"
        return ""


def _of_developing(word: str) -> str:
    """Return how to get a column of the week to date; empty if it is none."""
    known = (developing.FAMILY, *(step.name for step in developing.steps() if isinstance(step, Feature)))
    return " (--developing adds it)" if word in known else ""


def _of_cross(word: str, steps: Collection[str]) -> str:
    """Return how to get a column among the bars of a period, or their family; empty if it is none."""
    texts = texts_of(word, steps)
    if texts:
        return f' (--cross-section "{texts[0]}" adds it)'
    return " (--cross-section adds it)" if word == CROSS else ""


def _windows_of(word: str) -> str:
    """Return how to get a column that there is with another window; empty if there is none."""
    match = re.fullmatch(r"w_([a-z_]+)_([1-9]\d*)", word)
    if match is None or match[1] not in WINDOWS or match[1] == "macd":
        return ""
    windows = sorted({*WINDOWS[match[1]], int(match[2])})
    return f" (--windows {match[1]}={','.join(map(str, windows))} adds it)"


def with_week_end(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Return the features for a table of bars, in which the week is a key and always there."""
    return (WEEK_END, *(feature for feature in features if feature.name != WEEK_END.name))


def columns_of_bars(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Return what a table of bars has besides the symbol: both of a bar's days, then its features."""
    week_end, *others = with_week_end(features)
    return (week_end, VISIBLE_FROM, *others)


def catalogue(
    benchmarks: Sequence[str] = (),
    windows: Iterable[tuple[str, Sequence[int]]] = (),
    own: Sequence[Feature] = (),
    every: Sequence[str] = ("week",),
    *,
    with_developing: bool = False,
) -> Catalogue:
    """Return every column of some clocks, the relative family once for each benchmark.

    Parameters
    ----------
    benchmarks : sequence of str
        The names that replace `{b}`; `"{b}"` itself for documentation.
    windows : iterable of (key, windows)
        Those that are not the usual ones, as `--windows` gives them.
    own : sequence of Feature
        The columns of plugins, each after those of its clock.
    every : sequence of str
        The clocks, some of `names.PERIODS`, in any order.
    with_developing : bool
        Whether there are the columns of the week to date, which belong to daily rows and come last.

    Raises
    ------
    PluginFailed
        If a plugin's column has the name of another one, or takes one that there is not.
    """
    others = tuple(windows)
    by_name = {step.name: step for step in _steps_of("week", benchmarks, others)}
    features: list[Feature] = []
    for one in PERIODS:
        if one in every:
            steps = {step.name: step for step in _steps_of(one, benchmarks, others)}
            steps |= {feature.name: feature for feature in own_steps(own, one, steps)}
            by_name |= steps
            features += [step for step in steps.values() if isinstance(step, Feature)]
    if with_developing:
        by_name |= {step.name: step for step in developing.steps()}
        features += [step for step in developing.steps() if isinstance(step, Feature)]
    return Catalogue(by_name, tuple(features), tuple(one for one in PERIODS if one in every), own)


def _steps_of(every: str, benchmarks: Sequence[str], windows: Iterable[tuple[str, Sequence[int]]]) -> tuple[Step, ...]:
    """Return all steps of one clock; a column that names another one is of that clock alone."""
    clock = clock_columns(every, windows)
    own = (step for module in _MODULES for step in module.steps(clock))
    templates = relative.templates(clock)
    steps = (*own, *(step.for_benchmark(name) for name in benchmarks for step in templates))
    return tuple(step for step in steps if not isinstance(step, Feature) or step.every == every)
