"""What is kept for the user: made once, never used if it is damaged, done without where it can't be kept."""

from __future__ import annotations

import errno
import gzip
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from weekly_cli.files import cache

TEXT = "draw('ä');\n" * 40


class Maker:
    """Makes the text and counts how often."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return TEXT

    def kept(self, version: str = "1.9.0", recipe: str = "window.draw") -> str:
        return cache.kept("vega", version, recipe, self)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/weekly-cli"


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_made_once_for_each_version(folder: Path) -> None:
    make = Maker()
    assert [make.kept() for _ in range(3)] == [TEXT] * 3
    assert (make.count, names_in(folder)) == (1, ["vega-1.9.0.js.gz"])
    make.kept("1.10.0")
    make.kept("1.10.0")
    assert (make.count, names_in(folder)) == (2, ["vega-1.10.0.js.gz"])


def test_only_older_versions_are_removed_and_only_when_one_is_written(folder: Path) -> None:
    Maker().kept()
    (folder / "vega-1.7.0.js.gz").mkdir()
    others = ["vega-2.0.js.gz", "vega-1.10.0.js.gz", "vega-1.8.0.js", "vega-1.8-mine.js.gz", "other-1.8.0.js.gz", "a"]
    for name in [*others, "vega-1.8.0.js.gz", "vega-1.8.0.1.js.gz"]:
        (folder / name).write_bytes(b"x")
    before = names_in(folder)
    Maker().kept()
    assert names_in(folder) == before
    Maker().kept("1.9.1")
    assert names_in(folder) == sorted([*others, "vega-1.7.0.js.gz", "vega-1.9.1.js.gz"])


def cut(content: bytes) -> list[bytes]:
    return [content[:length] for length in range(len(content))]


def flipped(content: bytes) -> list[bytes]:
    # Ten bytes of a header say when, where and how well it was compressed.
    return [content[:at] + bytes([content[at] ^ 64]) + content[at + 1 :] for at in range(10, len(content))]


def foreign(content: bytes) -> list[bytes]:
    text = gzip.decompress(content)
    return [b"window.owned=1", text, *map(gzip.compress, (b"", b"window.owned=1", text[:-1], text + b"x", b"\xff"))]


@pytest.mark.parametrize("damaged", [cut, flipped, foreign])
def test_what_is_damaged_is_replaced(folder: Path, damaged: Callable[[bytes], list[bytes]]) -> None:
    Maker().kept()
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for content in damaged(whole):
        path.write_bytes(content)
        make = Maker()
        assert make.kept() == TEXT
        assert (make.count, path.read_bytes()) == (1, whole)


def test_another_recipe_is_not_used(folder: Path) -> None:
    Maker().kept(recipe="window.draw, window.other")
    make = Maker()
    make.kept()
    make.kept()
    assert (make.count, names_in(folder)) == (1, ["vega-1.9.0.js.gz"])


def test_what_is_no_file_is_not_read(folder: Path) -> None:
    folder.mkdir(parents=True)
    path = folder / "vega-1.9.0.js.gz"
    os.mkfifo(path)
    assert Maker().kept() == TEXT
    assert path.is_file()
    path.unlink()
    path.mkdir()
    make = Maker()
    assert [make.kept(), make.kept()] == [TEXT, TEXT]
    assert (make.count, names_in(folder), names_in(path)) == (2, [path.name], [])


@pytest.mark.parametrize("blocked", ["cache", "cache/weekly-cli"])
def test_where_nothing_can_be_written_it_is_made_each_time(folder: Path, tmp_path: Path, blocked: str) -> None:
    (tmp_path / blocked).parent.mkdir(exist_ok=True)
    (tmp_path / blocked).write_text("mine")
    make = Maker()
    assert [make.kept(), make.kept()] == [TEXT, TEXT]
    assert (make.count, (tmp_path / blocked).read_text()) == (2, "mine")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_disk_that_fails_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(path: Path, content: bytes) -> None:
        with path.open("wb") as stream:
            stream.write(content[:20])
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        assert Maker().kept() == TEXT
    assert names_in(folder) == []


def test_many_at_a_time_get_it_whole(folder: Path) -> None:
    make = Maker()
    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(lambda _: make.kept(), range(8))) == {TEXT}
        (path,) = folder.iterdir()
        again = Maker()
        again.kept()
        assert again.count == 0
        path.unlink()


@pytest.mark.parametrize(
    ("platform", "place"), [("linux", "home/.cache"), ("darwin", "home/Library/Caches"), ("win32", None)]
)
def test_without_a_folder_of_its_own_it_is_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, place: str | None
) -> None:
    """A relative one is none, and so is what another system's variable would say; then nothing is kept."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(sys, "platform", platform)
    assert Maker().kept() == TEXT
    expected = [] if place is None else [f"{place}/weekly-cli/vega-1.9.0.js.gz"]
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.gz")] == expected


def test_without_a_home_it_is_made_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "expanduser", fail)
    assert Maker().kept() == TEXT
    assert names_in(tmp_path) == []
