"""A formula with the numbers put in: what a step made of its inputs at one bar, down to the columns of the bar.

The numbers are those that evaluating the declared steps gives; only how a function is written as a formula is told a
second time, in `step_formulas`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weekly_cli.compute.bars import Floats
from weekly_cli.compute.features import Feature, Step, evaluate
from weekly_cli.compute.kernels import Panel

#: How formulas name the columns of a bar.
SYMBOLS = {"open": "O", "high": "H", "low": "L", "close": "C", "volume": "V", "bar_number": "k"}
#: Of a longer list of numbers the first and the last few are shown.
_MOST_SHOWN, _FIRST_SHOWN, _LAST_SHOWN = 6, 3, 2
_TERM_DIGITS, _VALUE_DIGITS = 8, 6
_LARGE = 1e15
_DOUBLE_PARENTHESES = re.compile(r"\((\([^()]*\))\)")


@dataclass(frozen=True)
class Term:
    """What a formula takes: a value at one bar, or at each bar of a window.

    Attributes
    ----------
    name : str
        As the formula has it: "C", "C[-4]", "w_ret, window 12".
    step : str
        The step or the bar's column that it is a value of.
    bars : tuple of int
        The bars k; empty for a number that belongs to no bar.
    values : tuple of float
        NaN where missing.
    """

    name: str
    step: str
    bars: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def missing(self) -> tuple[int, ...]:
        """The bars at which it has no value."""
        return tuple(bar for bar, value in zip(self.bars, self.values, strict=False) if not np.isfinite(value))


@dataclass(frozen=True)
class Working:
    """A step, or a part of one, at a bar: `{0}` and so on in `template` stand for the terms.

    The template is written so that Python can calculate it: mean, min, max, ln, sqrt, std (sample), pstd and cov
    (population) are the only functions.
    """

    name: str
    template: str
    terms: tuple[Term, ...]
    value: float
    note: str = ""
    is_date: bool = False

    @property
    def formula(self) -> str:
        """The formula with names."""
        return self.template.format(*(term.name for term in self.terms))

    @property
    def with_numbers(self) -> str:
        """The formula with numbers, long lists of them abbreviated."""
        shown = self.template.format(*(listed(term.values, is_date=self.is_date) for term in self.terms))
        return _DOUBLE_PARENTHESES.sub(r"\1", shown)

    @property
    def shown_value(self) -> str:
        """The value as it is shown after the equals sign."""
        digits = _TERM_DIGITS if self.template == "{0}" else _VALUE_DIGITS
        return number(self.value, digits, is_date=self.is_date)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "name": self.name,
            "formula": self.formula,
            "with_numbers": self.with_numbers,
            "value": plain(self.value),
            "note": self.note,
            "terms": [
                {"name": term.name, "bars": list(term.bars), "values": [plain(value) for value in term.values]}
                for term in self.terms
            ],
        }


def plain(value: float) -> float | None:
    """Return a number as JSON has it."""
    return float(value) if np.isfinite(value) else None


def number(value: float, digits: int = _TERM_DIGITS, *, is_date: bool = False) -> str:
    """Return a number in some digits; whole numbers have all of theirs, and days since 1970 may be shown as dates.

    >>> number(12345678.0), number(0.1 + 0.2), number(float("nan"))
    ('12345678', '0.3', 'null')
    """
    if not np.isfinite(value):
        return "null" if np.isnan(value) else "infinite"
    if is_date:
        return str(np.datetime64(int(value), "D"))
    if value == int(value) and abs(value) < _LARGE:
        return str(int(value))
    return f"{value:.{digits}g}"


def result(value: float) -> str:
    """Return a computed number as it is shown after the equals sign."""
    return number(value, _VALUE_DIGITS)


def listed(values: Sequence[float], *, is_date: bool = False) -> str:
    """Return numbers one after the other, the middle of many left out.

    >>> listed([1.0, 2.5]), listed(range(9))
    ('1, 2.5', '0, 1, 2, ..., 7, 8')
    """
    texts = [number(value, is_date=is_date) for value in values]
    if len(values) == 1 and values[0] < 0:
        texts = [f"({texts[0]})"]
    if len(texts) > _MOST_SHOWN:
        hidden = values[_FIRST_SHOWN:-_LAST_SHOWN]
        shown = [*texts[:_FIRST_SHOWN], *texts[-_LAST_SHOWN:]]
        middle = ["...", "null", "..."] if np.isnan(hidden).any() and "null" not in shown else ["..."]
        texts = [*shown[:_FIRST_SHOWN], *middle, *shown[_FIRST_SHOWN:]]
    return ", ".join(texts)


def label(name: str) -> str:
    """Return a step's or a bar column's name as formulas have it."""
    return f"C({name.removeprefix('benchmark:')})" if name.startswith("benchmark:") else SYMBOLS.get(name, name)


def needed_steps(name: str, steps: Mapping[str, Step]) -> list[str]:
    """Return a step and everything it is made of, bar columns too, each once; what is used comes after its user."""
    order: dict[str, None] = {}

    def visit(name: str) -> None:
        if name not in order:
            order[name] = None
            for each in steps[name].inputs if name in steps else ():
                visit(each)

    visit(name)
    return list(order)


class Evaluated:
    """The values of a feature's steps for one symbol: each a panel float64[bars, 1], or what its function returns."""

    def __init__(self, names: Sequence[str], steps: Mapping[str, Step], given: Callable[[str], Panel]) -> None:
        self.steps = steps
        declared = [name for name in names if name in steps]
        with np.errstate(all="ignore"):  # undefined values are NaN
            values = evaluate(declared, steps, given)
            self._values = dict(zip(declared, values, strict=True))
        self._values |= {name: given(name) for name in names if name not in steps}

    def panel(self, name: str) -> Any:
        """Return the value of a step or a bar column at all bars."""
        return self._values[name]

    def column(self, name: str) -> Floats:
        """Return the only column of a step that is one panel: float64[bars]."""
        column: Floats = self._values[name][:, 0]
        return column

    @property
    def n_bars(self) -> int:
        """The number of bars."""
        return len(next(iter(self._values.values())))


@dataclass(frozen=True)
class At:
    """One bar of the evaluated steps: where writers of formulas take their numbers from."""

    evaluated: Evaluated
    k: int

    def now(self, name: str) -> Term:
        """Return a step's value at this bar."""
        return self.of(label(name), name, self.evaluated.column(name))

    def earlier(self, name: str, n: int) -> Term:
        """Return a step's value `n` bars earlier."""
        return self.of(label(name), name, self.evaluated.column(name), n)

    def window(self, name: str, n: int) -> Term:
        """Return a step's last `n` values."""
        return self.windowed(label(name), name, self.evaluated.column(name), n)

    def of(self, name: str, step: str, column: Floats, lag: int = 0) -> Term:
        """Return the value of any column at this bar, or `lag` bars earlier."""
        bar = self.k - lag
        shown = f"{name}[-{lag}]" if lag else name
        return Term(shown, step, (bar,), (float(column[bar]) if bar >= 0 else np.nan,))

    def windowed(self, name: str, step: str, column: Floats, n: int) -> Term:
        """Return the last `n` values of any column; those before the first bar are missing."""
        bars = range(self.k - n + 1, self.k + 1)
        values = (float(column[bar]) if bar >= 0 else np.nan for bar in bars)
        return Term(f"{name}, window {n}", step, tuple(bars), tuple(values))

    def working(self, name: str, template: str, *terms: Term, value: float | None = None, note: str = "") -> Working:
        """Return the working of a step, whose value is that of its panel unless given."""
        own = float(self.evaluated.column(name)[self.k]) if value is None else float(value)
        step = self.evaluated.steps.get(name)
        return Working(name, template, terms, own, note, isinstance(step, Feature) and step.stored == "date32")


Writer = Callable[[Step, At], list[Working]]


def workings(name: str, at: At, write: Writer) -> Iterator[Working]:
    """Yield the working of a step at a bar, then those of the steps that it is made of, each once."""
    known: set[str] = set()
    for each in needed_steps(name, at.evaluated.steps):
        if each in at.evaluated.steps:
            for line in write(at.evaluated.steps[each], at):
                if line.name not in known:
                    known.add(line.name)
                    yield line
