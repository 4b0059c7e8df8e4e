"""Weekly features for daily prices: Parquet in, Parquet out, without look-ahead.

`build` and `inspect` do the same as `weekly-cli build` and `weekly-cli inspect`; `add_weekly_features` does it for a
pandas DataFrame. All are imported on first use, so that `import weekly_cli` costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weekly_cli.inspection import inspect
    from weekly_cli.run.frame import add_weekly_features
    from weekly_cli.run.pipeline import build
    from weekly_cli.run.report import Report

__version__ = "0.1.0"
__all__ = ["Report", "__version__", "add_weekly_features", "build", "inspect"]


def __getattr__(name: str) -> Any:
    if name == "build":
        from weekly_cli.run.pipeline import build

        return build
    if name == "inspect":
        from weekly_cli.inspection import inspect

        return inspect
    if name == "add_weekly_features":
        from weekly_cli.run.frame import add_weekly_features

        return add_weekly_features
    if name == "Report":
        from weekly_cli.run.report import Report

        return Report
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
