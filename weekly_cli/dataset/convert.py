"""Turns input that is not long Parquet into long Parquet, which from then on is read as any other.

A converted file stands for the user's own one, which is what messages, the fingerprint and the checks for changes refer
to. The bytes of converted files depend on the input only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from weekly_cli.dataset import wide
from weekly_cli.dataset.wide import Spans, WideFile, WideTable
from weekly_cli.files import discovery, parquet, records
from weekly_cli.files.discovery import FileState, Inputs
from weekly_cli.settings import Config

_SHOWN = 5


@dataclass(frozen=True)
class Conversion:
    """The input's files, and which of them are read in a converted form.

    Attributes
    ----------
    inputs : Inputs
        The user's own files.
    tables : mapping of path to WideTable
        The files to convert, and what they are.
    converted : mapping of path to path
        The converted file of each.
    states : mapping of path to FileState
        The state of each of the user's files before it was converted.
    notes : tuple of str
        What was decided, in sentences for the plan and the report.
    """

    inputs: Inputs
    tables: Mapping[Path, WideTable] = field(default_factory=dict)
    converted: Mapping[Path, Path] = field(default_factory=dict)
    states: Mapping[Path, FileState] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def read_path(self, path: Path) -> Path:
        """Return the path under which a file of the user's is read."""
        return self.converted.get(path, path)

    def state(self, path: Path) -> FileState:
        """Return the state of a file of the user's when it was first read."""
        return self.states.get(path) or discovery.file_state(path)


def find(config: Config, output: Path | None) -> Conversion:
    """Return the input's files, and what is to be converted of them; nothing is written.

    If the first Parquet file is long, the others are not examined: opening thousands of files twice takes time.

    Raises
    ------
    InputRefused
        If there is no input, or a file can be understood in several ways.
    """
    inputs = discovery.find_inputs(config.input, output)
    tables, states = {}, {}
    for path, _ in inputs.files:
        state = discovery.file_state(path)
        table = wide.recognize(path, parquet.open_parquet(path).schema_arrow, config)
        if table is None:
            break
        tables[path], states[path] = table, state
    return Conversion(inputs, tables, states=states)


def convert(found: Conversion, folder: Path, on_values: Callable[[int, int], None]) -> Conversion:
    """Write the converted files to a folder.

    Parameters
    ----------
    found : Conversion
        What `find` has returned.
    folder : Path
    on_values : callable
        Called with the number of values that are done so far, and of all.

    Raises
    ------
    InputRefused
        If a file can't be decoded.
    """
    files = [WideFile(path, path, table) for path, table in found.tables.items()]
    done, total = 0, 2 * sum(file.values for file in files)

    def more(values: int) -> None:
        nonlocal done
        done += values
        on_values(done, total)

    spans = Spans()
    for file in files:
        file.measure(spans, more)
    converted = {}
    for number, file in enumerate(files):
        target = folder / f"{number:05d}.parquet"
        file.melt(spans, target, more)
        converted[file.origin] = target
    return Conversion(found.inputs, found.tables, converted, found.states, tuple(_notes(files, spans)))


@contextlib.contextmanager
def converted(config: Config, output: Path | None) -> Iterator[Conversion]:
    """Provide the input with converted files in a temporary folder, for as long as the context lasts."""
    found = find(config, output)
    if not found.tables:
        yield found
        return
    with records.scratch() as folder:
        yield convert(found, folder, lambda *_: None)


def _notes(files: Sequence[WideFile], spans: Spans) -> list[str]:
    kinds = dict.fromkeys(file.table.what for file in files)
    count = f"{len(files):,} files, each " if len(files) > 1 else ""
    notes = [f"{count}{' or '.join(kinds)}: {len(spans.tickers):,} tickers"]
    if spans.without_value:
        notes.append(f"no value at all, so no row: {_few(spans.without_value)}")
    left_out = dict.fromkeys(name for file in files for name in file.table.left_out)
    if left_out:
        notes.append(f"columns left out: {_few(list(left_out))}")
    return notes


def _few(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(islice(names, _SHOWN)) + (f" and {more:,} more" if more > 0 else "")
