"""`weekly-cli plan`: what a build would do."""

from __future__ import annotations

from dataclasses import asdict

from weekly_cli.cli.application import SETTINGS_NOTE, command, importing, layers
from weekly_cli.cli.console import console, print_json
from weekly_cli.cli.parameters import Typed
from weekly_cli.errors import EXIT_DONE
from weekly_cli.settings import SETTINGS, resolve

#: Settings of a run's own output.
_OF_A_RUN = ("quiet", "report", "log_file", "if_changed")
_OF_PLAN = tuple(name for name in SETTINGS if name not in _OF_A_RUN)


@command(*_OF_PLAN, examples=("weekly-cli plan prices/", "weekly-cli plan prices/ --jobs 2 --json"), note=SETTINGS_NOTE)
def plan(typed: Typed) -> int:
    """Say what build would do, and why; reads the keys and writes nothing."""
    config = resolve(*layers(typed))
    with importing():
        from weekly_cli.cli.views import plan as view
        from weekly_cli.run import estimate, pipeline
        from weekly_cli.run.wanted import wanted_by
    scan, run_plan = pipeline.plan_only(config)
    wanted = wanted_by(config)
    findings = pipeline.findings_in_plan(scan, run_plan, config, wanted)
    estimated = estimate.estimate(scan, run_plan, config, wanted)
    lines = view.plan_lines(scan, run_plan, wanted) | view.estimate_lines(estimated, config.output)
    if config.json:
        print_json({**lines, "estimate": asdict(estimated), "findings": [asdict(one) for one in findings]})
    else:
        console(stderr=False).print(view.render(lines, findings, verbose=config.verbose))
    return EXIT_DONE
