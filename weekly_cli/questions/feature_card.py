"""All about one feature: its declaration, the formulas of its steps, how long it warms up, and an example with numbers.

The example and the warm-up are computed when they are asked for, by evaluating the declared steps on made bars.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from weekly_cli.compute.bars import Floats
from weekly_cli.compute.clocks import Clock
from weekly_cli.compute.features import FAMILIES, Feature, Step, catalogue
from weekly_cli.compute.features.clock_columns import clock_columns
from weekly_cli.compute.features.developing import weekly_column
from weekly_cli.compute.warmup import SMALL, settled_from
from weekly_cli.errors import UsageError
from weekly_cli.names import PERIODS, did_you_mean, of_label
from weekly_cli.questions.step_formulas import write
from weekly_cli.questions.workings import At, Evaluated, Working, label, needed_steps, plain, workings

#: Bars of the example: the last without a value, where there is one, and the first with values.
_SHOWN_BARS = 4
_MOST_COLUMNS = 6
#: The histories on which warm-up is measured, of ten years of weeks; their first year of bars is cut.
_SYMBOLS, _BARS = 64, 520
_MOVE = 0.03
_FIRST_DAY = 17900  # 2019-01-04, a Friday


@dataclass(frozen=True)
class WarmUp:
    """After how many bars a column is independent of where the history begins, on made histories of random steps.

    Attributes
    ----------
    median_bar, last_bar : int or None
        The bar from which the value of the median and of the last symbol moves by less than `share` of the column's
        typical size when an earlier year is cut; None: not within the other bars.
    """

    median_bar: int | None
    last_bar: int | None
    symbols: int
    share: float


@dataclass(frozen=True)
class Example:
    """A feature on made bars.

    Attributes
    ----------
    columns : tuple of str
        k, columns of the bar, values between, and the feature.
    rows : tuple of tuple of float
        NaN where null; `is_date` tells whether the feature's values are days since 1970.
    workings : tuple of Working
        The formulas with the numbers of the last row, also of steps that have no value there.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    is_date: bool
    workings: tuple[Working, ...]


@dataclass(frozen=True)
class FeatureCard:
    """All about one feature.

    Attributes
    ----------
    source : str
        Who defined it; empty: this package.
    equals : str
        The function of another library with the same values; empty: none.
    window : int or None
        Bars on which a value depends, its own included; None: all up to its own.
    stored : str
        The type of its column.
    inputs : tuple of str
        The columns of the bar that it is made of.
    made_of : mapping of step to formula
        Its own formula first, down to the columns of the bar.
    warm_up : WarmUp or None
        None: it depends on its window only.
    """

    column: str
    family: str
    formula: str
    source: str
    equals: str
    first_bar: int
    window: int | None
    stored: str
    version: int
    inputs: tuple[str, ...]
    made_of: Mapping[str, str]
    warm_up: WarmUp | None
    example: Example

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        example = {
            "columns": list(self.example.columns),
            "rows": [[plain(value) for value in row] for row in self.example.rows],
            "workings": [line.to_dict() for line in self.example.workings],
        }
        warm_up = None if self.warm_up is None else asdict(self.warm_up)
        return {
            name: getattr(self, name)
            for name in ("column", "family", "formula", "source", "equals", "first_bar", "window", "stored", "version")
        } | {"inputs": list(self.inputs), "made_of": dict(self.made_of), "warm_up": warm_up, "example": example}


def find_feature(
    name: str, windows: Iterable[tuple[str, Sequence[int]]] = (), own: Sequence[Feature] = ()
) -> tuple[Feature, Mapping[str, Step]]:
    """Return a feature by its name, with all steps; a relative one by that with `{b}` or with a benchmark's name.

    Raises
    ------
    UsageError
        If there is none.

    >>> find_feature("w_rs_spy_norm")[0].inputs
    ('w_rs_spy',)
    """
    features = catalogue(["{b}"], windows, own, tuple(PERIODS), with_developing=True).features
    patterns = {feature.name: re.escape(feature.name).replace(r"\{b\}", "([a-z0-9_]+)") for feature in features}
    for template, pattern in sorted(patterns.items(), key=lambda entry: -len(entry[0])):
        match = re.fullmatch(pattern, name)
        if match is not None or name == template:
            benchmark = match[1] if match is not None and match.groups() else "b"
            steps = catalogue([benchmark], windows, own, tuple(PERIODS), with_developing=True).steps
            feature = steps[template.replace("{b}", benchmark)]
            assert isinstance(feature, Feature)
            return feature, steps
    hint = of_label(name) or did_you_mean(
        name,
        [
            *FAMILIES,
            *(feature.name for feature in catalogue(["spy"], windows, every=tuple(PERIODS)).features),
            *patterns,
        ],
    )
    raise UsageError(f"{name} is neither a column nor a family of those that weekly-cli features lists{hint}")


def feature_card(
    name: str, windows: Iterable[tuple[str, Sequence[int]]] = (), own: Sequence[Feature] = ()
) -> FeatureCard:
    """Return all about a feature; `windows` are those of `--windows`, `own` the columns of plugins.

    Raises
    ------
    UsageError
        If there is none of this name.
    """
    feature, steps = find_feature(name, windows, own)
    shown = feature
    if feature.of_rows:  # the example's last bar may as well be a running one
        steps = catalogue().steps
        weekly = steps[weekly_column(feature.name)]
        assert isinstance(weekly, Feature)
        shown = weekly
    needed = needed_steps(shown.name, steps)
    example = _example(shown, steps, needed)
    return FeatureCard(
        column=feature.name,
        family=feature.family,
        formula=feature.formula,
        source=feature.source,
        equals=feature.parity,
        first_bar=feature.first_bar,
        window=feature.window,
        stored="float32, or float64 with --dtype float64" if feature.stored == "estimate" else feature.stored,
        version=feature.version,
        inputs=tuple(name for name in needed if name not in steps),
        made_of={line.name: line.formula for line in example.workings},
        warm_up=_warm_up(shown, steps, needed),
        example=example,
    )


# ---- the example -----------------------------------------------------------------------------------------


def _example(feature: Feature, steps: Mapping[str, Step], needed: list[str]) -> Example:
    first = max(feature.first_bar - 1, 0)
    bars = range(first, first + _SHOWN_BARS)
    evaluated = Evaluated(needed, steps, _made_bars(bars.stop, feature.every).__getitem__)
    between = [name for name in needed[1:] if isinstance(evaluated.panel(name), np.ndarray)]
    between = [name for name in between if evaluated.panel(name).shape[1] == 1 and name != "bar_number"]
    own = [name for name in between if name not in steps]
    nearest = [name for name in between if name in steps][: _MOST_COLUMNS - 2 - len(own)]
    names = [*own, *reversed(nearest)]
    columns = [np.arange(bars.stop), *(evaluated.column(name) for name in [*names, feature.name])]
    return Example(
        columns=("k", *(label(name) for name in names), feature.name),
        rows=tuple(tuple(float(column[bar]) for column in columns) for bar in bars),
        is_date=feature.stored == "date32",
        workings=tuple(workings(feature.name, At(evaluated, bars.stop - 1), write)),
    )


def _ends(n_bars: int, every: str) -> tuple[str, Floats]:
    """Return the name and the last days of so many bars, float64[bars]."""
    clock = Clock(every, "W-FRI", "next-week")
    periods = clock.period(_FIRST_DAY) + np.arange(n_bars)
    return PERIODS[every].end, clock.end(periods).astype(np.float64)


def _made_bars(n_bars: int, every: str) -> dict[str, Floats]:
    """Return the bars of one symbol and of a benchmark, by plain arithmetic: float64[bars, 1] by name."""
    k = np.arange(float(n_bars))
    end, ends = _ends(n_bars, every)
    close = np.round(100.0 + 0.1 * k + 8.0 * np.sin(k / 5.0) + 0.7 * ((7.0 * k) % 5.0 - 2.0), 2)
    columns = {
        end: ends,
        "bar_number": k,
        "days": np.full(n_bars, 5.0),
        "open": np.round(close - 0.4 + 0.3 * (k % 3.0), 2),
        "high": np.round(close + 0.8 + 0.25 * (k % 4.0), 2),
        "low": np.round(close - 1.1 - 0.2 * (k % 5.0), 2),
        "close": close,
        "volume": 1000.0 * (50.0 + (k * 11.0) % 17.0),
    }
    benchmark = np.round(50.0 + 0.05 * k + 3.0 * np.sin(k / 7.0), 2)
    return _WithBenchmarks({name: column[:, None] for name, column in columns.items()}, benchmark)


class _WithBenchmarks(dict[str, Floats]):
    """Panels by name, where every benchmark has the same closes."""

    def __init__(self, panels: Mapping[str, Floats], benchmark: Floats) -> None:
        super().__init__(panels)
        self._benchmark = benchmark.reshape(len(benchmark), -1)

    def __missing__(self, name: str) -> Floats:
        if not name.startswith("benchmark:"):
            raise KeyError(name)
        return self._benchmark


# ---- warm-up ---------------------------------------------------------------------------------------------


def _warm_up(feature: Feature, steps: Mapping[str, Step], needed: list[str]) -> WarmUp | None:
    """Cut the first year of made histories and see when the values are again those of the whole ones."""
    if feature.family == "bars":
        return None
    panels, cut_bars = _random_bars(feature.every), clock_columns(feature.every).bars_per_year
    full = Evaluated(needed, steps, panels.__getitem__).panel(feature.name)[cut_bars:]
    cut = _WithBenchmarks({name: panel[cut_bars:] for name, panel in panels.items()}, panels["benchmark:"][cut_bars:])
    short = Evaluated(needed, steps, cut.__getitem__).panel(feature.name)
    compared = [settled_from(short[:, symbol], full[:, symbol]) for symbol in range(_SYMBOLS)]
    if not any(moves for _, _, moves in compared):
        return None
    settled = sorted(position for position, _, _ in compared if position is not None)
    half = _SYMBOLS // 2
    return WarmUp(
        median_bar=settled[half] if half < len(settled) else None,
        last_bar=settled[-1] if len(settled) == _SYMBOLS else None,
        symbols=_SYMBOLS,
        share=SMALL,
    )


def _random_bars(every: str) -> dict[str, Floats]:
    end, ends = _ends(_BARS, every)
    rng = np.random.default_rng(0)
    close, benchmark = 100.0 * np.exp(np.cumsum(rng.normal(0.0, _MOVE, (2, _BARS, _SYMBOLS)), axis=1))
    spread = 1.0 + np.abs(rng.normal(0.0, _MOVE, (2, _BARS, _SYMBOLS)))
    k = np.repeat(np.arange(float(_BARS))[:, None], _SYMBOLS, axis=1)
    panels = {
        end: np.repeat(ends[:, None], _SYMBOLS, axis=1),
        "bar_number": k,
        "days": np.full_like(k, 5.0),
        "open": close,
        "high": close * spread[0],
        "low": close / spread[1],
        "close": close,
        "volume": rng.exponential(1e6, (_BARS, _SYMBOLS)),
    }
    return _WithBenchmarks(panels | {"benchmark:": benchmark}, benchmark)
