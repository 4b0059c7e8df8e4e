"""Settings as Typer parameters: generated from the table, so that a command needs no copy of thirty of them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, get_type_hints

import typer
from typer.models import ArgumentInfo

from weekly_cli.cli import completion
from weekly_cli.settings import SETTINGS, Setting
from weekly_cli.settings.kinds import Switch

#: The values on the command line of the settings that a command takes, by name: texts, lists of texts, switches.
Typed = Mapping[str, Any]


def with_settings(names: Sequence[str], command: Callable[..., int]) -> Callable[..., None]:
    """Return a Typer command that takes settings besides its own parameters, and exits with `command`'s return value.

    `command` is called with the typed values of the settings, and with its own parameters by name.
    """

    @functools.wraps(command)
    def run(**values: Any) -> None:
        typed = {name: values.pop(name) for name in names}
        for name in names:
            if values.pop(_TAKEN_BACK + name, None):
                typed[name] = False
        raise typer.Exit(command(typed, **values))

    hints = get_type_hints(command, include_extras=True)
    own_parameters = [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(inspect.signature(command).parameters.values())[1:]
    ]
    parameters = [*_parameters(names), *own_parameters]
    parameters.sort(key=lambda parameter: not isinstance(info_of(parameter), ArgumentInfo))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.settings = tuple(names)  # type: ignore[attr-defined]
    return run


_TAKEN_BACK = "no_"


def info_of(parameter: inspect.Parameter) -> object:
    """Return Typer's description of a parameter."""
    return parameter.annotation.__metadata__[0]


def _parameters(names: Sequence[str]) -> Iterator[inspect.Parameter]:
    for name in names:
        row = SETTINGS[name]
        is_switch = isinstance(row.kind, Switch)
        yield _parameter(name, bool if is_switch else list[str] if row.kind.repeatable else str, _of(row))
        if is_switch and row.variable is not None:  # a file or the environment may set a switch, which --no-NAME resets
            yield _parameter(_TAKEN_BACK + name, bool, typer.Option(f"--no-{row.flag.removeprefix('--')}", hidden=True))


def _parameter(name: str, kind: Any, info: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, info]
    )


def _of(row: Setting) -> Any:
    shared: dict[str, Any] = {
        "help": help_text(row),
        "metavar": row.kind.metavar,
        "min": row.kind.least,
        "show_default": False,
        "autocompletion": completion.of(row),
    }
    if row.is_argument:
        return typer.Argument(**shared)
    return typer.Option(*flags(row), rich_help_panel=row.panel, **shared)


def flags(row: Setting) -> list[str]:
    """Return a setting's flags."""
    return [row.flag, row.short] if row.short else [row.flag]


def help_text(row: Setting) -> str:
    """Return what a setting does, with its default, and with its variable if that is shown, in rich's markup."""
    notes = [f"default: {row.shown_default}"] if row.shown_default else []
    notes += [f"variable: {row.variable}"] if row.shows_variable else []
    return row.help + "".join(f" [dim]({note})[/dim]" for note in notes)
