"""The page of promises names tests that are there."""

from __future__ import annotations

import ast
import json

import pytest
from frames import source_of
from promises import PROMISES, Trial, trials
from soak import FIGURES


@pytest.fixture(scope="module")
def told() -> list[Trial]:
    """Every kind of trial; they are counted when the tests run, because a collection needs none of it."""
    return list(trials())


def test_every_test_that_is_named_is_there(told: list[Trial]) -> None:
    named = {name for promise in PROMISES for name in promise.tests} | {trial.test for trial in told}
    assert len(named) > 40
    for name in sorted(named):
        module, _, function = name.partition("::")
        tree = ast.parse(source_of(module))
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, name


def test_every_trial_is_of_some_number_and_told_once(told: list[Trial]) -> None:
    assert len({trial.what for trial in told}) == len(told)
    assert all(trial.count >= 1 for trial in told)


def test_what_was_soaked_is_all_of_it_and_nothing_was_wrong() -> None:
    figures = {row["kind"]: row for row in json.loads(FIGURES.read_text(encoding="utf-8"))}
    assert {kind: row["cycles"] for kind, row in figures.items()} == {"kill": 200, "worker": 100, "INT": 25, "TERM": 25}
    assert not any(row["wrong"] for row in figures.values())
