"""Settings: the one table of them, where their values come from, and the frozen result."""

from weekly_cli.settings.table import SETTINGS, Config, resolve

__all__ = ["SETTINGS", "Config", "resolve"]
