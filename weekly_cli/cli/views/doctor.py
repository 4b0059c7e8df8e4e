"""What the doctor has found, on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from weekly_cli.cli.views.layout import grid
from weekly_cli.diagnosis import Diagnosis
from weekly_cli.diagnosis.cluster import DaskCluster
from weekly_cli.diagnosis.facts import size
from weekly_cli.diagnosis.software import Extra
from weekly_cli.files.places import Place
from weekly_cli.run.resources import Limit

if TYPE_CHECKING:
    from rich.console import RenderableType


def render(found: Diagnosis) -> RenderableType:
    """Return everything as named lines, the advice last."""
    return grid(list(_lines(found)))


def _lines(found: Diagnosis) -> Iterator[tuple[str, str]]:
    software, disks, terminal = found.software, found.disks, found.terminal
    yield "python", f"{software.python} at {software.executable}"
    yield "system", software.system
    yield from _limits("cpus", found.cpus, lambda limit: f"{limit.amount:g}")
    yield from _limits("memory", found.memory, _memory)
    yield "pool", _pool(found)
    if found.cluster is not None:
        yield "cluster", _cluster(found.cluster)
    yield "output", disks.store or _place(disks.output) + _exchange(disks.output)
    yield "work folder", "beside the output" if disks.work is None else _place(disks.work)
    yield "temporary", _place(disks.temporary)
    yield "/dev/shm", _place(disks.shared_memory)
    yield "libraries", ", ".join(f"{one.name} {one.version or 'is missing'}" for one in software.libraries)
    for extra in software.extras:
        yield f"[{extra.name}]", _extra(extra)
    yield (
        "optional",
        ", ".join(f"{name} {version or 'is not installed'}" for name, version in software.optional.items()),
    )
    yield "codecs", ", ".join(f"{name}{'' if there else ' is missing'}" for name, there in software.codecs.items())
    streams = {"stdin": terminal.stdin, "stdout": terminal.stdout, "stderr": terminal.stderr}
    of_terminal = [f"{name} is {'a' if is_one else 'no'} terminal" for name, is_one in streams.items()]
    colours = "colours" if terminal.colours else "no colours"
    yield (
        "terminal",
        f"{', '.join(of_terminal)}; {terminal.width} columns, {colours}, TERM {terminal.term or 'not set'}",
    )
    yield (
        "encoding",
        (
            f"stdout {terminal.encoding or 'none'}, file names {terminal.file_encoding}, "
            f"locale {terminal.locale or 'not set'} ({terminal.locale_encoding})"
        ),
    )
    for one in found.advice:
        yield "advice", f"{one.code}: {one.sentence}"
        yield "", one.help
    if not found.advice:
        yield "advice", "none: nothing is odd here"


def _limits(name: str, limits: Sequence[Limit], amount: Callable[[Limit], str]) -> Iterator[tuple[str, str]]:
    for limit in limits:
        yield name, f"{amount(limit)} {limit.reason} ({limit.source})"
        name = ""


def _memory(limit: Limit) -> str:
    total = f" of {size(limit.total)}" if limit.total is not None else ""
    return f"{size(limit.amount)}{total} free:"


def _pool(found: Diagnosis) -> str:
    if found.pool is None:
        return "none: a library is broken"
    pool = found.pool
    workers = f"{pool.workers} {'worker' if pool.workers == 1 else 'workers'}, {size(pool.worker_bytes)} each"
    return f"{workers}, limited by {pool.reason}; budget {size(pool.budget_bytes)} for all processes"


def _cluster(cluster: DaskCluster) -> str:
    if cluster.trouble:
        return f"{cluster.address or 'none'}: can't be used"
    if cluster.address is None:
        return "none is named: workers start on this machine"
    return f"{cluster.address}: {cluster.threads:,} tasks at a time, {size(cluster.memory_bytes)} for all of them"


def _place(place: Place | None) -> str:
    if place is None:
        return "is not there"
    filesystem = f"{place.filesystem}, " if place.filesystem else ""
    above = "" if place.folder == place.path else f" (of which {place.folder} is there)"
    return f"{place.path}{above}: {filesystem}{size(place.free_bytes)} free{'' if place.writable else ', not writable'}"


def _exchange(place: Place | None) -> str:
    if place is None or place.exchanges is None:
        return ""
    return ", switched in one system call" if place.exchanges else ", switched by two renames"


def _extra(extra: Extra) -> str:
    there = ", ".join(f"{one.name} {one.version or 'is not installed'}" for one in extra.libraries)
    return there if extra.is_installed else f"{there}: {extra.command}"
