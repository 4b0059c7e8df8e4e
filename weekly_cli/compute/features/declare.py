"""The definition of a feature: one value with its name, family, formula, inputs and function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from weekly_cli.compute.kernels import Panel

#: Facts of the bars that every evaluation has as input, besides the bar's last day, which has a name in each clock.
BAR_FACTS = ("bar_number", "days", "open", "high", "low", "close", "volume")
#: How a feature of any clock names the bar's last day.
PERIOD_END = "period_end"

#: What the inputs begin with that are of the running bar of a daily row.
RUNNING = "running_"

#: The windows of the features in bars, by their keys in `names.WINDOWS`.
Windows = Mapping[str, Sequence[int]]

#: How a column is stored: "estimate" is the type from `--dtype`, the others are type names.
STORED_TYPES = ("estimate", "float64", "int32", "int16", "date32")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A named value of the evaluation: `function` applied to the values of `inputs`.

    A step that is not a `Feature` is an intermediate value that several features share; it may be a tuple of panels.
    """

    name: str
    inputs: tuple[str, ...]
    function: Callable[..., Any]

    def for_benchmark(self, benchmark: str) -> Step:
        """Return this step with `{b}` in its name and inputs replaced by `benchmark`."""
        return replace(
            self,
            name=self.name.replace("{b}", benchmark),
            inputs=tuple(name.replace("{b}", benchmark) for name in self.inputs),
        )


@dataclass(frozen=True, kw_only=True)
class Feature(Step):
    """An output column.

    Attributes
    ----------
    name : str
        The column's name.
    every : str
        The clock to whose bars it belongs, one of `names.PERIODS`.
    family : str
        The group under which `--features` selects it.
    formula : str
        The formula that the documentation shows.
    first_bar : int
        The first bar k (from 0) of a history that can have a value.
    looks_back : int
        Bars before its own on which a value depends, if they are more than `first_bar`.
    whole_history : bool
        A value depends on all bars up to its own: a count, or a recursion, in which they fade.
    stored : str
        One of `STORED_TYPES`.
    parity : str
        The function of another library with the same values, if there is one.
    source : str
        Who defined it: author, year and title; empty: this package.
    version : int
        Increased whenever the values change, so that outputs can be distinguished.
    of_rows : bool
        A value belongs to a daily row: its inputs are of the row's running bar (`RUNNING`), or those of the newest bar
        before the row's period, float64[rows].
    """

    family: str
    formula: str
    first_bar: int
    looks_back: int = 0
    whole_history: bool = False
    stored: str = "estimate"
    parity: str = ""
    source: str = ""
    version: int = 1
    of_rows: bool = False
    every: str = "week"

    @property
    def window(self) -> int | None:
        """Bars on which a value depends, its own included; None: all up to its own."""
        return None if self.whole_history else max(self.looks_back, self.first_bar) + 1


def evaluate(wanted: Iterable[str], steps: Mapping[str, Step], given: Callable[[str], Panel]) -> Iterator[Any]:
    """Yield the value of each wanted step in order, a feature's as a panel; each is computed once, if it is needed.

    Parameters
    ----------
    wanted : iterable of str
        Names of steps, or of what is given.
    steps : mapping
        Every feature and intermediate value by name.
    given : callable
        Returns a panel that no step computes by its name, float64[bars, symbols].
    """
    known: dict[str, Any] = {}
    for name in wanted:
        yield _value(name, steps, given, known)


# No function inside of `evaluate`: one that calls itself is a cycle, and its panels, 20 MB a block of symbols, would
# wait for the garbage collector.
def _value(name: str, steps: Mapping[str, Step], given: Callable[[str], Panel], known: dict[str, Any]) -> Any:
    if name not in known:
        step = steps.get(name)
        inputs = (_value(one, steps, given, known) for one in step.inputs) if step else ()
        known[name] = step.function(*inputs) if step else given(name)
    return known[name]
