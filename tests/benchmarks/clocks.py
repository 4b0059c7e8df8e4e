"""What months and quarters beside the week cost: whole builds, alternating.

python tests/benchmarks/clocks.py --folder .bench --symbols 4000 --years 10
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

import data
from measure import alternating

TOOL = str(Path(sys.executable).with_name("weekly-cli"))
LAYOUTS = {"clustered": "symbol", "in date order": "date-order"}
EVERY = ("week", "week,month,quarter")


def main() -> None:
    """Print a line for each layout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--symbols", type=int, default=4000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name, layout in LAYOUTS.items():
        source = data.sample(options.folder, options.symbols, options.years, layout)
        commands = {
            every: [TOOL, "build", str(source), "-o", str(options.folder / f"every-{every}"), "-q", "--every", every]
            for every in EVERY
        }
        runs = alternating(commands, options.rounds)
        one, three = (median(run.seconds for run in runs[every]) for every in EVERY)
        ratios = [b.seconds / a.seconds for a, b in zip(*runs.values(), strict=True)]
        print(
            f"{name}: {one:.2f} s, with months and quarters {three:.2f} s, {three / one:.2f} times "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
