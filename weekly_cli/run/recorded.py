"""Reports that were written as JSON, read again: every field has the type that `Report` declares, or it is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from weekly_cli import __version__
from weekly_cli.errors import InputRefused
from weekly_cli.files import records
from weekly_cli.files.locations import Location
from weekly_cli.run.report import REPORT_VERSION, Report

_WAY_OUT = "give what weekly-cli build has written with --report NAME.json or printed with --json"
#: Numbers beyond this count nothing that a run has.
_MOST = 2**62


class _Mismatch(Exception):
    """What a value is not, and where it stands."""


def read_report(path: Location) -> Report:
    """Return the report in a JSON file.

    Raises
    ------
    InputRefused
        If the file can't be read, or holds something else or a report of another version.
    """
    value = records.required_json(path, _WAY_OUT)
    if not isinstance(value, dict) or not value.keys() >= {"version", "fingerprint", "output"}:
        raise InputRefused(f"{path} is not a report of weekly-cli; {_WAY_OUT}")
    version = value.get("report_version")
    if version != REPORT_VERSION:
        of_which = "no version of its fields" if version is None else f"version {version} of its fields"
        raise InputRefused(
            f"{path} is a report of weekly-cli {value['version']} with {of_which}, and weekly-cli {__version__} reads "
            f"version {REPORT_VERSION}; build again with --report, or make the page with the weekly-cli that wrote it"
        )
    try:
        report = _decoded(Report, value, "")
    except _Mismatch as mismatch:
        raise InputRefused(f"{path} is not as weekly-cli has written it: {mismatch}; {_WAY_OUT}") from None
    assert isinstance(report, Report)
    return report


def _decoded(kind: Any, value: Any, where: str) -> Any:
    """Return a JSON value as the type that a field declares."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return _plain(value, where)
    if is_dataclass(kind):
        return _dataclass(kind, value, where)
    if origin in (Union, UnionType):
        return _one_of(arguments, value, where)
    if origin is tuple:
        return _tuple(arguments, value, where)
    if origin is Mapping:
        _check(isinstance(value, dict), where, "an object")
        return {name: _decoded(arguments[1], entry, f"{where}.{name}") for name, entry in value.items()}
    if kind is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        _check(is_number and math.isfinite(value) and abs(value) <= _MOST, where, "a number")
        return float(value)
    if kind is int:
        _check(type(value) is int and abs(value) <= _MOST, where, "a whole number")
        return value
    _check(isinstance(value, kind), where, "a text" if kind is str else kind.__name__)
    return value


def _plain(value: Any, where: str, deeper: int = 2) -> Any:
    """Return the value of a setting, which may be a list or an object of plain values."""
    if isinstance(value, list | dict):
        _check(deeper > 0, where, "a setting's value")
        for entry in value.values() if isinstance(value, dict) else value:
            _plain(entry, where, deeper - 1)
    return value


def _dataclass(kind: Any, value: Any, where: str) -> Any:
    _check(isinstance(value, dict), where, "an object")
    hints = _hints(kind)
    names = [entry.name for entry in fields(kind)]
    for name in names:
        _check(name in value, f"{where}.{name}", "there")
    return kind(**{name: _decoded(hints[name], value[name], f"{where}.{name}") for name in names})


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    for kind in kinds:
        if kind is not type(None):
            try:
                return _decoded(kind, value, where)
            except _Mismatch as mismatch:
                last = mismatch
    raise last


def _tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    _check(isinstance(value, list), where, "a list")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    _check(len(value) == len(kinds), where, f"a list of {len(kinds)}")
    return tuple(
        _decoded(kind, entry, f"{where}[{place}]") for place, (kind, entry) in enumerate(zip(kinds, value, strict=True))
    )


def _check(holds: bool, where: str, wanted: str) -> None:
    if not holds:
        raise _Mismatch(f"{where.removeprefix('.')} is not {wanted}")


@lru_cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)
