"""The pages of the documentation that come with the tool: two lie in the package, the front page in its metadata."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
#: The front page, and the pages in the package, by their names in the repository.
FRONT = "README.md"
IN_PACKAGE = ("weekly_cli/README.md", "weekly_cli/compute/features/README.md")
#: How the front page begins; a README.md beside the package may be another project's.
_FIRST_LINE = "# weekly-cli\n"


def read_pages() -> dict[str, str]:
    """Return the text of each page by its name in the repository.

    The front page lies outside of the package. In a clone it is read there; an installed tool has it as the long
    description of its distribution. It is left out where there is neither.
    """
    pages = {FRONT: _front_page()}
    for name in IN_PACKAGE:
        path = _PACKAGE.parent / name
        pages[name] = path.read_text(encoding="utf-8") if path.is_file() else ""
    return {name: text for name, text in pages.items() if text}


def _front_page() -> str:
    path = _PACKAGE.parent / FRONT
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = ""
    if text.startswith(_FIRST_LINE):
        return text
    try:
        return str(importlib.metadata.metadata("weekly-cli").json.get("description", ""))
    except importlib.metadata.PackageNotFoundError:  # it runs from a folder that was only copied
        return ""
