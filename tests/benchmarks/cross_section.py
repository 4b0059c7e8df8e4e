"""What ranks across symbols cost: whole builds with and without them, alternating.

python tests/benchmarks/cross_section.py --folder .bench --symbols 4000 --years 10
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
FLAGS = {"without": [], "with": ["--cross-section", "rank(w_mom_12), zscore(w_vol_26)"]}


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
            how: [TOOL, "build", str(source), "-o", str(options.folder / f"cross-{how}"), "-q", *flags]
            for how, flags in FLAGS.items()
        }
        runs = alternating(commands, options.rounds)
        ratios = [b.seconds / a.seconds for a, b in zip(*runs.values(), strict=True)]
        for figure in ("seconds", "cpu_seconds"):
            one, both = (median(getattr(run, figure) for run in runs[how]) for how in FLAGS)
            print(f"{name}: {one:.2f} {figure}, with ranks {both:.2f}, {both / one:.2f} times")
        print(f"{name}: of single rounds {min(ratios):.2f} to {max(ratios):.2f} times as long")


if __name__ == "__main__":
    main()
