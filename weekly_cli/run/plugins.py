"""Plugins: finds, loads and identifies them, once in every process that computes with them.

A plugin is code: it runs only if the user names it (`--plugin`), never because a settings file or an output does.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from weekly_cli.compute.features import CROSS, FAMILIES
from weekly_cli.compute.features.developing import FAMILY as DEVELOPING
from weekly_cli.errors import PluginFailed, UsageError
from weekly_cli.files import sources
from weekly_cli.names import PERIODS
from weekly_cli.plugin import OwnFeature, features_of, line_of
from weekly_cli.settings import Config

#: The group under which a package installs features.
ENTRY_POINTS = "weekly_cli.features"


@dataclass(frozen=True)
class PluginName:
    """What a worker needs to load a plugin: the absolute path of its file, or its name; and the hash of its content."""

    name: str
    sha256: str


@dataclass(frozen=True)
class Plugin:
    """A plugin that is loaded."""

    name: str
    sha256: str
    features: tuple[OwnFeature, ...]


def plugins_of(config: Config) -> tuple[Plugin, ...]:
    """Return the plugins that the settings name.

    Raises
    ------
    UsageError
        If one is not found, or declares no feature.
    PluginFailed
        If its code fails, or a declaration is not valid.
    """
    setting = config.named("plugin")
    names = [str(Path(name).absolute()) if sources.is_source(name) else name for name in config.plugin]
    return tuple(_loaded(name, setting) for name in dict.fromkeys(names))


def own_features(plugins: Iterable[Plugin]) -> tuple[OwnFeature, ...]:
    """Return the columns of all plugins."""
    return tuple(feature for plugin in plugins for feature in plugin.features)


def refuse_without_columns(plugins: Iterable[Plugin], every: Sequence[str], setting: str) -> None:
    """Refuse a plugin whose columns all belong to clocks that are not on.

    Raises
    ------
    UsageError
    """
    for plugin in plugins:
        clocks = [clock for clock in PERIODS if any(feature.every == clock for feature in plugin.features)]
        if not set(clocks) & set(every):
            *others, last = (PERIODS[clock].nouns for clock in clocks)
            nouns = f"{', '.join(others)} and {last}" if others else last
            wanted = ",".join(clock for clock in PERIODS if clock in (*clocks, *every))
            raise UsageError(
                f"plugin {plugin.name} has columns of {nouns} alone, and {setting} is {','.join(every)}; "
                f"--every {wanted} adds them"
            )


def refuse_others(plugins: Iterable[Plugin], output: str, features: Collection[str]) -> None:
    """Refuse a plugin of which an output with these features has no column.

    Raises
    ------
    UsageError
    """
    for plugin in plugins:
        if not any(feature.name in features for feature in plugin.features):
            raise UsageError(f"--plugin {plugin.name}: {output} has no column of it; leave it out")


def refusal(setting: str, column: str, record: Mapping[str, Any]) -> UsageError:
    """Return why a column of a plugin that was not named can't be computed."""
    named = " ".join(f"--plugin {name}" for name in recorded_plugins(record))
    return UsageError(
        f"{setting}: {column} is a plugin's column, which is code and runs only where you name it: {named}"
    )


def have_changed(plugins: Iterable[Plugin], record: Mapping[str, Any]) -> bool:
    """Tell whether a plugin has another content than that with which an output was built."""
    recorded = {one["sha256"] for one in record.get("plugins", ())}
    return not recorded.issuperset(plugin.sha256 for plugin in plugins)


def features_in_worker(names: Sequence[PluginName]) -> tuple[OwnFeature, ...]:
    """Return the columns of plugins that the run has named.

    Raises
    ------
    PluginFailed
        If a plugin has changed since the run began.
    """
    plugins = [_loaded(one.name, "--plugin") for one in names]
    for one, plugin in zip(names, plugins, strict=True):
        if one.sha256 != plugin.sha256:
            raise PluginFailed(f"plugin {one.name} has changed while the run was going on; start it again")
    return own_features(plugins)


def recorded_plugins(record: Mapping[str, Any]) -> list[str]:
    """Return the plugins with which an output was built: paths of files, or names."""
    return [one["name"] for one in record.get("plugins", ())]


def runnable(record: Mapping[str, Any], given: Sequence[str]) -> tuple[str, ...]:
    """Return the plugins given, or else those of an output if all of them are installed, or none."""
    recorded = recorded_plugins(record)
    return tuple(given) or (tuple(recorded) if all(map(_entry_points, recorded)) else ())


def names_to_run(output: str, record: Mapping[str, Any], given: Sequence[str]) -> tuple[str, ...]:
    """Return the plugins to compute an output's columns again: those given, or those installed.

    Raises
    ------
    UsageError
        If the output has columns of a plugin that is neither: its metadata do not make code run.
    """
    names = runnable(record, given)
    missing = [name for name in recorded_plugins(record) if not _entry_points(name)]
    if names or not missing:
        return names
    raise UsageError(
        f"{output} has columns of the plugin {missing[0]}, which is code and runs only where you name it: "
        f"--plugin {missing[0]}"
    )


def _loaded(name: str, setting: str) -> Plugin:
    if sources.is_source(name):  # read every time: a session may go on after the file was edited
        return _plugin_file(name, sources.read_source(name, setting), setting)
    return _plugin_package(name, setting)


@cache
def _plugin_file(path: str, source: bytes, setting: str) -> Plugin:
    return _plugin(path, Path(path).stem, _of_file(path, source), sources.sha256_of(source), setting)


@cache
def _plugin_package(name: str, setting: str) -> Plugin:
    module, sha256 = _of_package(name, setting)
    return _plugin(name, name.rpartition(".")[2].replace("-", "_"), module, sha256, setting)


def _plugin(name: str, family: str, module: ModuleType, sha256: str, setting: str) -> Plugin:
    if not family.isidentifier() or family in (*FAMILIES, DEVELOPING, CROSS, "all"):
        raise UsageError(f"{setting}: {family} can't be a family's name, because it is taken or no word; rename {name}")
    features = features_of(vars(module), name, family)
    if not features:
        raise UsageError(f"{setting}: {name} declares no feature; decorate a function with weekly_cli.plugin.feature")
    return Plugin(name, sha256, features)


def _of_file(path: str, source: bytes) -> ModuleType:
    module = ModuleType(f"weekly_cli_plugin_{Path(path).stem}")
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses of its own look there
    try:
        exec(compile(source, path, "exec"), vars(module))
    except Exception as error:
        raise PluginFailed(_of_code(path, error, path)) from error
    return module


def _of_package(name: str, setting: str) -> tuple[ModuleType, str]:
    points = _entry_points(name)
    target = points[0].module if points else name
    try:
        module = importlib.import_module(target)
    except ModuleNotFoundError as error:
        if error.name != target.partition(".")[0]:
            raise PluginFailed(_of_code(name, error, "")) from error
        raise UsageError(
            f"{setting}: {name} is neither a file that ends with .py, nor an installed entry point of {ENTRY_POINTS}, "
            "nor an installed package"
        ) from error
    except Exception as error:
        raise PluginFailed(_of_code(name, error, "")) from error
    spec = importlib.util.find_spec(target.partition(".")[0])
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return module, sources.sha256_of_package(folders, module.__file__)


def _of_code(name: str, error: Exception, file: str) -> str:
    line = line_of(error, file)
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return f"plugin {name}{f', line {line}' if line else ''}: {text}"


@cache
def _entry_points(name: str) -> tuple[Any, ...]:
    from importlib.metadata import entry_points

    return tuple(entry_points(group=ENTRY_POINTS, name=name))
