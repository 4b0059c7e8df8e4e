"""`python -m weekly_cli` is `weekly-cli`."""

from weekly_cli.cli import main

main()
