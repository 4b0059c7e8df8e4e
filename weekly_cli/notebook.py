"""How results show in a Python session and in a notebook: their main figures, not all of their fields."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Mapping


class Shown(ABC):
    """A result that shows its main figures.

    A dataclass that derives from it must leave `repr` to it: `@dataclass(repr=False)`.
    """

    @abstractmethod
    def figures(self) -> Mapping[str, str]:
        """Return the main figures by name, in the order in which they are shown."""

    def __repr__(self) -> str:
        """Return the figures in one line."""
        return f"{type(self).__name__}({', '.join(f'{name}: {value}' for name, value in self.figures().items())})"

    def _repr_html_(self) -> str:
        """Return the figures as a table for a notebook; whatever they hold, it is text."""
        rows = "".join(
            f'<tr><th style="text-align:left">{html.escape(name)}</th>'
            f'<td style="text-align:left">{html.escape(value)}</td></tr>'
            for name, value in self.figures().items()
        )
        return f"<table><caption>{html.escape(type(self).__name__)}</caption>{rows}</table>"
