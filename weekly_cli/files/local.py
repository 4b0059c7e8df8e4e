"""The output on a local disk: a lock beside it, a work folder beside it, and an atomic switch.

The work folder stays where a run was cut off, for the next one to resume. It has its mark from its first moment on, and
loses it last: half removed, it is still known as this tool's.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from weekly_cli import failpoints
from weekly_cli.errors import DiskError, OutputConflict, UsageError, WeeklyError
from weekly_cli.files import disk, records
from weekly_cli.files.disk import writing
from weekly_cli.files.lock import only_run
from weekly_cli.files.output_file import Flusher, is_single_file
from weekly_cli.files.store import NewFile, OutputStore
from weekly_cli.files.switch import put_in_place, restore_displaced_output
from weekly_cli.files.target import Listing, check_target, place
from weekly_cli.settings import Config

#: Every folder that this tool works in has a file of this name from its first moment on.
_MARK = "made-by-weekly-cli"
_JOURNAL, _WORK = "journal", ".weekly-cli-work"


class LocalStore(OutputStore):
    """The output of one run on a local disk.

    Raises
    ------
    OutputConflict
        If something that this tool did not write is in its place, or it is a place that is never replaced.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._output = place(config.output)
        self.name = str(self._output)
        self._before: Listing = check_target(self._output, config)
        self._work = self._output
        self._flusher: Flusher | None = None
        self.worth_keeping = False

    @property
    def standing(self) -> bool:
        """Whether something stood in the output's place when the run began."""
        return bool(self._before)

    def lock(self) -> AbstractContextManager[None]:
        """Hold the output's lock."""
        return only_run(self._output, self._config.wait)

    @contextlib.contextmanager
    def begin(self) -> Iterator[None]:
        """Give the run its work folder, and put an output back that a dead run has moved out of the way."""
        self._work = _work_place(self._output, self._config)
        with writing(self._work.parent):
            if (self._work / _MARK).is_file():
                restore_displaced_output(self._work, self._output)
            if self._config.fresh or not (self._work / _MARK).is_file():
                _remove_work_folder(self._work)
                _make_work_folder(self._work)
        keep, self.worth_keeping = self._config.keep_work, (self._work / _JOURNAL).exists()
        try:
            self._before = check_target(self._output, self._config)  # once more: nobody else may publish from now on
            with Flusher() as self._flusher:
                yield
        except BaseException:
            keep |= self.worth_keeping
            raise
        finally:
            if not keep:
                with contextlib.suppress(WeeklyError):  # how the run ended counts; the next one removes what stays
                    restore_displaced_output(self._work, self._output)
                    _remove_tree(self._work)

    def address(self, name: str) -> str:
        """Return a path in the work folder."""
        return str(self._work / name)

    def free_bytes(self) -> int:
        """Return the free bytes of the disk."""
        return shutil.disk_usage(self._work).free

    def journal(self) -> list[bytes]:
        """Return the journal's lines."""
        return records.lines(self._work / _JOURNAL)

    def write_journal(self, line: bytes) -> None:
        """Add a line."""
        records.append_line(self._work / _JOURNAL, line)

    def proof(self, address: str) -> list[int]:
        """Return a file's size and the CRC-32 of its bytes."""
        return [Path(address).stat().st_size, disk.checksum(Path(address))]

    def is_proven(self, address: str, proof: Collection[int]) -> bool:
        """Tell whether a file is there with this size and checksum."""
        try:
            return [Path(address).stat().st_size] == list(proof)[:1] and self.proof(address) == list(proof)
        except (OSError, DiskError):
            return False

    def clear(self, but: Collection[str], *, keep_journal: bool) -> None:
        """Empty the work folder, but for some files."""
        _empty(self._work, {*map(Path, but), *([self._work / _JOURNAL] if keep_journal else [])})

    def add_part(self, address: str) -> None:
        """Flush a part to disk in a thread; one file of all parts is flushed as a whole."""
        if self._flusher is not None and not is_single_file(self._output):
            self._flusher.add(Path(address))

    def commit(self, parts: Mapping[str, int], new_file: NewFile) -> int:
        """Put the parts in the output's place."""
        if self._flusher is not None:
            self._flusher.wait()
        if is_single_file(self._output):
            made = self._one_file(parts, new_file)
            size = made.stat().st_size
        else:
            made, size = self._folder_of_parts(parts or {str(self._one_file((), new_file)): 0})
        put_in_place(made, self._output, self._before)
        return size

    def _one_file(self, parts: Collection[str], new_file: NewFile) -> Path:
        path = self.address("joined.parquet")
        with new_file(path) as joined:
            for part in parts:
                joined.append(Path(part))
            joined.close(durable=True)
        return Path(path)

    def _folder_of_parts(self, parts: Mapping[str, int]) -> tuple[Path, int]:
        """Link the parts into a new folder and return it with its size.

        Their names tell their bytes: who listed the folder before it was switched and opens a file after that finds
        the same bytes or none, and never takes what two runs made for one table.
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
    """Give a file a second name, or another one where the filesystem knows no second names."""
    with writing(target):
        try:
            os.link(source, target)
        except OSError:
            source.rename(target)
    failpoints.reached("publish:linked")


# ---- the work folder -------------------------------------------------------------------------------------


def _work_place(output: Path, config: Config) -> Path:
    if config.work_dir is None:
        return output.with_name(f".{output.name}{_WORK}")
    named = f"{config.named('work_dir')} {config.work_dir}"
    inside = Path(config.work_dir).resolve()
    if not inside.is_dir():
        raise UsageError(f"{named} is not a directory")
    if output in (inside, *inside.parents):
        raise UsageError(f"{named} lies in the output {output}, which is replaced as a whole; choose another")
    if inside.stat().st_dev != output.parent.stat().st_dev:
        raise UsageError(f"{named} is on another filesystem than the output {output}")
    records.check_name(inside, config.named("work_dir"))
    which = hashlib.sha256(os.fsencode(output)).hexdigest()[:8]
    return inside / f".{output.name}-{which}{_WORK}"


def _remove_work_folder(folder: Path) -> None:
    """Remove a work folder of an earlier run.

    Raises
    ------
    OutputConflict
        If it is not one.
    """
    if not os.path.lexists(folder):
        return
    ours = folder.is_dir() and not folder.is_symlink() and ((folder / _MARK).is_file() or not any(folder.iterdir()))
    if not ours:
        raise OutputConflict(f"{folder} is in the way, and was not created by weekly-cli; move it, or pass --work-dir")
    _remove_tree(folder)


def _make_work_folder(folder: Path) -> None:
    """Make a work folder that has its mark from its first moment on."""
    new = folder.with_name(f"{folder.name}-new")
    _remove_work_folder(new)
    try:
        new.mkdir(mode=0o700)
        failpoints.reached("work:made")
        (new / _MARK).touch()
        failpoints.reached("work:marked")
        new.rename(folder)
    except BaseException:
        with contextlib.suppress(OSError, WeeklyError):  # the reason counts; the next run removes what stays
            _remove_work_folder(new)
        raise
    failpoints.reached("work:renamed")


def _remove_tree(folder: Path) -> None:
    """Remove a folder that this tool made, its mark last: half removed, it is still known as ours."""
    failpoints.reached("work:removing")
    _empty(folder, ())
    with writing(folder):
        (folder / _MARK).unlink(missing_ok=True)
        failpoints.reached("work:unmarked")
        folder.rmdir()
    failpoints.reached("work:removed")


def _empty(folder: Path, but: Collection[Path]) -> None:
    """Remove what this tool has made in a folder of its own, but for some files and for its mark."""
    with writing(folder):
        found = list(folder.iterdir())
    for path in found:
        if path in but or path.name == _MARK:
            continue
        with writing(path):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        failpoints.reached("work:entry-removed")
