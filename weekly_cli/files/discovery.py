"""Finds the input files from files, folders and globs, with the hive keys in their paths."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from weekly_cli.errors import InputRefused, OutputConflict
from weekly_cli.files.parquet import PARQUET_SUFFIXES
from weekly_cli.files.target import wrote

HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"


HiveKeys = tuple[tuple[str, str | None], ...]


def find_inputs(names: Sequence[str], output: Path | None) -> list[tuple[Path, HiveKeys]]:
    """Return the Parquet files that the names lead to, with the hive keys of each, in path order for each name.

    A name is a file, a folder or a glob. A file that several names lead to counts once. Whatever is at `output`, if
    given, is not input: an output inside of the input's folder is built again.

    Raises
    ------
    InputRefused
        If a name leads to nothing, or a folder or glob contains no Parquet file.
    OutputConflict
        If the output would replace an input.
    """
    files: dict[Path, tuple[Path, HiveKeys]] = {}
    for name in names:
        for file, keys in _of_name(name, output):
            files.setdefault(file.resolve() if len(names) > 1 else file, (file, keys))
    return list(files.values())


def _of_name(name: str, output: Path | None) -> list[tuple[Path, HiveKeys]]:
    path = Path(name)
    try:
        files = _matching_files(path, name)
    except OSError as error:
        raise InputRefused(f"{name} can't be searched: {error.strerror}: {error.filename}") from error
    if output is None:
        return files
    outer = (path if path.exists() else Path(*_before_glob(path))).resolve()
    inside = {file for file, _ in files if output in (file.resolve(), *file.resolve().parents)}
    if output == outer or output in outer.parents or (inside and not wrote(output)):
        raise OutputConflict(f"the output {output} would replace the input {name}; choose another --output")
    return [(file, keys) for file, keys in files if file not in inside]


def _matching_files(path: Path, name: str) -> list[tuple[Path, HiveKeys]]:
    if path.is_file():
        return [(path, _hive_keys(path))]
    if path.is_dir():
        files = [file for file in _walk(path, set()) if file.suffix.lower() in PARQUET_SUFFIXES]
        if not files:
            raise InputRefused(f"{name} contains no Parquet files (*{', *'.join(PARQUET_SUFFIXES)})")
        return [(file, _hive_keys(file)) for file in files]
    if _is_glob(name):
        base = Path(*_before_glob(path))
        matches = base.glob(str(path.relative_to(base)))
        files = sorted(file for file in matches if file.is_file() and not _hidden(file.relative_to(base)))
        if not files:
            raise InputRefused(f"{name} matches no files")
        return [(file, _hive_keys(file)) for file in files]
    raise InputRefused(f"{name} does not exist; give Parquet files, folders of them, or globs in quotes")


@dataclass(frozen=True)
class FileState:
    """The system's record of a file: what changes when its bytes change, and when anything about it last changed."""

    inode: int
    size_bytes: int
    modified_ns: int
    changed_ns: int = field(compare=False)


def file_state(path: Path) -> FileState:
    """Return the state of a file.

    Raises
    ------
    InputRefused
        If it no longer exists, or can't be examined.
    """
    try:
        state = path.stat()
    except OSError as error:
        raise InputRefused(f"{path} can't be read: {os.strerror(error.errno or 0)}") from error
    return FileState(state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def refuse_changed(states: Mapping[Path, FileState]) -> None:
    """Refuse files that have changed: rows of two states may have been mixed.

    Raises
    ------
    InputRefused
    """
    for path, state in states.items():
        if not path.exists():
            what = "was removed"
        elif file_state(path) != state:
            what = "was changed"
        else:
            continue
        raise InputRefused(
            f"{path} {what} while it was being read; run the same command again when nothing else writes to it"
        )


def leads_somewhere(name: str) -> bool:
    """Tell whether a path exists, or the folder in which a glob begins."""
    path = Path(name)
    return path.exists() or (_is_glob(name) and Path(*_before_glob(path)).exists())


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _walk(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Yield the files below a folder in path order; a folder that links lead to again is visited once."""
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    for entry in sorted(folder.iterdir()):
        if _hidden(Path(entry.name)):
            continue
        if entry.is_dir():
            yield from _walk(entry, seen)
        elif entry.is_file():
            yield entry


def _hidden(relative: Path) -> bool:
    return any(part.startswith((".", "_")) for part in relative.parts)


def _before_glob(path: Path) -> Iterator[str]:
    for part in path.parts[:-1]:
        if _is_glob(part):
            return
        yield part


def _hive_keys(relative: Path) -> HiveKeys:
    pairs = (part.partition("=") for part in relative.parts[:-1] if "=" in part)
    try:
        return tuple(
            (unquote(key, errors="strict"), None if value == HIVE_NULL else unquote(value, errors="strict"))
            for key, _, value in pairs
        )
    except UnicodeDecodeError as error:
        raise InputRefused(f"{relative}: a key in a folder's name is not UTF-8: {error}; rename the folder") from error
