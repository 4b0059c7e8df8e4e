"""The output's location: where it is, and what may be replaced there.

Nothing that this tool did not write is ever replaced, with one exception that the user must request: Parquet files,
with `--overwrite`. Some locations are never replaced, no matter what is there and what is requested.
"""

from __future__ import annotations

import itertools
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from weekly_cli.errors import OutputConflict, UsageError
from weekly_cli.files import disk, records
from weekly_cli.files.locations import Location, location
from weekly_cli.files.objects.path import ObjectPath
from weekly_cli.files.objects.published import published_parts
from weekly_cli.files.parquet import METADATA_KEY, is_parquet
from weekly_cli.settings import Config

_FOREIGN_SHOWN = 3
#: Who has written a page, as its head says.
GENERATOR = "weekly-cli"


def wrote(path: Location) -> bool:
    """Tell whether everything at `path` is an output of this tool."""
    if isinstance(path, ObjectPath):
        return published_parts(path) is not None
    return not any(True for _ in foreign_files(path, overwrite=False))


#: Files that other writers of Parquet folders leave beside their data.
_COMPANIONS = ("_SUCCESS", "_metadata", "_common_metadata")


#: The name of a part in an output folder: its number, and the CRC-32 of its bytes.
PART_NAME = re.compile(r"part-\d{5,}-([0-9a-f]{8})\.parquet")


def foreign_files(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield the entries at `path`, or in it, that this tool must not replace.

    It may replace a file that has this tool's mark and, in a folder, a part's name; with `overwrite`, any Parquet file
    and its usual companions. A link, a hidden file, an empty folder or a folder inside the output belongs to others.
    """
    if path.is_symlink() or not path.is_dir():
        if not (_is_plain_file(path) and (is_parquet(path) if overwrite else _carries_mark(path))):
            yield path
        return
    for entry in sorted(path.iterdir()):
        if overwrite and entry.is_dir() and not entry.is_symlink() and any(entry.iterdir()):
            yield from foreign_files(entry, overwrite=overwrite)
        elif not (_is_plain_file(entry) and (_parquet_or_companion(entry) if overwrite else _is_part(entry))):
            yield entry


def _is_plain_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_part(path: Path) -> bool:
    """Tell a part from a file derived from one: metadata is copied along, but a part's name matches its bytes."""
    return PART_NAME.fullmatch(path.name) is not None and _carries_mark(path)


def _parquet_or_companion(path: Path) -> bool:
    return path.name in _COMPANIONS or path.suffix == ".crc" or is_parquet(path)


def own_files(output: Location) -> Sequence[Location]:
    """Return the files of an output by their names, in order; none if there is no output, or something else as well."""
    if isinstance(output, ObjectPath):
        return published_parts(output) or []
    if not output.is_dir():
        return [output] if _is_plain_file(output) else []
    files = sorted(output.iterdir())
    return files if all(_is_plain_file(path) and PART_NAME.fullmatch(path.name) for path in files) else []


Listing = frozenset[tuple[str, int, int, int]]


def listing(path: Path) -> Listing:
    """Return what is at `path` and below it: names, inodes, sizes and times; empty if there is nothing."""
    if not os.path.lexists(path):
        return frozenset()
    entries = [path, *path.rglob("*")] if path.is_dir() else [path]
    states = ((str(entry.relative_to(path)), entry.lstat()) for entry in entries)
    files = ((name, state) for name, state in states if name != "." or not stat.S_ISDIR(state.st_mode))
    return frozenset((name, state.st_ino, state.st_size, state.st_mtime_ns) for name, state in files)


def _carries_mark(path: Path) -> bool:
    try:
        metadata: Mapping[bytes, bytes] | None = pq.ParquetFile(str(path)).schema_arrow.metadata
        return METADATA_KEY in (metadata or {})
    except (OSError, pa.ArrowException):
        return False


def place(output: str) -> Location:
    """Return where an output goes; if it is a link, its target is replaced and the link stays."""
    return location(output).resolve()


def local_place(output: str) -> Path:
    """Return where an output on this machine goes, as `place` does."""
    return Path(output).resolve()


def check_target(output: Path, config: Config) -> Listing:
    """Refuse an output location that contains something else, and return what is already there.

    Raises
    ------
    OutputConflict
        If the location is one that is never replaced, or contains something that this tool did not write and that
        `--overwrite` does not cover.
    UsageError
        If its path is not valid UTF-8.
    """
    records.check_name(output, config.named("output"))
    _refuse_never_replaced(output)
    if config.sector_map is not None and not config.sector_columns and _holds(output, config.sector_map):
        raise OutputConflict(
            f"the output {output} would replace the sector map {config.sector_map}; choose another --output"
        )
    if config.universe is not None and _holds(output, config.universe):
        raise OutputConflict(
            f"the output {output} would replace the universe {config.universe}; choose another --output"
        )
    for spec in config.join:
        if _holds(output, spec.rpartition(":")[0]):
            raise OutputConflict(f"the output {output} would replace a table of --join {spec}; choose another --output")
    with disk.writing(output):
        existing = listing(output)
        foreign = list(foreign_files(output, overwrite=config.overwrite)) if os.path.lexists(output) else []
    if foreign:
        raise OutputConflict(_sentence(output, foreign, config.overwrite))
    return existing


def check_report(config: Config) -> None:
    """Refuse a report path that can't be written, or where the report would overwrite something else.

    Raises
    ------
    UsageError
        Before the work begins.
    """
    if config.report is None:
        return
    path, output = location(config.report).resolve(), place(config.output)
    named = f"{config.named('report')} {config.report}"
    if output in (path, *path.parents):
        raise UsageError(f"{named} lies in the output {output}, which is replaced as a whole; choose another file")
    check_report_file(location(config.report), config.named("report"))


def check_report_file(path: Location, flag: str) -> None:
    """Refuse a path where a report, as JSON or as a page, can't be written or would overwrite something else.

    Raises
    ------
    UsageError
    """
    records.check_writable(path, flag)
    with disk.reading_input(path):
        is_other = path.is_file() and path.stat().st_size and not _is_report(path)
    if is_other:
        raise UsageError(f"{flag} {path} already exists and is not a report of weekly-cli; choose another file")


def _is_report(path: Location) -> bool:
    if records.begins_with_page(path, GENERATOR):
        return True
    value = records.read_json(path)
    return isinstance(value, dict) and {"version", "fingerprint", "output"} <= value.keys()


def is_page(path: str) -> bool:
    """Tell by its suffix whether a report is written as a page, and not as JSON."""
    return Path(path).suffix.lower() in (".html", ".htm")


def _refuse_never_replaced(output: Path) -> None:
    """Refuse the current folder, the home folder, every folder above them, and mount points."""
    what = None
    if _holds(output, os.curdir):
        what = "the current folder or one above it"
    elif _holds(output, "~"):
        what = "your home folder or one above it"
    elif os.path.ismount(output):
        what = "a mount point"
    if what is not None:
        raise OutputConflict(f"the output {output} is {what}, which is never replaced; choose another --output")


def _holds(folder: Path, name: str) -> bool:
    inner = Path(os.path.expanduser(name)).resolve()  # noqa: PTH111 - a user without a home folder can't lose it
    return folder == inner or folder in inner.parents


def _sentence(output: Path, foreign: list[Path], overwrite: bool) -> str:
    if foreign == [output]:
        what = "is not a Parquet file" if overwrite else "was not written by weekly-cli"
        return f"{output} already exists and {what}; choose another --output, or move it away"
    named = ", ".join(str(path.relative_to(output)) for path in itertools.islice(foreign, _FOREIGN_SHOWN))
    more = " and more" if len(foreign) > _FOREIGN_SHOWN else ""
    count = f"{len(foreign):,} {'entry' if len(foreign) == 1 else 'entries'}"
    what = "neither weekly-cli's nor Parquet files" if overwrite else "not weekly-cli's"
    return (
        f"{output} already exists and contains {count} that {'is' if len(foreign) == 1 else 'are'} {what}: "
        f"{named}{more}; choose another --output, or move {'it' if len(foreign) == 1 else 'them'} away"
    )
