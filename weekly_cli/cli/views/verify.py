"""Views of a proof: a line for each check as it ends, and the warm-up table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weekly_cli.names import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from weekly_cli.verify.proof import Check, Proof, WarmUp


def render_check(check: Check) -> RenderableType:
    """Return a table of what a check did and its findings."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True, width=10)
    table.add_column(no_wrap=True, width=11)
    table.add_column(overflow="fold")
    state = "failed" if check.findings else "not checked" if check.not_checked else "passed"
    table.add_row(check.name, state, printable(check.not_checked or check.did))
    for finding in check.findings:
        table.add_row("", "", printable(finding))
    return table


def render_warm_up(rows: tuple[WarmUp, ...]) -> RenderableType:
    """Return a table that shows, for each column that depends on where the history begins, when it no longer does."""
    from rich.table import Table

    table = Table("warm-up", "first bar", "median symbol", "last symbol", "still moving", box=None, pad_edge=False)
    for row in rows:
        bars = ["-" if bar is None else str(bar) for bar in (row.median_bar, row.last_bar)]
        table.add_row(printable(row.column), str(row.first_bar), *bars, f"{row.unsettled} of {row.symbols}")
    return table


def conclusion(proof: Proof) -> str:
    """Return the last line of the verification."""
    missing = f"; not checked: {', '.join(proof.not_checked)}" if proof.not_checked else ""
    if not proof.passed:
        failed = [check.name for check in proof.checks if not check.passed]
        return printable(f"{proof.table} failed: {', '.join(failed)}{missing}")
    if missing:
        return printable(f"{proof.table} passed what was checked{missing}")
    return printable(f"{proof.table} passed")
