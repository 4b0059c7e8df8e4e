"""What a worker of a Dask cluster does around each piece of work, and when it starts.

Work travels as bytes: the scheduler unpickles what it is sent, and these are all that it sees of tables, schemas and
paths. It imports this module for the function's name, so nothing that is heavy, or that it may lack, is imported here.
"""

from __future__ import annotations

import functools
import os
import pickle
import platform
import secrets
import threading
import time
import traceback
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from weekly_cli.errors import WeeklyError
from weekly_cli.files.objects.filesystems import Connection, connect_by

if TYPE_CHECKING:
    from weekly_cli.run.engines import RunTask
    from weekly_cli.run.task import Outcome, Task


@dataclass(frozen=True)
class Answer:
    """What became of a piece of work.

    Attributes
    ----------
    value : Any
        What the function returned.
    error : WeeklyError or None
        What it raised, if that is for the user.
    reason, details : str
        Any other exception, in one line, and its traceback; empty: there was none.
    is_late : bool
        Whether it took too long: it still runs, in a thread that nobody waits for.
    place : tuple of str, int, int
        The machine, the process and the thread that were busy with it.
    clock : float
        The wall clock less `time.monotonic` of that machine, in seconds.
    """

    value: Any = None
    error: WeeklyError | None = None
    reason: str = ""
    details: str = ""
    is_late: bool = False
    place: tuple[str, int, int] = ("", 0, 0)
    clock: float = 0.0


@functools.lru_cache(maxsize=1)
def _connect_by(connection: Connection) -> None:
    """Reach object stores as the run's own process does, from now on."""
    connect_by(lambda: connection)


def answer(work: bytes, seconds: float | None) -> Answer:
    """Call a function with an item, for so many seconds at most; both, and how stores are reached, are pickled.

    Nothing is raised here: an exception of a plugin may be of a class that the caller can't unpickle, and `sys.exit`
    would end the worker.
    """
    found = _called(work) if seconds is None else _called_in_thread(work, seconds)
    place = platform.node(), os.getpid(), threading.get_ident()
    return replace(found, place=place, clock=time.time() - time.monotonic())


def _called(work: bytes) -> Answer:
    try:
        connection, function, item = pickle.loads(work)
        _connect_by(connection)
        return Answer(function(item))
    except WeeklyError as error:
        return Answer(error=error)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the caller decides what a task's exception means
        return Answer(reason=f"{type(error).__name__}: {error}", details=traceback.format_exc())


def _called_in_thread(work: bytes, seconds: float) -> Answer:
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(_called(work)), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else Answer(is_late=True)


@dataclass(frozen=True)
class Attempt:
    """Runs a task as an attempt of its own, which has a part of its own: a worker may go on after it was given up."""

    run: RunTask

    def __call__(self, task: Task) -> Outcome:
        """Run the task, and write a part that no other attempt writes."""
        stem, _, suffix = task.part.rpartition(".")
        return self.run(replace(task, part=f"{stem}-{secrets.token_hex(4)}.{suffix}"))


@dataclass(frozen=True)
class Reach:
    """Looks from a worker for what the run has: a file of its input, and its work folder, if it has one.

    Attributes
    ----------
    input : str
        The path of an input file.
    mark : str
        What the start marker of this process is named after; empty: there is no work folder.
    """

    input: str
    mark: str

    def __call__(self) -> str:
        """Return what is out of reach, and why; empty: nothing is."""
        from weekly_cli.files import markers, parquet

        try:
            parquet.open_parquet(self.input)
            if not self.mark:
                return ""
            if markers.read_start_marker(self.mark) is None:
                return f"{os.path.dirname(self.mark)} is not there"  # noqa: PTH120 - an address, not always a path
            markers.write_start_marker(f"{self.mark}-{platform.node()}-{os.getpid()}")
        except WeeklyError as error:
            return str(error)
        return ""


def dask_setup(worker: Any) -> None:
    """Prepare a worker that this tool has started; Dask calls this function, by its name, when the worker starts."""
    from weekly_cli.run.engines import process

    process.prepare(worker.memory_manager.memory_limit)
