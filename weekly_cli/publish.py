"""The last stage: all parts are there, then one atomic switch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from weekly_cli import failpoints, storage
from weekly_cli.errors import OutputConflict
from weekly_cli.parquet.row_groups import RowGroupFile


def place(output: str) -> Path:
    """Return where an output goes; what a link leads to is replaced there, and the link stays."""
    return Path(output).expanduser().resolve()


def check_target(output: Path, overwrite: bool) -> None:
    """Refuse an output place that holds something else.

    Raises
    ------
    OutputConflict
        If something that this tool did not write is there, and `overwrite` is false.
    UsageError
        If its path is no text.
    """
    storage.check_name(output, "--output")
    with storage.writing(output):
        strange = not overwrite and output.exists() and not _is_ours(output)
    if strange:
        raise OutputConflict(
            f"{output} is there already, and weekly-cli did not write all of it; "
            "choose another --output, or pass --overwrite to replace it"
        )


def _is_ours(output: Path) -> bool:
    return output.is_dir() != storage.is_single_file(output) and storage.wrote(output)


def publish(parts: Mapping[Path, int], output: Path, work: Path, new_file: Callable[[Path], RowGroupFile]) -> int:
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
    """
    if storage.is_single_file(output):
        made = _joined(parts, work, new_file)
        size = made.stat().st_size
    else:
        made, size = _folder(parts or {_joined((), work, new_file): 0}, work)
    storage.publish(made, output)
    return size


def _joined(parts: Iterable[Path], work: Path, new_file: Callable[[Path], RowGroupFile]) -> Path:
    path = work / "joined.parquet"
    with new_file(path) as joined:
        for part in parts:
            joined.append(part)
        joined.close(durable=True)
    return path


def _folder(parts: Mapping[Path, int], work: Path) -> tuple[Path, int]:
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
