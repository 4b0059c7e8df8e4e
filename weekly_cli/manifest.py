"""The fingerprint of a run: a hash of everything that can change a value of its output."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from weekly_cli.config import Config
from weekly_cli.features import Feature
from weekly_cli.footers import Footers

#: Settings that change where and how a run works, but no value of the output.
_WITHOUT_INFLUENCE = {"output", "jobs", "memory_limit", "strategy", "overwrite", "compression", "features"}


def fingerprint(footers: Footers, config: Config, features: Sequence[Feature], version: str) -> str:
    """Return 32 hexadecimal digits that differ where the input, a setting, a feature or the tool differs.

    The input counts by its files' paths and row groups' sizes, not by its bytes.
    """
    settings = {
        name: str(value)
        for name, value in sorted(vars(config).items())
        if name not in _WITHOUT_INFLUENCE and name != "role_columns"
    }
    facts = {
        "settings": settings,
        "features": [(feature.name, feature.version) for feature in features],
        "schema": str(footers.schema.arrow),
        "pieces": [(piece.path, piece.row_group, piece.rows_in_group) for piece in footers.pieces],
        "bytes": footers.file_bytes,
        "version": version,
    }
    return hashlib.sha256(json.dumps(facts, ensure_ascii=True).encode()).hexdigest()[:32]
