"""Settings: the one table of them, where their values come from, and the frozen result."""

from weekly_cli.settings.sources import from_environment, from_file, from_flags, from_python, resolve
from weekly_cli.settings.table import SETTINGS, Config, Setting

__all__ = ["SETTINGS", "Config", "Setting", "from_environment", "from_file", "from_flags", "from_python", "resolve"]
