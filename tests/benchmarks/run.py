"""`make bench`: how fast the tool is next to its peers, and next to what it promises.

Whole processes, alternating, medians; memory in an extra run, because sampling it takes time. All peers compute the
same columns with one benchmark symbol, and write with the same codec; Polars in the fastest of its modes. Each ratio is
taken from each round alone, too: where the rounds disagree, the line says so. Prints a table and writes every run as
JSON.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import layouts
import own
import peers
from figure import Figure
from record import FIGURES as RECORD
from record import keep, machine, versions
from sides import Bench

#: The groups of figures by the name that `--only` takes, in the order of the table.
FIGURES: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "time": peers.polars_time,
    "real": peers.real_time,
    "size": peers.polars_size,
    "memory": peers.polars_memory,
    "snappy": peers.snappy_time,
    "floor": peers.floor,
    "replaced": peers.replaced_rate,
    "scenarios": peers.scenarios,
    "cores": own.cores,
    "small": own.small,
    "start": own.start,
    "notebook": own.notebook,
    "one-file": own.one_file,
    "writers": own.writers,
    "two-features": own.two_features,
    "duckdb": peers.duckdb_time,
}


def line(figure: Figure) -> str:
    """Return a figure as a line of the table."""
    peer = "" if figure.peer is None else f"{figure.peer:.2f}"
    bound = aim = verdict = ""
    if figure.target is not None:
        sign = ">=" if figure.target.more_is_better else "<="
        bound, aim = f"{sign} {figure.target.bound:g}", f"{figure.target.aim:g}"
        verdict = "" if figure.target.met(figure.value) else "  MISSED"
    numbers = f"{figure.ours:>10.2f}{peer:>10} {figure.unit:<10}{figure.value:>8.2f}{bound:>9}{aim:>6}"
    notes = f"  ({figure.notes})" if figure.notes else ""
    return f"{figure.name:<84}{numbers}{verdict}{notes}"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--symbols", type=int, default=4000)
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--real", type=Path, help="a Parquet file from outside")
    parser.add_argument("--real-benchmark", default="SPY", help="its symbol to compare with")
    parser.add_argument("--only", action="append", choices=FIGURES, help="only these figures; repeatable")
    parser.add_argument(
        "--layout",
        action="append",
        choices=sorted({*layouts.LAYOUTS, *layouts.REAL}),
        help="only these layouts, of time, real, size, memory, floor and duckdb; repeatable",
    )
    parser.add_argument("--folder", type=Path, default=Path(".bench"))
    parser.add_argument(
        "--record", action="store_true", help="keep the figures for the README; with --only, in the place of those"
    )
    options = parser.parse_args()
    if options.record and options.layout:
        parser.error("--record keeps all layouts of a group; leave --layout out")
    return options


def typed(options: argparse.Namespace) -> str:
    """Return the command without the folders of this machine."""
    names = {str(path): path.name for path in (options.real, options.folder) if path is not None}
    return shlex.join(["python", "tests/benchmarks/run.py", *(names.get(word, word) for word in sys.argv[1:])])


def with_groups(record: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return a record with new figures in the place of those of the same groups.

    Raises
    ------
    SystemExit
        If the record is of another machine, size or version.
    """
    same = ("versions", "symbols", "years", "rounds")
    other = [name for name in same if record[name] != new[name]]
    if other or any(record["machine"][name] != new["machine"][name] for name in ("cores", "cpu", "memory_bytes")):
        raise SystemExit(f"the record has other {', '.join(other) or 'machine'}; record all groups in one run")
    by_group: dict[str, list[dict[str, Any]]] = {group: [] for group in FIGURES}
    renewed = {figure["group"] for figure in new["figures"]}
    for figure in (*(one for one in record["figures"] if one["group"] not in renewed), *new["figures"]):
        by_group[figure["group"]].append(figure)
    return record | {"figures": [figure for some in by_group.values() for figure in some]}


def main() -> None:
    """Measure and report."""
    options = arguments()
    options.folder.mkdir(exist_ok=True)
    size = (options.symbols, options.years, options.rounds)
    bench = Bench(options.folder, *size, options.real, options.real_benchmark, options.layout or ())
    print(f"{'figure':<84}{'ours':>10}{'peer':>10} {'unit':<10}{'value':>8}{'bound':>9}{'aim':>6}")
    figures = []
    for group in options.only or FIGURES:
        for figure in FIGURES[group](bench):
            print(line(figure), flush=True)
            figures.append({"group": group, **figure.to_dict()})
    result = {
        "command": typed(options),
        "machine": machine(),
        "versions": versions(),
        "symbols": options.symbols,
        "years": options.years,
        "rounds": options.rounds,
        "figures": figures,
    }
    keep(options.folder / "bench.json", result)
    if options.record:
        keep(RECORD, with_groups(json.loads(RECORD.read_text()), result) if options.only else result)


if __name__ == "__main__":
    main()
