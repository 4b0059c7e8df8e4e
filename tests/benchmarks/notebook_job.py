"""`add_weekly_features` as a notebook calls it: once, and then again and again in the same process.

python notebook_job.py INPUT
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import pandas as pd

import weekly_cli

CALLS = 20


def main() -> None:
    """Print the median milliseconds of the calls after the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input")
    options = parser.parse_args()
    prices = pd.read_parquet(options.input)
    spent = []
    for _ in range(CALLS + 1):
        began = time.perf_counter()
        weekly_cli.add_weekly_features(prices)
        spent.append(1000 * (time.perf_counter() - began))
    print(json.dumps({"first": spent[0], "milliseconds": statistics.median(spent[1:]), "rows": len(prices)}))


if __name__ == "__main__":
    main()
