"""Names in an object store, with the part of `pathlib.PurePath` that this room uses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import total_ordering
from pathlib import PurePosixPath
from typing import Any, Self


@total_ordering
class ObjectName:
    """The name of a path such as `s3://bucket/folder/object`.

    Parameters
    ----------
    url : str
    """

    def __init__(self, url: str) -> None:
        self.scheme, _, rest = url.partition("://")
        self.key = "/".join(part for part in rest.split("/") if part)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.key}"

    def __hash__(self) -> int:
        return hash(str(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectName) and str(self) == str(other)

    def __lt__(self, other: ObjectName) -> bool:
        return self.parts < other.parts

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self),)

    def __truediv__(self, name: str | PurePosixPath) -> Self:
        return type(self)(f"{self}/{name}")

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self.key.partition("/")[0]

    @property
    def inside(self) -> str:
        """The key in the bucket."""
        return self.key.partition("/")[2]

    @property
    def parts(self) -> tuple[str, ...]:
        """The bucket's URL, and the parts of the key."""
        first, *more = self.key.split("/")
        return (f"{self.scheme}://{first}", *more)

    @property
    def name(self) -> str:
        """The last part."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The end of the name, such as ".parquet"."""
        return PurePosixPath(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def parent(self) -> Self:
        """What it lies in; a bucket lies in itself."""
        return type(self)(f"{self.scheme}://{self.key.rpartition('/')[0] or self.key}")

    @property
    def parents(self) -> Sequence[Self]:
        """All that it lies in, the nearest first."""
        parts = self.key.split("/")
        return [type(self)(f"{self.scheme}://{'/'.join(parts[:stop])}") for stop in range(len(parts) - 1, 0, -1)]

    def with_name(self, name: str) -> Self:
        """Return a path beside this one."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> Self:
        """Return the path with another suffix."""
        return self.with_name(f"{self.stem}{suffix}")

    def resolve(self) -> Self:
        """Return itself: there are no links."""
        return self

    absolute = resolve
