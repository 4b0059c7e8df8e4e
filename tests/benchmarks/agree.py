"""Check a peer's output against the tool's: the same rows, the same columns, how far the values are apart.

python agree.py OURS THEIRS
"""

from __future__ import annotations

import argparse

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def differences(ours: pa.Table, theirs: pa.Table) -> dict[str, tuple[int, float]]:
    """Return, for each column of `theirs`, the rows where one side only is null, and the largest relative difference.

    The difference of a value near zero is taken relative to a thousandth of the column's median magnitude.
    """
    return {name: _difference(ours.column(name), theirs.column(name)) for name in theirs.column_names}


def _difference(ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> tuple[int, float]:
    one_null = pc.sum(pc.xor(pc.is_null(ours), pc.is_null(theirs, nan_is_null=True))).as_py()
    if not pa.types.is_floating(ours.type):
        same = pc.equal(ours, theirs.cast(ours.type)).fill_null(True)
        return one_null, float(not pc.all(same).as_py())
    a, b = (column.cast(pa.float64()).to_numpy() for column in (ours, theirs))
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    floor = np.median(np.abs(a)) / 1000 if len(a) else 0.0
    return one_null, float(np.max(np.abs(a - b) / np.maximum(np.maximum(np.abs(a), floor), 1e-300), initial=0.0))


def main() -> None:
    """Print the columns, the worst first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ours")
    parser.add_argument("theirs")
    options = parser.parse_args()
    keys = [("symbol", "ascending"), ("date", "ascending")]
    ours, theirs = (pq.read_table(path).sort_by(keys) for path in (options.ours, options.theirs))
    missing = sorted(set(ours.column_names) - set(theirs.column_names))
    print(f"{len(ours):,} and {len(theirs):,} rows, {theirs.num_columns} columns, lacking: {', '.join(missing) or '-'}")
    for name, (nulls, apart) in sorted(differences(ours, theirs).items(), key=lambda item: item[1], reverse=True):
        print(f"{name:<24}{nulls:>10,} null on one side only{apart:>12.1e} relative difference")


if __name__ == "__main__":
    main()
