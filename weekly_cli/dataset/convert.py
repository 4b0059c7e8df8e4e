"""Turns input that is not long Parquet into long Parquet, which from then on is read as any other.

A converted file stands for the user's own one, which is what messages, the fingerprint and the checks for changes refer
to. The bytes of converted files depend on the input only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import pyarrow as pa

from weekly_cli.dataset import delimited, wide
from weekly_cli.dataset.delimited import Layout
from weekly_cli.dataset.schema import DateReading
from weekly_cli.dataset.wide import Spans, WideFile, WideTable
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.files import delimited as text_files
from weekly_cli.files import discovery, parquet, records
from weekly_cli.files.discovery import Inputs
from weekly_cli.files.file_states import FileState, file_state
from weekly_cli.files.locations import Location
from weekly_cli.settings import Config

_SHOWN = 5


@dataclass(frozen=True)
class Conversion:
    """The input's files, and which of them are read in a converted form.

    Attributes
    ----------
    inputs : Inputs
        The user's own files.
    texts : mapping of path to Layout
        The files of delimited text.
    tables : mapping of path to WideTable
        The wide tables.
    converted : mapping of path to path
        The converted file of each.
    states : mapping of path to FileState
        The state of each of the user's files before it was converted.
    notes : tuple of str
        What was decided, in sentences for the plan and the report.
    """

    inputs: Inputs
    texts: Mapping[Location, Layout] = field(default_factory=dict)
    tables: Mapping[Location, WideTable] = field(default_factory=dict)
    converted: Mapping[Location, Location] = field(default_factory=dict)
    states: Mapping[Location, FileState] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def is_needed(self) -> bool:
        """Whether any file must be converted."""
        return bool(self.texts or self.tables)

    def first_row(self, path: Location) -> int | None:
        """Return the first row of a file of the user's that is read in a converted form; None: it has other rows."""
        return None if path in self.tables else 1

    def read_path(self, path: Location) -> Location:
        """Return the path under which a file of the user's is read."""
        return self.converted.get(path, path)

    def state(self, path: Location) -> FileState:
        """Return the state of a file of the user's when it was first read."""
        return self.states.get(path) or file_state(path)


def find(config: Config, output: Location | None) -> Conversion:
    """Return the input's files, and what is to be converted of them; nothing is written.

    If the first Parquet file is long, the others are not examined: opening thousands of files twice takes time.

    Raises
    ------
    InputRefused
        If there is no input, or a file can be understood in several ways.
    """
    inputs = discovery.find_inputs(config.input, output)
    texts, tables, states = {}, {}, {}
    are_wide = True
    for path, keys in inputs.files:
        state = file_state(path)
        if text_files.is_text(path):
            texts[path], states[path] = delimited.examine(path, config), state
        elif are_wide:
            table = wide.recognize(path, parquet.open_parquet(path).schema_arrow, config, keys)
            are_wide = table is not None
            if table is not None:
                tables[path], states[path] = table, state
    return Conversion(inputs, texts, tables, states=states)


def convert(found: Conversion, config: Config, folder: Location, on_values: Callable[[int, int], None]) -> Conversion:
    """Write the converted files to a folder.

    Parameters
    ----------
    found : Conversion
        What `find` has returned.
    config : Config
    folder : Location
    on_values : callable
        Called with the number of values that are done so far, and of all.

    Raises
    ------
    InputRefused
        If a file can't be decoded.
    UsageError
        If rows are to have the input's order, and there is a wide table.
    """
    with _pool_of_small_arrays():
        as_parquet = _as_parquet(found, folder, on_values)
        reading = DateReading(format=config.date_format, timezone=config.timezone)
        files = [WideFile(path, path, table, reading) for path, table in found.tables.items()]
        keys = dict(found.inputs.files)
        for path, target in as_parquet.items():
            table = wide.recognize(path, parquet.open_parquet(target).schema_arrow, config, keys[path])
            if table is not None:
                files.append(WideFile(path, target, table, reading))
        if files and config.order == "input":
            raise UsageError(
                f"{files[0].origin} is a wide table, whose values have no order as rows; leave out "
                f"{config.named('order')} input"
            )
        wide.refuse_fields_apart({file.origin: file.table for file in files}, config)
        spans, as_long = _as_long(files, folder, on_values)
    return replace(
        found,
        tables={file.origin: file.table for file in files},
        converted=as_parquet | as_long,
        notes=tuple(_notes(found.texts, files, spans)),
    )


@contextlib.contextmanager
def _pool_of_small_arrays() -> Iterator[None]:
    """Let Arrow allocate from a pool of its own.

    Thousands of columns are many small arrays, among which the system's allocator, which this process uses otherwise,
    frees little: 1.6 GB where mimalloc takes 0.3 GB, for a wide table of 5,000 columns in text.
    """
    before = pa.default_memory_pool()
    if "mimalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.mimalloc_memory_pool())
    try:
        yield
    finally:
        pa.default_memory_pool().release_unused()
        pa.set_memory_pool(before)


class _Progress:
    def __init__(self, total: int, on_values: Callable[[int, int], None]) -> None:
        self._done, self._total, self._on_values = 0, total, on_values

    def __call__(self, values: int) -> None:
        self._done += values
        self._on_values(self._done, self._total)


def _as_parquet(found: Conversion, folder: Location, on_rows: Callable[[int, int], None]) -> dict[Location, Location]:
    """Write files of delimited text as Parquet."""
    inferred = {path: delimited.infer(path, layout) for path, layout in found.texts.items()}
    if inferred and not any(rows for _, rows in inferred.values()):
        raise InputRefused(f"{next(iter(inferred))} has a header and no rows")
    progress = _Progress(sum(rows for _, rows in inferred.values()), on_rows)
    targets = {}
    for number, (path, (kinds, _)) in enumerate(inferred.items()):
        targets[path] = folder / f"text-{number:05d}.parquet"
        delimited.write_parquet(path, found.texts[path], kinds, targets[path], progress)
    return targets


def _as_long(
    files: Sequence[WideFile], folder: Location, on_values: Callable[[int, int], None]
) -> tuple[Spans, dict[Location, Location]]:
    """Write wide tables as long ones."""
    progress = _Progress(2 * sum(file.values for file in files), on_values)
    spans = Spans()
    for file in files:
        file.measure(spans, progress)
    targets = {}
    for number, file in enumerate(files):
        targets[file.origin] = folder / f"long-{number:05d}.parquet"
        file.melt(spans, targets[file.origin], progress)
    return spans, targets


@contextlib.contextmanager
def converted(config: Config, output: Location | None) -> Iterator[Conversion]:
    """Provide the input with converted files in a temporary folder, for as long as the context lasts."""
    found = find(config, output)
    if not found.is_needed:
        yield found
        return
    with records.scratch() as folder:
        yield convert(found, config, folder, lambda *_: None)


def _notes(texts: Mapping[Location, Layout], files: Sequence[WideFile], spans: Spans) -> Iterator[str]:
    if texts:
        delimiters = {_DELIMITERS[layout.delimiter] for layout in texts.values()}
        yield f"{'CSV' if len(texts) == 1 else f'{len(texts):,} CSV files'} with {' or '.join(sorted(delimiters))}"
    if files:
        count = f"{len(files):,} files, each " if len(files) > 1 else ""
        yield f"{count}{' or '.join(dict.fromkeys(file.table.what for file in files))}: {len(spans.tickers):,} tickers"
    if spans.without_value:
        yield f"no value at all, so no row: {_few(spans.without_value)}"
    left_out = dict.fromkeys(name for file in files for name in file.table.left_out)
    if left_out:
        yield f"columns left out: {_few([name or repr(name) for name in left_out])}"


_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _few(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(islice(names, _SHOWN)) + (f" and {more:,} more" if more > 0 else "")
