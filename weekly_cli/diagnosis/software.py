"""The software below the tool: Python, libraries, extras, codecs. Nothing that may be broken is imported at the top."""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import weekly_cli
from weekly_cli.files import places

DISTRIBUTION = "weekly-cli"
#: Extras of the tool's own developers.
_OF_DEVELOPERS = ("test",)
#: Libraries without an extra that are used where they are installed, and for what.
_OPTIONAL = {"duckdb": "verify reads rows by it too", "polars": "verify reads rows by it too"}
#: Compressions, as pyarrow names them, and those without which default builds or common inputs fail.
_CODECS, NEEDED_CODECS = ("zstd", "snappy", "lz4", "gzip", "brotli"), ("zstd", "snappy", "gzip")
_REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)(\[.*?\])?\s*(?P<bounds>[^;]*?)\s*(;(?P<marker>.*))?", re.DOTALL)
_EXTRA = re.compile(r"""extra\s*==\s*['"]([^'"]+)['"]""")


@dataclass(frozen=True)
class Library:
    """A library that the tool requires or can use.

    Attributes
    ----------
    version : str or None
        None: it is not installed.
    lowest : str
        The lowest version that the tool takes; empty: any.
    trouble : str
        Why it can't be used, if it can't.
    """

    name: str
    version: str | None
    lowest: str
    trouble: str = ""

    @property
    def is_old(self) -> bool:
        """Whether it is installed and older than it should be."""
        return self.version is not None and release(self.version) < release(self.lowest)


@dataclass(frozen=True)
class Extra:
    """An extra, its libraries, and the command that installs them."""

    name: str
    libraries: tuple[Library, ...]
    command: str

    @property
    def is_installed(self) -> bool:
        """Whether all its libraries are there, and none is too old."""
        return all(one.version is not None and not one.is_old for one in self.libraries)


@dataclass(frozen=True)
class Software:
    """All of it.

    Attributes
    ----------
    bytecode : str
        Why Python compiles the tool at each start; empty if it does not.
    zones : bool
        Whether there is a database of time zones.
    """

    python: str
    executable: str
    system: str
    package: str
    libraries: tuple[Library, ...]
    extras: tuple[Extra, ...]
    optional: dict[str, str | None]
    codecs: dict[str, bool]
    bytecode: str
    zones: bool

    @property
    def broken(self) -> tuple[Library, ...]:
        """The required libraries that are missing or can't be imported."""
        return tuple(one for one in self.libraries if one.trouble)


def software() -> Software:
    """Look at all of it; imports the libraries."""
    requirements = list(_requirements())
    libraries = tuple(_library(name, lowest, imported=True) for name, lowest, extra in requirements if not extra)
    arrow_works = not any(one.trouble for one in libraries if one.name == "pyarrow")
    return Software(
        python=platform.python_version(),
        executable=sys.executable,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        package=str(PurePath(weekly_cli.__file__).parent),
        libraries=libraries,
        extras=_extras(requirements),
        optional={name: version_of(name) for name in _OPTIONAL},
        codecs=_codecs() if arrow_works else {},
        bytecode=_bytecode(),
        zones=_has_zones(),
    )


def release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, without what follows them and without zeros at the end.

    >>> release("2.2.0rc1"), release("2.10") > release("2.9.1")
    ((2, 2), True)
    """
    match = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(number) for number in match[0].split(".")] if match else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def version_of(name: str) -> str | None:
    """Return the version of an installed distribution."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _requirements() -> Iterator[tuple[str, str, str]]:
    """Yield name, lowest version and extra of each requirement, as the installed tool's metadata says."""
    try:
        lines = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:  # it runs from a folder that was only copied
        lines = []
    for line in lines:
        match = _REQUIREMENT.fullmatch(line)
        if match and match["name"] != DISTRIBUTION:
            lowest = re.search(r">=\s*([\w.]+)", match["bounds"])
            extra = _EXTRA.search(match["marker"] or "")
            yield match["name"], lowest[1] if lowest else "", extra[1] if extra else ""


def _library(name: str, lowest: str, *, imported: bool) -> Library:
    version = version_of(name)
    trouble = ""
    if imported:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - whatever a broken library raises is what is asked for
            trouble = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return Library(name, version, lowest, trouble)


def _extras(requirements: list[tuple[str, str, str]]) -> tuple[Extra, ...]:
    by_extra: dict[str, list[Library]] = {}
    for name, lowest, extra in requirements:
        if extra and extra not in _OF_DEVELOPERS:
            by_extra.setdefault(extra, []).append(_library(name, lowest, imported=False))
    return tuple(Extra(name, tuple(found), install_command(name, found)) for name, found in by_extra.items())


def install_command(extra: str, libraries: list[Library]) -> str:
    """Return the command that installs an extra into the environment of this process."""
    if "pipx" in PurePath(sys.prefix).parts:
        return f"pipx inject {DISTRIBUTION} {' '.join(repr(f'{one.name}>={one.lowest}') for one in libraries)}"
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def _codecs() -> dict[str, bool]:
    import pyarrow as pa

    return {name: bool(pa.Codec.is_available(name)) for name in _CODECS}


def _bytecode() -> str:
    """Return why there are no compiled modules of the tool."""
    cached = weekly_cli.__cached__
    if cached and places.is_there(cached):
        return ""
    if sys.dont_write_bytecode:
        return "PYTHONDONTWRITEBYTECODE is set"
    return f"{PurePath(cached).parent} can't be written to" if cached else "its modules are in an archive"


def _has_zones() -> bool:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo("America/New_York")
    except (zoneinfo.ZoneInfoNotFoundError, OSError):
        return False
    return True
