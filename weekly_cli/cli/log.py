"""The log of a run: its events with times, how it ended, and why."""

from __future__ import annotations

import contextlib
import datetime
import json
import shlex
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from weekly_cli import __version__
from weekly_cli.cli.console import say
from weekly_cli.cli.ending import Ending, ending_of
from weekly_cli.cli.heartbeat import heartbeat
from weekly_cli.errors import EXIT_BUG, EXIT_DONE, UsageError
from weekly_cli.events import Event, Listener, RunWarning, StageEnded, StageStarted, ignore
from weekly_cli.names import printable

if TYPE_CHECKING:
    from weekly_cli.run.report import Report
    from weekly_cli.settings import Config

_INFO, _WARNING, _ERROR = "info", "warning", "error"
_JSON_SUFFIXES = (".json", ".jsonl")


class RunLog:
    """A listener that writes lines to a file, if there is one.

    Attributes
    ----------
    exit_code : int
        Of the command, if no exception ends it.
    beats : Listener
        Is told of every event, too.
    """

    def __init__(self, stream: TextIO | None, *, as_json: bool) -> None:
        self._stream, self._as_json = stream, as_json
        self._lock = threading.Lock()
        self.exit_code = EXIT_DONE
        self.beats: Listener = ignore

    def __call__(self, event: Event) -> None:
        """Log an event."""
        self.beats(event)
        if isinstance(event, StageStarted):
            self.write(_INFO, "stage-started", f"{event.stage} started", stage=event.stage)
        if isinstance(event, StageEnded):
            message = f"{event.stage} ended after {event.seconds:.2f} s: {event.what}"
            self.write(_INFO, "stage-ended", message, stage=event.stage, seconds=round(event.seconds, 3))
        if isinstance(event, RunWarning):
            self.write(_WARNING, "warning", event.what)

    def report(self, report: Report) -> None:
        """Log what a run has found and made."""
        for finding in report.findings:
            self.write(_WARNING, "finding", finding.line, code=finding.code, count=finding.count)
        made = f"{report.rows:,} rows of {report.symbols:,} symbols, {report.columns} columns, in {report.output}"
        self.write(
            _INFO, "published", made, rows=report.rows, symbols=report.symbols, rejected=len(report.rejected),
            bytes=report.bytes_written,
        )  # fmt: skip

    def end(self, ending: Ending, error: BaseException | None = None) -> None:
        """Log how the command ends."""
        level = _INFO if ending.exit_code == EXIT_DONE else _ERROR
        if ending.line:
            facts = {"traceback": traceback.format_exc()} if error and ending.exit_code == EXIT_BUG else {}
            self.write(level, "error", ending.line, **facts)
        self.write(level, "ended", f"ended with exit code {ending.exit_code}", exit_code=ending.exit_code)

    def write(self, level: str, event: str, message: str, **facts: Any) -> None:
        """Write a line; a log that can't be written any more is said once, and the run goes on."""
        if self._stream is None:
            return
        time = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": time, "level": level, "event": event, "message": message, **facts})
        if not self._as_json:
            more = "".join(f"\n  {printable(text)}" for text in facts.get("traceback", "").splitlines())
            line = f"{time} {level.upper():<7} {printable(message)}{more}"
        try:
            with self._lock:
                self._stream.write(line + "\n")
        except OSError as error:
            say(f"warning: the log {self._stream.name} can't be written any more: {error.strerror}")
            self._stream = None


@contextlib.contextmanager
def opened(config: Config) -> Iterator[RunLog]:
    """Provide the log of a command, which ends with the exit code, or with the error that ends the command.

    Raises
    ------
    OutputConflict
        If another file is in its place.
    UsageError
        If it can't be written.
    """
    if config.log_file is None:
        yield RunLog(None, as_json=False)
        return
    from weekly_cli.files.log_file import create_log

    path = Path(config.log_file)
    _refuse_places(path, config)
    with create_log(path, f"{config.named('log_file')} {path}") as stream:
        log = RunLog(stream, as_json=path.suffix.lower() in _JSON_SUFFIXES)
        log.write(_INFO, "started", f"weekly-cli {__version__} {shlex.join(sys.argv[1:])}")
        try:
            with heartbeat(lambda line: log.write(_INFO, "progress", line)) as log.beats:
                yield log
        except BaseException as error:
            log.end(ending_of(error), error)
            raise
        log.end(Ending(log.exit_code))


def _refuse_places(path: Path, config: Config) -> None:
    """Refuse a log inside of the output, which is replaced as a whole, or in the place of the report."""
    resolved, output = path.resolve(), Path(config.output).resolve()
    named = f"{config.named('log_file')} {path}"
    if output in (resolved, *resolved.parents):
        raise UsageError(f"{named} lies in the output {output}, which is replaced as a whole; choose another file")
    if config.report is not None and Path(config.report).resolve() == resolved:
        raise UsageError(f"{named} is the report's file, too; choose another for one of them")
