"""The last stage: all parts are there, then one atomic switch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from weekly_cli import failpoints
from weekly_cli.files import storage
from weekly_cli.files.part_writer import PartWriter
from weekly_cli.files.storage import Listing


def publish(
    parts: Mapping[Path, int], output: Path, work: Path, new_file: Callable[[Path], PartWriter], before: Listing
) -> int:
    """Put the parts, in order, into the output's place and return the bytes of the output.

    Parameters
    ----------
    parts : mapping of Path to int
        Finished parts in symbol order, with the checksums of their bytes; none makes an empty output.
    output : Path
    work : Path
        The run's work folder, on the same filesystem.
    new_file : callable
        Opens a file with the columns of the output.
    before : Listing
        What stood in the output's place when the run began.

    Raises
    ------
    OutputConflict
        If something else stands there by now.
    """
    if storage.is_single_file(output):
        made = _one_file(parts, work, new_file)
        size = made.stat().st_size
    else:
        made, size = _folder_of_parts(parts or {_one_file((), work, new_file): 0}, work)
    storage.put_in_place(made, output, before)
    return size


def _one_file(parts: Iterable[Path], work: Path, new_file: Callable[[Path], PartWriter]) -> Path:
    path = work / "joined.parquet"
    with new_file(path) as joined:
        for part in parts:
            joined.append(part)
        joined.close(durable=True)
    return path


def _folder_of_parts(parts: Mapping[Path, int], work: Path) -> tuple[Path, int]:
    """Link the parts into a new folder and return it with its size.

    Their names tell their bytes: who listed the folder before it was switched and opens a file after that finds
    the same bytes or none, and never takes what two runs made for one table.
    """
    folder = work / "output"
    with storage.writing(folder):
        folder.mkdir()
    failpoints.reached("publish:folder")
    size = 0
    for number, (part, checksum) in enumerate(parts.items()):
        size += part.stat().st_size
        storage.linked(part, folder / f"part-{number:05d}-{checksum:08x}.parquet")
    return folder, size
