"""The made-up data: the same rows whatever the layout, every promised wart, bounded memory."""

from __future__ import annotations

import csv
import datetime
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from frames import ROOT
from pandas.tseries import holiday
from rounds import soaked

from weekly_cli.cli import sample
from weekly_cli.cli.sample import LAYOUTS, SampleFiles, universe, write_sample
from weekly_cli.errors import OutputConflict

COMMITTED = ROOT / "sample_data"
PRICES = ["open", "high", "low", "close"]
SECTORS = {f"SEC_{name}" for name in ("TECH", "FIN", "HLTH", "ENRG", "CONS")}
SCHEMA = pa.schema(
    {
        "symbol": pa.string(),
        "date": pa.date32(),
        **dict.fromkeys(PRICES, pa.float64()),
        "volume": pa.int64(),
        "total_return": pa.float64(),
        "exchange": pa.string(),
    }
)
#: Peak resident size for 1,000 symbols x 10 years (2.4 million rows, 200 MB as columns).
PEAK_MIB = 230
_PEAK_SCRIPT = """
import sys
from pathlib import Path
from weekly_cli.cli.sample import write_sample

rows = write_sample(Path(sys.argv[1]), symbols=1000, years=10, layout=sys.argv[2]).rows
without_pandas = "pandas" not in sys.modules
from weekly_cli.run.resources import peak_bytes  # not getrusage: there a parent's peak counts as its child's
print(rows, peak_bytes() // 2**20, not without_pandas)
"""


def read(paths: tuple[Path, ...]) -> pa.Table:
    return pa.concat_tables([pq.ParquetFile(path, page_checksum_verification=True).read() for path in paths])


def by_symbol(table: pa.Table) -> pa.Table:
    return table.sort_by([("symbol", "ascending"), ("date", "ascending")])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> SampleFiles:
    return write_sample(tmp_path_factory.mktemp("sample") / "made" / "by it")


@pytest.fixture(scope="module")
def table(written: SampleFiles) -> pa.Table:
    return read(written.paths)


@pytest.fixture(scope="module")
def frame(table: pa.Table) -> pd.DataFrame:
    """The default sample; nulls are NaN."""
    data = table.to_pandas()
    return data.assign(date=pd.to_datetime(data["date"]))


@pytest.fixture(scope="module")
def sessions(frame: pd.DataFrame) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(frame.loc[frame["symbol"] == "MARKET", "date"])


@pytest.fixture(scope="module")
def sectors(written: SampleFiles) -> list[dict[str, str]]:
    with (written.paths[0].parent / "sectors.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


# ---- files -----------------------------------------------------------------------------------------------


def test_committed_sample_is_what_the_defaults_give(written: SampleFiles, table: pa.Table) -> None:
    assert sorted(path.name for path in COMMITTED.iterdir()) == sorted(
        [*(path.name for path in written.paths), "sectors.csv"]
    )
    assert read(tuple(COMMITTED / path.name for path in written.paths)).equals(table)
    fresh = written.paths[0].parent / "sectors.csv"
    assert (COMMITTED / "sectors.csv").read_bytes() == fresh.read_bytes()


def test_committed_sample_is_small() -> None:
    assert sum(path.stat().st_size for path in COMMITTED.iterdir()) <= 3_000_000


def test_the_default_sample_has_its_schema_and_forty_symbols(written: SampleFiles, table: pa.Table) -> None:
    assert table.schema.equals(SCHEMA)
    assert table.num_rows == written.rows > 50_000
    assert pc.count_distinct(table["symbol"]).as_py() == 40
    assert all(table[name].null_count == 0 for name in ("symbol", "date", "volume", "exchange"))
    assert set(table["exchange"].to_pylist()) == {"ARCX", "XNAS", "XNYS"}


@pytest.mark.slow
@pytest.mark.parametrize(("symbols", "years"), soaked([(1, 1), (5, 2), (300, 1)], [(40, 3), (300, 2)]))
def test_layouts_hold_the_same_rows(tmp_path: Path, symbols: int, years: int) -> None:
    tables, maps = {}, set()
    for layout in LAYOUTS:
        written = write_sample(tmp_path / layout, symbols=symbols, years=years, layout=layout)
        tables[layout] = read(written.paths)
        assert tables[layout].num_rows == written.rows
        maps.add((tmp_path / layout / "sectors.csv").read_bytes())
    date, symbol, day = (tables[layout] for layout in ("date", "symbol", "day"))
    assert date.equals(day)
    assert date.equals(date.sort_by([("date", "ascending"), ("symbol", "ascending")]))
    assert symbol.equals(by_symbol(date))
    assert len(maps) == 1


def test_the_size_of_chunks_changes_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: pa.Table) -> None:
    monkeypatch.setattr(sample, "_CHUNK_SYMBOLS", 7)
    monkeypatch.setattr(sample, "_ROW_GROUP_ROWS", 5000)
    assert read(write_sample(tmp_path / "date").paths).equals(table)
    assert read(write_sample(tmp_path / "symbol", layout="symbol").paths).equals(by_symbol(table))


def test_a_symbol_has_its_prices_whoever_else_is_there(tmp_path: Path, table: pa.Table) -> None:
    wide = read(write_sample(tmp_path, symbols=90).paths)
    assert wide.filter(pc.is_in(wide["symbol"], pc.unique(table["symbol"]))).equals(table)


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path, written: SampleFiles) -> None:
    again = write_sample(tmp_path)
    assert again.rows == written.rows
    assert [path.read_bytes() for path in again.paths] == [path.read_bytes() for path in written.paths]


@pytest.mark.parametrize("seed", [8, -1, 2**70])
def test_another_seed_gives_other_prices(tmp_path: Path, table: pa.Table, seed: int) -> None:
    other = read(write_sample(tmp_path, seed=seed).paths)
    assert set(other["symbol"].to_pylist()) == set(table["symbol"].to_pylist())
    assert not other["close"].equals(table["close"])


def test_date_layout_is_a_file_a_year(written: SampleFiles) -> None:
    assert [path.name for path in written.paths] == [f"prices_{year}.parquet" for year in range(2018, 2024)]
    for path in written.paths:
        years = pc.unique(pc.year(pq.ParquetFile(path).read(["date"])["date"]))
        assert years.to_pylist() == [int(path.stem[-4:])]


def test_symbol_layout_cuts_at_symbols(tmp_path: Path) -> None:
    paths = write_sample(tmp_path, symbols=600, years=6, layout="symbol").paths
    assert len(paths) >= 4
    groups = [(path, number) for path in paths for number in range(pq.ParquetFile(path).num_row_groups)]
    found = [pq.ParquetFile(path).read_row_group(number, ["symbol"])["symbol"] for path, number in groups]
    seen = [symbol for group in found for symbol in pc.unique(group).to_pylist()]
    assert len(seen) == len(set(seen)) == 600
    assert 200_000 < max(map(len, found)) < 300_000


def test_day_layout_is_a_file_a_session(tmp_path: Path) -> None:
    paths = write_sample(tmp_path, symbols=3, years=1, layout="day").paths
    assert paths[0].name == "prices_2018-01-02.parquet"
    assert [set(read((path,))["date"].to_pylist()) for path in paths] == [
        {datetime.date.fromisoformat(path.stem.removeprefix("prices_"))} for path in paths
    ]


def test_columns_are_stored_as_promised(written: SampleFiles) -> None:
    group = pq.ParquetFile(written.paths[0]).metadata.row_group(0)
    for number in range(group.num_columns):
        column = group.column(number)
        assert column.compression == "ZSTD"
        assert column.has_dictionary_page == (column.path_in_schema in ("symbol", "exchange"))


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = write_sample(tmp_path, symbols=2, years=1).paths[0]
    place = pq.ParquetFile(path).metadata.row_group(0).column(5)
    data = bytearray(path.read_bytes())
    data[place.data_page_offset + place.total_compressed_size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"(?i)crc|checksum"):
        read((path,))


def test_nothing_in_the_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "prices_2018.parquet").write_text("somebody's")
    with pytest.raises(OutputConflict, match="empty folder"):
        write_sample(tmp_path, symbols=2, years=1)
    assert (tmp_path / "prices_2018.parquet").read_text() == "somebody's"
    assert [path.name for path in tmp_path.iterdir()] == ["prices_2018.parquet"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"symbols": 0}, "at least 1 symbol, not 0"),
        ({"years": 0}, "at least 1 year, not 0"),
        ({"layout": "week"}, "unknown layout 'week'; it is one of date, symbol, day"),
    ],
)
def test_impossible_samples_are_refused(tmp_path: Path, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_sample(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="resource is not there")
@pytest.mark.parametrize("layout", soaked(["date"], ["symbol"]))
def test_memory_is_bounded_whatever_the_size(tmp_path: Path, layout: str) -> None:
    command = [sys.executable, "-c", _PEAK_SCRIPT, str(tmp_path), layout]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rows, peak_mib, pandas_imported = done.stdout.split()
    assert int(rows) > 2_250_000
    assert int(peak_mib) < PEAK_MIB
    assert pandas_imported == "False"


# ---- prices ----------------------------------------------------------------------------------------------


def test_sessions_are_weekdays_without_holidays(tmp_path: Path) -> None:
    table = read(write_sample(tmp_path, symbols=1, years=40).paths)
    days = pd.DatetimeIndex(pd.to_datetime(table["date"].to_pandas()))
    rules = [
        holiday.Holiday("New Year", month=1, day=1, observance=holiday.sunday_to_monday),
        holiday.GoodFriday,
        holiday.USMemorialDay,
        holiday.Holiday("Independence", month=7, day=4, observance=holiday.nearest_workday),
        holiday.USLaborDay,
        holiday.USThanksgivingDay,
        holiday.Holiday("Christmas", month=12, day=25, observance=holiday.nearest_workday),
    ]
    calendar = holiday.AbstractHolidayCalendar(name="sample", rules=rules)
    weekdays = pd.bdate_range("2018-01-01", "2057-12-31")
    assert list(days) == list(weekdays.difference(calendar.holidays(weekdays[0], weekdays[-1])))


def test_prices_are_in_cents(frame: pd.DataFrame) -> None:
    prices = frame[PRICES].to_numpy()
    assert np.array_equal(prices, np.round(prices, 2), equal_nan=True)
    assert np.nanmin(prices) == 0.0
    assert not (prices < 0.0).any() and not np.isinf(prices).any()


def test_total_return_meets_the_close_at_the_end(frame: pd.DataFrame) -> None:
    usable = frame[frame["close"] > 0.0]
    last = usable.groupby("symbol").tail(1)
    assert np.allclose(last["close"], last["total_return"], atol=1e-4, rtol=0.0)
    raw, adjusted = (np.log(usable[name]).groupby(usable["symbol"]).diff() for name in ("close", "total_return"))
    jumps = (raw - adjusted).abs()
    assert ((jumps > 0.002) & (jumps < 0.02)).sum() > 100, "dividends show in the close and not in the total return"
    assert jumps.max() < 0.02


def test_returns_follow_the_benchmarks(frame: pd.DataFrame, sectors: list[dict[str, str]]) -> None:
    close = frame[frame["close"] > 0.0].pivot(index="date", columns="symbol", values="total_return")
    returns = np.log(close).diff()
    long = set(returns.columns[returns.count() > 500])
    rows = [row for row in sectors if row["symbol"] in long]
    with_sector = [returns[row["symbol"]].corr(returns[row["sector"]]) for row in rows]
    assert np.median(with_sector) > 0.3
    assert all(returns[sector].corr(returns["MARKET"]) > 0.6 for sector in SECTORS)
    assert returns["MARKET"].kurt() > 0.5
    assert 0.1 < returns["MARKET"].std() * np.sqrt(252) < 0.3


# ---- symbols ---------------------------------------------------------------------------------------------


def test_benchmarks_are_never_missing(frame: pd.DataFrame, sessions: pd.DatetimeIndex) -> None:
    names = [name for name in frame["symbol"].unique() if name.startswith(("MARKET", "SEC_", "SUB_"))]
    assert len(names) == 8
    for name in names:
        rows = frame[frame["symbol"] == name]
        assert list(rows["date"]) == list(sessions)
        assert (rows[PRICES] > 0.0).all(axis=None)


def test_names_are_tickers_and_oddities(frame: pd.DataFrame) -> None:
    names = set(frame["symbol"])
    odd = {"BRK/B", "NA", "000001", "TRUE", "NULL", "CON", "1E5", "INF"}
    assert odd <= names
    tickers = {name for name in names - odd if name != "MARKET" and "_" not in name}
    assert all(name.isascii() and name.isalpha() and name.isupper() for name in tickers)
    assert {len(name) for name in tickers} == {1, 2, 3, 4, 5}


def test_names_are_unique_in_bulk() -> None:
    names = universe.ticker_names(50_000)
    assert len(set(names)) == 50_000
    assert max(map(len, names[8:])) == 5


def test_fewer_symbols_come_with_fewer_benchmarks() -> None:
    benchmarks = {n: [name for name in universe.make_universe(n).names if "_" in name] for n in (1, 11, 12, 24)}
    assert {n: len(names) for n, names in benchmarks.items()} == {1: 0, 11: 0, 12: 5, 24: 7}


@pytest.mark.parametrize("symbols", [1, 2, 12, 40])
def test_sector_map_names_symbols_of_the_sample(tmp_path: Path, symbols: int) -> None:
    names = set(read(write_sample(tmp_path, symbols=symbols, years=1).paths)["symbol"].to_pylist())
    assert len(names) == symbols
    lines = (tmp_path / "sectors.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "symbol,sector,subsector"
    assert set(",".join(lines[1:]).split(",")) <= names | {""}


def test_the_sector_map_leaves_out_a_few_tickers(frame: pd.DataFrame, sectors: list[dict[str, str]]) -> None:
    listed = [row["symbol"] for row in sectors]
    tickers = {name for name in frame["symbol"] if name != "MARKET" and not name.startswith(("SEC_", "SUB_"))}
    assert len(listed) == len(set(listed)) and set(listed) < tickers
    assert 2 <= len(tickers - set(listed)) <= 4
    assert {row["sector"] for row in sectors} == SECTORS
    assert {row["subsector"] for row in sectors} == {"", "SUB_CHIPS", "SUB_BANKS"}


# ---- warts -----------------------------------------------------------------------------------------------


def test_some_symbols_are_listed_late_and_some_delisted(frame: pd.DataFrame, sessions: pd.DatetimeIndex) -> None:
    spans = frame.groupby("symbol")["date"].agg(["min", "max", "count"])
    spans = spans[spans["count"] > 1]
    late = spans[spans["min"] > sessions[0]]
    last_weeks = late["min"] > sessions[-1] - pd.Timedelta(weeks=14)
    assert (late["max"] == sessions[-1]).all()
    assert last_weeks.sum() >= 2 and (~last_weeks).sum() >= 2
    gone = spans[spans["max"] < sessions[-1]]
    assert len(gone) >= 2 and (gone["max"].dt.day_name() == "Wednesday").all()


def test_one_symbol_halts_for_a_fortnight(frame: pd.DataFrame, sessions: pd.DatetimeIndex) -> None:
    number = pd.Series(np.arange(len(sessions)), index=sessions)
    gaps = frame.assign(gap=frame["date"].map(number).groupby(frame["symbol"]).diff())
    halted = gaps[gaps["gap"] > 1]
    assert len(halted) == 1
    resumes = halted["date"].iloc[0]
    before = sessions[number[resumes] - int(halted["gap"].iloc[0])]
    assert (resumes - before).days >= 14
    assert 8 <= halted["gap"].iloc[0] - 1 <= 10


def test_one_symbol_has_one_row_and_one_no_price(frame: pd.DataFrame) -> None:
    counts = frame["symbol"].value_counts()
    assert (counts == 1).sum() == 1
    prices = frame.groupby("symbol")[[*PRICES, "total_return"]].count().sum(axis=1)
    assert list(prices.index[prices == 0]) == ["NULL"]
    assert counts["NULL"] > 1000


def test_missing_prices_are_nulls(table: pa.Table) -> None:
    rows = table.filter(pc.not_equal(table["symbol"], "NULL"))
    for name in PRICES:
        assert rows[name].null_count >= 2
        assert not pc.any(pc.is_nan(table[name])).as_py()
    assert rows["close"].is_null().equals(rows["total_return"].is_null())


def test_some_prices_are_zero_and_some_days_without_trades(frame: pd.DataFrame) -> None:
    untraded = (frame[["open", "high", "low"]] == 0.0).all(axis=1)
    assert 2 <= untraded.sum() <= 10
    assert (frame.loc[untraded, "volume"] == 0).all() and (frame.loc[untraded, "close"] > 0.0).all()
    assert (frame.loc[~untraded, "volume"] > 0).all()
    zeros = (frame.loc[~untraded, PRICES] == 0.0).sum()
    assert zeros["close"] >= 1 and zeros["open"] >= 1 and zeros.sum() <= 10


def test_all_but_a_few_ranges_are_sound(frame: pd.DataFrame) -> None:
    traded = frame[(frame[PRICES] > 0.0).all(axis=1)]
    crossed = traded["high"] < traded["low"]
    assert crossed.sum() == 1
    ordered = traded[~crossed]
    above, below = ordered["close"] > ordered["high"], ordered["close"] < ordered["low"]
    assert above.any() and below.any() and 2 <= (above | below).sum() <= 5
    opened = ordered["open"]
    assert ((opened <= ordered["high"]) & (opened >= ordered["low"])).all()


def test_most_of_a_large_sample_is_sound(tmp_path: Path) -> None:
    table = read(write_sample(tmp_path, symbols=1500, years=2).paths)
    assert table.num_rows > 0.9 * 1500 * 2 * 250
    counts = table["symbol"].value_counts()
    assert sum(entry["counts"].as_py() == 1 for entry in counts) == 1
    nulls = table.filter(pc.is_null(table["close"]))
    assert 0 < nulls.num_rows - 2 * 251 < 200
