"""Why a row of an output has the weekly values that it has: the bar, its daily rows, and formulas with numbers."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from weekly_cli import __version__
from weekly_cli.compute.clocks import Clock
from weekly_cli.compute.features import CrossFeature, Feature
from weekly_cli.dataset.as_of import path_of
from weekly_cli.dataset.as_of_table import age_column
from weekly_cli.dataset.dates import as_date, day_of
from weekly_cli.errors import UsageError
from weekly_cli.names import PERIODS
from weekly_cli.questions.built import open_output
from weekly_cli.questions.explanation import ExplainedFeature, Explanation, SeenBar, Value
from weekly_cli.questions.history import History, Peer, feature_of, history
from weekly_cli.questions.next_session import ends_of
from weekly_cli.questions.placed import Place, place_of
from weekly_cli.questions.recomputed import bars_of_columns
from weekly_cli.questions.running import RunningWeek, running_week
from weekly_cli.questions.seen_bar import Row, calendar, in_words, seen_bar, summary, visible
from weekly_cli.questions.step_formulas import write
from weekly_cli.questions.why_null import too_early, why_null
from weekly_cli.questions.workings import At, Evaluated, Working, needed_steps, workings
from weekly_cli.run.plugins import have_changed, plugins_of, refuse_others
from weekly_cli.settings.kinds import Date

#: Two computations of a value may differ by this share, besides the rounding of its type: another machine's logarithm.
_TOLERANCE = 1e-9


def explain(
    output: str | Path,
    symbol: str,
    date: datetime.date | str,
    feature: str | None = None,
    plugin: Sequence[str] = (),
) -> Explanation:
    """Explain a row of an output of `build`.

    Parameters
    ----------
    output : str or Path
        A file, or a folder of parts.
    symbol : str
    date : datetime.date or str
        A session of the symbol; text as in 2024-03-01.
    feature : str, optional
        The weekly column whose formula is wanted; without one a few values are shown.
    plugin : sequence of str
        The plugins of the build: they are code, and what an output says makes none run. Installed ones do.

    Raises
    ------
    UsageError
        If the output has no such symbol, session or column, or none of a plugin.
    InputRefused
        If it is no output of `build`, or lacks a column from which it was made.
    """
    try:
        day = day_of(Date().check(date))
    except ValueError as error:
        raise UsageError(f"DATE {error}") from error
    built = open_output(output, plugin)
    refuse_others(plugins_of(built.config), built.name, built.features)
    found = history(built, symbol)
    wanted = None if feature is None else feature_of(built, feature, found.steps)
    clocks = {clock.every: clock.of(0) for clock in found.rows.clocks}
    rows = {every: _row(found, day, clock) for every, clock in clocks.items()}
    evaluated = {every: _evaluated(row, every) for every, row in rows.items()}
    known = (found.steps.get(name) for name in built.features)
    running = running_week(rows["week"], [step for step in known if isinstance(step, Feature) and step.of_rows])
    places = {}
    if isinstance(wanted, CrossFeature) and rows[wanted.every].bar >= 0:
        places[wanted.name] = _place(rows[wanted.every], wanted)
    values = {name: _value(rows, evaluated, running, places, name) for name in built.features}
    every = wanted.every if wanted is not None else built.config.every[0]
    row = rows[every]
    compared = [value for value in values.values() if value.agrees is not None]
    differing = tuple(value for value in compared if not value.agrees)
    bar = seen_bar(row) if row.bar >= 0 else None
    return Explanation(
        output=built.name,
        symbol=symbol,
        date=as_date(day),
        every=every,
        week=row.clock.anchor,
        available=row.clock.available,
        summary=_summary(row),
        visible="" if bar is None else visible(row, bar),
        own_period_end=as_date(row.end(row.own)),
        bar=bar,
        calendar=calendar(row),
        feature=None
        if wanted is None
        else _explained(row, bar, evaluated[every], running, places.get(wanted.name), values[wanted.name], wanted),
        values=() if wanted is not None else tuple(_few(found, values)),
        n_compared=len(compared),
        differing=differing,
        not_compared={name: value.trouble for name, value in values.items() if value.agrees is None},
        conclusion=_conclusion(row, len(compared), differing),
        notes=(
            *(place.note for place in places.values() if place.note),
            *([running.note] if wanted is not None and wanted.of_rows and running.note else []),
            *_notes(found),
            *_joined(row),
            *_compared_with(found, wanted),
        ),
    )


def _every(found: History, name: str) -> str:
    """Return the clock of a column; what no step computes is a plugin's, and of weeks."""
    step = found.steps.get(name)
    return step.every if isinstance(step, Feature) else "week"


def _evaluated(row: Row, every: str) -> Evaluated:
    """Return the values of the output's columns of one clock."""
    steps = row.history.steps
    features = [step for name in row.history.built.features if isinstance(step := steps.get(name), Feature)]
    own = (one for one in features if not isinstance(one, CrossFeature))
    names = [feature.name for feature in own if feature.every == every and not feature.of_rows]
    return row.history.evaluated(row.clock, names, row.offset)


def _row(found: History, day: int, clock: Clock) -> Row:
    rows = found.rows
    at = int(np.searchsorted(rows.days, day))
    if at == len(rows.days) or rows.days[at] != day:
        near = [int(each) for each in (*rows.days[max(at - 1, 0) : at], *rows.days[at : at + 1])]
        raise UsageError(
            f"{found.built.name} has no row of {found.symbol} on {in_words(day)}; the nearest "
            f"{'is' if len(near) == 1 else 'are'} of {' and '.join(map(in_words, near))}"
        )
    newest, bars = clock.newest_seen(day), rows.bars[clock.every]
    bar = int(np.searchsorted(bars.periods, newest, "right")) - 1
    if bar >= 0 and bars.last_days[bar] > day:  # a row that the calendar has no session for
        newest, bar = newest - 1, bar - 1
    offset = _offset(found, f"{PERIODS[clock.every].prefix}bars", at, bar)
    return Row(found, clock, at, day, clock.period(day), newest, bar, offset)


def _offset(found: History, counting: str, at: int, bar: int) -> int:
    """Return how many bars are older than the output's rows: what `w_bars` says, less those that the rows make."""
    if found.built.config.start is None or counting not in found.built.features:
        return 0
    counted = found.rows.table.column(found.built.column_of(counting))[at].as_py()
    return 0 if counted is None else max(0, int(counted) - (bar + 1))


def _summary(row: Row) -> str:
    period = PERIODS[row.clock.every]
    end = f"{period.prefix}{period.end}"
    stored = _stored(row, end) if end in row.history.built.features else np.nan
    if row.bar < 0 and np.isfinite(stored):
        return (
            f"{in_words(row.day)} shows the {period.noun} that ended on {in_words(int(stored))}, of which this output "
            f"has no rows: it begins on {as_date(int(row.history.rows.days[0]))} (--start)."
        )
    return summary(row)


# ---- values ----------------------------------------------------------------------------------------------


def _stored(row: Row, name: str) -> float:
    value = row.history.rows.table.column(row.history.built.column_of(name))[row.at]
    if not value.is_valid:
        return np.nan
    return float(
        value.cast(pa.date32()).cast(pa.int32()).as_py() if pa.types.is_temporal(value.type) else value.as_py()
    )


def _value(
    rows: Mapping[str, Row],
    evaluated: Mapping[str, Evaluated],
    running: RunningWeek,
    places: Mapping[str, Place],
    name: str,
) -> Value:
    """Return a value as it is stored and as its daily rows give it; the row and its values are given by clock."""
    every = _every(rows["week"].history, name)
    row = rows[every]
    step, stored = row.history.steps.get(name), _stored(row, name)
    if not isinstance(step, Feature):
        trouble = f"only a plugin computes it, or another version of weekly-cli than this one ({__version__})"
        return Value(name, stored, np.nan, None, trouble)
    if isinstance(step, CrossFeature) and name not in places:
        return Value(name, stored, np.nan, None, f"it takes the bars of all symbols: --feature {name} reads them")
    if row.bar < 0 and not step.of_rows:
        return Value(name, stored, np.nan, bool(np.isnan(stored)))
    if name in places:
        value = places[name].value
    else:
        value = running.value(step) if step.of_rows else float(evaluated[every].column(name)[row.bar])
    computed = row.history.as_stored(step, value)
    for peer in _peers(row.history, step):
        if peer.bars is None and not peer.is_none:
            return Value(name, stored, np.nan, None, peer.trouble)
    kind = row.history.rows.table.schema.field(row.history.built.column_of(name)).type
    rounding = float(np.finfo(np.float32).eps) if pa.types.is_float32(kind) else 0.0
    equal = stored == computed or (np.isnan(stored) and np.isnan(computed))
    near = bool(abs(stored - computed) <= (_TOLERANCE + rounding) * max(abs(stored), abs(computed)))
    return Value(name, stored, computed, bool(equal or near))


def _peers(found: History, feature: Feature) -> list[Peer]:
    """Return the symbols that a feature compares with."""
    names = needed_steps(feature.name, found.steps)
    return [found.peers[name.removeprefix("benchmark:")] for name in names if name.startswith("benchmark:")]


def _few(found: History, values: Mapping[str, Value]) -> Iterator[Value]:
    """Yield the first column of each family that the output has, but for the bar's own."""
    families = {"bars"}
    for name, value in values.items():
        step = found.steps.get(name)
        if isinstance(step, Feature) and step.family not in families:
            families.add(step.family)
            yield value


def _place(row: Row, feature: CrossFeature) -> Place:
    """Return where the bar that a row sees stands among those of all symbols."""
    symbols = ends_of(row.history.built).symbols
    clocks = row.history.rows.clocks
    bars = bars_of_columns(row.history.built, [feature.name], symbols, clocks)
    clock = next(clock for clock in clocks if clock.every == feature.every)
    return place_of(bars, feature, row.history.symbol, clock, int(row.bars.periods[row.bar]))


def _explained(
    row: Row,
    bar: SeenBar | None,
    evaluated: Evaluated,
    running: RunningWeek,
    place: Place | None,
    value: Value,
    feature: Feature,
) -> ExplainedFeature:
    if isinstance(feature, CrossFeature):
        null = "" if not np.isnan(value.stored) else "the row sees no bar" if place is None else place.null
        lines = () if place is None else place.workings
        return ExplainedFeature(
            feature.name, feature.family, feature.formula, feature.first_bar, feature.window, value, null, lines
        )
    if not feature.of_rows:
        return _feature(row, bar, evaluated, feature, value)
    null = running.why_null(feature) if np.isnan(value.stored) else ""
    lines = () if null else tuple(running.workings(feature))
    return ExplainedFeature(
        feature.name, feature.family, feature.formula, feature.first_bar, feature.window, value, null, lines
    )


def _feature(row: Row, bar: SeenBar | None, evaluated: Evaluated, feature: Feature, value: Value) -> ExplainedFeature:
    lines = (*workings(feature.name, At(evaluated, row.bar), write), *_of_bar(feature, bar)) if bar is not None else ()
    if np.isfinite(value.stored) and np.isnan(value.computed):
        lines = ()
    elif np.isfinite(value.computed):
        lines = tuple(line for line in lines if np.isfinite(line.value))  # some steps have no value yet
    null = ""
    if np.isnan(value.stored) and row.bar < 0:
        null = "the row sees no bar"
    elif np.isnan(value.stored):
        null = too_early(row, feature)
        lines = () if null else lines
        if not null and np.isnan(value.computed):
            null = why_null(row, evaluated, feature.name)
    return ExplainedFeature(
        feature.name, feature.family, feature.formula, feature.first_bar, feature.window, value, null, lines
    )


def _of_bar(feature: Feature, bar: SeenBar) -> tuple[Working, ...]:
    """Return how the bar's own column came out of its daily rows, if the feature is that column."""
    return tuple(line for line in bar.workings if feature.family == "bars" and line.name in feature.inputs)


# ---- in words --------------------------------------------------------------------------------------------


def _conclusion(row: Row, n_compared: int, differing: tuple[Value, ...]) -> str:
    built, config = row.history.built, row.history.built.config
    if not differing:
        return f"All {n_compared:,} values that were computed again from these rows are what the output stores."
    some = f"{len(differing):,} of {n_compared:,} values are not what the rows of this output give"
    if config.start is not None:
        return f"{some}: it was built with --start {config.start}, and the rows before that date are not in it."
    if config.columns_out:
        return f"{some}: it was built with --columns-out, and columns of which its bars were made are not in it."
    if have_changed(plugins_of(config), built.record):
        return f"{some}: the plugin's content is another by now."
    if built.record["version"] != __version__:
        return f"{some}: weekly-cli {built.record['version']} built it, and this is {__version__}."
    return (
        f"{some}: rows or values were changed after the build, or another tool wrote them; weekly-cli verify "
        f"{built.name} checks all of them."
    )


def _notes(found: History) -> Iterator[str]:
    config = found.built.config
    if config.available == "week-end" and (config.calendar is not None or config.calendar_map is not None):
        flags = (("--calendar", config.calendar), ("--calendar-map", config.calendar_map))
        named = " ".join(f"{flag} {value}" for flag, value in flags if value is not None)
        yield f"{named}: the last session of a period is that of the calendar, where it has one"
    if config.price is not None:
        yield f"--price {config.price}: C is {config.price}, and O, H and L are scaled by {config.price} / close"
    if config.adjust_volume:
        yield "--adjust-volume: V is volume * close / adjusted close"
    if config.negative_prices != "unusable":
        yield f"--negative-prices {config.negative_prices}: a negative price counts with its absolute value"
    if config.drop_padding:
        yield "--drop-padding: rows without volume that repeat the row before are left out"
    if config.on_duplicates != "error":
        yield f"--on-duplicates {config.on_duplicates}: of rows that repeated a date the output has that one"
    if config.on_intraday != "error":
        yield "--on-intraday aggregate: a row is the bar of all moments of its day"
    if config.start is not None:
        yield f"--start {config.start}: earlier rows fed the values and are not in the output"


def _joined(row: Row) -> Iterator[str]:
    """Yield from which row of each joined table the row's columns are."""
    table = row.history.rows.table
    for spec in row.history.built.config.join:
        age = age_column(path_of(spec))
        if age in table.column_names:
            days = table.column(age)[row.at].as_py()
            known = "no row was known yet, or none that is new enough"
            if days is not None:
                known = f"the row of {in_words(row.day - days)}, {days:,} days before, is the newest one known"
            yield f"--join {spec}: {known}"


def _compared_with(found: History, feature: Feature | None) -> Iterator[str]:
    needed = None if feature is None else needed_steps(feature.name, found.steps)
    for name, peer in found.peers.items():
        if peer.bars is not None and (needed is None or f"benchmark:{name}" in needed):
            noun = PERIODS["week" if feature is None else feature.every].noun
            yield f"C({name}) is the close of {peer.symbol} in the same {noun}"
