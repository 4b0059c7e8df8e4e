"""The clocks of a run, as its settings have them."""

from __future__ import annotations

from weekly_cli.compute.clocks import Clock
from weekly_cli.settings import Config


def weekly_clock(config: Config) -> Clock:
    """Return the week, and when its bar may be seen."""
    return Clock("week", config.week, config.available)
