"""The command line: typed settings, one call, one view, an exit code."""

from weekly_cli.cli.process import main

__all__ = ["main"]
