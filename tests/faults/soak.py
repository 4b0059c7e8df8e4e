"""Random ends of random runs: `make soak`.

Each cycle starts a real command beside an old output, ends it (or one of its workers) at a random time of its length,
and holds that the old output is untouched or the new one whole, that no process is left after two seconds, and that
the same command then does all and leaves nothing.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
from frames import daily, lives, marked, names_beside, put, read, run_cli, seen, start_cli, wait_for, write_files

import weekly_cli

SECONDS = 60.0
#: How long a run may take to end when it is asked to.
MOST_SECONDS_TO_END = 5.0
MARKER = "SOAK"
STRATEGIES = ("direct", "batched", "per-symbol", "adaptive")
FIGURES = Path(__file__).with_name("soak.json")
COLUMNS = {
    "kind": "what ends it",
    "cycles": "runs",
    "old output": "old output stood",
    "new output": "new output was there",
    "wrong": "anything wrong",
    "median_seconds_to_end": "median s to end",
    "most_seconds_to_end": "most s to end",
}
KINDS = {"kill": "SIGKILL", "worker": "SIGKILL of a worker", "INT": "SIGINT", "TERM": "SIGTERM"}
SETTINGS = ("--jobs", "2", "--benchmark", "S000", "-q")


@dataclass(frozen=True)
class Cycle:
    """What came of a cycle; `wrong` says what did not hold, and is empty where all did."""

    kind: str
    layout: str
    name: str
    strategy: str
    after_seconds: float
    outcome: str
    seconds_to_end: float
    wrong: str


class Soak:
    """The data, and the length and result of each kind of undisturbed run."""

    def __init__(self, folder: Path, seed: int, symbols: int, days: int) -> None:
        self.folder, self.rng = folder, np.random.default_rng(seed)
        names = [f"S{number:03d}" for number in range(symbols)]
        for layout in ("date", "symbol"):
            write_files(daily(names, days, order=layout), folder / layout, 4)
        for name in ("out", "out.parquet"):
            weekly_cli.build(folder / "date", folder / "old" / name, features="w_close", jobs=1)

    def words(self, layout: str, output: Path, strategy: str) -> list[str]:
        return ["build", str(self.folder / layout), "-o", str(output), "--strategy", strategy, *SETTINGS]

    @functools.cache  # noqa: B019 - as long as the soak
    def undisturbed(self, layout: str, name: str, strategy: str) -> tuple[float, pa.Table]:
        output = self.folder / "wanted" / layout / strategy / name
        began = time.perf_counter()
        done = run_cli(*self.words(layout, output, strategy))
        assert done.returncode == 0, done.stderr
        return time.perf_counter() - began, read(output)

    def cycle(self, kind: str) -> Cycle:
        """Run one cycle; `kind` is kill, worker, INT or TERM."""
        layout, name = str(self.rng.choice(["date", "symbol"])), str(self.rng.choice(["out", "out.parquet"]))
        strategy = str(self.rng.choice(STRATEGIES[1:] if kind == "worker" else STRATEGIES))
        length, wanted = self.undisturbed(layout, name, strategy)
        after = float(self.rng.uniform(0, length))
        with tempfile.TemporaryDirectory(dir=self.folder) as here:
            output = Path(here) / name
            put(self.folder / "old" / name, output)
            old = seen(output)
            words = self.words(layout, output, strategy)
            with start_cli(*words, env={MARKER: here}) as process:
                time.sleep(after)
                ended = hit(process, kind, self.rng)
                try:
                    _, said = process.communicate(timeout=SECONDS)
                    seconds = time.perf_counter() - ended
                except subprocess.TimeoutExpired:
                    return Cycle(kind, layout, name, strategy, after, "hangs", SECONDS, "it hangs")
            # One in two goes on at once, while workers of the dead run may still be there.
            again = bool(self.rng.integers(2)) and kind != "worker"
            wrong = list(wrong_end(kind, process.returncode, said, seconds))
            if seen(output) != old and not read(output).equals(wanted):
                wrong.append("the output is neither the old nor the new one")
            outcome = "old output" if seen(output) == old else "new output"
            if again:
                wrong += wrong_again(words, output, wanted)
            if not wait_for(lambda: not marked(MARKER, here), 2):
                wrong.append("processes are left")
            if not again:
                wrong += wrong_again(words, output, wanted)
        return Cycle(kind, layout, name, strategy, after, outcome, seconds, "; ".join(wrong))


def hit(process: subprocess.Popen[str], kind: str, rng: np.random.Generator) -> float:
    """End a run, or one of its workers, and return when."""
    if kind == "worker":
        wait_for(lambda: bool(workers_of(process.pid)) or process.poll() is not None, SECONDS)
        workers = workers_of(process.pid)
        if workers:
            workers[int(rng.integers(len(workers)))].kill()
    elif kind == "INT":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    elif process.poll() is None:
        process.send_signal(signal.SIGKILL if kind == "kill" else signal.SIGTERM)
    return time.perf_counter()


def workers_of(parent: int) -> list[psutil.Process]:
    try:
        children = psutil.Process(parent).children()
        return [child for child in children if lives(child) and "popen_loky" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def wrong_end(kind: str, code: int, said: str, seconds: float) -> Iterator[str]:
    """Yield what is wrong with the end of a run; death by a signal is the shell's 128 and the signal."""
    wanted = {"kill": 128 + signal.SIGKILL, "worker": 0, "INT": 128 + signal.SIGINT, "TERM": 128 + signal.SIGTERM}
    found = 128 - code if code < 0 else code
    if found not in (0, wanted[kind]):
        yield f"exit code {code}: {said}"
    if kind in ("INT", "TERM") and seconds > MOST_SECONDS_TO_END:
        yield f"{seconds:.1f} s to end"


def wrong_again(words: Sequence[str], output: Path, wanted: pa.Table) -> Iterator[str]:
    """Run the same command undisturbed and yield what is wrong with it."""
    done = run_cli(*words)
    if (done.returncode, done.stderr) != (0, ""):
        yield f"the next run ends with {done.returncode}: {done.stderr}"
    elif not read(output).equals(wanted):
        yield "the next run's output is another"
    if names_beside(output) != [output.name]:
        yield f"left: {names_beside(output)}"


def soak(folder: Path, counts: dict[str, int], seed: int, symbols: int, days: int) -> list[Cycle]:
    """Run so many cycles of each kind, in random order."""
    one = Soak(folder, seed, symbols, days)
    kinds = one.rng.permutation([kind for kind, count in counts.items() for _ in range(count)])
    return [one.cycle(str(kind)) for kind in kinds]


def figures(cycles: Sequence[Cycle]) -> list[dict[str, object]]:
    """Counts by kind and outcome, and seconds to the end."""
    found = []
    for kind in sorted({cycle.kind for cycle in cycles}):
        those = [cycle for cycle in cycles if cycle.kind == kind]
        seconds = sorted(cycle.seconds_to_end for cycle in those)
        found.append(
            {
                "kind": kind,
                "cycles": len(those),
                **Counter(cycle.outcome for cycle in those),
                "wrong": sum(bool(cycle.wrong) for cycle in those),
                "median_seconds_to_end": round(seconds[len(seconds) // 2], 3),
                "most_seconds_to_end": round(seconds[-1], 3),
            }
        )
    return found


def table(rows: Sequence[dict[str, object]]) -> Iterator[str]:
    """Yield the lines of a Markdown table of the figures."""
    yield f"| {' | '.join(COLUMNS.values())} |"
    yield f"| --- |{' ---: |' * (len(COLUMNS) - 1)}"
    for row in rows:
        yield f"| {' | '.join(str(KINDS.get(str(row.get(name)), row.get(name, 0))) for name in COLUMNS)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep the figures for the README")
    for name, default in (("kills", 200), ("workers", 100), ("signals", 50), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    counts = {"kill": given.kills, "worker": given.workers, "INT": given.signals // 2, "TERM": -(-given.signals // 2)}
    with tempfile.TemporaryDirectory() as folder:
        cycles = soak(Path(folder), counts, given.seed, symbols=200, days=500)
    print("\n".join(table(figures(cycles))))
    wrong = [asdict(cycle) for cycle in cycles if cycle.wrong]
    print(json.dumps({"seed": given.seed, "wrong": wrong}, indent=2))
    if given.record:
        FIGURES.write_text(json.dumps(figures(cycles), indent=2) + "\n", encoding="utf-8")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
