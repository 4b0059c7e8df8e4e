"""The chapters of the documentation: how pages are cut, topics found and links made readable."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest
from frames import ROOT

from weekly_cli.cli.chapters import Chapter, anchor, chapters, find
from weekly_cli.errors import UsageError
from weekly_cli.files import manual_pages
from weekly_cli.files.manual_pages import FRONT, IN_PACKAGE, read_pages

PAGES = {
    "README.md": """\
# tool
Begin, see [inside](inner/README.md#deep-end), [all of it](inner/README.md), [more](#more-of-it).
## More of it
    a block
```text
## no heading, [no](link)
```
### A `part`, too
<!-- [[[cog
## not shown
]]] -->
made [by](https://example.org/x) hand
<!-- [[[end]]] -->
## Last
[tests/README.md](tests/README.md), [its code](inner/code.py)
""",
    "inner/README.md": "# Inner\n[front](../README.md#last)\n## Deep end\nend",
}


def by_topic() -> dict[str, Chapter]:
    return {one.topic: one for one in chapters(PAGES)}


def test_pages_are_cut_at_headings_and_not_in_code() -> None:
    assert [(one.level, one.topic, one.title, one.page) for one in chapters(PAGES)] == [
        (1, "tool", "tool", "README.md"),
        (2, "more-of-it", "More of it", "README.md"),
        (3, "a-part-too", "A part, too", "README.md"),
        (2, "last", "Last", "README.md"),
        (1, "inner", "Inner", "inner/README.md"),
        (2, "deep-end", "Deep end", "inner/README.md"),
    ]


def test_a_chapter_has_its_sections_and_a_page_its_beginning_only() -> None:
    found = by_topic()
    assert found["tool"].markdown.count("\n") == 2
    assert found["more-of-it"].markdown == (
        "## More of it\n    a block\n```text\n## no heading, [no](link)\n```\n" + found["a-part-too"].markdown
    )
    assert found["a-part-too"].markdown == "### A `part`, too\nmade [by](https://example.org/x) hand\n"


def test_links_name_the_command_or_the_path() -> None:
    found = by_topic()
    assert found["tool"].markdown.splitlines()[1] == (
        "Begin, see inside (`weekly-cli docs deep-end`), all of it (`weekly-cli docs inner`), "
        "more (`weekly-cli docs more-of-it`)."
    )
    assert found["last"].markdown.splitlines()[1] == "tests/README.md, its code (`inner/code.py` in the repository)"
    assert found["inner"].markdown.splitlines()[1] == "front (`weekly-cli docs last`)"


@pytest.mark.parametrize(
    ("typed", "topic"),
    [
        ("deep-end", "deep-end"),
        ("Deep End", "deep-end"),
        ("#deep-end", "deep-end"),
        ("de", "deep-end"),
        ("par", "a-part-too"),
        ("of it", "more-of-it"),
        ("t", "tool"),
    ],
)
def test_a_topic_is_found_by_its_beginning_or_that_of_a_word(typed: str, topic: str) -> None:
    assert [one.topic for one in find(chapters(PAGES), typed)] == [topic]


def test_a_name_that_two_pages_have_is_both() -> None:
    twice = {**PAGES, "other.md": "# Other\n## Last\nword"}
    assert [one.page for one in find(chapters(twice), "last")] == ["README.md", "other.md"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("lsat", "there is no topic lsat; did you mean last?"),
        ("innre", "there is no topic innre; did you mean inner?"),
        ("ned", "there is no topic ned; did you mean end?"),
        ("zzz", "there is no topic zzz; weekly-cli docs lists all topics"),
        ("???", "there is no topic ???; weekly-cli docs lists all topics"),
    ],
)
def test_a_topic_that_is_not_there_is_refused(typed: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        find(chapters(PAGES), typed)
    assert str(caught.value) == said


def test_a_beginning_of_several_names_them() -> None:
    twice = {**PAGES, "other.md": "# Deeds\n"}
    with pytest.raises(UsageError, match="the topic dee fits deep-end, deeds; give one of them"):
        find(chapters(twice), "dee")


# ---- the real pages --------------------------------------------------------------------------------------


def test_all_pages_are_read() -> None:
    assert list(read_pages()) == [FRONT, *IN_PACKAGE]
    for name, text in read_pages().items():
        assert text == (ROOT / name).read_text(encoding="utf-8")


def test_no_link_of_a_page_leads_nowhere() -> None:
    """Within the pages that the tool has, a link names a topic, which is found."""
    found = chapters(read_pages())
    named = [topic for one in found for topic in re.findall(r"`weekly-cli docs ([a-z-]+)`", one.markdown)]
    assert len(named) > 10
    for topic in named:
        assert find(found, topic), topic
    for one in found:
        outside = re.sub(r"^```.*?^```", "", one.markdown, flags=re.MULTILINE | re.DOTALL)
        assert not re.findall(r"\]\((?!https?://)[^)]*\)", outside), one.topic
        assert "[[[" not in one.markdown


def test_every_chapter_is_found_by_its_heading() -> None:
    found = chapters(read_pages())
    for one in found:
        assert one in find(found, one.title), one.title
        assert one.topic == anchor(one.title)


def test_without_a_clone_the_front_page_is_the_description(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another project's README.md beside the package, as in site-packages, is not taken for it."""
    package = tmp_path / "weekly_cli"
    (package / "compute/features").mkdir(parents=True)
    for name in IN_PACKAGE:
        (tmp_path / name).write_text(f"# {name}\n")
    (tmp_path / "README.md").write_text("# Somebody else's\n")
    monkeypatch.setattr(manual_pages, "_PACKAGE", package)
    described = importlib.metadata.metadata("weekly-cli").json["description"]
    assert read_pages() == {FRONT: described, **{name: f"# {name}\n" for name in IN_PACKAGE}}
    assert str(described).startswith("# weekly-cli\n")

    def unknown(_: str) -> None:
        raise importlib.metadata.PackageNotFoundError

    monkeypatch.setattr(importlib.metadata, "metadata", unknown)
    assert list(read_pages()) == list(IN_PACKAGE)
