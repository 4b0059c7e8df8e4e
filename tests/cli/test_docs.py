"""The documentation: its length, its links, its generated parts, and its snippets, which run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from frames import run_cli

import weekly_cli
from weekly_cli.compute.features import catalogue

ROOT = Path(weekly_cli.__file__).parents[1]
PAGES = (
    "README.md",
    "weekly_cli/README.md",
    "weekly_cli/compute/features/README.md",
    "tests/README.md",
    "tests/benchmarks/README.md",
)
PACKAGE_PAGE = (ROOT / "weekly_cli/README.md").read_text(encoding="utf-8")
FRONT = (ROOT / "README.md").read_text(encoding="utf-8")
LAST_SESSION, NEXT_SESSION = pd.Timestamp("2023-12-29").date(), pd.Timestamp("2024-01-02").date()


def anchors(path: Path) -> set[str]:
    """The names by which links reach the headings of a page, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def snippets(section: str, page: str = FRONT) -> list[str]:
    """The Python snippets of a section of a page."""
    _, found, text = page.partition(f"# {section}\n")
    assert found, f"no section {section!r}"
    return re.findall(r"^```python\n(.*?)^```", re.split(r"^##", text, flags=re.MULTILINE)[0], re.MULTILINE | re.DOTALL)


def run_snippet(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_front_page_is_short() -> None:
    assert len(FRONT.splitlines()) < 250


def test_every_page_is_checked_by_lint() -> None:
    (listed,) = re.findall(r"^PAGES\s*:= (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed.split() == list(PAGES)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    for link in links:
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.is_file(), link
        assert not anchor or anchor in anchors(target), link


def test_the_count_of_features() -> None:
    own, all_of_one = len(catalogue().features), len(catalogue(["spy"]).features)
    said = f"computes more than {own // 10 * 10} weekly features, and {all_of_one - own} more for each benchmark"
    assert said in " ".join(FRONT.split())


@pytest.mark.slow
def test_the_output_opens_as_shown(tmp_path: Path) -> None:
    assert run_cli("build", ROOT / "sample_data", "--output", tmp_path / "out", "-q").returncode == 0
    codes = snippets("Your own data in one minute")
    assert [code.split()[1] for code in codes] == ["pandas", "polars", "duckdb"]
    for code in codes:
        assert "w_rsi_14" in run_snippet(code, tmp_path)


@pytest.mark.slow
def test_the_python_chapter(tmp_path: Path) -> None:
    """Each snippet runs; a model that walks forward finds nothing to know, as it would by leakage."""
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    assert run_cli("build", "sample_data", "-q", cwd=tmp_path).returncode == 0
    frames, rows, model = (run_snippet(code, tmp_path) for code in snippets("From Python", PACKAGE_PAGE))
    assert "w_ret" in frames
    assert rows == ""
    scores = [float(line.rpartition(" ")[2]) for line in model.splitlines()]
    assert len(scores) == 3
    assert max(scores) < 0.1


@pytest.mark.slow
def test_friday_night(tmp_path: Path) -> None:
    """Friday's row under week-end, and the next session's row when it is appended, show the same values."""
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    section = "Friday night, by a build"
    for code in snippets(section, PACKAGE_PAGE):
        run_snippet(code, tmp_path)
    commands = re.findall(
        r"^    weekly-cli (build .+)$", PACKAGE_PAGE.partition(section)[2].partition("## Diff")[0], re.MULTILINE
    )
    assert len(commands) == 2
    for command in commands:
        assert run_cli(*command.split(), "-q", cwd=tmp_path).returncode == 0

    friday, monday = (pd.read_parquet(tmp_path / name).set_index("symbol") for name in ("friday", "monday"))
    added = [feature.name for feature in catalogue().features]
    before, after = friday[friday["date"] == LAST_SESSION][added], monday[monday["date"] == NEXT_SESSION][added]
    assert len(before) > 30
    pd.testing.assert_frame_equal(before, after)
    assert set(before["w_week_end"].dropna()) == {LAST_SESSION}

    assert run_cli("build", "sample_data", "-q", cwd=tmp_path).returncode == 0
    (command,) = re.findall(r"^    weekly-cli (latest .+)$", FRONT, re.MULTILINE)
    assert run_cli(*command.split(), cwd=tmp_path).returncode == 0
    found = pd.read_parquet(tmp_path / "signals.parquet").set_index("symbol").loc[after.index, added]
    pd.testing.assert_frame_equal(after, found)
