"""What was checked, and what was found."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from weekly_cli.errors import InputRefused

#: Findings of a check that are told; the rest are counted.
MOST_TOLD = 5


class Refuted(Exception):
    """A table is not what it should be in a way that leaves a check nothing more to look at."""


@dataclass
class Check:
    """One check: what it did in words, every finding against the table, or why nothing was checked."""

    name: str
    did: str = ""
    findings: list[str] = field(default_factory=list)
    not_checked: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing was found against the table."""
        return not self.findings


@dataclass(frozen=True)
class WarmUp:
    """How long a column depends on where history began.

    Attributes
    ----------
    median_bar, last_bar : int or None
        The bar k from which a symbol's value moves by less than a thousandth, of the median symbol and of the last
        one that comes to that; None: it does not.
    symbols, unsettled : int
        Symbols that have the column, and those whose histories are too short to come to that.
    """

    column: str
    first_bar: int
    median_bar: int | None
    last_bar: int | None
    symbols: int
    unsettled: int


@dataclass
class Proof:
    """The record of a verification; every check is in it, whether there was something for it to look at or not."""

    table: str
    input: str
    checks: list[Check] = field(default_factory=list)
    warm_up: tuple[WarmUp, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was found against the table."""
        return all(check.passed for check in self.checks)

    @property
    def not_checked(self) -> list[str]:
        """The names of the checks that looked at nothing."""
        return [check.name for check in self.checks if check.not_checked]

    def to_dict(self) -> dict[str, Any]:
        """Return the record for JSON."""
        return {"passed": self.passed, **asdict(self)}


@contextlib.contextmanager
def checking(proof: Proof, name: str, listener: Callable[[Check], None]) -> Iterator[Check]:
    """Add a check to the record, and tell it when it is done; what refutes the table ends the check alone."""
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
    """Take what can't be read of the table for a finding against it."""
    try:
        yield
    except InputRefused as error:
        raise Refuted(str(error)) from error
