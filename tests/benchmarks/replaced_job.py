"""The same job by the method that the tool replaces: pandas, one symbol at a time, in joblib's processes.

A group-by cuts the rows into a frame a symbol; each frame is pickled to a worker, which makes its bars, all of its
features and its daily rows in one step, and is pickled back.

    python replaced_job.py INPUT OUTPUT.parquet --benchmark SYMBOL --compression zstd
"""

from __future__ import annotations

import argparse
from typing import cast

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

SMA = (20, 50, 100, 200)
FACTS = ["week_end", "bars", "days", "open", "high", "low", "close", "volume"]


def weekly_bars(daily: pd.DataFrame) -> pd.DataFrame:
    """Return the bars of one symbol by the last day of their week."""
    values = daily[["open", "high", "low", "close", "volume"]].astype("float64")
    prices = values.where(np.isfinite(values) & (values > 0))
    prices["volume"] = values["volume"].where(values["volume"] >= 0)
    prices = prices.set_index(pd.to_datetime(daily["date"])).dropna(subset="close")
    weeks = prices.resample("W-FRI")
    bars = weeks.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
    closes = weeks["close"].agg(["first", "max", "min", "count"])
    for name, instead in (("open", "first"), ("high", "max"), ("low", "min")):
        bars[name] = bars[name].fillna(closes[instead])
    bars["days"] = closes["count"]
    return bars[bars["days"] > 0]


def seeded_ewm(x: pd.Series, alpha: float, n_seed: int) -> pd.Series:
    """Exponential average whose first value is the mean of the first `n_seed`."""
    x = x.dropna()
    seeded = x.iloc[n_seed - 1 :].copy()
    seeded.iloc[:1] = x.iloc[:n_seed].mean()
    return seeded.ewm(alpha=alpha, adjust=False).mean()


def log_return(close: pd.Series) -> pd.Series:
    return cast(pd.Series, np.log(close / close.shift()))


def rsi(close: pd.Series, n: int) -> pd.Series:
    change = close.diff()
    gain = seeded_ewm(change.clip(lower=0), 1 / n, n)
    loss = seeded_ewm(-change.clip(upper=0), 1 / n, n)
    total = gain + loss
    return 100 * gain / total.where(total > 0)


def z_score(x: pd.Series) -> pd.Series:
    window = x.rolling(12)
    deviation = window.std(ddof=0)
    return (x - window.mean()) / deviation.where(deviation > 1e-14)


def features(bars: pd.DataFrame, bench: pd.Series, b: str) -> pd.DataFrame:
    """Return the weekly columns of one symbol; `bench` are the closes to compare with, by week."""
    close, high, low, volume = bars["close"], bars["high"], bars["low"], bars["volume"]
    out: dict[str, pd.Series] = {}
    ret = out["w_ret"] = log_return(close)
    for n in (4, 12, 26, 52):
        out[f"w_mom_{n}"] = close / close.shift(n) - 1
    for n in (14, 21, 30):
        out[f"w_rsi_{n}"] = rsi(close, n)
    line = seeded_ewm(close.iloc[14:], 2 / 13, 12) - seeded_ewm(close, 2 / 27, 26)
    signal = seeded_ewm(line, 2 / 10, 9)
    out["w_macd"], out["w_macd_signal"] = line.reindex(signal.index), signal
    hist = out["w_macd_hist"] = line - signal
    out["w_macd_hist_slope"] = hist.diff().ewm(span=3, adjust=False).mean()
    for n in SMA:
        out[f"w_sma_{n}"] = close.rolling(n).mean()
    for n in SMA:
        out[f"w_sma_{n}_slope"] = out[f"w_sma_{n}"] / out[f"w_sma_{n}"].shift(4) - 1
    slopes = pd.concat([out[f"w_sma_{n}_slope"] for n in SMA], axis=1)
    up, down = (slopes > 1e-5).sum(axis=1), (slopes < -1e-5).sum(axis=1)
    score = out["w_trend_score"] = ((up - down) / (up + down).clip(lower=1)).where(slopes.notna().any(axis=1))
    sign = out["w_trend_sign"] = np.sign(score)
    out["w_trend_score_change"] = score.diff()
    out["w_trend_persistence"] = sign.ewm(span=10, adjust=False).mean()
    out["w_trend_alignment"] = up / (up + down).where(up + down > 0)
    for n in SMA:
        out[f"w_dist_sma_{n}"] = close / out[f"w_sma_{n}"] - 1
    for n in SMA:
        out[f"w_dist_sma_{n}_z"] = z_score(out[f"w_dist_sma_{n}"])
    out["w_dist_sma_min"] = pd.concat([out[f"w_dist_sma_{n}"].abs() for n in SMA], axis=1).min(axis=1)
    out["w_sma_20_50"] = out["w_sma_20"] / out["w_sma_50"] - 1
    out["w_sma_20_50_z"] = z_score(out["w_sma_20_50"])
    for n in (4, 12, 26, 52):
        out[f"w_vol_{n}"] = ret.rolling(n).std() * np.sqrt(52)
    before = close.shift()
    true_range = (high.clip(lower=before) - low.clip(upper=before)).iloc[1:]
    out["w_atr_14"] = seeded_ewm(true_range, 1 / 14, 14)
    out["w_natr_14"] = 100 * out["w_atr_14"] / close
    out["w_range"] = (high - low) / close
    highest, lowest = high.rolling(52).max(), low.rolling(52).min()
    out["w_high_52"], out["w_low_52"] = close / highest - 1, close / lowest - 1
    out["w_position_52"] = (close - lowest) / (highest - lowest).where(highest > lowest)
    mean_volume = volume.rolling(12).mean()
    out["w_volume_ratio_12"] = volume / mean_volume.where(mean_volume > 0)
    same_weeks = bench.reindex(bars.index)
    rs = out[f"w_rs_{b}"] = close / same_weeks
    out[f"w_rs_{b}_norm"] = rs / rs.rolling(12).mean() - 1
    out[f"w_rs_{b}_slope"] = rs / rs.shift(4) - 1
    bench_ret = log_return(same_weeks)
    variance = bench_ret.rolling(52).var()
    out[f"w_beta_{b}_52"] = ret.rolling(52).cov(bench_ret) / variance.where(variance > 1e-18)
    out[f"w_corr_{b}_52"] = ret.rolling(52).corr(bench_ret)
    estimates = pd.DataFrame(out, index=bars.index).astype("float32")
    facts = bars.assign(week_end=bars.index, bars=np.arange(1, len(bars) + 1, dtype="int32"))[FACTS].add_prefix("w_")
    return pd.concat([facts.astype({"w_days": "int16"}), estimates], axis=1)


def one_symbol(daily: pd.DataFrame, bench: pd.Series, b: str) -> pd.DataFrame:
    """Return the daily rows of one symbol with the weekly columns of the newest week before their own."""
    daily = daily.sort_values("date", ignore_index=True)
    weekly = features(weekly_bars(daily), bench, b)
    weekly.index = weekly.index.astype("datetime64[us]")
    day = pd.to_datetime(daily["date"]).astype("datetime64[us]")
    seen = pd.merge_asof(day.to_frame("day"), weekly, left_on="day", right_index=True, allow_exact_matches=False)
    return pd.concat([daily, seen.drop(columns="day")], axis=1)


def main() -> None:
    """Run the job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--benchmark", required=True)
    parser.add_argument("--compression", default="zstd")
    options = parser.parse_args()
    daily = pd.read_parquet(options.input)
    frames = dict(list(daily.groupby("symbol")))
    bench = weekly_bars(frames[options.benchmark])["close"]
    name = options.benchmark.lower()
    done = Parallel(n_jobs=-1)(delayed(one_symbol)(frame, bench, name) for frame in frames.values())
    level = {"compression_level": 1} if options.compression == "zstd" else {}
    result = pd.concat(done, ignore_index=True)
    result["w_week_end"] = result["w_week_end"].dt.date
    result.to_parquet(options.output, compression=options.compression, index=False, **level)


if __name__ == "__main__":
    main()
