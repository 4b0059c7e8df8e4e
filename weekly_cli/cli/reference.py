"""The parts of the README that are made from the code; `make docs` writes them, `make lint` checks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from weekly_cli.cli.process import COMMANDS, Option
from weekly_cli.errors import EXIT_CODES
from weekly_cli.features import templates


def exit_codes() -> str:
    """Return the exit codes as a Markdown table."""
    return _table(("code", "meaning"), [(str(row.code), row.meaning) for row in EXIT_CODES])


def feature_table() -> str:
    """Return the registry as a Markdown table."""
    rows = [
        (row.family, f"`{row.name}`", row.formula.replace("|", "\\|"), str(row.first_bar), row.parity)
        for row in templates()
    ]
    return _table(("family", "column", "formula", "first bar (k)", "parity"), rows)


def command_reference() -> str:
    """Return every command with its options as Markdown."""
    return "\n\n".join(_commands())


def _commands() -> Iterator[str]:
    for command, options in COMMANDS.items():
        rows = [(_names(option), option.text, f"`{option.variable}`" if option.variable else "") for option in options]
        table = _table(("option", "what it does", "environment"), rows)
        yield f"#### `weekly-cli {command.__name__}`\n\n{command.__doc__}\n\n{table}"


def _names(option: Option) -> str:
    names = [option.key.upper()] if option.is_argument else option.names
    return " ".join(f"`{name}`" for name in names)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
