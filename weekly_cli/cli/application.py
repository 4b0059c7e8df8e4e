"""The Typer application, and what its commands share: a command is typed settings, one call, one view, an exit code."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weekly_cli import __version__
from weekly_cli.cli.console import say
from weekly_cli.cli.parameters import Typed, with_settings
from weekly_cli.cli.parsing import Command, Commands
from weekly_cli.errors import EXIT_CODES, UsageError
from weekly_cli.files.objects.filesystems import CONNECTION, Connection, connect_by
from weekly_cli.settings import from_environment, from_file, from_flags
from weekly_cli.settings.sources import Layer, resolve_some, unknown_variables

if TYPE_CHECKING:
    pass

ABOUT = "Weekly features for daily prices: Parquet in, Parquet out, without look-ahead."
SETTINGS_NOTE = (
    r"Options may stand in weekly.toml, or in \[tool.weekly-cli] of pyproject.toml, and in the environment as "
    "WEEKLY_CLI_NAME: a flag beats the environment, which beats the file, and --no-NAME takes a switch back. "
    "weekly-cli config shows what is in force."
)

app = typer.Typer(
    name="weekly-cli",
    cls=Commands,
    help=ABOUT,
    epilog="Exit codes: " + "; ".join(f"{row.code} {row.meaning}" for row in EXIT_CODES) + ".",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        libraries = [f"{name} {version(name)}" for name in ("pyarrow", "pandas", "numpy", "joblib", "typer", "rich")]
        typer.echo(f"weekly-cli {__version__} ({', '.join(libraries)})")
        raise typer.Exit


@app.callback()
def _application(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version, with the libraries', and exit.", callback=_version)
    ] = False,
) -> None:
    """Take what stands before a command."""


def command(*settings: str, examples: Sequence[str] = (), note: str = "") -> Callable[[Callable[..., int]], Any]:
    """Turn a function into a command: it takes these settings and returns its exit code."""
    epilog = "\n".join([*(["Examples:"] if examples else []), *(f"  {line}" for line in examples)])
    epilog = "\n\n".join(part for part in (epilog, note) if part)

    def register(function: Callable[..., int]) -> Callable[..., int]:
        run = _connected(function) if set(CONNECTION) <= set(settings) else function
        app.command(function.__name__, cls=Command, epilog=epilog or None)(with_settings(settings, run))
        return function

    return register


def _connected(function: Callable[..., int]) -> Callable[..., int]:
    """Return a command that reaches object stores as its settings say."""

    @functools.wraps(function)
    def run(typed: Typed, **values: Any) -> int:
        given = {name: value for name, value in typed.items() if name in CONNECTION}
        connect_by(lambda: Connection(**_connection(given)))
        return function(typed, **values)

    return run


def _connection(typed: Typed) -> dict[str, Any]:
    from_files = from_file(Path.cwd())
    told = resolve_some(CONNECTION, from_files, from_environment(os.environ), from_flags(typed))
    return {field: told[name] for field, name in zip(Connection._fields, CONNECTION, strict=True)}


def layers(typed: Typed) -> tuple[Layer, ...]:
    """Return the values from the settings file, the environment and the command line; warn about unknown variables."""
    for sentence in unknown_variables(os.environ):
        say(f"warning: {sentence}")
    try:
        folder = Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder no longer exists; change to one that does") from error
    return from_file(folder), from_environment(os.environ), from_flags(typed)


@contextlib.contextmanager
def importing() -> Iterator[None]:
    """Exclude imported modules, which live until the process ends, from garbage collection.

    Scanning them took 47 of the 257 ms of a small build, about half of it when the interpreter exited.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
