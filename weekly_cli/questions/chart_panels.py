"""Which weekly columns of an output are drawn together, and what a panel shows beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from weekly_cli.compute.features import Catalogue
from weekly_cli.errors import UsageError
from weekly_cli.names import PERIODS, did_you_mean

#: What names of columns begin with, of weeks and of longer periods.
_CLOCK = f"(?:{'|'.join(period.prefix for period in PERIODS.values())})"
#: Columns on the scale of the price.
_OF_PRICE = re.compile(rf"{_CLOCK}(open|high|low|close|sma_\d+)")
_MACD = re.compile(rf"({_CLOCK}macd)(_signal|_hist)?")
_ENDS = tuple(f"{period.prefix}{period.end}" for period in PERIODS.values())
#: What is drawn unless something is asked for, of one clock: of each pattern, the first column that the output has.
_DEFAULTS = ("close", r"sma_\d+", r"rsi_\d+", "macd", "macd_signal", "macd_hist")


@dataclass(frozen=True)
class Panel:
    """Columns that share a scale.

    Attributes
    ----------
    columns : tuple of str
        Drawn as steps.
    bars : tuple of str
        Drawn as an area from zero.
    levels : tuple of float
        Where a line of reference is drawn.
    ends : tuple of float, optional
        The ends of the scale; None: those of the values.
    """

    columns: tuple[str, ...]
    bars: tuple[str, ...] = ()
    levels: tuple[float, ...] = ()
    ends: tuple[float, float] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """All its columns, in the order of the legend."""
        return (*self.columns, *self.bars)


def end_column(every: str) -> str:
    """Return the name of the column with the last days of a clock's bars.

    >>> end_column("week"), end_column("month")
    ('w_week_end', 'm_month_end')
    """
    return f"{PERIODS[every].prefix}{PERIODS[every].end}"


def every_of(column: str) -> str:
    """Return the clock of a column by its name; that of the week for others, such as the week to date."""
    return next((every for every, period in PERIODS.items() if column.startswith(period.prefix)), "week")


def chosen_columns(
    wanted: str | None, features: Sequence[str], catalogue: Catalogue, output: str, every: str
) -> tuple[str, ...]:
    """Return the columns that are drawn, without the last days of bars.

    Parameters
    ----------
    wanted : str, optional
        Families, columns and exclusions as `build --features` takes them; None: a few that the output has.
    features : sequence of str
        What the output has.
    catalogue : Catalogue
        What it could have.
    output : str
        Its name, for error messages.
    every : str
        The clock whose columns are drawn if nothing is asked for.

    Raises
    ------
    UsageError
        If the output lacks one.
    """
    if wanted is None:
        patterns = [PERIODS[every].prefix + pattern for pattern in _DEFAULTS]
        found = [next((name for name in features if re.fullmatch(pattern, name)), None) for pattern in patterns]
        return tuple(name for name in found if name is not None)
    names = [feature.name for feature in catalogue.select(wanted) if feature.name in features]
    for word in filter(None, (part.strip() for part in wanted.split(","))):
        if not word.startswith("-") and word not in ("all", *catalogue.families, *features):
            raise UsageError(f"--features: {output} was built without {word}{did_you_mean(word, features)}")
    if not names:
        raise UsageError(f"--features {wanted}: {output} has none of these; it has {', '.join(features)}")
    return tuple(name for name in names if name not in _ENDS)


def panels_of(columns: Sequence[str]) -> tuple[Panel, ...]:
    """Return the panels of some columns: the price's first, then one for each kind.

    >>> [panel.names for panel in panels_of(["w_sma_20", "w_vol_4", "w_macd_hist", "w_vol_12"])]
    [('w_sma_20',), ('w_vol_4', 'w_vol_12'), ('w_macd_hist',)]
    >>> [panel.names for panel in panels_of(["w_sma_20", "m_sma_10", "m_macd", "m_macd_hist", "q_ret"])]
    [('w_sma_20', 'm_sma_10'), ('m_macd', 'm_macd_hist'), ('q_ret',)]
    """
    groups: dict[str, list[str]] = {"price": []}
    for name in columns:
        groups.setdefault(_kind(name), []).append(name)
    return tuple(_panel(kind, names) for kind, names in groups.items())


def _kind(name: str) -> str:
    """Return what the columns of a panel have in common: their names without windows, such as w_vol of w_vol_12."""
    if _OF_PRICE.fullmatch(name):
        return "price"
    macd = _MACD.fullmatch(name)
    return macd[1] if macd is not None else re.sub(r"_\d+", "", name)


def _panel(kind: str, names: Sequence[str]) -> Panel:
    of_bars = tuple(name for name in names if name.endswith("_hist"))
    special: Mapping[str, Panel] = {
        "rsi": Panel(tuple(names), levels=(30.0, 70.0), ends=(0.0, 100.0)),
        "macd": Panel(tuple(name for name in names if name not in of_bars), of_bars, (0.0,)),
    }
    return special.get(re.sub(f"^{_CLOCK}", "", kind), Panel(tuple(names)))
