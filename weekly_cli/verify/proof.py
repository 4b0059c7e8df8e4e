"""The checks that were made, and their findings."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from weekly_cli.errors import InputRefused
from weekly_cli.notebook import Shown

#: Findings of a check that are listed; the others are only counted.
MAX_LISTED = 5


class Refuted(Exception):
    """A table is wrong in a way that leaves a check nothing more to examine."""


@dataclass
class Check:
    """One check: a description of what it did, every finding against the table, or why nothing was checked."""

    name: str
    did: str = ""
    findings: list[str] = field(default_factory=list)
    not_checked: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether there are no findings against the table."""
        return not self.findings


@dataclass(frozen=True)
class WarmUp:
    """How long a column depends on where the history begins.

    Attributes
    ----------
    median_bar, last_bar : int or None
        The bar k from which a symbol's value changes by less than a thousandth: for the median symbol, and for the last
        symbol that reaches that; None: it is not reached.
    symbols, unsettled : int
        Symbols that have the column, and those whose histories are too short to reach that.
    """

    column: str
    first_bar: int
    median_bar: int | None
    last_bar: int | None
    symbols: int
    unsettled: int


@dataclass(repr=False)
class Proof(Shown):
    """The record of a verification; it has every check, whether or not the check had anything to examine."""

    table: str
    input: str
    checks: list[Check] = field(default_factory=list)
    warm_up: tuple[WarmUp, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether there are no findings against the table."""
        return all(check.passed for check in self.checks)

    @property
    def not_checked(self) -> list[str]:
        """The names of the checks that checked nothing."""
        return [check.name for check in self.checks if check.not_checked]

    def figures(self) -> dict[str, str]:
        """Return what a session shows of it."""
        shown = {"table": self.table, "input": self.input, "passed": "yes" if self.passed else "no"}
        return shown | {check.name: _in_words(check) for check in self.checks}

    def to_dict(self) -> dict[str, Any]:
        """Return the record for JSON."""
        return {"passed": self.passed, **asdict(self)}


def _in_words(check: Check) -> str:
    if check.not_checked:
        return f"not checked: {check.not_checked}"
    return "; ".join(check.findings[:MAX_LISTED]) or "passed"


@contextlib.contextmanager
def checking(proof: Proof, name: str, listener: Callable[[Check], None]) -> Iterator[Check]:
    """Add a check to the proof, and report it when it is done; a refutation of the table ends only this check."""
    check = Check(name)
    began = time.perf_counter()
    try:
        yield check
    except Refuted as refuted:
        check.findings.append(str(refuted))
    check.seconds = time.perf_counter() - began
    proof.checks.append(check)
    listener(check)


@contextlib.contextmanager
def of_the_table() -> Iterator[None]:
    """Treat a part of the table that can't be read as a finding against it."""
    try:
        yield
    except InputRefused as error:
        raise Refuted(str(error)) from error
