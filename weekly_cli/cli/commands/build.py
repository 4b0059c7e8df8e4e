"""`weekly-cli build`: the run, its progress and its report."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from weekly_cli.cli.application import SETTINGS_NOTE, command, importing, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.settings import SETTINGS, resolve

if TYPE_CHECKING:
    from weekly_cli.run.report import Report
    from weekly_cli.settings import Config


@command(
    *SETTINGS,
    examples=(
        "weekly-cli build prices/ -o weekly/",
        "weekly-cli build prices/*.parquet --features momentum,w_vol_12",
        "weekly-cli build prices/ -o weekly.parquet --benchmark SPY,QQQ --quiet",
    ),
    note=SETTINGS_NOTE,
)
def build(typed: Typed) -> int:
    """Add weekly features to daily prices and write the merged dataset."""
    config = resolve(*layers(typed))
    done = _run(config)
    _show(done, config)
    return done.exit_code


def _run(config: Config) -> Report:
    with contextlib.ExitStack() as stack:
        with importing():
            from weekly_cli.run.engines.prestart import pool_ahead

            engine = pool_ahead(config)
            if engine is not None:
                stack.callback(engine.close)
            from weekly_cli import events
            from weekly_cli.files import target
            from weekly_cli.run import pipeline
        target.check_report(config)
        if config.quiet:
            return pipeline.run(config, events.ignore, engine)
        from weekly_cli.cli import progress

        return pipeline.run(config, stack.enter_context(progress.listener(console(stderr=True))), engine)


def _show(done: Report, config: Config) -> None:
    if config.report is not None:
        from weekly_cli.files import records

        records.write_json(Path(config.report), done.to_dict())
    if config.json:
        print_json(done.to_dict())
    if not config.quiet or done.rejected:
        from weekly_cli.cli.views.build import render

        console(stderr=True).print(render(done))
