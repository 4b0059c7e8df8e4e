"""Settings: the single table that defines them, the sources of their values, and the frozen result."""

from weekly_cli.settings.sources import from_environment, from_file, from_flags, from_python, resolve
from weekly_cli.settings.table import SETTINGS, Config, Setting

__all__ = ["SETTINGS", "Config", "Setting", "from_environment", "from_file", "from_flags", "from_python", "resolve"]
