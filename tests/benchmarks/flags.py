"""What flags cost: whole builds without and with them, alternating, in the two layouts that differ most."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import layouts
from measure import alternating

TOOL = str(Path(sys.executable).with_name("weekly-cli"))
LAYOUTS = {"clustered": "clustered", "in date order": "date-order"}


def print_costs(
    description: str | None, flags: Mapping[str, Sequence[str]], figures: Sequence[str] = ("seconds",)
) -> None:
    """Print a line for each layout, each entry of `flags` but the first one, which is without, and each figure."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--symbols", type=int, default=4000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for name, layout in LAYOUTS.items():
        source = layouts.made_aside(options.folder, layout, symbols=options.symbols, years=options.years)
        build = [TOOL, "build", str(source), "-o", str(options.folder / "flags"), "-q"]
        runs = alternating({how: [*build, *given] for how, given in flags.items()}, options.rounds)
        without, *others = flags
        for how in others:
            for figure in figures:
                before, after = ([getattr(run, figure) for run in runs[each]] for each in (without, how))
                ratios = [b / a for a, b in zip(before, after, strict=True)]
                print(
                    f"{name}: {median(before):.2f} {figure}, with {how} {median(after):.2f}, "
                    f"{median(after) / median(before):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
                )
