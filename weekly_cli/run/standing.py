"""Whether the output that stands is what a run would make: complete, of the same input, settings and version.

Every file of an output carries two digests, one of the input and one of the settings, and how many symbols the output
was to have; each file also tells how many symbols it has itself. So a missing part, and a symbol that failed and was
left out, both show as symbols that are not there. Where rows have the input's order, the first file tells of all
symbols, and every file of how many rows there are. The check reads footers of the output and the names, sizes and
times of the input's files, but nothing in them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from weekly_cli import __version__
from weekly_cli.dataset.as_of import hashes
from weekly_cli.dataset.footers import Footers
from weekly_cli.dataset.readings import read_symbol_map
from weekly_cli.errors import WeeklyError
from weekly_cli.files import discovery, parquet, target
from weekly_cli.files.file_states import FileState, file_state
from weekly_cli.files.locations import Location
from weekly_cli.run.manifest import read_record
from weekly_cli.run.wanted import Wanted, wanted_by
from weekly_cli.settings import Config

#: Settings that name a file, whose content counts instead; a sector map may be columns of the input.
_BY_CONTENT = ("sector_map", "symbol_map", "calendar_map", "join", "universe")

Renames = tuple[tuple[str, str, int], ...]


def recognized_by(footers: Footers, config: Config, wanted: Wanted, n_symbols: int) -> dict[str, Any]:
    """Return what an output's metadata needs so that `outdated` recognizes it."""
    return {
        "symbols": n_symbols,
        "digests": {
            "input": _input_digest(footers.states, wanted, footers.schema.renames, hashes(config)),
            "settings": _settings_digest(config, wanted),
        },
    }


def outdated(config: Config) -> str | None:
    """Return why a run would make another output than the one that stands; None: it would make the same.

    A file of the input that was touched counts as changed.

    Raises
    ------
    WeeklyError
        If the input or a setting is refused.
    """
    files = target.own_files(target.place(config.output))
    if not files:
        return f"there is no output of this tool at {config.output}"
    try:
        n_symbols = sum(parquet.own_symbols(path) for path in files)
    except WeeklyError as error:
        return str(error)
    record, _ = read_record(files[:1])
    if record is None or "digests" not in record or record.get("version") != __version__:
        return "another version of this tool has built the output"
    if n_symbols != record["symbols"]:
        return f"the output has {n_symbols:,} of {record['symbols']:,} symbols"
    if "rows" in record and sum(parquet.open_parquet(path).metadata.num_rows for path in files) != record["rows"]:
        return f"the output has not all of its {record['rows']:,} rows"
    wanted = wanted_by(config)
    if _settings_digest(config, wanted) != record["digests"]["settings"]:
        return f"a setting{' or a plugin' if wanted.plugins else ''} has changed"
    inputs = discovery.find_inputs(config.input, target.place(config.output))
    states = {path: file_state(path) for path, _ in inputs.files}
    if _input_digest(states, wanted, read_symbol_map(config), hashes(config)) != record["digests"]["input"]:
        return "the input has changed"
    return None


def _input_digest(
    states: Mapping[Location, FileState], wanted: Wanted, renames: Renames, joined: Sequence[tuple[str, str]]
) -> str:
    files = [(str(path.absolute()), state.size_bytes, state.modified_ns) for path, state in states.items()]
    sector_map = None if wanted.sector_map is None else wanted.sector_map.to_pydict()
    calendars = [] if wanted.calendars is None else [asdict(wanted.calendars)]
    return _digest([files, sector_map, renames, joined, *calendars])


def _settings_digest(config: Config, wanted: Wanted) -> str:
    """Return a digest of what changes the output's values or files, or whether a run of this input may end well."""
    values = {
        name: value
        for name, value in config.changing_values().items()
        if name not in _BY_CONTENT or (name == "sector_map" and config.sector_columns)
    }
    features = [(one.name, one.version) for one in wanted.added]
    accepted = [config.allow_empty, config.fail_on, config.ignore if config.fail_on else ()]
    plugins = [plugin.sha256 for plugin in wanted.plugins]
    return _digest([values, features, plugins, config.compression, config.writer, accepted])


def _digest(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, ensure_ascii=True).encode()).hexdigest()[:32]
