"""The figures of the README beside this file, from the record that `run.py --record` keeps; standard library only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RECORD = Path(__file__).with_name("figures.json")


def figures() -> str:
    """Return the machine, the versions, the command and the table of figures as Markdown."""
    record = json.loads(RECORD.read_text())
    return f"{_setting(record)}\n\n{_table(record['figures'])}"


def _setting(record: dict[str, Any]) -> str:
    machine = record["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    gib = machine["memory_bytes"] / 2**30
    return (
        f"`{record['command']}`: {record['symbols']:,} symbols x {record['years']} years, medians of "
        f"{record['rounds']} alternating rounds, on {machine['cores']} cores of {machine['cpu']}, {gib:.0f} GiB, "
        f"{machine['system']}; {versions}."
    )


def _table(found: Sequence[dict[str, Any]]) -> str:
    header = ("figure", "ours", "peer", "value", "target", "aim")
    lines = [header, ("---", "---:", "---:", "---:", "---:", "---:"), *map(_cells, found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


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
    )


def _number(value: float, unit: str) -> str:
    """Write a number with its unit.

    >>> [_number(6.123, "s"), _number(1272.4, "MiB"), _number(0.871, "share")]
    ['6.12 s', '1,272 MiB', '87 %']
    """
    if unit == "share":
        return f"{100 * value:.0f} %"
    return f"{value:,.2f} {unit}" if value < 100 else f"{value:,.0f} {unit}"
