"""Ranks and z-scores among all symbols' bars of a period: against pandas, on every route, and among whom."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from frames import ROUTES, build_by, build_here, daily, in_order, read, run_cli, shuffled, write

import weekly_cli
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.files.writers import WRITERS
from weekly_cli.questions.explain import explain
from weekly_cli.questions.latest import latest
from weekly_cli.run import pipeline, plan, sizes
from weekly_cli.run.panels import PanelTask
from weekly_cli.run.standing import outdated
from weekly_cli.run.task import Outcome, Task
from weekly_cli.settings import from_python, resolve
from weekly_cli.verify import Proof, verify

SYMBOLS = [f"S{number:02d}" for number in range(14)]
SECTORS = ("tech", "oil", None, "one of a kind")
COLUMNS = ("rank(w_mom_4)", "zscore(w_vol_4)", "rank(w_close)", "rank(w_days)", "zscore(w_days)")
BY_SECTOR = ("rank(w_mom_4) by sector", "zscore(w_mom_4) by sector")
PLACED = "w_mom_4,w_vol_4,w_close,w_days"


def market(n_days: int = 130, seed: int = 3) -> pa.Table:
    """Histories that begin late, end early, have holes and bad prices; two are alike, and two never move."""
    frame = daily(SYMBOLS, n_days, seed=seed).to_pandas()
    rng = np.random.default_rng(seed)
    twin = frame["symbol"] == "S05"
    for name in ("open", "high", "low", "close"):
        frame.loc[twin, name] = frame.loc[frame["symbol"] == "S04", name].to_numpy()
        frame.loc[frame["symbol"].isin(["S06", "S07"]), name] = 7.0
    frame.loc[rng.random(len(frame)) < 0.03, "close"] = np.nan
    day = pd.to_datetime(frame["date"]).rank(method="dense").astype(int)
    gone = (frame["symbol"] == "S01") & (day > n_days // 2)
    late = (frame["symbol"] == "S02") & (day < n_days // 3)
    hole = (frame["symbol"] == "S03") & day.between(40, 62)
    frame = frame[~(gone | late | hole) & (rng.random(len(frame)) > 0.05)]
    numbers = frame["symbol"].str[1:].astype(int)
    frame["sector"] = [
        SECTORS[0 if number < 6 else 1 if number < 11 else 2 if number < 13 else 3] for number in numbers
    ]
    return pa.Table.from_pandas(frame, preserve_index=False)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(market(), tmp_path_factory.mktemp("market") / "prices.parquet")


def by_pandas(bars: pd.DataFrame, text: str, end: str = "w_week_end", least: int = 2) -> pd.Series[Any]:
    """The column that `--cross-section` names, for a table of the bars of all symbols."""
    how, _, rest = text.partition("(")
    column, _, by = rest.partition(")")
    keys = [end, by.removeprefix(" by ")] if by else [end]
    groups = bars.groupby(keys)[column]
    if how == "rank":
        found = groups.rank(pct=True, method="average")
    else:
        values = bars[column].astype(np.float64)
        of_groups = values.groupby([bars[key] for key in keys])
        std = of_groups.transform("std", ddof=1).where(of_groups.transform("nunique") > 1)
        found = (values - of_groups.transform("mean")) / std
    return found.where(groups.transform("count") >= least)


def name_of(text: str) -> str:
    how, _, rest = text.partition("(")
    column, _, by = rest.partition(")")
    return f"{column}_{how}{by.replace(' by ', '_')}"


def assert_same(found: pd.Series[Any], wanted: pd.Series[Any], text: str) -> None:
    assert found.isna().tolist() == wanted.isna().tolist(), text
    if text.startswith("rank"):
        assert found.dropna().tolist() == wanted.dropna().astype(found.dtype).tolist(), text
    else:
        rtol = 1e-6 if found.dtype == np.float32 else 1e-9
        assert np.allclose(found.dropna(), wanted.dropna(), rtol=rtol, atol=rtol), text
    assert found.notna().sum() >= 20, text


def weekly(source: Path, output: Path, **settings: Any) -> pd.DataFrame:
    """The table of bars, with the input's sector."""
    sectors = read(source).to_pandas().drop_duplicates("symbol").set_index("symbol")["sector"]
    bars = build_here(source, output, rows="weekly", **settings).to_pandas()
    return bars.assign(sector=bars["symbol"].map(sectors))


# ---- values ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_columns_are_those_of_pandas(source: Path, tmp_path: Path, dtype: str) -> None:
    texts = (*COLUMNS, *BY_SECTOR)
    bars = weekly(source, tmp_path / "out", cross_section=texts, features=PLACED, dtype=dtype)
    for text in texts:
        assert_same(bars[name_of(text)], by_pandas(bars, text), text)
    ranks = bars["w_close_rank"]
    assert ranks.max() == 1
    assert ranks.min() > 0
    twins = bars.set_index(["symbol", "w_week_end"])["w_close_rank"].unstack(0)[["S06", "S07"]].dropna()
    assert (twins["S06"] == twins["S07"]).all()
    assert bars.loc[bars["symbol"].isin(["S11", "S13"]), "w_mom_4_rank_sector"].isna().all()


def test_daily_rows_have_the_places_of_the_bar_that_they_see(source: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"cross_section": (*COLUMNS, *BY_SECTOR), "features": f"w_week_end,{PLACED}"}
    bars = build_here(source, tmp_path / "bars", rows="weekly", **settings).to_pandas().drop(columns="visible_from")
    days = build_here(source, tmp_path / "days", **settings).to_pandas()
    names = [name_of(text) for text in settings["cross_section"]]
    of_bars = days[["symbol", "w_week_end"]].merge(bars, how="left", on=["symbol", "w_week_end"])
    pd.testing.assert_frame_equal(days[names], of_bars[names])
    assert days.columns[-len(names) :].tolist() == names


def test_months_and_weeks_each_among_their_own(source: Path, tmp_path: Path) -> None:
    texts = ("rank(m_ret) by sector", "rank(w_ret)", "zscore(m_close)")
    settings: dict[str, Any] = {"every": "week,month", "cross_section": texts}
    built = build_here(source, tmp_path / "out", features="w_week_end,w_ret,m_month_end,m_ret,m_close", **settings)
    assert built.column_names[-8:] == [
        "w_week_end", "w_ret", "w_ret_rank", "m_month_end", "m_close", "m_ret", "m_ret_rank_sector", "m_close_zscore",
    ]  # fmt: skip
    days = built.to_pandas()
    # S01, which is gone, is seen by no row in its last month; all others see each of theirs.
    gone = days.loc[days["symbol"] == "S01", "m_month_end"].max()
    months = days.dropna(subset=["m_month_end"]).drop_duplicates(["symbol", "m_month_end"])
    months = months[months["m_month_end"] <= gone]
    assert_same(months["m_ret_rank_sector"], by_pandas(months, texts[0], "m_month_end"), texts[0])
    assert_same(months["m_close_zscore"], by_pandas(months, texts[2], "m_month_end"), texts[2])


def test_a_symbol_that_is_gone_counts_in_its_last_week(source: Path, tmp_path: Path) -> None:
    """No daily row sees its last bar, but other symbols stand above or below it."""
    bars = weekly(source, tmp_path / "bars", cross_section=["rank(w_close)"], features="w_close")
    last = bars.loc[bars["symbol"] == "S01", "w_week_end"].max()
    days = build_here(source, tmp_path / "days", cross_section=["rank(w_close)"], features="w_week_end").to_pandas()
    assert days.loc[days["symbol"] == "S01", "w_week_end"].max() < last
    seen = days[days["w_week_end"] == last].drop_duplicates("symbol").set_index("symbol")["w_close_rank"]
    wanted = by_pandas(bars, "rank(w_close)")[bars["w_week_end"] == last].astype(np.float32)
    assert seen.to_dict() == {
        symbol: rank for symbol, rank in zip(bars.loc[wanted.index, "symbol"], wanted, strict=True) if symbol != "S01"
    }


@pytest.mark.parametrize("least", [1, 5])
def test_small_groups_have_no_places(source: Path, tmp_path: Path, least: int) -> None:
    bars = weekly(source, tmp_path / "out", cross_section=BY_SECTOR, features="w_mom_4", min_group=least)
    for text in BY_SECTOR:
        assert_same(bars[name_of(text)], by_pandas(bars, text, least=least), text)
    alone = bars[(bars["symbol"] == "S13") & bars["w_mom_4"].notna()]
    assert alone["w_mom_4_rank_sector"].eq(1).all() == (least == 1)
    assert alone["w_mom_4_zscore_sector"].isna().all()


def test_columns_that_are_not_written_are_placed_too(source: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"benchmark": "S00", "cross_section": ["rank(w_rs_s00)", "zscore(w_natr_14)"]}
    some = weekly(source, tmp_path / "some", features="w_ret", **settings)
    every = weekly(source, tmp_path / "every", features="all", **settings)
    for text in settings["cross_section"]:
        assert_same(every[name_of(text)], by_pandas(every, text), text)
        assert some[name_of(text)].equals(every[name_of(text)])
    assert "w_rs_s00" not in some


# ---- among whom ------------------------------------------------------------------------------------------


SPANS = {
    "S00": [("2022-02-01", "2022-04-15"), ("2022-03-01", "2022-03-10"), ("2022-06-10", None)],
    "S01": [("2000-01-01", None)],
    "S04": [("2022-03-04", "2022-03-04")],
    "S05": [("2022-01-01", "2022-12-31")],
    "S06": [("2022-01-01", None)],
    "S08": [("2022-04-01", "2022-05-06")],
    "GONE": [("2022-01-01", None)],
}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_members_of_the_universe_alone_take_part(source: Path, tmp_path: Path, suffix: str) -> None:
    rows = [(symbol, *span) for symbol, spans in SPANS.items() for span in spans]
    frame = pd.DataFrame(rows, columns=["symbol", "from", "to"]).sample(frac=1, random_state=1)
    path = tmp_path / f"members{suffix}"
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.assign(**{name: pd.to_datetime(frame[name]).dt.date for name in ("from", "to")}).to_parquet(path)
    texts = ["rank(w_mom_4)", "zscore(w_close)"]
    bars = weekly(source, tmp_path / "out", cross_section=texts, features=PLACED, universe=str(path))
    end = pd.to_datetime(bars["w_week_end"])
    member = [
        any(pd.Timestamp(first) <= day <= pd.Timestamp(last or "2100-01-01") for first, last in SPANS.get(symbol, []))
        for symbol, day in zip(bars["symbol"], end, strict=True)
    ]
    inside = bars[member]
    assert set(inside["symbol"]) == set(SPANS) - {"GONE"}
    assert len(inside[inside["symbol"] == "S04"]) == 1
    for text in texts:
        assert_same(inside[name_of(text)], by_pandas(inside, text), text)
        assert bars[~np.array(member)][name_of(text)].isna().all()


@pytest.mark.parametrize("route", ["direct", "partitioned", "clustered"])
def test_whichever_symbols_and_days_are_written_all_take_part(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    settings: dict[str, Any] = {"benchmark": "S00", "cross_section": [*COLUMNS, *BY_SECTOR, "rank(w_rs_s00)"]}
    every = build_here(source, tmp_path / "every", features=PLACED, **settings)
    table = in_order(read(source)) if route == "clustered" else read(source)
    again = write(table, tmp_path / "q.parquet", row_group_size=60)
    for name, some in {
        "symbols": {"symbols": ["S11", "S03", "S07"]},
        "first": {"max_symbols": 2},
        "days": {"start": "2022-04-01", "end": "2022-05-11"},
    }.items():
        build_by(route, again, tmp_path / name, monkeypatch, features=PLACED, **settings, **some)
        written = read(tmp_path / name)
        keys = pc.and_(
            pc.is_in(every["symbol"], pc.unique(written["symbol"])), pc.is_in(every["date"], pc.unique(written["date"]))
        )
        assert written.equals(every.filter(keys)), name
        assert 0 < written.num_rows < every.num_rows


def test_what_comes_later_changes_no_place(source: Path, tmp_path: Path) -> None:
    """The input of all symbols is cut after each day of a week."""
    settings: dict[str, Any] = {"cross_section": [*COLUMNS, *BY_SECTOR], "features": "w_ret"}
    whole = build_here(source, tmp_path / "whole", **settings)
    for day in range(7):
        until = pc.field("date") <= dt.date(2022, 4, 18) + dt.timedelta(days=day)
        cut = write(read(source).filter(until), tmp_path / f"{day}.parquet")
        assert build_here(cut, tmp_path / f"{day}", **settings).equals(whole.filter(until)), day


# ---- the same bits ---------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("order", ["symbol", "input"])
def test_every_route_and_writer_makes_the_same(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str, writer: str, order: str
) -> None:
    settings: dict[str, Any] = {"cross_section": [*COLUMNS, *BY_SECTOR, "rank(q_ret)"], "every": "week,quarter"}
    wanted = build_here(source, tmp_path / "wanted", features="w_ret,q_ret", **settings)
    table = read(source)
    table = shuffled(table) if route == "partitioned" else in_order(table) if route == "clustered" else table
    again = write(table, tmp_path / "q.parquet", row_group_size=60)
    monkeypatch.setattr(sizes, "_LEAST_BARS", 40)
    monkeypatch.setattr(plan, "section_bars", lambda *_: 40)
    build_by(
        route, again, tmp_path / "out", monkeypatch, features="w_ret,q_ret", writer=writer, order=order, **settings
    )
    written = read(tmp_path / "out")
    assert in_order(written).equals(wanted)
    if order == "input":
        assert written.select(table.column_names).equals(table)


@pytest.mark.slow
def test_a_pool_makes_the_same(source: Path, tmp_path: Path) -> None:
    flags = ["--features", "w_ret", "--cross-section", ",".join([*COLUMNS, *BY_SECTOR]), "--quiet"]
    for name, more in {"one": ["--strategy", "direct"], "pool": ["--strategy", "per-symbol", "--jobs", "2"]}.items():
        done = run_cli("build", source, "-o", tmp_path / name, *flags, *more)
        assert done.returncode == 0, done.stderr
    assert read(tmp_path / "pool").replace_schema_metadata().equals(read(tmp_path / "one").replace_schema_metadata())


# ---- what is refused -------------------------------------------------------------------------------------


def _changing(table: pa.Table) -> pa.Table:
    late = pc.greater(table["date"], pa.scalar(dt.date(2022, 5, 2)))
    return table.set_column(7, "sector", pc.if_else(late, "new", table["sector"]))


REFUSED: dict[str, tuple[list[str], int, str]] = {
    "no function": (["--cross-section", "w_ret"], 2, "--cross-section takes rank(COLUMN) or zscore(COLUMN)"),
    "unknown": (["--cross-section", "rank(w_mom_21)"], 2, "w_mom_21 is no column"),
    "near": (["--cross-section", "rank(w_mon_12)"], 2, "did you mean w_mom_12?"),
    "a date": (["--cross-section", "rank(w_week_end)"], 2, "w_week_end is a date"),
    "of rows": (["--developing", "--cross-section", "rank(wtd_ret)"], 2, "wtd_ret belongs to daily rows"),
    "another clock": (["--cross-section", "rank(m_ret)"], 2, "(--every week,month adds it)"),
    "one name": (["--cross-section", "rank(w_ret) by sector,rank(w_ret) by Sector"], 2, "w_ret_rank_sector already"),
    "no such group": (["--cross-section", "rank(w_ret) by sektor"], 3, "no column 'sektor' for --cross-section by"),
    "the symbol": (["--cross-section", "rank(w_ret) by symbol"], 3, "is the symbol itself"),
    "a price": (["--cross-section", "rank(w_ret) by close"], 3, "one value a symbol; name another column"),
    "a universe alone": (["--universe", "members.csv"], 2, "--universe is about columns among symbols"),
    "a least alone": (["--min-group", "5"], 2, "--min-group is about columns among symbols"),
    "no universe": (["--cross-section", "rank(w_ret)", "--universe", "nowhere.csv"], 2, "nowhere.csv can't be read"),
    "the family": (["--features", "cross"], 2, "(--cross-section adds it)"),
    "a column of it": (["--features", "w_ret_rank_x"], 2, '(--cross-section "rank(w_ret) by x" adds it)'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_makes_no_sense_is_refused(source: Path, tmp_path: Path, case: str) -> None:
    flags, code, message = REFUSED[case]
    done = run_cli("build", source, "-o", tmp_path / "out", *flags)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_group_that_changes_is_refused(source: Path, tmp_path: Path) -> None:
    changing = write(_changing(read(source)), tmp_path / "p.parquet")
    done = run_cli("build", changing, "-o", tmp_path / "out", "--cross-section", "rank(w_ret) by sector")
    assert done.returncode == 3
    assert "--cross-section by sector: S00 has 'tech' in" in done.stderr
    assert "'new' from 2022-05-03 on" in done.stderr


UNIVERSES: dict[str, tuple[str, str]] = {
    "columns": ("symbol,start,end\nS00,2022-01-01,\n", "needs the columns symbol, from, to; it has symbol, start, end"),
    "backwards": ("symbol,from,to\nS00,2022-01-05,2022-01-04\n", "row 1 (S00, from 2022-01-05, to 2022-01-04) ends"),
    "no from": ("symbol,from,to\nS00,,2022-01-04\n", "row 1 (S00, to 2022-01-04) has no date in 'from'"),
    "no symbol": ("symbol,from,to\n,2022-01-01,\n", "row 1 has no symbol"),
    "no date": ("symbol,from,to\nS00,2022-01-01,soon\n", "'soon' in row 1 is no date"),
    "a number": ("symbol,from,to\nS00,2022,2023\n", "'2022' in row 1 is no date"),
}


@pytest.mark.parametrize("case", UNIVERSES)
def test_a_universe_that_is_none_is_refused(source: Path, tmp_path: Path, case: str) -> None:
    text, message = UNIVERSES[case]
    (tmp_path / "members.csv").write_text(text, encoding="utf-8")
    flags = ["--cross-section", "rank(w_ret)", "--universe", tmp_path / "members.csv"]
    done = run_cli("build", source, "-o", tmp_path / "out", *flags)
    assert done.returncode == 2
    assert message in done.stderr


# ---- what is said ----------------------------------------------------------------------------------------


def test_plan_and_report_tell_of_members_that_are_missing(source: Path, tmp_path: Path) -> None:
    (tmp_path / "members.csv").write_text("symbol,from,to\nS00,2022-01-01,\nGONE,2022-01-01,\nLOST,2022-01-01,\n")
    flags = ["--cross-section", "rank(w_ret)", "--universe", tmp_path / "members.csv"]
    sentence = "missing-members: 2 of 3 symbols of the universe are not in the input"
    planned = " ".join(run_cli("plan", source, "-o", tmp_path / "out", *flags).stdout.split())
    assert sentence in planned
    assert "cross section w_ret_rank: among members of" in planned
    assert "1 of whose 3 are in the input" in planned
    assert sentence in " ".join(run_cli("build", source, "-o", tmp_path / "out", *flags).stderr.split())
    failed = run_cli("build", source, "-o", tmp_path / "new", *flags, "--fail-on", "missing-members")
    assert failed.returncode == 3
    assert "first: GONE; LOST" in failed.stderr


def test_a_changed_universe_is_another_output(source: Path, tmp_path: Path) -> None:
    path = tmp_path / "members.csv"
    path.write_text("symbol,from,to\nS00,2022-01-01,\nS01,2022-01-01,\n")
    given = {"input": str(source), "output": str(tmp_path / "out"), "universe": str(path)}
    config = resolve(from_python({**given, "cross_section": "rank(w_ret)"}))
    pipeline.run(config)
    assert outdated(config) is None
    path.write_text("symbol,from,to\nS00,2022-01-01,\nS02,2022-01-01,\n")
    assert outdated(config) == "the input has changed"


# ---- verify ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def audited(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an output that has columns of two clocks, and of columns that it does not have."""
    folder = tmp_path_factory.mktemp("audited")
    (folder / "members.csv").write_text(
        "symbol,from,to\n" + "".join(f"S{number:02d},2022-02-01,\n" for number in range(12)), encoding="utf-8"
    )
    build_here(
        source, folder / "out.parquet", every="week,month", features="w_mom_4,w_close,m_month_end,m_ret",
        universe=str(folder / "members.csv"), cross_section=[*COLUMNS, *BY_SECTOR, "rank(m_ret)", "rank(w_natr_14)"],
    )  # fmt: skip
    return folder


def failing(proof: Proof) -> list[tuple[str, str]]:
    return [(check.name, finding) for check in proof.checks for finding in check.findings]


@pytest.mark.slow
def test_verify_audits_the_places(audited: Path) -> None:
    proof = verify(audited / "out.parquet")
    assert failing(proof) == []
    (check,) = (check for check in proof.checks if check.name == "ranks")
    assert "9 columns of 14 symbols placed again by pandas among" in check.did
    assert "all symbols cut after 2022-" in check.did


@pytest.mark.slow
@pytest.mark.parametrize("rows", ["daily", "weekly"])
def test_verify_audits_each_kind_of_rows(source: Path, tmp_path: Path, rows: str) -> None:
    settings: dict[str, Any] = {"cross_section": [*COLUMNS, "rank(w_rs_s00)"], "benchmark": "S00", "prefix": "wk_"}
    build_here(source, tmp_path / "out", features="w_ret", rows=rows, symbols=["S03", "S07"], **settings)
    assert failing(verify(tmp_path / "out", dates=1)) == []


@pytest.mark.slow
def test_every_wrong_place_is_found(audited: Path, tmp_path: Path, source: Path) -> None:
    table = pq.read_table(audited / "out.parquet")
    wrong = []
    for number, column in enumerate(["w_mom_4_rank", "m_ret_rank", "w_vol_4_zscore", "w_mom_4_zscore_sector"]):
        values = table[column].to_pylist()
        row = next(at for at, value in enumerate(values) if value is not None and at > 700 + 20 * number)
        values[row] += 1e-4
        place = table.column_names.index(column)
        table = table.set_column(place, table.field(place), pa.array(values, table.field(place).type))
        wrong.append(f"{table['symbol'][row]} {table['date'][row]}: {column} is ")
    pq.write_table(table, tmp_path / "x.parquet")
    found = failing(verify(tmp_path / "x.parquet", source, dates=0))
    rebuilt, *by_pandas = (finding for name, finding in found if name == "ranks")
    assert rebuilt.startswith(wrong[0])
    assert rebuilt.endswith(" when built again")
    assert len(by_pandas) == len(wrong)
    for finding in by_pandas:
        assert finding.startswith(tuple(wrong))
        assert finding.endswith(" by pandas")


# ---- questions -------------------------------------------------------------------------------------------


QUESTIONS: dict[str, dict[str, Any]] = {
    "weeks": {},
    "months, by sector, members": {"every": "week,month", "universe": True, "cross_section": ["rank(m_ret) by sector"]},
    "compared": {"benchmark": "S00", "cross_section": ["rank(w_rs_s00)"]},
    "old": {"cross_section": ["rank(w_ret)", "zscore(w_ret)"]},
    "as in the input": {"order": "input"},
}


@pytest.mark.parametrize("case", QUESTIONS)
def test_latest_has_the_places_that_the_next_session_sees(source: Path, tmp_path: Path, case: str) -> None:
    """The next session's row, once it is there, sees the same."""
    settings = {"cross_section": [*COLUMNS, *BY_SECTOR], "features": "w_week_end,w_mom_4", **QUESTIONS[case]}
    if "universe" in settings:
        settings["universe"] = str(tmp_path / "members.csv")
        (tmp_path / "members.csv").write_text(
            "symbol,from,to\n" + "".join(f"{one},2022-02-01,\n" for one in SYMBOLS[:9])
        )
    table = read(source)
    if case == "old":
        table = table.set_column(1, "date", pc.subtract(table["date"], pa.scalar(dt.timedelta(weeks=2800))))
    days = pc.unique(table["date"]).sort()
    friday = next(day for day in days[::-1] if day.as_py().weekday() == 4)
    until = table.filter(pc.less_equal(table["date"], friday))
    more = table.filter(pc.equal(table["date"], friday)).drop_columns(["date"])
    monday = pa.array([friday.as_py() + dt.timedelta(days=3)] * more.num_rows, table["date"].type)
    rows = more.append_column("date", monday).select(table.column_names)
    build_here(write(until, tmp_path / "until.parquet"), tmp_path / "until", **settings)
    build_here(write(pa.concat_tables([until, rows]), tmp_path / "more.parquet"), tmp_path / "more", **settings)
    wanted = read(tmp_path / "more").filter(pc.equal(read(tmp_path / "more")["date"], monday[0])).sort_by("symbol")
    every = latest(str(tmp_path / "until"))
    found = every.table.filter(pc.is_in(every.table["symbol"], wanted["symbol"]))
    assert every.computed.sum() > 5
    names = [name for name in wanted.column_names if name.startswith(("w_", "m_"))]
    assert found.select(names).equals(wanted.select(names))
    some = latest(str(tmp_path / "until"), symbols=["S04", "S08"]).table
    assert some.equals(every.table.filter(pc.is_in(every.table["symbol"], pa.array(["S04", "S08"]))))


def test_latest_of_some_symbols_says_that_others_are_missing(source: Path, tmp_path: Path) -> None:
    friday = read(source).filter(pc.less_equal(read(source)["date"], dt.date(2022, 6, 10)))
    path = write(friday, tmp_path / "p.parquet")
    settings: dict[str, Any] = {"cross_section": ["rank(w_ret)"], "features": "w_ret", "symbols": ["S00", "S04"]}
    build_here(path, tmp_path / "out", **settings)
    with pytest.raises(InputRefused, match="was built with --symbols: it lacks the symbols among which w_ret_rank is"):
        latest(str(tmp_path / "out"))
    assert latest(str(tmp_path / "out"), features="all,-cross").table.num_rows == 2


EXPLAINED = {
    "w_close_rank": "S08", "w_mom_4_rank_sector": "S08", "w_vol_4_zscore": "S04", "w_mom_4_zscore_sector": "S07",
}  # fmt: skip


@pytest.mark.parametrize("name", EXPLAINED)
def test_a_place_is_explained(audited: Path, name: str) -> None:
    table = read(audited / "out.parquet").to_pandas()
    row = table[(table["symbol"] == EXPLAINED[name]) & table[name].notna()].iloc[-20]
    found = explain(audited / "out.parquet", row["symbol"], row["date"], name)
    assert found.feature is not None
    assert found.feature.value.agrees, found.feature
    (line,) = found.feature.workings
    assert line.value == pytest.approx(row[name])
    numbers = [repr(term.values[0]) for term in line.terms]
    assert eval(line.template.format(*numbers)) == pytest.approx(row[name], rel=1e-6)
    (note,) = (note for note in found.notes if "take part" in note)
    assert re.search(
        r"^w_\w+ is [-\d.e]+; of \d+ bars of that week, \d+( of its sector)? have a value and take part; next to it ",
        note,
    )
    others = explain(audited / "out.parquet", row["symbol"], row["date"])
    assert others.not_compared[name] == f"it takes the bars of all symbols: --feature {name} reads them"
    assert not others.differing


NULLS = {
    ("S13", "w_mom_4_rank_sector"): "S13 is no member of the universe on that day",
    ("S11", "w_mom_4_rank_sector"): "S11 has no sector",
    ("S00", "w_mom_4_rank"): "w_mom_4 is null",
}


@pytest.mark.parametrize("case", NULLS)
def test_it_is_explained_why_there_is_no_place(audited: Path, case: tuple[str, str]) -> None:
    symbol, name = case
    table = read(audited / "out.parquet").to_pandas()
    rows = table[(table["symbol"] == symbol) & table["w_close"].notna() & table[name].isna()]
    row = rows.iloc[0 if symbol == "S00" else -1]
    found = explain(audited / "out.parquet", symbol, row["date"], name).feature
    assert found is not None
    assert found.null == NULLS[case]


def test_a_command_explains_and_charts_and_compares(audited: Path) -> None:
    out = audited / "out.parquet"
    day = read(out).filter(pc.equal(read(out)["symbol"], "S08"))["date"][-1].as_py()
    said = " ".join(run_cli("explain", out, "S08", str(day), "--feature", "w_close_rank").stdout.split())
    assert "smaller values" in said
    assert "have a value and take part; next to it below" in said
    for words in (["chart", out, "S08"], ["diff", out, out], ["inspect", out], ["latest", out]):
        done = run_cli(*words)
        assert done.returncode == 0, done.stderr


LISTED: dict[str, tuple[list[str], list[str]]] = {
    "a column": (["w_vol_26_zscore_sector"], ["w_vol_26_zscore_sector"]),
    "the family": (["cross"], ["w_mom_12_rank", "w_vol_26_zscore_sector"]),
    "those that are named": (["cross", "--every", "month", "--cross-section", "rank(m_ret) by x"], ["m_ret_rank_x"]),
}


@pytest.mark.parametrize("case", LISTED)
def test_features_lists_them(case: str) -> None:
    words, wanted = LISTED[case]
    rows = json.loads(run_cli("features", *words, "--json").stdout)
    assert [row["column"] for row in rows] == wanted
    assert {row["family"] for row in rows} == {"cross"}
    assert "null with fewer values than --min-group" in rows[0]["formula"]


@pytest.mark.parametrize("kind", ["pandas", "arrow"])
def test_a_frame_has_the_same_columns(source: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "members.csv").write_text("symbol,from,to\n" + "".join(f"{one},2022-02-01,\n" for one in SYMBOLS[:9]))
    settings: dict[str, Any] = {
        "cross_section": [*COLUMNS, *BY_SECTOR, "rank(w_rs_s00)", "rank(m_ret)"],
        "every": "week,month",
        "benchmark": "S00",
        "features": "w_ret",
        "universe": str(tmp_path / "members.csv"),
        "min_group": 3,
    }
    wanted = build_here(source, tmp_path / "out", **settings)
    rows = in_order(read(source)).replace_schema_metadata()
    mixed = shuffled(rows.append_column("row", pa.array(range(rows.num_rows))))
    added = weekly_cli.add_weekly_features(mixed.to_pandas() if kind == "pandas" else mixed, **settings)
    found = pa.Table.from_pandas(added, preserve_index=False) if kind == "pandas" else added
    found = found.sort_by("row")
    assert found.column_names[-len(wanted.column_names[8:]) :] == wanted.column_names[8:]
    for name in wanted.column_names[8:]:
        assert found[name].combine_chunks().cast(wanted[name].type).equals(wanted[name].combine_chunks()), name
    with pytest.raises(InputRefused, match="no column 'sektor' for cross_section by sektor"):
        weekly_cli.add_weekly_features(mixed, cross_section="rank(w_ret) by sektor")


# ---- odd inputs ------------------------------------------------------------------------------------------


def test_a_symbol_that_fails_is_left_out_and_the_others_are_placed_without_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = PanelTask.__call__

    def failing(self: PanelTask, task: Task) -> Outcome:
        if "S03" in task.symbols.to_pylist():
            raise RuntimeError("no luck")
        return usual(self, task)

    monkeypatch.setattr(PanelTask, "__call__", failing)
    settings: dict[str, Any] = {"cross_section": "rank(w_close)", "features": "w_close"}
    report = build_by("partitioned", source, tmp_path / "out", monkeypatch, **settings)
    assert [symbol for symbol, _ in report.rejected] == ["S03"]
    assert "symbol S03 is left out: RuntimeError: no luck" in report.warnings
    monkeypatch.undo()
    without = write(read(source).filter(pc.not_equal(pc.field("symbol"), "S03")), tmp_path / "without.parquet")
    assert read(tmp_path / "out").equals(build_here(without, tmp_path / "wanted", **settings))


def test_symbols_that_are_numbers_and_groups_that_are_folders(tmp_path: Path) -> None:
    for folder, symbols in (("sector=3", [1, 2, 5]), ("sector=__HIVE_DEFAULT_PARTITION__", [3]), ("sector=7", [4, 6])):
        write(daily(symbols, 90, seed=len(symbols)), tmp_path / "prices" / folder / "p.parquet")
    (tmp_path / "members.csv").write_text(
        "symbol,from,to\n1,2022-01-01,\n5,2022-01-01,\n3,2022-01-01,\n9,2022-01-01,\n"
    )
    settings: dict[str, Any] = {"cross_section": ["rank(w_close)", "rank(w_close) by sector"], "features": "w_close"}
    bars = build_here(tmp_path / "prices", tmp_path / "out", rows="weekly", **settings).to_pandas()
    assert (bars["w_close_rank"] * 6 % 1).abs().max() < 1e-5
    of_groups = bars.set_index("symbol")["w_close_rank_sector"].groupby("symbol")
    assert of_groups.count().eq(0).to_dict() == {symbol: symbol == 3 for symbol in range(1, 7)}
    settings |= {"universe": str(tmp_path / "members.csv")}
    bars = build_here(tmp_path / "prices", tmp_path / "few", rows="weekly", **settings).to_pandas()
    assert set(bars.dropna(subset=["w_close_rank"])["symbol"]) == {1, 3, 5}
    assert set(bars.dropna(subset=["w_close_rank_sector"])["symbol"]) == {1, 5}


@pytest.mark.parametrize("strategy", ["direct", "per-symbol"])
def test_nothing_to_place(tmp_path: Path, strategy: str) -> None:
    table = daily(["A", "B"], 30)
    empty = table.set_column(5, "close", pa.nulls(table.num_rows, pa.float64()))
    settings: dict[str, Any] = {"cross_section": ["rank(w_ret)", "rank(w_ret) by volume"], "features": "w_ret"}
    settings |= {"strategy": strategy, "allow_empty": True}
    one_volume = empty.set_column(6, "volume", pa.array([5] * table.num_rows))
    for name, rows in {"no bar": one_volume, "no row": one_volume.slice(0, 0), "a bar": with_volume(table)}.items():
        built = build_here(write(rows, tmp_path / f"{name}.parquet"), tmp_path / name, **settings)
        assert built.num_rows == rows.num_rows
        assert built["w_ret_rank"].null_count == built["w_ret_rank_volume"].null_count
        assert (built["w_ret_rank"].null_count == rows.num_rows) == (name != "a bar")


def with_volume(table: pa.Table) -> pa.Table:
    return table.set_column(6, "volume", pa.array([5] * table.num_rows))


@pytest.mark.slow
def test_verify_and_latest_where_a_map_tells_groups_and_tables_have_moved(source: Path, tmp_path: Path) -> None:
    """The column of the input is not in the output, and a file's universe and map are elsewhere by now."""
    (tmp_path / "map.csv").write_text(
        "symbol,sector\n" + "".join(f"{one},S0{int(one[1:]) % 3}\n" for one in SYMBOLS[3:])
    )
    (tmp_path / "members.csv").write_text("symbol,from,to\n" + "".join(f"{one},2022-01-01,\n" for one in SYMBOLS[:11]))
    friday = write(read(source).filter(pc.less_equal(pc.field("date"), dt.date(2022, 6, 10))), tmp_path / "p.parquet")
    settings: dict[str, Any] = {"columns_out": ["close", "open", "high", "low", "volume"], "features": "w_ret"}
    beside = {"sector_map": str(tmp_path / "map.csv"), "universe": str(tmp_path / "members.csv")}
    by_map = build_here(friday, tmp_path / "map", cross_section="rank(w_close) by sector", **settings, **beside)
    rows = by_map.to_pandas().dropna(subset=["w_close_rank_sector"])
    assert set(rows["symbol"]) == set(SYMBOLS[3:11])
    assert rows["w_close_rank_sector"].min() == pytest.approx(1 / 3, abs=0.17)
    assert failing(verify(tmp_path / "map", dates=1)) == []
    assert latest(str(tmp_path / "map")).table["w_close_rank_sector"].null_count == 6
    moved = {name: (tmp_path / "moved").with_suffix(f".{name}") for name in beside}
    for name, path in moved.items():
        Path(beside[name]).rename(path)
    with pytest.raises(UsageError, match=r"members\.csv can't be read"):
        verify(tmp_path / "map", sector_map=moved["sector_map"], dates=0)
    done = run_cli(
        "verify",
        tmp_path / "map",
        "--dates",
        0,
        *(w for n, p in moved.items() for w in (f"--{n.replace('_', '-')}", p)),
    )
    assert done.returncode == 0, done.stdout
    build_here(friday, tmp_path / "column", cross_section="rank(w_close) by sector", **settings)
    assert failing(verify(tmp_path / "column", dates=1)) == []
    with pytest.raises(InputRefused, match="lacks the column 'sector' of its --cross-section by sector"):
        latest(str(tmp_path / "column"))


def test_plan_counts_the_time_of_the_stage(source: Path, tmp_path: Path) -> None:
    def seconds(*flags: str) -> float:
        return float(
            json.loads(run_cli("plan", source, "-o", tmp_path / "out", "--json", *flags).stdout)["estimate"]["seconds"]
        )

    assert seconds("--cross-section", "rank(w_close)") > seconds()


@pytest.mark.slow
def test_all_other_columns_stay_as_they_are(source: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "developing": True, "label": "forward_return_4w", "every": "week,month", "features": "w_ret,m_ret,wtd_ret",
        "prefix": "wk_",
    }  # fmt: skip
    without = build_here(source, tmp_path / "without", **settings)
    placed = build_here(source, tmp_path / "with", cross_section=["rank(m_ret)", "rank(w_ret)"], **settings)
    names = ["wk_ret", "wk_ret_rank", "m_ret", "m_ret_rank", "wtd_ret", "label_forward_return_4w"]
    assert placed.column_names[8:] == names
    assert placed.select(without.column_names).replace_schema_metadata().equals(without.replace_schema_metadata())
    assert failing(verify(tmp_path / "with", dates=1, symbols=5)) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_cut_anywhere_no_earlier_place_changes(tmp_path: Path, seed: int) -> None:
    """Other markets, cut after any day, with members that come and go."""
    rng = np.random.default_rng(seed)
    table = market(90, seed=seed + 10)
    spans = [(symbol, day, day + int(rng.integers(5, 90))) for symbol in SYMBOLS for day in rng.integers(0, 120, 2)]
    first = dt.date(2022, 1, 1)
    lines = [f"{one},{first + dt.timedelta(days=int(a))},{first + dt.timedelta(days=int(b))}" for one, a, b in spans]
    (tmp_path / "members.csv").write_text("\n".join(["symbol,from,to", *lines]) + "\n")
    settings: dict[str, Any] = {
        "cross_section": [*COLUMNS, *BY_SECTOR, "rank(m_close) by sector"],
        "every": "week,month", "features": "w_close",
        "universe": str(tmp_path / "members.csv"), "available": ["next-week", "week-end"][seed % 2],
    }  # fmt: skip
    whole = build_here(write(table, tmp_path / "p.parquet"), tmp_path / "whole", **settings)
    assert whole["w_close_rank"].null_count < whole.num_rows
    for number, day in enumerate(rng.choice(pc.unique(table["date"]).to_pylist(), 3, replace=False)):
        until = pc.field("date") <= pa.scalar(day)
        cut = write(table.filter(until), tmp_path / f"{number}.parquet")
        assert build_here(cut, tmp_path / f"{number}", **settings).equals(whole.filter(until)), day
