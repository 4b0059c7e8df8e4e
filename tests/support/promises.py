"""What is promised, what holds each promise, and how often it was tried: the README's page is made of this.

The counts are those of the tests themselves; `test_promises` holds that every test that is named is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import hostile
import odd_symbols
import soak
import test_disk
import test_faults
import test_memory
import test_resume
import test_retry
import test_verify


class Promise(NamedTuple):
    """A promise and the tests that hold it."""

    text: str
    tests: tuple[str, ...]


class Trial(NamedTuple):
    """A kind of trial, how many there are, and the test that runs them."""

    what: str
    count: int
    test: str


PROMISES = (
    Promise(
        "**The switch is atomic.** However a run ends, either the old output is untouched or the new one is complete. "
        "On Linux the two are exchanged in one system call. Elsewhere it takes two renames, and the next run restores "
        "the old output if a crash came between them.",
        (
            "test_faults::test_a_run_that_dies_at_any_point_leaves_a_whole_output",
            "test_faults::test_an_output_that_was_moved_out_of_the_way_comes_back",
            "test_disk::test_whichever_operation_on_the_disk_fails_the_output_is_whole",
        ),
    ),
    Promise(
        "**A reader never sees a mixture.** Parts are named by the checksum of their bytes: a reader that listed a "
        "folder before the switch finds the same bytes, or is told that a file is gone and lists the folder again, as "
        "does one that lists it in that very moment and finds nothing. A reader that opens a single file once per "
        "column should keep it open instead.",
        ("test_resume::test_who_reads_while_outputs_are_published_never_sees_a_mixture_or_nothing",),
    ),
    Promise(
        "**An object store is published to in one step, too.** A manifest, put on the condition that nobody else "
        "has put one, makes parts the output; a run that dies leaves the old one, and the next one cleans up.",
        (
            "test_object_store::test_killed_anywhere_the_old_output_stands_or_the_new_one_is_whole",
            "test_object_store::test_readers_of_the_manifest_never_see_a_mixture",
            "test_object_store::test_of_two_publishers_one_wins",
            "test_object_store::test_uploads_that_a_crash_left_are_ended_by_the_next_run",
            "test_object_store::test_a_busy_store_is_asked_again",
            "test_object_store::test_a_connection_that_is_cut_in_mid_read_is_made_again",
            "test_object_store::test_no_secret_is_written_anywhere",
        ),
    ),
    Promise(
        "**Finished work is kept.** The same command resumes from files whose checksums match; another input, setting "
        "or version starts over and says so.",
        (
            "test_resume::test_the_same_command_goes_on",
            "test_resume::test_what_is_half_done_takes_half_of_the_work",
            "test_resume::test_another_input_starts_afresh",
            "test_resume::test_another_setting_starts_afresh",
            "test_resume::test_every_flipped_bit_of_what_is_taken_over_is_found",
        ),
    ),
    Promise(
        "**One run at a time builds an output.** The lock is the operating system's and ends with its holder; other "
        "runs stop at once with code 75, or wait.",
        (
            "test_resume::test_of_many_starters_one_publishes",
            "test_resume::test_a_second_run_is_told_who_holds_the_output",
            "test_resume::test_a_second_run_may_wait",
        ),
    ),
    Promise(
        "**A run stops when it is asked to.** SIGINT and SIGTERM: within 5 seconds, codes 130 and 143, and no process "
        "is left 2 seconds later. If the parent is killed, its workers are gone within 2 seconds.",
        (
            "test_cli::test_a_signal_ends_the_run_and_its_workers_and_leaves_the_old_output",
            "test_cli::test_an_interrupt_while_workers_start_is_not_lost",
            "test_cli::test_a_pool_that_does_not_close_holds_no_end_up",
            "test_resume::test_a_signal_at_any_stage_ends_all_and_leaves_the_old_output",
            "test_resume::test_a_run_that_is_killed_in_its_middle_goes_on",
            "test_resume::test_a_terminal_that_closes_ends_the_run_and_its_workers",
        ),
    ),
    Promise(
        "**No innocent symbol is blamed.** A symbol that kills its worker, raises, hangs (`--task-timeout`) or takes "
        "all memory is left out and named, and everything else is published with code 4; `--strict` publishes "
        "nothing. A worker that dies for another reason costs time only.",
        (
            "test_retry::test_one_poisonous_symbol_is_left_out",
            "test_retry::test_three_poisonous_symbols_are_left_out",
            "test_retry::test_strict_publishes_nothing",
            "test_retry::test_who_kills_a_worker_from_outside_makes_no_symbol_guilty",
            "test_retry::test_lack_of_memory_halves_workers_and_tasks_and_blames_nobody",
            "test_memory::test_in_a_control_group_only_the_symbol_with_endless_memory_is_left_out",
        ),
    ),
    Promise(
        "**Bad input gets one clear line**, which names the file and what is wrong with it. It is never silently "
        "accepted.",
        (
            "test_hostile::test_no_input_is_a_bug",
            "test_hostile::test_a_refusal_is_one_line_that_names_the_file_and_leaves_all_as_it_was",
            "test_hostile::test_what_is_taken_comes_out_as_arrow_reads_it",
            "test_parquet::test_footers_tell_what_arrow_says_they_do",
        ),
    ),
    Promise(
        "**The input is one snapshot.** If somebody writes to it while it is read, nothing is published.",
        ("test_resume::test_an_input_that_changes_while_it_is_read_is_refused",),
    ),
    Promise(
        "**Symbols are data.** They come out exactly as they went in, are never part of a path, and cannot send "
        "control sequences to the terminal or be markup in the page of a run.",
        (
            "test_odd_symbols::test_odd_symbols_come_out_with_the_features_of_plain_ones",
            "test_architecture::test_no_symbol_is_part_of_a_path",
            "test_escapes::test_every_end_is_printable",
            "test_report::test_every_odd_symbol_is_text_in_the_page",
            "test_report::test_a_browser_shows_every_odd_symbol_and_asks_for_nothing",
        ),
    ),
    Promise(
        "**Your files are safe.** What this tool did not write is never removed or replaced, except Parquet files "
        "with `--overwrite`; the current folder, the home folder, their parents and mount points never are. The input "
        "is only read.",
        (
            "test_output::test_an_output_that_this_tool_did_not_make_is_refused",
            "test_output::test_what_is_no_parquet_file_is_never_replaced",
            "test_output::test_the_current_folder_is_never_replaced",
            "test_output::test_what_is_put_there_while_a_run_goes_on_stays",
            "test_output::test_an_output_never_replaces_its_input",
            "test_resume::test_what_somebody_else_made_in_its_place_stays",
            "test_output_names::test_the_default_output_of_another_input_is_not_replaced",
            "test_clean::test_nothing_of_others_is_touched",
        ),
    ),
    Promise(
        "**A bad value leaves no trace.** A null, zero, negative or huge value is in no windowed column longer than "
        "its window, and in no recursive one longer than its recursion says in forty digits.",
        (
            "test_bad_values::test_no_column_keeps_a_bad_value",
            "test_bad_values::test_no_column_keeps_a_bad_value_of_what_it_is_compared_with",
        ),
    ),
    Promise(
        "**Inputs as people have them are what they stand for.** Each gives the features of the plain table that it "
        "stands for, by all routes, or is refused in one line with a way out that works.",
        (
            "test_cases::test_a_case_is_the_plain_table_that_it_stands_for",
            "test_cases::test_a_case_that_needs_a_decision_is_refused_in_one_line_with_the_ways_out",
        ),
    ),
    Promise(
        "**The output can be checked.** `weekly-cli verify` finds a wrong row, value, type, order or bit, and any "
        "look-ahead.",
        (
            "test_verify::test_damage_is_found",
            "test_verify::test_flipped_bits_are_found",
            "test_verify::test_a_feature_of_ones_own_that_looks_ahead_is_found",
            "test_verify::test_rows_that_see_their_own_week_are_found",
            "test_cross_section::test_every_wrong_place_is_found",
        ),
    ),
    Promise(
        "**A cluster changes where work is done, and nothing else.** With `--engine dask` the output is that of the "
        "local pool to the bit, also if a worker is killed; a symbol that kills every worker is left out; a lost "
        "scheduler ends the run, which the same command resumes.",
        (
            "test_cluster::test_the_output_is_that_of_the_local_pool_to_the_bit",
            "test_cluster::test_a_worker_that_dies_in_the_middle_costs_time_only",
            "test_cluster::test_a_symbol_that_kills_every_worker_is_left_out",
            "test_cluster::test_a_scheduler_that_goes_away_is_told_and_the_same_command_resumes",
        ),
    ),
)

NOT_PROMISED = (
    "Power loss on a disk that misreports a flush: files and folders are flushed before and after the switch, but "
    "such a disk can lose them all the same.",
    "Object stores that ignore the conditions of a put: of two publishers the later one wins there.",
    "Network filesystems without locks, such as some NFS: two runs may both believe that they hold the lock.",
    "A crash inside a library: no damaged file is known to crash the process. If one did, the old output would be "
    "untouched, but no line would say why.",
    "A second SIGINT or SIGTERM: it ends the run at once, its workers follow, and the next run cleans up.",
)


def cases(test: Callable[..., Any]) -> int:
    """How often pytest runs a function, by its own parameters."""
    count = 1
    for mark in getattr(test, "pytestmark", []):
        count *= len(mark.args[1]) if mark.name == "parametrize" else 1
    return count


def few(test: Callable[..., Any]) -> float:
    """The share of its rounds that is run without the soak."""
    share = 1.0
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            share *= sum(not getattr(one, "marks", ()) for one in mark.args[1]) / len(mark.args[1])
    return share


def rounds(what: str, each: int, test: Callable[..., Any]) -> Trial:
    """Trials of a test that runs a few of them, and all of them in the soak."""
    count = each * cases(test)
    name = f"{test.__module__}::{test.__name__}"
    return Trial(f"{what}; {round(count * few(test)):,} of them in `make test`, the rest in `make soak`", count, name)


def trials() -> Iterator[Trial]:
    """Every kind of trial."""
    layouts = len(("date", "symbol"))
    yield Trial(
        "points on the disk at which a test ends the process",
        len(test_faults.POINTS),
        "test_faults::test_every_point_is_in_the_code_and_is_tried",
    )
    yield Trial(
        "the parent dies at such a point, then goes on",
        cases(test_faults.test_a_run_that_dies_at_any_point_leaves_a_whole_output)
        + cases(test_faults.test_an_output_that_was_moved_out_of_the_way_comes_back),
        "test_faults::test_a_run_that_dies_at_any_point_leaves_a_whole_output",
    )
    yield rounds("a worker dies at such a point, once", 1, test_faults.test_a_worker_that_dies_at_any_point_is_replaced)
    yield rounds(
        "sweeps in which every operation on the disk fails once, one after the other: EIO, ENOSPC, EDQUOT, EACCES",
        1,
        test_disk.test_whichever_operation_on_the_disk_fails_the_output_is_whole,
    )
    full = test_disk.test_a_full_disk_is_told_and_leaves_the_old_output
    yield Trial(
        f"a disk that is really full, at ten levels, then has room; level {test_disk.LEVELS[0]} in `make test`, "
        "the rest in `make soak`",
        (len(test_disk.LEVELS) + len(test_disk.OTHER_LEVELS)) * cases(full) // 2,
        "test_disk::test_a_full_disk_is_told_and_leaves_the_old_output",
    )
    yield rounds(
        "a limit on the size of files",
        1,
        test_disk.test_a_limit_on_the_size_of_files_is_told_and_leaves_the_old_output,
    )
    yield rounds(
        "bits flipped in fragments, parts and journals",
        test_resume.FLIPS * layouts,
        test_resume.test_every_flipped_bit_of_what_is_taken_over_is_found,
    )
    yield rounds(
        f"starters at once, {test_resume.STARTERS} a round",
        test_resume.STARTERS,
        test_resume.test_of_many_starters_one_publishes,
    )
    reads = (
        test_resume.READS
        * layouts
        * cases(test_resume.test_who_reads_while_outputs_are_published_never_sees_a_mixture_or_nothing)
    )
    yield Trial(
        f"readings of an output, {test_resume.READS} during {test_resume.PUBLISHES} publishes",
        reads,
        "test_resume::test_who_reads_while_outputs_are_published_never_sees_a_mixture_or_nothing",
    )
    yield rounds(
        "SIGINT, SIGTERM or SIGHUP at a share of a run",
        1,
        test_resume.test_a_signal_at_any_stage_ends_all_and_leaves_the_old_output,
    )
    for poison in test_retry.POISONS:
        yield Trial(
            f"a symbol with {poison}"
            if poison in ("endless memory", "an exception", "a hang")
            else f"a symbol that ends its worker by {poison}",
            1
            + sum(
                poison in poisons.values() for poisons in _values(test_retry.test_three_poisonous_symbols_are_left_out)
            ),
            "test_retry::test_one_poisonous_symbol_is_left_out",
        )
    yield Trial(
        "endless memory in a control group",
        cases(test_memory.test_in_a_control_group_only_the_symbol_with_endless_memory_is_left_out),
        "test_memory::test_in_a_control_group_only_the_symbol_with_endless_memory_is_left_out",
    )
    yield Trial("a full pipe on stderr", 1, "test_resume::test_a_full_pipe_on_stderr_keeps_no_run_waiting")
    yield Trial("a closed terminal", 1, "test_resume::test_a_terminal_that_closes_ends_the_run_and_its_workers")
    yield Trial(
        "hostile files and folders in one process and through a pool; a fourth and a seventh in `make test`, the rest "
        "in `make soak`",
        2 * len(hostile.files()),
        "test_hostile::test_no_input_is_a_bug",
    )
    yield Trial(
        "odd symbols, in two layouts by every strategy",
        len(odd_symbols.symbols()),
        "test_odd_symbols::test_odd_symbols_come_out_with_the_features_of_plain_ones",
    )
    yield Trial(
        "kinds of damage to a finished table that `verify` finds",
        len(test_verify.DAMAGE),
        "test_verify::test_damage_is_found",
    )


def _values(test: Callable[..., Any]) -> list[Any]:
    """The parameters of a function that has them in one mark."""
    (mark,) = [mark for mark in getattr(test, "pytestmark", []) if mark.name == "parametrize"]
    return [one.values[0] if hasattr(one, "marks") else one for one in mark.args[1]]


def page() -> str:
    """Return the promises, each with the tests that check it, and what is not promised, as Markdown."""
    lines = [f"- {promise.text}\n  Tests: {', '.join(f'`{test}`' for test in promise.tests)}." for promise in PROMISES]
    return "\n".join([*lines, "", "Not promised:", "", *(f"- {text}" for text in NOT_PROMISED)])


def table() -> str:
    """Return the table of trials and that of the soak as Markdown."""
    rows = [f"| {trial.what} | {trial.count:,} | `{trial.test}` |" for trial in trials()]
    soaked = soak.table(json.loads(soak.FIGURES.read_text(encoding="utf-8")))
    head = ["| trial | how many | test |", "| --- | ---: | --- |"]
    return "\n".join([*head, *rows, "", "`make soak` ends runs at random moments:", "", *soaked])
