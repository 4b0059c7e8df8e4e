"""The command's output: data on stdout, everything else on stderr, whether or not anything reads it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import sys
import time
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any, TextIO, cast

from weekly_cli.names import printable

if TYPE_CHECKING:
    from rich.console import Console

#: The total time that a pipe that nothing reads may delay a run.
_PATIENCE_SECONDS = 1.0
#: A pipe that is ready accepts this many bytes without blocking.
_WRITE_BYTES = 1024


class BestEffortStream:
    """stderr for a run that must not depend on its reader.

    Text that can't be written, because a pipe is full or closed or the terminal is gone, is dropped.
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
        """Do nothing: nothing is buffered."""

    def write(self, text: str) -> int:
        """Write as much as possible, and return the length of the text."""
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
    except OSError:  # not a real file, such as a test's stream
        return False


def console(*, stderr: bool) -> Console:
    """Return a console that prints text unchanged; characters that stdout's encoding lacks are escaped."""
    from rich.console import Console

    if not stderr and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    file = cast("IO[str]", BestEffortStream(sys.stderr)) if stderr else None
    return Console(file=file, stderr=stderr, highlight=False, markup=False, emoji=False)


def print_text(text: str) -> None:
    """Print text as it is on stdout; characters that its encoding lacks are escaped."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.stdout.write(text)
    sys.stdout.flush()


@contextlib.contextmanager
def paged(shown: Console) -> Iterator[None]:
    """Send what is printed on a console to the user's pager; `less` ends by itself if all fits on the screen.

    Until the pager ends, an interrupt is the pager's.
    """
    import signal
    from pathlib import PurePath

    pager = PurePath((os.environ.get("PAGER") or "less").split()[0]).name
    options = os.environ.setdefault("LESS", "FRX") if pager == "less" else ""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with shown.pager(styles="R" in options or pager == "cat"):
            yield
    finally:
        signal.signal(signal.SIGINT, previous)


def print_json(value: Any) -> None:
    """Print a value as JSON on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Write a line to stderr; control characters, as a symbol or a path may contain, can't affect the terminal."""
    BestEffortStream(sys.stderr).write(printable(text) + "\n")
