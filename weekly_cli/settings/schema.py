"""The JSON schema of a settings file, for editors that use one to complete and check TOML."""

from __future__ import annotations

from typing import Any

from weekly_cli.settings.table import SETTINGS, Source


def file_schema() -> dict[str, Any]:
    """Return the schema of `weekly.toml`: every setting that it may contain, with hyphens or underscores."""
    properties: dict[str, Any] = {}
    for row in SETTINGS.values():
        if Source.FILE not in row.sources:
            continue
        properties[row.name] = {"description": row.help, **row.kind.schema()}
        if row.shown_default:
            properties[row.name]["default"] = row.kind.plain(row.default) if row.default is not None else row.kind.none
        if "_" in row.name:
            properties[row.name.replace("_", "-")] = {"$ref": f"#/properties/{row.name}"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of weekly-cli",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
