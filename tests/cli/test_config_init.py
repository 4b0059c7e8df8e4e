"""`config --init`: a settings file to start from, in which any line may be uncommented."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest
from frames import ROOT, picture, run_cli

from weekly_cli.settings import SETTINGS, Config, from_file, from_python, resolve
from weekly_cli.settings.schema import file_schema
from weekly_cli.settings.table import Source
from weekly_cli.settings.template import file_template

#: Lines that may be uncommented; an explanation has a blank after its sign.
LINE = re.compile(r"^#(?=[a-z])", re.MULTILINE)
IN_FILES = [name for name, row in SETTINGS.items() if Source.FILE in row.sources]


def settings_of(folder: Path, text: str) -> Config:
    (folder / "weekly.toml").write_text(text, encoding="utf-8")
    return resolve(from_python({"input": "prices"}), from_file(folder))


def test_every_setting_of_a_file_has_one_line_and_no_other_has() -> None:
    assert re.findall(r"^#(\w+) = ", file_template(), re.MULTILINE) == IN_FILES
    assert len(LINE.findall(file_template())) == len(IN_FILES)
    for name in set(SETTINGS) - set(IN_FILES):
        assert f"{SETTINGS[name].flag} " in file_template().splitlines()[-2], name


def test_as_it_is_it_changes_nothing(tmp_path: Path) -> None:
    assert settings_of(tmp_path, file_template()) == Config(input=("prices",))


@pytest.mark.parametrize("name", IN_FILES)
def test_any_line_may_be_uncommented(tmp_path: Path, name: str) -> None:
    """It says the default, or is an example that differs from it; the schema for editors knows it too."""
    text = re.sub(rf"^#(?={name} = )", "", file_template(), flags=re.MULTILINE)
    found = settings_of(tmp_path, text)
    row = SETTINGS[name]
    assert list(from_file(tmp_path)) == [name]
    value = getattr(found, name)
    has_default = row.default not in (None, ()) or bool(row.kind.none)
    assert (value == row.default) == has_default
    jsonschema.Draft202012Validator(file_schema()).validate(tomllib.loads(text))
    note = text.partition(f"\n{name} = ")[0].splitlines()[-1]
    assert note.endswith("; default:" if has_default else "; no default, for example:")


def test_all_lines_may_be_uncommented_at_once(tmp_path: Path) -> None:
    settings_of(tmp_path, LINE.sub("", file_template()))
    assert list(from_file(tmp_path)) == IN_FILES


def test_each_comment_has_the_help_and_the_choices() -> None:
    words = " ".join(file_template().replace("\n# ", " ").split())
    for name in IN_FILES:
        assert SETTINGS[name].help in words
        assert ", ".join(SETTINGS[name].kind.choices) in words
    assert all(len(line) <= 100 for line in file_template().splitlines())


def test_it_is_written_once_and_read_by_the_next_command(tmp_path: Path) -> None:
    done = run_cli("config", "--init", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "weekly.toml has all settings, each commented out\n"
    path = tmp_path / "weekly.toml"
    assert path.read_text(encoding="utf-8") == file_template()
    path.write_text(re.sub(r"^#jobs = .+$", "jobs = 3", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
    shown = json.loads(run_cli("config", "--json", cwd=tmp_path).stdout)
    assert shown["jobs"] == {"value": 3, "from": f"jobs in {path}"}
    before = picture(tmp_path)
    again = run_cli("config", "--init", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (6, "")
    assert "weekly.toml already exists" in again.stderr
    assert again.stderr.count("\n") == 1
    assert picture(tmp_path) == before


def test_another_path_and_json(tmp_path: Path) -> None:
    done = run_cli("config", "--init", "settings.toml", "--json", cwd=tmp_path)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"written": "settings.toml"})
    assert "once it is named weekly.toml" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize("kind", ["folder", "link to nothing"])
def test_what_is_there_stays(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "weekly.toml"
    if kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nothing")
    before = picture(tmp_path)
    done = run_cli("config", "--init", path, cwd=ROOT / "sample_data")
    assert done.returncode == 6
    assert f"{path} already exists" in done.stderr
    assert picture(tmp_path) == before


def test_settings_of_a_project_are_not_put_out_of_force(tmp_path: Path) -> None:
    """Beside `weekly.toml`, even one without a setting, [tool.weekly-cli] is not read."""
    (tmp_path / "pyproject.toml").write_text("[tool.weekly-cli]\njobs = 2\n")
    done = run_cli("config", "--init", cwd=tmp_path)
    assert done.returncode == 6
    assert "pyproject.toml has settings in [tool.weekly-cli]" in done.stderr
    assert run_cli("config", "--init", "settings.toml", cwd=tmp_path).returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pyproject.toml", "settings.toml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["weekly.toml"], "pass --init"),
        (["--init", "--schema"], "leave one of them out"),
        (["--init", "no/where.toml"], "no/where.toml can't be written to: No such file or directory"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_one_line(tmp_path: Path, words: list[str], said: str) -> None:
    done = run_cli("config", *words, cwd=tmp_path)
    assert done.returncode in (2, 6)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
