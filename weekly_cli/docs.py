"""The parts of the README that are made from the code; `make docs` writes them, `make lint` checks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from typer.main import get_command

from weekly_cli.cli import REPEATABLE, app
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
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        rows = [
            (
                " ".join(f"`{flag}`" for flag in _flags(parameter)),
                (parameter.help or "").partition(" [env var")[0],
                _environment(parameter),
            )
            for parameter in command.params
            if "--help" not in parameter.opts
        ]
        table = _table(("option", "what it does", "environment"), rows) if rows else ""
        yield f"#### `weekly-cli {name}`\n\n{command.help}\n\n{table}".rstrip()


def _flags(parameter: object) -> Sequence[str]:
    flags: list[str] = parameter.opts  # type: ignore[attr-defined]
    return [flag if flag.startswith("-") else flag.upper() for flag in flags]


def _environment(parameter: object) -> str:
    name: str = parameter.name  # type: ignore[attr-defined]
    variable = f"WEEKLY_CLI_{name.upper()}" if name in REPEATABLE else getattr(parameter, "envvar", None)
    return f"`{variable}`" if isinstance(variable, str) else ""


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
