"""`make bench-large`: forty years of ten thousand symbols in a gibibyte, and forty thousand small files.

Builds a million rows, ten and some hundred million under one memory limit, in three layouts, and holds that a row costs
the same in all and that the process tree stays within the limit. What a run takes before its first row is measured on
one of a few rows and is not counted as the rows'. Then builds a file a symbol of 40,000 symbols, 250 rows each.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import data
import layouts
import pyarrow.compute as pc
import pyarrow.parquet as pq
from measure import measured
from record import keep

TOOL = str(Path(sys.executable).with_name("weekly-cli"))
LAYOUTS = ("clustered", "year", "date-order")
SIZES = ("400x10", "4000x10", "10000x40")
FILES = 40_000
LIMIT_BYTES = {"1GiB": 2**30, "2GiB": 2**31, "4GiB": 2**32}
#: Bytes a row of the sample (by date, the larger), of the bundles and of the output; all layouts' inputs are kept.
INPUT_ROW_BYTES = 23 * len(LAYOUTS)
BUNDLE_ROW_BYTES = 60
OUTPUT_ROW_BYTES = 55
#: A small file takes whole blocks of the disk, and has a footer of its own.
FILE_BYTES = 16 * 1024
EXIT_NO_ROOM = 5
#: The shortest start of these is taken, which counts the most as the rows'.
START_ROUNDS = 3
MOST_COST_RATIO = 1.1


@dataclass(frozen=True)
class Cost:
    """What a build cost; `start_seconds` is what one of a few rows takes."""

    rows: int
    seconds: float
    peak_bytes: int
    start_seconds: float = 0.0

    @property
    def seconds_per_million(self) -> float:
        """Wall seconds for a million rows, without the start."""
        return (self.seconds - self.start_seconds) / (self.rows / 1e6)

    def to_dict(self) -> dict[str, float]:
        """Return the cost as JSON has it."""
        per_million = self.seconds_per_million
        return {
            "rows": self.rows,
            "seconds": self.seconds,
            "seconds_per_million": per_million,
            "peak_bytes": self.peak_bytes,
        }

    def line(self, name: str) -> str:
        """Return the cost as a line of the table."""
        return (
            f"{name:<44}{self.rows:>14,} rows{self.seconds:>9.1f} s{self.seconds_per_million:>8.3f} s a million"
            f"{self.peak_bytes / 2**20:>8,.0f} MiB"
        )


def size(text: str) -> tuple[int, int]:
    """Read a size such as 4000x10: symbols and years."""
    symbols, _, years = text.partition("x")
    return int(symbols), int(years)


def needed_bytes(sizes: list[tuple[int, int]]) -> int:
    """Return the disk that datasets of (symbols, years) need, and the build of the largest of them."""
    rows = [symbols * years * data.SESSIONS_A_YEAR for symbols, years in sizes]
    return sum(rows) * INPUT_ROW_BYTES + max(rows) * (BUNDLE_ROW_BYTES + OUTPUT_ROW_BYTES)


def build(source: Path, folder: Path, limit: str, start_seconds: float = 0.0) -> Cost:
    """Build a dataset under a memory limit, once for the time and once for the memory, whose sampling takes time."""
    output, report = folder / "large", folder / "large-report.json"
    command = [TOOL, "build", str(source), "--output", str(output), "--memory-limit", limit, "--benchmark", "MARKET"]
    command += ["--report", str(report), "--quiet", "--overwrite"]
    seconds = measured(command).seconds
    shutil.rmtree(output)
    peak_bytes = measured(command, sample=True).peak_bytes
    shutil.rmtree(output)
    return Cost(json.loads(report.read_text())["rows"], seconds, peak_bytes, start_seconds)


def small_files(folder: Path, files: int) -> tuple[Path, Path]:
    """Return a year of as many symbols, a file each, and the same rows clustered in a few files."""
    clustered = data.sample(folder, files, 1, "symbol")

    def make(path: Path) -> None:
        path.mkdir()
        for file in sorted(clustered.glob("*.parquet")):
            # A row group has complete symbols, so this holds one of them at a time.
            parquet = pq.ParquetFile(file)
            for group in range(parquet.num_row_groups):
                rows = parquet.read_row_group(group)
                ends = pc.run_end_encode(rows.column("symbol").combine_chunks()).run_ends.to_pylist()
                for start, stop in itertools.pairwise([0, *ends]):
                    one = rows.slice(start, stop - start)
                    pq.write_table(one, path / f"{quote(one.column('symbol')[0].as_py(), safe='')}.parquet")

    return data.made(folder / f"small-files-{files}", make), clustered


def main() -> int:
    """Measure and judge; 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=("rows", "files"), help="only this part; repeatable")
    parser.add_argument("--size", action="append", type=size, metavar="SYMBOLSxYEARS", help="repeatable")
    parser.add_argument("--layout", action="append", choices=LAYOUTS, help="repeatable")
    parser.add_argument("--files", type=int, default=FILES, help="how many small files")
    parser.add_argument("--memory-limit", choices=LIMIT_BYTES, default="1GiB")
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    parts, sizes = options.only or ("rows", "files"), options.size or [size(text) for text in SIZES]
    needed = {"rows": needed_bytes(sizes), "files": options.files * FILE_BYTES + needed_bytes([(options.files, 1)])}
    most, free = sum(needed[part] for part in parts), shutil.disk_usage(options.folder).free
    if most > free:
        print(f"{most / 2**30:.0f} GiB of disk are needed in {options.folder}, {free / 2**30:.0f} GiB are free")
        return EXIT_NO_ROOM
    limit = options.memory_limit
    few_rows = data.scenario(options.folder, 20, 100)
    starts = [build(few_rows, options.folder, limit) for _ in range(START_ROUNDS)]
    start = min(starts, key=lambda cost: cost.seconds)
    print(start.line("the start: 20 symbols x 100 days"), flush=True)
    result: dict[str, object] = {"memory_limit": limit, "start": start.to_dict()}
    kept = True
    if "rows" in parts:
        for layout in options.layout or LAYOUTS:
            costs = rows_of(layout, sizes, options.folder, limit, start.seconds)
            ratio, peak = cost_ratio(costs), max(cost.peak_bytes for cost in costs)
            kept &= ratio <= MOST_COST_RATIO and peak < LIMIT_BYTES[limit]
            print(
                f"{layout}: a row costs up to {ratio:.2f} x (at most {MOST_COST_RATIO}), peak {peak / 2**20:,.0f} MiB"
            )
            result[layout] = {"costs": [cost.to_dict() for cost in costs], "ratio": ratio}
    if "files" in parts:
        sources = small_files(options.folder, options.files)
        many, few = (build(source, options.folder, limit, start.seconds) for source in sources)
        print(many.line(f"{options.files:,} files of {many.rows / options.files:.0f} rows"), flush=True)
        print(few.line("the same rows, clustered in a few files"))
        extra = 1000 * (many.seconds - few.seconds) / options.files
        print(f"a file costs {extra:.2f} ms, peak {many.peak_bytes / 2**20:,.0f} MiB")
        kept &= max(many.peak_bytes, few.peak_bytes) < LIMIT_BYTES[limit]
        result["files"] = {"many": many.to_dict(), "few": few.to_dict(), "milliseconds_a_file": extra}
    keep(options.folder / "large.json", result | {"kept": kept})
    return 0 if kept else 1


def rows_of(layout: str, sizes: list[tuple[int, int]], folder: Path, limit: str, start_seconds: float) -> list[Cost]:
    """Build a layout in all sizes."""
    costs = []
    for symbols, years in sizes:
        source = layouts.made_aside(folder, layout, symbols=symbols, years=years)
        costs.append(build(source, folder, limit, start_seconds))
        print(costs[-1].line(layouts.LAYOUTS[layout].title), flush=True)
    return costs


def cost_ratio(costs: list[Cost]) -> float:
    """Return by what factor the dearest row is dearer than the cheapest.

    >>> cost_ratio([Cost(10**6, 1.5, 0, 0.5), Cost(10**7, 12.5, 0, 0.5)])
    1.2
    """
    per_million = [cost.seconds_per_million for cost in costs]
    return max(per_million) / min(per_million)


if __name__ == "__main__":
    sys.exit(main())
