"""The command line: options -> configuration -> pipeline -> view -> exit code; nothing else.

Nothing heavy is imported before a command runs: `--help` needs neither pandas nor pyarrow.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from weekly_cli import __version__
from weekly_cli.config import Config, resolve
from weekly_cli.errors import EXIT_BUG, EXIT_CODES, Interrupted, WeeklyError
from weekly_cli.names import printable

if TYPE_CHECKING:
    from rich.console import Console

    from weekly_cli.report import Report

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Weekly features for daily prices: Parquet in, Parquet out, without look-ahead.",
    epilog="Exit codes: " + "; ".join(f"{row.code} {row.meaning}" for row in EXIT_CODES) + ".",
)


def _env(name: str) -> str:
    return f"WEEKLY_CLI_{name}"


#: Options that may be repeated. The parser would split their variables at blanks, which symbols and columns may have.
REPEATABLE = ("columns", "features", "benchmark", "symbols")


def _repeatable(name: str, text: str) -> Any:
    return typer.Option(help=f"{text} [env var: {_env(name.upper())}]")


# The options that build and plan share. None means not given: the settings file or the default decides.
Input = Annotated[
    str | None,
    typer.Argument(
        envvar=_env("INPUT"), help="A Parquet file, a folder of them, or a quoted glob.", show_default=False
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        envvar=_env("OUTPUT"),
        help="NAME.parquet is one file, any other name a folder of parts. [default: daily_weekly]",
    ),
]
Columns = Annotated[
    list[str] | None,
    _repeatable("columns", "Roles by hand: symbol=Ticker,close=Last."),
]
Week = Annotated[
    str | None,
    typer.Option(envvar=_env("WEEK"), help="The week's last day, W-MON to W-SUN. [default: W-FRI]"),
]
Available = Annotated[
    str | None,
    typer.Option(
        envvar=_env("AVAILABLE"),
        help="When a bar can be seen: next-week, from the day after its week; week-end, from its last day on. "
        "[default: next-week]",
    ),
]
Features = Annotated[
    list[str] | None,
    _repeatable("features", "Families, columns, exclusions: momentum,w_vol_12 or all,-relative. [default: all]"),
]
Benchmark = Annotated[
    list[str] | None,
    _repeatable("benchmark", "A symbol to compare all others with; repeatable."),
]
SectorMap = Annotated[
    str | None,
    typer.Option(
        envvar=_env("SECTOR_MAP"),
        help="CSV or Parquet with symbol and sector, sector_equal_weight or subsector: the symbol to compare with.",
    ),
]
Price = Annotated[
    str | None,
    typer.Option(envvar=_env("PRICE"), help="A column with the adjusted close; open, high and low are scaled with it."),
]
Dtype = Annotated[
    str | None,
    typer.Option(envvar=_env("DTYPE"), help="Type of the features: float32 or float64. [default: float32]"),
]
Symbols = Annotated[
    list[str] | None,
    _repeatable("symbols", "Only these: A,B,C, or @FILE with one a line."),
]
MaxSymbols = Annotated[
    int | None, typer.Option(envvar=_env("MAX_SYMBOLS"), help="Only the first so many, in sorted order.")
]
Start = Annotated[
    str | None,
    typer.Option(envvar=_env("START"), help="First date that is written; earlier rows still feed the features."),
]
End = Annotated[str | None, typer.Option(envvar=_env("END"), help="Last date that is written.")]
OnDuplicates = Annotated[
    str | None,
    typer.Option(
        envvar=_env("ON_DUPLICATES"),
        help="Rows that repeat a symbol's date: error, first, last. [default: error]",
    ),
]
OnBadRows = Annotated[
    str | None,
    typer.Option(envvar=_env("ON_BAD_ROWS"), help="Rows without symbol or date: error, drop. [default: error]"),
]
ReplaceFeatures = Annotated[
    bool | None,
    typer.Option(
        "--replace-features",
        envvar=_env("REPLACE_FEATURES"),
        help="Compute columns anew that the input has already.",
        show_default=False,
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option("--jobs", "-j", envvar=_env("JOBS"), help="Workers: -1 all cores, -2 all but one. [default: -1]"),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(envvar=_env("MEMORY_LIMIT"), help="For all processes together: auto, 2GB, 512MiB. [default: auto]"),
]
Strategy = Annotated[
    str | None,
    typer.Option(envvar=_env("STRATEGY"), help="auto, direct, batched, per-symbol, adaptive. [default: auto]"),
]
Compression = Annotated[
    str | None, typer.Option(envvar=_env("COMPRESSION"), help="zstd, snappy, lz4, none. [default: zstd]")
]
Overwrite = Annotated[
    bool | None,
    typer.Option(
        "--overwrite",
        envvar=_env("OVERWRITE"),
        help="Replace an output that this tool did not write.",
        show_default=False,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", envvar=_env("QUIET"), help="Say nothing when all is well.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print as JSON on stdout.")]
ReportFile = Annotated[
    Path | None,
    typer.Option("--report", envvar=_env("REPORT"), help="Write the report as JSON to this file."),
]


def _settings(context: typer.Context) -> Config:
    views = {"quiet", "as_json", "report"}
    given = {name: value for name, value in context.params.items() if name not in views}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    for name in REPEATABLE:
        variable = os.environ.get(_env(name.upper()))
        if variable and not given[name]:
            given[name] = tuple(variable.split(","))
    if given["symbols"]:
        given["symbols"] = ",".join(given["symbols"])
    return resolve(given, Path.cwd())


@app.command()
def build(
    context: typer.Context,
    input: Input = None,
    output: Output = None,
    columns: Columns = None,
    week: Week = None,
    available: Available = None,
    features: Features = None,
    benchmark: Benchmark = None,
    sector_map: SectorMap = None,
    price: Price = None,
    dtype: Dtype = None,
    symbols: Symbols = None,
    max_symbols: MaxSymbols = None,
    start: Start = None,
    end: End = None,
    on_duplicates: OnDuplicates = None,
    on_bad_rows: OnBadRows = None,
    replace_features: ReplaceFeatures = None,
    jobs: Jobs = None,
    memory_limit: MemoryLimit = None,
    strategy: Strategy = None,
    compression: Compression = None,
    overwrite: Overwrite = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    report: ReportFile = None,
) -> None:
    """Add weekly features to daily prices and write the merged dataset."""
    config = _settings(context)
    done = _run(config, quiet, report)
    _show(done, quiet, as_json, report)
    raise typer.Exit(done.exit_code)


@app.command()
def plan(
    context: typer.Context,
    input: Input = None,
    output: Output = None,
    columns: Columns = None,
    week: Week = None,
    available: Available = None,
    features: Features = None,
    benchmark: Benchmark = None,
    sector_map: SectorMap = None,
    price: Price = None,
    dtype: Dtype = None,
    symbols: Symbols = None,
    max_symbols: MaxSymbols = None,
    start: Start = None,
    end: End = None,
    on_duplicates: OnDuplicates = None,
    on_bad_rows: OnBadRows = None,
    replace_features: ReplaceFeatures = None,
    jobs: Jobs = None,
    memory_limit: MemoryLimit = None,
    strategy: Strategy = None,
    compression: Compression = None,
    overwrite: Overwrite = None,
    as_json: AsJson = False,
) -> None:
    """Say what build would do, and why; reads the keys and writes nothing."""
    from weekly_cli import pipeline, report

    scan, made = pipeline.plan_only(_settings(context))
    if as_json:
        typer.echo(json.dumps(report.plan_lines(scan, made), indent=2))
    else:
        _console(stderr=False).print(report.render_plan(scan, made))


@app.command()
def features(as_json: AsJson = False) -> None:
    """List every column that build can add: family, name, formula, first bar with a value."""
    from weekly_cli.features import templates

    rows = [
        {
            "family": row.family,
            "column": row.name,
            "formula": row.formula,
            "first_bar": row.first_bar,
            "parity": row.parity,
        }
        for row in templates()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    from rich.table import Table

    table = Table("family", "column", "formula", "first bar", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(row[name]) for name in ("family", "column", "formula", "first_bar")))
    _console(stderr=False).print(table)


@app.command()
def sample(
    folder: Annotated[Path, typer.Argument(help="Where to write it.")],
    symbols: Annotated[int, typer.Option(help="Symbols, benchmarks included.")] = 40,
    years: Annotated[int, typer.Option(help="Years of business days.")] = 6,
    layout: Annotated[
        str, typer.Option(help="date: in date order; symbol: clustered by symbol; day: a file a day.")
    ] = "date",
    seed: Annotated[int, typer.Option(help="Another seed, other prices.")] = 7,
) -> None:
    """Write a made-up daily dataset: the same arguments give the same bytes."""
    from weekly_cli.errors import UsageError
    from weekly_cli.sample import write_sample

    try:
        written = write_sample(folder, symbols=symbols, years=years, layout=layout, seed=seed)
    except ValueError as error:
        raise UsageError(str(error)) from error
    _console(stderr=True).print(f"{written.rows:,} rows in {len(written.paths):,} files in {folder}", soft_wrap=True)


# ---- views -----------------------------------------------------------------------------------------------


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def _run(config: Config, quiet: bool, report: Path | None) -> Report:
    from weekly_cli import events, pipeline, progress, storage

    if report is not None:
        storage.check_writable(report, "--report")
    if quiet:
        return pipeline.run(config, events.ignore)
    with progress.listener(_console(stderr=True)) as listener:
        return pipeline.run(config, listener)


def _show(done: Report, quiet: bool, as_json: bool, report: Path | None) -> None:
    from weekly_cli import storage
    from weekly_cli.report import render

    if report is not None:
        storage.write_json(report, done.to_dict())
    if as_json:
        typer.echo(json.dumps(done.to_dict(), indent=2))
    if not quiet or done.rejected:
        _console(stderr=True).print(render(done))


# ---- how a run ends --------------------------------------------------------------------------------------


def _terminated(signum: int, _: object) -> None:
    raise _Terminated(signum)


class _Terminated(BaseException):
    """SIGTERM arrived."""


def _say(text: str) -> None:
    """Write a line to stderr; what a symbol or a path may smuggle in does not steer the terminal."""
    with contextlib.suppress(OSError):  # a closed terminal or pipe: nobody is there to read it
        sys.stderr.write(printable(text) + "\n")
        sys.stderr.flush()


def _bug(error: Exception) -> int:
    """Say in one line that this is a bug, and where its traceback is."""
    from weekly_cli import storage

    log = storage.write_log(f"weekly-cli {__version__} {sys.argv}\n\n{traceback.format_exc()}")
    first_line = (str(error).splitlines() or [""])[0]
    _say(f"weekly-cli: a bug: {type(error).__name__}: {first_line} (traceback in {log})")
    return EXIT_BUG


def _code() -> int:
    """Run the command and return its exit code."""
    try:
        code = int(app(standalone_mode=False) or 0)
    except WeeklyError as error:
        _say(f"weekly-cli: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        code = Interrupted.exit_code
    except _Terminated:
        _say("weekly-cli: terminated; the output is as it was")
        return 128 + signal.SIGTERM
    except (BrokenPipeError, SystemExit):  # the reader has gone: `weekly-cli features | head`; rich and typer exit
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - or the interpreter would flush into the pipe again
        return 128 + signal.SIGPIPE
    except Exception as error:  # noqa: BLE001 - the parser's own errors, or a bug
        if not hasattr(error, "show"):
            return _bug(error)
        error.show()
        return int(getattr(error, "exit_code", 2))
    if code == Interrupted.exit_code:
        _say("weekly-cli: interrupted; the output is as it was")
    return code


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _terminated)
    # Arrow's own pools keep what they freed: a partition held twice its chunks. Of weight only before the import.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    sys.exit(_code())
