"""How a command that failed ends: its exit code, and the one line that says why."""

from __future__ import annotations

from dataclasses import dataclass

from weekly_cli.errors import EXIT_BUG, Interrupted, WeeklyError


class Stopped(BaseException):
    """The user or the system asked the process to stop, by this signal."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.exit_code = 128 + signum


@dataclass(frozen=True)
class Ending:
    """An exit code, and the line for the user; there is none if all went well."""

    exit_code: int
    line: str = ""


def ending_of(error: BaseException) -> Ending:
    """Return how a command ends after an exception."""
    if isinstance(error, WeeklyError):
        return Ending(error.exit_code, str(error))
    if isinstance(error, Stopped):
        word = "interrupted" if error.exit_code == Interrupted.exit_code else "terminated"
        line = f"{word}; the output is as it was, and the same command finishes the work"
        return Ending(error.exit_code, "; ".join([line, *getattr(error, "__notes__", ())]))
    first_line = (str(error).splitlines() or [""])[0]
    return Ending(EXIT_BUG, f"a bug: {type(error).__name__}: {first_line}")
