"""How an output of this tool was built, and whether its input is still the same."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from weekly_cli import __version__
from weekly_cli.compute.labels import labels_named
from weekly_cli.dataset.convert import converted
from weekly_cli.dataset.footers import Footers, read_footers
from weekly_cli.errors import WeeklyError
from weekly_cli.files import discovery
from weekly_cli.files.locations import Location
from weekly_cli.findings import KINDS
from weekly_cli.inspection.command import command_line
from weekly_cli.inspection.facts import Build
from weekly_cli.run.manifest import fingerprint, read_record, recorded_columns, recorded_settings
from weekly_cli.run.wanted import wanted_by
from weekly_cli.settings import SETTINGS, Config, from_python, resolve

#: Settings by which an output's rows are read; what its other settings did is done.
_OF_READING = ("columns", "date_unit", "date_format", "timezone", "price")


def record_of(files: Sequence[Location]) -> Mapping[str, Any] | None:
    """Return the build record of an output's files; None if they are no output of this tool, or not all are."""
    record, _ = read_record(files[:1])
    return record if record is not None and read_record(files[-1:])[0] == record else None


def as_built(config: Config, record: Mapping[str, Any]) -> Config:
    """Return settings that read an output as its input was read, unless they are given otherwise."""
    built = {
        name: SETTINGS[name].kind.check(record["settings"][name])
        for name in _OF_READING
        if name in record["settings"] and name not in config.sources
    }
    if "columns" in built:  # symbols of file names and such are columns by now
        built["columns"] = tuple((role, name) for role, name in built["columns"] if not name.startswith("@"))
    if "roles" in record and "columns" not in config.sources:
        built["columns"] = tuple(record["roles"].items())
    if is_weekly(record):
        built |= {"date_unit": "auto", "date_format": None, "timezone": None, "price": None}
        built["ignore"] = tuple(KINDS)  # they speak of daily rows
    return replace(config, **built)


def is_weekly(record: Mapping[str, Any]) -> bool:
    """Tell whether the rows of an output are weekly bars."""
    return bool(record["settings"].get("rows") == "weekly")


def describe(record: Mapping[str, Any], footers: Footers) -> Build:
    """Return what an output's metadata say; `footers` are the output's own."""
    settings = {name: value for name, value in record["settings"].items() if name != "input"}
    paths = tuple(record.get("paths", {}).get("input", record["settings"].get("input", ())))
    written_ns = max((state.modified_ns for state in footers.states.values()), default=0)
    state, reason = _input_state(record, paths, written_ns)
    return Build(
        version=str(record.get("version")),
        features=tuple(recorded_columns(record)),
        labels=tuple(label.name for label in labels_named(record["settings"].get("label", ()))),
        settings=settings,
        written=datetime.datetime.fromtimestamp(written_ns // 10**9, datetime.UTC),
        input=paths,
        input_state=state,
        input_reason=reason,
        command=command_line("build", paths, _typed(record)),
    )


def _typed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a build needs besides its input; all features are the default."""
    values = recorded_settings(record)
    typed = {name: value for name, value in values.items() if name not in ("input", "features")}
    typed |= {"plugin": [one["name"] for one in record["plugins"]]} if record.get("plugins") else {}
    features = _few_names(record["features"], values)
    return typed if features == ["all"] else {**typed, "features": ",".join(features)}


def _few_names(features: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """Return what selects these features: complete families and the rest, or all without the others."""
    try:
        every = wanted_by(resolve(from_python({**values, "features": "all"}))).features
    except WeeklyError:  # the sector map is gone
        return list(features)
    if {*features} - {feature.name for feature in every}:  # a plugin's, which is not run to tell which others it has
        return list(features)
    if [feature.name for feature in every] == list(features):
        return ["all"]
    families: dict[str, list[str]] = {}
    for feature in every:
        families.setdefault(feature.family, []).append(feature.name)
    complete = {family: names for family, names in families.items() if set(names) <= set(features)}
    rest = [name for name in features if not any(name in names for names in complete.values())]
    without = [f"-{feature.name}" for feature in every if feature.name not in features]
    return min([*complete, *rest], ["all", *without], key=len)


def _input_state(record: Mapping[str, Any], paths: Sequence[str], written_ns: int) -> tuple[str, str]:
    """Return whether the input is as it was, and why this is said."""
    gone = [path for path in paths if not discovery.leads_somewhere(path)]
    if gone:
        return "gone", f"{gone[0]} does not exist"
    if record.get("version") != __version__:
        return "unknown", f"another version built it: {record.get('version')}"
    if record.get("plugins"):
        return "unknown", f"it has columns of the plugin {record['plugins'][0]['name']}, which is not run for this"
    try:
        config = resolve(from_python(recorded_settings(record)))
        with converted(config, None) as conversion:
            footers = read_footers(config, None, conversion)
        same = fingerprint(footers, config, wanted_by(config)) == record.get("fingerprint")
    except WeeklyError as error:
        return "unknown", str(error)
    if not same:
        return "changed", "other files, sizes, row groups or columns, or another sector map"
    later = [path for path, state in footers.states.items() if state.modified_ns > written_ns]
    if later:
        return "changed", f"written after the output: {_first(later)}"
    return "unchanged", "the same files, sizes and row groups, none written after the output"


def _first(paths: Sequence[Location]) -> str:
    more = len(paths) - 1
    return f"{paths[0]}{f' and {more:,} more' if more else ''}"
