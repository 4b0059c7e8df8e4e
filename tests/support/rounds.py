"""Rounds that repeat: a few of them in `make test`, the rest in `make soak`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def soaked(tested: Iterable[Any], rest: Iterable[Any]) -> list[Any]:
    """The parameters of a test, of which the rest are for the soak."""
    return [*tested, *(pytest.param(*_each(one), marks=pytest.mark.soak) for one in rest)]


def _each(one: Any) -> tuple[Any, ...]:
    return one if isinstance(one, tuple) else (one,)
