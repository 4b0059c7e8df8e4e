"""The output that stands where a build without `--output` would write: whether it was made of the same input."""

from __future__ import annotations

from collections.abc import Sequence

from weekly_cli.errors import OutputConflict
from weekly_cli.files.locations import location
from weekly_cli.files.target import own_files, place
from weekly_cli.run.manifest import read_record
from weekly_cli.settings import Config


def refuse_other_input(config: Config) -> None:
    """Refuse to replace an output of another input, unless the output's name was given: the default is everybody's.

    Inputs are the same if a path of one is, contains, or lies in one of the other: files come and go every day.

    Raises
    ------
    OutputConflict
    """
    output = place(config.output)
    files = [] if "output" in config.sources else own_files(output)
    record, _ = read_record(files[:1])
    recorded = () if record is None else record.get("paths", {}).get("input", ())
    if not recorded or _are_related(recorded, config.input):
        return
    more = f" and {len(recorded) - 1:,} more" if len(recorded) > 1 else ""
    raise OutputConflict(
        f"{config.output}, the default output, was built from another input: {recorded[0]}{more}; pass -o NAME to keep "
        f"it, or -o {config.output} to replace it"
    )


def _are_related(recorded: Sequence[str], given: Sequence[str]) -> bool:
    a, b = ({location(path).resolve() for path in paths} for paths in (recorded, given))
    return any(one in b or not b.isdisjoint(one.parents) for one in a) or any(
        not a.isdisjoint(two.parents) for two in b
    )
