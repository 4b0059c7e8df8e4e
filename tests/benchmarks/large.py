"""`make bench-large`: forty years of ten thousand symbols in a gibibyte.

Builds some hundred million rows and a tenth of them under one memory limit, each in date order and clustered by
symbol, and holds that a row costs the same in both and that the process tree stays within the limit.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import data
from measure import measured

TOOL = str(Path(sys.executable).with_name("weekly-cli"))
LAYOUTS = {"date order": "date", "clustered": "symbol"}
LIMIT_BYTES = {"1GiB": 2**30, "2GiB": 2**31, "4GiB": 2**32}
#: Bytes a row of the sample (by date, the larger), of the bundles and of the output; both layouts' inputs are kept.
INPUT_ROW_BYTES = 2 * 23
BUNDLE_ROW_BYTES = 60
OUTPUT_ROW_BYTES = 55
EXIT_NO_ROOM = 5
MOST_COST_RATIO = 1.1


@dataclass(frozen=True)
class Cost:
    """What a build cost."""

    rows: int
    seconds: float
    peak_bytes: int

    @property
    def seconds_per_million(self) -> float:
        """Wall seconds for a million rows."""
        return self.seconds / (self.rows / 1e6)


def needed_bytes(sizes: list[tuple[int, int]]) -> int:
    """Return the disk that datasets of (symbols, years) need, and the build of the largest of them."""
    rows = [symbols * years * data.SESSIONS_A_YEAR for symbols, years in sizes]
    return sum(rows) * INPUT_ROW_BYTES + max(rows) * (BUNDLE_ROW_BYTES + OUTPUT_ROW_BYTES)


def build(source: Path, folder: Path, limit: str) -> Cost:
    """Build a dataset under a memory limit and remove the output."""
    output, report = folder / "large", folder / "large-report.json"
    command = [TOOL, "build", str(source), "--output", str(output), "--memory-limit", limit, "--benchmark", "MARKET"]
    run = measured([*command, "--report", str(report), "--quiet", "--overwrite"], sample=True)
    shutil.rmtree(output)
    return Cost(json.loads(report.read_text())["rows"], run.seconds, run.peak_bytes)


def main() -> int:
    """Measure and judge; 1 where a promise is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=10_000)
    parser.add_argument("--years", type=int, default=40)
    parser.add_argument("--base-symbols", type=int, default=4_000)
    parser.add_argument("--base-years", type=int, default=10)
    parser.add_argument("--memory-limit", choices=LIMIT_BYTES, default="1GiB")
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    sizes = {"base": (options.base_symbols, options.base_years), "large": (options.symbols, options.years)}
    needed, free = needed_bytes(list(sizes.values())), shutil.disk_usage(options.folder).free
    if needed > free:
        print(f"{needed / 2**30:.0f} GiB of disk are needed in {options.folder}, {free / 2**30:.0f} GiB are free")
        return EXIT_NO_ROOM
    result: dict[str, object] = {"memory_limit": options.memory_limit}
    kept = True
    for name, layout in LAYOUTS.items():
        base, large = (
            build(data.sample(options.folder, *size, layout), options.folder, options.memory_limit)
            for size in sizes.values()
        )
        ratio = large.seconds_per_million / base.seconds_per_million
        peak = max(base.peak_bytes, large.peak_bytes)
        kept &= ratio <= MOST_COST_RATIO and peak < LIMIT_BYTES[options.memory_limit]
        for cost in (base, large):
            print(
                f"{name:<12}{cost.rows:>14,} rows{cost.seconds:>9.1f} s{cost.seconds_per_million:>8.3f} s a million"
                f"{cost.peak_bytes / 2**20:>8,.0f} MiB"
            )
        print(f"{name}: a row costs {ratio:.2f} x (at most {MOST_COST_RATIO}), peak {peak / 2**20:,.0f} MiB")
        result[name] = {
            "rows": [base.rows, large.rows],
            "seconds": [base.seconds, large.seconds],
            "seconds_per_million": [base.seconds_per_million, large.seconds_per_million],
            "peak_bytes": [base.peak_bytes, large.peak_bytes],
            "ratio": ratio,
        }
    (options.folder / "large.json").write_text(json.dumps(result | {"kept": kept}, indent=2) + "\n")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
