"""The terminal and the texts that go to it: streams, width, colours, encodings."""

from __future__ import annotations

import locale
import os
import shutil
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Terminal:
    """What commands print to.

    Attributes
    ----------
    stdin, stdout, stderr : bool
        Whether each is a terminal.
    width : int
        Columns.
    colours : bool
        Whether a report on stderr has colours.
    encoding, locale_encoding, file_encoding : str
        Of stdout; of the locale, by which Python reads text; of names of files.
    """

    stdin: bool
    stdout: bool
    stderr: bool
    width: int
    colours: bool
    term: str
    encoding: str
    locale: str
    locale_encoding: str
    file_encoding: str


def terminal() -> Terminal:
    """Look at this process's streams and locale."""
    term = os.environ.get("TERM", "")
    return Terminal(
        stdin=_is_terminal(sys.stdin),
        stdout=_is_terminal(sys.stdout),
        stderr=_is_terminal(sys.stderr),
        width=shutil.get_terminal_size().columns,
        colours=_is_terminal(sys.stderr) and term not in ("dumb", "unknown") and not os.environ.get("NO_COLOR"),
        term=term,
        encoding=getattr(sys.stdout, "encoding", None) or "",
        locale=os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or "",
        locale_encoding=locale.getpreferredencoding(False),
        file_encoding=sys.getfilesystemencoding(),
    )


def _is_terminal(stream: object) -> bool:
    return bool(stream is not None and stream.isatty())  # type: ignore[attr-defined]
