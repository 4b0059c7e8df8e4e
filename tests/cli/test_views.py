"""The report and the plan on a screen of 80 x 24, and what a plan says of the time and the size."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from frames import ROOT, daily, on_a_terminal, parts, report_here, run_cli, run_words, write

import weekly_cli
from weekly_cli.cli.sample import write_sample
from weekly_cli.cli.views import build as view
from weekly_cli.questions.built import open_output
from weekly_cli.run import pipeline
from weekly_cli.run.estimate import Estimate, estimate
from weekly_cli.run.wanted import wanted_by
from weekly_cli.settings import from_python, resolve

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def screen_of(text: str) -> list[str]:
    """What stays on a terminal of what it got, without the bars, which are erased."""
    return [line.rpartition("\r")[2].rstrip() for line in ESCAPES.sub("", text).split("\r\n")]


def text_blocks(page: Path, chapter: str) -> list[list[str]]:
    """The outputs that a chapter of a page shows, without empty lines."""
    text = page.read_text(encoding="utf-8").partition(f"## {chapter}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [[line for line in block.splitlines() if line] for block in blocks]


def without_time(lines: list[str]) -> str:
    """The words, without the lines on time and memory, which are another machine's."""
    text = re.sub(r"^(time|memory)  .*\n(  .*\n)*", "", "\n".join([*lines, ""]), flags=re.MULTILINE)
    return " ".join(text.split())


@pytest.mark.slow
def test_a_run_of_the_sample_fits_one_screen_and_its_advice_works(tmp_path: Path) -> None:
    (tmp_path / "sample_data").symlink_to(ROOT / "sample_data")
    code, said = on_a_terminal("build", "sample_data", cwd=tmp_path, env={"COLUMNS": "80"})
    assert code == 0
    lines = [line for line in screen_of(said) if line]
    assert max(map(len, lines)) <= 80
    assert len(screen_of(said)) < 24
    assert lines[-2].split(maxsplit=2)[:2] == ["in", "Python"]
    shown = text_blocks(ROOT / "README.md", "A report")[0]
    report = lines[next(number for number, line in enumerate(lines) if line.startswith("in ")) :]
    assert without_time(report) == without_time(shown), "the front page"
    code = lines[-2].removeprefix("in Python").strip().replace("weekly_cli.read", "frame = weekly_cli.read")
    printed = run_words([sys.executable, "-c", f"{code}; print(len(frame))"], cwd=tmp_path)
    assert printed.stdout == "53676\n"
    advice = [*lines[-1].removeprefix("next").split()[1:], "--symbols", "1", "--dates", "1"]
    assert run_cli(*advice, cwd=tmp_path).returncode == 0
    plan = run_cli("plan", "sample_data", cwd=tmp_path, env={"COLUMNS": "80"})
    planned = [line.rstrip() for line in plan.stdout.splitlines()]
    assert len(planned) < 24
    assert without_time(planned) == without_time(text_blocks(ROOT / "weekly_cli/README.md", "What a run says")[0])


def test_the_preview_is_of_the_last_rows_of_a_symbol_that_has_many(tmp_path: Path) -> None:
    table = pa.concat_tables([daily(["AAA", "BBB"], 60), daily(["ZZZ"], 2)])
    report = report_here(write(table, tmp_path / "prices.parquet"), tmp_path / "out", symbols=["AAA", "BBB", "ZZZ"])
    built = open_output(report.output)
    columns = view.previewed(built.roles, built.features)
    assert columns == ["symbol", "date", "close", "w_week_end", "w_close", "w_ret", "w_rsi_14"]
    preview = built.last_rows(3, columns)
    whole = weekly_cli.read(report.output, symbols="AAA", columns=columns)
    assert preview.to_pandas(date_as_object=False).equals(whole.tail(3).reset_index(drop=True))


def test_a_preview_of_few_features_or_of_no_rows(tmp_path: Path) -> None:
    prices = write(daily(), tmp_path / "prices.parquet")
    report_here(prices, tmp_path / "few", features="w_atr_14")
    few = open_output(tmp_path / "few")
    assert view.previewed(few.roles, few.features)[3:] == list(few.features)
    report_here(prices, tmp_path / "none", start="2099-01-01", allow_empty=True)
    none = open_output(tmp_path / "none")
    assert none.last_rows(3, ["symbol"]).num_rows == 0


@pytest.mark.slow
def test_a_long_name_of_a_symbol_is_cut_and_steers_nothing(tmp_path: Path) -> None:
    prices = write(daily(["\x1b[31m" + "LONG" * 40]), tmp_path / "prices.parquet")
    done = run_cli("build", prices, "-o", "out", cwd=tmp_path, env={"COLUMNS": "80"})
    assert done.returncode == 0
    assert all(line.isprintable() for line in done.stderr.splitlines())
    assert all(len(line) <= 80 for line in done.stderr.splitlines()[4:])


# ---- what a plan expects ---------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["date", "symbol", "day"])
def sample(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path_factory.mktemp("sample") / request.param
    write_sample(folder, symbols=30, years=2, layout=request.param, seed=7)
    return folder


def expected(source: Path, output: Path, **settings: Any) -> Estimate:
    config = resolve(from_python({"input": str(source), "output": str(output), **settings}))
    scan, plan = pipeline.plan_only(config)
    return estimate(scan, plan, config, wanted_by(config))


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"compression": "none"},
        {"rows": "weekly"},
        *(
            pytest.param(settings, marks=pytest.mark.soak)
            for settings in (
                {"compression": "snappy"},
                {"compression": "lz4"},
                {"dtype": "float64"},
                {"features": "momentum"},
                {"writer": "arrow"},
                {"start": "2019-03-01"},
            )
        ),
    ],
    ids=str,
)
def test_the_size_that_a_plan_expects_is_right_within_a_factor_of_two(
    sample: Path, tmp_path: Path, settings: dict[str, Any]
) -> None:
    said = expected(sample, tmp_path / "out", **settings)
    started_at = time.perf_counter()
    report = report_here(sample, tmp_path / "out", **settings)
    seconds = time.perf_counter() - started_at
    size = sum(path.stat().st_size for path in parts(tmp_path / "out"))
    assert size == report.bytes_written
    assert size / 2 < said.output_bytes < 2 * size
    assert report.rows / 1.3 < said.rows < 1.3 * report.rows
    assert said.columns == report.columns
    assert said.seconds / 30 < seconds < 30 * said.seconds, "machines differ, and are shared"


def test_more_work_takes_longer(tmp_path: Path) -> None:
    prices = write(daily(n_days=2000), tmp_path / "prices.parquet")
    less, more = (expected(prices, tmp_path / "out", features=features) for features in ("w_ret", "all"))
    assert less.seconds < more.seconds
    assert less.output_bytes < more.output_bytes
