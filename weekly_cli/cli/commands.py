"""Typer's commands, with errors that name the right help and do not steer the terminal.

What the parser refuses is told in a panel by Typer; some of its errors do not know the command whose help to name, and
what was typed stands in them as it came.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from weekly_cli.names import printable

#: What Typer raises for words that it can't use; it has no public name of its own.
_UsageError: Any = typer.BadParameter.__base__


@contextlib.contextmanager
def _told_of(ctx: typer.Context) -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        error.ctx = error.ctx or ctx
        error.message = printable(error.message)
        raise


class Command(TyperCommand):
    """One command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words."""
        with _told_of(ctx):
            return super().parse_args(ctx, args)


class Commands(TyperGroup):
    """All of them."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words before a command."""
        with _told_of(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first word names."""
        with _told_of(ctx):
            return super().resolve_command(ctx, args)
