"""Command lines: the build that fits a dataset, and the one that an output was built with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from weekly_cli.settings import SETTINGS, Config

_PROGRAM = "weekly-cli"


def command_line(name: str, input: Sequence[str], settings: Mapping[str, Any]) -> str:
    """Return a command for a shell.

    Parameters
    ----------
    name : str
        The command, such as "build".
    input : sequence of str
    settings : mapping
        Plain values by the settings' names; defaults are not left out.
    """
    flags = [word for setting, value in settings.items() for word in _words(setting, value)]
    return shlex.join([_PROGRAM, name, *map(_as_argument, input), *flags])


def _as_argument(path: str) -> str:
    return f"./{path}" if path.startswith("-") else path


def _words(name: str, value: Any) -> Iterator[str]:
    flag = SETTINGS[name].flag
    if isinstance(value, bool):
        yield flag if value else f"--no-{flag.removeprefix('--')}"
        return
    texts = value if isinstance(value, list | tuple) else [value]
    if isinstance(value, Mapping):
        texts = [f"{key}={','.join(map(str, one if isinstance(one, list) else [one]))}" for key, one in value.items()]
    for text in map(str, texts):
        yield from [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def typed_settings(config: Config) -> dict[str, Any]:
    """Return, as plain values, the settings that were given as flags or arguments.

    Those of a settings file or of the environment are there for a build, too.
    """
    return {
        name: row.kind.plain(getattr(config, name))
        for name, row in SETTINGS.items()
        if not row.is_argument and name not in _OF_THE_VIEW and config.sources.get(name) in (row.flag, name)
    }


_OF_THE_VIEW = ("json",)
