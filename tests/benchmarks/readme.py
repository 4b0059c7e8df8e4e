"""The figures of the README beside this file, from the record that `run.py --record` keeps; standard library only."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_name("figures.json")
#: Groups with a figure for each layout: their worst comes first.
OF_LAYOUTS = ("time", "real", "size", "memory", "floor", "duckdb")


def figures() -> str:
    """Return the machine, the versions, the command and the table of figures as Markdown."""
    record = json.loads(RECORD.read_text())
    return f"{_setting(record)}\n\n{table(record['figures'])}"


def against_polars() -> str:
    """Return how many times our time Polars takes, on the worst and on the best of the recorded layouts."""
    record = json.loads(RECORD.read_text())
    times = worst_first(figure for figure in record["figures"] if figure["group"] == "time")
    worst, best = (_layout(figure) for figure in (times[0], times[-1]))
    size = f"{record['symbols']:,} symbols x {record['years']} years on {record['machine']['cores']} cores"
    return f"Polars takes {worst} to {best} times as long for {size}."


def thirds() -> str:
    """Return a third of Polars' time beside what pyarrow takes to read and write, as Markdown."""
    record = json.loads(RECORD.read_text())
    floors = {_name(figure): figure["peer"] for figure in record["figures"] if figure["group"] == "floor"}
    times = {_name(figure): figure for figure in record["figures"] if figure["group"] == "time"}
    lines = ["| layout | Polars | a third of it | floor | ours |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, floor in floors.items():
        polars, ours = times[name]["peer"], times[name]["ours"]
        seconds = (polars, polars / 3, floor, ours)
        lines.append(f"| {name} | {' | '.join(_number(value, 's') for value in seconds)} |")
    return "\n".join(lines)


def _name(figure: dict[str, Any]) -> str:
    return str(figure["name"].partition(": ")[2])


def _layout(figure: dict[str, Any]) -> str:
    notes = f"; {figure['notes']}" if figure["notes"] else ""
    return f"{figure['value']:.1f} ({figure['name'].partition(': ')[2]}{notes})"


def _setting(record: dict[str, Any]) -> str:
    machine = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    gib = machine["memory_bytes"] / 2**30
    return (
        f"`{record['command']}`: {record['symbols']:,} symbols x {record['years']} years, medians of "
        f"{record['rounds']} alternating rounds, on {machine['cores']} cores of {machine['cpu']}, {gib:.0f} GiB, "
        f"{machine['system']}; {versions}."
    )


def table(record: Sequence[dict[str, Any]]) -> str:
    """Return figures as a Markdown table, the worst layout of a group first."""
    header = ("figure", "ours", "peer", "value", "target", "aim", "`--only`", "notes")
    lines: list[Sequence[str]] = [header, ("---", *5 * ("---:",), "---", "---")]
    for group, some in itertools.groupby(record, key=lambda figure: figure["group"]):
        figures = list(some)
        lines += map(_cells, worst_first(figures) if group in OF_LAYOUTS else figures)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def worst_first(some: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the figures of a group of layouts by their values; more is better where no target says otherwise."""

    def badness(figure: dict[str, Any]) -> float:
        less_is_better = figure["target"] is not None and not figure["target"]["more_is_better"]
        return float(-figure["value"] if less_is_better else figure["value"])

    return sorted(some, key=badness)


def _cells(figure: dict[str, Any]) -> tuple[str, ...]:
    unit, target = figure["unit"], figure["target"]
    bound = aim = ""
    if target is not None:
        sign = "≥" if target["more_is_better"] else "≤"
        bound = f"{sign} {target['bound']:g}{'' if figure['met'] else ', missed'}"
        aim = f"{target['aim']:g}"
    return (
        figure["name"],
        _number(figure["ours"], unit),
        "" if figure["peer"] is None else _number(figure["peer"], unit),
        f"{figure['value']:.2f}",
        bound,
        aim,
        f"`{figure['group']}`",
        figure["notes"],
    )


def _number(value: float, unit: str) -> str:
    """Write a number with its unit.

    >>> [_number(6.123, "s"), _number(1272.4, "MiB"), _number(0.871, "share")]
    ['6.12 s', '1,272 MiB', '87 %']
    """
    if unit == "share":
        return f"{100 * value:.0f} %"
    return f"{value:,.2f} {unit}" if value < 100 else f"{value:,.0f} {unit}"
