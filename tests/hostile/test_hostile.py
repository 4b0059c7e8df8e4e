"""Hostile and broken input: it gives the right rows, or ends with one clear line while the old output stands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from frames import MODULES, build, environment
from hostile import Hostile, files, parquet, prices
from hostile_trials import FEW, ROUTES

TRIALS = Path(__file__).with_name("hostile_trials.py")
DEADLINE_SECONDS = 240.0


#: How trials ended, by the names of the inputs.
Trials: TypeAlias = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def corpus() -> dict[str, Hostile]:
    return files()


@pytest.fixture(scope="module")
def old_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("old")
    (folder / "in.parquet").write_bytes(parquet(prices()))
    build(folder / "in.parquet", folder / "out", features=FEW)
    return folder / "out"


#: What the routes take of the corpus: a fourth; through the pool, which takes longest, a seventh; in the soak, all.
SHARES = [
    pytest.param(("direct", 4), id="direct, a fourth"),
    pytest.param(("batched", 7), id="batched, a seventh"),
    pytest.param(("direct", 1), id="direct", marks=pytest.mark.soak),
    pytest.param(("batched", 1), id="batched", marks=pytest.mark.soak),
]
TOO_NARROW = "statistics too narrow"


@pytest.fixture(scope="module", params=SHARES)
def trials(
    request: pytest.FixtureRequest,
    corpus: dict[str, Hostile],
    old_output: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Trials:
    """The inputs of the corpus, or each n-th of them, built by one route over an old output."""
    route, step = request.param
    root = tmp_path_factory.mktemp("hostile")
    folders = {}
    for number, (name, hostile) in enumerate(corpus.items()):
        if number % step and name != TOO_NARROW:
            continue
        folders[name] = root / str(number)
        hostile.write(folders[name] / "in")
        shutil.copytree(old_output, folders[name] / "out")
    return run_trials(route, folders)


def run_trials(route: str, folders: dict[str, Path]) -> Trials:
    """Run trials in one child process, which nothing may end."""
    done = subprocess.run(
        [sys.executable, str(TRIALS), route, *map(str, folders.values())],
        env=environment(MODULES),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (told[-1:], done.stderr.decode()[-2000:])
    names = {folder.name: name for name, folder in folders.items()}
    ended = {names[line["name"]]: line for line in told if "code" in line}
    assert ended.keys() == folders.keys()
    return ended


def test_the_corpus_is_large(corpus: dict[str, Hostile]) -> None:
    assert len(corpus) >= 700


def test_no_input_is_a_bug(trials: Trials) -> None:
    assert not [told for told in trials.values() if told["code"] == 1]


def test_a_refusal_is_one_line_that_names_the_file_and_leaves_all_as_it_was(trials: Trials) -> None:
    refused = [told for told in trials.values() if told["code"]]
    assert len(refused) >= 60
    for told in refused:
        assert told["code"] == 3, told
        assert told["one line"] and told["as it was"] and told["names it"], told


def test_what_is_taken_comes_out_as_arrow_reads_it(trials: Trials) -> None:
    taken = [told for told in trials.values() if not told["code"]]
    assert len(taken) >= 30
    assert not [told for told in taken if told["differs"] or told["untrue"] or told["strangers"]]


def test_rows_went_every_way_to_the_output(trials: Trials) -> None:
    """In this process by pages that are taken over and by values; on a pool from bundles and from the input."""
    taken = [told for told in trials.values() if not told["code"]]
    if taken[0]["route"] == "direct":
        assert sum(told["copied"] > 0 for told in taken) >= 30
        assert sum(told["copied"] == 0 for told in taken) >= 30
    else:
        assert sum(told["partitioned"] for told in taken) >= 10
        assert sum(not told["partitioned"] for told in taken) >= 10


def test_what_must_be_refused_is_refused_and_what_is_sound_is_taken(trials: Trials, corpus: dict[str, Hostile]) -> None:
    codes = {"rows": {0}, "refused": {3}, "either": {0, 3}}
    wrong = {name: told for name, told in trials.items() if told["code"] not in codes[corpus[name].expected]}
    assert not wrong


def test_integers_beyond_the_range_that_a_footer_promised_are_told_of_as_that(trials: Trials) -> None:
    """Only bundles have narrower integers; in this process the values themselves are taken."""
    told = trials[TOO_NARROW]
    if told["route"] == "direct":
        assert told["code"] == 0
    else:
        assert "its statistics of column 'volume' (row group 1) are not those of its values" in told["sentence"]


def others_files() -> Iterator[Path]:
    for variable in ("ARROW_TEST_DATA", "PARQUET_TEST_DATA"):
        if variable in os.environ:
            yield from sorted(Path(os.environ[variable]).rglob("*.parquet"))


@pytest.mark.skipif(
    not any(name in os.environ for name in ("ARROW_TEST_DATA", "PARQUET_TEST_DATA")),
    reason="neither ARROW_TEST_DATA nor PARQUET_TEST_DATA names a folder of Arrow's own files",
)
@pytest.mark.parametrize("route", ROUTES)
def test_files_of_arrows_own_corpora_are_no_bug(tmp_path: Path, old_output: Path, route: str) -> None:
    folders = {}
    for number, path in enumerate(others_files()):
        folders[str(path)] = (
            Hostile({path.name: path.read_bytes()}, "either").write(tmp_path / str(number) / "in").parent
        )
        shutil.copytree(old_output, folders[str(path)] / "out")
    found = run_trials(route, folders)
    assert not [told for told in found.values() if told["code"] not in (0, 2, 3) or told.get("differs")]
