"""The same job as one Polars script, as somebody who knows Polars would write it: the benchmark's peer.

Three modes are worth a try, and which is fastest hangs on the input: eager frames throughout; a scan that is collected
and a join that streams into the file; or queries that stream from the files to the file, reading them twice.

Weekly windows run over the concatenated bars of all symbols and are masked by the bar's number, which spares a
group-by for each column; only recursions need `over`. Symbols are numbered once: integers sort faster than text, and
a group-by on sorted ones takes slices instead of hashing. Daily rows find the newest bar before their own week by an
as-of join, which streams into the file.

    python polars_job.py INPUT OUTPUT.parquet --benchmark SYMBOL --compression zstd --mode lazy
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

MODES = ("eager", "lazy", "streaming")
Frame = TypeVar("Frame", pl.DataFrame, pl.LazyFrame)
SMA = (20, 50, 100, 200)
DAYS = 2**16  # more than a date counts from 1970
ROW_GROUP_ROWS = 2**18
K, C, H, L, V = (pl.col(name) for name in ("k", "close", "high", "low", "volume"))
RET = pl.col("w_ret")
DAY = pl.col("date").cast(pl.Date).cast(pl.Int32)


def since(first_bar: int, value: pl.Expr) -> pl.Expr:
    """Mask what a window would take from the symbol before."""
    return pl.when(first_bar <= K).then(value)


def lag(x: pl.Expr, n: int) -> pl.Expr:
    return x.shift(n)


def seeded_ewm(x: pl.Expr, alpha: float, first: int, n_seed: int) -> pl.Expr:
    """Exponential average from the mean of `n_seed` values, the first of which stands at bar `first`."""
    at = first + n_seed - 1
    seeded = pl.when(at < K).then(x).when(at == K).then(x.rolling_mean(n_seed) if n_seed > 1 else x)
    return seeded.ewm_mean(alpha=alpha, adjust=False).over("code")


def rsi(n: int) -> pl.Expr:
    change = C - lag(C, 1)
    gain = seeded_ewm(change.clip(lower_bound=0), 1 / n, 1, n)
    loss = seeded_ewm((-change).clip(lower_bound=0), 1 / n, 1, n)
    return pl.when((n <= K) & (gain + loss > 0)).then(100 * gain / (gain + loss))


def z(name: str, first_bar: int) -> pl.Expr:
    x = pl.col(name)
    deviation = x.rolling_std(12, ddof=0)
    return pl.when((first_bar <= K) & (deviation > 1e-14)).then((x - x.rolling_mean(12)) / deviation)


def numbered(rows: Frame, symbols: pl.Enum) -> Frame:
    """Add the symbol's number and the week's."""
    return rows.with_columns(
        code=pl.col("symbol").cast(symbols).to_physical().cast(pl.Int64), week=((DAY + 5) // 7).cast(pl.Int64)
    )


def daily_rows(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows by symbol and date, numbered."""
    rows = numbered(rows, pl.Enum(rows["symbol"].unique().sort()))
    key = rows.select(pl.col("code") * DAYS + DAY).to_series()
    rows = rows if key.is_sorted() else rows[key.arg_sort()]
    return rows.with_columns(pl.col("code").set_sorted())


def streamed_rows(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Return a query for the rows by symbol and date, numbered; the keys alone are looked at beforehand."""
    keys = rows.select("symbol", "date").collect(engine="streaming")
    symbols = pl.Enum(keys["symbol"].unique().sort())
    in_order = numbered(keys, symbols).select(pl.col("code") * DAYS + DAY).to_series().is_sorted()
    rows = numbered(rows, symbols)
    rows = rows if in_order else rows.sort("code", "date")
    return rows.with_columns(pl.col("code").set_sorted())


def weekly_bars(daily: Frame) -> Frame:
    def usable(name: str) -> pl.Expr:
        return pl.when(pl.col(name).is_finite() & (pl.col(name) > 0)).then(pl.col(name))

    volume = pl.col("volume").cast(pl.Float64)
    return (
        daily.with_columns(usable("open"), usable("high"), usable("low"), usable("close"), volume)
        .filter(C.is_not_null())
        .with_columns(key=(pl.col("code") * DAYS + pl.col("week")).set_sorted())
        .group_by("key", maintain_order=True)
        .agg(
            pl.col("symbol", "code", "week").first(),
            pl.len().cast(pl.Int16).alias("days"),
            pl.col("open").drop_nulls().first().fill_null(C.first()),
            H.max().fill_null(C.max()),
            L.min().fill_null(C.min()),
            C.last(),
            V.filter(V >= 0).sum(),
        )
        .with_columns(pl.col("code").set_sorted())
        .with_columns(k=pl.int_range(pl.len()).over("code"))
    )


def features(bars: Frame, benchmark: str) -> Frame:
    b = benchmark.lower()
    bench = bars.filter(pl.col("symbol") == benchmark).select("week", bench=C)
    change = C / lag(C, 1)
    true_range = pl.max_horizontal(H, lag(C, 1)) - pl.min_horizontal(L, lag(C, 1))
    highest, lowest = H.rolling_max(52), L.rolling_min(52)
    line = seeded_ewm(C, 2 / 13, 14, 12) - seeded_ewm(C, 2 / 27, 0, 26)
    hist, score, sign = pl.col("w_macd_hist"), pl.col("w_trend_score"), pl.col("w_trend_sign")
    slopes = [pl.col(f"w_sma_{n}_slope") for n in SMA]
    up = pl.sum_horizontal([(slope > 1e-5).fill_null(False).cast(pl.Float64) for slope in slopes])
    down = pl.sum_horizontal([(slope < -1e-5).fill_null(False).cast(pl.Float64) for slope in slopes])
    rs, bench_ret = pl.col(f"w_rs_{b}"), pl.col("bench_ret")
    x, y = pl.when(bench_ret.is_not_null()).then(RET), pl.when(RET.is_not_null()).then(bench_ret)
    mean_x, mean_y = x.rolling_mean(52), y.rolling_mean(52)
    covariance = (x * y).rolling_mean(52) - mean_x * mean_y
    var_x, var_y = x.rolling_var(52, ddof=0), y.rolling_var(52, ddof=0)
    varied = (K >= 52) & (var_x > 1e-18) & (var_y > 1e-18)
    return (
        bars.join(bench, on="week", how="left", maintain_order="left")
        .with_columns(
            since(1, change.log()).alias("w_ret"),
            *(since(n, C / lag(C, n) - 1).alias(f"w_mom_{n}") for n in (4, 12, 26, 52)),
            *(rsi(n).alias(f"w_rsi_{n}") for n in (14, 21, 30)),
            line.alias("line"),
            *(since(n - 1, C.rolling_mean(n)).alias(f"w_sma_{n}") for n in SMA),
            since(14, seeded_ewm(true_range, 1 / 14, 1, 14)).alias("w_atr_14"),
            ((H - L) / C).alias("w_range"),
            since(51, C / highest - 1).alias("w_high_52"),
            since(51, C / lowest - 1).alias("w_low_52"),
            pl.when((K >= 51) & (highest != lowest)).then((C - lowest) / (highest - lowest)).alias("w_position_52"),
            pl.when((K >= 11) & (V.rolling_mean(12) > 0)).then(V / V.rolling_mean(12)).alias("w_volume_ratio_12"),
            (C / pl.col("bench")).alias(f"w_rs_{b}"),
            since(1, (pl.col("bench") / lag(pl.col("bench"), 1)).log()).alias("bench_ret"),
        )
        .with_columns(
            since(33, pl.col("line")).alias("w_macd"),
            since(33, seeded_ewm(pl.col("line"), 0.2, 25, 9)).alias("w_macd_signal"),
            *(
                since(n + 3, pl.col(f"w_sma_{n}") / lag(pl.col(f"w_sma_{n}"), 4) - 1).alias(f"w_sma_{n}_slope")
                for n in SMA
            ),
            *((C / pl.col(f"w_sma_{n}") - 1).alias(f"w_dist_sma_{n}") for n in SMA),
            (pl.col("w_sma_20") / pl.col("w_sma_50") - 1).alias("w_sma_20_50"),
            *(since(n, RET.rolling_std(n) * 52**0.5).alias(f"w_vol_{n}") for n in (4, 12, 26, 52)),
            (100 * pl.col("w_atr_14") / C).alias("w_natr_14"),
            since(11, rs / rs.rolling_mean(12) - 1).alias(f"w_rs_{b}_norm"),
            since(4, rs / lag(rs, 4) - 1).alias(f"w_rs_{b}_slope"),
            pl.when(varied).then(covariance / var_y).alias(f"w_beta_{b}_52"),
            pl.when(varied).then(covariance / (var_x * var_y).sqrt()).alias(f"w_corr_{b}_52"),
        )
        .with_columns(
            (pl.col("w_macd") - pl.col("w_macd_signal")).alias("w_macd_hist"),
            since(23, (up - down) / pl.max_horizontal(up + down, 1)).alias("w_trend_score"),
            pl.when((K >= 23) & (up + down > 0)).then(up / (up + down)).alias("w_trend_alignment"),
            *(z(f"w_dist_sma_{n}", n + 10).alias(f"w_dist_sma_{n}_z") for n in SMA),
            pl.min_horizontal([pl.col(f"w_dist_sma_{n}").abs() for n in SMA]).alias("w_dist_sma_min"),
            z("w_sma_20_50", 60).alias("w_sma_20_50_z"),
        )
        .with_columns(
            score.sign().alias("w_trend_sign"), since(24, score - lag(score, 1)).alias("w_trend_score_change")
        )
        .with_columns(
            since(34, seeded_ewm(hist - lag(hist, 1), 0.5, 34, 1)).alias("w_macd_hist_slope"),
            since(23, seeded_ewm(sign, 2 / 11, 23, 1)).alias("w_trend_persistence"),
        )
        .select(
            "code",
            "week",
            (pl.col("week") * 7 + 1).cast(pl.Date).alias("w_week_end"),
            (K + 1).cast(pl.Int32).alias("w_bars"),
            pl.col("days").alias("w_days"),
            *(pl.col(name).alias(f"w_{name}") for name in ("open", "high", "low", "close", "volume")),
            *(pl.col(name).cast(pl.Float32) for name in estimates(b)),
        )
    )


def estimates(b: str) -> list[str]:
    """The features in the order of the output."""
    return [
        "w_ret", *(f"w_mom_{n}" for n in (4, 12, 26, 52)), *(f"w_rsi_{n}" for n in (14, 21, 30)),
        "w_macd", "w_macd_signal", "w_macd_hist", "w_macd_hist_slope",
        *(f"w_sma_{n}" for n in SMA), *(f"w_sma_{n}_slope" for n in SMA),
        *(f"w_trend_{name}" for name in ("score", "sign", "score_change", "persistence", "alignment")),
        *(f"w_dist_sma_{n}" for n in SMA), *(f"w_dist_sma_{n}_z" for n in SMA),
        "w_dist_sma_min", "w_sma_20_50", "w_sma_20_50_z", *(f"w_vol_{n}" for n in (4, 12, 26, 52)),
        "w_atr_14", "w_natr_14", "w_range", "w_high_52", "w_low_52", "w_position_52", "w_volume_ratio_12",
        f"w_rs_{b}", f"w_rs_{b}_norm", f"w_rs_{b}_slope", f"w_beta_{b}_52", f"w_corr_{b}_52",
    ]  # fmt: skip


def joined(daily: Frame, weekly: Frame) -> Frame:
    """Give each daily row the newest bar before its own week."""
    found = daily.join_asof(
        weekly, on="week", by="code", strategy="backward", allow_exact_matches=False, check_sortedness=False
    )
    return found.drop("week", "code")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--compression", default="zstd")
    parser.add_argument("--mode", choices=MODES, default="lazy")
    parser.add_argument("--hive", choices=("symbol", "year"), help="the column that the folders' names hold")
    options = parser.parse_args()
    source = options.input
    if source.is_dir():
        source = source / ("*/*.parquet" if options.hive else "*.parquet")
    # Text stays text: a symbol may look like a number.
    given: dict[str, Any] = {"hive_partitioning": options.hive is not None}
    if options.hive == "symbol":
        given["hive_schema"] = {"symbol": pl.String}
    written: dict[str, Any] = {
        "compression": options.compression,
        "compression_level": 1 if options.compression == "zstd" else None,
        "statistics": False,
        "row_group_size": ROW_GROUP_ROWS,
    }
    if options.mode == "eager":
        daily = daily_rows(pl.read_parquet(source, **given))
        joined(daily, features(weekly_bars(daily), options.benchmark)).write_parquet(options.output, **written)
    elif options.mode == "lazy":
        daily = daily_rows(pl.scan_parquet(source, **given).collect())
        weekly = features(weekly_bars(daily.lazy()), options.benchmark).collect()
        joined(daily.lazy(), weekly.lazy()).sink_parquet(options.output, **written)
    else:
        rows = streamed_rows(pl.scan_parquet(source, **given))
        weekly = features(weekly_bars(rows), options.benchmark).collect(engine="streaming")
        joined(rows, weekly.lazy()).sink_parquet(options.output, engine="streaming", **written)


if __name__ == "__main__":
    main()
