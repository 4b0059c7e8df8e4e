"""Columns of plugins among the others: what each of them takes, looked up among the columns of its own clock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter

from weekly_cli.compute.features.declare import BAR_FACTS, PERIOD_END, Feature, Step
from weekly_cli.errors import PluginFailed
from weekly_cli.names import PERIODS, did_you_mean


def own_steps(own: Sequence[Feature], every: str, steps: Mapping[str, Step]) -> tuple[Feature, ...]:
    """Return the columns of plugins that belong to one clock, with their inputs by the names of that clock.

    Parameters
    ----------
    own : sequence of Feature
        The columns of all clocks, their inputs as the functions name them: facts of the bar, or columns with or without
        the clock's prefix.
    every : str
        One of `names.PERIODS`.
    steps : mapping of name to Step
        The other steps of the clock.

    Raises
    ------
    PluginFailed
        If one has the name of another column, takes one that its clock does not have, or takes itself.
    """
    of_clock = [feature for feature in own if feature.every == every]
    taken = set(steps)
    for feature in of_clock:
        if feature.name in taken:
            raise PluginFailed(f"plugin {feature.family}: there is a column {feature.name} already; rename the feature")
        taken.add(feature.name)
    columns = [step.name for step in steps.values() if isinstance(step, Feature) and step.every == every]
    columns += [feature.name for feature in of_clock]
    found = [replace(one, inputs=tuple(_input(one, name, columns) for name in one.inputs)) for one in of_clock]
    _refuse_cycles(found)
    return tuple(found)


def _input(feature: Feature, name: str, columns: Collection[str]) -> str:
    """Return what a function takes under a name: a fact of the bar, or a column of the feature's clock."""
    period = PERIODS[feature.every]
    facts = {**{fact: fact for fact in BAR_FACTS}, PERIOD_END: period.end, period.end: period.end}
    for each in (facts.get(name), name, f"{period.prefix}{name}"):
        if each is not None and (each in facts or each in columns):
            return each
    known = [period.end, *BAR_FACTS]
    hint = _of_other_clock(name, period.prefix, columns) or did_you_mean(
        name, [*known, *columns, *(column.removeprefix(period.prefix) for column in columns)]
    )
    raise PluginFailed(
        f"plugin {feature.family}: {feature.name} takes {name}, which is neither of {', '.join(known)} nor another "
        f"column of {period.nouns}{hint}"
    )


def _of_other_clock(name: str, prefix: str, columns: Collection[str]) -> str:
    """Return what to take for a name of another clock; empty if it is none."""
    if name in {period.end for period in PERIODS.values()}:
        return f"; {PERIOD_END} is a bar's last day with every clock"
    for period in PERIODS.values():
        own = name.removeprefix(period.prefix)
        if name.startswith(period.prefix) and f"{prefix}{own}" in columns:
            return f", but one of {period.nouns}; {own} is that of the feature's own clock"
    return ""


def _refuse_cycles(features: Sequence[Feature]) -> None:
    names = {feature.name for feature in features}
    graph = TopologicalSorter({one.name: [name for name in one.inputs if name in names] for one in features})
    try:
        graph.prepare()
    except CycleError as error:
        path = " takes ".join(reversed(error.args[1]))
        family = next(feature.family for feature in features if feature.name == error.args[1][0])
        raise PluginFailed(f"plugin {family}: {path}, and so none of them has a value") from error
