"""The oldest libraries that `pyproject.toml` allows, as constraints for pip; and the tests that run on them.

The bounds of the dependencies and of the extras for users are promises to those who install the tool beside older
libraries. Those of the extras for developers are not.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Extras of developers, who install the newest versions.
OF_DEVELOPERS = ("test",)
#: What reaches into the libraries: the command, all readings of the input, charts, the columns against their oracles,
#: pandas in and out, `verify` with its second implementation, the pool, a cluster and object storage.
TESTS = (
    "tests/cli/test_cli.py",
    "tests/cli/test_verify.py",
    "tests/cli/test_csv.py",
    "tests/cli/test_wide.py",
    "tests/cli/test_writers.py",
    "tests/cli/test_delta.py",
    "tests/cli/test_chart.py",
    "tests/cli/test_pandas_index.py",
    "tests/cli/test_inspect.py",
    "tests/unit/test_values.py",
    "tests/unit/test_reference.py",
    "tests/unit/test_many_files.py",
    "tests/unit/test_parquet.py",
    "tests/unit/test_resources.py",
    "tests/faults/test_retry.py",
    "tests/cli/test_object_store.py",
    "tests/cli/test_cluster.py",
    # Its prices come from a package that needs pandas 2.2.3.
    "--deselect=tests/unit/test_values.py::test_real_prices_equal_the_reference",
)


def lower_bounds() -> Iterator[tuple[str, str]]:
    """Name and lowest version of every library that a user may install with the tool.

    Raises
    ------
    ValueError
        If one has no lower bound.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [words for name, words in project["optional-dependencies"].items() if name not in OF_DEVELOPERS]
    for requirement in [*project["dependencies"], *(one for words in extras for one in words)]:
        bound = re.fullmatch(r"([A-Za-z0-9._-]+)\s*>=\s*([0-9.]+)(\s*,.*)?", requirement)
        if bound is None:
            raise ValueError(f"{requirement} has no lower bound")
        yield bound[1], bound[2]


if __name__ == "__main__":
    lines = TESTS if sys.argv[1:] == ["--tests"] else [f"{name}=={version}" for name, version in lower_bounds()]
    sys.stdout.write("\n".join(lines) + "\n")
