"""Family `cross`: where a bar's value stands among the bars that all symbols have of the same period.

A value is given: it takes other symbols' bars, which a task does not have. The input `cross:NAME` is the column NAME.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from weekly_cli.compute.features.declare import Feature
from weekly_cli.compute.kernels import Panel
from weekly_cli.errors import UsageError
from weekly_cli.names import CROSS_SECTION, PERIODS, benchmark_name

FAMILY, GIVEN = "cross", "cross:"
RANK, ZSCORE = "rank", "zscore"
#: What is shown where no column is named.
EXAMPLES = (f"{RANK}(w_mom_12)", f"{ZSCORE}(w_vol_26) by sector")


@dataclass(frozen=True, kw_only=True)
class CrossFeature(Feature):
    """A column of bars that says where a value stands among those of other symbols.

    Attributes
    ----------
    placed : Feature
        The column whose values are placed.
    how : str
        `RANK` or `ZSCORE`.
    by : str
        The column that tells a symbol's group; empty: all symbols are one.
    """

    placed: Feature
    how: str
    by: str

    @property
    def text(self) -> str:
        """The column as `--cross-section` names it."""
        return f"{self.how}({self.placed.name})" + (f" by {self.by}" if self.by else "")


def cross_features(
    texts: Sequence[str], known: Sequence[Feature], setting: str, hint: Callable[[str], str]
) -> tuple[CrossFeature, ...]:
    """Return the columns that `--cross-section` names, which place some of the `known` ones.

    Raises
    ------
    UsageError
        If one is of no column of a bar that is a number, or two columns would have the same name.
    """
    by_name = {feature.name: feature for feature in known}
    found: dict[str, CrossFeature] = {}
    for text in texts:
        match = CROSS_SECTION.fullmatch(text)
        assert match is not None, text
        how, column, by = match[1], match[2], match[3] or ""
        placed = by_name.get(column)
        if placed is None:
            raise UsageError(
                f"{setting} {text}: {column} is no column, as weekly-cli features lists them{hint(column)}"
            )
        if placed.of_rows or placed.stored == "date32":
            what = "belongs to daily rows, and not to a bar" if placed.of_rows else "is a date, and no number"
            raise UsageError(f"{setting} {text}: {column} {what}")
        one = _feature(placed, how, by)
        if one.name in by_name or one.name in found:
            raise UsageError(f"{setting} {text}: there is a column {one.name} already; leave one of them out")
        found[one.name] = one
    return tuple(found.values())


def placed_column(text: str) -> str:
    """Return the column that is placed.

    >>> placed_column("zscore(w_vol_26) by sector")
    'w_vol_26'
    """
    match = CROSS_SECTION.fullmatch(text)
    return "" if match is None else match[2]


def placed_features(crosses: Iterable[CrossFeature]) -> tuple[Feature, ...]:
    """Return the columns that are placed, each once."""
    return tuple({one.placed.name: one.placed for one in crosses}.values())


def texts_of(name: str, columns: Collection[str]) -> tuple[str, ...]:
    """Return how `--cross-section` names the column of this name, if it is one that places one of `columns`.

    >>> texts_of("w_vol_26_zscore_sector", ["w_vol_26"]), texts_of("w_vol_26", ["w_vol_26"])
    (('zscore(w_vol_26) by sector',), ())
    """
    match = re.fullmatch(rf"(.+)_({RANK}|{ZSCORE})(?:_(.+))?", name)
    if match is None or match[1] not in columns:
        return ()
    return (f"{match[2]}({match[1]})" + (f" by {match[3]}" if match[3] else ""),)


def _feature(placed: Feature, how: str, by: str) -> CrossFeature:
    name = f"{placed.name}_{how}" + (f"_{benchmark_name(by)}" if by else "")
    group = f"of the same {by} " if by else ""
    bars = f"the bars {group}in the same {PERIODS[placed.every].noun}"
    return CrossFeature(
        name=name,
        every=placed.every,
        family=FAMILY,
        formula=f"{_FORMULAS[how].format(column=placed.name, bars=bars)}; null with fewer values than --min-group",
        first_bar=placed.first_bar,
        looks_back=placed.looks_back,
        whole_history=placed.whole_history,
        inputs=(f"{GIVEN}{name}",),
        function=_same,
        parity=_PARITY[how],
        version=placed.version,
        placed=placed,
        how=how,
        by=by,
    )


_FORMULAS = {
    RANK: "rank of {column} among {bars} that have a value, the mean rank of equal ones, / their number",
    ZSCORE: "({column} - mean) / sample standard deviation, over {bars} that have a value; null where all are equal",
}
_PARITY = {RANK: "pandas groupby rank(pct=True)", ZSCORE: "pandas groupby mean and std"}


def _same(values: Panel) -> Panel:
    return values
