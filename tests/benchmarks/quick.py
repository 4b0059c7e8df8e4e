"""`make bench-quick`: has the tool become slower next to Polars? Two layouts of 1.5 million rows, under a minute.

Each ratio is compared with the one that `--record` has kept; one that has lost more than 15 % ends with code 1. Polars
runs in the mode that was its fastest when the record was made, so that only the tool can have changed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from figure import Figure
from peers import polars_ratio
from record import QUICK, keep, machine, versions
from sides import Bench

LAYOUTS = ("clustered", "symbol-files")
SYMBOLS, YEARS, ROUNDS = 1500, 4, 3
MOST_LOSS = 0.15


def verdict(figure: Figure, recorded: float) -> tuple[bool, str]:
    """Say whether a ratio is kept, and in words how it stands to the record."""
    loss = 1 - figure.value / recorded
    change = f"{100 * abs(loss):.0f} % {'less' if loss > 0 else 'more'} than the record's {recorded:.2f}"
    notes = f" ({figure.notes})" if figure.notes else ""
    kept = loss <= MOST_LOSS
    return kept, f"{figure.name}: {figure.value:.2f}, {change}{notes}{'' if kept else '  LOST'}"


def main() -> int:
    """Measure and judge; 1 where a ratio is lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--record", action="store_true", help="keep the ratios to compare later ones with")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    bench = Bench(options.folder, SYMBOLS, YEARS, options.rounds)
    recorded: dict[str, Any] = {} if options.record else json.loads(QUICK.read_text())["ratios"]
    ratios: dict[str, dict[str, object]] = {}
    kept = True
    for layout in LAYOUTS:
        source = bench.dataset(layout)
        if not options.record:
            bench.modes[source.path] = recorded[layout]["mode"]
        figure = polars_ratio(bench, source)
        if options.record:
            print(f"{figure.name}: {figure.value:.2f} ({figure.notes})", flush=True)
        else:
            good, words = verdict(figure, recorded[layout]["ratio"])
            kept &= good
            print(words, flush=True)
        ratios[layout] = {
            "ratio": figure.value,
            "rounds": list(figure.rounds),
            "mode": bench.best_mode(source),
            "seconds": {side: [run.seconds for run in runs] for side, runs in figure.runs.items()},
            "cpu_seconds": {side: [run.cpu_seconds for run in runs] for side, runs in figure.runs.items()},
        }
    if options.record:
        size = {"symbols": SYMBOLS, "years": YEARS, "rounds": options.rounds}
        keep(QUICK, {"machine": machine(), "versions": versions(), **size, "ratios": ratios})
    if not kept:
        print(f"a ratio has lost more than {100 * MOST_LOSS:.0f} %; was the machine busy? then run it again")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
