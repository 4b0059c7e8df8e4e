"""`weekly-cli inspect`: what is in a dataset, or in an output."""

from __future__ import annotations

from weekly_cli.cli.application import command, importing, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.files.objects.filesystems import CONNECTION
from weekly_cli.settings import SETTINGS, resolve
from weekly_cli.settings.table import INPUT

#: What is inspected is the whole input, so no settings that select of it.
_OF_A_SELECTION = ("symbols", "max_symbols", "start", "end")
_OF_INSPECT = tuple(row.name for row in SETTINGS.values() if row.panel == INPUT and row.name not in _OF_A_SELECTION)


@command(
    *_OF_INSPECT, "price", "week", "ignore", "json", *CONNECTION,
    examples=("weekly-cli inspect prices/", "weekly-cli inspect weekly/", "weekly-cli inspect prices/ --json"),
)  # fmt: skip
def inspect(typed: Typed) -> int:
    """Say what is in a dataset, or in an output: rows, calendar, holes, unusable values, and the build that fits."""
    config = resolve(*layers(typed))
    with importing():
        from weekly_cli import inspection
        from weekly_cli.cli.views import inspect as view
    found = inspection.look(config)
    if config.json:
        print_json(found.to_dict())
    else:
        view.show(found, console(stderr=False))
    return EXIT_DONE
