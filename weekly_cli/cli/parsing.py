"""Typer's commands, with errors that name the right help and can't affect the terminal.

Typer shows what its parser refuses in a panel; some of its errors lack the command whose help to name, and contain the
typed text unescaped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from weekly_cli.names import printable

#: The exception that Typer raises for arguments that it can't use; it has no public name.
_UsageError: Any = typer.BadParameter.__base__


@contextlib.contextmanager
def _with_context(ctx: typer.Context) -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        error.ctx = error.ctx or ctx
        error.message = printable(error.message)
        raise


class Command(TyperCommand):
    """A single command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments."""
        with _with_context(ctx):
            return super().parse_args(ctx, args)


class Commands(TyperGroup):
    """The group of all commands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments before a command."""
        with _with_context(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first argument names."""
        with _with_context(ctx):
            return super().resolve_command(ctx, args)
