"""Shows what is left beside an output, with sizes."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from weekly_cli.cli.views.layout import mib
from weekly_cli.files.leftovers import Leftovers, other_output
from weekly_cli.names import printable

if TYPE_CHECKING:
    from rich.console import Console


def show(found: Leftovers[Any], console: Console) -> None:
    """Print what is left."""
    lines = [
        f"{one.path}: {_size(one.size_bytes)} in {one.files:,} file{'' if one.files == 1 else 's'}, {one.what}"
        for one in found.removable
    ]
    lines += [f"{path} was not made by weekly-cli, and stays" for path in found.foreign]
    if not found.removable:
        lines.append(f"nothing is left beside {found.output}")
    for path in found.others:
        command = f"weekly-cli clean {shlex.quote(str(path.with_name(other_output(path))))}"
        lines.append(f"{path} belongs to another output: {command}")
    for line in lines:
        console.print(printable(line), soft_wrap=True)


def _size(size_bytes: int) -> str:
    return mib(size_bytes) if size_bytes > 100 * 1024 else f"{size_bytes:,} bytes"
