"""The commands, a module each; the help shows them in this order, under these headings."""

from __future__ import annotations

from importlib import import_module

from weekly_cli.cli.application import app

__all__ = ["PANELS", "app"]

#: The modules, which are named as their commands.
PANELS = {
    "Build": ("build", "plan", "sample", "clean"),
    "Questions": ("inspect", "explain", "latest", "chart", "verify", "report", "diff"),
    "Reference": ("features", "config", "docs", "doctor"),
}

for _panel, _names in PANELS.items():
    for _name in _names:
        import_module(f"{__name__}.{_name}")
        app.registered_commands[-1].rich_help_panel = _panel
