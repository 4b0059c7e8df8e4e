"""Delta logs of nothing but added and removed files, as programs write them that know the format by sight.

`deltalake` refuses them: they name no protocol and no columns. By the absence of both nothing can be in force that
makes a file's rows other than the table's, so the files that were added and not removed are the table. A log with a
checkpoint, a gap or another action, or with `partitionValues`, which each real writer gives, is left to `deltalake`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: What may be said of a file without a change of what its rows mean.
_OF_A_FILE = {"path", "size", "modificationTime", "dataChange", "stats"}
_KNOWN = {"add": _OF_A_FILE, "remove": _OF_A_FILE | {"deletionTimestamp"}}


def read_bare_log(log: Path) -> tuple[int, list[str]] | None:
    """Return the newest version of a log and the names of its files in it, None where the log says anything else."""
    commits = sorted(log.iterdir())
    if [commit.name for commit in commits] != [f"{version:020}.json" for version in range(len(commits))]:
        return None
    names: dict[str, None] = {}
    for commit in commits:
        for line in commit.read_text().splitlines():
            kind_and_name = _action(line)
            if kind_and_name is None:
                return None
            kind, name = kind_and_name
            if kind == "add":
                names[name] = None
            elif kind == "remove":
                names.pop(name, None)
    return (len(commits) - 1, list(names)) if commits else None


def _action(line: str) -> tuple[str, str] | None:
    try:
        action = json.loads(line)
    except ValueError:
        return None
    if not isinstance(action, dict) or len(action) != 1:
        return None
    ((kind, facts),) = action.items()
    if kind == "commitInfo":
        return kind, ""
    return (kind, facts["path"]) if _is_plain(kind, facts) else None


def _is_plain(kind: str, facts: Any) -> bool:
    return isinstance(facts, dict) and isinstance(facts.get("path"), str) and facts.keys() <= _KNOWN.get(kind, set())
