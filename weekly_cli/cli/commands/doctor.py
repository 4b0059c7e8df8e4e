"""`weekly-cli doctor`: what the tool finds on this machine."""

from __future__ import annotations

from weekly_cli.cli.application import command, importing, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.settings.sources import resolve_some, winning
from weekly_cli.settings.table import Config

_SETTINGS = ("output", "json", "work_dir", "jobs", "memory_limit", "engine", "scheduler")


@command(*_SETTINGS, examples=("weekly-cli doctor", "weekly-cli doctor --memory-limit 2GB --output /data/weekly"))
def doctor(typed: Typed) -> int:
    """Say what a build finds here (CPUs, memory, disks, libraries, terminal), why, and what is odd about it."""
    given = layers(typed)
    sources = {name: one.name for name, one in winning(*given).items() if name in _SETTINGS}
    config = Config(**resolve_some(_SETTINGS, *given), sources=sources)
    with importing():
        from weekly_cli.cli.views import doctor as view
        from weekly_cli.diagnosis import diagnose
    found = diagnose(config)
    if config.json:
        print_json(found.to_dict())
    else:
        console(stderr=False).print(view.render(found))
    return EXIT_DONE
