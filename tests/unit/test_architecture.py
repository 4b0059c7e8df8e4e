"""The rooms and the way through them: who imports whom, what a process imports, and which names reach the disk."""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from frames import daily, report_here, run_cli, run_words, write

import weekly_cli
from weekly_cli.cli.commands import PANELS
from weekly_cli.events import Event

PACKAGE = Path(weekly_cli.__file__).parent
README = PACKAGE / "README.md"

#: The rooms from the ground up: a room imports only from the rows above its own.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors", "names", "events", "failpoints", "findings", "notebook"),
    ("settings",),
    ("compute",),
    ("files", "plugin"),
    ("dataset",),
    ("run",),
    ("verify", "inspection", "questions", "frames", "diagnosis"),
    ("cli", "testing"),
    ("__main__",),
)
ORDER = [name for layer in LAYERS for name in layer]
#: Third parties that only some rooms may know; the rest of a row of this table is where.
CONFINED = {
    "joblib": {"run.engines.loky"},
    "distributed": {"run.engines.dask_cluster", "run.engines.dask_connect"},
    "dask": {"run.engines.dask_connect"},
    "pandas": {
        *(
            "plugin",
            "testing",
            "dataset.exchange",
            "frames.incoming",
            "verify.conversion",
            "verify.hashes",
            "verify.joined",
        ),
        *("verify.placed", "verify.sessions"),
        *("verify.reference", "verify.reference.columns", "verify.reference.formulas", "verify.reference.table"),
    },
    "typer": {"cli.application", "cli.commands", "cli.parsing", "cli.parameters", "cli.completion", "cli.reference"},
    "rich": {"cli.commands", "cli.console", "cli.progress", "cli.views"},
    "filelock": {"files.lock"},
    "exchange_calendars": {"dataset.exchange", "verify.reference.exchange"},
    "duckdb": {"files.second_decoder"},
    "polars": {"files.second_decoder"},
    "deltalake": {"files.delta"},
    "boto3": {"files.objects.requests"},
    "botocore": {"files.objects.requests"},
    "fsspec": {"files.objects.filesystems"},
    "psutil": {"run.resources"},
    "lets_plot": {"questions.chart_figure"},
    "resvg_py": {"questions.chart_picture"},
}


# ---- imports as they are written -------------------------------------------------------------------------


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name below the package, without the package's own front."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


MODULES = modules()


def running(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes below one, without what stands there for type checkers only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from (each for other in child.orelse for each in (other, *running(other)))
            continue
        yield child
        yield from running(child)


@functools.cache
def imports(path: Path) -> set[str]:
    """Every module that a file imports, at its top or later; names from `weekly_cli` itself count as modules."""
    found: set[str] = set()
    for node in running(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports name the package"
            assert node.module is not None
            inside = node.module.partition(".")[2]
            for alias in node.names:
                module = f"{inside}.{alias.name}".lstrip(".")
                if node.module.startswith("weekly_cli") and module in MODULES:
                    found.add(f"weekly_cli.{module}")
                elif node.module != "weekly_cli":
                    found.add(node.module)
    return found


def room(module: str) -> str:
    return module.split(".")[0]


def own_imports(module: str) -> set[str]:
    names = {name for name in imports(MODULES[module]) if name.startswith("weekly_cli.")}
    return {name.removeprefix("weekly_cli.") for name in names}


def test_imports_are_read_as_python_reads_them(tmp_path: Path) -> None:
    """An import in a function counts, one for the type checker does not, its else does."""
    path = tmp_path / "module.py"
    path.write_text(
        "import os.path\nfrom weekly_cli import __version__\nfrom weekly_cli.dataset import scan as other\n"
        "from weekly_cli.run.plan import Plan\n"
        "if TYPE_CHECKING:\n    import pandas\nelse:\n    import json\n"
        "def work():\n    if True:\n        from joblib.externals import loky\n"
    )
    assert imports(path) == {"os.path", "weekly_cli.dataset.scan", "weekly_cli.run.plan", "json", "joblib.externals"}


def test_every_module_has_one_place() -> None:
    assert sorted(ORDER) == sorted({room(module) for module in MODULES})


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_the_rooms_above_its_own(module: str) -> None:
    layer = next(number for number, rooms in enumerate(LAYERS) if room(module) in rooms)
    allowed = {name for rooms in LAYERS[:layer] for name in rooms} | {room(module)}
    allowed |= set(LAYERS[0]) if layer == 0 else set()
    wrong = {name for name in own_imports(module) if room(name) not in allowed}
    assert not wrong, f"{module} imports {sorted(wrong)}"


def test_no_module_is_imported_by_what_it_imports() -> None:
    """Within a room, too, what flows, flows one way."""
    waiting = {module: {name for name in own_imports(module) if name in MODULES} - {module} for module in MODULES}
    while waiting:
        free = {module for module, wanted in waiting.items() if not wanted & waiting.keys()}
        assert free, f"they import each other: {sorted(waiting)}"
        waiting = {module: wanted for module, wanted in waiting.items() if module not in free}


@pytest.mark.parametrize("package", ["compute.features", "run.engines"])
def test_members_of_a_package_do_not_import_its_front_before_it_is_whole(package: str) -> None:
    """`features/__init__` gathers the families: a family that imported it would find it half made."""
    front = own_imports(package)
    gathered = {name for name in front if name.startswith(f"{package}.")}
    assert not {name for name in gathered if package in own_imports(name)}


def test_the_readme_tells_the_same_rooms() -> None:
    _, _, table = README.read_text(encoding="utf-8").partition("| layer | room |")
    rows = re.findall(r"^\| (\d) \| (.+?) \|", table.partition("\n\n")[0], re.MULTILINE)
    told = [set(re.findall(r"`(\w+)/?`", names)) for _, names in rows]
    assert [int(number) for number, _ in rows] == list(range(len(LAYERS)))
    assert told == [set(layer) for layer in LAYERS]


@pytest.mark.slow
@pytest.mark.parametrize("library", CONFINED)
def test_only_some_rooms_import_a_library(library: str) -> None:
    found = {module for module, path in MODULES.items() if library in {room(name) for name in imports(path)}}
    allowed = CONFINED[library]
    assert not {module for module in found if module not in allowed and module.rpartition(".")[0] not in allowed}


def test_nothing_imports_what_drags_pandas_in() -> None:
    found = {module: imports(path) & {"pyarrow.dataset", "pyarrow.pandas_compat"} for module, path in MODULES.items()}
    assert not any(found.values())


def test_the_package_itself_imports_nothing_at_once() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    at_top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert {getattr(node, "module", "import") for node in at_top} == {"__future__", "typing"}


#: Methods and functions that lead to the disk.
DISK = {
    *("open", "read_text", "read_bytes", "write_text", "write_bytes", "unlink", "mkdir", "rmdir", "touch", "iterdir"),
    *("stat", "lstat", "exists", "is_file", "is_dir", "glob", "rglob", "ParquetFile", "ParquetWriter"),
}
#: Who goes there all the same, and why.
OPENING_ELSEWHERE = {
    "settings.sources": "the settings file is read before any room is there",
    "settings.lists": "so is a file of symbols",
    "failpoints": "a test's own folder, to die once only",
    "run.resources": "the kernel's files of control groups and of this process",
    "run.engines.process": "the kernel's file of who is ended first",
    "run.engines.prestart": "sizes of files, before Arrow is imported, which `files` needs",
    "cli.process": "the null device, in the place of a pipe that nobody reads",
}


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) != "files"])
def test_only_one_room_opens_paths(module: str) -> None:
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    by_the_room = {"discovery", "disk", "parquet", "records"}
    calls = [call for call in calls if getattr(getattr(call, "value", None), "id", "") not in by_the_room]
    found = {call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "") for call in calls} & DISK
    assert bool(found) == (module in OPENING_ELSEWHERE), f"{module}: {sorted(found)}"


@pytest.mark.parametrize("module", MODULES)
def test_code_is_cut_small(module: str) -> None:
    """A module of more than 400 lines says why; no class has twenty methods, no function ten arguments."""
    text = MODULES[module].read_text(encoding="utf-8")
    tree = ast.parse(text)
    if text.count("\n") > 400:
        assert " lines" in (ast.get_docstring(tree) or "")
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            assert sum(isinstance(entry, ast.FunctionDef) for entry in node.body) < 20, node.name
        if isinstance(node, ast.FunctionDef):
            assert len(node.args.args) + len(node.args.kwonlyargs) < 10, node.name


# ---- imports as they happen ------------------------------------------------------------------------------

#: Runs at the start of every Python process that finds it, workers too: writes down who imports what.
RECORDER = """
import os, sys

class Recorder:
    def find_spec(self, name, path=None, target=None):
        if name in {names}:
            with open({log!r}, "a") as log:
                log.write(f"{{os.getpid()}} {{name}}\\n")
        return None

sys.meta_path.insert(0, Recorder())
"""
HEAVY = (
    "pandas",
    "pyarrow.dataset",
    "pyarrow",
    "numpy",
    "joblib",
    "distributed",
    "dask",
    "weekly_cli.cli.process",
    "weekly_cli.run.task",
)


@pytest.fixture
def recorded(tmp_path: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """The environment in which processes write down what they import, and where."""
    log = tmp_path / "imports.log"
    log.touch()
    (tmp_path / "recorder").mkdir()
    (tmp_path / "recorder/sitecustomize.py").write_text(RECORDER.format(names=HEAVY, log=str(log)))
    yield {"PYTHONPATH": str(tmp_path / "recorder")}, log


def by_process(log: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in log.read_text().splitlines():
        process, name = line.split()
        found.setdefault(process, set()).add(name)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("args", [[], ["build"]], ids=str)
def test_help_imports_nothing_heavy(recorded: tuple[dict[str, str], Path], args: list[str]) -> None:
    env, log = recorded
    done = run_cli(*args, "--help", env=env)
    assert done.returncode == 0
    assert "Usage:" in done.stdout
    assert list(by_process(log).values()) == [{"weekly_cli.cli.process"}]


#: Forks for each command from a process that has imported what all have in common, which is nothing heavy.
EACH_HELP = """
import os, sys
from typer import main, rich_utils
from weekly_cli import cli
from weekly_cli.cli import commands

parser = main.get_command(commands.app)
main.get_command = lambda _: parser
for name in sys.argv[1:]:
    if not os.fork():
        sys.argv = ["weekly-cli", name, "--help"]
        cli.main()
    sys.exit(name) if os.wait()[1] else None
"""


@pytest.mark.slow
def test_no_help_of_a_command_imports_anything_heavy(recorded: tuple[dict[str, str], Path]) -> None:
    env, log = recorded
    names = [name for names in PANELS.values() for name in names]
    done = run_words([sys.executable, "-c", EACH_HELP, *names], env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.findall(r"Usage: weekly-cli (\S+)", done.stdout) == names
    assert list(by_process(log).values()) == [{"weekly_cli.cli.process"}]


def test_a_small_build_imports_numpy_and_arrow_and_nothing_else_that_is_heavy(
    recorded: tuple[dict[str, str], Path], tmp_path: Path
) -> None:
    env, log = recorded
    prices = write(daily(), tmp_path / "prices.parquet")
    done = run_cli("build", prices, "--output", tmp_path / "out", "--json", "-q", "--benchmark", "AAA", env=env)
    assert done.returncode == 0, done.stderr
    assert list(by_process(log).values()) == [{"weekly_cli.cli.process", "weekly_cli.run.task", "pyarrow", "numpy"}]


@pytest.mark.slow
@pytest.mark.parametrize("order", ["date", "symbol"])
def test_workers_import_no_pandas(recorded: tuple[dict[str, str], Path], tmp_path: Path, order: str) -> None:
    """Partitioned or not; the parent, which is to start as fast, does not either."""
    env, log = recorded
    prices = write(daily(order=order), tmp_path / "prices.parquet", row_group_size=60)
    done = run_cli("build", prices, "--output", tmp_path / "out", "--strategy", "batched", "--jobs", "1", "-q", env=env)
    assert done.returncode == 0, done.stderr
    found = by_process(log)
    workers = [names for names in found.values() if {"weekly_cli.run.task", "joblib"} <= names]
    assert len(workers) >= 2, "the parent and a worker"
    assert not [names for names in found.values() if names & {"pandas", "pyarrow.dataset"}]


# ---- names on the disk -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["date", "symbol"])
def test_no_symbol_is_part_of_a_path(tmp_path: Path, order: str) -> None:
    """Whatever lies below the output's folder while a run tells how it goes, and what is left of it."""
    symbols = ["QZXA", "../QZXB", "QZXC/QZXD", "QZX" * 100, "QZX\x00"]
    prices = write(daily(symbols, order=order), tmp_path / "prices.parquet", row_group_size=60)
    names: set[str] = set()

    def look(_: Event) -> None:
        names.update(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))

    report = report_here(prices, tmp_path / "out/here", look, strategy="per-symbol", benchmark=["QZXA"])
    look(None)  # type: ignore[arg-type]
    assert report.symbols == len(symbols)
    assert len({name for name in names if Path(name).name.startswith("part-")}) >= len(symbols)
    assert any("benchmarks" in name for name in names)
    assert not [name for name in names if "QZX" in name.upper()]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "prices.parquet"]
