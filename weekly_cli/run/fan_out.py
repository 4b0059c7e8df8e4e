"""From tasks to outcomes: tasks run on an engine, are retried if they fail, and are recorded as they end."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from weekly_cli.errors import InputRefused
from weekly_cli.files.store import OutputStore
from weekly_cli.run.engines import Engine
from weekly_cli.run.manifest import Journal, ResumeState
from weekly_cli.run.plan import Plan
from weekly_cli.run.retry import TaskRetrier
from weekly_cli.run.stages import Stages
from weekly_cli.run.task import Outcome, Task, run_task


def fan_out(
    tasks: Sequence[Task],
    engine: Engine,
    resumed: ResumeState,
    plan: Plan,
    journal: Journal,
    store: OutputStore,
    stages: Stages,
) -> list[Outcome]:
    """Run the tasks, retry failures in smaller ones, and return their and an earlier run's outcomes, in order.

    Raises
    ------
    InputRefused
        If a task finds that the input can't be used.
    RuntimeError
        If every task fails.
    """
    outcomes = list(resumed.outcomes)
    rows, symbols = (sum(getattr(one, name) for one in outcomes) for name in ("daily_rows", "symbols"))
    stages.progress("fan out", rows, plan.rows, symbols, len(plan.selected))
    retrier = TaskRetrier(engine, run_task, stages.tell, len(outcomes))
    with nothing_worth_keeping(store), contextlib.closing(retrier.outcomes(tasks)) as running:
        for outcome in running:
            outcomes.append(outcome)
            if outcome.part is not None:
                journal.finished(outcome)
                store.worth_keeping = True
                store.add_part(outcome.part)
            rows, symbols = rows + outcome.daily_rows, symbols + outcome.symbols
            stages.progress("fan out", rows, plan.rows, symbols, len(plan.selected))
    return sorted(outcomes, key=lambda outcome: outcome.part or "")


@contextlib.contextmanager
def nothing_worth_keeping(store: OutputStore) -> Iterator[None]:
    """Discard the work of a run whose rows are refused: the input itself must change."""
    try:
        yield
    except InputRefused:
        store.worth_keeping = False
        raise
