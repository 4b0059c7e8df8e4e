"""Input and output in an object store: the same rows as on a disk, published in one step, and nothing lost."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dask_processes import dask_cluster
from frames import build, daily, in_order, read, run_cli, run_words, write, write_files
from object_store import BUCKET, BUSY, CUT, PASS, SECRET, ObjectStore, rows_of, running, spoiled

import weekly_cli
from weekly_cli.errors import InputRefused, OutputBusy, OutputConflict, Unreachable
from weekly_cli.events import StageEnded
from weekly_cli.files.objects import answers, filesystems, lease, leftovers, requests
from weekly_cli.files.objects.path import ObjectPath
from weekly_cli.run import pipeline
from weekly_cli.settings import from_python, resolve

NAMES = [f"S{number:02d}" for number in range(12)]
POOLED = ("--strategy", "batched", "--jobs", "2")


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with running() as found:
        yield found


@pytest.fixture(autouse=True)
def reached(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process and all that it starts reach the store."""
    for name, value in store.variables.items():
        monkeypatch.setenv(name, value)
    filesystems.connect_by(filesystems.Connection)


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(daily(NAMES, 200), tmp_path_factory.mktemp("prices") / "prices", 3)


@pytest.fixture(scope="module")
def remote(store: ObjectStore, prices: Path) -> str:
    return store.upload(prices, "input")


@pytest.fixture(scope="module")
def wanted(prices: Path, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    return build(prices, tmp_path_factory.mktemp("wanted") / "out")


def same(one: pa.Table, other: pa.Table) -> bool:
    """Whether two outputs have the same columns and bits."""
    return bool(one.replace_schema_metadata(None).equals(other.replace_schema_metadata(None)))


# ---- the same rows -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [(), pytest.param(POOLED, marks=pytest.mark.soak), (*POOLED, "--writer", "arrow", "--rows", "weekly")]
)
def test_the_same_bits_as_on_a_disk(
    store: ObjectStore, prices: Path, remote: str, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    local = run_cli("build", prices, "-o", tmp_path / "out", *settings)
    done = run_cli("build", remote, "-o", f"s3://{BUCKET}/same", *settings, "--report", f"s3://{BUCKET}/report.json")
    assert (local.returncode, done.returncode) == (0, 0), done.stderr
    assert same(rows_of(store, "same"), read(tmp_path / "out"))
    assert json.loads(store.content("report.json"))["output"] == f"s3://{BUCKET}/same"
    assert not [key for key in store.listed() if "weekly-cli" in key]


@pytest.mark.parametrize(
    ("name", "local_name"),
    [
        ("input/0000.parquet", "prices/0000.parquet"),
        ("input/*.parquet", "prices/*.parquet"),
        ("in*/000[0-2].parquet", "pr*/000[0-2].parquet"),
        ("**/0002.parquet", "**/0002.parquet"),
    ],
)
def test_names_lead_where_they_lead_on_a_disk(
    remote: str, prices: Path, tmp_path: Path, name: str, local_name: str
) -> None:
    found = weekly_cli.build(f"s3://{BUCKET}/{name}", tmp_path / "out", jobs=1, overwrite=True)
    local = weekly_cli.build(prices.parent / local_name, tmp_path / "b")
    assert (found.rows, found.symbols) == (local.rows, local.symbols)


def test_what_is_not_read_is_said(store: ObjectStore, prices: Path, tmp_path: Path) -> None:
    url = store.upload(prices, "mixed")
    store.put("mixed/_SUCCESS", b"")
    store.put("mixed/notes.txt", b"hello")
    store.put("mixed/.hidden/x.parquet", b"PAR1")
    scan, _ = pipeline.plan_only(resolve(from_python({"input": url, "output": f"{url}-built"})))
    reasons = {one.path.removeprefix(f"{url}/"): one.reason for one in scan.footers.skipped}
    assert set(reasons) == {"_SUCCESS", "notes.txt", ".hidden"}
    assert scan.rows == 200 * len(NAMES)


@pytest.mark.parametrize("mark", ["_delta_log/0.json", "metadata/v1.metadata.json", ".hoodie/hoodie.properties"])
@pytest.mark.parametrize("above", ["", "one/"])
def test_folders_of_table_formats_are_refused(store: ObjectStore, prices: Path, mark: str, above: str) -> None:
    folder = f"tables/{mark[:4]}{above.strip('/')}"
    store.upload(prices, f"{folder}/{above}data")
    store.put(f"{folder}/{above}{mark}", b"{}")
    with pytest.raises(InputRefused, match=r"is an? (Delta|Hudi|Iceberg) table"):
        pipeline.plan_only(resolve(from_python({"input": f"s3://{BUCKET}/{folder}", "output": "built"})))


def test_hive_folders_csv_and_wide_tables(store: ObjectStore, tmp_path: Path) -> None:
    table = daily(NAMES[:3], 60)
    for name in NAMES[:3]:
        rows = table.filter(pa.compute.equal(table.column("symbol"), name)).drop_columns("symbol")
        write(rows, tmp_path / f"hive/symbol={name}/0.parquet")
    wanted = in_order(table)
    hive = weekly_cli.build(store.upload(tmp_path / "hive", "hive"), tmp_path / "a", jobs=1)
    assert (hive.rows, hive.symbols) == (wanted.num_rows, 3)
    frame = table.to_pandas()
    frame.to_csv(tmp_path / "long.csv", index=False)
    frame.pivot_table(index="date", columns="symbol", values="close").reset_index().to_csv(tmp_path / "wide.csv")
    for name in ("long", "wide"):
        url = store.upload(tmp_path / f"{name}.csv", f"texts/{name}.csv")
        settings = {"cross_section": "rank(w_ret)"} | ({} if name == "long" else {"wide": "closes"})
        there = weekly_cli.build(url, f"s3://{BUCKET}/texts-{name}", jobs=1, **settings)
        here = build(tmp_path / f"{name}.csv", tmp_path / name, **settings)
        assert there.rows == wanted.num_rows
        assert same(rows_of(store, f"texts-{name}"), here)


@pytest.mark.slow
def test_every_command_that_reads_reads_there(
    store: ObjectStore, remote: str, wanted: pa.Table, tmp_path: Path
) -> None:
    output = f"s3://{BUCKET}/read"
    assert run_cli("build", remote, "-o", output, "--report", f"s3://{BUCKET}/run.json").returncode == 0
    for words, said in (
        (("verify", output), "passed"),
        (("inspect", output), "unchanged: the same files"),
        (("diff", output, output), "equal"),
        (("explain", output, "S00", "2022-06-01"), "S00"),
        (("latest", output), "S09"),
        (("build", remote, "-o", output, "--if-changed"), "up to date"),
        (("clean", output), "nothing is left"),
        (("report", f"s3://{BUCKET}/run.json", "-o", f"s3://{BUCKET}/run.html"), "KiB"),
        (("plan", output, "--columns", "symbol=symbol"), "rows"),
    ):
        done = run_cli(*words)
        assert done.returncode == 0, (words, done.stderr)
        assert said in done.stdout + done.stderr, words
    unnamed = {**store.variables, "AWS_ENDPOINT_URL": ""}
    assert run_cli("verify", output, env={**unnamed, "WEEKLY_CLI_S3_ENDPOINT": store.endpoint}).returncode == 0
    assert run_cli("latest", output, "--s3-endpoint", store.endpoint, env=unnamed).returncode == 0
    (tmp_path / "weekly.toml").write_text(f's3-endpoint = "{store.endpoint}"\n', encoding="utf-8")
    assert run_cli("inspect", output, env=unnamed, cwd=tmp_path).returncode == 0
    read_back = weekly_cli.read(output, symbols=["S03"])
    assert len(read_back) == 200
    assert same(rows_of(store, "read"), wanted)


@pytest.mark.soak
@pytest.mark.slow
def test_a_cluster_works_in_a_store(store: ObjectStore, remote: str, wanted: pa.Table, tmp_path: Path) -> None:
    """Keys, partition, tasks and parts by a worker that shares nothing with this process but the store."""
    with dask_cluster(tmp_path, 1) as cluster:
        words = ("--strategy", "batched", "--engine", "dask", "--scheduler", cluster.address)
        done = run_cli("build", remote, "-o", f"s3://{BUCKET}/dask", *words)
    assert done.returncode == 0, done.stderr
    assert same(rows_of(store, "dask"), wanted)
    assert not [key for key in store.listed() if "weekly-cli" in key]


def test_other_stores_are_read_through_fsspec(prices: Path, tmp_path: Path) -> None:
    """The one line for what Arrow does not know; memory:// stands for gcs and abfs, which are untested."""
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.put(str(prices), "/cloud/prices", recursive=True)
    assert weekly_cli.build("memory://cloud/prices", tmp_path / "out", jobs=1).symbols == len(NAMES)


# ---- publishing --------------------------------------------------------------------------------------------


def with_pandas(store: ObjectStore) -> set[str]:
    files = json.loads(store.content("races/manifest.json"))["files"]
    frame = pd.read_parquet([url.removeprefix("s3://") for url in files], filesystem=store.arrow(), columns=["symbol"])
    return set(frame.symbol.astype(str))


def with_polars(store: ObjectStore) -> set[str]:
    import polars as pl

    files = json.loads(store.content("races/manifest.json"))["files"]
    options = {
        "aws_endpoint_url": store.endpoint,
        "aws_region": "us-east-1",
        "aws_access_key_id": "test-key",
        "aws_secret_access_key": SECRET,
        "aws_allow_http": "true",
    }
    frame = pl.scan_parquet(files, storage_options=options).select(pl.col("symbol").cast(str)).collect()
    return set(frame.get_column("symbol"))


def with_duckdb(store: ObjectStore) -> set[str]:
    import duckdb
    from fsspec.implementations.arrow import ArrowFSWrapper

    class OfS3(ArrowFSWrapper):  # type: ignore[misc]
        protocol = "s3"

    files = json.loads(store.content("races/manifest.json"))["files"]
    with duckdb.connect() as connection:
        connection.register_filesystem(OfS3(store.arrow()))
        found = connection.execute("SELECT DISTINCT symbol FROM read_parquet(?)", [files]).fetchall()
    return {str(name) for (name,) in found}


def by_listing(store: ObjectStore) -> set[str]:
    """What a reader sees that takes all files there are."""
    arrow = store.arrow()
    found = arrow.get_file_info(fs_selector(f"{BUCKET}/races"))
    tables = [
        pq.read_table(one.path, filesystem=arrow, columns=["symbol"]) for one in found if one.extension == "parquet"
    ]
    return {str(name) for table in tables for name in table.column("symbol").unique().to_pylist()}


def fs_selector(path: str) -> Any:
    from pyarrow.fs import FileSelector

    return FileSelector(path, recursive=True)


@pytest.mark.slow
def test_readers_of_the_manifest_never_see_a_mixture(store: ObjectStore, tmp_path: Path) -> None:
    """Two inputs without a common symbol are published in turn while three programs read.

    The files that are there, which a reader by a glob or by `_metadata` beside them would take, are a mixture after the
    first replacement: so the manifest it is.
    """
    sides = [NAMES[:4], [f"T{number}" for number in range(4)]]
    inputs = [write(daily(names, 60), tmp_path / f"{number}.parquet") for number, names in enumerate(sides)]
    output = f"s3://{BUCKET}/races"
    report = weekly_cli.build(inputs[0], output, features="w_close", jobs=1)
    assert report.rows == 240
    ended, seen = threading.Event(), {name: list[set[str]]() for name in ("pandas", "polars", "duckdb")}
    readers = {"pandas": with_pandas, "polars": with_polars, "duckdb": with_duckdb}

    def look(name: str) -> None:
        while not ended.is_set():
            seen[name].append(readers[name](store))

    threads = [threading.Thread(target=look, args=(name,)) for name in readers]
    for thread in threads:
        thread.start()
    for number in range(1, 6):
        weekly_cli.build(inputs[number % 2], output, features="w_close", jobs=1)
    ended.set()
    for thread in threads:
        thread.join()
    for name, found in seen.items():
        assert len(found) > 2, name
        assert all(one in (set(sides[0]), set(sides[1])) for one in found), name
    assert by_listing(store) == {*sides[0], *sides[1]}


def test_what_was_replaced_stays_for_the_grace_time(store: ObjectStore, remote: str) -> None:
    def generations() -> set[str]:
        return {key.split("/")[1] for key in store.listed("grace/") if key.endswith(".parquet")}

    output = f"s3://{BUCKET}/grace"
    for _ in range(2):
        weekly_cli.build(remote, output, features="w_close", jobs=1)
    assert len(generations()) == 2
    store.put("grace/generation-of-a-dead-run/part-00000-00000000.parquet", b"never published")
    weekly_cli.build(remote, output, features="w_close", jobs=1)
    assert len(generations()) == 4
    weekly_cli.build(remote, output, features="w_close", jobs=1, keep_replaced=0)
    assert generations() == {json.loads(store.content("grace/manifest.json"))["generation"]}


def test_of_two_publishers_one_wins(store: ObjectStore, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where both believe to hold the lease: the manifest is put on a condition."""
    output = f"s3://{BUCKET}/won"
    monkeypatch.setattr(lease, "_is_over", lambda held: True)
    others: list[Any] = []

    def listener(event: object) -> None:
        if isinstance(event, StageEnded) and event.stage == "fan out" and not others:
            others.append(weekly_cli.build(remote, output, features="w_open", jobs=1))

    config = resolve(from_python({"input": remote, "output": output, "features": "w_close", "jobs": 1}))
    with pytest.raises(OutputBusy, match="published by another run meanwhile") as refused:
        pipeline.run(config, listener)
    assert refused.value.exit_code == 75
    assert [name for name in rows_of(store, "won").column_names if name.startswith("w_")] == ["w_open"]
    assert len({key.split("/")[1] for key in store.listed("won/") if "/generation-" in key}) == 1


def test_a_put_whose_answer_is_lost_may_have_published(
    store: ObjectStore, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run fails, but the parts that the manifest names are there; the same command then ends well."""
    put_if = requests.put_if

    def lost(path: ObjectPath, content: bytes, etag: str | None) -> str | None:
        done = put_if(path, content, etag)
        if path.name == "manifest.json":
            raise Unreachable("no answer")
        return done

    monkeypatch.setattr(requests, "put_if", lost)
    with pytest.raises(Unreachable, match="no answer"):
        weekly_cli.build(remote, f"s3://{BUCKET}/unheard", features="w_close", jobs=1)
    assert rows_of(store, "unheard").num_rows == 200 * len(NAMES)
    monkeypatch.setattr(requests, "put_if", put_if)
    assert weekly_cli.build(remote, f"s3://{BUCKET}/unheard", features="w_close", jobs=1).rows == 200 * len(NAMES)


def test_a_run_that_fails_before_the_manifest_leaves_no_parts(
    store: ObjectStore, remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: ObjectStore, *_: object) -> int:
        raise Unreachable("no answer")

    weekly_cli.build(remote, f"s3://{BUCKET}/early", features="w_close", jobs=1)
    before = store.listed("early/")
    with monkeypatch.context() as patch:
        patch.setattr("weekly_cli.files.objects.store.Published", fails)
        with pytest.raises(Unreachable, match="no answer"):
            weekly_cli.build(remote, f"s3://{BUCKET}/early", features="w_open", jobs=1)
    assert store.listed("early/") == before
    weekly_cli.build(remote, f"s3://{BUCKET}/early", features="w_open", jobs=1)
    assert "w_open" in rows_of(store, "early").column_names


def test_what_is_published_after_it_was_listed_is_not_cleaned_up(store: ObjectStore, remote: str) -> None:
    output = f"s3://{BUCKET}/listed"
    weekly_cli.build(remote, output, features="w_close", jobs=1)
    manifest = store.content("listed/manifest.json")
    store.client.delete_object(Bucket=BUCKET, Key="listed/manifest.json")
    found = leftovers.find_objects(output, None, "--work-dir")
    assert [one.what for one in found.removable] == ["parts that were never published"]
    store.put("listed/manifest.json", manifest)
    with leftovers.only_cleaner(found):
        leftovers.remove_objects(found)
    assert rows_of(store, "listed").num_rows == 200 * len(NAMES)


def test_a_second_run_is_told_of_the_first(remote: str) -> None:
    output = f"s3://{BUCKET}/held"
    with lease.only_run(lease.ObjectPath(output), 0.0):
        done = run_cli("build", remote, "-o", output)
    assert done.returncode == 75
    assert "is being built by process" in done.stderr
    assert run_cli("build", remote, "-o", output).returncode == 0


def test_a_lease_that_nobody_renews_is_over(store: ObjectStore, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"pid": 1, "host": "elsewhere", "machine": "another", "since": "long ago"}
    store.put(".stale.weekly-cli-lock", json.dumps(told).encode())
    output = f"s3://{BUCKET}/stale"
    with pytest.raises(OutputBusy, match="process 1 on elsewhere since long ago"):
        weekly_cli.build(remote, output, jobs=1)
    monkeypatch.setattr(lease, "_OVER_SECONDS", -1.0)
    assert weekly_cli.build(remote, output, jobs=1).symbols == len(NAMES)


#: Where runs are killed, or one of their workers, one after the other: each finds what the one before has left. By the
#: strategy of the runs.
POINTS = {
    "few": (
        ("auto", ("part:renamed:1", "publish:linked:1", "publish:ready:1", "publish:switched:1", "work:unmarked:1")),
    ),
    "all": (
        ("direct", ("work:made:1", "work:marked:1", "journal:before:1", "journal:after:1")),
        ("batched", ("bundle:opened:1", "bundle:written:1", "bundle:closed:1", "bundle:renamed:1", "journal:before:1")),
        ("batched", ("journal:after:1", "part:renamed:1", "journal:after:3", "publish:linked:1")),
        ("per-symbol", ("work:removing:1", "journal:after:1", "journal:before:3")),
        ("auto", ("part:opened:1", "part:written:1", "part:closed:1", "part:renamed:1", "journal:before:2")),
        ("auto", ("journal:after:2", "publish:folder:1", "publish:linked:1", "publish:ready:1", "publish:switched:1")),
        ("auto", ("publish:flushed:1", "work:removing:1", "work:unmarked:1", "work:removed:1")),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("points", "least_switched"), [("few", 2), pytest.param("all", 6, marks=pytest.mark.soak)])
def test_killed_anywhere_the_old_output_stands_or_the_new_one_is_whole(
    store: ObjectStore, tmp_path: Path, points: str, least_switched: int
) -> None:
    """Each run finds what the one before has left; those that switched are followed by other rows.

    Where a worker dies and not the run, the run goes on with another one.
    """
    tables = [
        build(write(daily(NAMES, 60, seed=seed), tmp_path / f"{seed}.parquet"), tmp_path / str(seed)) for seed in (1, 2)
    ]
    output = f"s3://{BUCKET}/killed"
    assert run_cli("build", tmp_path / "1.parquet", "-o", output).returncode == 0
    now, missed, switched = 0, list[str](), 0
    for number, (strategy, point) in enumerate(
        (strategy, point) for strategy, some in POINTS[points] for point in some
    ):
        words = ("build", tmp_path / f"{2 - now}.parquet", "-o", output, "--strategy", strategy, "--jobs", 1)
        once = tmp_path / f"once-{number}"
        run_cli(*words, env={"WEEKLY_CLI_FAILPOINT": f"{point}:{once}", **store.variables})
        missed += [] if once.exists() else [point]
        standing = rows_of(store, "killed")
        assert any(same(standing, table) for table in tables), point
        if same(standing, tables[1 - now]):
            now, switched = 1 - now, switched + 1
    assert (missed, switched >= least_switched) == ([], True)
    assert run_cli("build", tmp_path / f"{2 - now}.parquet", "-o", output, "--keep-replaced", 0).returncode == 0
    assert same(rows_of(store, "killed"), tables[1 - now])
    assert not [key for key in store.listed() if ".weekly-cli-" in key]
    assert len({key.split("/")[1] for key in store.listed("killed/") if "generation" in key}) == 1


def test_uploads_that_a_crash_left_are_ended_by_the_next_run(store: ObjectStore, remote: str) -> None:
    for key in ("uploads/generation-x/part-00000-0.parquet", ".uploads.weekly-cli-work/part-0-1.parquet", "mine/own"):
        store.client.create_multipart_upload(Bucket=BUCKET, Key=key)
    weekly_cli.build(remote, f"s3://{BUCKET}/uploads", features="w_close", jobs=1)
    assert store.uploads() == ["mine/own"]


def test_what_is_not_ours_stays(store: ObjectStore, remote: str, prices: Path) -> None:
    store.put("theirs/data.parquet", b"precious")
    store.put("theirs2/manifest.json", b'{"files": []}')
    store.put(".theirs3.weekly-cli-work/notes.txt", b"precious")
    for name, said in (("theirs", "not weekly-cli's"), ("theirs2", "was not written by"), ("theirs3", "in the way")):
        done = run_cli("build", remote, "-o", f"s3://{BUCKET}/{name}", "--overwrite")
        assert done.returncode == 6
        assert said in done.stderr
    done = run_cli("build", remote, "-o", remote)
    assert done.returncode == 6
    done = run_cli("build", remote, "-o", f"s3://{BUCKET}/fine", "--report", f"{remote}/0000.parquet")
    assert (done.returncode, "is not a report" in done.stderr) == (2, True)
    assert store.content("theirs/data.parquet") == b"precious"
    assert store.content("input/0000.parquet") == (prices / "0000.parquet").read_bytes()


def test_what_a_killed_run_left_is_listed_and_removed(store: ObjectStore, prices: Path) -> None:
    output = f"s3://{BUCKET}/cleaned"
    done = run_cli("build", prices, "-o", output, env={"WEEKLY_CLI_FAILPOINT": "publish:ready:1", **store.variables})
    assert done.returncode == -signal.SIGKILL
    before = store.listed()
    listed = json.loads(run_cli("clean", output, "--dry-run", "--json").stdout)
    assert store.listed() == before
    assert len(listed["leftovers"]) == 3
    assert run_cli("clean", output).returncode == 0
    assert not [key for key in store.listed() if "cleaned" in key]


# ---- what goes wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("build", "s3://no-such-bucket/x", "-o", "out"), 3, "there is no bucket no-such-bucket"),
        (("build", f"s3://{BUCKET}/nothing", "-o", "out"), 3, "does not exist"),
        (("build", "INPUT", "-o", "s3://no-such-bucket/x"), 6, "there is no such bucket"),
        (("build", "INPUT", "-o", f"s3://{BUCKET}/x.parquet"), 2, f"a folder of parts: s3://{BUCKET}/x"),
        (("build", "INPUT", "-o", f"s3://{BUCKET}"), 2, "is a whole bucket"),
        (("build", "INPUT", "-o", "gs://bucket/x"), 2, "only paths and s3:// are written to"),
        (("build", "INPUT", "-o", f"s3://{BUCKET}/x", "--work-dir", "/tmp"), 2, "in the same bucket"),
        (("build", "INPUT", "-o", "out", "--work-dir", f"s3://{BUCKET}/w"), 2, "the output is on this machine"),
        (("build", "odd://bucket/x", "-o", "out"), 2, "neither Arrow nor fsspec"),
        (("latest", "OUTPUT", "-o", f"s3://{BUCKET}/x.csv"), 2, "on this machine only"),
        (("build", "INPUT", "-o", "out", "--s3-endpoint", "http://127.0.0.1:1"), 69, "the store can't be reached"),
    ],
)
def test_refusals(
    remote: str, tmp_path: Path, words: tuple[str, ...], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    given = [remote if word == "INPUT" else word.replace("OUTPUT", f"s3://{BUCKET}/read") for word in words]
    done = run_cli(*given, cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "said", "is_final"),
    [
        ("AWS Error UNKNOWN (HTTP status 301) during HeadObject operation: No response body.", "--s3-region", True),
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", "access denied", True),
        ("An error occurred (ExpiredToken) when calling the PutObject operation", "access denied", True),
        ("AWS Error NO_SUCH_BUCKET during ListObjectsV2 operation: none", "no such bucket", True),
        ("Unable to locate credentials", "--s3-anonymous", True),
        ("AWS Error SLOW_DOWN during PutObject operation: Please reduce your request rate.", "too busy", False),
        ("AWS Error NETWORK_CONNECTION during GetObject operation: curlCode: 7", "can't be reached", False),
        ("AWS Error NO_SUCH_KEY during GetObject operation", "does not exist", True),
        ("something else", "something else; run the same command again", False),
    ],
)
def test_what_a_store_says_is_said(answer: str, said: str, is_final: bool) -> None:
    sentence, final = answers.meaning(OSError(answer))
    assert said in sentence
    assert final is is_final
    expected = (InputRefused, OutputConflict) if is_final else (Unreachable, Unreachable)
    found = answers.not_read("s3://b/x", OSError(answer)), answers.not_written("s3://b/x", OSError(answer))
    assert (type(found[0]), type(found[1])) == expected


def test_bad_credentials_and_public_buckets(store: ObjectStore, prices: Path, remote: str, tmp_path: Path) -> None:
    store.ask("/moto-api/reset-auth", b"0")
    try:
        done = run_cli("build", remote, "-o", tmp_path / "out")
        refused = run_cli("build", tmp_path / "nothing", "-o", f"s3://{BUCKET}/denied")
    finally:
        store.ask("/moto-api/reset-auth", b"inf")
    assert done.returncode == 3
    assert "access denied; check AWS_PROFILE" in done.stderr
    assert refused.returncode == 6
    assert SECRET not in done.stderr + refused.stderr
    nobody = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    key = "public.parquet"
    store.client.upload_file(str(prices / "0000.parquet"), BUCKET, key, {"ACL": "public-read"})
    words = ("build", f"s3://{BUCKET}/{key}", "-o", tmp_path / "out", "--s3-anonymous")
    done = run_cli(*words, env={**store.variables, **nobody})
    assert done.returncode == 0, done.stderr


def test_the_doctor_looks_at_a_store(store: ObjectStore, tmp_path: Path) -> None:
    for bucket, said, codes in (
        (BUCKET, "that answers: no output", []),
        ("no-such-bucket", "in an object", ["no-store"]),
    ):
        config = {"WEEKLY_CLI_OUTPUT": f"s3://{bucket}/never-built"}
        found = json.loads(run_cli("doctor", "--json", env={**store.variables, **config}).stdout)
        assert said in found["disks"]["store"]
        assert [one["code"] for one in found["advice"] if "store" in one["code"]] == codes


def test_no_secret_is_written_anywhere(store: ObjectStore, remote: str, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    words = ("build", remote, "-o", f"s3://{BUCKET}/quiet", "--report", f"s3://{BUCKET}/quiet.json", "--log-file", log)
    done = run_cli(*words, "--keep-work", "--verbose", *POOLED)
    assert done.returncode == 0, done.stderr
    said = [done.stdout, done.stderr, log.read_text(encoding="utf-8")]
    said += [store.content(key).decode("latin-1") for key in store.listed() if "quiet" in key]
    assert any("journal" in key for key in store.listed() if "quiet" in key)
    assert not [text for text in said if SECRET in text or "test-key" in text]


@pytest.mark.slow
def test_a_busy_store_is_asked_again(store: ObjectStore, remote: str, wanted: pa.Table) -> None:
    """Of each kind of request every fortieth is refused with 503, the second one first."""
    counts: dict[str, int] = {}

    def spoil(method: str, path: str, number: int) -> str:
        counts[method] = counts.get(method, 0) + 1
        return BUSY if counts[method] % 40 == 2 else PASS

    with spoiled(store, spoil) as (endpoint, hit):
        done = run_cli("build", remote, "-o", f"s3://{BUCKET}/busy", *POOLED, "--s3-endpoint", endpoint)
    assert done.returncode == 0, done.stderr
    assert {one.split()[0] for one in hit} >= {"GET", "PUT"}
    assert same(rows_of(store, "busy"), wanted)


def test_a_store_that_stays_busy_ends_the_run(store: ObjectStore, remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same command finishes it later."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with spoiled(store, lambda method, path, number: BUSY if "part-" in path else PASS) as (endpoint, _):
        done = run_cli("build", remote, "-o", f"s3://{BUCKET}/late", "--s3-endpoint", endpoint)
    assert done.returncode == 69
    assert "the store is too busy" in done.stderr
    assert len(done.stderr.splitlines()) <= 6
    assert "late/manifest.json" not in store.listed()
    assert run_cli("build", remote, "-o", f"s3://{BUCKET}/late").returncode == 0


@pytest.mark.slow
def test_a_connection_that_is_cut_in_mid_read_is_made_again(store: ObjectStore, remote: str, wanted: pa.Table) -> None:
    cut: set[str] = set()

    def spoil(method: str, path: str, number: int) -> str:
        first = method == "GET" and path.endswith(".parquet") and path not in cut
        cut.update([path] if first else [])
        return CUT if first else PASS

    with spoiled(store, spoil) as (endpoint, hit):
        done = run_cli("build", remote, "-o", f"s3://{BUCKET}/cut", "--s3-endpoint", endpoint)
    assert done.returncode == 0, done.stderr
    assert len(hit) >= 3
    assert same(rows_of(store, "cut"), wanted)


def test_a_run_on_this_machine_knows_nothing_of_stores(prices: Path, tmp_path: Path) -> None:
    """Neither boto3 nor a client of S3 is there after a build from disk to disk."""
    code = (
        "import sys, weekly_cli\n"
        f"weekly_cli.build({str(prices)!r}, {str(tmp_path / 'out')!r}, jobs=1)\n"
        "from weekly_cli.files.objects import filesystems\n"
        "names = ['boto3', 'botocore', 'fsspec']\n"
        "names += [f'weekly_cli.files.objects.{name}' for name in ('requests', 'lease', 'store')]\n"
        "print([name for name in names if name in sys.modules], filesystems.filesystem.cache_info().currsize)\n"
    )
    done = run_words([sys.executable, "-c", code])
    assert done.stdout.strip() == "[] 0", done.stderr
