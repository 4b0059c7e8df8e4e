"""Finds the input files from files, folders and globs, with the hive keys in their paths."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from weekly_cli.errors import InputRefused, OutputConflict
from weekly_cli.files import delta
from weekly_cli.files.delimited import is_named_as_text
from weekly_cli.files.delta import DeltaFiles
from weekly_cli.files.disk import refuse_of_store
from weekly_cli.files.locations import Location, location
from weekly_cli.files.objects.path import ObjectPath
from weekly_cli.files.objects.published import published_parts
from weekly_cli.files.parquet import PARQUET_SUFFIXES, is_parquet
from weekly_cli.files.target import wrote

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


HiveKeys = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class Skipped:
    """A file in the input's folders that is not read, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Inputs:
    """The files of an input, and the files that are not read.

    Attributes
    ----------
    files : sequence of (path, hive keys)
    skipped : sequence of Skipped
    schemas : mapping of path to pa.Schema
        Of files of a Delta table that tells: its columns and types, which count, as do its keys, before the file's.
    notes : sequence of str
        Which version of each Delta table is read.
    """

    files: Sequence[tuple[Location, HiveKeys]]
    skipped: Sequence[Skipped]
    schemas: Mapping[Location, pa.Schema] = field(default_factory=dict)
    notes: Sequence[str] = ()


def find_inputs(names: Sequence[str], output: Location | None) -> Inputs:
    """Return the files that the names lead to, in path order for each name, and what is not read.

    A name is a file, a folder, a Delta table's folder or a glob. A file that several names lead to counts once.
    Whatever is at `output`, if given, is not input: an output inside of the input's folder is built again.

    Raises
    ------
    InputRefused
        If a name leads to nothing or into a table format's folder, a folder or glob contains nothing to read, or a
        Delta table can't be read.
    OutputConflict
        If the output would replace an input.
    """
    files: dict[Location, tuple[Location, HiveKeys]] = {}
    skipped: dict[Location, Skipped] = {}
    schemas: dict[Location, pa.Schema] = {}
    notes: list[str] = []
    for name in names:
        table = _delta_table(location(name))
        found, left = _of_name(name, output, table)
        keys: dict[Location, HiveKeys] = {} if table is None else dict(table.files)
        for file in found:
            resolved = file.resolve() if len(names) > 1 else file
            files.setdefault(resolved, (file, keys[file] if file in keys else _hive_keys(file)))
            if table is not None and table.schema is not None:
                schemas[file] = table.schema
        if table is not None:
            notes.append(f"version {table.version} of the Delta table {name}")
        for file, reason in left.items():
            skipped.setdefault(file.resolve() if len(names) > 1 else file, Skipped(str(file), reason))
    return Inputs(list(files.values()), [skip for path, skip in skipped.items() if path not in files], schemas, notes)


def _delta_table(path: Location) -> DeltaFiles | None:
    if isinstance(path, ObjectPath) or not (path / delta.LOG).is_dir():
        return None
    refuse_table_formats([path])
    return delta.read_delta(path)


def _of_name(
    name: str, output: Location | None, table: DeltaFiles | None
) -> tuple[list[Location], dict[Location, str]]:
    path = location(name)
    try:
        if isinstance(path, ObjectPath):
            files, skipped = _objects(path, name)
        elif table is not None:
            files, skipped = _live_files(path, table)
        else:
            files, skipped = _matching_files(path, name)
            refuse_table_formats(files)
    except OSError as error:
        refuse_of_store(name, error)
        raise InputRefused(f"{name} can't be searched: {error.strerror}: {error.filename}") from error
    if output is None:
        return files, skipped
    outer = (_before_glob(path) if _is_glob(name) and not path.exists() else path).resolve()
    inside = set(_below(output, (*files, *skipped)))
    if output == outer or output in outer.parents or (inside.intersection(files) and not wrote(output)):
        raise OutputConflict(f"the output {output} would replace the input {name}; choose another --output")
    left = {file: reason for file, reason in skipped.items() if file not in inside}
    return [file for file in files if file not in inside], left


def _objects(path: ObjectPath, name: str) -> tuple[list[Location], dict[Location, str]]:
    """Return what a name in an object store leads to: of an output of this tool, the parts that are published."""
    published = published_parts(path)
    if published is not None:
        return list(published), {}
    files, skipped = _matching_files(path, name)
    refuse_table_formats([_before_glob(path) / "any" if _is_glob(name) else path / "any"])
    for file in skipped:  # what lies deeper was listed, and needs no more requests
        if file.name in (delta.LOG, ".hoodie") or file.name.endswith(".metadata.json"):
            refuse_table_formats([file.with_name("any") if file.name[0] in "._" else file.parent])
    return files, skipped


def _below(folder: Location, files: Sequence[Location]) -> Iterator[Location]:
    """Yield the files that are at a path or below it, wherever links lead."""
    real = {parent: parent.resolve() for parent in {file.parent for file in files}}
    inside = {parent: folder in (there, *there.parents) for parent, there in real.items()}
    for file in files:
        if file.is_symlink():
            there = file.resolve()
            if folder in (there, *there.parents):
                yield file
        elif inside[file.parent] or real[file.parent] / file.name == folder:
            yield file


def _live_files(folder: Path, table: DeltaFiles) -> tuple[list[Location], dict[Location, str]]:
    files: list[Location] = [file for file, _ in table.files]
    if not files:
        raise InputRefused(f"{folder} is a Delta table that has no rows in version {table.version}")
    reason = f"not in version {table.version} {delta.BY_ITS_LOG}"
    others = set(_walk(folder, set())).difference(files, [folder / delta.LOG])
    return files, dict.fromkeys(sorted(others), reason)


def _matching_files(path: Location, name: str) -> tuple[list[Location], dict[Location, str]]:
    if path.is_file():
        return [path], {}
    if path.is_dir():
        return _files_below([path], name)
    if _is_glob(name):
        return _files_of_glob(path, name)
    if isinstance(path, ObjectPath) and not ObjectPath(path.parts[0]).exists():
        raise InputRefused(
            f"{name}: there is no bucket {path.bucket}; check its name, and AWS_ENDPOINT_URL (or --s3-endpoint)"
        )
    raise InputRefused(f"{name} does not exist; give Parquet or CSV files, folders of them, or globs in quotes")


def _files_below(folders: Iterable[Location], name: str) -> tuple[list[Location], dict[Location, str]]:
    files, texts = [], []
    seen: set[Path] = set()
    skipped: dict[Location, str] = {}
    for folder in folders:
        for file in _walk(folder, seen):
            reason = _why_skipped(file, folder)
            if reason == _TEXT:
                texts.append(file)
            if reason:
                skipped[file] = reason
            else:
                files.append(file)
    if not files:
        files = texts
        skipped = {file: reason for file, reason in skipped.items() if reason != _TEXT}
    if not files:
        raise InputRefused(f"{name} contains no Parquet or CSV files{_examples(skipped)}")
    return files, skipped


def _files_of_glob(path: Location, name: str) -> tuple[list[Location], dict[Location, str]]:
    """Return the files that match a glob, or all files of the folders that match it where no file does."""
    base = _before_glob(path)
    files: list[Location] = []
    folders: list[Location] = []
    skipped: dict[Location, str] = {}
    matches: list[Location] = list(base.glob("/".join(path.parts[len(base.parts) :])))
    for match in sorted(matches):
        parts = match.parts[len(base.parts) :]
        is_folder = match.is_dir()
        named = path.name.startswith((".", "_"))
        if parts and not named and (any(map(_hidden_folder, parts)) if is_folder else _hidden(parts)):
            skipped[match] = _HIDDEN
        elif is_folder:
            folders.append(match)
        elif match.is_file():
            files.append(match)
    if files:
        return files, skipped | dict.fromkeys(folders, _FOLDER)
    if folders:
        files, below = _files_below(folders, name)
        return files, skipped | below
    raise InputRefused(f"{name} matches no files{_examples(skipped)}")


_TEXT = "CSV beside Parquet; give its path to read it"
_FOLDER = "a folder beside files that match; give its path to read it"
_HIDDEN = "hidden by its name; give its path to read it"
_LEFTOVER = "a copy or a leftover by its name; give its path to read it"
_MOST_LINE_BYTES = 64 * 1024
#: How names end of files that are unfinished, or were kept when another took their place.
_LEFTOVERS = (
    ".tmp",
    ".temp",
    ".part",
    ".partial",
    ".inprogress",
    ".crdownload",
    ".download",
    ".bak",
    ".old",
    ".orig",
    "~",
)
#: What writers leave beside their Parquet files.
_COMPANIONS = {
    "_SUCCESS": "a writer's mark",
    "_metadata": "a writer's summary of the footers beside it",
    "_common_metadata": "a writer's summary of the footers beside it",
}


def _why_skipped(file: Location, folder: Location) -> str | None:
    """Return why a file in a folder is not read beside Parquet, None for Parquet.

    A name that says Parquet is believed: a damaged file is refused when it is opened, not skipped.
    """
    if file.is_dir():
        return _HIDDEN
    if file.name in _COMPANIONS:
        return _COMPANIONS[file.name]
    if _hidden(file.parts[len(folder.parts) :]):
        return _HIDDEN if is_parquet(file) else "not Parquet"
    if file.name.lower().endswith(_LEFTOVERS):
        return _LEFTOVER
    if file.suffix.lower() in PARQUET_SUFFIXES or is_parquet(file):
        return None
    return _TEXT if is_named_as_text(file) else "not Parquet"


def first_line(path: str) -> str:
    """Return the beginning of the first line of a text file; empty if it can't be read as text."""
    try:
        with location(path).open("rb") as file:
            return bytes(file.readline(_MOST_LINE_BYTES)).decode("utf-8-sig").rstrip("\r\n")
    except (OSError, ValueError):  # ValueError: not UTF-8
        return ""


def _examples(skipped: Mapping[Location, str]) -> str:
    if not skipped:
        return ""
    shown = "; ".join(f"{path.name}: {reason}" for path, reason in list(skipped.items())[:3])
    return f"; {len(skipped):,} other files are there ({shown})"


#: Marks of formats in which a log, not the folder, tells which files and rows count.
_TABLE_FORMATS = ((delta.LOG, "Delta"), (".hoodie", "Hudi"), ("metadata/*.metadata.json", "Iceberg"))


def refuse_table_formats(files: Sequence[Location]) -> None:
    """Refuse files in a folder of a table format, where removed rows stay in files that look like data.

    Raises
    ------
    InputRefused
    """
    parents = dict.fromkeys(file.absolute().parent for file in files)
    for folder in dict.fromkeys(folder for parent in parents for folder in (parent, *parent.parents)):
        for mark, kind in _TABLE_FORMATS:
            if next(folder.glob(mark), None) is not None:
                unread = f"this tool does not read it; {delta.WRITE_IT_OUT}"
                way_out = "it is read where the folder itself is given" if kind == "Delta" else unread
                raise InputRefused(
                    f"{folder} is {'an' if kind == 'Iceberg' else 'a'} {kind} table: its log tells which of its files "
                    f"and rows count, and {way_out}"
                )


def leads_somewhere(name: str) -> bool:
    """Tell whether a path exists, or the folder in which a glob begins."""
    path = location(name)
    return path.exists() or (_is_glob(name) and _before_glob(path).exists())


def is_there(name: str) -> bool:
    """Tell whether there is a file or a folder of exactly this name."""
    return location(name).exists()


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _walk(folder: Location, seen: set[Path]) -> Iterator[Location]:
    """Yield the files below a folder in path order, and hidden folders without what is in them.

    A folder that links lead to again is visited once.
    """
    if isinstance(folder, ObjectPath):
        yield from folder.walk(_hidden_folder)
        return
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and _hidden_folder(entry.name):
            yield entry
        elif entry.is_dir():
            yield from _walk(entry, seen)
        elif entry.is_file():
            yield entry


def _hidden(parts: Sequence[str]) -> bool:
    """Tell whether one of the parts of a path is hidden; folders of hive keys never are."""
    *folders, name = parts
    return name.startswith((".", "_")) or any(map(_hidden_folder, folders))


def _hidden_folder(name: str) -> bool:
    return name.startswith((".", "_")) and "=" not in name


def _before_glob(path: Location) -> Location:
    """Return the folder in which a glob begins."""
    return next((folder for folder in path.parents if not _is_glob(str(folder))), path)


def _hive_keys(relative: Location) -> HiveKeys:
    pairs = (part.partition("=") for part in relative.parts[:-1] if "=" in part)
    try:
        return tuple(
            (unquote(key, errors="strict"), None if value == HIVE_NULL else unquote(value, errors="strict"))
            for key, _, value in pairs
        )
    except UnicodeDecodeError as error:
        raise InputRefused(f"{relative}: a key in a folder's name is not UTF-8: {error}; rename the folder") from error
