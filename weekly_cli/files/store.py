"""Where an output goes, and where a run makes it: what every kind of storage has to offer.

A run locks its output, begins (and finds what an earlier run of the same output has left), adds parts, writes its
journal, and commits. Whatever ends it, the old output stands, or the new one is whole. Addresses of what a run makes
are texts that only the store, and the writers that workers open them with, understand.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weekly_cli.files.part_writer import PartWriter

#: Opens a file with the columns of the output at an address.
NewFile = Callable[[str], "PartWriter"]


class OutputStore(ABC):
    """The output of one run.

    Attributes
    ----------
    name : str
        The output, as a sentence names it.
    worth_keeping : bool
        Whether what the run has made so far would save a next run work: then it stays when the run is cut off.
    """

    name: str
    worth_keeping: bool

    @property
    @abstractmethod
    def standing(self) -> bool:
        """Whether an output stands in its place."""

    @abstractmethod
    def lock(self) -> AbstractContextManager[None]:
        """Make this the only run of the output, for as long as the context lasts.

        Raises
        ------
        OutputBusy
            If another run has it.
        """

    @abstractmethod
    def begin(self) -> AbstractContextManager[None]:
        """Recover what a dead run has left half done, and give the run a place to work in; the lock must be held.

        What the run has made goes at the end, unless it was cut off and is `worth_keeping`, or is to be kept.

        Raises
        ------
        OutputConflict
            If something that this tool did not make is in the way.
        """

    @abstractmethod
    def address(self, name: str) -> str:
        """Return the address of something that the run makes."""

    @abstractmethod
    def free_bytes(self) -> int:
        """Return how much more the run may write."""

    @abstractmethod
    def journal(self) -> list[bytes]:
        """Return the lines of the journal of this run, or of the one that it resumes; a last one may be half."""

    @abstractmethod
    def write_journal(self, line: bytes) -> None:
        """Add a line to the journal."""

    @abstractmethod
    def proof(self, address: str) -> list[int]:
        """Return the size and the CRC-32 of all bytes of what a run has made."""

    @abstractmethod
    def is_proven(self, address: str, proof: Collection[int]) -> bool:
        """Tell whether what an earlier run has made is there, and as it was."""

    @abstractmethod
    def clear(self, but: Collection[str], *, keep_journal: bool) -> None:
        """Remove what earlier runs have made, but for some addresses."""

    @abstractmethod
    def add_part(self, address: str) -> None:
        """Take a finished part: make it durable while the run goes on."""

    @abstractmethod
    def commit(self, parts: Mapping[str, int], new_file: NewFile) -> int:
        """Make the parts, in order, the output, in one step; return its bytes.

        Parameters
        ----------
        parts : mapping of address to int
            Finished parts with the checksums of their bytes; none makes an empty output.
        new_file : callable

        Raises
        ------
        OutputConflict
            If somebody else has written in the output's place since the run began.
        """
