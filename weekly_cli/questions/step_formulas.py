"""How each function of the declared steps is written as a formula, with its terms taken from the evaluated steps.

A function without a writer here, such as one of a feature of your own, is shown with its inputs and its value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import itemgetter, sub
from typing import Any

import numpy as np

from weekly_cli.compute import kernels
from weekly_cli.compute.bars import Floats
from weekly_cli.compute.features import (
    bar,
    breakout,
    distance,
    momentum,
    relative,
    returns,
    trend,
    volatility,
    volume,
)
from weekly_cli.compute.features.declare import Step
from weekly_cli.questions.workings import At, Working, label


def write(step: Step, at: At) -> list[Working]:
    """Return how a step got its value at a bar: its own formula first, then its parts."""
    function, keywords = _plain(step.function)
    if isinstance(function, itemgetter):
        (source,) = (at.evaluated.steps[name] for name in step.inputs)
        function, keywords = _plain(source.function)
        writer = _PARTS.get(function)
        if writer is not None:
            return writer(step, source, at, _index(step.function), **keywords)
    writer = WRITERS.get(function)
    if writer is not None:
        return writer(step, at, **keywords)
    if any(function in known for known in (_PARTS, _SHOWN_BY_THEIR_USERS)):
        return []
    return [_unknown(step, at)]


def is_known(step: Step) -> bool:
    """Tell whether a step's function has a formula here."""
    function = _plain(step.function)[0]
    return isinstance(function, itemgetter) or any(
        function in known for known in (WRITERS, _PARTS, _SHOWN_BY_THEIR_USERS)
    )


def _plain(function: Callable[..., Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    return (function.func, function.keywords) if isinstance(function, partial) else (function, {})


def _index(function: Any) -> int:
    """Return the position that an itemgetter takes."""
    return int(function.__reduce__()[1][0])


def _unknown(step: Step, at: At) -> Working:
    """Return a function of which nothing is known but its inputs."""
    terms = [at.now(name) for name in step.inputs if isinstance(at.evaluated.panel(name), np.ndarray)]
    places = ", ".join(f"{{{number}}}" for number in range(len(terms)))
    value = at.evaluated.panel(step.name)
    known = float(value[at.k, 0]) if isinstance(value, np.ndarray) else np.nan
    return at.working(step.name, f"f({places})", *terms, value=known, note="f is not of this package")


def _of_inputs(template: str) -> Callable[[Step, At], list[Working]]:
    """Return the writer of a formula of the inputs at this bar."""
    return lambda step, at: [at.working(step.name, template, *map(at.now, step.inputs))]


# ---- windows ---------------------------------------------------------------------------------------------


def _ratio_change(step: Step, at: At, n: int) -> list[Working]:
    (x,) = step.inputs
    return [at.working(step.name, "{0} / {1} - 1", at.now(x), at.earlier(x, n))]


def _skipping(step: Step, at: At, n: int, skip: int) -> list[Working]:
    (x,) = step.inputs
    return [at.working(step.name, "{0} / {1} - 1", at.earlier(x, skip), at.earlier(x, n))]


def _annualised_deviation(step: Step, at: At, n: int, bars_per_year: int) -> list[Working]:
    return [at.working(step.name, f"std({{0}}) * sqrt({bars_per_year})", at.window(step.inputs[0], n))]


def _log_return(step: Step, at: At) -> list[Working]:
    (x,) = step.inputs
    return [at.working(step.name, "ln({0} / {1})", at.now(x), at.earlier(x, 1))]


def _difference(step: Step, at: At) -> list[Working]:
    (x,) = step.inputs
    return [at.working(step.name, "{0} - {1}", at.now(x), at.earlier(x, 1))]


def _windowed(template: str) -> Callable[..., list[Working]]:
    return lambda step, at, n: [at.working(step.name, template, at.window(step.inputs[0], n))]


def _ratio_to_mean(step: Step, at: At, n: int, less: str = "") -> list[Working]:
    (x,) = step.inputs
    mean = _part(at, f"mean of {label(x)}", kernels.rolling_mean(at.evaluated.panel(x), n)[:, 0])
    of_mean = at.working(mean.name, "mean({0})", at.window(x, n), value=mean.value)
    return [at.working(step.name, f"{{0}} / {{1}}{less}", at.now(x), mean.term), of_mean]


class _Part:
    """A value inside of a function, which no step has: its name, its column, and its value at the bar."""

    def __init__(self, at: At, name: str, column: Floats) -> None:
        self.name, self.column = name, column
        self.term = at.of(name, "", column)
        self.value = self.term.values[0]


def _part(at: At, name: str, column: Floats) -> _Part:
    return _Part(at, name, column)


def _z_score(step: Step, at: At, n: int) -> list[Working]:
    (x,) = step.inputs
    means, squares = kernels.rolling_moments(at.evaluated.panel(x), n)
    mean = _part(at, f"mean of {x}", means[:, 0])
    deviation = _part(at, f"std of {x}", np.sqrt(squares[:, 0] / n))
    window = at.window(x, n)
    note = "so small that it is rounding, and counts as 0" if 0.0 < deviation.value <= kernels.ROUNDING else ""
    return [
        at.working(step.name, "({0} - {1}) / {2}", at.now(x), mean.term, deviation.term),
        at.working(mean.name, "mean({0})", window, value=mean.value),
        at.working(deviation.name, "pstd({0})", window, value=deviation.value, note=note),
    ]


# ---- recursions ------------------------------------------------------------------------------------------


def _recursion(
    at: At, name: str, x: tuple[str, str, Floats], states: Floats, rule: str, seed: tuple[int, int]
) -> Working:
    """Return the working of a recursive average: the state before and the new input, or its seed.

    Parameters
    ----------
    x : tuple of name, step, column
        The input.
    rule : str
        The template of state before `{0}` and input `{1}`.
    seed : tuple of int
        The first bar of the seed, and how many bars it has.
    """
    first, n_seed = seed
    seeded, value = first + n_seed - 1, states[at.k]
    if at.k > seeded:
        return at.working(
            name, rule, at.of(name, "", states, 1), at.of(*x), value=value, note="state before, new input"
        )
    term = at.windowed(*x, n_seed)
    note = f"the seed: the first of its values, at bar {seeded}"
    return at.working(name, "mean({0})" if n_seed > 1 else "{0}", term, value=value, note=note)


def _ema_rule(span: int) -> str:
    return f"{{0}} + 2 / {span + 1} * ({{1}} - {{0}})"


def _wilder_rule(n: int) -> str:
    return f"{{0}} + ({{1}} - {{0}}) / {n}"


def _ema(step: Step, at: At, span: int, first: int, n_seed: int) -> list[Working]:
    (x,) = step.inputs
    source, states = (label(x), x, at.evaluated.column(x)), at.evaluated.column(step.name)
    return [_recursion(at, step.name, source, states, _ema_rule(span), (first, n_seed))]


def _wilder(step: Step, at: At, n: int, first: int) -> list[Working]:
    (x,) = step.inputs
    source, states = (label(x), x, at.evaluated.column(x)), at.evaluated.column(step.name)
    return [_recursion(at, step.name, source, states, _wilder_rule(n), (first, n))]


def _rsi(step: Step, at: At, n: int) -> list[Working]:
    (moves,) = step.inputs
    both = at.evaluated.panel(moves)
    averages = kernels.wilder(both, n, first=1)
    parts = [_part(at, f"avg {what}", averages[:, number]) for number, what in enumerate(("gain", "loss"))]
    gain, loss = parts
    lines = [at.working(step.name, "100 * {0} / ({0} + {1})", gain.term, loss.term)]
    for number, (what, sign) in enumerate((("gain", "{0} - {1}"), ("loss", "{1} - {0}"))):
        move = (what, moves, both[:, number])
        lines.append(_recursion(at, parts[number].name, move, parts[number].column, _wilder_rule(n), (1, n)))
        closes = at.now("close"), at.earlier("close", 1)
        lines.append(at.working(what, f"max({sign}, 0)", *closes, value=both[at.k, number]))
    return lines


def _macd(step: Step, source: Step, at: At, part: int, **spans: int) -> list[Working]:
    (close,) = source.inputs
    panel = at.evaluated.panel(close)
    fast_bars, slow_bars, signal_bars = (spans[name] for name in ("n_fast", "n_slow", "n_signal"))
    first_fast = slow_bars - fast_bars
    fast = _part(at, f"EMA{fast_bars}", kernels.ema(panel, fast_bars, first_fast, fast_bars)[:, 0])
    slow = _part(at, f"EMA{slow_bars}", kernels.ema(panel, slow_bars, 0, slow_bars)[:, 0])
    line = _part(at, "line", fast.column - slow.column)
    price = (label(close), close, panel[:, 0])
    averages = [
        _recursion(at, fast.name, price, fast.column, _ema_rule(fast_bars), (first_fast, fast_bars)),
        _recursion(at, slow.name, price, slow.column, _ema_rule(slow_bars), (0, slow_bars)),
    ]
    if part == 0:
        return [at.working(step.name, "{0} - {1}", fast.term, slow.term), *averages]
    signal = at.evaluated.column(step.name)
    seed = (slow_bars - 1, signal_bars)
    own = _recursion(at, step.name, (line.name, "", line.column), signal, _ema_rule(signal_bars), seed)
    return [own, at.working(line.name, "{0} - {1}", fast.term, slow.term, value=line.value), *averages]


# ---- trend and distance ----------------------------------------------------------------------------------


def _signs(step: Step, at: At) -> list[Working]:
    slopes = [at.now(name) for name in step.inputs]
    counts = at.evaluated.panel(step.name)
    lines = []
    for number, (what, limit) in enumerate((("rising", "> 1e-05"), ("falling", "< -1e-05"))):
        template = " + ".join(f"({{{place}}} {limit})" for place in range(len(slopes)))
        note = "a slope that is null counts in neither" if any(slope.missing for slope in slopes) else ""
        lines.append(at.working(what, template, *slopes, value=counts[number][at.k, 0], note=note))
    return lines


def _of_signs(template: str) -> Callable[[Step, At], list[Working]]:
    def writer(step: Step, at: At) -> list[Working]:
        (signs,) = step.inputs
        counts = at.evaluated.panel(signs)
        terms = [at.of(what, signs, counts[number][:, 0]) for number, what in enumerate(("rising", "falling"))]
        return [at.working(step.name, template, *terms)]

    return writer


def _sign(step: Step, at: At) -> list[Working]:
    (x,) = step.inputs
    return [at.working(step.name, "({0} > 0) - ({0} < 0)", at.now(x))]


def _smallest_absolute(step: Step, at: At) -> list[Working]:
    every = [at.now(name) for name in step.inputs]
    terms = [term for term in every if not term.missing] or every
    template = ", ".join(f"abs({{{place}}})" for place in range(len(terms)))
    note = "those that are null yet are left out" if len(terms) < len(every) else ""
    return [at.working(step.name, f"min({template})" if len(terms) > 1 else template, *terms, note=note)]


# ---- volatility and relative -----------------------------------------------------------------------------


def _true_range(step: Step, at: At) -> list[Working]:
    high, low, close = step.inputs
    terms = at.now(high), at.now(low), at.earlier(close, 1)
    return [at.working(step.name, "max({0}, {2}) - min({1}, {2})", *terms)]


def _beta_and_correlation(step: Step, source: Step, at: At, part: int, n: int) -> list[Working]:
    own, other = source.inputs
    x, y = at.window(own, n), at.window(other, n)
    ours, theirs = at.evaluated.panel(own), at.evaluated.panel(other)
    squares = kernels.rolling_comoments(ours + 0.0 * theirs, theirs + 0.0 * ours, n)
    own_squares, other_squares, products = (each[:, 0] / n for each in squares)
    covariance = _part(at, "cov", products)
    variances = [_part(at, f"var of {name}", column) for name, column in ((own, own_squares), (other, other_squares))]
    terms = [covariance.term, *(each.term for each in variances)]
    template = ("{0} / {2}", "{0} / sqrt({1} * {2})")[part]
    return [
        at.working(step.name, template, *terms),
        at.working(covariance.name, "cov([{0}], [{1}])", x, y, value=covariance.value),
        *(
            at.working(each.name, "pstd({0}) ** 2", window, value=each.value)
            for each, window in zip(variances, (x, y), strict=True)
        ),
    ]


#: By the function of a step: the writer of its formula.
WRITERS: dict[Callable[..., Any], Callable[..., list[Working]]] = {
    bar._itself: _of_inputs("{0}"),
    bar._history: _of_inputs("{0} + 1"),
    sub: _of_inputs("{0} - {1}"),
    np.sign: _sign,
    kernels.relative_distance: _of_inputs("{0} / {1} - 1"),
    kernels.ratio_change: _ratio_change,
    kernels.difference: _difference,
    kernels.rolling_mean: _windowed("mean({0})"),
    kernels.rolling_max: _windowed("max({0})"),
    kernels.rolling_min: _windowed("min({0})"),
    kernels.z_score: _z_score,
    kernels.ema: _ema,
    kernels.wilder: _wilder,
    returns.log_return: _log_return,
    returns._skipping: _skipping,
    momentum.rsi: _rsi,
    trend._signs: _signs,
    trend._score: _of_signs("({0} - {1}) / max({0} + {1}, 1)"),
    trend._alignment: _of_signs("{0} / ({0} + {1})"),
    distance._smallest_absolute: _smallest_absolute,
    volatility._annualised_deviation: _annualised_deviation,
    volatility._true_range: _true_range,
    volatility._percent_of: _of_inputs("100 * {0} / {1}"),
    volatility._bar_range: _of_inputs("({0} - {1}) / {2}"),
    breakout._position: _of_inputs("({0} - {2}) / ({1} - {2})"),
    volume._ratio_to_mean: _ratio_to_mean,
    relative._relative_strength: _of_inputs("{0} / {1}"),
    relative._to_its_mean: partial(_ratio_to_mean, less=" - 1"),
}
#: Functions of several values, shown by the features that take one of them.
_PARTS: dict[Callable[..., Any], Callable[..., list[Working]]] = {
    momentum._macd: _macd,
    relative._beta_and_correlation: _beta_and_correlation,
}
#: Functions that the writers of their users show.
_SHOWN_BY_THEIR_USERS = frozenset({momentum._gains_and_losses})
