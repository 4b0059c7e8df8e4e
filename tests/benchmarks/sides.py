"""The sizes, the datasets, and how each side is called."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import data
import layouts
from measure import Run, alternating, measured
from polars_job import MODES

HERE = Path(__file__).parent
TOOL = str(Path(sys.executable).with_name("weekly-cli"))
SAMPLE_BENCHMARK = "MARKET"


@dataclass(frozen=True)
class Dataset:
    """An input: where it is, what it is, with which symbol it is compared."""

    path: Path
    title: str = ""
    benchmark: str = SAMPLE_BENCHMARK
    hive: str | None = None
    codec: str = "zstd"


@dataclass(frozen=True)
class Bench:
    """What is measured on; what one figure finds out (a peer's best mode, the outputs' sizes) is there for others."""

    folder: Path
    symbols: int
    years: int
    rounds: int
    real: Path | None = None
    real_benchmark: str = "SPY"
    only: Sequence[str] = ()
    modes: dict[Path, str] = field(default_factory=dict)
    outputs: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def dataset(self, name: str) -> Dataset:
        """Return the sample's rows in a layout."""
        layout = layouts.LAYOUTS[name]
        path = layouts.made_aside(self.folder, name, symbols=self.symbols, years=self.years)
        return Dataset(path, layout.title, hive=layout.hive)

    def datasets(self, names: Sequence[str] = tuple(layouts.LAYOUTS)) -> Iterator[Dataset]:
        """Yield the sample's rows in those layouts that were asked for."""
        return (self.dataset(name) for name in names if self._asked(name))

    def real_datasets(self) -> Iterator[Dataset]:
        """Yield the rows from outside in their layouts."""
        for name, layout in layouts.REAL.items():
            if self.real is not None and self._asked(name):
                path = layouts.made_aside(self.folder, name, real=self.real)
                yield Dataset(path, f"{self.real.stem}, {layout.title}", self.real_benchmark)

    def _asked(self, name: str) -> bool:
        return not self.only or name in self.only

    def few_symbols(self, most: int) -> Dataset:
        """Return a part of the symbols, clustered."""
        return Dataset(data.sample(self.folder, min(most, self.symbols), self.years, "symbol"))

    @property
    def report(self) -> Path:
        """Where the tool puts its report."""
        return self.folder / "report.json"

    def ours(self, source: Dataset, *options: str, output: str = "ours") -> list[str]:
        """Return the tool's command."""
        command = [TOOL, "build", str(source.path), "--output", str(self.folder / output)]
        command += ["--benchmark", source.benchmark, "--compression", source.codec]
        return [*command, "--quiet", "--overwrite", *options]

    def peer(self, job: str, source: Dataset, *options: str) -> list[str]:
        """Return a peer's command."""
        command = [sys.executable, str(HERE / f"{job}_job.py"), str(source.path), str(self.folder / f"{job}.parquet")]
        return [*command, "--benchmark", source.benchmark, "--compression", source.codec, *options]

    def polars(self, source: Dataset, mode: str) -> list[str]:
        """Return Polars' command."""
        return self.peer("polars", source, "--mode", mode, *(["--hive", source.hive] if source.hive else []))

    def best_mode(self, source: Dataset) -> str:
        """Return the mode in which Polars is fastest on a dataset, after one try of each."""
        if source.path not in self.modes:
            took: dict[str, float] = {}
            fails: dict[str, str] = {}
            for mode in MODES:
                try:
                    took[mode] = measured(self.polars(source, mode)).seconds
                except RuntimeError as error:  # not every query streams, says Polars
                    fails[mode] = str(error).strip().splitlines()[-1]
            tried = [f"{mode} {spent:.2f} s" for mode, spent in took.items()]
            tried += [f"{mode} fails: {reason}" for mode, reason in fails.items()]
            if not took:
                raise RuntimeError(f"{source.title}: Polars {', '.join(tried)}")
            self.modes[source.path] = min(took, key=lambda mode: took[mode])
            print(f"  {source.title}: Polars {', '.join(tried)}; {self.modes[source.path]} is taken", flush=True)
        return self.modes[source.path]

    def both(self, source: Dataset) -> dict[str, list[str]]:
        """Return the tool's command, and Polars' at its best, for the same job."""
        return {"ours": self.ours(source), "polars": self.polars(source, self.best_mode(source))}

    def against_polars(self, source: Dataset) -> dict[str, list[Run]]:
        """Run both in turn and keep the sizes of what they have written."""
        runs = self.alternating(self.both(source))
        self.outputs[source.path] = written_bytes(self.folder / "ours"), written_bytes(self.folder / "polars.parquet")
        return runs

    def output_bytes(self, source: Dataset) -> tuple[int, int]:
        """Return the bytes that the tool and Polars write for a dataset; both run once unless they have."""
        if source.path not in self.outputs:
            replace(self, rounds=1).against_polars(source)
        return self.outputs[source.path]

    def alternating(self, commands: dict[str, list[str]]) -> dict[str, list[Run]]:
        """Run commands in turn, for the rounds asked for."""
        return alternating(commands, self.rounds)


def written_bytes(path: Path) -> int:
    """Return the bytes of a file, or of all Parquet files in a folder."""
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*.parquet"))
