"""Adding one feature, as the documentation says: its declaration, one oracle, `make docs`."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import textwrap
from pathlib import Path

import pytest
from frames import ROOT, daily, run_words, write

FAMILY = "weekly_cli/compute/features/returns.py"
ORACLES = "tests/support/oracles.py"
PAGE = "weekly_cli/compute/features/README.md"
#: What `make docs` writes again: the table of features, and the session that counts them.
WRITTEN = [PAGE, "weekly_cli/README.md"]
ROW = '    "w_mom_8": partial(mom, n=8),\n'
#: Whether the built column is the oracle's, by the reference implementation's job with the oracles for its formulas.
COMPARED = """
import numpy, pandas
from reference_job import reference_table
import weekly_cli

daily = pandas.read_parquet("prices.parquet")
built = pandas.read_parquet("out")
numpy.testing.assert_allclose(built["w_mom_8"], reference_table(daily)["w_mom_8"], rtol=1e-6)
assert built["w_mom_8"].notna().any()
print(weekly_cli.__file__)
"""


def declaration() -> str:
    """The example of the documentation."""
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    (example,) = re.findall(r"^   ```python\n(   Feature\(\n.*?\n   \))\n   ```$", page, re.DOTALL | re.MULTILINE)
    return textwrap.dedent(str(example))


def inserted(path: Path, before: str, text: str) -> None:
    """Put lines before the one line that is so."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    (at,) = [number for number, line in enumerate(lines) if line == before]
    path.write_text("".join([*lines[:at], text, *lines[at:]]), encoding="utf-8")


def sources(folder: Path) -> dict[str, bytes]:
    """Every file of a copy that a person writes."""
    rooms = [path for room in ("weekly_cli", "tests") for path in (folder / room).rglob("*") if path.is_file()]
    files = [path for path in (*rooms, folder / "README.md") if "__pycache__" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("n_pages", [1, pytest.param(None, marks=pytest.mark.soak)], ids=["its page", "all pages"])
def test_a_feature_is_one_declaration_and_one_oracle_and_all_else_follows(tmp_path: Path, n_pages: int | None) -> None:
    copy = tmp_path / "copy"
    for room in ("weekly_cli", "tests", "sample_data"):
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "pyproject.toml", "Makefile"):
        shutil.copy(ROOT / name, copy)
    before = sources(copy)

    example = "".join(f"        {line}\n" for line in declaration().splitlines())
    inserted(copy / FAMILY, "        Feature(\n", example.rstrip("\n") + ",\n")
    inserted(copy / ORACLES, "    # A feature that you add: its name and its oracle.\n", ROW)

    def run(*words: object) -> str:
        told = run_words([sys.executable, *map(str, words)], cwd=copy, env=found)
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout

    found = {"PYTHONPATH": os.pathsep.join(str(copy / room) for room in ("", "tests/support"))}
    (pages,) = re.findall(r"^PAGES\s*:= (.+)$", (copy / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(WRITTEN) < set(pages.split())
    run("-m", "cogapp", "-r", *(WRITTEN[:n_pages] if n_pages else pages.split()))  # as `make docs` does
    after = sources(copy)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {
        FAMILY,
        ORACLES,
        *WRITTEN[:n_pages],
    }
    added = set(after[PAGE].splitlines()) - set(before[PAGE].splitlines())
    assert b"| returns | `w_mom_8` | C / C[-8] - 1 | 8 |  |" in added

    assert "w_mom_8" in run("-m", "weekly_cli", "features")
    write(daily(n_days=600), copy / "prices.parquet")
    run("-m", "weekly_cli", "build", "prices.parquet", "--output", "out", "--dtype", "float64", "-q")
    assert run("-c", COMPARED).strip() == str(copy / "weekly_cli/__init__.py")

    checks = {
        check["name"]: check for check in json.loads(run("-m", "weekly_cli", "verify", "out", "--json"))["checks"]
    }
    assert "no formula for w_mom_8" in checks["reference"]["did"]
    assert checks["look-ahead"]["not_checked"] == ""
    assert not any(check["findings"] for check in checks.values())

    tests = [f"tests/unit/{name}.py" for name in ("test_values", "test_reference")]
    told = run("-m", "pytest", *tests, "-p", "no:cacheprovider", "-vv", "-k", "has_an_oracle or w_mom_8")
    assert "test_first_bar_is_as_declared[w_mom_8] PASSED" in told
