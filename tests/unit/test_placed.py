"""Places of values among those of a period and group, and who is a member: against pandas, and one by one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from weekly_cli.compute.clocks import Clock, SymbolClocks
from weekly_cli.compute.cross_section import members, placed
from weekly_cli.run.cross_section import panel_cuts


def section(n_bars: int, n_periods: int, n_groups: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(size=n_bars), 1)  # with ties
    values[rng.random(n_bars) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "value": values,
            "period": rng.integers(2500, 2500 + n_periods, n_bars),
            "group": rng.integers(-1, n_groups, n_bars),
        }
    )


CASES: dict[str, Callable[[], pd.DataFrame]] = {
    "few": lambda: section(200, 3, 2),
    "none": lambda: section(0, 1, 1),
    "one each": lambda: section(50, 5000, 40),
    "one period": lambda: section(300, 1, 1),
    "more keys than sixteen bits": lambda: section(400, 90_000, 80_000),
    "all alike": lambda: section(100, 4, 2).assign(value=0.1),
    "both zeros": lambda: section(100, 4, 2).assign(value=np.tile([0.0, -0.0], 50)),
}


@pytest.mark.parametrize("least", [1, 2, 7])
@pytest.mark.parametrize("case", CASES)
def test_places_are_those_of_pandas(case: str, least: int) -> None:
    frame = CASES[case]()
    arrays = [frame[name].to_numpy() for name in ("value", "period", "group")]
    groups = frame[frame["group"] >= 0].groupby(["period", "group"])["value"]
    enough = groups.transform("count") >= least
    rank = groups.rank(pct=True, method="average").where(enough).reindex(frame.index)
    assert np.array_equal(placed(*arrays, "rank", least), rank, equal_nan=True)
    std = groups.transform("std", ddof=1).where(groups.transform("nunique") > 1)
    z = ((frame["value"] - groups.transform("mean")) / std).where(enough).reindex(frame.index)
    assert np.allclose(placed(*arrays, "zscore", least), z, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("how", ["rank", "zscore"])
def test_places_do_not_depend_on_the_order_of_bars(how: str) -> None:
    frame = section(5000, 7, 3)
    frame["value"] += np.random.default_rng(1).normal(size=len(frame)) * 1e-3
    found = placed(*(frame[name].to_numpy() for name in ("value", "period", "group")), how, 2)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(frame))
        again = placed(*(frame[name].to_numpy()[order] for name in ("value", "period", "group")), how, 2)
        assert again.tobytes() == found[order].tobytes()


def test_members_are_within_one_of_their_spans() -> None:
    rng = np.random.default_rng(4)
    of, first = rng.integers(0, 6, 40), rng.integers(-100, 1000, 40)
    last = first + rng.integers(0, 60, 40)
    last[rng.random(40) < 0.1] = 2**31 - 1
    codes, days = rng.integers(0, 9, 3000), rng.integers(-200, 1200, 3000)
    wanted = [
        bool(((of == code) & (first <= day) & (day <= last)).any()) for code, day in zip(codes, days, strict=True)
    ]
    assert members(codes, days, (of, first, last)).tolist() == wanted
    assert 0 < sum(wanted) < len(wanted)
    nobody = np.empty(0, np.int64)
    assert not members(codes, days, (nobody, nobody, nobody)).any()


@pytest.mark.parametrize("every", ["week", "month"])
def test_ranges_of_periods_cover_all_of_them(every: str) -> None:
    clock = Clock(every, "W-FRI", "next-week")
    days = (18_000, 21_000)
    clocks = SymbolClocks((clock,))
    assert panel_cuts(clocks, days, 100, 100) == ()
    cuts = panel_cuts(clocks, days, 1000, 100)
    assert len(cuts) == 39
    assert clock.period(days[0]) < cuts[0] < cuts[-1] <= clock.period(days[1])
    assert len(panel_cuts(clocks, days, 10**9, 1)) == clock.period(days[1]) - clock.period(days[0])
