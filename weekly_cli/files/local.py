"""The output on a local disk: a lock and a work folder beside it, and an atomic switch.

The work folder stays if a run is interrupted, so that the next run can resume.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from weekly_cli import failpoints
from weekly_cli.errors import DiskError, WeeklyError
from weekly_cli.files import disk, records
from weekly_cli.files.disk import writing
from weekly_cli.files.leftovers import what_stays
from weekly_cli.files.lock import only_run
from weekly_cli.files.output_file import Flusher
from weekly_cli.files.output_name import check_output_name, is_single_file
from weekly_cli.files.store import NewFile, OutputStore
from weekly_cli.files.switch import put_in_place, restore_displaced_output
from weekly_cli.files.target import Listing, check_target, local_place
from weekly_cli.files.work_folder import MARK, empty, make_work_folder, remove_tree, remove_work_folder, work_place
from weekly_cli.settings import Config

_JOURNAL, _INPUT = "journal", "input"


class LocalStore(OutputStore):
    """The output of one run on a local disk.

    Raises
    ------
    OutputConflict
        If something that this tool did not write is there, or the location is one that is never replaced.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        check_output_name(config)
        self._output = local_place(config.output)
        self.name = str(self._output)
        self._before: Listing = check_target(self._output, config)
        self._work = self._output
        self._flusher: Flusher | None = None
        self.worth_keeping = False

    @property
    def standing(self) -> bool:
        """Whether something was already at the output's location when the run began."""
        return bool(self._before)

    def lock(self) -> AbstractContextManager[None]:
        """Hold the output's lock."""
        return only_run(self._output, self._config.wait)

    @contextlib.contextmanager
    def begin(self) -> Iterator[None]:
        """Provide the run's work folder, and restore an output that a dead run has moved out of the way."""
        self._work = work_place(self._output, self._config.work_dir, self._config.named("work_dir"))
        with writing(self._work.parent):
            if (self._work / MARK).is_file():
                restore_displaced_output(self._work, self._output)
            if self._config.fresh or not (self._work / MARK).is_file():
                remove_work_folder(self._work)
                make_work_folder(self._work)
        keep, self.worth_keeping = self._config.keep_work, (self._work / _JOURNAL).exists()
        try:
            self._before = check_target(self._output, self._config)  # check again: no other run can publish from now on
            with Flusher() as self._flusher:
                yield
        except BaseException as error:
            keep |= self.worth_keeping
            if keep:
                error.add_note(what_stays(self._work, self._config.output))
            raise
        finally:
            if not keep:
                with contextlib.suppress(WeeklyError):  # the run's own error counts; the next run removes what is left
                    restore_displaced_output(self._work, self._output)
                    remove_tree(self._work)

    def address(self, name: str) -> str:
        """Return a path in the work folder."""
        return str(self._work / name)

    def input_folder(self) -> Path:
        """Return the folder, without what an earlier run has left in it."""
        folder = self._work / _INPUT
        with writing(folder):
            if folder.is_dir():
                shutil.rmtree(folder)
            folder.mkdir()
        return folder

    def free_bytes(self) -> int:
        """Return the disk's free bytes."""
        return shutil.disk_usage(self._work).free

    def journal(self) -> list[bytes]:
        """Return the journal's lines."""
        return records.lines(self._work / _JOURNAL)

    def write_journal(self, line: bytes) -> None:
        """Append a line to the journal."""
        records.append_line(self._work / _JOURNAL, line)

    def proof(self, address: str) -> list[int]:
        """Return a file's size and the CRC-32 of its bytes."""
        return disk.proof(Path(address))

    def is_proven(self, address: str, proof: Collection[int]) -> bool:
        """Tell whether a file exists and has this size and checksum."""
        try:
            return [Path(address).stat().st_size] == list(proof)[:1] and self.proof(address) == list(proof)
        except (OSError, DiskError):
            return False

    def clear(self, keep: Collection[str], *, keep_journal: bool) -> None:
        """Empty the work folder, except for some files."""
        empty(self._work, {*map(Path, keep), self._work / _INPUT, *([self._work / _JOURNAL] if keep_journal else [])})

    def add_part(self, address: str) -> None:
        """Flush a part to disk in a thread; a single output file is flushed only after all parts are joined."""
        if self._flusher is not None and not is_single_file(self._config.output):
            self._flusher.add(Path(address))

    def commit(self, parts: Mapping[str, int], new_file: NewFile) -> int:
        """Publish the parts as the output."""
        if self._flusher is not None:
            self._flusher.wait()
        if is_single_file(self._config.output):
            new_output = self._one_file(parts, new_file)
            size = new_output.stat().st_size
        else:
            new_output, size = self._folder_of_parts(parts or {str(self._one_file((), new_file)): 0})
        put_in_place(new_output, self._output, self._before)
        return size

    def _one_file(self, parts: Collection[str], new_file: NewFile) -> Path:
        """Return the parts as one file; a single one is that."""
        address = self.address("joined.parquet")
        if len(parts) == 1:
            (only,) = map(Path, parts)
            disk.flush(only)
            _link(only, Path(address))
            return Path(address)
        with new_file(address) as joined:
            for part in parts:
                joined.append(Path(part))
            joined.close(durable=True)
        return Path(address)

    def _folder_of_parts(self, parts: Mapping[str, int]) -> tuple[Path, int]:
        """Link the parts into a new folder and return it with its size.

        Their names include a checksum of their bytes: a reader that listed the folder before the switch and opens a
        file after it finds the same bytes or no file, and never mixes the files of two runs into one table.
        """
        folder = self._work / "output"
        with writing(folder):
            folder.mkdir()
        failpoints.reached("publish:folder")
        size = 0
        for number, (part, checksum) in enumerate(parts.items()):
            size += Path(part).stat().st_size
            _link(Path(part), folder / f"part-{number:05d}-{checksum:08x}.parquet")
        return folder, size


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or rename it where the filesystem does not support hard links."""
    with writing(target):
        try:
            os.link(source, target)
        except OSError:
            source.rename(target)
    failpoints.reached("publish:linked")
