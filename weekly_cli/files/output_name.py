"""What an output's name says: one Parquet file, or a folder of parts."""

from __future__ import annotations

import os
import re
from pathlib import Path

from weekly_cli.errors import UsageError
from weekly_cli.files.locations import is_url, location
from weekly_cli.files.objects import filesystems
from weekly_cli.files.objects.path import ObjectPath
from weekly_cli.files.parquet import PARQUET_SUFFIXES
from weekly_cli.settings import Config

#: A suffix that names a type of files; that of `v1.2` does not.
_TYPE_OF_FILE = re.compile(r"\.[A-Za-z]\w*")


def is_single_file(output: str) -> bool:
    """Tell whether an output is one file: its name, or that of a link's target, ends as one of Parquet does.

    >>> is_single_file("weekly.pq"), is_single_file("weekly.pq/"), is_single_file("weekly")
    (True, False, False)
    """
    return not _is_named_as_folder(output) and location(output).resolve().suffix.lower() in PARQUET_SUFFIXES


def check_output_name(config: Config) -> None:
    """Refuse a name that says neither: it ends as files of another type do, and no slash says that it is a folder.

    Raises
    ------
    UsageError
    """
    name = config.output
    if is_url(name):
        _check_url(name, config.named("output"))
        return
    path = Path(name)
    # `Path.is_dir` raises where a name is too long, which is refused elsewhere.
    if is_single_file(name) or _is_named_as_folder(name) or os.path.isdir(path):  # noqa: PTH112
        return
    suffix = path.resolve().suffix
    if _TYPE_OF_FILE.fullmatch(suffix):
        plain = name.removesuffix(suffix) or "weekly"
        raise UsageError(
            f"{config.named('output')} {name}: {suffix} is no type of output; give {plain}.parquet (or .pq, .parq) for "
            f"one file, {plain} for a folder of parts, or {name}/ for a folder of this very name"
        )


def _check_url(url: str, setting: str) -> None:
    """Refuse a name in an object store that is no folder there."""
    filesystems.refuse_scheme(url, setting)
    path = ObjectPath(url)
    if not path.inside:
        raise UsageError(f"{setting} {url} is a whole bucket; give a folder in it: {url.rstrip('/')}/weekly")
    if is_single_file(url):
        raise UsageError(
            f"{setting} {url}: an object store has no rename that would put one file in its place while it is read; "
            f"give a folder of parts: {path.with_suffix('')}"
        )


def _is_named_as_folder(name: str) -> bool:
    return name.endswith(("/", os.sep))
