"""`clean`: what killed runs leave is listed and removed, and nothing else is."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from frames import MANY, at_work, build, daily, names_beside, picture, run_cli, start_cli, wait_for, write
from rounds import soaked

from weekly_cli.errors import OutputBusy
from weekly_cli.files.leftovers import Leftovers, find_leftovers, only_cleaner, remove_leftovers
from weekly_cli.files.lock import only_run


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(), tmp_path_factory.mktemp("prices") / "prices.parquet")


def found_at(output: Path, work_dir: Path | None = None) -> Leftovers:
    return find_leftovers(str(output), None if work_dir is None else str(work_dir), "--work-dir")


def cleaned(output: Path, work_dir: Path | None = None) -> Leftovers:
    found = found_at(output, work_dir)
    with only_cleaner(found):
        remove_leftovers(found)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", soaked(["out"], ["out.parquet"]))
def test_a_killed_run_is_listed_and_then_removed(prices: Path, tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    build(prices, output, features="w_ret")
    before = picture(tmp_path)
    killed = run_cli("build", prices, "-o", output, env={"WEEKLY_CLI_FAILPOINT": "publish:ready:1"})
    assert killed.returncode == -signal.SIGKILL
    left = picture(tmp_path)
    done = run_cli("clean", output, "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert f".{name}.weekly-cli-work: " in done.stdout
    assert picture(tmp_path) == left
    done = run_cli("clean", output, "--json")
    facts = json.loads(done.stdout)
    work = facts["leftovers"][0]
    inside = [data for path, data in left.items() if path.startswith(f".{name}.weekly-cli-work/") and data is not None]
    assert (work["files"], work["bytes"], facts["removed"]) == (len(inside), sum(map(len, inside)), True)
    assert picture(tmp_path) == before
    assert "nothing is left beside" in run_cli("clean", output).stdout


def test_nothing_of_others_is_touched(prices: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    build(prices, output, keep_work=True)
    build(prices, tmp_path / "other", keep_work=True)
    precious = tmp_path / ".mine.weekly-cli-work"
    precious.mkdir()
    (precious / "notes.txt").write_text("precious", encoding="utf-8")
    (tmp_path / ".link.weekly-cli-work").symlink_to(precious)
    for name in ("mine", "link"):
        found = cleaned(tmp_path / name)
        assert not found.removable
        assert found.foreign == [tmp_path / f".{name}.weekly-cli-work"]
    found = cleaned(output)
    assert [one.path.name for one in found.removable] == [".out.weekly-cli-work"]
    assert found.others == [tmp_path / ".other.weekly-cli-work"]
    assert names_beside(output) == [
        *(".link.weekly-cli-work", ".mine.weekly-cli-work", ".other.weekly-cli-work", "other", "out")
    ]
    assert (precious / "notes.txt").read_text(encoding="utf-8") == "precious"


def test_never_while_a_run_holds_the_lock(prices: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    build(prices, output, keep_work=True)
    with only_run(output, 0.0), pytest.raises(OutputBusy, match="is being built by process"):
        cleaned(output)
    assert names_beside(output) == [".out.weekly-cli-work", "out"]


def test_an_output_that_was_moved_out_of_the_way_comes_back(prices: Path, tmp_path: Path) -> None:
    """Where a switch takes two renames, a crash between them leaves the old output in the work folder alone."""
    output = tmp_path / "out"
    build(prices, output, keep_work=True)
    before = picture(output)
    output.rename(tmp_path / ".out.weekly-cli-work/replaced")
    (one,) = found_at(output).removable
    assert "goes back to its place" in one.what
    cleaned(output)
    assert names_beside(output) == ["out"]
    assert picture(output) == before


def test_in_a_folder_to_work_in(prices: Path, tmp_path: Path) -> None:
    output, work_dir = tmp_path / "out", tmp_path / "work"
    work_dir.mkdir()
    build(prices, output, keep_work=True, work_dir=str(work_dir))
    assert not found_at(output).removable
    assert len(cleaned(output, work_dir).removable) == 1
    assert list(work_dir.iterdir()) == []


def test_a_place_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    assert not cleaned(tmp_path / "no/such/out").removable
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_interrupted_build_names_its_work_and_what_removes_it(bulk: Path, tmp_path: Path) -> None:
    with start_cli("build", bulk, "-o", tmp_path / "out", "--strategy", "adaptive", "--jobs", 1, *MANY) as process:
        assert wait_for(lambda: bool(at_work(tmp_path)) or process.poll() is not None, 60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=5)
    assert process.returncode == 130
    line = said.splitlines()[-1]
    work = tmp_path / ".out.weekly-cli-work"
    assert "the same command finishes the work; " in line
    assert f"{work} has " in line
    assert line.endswith(f"weekly-cli clean {tmp_path / 'out'} removes")
    assert run_cli("clean", tmp_path / "out").returncode == 0
    assert names_beside(tmp_path / "out") == []
