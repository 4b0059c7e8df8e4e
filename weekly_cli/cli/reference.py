"""The generated parts of the documentation: `make docs` writes them, `make lint` checks them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from typer.models import ArgumentInfo

from weekly_cli.cli.commands import app
from weekly_cli.cli.parameters import flags, info_of
from weekly_cli.compute.features import catalogue
from weekly_cli.compute.features.cross import EXAMPLES
from weekly_cli.errors import EXIT_CODES
from weekly_cli.findings import KINDS
from weekly_cli.settings import SETTINGS, Setting
from weekly_cli.settings.table import Source


def exit_codes() -> str:
    """Return the exit codes as a Markdown table."""
    return _table(("code", "meaning"), [(str(row.code), row.meaning) for row in EXIT_CODES])


def feature_table(every: str = "week") -> str:
    """Return all features of a period as a Markdown table; of the week those of its days, and among symbols, too."""
    of_week = every == "week"
    columns = catalogue(["{b}"], every=[every], with_developing=of_week).with_cross(EXAMPLES if of_week else ())
    rows = [
        (row.family, f"`{row.name}`", row.formula.replace("|", "\\|"), str(row.first_bar), row.parity)
        for row in columns.features
    ]
    return _table(("family", "column", "formula", "first bar (k)", "matches"), rows)


def findings_table() -> str:
    """Return all findings as a Markdown table."""
    rows = [
        (f"`{row.code}`", f"{row.counts}: {row.means}", row.helps, "yes" if row.in_plan else "")
        for row in KINDS.values()
    ]
    return _table(("code", "what was found", "what helps", "in `plan`"), rows)


def settings_table() -> str:
    """Return all settings as a Markdown table: what each does, its values, and whether a file may set it."""
    rows = [
        (_names(row), row.help, _values(row), _shown(row.shown_default), _elsewhere(row)) for row in SETTINGS.values()
    ]
    return _table(("setting", "what it does", "values", "default", "in file and environment"), rows)


def _elsewhere(row: Setting) -> str:
    """Return where a setting may be given besides the command line."""
    if Source.FILE in row.sources:
        return "yes"
    return "environment alone" if Source.ENVIRONMENT in row.sources else "no"


def command_reference() -> str:
    """Return all commands as Markdown: the settings that each takes, and its own options."""
    return "\n\n".join(_command(info.name or "", info.callback) for info in app.registered_commands if info.callback)


def _command(name: str, callback: Callable[..., Any]) -> str:
    names: Sequence[str] = getattr(callback, "settings", ())
    own_parameters = [entry for entry in _parameters(callback) if entry.name not in names]
    accepted = [SETTINGS[name] for name in names]
    left_out = [row for row in SETTINGS.values() if row not in accepted]
    if len(left_out) < len(accepted):
        settings = "All settings" + (f" except {', '.join(map(_short, left_out))}" if left_out else "") + "."
    else:
        settings = f"Settings: {', '.join(map(_short, accepted))}." if accepted else ""
    parts = [
        f"### `weekly-cli {name}`",
        inspect.getdoc(callback) or "",
        settings,
        _own_table(own_parameters) if own_parameters else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _parameters(callback: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    for entry in inspect.signature(callback).parameters.values():
        if not getattr(info_of(entry), "hidden", False):
            yield entry


def _own_table(entries: Sequence[inspect.Parameter]) -> str:
    rows = []
    for entry in entries:
        info: Any = info_of(entry)
        flag = entry.name.upper() if isinstance(info, ArgumentInfo) else f"--{entry.name.replace('_', '-')}"
        no_default = (None, False, inspect.Parameter.empty)
        default = "" if any(entry.default is one for one in no_default) else str(entry.default)
        rows.append((f"`{flag}`", info.help or "", _shown(default)))
    return _table(("option", "what it does", "default"), rows)


def _names(row: Setting) -> str:
    return " ".join(f"`{name}`" for name in ([row.flag] if row.is_argument else flags(row)))


def _short(row: Setting) -> str:
    return f"`{row.flag}`"


def _values(row: Setting) -> str:
    return re.sub(r"[\[\]]", "", row.kind.metavar).replace(" | ", ", ")


def _shown(default: str) -> str:
    return f"`{default}`" if default else ""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
