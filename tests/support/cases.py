"""Small inputs as people have them, each with the plain long dataset that it stands for.

A `Case` writes its files into a folder. Each of its `Way`s is a set of settings with which it builds, and the table of
ordinary Parquet rows whose features must come out; a case that needs a decision of its user is refused without one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable, write_deltalake
from frames import business_days, daily, write

SYMBOLS = ("000001", "AAA", "BRK.B")
N_DAYS = 130
PRICES = ("open", "high", "low", "close")
#: Ordinary rows, clustered by symbol.
PLAIN = daily(SYMBOLS, N_DAYS, order="symbol")


@dataclass(frozen=True)
class Way:
    """How a case is built, and what it then is.

    Attributes
    ----------
    plain : pa.Table
        Ordinary long rows with the same features; only rows of its keys are compared.
    settings, plain_settings : mapping
        With which the case, and the plain table, are built.
    at : str
        What of the case's folder is the input.
    says : tuple of str
        What plan and report say about how it is read.
    finds : set of str
        The codes of the report's findings.
    passes : pa.Table, optional
        Columns of the input that leave as they came, in the output's order.
    """

    plain: pa.Table
    settings: Mapping[str, Any] = field(default_factory=dict)
    plain_settings: Mapping[str, Any] = field(default_factory=dict)
    at: str = "."
    says: tuple[str, ...] = ()
    finds: frozenset[str] = frozenset()
    passes: pa.Table | None = None


@dataclass(frozen=True)
class Case:
    """An input, what its refusal without settings says (nothing: it is not refused), and the ways to build it."""

    make: Callable[[Path], None]
    ways: tuple[Way, ...]
    refused: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.make.__name__


CASES: dict[str, Case] = {}


def case(*ways: Way, refused: tuple[str, ...] = ()) -> Callable[[Callable[[Path], None]], Callable[[Path], None]]:
    def registered(make: Callable[[Path], None]) -> Callable[[Path], None]:
        CASES[make.__name__] = Case(make, ways, refused)
        return make

    return registered


# ---- what the makers share -------------------------------------------------------------------------------


def put(table: pa.Table, path: Path, **options: Any) -> Path:
    return write(table, path, **{"row_group_size": 40, **options})


def of(*symbols: str) -> pa.Table:
    return PLAIN.filter(pc.is_in(PLAIN.column("symbol"), pa.array(symbols)))


def renamed(table: pa.Table, symbol: str) -> pa.Table:
    return with_column(table, "symbol", pa.array([symbol] * table.num_rows))


def without(table: pa.Table, *names: str) -> pa.Table:
    return table.drop_columns(list(names))


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    values = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)
    at = table.column_names.index(name) if name in table.column_names else -1
    return table.append_column(name, values) if at < 0 else table.set_column(at, name, values)


def scaled(table: pa.Table, names: tuple[str, ...], factor: Any) -> pa.Table:
    for name in names:
        table = with_column(table, name, pa.array(np.array(table.column(name)) * factor))
    return table


ONE = of("AAA")
DATES = [datetime.combine(day, datetime.min.time()) for day in ONE.column("date").to_pylist()]
EVERY_DATE = PLAIN.column("date").to_pylist()
SKIPPED = frozenset({"skipped-files"})


# ---- files and folders -----------------------------------------------------------------------------------


@case(Way(of("BRK.B"), says=("version 2 of the Delta table",)))
def delta_table(folder: Path) -> None:
    """A file that the newest version no longer has."""
    for symbol in ("AAA", "BRK.B"):
        write_deltalake(str(folder), of(symbol), mode="append")
    DeltaTable(str(folder)).delete("symbol = 'AAA'")


@case(Way(of("BRK.B"), says=("version 1 of the Delta table",)))
def delta_of_bare_commits(folder: Path) -> None:
    """A log by hand: no protocol, no columns, which `deltalake` does not read."""
    put(of("AAA"), folder / "a.parquet")
    put(of("BRK.B"), folder / "b.parquet")
    (folder / "_delta_log").mkdir()
    commits = [[{"add": {"path": "a.parquet"}}], [{"remove": {"path": "a.parquet"}}, {"add": {"path": "b.parquet"}}]]
    for version, actions in enumerate(commits):
        (folder / f"_delta_log/{version:020}.json").write_text("\n".join(json.dumps(action) for action in actions))


@case(Way(of("AAA", "BRK.B")))
def gzip_suffix(folder: Path) -> None:
    put(of("AAA"), folder / "a.parquet")
    put(of("BRK.B"), folder / "b.parquet.gzip", compression="gzip")


@case(Way(of("AAA"), finds=SKIPPED), Way(renamed(of("BRK.B"), ".SPX"), at=".SPX.parquet"))
def dot_file(folder: Path) -> None:
    put(of("AAA"), folder / "AAA.parquet")
    put(renamed(of("BRK.B"), ".SPX"), folder / ".SPX.parquet")


@case(
    Way(of("BRK.B"), {"on_key_conflict": "column"}),
    Way(renamed(of("BRK.B"), "AAA"), {"on_key_conflict": "path"}),
    refused=("symbol=AAA/p.parquet", "has BRK.B", "--on-key-conflict path or column"),
)
def key_against_column(folder: Path) -> None:
    put(of("BRK.B"), folder / "symbol=AAA" / "p.parquet")


@case(Way(ONE), Way(ONE, at="symbol=AAA"), Way(ONE, at="symbol=AAA/p.parquet"), Way(ONE, at="*/*.parquet"))
def hive_inner(folder: Path) -> None:
    put(without(ONE, "symbol"), folder / "symbol=AAA" / "p.parquet")


@case(Way(PLAIN, says=("symbol: each file's name",)))
def file_per_symbol(folder: Path) -> None:
    for symbol in SYMBOLS:
        put(without(of(symbol), "symbol"), folder / f"{symbol}.parquet")


@case(Way(renamed(ONE, "prices"), says=("symbol: ", "file's name")), Way(ONE, {"symbol": "AAA"}, says=("AAA",)))
def one_symbol(folder: Path) -> None:
    put(without(ONE, "symbol"), folder / "prices.parquet")


@case(Way(ONE[:23], says=("date: year, month and day",)))
def year_month_day(folder: Path) -> None:
    for row, day in enumerate(DATES[:23]):
        path = folder / f"year={day.year}" / f"month={day.month}" / f"day={day.day}" / "p.parquet"
        put(without(ONE[row : row + 1], "date"), path)


# ---- dates -----------------------------------------------------------------------------------------------


@case(Way(PLAIN, says=("date: date, YYYYMMDD",)))
def integer_dates(folder: Path) -> None:
    put(with_column(PLAIN, "date", [int(f"{day:%Y%m%d}") for day in EVERY_DATE]), folder / "a.parquet")


MILLISECONDS = PLAIN.column("date").cast(pa.timestamp("ms")).cast(pa.int64())


@case(
    Way(PLAIN, says=("date: date, milliseconds",)),
    Way(PLAIN, {"date_unit": "ms"}, says=("date: date, milliseconds",)),
)
def epoch_milliseconds(folder: Path) -> None:
    put(with_column(PLAIN, "date", MILLISECONDS), folder / "a.parquet")


@case(
    Way(PLAIN, {"date_format": "%m/%d/%Y"}),
    refused=("'01/03/2022'", "2024-03-14", '--date-format "%m/%d/%Y"'),
)
def us_text_dates(folder: Path) -> None:
    put(with_column(PLAIN, "date", [f"{day:%m/%d/%Y}" for day in EVERY_DATE]), folder / "a.parquet")


FAR_DATE = with_column(ONE, "date", pa.array([datetime(1000, 1, 1), *DATES[1:]], pa.timestamp("us")))


@case(Way(FAR_DATE, passes=FAR_DATE.select(["date"])))
def int96_far(folder: Path) -> None:
    put(FAR_DATE, folder / "a.parquet", use_deprecated_int96_timestamps=True)


VALID_TO = pa.array([*DATES[:-1], datetime(9999, 12, 31, 1, 2, 3)], pa.timestamp("us"))


@case(Way(ONE, passes=pa.table({"valid_to": VALID_TO})))
def int96_beside(folder: Path) -> None:
    put(with_column(ONE, "valid_to", VALID_TO), folder / "a.parquet", use_deprecated_int96_timestamps=True)


DAY_BEFORE = with_column(PLAIN, "date", [day - timedelta(days=1) for day in EVERY_DATE])


@case(
    Way(DAY_BEFORE, finds=frozenset({"shifted-dates"})),
    Way(PLAIN, {"timezone": "Europe/Berlin"}),
)
def berlin_midnight_utc(folder: Path) -> None:
    berlin = pc.assume_timezone(PLAIN.column("date").cast(pa.timestamp("us")), "Europe/Berlin")
    put(with_column(PLAIN, "date", berlin.cast(pa.timestamp("us", "UTC"))), folder / "a.parquet")


@case(Way(PLAIN, says=("date: ", "index")))
def unnamed_index(folder: Path) -> None:
    frame = PLAIN.to_pandas()
    frame.index = frame.pop("date").astype("datetime64[us]")
    frame.index.name = None
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(folder / "a.parquet")


HOURS = 7


def day_bars(table: pa.Table) -> pa.Table:
    """What seven rows a day make: the first open, the extremes, the last close, the volume of all."""
    hours = [scaled(table, PRICES, 1.0 + hour / 1000) for hour in range(HOURS)]
    return pa.table(
        {
            "symbol": table.column("symbol"),
            "date": table.column("date"),
            "open": hours[0].column("open"),
            "high": hours[-1].column("high"),
            "low": hours[0].column("low"),
            "close": hours[-1].column("close"),
            "volume": pc.multiply(table.column("volume"), HOURS),
        }
    )


@case(
    Way(day_bars(ONE), {"on_intraday": "aggregate"}),
    refused=("is intraday: 7 rows a symbol and day", "--on-intraday aggregate"),
)
def intraday(folder: Path) -> None:
    rows = [
        with_column(
            scaled(ONE, PRICES, 1.0 + hour / 1000),
            "date",
            pa.array([day + timedelta(hours=9 + hour) for day in DATES], pa.timestamp("us")),
        )
        for hour in range(HOURS)
    ]
    put(pa.concat_tables(rows), folder / "a.parquet")


# ---- schemas ---------------------------------------------------------------------------------------------


FLOAT_VOLUME = pa.array([None if row == 3 else float(row + 1000) for row in range(N_DAYS)])
TWO_VOLUMES = with_column(
    of("AAA", "BRK.B"), "volume", pa.array([*range(N_DAYS), *FLOAT_VOLUME.to_pylist()], pa.float64())
)


@case(Way(TWO_VOLUMES, says=("volume: ", "double")))
def int_and_float_volume(folder: Path) -> None:
    put(with_column(of("AAA"), "volume", pa.array(range(N_DAYS), pa.int64())), folder / "a.parquet")
    put(with_column(of("BRK.B"), "volume", FLOAT_VOLUME), folder / "b.parquet")


DIGITS = {"AAA": (9, 2), "BRK.B": (18, 6)}
WIDER = pa.decimal128(18, 6)


def decimals(symbol: str) -> pa.Array:
    width, digits = DIGITS[symbol]
    values = [round(Decimal(value), digits) for value in of(symbol).column("close").to_pylist()]
    return pa.array(values, pa.decimal128(width, digits))


@case(
    Way(
        pa.concat_tables(with_column(of(symbol), "close", decimals(symbol).cast(WIDER)) for symbol in DIGITS),
        says=("close: ", "decimal"),
    )
)
def two_decimals(folder: Path) -> None:
    for symbol in DIGITS:
        put(with_column(of(symbol), "close", decimals(symbol)), folder / f"{symbol}.parquet")


@case(Way(PLAIN))
def delta_symbols(folder: Path) -> None:
    put(PLAIN, folder / "a.parquet", use_dictionary=False, column_encoding={"symbol": "DELTA_BYTE_ARRAY"})


SOME_NAN = pa.array(np.where(np.arange(N_DAYS) % 3 == 0, np.nan, np.array(ONE.column("close"))))


@case(
    Way(ONE, passes=pa.table({"adjusted": SOME_NAN})),
)
def nan_beside(folder: Path) -> None:
    put(with_column(ONE, "adjusted", SOME_NAN), folder / "a.parquet", write_statistics=False)


SERIES = {"EQ": of("AAA"), "BE": renamed(of("BRK.B"), "AAA")}


@case(
    Way(
        pa.concat_tables(renamed(rows, f"AAA:{series}") for series, rows in SERIES.items()),
        {"columns": "symbol=symbol+series"},
    ),
    refused=("series (130)", "--columns symbol=symbol+series"),
)
def two_series(folder: Path) -> None:
    rows = [with_column(rows, "series", pa.array([series] * N_DAYS)) for series, rows in SERIES.items()]
    put(pa.concat_tables(rows), folder / "a.parquet")


CLOSES = PLAIN.select(["symbol", "date", "close"])
OF_CLOSES = CLOSES
for role in ("open", "high", "low"):
    OF_CLOSES = with_column(OF_CLOSES, role, CLOSES.column("close"))


@case(Way(OF_CLOSES, finds=frozenset({"missing-role"})))
def close_only(folder: Path) -> None:
    put(CLOSES, folder / "a.parquet")


# ---- other layouts ---------------------------------------------------------------------------------------


MADE_OF_CLOSES = frozenset({"missing-role"})


def side_by_side(*fields: str) -> pd.DataFrame:
    """The columns (field, ticker), with the date as the index."""
    return PLAIN.to_pandas().pivot(index="date", columns="symbol", values=list(fields))


@case(Way(CLOSES, says=("wide table",), finds=MADE_OF_CLOSES), Way(CLOSES, {"wide": "closes"}, finds=MADE_OF_CLOSES))
def wide(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    side_by_side("close")["close"].to_parquet(folder / "a.parquet")


@case(Way(CLOSES, says=("wide table",), finds=MADE_OF_CLOSES))
def wide_of_tuples(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    side_by_side("close").rename(columns={"close": "Close"}).to_parquet(folder / "a.parquet")


@case(Way(PLAIN, says=("wide table",)))
def wide_of_all_fields(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    side_by_side(*PRICES, "volume").to_parquet(folder / "a.parquet")


@case(Way(PLAIN))
def comma_separated(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    PLAIN.to_pandas().to_csv(folder / "prices.csv", index=False)


# ---- prices ----------------------------------------------------------------------------------------------


LAST_DAY = [*business_days(N_DAYS)[:-1], np.datetime64("2099-01-01")]
FUTURE = with_column(ONE, "date", pa.array(np.array(LAST_DAY)))


@case(Way(FUTURE, finds=frozenset({"future-dates"})), Way(ONE[:-1], {"end": "2026-01-01"}))
def future_dates(folder: Path) -> None:
    put(FUTURE, folder / "a.parquet")


SPLIT_ROW, RATIO = N_DAYS // 2, 20
BEFORE = np.arange(N_DAYS) < SPLIT_ROW
SPLIT = scaled(ONE, PRICES, np.where(BEFORE, 1.0, 1.0 / RATIO))


@case(Way(SPLIT, finds=frozenset({"suspected-split"})))
def split_1_20(folder: Path) -> None:
    put(SPLIT, folder / "a.parquet")


#: What was traded before the split has a twentieth of the volume that it would have today.
RAW_VOLUME = with_column(ONE, "volume", pa.array(np.where(BEFORE, 1000, 1000 * RATIO)))
ADJUSTED = scaled(RAW_VOLUME, PRICES, np.where(BEFORE, RATIO, 1.0)).append_column("Adj Close", ONE.column("close"))
FACTOR = np.array(ADJUSTED.column("Adj Close")) / np.array(ADJUSTED.column("close"))


@case(
    Way(ADJUSTED, {"price": "Adj Close"}, {"price": "Adj Close"}, finds=frozenset({"adjusted-price-raw-volume"})),
    Way(
        scaled(ADJUSTED, ("volume",), 1.0 / FACTOR),
        {"price": "Adj Close", "adjust_volume": True},
        {"price": "Adj Close"},
    ),
)
def adjusted_close_raw_volume(folder: Path) -> None:
    put(ADJUSTED, folder / "a.parquet")


OF_ONE = ONE.select(["symbol", "date", "close", "volume"])
NEGATIVE = scaled(OF_ONE, ("close",), np.where(np.arange(N_DAYS) % 3 == 0, 1.0, -1.0))


@case(
    Way(NEGATIVE, finds=frozenset({"missing-role", "negative-prices"})),
    Way(OF_ONE, {"negative_prices": "absolute"}, finds=frozenset({"missing-role"})),
)
def negative_closes(folder: Path) -> None:
    put(NEGATIVE, folder / "a.parquet")


def padded() -> pa.Table:
    """A row for every day: at weekends the row of Friday, without volume."""
    frame = ONE.to_pandas().set_index("date")
    frame.index = frame.index.astype("datetime64[us]")
    frame = frame.asfreq("D").ffill().reset_index()
    frame.loc[frame["date"].dt.day_of_week > 4, "volume"] = 0.0
    frame["date"] = frame["date"].dt.date
    return pa.Table.from_pandas(frame[ONE.column_names], preserve_index=False).replace_schema_metadata(None)


@case(Way(padded(), finds=frozenset({"padding"})), Way(ONE, {"drop_padding": True}))
def padded_weekends(folder: Path) -> None:
    put(padded(), folder / "a.parquet")
