"""What the command writes: data on stdout, everything else on stderr, whether or not somebody reads it there."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from weekly_cli.names import printable

if TYPE_CHECKING:
    from rich.console import Console

#: How long, in all, a pipe that nobody reads may keep a run waiting.
_PATIENCE_SECONDS = 1.0
#: A pipe that is ready takes this much without waiting.
_WRITE_BYTES = 1024


class BestEffortStream:
    """stderr: whether somebody reads it, or can, makes no difference to a run.

    Text that a full pipe, a closed one or a terminal that has gone does not take is dropped.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._patience_seconds = _PATIENCE_SECONDS
        self.encoding = stream.encoding

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return its file descriptor."""
        return self._stream.fileno()

    def flush(self) -> None:
        """Nothing is held back."""

    def write(self, text: str) -> int:
        """Write what can be written, and return the length of the text."""
        with contextlib.suppress(OSError):
            self._stream.flush()
            if self.isatty() or os.name != "posix" or not _has_descriptor(self._stream):
                self._stream.write(text)
                self._stream.flush()
            else:
                self._write(text.encode(self.encoding or "utf-8", "backslashreplace"))
        return len(text)

    def _write(self, data: bytes) -> None:
        while data:
            began = time.monotonic()
            _, ready, _ = select.select([], [self.fileno()], [], max(0.0, self._patience_seconds))
            self._patience_seconds -= time.monotonic() - began
            if not ready:
                return
            data = data[os.write(self.fileno(), data[:_WRITE_BYTES]) :]


def _has_descriptor(stream: TextIO) -> bool:
    try:
        return stream.fileno() >= 0
    except OSError:  # made up, such as a test's
        return False


def console(*, stderr: bool) -> Console:
    """Return a console that prints text as it is."""
    from rich.console import Console

    file = cast("IO[str]", BestEffortStream(sys.stderr)) if stderr else None
    return Console(file=file, stderr=stderr, highlight=False, markup=False, emoji=False)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a line to stderr; what a symbol or a path may smuggle in does not steer the terminal."""
    BestEffortStream(sys.stderr).write(printable(text) + "\n")
