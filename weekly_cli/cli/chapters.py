"""The chapters of the documentation: cut from its pages, found by topic, with links that name the command to follow."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from weekly_cli.errors import UsageError
from weekly_cli.names import did_you_mean

_FENCE = re.compile(r"^(```|~~~)")
_HEADING = re.compile(r"^(#{1,3}) (.+?)\s*$")
_LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")
#: A block of code; what it shows is never changed.
_CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_GENERATED = re.compile(r"<!-- \[\[\[.*?-->\n?", re.DOTALL)
_MOST_SHOWN = 8


@dataclass(frozen=True)
class Chapter:
    """A heading with the text below it, up to the next heading of its level.

    Attributes
    ----------
    topic : str
        By which it is found: its heading's anchor, as links have it.
    title : str
        The heading, without Markdown.
    page : str
        Its page's name in the repository.
    level : int
        1 for the beginning of a page, which is named as the page; 2 for a chapter; 3 for a section.
    markdown : str
        With the heading; of level 1 only up to the first chapter.
    """

    topic: str
    title: str
    page: str
    level: int
    markdown: str


def chapters(pages: Mapping[str, str]) -> Sequence[Chapter]:
    """Return all chapters and sections in the order of the pages; links lead to other chapters by their topics."""
    cut = [one for page, text in pages.items() for one in _cut(page, _GENERATED.sub("", text))]
    topics = [(one.page, one.topic) for one in cut]
    return [Chapter(one.topic, one.title, one.page, one.level, _with_readable_links(one, topics, pages)) for one in cut]


def find(all_chapters: Sequence[Chapter], topic: str) -> Sequence[Chapter]:
    """Return the chapters that a topic names: by its whole name, else by how its name, or a word in it, begins.

    Raises
    ------
    UsageError
        If there is none, or the beginning fits several.
    """
    wanted = anchor(topic)
    exact = [one for one in all_chapters if one.topic == wanted]
    if exact:
        return exact
    begun = [one for one in all_chapters if wanted and one.topic.startswith(wanted)]
    found = begun or [one for one in all_chapters if wanted and f"-{wanted}" in one.topic]
    names = list(dict.fromkeys(one.topic for one in found))
    if len(names) == 1:
        return found
    if names:
        more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
        raise UsageError(f"the topic {topic} fits {', '.join(names[:_MOST_SHOWN])}{more}; give one of them")
    topics = [one.topic for one in all_chapters]
    words = [word for name in topics for word in name.split("-")]
    near = did_you_mean(wanted, topics) or did_you_mean(wanted, words)
    raise UsageError(f"there is no topic {topic}{near or '; weekly-cli docs lists all topics'}")


def anchor(heading: str) -> str:
    """Return the name by which links reach a heading, as GitHub makes it.

    >>> anchor("Friday night, for Monday's signal"), anchor("`weekly-cli build`")
    ('friday-night-for-mondays-signal', 'weekly-cli-build')
    """
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _cut(page: str, text: str) -> Iterator[Chapter]:
    lines = text.splitlines(keepends=True)
    headings = list(_headings(lines))
    for position, (start, level, heading) in enumerate(headings):
        later = headings[position + 1 :]
        stop = next((line for line, other, _ in later if other <= level or level == 1), len(lines))
        markdown = "".join(lines[start:stop]).rstrip() + "\n"
        yield Chapter(anchor(heading), heading.replace("`", ""), page, level, markdown)


def _headings(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield line number, level and text of each heading; what looks like one in a block of code is none."""
    is_code = False
    for number, line in enumerate(lines):
        if _FENCE.match(line):
            is_code = not is_code
        match = None if is_code else _HEADING.match(line)
        if match:
            yield number, len(match[1]), match[2]


def _with_readable_links(chapter: Chapter, topics: Sequence[tuple[str, str]], pages: Mapping[str, str]) -> str:
    """Return a chapter's Markdown whose links name the command that shows their target, or its path or address."""

    def readable(match: re.Match[str]) -> str:
        text, target = match.groups()
        if "://" in target:
            return match[0]
        name, _, part = target.partition("#")
        page = posixpath.normpath(posixpath.join(posixpath.dirname(chapter.page), name)) if name else chapter.page
        if page not in pages:
            return text if text.strip("`") == page else f"{text} (`{page}` in the repository)"
        topic = part or next(topic for of, topic in topics if of == page)
        return f"{text} (`weekly-cli docs {topic}`)"

    parts = _CODE.split(chapter.markdown)
    return "".join(part if _FENCE.match(part) else _LINK.sub(readable, part) for part in parts)
