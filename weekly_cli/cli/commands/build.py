"""`weekly-cli build`: the run, its progress and its report."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from weekly_cli.cli import log
from weekly_cli.cli.application import SETTINGS_NOTE, command, importing, layers
from weekly_cli.cli.console import console, print_json, say
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE, WeeklyError
from weekly_cli.settings import SETTINGS, resolve

if TYPE_CHECKING:
    import pyarrow as pa

    from weekly_cli.cli.log import RunLog
    from weekly_cli.run.report import Report
    from weekly_cli.settings import Config

_ROWS_PREVIEWED = 3


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
    with log.opened(config) as run_log:
        if config.if_changed and _stands(config, run_log):
            return EXIT_DONE
        done = _run(config, run_log)
        _show(done, config, run_log)
        run_log.exit_code = done.exit_code
    return done.exit_code


def _stands(config: Config, run_log: RunLog) -> bool:
    """Tell whether the output is what a run would make, and say so, or why not."""
    with importing():
        from weekly_cli.run import standing
    reason = standing.outdated(config)
    sentence = f"{config.output} is up to date" if reason is None else f"to build: {reason}"
    run_log.write("info", "compared", sentence)
    if config.json and reason is None:
        print_json({"output": config.output, "unchanged": True})
    if not config.quiet:
        say(sentence)
    return reason is None


def _run(config: Config, run_log: RunLog) -> Report:
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
            return pipeline.run(config, run_log, engine)
        from weekly_cli.cli import progress

        shown = stack.enter_context(progress.listener(console(stderr=True)))
        return pipeline.run(config, events.all_of(run_log, shown), engine)


def _show(done: Report, config: Config, run_log: RunLog) -> None:
    run_log.report(done)
    if config.report is not None:
        from weekly_cli.files import records, target
        from weekly_cli.files.locations import location

        if target.is_page(config.report):
            from weekly_cli.cli import page

            records.write_report(location(config.report), page.render(done))
        else:
            records.write_json(location(config.report), done.to_dict())
    if config.json:
        print_json(done.to_dict())
    from weekly_cli.cli.views import build as view

    if not config.quiet:
        console(stderr=True).print(view.render(done, _preview(done), verbose=config.verbose))
    elif done.rejected:
        say(f"weekly-cli: {view.failures(done)}")


def _preview(done: Report) -> pa.Table | None:
    """Return three rows of the output; None: it is gone already."""
    from weekly_cli.cli.views.build import previewed
    from weekly_cli.questions.built import open_output

    try:
        built = open_output(done.output)
        return built.last_rows(_ROWS_PREVIEWED, previewed(built.roles, built.features))
    except WeeklyError:
        return None
