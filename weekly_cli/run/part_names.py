"""The names of parts, which say which symbols they have."""

from __future__ import annotations

from weekly_cli.files.locations import location


def part_name(first: int, stop: int) -> str:
    """Return the name of the part with the run's symbols from `first` to `stop`."""
    return f"part-{first:09d}-{stop:09d}.parquet"


def part_span(part: str) -> tuple[int, int]:
    """Return a part's range of the run's symbols, as first and stop; an attempt's mark may follow them."""
    _, first, stop, *_ = location(part).stem.split("-")
    return int(first), int(stop)
