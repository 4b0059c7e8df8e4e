"""Tables of the page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from weekly_cli.cli.page.elements import Element, Node, element


class Column(NamedTuple):
    """A column's heading; whether it holds numbers, and whether a narrow screen goes without it."""

    heading: str
    is_number: bool = False
    is_minor: bool = False

    @property
    def classes(self) -> str | None:
        """The classes of its cells."""
        return " ".join(["number"] * self.is_number + ["minor"] * self.is_minor) or None


def table(columns: Sequence[Column], rows: Iterable[Sequence[Node]]) -> Element:
    """Return a table; the first cell of a row names it."""
    head = [element("th", column.heading, scope="col", class_=column.classes) for column in columns]
    body = [
        element(
            "tr",
            *(
                element("th", cell, scope="row", class_=column.classes)
                if place == 0
                else element("td", cell, class_=column.classes)
                for place, (column, cell) in enumerate(zip(columns, row, strict=True))
            ),
        )
        for row in rows
    ]
    return element(
        "div", element("table", element("thead", element("tr", *head)), element("tbody", *body)), class_="wide"
    )


def facts(lines: Iterable[tuple[str, Node | None]]) -> Element | None:
    """Return a table of names and what is said of each, without those of which nothing is; None: nothing is left."""
    rows = [element("tr", element("th", name, scope="row"), element("td", value)) for name, value in lines if value]
    return element("table", element("tbody", *rows), class_="facts") if rows else None
