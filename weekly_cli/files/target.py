"""The output's place: where it is, and what may be replaced there.

Nothing that this tool did not write is ever replaced, with one exception that has to be asked for: Parquet files, with
`--overwrite`. Some places are never replaced, whatever stands there and whatever is asked for.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from weekly_cli.errors import OutputConflict, UsageError
from weekly_cli.files import storage
from weekly_cli.files.storage import Listing
from weekly_cli.settings import Config

_STRANGERS_SHOWN = 3


def place(output: str) -> Path:
    """Return where an output goes; what a link leads to is replaced there, and the link stays."""
    return Path(output).resolve()


def check_target(output: Path, config: Config) -> Listing:
    """Refuse an output place that holds something else, and return what stands there.

    Raises
    ------
    OutputConflict
        If the place is one that is never replaced, or holds something that this tool did not write and that
        `--overwrite` does not cover.
    UsageError
        If its path is no text.
    """
    storage.check_name(output, config.named("output"))
    _refuse_never_replaced(output)
    with storage.writing(output):
        standing = storage.listing(output)
        strangers = list(storage.strangers(output, overwrite=config.overwrite)) if os.path.lexists(output) else []
    if strangers:
        raise OutputConflict(_sentence(output, strangers, config.overwrite))
    return standing


def check_report(config: Config) -> None:
    """Refuse a place for the report where it can't be written, or where something else would be lost by it.

    Raises
    ------
    UsageError
        Before the work begins.
    """
    if config.report is None:
        return
    path, output = Path(config.report).resolve(), place(config.output)
    named = f"{config.named('report')} {config.report}"
    if output in (path, *path.parents):
        raise UsageError(f"{named} lies in the output {output}, which is replaced as a whole; choose another file")
    storage.check_writable(Path(config.report), config.named("report"))
    if path.is_file() and path.stat().st_size and not _is_report(path):
        raise UsageError(f"{named} is there already and is not a report of weekly-cli; choose another file")


def _is_report(path: Path) -> bool:
    value = storage.read_json(path)
    return isinstance(value, dict) and {"version", "fingerprint", "output"} <= value.keys()


def _refuse_never_replaced(output: Path) -> None:
    """Refuse the current folder, home, every folder above them, and mount points."""
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
    inner = Path(os.path.expanduser(name)).resolve()  # noqa: PTH111 - a user without a home has none to lose
    return folder == inner or folder in inner.parents


def _sentence(output: Path, strangers: list[Path], overwrite: bool) -> str:
    if strangers == [output]:
        what = "is no Parquet file" if overwrite else "was not written by weekly-cli"
        return f"{output} is there already and {what}; choose another --output, or move it away"
    named = ", ".join(str(path.relative_to(output)) for path in itertools.islice(strangers, _STRANGERS_SHOWN))
    more = " and more" if len(strangers) > _STRANGERS_SHOWN else ""
    count = f"{len(strangers):,} {'entry' if len(strangers) == 1 else 'entries'}"
    what = "neither weekly-cli's nor Parquet files" if overwrite else "not weekly-cli's"
    return (
        f"{output} is there already, with {count} in it that {'is' if len(strangers) == 1 else 'are'} {what}: "
        f"{named}{more}; choose another --output, or move {'it' if len(strangers) == 1 else 'them'} away"
    )
