"""What identifies a run, and which of its work is proven done: its fingerprint, its identity, and its journal.

The journal is in the work folder. Its lines, each with its own checksum, record the run's identity, how it was cut
into tasks, and the size and the checksum of all bytes of every finished file: a later run reuses only files that are
unchanged, not every file that exists.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from weekly_cli import __version__
from weekly_cli.compute.bars import Quality
from weekly_cli.compute.features import VISIBLE_FROM
from weekly_cli.compute.suspects import Suspicion
from weekly_cli.dataset.as_of import hashes, moment_of, path_of
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.written import written_columns
from weekly_cli.errors import UsageError, WeeklyError
from weekly_cli.files import discovery, disk, parquet
from weekly_cli.files.locations import Location, is_local, location
from weekly_cli.files.store import OutputStore
from weekly_cli.names import PREFIX, PRICE_ROLES, written_name
from weekly_cli.run.part_names import part_span
from weekly_cli.run.partition import Fragments, Partitioned
from weekly_cli.run.repeats import Repeats
from weekly_cli.run.task import Outcome, Task
from weekly_cli.run.wanted import Wanted
from weekly_cli.settings import Config, from_python, resolve

#: An output's metadata, which every part has, names no more inputs than this if fewer folders list the same files.
_MOST_NAMED_INPUTS = 20


def fingerprint(footers: Footers, config: Config, wanted: Wanted) -> str:
    """Return 32 hexadecimal digits that differ where the input, a setting, a feature or the tool differs.

    The input is represented by its files' names and row group sizes, not by its bytes or its location; the sector map,
    the symbol map and the calendar map by their content, and calendars by the version of the library that has them. A
    sector map of columns is a part of the input.
    """
    names = _names_of_files(footers)
    facts = {
        "settings": {
            name: value
            for name, value in config.changing_values().items()
            if name not in ("sector_map", "join", "universe", "calendar_map")
            or (name == "sector_map" and config.sector_columns)
        },
        "features": [(one.name, one.version) for one in wanted.added],
        "schema": str(footers.schema.arrow),
        "pieces": [(names[piece.name], piece.keys, piece.row_group, piece.rows_in_group) for piece in footers.pieces],
        "bytes": footers.file_bytes,
        "sector map": None if wanted.sector_map is None else wanted.sector_map.to_pydict(),
        "symbol map": footers.schema.renames,
        "joined": [(moment, sha256) for moment, sha256 in hashes(config)],
        "version": __version__,
    }
    if wanted.calendars is not None:
        facts["calendars"] = asdict(wanted.calendars)
    if wanted.plugins:
        facts["plugins"] = [plugin.sha256 for plugin in wanted.plugins]
    return _digest(facts)[:32]


def _names_of_files(footers: Footers) -> dict[str, str]:
    """Return each input file's path relative to the folder that contains all of them, wherever that is."""
    absolute = {name: os.path.split(_rooted(name)) for name in {piece.name for piece in footers.pieces}}
    folders = {folder for folder, _ in absolute.values()}
    root = os.path.commonpath(folders or ["/"])
    below = {folder: os.path.relpath(folder, root) for folder in folders}
    return {path: str(Path(below[folder], name)) for path, (folder, name) in absolute.items()}


def _rooted(name: str) -> str:
    """Return an absolute path; that of an object as if its store were a folder."""
    return _absolute(name) if is_local(name) else f"/{location(name)}"


def identity(footers: Footers, config: Config, wanted: Wanted) -> str:
    """Return a digest that two runs must share if one may resume where the other was interrupted.

    It covers the fingerprint, the input files' sizes, times and footers, and how files are written.
    """
    values = fingerprint(footers, config, wanted)
    return _digest([values, footers.identity, config.compression, config.writer, config.strategy])


def conventions(footers: Footers, config: Config, wanted: Wanted) -> dict[str, Any]:
    """Return the output's metadata: how it was built, and everything that is needed to build it again."""
    input = _few_names(config.input, footers)
    roles = _roles_of_output(footers, config, wanted)
    left_out = [role for role in footers.schema.roles if role not in roles]
    return {
        "version": __version__,
        "week": config.week,
        "available": config.available,
        "price": config.price or footers.schema.roles["close"],
        "features": wanted.feature_names,
        "benchmarks": list(wanted.comparisons if wanted.compares else ()),
        "dtype": config.dtype,
        "settings": {"input": list(input), **config.changing_values()},
        "paths": {"input": [_absolute(name) for name in input]} | _paths_beside(config),
        "plugins": [{"name": plugin.name, "sha256": plugin.sha256} for plugin in wanted.plugins],
        "fingerprint": fingerprint(footers, config, wanted),
        "roles": roles,
        **({"roles_left_out": left_out} if left_out else {}),
    }


def _paths_beside(config: Config) -> dict[str, Any]:
    """Return where the tables beside the input are."""
    found: dict[str, Any] = {}
    if config.sector_map is not None and not config.sector_columns:
        found["sector_map"] = _absolute(config.sector_map)
    if config.universe is not None:
        found["universe"] = _absolute(config.universe)
    if config.calendar_map is not None:
        found["calendar_map"] = _absolute(config.calendar_map)
    if config.join:
        found["join"] = [f"{_absolute(path_of(spec))}:{moment_of(spec)}" for spec in config.join]
    return found


def _roles_of_output(footers: Footers, config: Config, wanted: Wanted) -> dict[str, str]:
    """Return the output's column of each role that it has, as a reader of daily rows, or of bars, would name them."""
    roles = footers.schema.roles
    if config.rows == "weekly":
        bars = {role: written_name(f"w_{role}", config.prefix) for role in (*PRICE_ROLES, "volume")}
        of_bars = {role: name for role, name in bars.items() if name in wanted.written(config)}
        return {"symbol": roles["symbol"], "date": VISIBLE_FROM.name, **of_bars}
    written = written_columns(footers.schema, config)
    return {role: name for role, name in roles.items() if name in written}


def read_record(files: Sequence[Location]) -> tuple[Mapping[str, Any] | None, str | None]:
    """Return the `conventions` in the first of an output's files that can be read, and what is wrong with them."""
    for path in files:
        try:
            metadata = parquet.open_parquet(path).schema_arrow.metadata or {}
        except WeeklyError:  # who reads the file reports what is wrong with it
            continue
        if parquet.METADATA_KEY not in metadata:
            return None, None
        try:
            record = json.loads(metadata[parquet.METADATA_KEY])
            resolve(from_python({"input": "-", **record["settings"], "features": record["features"]}))
        except (ValueError, LookupError, TypeError, UsageError) as error:
            return None, f"{path}: what it says of how it was made can't be read: {disk.first_line(error)}"
        return record, None
    return None, None


def recorded_settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a build as arguments of `build`: its paths are absolute, so they work from any folder."""
    features = {"features": ",".join(record.get("features", ()))}
    return {**record.get("settings", {}), **features, **record.get("paths", {})}


def recorded_columns(record: Mapping[str, Any]) -> list[str]:
    """Return the names of an output's features as its columns have them."""
    prefix = record["settings"].get("prefix", PREFIX)
    return [written_name(name, prefix) for name in record["features"]]


def _few_names(input: Sequence[str], footers: Footers) -> Sequence[str]:
    """Return the inputs as typed, or, if there are very many, the folders that contain exactly these files."""
    if len(input) <= _MOST_NAMED_INPUTS:
        return input
    folders = sorted({str(location(name).parent) for name in input})
    folder_files = {path.resolve() for path, _ in discovery.find_inputs(folders, None).files}
    return folders if folder_files == {path.resolve() for path in footers.states} else input


def _absolute(path: str) -> str:
    return str(location(path).absolute())


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, ensure_ascii=True).encode()).hexdigest()


@dataclass(frozen=True)
class ResumeState:
    """The proven work of an earlier run: how it cut its tasks, its fragments, and its finished parts.

    `direct` says whether it did everything in its own process.
    """

    direct: bool
    cuts: tuple[int, ...]
    partitioned: Partitioned | None
    outcomes: tuple[Outcome, ...]

    @property
    def crashed_in_process(self) -> bool:
        """Whether the run's own process died on work that a worker should have done."""
        return self.direct and not self.outcomes

    def remaining_tasks(self, tasks: Sequence[Task]) -> list[Task]:
        """Return what remains of the run's tasks."""
        done = sorted(part_span(outcome.part) for outcome in self.outcomes if outcome.part is not None)
        remaining = []
        for task in tasks:
            begin, stop = task.span
            at = begin
            for first, end in [*(span for span in done if begin <= span[0] < stop), (stop, stop)]:
                if at < first:
                    remaining.append(task.cut(at - begin, first - begin) if (at, first) != (begin, stop) else task)
                at = end
        return remaining


class Journal:
    """The journal of a run: lines that record its identity and which of its work is proven done."""

    def __init__(self, store: OutputStore) -> None:
        self._store = store

    @property
    def exists(self) -> bool:
        """Whether an earlier run has left a journal."""
        return bool(self._store.journal())

    def begin(self, identity: str, new: ResumeState) -> None:
        """Start a new journal; the files of an earlier run are removed."""
        self._store.clear((), keep_journal=False)
        self._add("run", {"identity": identity, "direct": new.direct, "cuts": list(new.cuts)})

    def partitioned(self, done: Partitioned) -> None:
        """Record that all bundles are written."""
        proofs = {name: done.proofs.get(name) or self._store.proof(name) for name in sorted(_bundles(done))}
        self._add("partition", asdict(replace(done, proofs={})) | {"bundles": proofs})

    def finished(self, outcome: Outcome) -> None:
        """Record that a part is written."""
        assert outcome.part is not None
        self._add("part", asdict(outcome) | {"proof": [outcome.bytes_written, outcome.checksum]})

    def resumed(self, identity: str) -> ResumeState | None:
        """Return the proven work of an earlier run with the same identity; None: the identity differs."""
        lines = list(self._lines())
        run = next((entry for kind, entry in lines if kind == "run"), None)
        if run is None or run["identity"] != identity:
            return None
        outcomes, partitioned = {}, None
        for kind, entry in lines:
            if kind == "part" and self._store.is_proven(entry["part"], entry["proof"]):
                outcomes[entry["part"]] = _outcome(entry)
            if kind == "partition" and all(self._store.is_proven(*bundle) for bundle in entry["bundles"].items()):
                partitioned = _partitioned(entry)
        bundles = _bundles(partitioned) if partitioned else ()
        self._store.clear([*outcomes, *bundles], keep_journal=True)
        return ResumeState(run["direct"], tuple(run["cuts"]), partitioned, tuple(outcomes.values()))

    def _add(self, kind: str, entry: Mapping[str, Any]) -> None:
        text = json.dumps([kind, entry], ensure_ascii=True).encode()
        self._store.write_journal(b"%08x %s" % (zlib.crc32(text), text))

    def _lines(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the complete lines; a run that is killed may leave half a line."""
        for line in self._store.journal():
            check, _, text = line.partition(b" ")
            if check == b"%08x" % zlib.crc32(text):
                kind, entry = json.loads(text)
                yield kind, entry


def _outcome(entry: Mapping[str, Any]) -> Outcome:
    """Return the outcome of an earlier run, without its times, which are not this run's."""
    facts = {name: entry[name] for name in ("number", "part", "rows", "daily_rows", "symbols", "bars")}
    facts |= {name: entry[name] for name in ("bytes_written", "checksum", "padding")}
    suspects = {code: Suspicion.of(suspicion) for code, suspicion in entry["suspects"].items()}
    quality, repeats = Quality(**entry["quality"]), Repeats.of(entry["repeats"])
    return Outcome(**facts, quality=quality, repeats=repeats, suspects=suspects)


def _bundles(done: Partitioned) -> set[str]:
    return {bundle for fragments in done.fragments for bundle, _ in fragments.runs}


def _partitioned(entry: Mapping[str, Any]) -> Partitioned:
    fragments = tuple(
        Fragments(one["symbols"], tuple((bundle, tuple(groups)) for bundle, groups in one["runs"]))
        for one in entry["fragments"]
    )
    return Partitioned(fragments, entry["bytes_written"], entry["bytes_saved"])
