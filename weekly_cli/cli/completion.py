"""Shell completion of values.

numpy and Arrow are imported here where names require them: a completion may take longer than `--help`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import typer

from weekly_cli.errors import WeeklyError
from weekly_cli.findings import KINDS
from weekly_cli.names import PERIODS, ROLES, USUAL_LABELS, WINDOWS
from weekly_cli.settings import SETTINGS, Setting, from_environment, from_file, from_flags
from weekly_cli.settings.sources import winning

Complete = Callable[[typer.Context, str], list[str]]
#: The most symbols offered; a shell can't usefully show more.
_MOST_SYMBOLS = 500


def of(row: Setting) -> Complete | None:
    """Return the function that completes a setting's value; None: there is none, and the shell offers files."""
    if row.kind.choices:
        choices = row.kind.choices
        return lambda ctx, incomplete: [choice for choice in choices if choice.startswith(incomplete)]
    return _COMPLETERS.get(row.kind.completer)


def topics(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a topic of the documentation."""
    from weekly_cli.cli.chapters import chapters
    from weekly_cli.files.manual_pages import read_pages

    return [one.topic for one in chapters(read_pages()) if one.topic.startswith(incomplete)]


def _features(ctx: typer.Context, incomplete: str) -> list[str]:
    from weekly_cli.compute.features import catalogue

    windows = SETTINGS["windows"].kind.parse(ctx.params.get("windows") or [])
    every = [one for text in ctx.params.get("every") or [] for one in text.split(",")]
    columns = catalogue(windows=windows, every=every or SETTINGS["every"].default)
    return _in_a_list(incomplete, ["all", *columns.families, *(one.name for one in columns.features)], excluding="-")


def _windows(ctx: typer.Context, incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    words = [f"{before}{comma}{key}=" for key in WINDOWS if key.startswith(last)]
    return words if last else []


def _columns(ctx: typer.Context, incomplete: str) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    role, equals, _ = last.partition("=")
    words = [f"{role}={name}" for name in _input_columns(ctx)] if equals else [f"{name}=" for name in ROLES]
    return [f"{before}{comma}{word}" for word in words if word.startswith(last)]


def _prices(ctx: typer.Context, incomplete: str) -> list[str]:
    return [name for name in _input_columns(ctx) if name.startswith(incomplete)]


def _column_names(ctx: typer.Context, incomplete: str) -> list[str]:
    return _in_a_list(incomplete, _input_columns(ctx))


def _symbols(ctx: typer.Context, incomplete: str) -> list[str]:
    return _in_a_list(incomplete, _input_symbols(ctx))


def _codes(ctx: typer.Context, incomplete: str) -> list[str]:
    return _in_a_list(incomplete, KINDS)


def _periods(ctx: typer.Context, incomplete: str) -> list[str]:
    return _in_a_list(incomplete, PERIODS)


def _labels(ctx: typer.Context, incomplete: str) -> list[str]:
    return _in_a_list(incomplete, USUAL_LABELS)


_COMPLETERS: dict[str, Complete] = {
    "features": _features,
    "columns": _columns,
    "prices": _prices,
    "column names": _column_names,
    "symbols": _symbols,
    "codes": _codes,
    "labels": _labels,
    "periods": _periods,
    "windows": _windows,
}


def _in_a_list(incomplete: str, words: Iterable[str], excluding: str = "") -> list[str]:
    """Return completions of the last word in a comma-separated list; an `excluding` sign may precede the word."""
    before, comma, last = incomplete.rpartition(",")
    sign = excluding if excluding and last.startswith(excluding) else ""
    taken = before.split(",")
    return [
        f"{before}{comma}{sign}{word}"
        for word in words
        if word.startswith(last.removeprefix(sign)) and word not in taken
    ]


def _input_columns(ctx: typer.Context) -> Iterator[str]:
    """Yield the columns of the first input file, if the input is typed or in the settings."""
    try:
        from weekly_cli.files import discovery, parquet

        for path, _ in discovery.find_inputs(_input(ctx), None).files[:1]:
            yield from parquet.open_parquet(path).schema_arrow.names
    except (WeeklyError, OSError):  # completion in a shell is not a place to show errors
        return


def _input_symbols(ctx: typer.Context) -> list[str]:
    """Return the first symbols of the input, if it is typed or in the settings."""
    try:
        from weekly_cli.dataset.footers import read_footers
        from weekly_cli.dataset.scan import scan
        from weekly_cli.settings import Config

        names = _input(ctx)
        if not names:
            return []
        config = Config(input=tuple(names), on_bad_rows="drop")
        input_scan = scan(read_footers(config, None), config, map, lambda _: None)
        return list(map(str, input_scan.symbols[:_MOST_SYMBOLS].to_pylist()))
    except (WeeklyError, OSError):  # as in `_input_columns`
        return []


def _input(ctx: typer.Context) -> list[str]:
    # Typer does not assign arguments if the last option still lacks its value.
    typed = ctx.params.get("input") or [word for word in ctx.args if not word.startswith("-")]
    given = winning(from_file(Path.cwd()), from_environment(os.environ), from_flags({"input": typed})).get("input")
    return [] if given is None else list(given.read(SETTINGS["input"].kind))
