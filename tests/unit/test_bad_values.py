"""One bad value in a price column: which columns may know of it, and for how long.

Every symbol of a dataset has the same rows but for one value; the first has none. A windowed column is equal bit for
bit once its window is past the bad value. A recursive one is what its recursion says in forty digits, so it keeps no
more of the value than arithmetic does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from frames import build, write
from rounds import soaked

from weekly_cli.compute.features import Feature, catalogue

pytestmark = pytest.mark.slow

Array = np.ndarray
MONDAY, WEEKS, DAYS_A_WEEK = np.datetime64("2018-01-01"), 262, 5
PRICES = ("open", "high", "low", "close", "volume", "adjusted")
#: What a value is replaced by; None: null. Some are usable, and wrong.
REPLACED = (None, np.nan, 0.0, -1.0, np.inf, -np.inf, 1e300, 1e-300, 5e-324, "x 1e12", "x -1")
FEATURES = catalogue(["sector"]).features
EPSILON, LARGEST = float(np.finfo(np.float64).eps), Decimal(float(np.finfo(np.float64).max))


@dataclass(frozen=True)
class Bad:
    """A value of one row that is replaced; `row` is a row of the symbol."""

    column: str
    row: int
    by: float | str | None

    def value(self, good: float) -> float | None:
        return {"x 1e12": good * 1e12, "x -1": -good}[self.by] if isinstance(self.by, str) else self.by


def clean_history(rng: np.random.Generator, scale: float) -> dict[str, Array]:
    """The rows of a symbol: most weeks have five, some one; the last week is not over."""
    days = MONDAY + (7 * np.arange(WEEKS)[:, None] + np.arange(DAYS_A_WEEK)).ravel()
    alone = rng.random(WEEKS) < 0.1
    keep = (~np.repeat(alone, DAYS_A_WEEK) | (np.tile(np.arange(DAYS_A_WEEK), WEEKS) == 2)) & (days < days[-1])
    days = days[keep]
    close = 100.0 * scale * np.exp(np.cumsum(rng.normal(0.0, 0.02, len(days))))
    spread = np.exp(np.abs(rng.normal(0.0, 0.01, (2, len(days)))))
    prices = {"open": close * np.sqrt(spread[0]), "high": close * spread[0], "low": close / spread[1], "close": close}
    volume = np.round(rng.exponential(1e6, len(days)))
    return {"date": days, **prices, "volume": volume, "adjusted": close * np.linspace(0.4, 1.0, len(days))}


def disturbances(rng: np.random.Generator, days: Array, columns: Sequence[str]) -> list[Bad]:
    """Each kind in each column: the first row, an early one, one alone in its week, the last of a week, and of all."""
    week = (days - MONDAY) // np.timedelta64(7, "D")
    first_of_week = np.flatnonzero(np.append(True, np.diff(week) != 0))
    last_of_week = first_of_week[1:] - 1
    alone = first_of_week[np.diff(np.append(first_of_week, len(days))) == 1]
    return [
        Bad(column, int(row), by)
        for column in columns
        for by in REPLACED
        for row in (0, rng.integers(1, 150), rng.choice(alone[:5]), rng.choice(last_of_week[30:]), len(days) - 1)
    ]


def dataset(history: dict[str, Array], bad: Sequence[Bad], rng: np.random.Generator) -> pa.Table:
    """The clean symbol, one for each disturbance, and the one they are compared with; S00000 sorts first."""
    peer = clean_history(rng, 1.0)["close"][: len(history["date"])]
    peer = np.append(peer, np.full(len(history["date"]) - len(peer), 70.0))
    columns = {name: np.tile(history[name], len(bad) + 2) for name in PRICES}
    known = {name: np.ones(len(columns[name]), bool) for name in PRICES}
    for number, one in enumerate(bad, 1):
        at = number * len(history["date"]) + one.row
        value = one.value(float(columns[one.column][at]))
        known[one.column][at] = value is not None
        columns[one.column][at] = 0.0 if value is None else value
    n_rows = len(history["date"])
    for name in ("open", "high", "low", "close", "adjusted"):
        columns[name][-n_rows:] = peer
    symbols = [*(f"S{number:05d}" for number in range(len(bad) + 1)), "T"]
    return pa.table(
        {
            "symbol": pa.array(np.repeat(symbols, n_rows)),
            "date": pa.array(np.tile(history["date"], len(symbols))),
            **{name: pa.array(columns[name], mask=~known[name]) for name in PRICES},
        }
    )


def built(table: pa.Table, folder: Path, peers: dict[str, str], price: str | None = None) -> dict[str, Array]:
    """Every weekly column as float64[symbols, rows], NaN where it is null; nothing in it is infinite."""
    sectors = "".join(f"{symbol},{peer}\n" for symbol, peer in peers.items())
    (folder / "sectors.csv").write_text("symbol,sector\n" + sectors)
    out = build(
        write(table, folder / "in.parquet"), folder / "out", dtype="float64",
        sector_map=str(folder / "sectors.csv"), price=price,
    )  # fmt: skip
    n_symbols = len(set(table["symbol"].to_pylist()))
    columns = {}
    for feature in FEATURES:
        column = out[feature.name]
        column = column.cast(pa.int32()) if pa.types.is_date(column.type) else column
        known = column.is_valid().to_numpy()
        values = column.cast(pa.float64()).to_numpy()
        assert np.isfinite(values[known]).all(), feature.name
        columns[feature.name] = values.reshape(n_symbols, -1)
    return columns


def same(a: Array, b: Array) -> Array:
    """Equal bit for bit, or null in both."""
    return (a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))


def bar_of(clean_week_end: Array, day: np.datetime64) -> int:
    """The number of the bar with this day, by the weeks that the clean symbol's rows see."""
    seen = np.unique(clean_week_end[~np.isnan(clean_week_end)])
    return int((seen < int(day.astype("datetime64[D]").astype(np.int64))).sum())


def readers(source: str) -> set[str]:
    """The features that are computed from a bar's column, directly or not."""
    steps = catalogue(["sector"]).steps

    def reads(name: str) -> bool:
        return name == source or (name in steps and any(map(reads, steps[name].inputs)))

    return {feature.name for feature in FEATURES if reads(feature.name)}


def assert_no_trace(feature: Feature, equal: Array, k: Array, bars: Array, bad: Sequence[Bad]) -> None:
    """Nothing before the bad bar, and nothing once the window is past it; k is the clean bar that a row sees.

    `equal` is bool[bad, rows], whether a value is that of the clean symbol; `bars` int[bad], the bars that are bad.
    """
    since = k - bars[:, None]
    early = np.flatnonzero((~equal & (since < 0)).any(axis=1))
    assert not early.size, f"{feature.name} knows of {bad[early[0]]} before it is there"
    if feature.window is not None:
        late = np.flatnonzero((~equal & (since >= feature.window)).any(axis=1))
        assert not late.size, f"{feature.name} keeps a trace of {bad[late[0]]}"


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "scale", "price"), soaked([(3, 1e4, "adjusted")], [(1, 1.0, None), (2, 1e-15, None)]))
def test_no_column_keeps_a_bad_value(seed: int, scale: float, price: str | None, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    history = clean_history(rng, scale)
    used = PRICES if price else PRICES[:-1]
    bad = disturbances(rng, history["date"], used)
    peers = {f"S{number:05d}": "T" for number in range(len(bad) + 1)}
    columns = built(dataset(history, bad, rng), tmp_path, peers, price)
    k = np.nan_to_num(columns["w_bars"][0], nan=0.0) - 1.0
    untouched = {name: columns.keys() - readers(name) for name in ("open", "high", "low", "volume")}
    bars = np.array([bar_of(columns["w_week_end"][0], history["date"][one.row]) for one in bad])
    for feature in FEATURES:
        equal = same(columns[feature.name][:1], columns[feature.name][1 : len(bad) + 1])
        assert_no_trace(feature, equal, k, bars, bad)
        for one, as_clean in zip(bad, equal.all(axis=1).tolist(), strict=True):
            if feature.name in untouched.get(one.column, ()):
                assert as_clean, f"{feature.name} does not read the {one.column} of {one}"
    lost = known_to_matter = 0
    for number, bar in enumerate(bars.tolist(), 1):
        missing = columns["w_bars"][0] - columns["w_bars"][number]
        assert set(missing[k > bar].tolist()) in (set(), {0.0}, {1.0})
        lost += bool((missing[k > bar] == 1.0).any())
        known_to_matter += not same(columns["w_close"][0], columns["w_close"][number]).all()
    assert lost >= 7, "each kind of unusable close, alone in its week, leaves a week without a bar"
    assert known_to_matter > 10
    for number in range(len(bad) + 1):
        assert_recursions(columns, number, bad[number - 1] if number else "nothing")


@pytest.mark.slow
def test_no_column_keeps_a_bad_value_of_what_it_is_compared_with(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    history = clean_history(rng, 1.0)
    bad = disturbances(rng, history["date"], ("close",))
    table = dataset(history, bad, rng)
    last = table["symbol"].to_pylist().index("T")
    n_rows = len(history["date"])
    # as many symbols with the clean rows of T, each compared with one of those that have a bad value
    copies = [f"U{number:05d}" for number in range(len(bad) + 1)]
    rows = pa.table(
        {
            "symbol": pa.array(np.repeat(copies, n_rows)),
            **{
                name: pa.concat_arrays([table[name].slice(last).combine_chunks()] * len(copies))
                for name in table.column_names[1:]
            },
        }
    )
    peers = {copy: f"S{number:05d}" for number, copy in enumerate(copies)}
    columns = built(pa.concat_tables([table, rows]), tmp_path, peers)
    first = len(bad) + 2
    k = np.nan_to_num(columns["w_bars"][first], nan=0.0) - 1.0
    compared = readers("benchmark:sector")
    assert len(compared) == 5
    bars = np.array([bar_of(columns["w_week_end"][first], history["date"][one.row]) for one in bad])
    for feature in FEATURES:
        equal = same(columns[feature.name][first][None], columns[feature.name][first + 1 : first + 1 + len(bad)])
        assert_no_trace(feature, equal, k, bars, bad)
        assert feature.name in compared or equal.all()
        moved = int((~equal).any(axis=1).sum())
        assert feature.name != "w_rs_sector" or moved > 10


# ---- recursions in forty digits --------------------------------------------------------------------------

Exact = list[Decimal | None]


def smoothed(x: Sequence[Decimal | None], alpha: Decimal, first: int, n_seed: int) -> Exact:
    """s += alpha (x - s), from the mean of the values `first` to `first + n_seed - 1`."""
    seeded = first + n_seed - 1
    out: Exact = [None] * min(seeded, len(x))
    if seeded < len(x):
        out.append(sum(value for value in x[first : seeded + 1] if value is not None) / Decimal(n_seed))
    for value in x[seeded + 1 :]:
        before = out[-1]
        assert value is not None
        assert before is not None
        out.append(before + alpha * (value - before))
    return out


def minus(x: Exact, y: Exact) -> Exact:
    return [None if a is None or b is None else a - b for a, b in zip(x, y, strict=True)]


def lagged(x: Exact) -> Exact:
    return [None, *x[:-1]]


def expected(bars: dict[str, Array]) -> Iterator[tuple[str, Exact, Array]]:
    """Each recursive column of one symbol's bars: its name, its values, and by how much rounding may move them."""
    high, low, close = ([Decimal(value) for value in bars[f"w_{name}"].tolist()] for name in ("high", "low", "close"))
    n_bars = len(close)
    change = minus([*close], lagged([*close]))
    ups, downs = ([None if c is None else max(sign * c, Decimal(0)) for c in change] for sign in (1, -1))
    for n in (14, 21, 30):
        gains, losses = (smoothed(each, 1 / Decimal(n), 1, n) for each in (ups, downs))
        rsi = [
            100 * g / (g + d) if g is not None and d is not None and g + d else None
            for g, d in zip(gains, losses, strict=True)
        ]
        yield f"w_rsi_{n}", rsi, np.full(n_bars, 1e-10)

    fast, slow = smoothed(close, Decimal(2) / 13, 14, 12), smoothed(close, Decimal(2) / 27, 0, 26)
    line = minus(fast, slow)
    signal = smoothed(line, Decimal(2) / 10, 25, 9)
    line = [None] * min(33, n_bars) + line[33:]
    hist = minus(line, signal)
    slope = smoothed(minus(hist, lagged(hist)), Decimal(2) / 4, 34, 1)
    fading = np.array([0.0 if value is None else float(value) for value in slow])
    for name, values in (("", line), ("_signal", signal), ("_hist", hist), ("_hist_slope", slope)):
        yield f"w_macd{name}", values, 64 * EPSILON * fading

    before = lagged([*close])
    true_range = [None if p is None else max(h, p) - min(d, p) for h, d, p in zip(high, low, before, strict=True)]
    atr = smoothed(true_range, 1 / Decimal(14), 1, 14)
    natr = [None if a is None else 100 * a / c for a, c in zip(atr, close, strict=True)]
    for name, values in (("w_atr_14", atr), ("w_natr_14", natr)):
        yield name, values, 1e-12 * np.array([0.0 if value is None else min(float(value), 1e308) for value in values])

    sign: Exact = [None if np.isnan(value) else Decimal(value) for value in bars["w_trend_sign"].tolist()]
    assert None not in sign[23:]
    yield "w_trend_persistence", smoothed(sign, Decimal(2) / 11, 23, 1), np.full(n_bars, 1e-13)


def assert_recursions(columns: dict[str, Array], number: int, what: object) -> None:
    week = columns["w_week_end"][number]
    rows = np.flatnonzero(~np.isnan(week) & np.append(True, np.diff(week) != 0))
    bars = {name: column[number][rows] for name, column in columns.items()}
    checked = {"w_bars"}
    with localcontext(Context(prec=40)):
        for name, exact, tolerance in expected(bars):
            there = np.array([value is not None and abs(value) <= LARGEST for value in exact])
            assert np.array_equal(~np.isnan(bars[name]), there), f"{name}: values are missing in other places, {what}"
            values = np.array([float(value) for value, known in zip(exact, there, strict=True) if known])
            error = np.abs(bars[name][there] - values)
            assert (error <= tolerance[there]).all(), f"{name} keeps more of {what} than its recursion"
            checked.add(name)
    assert checked == {feature.name for feature in FEATURES if feature.window is None}
