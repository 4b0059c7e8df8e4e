"""Formulas with numbers: Python calculates what they say, and gets the value of the column."""

from __future__ import annotations

import math
import statistics
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weekly_cli.compute.features import Feature, Step, catalogue
from weekly_cli.compute.kernels import Panel
from weekly_cli.questions.step_formulas import is_known, write
from weekly_cli.questions.workings import At, Evaluated, Working, listed, needed_steps, workings

CATALOGUE = catalogue(["b"], every=("week", "month", "quarter"))
STEPS, FEATURES = CATALOGUE.steps, CATALOGUE.features
BARS = 260


def covariance(x: list[float], y: list[float]) -> float:
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    return statistics.fmean((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))


#: All that a formula may use.
CALCULATOR = {
    "__builtins__": {},
    "min": min,
    "max": max,
    "abs": abs,
    "sum": math.fsum,
    "sqrt": math.sqrt,
    "ln": math.log,
    "nan": math.nan,
    "mean": lambda *values: statistics.fmean(values),
    "std": lambda *values: statistics.stdev(values),
    "pstd": lambda *values: statistics.pstdev(values),
    "cov": covariance,
}


def calculated(line: Working) -> float:
    """What Python gets when it calculates a formula with all digits of its numbers."""
    texts = [", ".join(f"({value!r})" for value in map(float, term.values)) for term in line.terms]
    return float(eval(line.template.format(*texts), CALCULATOR))


def assert_calculates(line: Working) -> None:
    size = max([abs(line.value), *(abs(value) for term in line.terms for value in term.values if value == value)])
    tolerance = 1e-9 * abs(line.value) + 1e-14 * size
    assert calculated(line) == pytest.approx(line.value, rel=0, abs=tolerance), f"{line.name} = {line.with_numbers}"


def random_panels(seed: int, bars: int = BARS) -> dict[str, Panel]:
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.03, bars)))
    high, low = close * (1 + rng.random(bars) * 0.05), close * (1 - rng.random(bars) * 0.05)
    columns = {
        "open": close * 1.001, "high": high, "low": low, "close": close, "volume": rng.exponential(1e6, bars),
        "days": np.full(bars, 5.0), "bar_number": np.arange(float(bars)), "week_end": 19000.0 + 7 * np.arange(bars),
        "month_end": 19000.0 + 30 * np.arange(bars), "quarter_end": 19000.0 + 91 * np.arange(bars),
        "benchmark:b": 50 * np.exp(np.cumsum(rng.normal(0, 0.02, bars))),
    }  # fmt: skip
    return {name: column[:, None] for name, column in columns.items()}


def evaluated(feature: Feature, seed: int) -> Evaluated:
    return Evaluated(needed_steps(feature.name, STEPS), STEPS, random_panels(seed).__getitem__)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), later=st.integers(1, 40))
def test_the_numbers_put_in_give_the_value(feature: Feature, seed: int, later: int) -> None:
    """At the first bar with a value, where recursions are seeded, at a later one, and at the last."""
    values = evaluated(feature, seed)
    for k in dict.fromkeys((feature.first_bar, min(feature.first_bar + later, BARS - 1), BARS - 1)):
        lines = list(workings(feature.name, At(values, k), write))
        assert lines[0].name == feature.name
        assert lines[0].value == values.column(feature.name)[k]
        value_of = {line.name: line.value for line in lines}
        for line in lines:
            if line.value == line.value:
                assert_calculates(line)
            for term in line.terms:  # what a line takes from another one is what that one says
                if term.name in value_of:
                    assert np.array_equal(term.values[-1], value_of[term.name], equal_nan=True)
                if term.step in STEPS and isinstance(STEPS[term.step], Feature):
                    column = values.column(term.step)
                    assert np.array_equal(term.values, [column[bar] for bar in term.bars], equal_nan=True)


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_every_step_down_to_the_bar_is_written_as_a_formula(feature: Feature) -> None:
    needed = needed_steps(feature.name, STEPS)
    assert all(is_known(STEPS[name]) for name in needed if name in STEPS)
    lines = list(workings(feature.name, At(evaluated(feature, 1), BARS - 1), write))
    terms = {term.step for line in lines for term in line.terms}
    assert {name for name in needed if name not in STEPS} <= terms, "a column of the bar is not in any formula"


OTHER = catalogue(["b"], [("rsi", (7,)), ("macd", (5, 10, 4)), ("breakout", (20,)), ("beta", (30,)), ("sma", (10, 30))])


@pytest.mark.parametrize("name", ["w_rsi_7", "w_macd_5_10_4_hist", "w_high_20", "w_beta_b_30", "w_trend_score"])
def test_other_windows_are_put_in(name: str) -> None:
    values = Evaluated(needed_steps(name, OTHER.steps), OTHER.steps, random_panels(4).__getitem__)
    lines = list(workings(name, At(values, 100), write))
    assert lines[0].value == values.column(name)[100]
    for line in lines:
        assert_calculates(line)


def test_no_formula_takes_a_later_bar() -> None:
    for feature in FEATURES:
        for line in workings(feature.name, At(evaluated(feature, 2), 230), write):
            assert all(bar <= 230 for term in line.terms for bar in term.bars)


def test_a_function_of_ones_own_is_shown_with_its_inputs() -> None:
    def twice(x: Any) -> Any:
        return 2 * x

    steps = {"w_twice": Step(name="w_twice", inputs=("close",), function=twice)}
    values = Evaluated(["w_twice", "close"], steps, random_panels(3).__getitem__)
    (line,) = workings("w_twice", At(values, 7), write)
    assert (line.formula, line.value) == ("f(C)", 2 * line.terms[0].values[0])
    assert not is_known(steps["w_twice"])


def test_long_lists_are_abbreviated() -> None:
    assert listed([1.0] * 6) == "1, 1, 1, 1, 1, 1"
    assert listed([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.25]) == "1, 2, 3, ..., 6, 7.25"
    assert listed([-0.5]) == "(-0.5)"
