"""Runs `weekly-cli` as `python -m weekly_cli`."""

from weekly_cli.cli import main

main()
