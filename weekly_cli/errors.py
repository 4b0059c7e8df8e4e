"""Every way a run can end: the exit codes and the exceptions that lead to them.

The table `EXIT_CODES` is the only place that pairs a code with its meaning; the command line, the README and
the tests read it.
"""

from __future__ import annotations

from dataclasses import dataclass


class WeeklyError(Exception):
    """An expected failure; its text is the one line that the user reads."""

    exit_code = 1


class UsageError(WeeklyError):
    """A setting or an argument that is not valid."""

    exit_code = 2


class InputRefused(WeeklyError):
    """The input breaks a rule that the output depends on."""

    exit_code = 3


class SymbolsFailed(WeeklyError):
    """Some symbols failed, so nothing may be published."""

    exit_code = 4


class BudgetError(WeeklyError):
    """The smallest possible task does not fit the memory budget."""

    exit_code = 5


class OutputConflict(WeeklyError):
    """Something that this tool did not write is at the output's location, or the location can't be written to."""

    exit_code = 6


class PluginFailed(WeeklyError):
    """The code of a plugin fails, or declares or returns what is no column."""

    exit_code = 9


class Unreachable(WeeklyError):
    """A service on the network, an object store or a cluster, does not answer, or gives up."""

    exit_code = 69


class ClusterError(Unreachable):
    """The Dask cluster is out of reach, was lost, or runs other versions."""


class DiskError(WeeklyError):
    """The output's disk is full or fails; the output there is either unchanged or complete."""

    exit_code = 74


class OutputBusy(WeeklyError):
    """Another run is building the output."""

    exit_code = 75


class Interrupted(WeeklyError):
    """The user or the system asked the run to stop."""

    exit_code = 130


@dataclass(frozen=True)
class ExitCode:
    """One row of the table: the code, and when a run ends with it."""

    code: int
    meaning: str


EXIT_DONE, EXIT_BUG, EXIT_SYMBOLS_FAILED, EXIT_NOT_PROVEN, EXIT_DIFFERENT = 0, 1, SymbolsFailed.exit_code, 7, 8

EXIT_CODES = (
    ExitCode(EXIT_DONE, "done"),
    ExitCode(EXIT_BUG, "a bug: one line, and a log file with the traceback"),
    ExitCode(UsageError.exit_code, "usage or settings"),
    ExitCode(InputRefused.exit_code, "input refused"),
    ExitCode(EXIT_SYMBOLS_FAILED, "finished, but some symbols failed and are left out; the report names them"),
    ExitCode(BudgetError.exit_code, "the memory budget can't hold the smallest task"),
    ExitCode(OutputConflict.exit_code, "output conflict: something else is in its place, or no right to write there"),
    ExitCode(EXIT_NOT_PROVEN, "verify has found something against the table"),
    ExitCode(EXIT_DIFFERENT, "diff has found a difference"),
    ExitCode(PluginFailed.exit_code, "a plugin fails; the line names its feature and its line"),
    ExitCode(Unreachable.exit_code, "an object store or a cluster can't be reached; the same command resumes there"),
    ExitCode(DiskError.exit_code, "the disk of the output is full or fails; the same command resumes there"),
    ExitCode(OutputBusy.exit_code, "another run is making this output; try again later"),
    ExitCode(Interrupted.exit_code, "interrupted (143 when by SIGTERM)"),
)
