"""Tasks that do something to the process that works on them.

Each worker imports this module, and with it nothing that it has not imported anyway.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from weekly_cli.run.task import Outcome, Task, run_task


def killed() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def left() -> NoReturn:
    os._exit(9)


def exits() -> NoReturn:
    sys.exit(3)


def aborts() -> NoReturn:
    os.abort()


def takes_all_memory() -> NoReturn:
    blocks = []
    while True:
        blocks.append(bytearray(2**26))


def raises() -> NoReturn:
    raise ArithmeticError("a poisonous symbol")


def hangs() -> NoReturn:
    while True:
        time.sleep(1.0)


DIED = "its worker process died"
#: What a symbol does to the process that works on it, and how the report puts it.
POISONS: Mapping[str, tuple[Callable[[], NoReturn], str]] = {
    "SIGKILL": (killed, DIED),
    "os._exit": (left, DIED),
    "abort": (aborts, DIED),
    "sys.exit": (exits, "SystemExit: 3"),
    "endless memory": (takes_all_memory, "MemoryError: "),
    "an exception": (raises, "ArithmeticError: a poisonous symbol"),
    "a hang": (hangs, "took longer than 1 s (--task-timeout)"),
}


class Poisoned:
    """Tasks as they are, but for the symbols that do something."""

    def __init__(self, poisons: Mapping[str, str]) -> None:
        self.poisons = dict(poisons)

    def __call__(self, task: Task) -> Outcome:
        for symbol in task.symbols.to_pylist():
            if symbol in self.poisons:
                POISONS[self.poisons[symbol]][0]()
        return run_task(task)


class PoisonedOnce(Poisoned):
    """The same, but only for the first process that can make a folder."""

    def __init__(self, poisons: Mapping[str, str], folder: Path) -> None:
        super().__init__(poisons)
        self.folder = folder

    def __call__(self, task: Task) -> Outcome:
        if self.poisons.keys() & set(task.symbols.to_pylist()):
            with contextlib.suppress(FileExistsError):
                self.folder.mkdir()
                return super().__call__(task)
        return run_task(task)


def slow(task: Task) -> Outcome:
    time.sleep(0.1)
    return run_task(task)
