"""Elements of an HTML page: a tree of names, attributes and texts that becomes HTML in one place.

Whatever is in a text is a text in the page, because there is no other way in: `markup` escapes every text and every
value, and an element or attribute that could run a script or make a request does not exist here.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from weekly_cli.names import printable

#: None of them loads, links or runs anything.
_ELEMENTS = frozenset(
    (
        *("html", "head", "meta", "title", "style", "body", "header", "main", "section", "footer", "div", "span"),
        *("p", "h1", "h2", "h3", "ul", "li", "dl", "dt", "dd", "bdi", "code", "details", "summary"),
        *("table", "thead", "tbody", "tr", "th", "td", "svg", "rect", "line", "text"),
    )
)
_ATTRIBUTES = frozenset(
    (
        *("aria-hidden", "aria-label", "charset", "class", "content", "http-equiv", "lang", "name", "open", "role"),
        *("height", "rx", "scope", "text-anchor", "width", "x", "x1", "x2", "y", "y1", "y2"),
    )
)
_WITHOUT_CONTENT = frozenset(("meta",))


@dataclass(frozen=True)
class Lines:
    """Texts, each on a line of its own: the line breaks are the page's, those within a text are shown escaped."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class Element:
    """An element with its attributes and its content."""

    name: str
    attributes: tuple[tuple[str, str], ...]
    content: tuple[Node, ...]


Node: TypeAlias = "Element | Lines | str"


def element(name: str, /, *content: Node | None, **attributes: str | int | float | None) -> Element:
    """Return an element; content and attributes that are None are left out.

    Attributes are written as Python can: `class_` for class, `text_anchor` for text-anchor.

    >>> markup(element("p", "1 < 2", class_="note"))
    '<p class="note">1 &lt; 2</p>'

    Raises
    ------
    ValueError
        If the page has no such element or attribute.
    """
    named = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items() if value is not None}
    unknown = [name] * (name not in _ELEMENTS) + sorted(named.keys() - _ATTRIBUTES)
    if unknown:
        raise ValueError(f"a page has no {unknown[0]!r}")
    values = tuple((key, f"{value:.6g}" if isinstance(value, float) else str(value)) for key, value in named.items())
    return Element(name, values, tuple(node for node in content if node is not None))


def markup(node: Node) -> str:
    """Return a node as HTML."""
    return "".join(_pieces(node))


def _pieces(node: Node) -> Iterator[str]:
    if isinstance(node, str):
        yield _escaped(node)
    elif isinstance(node, Lines):
        yield "\n".join(map(_escaped, node.texts))
    else:
        yield f"<{node.name}"
        yield from (f' {key}="{_escaped(value)}"' for key, value in node.attributes)
        yield ">"
        for child in node.content:
            yield from _pieces(child)
        if node.name not in _WITHOUT_CONTENT:
            yield f"</{node.name}>"


def _escaped(text: str) -> str:
    """Return text for HTML; what has no sign of its own (controls, marks of direction, half characters) is spelt."""
    return html.escape(printable(text), quote=True)
