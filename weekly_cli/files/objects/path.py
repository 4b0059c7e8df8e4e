"""A path in an object store, with the part of `pathlib.Path` that this room uses.

There are no folders in a store: what lies below a path is what has its key as a prefix.
"""

from __future__ import annotations

import contextlib
import fnmatch
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from weekly_cli.files.objects.filesystems import filesystem
from weekly_cli.files.objects.names import ObjectName

if TYPE_CHECKING:
    from pyarrow import NativeFile
    from pyarrow.fs import FileInfo, FileSystem

_COPY_BYTES = 8 * 2**20
_LEAST_ASKED = 64 * 1024


class ObjectState(NamedTuple):
    """What a store tells of an object, by the names that `os.stat_result` has for it; it has no inodes."""

    st_size: int
    st_mtime_ns: int
    st_ino: int = 0
    st_ctime_ns: int = 0


class ObjectPath(ObjectName):
    """A path in an object store.

    Parameters
    ----------
    url : str
    info : pyarrow.fs.FileInfo, optional
        What a listing has just told of it.
    """

    def __init__(self, url: str, info: FileInfo | None = None) -> None:
        super().__init__(url)
        self._info = info

    @property
    def filesystem(self) -> FileSystem:
        """The filesystem that opens its key."""
        return filesystem(self.scheme, self.bucket)

    def info(self) -> FileInfo:
        """Return what the store tells of it now."""
        return self.filesystem.get_file_info(self.key)

    def _kind(self) -> Any:
        if self._info is None:
            self._info = self.info()
        return self._info.type

    def exists(self) -> bool:
        """Tell whether there is an object, or something below it."""
        from pyarrow.fs import FileType

        return bool(self.info().type != FileType.NotFound)

    def is_file(self) -> bool:
        """Tell whether it is an object."""
        from pyarrow.fs import FileType

        return bool(self._kind() == FileType.File)

    def is_dir(self) -> bool:
        """Tell whether there is something below it."""
        from pyarrow.fs import FileType

        return bool(self._kind() == FileType.Directory)

    def is_symlink(self) -> bool:
        """Tell that there are no links."""
        return False

    def stat(self) -> ObjectState:
        """Return size and time of an object, as the listing told that found it, else as they are now."""
        found = self._info or self.info()
        state = _state(found)
        if state is None:
            raise FileNotFoundError(f"{self} does not exist")
        return state

    def below(self, *, deep: bool = True) -> list[ObjectPath]:
        """Return the objects below it, in the order of their parts; or, if not `deep`, objects and folders in it."""
        from pyarrow.fs import FileSelector, FileType

        found = self.filesystem.get_file_info(FileSelector(self.key, allow_not_found=True, recursive=deep))
        return sorted(
            ObjectPath(f"{self.scheme}://{one.path}", one) for one in found if one.type == FileType.File or not deep
        )

    def walk(self, is_hidden: Callable[[str], bool]) -> Iterator[ObjectPath]:
        """Yield the objects below it, and hidden folders without what is in them."""
        hidden: set[ObjectPath] = set()
        depth = len(self.parts)
        for path in self.below():
            folders = path.parts[depth:-1]
            first = next((place for place, name in enumerate(folders) if is_hidden(name)), None)
            if first is None:
                yield path
                continue
            folder = self / "/".join(folders[: first + 1])
            if folder not in hidden:
                hidden.add(folder)
                yield folder

    def glob(self, pattern: str) -> Iterator[ObjectPath]:
        """Yield what is below it and whose path from here matches a pattern; `**` is any number of folders."""
        first, _, rest = pattern.partition("/")
        if first == "**":
            depth = len(self.parts)
            yield from (path for path in self.below() if _matches(path.parts[depth:], pattern.split("/")))
        elif not any(sign in first for sign in "*?["):
            yield from (self / first).glob(rest) if rest else [self / first] if (self / first).exists() else []
        else:
            for path in self.below(deep=False):
                if fnmatch.fnmatchcase(path.name, first) and (path.is_dir() or not rest):
                    yield from path.glob(rest) if rest else [path]

    # ---- bytes

    def source(self) -> NativeFile:
        """Return an object's bytes as Arrow reads them: by the ranges that it needs."""
        return self.filesystem.open_input_file(self.key)

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """Return an object's bytes as a file for reading.

        It asks for more than is read: of a range of few bytes the SDK can't tell that a store is busy, as the answer
        that says so is longer.
        """
        if mode != "rb":
            raise io.UnsupportedOperation(mode)
        return io.BufferedReader(self.source(), _LEAST_ASKED)

    def read_bytes(self) -> bytes:
        """Return an object's bytes."""
        with self.filesystem.open_input_stream(self.key) as stream:
            return bytes(stream.read())

    def write_bytes(self, content: bytes) -> None:
        """Put an object: readers see all of it or none."""
        with self.filesystem.open_output_stream(self.key) as stream:
            stream.write(content)

    def put(self, source: Path) -> None:
        """Put a local file as an object.

        Raises
        ------
        OSError
            If not all of it has arrived; then there is no object.
        """
        try:
            with source.open("rb") as local, self.filesystem.open_output_stream(self.key) as stream:
                while block := local.read(_COPY_BYTES):
                    stream.write(block)
            arrived = self.info().size
            if arrived != source.stat().st_size:
                raise OSError(f"{arrived} of {source.stat().st_size} bytes have arrived")
        except BaseException:
            with contextlib.suppress(OSError):  # the first error counts; nothing refers to this object yet
                self.unlink(missing_ok=True)  # Arrow closes a stream, which makes an object of what was written
            raise

    def fetch(self, target: Path) -> None:
        """Write an object's bytes to a local file."""
        with self.filesystem.open_input_stream(self.key) as stream, target.open("wb") as local:
            while block := stream.read(_COPY_BYTES):
                local.write(block)

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove an object."""
        try:
            self.filesystem.delete_file(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise


def _matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_matches(parts[begin:], patterns[1:]) for begin in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], patterns[0]) and _matches(parts[1:], patterns[1:])


def states_now(paths: Sequence[ObjectPath]) -> list[ObjectState | None]:
    """Return size and time of objects as they are now, asked for side by side; None: it is gone."""
    found: dict[ObjectPath, ObjectState | None] = {}
    for scheme, bucket in {(path.scheme, path.bucket) for path in paths}:
        here = [path for path in paths if (path.scheme, path.bucket) == (scheme, bucket)]
        told = filesystem(scheme, bucket).get_file_info([path.key for path in here])
        for path, info in zip(here, told, strict=True):
            found[path] = _state(info)
    return [found[path] for path in paths]


def _state(info: FileInfo) -> ObjectState | None:
    """Return what a store tells of an object; None: it is not there. Not every store tells of times."""
    return None if info.size is None else ObjectState(info.size, info.mtime_ns or 0)
