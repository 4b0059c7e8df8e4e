"""A settings file to start from: every setting that it may contain, commented out, with help, values and default."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import Any

from weekly_cli.settings.table import SETTINGS, Setting, Source

_WIDTH = 100
_HEAD = """\
# Settings of weekly-cli. A file of this kind is read by commands that run in its folder, if its
# name is weekly.toml.
#
# Each setting is commented out. To use one, remove the "#" before its name and change the value.
# Lines that begin with "# " explain. A flag beats the environment, which beats this file:
# `weekly-cli config` shows which values are in force, and where each comes from.
"""


def file_template() -> str:
    """Return a `weekly.toml` in which every line is a comment, and any line `#name = value` may be uncommented."""
    parts = [_HEAD]
    panel = ""
    for row in SETTINGS.values():
        if Source.FILE not in row.sources:
            continue
        if row.panel != panel:
            panel = row.panel
            parts.append(f"# {f' {panel} ':-^{_WIDTH - 2}}\n")
        parts.append(_entry(row))
    excluded = [row.flag for row in SETTINGS.values() if Source.FILE not in row.sources]
    parts.append(
        _comment(
            f"{' and '.join(excluded)} can't be set here: they let files be replaced or code be run, so nobody's file "
            "decides about them."
        )
    )
    return "\n".join(parts)


def _entry(row: Setting) -> str:
    """Return a setting's comment, and the line that may be uncommented."""
    default = row.kind.plain(row.default) if row.default is not None else row.kind.none
    has_default = default not in ("", [], {})
    values = row.kind.metavar.strip("[]").replace(" | ", ", ") or "true, false"
    note = f"Values: {values}; {'default:' if has_default else 'no default, for example:'}"
    value = default if has_default else row.kind.example if row.example is None else row.example
    return f"{_comment(row.help)}{_comment(note)}#{row.name} = {_toml(value)}\n"


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, _WIDTH - 2, break_on_hyphens=False))


def _toml(value: Any) -> str:
    """Return a value as TOML; a JSON text, number or boolean is one already.

    >>> _toml({"symbol": "Ticker", "close": "Last"}), _toml(["SPY", "QQQ"]), _toml(False)
    ('{symbol = "Ticker", close = "Last"}', '["SPY", "QQQ"]', 'false')
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
