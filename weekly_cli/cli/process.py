"""The command line: options -> configuration -> pipeline -> view -> exit code; nothing else.

Nothing heavy is imported before a command runs: `--help` needs neither numpy nor pyarrow. The parser is the standard
library's: typer takes 35 ms to import, and 70 more for pydantic when it reads the first value, which is a third of
what a small build takes.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import functools
import gc
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

from weekly_cli import __version__, failpoints
from weekly_cli.errors import EXIT_BUG, EXIT_CODES, EXIT_DONE, EXIT_NOT_PROVEN, Interrupted, UsageError, WeeklyError
from weekly_cli.names import printable
from weekly_cli.settings.table import Config, resolve, table_settings

if TYPE_CHECKING:
    from rich.console import Console

    from weekly_cli.report import Report

ABOUT = "Weekly features for daily prices: Parquet in, Parquet out, without look-ahead."
EPILOG = "Exit codes: " + "; ".join(f"{row.code} {row.meaning}" for row in EXIT_CODES) + "."


class Option(NamedTuple):
    """An option, or an argument where its only name has no dashes.

    Attributes
    ----------
    names : tuple of str
        The long name first.
    kind : callable
        Reads the text; `bool` makes a switch of it.
    default : optional
        None: not given, and then the settings file or the setting's own default decides.
    """

    names: tuple[str, ...]
    help: str
    kind: Callable[[str], Any] = str
    repeatable: bool = False
    in_environment: bool = True
    required: bool = False
    default: Any = None

    @property
    def key(self) -> str:
        """Its name among what was given."""
        return self.names[0].lstrip("-").replace("-", "_")

    @property
    def text(self) -> str:
        """What it does, and its default."""
        return self.help + (f" [default: {self.default}]" if self.default is not None else "")

    @property
    def variable(self) -> str | None:
        """The variable of the environment that gives it."""
        return f"WEEKLY_CLI_{self.key.upper()}" if self.in_environment else None

    @property
    def is_argument(self) -> bool:
        """Whether its place says what it is."""
        return not self.names[0].startswith("-")


#: The settings, which build and plan share.
SETTINGS = (
    Option(("input",), "A Parquet file, a folder of them, or a quoted glob."),
    Option(("--output", "-o"), "NAME.parquet is one file, any other name a folder of parts. [default: daily_weekly]"),
    Option(("--columns",), "Roles by hand: symbol=Ticker,close=Last.", repeatable=True),
    Option(("--week",), "The week's last day, W-MON to W-SUN. [default: W-FRI]"),
    Option(
        ("--available",),
        "When a bar can be seen: next-week, from the day after its week; week-end, from its last day on. "
        "[default: next-week]",
    ),
    Option(
        ("--features",),
        "Families, columns, exclusions: momentum,w_vol_12 or all,-relative. [default: all]",
        repeatable=True,
    ),
    Option(("--benchmark",), "A symbol to compare all others with; repeatable.", repeatable=True),
    Option(
        ("--sector-map",),
        "CSV or Parquet with symbol and sector, sector_equal_weight or subsector: the symbol to compare with.",
    ),
    Option(("--price",), "A column with the adjusted close; open, high and low are scaled with it."),
    Option(("--dtype",), "Type of the features: float32 or float64. [default: float32]"),
    Option(("--symbols",), "Only these: A,B,C, or @FILE with one a line.", repeatable=True),
    Option(("--max-symbols",), "Only the first so many, in sorted order.", int),
    Option(("--start",), "First date that is written; earlier rows still feed the features."),
    Option(("--end",), "Last date that is written."),
    Option(("--on-duplicates",), "Rows that repeat a symbol's date: error, first, last. [default: error]"),
    Option(("--on-bad-rows",), "Rows without symbol or date: error, drop. [default: error]"),
    Option(("--replace-features",), "Compute columns anew that the input has already.", bool),
    Option(("--jobs", "-j"), "Workers: -1 all cores, -2 all but one. [default: -1]", int),
    Option(("--memory-limit",), "For all processes together: auto, 2GB, 512MiB. [default: auto]"),
    Option(("--strategy",), "auto, direct, batched, per-symbol, adaptive. [default: auto]"),
    Option(("--compression",), "zstd, snappy, lz4, none. [default: zstd]"),
    Option(("--overwrite",), "Replace Parquet files that this tool did not write; never anything else.", bool),
    Option(("--allow-empty",), "Publish an output without rows, or without a weekly bar.", bool),
    Option(("--work-dir",), "Folder to work in, on the output's filesystem. [default: beside the output]"),
    Option(("--wait",), "Seconds to wait for another run of the same output. [default: 0]", float),
    Option(("--fresh",), "Do not go on from where an earlier run was cut off.", bool),
    Option(("--keep-work",), "Leave the work folder there after the run.", bool),
    Option(("--strict",), "Publish nothing if a symbol fails.", bool),
    Option(("--task-timeout",), "Seconds after which a task is taken for hung and its worker is ended.", float),
)
QUIET = Option(("--quiet", "-q"), "Say nothing when all is well.", bool)
AS_JSON = Option(("--json",), "Print as JSON on stdout.", bool, in_environment=False)
REPORT = Option(("--report",), "Write the report as JSON to this file.", Path)

Given = Mapping[str, Any]


def _count(text: str) -> int:
    """Read a number that is not negative."""
    if int(text) < 0:
        raise ValueError("it is not negative")
    return int(text)


# ---- commands --------------------------------------------------------------------------------------------


def build(given: Given) -> int:
    """Add weekly features to daily prices and write the merged dataset."""
    config = _config(given)
    done = _run(config, given["quiet"], given["report"])
    _show(done, given["quiet"], given["json"], given["report"])
    return done.exit_code


def plan(given: Given) -> int:
    """Say what build would do, and why; reads the keys and writes nothing."""
    config = _config(given)
    with _importing():
        from weekly_cli import pipeline, report
    scan, made = pipeline.plan_only(config)
    if given["json"]:
        _print(json.dumps(report.plan_lines(scan, made), indent=2))
    else:
        _console(stderr=False).print(report.render_plan(scan, made))
    return EXIT_DONE


def verify(given: Given) -> int:
    """Check a finished table: whole, no look-ahead, right by a slow recomputation; and how long columns warm up."""
    from weekly_cli import verify as room
    from weekly_cli.verify import view

    console = _console(stderr=False)
    proof = room.verify(
        **table_settings(given, Path.cwd()),
        sector_map=given["sector_map"],
        dates=given["dates"],
        symbols=given["symbols"],
        seed=given["seed"],
        listener=lambda check: None if given["json"] else console.print(view.render_check(check)),
    )
    if given["json"]:
        _print(json.dumps(proof.to_dict(), indent=2))
    else:
        if proof.warm_up:
            console.print(view.render_warm_up(proof.warm_up))
        console.print(view.conclusion(proof), soft_wrap=True)
    return EXIT_DONE if proof.holds else EXIT_NOT_PROVEN


def features(given: Given) -> int:
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
    if given["json"]:
        _print(json.dumps(rows, indent=2))
        return EXIT_DONE
    from rich.table import Table

    table = Table("family", "column", "formula", "first bar", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(str(row[name]) for name in ("family", "column", "formula", "first_bar")))
    _console(stderr=False).print(table)
    return EXIT_DONE


def sample(given: Given) -> int:
    """Write a made-up daily dataset: the same arguments give the same bytes."""
    from weekly_cli.sample import write_sample

    folder = given["folder"]
    settings = {name: given[name] for name in ("symbols", "years", "layout", "seed")}
    try:
        written = write_sample(folder, **settings)
    except ValueError as error:
        raise UsageError(str(error)) from error
    said = f"{written.rows:,} rows in {len(written.paths):,} files in {folder}"
    _console(stderr=True).print(printable(said), soft_wrap=True)
    return EXIT_DONE


SAMPLE = (
    Option(("folder",), "Where to write it.", Path, required=True, in_environment=False),
    Option(("--symbols",), "Symbols, benchmarks included.", int, in_environment=False, default=40),
    Option(("--years",), "Years of business days.", int, in_environment=False, default=6),
    Option(
        ("--layout",),
        "date: in date order; symbol: clustered by symbol; day: a file a day.",
        in_environment=False,
        default="date",
    ),
    Option(("--seed",), "Another seed, other prices.", int, in_environment=False, default=7),
)
VERIFY = (
    Option(("output",), "The table: a file, or a folder of parts. [default: as for build]"),
    Option(("--input",), "What it was made of. [default: what the table says]"),
    Option(("--columns",), "Roles by hand, for a table of another program: symbol=Ticker.", repeatable=True),
    Option(("--sector-map",), "Where the sector map is now that it was made with. [default: what the table says]"),
    Option(("--dates",), "How often the input is cut and built again.", _count, in_environment=False, default=5),
    Option(("--symbols",), "How many symbols are built again.", _count, in_environment=False, default=20),
    Option(("--seed",), "Another seed, other dates and symbols.", _count, in_environment=False, default=0),
    AS_JSON,
)
COMMANDS: Mapping[Callable[[Given], int], tuple[Option, ...]] = {
    build: (*SETTINGS, QUIET, AS_JSON, REPORT),
    plan: (*SETTINGS, AS_JSON),
    verify: VERIFY,
    features: (AS_JSON,),
    sample: SAMPLE,
}


# ---- words to settings -----------------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """One parser; what it refuses is an error of usage like any other."""

    def __init__(self, **settings: Any) -> None:
        wide = functools.partial(argparse.HelpFormatter, max_help_position=30)
        super().__init__(add_help=False, allow_abbrev=False, formatter_class=wide, **settings)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; {self.prog} --help tells what there is")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        sys.stdout.flush()  # a reader that has gone shows here, and not when the interpreter ends
        super().exit(status, message)

    def add(self, options: Sequence[Option]) -> None:
        """Take options and arguments, and `--help`."""
        arguments, flags = self.add_argument_group("Arguments"), self.add_argument_group("Options")
        for option in options:
            text = option.text + (f" [env var: {option.variable}]" if option.variable else "")
            shared: dict[str, Any] = {"default": option.default, "help": text}
            if option.kind is bool:
                flags.add_argument(*option.names, dest=option.key, action="store_true", **shared)
                continue
            shared |= {"type": option.kind, "metavar": option.key.upper()}
            if option.is_argument:
                arguments.add_argument(option.key, nargs=None if option.required else "?", **shared)
            else:
                action = "append" if option.repeatable else "store"
                flags.add_argument(*option.names, dest=option.key, action=action, **shared)
        flags.add_argument("--help", action="help", help="Show this message and exit.")


def _parser() -> _Parser:
    whole = _Parser(prog="weekly-cli", usage="%(prog)s COMMAND [OPTIONS]", description=ABOUT, epilog=EPILOG)
    commands = whole.add_subparsers(
        title="Commands", prog=whole.prog, metavar="COMMAND ...", dest="command", required=True
    )
    for command, options in COMMANDS.items():
        arguments = " ".join(
            option.key.upper() if option.required else f"[{option.key.upper()}]"
            for option in options
            if option.is_argument
        )
        usage = f"%(prog)s [OPTIONS] {arguments}".rstrip()
        one = commands.add_parser(command.__name__, usage=usage, description=command.__doc__, help=command.__doc__)
        one.add(options)
        one.set_defaults(command=command)
    whole.add(())
    return whole


def _joined(words: Sequence[str]) -> Iterator[str]:
    """Yield the words, each option and its value as one: alone, `-w_rsi_14` would be taken for an option."""
    takes_value = {
        name
        for options in COMMANDS.values()
        for option in options
        if option.kind is not bool and not option.is_argument
        for name in option.names
    }
    rest = iter(words)
    for word in rest:
        value = next(rest, None) if word in takes_value else None
        yield word if value is None else f"{word}={value}"
        if word == "--":
            yield from rest


def _from_environment(options: Sequence[Option], given: dict[str, Any]) -> None:
    """Fill in what the environment says of options that were not given."""
    for option in options:
        text = os.environ.get(option.variable or "")
        if text and given[option.key] is None:
            try:
                given[option.key] = _read(option, text)
            except ValueError as error:
                raise UsageError(f"{option.variable} can't be {text!r}: {error}") from error


_TRUE, _FALSE = ("1", "true", "t", "yes", "y", "on"), ("0", "false", "f", "no", "n", "off")


def _read(option: Option, text: str) -> Any:
    """Return the value of a variable; lists have commas between, for symbols and columns may have blanks."""
    if option.kind is bool:
        if text.lower() not in (*_TRUE, *_FALSE):
            raise ValueError("it is true or false")
        return text.lower() in _TRUE
    return text.split(",") if option.repeatable else option.kind(text)


def _config(given: Given) -> Config:
    typed = {option.key: given[option.key] for option in SETTINGS}
    typed = {name: tuple(value) if isinstance(value, list) else value for name, value in typed.items()}
    if typed["symbols"]:
        typed["symbols"] = ",".join(typed["symbols"])
    return resolve(typed, Path.cwd())


# ---- views -----------------------------------------------------------------------------------------------


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    from weekly_cli.cli.progress import Bystander

    file = cast("IO[str]", Bystander(sys.stderr)) if stderr else None
    return Console(file=file, stderr=stderr, highlight=False, markup=False, emoji=False)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@contextlib.contextmanager
def _importing() -> Iterator[None]:
    """Keep the garbage collector from what is imported, which stays to the end.

    Looking through it took 47 of the 257 ms of a small build, about half of them when the interpreter ended.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _run(config: Config, quiet: bool, report: Path | None) -> Report:
    with contextlib.ExitStack() as stack:
        with _importing():
            from weekly_cli.engines.ahead import pool_ahead

            engine = pool_ahead(config)
            if engine is not None:
                stack.callback(engine.close)
            from weekly_cli import events, pipeline, storage
        if report is not None:
            storage.check_writable(report, "--report")
        if quiet:
            return pipeline.run(config, events.ignore, engine)
        from weekly_cli.cli import progress

        return pipeline.run(config, stack.enter_context(progress.listener(_console(stderr=True))), engine)


def _show(done: Report, quiet: bool, as_json: bool, report: Path | None) -> None:
    if report is not None:
        from weekly_cli import storage

        storage.write_json(report, done.to_dict())
    if as_json:
        _print(json.dumps(done.to_dict(), indent=2))
    if not quiet or done.rejected:
        from weekly_cli.report import render

        _console(stderr=True).print(render(done))


# ---- how a run ends --------------------------------------------------------------------------------------


class _Stopped(BaseException):
    """The user or the system asked the process to stop."""

    def __init__(self, signum: int) -> None:
        self.exit_code = 128 + signum


def _stop(signum: int, _: object) -> NoReturn:
    """Stop in good order, if that does not take too long; who asks again has no time for it."""
    for number in _STOPPING:
        signal.signal(number, _stop_at_once)
    overdue = threading.Timer(_STOP_SECONDS, os._exit, (128 + signum,))
    overdue.daemon = True
    overdue.start()
    raise _Stopped(signum)


def _stop_at_once(signum: int, _: object) -> NoReturn:
    os._exit(128 + signum)


#: Workers see that their parent has gone, and the next run removes what stays.
_STOP_SECONDS = 4.0
_STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


def _say(text: str) -> None:
    """Write a line to stderr; what a symbol or a path may smuggle in does not steer the terminal."""
    from weekly_cli.cli.progress import Bystander

    Bystander(sys.stderr).write(printable(text) + "\n")


def _bug(error: Exception) -> int:
    """Say in one line that this is a bug, and where its traceback is."""
    import traceback

    from weekly_cli import storage

    log = storage.write_log(f"weekly-cli {__version__} {sys.argv}\n\n{traceback.format_exc()}")
    first_line = (str(error).splitlines() or [""])[0]
    _say(f"weekly-cli: a bug: {type(error).__name__}: {first_line} (traceback in {log})")
    return EXIT_BUG


def _command(words: Sequence[str]) -> int:
    """Run the command that the words name and return its exit code."""
    failpoints.armed()  # what is wrong with it shows at once
    parser = _parser()
    if not words:
        parser.print_help(sys.stderr)
        return UsageError.exit_code
    given = vars(parser.parse_args(list(_joined(words))))
    command: Callable[[Given], int] = given.pop("command")
    _from_environment(COMMANDS[command], given)
    return command(given)


def _code() -> int:
    """Run the command and return its exit code."""
    try:
        return _command(sys.argv[1:])
    except WeeklyError as error:
        _say(f"weekly-cli: {error}")
        return error.exit_code
    except _Stopped as stop:
        word = "interrupted" if stop.exit_code == Interrupted.exit_code else "terminated"
        _say(f"weekly-cli: {word}; the output is as it was, and the same command finishes the work")
        return stop.exit_code
    except (BrokenPipeError, SystemExit) as end:
        if isinstance(end, SystemExit) and not end.code:  # --help
            return EXIT_DONE
        # The reader has gone, `weekly-cli features | head`; rich exits by itself then.
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - or the interpreter would flush into the pipe again
        return 128 + signal.SIGPIPE
    except Exception as error:  # noqa: BLE001 - a bug
        return _bug(error)


def main() -> NoReturn:
    """Run the command line and end the process."""
    for number in _STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, or a shell's background
            signal.signal(number, _stop)
    # Arrow's own pools keep what they freed: a partition held twice its chunks. Of weight only before the import.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    # numpy's BLAS starts a thread for each core, of which none is ever used here: 100 ms of CPU.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _leave(_code())


def _leave(code: int) -> NoReturn:
    """End the process; to let the interpreter take itself apart in order is 6 % of a small build."""
    with contextlib.suppress(OSError):  # nobody is there to read it
        sys.stdout.flush()
    atexit._run_exitfuncs()
    os._exit(code)
