"""The output in an object store: parts of one generation, and a manifest that makes them the output.

Work is done below a path beside the output, as on a disk. A part that is published is copied there by the store, under
a name that no other generation has; then the manifest is put on the condition that it is still the one that the run
found. So of two publishers one wins, and a reader of the manifest has all of one output. Generations that were
replaced stay for a while, for those who still read them.
"""

from __future__ import annotations

import contextlib
import datetime
import sys
import uuid
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from weekly_cli import __version__, failpoints
from weekly_cli.errors import OutputBusy, OutputConflict, UsageError, WeeklyError
from weekly_cli.files.disk import writing
from weekly_cli.files.locations import is_url
from weekly_cli.files.objects import requests
from weekly_cli.files.objects.lease import only_run
from weekly_cli.files.objects.path import ObjectPath
from weekly_cli.files.objects.published import MANIFEST, Published, decoded, manifest_path
from weekly_cli.files.objects.waiting import remove_those_of_the_dead
from weekly_cli.files.output_name import check_output_name
from weekly_cli.files.store import NewFile, OutputStore
from weekly_cli.files.work_folder import MARK, SUFFIX
from weekly_cli.settings import Config

_JOURNAL, _INPUT = "journal", "input"
#: Requests side by side, where one waits for the store and not for this machine.
_AT_ONCE = 16
_GENERATION = "generation-"
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class ObjectStore(OutputStore):
    """The output of one run in an object store.

    Raises
    ------
    UsageError
        If the output's name does not fit, or `--work-dir` is elsewhere.
    """

    def __init__(self, config: Config) -> None:
        check_output_name(config)
        self._config = config
        self._grace = datetime.timedelta(seconds=config.keep_replaced)
        self._output = ObjectPath(config.output)
        self.name = str(self._output)
        self._work = work_path(self._output, config.work_dir, config.named("work_dir"))
        self._manifest = manifest_path(self._output)
        self._etag, self._before = self._published()
        self._lines = 0
        self._known: dict[str, int] = {}
        self.worth_keeping = False

    def _published(self) -> tuple[str | None, Published | None]:
        """Return the state of the manifest, and what is published."""
        held = requests.read(self._manifest)
        if held is None:
            return None, None
        published = decoded(held.content)
        if published is None:
            raise OutputConflict(f"{self._manifest} was not written by weekly-cli; choose another --output")
        return held.etag, published

    @property
    def standing(self) -> bool:
        """Whether an output was already published when the run began."""
        return self._before is not None

    def lock(self) -> AbstractContextManager[None]:
        """Hold the output's lease."""
        return only_run(self._output, self._config.wait)

    @contextlib.contextmanager
    def begin(self) -> Iterator[None]:
        """Find or begin the run's work, end uploads that a crash has left, and refuse what is not this tool's."""
        remove_those_of_the_dead()
        self._etag, self._before = self._published()  # nobody else publishes from now on
        self._refuse_foreign()
        for folder in (self._output, self._work):
            requests.end_uploads(folder)
        mark = self._work / MARK
        with writing(self._work):
            marked = mark.is_file()
            if not marked and self._work.below():
                raise OutputConflict(
                    f"{self._work} is in the way, and was not created by weekly-cli; move it, or pass --work-dir"
                )
            if self._config.fresh and marked:
                remove_work(self._work)
            failpoints.reached("work:made")
            mark.write_bytes(__version__.encode())
            failpoints.reached("work:marked")
            self._lines = len((self._work / _JOURNAL).below())
        keep, self.worth_keeping = self._config.keep_work, bool(self._lines)
        try:
            yield
        except BaseException as error:
            keep |= self.worth_keeping
            if keep:
                error.add_note(f"{self._work} has it, which weekly-cli clean {self._config.output} removes")
            raise
        finally:
            remove_those_of_the_dead()
            if not keep:
                with contextlib.suppress(WeeklyError):  # the run's own error counts; the next run removes what is left
                    remove_work(self._work)

    def _refuse_foreign(self) -> None:
        """Refuse a place with anything but the manifest and generations."""
        with writing(self._output):
            depth = len(self._output.parts)
            foreign = [path for path in self._output.below() if not is_own(path.parts[depth:])]
        if foreign:
            raise OutputConflict(
                f"{self._output} already holds {len(foreign):,} objects that are not weekly-cli's: "
                f"{', '.join(path.name for path in foreign[:3])}; choose another --output, or move them away"
            )

    def address(self, name: str) -> str:
        """Return the URL of an object beside the journal."""
        return str(self._work / name)

    def input_folder(self) -> ObjectPath:
        """Return the folder, without what an earlier run has left in it."""
        folder = self._work / _INPUT
        requests.remove_below(folder)
        return folder

    def free_bytes(self) -> int:
        """Return that there is no limit."""
        return sys.maxsize

    def journal(self) -> list[bytes]:
        """Return the journal's lines, of which each is an object."""
        with writing(self._work), ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(ObjectPath.read_bytes, (self._work / _JOURNAL).below()))

    def write_journal(self, line: bytes) -> None:
        """Put a line as one more object."""
        failpoints.reached("journal:before")
        with writing(self._work):
            (self._work / _JOURNAL / f"{self._lines:09d}").write_bytes(line)
        self._lines += 1
        failpoints.reached("journal:after")

    def proof(self, address: str) -> list[int]:
        """Return an object's size: it is there as a whole or not at all, and the store keeps its checksum."""
        if address not in self._known:
            with writing(self._work):
                self._known = {str(path): path.stat().st_size for path in self._work.below()}
        return [self._known.get(address, -1)]

    def is_proven(self, address: str, proof: Collection[int]) -> bool:
        """Tell whether an object exists and has this size."""
        return self.proof(address) == list(proof)[:1]

    def clear(self, keep: Collection[str], *, keep_journal: bool) -> None:
        """Remove the objects of earlier runs, except for some."""
        kept, self._known = {*keep, self.address(MARK)}, {}
        folders = (_INPUT, *([_JOURNAL] if keep_journal else []))
        requests.remove_below(self._work, lambda name: self.address(name) in kept or name.partition("/")[0] in folders)
        self._lines = self._lines if keep_journal else 0

    def add_part(self, address: str) -> None:
        """Do nothing: an object is durable when it is there."""

    def commit(self, parts: Mapping[str, int], new_file: NewFile) -> int:
        """Publish the parts as the output."""
        if not parts:
            parts = {self.address("joined.parquet"): 0}
            with new_file(*parts) as empty:
                empty.close(durable=True)
        generation = f"{_GENERATION}{_now():%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}"
        folder = self._output / generation
        asked, new = False, None
        sources = [ObjectPath(address) for address in parts]
        targets = [
            folder / f"part-{number:05d}-{checksum:08x}.parquet" for number, checksum in enumerate(parts.values())
        ]
        failpoints.reached("publish:folder")
        try:
            size = self._copied(sources, targets)
            failpoints.reached("publish:ready")
            new = Published(generation, list(map(str, targets)), size, self._retired())
            asked = True  # from here on the store may make it the output, though its answer is lost
            if requests.put_if(self._manifest, new.encoded(), self._etag) is None:
                asked = False
                raise OutputBusy(f"{self._manifest} was put by another run")
        except BaseException as error:
            standing = self._before
            with contextlib.suppress(WeeklyError):  # the first error counts
                if not asked:
                    requests.remove_below(folder)
                _, standing = self._published()
            if isinstance(error, WeeklyError) and standing not in (self._before, new):
                raise OutputBusy(
                    f"{self._output} was published by another run meanwhile, and its output stands; run the same "
                    "command again to replace it"
                ) from error
            raise
        failpoints.reached("publish:switched")
        with contextlib.suppress(WeeklyError), writing(self._output):  # it is published; the next run removes them
            self._remove_old(new)
        failpoints.reached("publish:flushed")
        return size

    def _copied(self, sources: list[ObjectPath], targets: list[ObjectPath]) -> int:
        """Let the store copy the parts to their names, and return their bytes."""

        def copy(source: ObjectPath, target: ObjectPath) -> int:
            target.filesystem.copy_file(source.key, target.key)
            failpoints.reached("publish:linked")
            return source.stat().st_size

        with writing(self._output), ThreadPoolExecutor(_AT_ONCE) as pool:
            sizes = list(pool.map(copy, sources, targets))
            arrived = {path: path.stat().st_size for path in targets[0].parent.below()}
        if arrived != dict(zip(targets, sizes, strict=True)):
            raise OutputConflict(f"{targets[0].parent} does not hold what was copied there; run the same command again")
        return sum(sizes)

    def _retired(self) -> Mapping[str, str]:
        """Return which generations are no longer the output when the new one is, and since when."""
        if self._before is None:
            return {}
        since = f"{_now() - self._grace:{_TIME}}"
        known = {name: at for name, at in self._before.retired.items() if at > since}
        return {**known, self._before.generation: f"{_now():{_TIME}}"}

    def _remove_old(self, published: Published) -> None:
        """Remove generations that nobody may read any more: replaced, or never published, before the grace time."""
        since, retired = (_now() - self._grace).timestamp(), published.retired
        depth = len(self._output.parts)
        newest: dict[str, float] = {}
        for path in self._output.below():
            if len(path.parts) > depth + 1:
                name = path.parts[depth]
                newest[name] = max(newest.get(name, 0.0), path.stat().st_mtime_ns / 1e9)
        for name, put_at in newest.items():
            gone_at = datetime.datetime.fromisoformat(retired[name]).timestamp() if name in retired else put_at
            if name != published.generation and gone_at <= since:
                requests.remove_below(self._output / name)


def work_path(output: ObjectPath, work_dir: str | None, setting: str) -> ObjectPath:
    """Return where the run of an output works.

    Raises
    ------
    UsageError
        If `work_dir`, which `setting` gave, is no place in the same bucket.
    """
    if work_dir is None:
        return output.with_name(f".{output.name}{SUFFIX}")
    inside = ObjectPath(work_dir)
    if not is_url(work_dir) or (inside.scheme, inside.bucket) != (output.scheme, output.bucket):
        raise UsageError(
            f"{setting} {work_dir}: an output in {output.parts[0]} is built in the same bucket, where the store copies "
            "its parts; give a path there, or leave it out"
        )
    if output in (inside, *inside.parents):
        raise UsageError(f"{setting} {work_dir} lies in the output {output}; choose another")
    return inside / f".{output.name}-{uuid.uuid5(uuid.NAMESPACE_URL, str(output)).hex[:8]}{SUFFIX}"


def remove_work(work: ObjectPath) -> None:
    """Remove a run's work, its mark last: half removed, it can still be recognized."""
    failpoints.reached("work:removing")
    requests.remove_below(work, lambda name: name == MARK)
    failpoints.reached("work:unmarked")
    requests.remove_below(work)
    failpoints.reached("work:removed")


def is_own(parts: tuple[str, ...]) -> bool:
    """Tell by what follows an output's path whether an object is its manifest, or lies in a generation."""
    return parts == (MANIFEST,) or (len(parts) == 2 and parts[0].startswith(_GENERATION))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
