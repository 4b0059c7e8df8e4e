"""What an output's name says, and whose the default name is."""

from __future__ import annotations

from pathlib import Path

import pytest
from frames import daily, read, run_cli, write

import weekly_cli
from weekly_cli.errors import OutputConflict, UsageError
from weekly_cli.run import pipeline
from weekly_cli.settings import from_python, resolve


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(), tmp_path_factory.mktemp("prices") / "prices.parquet")


@pytest.mark.parametrize(
    ("name", "is_file"),
    [
        *((f"weekly{suffix}", True) for suffix in (".parquet", ".pq", ".parq", ".PQ")),
        *(
            (name, False)
            for name in ("weekly", "v1.2", "weekly/", "weekly.csv/", "weekly.parquet/", ".hidden", "2024.01")
        ),
    ],
)
def test_a_name_is_a_file_or_a_folder(prices: Path, tmp_path: Path, name: str, is_file: bool) -> None:
    output = f"{tmp_path}/{name}"
    for _ in range(2):  # the second one replaces the first
        weekly_cli.build(prices, output, features="w_ret")
        assert (Path(output).is_file(), Path(output).is_dir()) == (is_file, not is_file)
    assert read(Path(output)).num_rows == 180
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", ["weekly.csv", "weekly.feather", "weekly.parquet.gz", "weekly.parqet"])
def test_another_type_of_file_is_refused_and_each_way_out_works(prices: Path, tmp_path: Path, name: str) -> None:
    output = f"{tmp_path}/{name}"
    with pytest.raises(UsageError) as refused:
        weekly_cli.build(prices, output)
    with pytest.raises(UsageError):
        pipeline.plan_only(resolve(from_python({"input": str(prices), "output": output})))
    assert list(tmp_path.iterdir()) == []
    plain = output.removesuffix(Path(name).suffix)
    ways_out = (f"{plain}.parquet", plain, f"{output}/")
    if name != "weekly.parquet.gz":  # what is left of it is a file's name already
        for way_out in ways_out:
            assert f" {way_out} " in str(refused.value).replace(".pq, .parq", "")
            weekly_cli.build(prices, way_out, features="w_ret")
    (tmp_path / name).mkdir(exist_ok=True)
    assert weekly_cli.build(prices, output, features="w_ret").rows == 180, "a folder that is there has this name"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Where the default output was built from one of two inputs."""
    for name, symbol in (("one", "AAA"), ("two", "BBB")):
        write(daily([symbol]), tmp_path / name / "prices.parquet")
    pipeline.run(config_of(tmp_path, "one"))
    return tmp_path


def config_of(folder: Path, *names: str, **settings: str) -> pipeline.Config:
    """The settings of a build in a folder; `output` as if the default was taken there."""
    given = resolve(from_python({"input": [str(folder / name) for name in names], **settings}))
    if "output" not in settings:
        object.__setattr__(given, "output", str(folder / "daily_weekly"))
    return given


@pytest.mark.parametrize("names", [["two"], ["two/prices.parquet"]])
def test_the_default_output_of_another_input_is_not_replaced(other: Path, names: list[str]) -> None:
    before = read(other / "daily_weekly")
    for what in (pipeline.run, pipeline.plan_only):
        with pytest.raises(OutputConflict, match=r"was built from another input: .*one; pass -o NAME to keep it"):
            what(config_of(other, *names))
    assert read(other / "daily_weekly").equals(before)
    pipeline.run(config_of(other, *names, output=str(other / "daily_weekly")))
    assert read(other / "daily_weekly").column("symbol")[0].as_py() == "BBB", "its name was given"


@pytest.mark.parametrize("names", [["one"], ["one/prices.parquet"], ["one/*.parquet"], ["two", "one"]])
def test_the_default_output_of_the_same_input_is_replaced(other: Path, names: list[str]) -> None:
    assert pipeline.run(config_of(other, *names)).rows == 60 * len(names)


@pytest.mark.slow
def test_the_command_and_its_advice(other: Path) -> None:
    done = run_cli("build", "two", cwd=other)
    assert done.returncode == 6
    assert done.stderr.startswith("weekly-cli: daily_weekly, the default output, was built from another input: ")
    assert run_cli("build", "two", "-o", "NAME", "-q", cwd=other).returncode == 0
    assert run_cli("build", "two", "-o", "daily_weekly", "-q", cwd=other).returncode == 0
