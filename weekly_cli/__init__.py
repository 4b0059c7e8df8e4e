"""Weekly features for daily prices: Parquet in, Parquet out, without look-ahead.

`build`, `inspect` and `explain` do the same as the commands of these names, `read` returns rows of an output, and
`add_weekly_features` adds the columns to a frame in memory. All are imported on first use, so that `import weekly_cli`
costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weekly_cli.frames import add_weekly_features
    from weekly_cli.inspection import inspect
    from weekly_cli.questions.explain import explain
    from weekly_cli.questions.read import read
    from weekly_cli.run.pipeline import build
    from weekly_cli.run.report import Report

__version__ = "0.1.0"
__all__ = ["Report", "__version__", "add_weekly_features", "build", "explain", "inspect", "read"]

#: Where each name is defined.
_HOMES = {
    "Report": "weekly_cli.run.report",
    "add_weekly_features": "weekly_cli.frames",
    "explain": "weekly_cli.questions.explain",
    "build": "weekly_cli.run.pipeline",
    "inspect": "weekly_cli.inspection",
    "read": "weekly_cli.questions.read",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
