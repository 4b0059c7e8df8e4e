"""`explain`: which week a row sees and why, against calendars, the output's own values, and cut inputs."""

from __future__ import annotations

import datetime
import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from frames import ROOT, build, daily, run_cli, write

import weekly_cli
from weekly_cli.errors import UsageError
from weekly_cli.questions.explanation import Explanation

SAMPLE = ROOT / "sample_data"
#: A generous bound: it takes about 0.4 s on a free core.
SECONDS = 5.0


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("explain") / "out"
    build(SAMPLE, output, benchmark=["BXA"])
    return output


@pytest.fixture(scope="module")
def prices() -> pa.Table:
    return daily(("AAA", "BBB"), 400)


def explained(table: pa.Table, folder: Path, date: str, feature: str | None = None, **settings: object) -> Explanation:
    build(write(table, folder / "in.parquet"), folder / "out", **settings)
    return weekly_cli.explain(folder / "out", "AAA", date, feature)


def test_friday_is_answered_in_one_sentence(sample: Path) -> None:
    found = weekly_cli.explain(sample, "ABIQA", "2023-03-10")
    assert found.summary == (
        "Friday 2023-03-10 shows the week that ended on Friday 2023-03-03: its own week ends on this very day, whose "
        "close nobody knows when the day begins, so that week's bar is seen from Saturday 2023-03-11 on."
    )
    assert found.agrees
    assert found.n_compared == 60


def test_the_process_draws_a_calendar_and_formulas_in_time(sample: Path) -> None:
    began = time.perf_counter()
    done = run_cli("explain", sample, "ABIQA", "2023-03-10", "--feature", "w_rsi_14")
    assert time.perf_counter() - began < SECONDS
    assert done.returncode == 0, done.stderr
    assert "2023-03-03     .    .  [27] [28]  [1]  [2]  [3]  the bar it sees" in done.stdout
    assert "2023-03-10     .    .    6    7    8    9  >10<  its own week, seen from Sat 03-11" in done.stdout
    assert "= 100 * 0.066728185 / (0.066728185 + 0.081134427)" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 82


def test_json_is_what_python_returns(sample: Path) -> None:
    done = run_cli("explain", sample, "ABIQA", "2023-03-10", "--feature", "w_ret", "--json")
    found = weekly_cli.explain(sample, "ABIQA", datetime.date(2023, 3, 10), "w_ret").to_dict()
    assert json.loads(done.stdout) == found
    assert found["feature"]["workings"][0]["with_numbers"] == "ln(3.15 / 2.97)"


def test_all_features_of_several_rows_agree_with_their_daily_rows(sample: Path) -> None:
    rng = np.random.default_rng(1)
    for symbol in ("ABIQA", "BRK/B", "C", "BXA"):
        days = build_days(sample, symbol)
        for day in rng.choice(days, 5):
            found = weekly_cli.explain(sample, symbol, str(day))
            assert found.differing == (), (symbol, day)
            assert found.n_compared == 60
            if found.bar is not None:
                assert all(row.date < found.bar.seen_from <= found.date for row in found.bar.days)
                assert found.bar.first_row <= found.date <= found.bar.last_row


def build_days(output: Path, symbol: str) -> list[datetime.date]:
    from weekly_cli.questions.built import open_output

    days: list[datetime.date] = open_output(output).rows([symbol], columns=["date"]).column("date").to_pylist()
    return days


def test_a_day_without_a_row_names_the_nearest_sessions(sample: Path) -> None:
    done = run_cli("explain", sample, "ABIQA", "2023-03-11")
    assert done.returncode == 2
    assert "no row of ABIQA on Saturday 2023-03-11" in done.stderr
    assert "Friday 2023-03-10 and Monday 2023-03-13" in done.stderr
    with pytest.raises(UsageError, match="the nearest is of Friday 2023-12-29"):
        weekly_cli.explain(sample, "ABIQA", "2024-01-01")


def test_wrong_names_are_refused_with_a_hint(sample: Path) -> None:
    assert "did you mean w_rsi_14?" in run_cli("explain", sample, "BXA", "2023-03-10", "--feature", "w_rsi14").stderr
    assert "did you mean ABIQA?" in run_cli("explain", sample, "ABIQ", "2023-03-10").stderr
    assert "takes a date such as" in run_cli("explain", sample, "BXA", "10.3.2023").stderr
