"""How failed tasks are retried, down to single symbols.

A task that raises is halved, and its halves run with the remaining tasks. A dead worker fails only the unfinished
tasks, which run again in halves on half the workers. A task that had begun when a worker died is a suspect: it runs
after all others are done, alone in a separate worker, and is halved as long as that worker dies. A single symbol that
fails is left out, and the report names it with the reason.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from weekly_cli.events import Listener, RunWarning
from weekly_cli.run.engines import Cause, Engine, Failed, RunTask
from weekly_cli.run.task import Outcome, Task

#: If more symbols than this fail, something is wrong with the tool or the machine.
_MOST_REJECTED = 100
#: The same if more workers than this die with no task done in between: halving a million symbols down to one takes 20.
_MOST_DEATHS = 30
#: A symbol is not left out for a single death, which may have an outside cause.
_DEATHS_OF_A_SYMBOL = 2


class TaskRetrier:
    """Runs the tasks of a run, and the smaller tasks into which failed ones are cut.

    Parameters
    ----------
    engine : Engine
    run : callable
        Task -> outcome; it runs where the engine runs tasks.
    listener : callable
        Receives a warning for every failure.
    done : int
        How many tasks have already succeeded.
    """

    def __init__(self, engine: Engine, run: RunTask, listener: Listener, done: int = 0) -> None:
        self._engine, self._run, self._listener = engine, run, listener
        self._done, self._rejected, self._deaths = done, 0, 0
        self._last: Failed | None = None

    def outcomes(self, tasks: Sequence[Task]) -> Generator[Outcome]:
        """Yield the outcomes of the tasks; that of a symbol that fails has only its name and the reason.

        Raises
        ------
        RuntimeError
            If every task or too many tasks fail: the data is not the cause.
        """
        waiting, suspects = list(tasks), []
        while waiting:
            failed: list[Failed] = []
            yield from self._finished(waiting, failed)
            waiting = []
            for failure in failed:
                smaller = halves(failure.task)
                if failure.cause in (Cause.DIED, Cause.TOO_LONG) or (failure.cause is Cause.NO_MEMORY and not smaller):
                    suspects.append(again(failure.task))
                elif failure.cause is Cause.RAISED and not smaller:
                    yield self._reject(failure)
                else:
                    waiting += smaller or [again(failure.task)]
            self._retreat(failed, len(waiting), len(suspects))
        for task in suspects:
            yield from self._alone(task)
        if self._last is not None and not self._done:
            raise RuntimeError(f"every symbol fails: {self._last.reason}\n{self._last.details}")

    def _finished(self, tasks: Sequence[Task], failed: list[Failed]) -> Generator[Outcome]:
        """Run tasks, yield the outcomes of those that succeed, and append the others to `failed`."""
        for result in self._engine.run_tasks(tasks, self._run):
            if isinstance(result, Outcome):
                self._done, self._deaths = self._done + 1, 0
                yield result
            else:
                failed.append(result)
        if any(failure.cause is not Cause.RAISED for failure in failed):
            self._deaths += 1
            if self._deaths > _MOST_DEATHS:
                raise RuntimeError(f"worker processes die whatever they do: {failed[0].reason}")

    def _retreat(self, failed: Sequence[Failed], n_waiting: int, n_suspects: int) -> None:
        """Continue with half the workers if one has died."""
        deaths = [failure for failure in failed if failure.cause is not Cause.RAISED]
        if not deaths:
            return
        self._engine.resize(max(1, self._engine.workers // 2))
        reason = next((failure.reason for failure in deaths if failure.cause is not Cause.UNFINISHED), deaths[0].reason)
        suspects = f"{n_suspects:,} suspect{'s' if n_suspects > 1 else ''}"
        workers = f"{self._engine.workers} worker{'s' if self._engine.workers > 1 else ''}"
        if n_waiting:
            sentence = f"what was unfinished runs again in {n_waiting:,} smaller tasks on {workers}"
            sentence += f", then {suspects} alone" if n_suspects else ""
        else:  # all others are done: the engine is one of those that replace a worker by themselves
            sentence = f"all else is done, and {suspects} will run again alone"
        self._listener(RunWarning(f"{reason}: {sentence}"))

    def _alone(self, suspect: Task) -> Generator[Outcome]:
        """Run a task alone in a worker, and halve it as long as the worker dies."""
        self._engine.resize(1)
        waiting = [(suspect, 0)]
        while waiting:
            task, deaths = waiting.pop()
            failed: list[Failed] = []
            yield from self._finished([task], failed)
            for failure in failed:
                deaths += failure.deaths if failure.cause in (Cause.DIED, Cause.NO_MEMORY) else 0
                is_final = failure.cause in (Cause.RAISED, Cause.TOO_LONG) or deaths >= _DEATHS_OF_A_SYMBOL
                if len(task.symbols) == 1 and is_final:
                    yield self._reject(failure)
                else:
                    smaller = halves(task) if failure.cause is not Cause.UNFINISHED else []
                    waiting += [(half, 0) for half in smaller] or [(again(task), deaths)]

    def _reject(self, failed: Failed) -> Outcome:
        self._rejected, self._last = self._rejected + 1, failed
        symbol = str(failed.task.symbols[0].as_py())
        if self._rejected > _MOST_REJECTED:
            raise RuntimeError(f"more than {_MOST_REJECTED} symbols fail: {failed.reason}\n{failed.details}")
        self._listener(RunWarning(f"symbol {symbol} is left out: {failed.reason}"))
        return Outcome(failed.task.number, symbols=1, rejected=((symbol, failed.reason),), retries=failed.task.retries)


def halves(task: Task) -> list[Task]:
    """Return two low-memory tasks with half of the symbols each; none for a task with one symbol."""
    symbols = len(task.symbols)
    if symbols < 2:
        return []
    low_memory = replace(again(task), job=replace(task.job, low_memory=True))
    return [low_memory.cut(0, symbols // 2), low_memory.cut(symbols // 2, symbols)]


def again(task: Task) -> Task:
    """Return a task that has failed once more."""
    return replace(task, retries=task.retries + 1)
