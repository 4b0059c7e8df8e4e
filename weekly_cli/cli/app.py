"""The Typer application: a command is typed settings, one call, one view, and an exit code."""

from __future__ import annotations

import contextlib
import gc
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weekly_cli import __version__
from weekly_cli.cli.commands import Command, Commands
from weekly_cli.cli.console import console, print_json, say
from weekly_cli.cli.parameters import Typed, with_settings
from weekly_cli.errors import EXIT_CODES, EXIT_DONE, EXIT_NOT_PROVEN, UsageError
from weekly_cli.names import printable
from weekly_cli.settings import SETTINGS, from_environment, from_file, from_flags, resolve
from weekly_cli.settings.sources import Layer, resolve_some, unknown_variables, winning
from weekly_cli.settings.table import INPUT

if TYPE_CHECKING:
    from weekly_cli.run.report import Report
    from weekly_cli.settings import Config

ABOUT = "Weekly features for daily prices: Parquet in, Parquet out, without look-ahead."
SETTINGS_NOTE = (
    r"Options may stand in weekly.toml, or in \[tool.weekly-cli] of pyproject.toml, and in the environment as "
    "WEEKLY_CLI_NAME: a flag beats the environment, which beats the file, and --no-NAME takes a switch back. "
    "weekly-cli config shows what is in force."
)

app = typer.Typer(
    name="weekly-cli",
    cls=Commands,
    help=ABOUT,
    epilog="Exit codes: " + "; ".join(f"{row.code} {row.meaning}" for row in EXIT_CODES) + ".",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        libraries = [f"{name} {version(name)}" for name in ("pyarrow", "pandas", "numpy", "joblib", "typer", "rich")]
        typer.echo(f"weekly-cli {__version__} ({', '.join(libraries)})")
        raise typer.Exit


@app.callback()
def _application(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version, with the libraries', and exit.", callback=_version)
    ] = False,
) -> None:
    """Take what stands before a command."""


def command(*settings: str, examples: Sequence[str] = (), note: str = "") -> Callable[[Callable[..., int]], Any]:
    """Turn a function into a command: it takes these settings and returns its exit code."""
    epilog = "\n".join([*(["Examples:"] if examples else []), *(f"  {line}" for line in examples)])
    epilog = "\n\n".join(part for part in (epilog, note) if part)

    def register(function: Callable[..., int]) -> Callable[..., int]:
        app.command(function.__name__, cls=Command, epilog=epilog or None)(with_settings(settings, function))
        return function

    return register


_OF_BUILD = tuple(SETTINGS)
_OF_PLAN = tuple(name for name in SETTINGS if name not in ("quiet", "report"))


@command(
    *_OF_BUILD,
    examples=(
        "weekly-cli build prices/ -o weekly/",
        "weekly-cli build prices/*.parquet --features momentum,w_vol_12",
        "weekly-cli build prices/ -o weekly.parquet --benchmark SPY,QQQ --quiet",
    ),
    note=SETTINGS_NOTE,
)
def build(typed: Typed) -> int:
    """Add weekly features to daily prices and write the merged dataset."""
    config = resolve(*_layers(typed))
    done = _run(config)
    _show(done, config)
    return done.exit_code


@command(*_OF_PLAN, examples=("weekly-cli plan prices/", "weekly-cli plan prices/ --jobs 2 --json"), note=SETTINGS_NOTE)
def plan(typed: Typed) -> int:
    """Say what build would do, and why; reads the keys and writes nothing."""
    config = resolve(*_layers(typed))
    with _importing():
        from weekly_cli.run import pipeline, report
    scan, run_plan = pipeline.plan_only(config)
    findings = pipeline.findings_in_plan(scan, run_plan, config)
    if config.json:
        print_json({**report.plan_lines(scan, run_plan), "findings": [asdict(one) for one in findings]})
    else:
        console(stderr=False).print(report.render_plan(scan, run_plan, findings))
    return EXIT_DONE


#: What is inspected is the whole input, so no settings that select of it.
_OF_A_SELECTION = ("symbols", "max_symbols", "start", "end")
_OF_INSPECT = tuple(row.name for row in SETTINGS.values() if row.panel == INPUT and row.name not in _OF_A_SELECTION)


@command(
    *_OF_INSPECT, "price", "week", "ignore", "json",
    examples=("weekly-cli inspect prices/", "weekly-cli inspect weekly/", "weekly-cli inspect prices/ --json"),
)  # fmt: skip
def inspect(typed: Typed) -> int:
    """Say what is in a dataset, or in an output: rows, calendar, holes, unusable values, and the build that fits."""
    config = resolve(*_layers(typed))
    with _importing():
        from weekly_cli import inspection
        from weekly_cli.inspection import view
    found = inspection.look(config)
    if config.json:
        print_json(found.to_dict())
    else:
        view.show(found, console(stderr=False))
    return EXIT_DONE


@command(
    "columns", "sector_map", "json",
    examples=("weekly-cli verify weekly/", "weekly-cli verify weekly/ --input /data/prices --symbols 100"),
)  # fmt: skip
def verify(
    typed: Typed,
    output: Annotated[
        str | None, typer.Argument(help="The table: a file, or a folder of parts; else what build would write.")
    ] = None,
    input: Annotated[
        str | None, typer.Option(metavar="PATH", help="What it was made of; else what the table says.")
    ] = None,
    dates: Annotated[int, typer.Option(min=0, help="How often the input is cut and built again.")] = 5,
    symbols: Annotated[int, typer.Option(min=0, help="How many symbols are built again.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other dates and symbols.")] = 0,
) -> int:
    """Check a finished table: complete, no look-ahead, right by a slow recomputation; and how long columns warm up."""
    known = resolve_some(("output", "columns", "sector_map", "json"), *_layers({**typed, "output": output}))
    from weekly_cli import verify as room
    from weekly_cli.verify import view

    shown = console(stderr=False)
    proof = room.verify(
        known["output"],
        input,
        columns=dict(known["columns"]) or None,
        sector_map=known["sector_map"],
        dates=dates,
        symbols=symbols,
        seed=seed,
        listener=lambda check: None if known["json"] else shown.print(view.render_check(check)),
    )
    if known["json"]:
        print_json(proof.to_dict())
    else:
        if proof.warm_up:
            shown.print(view.render_warm_up(proof.warm_up))
        shown.print(view.conclusion(proof), soft_wrap=True)
    return EXIT_DONE if proof.passed else EXIT_NOT_PROVEN


@command("json")
def features(typed: Typed) -> int:
    """List every column that build can add: family, name, formula, first bar with a value."""
    from weekly_cli.compute.features import templates

    rows = [
        {
            "family": row.family,
            "column": row.name,
            "formula": row.formula,
            "first_bar": row.first_bar,
            "window": row.window,
            "parity": row.parity,
        }
        for row in templates()
    ]
    if resolve_some(["json"], *_layers(typed))["json"]:
        print_json(rows)
        return EXIT_DONE
    from rich.table import Table

    table = Table("family", "column", "formula", "first bar", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(row[name]) for name in ("family", "column", "formula", "first_bar")))
    console(stderr=False).print(table)
    return EXIT_DONE


@command("json", examples=("weekly-cli config", "weekly-cli config --schema > weekly.schema.json"))
def config(
    typed: Typed,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON schema of weekly.toml, for editors.")
    ] = False,
) -> int:
    """Show the settings in force here, and where each came from."""
    if schema:
        from weekly_cli.settings.schema import file_schema

        print_json(file_schema())
        return EXIT_DONE
    given = winning(*_layers(typed))
    rows = []
    for row in SETTINGS.values():
        given_value = given.get(row.name)
        value = row.default if given_value is None else given_value.read(row.kind)
        rows.append(
            (
                row.name,
                row.kind.none if value is None else row.kind.plain(value),
                given_value.name if given_value else "",
            )
        )
    if resolve_some(["json"], *_layers(typed))["json"]:
        print_json({name: {"value": value, "from": source or "default"} for name, value, source in rows})
        return EXIT_DONE
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for name, value, source in rows:
        shown = "" if value in ("", [], {}, None) else value if isinstance(value, str) else json.dumps(value)
        table.add_row(name, printable(shown), printable(source or "default"))
    console(stderr=False).print(table)
    return EXIT_DONE


@command(examples=("weekly-cli sample prices/", "weekly-cli sample prices/ --symbols 4000 --years 10 --layout symbol"))
def sample(
    typed: Typed,
    folder: Annotated[Path, typer.Argument(help="Where to write it: a new folder, or an empty one.")],
    symbols: Annotated[int, typer.Option(help="Symbols, benchmarks included.")] = 40,
    years: Annotated[int, typer.Option(help="Years of business days.")] = 6,
    layout: Annotated[
        str, typer.Option(metavar="[date | symbol | day]", help="In date order; clustered by symbol; a file a day.")
    ] = "date",
    seed: Annotated[int, typer.Option(help="Another seed, other prices.")] = 7,
) -> int:
    """Write a made-up daily dataset: the same arguments give the same bytes."""
    from weekly_cli.cli.sample import write_sample

    try:
        written = write_sample(folder.expanduser(), symbols=symbols, years=years, layout=layout, seed=seed)
    except ValueError as error:
        raise UsageError(str(error)) from error
    say(f"{written.rows:,} rows in {len(written.paths):,} files in {folder}")
    return EXIT_DONE


# ---- settings, run and views -----------------------------------------------------------------------------


def _layers(typed: Typed) -> tuple[Layer, ...]:
    """Return the values from the settings file, the environment and the command line; warn about unknown variables."""
    for sentence in unknown_variables(os.environ):
        say(f"warning: {sentence}")
    try:
        folder = Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder no longer exists; change to one that does") from error
    return from_file(folder), from_environment(os.environ), from_flags(typed)


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """Exclude imported modules, which live until the process ends, from garbage collection.

    Scanning them took 47 of the 257 ms of a small build, about half of it when the interpreter exited.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _run(config: Config) -> Report:
    with contextlib.ExitStack() as stack:
        with _importing():
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
        from weekly_cli.run.report import render

        console(stderr=True).print(render(done))
