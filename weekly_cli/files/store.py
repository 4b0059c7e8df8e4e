"""Where an output goes, and where a run builds it: the interface of every kind of storage.

A run locks its output, begins (and finds what an earlier run of the same output has left), adds parts, writes its
journal, and commits. However the run ends, either the old output is unchanged or the new one is complete. Addresses are
strings that only the store, and the writers with which workers open them, understand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weekly_cli.files.locations import Location
    from weekly_cli.files.part_writer import PartWriter

#: Opens a file with the columns of the output at an address.
NewFile = Callable[[str], "PartWriter"]


class OutputStore(ABC):
    """The output of one run.

    Attributes
    ----------
    name : str
        The output's name in messages.
    worth_keeping : bool
        Whether the work so far would save a later run work: if so, it stays when the run is interrupted.
    """

    name: str
    worth_keeping: bool

    @property
    @abstractmethod
    def standing(self) -> bool:
        """Whether an output already exists at its location."""

    @abstractmethod
    def lock(self) -> AbstractContextManager[None]:
        """Make this the only run of the output for as long as the context lasts.

        Raises
        ------
        OutputBusy
            If another run has the lock.
        """

    @abstractmethod
    def begin(self) -> AbstractContextManager[None]:
        """Recover what a dead run has left half done, and provide a place to work in; the lock must be held.

        The work is removed at the end, unless the run was interrupted and it is `worth_keeping`, or settings keep it.

        Raises
        ------
        OutputConflict
            If something that this tool did not make is in the way.
        """

    @abstractmethod
    def address(self, name: str) -> str:
        """Return the address of a file that the run will write."""

    @abstractmethod
    def input_folder(self) -> Location:
        """Return an empty folder for the input in a converted form; `clear` leaves it alone."""

    @abstractmethod
    def free_bytes(self) -> int:
        """Return how many more bytes the run may write."""

    @abstractmethod
    def journal(self) -> list[bytes]:
        """Return the journal lines of this run or of the one that it resumes; the last one may be incomplete."""

    @abstractmethod
    def write_journal(self, line: bytes) -> None:
        """Add a line to the journal."""

    @abstractmethod
    def proof(self, address: str) -> list[int]:
        """Return what tells a file that a run has written from another: its size first."""

    @abstractmethod
    def is_proven(self, address: str, proof: Collection[int]) -> bool:
        """Tell whether a file that an earlier run has written exists and is unchanged."""

    @abstractmethod
    def clear(self, keep: Collection[str], *, keep_journal: bool) -> None:
        """Remove what earlier runs have written, except for some addresses."""

    @abstractmethod
    def add_part(self, address: str) -> None:
        """Accept a finished part: make it durable while the run continues."""

    @abstractmethod
    def commit(self, parts: Mapping[str, int], new_file: NewFile) -> int:
        """Publish the parts, in order, as the output in one step; return its size in bytes.

        Parameters
        ----------
        parts : mapping of address to int
            Finished parts with the checksums of their bytes; no parts make an empty output.
        new_file : callable

        Raises
        ------
        OutputConflict
            If another process has written to the output's location since the run began.
        """
