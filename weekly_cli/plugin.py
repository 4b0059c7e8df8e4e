"""Features of your own: decorate a function with `feature` in a file, and pass the file with `--plugin`.

    from weekly_cli.plugin import feature, rolling_mean

    @feature(n=[5, 10], first_bar=lambda n: n - 1)
    def typical(high, low, close, *, n):
        "mean of (H + L + C) / 3 over window n"
        return rolling_mean((high + low + close) / 3.0, n)

gives the columns `w_typical_5` and `w_typical_10`. The function gets a panel for each of its positional parameters,
float64[bars, symbols]: row k has bar k of every symbol, NaN where there is none. A parameter is named like a fact of
the bar (open, high, low, close, volume, days, period_end, bar_number) or like another column (w_rsi_14, or rsi_14).
With `pandas=True` the function gets one symbol's bars as a DataFrame instead, which is slower.

`@feature(every=["week", "month"])` gives columns of months too, `m_typical_5`, from the bars of months.
"""

from __future__ import annotations

import inspect
import itertools
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from weekly_cli.compute.features.declare import BAR_FACTS, PERIOD_END, Feature
from weekly_cli.compute.kernels import (
    Panel,
    difference,
    ema,
    lag,
    ratio_change,
    relative_distance,
    rolling_max,
    rolling_mean,
    rolling_min,
    sample_deviation,
    wilder,
    z_score,
)
from weekly_cli.errors import PluginFailed
from weekly_cli.names import PERIODS, did_you_mean

__all__ = [
    "Panel",
    "difference",
    "ema",
    "feature",
    "lag",
    "ratio_change",
    "relative_distance",
    "rolling_max",
    "rolling_mean",
    "rolling_min",
    "rolling_std",
    "wilder",
    "z_score",
]

#: The sample standard deviation over the last n bars.
rolling_std = sample_deviation

_ATTRIBUTE = "weekly_features"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_FACTS = ("open", "high", "low", "close", "volume", "days")
_NAMED = (PERIOD_END, *BAR_FACTS)


@dataclass(frozen=True, kw_only=True)
class OwnFeature(Feature):
    """A column of a plugin.

    Attributes
    ----------
    reference : callable or None
        The same column by plain pandas: a DataFrame of one symbol's bars of its clock -> float64[bars].
    """

    reference: Callable[[Any], Any] | None = None


@dataclass(frozen=True)
class _Declared:
    """What a decorator says of a function."""

    function: Callable[..., Any]
    name: str
    every: str | Sequence[str]
    formula: str
    first_bar: int | Callable[..., int]
    window: int | Callable[..., int] | None
    pandas: bool
    reference: Callable[..., Any] | None
    parameters: Mapping[str, Any]


def feature(
    function: Callable[..., Any] | None = None,
    *,
    name: str = "",
    every: str | Sequence[str] = "week",
    formula: str = "",
    first_bar: int | Callable[..., int] = 0,
    window: int | Callable[..., int] | None = None,
    pandas: bool = False,
    reference: Callable[..., Any] | None = None,
    **parameters: Any,
) -> Any:
    """Declare that a function computes a column, or several, and return the function unchanged.

    Parameters
    ----------
    name : str
        The column's name without the prefix of its clock, as in `w_`; the default is the function's.
    every : str or sequence of str
        The clocks, as `--every` names them; there is a column for each that is on, from its bars.
    formula : str
        What the lists of features show; the default is the first line of the function's docstring.
    first_bar : int or callable
        The first bar, from 0, that can have a value; or a function of the parameters.
    window : int or callable, optional
        Bars on which a value depends, its own included; None: all up to its own.
    pandas : bool
        The function takes one symbol's bars, a DataFrame with the columns open, high, low, close, volume, days and the
        bars' last days as its index (`week_end`, or `month_end`), and returns a Series or an array with a value a bar.
    reference : callable, optional
        Computes the same from such a DataFrame, with the same parameters; `verify` compares.
    **parameters
        Values of the function's keyword parameters; a list gives a column for each, with the value in its name.
    """

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        text = formula or (inspect.getdoc(function) or "").partition("\n")[0] or function.__name__
        declared = _Declared(
            function, name or function.__name__, every, text, first_bar, window, pandas, reference, parameters
        )
        setattr(function, _ATTRIBUTE, (*getattr(function, _ATTRIBUTE, ()), declared))
        return function

    return declare if function is None else declare(function)


def features_of(namespace: Mapping[str, Any], plugin: str, family: str) -> tuple[OwnFeature, ...]:
    """Return the columns that a plugin's functions declare, in the order of the functions.

    Parameters
    ----------
    namespace : mapping
        The names of the plugin's module.
    plugin, family : str
        Its name in messages, and the family of its columns.

    Raises
    ------
    PluginFailed
        If a declaration is not valid.
    """
    functions = {id(value): value for value in namespace.values() if hasattr(value, _ATTRIBUTE)}
    columns = [
        column
        for function in functions.values()
        for declared in getattr(function, _ATTRIBUTE)
        for column in _columns(declared, plugin, family)
    ]
    return tuple(columns)


def _columns(declared: _Declared, plugin: str, family: str) -> Iterator[OwnFeature]:
    line = declared.function.__code__.co_firstlineno
    where = f"{plugin}, line {line}: feature {declared.name}"
    if not _NAME.fullmatch(declared.name):
        raise PluginFailed(f"{where}: a name has lower-case letters, digits and _, and begins with a letter")
    clocks = _clocks(declared.every, where)
    inputs = _inputs(declared, where)
    lists = {key: value for key, value in declared.parameters.items() if isinstance(value, Sequence | range)}
    lists = {key: value for key, value in lists.items() if not isinstance(value, str)}
    for values in itertools.product(*lists.values()):
        chosen = {**declared.parameters, **dict(zip(lists, values, strict=True))}
        suffix = "".join(f"_{value}" for value in values)
        if not re.fullmatch(r"(_[a-z0-9_]+)*", suffix):
            raise PluginFailed(f"{where}: the values in lists are whole numbers or words, not {values}")
        first_bar = int(_of(declared.first_bar, chosen, where))
        window = None if declared.window is None else int(_of(declared.window, chosen, where))
        for every in clocks:
            name = f"{PERIODS[every].prefix}{declared.name}{suffix}"
            body = partial(_pandas_form, PERIODS[every].end) if declared.pandas else _panel_form
            yield OwnFeature(
                name=name,
                every=every,
                family=family,
                formula=declared.formula,
                first_bar=first_bar,
                looks_back=0 if window is None else window - 1,
                whole_history=window is None,
                inputs=inputs,
                function=partial(body, declared.function, chosen, f"plugin {plugin}: {name}"),
                reference=None if declared.reference is None else partial(declared.reference, **chosen),
            )


def _clocks(every: str | Sequence[str], where: str) -> list[str]:
    """Return the clocks that a declaration names, each once."""
    names = every.split(",") if isinstance(every, str) else list(every)
    clocks = list(dict.fromkeys(name.strip() if isinstance(name, str) else name for name in names))
    for name in clocks:
        if name not in PERIODS:
            raise PluginFailed(
                f"{where}: every takes any of {', '.join(PERIODS)}, not {name!r}{did_you_mean(name, PERIODS)}"
            )
    if not clocks:
        raise PluginFailed(f"{where}: every names no period; it takes any of {', '.join(PERIODS)}")
    return clocks


def _inputs(declared: _Declared, where: str) -> tuple[str, ...]:
    """Return what a function takes: its positional parameters; in pandas' form the facts of the bars."""
    signature = inspect.signature(declared.function).parameters.values()
    taken = [one.name for one in signature if one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty]
    positional = [name for name in taken if name not in declared.parameters]
    missing = [
        one.name
        for one in signature
        if one.kind is one.KEYWORD_ONLY and one.default is one.empty and one.name not in declared.parameters
    ]
    unknown = [name for name in declared.parameters if name not in {one.name for one in signature}]
    if missing or unknown:
        trouble = f"its parameter {missing[0]} has no value" if missing else f"it has no parameter {unknown[0]}"
        raise PluginFailed(f"{where}: {trouble}; give each in the decorator, as in @feature(n=[5, 10])")
    if declared.pandas and len(positional) != 1:
        raise PluginFailed(f"{where}: with pandas=True it takes one positional parameter, the bars of a symbol")
    if not positional:
        raise PluginFailed(f"{where}: it takes no column; name some of {', '.join(_NAMED)}, or other columns")
    return ("bar_number", PERIOD_END, *_FACTS) if declared.pandas else tuple(positional)


def _of(value: Any, parameters: Mapping[str, Any], where: str) -> Any:
    if not callable(value):
        return value
    try:
        return value(**parameters)
    except Exception as error:
        raise PluginFailed(f"{where}: first_bar or window: {type(error).__name__}: {error}") from error


def _panel_form(function: Callable[..., Any], parameters: Mapping[str, Any], where: str, *panels: Panel) -> Panel:
    """Call a function of panels; what it gets is read-only, because other features read it too."""
    views = [panel.view() for panel in panels]
    for view in views:
        view.flags.writeable = False
    value = _called(function, parameters, where, *views)
    if not isinstance(value, np.ndarray) or value.shape != panels[0].shape or value.dtype != np.float64:
        got = f"{value.dtype}{list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
        raise PluginFailed(
            f"{where}: returned {got}, not float64{list(panels[0].shape)}: a value a bar and symbol, NaN for null"
        )
    return value


def _pandas_form(
    end: str,
    function: Callable[..., Any],
    parameters: Mapping[str, Any],
    where: str,
    number: Panel,
    ends: Panel,
    *facts: Panel,
) -> Panel:
    """Call a function of one symbol's bars for each symbol; `end` is what their last day is called."""
    import pandas as pd

    out = np.full(number.shape, np.nan)
    for symbol, n_bars in enumerate((~np.isnan(number)).sum(axis=0).tolist()):
        days = ends[:n_bars, symbol].astype(np.int64).astype("datetime64[D]").astype("datetime64[s]")
        columns = {name: panel[:n_bars, symbol].copy() for name, panel in zip(_FACTS, facts, strict=True)}
        bars = pd.DataFrame(columns, index=pd.DatetimeIndex(days, name=end))
        index = bars.index
        value = _called(function, parameters, where, bars)
        same = isinstance(value, np.ndarray) or (isinstance(value, pd.Series) and value.index.equals(index))
        if not same or len(value) != n_bars:
            raise PluginFailed(f"{where}: returned no Series or array with a value for each of {n_bars} bars")
        try:
            out[:n_bars, symbol] = pd.Series(value).to_numpy(np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise PluginFailed(f"{where}: returned values that are no numbers: {error}") from error
    return out


def _called(function: Callable[..., Any], parameters: Mapping[str, Any], where: str, *given: Any) -> Any:
    try:
        return function(*given, **parameters)
    except Exception as error:
        raise PluginFailed(f"{where}, line {line_of(error, function.__code__.co_filename)}: {_text(error)}") from error


def line_of(error: BaseException, file: str) -> int:
    """Return the deepest line of a file in an error's traceback; 0: it is in none."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno or 0
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno or 0 for frame in reversed(frames) if frame.filename == file), 0)


def _text(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
