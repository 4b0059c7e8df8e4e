"""What could be had if tasks began before the partition has ended: which could, and what the cores leave idle.

python tests/benchmarks/overlap.py --folder .bench --symbols 4000 --years 10
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import layouts

from weekly_cli.run import resources
from weekly_cli.run.partition import partition
from weekly_cli.run.pipeline import build, plan_only
from weekly_cli.settings import from_python, resolve

_ROUNDS = 3


def main() -> None:
    """Print a line for each layout that is partitioned."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument("--symbols", type=int, default=4000)
    parser.add_argument("--years", type=int, default=10)
    options = parser.parse_args()
    cpus = resources.probe().cpus
    for name, layout in layouts.LAYOUTS.items():
        source = layouts.made_aside(options.folder, name, symbols=options.symbols, years=options.years)
        scan, plan = plan_only(resolve(from_python({"input": str(source), "output": str(options.folder / "none")})))
        if not plan.partition:
            continue
        idle, builds, early = [], [], 0
        for _ in range(_ROUNDS):
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                began, cpu_began = time.perf_counter(), time.process_time()
                done = partition(scan, plan, scan.footers.schema, f"{folder}/".__add__, cpus, lambda _: None)
                idle.append(cpus * (time.perf_counter() - began) - (time.process_time() - cpu_began))
                runs = [sum(len(groups) for _, groups in fragments.runs) for fragments in done.fragments]
                early = sum(count < max(runs) for count in runs)
                builds.append(build(source, Path(folder) / "out").seconds["total"])
        print(
            f"{layout.title}: {early} of {len(plan.tasks)} tasks lack rows of one of the {max(runs)} chunks; "
            f"{median(idle):.2f} s of {cpus} cores are idle, so at most {median(idle) / cpus / median(builds):.1%} of "
            f"a build's {median(builds):.2f} s"
        )


if __name__ == "__main__":
    main()
