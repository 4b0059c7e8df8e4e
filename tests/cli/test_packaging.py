"""What is built for users: the wheel and the source distribution, offline, and the tool as it runs from the wheel."""

from __future__ import annotations

import email
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import lowest
import pytest
from frames import ROOT, environment

import weekly_cli
from weekly_cli.cli.chapters import chapters
from weekly_cli.files.manual_pages import read_pages

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PAGES = ("README.md", "compute/features/README.md")
#: The backend's own functions: pip would make an environment and fetch the backend.
BUILD = """
import sys
from setuptools import build_meta
print(build_meta.build_{kind}(sys.argv[1]))
"""


def built(kind: str, source: Path, target: Path) -> Path:
    """Build a wheel or an sdist of a folder."""
    words = [sys.executable, "-W", "error", "-c", BUILD.format(kind=kind), target]
    done = subprocess.run(words, cwd=source, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target / done.stdout.splitlines()[-1]


@dataclass(frozen=True)
class Distributions:
    """The files, and the wheel unpacked, which is how it is installed."""

    wheel: Path
    sdist: Path
    installed: Path

    @property
    def metadata(self) -> email.message.Message:
        (path,) = self.installed.glob("*.dist-info/METADATA")
        return email.message_from_string(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distributions]:
    """Built of a copy, for a build leaves files beside its source; with a folder of tests, which stays out."""
    folder = tmp_path_factory.mktemp("distributions")
    source = folder / "source"
    shutil.copytree(ROOT / "weekly_cli", source / "weekly_cli", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "tests/support", source / "tests/support")
    sdist, wheel = built("sdist", source, folder), built("wheel", source, folder)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    yield Distributions(wheel, sdist, folder / "installed")


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_has_the_package_and_nothing_else(distributions: Distributions) -> None:
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "weekly_cli").rglob("*.py")}
    pages = {f"weekly_cli/{name}" for name in (*PAGES, "py.typed")}
    assert names_in(distributions.wheel) == modules | pages


def test_a_wheel_of_the_source_distribution_is_the_same(distributions: Distributions, tmp_path: Path) -> None:
    with tarfile.open(distributions.sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert source.name == f"weekly_cli-{weekly_cli.__version__}"
    again = built("wheel", source, tmp_path)
    assert names_in(again) == names_in(distributions.wheel)
    with zipfile.ZipFile(again) as one, zipfile.ZipFile(distributions.wheel) as other:
        assert all(one.read(name) == other.read(name) for name in names_in(again))


def test_the_metadata_says_what_the_project_does(distributions: Distributions) -> None:
    said = distributions.metadata
    assert (said["Name"], said["Version"]) == ("weekly-cli", weekly_cli.__version__)
    assert said["Requires-Python"] == PROJECT["requires-python"]
    assert said["Description-Content-Type"] == "text/markdown"
    assert said.get_payload().strip() == (ROOT / "README.md").read_text(encoding="utf-8").strip()
    assert set(said.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    always = [line for line in said.get_all("Requires-Dist") if "extra ==" not in line]
    assert len(always) == len(PROJECT["dependencies"])


def test_the_tool_runs_from_the_wheel(distributions: Distributions, tmp_path: Path) -> None:
    """In an empty folder, beside the libraries of this environment; its own modules are those of the wheel."""
    env = environment({"PYTHONPATH": str(distributions.installed)})

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "weekly_cli", *words]
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done

    where = [sys.executable, "-c", "import weekly_cli; print(weekly_cli.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=env, capture_output=True, text=True, check=True).stdout
    assert Path(found.strip()).is_relative_to(distributions.installed)
    assert run("--version").stdout.startswith(f"weekly-cli {weekly_cli.__version__} (")
    run("sample", "prices", "--symbols", "4", "--years", "1")
    assert "rows " in run("build", "prices").stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["daily_weekly", "prices"]


def test_the_wheel_has_the_documentation(distributions: Distributions, tmp_path: Path) -> None:
    """Where no clone is: the front page is the description in the metadata."""
    env = environment({"PYTHONPATH": str(distributions.installed)})
    words = [sys.executable, "-m", "weekly_cli", "docs", "--json"]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [asdict(one) for one in chapters(read_pages())]


def test_the_command_is_an_entry_point(distributions: Distributions) -> None:
    (path,) = distributions.installed.glob("*.dist-info/entry_points.txt")
    assert "weekly-cli = weekly_cli.cli:main" in path.read_text(encoding="utf-8")


def test_every_dependency_of_users_has_a_lower_bound_that_is_installed_here() -> None:
    """`make lowest` pins them; what is installed is no older."""
    from importlib.metadata import version

    bounds = dict(lowest.lower_bounds())
    assert set(bounds) >= {re.split("[><=]", line)[0] for line in PROJECT["dependencies"]}
    for name, bound in bounds.items():
        assert release(version(name)) >= release(bound), name
    assert all((ROOT / test.removeprefix("--deselect=").partition("::")[0]).is_file() for test in lowest.TESTS)


def release(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.match(r"[\d.]*\d", version)[0].split("."))  # type: ignore[index]


def test_what_a_build_leaves_is_ignored_and_removed() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    removed = makefile.partition("\nclean:")[2].split()
    for name in ("build", "dist", "*.egg-info"):
        assert {name, f"{name}/", f"/{name}/"} & set(ignored), name
        assert name in removed, name
