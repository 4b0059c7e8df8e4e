"""`make bench-memory`: the memory limit holds for datasets ten times as large.

The sample with as many more columns of numbers as it takes, in every layout, built with one to four workers asked
for; the sum of the processes' proportional set sizes must stay within the limit.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import data
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import measured

TOOL = str(Path(sys.executable).with_name("weekly-cli"))
LAYOUTS = {"clustered": "symbol", "date order": "date", "one file a day": "day"}
LIMITS = {"512MiB": 2**29, "1GiB": 2**30}
TIMES = 10
JOBS = (1, 2, 3, 4)
SYMBOLS, YEARS = 4_000, 10
#: Of a row of the sample in memory: six prices, the volume, the date, two texts behind dictionaries.
SAMPLE_ROW_BYTES = 8 * 7 + 4 * 3
GROUP_ROWS = 64 * 1024


def wide(source: Path, limit: int) -> Path:
    """Return the dataset with more columns, so that it takes ten times `limit` in memory."""
    rows = sum(pq.ParquetFile(file).metadata.num_rows for file in source.glob("*.parquet"))
    columns = -(-(TIMES * limit // rows - SAMPLE_ROW_BYTES) // 8) + 1

    def make(path: Path) -> None:
        path.mkdir()
        for file in sorted(source.glob("*.parquet")):
            _write(file, path / file.name, columns)

    return data.made(source.with_name(f"{source.name}-wide-{columns}"), make)


def _write(source: Path, path: Path, columns: int) -> None:
    file = pq.ParquetFile(source)
    names = [f"own_{number}" for number in range(columns)]
    schema = pa.schema([*file.schema_arrow, *((name, pa.float64()) for name in names)])
    rng = np.random.default_rng(columns)
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=["symbol", "exchange"]) as writer:
        for batch in file.iter_batches(GROUP_ROWS):
            some = rng.integers(0, 100, batch.num_rows).astype(float)
            more = [pa.array(some + number) for number in range(columns)]
            writer.write_table(pa.table([*batch.columns, *more], schema=schema))


def trials(folder: Path, limits: list[str], jobs: list[int]) -> Iterator[dict[str, object]]:
    """Yield what every build held."""
    for limit, (name, layout) in itertools.product(limits, LAYOUTS.items()):
        source = wide(data.sample(folder, SYMBOLS, YEARS, layout), LIMITS[limit])
        for asked in jobs:
            output, report = folder / "limited", folder / "limited.json"
            options = ["--memory-limit", limit, "--jobs", str(asked), "--benchmark", "MARKET", "--quiet", "--overwrite"]
            command = [TOOL, "build", str(source), "--output", str(output), "--report", str(report), *options]
            run = measured(command, sample=True)
            said = json.loads(report.read_text())
            shutil.rmtree(output)
            yield {
                "limit": limit,
                "layout": name,
                "jobs": asked,
                "workers": said["workers"],
                "seconds": run.seconds,
                "peak_bytes": run.peak_bytes,
                "kept": run.peak_bytes <= LIMITS[limit],
            }
        shutil.rmtree(source)


def main() -> int:
    """Measure and judge; 1 where a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", action="append", choices=LIMITS)
    parser.add_argument("--jobs", action="append", type=int)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    found = []
    for trial in trials(options.folder, options.limit or list(LIMITS), options.jobs or list(JOBS)):
        print(
            f"{trial['limit']:<8}{trial['layout']:<16}--jobs {trial['jobs']}: {trial['workers']} at a time, "
            f"{trial['seconds']:.0f} s, peak {int(str(trial['peak_bytes'])) / 2**20:,.0f} MiB"
            f"{'' if trial['kept'] else '  EXCEEDED'}",
            flush=True,
        )
        found.append(trial)
    (options.folder / "memory.json").write_text(json.dumps(found, indent=2) + "\n")
    return 0 if all(trial["kept"] for trial in found) else 1


if __name__ == "__main__":
    sys.exit(main())
