"""The clocks of a run, as its settings have them."""

from __future__ import annotations

from weekly_cli.compute.clocks import Clock
from weekly_cli.names import PERIODS
from weekly_cli.settings import Config


def weekly_clock(config: Config) -> Clock:
    """Return the week, and when its bar may be seen."""
    return clock_of("week", config)


def clock_of(every: str, config: Config) -> Clock:
    """Return one of the clocks."""
    return Clock(every, config.week, config.available)


def clocks_of(config: Config) -> tuple[Clock, ...]:
    """Return the week, with or without columns, and the further clocks whose columns are asked for."""
    return tuple(clock_of(every, config) for every in PERIODS if every == "week" or every in config.every)
