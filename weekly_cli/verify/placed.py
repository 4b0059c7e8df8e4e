"""The check of columns among all symbols: pandas places the bars again, and what comes later changes no place.

The sample is built again from the complete input, as its places take the bars of all symbols. The values that are
placed are those of that build: pandas computes from them, by its own reading of the universe, where each bar of the
sample stands. That these values are right is what the other checks say of the same columns in the table; a column that
is placed and not in the table is recomputed here, for the sample's symbols, by the reference implementation. Who is in
which group is read as the build reads it. There is no warm-up to measure: a place depends on the bar's own value, and
on others that have their own histories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from weekly_cli.compute.arrays import from_numpy
from weekly_cli.compute.bars import Ints
from weekly_cli.compute.clocks import Clock
from weekly_cli.compute.columns import arrow_type
from weekly_cli.compute.features import CrossFeature
from weekly_cli.dataset.dates import as_date, session_days
from weekly_cli.dataset.schema import AS_THEY_ARE, as_text, symbol_codes
from weekly_cli.files import parquet, records
from weekly_cli.files.tables import read_table_file
from weekly_cli.names import written_name
from weekly_cli.run import pipeline
from weekly_cli.run.place_files import CODE, PERIOD
from weekly_cli.run.placing import Placing
from weekly_cli.settings import Config
from weekly_cli.verify.lookahead import cut_days
from weekly_cli.verify.proof import MAX_LISTED, Check, Refuted
from weekly_cli.verify.rebuild import SampledSymbols, day_column, features_by_name
from weekly_cli.verify.reference import TOLERANCE, check_reference
from weekly_cli.verify.rows import Rows, Sides, same

#: Each cut reads the complete input once more.
_MOST_CUTS = 2
#: A float32 is rounded by half of this share.
_EPSILON = float(np.finfo(np.float32).eps)


def check_placed(check: Check, sides: Sides, sample: SampledSymbols, table_rows: Rows, n_dates: int, seed: int) -> None:
    """Place the sample's bars again among those of all symbols, and compare them with the rows of the table."""
    features = [one for one in sides.wanted.crosses if one.name in table_rows.table.column_names]
    names = [one.name for one in features]
    panels = _Panels(sides, sample.codes, features)
    rebuilt = _rebuilt(sides, sample, names, panels=panels)
    difference = same(table_rows, rebuilt, names)
    if difference is not None:
        message = _described(sides, difference, table_rows, rebuilt, "in the table, {} when built again")
        check.findings.append(message)
    findings = [found for one in features if (found := _difference(sides, table_rows, panels, one)) is not None]
    check.findings += findings[:MAX_LISTED]
    _check_placed_values(check, sides, sample, table_rows, panels)
    cuts = cut_days(sides, sample, min(n_dates, _MOST_CUTS), seed)
    for cut in cuts.tolist():
        before = rebuilt.where(rebuilt.days <= cut)
        shorter = _rebuilt(sides, sample, names, until=cut)
        difference = same(shorter.where(shorter.days <= cut), before, names)
        if difference is not None:
            words = f"with all rows, {{}} without those after {as_date(cut)}"
            message = _described(sides, difference, before, shorter, words)
            check.findings.append(f"a row sees what comes after it: {message}")
    check.did = (
        f"{len(names):,} columns of {len(sample.codes):,} symbols placed again by pandas among {panels.n_bars:,} bars "
        f"of all symbols: {len(table_rows):,} rows"
    )
    if len(cuts):
        check.did += (
            f"; all symbols cut after {', '.join(str(as_date(cut)) for cut in cuts.tolist())}: equal bit for bit"
        )


def _rebuilt(
    sides: Sides, sample: SampledSymbols, names: Sequence[str], until: int | None = None, panels: _Panels | None = None
) -> Rows:
    """Return columns of the sample, built from the complete input, or from its rows up to a day.

    Raises
    ------
    Refuted
        If a symbol fails.
    """
    symbols = sides.scan.symbols
    with records.scratch() as folder:
        config = replace(
            sides.config,
            output=str(folder / "output.parquet"),
            symbols=tuple(as_text(symbols[int(code)]) for code in sample.codes),
            max_symbols=None,
            features=",".join(names),
            columns_out=(),
            replace_features=True,
            order="symbol",
            label=(),
            developing=False,
            compression="none",
            allow_empty=True,
        )
        report = pipeline.run(config, until=until, on_panels=panels)
        built = parquet.open_own(report.output).read()
    if report.rejected:
        symbol, reason = report.rejected[0]
        raise Refuted(f"{symbol} can't be built again: {reason}")
    codes = symbol_codes(built.column(sides.scan.footers.schema.roles["symbol"]), symbols).astype(np.int64)
    dates = built.column(day_column(config, sides.scan.footers.schema))
    reading = AS_THEY_ARE if config.rows == "weekly" else sides.scan.footers.schema.dates
    days = session_days(dates, reading)[0].astype(np.int64)
    return Rows(codes, days, features_by_name(built, names, config))


class _Panels:
    """Takes the values of all symbols' bars from a build, and keeps those of the sample with their places by pandas.

    Parameters
    ----------
    sides : Sides
    codes : int64[symbols]
        The sample's positions among the scan's symbols.
    features : sequence of CrossFeature
    """

    def __init__(self, sides: Sides, codes: Ints, features: Sequence[CrossFeature]) -> None:
        self._sides, self._codes, self._features = sides, codes, features
        self._found: dict[str, list[pd.DataFrame]] = {}
        self.n_bars = 0

    def __call__(self, placing: Placing) -> None:
        """Read the bars of each clock, some periods of all symbols at a time."""
        config = self._sides.config
        members = None if config.universe is None else _spans(config, self._sides.scan.symbols)
        for every in dict.fromkeys(one.every for one in self._features):
            clock = Clock(every, config.week, config.available)
            for table in placing.tables(every):
                frame = table.to_pandas()
                ends = clock.end(frame[PERIOD].to_numpy().astype(np.int64))
                is_member = np.ones(len(frame), bool) if members is None else _are_members(frame[CODE], ends, members)
                self.n_bars += len(frame)
                seen = pd.DataFrame(
                    {
                        "code": frame[CODE].astype(np.int64),
                        "day": clock.first_day_seen(frame[PERIOD].to_numpy().astype(np.int64)),
                    }
                )
                for one in self._features:
                    if one.every == every:
                        seen[one.placed.name] = frame[one.placed.name]
                        group = placing.section.groups[one.by][frame[CODE]] if one.by else 0
                        inside = frame.assign(group=group)[is_member & (np.asarray(group) >= 0)]
                        places = _by_pandas(inside, one, config.min_group)
                        seen[one.name] = places.reindex(frame.index)
                self._found.setdefault(every, []).append(seen[seen["code"].isin(self._codes)])

    def seen_by(self, rows: Rows, every: str) -> pd.DataFrame:
        """Return for each row the values and the places of the newest bar of its symbol that it sees."""
        bars = pd.concat(self._found[every]).sort_values("day", kind="stable")
        left = pd.DataFrame({"code": rows.codes, "day": rows.days, "row": np.arange(len(rows))})
        found = pd.merge_asof(left.sort_values("day", kind="stable"), bars, on="day", by="code")
        return found.sort_values("row").reset_index(drop=True)


def _by_pandas(bars: pd.DataFrame, feature: CrossFeature, least: int) -> pd.Series[Any]:
    """Return the places of bars by pandas."""
    values = bars[feature.placed.name].astype(np.float64)
    groups = values.groupby([bars[PERIOD], bars["group"]])
    if feature.how == "rank":
        found = groups.rank(method="average", pct=True)
    else:
        std = groups.transform("std", ddof=1).where(groups.transform("min") < groups.transform("max"))
        found = (values - groups.transform("mean")) / std
    return found.where(groups.transform("count") >= least)


def _spans(config: Config, symbols: pa.Array) -> pd.DataFrame:
    """Return the universe's spans of the input's symbols by their codes, as pandas reads the dates."""
    table = read_table_file(str(config.universe), config.named("universe"))
    codes = symbol_codes(table.column("symbol").cast(symbols.type), symbols)
    first, last = (pd.to_datetime(table.column(name).to_pandas()).astype("datetime64[s]") for name in ("from", "to"))
    frame = pd.DataFrame({"code": codes, "first": first, "last": last.fillna(pd.Timestamp("9999-12-31"))})
    return frame[frame["code"] >= 0]


def _are_members(codes: pd.Series[Any], ends: Ints, spans: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    day = pd.Series(pd.to_datetime(ends, unit="D"), index=codes.index)
    pairs = pd.DataFrame({"code": codes, "day": day, "bar": np.arange(len(codes))}).merge(spans, on="code")
    inside = pairs["bar"][(pairs["first"] <= pairs["day"]) & (pairs["day"] <= pairs["last"])]
    found = np.zeros(len(codes), bool)
    found[inside.to_numpy()] = True
    return found


def _difference(sides: Sides, rows: Rows, panels: _Panels, feature: CrossFeature) -> str | None:
    """Return the first row whose place is not that of pandas; None: there is none."""
    wanted = panels.seen_by(rows, feature.every)[feature.name].to_numpy(np.float64)
    found = np.asarray(rows.table.column(feature.name).cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    tolerance = TOLERANCE + (_EPSILON if sides.config.dtype == "float32" else 0.0)
    with np.errstate(all="ignore"):
        near = np.abs(found - wanted) <= tolerance * np.maximum(1.0, np.abs(wanted))
    wrong = np.flatnonzero(~(near | (np.isnan(found) & np.isnan(wanted))))
    if not len(wrong):
        return None
    row = int(wrong[0])
    a, b = ("null" if np.isnan(one[row]) else f"{one[row]:.9g}" for one in (found, wanted))
    name = written_name(feature.name, sides.config.prefix)
    return f"{sides.named(rows.codes[row], rows.days[row])}: {name} is {a} in the table, {b} by pandas"


def _check_placed_values(check: Check, sides: Sides, sample: SampledSymbols, rows: Rows, panels: _Panels) -> None:
    """Check the values of columns that are placed and not in the table, for the sample's symbols."""
    there = {one.name for one in sample.features}
    features = {one.placed.name: one.placed for one in sides.wanted.crosses if one.placed.name not in there}
    if not features:
        return
    columns = {}
    for name, one in features.items():
        values = panels.seen_by(rows, one.every)[name].to_numpy(np.float64)
        columns[name] = from_numpy(values, known=~np.isnan(values)).cast(arrow_type(one, sides.config.dtype))
    inner = Check(check.name)
    check_reference(
        inner,
        sides,
        replace(sample, features=tuple(features.values()), labels=()),
        Rows(rows.codes, rows.days, pa.table(columns)),
    )
    check.findings += [f"a value that is placed: {finding}" for finding in inner.findings]


def _described(sides: Sides, difference: tuple[str, int], a: Rows, b: Rows, words: str) -> str:
    column, row = difference
    values = [as_text(rows.table.column(column)[row]) for rows in (a, b)]
    name = written_name(column, sides.config.prefix)
    return f"{sides.named(a.codes[row], a.days[row])}: {name} is {values[0]} {words.format(values[1])}"
