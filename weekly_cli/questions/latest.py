"""Each symbol's newest weekly columns: what a signal for its next session may use.

The next session may see a bar that no row of the output sees yet. Under `--available next-week`, Friday's row sees
last week's bar. The week that ends on Friday is complete by then, and Monday's row, which is not there yet, will see
its bar. Such a bar is computed from the output's own daily rows, by the code and with the settings of the build. To
prove that they suffice, the newest row of each such symbol is computed too, and must be what the output has.

A bar counts as visible if its period ended before the session, with any `--available`: what `week-end` adds, the bar of
a period on its own last day, has that day's close, which nobody knows before the session.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from weekly_cli import __version__
from weekly_cli.compute.arrays import from_numpy, known, to_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.clocks import SymbolClocks
from weekly_cli.compute.features import Feature, Step
from weekly_cli.compute.labels import labels_named
from weekly_cli.dataset.dates import as_date, day_of
from weekly_cli.dataset.schema import as_text, plain_type, symbol_codes, working_type
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.names import PERIODS, did_you_mean, of_label
from weekly_cli.questions.built import Built, open_output
from weekly_cli.questions.clocks import clocks_with_calendars
from weekly_cli.questions.daily_prices import price_columns
from weekly_cli.questions.histories import Histories, histories, newest_columns
from weekly_cli.questions.next_session import Ends, all_on, ends_of, next_sessions
from weekly_cli.questions.recomputed import Recomputation, before_session, recomputation
from weekly_cli.run.plugins import have_changed, plugins_of, recorded_plugins, refusal, refuse_others

_WEEK_END = "w_week_end"
_ENDS = tuple(f"{period.prefix}{period.end}" for period in PERIODS.values())
#: The columns that answer the question, between the symbol and the features.
FACTS = ("last_date", "session", _WEEK_END, "age_days")


@dataclass(frozen=True)
class Latest:
    """The answer.

    Attributes
    ----------
    output : str
    table : pa.Table
        A row for each symbol: the symbol, `FACTS`, then the features. `last_date` is its newest row's, `session` the
        one after it, `w_week_end` names the newest bar that this session may see, and `age_days` counts the days from
        there to the session; both are null where there is no bar.
    computed : bool[symbols]
        Whether the bar is in none of the symbol's rows yet.
    of_plugins : sequence of str
        The output's weekly columns that are left out, because only a plugin can compute them that was not named.
    plugins : sequence of str
        The plugins with which it was built.
    labels : sequence of str
        Its labels, which are left out, because they look ahead.
    last : datetime.date or None
        The newest date of the output's symbols.
    """

    output: str
    table: pa.Table
    computed: NDArray[np.bool_]
    of_plugins: Sequence[str]
    plugins: Sequence[str]
    labels: Sequence[str]
    last: datetime.date | None

    @property
    def behind(self) -> int:
        """The number of symbols whose newest row is older than that of others."""
        return int(pc.sum(pc.less(self.table.column("last_date"), self.last)).as_py() or 0) if self.last else 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as it is written to JSON: dates as text in ISO 8601, a missing value as null."""
        rows = [
            {name: value.isoformat() if isinstance(value, datetime.date) else value for name, value in row.items()}
            for row in self.table.to_pylist()
        ]
        for row, is_computed in zip(rows, self.computed.tolist(), strict=True):
            row["in_no_row_yet"] = is_computed
        return {
            "output": self.output,
            "last": None if self.last is None else self.last.isoformat(),
            "symbols": len(rows),
            "in_no_row_yet": int(self.computed.sum()),
            "behind": self.behind,
            "of_plugins": list(self.of_plugins),
            "labels": list(self.labels),
            "rows": rows,
        }


def latest(
    output: str,
    *,
    symbols: Sequence[str] | None = None,
    features: str = "all",
    session: datetime.date | None = None,
    sector_map: str | None = None,
    plugin: Sequence[str] = (),
) -> Latest:
    """Return each symbol's newest weekly columns that its next session may see.

    Parameters
    ----------
    output : str
        What `build` has written.
    symbols : sequence of str, optional
        Only these.
    features : str
        Which of the output's weekly columns, as in `build`.
    session : datetime.date, optional
        The next session of all symbols; the default is, for each, the first day after its newest row that is a weekday
        on which it has rows.
    sector_map : str, optional
        The sector map of the build, if it is elsewhere by now.
    plugin : sequence of str, optional
        The plugins of the build: they are code, and what an output says makes none run. Installed ones do.

    Raises
    ------
    UsageError
        If the output has no such symbol or column, or a symbol has a row on `session` or later.
    InputRefused
        If its rows are not in order, or do not suffice for a bar that is in none of them yet.
    """
    built = open_output(output, plugin)
    if built.config.rows != "daily":
        raise InputRefused(
            f"{output} has a row a week, and each symbol's newest row is its newest bar; latest takes an output of "
            "--rows daily"
        )
    refuse_others(plugins_of(built.config), built.name, built.features)
    names = _chosen(built, features)
    ends = ends_of(built, symbols)
    timing = clocks_with_calendars(built, ends.symbols, ends.days)
    sessions = (
        next_sessions(built, ends, timing, of_all=symbols is None)
        if session is None
        else all_on(built, ends, day_of(session))
    )
    is_new = np.full(len(sessions), _WEEK_END not in built.features)
    clocks, every = timing.every, np.arange(len(sessions))
    for clock in clocks:
        is_new |= before_session(clock).newest_seen(every, sessions) > clock.newest_seen(every, ends.last)
    of_rows = {name for name in names if _is_of_rows(built.catalogue.steps.get(name))}
    question = _Question(built, symbols, ends, sessions, is_new | bool(of_rows), of_rows, clocks)
    columns = _columns(question, [_WEEK_END, *(name for name in names if name != _WEEK_END)], sector_map)
    week_end = columns.column(_WEEK_END)
    seen = known(week_end)
    age = sessions - to_numpy(week_end, 0)
    dates = [from_numpy(days.astype(np.int32), pa.date32()) for days in (ends.last, sessions)]
    facts = [*dates, week_end, from_numpy(age.astype(np.int32), known=seen)]
    symbol = built.roles["symbol"]
    of_symbol = plain_type(working_type(built.schema.field(symbol).type))
    table = pa.table([ends.symbols.cast(of_symbol), *facts], names=[symbol, *FACTS])
    for name in names:
        if name != _WEEK_END:
            table = table.append_column(name, columns.column(name))
    last = as_date(int(ends.last.max())) if len(ends.last) else None
    labels = [label.name for label in labels_named(built.config.label)]
    return Latest(output, table, is_new, built.of_plugins, recorded_plugins(built.record), labels, last)


def _is_of_rows(step: Step | None) -> bool:
    """Tell whether a column is one of daily rows."""
    return isinstance(step, Feature) and step.of_rows


def _chosen(built: Built, features: str) -> list[str]:
    """Return the output's weekly columns that `features` asks for."""
    families = built.catalogue.families
    words = [word.strip().removeprefix("-") for word in features.split(",") if word.strip()]
    for word in words:
        if word in built.of_plugins:
            raise refusal("--features", word, built.record)
        if word not in ("all", *families, *built.features):
            hint = of_label(word) or did_you_mean(word, [*families, *built.features])
            raise UsageError(
                f"--features: {built.name} has no column {word} that build added, and no family has this name{hint}"
            )
    asked = {one.name for one in built.catalogue.select(features)}
    names = [name for name in built.features if name in asked]
    if not names and built.of_plugins:
        raise refusal("--features", built.of_plugins[0], built.record)
    if not names:
        raise UsageError(
            f"--features {features}: {built.name} has none of these columns; it has {', '.join(built.features)}"
        )
    return names


@dataclass(frozen=True)
class _Question:
    """What is asked: which symbols (None: all), where they end, their sessions, and whose values are in no row yet.

    The columns `of_rows` are in none ever. `clocks` are those of the symbols.
    """

    built: Built
    symbols: Sequence[str] | None
    ends: Ends
    sessions: Ints
    is_new: NDArray[np.bool_]
    of_rows: Collection[str]
    clocks: tuple[SymbolClocks, ...]


def _columns(question: _Question, names: Sequence[str], sector_map: str | None) -> pa.Table:
    """Return the weekly columns that each symbol's session sees: those of its newest row, or computed ones."""
    built, is_new = question.built, question.is_new
    stored = [name for name in names if name in built.features]
    source = price_columns(built) if is_new.any() else []
    computing = _recomputation(question, names, sector_map) if source else None
    columns = newest_columns(built, [built.column_of(name) for name in stored], question.symbols)
    newest = _with_days(columns.rename_columns(stored))
    if computing is None:
        return newest.select(names)
    tables, first = [], 0
    for rows in histories(built, source, question.symbols):
        stop = first + len(rows.symbols)
        table = newest[first:stop]
        if is_new[first:stop].any():
            table = _with_new(computing, rows, table, first, question)
        tables.append(table.select(names))
        first = stop
    return pa.concat_tables(tables)


def _with_days(table: pa.Table) -> pa.Table:
    """Return columns of an output with the last days of bars as dates, whatever `--date-type` it was built with."""
    for place, column in enumerate(table.schema):
        if column.name in _ENDS:
            table = table.set_column(place, column.name, table.column(place).cast(pa.date32()))
    return table


def _recomputation(question: _Question, names: Sequence[str], sector_map: str | None) -> Recomputation:
    every = question.ends.symbols if question.symbols is None else ends_of(question.built).symbols
    selected = symbol_codes(question.ends.symbols, every).astype(np.int64)
    return recomputation(question.built, names, (every, selected), sector_map, question.clocks)


def _with_new(computing: Recomputation, rows: Histories, table: pa.Table, first: int, question: _Question) -> pa.Table:
    """Return the newest rows of `table` with the computed bar where it is in no row yet.

    Raises
    ------
    InputRefused
        If what the newest row sees can't be computed either.
    """
    here = slice(first, first + len(rows.symbols))
    new = np.flatnonzero(question.is_new[here])
    last = question.ends.last[here][new]
    of_rows, of_sessions = _computed(computing, rows, first, new, (last, question.sessions[here][new]))
    stored = table.drop_columns(list(question.of_rows)).take(from_numpy(new))
    _check(question.built, rows.symbols.take(from_numpy(new)), last, stored, of_rows)
    if len(new) == len(rows.symbols):
        return of_sessions
    order = np.arange(len(rows.symbols))
    order[new] = len(order) + np.arange(len(new))
    return pa.concat_tables([table, of_sessions.select(table.column_names)]).take(from_numpy(order))


def _computed(
    computing: Recomputation, rows: Histories, first: int, symbols: Ints, days: tuple[Ints, Ints]
) -> tuple[pa.Table, pa.Table]:
    """Return the columns that the newest rows of some symbols see, and those that their sessions may see."""
    last, sessions = days
    week = computing.recipe.clocks[0]
    if week.has_sessions:
        of_rows = computing.columns(rows, first, symbols, last, of_output=True)
        return of_rows, computing.columns(rows, first, symbols, sessions)
    # What a row knows by its own rule is what is known before the day after `lead_days`: one computation for both.
    both = np.stack([last + week.lead_days, sessions], axis=1).ravel()
    computed = computing.columns(rows, first, np.repeat(symbols, 2), both)
    of_each = 2 * np.arange(len(symbols))
    return computed.take(from_numpy(of_each)), computed.take(from_numpy(of_each + 1))


def _check(built: Built, symbols: pa.Array, last: Ints, stored: pa.Table, computed: pa.Table) -> None:
    """Refuse an answer if the columns of the newest rows can't be computed as the output has them."""
    for name in stored.column_names:
        if computed.column(name).equals(stored.column(name)):
            continue
        pairs = zip(stored.column(name).to_pylist(), computed.column(name).to_pylist(), strict=True)
        row, (was, value) = next((row, pair) for row, pair in enumerate(pairs) if pair[0] != pair[1])
        raise InputRefused(
            f"{built.name} does not suffice for the next session's bar: computed from its own rows, {name} of "
            f"{as_text(symbols[row])} on {as_date(int(last[row]))} is {value}, and {was} is there{_why(built)}; "
            "append a row for the next session to the input and build again"
        )


def _why(built: Built) -> str:
    """Return what may be the cause."""
    config = built.config
    if config.start is not None:
        return f" (it was built with --start {config.start}, and lacks the rows before that it was made of)"
    if built.record["version"] != __version__:
        return f" (version {built.record['version']} has built it, and this is {__version__})"
    if have_changed(plugins_of(config), built.record):
        return " (the plugin's content is another by now)"
    return " (has the sector map changed?)" if config.sector_map is not None else ""
