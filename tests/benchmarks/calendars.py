"""What an exchange's calendar, and the week of each symbol, cost: whole builds with and without them, alternating.

python tests/benchmarks/calendars.py --folder .bench --symbols 4000 --years 10
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
FLAGS = {"without": [], "--calendar XNYS": ["--calendar", "XNYS"], "--week auto": ["--week", "auto"]}


def main() -> None:
    """Print a line for each layout and flag."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--symbols", type=int, default=4000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name, layout in LAYOUTS.items():
        source = data.sample(options.folder, options.symbols, options.years, layout)
        build = [TOOL, "build", str(source), "-o", str(options.folder / "calendars"), "-q", "--available", "week-end"]
        runs = alternating({how: [*build, *flags] for how, flags in FLAGS.items()}, options.rounds)
        before, *others = FLAGS
        for how in others:
            ratios = [b.seconds / a.seconds for a, b in zip(runs[before], runs[how], strict=True)]
            seconds = [median(run.seconds for run in runs[each]) for each in (before, how)]
            print(
                f"{name}: {seconds[0]:.2f} s, with {how} {seconds[1]:.2f} s, {seconds[1] / seconds[0]:.2f} times "
                f"({min(ratios):.2f} to {max(ratios):.2f})"
            )


if __name__ == "__main__":
    main()
