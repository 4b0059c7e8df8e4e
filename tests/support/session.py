"""The sessions that the documentation shows: what the commands print for the sample."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "sample_data"


def of_chart() -> str:
    """Build the sample and return the chart of a symbol's last months."""
    with tempfile.TemporaryDirectory() as folder:
        _printed(folder, "build", str(SAMPLE), "--output", "daily_weekly", "--quiet")
        words = ("chart", "daily_weekly", "ABIQA", "--start", "2023-06-01")
        printed = "\n".join(line.rstrip() for line in _printed(folder, *words).splitlines())
        return f"$ weekly-cli {' '.join(words)}\n{printed}"


def of_verify() -> str:
    """Build the sample and return what `verify` prints of it, but for the rows of the warm-up.

    Their last digits may be another machine's.
    """
    with tempfile.TemporaryDirectory() as folder:
        _printed(folder, "build", str(SAMPLE), "--output", "daily_weekly", "--quiet")
        lines = [line.rstrip() for line in _printed(folder, "verify", "daily_weekly").splitlines()]
    (heading,) = (number for number, line in enumerate(lines) if "first bar " in line)
    return "\n".join([*lines[: heading + 1], "...", lines[-1]])


def of_inspect() -> str:
    """Return what `inspect` prints of the sample."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / SAMPLE.name).symlink_to(SAMPLE)
        printed = _printed(folder, "inspect", SAMPLE.name)
    return "\n".join(line.rstrip() for line in printed.splitlines())


def of_weekly_rows() -> str:
    """Build the sample's weekly rows and return what pandas shows of one symbol's last ones."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        _printed(folder, "build", str(SAMPLE), "--rows", "weekly", "--output", "weeks", "--quiet")
        table = pd.read_parquet(Path(folder) / "weeks")
    shown = table[table["symbol"] == "BXA"].tail(3)
    return str(shown[["symbol", "w_week_end", "visible_from", "w_bars", "w_close", "w_rsi_14"]].to_string(index=False))


def of_running_rows() -> str:
    """Build the sample's week to date and return what pandas shows of two weeks of one symbol."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        _printed(folder, "build", str(SAMPLE), "--developing", "--output", "out", "--quiet")
        table = pd.read_parquet(Path(folder) / "out")
    table = table[(table["symbol"] == "BXA") & (table["date"] >= datetime.date(2023, 12, 14))].head(7)
    shown = ["date", "close", "w_close", "wtd_open", "wtd_close", "wtd_days", "wtd_ret", "wtd_rsi_14"]
    return str(table[shown].to_string(index=False, float_format="{:.4g}".format))


def of_months() -> str:
    """Build the sample's months and quarters and return what pandas shows of a symbol's rows around a quarter's end."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        _printed(folder, "build", str(SAMPLE), "--every", "week,month,quarter", "--output", "out", "--quiet")
        table = pd.read_parquet(Path(folder) / "out")
    table = table[(table["symbol"] == "BXA") & (table["date"] >= datetime.date(2023, 9, 28))].head(5)
    shown = ["date", "close", "w_week_end", "w_close", "m_month_end", "m_close", "m_mom_12_1", "q_quarter_end", "q_ret"]
    return str(table[shown].to_string(index=False, float_format="{:.4g}".format))


def of_calendar() -> str:
    """Build the sample with and without a calendar, and return a symbol's rows around a Good Friday."""
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        words = ("build", str(SAMPLE), "--available", "week-end", "--features", "bars", "--quiet", "--output")
        _printed(folder, *words, "plain")
        _printed(folder, *words, "out", "--calendar", "XNYS")
        plain, table = (pd.read_parquet(Path(folder) / name) for name in ("plain", "out"))
    table["weekday"] = pd.to_datetime(table["date"]).dt.day_name()
    table["without --calendar"] = plain["w_week_end"]
    table = table[(table["symbol"] == "BXA") & (table["date"] >= datetime.date(2023, 4, 5))].head(4)
    shown = ["date", "weekday", "close", "w_week_end", "w_close", "without --calendar"]
    return str(table[shown].to_string(index=False))


def of_cross_section() -> str:
    """Build the sample with places among symbols, and return what pandas shows of some symbols on its last day."""
    import pandas as pd

    columns = "rank(w_mom_12), zscore(w_vol_26) by exchange"
    with tempfile.TemporaryDirectory() as folder:
        _printed(folder, "build", str(SAMPLE), "--cross-section", columns, "--output", "out", "--quiet")
        table = pd.read_parquet(Path(folder) / "out")
    table = table[table["date"] == table["date"].max()].sort_values("w_mom_12_rank", ascending=False).head(6)
    shown = ["symbol", "date", "exchange", "w_mom_12", "w_mom_12_rank", "w_vol_26", "w_vol_26_zscore_exchange"]
    return str(table[shown].to_string(index=False, float_format="{:.4g}".format))


def of_joined_rows() -> str:
    """Build the sample with a table of earnings as of each session, and return what pandas shows of some rows."""
    import pandas as pd

    facts = {
        "symbol": ["BXA", "BXA", "000001"],
        "known_at": pd.to_datetime(["2023-10-26 22:15", "2023-12-20 07:30", "2023-12-19 12:00"]),
        "eps": [1.18, 1.31, 22.4],
    }
    with tempfile.TemporaryDirectory() as folder:
        pd.DataFrame(facts).to_parquet(Path(folder) / "earnings.parquet", index=False)
        words = ("build", str(SAMPLE), "--join", "earnings.parquet:known_at", "--output", "out", "--quiet")
        _printed(folder, *words)
        table = pd.read_parquet(Path(folder) / "out")
    table = table[(table["symbol"] == "BXA") & (table["date"] >= datetime.date(2023, 12, 18))].head(5)
    return str(table[["symbol", "date", "close", "eps", "earnings_age_days", "w_close"]].to_string(index=False))


def of_sectors() -> str:
    """Build the sample with a column of sectors, in which one symbol's changes, and return the refusal."""
    import pandas as pd

    sectors = pd.read_csv(SAMPLE / "sectors.csv", dtype=str, keep_default_na=False).set_index("symbol")["sector"]
    table = pd.concat([pd.read_parquet(path) for path in sorted(SAMPLE.glob("*.parquet"))])
    moved = (table["symbol"] == "BXA") & (table["date"] >= datetime.date(2022, 1, 3))
    table["industry"] = table["symbol"].map(sectors).mask(moved, "SEC_CONS")
    words = ("build", "prices.parquet", "--sector-map", "@industry")
    with tempfile.TemporaryDirectory() as folder:
        table.to_parquet(Path(folder) / "prices.parquet", index=False)
        command = [sys.executable, "-m", "weekly_cli", *words]
        told = subprocess.run(command, cwd=folder, check=False, text=True, capture_output=True).stderr
    return "\n".join([f"$ weekly-cli {' '.join(words)}", *textwrap.wrap(told.splitlines()[-1], 80)])


def of_labels() -> str:
    """Build the sample with a label and return some rows of a symbol, and its last ones, as pandas shows them."""
    import pandas as pd

    columns = ["symbol", "date", "close", "w_week_end", "w_close", "label_forward_return_1w"]
    with tempfile.TemporaryDirectory() as folder:
        _printed(folder, "build", str(SAMPLE), "--output", "out", "--label", "forward_return_1w", "--quiet")
        table = pd.read_parquet(Path(folder) / "out", columns=columns)
    rows = table[table["symbol"] == "BXA"]
    days = [datetime.date(2023, 12, day) for day in (7, 8, 11, 15, 18, 22, 26, 29)]
    return str(rows[rows["date"].isin(days)].to_string(index=False))


def of_docs() -> str:
    """Return what `docs` prints of a short section into a pipe, with the command before it."""
    with tempfile.TemporaryDirectory() as folder:
        return f"$ weekly-cli docs plan | cat\n{_printed(folder, 'docs', 'plan').rstrip()}"


def of_latest() -> str:
    """Build the sample and return what `latest` prints of it, after the command."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / SAMPLE.name).symlink_to(SAMPLE)
        _printed(folder, "build", SAMPLE.name, "--quiet")
        lines = _printed(folder, "latest", "daily_weekly").splitlines()
    return "\n".join(["$ weekly-cli latest daily_weekly", *map(str.rstrip, lines)])


def of_explain() -> str:
    """Build the sample and return what `explain` prints of a Friday."""
    words = ("explain", "daily_weekly", "ABIQA", "2023-03-10", "--feature", "w_rsi_14")
    with tempfile.TemporaryDirectory() as folder:
        _printed(folder, "build", str(SAMPLE), "--quiet")
        lines = _printed(folder, *words).splitlines()
    return "\n".join([f"$ weekly-cli {' '.join(words)}", *map(str.rstrip, lines)])


def of_feature() -> str:
    """Return what `features` tells of one column."""
    with tempfile.TemporaryDirectory() as folder:
        lines = _printed(folder, "features", "w_rsi_14").splitlines()
    return "\n".join(["$ weekly-cli features w_rsi_14", *map(str.rstrip, lines)])


def of_diff() -> str:
    """Build the sample without its last day, then with it and with a split of BXA restated; return what `diff` prints.

    The prices of BXA before 2022-06-10 are half of what they were, and its volumes twice.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pa.concat_tables([pq.read_table(path) for path in sorted(SAMPLE.glob("*.parquet"))])
    restated = pc.and_(pc.equal(rows["symbol"], "BXA"), pc.less(rows["date"], datetime.date(2022, 6, 10)))
    today = rows
    for name, factor in (*((name, 0.5) for name in ("open", "high", "low", "close")), ("volume", 2)):
        values = pc.if_else(restated, pc.multiply(rows[name], factor), rows[name])
        today = today.set_column(rows.schema.names.index(name), rows.schema.field(name), values)
    with tempfile.TemporaryDirectory() as folder:
        yesterday = rows.filter(pc.less(rows["date"], datetime.date(2023, 12, 29)))
        for name, table in (("yesterday", yesterday), ("today", today)):
            pq.write_table(table, f"{folder}/prices.parquet")
            _printed(folder, "build", "prices.parquet", "--output", name, "--quiet")
        command = [sys.executable, "-m", "weekly_cli", "diff", "yesterday", "today"]
        env = os.environ | {"COLUMNS": "80"}
        done = subprocess.run(command, cwd=folder, env=env, check=False, text=True, stdout=subprocess.PIPE)
    assert done.returncode == 8, "they differ"
    return "\n".join(["$ weekly-cli diff yesterday today", *map(str.rstrip, done.stdout.splitlines())])


def _printed(folder: str, *words: str) -> str:
    command = [sys.executable, "-m", "weekly_cli", *words]
    env = os.environ | {"COLUMNS": "80"}
    return subprocess.run(command, cwd=folder, env=env, check=True, text=True, stdout=subprocess.PIPE).stdout
