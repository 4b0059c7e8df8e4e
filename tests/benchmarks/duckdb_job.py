"""The part of the job that SQL's windows can say, as DuckDB runs it: all but the recursions (EMA, Wilder's smoothing).

Weekly bars are a small table of their own; each SELECT over it adds the columns that need those of the one before.
An as-of join gives every daily row the newest bar before its own week.

    python duckdb_job.py INPUT OUTPUT.parquet --benchmark SYMBOL --compression zstd
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import duckdb

SMA = (20, 50, 100, 200)
MOMENTUM = (4, 12, 26, 52)

BARS = """
CREATE TEMP TABLE bars AS
WITH priced AS (
    SELECT symbol, date, (date - DATE '1970-01-01' + 5) // 7 AS week,
        CASE WHEN isfinite(open) AND open > 0 THEN open END AS open,
        CASE WHEN isfinite(high) AND high > 0 THEN high END AS high,
        CASE WHEN isfinite(low) AND low > 0 THEN low END AS low,
        close, CASE WHEN volume >= 0 THEN volume END AS volume
    FROM daily WHERE isfinite(close) AND close > 0
)
SELECT symbol, week, count(*) AS days,
    coalesce(arg_min(open, date), arg_min(close, date)) AS open, coalesce(max(high), max(close)) AS high,
    coalesce(min(low), min(close)) AS low, arg_max(close, date) AS close, coalesce(sum(volume), 0)::DOUBLE AS volume
FROM priced GROUP BY symbol, week
"""

WEEKLY = """
CREATE TEMP TABLE weekly AS
WITH windows AS (
    SELECT bars.*, row_number() OVER s - 1 AS k, bench.close AS bench,
        bars.close / lag(bars.close) OVER s AS change, bench.close / lag(bench.close) OVER s AS bench_change,
        {momentum}, {sma},
        max(bars.high) OVER w52 AS highest, min(bars.low) OVER w52 AS lowest, avg(bars.volume) OVER w12 AS mean_volume,
        bars.close / bench.close AS rs
    FROM bars LEFT JOIN (SELECT week, close FROM bars WHERE symbol = $benchmark) AS bench USING (week)
    WINDOW {frames}
), slopes AS (
    SELECT *, CASE WHEN k >= 1 THEN ln(change) END AS ret,
        CASE WHEN ret IS NOT NULL THEN ln(bench_change) END AS bench_ret,
        {sma_slope}, {distance}, sma_20 / sma_50 - 1 AS sma_20_50,
        CASE WHEN count(rs) OVER w12 = 12 THEN rs / avg(rs) OVER w12 - 1 END AS rs_norm,
        rs / lag(rs, 4) OVER s - 1 AS rs_slope
    FROM windows WINDOW {frames}
), votes AS (
    SELECT *, {volatility}, {z_scores}, {up} AS up, {down} AS down,
        count(bench_ret) OVER w52 = 52 AND var_pop(bench_ret) OVER w52 > 1e-18 AND var_pop(ret) OVER w52 > 1e-18
            AS varied,
        CASE WHEN varied THEN regr_slope(ret, bench_ret) OVER w52 END AS beta,
        CASE WHEN varied THEN corr(ret, bench_ret) OVER w52 END AS corr
    FROM slopes WINDOW {frames}
), scores AS (
    SELECT *, CASE WHEN k >= 23 THEN (up - down) / greatest(up + down, 1) END AS score FROM votes
)
SELECT symbol, week,
    DATE '1970-01-01' + (week * 7 + 1)::INTEGER AS w_week_end, (k + 1)::INTEGER AS w_bars, days::SMALLINT AS w_days,
    open AS w_open, high AS w_high, low AS w_low, close AS w_close, volume AS w_volume,
    {estimates}
FROM scores WINDOW s AS (PARTITION BY symbol ORDER BY week)
"""

MERGED = """
COPY (
    SELECT daily.* EXCLUDE (week), weekly.* EXCLUDE (symbol, week)
    FROM (SELECT *, (date - DATE '1970-01-01' + 5) // 7 AS week FROM daily) AS daily
    ASOF LEFT JOIN weekly ON daily.symbol = weekly.symbol AND daily.week > weekly.week
    ORDER BY daily.symbol, daily.date
) TO '{output}' (FORMAT parquet, COMPRESSION {compression}{level}, ROW_GROUP_SIZE 131072)
"""


def estimates(b: str) -> dict[str, str]:
    """Return what is computed on bars: the column's name -> its SQL over `scores`."""
    return (
        {"w_ret": "ret"}
        | {f"w_mom_{n}": f"mom_{n}" for n in MOMENTUM}
        | {f"w_sma_{n}": f"sma_{n}" for n in SMA}
        | {f"w_sma_{n}_slope": f"sma_{n}_slope" for n in SMA}
        | {
            "w_trend_score": "score",
            "w_trend_sign": "sign(score)",
            "w_trend_score_change": "score - lag(score) OVER s",
            "w_trend_alignment": "CASE WHEN k >= 23 AND up + down > 0 THEN up / (up + down) END",
        }
        | {f"w_dist_sma_{n}": f"dist_{n}" for n in SMA}
        | {f"w_dist_sma_{n}_z": f"dist_{n}_z" for n in SMA}
        | {
            "w_dist_sma_min": f"least({', '.join(f'abs(dist_{n})' for n in SMA)})",
            "w_sma_20_50": "sma_20_50",
            "w_sma_20_50_z": "sma_20_50_z",
        }
        | {f"w_vol_{n}": f"vol_{n}" for n in MOMENTUM}
        | {
            "w_range": "(high - low) / close",
            "w_high_52": "CASE WHEN k >= 51 THEN close / highest - 1 END",
            "w_low_52": "CASE WHEN k >= 51 THEN close / lowest - 1 END",
            "w_position_52": "CASE WHEN k >= 51 AND highest > lowest THEN (close - lowest) / (highest - lowest) END",
            "w_volume_ratio_12": "CASE WHEN k >= 11 AND mean_volume > 0 THEN volume / mean_volume END",
            f"w_rs_{b}": "rs",
            f"w_rs_{b}_norm": "rs_norm",
            f"w_rs_{b}_slope": "rs_slope",
            f"w_beta_{b}_52": "beta",
            f"w_corr_{b}_52": "corr",
        }
    )


def features(b: str) -> list[str]:
    """Return every column that this job adds."""
    facts = ("week_end", "bars", "days", "open", "high", "low", "close", "volume")
    return [*(f"w_{name}" for name in facts), *estimates(b)]


def weekly_sql(b: str) -> str:
    """Return the statement that makes the table `weekly`."""
    by_symbol = "PARTITION BY symbol ORDER BY week"
    frames = [f"w{n} AS ({by_symbol} ROWS {n - 1} PRECEDING)" for n in (*MOMENTUM, *SMA)]
    return WEEKLY.format(
        frames=", ".join([f"s AS ({by_symbol})", *frames]),
        momentum=", ".join(f"bars.close / lag(bars.close, {n}) OVER s - 1 AS mom_{n}" for n in MOMENTUM),
        sma=", ".join(
            f"CASE WHEN row_number() OVER s >= {n} THEN avg(bars.close) OVER w{n} END AS sma_{n}" for n in SMA
        ),
        sma_slope=", ".join(f"sma_{n} / lag(sma_{n}, 4) OVER s - 1 AS sma_{n}_slope" for n in SMA),
        distance=", ".join(f"close / sma_{n} - 1 AS dist_{n}" for n in SMA),
        volatility=", ".join(
            f"CASE WHEN k >= {n} THEN stddev_samp(ret) OVER w{n} * sqrt(52) END AS vol_{n}" for n in MOMENTUM
        ),
        z_scores=", ".join(_z_score(name) for name in (*(f"dist_{n}" for n in SMA), "sma_20_50")),
        up=" + ".join(f"coalesce((sma_{n}_slope > 1e-5)::INTEGER, 0)" for n in SMA),
        down=" + ".join(f"coalesce((sma_{n}_slope < -1e-5)::INTEGER, 0)" for n in SMA),
        estimates=", ".join(f"({sql})::FLOAT AS {name}" for name, sql in estimates(b).items()),
    )


def _z_score(name: str) -> str:
    defined = f"count({name}) OVER w12 = 12 AND stddev_pop({name}) OVER w12 > 1e-14"
    return f"CASE WHEN {defined} THEN ({name} - avg({name}) OVER w12) / stddev_pop({name}) OVER w12 END AS {name}_z"


def main() -> None:
    """Run the job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--compression", default="zstd")
    options = parser.parse_args()
    source = options.input / "*.parquet" if options.input.is_dir() else options.input
    b = options.benchmark.lower()
    level = ", COMPRESSION_LEVEL 1" if options.compression == "zstd" else ""
    with duckdb.connect(config={"threads": os.cpu_count() or 1}) as connection:
        connection.execute(f"CREATE VIEW daily AS SELECT * FROM read_parquet('{source}')")
        connection.execute(BARS)
        connection.execute(weekly_sql(b), {"benchmark": options.benchmark})
        connection.execute(MERGED.format(output=options.output, compression=options.compression, level=level))
    print(f"{len(features(b))} feature columns")


if __name__ == "__main__":
    main()
