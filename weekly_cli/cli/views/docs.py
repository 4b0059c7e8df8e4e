"""The documentation on a terminal: the list of its topics, and chapters as rich shows Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, ClassVar

from weekly_cli.cli.chapters import Chapter

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Sections are found by their topics, and are not listed: there are as many of them as chapters.
_LISTED_LEVELS = 2


def topic_list(all_chapters: Sequence[Chapter]) -> RenderableType:
    """Return the topics of all chapters with their titles, by page."""
    from rich.table import Table

    table = Table("topic", "chapter", box=None, pad_edge=False)
    listed = [one for one in all_chapters if one.level <= _LISTED_LEVELS]
    for page, of_page in groupby(listed, key=lambda one: one.page):
        table.add_row("", "")
        for one in of_page:
            table.add_row(one.topic, one.title if one.level > 1 else f"{one.title}: the beginning of {page}")
    return table


def rendered(found: Sequence[Chapter]) -> RenderableType:
    """Return chapters as a terminal shows them."""
    from rich.console import Console, ConsoleOptions, Group, RenderResult
    from rich.markdown import CodeBlock, Markdown
    from rich.syntax import Syntax

    class FullWidthBlock(CodeBlock):
        """A block of code as wide as the page: what it shows of a terminal has 80 columns."""

        def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
            yield Syntax(str(self.text).rstrip(), self.lexer_name, theme=self.theme, word_wrap=True)

    class Page(Markdown):
        elements: ClassVar = {**Markdown.elements, "fence": FullWidthBlock, "code_block": FullWidthBlock}

    return Group(*(Page(one.markdown, code_theme="ansi_dark", hyperlinks=False) for one in found))
