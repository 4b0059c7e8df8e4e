"""What a chart of one symbol shows: the daily price, weekly columns as steps, and when each week became visible.

Of an output without weeks, or of columns of months, months are marked, and so on.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from weekly_cli.compute.arrays import known, to_numpy
from weekly_cli.compute.bars import usable_values
from weekly_cli.dataset.dates import as_date, day_of, session_days
from weekly_cli.dataset.schema import prices
from weekly_cli.errors import UsageError
from weekly_cli.names import PERIODS
from weekly_cli.questions.built import Built, history_of
from weekly_cli.questions.chart_panels import Panel, chosen_columns, end_column, every_of, panels_of
from weekly_cli.questions.clocks import week_of

Days = NDArray[np.int32]
Floats = NDArray[np.floating[Any]]
#: From this ratio of the highest to the lowest price on, equal distances are equal ratios.
_LOG_RATIO = 8.0
_WHEN = {"next-week": "from the day after {its} last one", "week-end": "from {its} last day on"}
#: What is visible then: of two or four weeks, both or all.
_SEEN = {
    "week": "a week is visible",
    "2W": "two weeks are visible",
    "4W": "four weeks are visible",
    "month": "a month is visible",
    "quarter": "a quarter is visible",
}


@dataclass(frozen=True)
class Steps:
    """The weekly columns, where at least one of them changes; the first row of a chart is a step, too.

    Attributes
    ----------
    rows : int64[steps]
        The daily row from which on the values are there.
    ends : int32[steps]
        The last day of the week or month that became visible on that row, in days since 1970-01-01; `NO_PERIOD` where
        none did.
    values : mapping of column to float[steps]
        In the output's own type, NaN where null; integers as float64.
    """

    rows: NDArray[np.int64]
    ends: Days
    values: Mapping[str, Floats]


NO_PERIOD = np.iinfo(np.int32).min


@dataclass(frozen=True)
class Chart:
    """What is drawn.

    Attributes
    ----------
    output, symbol : str
    price : str
        The daily column of which the bars were made.
    days : int32[rows]
        Sessions in days since 1970-01-01, ascending.
    prices : float64[rows]
        NaN where the price is not usable.
    steps : Steps
    panels : tuple of Panel
        The price's first.
    week, available : str
        The settings of the build.
    every : str
        Of what is marked when it became visible, one of `names.PERIODS`: that of the first column that is drawn.
    is_marked : bool
        Whether the output has the column that says which of them a row sees.
    """

    output: str
    symbol: str
    price: str
    days: Days
    prices: Floats
    steps: Steps
    panels: tuple[Panel, ...]
    week: str
    available: str
    every: str
    is_marked: bool

    @property
    def price_label(self) -> str:
        """The name of the daily price beside those of weekly columns."""
        return f"daily {self.price}"

    @property
    def visible(self) -> NDArray[np.int64]:
        """The steps at which a week, or a month, became visible."""
        return np.flatnonzero(self.steps.ends != NO_PERIOD)

    @property
    def is_log(self) -> bool:
        """Whether the price spans so much that its scale is logarithmic."""
        drawn = [self.prices, *(self.steps.values[name] for name in self.panels[0].names)]
        values = np.concatenate([column[np.isfinite(column)] for column in drawn])
        return bool(len(values)) and values.min() > 0 and float(values.max() / values.min()) >= _LOG_RATIO

    @property
    def caption(self) -> str:
        """What is drawn, in a line."""
        first, last = as_date(self.days[0]), as_date(self.days[-1])
        rows = f"{len(self.days):,} row{'' if len(self.days) == 1 else 's'}"
        return f"{first} to {last}, {rows}, {self._marks}" + (", logarithmic scale" if self.is_log else "")

    @property
    def _marks(self) -> str:
        period = PERIODS[self.every]
        if not self.is_marked:
            return f"{period.nouns} are not marked: the output has no {end_column(self.every)}"
        count = len(self.visible)
        noun = period.noun if count == 1 else period.nouns
        if period.noun == period.nouns:  # two weeks
            noun = f"bar{'' if count == 1 else 's'} of {period.nouns}"
        return f"{count:,} {noun} became visible"

    @property
    def convention(self) -> str:
        """When what is marked is visible."""
        its = "their" if PERIODS[self.every].noun == PERIODS[self.every].nouns else "its"
        when = f"{_SEEN[self.every]} {_WHEN[self.available].format(its=its)}"
        return f"{self.week}: {when}" if PERIODS[self.every].end == PERIODS["week"].end else when

    def to_dict(self) -> dict[str, Any]:
        """Return what is drawn as plain values: daily rows, and steps by the row on which each begins."""
        dates = [str(as_date(day)) for day in self.days]
        ends = [None if day == NO_PERIOD else str(as_date(day)) for day in self.steps.ends]
        count = len(self.visible) if self.is_marked else None
        of_weeks = self.every == "week"
        return {
            "output": self.output,
            "symbol": self.symbol,
            "price": self.price,
            "week": self.week,
            "available": self.available,
            "rows": len(self.days),
            "every": self.every,
            "periods": count,
            **({"weeks": count} if of_weeks else {}),
            "panels": [list(panel.names) for panel in self.panels],
            "daily": {"date": dates, "price": plain(self.prices)},
            "steps": {
                "date": [dates[row] for row in self.steps.rows],
                "period_end": ends,
                **({"week_end": ends} if of_weeks else {}),
                **{name: plain(values) for name, values in self.steps.values.items()},
            },
        }


def plain(values: Floats) -> list[float | None]:
    """Return numbers with the fewest digits that give their type's value back, None where there is none."""
    return [float(str(value)) if np.isfinite(value) else None for value in values]


def chart_of(
    built: Built,
    symbol: str,
    features: str | None = None,
    start: datetime.date | None = None,
    end: datetime.date | None = None,
) -> Chart:
    """Return the chart of one symbol.

    Parameters
    ----------
    built : Built
    symbol : str
    features : str, optional
        The weekly columns, as `build --features` takes them.
    start, end : datetime.date, optional
        Only rows between them.

    Raises
    ------
    UsageError
        If the output has no such symbol or column, or no rows in that time.
    """
    if built.config.rows == "weekly":
        raise UsageError(
            f"{built.name} has a row a week; a chart needs the daily ones, as build --rows daily writes them"
        )
    if start is not None and end is not None and end < start:
        raise UsageError(f"--end {end} is before --start {start}")
    columns = chosen_columns(features, built.features, built.catalogue, built.name, built.config.every[0])
    every = every_of(columns[0]) if columns else built.config.every[0]
    end_name = end_column(every)
    is_marked = end_name in built.features
    price = str(built.record["price"])
    if price not in built.schema.names:
        raise UsageError(
            f"{built.name} was built without the daily {price}, which a chart needs; build it with that one"
        )
    read = [built.roles["date"], price, *map(built.column_of, [*columns, *([end_name] if is_marked else [])])]
    # All rows, though not all are drawn: whether a period became visible on a row shows in the row before it.
    table = built.with_own_names(history_of(built, symbol, list(dict.fromkeys(read))))
    days = session_days(table.column(built.roles["date"]), built.dates)[0]
    inside = _between(days, start, end)
    if not inside.any():
        span = f"its rows are of {as_date(days[0])} to {as_date(days[-1])}"
        raise UsageError(f"{built.name} has no row of {symbol} in that time; {span}")
    daily = prices(table.column(price))
    daily = np.abs(daily) if built.config.negative_prices == "absolute" else daily
    return Chart(
        output=built.name,
        symbol=symbol,
        price=price,
        days=days[inside],
        prices=np.where(usable_values(daily, "close"), daily, np.nan)[inside],
        steps=_steps(table, columns, end_name if is_marked else None, inside),
        panels=panels_of(columns),
        week=week_of(built, symbol),
        available=str(built.record["available"]),
        every=every,
        is_marked=is_marked,
    )


def _between(days: Days, start: datetime.date | None, end: datetime.date | None) -> NDArray[np.bool_]:
    inside = np.ones(len(days), bool)
    if start is not None:
        inside &= days >= day_of(start)
    if end is not None:
        inside &= days <= day_of(end)
    return inside


def _steps(table: pa.Table, columns: tuple[str, ...], end_name: str | None, inside: NDArray[np.bool_]) -> Steps:
    nothing = np.full(table.num_rows, NO_PERIOD, np.int32)
    ends = nothing if end_name is None else _ends(table.column(end_name))
    values = {name: _values(table.column(name)) for name in columns}
    is_new = _differs(ends) & (ends != NO_PERIOD)
    is_step = np.logical_or.reduce([is_new, *map(_differs, values.values())])[inside]
    is_step[0] = True
    rows = np.flatnonzero(is_step)
    newly_seen = np.where(is_new, ends, NO_PERIOD).astype(np.int32)
    return Steps(rows, newly_seen[inside][rows], {name: column[inside][rows] for name, column in values.items()})


def _ends(column: pa.ChunkedArray) -> Days:
    return np.where(known(column), to_numpy(column.cast(pa.date32()), 0), NO_PERIOD).astype(np.int32)


def _values(column: pa.ChunkedArray) -> Floats:
    kind = column.type if pa.types.is_floating(column.type) else pa.float64()
    values: Floats = to_numpy(column.cast(kind, safe=False), np.nan)
    return values


def _differs(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell which rows differ from the one before them; the first one does not. NaN equals NaN."""
    differs = np.zeros(len(values), bool)
    differs[1:] = (values[1:] != values[:-1]) & ~((values[1:] != values[1:]) & (values[:-1] != values[:-1]))
    return differs
