"""`--engine dask`: the same output on a cluster, whatever happens to its workers and its scheduler."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from dask_processes import DaskCluster, dask_cluster
from frames import (
    at_work,
    daily,
    names_beside,
    picture,
    read,
    report_of,
    run_cli,
    start_cli,
    wait_for,
    write,
    write_files,
)
from poisons import Poisoned, PoisonedOnce, slow

from weekly_cli.errors import EXIT_SYMBOLS_FAILED, ClusterError, InputRefused, UsageError
from weekly_cli.run import sizes
from weekly_cli.run.engines import dask_connect
from weekly_cli.run.report import Report

pytestmark = pytest.mark.slow

SYMBOLS = [f"S{number:02d}" for number in range(24)]
FEW = "w_close,w_ret,w_rsi_14"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """Two workers of a thread each; tests that end them have their own."""
    with dask_cluster(tmp_path_factory.mktemp("cluster"), 2) as running:
        yield running


@pytest.fixture(autouse=True)
def small_tasks_and_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weekly_cli.run.cuts.LEAST_TASK_ROWS", 1)
    monkeypatch.setattr(sizes, "_MOST_CHUNK_ROWS", 200)


def clustered(folder: Path) -> Path:
    return write(daily(SYMBOLS, order="symbol"), folder / "prices.parquet", row_group_size=240)


def by_date(folder: Path) -> Path:
    return write(daily(SYMBOLS), folder / "prices.parquet", row_group_size=100)


def a_file_a_symbol(folder: Path) -> Path:
    return write_files(daily(SYMBOLS, order="symbol"), folder / "prices", len(SYMBOLS))


def on_cluster(source: Path, output: Path, cluster: DaskCluster, **settings: object) -> Report:
    given = {"jobs": -1, "strategy": "batched", "features": FEW, "engine": "dask", "scheduler": cluster.address}
    return report_of(source, output, **given | settings)


def on_loky(source: Path, output: Path, **settings: object) -> Report:
    return report_of(source, output, **{"jobs": 2, "strategy": "batched", "features": FEW, **settings})


# ---- the same output -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [clustered, by_date, a_file_a_symbol])
def test_the_output_is_that_of_the_local_pool_to_the_bit(
    layout: Callable[[Path], Path], cluster: DaskCluster, tmp_path: Path
) -> None:
    source = layout(tmp_path)
    local = on_loky(source, tmp_path / "local", cross_section="rank(w_ret)")
    far = on_cluster(source, tmp_path / "far", cluster, cross_section="rank(w_ret)")
    assert far.tasks == local.tasks > 2
    assert picture(tmp_path / "far") == picture(tmp_path / "local")
    assert (far.bytes_partitioned > 0) == (local.bytes_partitioned > 0) == (layout is by_date)
    assert {task.worker for task in far.timeline.tasks} == {1, 2}
    assert all(0 <= task.start <= task.end <= far.seconds["total"] + 1 for task in far.timeline.tasks)
    assert f"threads of 2 workers at {cluster.address}" in far.worker_limits
    assert names_beside(tmp_path / "far") == sorted(["far", "local", source.name])


def test_a_worker_that_dies_in_the_middle_costs_time_only(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = by_date(tmp_path)
    on_loky(source, tmp_path / "local")
    monkeypatch.setattr("weekly_cli.run.fan_out.run_task", PoisonedOnce({"S11": "SIGKILL"}, tmp_path / "died"))
    report = on_cluster(source, tmp_path / "far", cluster)
    assert (tmp_path / "died").is_dir()
    assert (report.rejected, report.warnings) == ((), ())
    assert picture(tmp_path / "far") == picture(tmp_path / "local")


def test_the_command_says_where_it_ran(cluster: DaskCluster, tmp_path: Path) -> None:
    source = by_date(tmp_path)
    words = (source, "-o", tmp_path / "out", "--strategy", "batched", "--features", FEW, "--engine", "dask")
    done = run_cli("build", *words, env={"DASK_SCHEDULER_ADDRESS": cluster.address, "PYTHONWARNINGS": "default"})
    assert done.returncode == 0, done.stderr
    assert "cluster" in done.stderr
    assert f"workers at {cluster.address}" in " ".join(done.stderr.split())
    assert "distributed" not in done.stderr
    planned = run_cli("plan", *words, "--scheduler", cluster.address, "--json")
    assert json.loads(planned.stdout)["cluster"].startswith("2 threads of 2 workers at tcp://127.0.0.1:")


def test_small_data_stay_here(cluster: DaskCluster, tmp_path: Path) -> None:
    report = on_cluster(by_date(tmp_path), tmp_path / "out", cluster, strategy="auto")
    assert report.strategy == "direct"


def test_a_cluster_of_this_machine(tmp_path: Path) -> None:
    source = by_date(tmp_path)
    on_loky(source, tmp_path / "local")
    given = {"jobs": 2, "strategy": "batched", "features": FEW, "engine": "dask"}
    report = report_of(source, tmp_path / "far", **given)
    assert (report.workers, report.bytes_partitioned > 0) == (2, True)
    assert picture(tmp_path / "far") == picture(tmp_path / "local")


# ---- what fails ------------------------------------------------------------------------------------------


def test_a_symbol_that_kills_every_worker_is_left_out(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = clustered(tmp_path)
    on_loky(source, tmp_path / "local")
    monkeypatch.setattr("weekly_cli.run.fan_out.run_task", Poisoned({"S11": "SIGKILL"}))
    report = on_cluster(source, tmp_path / "far", cluster, strategy="per-symbol")
    assert report.rejected == (("S11", "2 worker processes died over it"),)
    assert report.exit_code == EXIT_SYMBOLS_FAILED
    wanted = read(tmp_path / "local")
    keep = pa.array([symbol != "S11" for symbol in wanted.column("symbol").to_pylist()])
    assert read(tmp_path / "far").equals(wanted.filter(keep))


def test_a_symbol_that_raises_or_hangs_is_left_out(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisons = {"S03": "an exception", "S17": "sys.exit", "S20": "a hang"}
    monkeypatch.setattr("weekly_cli.run.fan_out.run_task", Poisoned(poisons))
    source = clustered(tmp_path)
    report = on_cluster(source, tmp_path / "out", cluster, strategy="per-symbol", task_timeout=2.0)
    assert dict(report.rejected) == {
        "S03": "ArithmeticError: a poisonous symbol",
        "S17": "SystemExit: 3",
        "S20": "took longer than 2 s (--task-timeout)",
    }
    assert report.symbols == len(SYMBOLS) - 3


def test_input_that_a_worker_refuses_is_refused_as_ever(cluster: DaskCluster, tmp_path: Path) -> None:
    table = daily(SYMBOLS)
    source = write(pa.concat_tables([table, table.slice(0, 1)]), tmp_path / "prices.parquet")
    with pytest.raises(InputRefused, match="repeat a symbol's date"):
        on_cluster(source, tmp_path / "out", cluster)
    assert names_beside(source) == ["prices.parquet"]


def test_a_scheduler_that_goes_away_is_told_and_the_same_command_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = by_date(tmp_path)
    on_loky(source, tmp_path / "local")
    (tmp_path / "cluster").mkdir()
    with dask_cluster(tmp_path / "cluster", 1) as cluster:
        with monkeypatch.context() as patched:
            patched.setattr("weekly_cli.run.fan_out.run_task", slow)
            told = f"{cluster.address} went away; start it"
            with killed_meanwhile(cluster, tmp_path), pytest.raises(ClusterError, match=told):
                on_cluster(source, tmp_path / "far", cluster, jobs=1)
        assert at_work(tmp_path)
        cluster.start_scheduler(port=int(cluster.address.rpartition(":")[2]))
        cluster.start_worker()
        cluster.wait_for_workers(1)
        report = on_cluster(source, tmp_path / "far", cluster)
    assert any(task.state == "resumed" for task in report.timeline.tasks)
    assert read(tmp_path / "far").equals(read(tmp_path / "local"))


@contextlib.contextmanager
def killed_meanwhile(cluster: DaskCluster, folder: Path) -> Iterator[None]:
    """Kill the scheduler as soon as two parts are there."""
    import threading

    def kill() -> None:
        if wait_for(lambda: len(at_work(folder)) > 1, 30) and cluster.scheduler is not None:
            cluster.scheduler.kill()
            cluster.scheduler.wait()

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_an_interrupt_takes_the_tasks_back(cluster: DaskCluster, tmp_path: Path) -> None:
    """Of 120 tasks, in the first few."""
    source = write(daily([f"S{number:03d}" for number in range(120)], 250), tmp_path / "prices.parquet")
    words = (source, "-o", tmp_path / "out", "--strategy", "per-symbol", "--engine", "dask")
    with start_cli("build", *words, "--scheduler", cluster.address) as process:
        assert wait_for(lambda: len(at_work(tmp_path)) > 1, 40)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=6)
    assert process.returncode == 130
    assert "interrupted" in said
    assert wait_for(lambda: not tasks_of(cluster), 10)


def tasks_of(cluster: DaskCluster) -> dict[str, int]:
    from distributed import Client

    with Client(cluster.address, set_as_default=False) as client:
        held = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
    return {"tasks": held} if held else {}


# ---- what is refused -------------------------------------------------------------------------------------


def test_no_scheduler_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_connect, "_CONNECT_SECONDS", 0.5)
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9: .*; start one"):
        report_of(by_date(tmp_path), tmp_path / "out", engine="dask", scheduler="tcp://127.0.0.1:9")
    assert names_beside(tmp_path / "out") == ["prices.parquet"]


def test_a_cluster_of_other_versions_or_without_workers_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_connect, "_CONNECT_SECONDS", 2.0)
    metadata = tmp_path / "old/numpy-1.0.dist-info/METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0\n")
    (tmp_path / "cluster").mkdir()
    source = by_date(tmp_path)
    with dask_cluster(tmp_path / "cluster", 0) as cluster:
        with pytest.raises(ClusterError, match="has no workers; start some: dask worker tcp://"):
            on_cluster(source, tmp_path / "out", cluster)
        monkeypatch.setattr(dask_connect, "_CONNECT_SECONDS", 20.0)
        cluster.start_worker("--no-nanny", env={"PYTHONPATH": str(tmp_path / "old")})
        with pytest.raises(ClusterError, match=r"worker tcp://\S+ has numpy 1\.0 and not .*; pip install 'numpy=="):
            on_cluster(source, tmp_path / "out", cluster)
    assert not (tmp_path / "out").exists()


def test_workers_that_do_not_see_the_files_are_refused(
    cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weekly_cli.files.markers.write_start_marker", lambda _: None)
    with pytest.raises(ClusterError, match=r"does not reach what this process does: .*-work is not there"):
        on_cluster(by_date(tmp_path), tmp_path / "out", cluster)


def test_a_scheduler_without_the_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="scheduler names a Dask cluster; add --engine dask"):
        report_of(by_date(tmp_path), tmp_path / "out", scheduler="tcp://127.0.0.1:8786")


def test_an_address_that_is_none_is_refused() -> None:
    done = run_cli("plan", "prices", "--engine", "dask", "--scheduler", "host")
    assert done.returncode == 2
    assert "takes an address such as tcp://host:8786, not 'host'" in done.stderr
