"""Tables to join that the memory budget can't hold are refused before they are read."""

from __future__ import annotations

from weekly_cli.dataset.as_of import expected_bytes
from weekly_cli.errors import BudgetError
from weekly_cli.run.plan import budget_bytes
from weekly_cli.run.resources import Resources
from weekly_cli.run.sizes import PARENT_BYTES, PLANNED, WORKER_BYTES, cant_hold
from weekly_cli.settings import Config


def refuse_large_tables(config: Config, here: Resources) -> None:
    """Refuse tables to join that this process could not read, as their footers tell.

    Raises
    ------
    BudgetError
        If the budget can't hold them; the plan, which knows them, may refuse a budget that holds them alone.
    UsageError
        If one can't be read.
    """
    expected = {spec: expected_bytes(spec, config) for spec in config.join}
    needed, budget = sum(expected.values()), budget_bytes(config, here)
    if needed and PARENT_BYTES + WORKER_BYTES + needed > int(PLANNED * budget):
        largest = max(expected, key=lambda spec: expected[spec])
        what = f"{config.named('join')} {largest} (about {expected[largest] / 2**20:,.0f} MiB while it is read)"
        raise BudgetError(cant_hold(budget, what, needed))
