"""Settings: where they come from, which of them wins, and what is refused."""

from __future__ import annotations

import dataclasses
import datetime
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from frames import daily, environment, run_cli, write
from hypothesis import given, settings
from hypothesis import strategies as st

import weekly_cli
from weekly_cli.errors import UsageError
from weekly_cli.names import ROLES
from weekly_cli.settings import SETTINGS, Config, from_environment, from_file, from_flags, from_python
from weekly_cli.settings import resolve as resolved
from weekly_cli.settings.kinds import Size
from weekly_cli.settings.sources import NO_INPUT, Given, unknown_variables
from weekly_cli.settings.table import Source


def settings_file(folder: Path, text: str, name: str = "weekly.toml") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def resolve(given: dict[str, Any], folder: Path | None = None) -> Config:
    """The settings of a function's arguments, over those of the file in a folder."""
    return resolved(from_file(folder) if folder else {}, from_python(given))


def parse_bytes(_: str, value: Any) -> int | None:
    return Size().check(value)


def refusal(given: dict[str, Any], folder: Path | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        resolve(given, folder)
    text = str(caught.value)
    assert text == " ".join(text.splitlines())
    return text


# ---- precedence ------------------------------------------------------------------------------------------


def test_nothing_but_an_input_gives_the_defaults() -> None:
    assert resolve({"input": "prices"}) == Config(input=("prices",))


def test_what_is_given_beats_the_file(tmp_path: Path) -> None:
    folder = settings_file(tmp_path, 'input = "file"\noutput = "file"\njobs = 2\nmemory-limit = "2GB"\nweek = "W-SUN"')
    found = resolve({"input": "given", "jobs": -2, "memory_limit": "auto"}, folder)
    assert found == Config(input=("given",), output="file", jobs=-2, memory_limit=None, week="W-SUN")


@pytest.mark.parametrize("nothing", [None, (), []], ids=repr)
def test_what_is_not_given_leaves_the_file(tmp_path: Path, nothing: object) -> None:
    folder = settings_file(tmp_path, 'input = "file"\nbenchmark = "SPY"')
    assert resolve({"input": None, "benchmark": nothing}, folder) == Config(input=("file",), benchmark=("SPY",))


def test_false_beats_the_file_too(tmp_path: Path) -> None:
    folder = settings_file(tmp_path, 'input = "file"\nstrict = true')
    assert resolve({"strict": False}, folder).strict is False


#: What a source says of a setting, and how an error about it names where that came from.
SOURCES: dict[str, Callable[[Path], tuple[Mapping[str, Any], str]]] = {
    "flag": lambda _: (from_flags({"jobs": "two"}), "--jobs takes a whole number, not 'two'"),
    "variable": lambda _: (from_environment({"WEEKLY_CLI_JOBS": "two"}), "WEEKLY_CLI_JOBS takes a whole number"),
    "file": lambda folder: (from_file(settings_file(folder, "jobs = 'two'")), "jobs in {folder}/weekly.toml takes a"),
    "project": lambda folder: (
        from_file(settings_file(folder, "[tool.weekly-cli]\njobs = 'two'", "pyproject.toml")),
        "jobs in {folder}/pyproject.toml takes a whole number",
    ),
    "python": lambda _: (from_python({"jobs": "two"}), "jobs takes a whole number, not 'two'"),
}


@pytest.mark.parametrize("source", SOURCES)
def test_an_error_names_where_a_value_came_from(tmp_path: Path, source: str) -> None:
    layer, said = SOURCES[source](tmp_path)
    with pytest.raises(UsageError) as caught:
        resolved({"input": Given("x", "INPUT")}, layer)
    assert str(caught.value).startswith(said.format(folder=tmp_path))


def test_only_the_value_that_wins_is_read(tmp_path: Path) -> None:
    settings_file(tmp_path, "input = 'x'\njobs = 'two'")
    found = resolved(from_file(tmp_path), from_environment({"WEEKLY_CLI_JOBS": "three"}), from_flags({"jobs": "4"}))
    assert found.jobs == 4
    assert found.named("jobs") == "--jobs"
    assert found.named("input") == f"input in {tmp_path}/weekly.toml"
    assert found.named("week") == "--week"


OF_THE_COMMAND_LINE = [name for name, row in SETTINGS.items() if not row.sources & (Source.FILE | Source.ENVIRONMENT)]


@pytest.mark.parametrize("name", OF_THE_COMMAND_LINE)
def test_some_settings_are_read_from_the_command_line_alone(tmp_path: Path, name: str) -> None:
    settings_file(tmp_path, f"{name} = true")
    with pytest.raises(UsageError, match=f"weekly.toml: {name} is read from the command line alone"):
        from_file(tmp_path)
    variable = f"WEEKLY_CLI_{name.upper()}"
    assert from_environment({variable: "1"}) == {}
    (sentence,) = unknown_variables({variable: "1"})
    assert sentence.startswith(f"{variable} has no effect: --{name.replace('_', '-')} is read from the command line")
    assert getattr(resolved({"input": Given("x", "INPUT")}, from_flags({name: True})), name) is True


def test_a_variable_of_no_setting_comes_with_a_suggestion() -> None:
    environment = {"WEEKLY_CLI_JBOS": "2", "WEEKLY_CLI_JOBS": "2", "WEEKLY_CLI_FAILPOINT": "x", "HOME": "/"}
    assert unknown_variables(environment) == [
        "WEEKLY_CLI_JBOS has no effect: there is no such setting; did you mean WEEKLY_CLI_JOBS?"
    ]


def test_a_tilde_is_the_home_folder_wherever_a_path_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "symbols.txt").write_text("A\nB\n")
    for name, row in SETTINGS.items():
        if row.kind.metavar.startswith("PATH"):
            layer = {"input": Given("x", "INPUT"), "cross_section": Given("rank(w_ret)", "--cross-section", True)}
            layer |= from_flags({name: ["~/x"] if row.kind.repeatable else "~/x"})
            assert str(tmp_path / "x") in getattr(resolved(layer), name)
    assert resolve({"input": "x", "symbols": "@~/symbols.txt"}).symbols == ("A", "B")
    assert resolve({"input": "~no-such-user/x"}).input == ("~no-such-user/x",)


def test_what_only_the_command_has_is_no_argument_of_a_function() -> None:
    for name in ("quiet", "json", "report"):
        with pytest.raises(UsageError, match=f"{name} is a setting of the command line"):
            resolve({"input": "x", name: True})


@pytest.mark.slow
def test_a_flag_beats_the_environment_beats_the_file_through_the_command(tmp_path: Path) -> None:
    write(daily(), tmp_path / "prices.parquet")
    settings_file(tmp_path, 'input = "prices.parquet"\nstrategy = "batched"')

    def strategy(*flags: str, env: dict[str, str] | None = None) -> str:
        done = run_cli("plan", "--json", *flags, cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["strategy"]).split()[0].rstrip(":,")

    environment = {"WEEKLY_CLI_STRATEGY": "per-symbol"}
    assert strategy() == "batched"
    assert strategy(env=environment) == "per-symbol"
    assert strategy("--strategy", "adaptive", env=environment) == "adaptive"


# ---- files -----------------------------------------------------------------------------------------------


def test_weekly_toml_beats_the_table_of_pyproject(tmp_path: Path) -> None:
    settings_file(tmp_path, '[tool.weekly-cli]\ninput = "project"\njobs = 3', "pyproject.toml")
    assert resolve({}, tmp_path) == Config(input=("project",), jobs=3)
    settings_file(tmp_path, 'input = "weekly"')
    assert resolve({}, tmp_path) == Config(input=("weekly",)), "one file counts, the other is not mixed in"


@pytest.mark.parametrize("text", ["", "[project]\nname = 'x'\n", "[tool.other]\ninput = 'x'\n"], ids=repr)
def test_a_pyproject_of_other_tools_says_nothing(tmp_path: Path, text: str) -> None:
    settings_file(tmp_path, text, "pyproject.toml")
    assert resolve({"input": "given"}, tmp_path) == Config(input=("given",))
    assert refusal({}, tmp_path) == NO_INPUT


def test_without_a_folder_no_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings_file(tmp_path, 'input = "file"\njobs = 3')
    monkeypatch.chdir(tmp_path)
    assert resolve({"input": "given"}) == Config(input=("given",))
    assert refusal({}) == NO_INPUT


@pytest.mark.parametrize("name", ["on-duplicates", "on_duplicates"])
def test_names_may_have_hyphens_or_underscores(tmp_path: Path, name: str) -> None:
    folder = settings_file(tmp_path, f'input = "x"\n{name} = "last"')
    assert resolve({}, folder).on_duplicates == "last"


@pytest.mark.parametrize("name", ["weekly.toml", "pyproject.toml"])
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"input = \xff")
    said = refusal({"input": "x"}, tmp_path)
    assert str(tmp_path / name) in said
    assert "TOML" in said


def test_no_input_names_the_three_ways() -> None:
    for given_input in (None, ""):
        said = refusal({"input": given_input, "jobs": 2})
        for way in ("first argument", "WEEKLY_CLI_INPUT", "weekly.toml", "[tool.weekly-cli]", "pyproject.toml"):
            assert way in said


# ---- unknown settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [("jbos", "jobs"), ("featuers", "features"), ("memory_limits", "memory_limit")])
def test_an_unknown_setting_comes_with_a_suggestion(tmp_path: Path, wrong: tuple[str, str]) -> None:
    typed, meant = wrong
    assert f"did you mean {meant}?" in refusal({"input": "x", typed: 1})
    settings_file(tmp_path, f"input = 'x'\n{typed} = 1")
    said = refusal({}, tmp_path)
    assert typed in said
    assert f"did you mean {meant}?" in said
    assert str(tmp_path / "weekly.toml") in said


def test_an_unknown_setting_like_no_other_gets_no_suggestion() -> None:
    said = refusal({"input": "x", "zzzzzz": 1})
    assert "zzzzzz" in said
    assert "did you mean" not in said


# ---- refusals --------------------------------------------------------------------------------------------

HUGE = "1" + "0" * 400
REFUSED: list[tuple[str, Any, str]] = [
    ("rows", "week", "did you mean weekly?"),
    ("columns_out", 3, "text"),
    ("order", "date", "symbol, input"),
    ("prefix", "a b", "underscores"),
    ("date_type", "datetime", "timestamp"),
    ("input", 3, "text"),
    ("output", ["x"], "text"),
    ("columns", "close", "ROLE=COLUMN"),
    ("columns", "", "ROLE=COLUMN"),
    ("columns", "symbol=T,Last", "ROLE=COLUMN"),
    ("columns", "price=Last", "close"),
    ("columns", {"price": "Last"}, "close"),
    ("columns", {"close": 3}, "text"),
    ("columns", 3, "list"),
    ("week", "FRI", "W-FRI"),
    ("week", "w-fri", "W-FRI"),
    ("week", 5, "W-FRI"),
    ("week", ["W-FRI"], "W-FRI"),
    ("available", "now", "next-week"),
    ("developing", "often", "true"),
    ("cross_section", "rank w_ret", "rank(COLUMN) or zscore(COLUMN), with or without by GROUP, not 'rank w_ret'"),
    ("cross_section", "rank(w_ret) by ", "by GROUP"),
    ("cross_section", "mean(w_ret)", "rank(COLUMN)"),
    ("cross_section", 3, "list"),
    ("universe", 3, "text"),
    ("min_group", 0, "at least 1"),
    ("every", "weekly", "week, 2W, 4W, month, quarter, not 'weekly'; did you mean week?"),
    ("every", "", "names no period"),
    ("every", 4, "list"),
    ("join", "fundamentals.parquet", "FILE:COLUMN"),
    ("join", ["f.parquet:"], "FILE:COLUMN"),
    ("join", 3, "list"),
    ("join_same_day", "often", "true"),
    ("join_max_age", 0, "at least 1"),
    ("calendar", 3, "text"),
    ("calendar", "", "empty"),
    ("calendar_map", 3, "text"),
    ("features", 3, "list"),
    ("label", "forward_retrun_4w", "did you mean forward_return_4w?"),
    ("label", 4, "list"),
    ("plugin", 3, "list"),
    ("plugin", "", "empty"),
    ("windows", "rsi", "KEY=N"),
    ("windows", "rsi=", "from 2 to 5,200 for rsi, not ''"),
    ("windows", "rsi=1", "from 2"),
    ("windows", "rsi=7,9000", "5,200"),
    ("windows", "beta=2", "from 3"),
    ("windows", "rsj=7", "rsi"),
    ("windows", "macd=12,26", "fast, slow and signal"),
    ("windows", "macd=26,12,9", "fast, slow and signal"),
    ("windows", {"rsi": "7"}, "rsi=14"),
    ("windows", {"rsi": []}, "rsi=14"),
    ("windows", {"rsi": [7.5]}, "not 7.5"),
    ("windows", 3, "list"),
    ("features", ["momentum", 3], "text"),
    ("benchmark", 3, "list"),
    ("benchmark", ["SPY", 3], "text"),
    ("sector_map", True, "text"),
    ("price", 3.0, "text"),
    ("dtype", "float16", "float32"),
    ("dtype", "float", "float64"),
    ("symbols", 3, "list"),
    ("symbols", ["A", 1], "text"),
    ("symbols", "@no-such-file", "@no-such-file"),
    ("max_symbols", 0, "at least 1"),
    ("max_symbols", -1, "at least 1"),
    ("max_symbols", 1.5, "whole"),
    ("max_symbols", True, "whole"),
    ("start", "01.03.2024", "2024-03-01"),
    ("start", "2024-02-30", "2024-03-01"),
    ("start", 20240301, "text"),
    ("end", "tomorrow", "2024-03-01"),
    ("end", False, "text"),
    ("wide", "yes", "closes"),
    ("symbol", "", "empty"),
    ("symbol_map", 1, "takes text"),
    ("date_unit", "days", "yyyymmdd"),
    ("date_format", "%d.%m", "%m/%d/%Y"),
    ("date_format", "", "%m/%d/%Y"),
    ("timezone", "Berlin", "Europe/Berlin"),
    ("on_duplicates", "drop", "last"),
    ("on_intraday", "first", "aggregate"),
    ("on_bad_rows", "first", "drop"),
    ("on_key_conflict", "folder", "path"),
    ("replace_features", "yes", "true or false"),
    ("replace_features", 1, "true or false"),
    ("negative_prices", "drop", "absolute"),
    ("drop_padding", "yes", "true or false"),
    ("adjust_volume", True, "--price"),
    ("jobs", 0, "-1"),
    ("jobs", "2", "whole"),
    ("jobs", 2.0, "whole"),
    ("jobs", True, "whole"),
    ("memory_limit", "lots", "2GB"),
    ("memory_limit", "2 G", "2GB"),
    ("memory_limit", "-1GB", "2GB"),
    ("memory_limit", "GB", "2GB"),
    ("memory_limit", "", "2GB"),
    ("memory_limit", "nan", "2GB"),
    ("memory_limit", True, "2GB"),
    ("memory_limit", 512, "unit"),
    ("memory_limit", "1023KiB", "unit"),
    ("memory_limit", 0, "unit"),
    ("memory_limit", HUGE, "2GB"),
    ("strategy", "fast", "adaptive"),
    ("strategy", "per_symbol", "per-symbol"),
    ("compression", "gzip", "zstd"),
    ("writer", "spark", "arrow"),
    ("overwrite", "false", "true or false"),
    ("allow_empty", "false", "true or false"),
    ("work_dir", 3, "takes text"),
    ("keep_replaced", -1, "number of seconds"),
    ("s3_endpoint", 3, "takes text"),
    ("s3_region", True, "takes text"),
    ("s3_anonymous", "no", "true or false"),
    ("engine", "ray", "one of loky, dask"),
    ("scheduler", "host", "tcp://"),
    ("output", "", "empty"),
    ("report", True, "takes text"),
    ("quiet", "yes", "true or false"),
    ("verbose", 1, "true or false"),
    ("if_changed", "no", "true or false"),
    ("log_file", True, "takes text"),
    ("json", 1, "true or false"),
    ("wait", "soon", "number of seconds"),
    ("wait", -1, "number of seconds"),
    ("wait", True, "number of seconds"),
    ("wait", float("inf"), "number of seconds"),
    ("wait", float("nan"), "number of seconds"),
    ("fresh", 1, "true or false"),
    ("keep_work", "no", "true or false"),
    ("fail_on", "suspected-splits", "did you mean suspected-split?"),
    ("fail_on", 3, "list of texts"),
    ("ignore", "all", "codes of findings"),
    ("strict", "no", "true or false"),
    ("task_timeout", 0, "above 0"),
    ("task_timeout", "soon", "number of seconds"),
]


@pytest.mark.parametrize(("name", "value", "word"), REFUSED, ids=lambda value: "huge" if value == HUGE else str(value))
def test_a_value_without_sense_is_refused(name: str, value: Any, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolved({"input": Given("x", "input"), name: Given(value, f"its {name}")})
    said = str(caught.value)
    assert said == " ".join(said.splitlines())
    assert said.startswith(f"its {name} ")
    assert word in said


def test_every_setting_has_a_refusal() -> None:
    assert {name for name, _, _ in REFUSED} == set(SETTINGS)
    assert {*SETTINGS, "sources"} == {entry.name for entry in dataclasses.fields(Config)}


def test_an_end_before_the_start_is_refused() -> None:
    said = refusal({"input": "x", "start": "2024-03-02", "end": "2024-03-01"})
    assert said == "end 2024-03-01 is before start 2024-03-02"
    assert resolve({"input": "x", "start": "2024-03-01", "end": "2024-03-01"}).start == datetime.date(2024, 3, 1)


@pytest.mark.parametrize("value", ["2024-03-01", datetime.date(2024, 3, 1), datetime.datetime(2024, 3, 1, 9, 30)])
def test_dates_may_have_every_form_of_toml(value: object) -> None:
    assert resolve({"input": "x", "start": value}).start == datetime.date(2024, 3, 1)


def test_a_config_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        resolve({"input": "x"}).jobs = 3  # type: ignore[misc]


# ---- sizes -----------------------------------------------------------------------------------------------

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


@settings(deadline=None)
@given(number=st.integers(1, 2**40), unit=st.sampled_from(sorted(UNITS)), blank=st.sampled_from(["", " "]))
def test_a_size_is_its_number_times_its_unit(number: int, unit: str, blank: str) -> None:
    expected = number * UNITS[unit]
    if expected < 2**20:
        with pytest.raises(ValueError, match="unit"):
            parse_bytes("memory_limit", f"{number}{blank}{unit}")
        return
    for text in (f"{number}{blank}{unit}", f"{number}{unit.lower()}", f" {number}{unit.upper()} "):
        found = parse_bytes("memory_limit", text)
        assert found is not None
        assert abs(found - expected) <= expected * 2**-52


@settings(deadline=None)
@given(size=st.integers(2**20, 2**53))
def test_plain_bytes_are_exact(size: int) -> None:
    assert parse_bytes("memory_limit", size) == parse_bytes("memory_limit", str(size)) == size


@settings(deadline=None)
@given(hundredths=st.integers(100, 10**6))
def test_a_size_may_have_decimals(hundredths: int) -> None:
    found = parse_bytes("memory_limit", f"{hundredths // 100}.{hundredths % 100:02d}GiB")
    assert found is not None
    assert abs(found - hundredths * 2**30 / 100) <= 1


@pytest.mark.slow
@settings(deadline=None)
@given(text=st.text(max_size=12))
def test_any_text_is_a_size_or_a_refusal(text: str) -> None:
    try:
        found = parse_bytes("memory_limit", text)
    except ValueError as error:
        assert str(error).startswith(("takes auto", "is more", str(text)))
    else:
        assert found is None or found >= 2**20


def test_an_automatic_size_is_none() -> None:
    assert parse_bytes("memory_limit", "auto") is None


# ---- symbols ---------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(symbols=st.lists(st.text(st.characters(exclude_characters="@,", exclude_categories=["Cs"])), min_size=1))
def test_a_list_of_symbols_is_taken_as_it_stands(symbols: list[str]) -> None:
    assert resolve({"input": "x", "symbols": symbols}).symbols == tuple(dict.fromkeys(symbols))
    assert resolve({"input": "x", "symbols": ",".join(symbols)}).symbols == tuple(dict.fromkeys(symbols))


def test_symbols_may_have_commas_and_blanks() -> None:
    assert resolve({"input": "x", "symbols": ["B,C", " A "]}).symbols == ("B,C", " A ")
    assert resolve({"input": "x", "symbols": "B,C, A "}).symbols == ("B", "C", " A ")


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=repr)
@pytest.mark.parametrize("last", [True, False])
def test_symbols_may_stand_in_a_file(tmp_path: Path, ending: str, last: bool) -> None:
    lines = ["000001", "BRK/B", "A,B", " NA", "ذوب"]
    path = tmp_path / "symbols.txt"
    path.write_bytes((ending.join(lines) + (ending if last else "")).encode())
    assert resolve({"input": "x", "symbols": f"@{path}"}).symbols == tuple(lines)
    assert resolve({"input": "x", "symbols": f"Z,@{path},NA,000001"}).symbols == ("Z", *lines, "NA")
    assert resolve({"input": "x", "symbols": ["NA", f"@{path}"]}).symbols == ("NA", *lines)


def test_a_file_of_symbols_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    """As Notepad and Excel write it: the mark is no part of the first symbol."""
    path = tmp_path / "symbols.txt"
    path.write_bytes("AAPL\nMSFT\n".encode("utf-8-sig"))
    assert resolve({"input": "x", "symbols": f"@{path}"}).symbols == ("AAPL", "MSFT")


@pytest.mark.parametrize("content", [b"\xff\xfe", None], ids=["not UTF-8", "a folder"])
def test_a_file_of_symbols_that_can_not_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "symbols.txt"
    path.mkdir() if content is None else path.write_bytes(content)
    assert f"@{path}" in refusal({"input": "x", "symbols": f"@{path}"})


# ---- columns ---------------------------------------------------------------------------------------------

ROLES_AND_COLUMNS = st.dictionaries(
    st.sampled_from(ROLES), st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1)
).filter(bool)


@settings(deadline=None)
@given(columns=ROLES_AND_COLUMNS)
def test_every_form_of_columns_says_the_same(columns: dict[str, str]) -> None:
    texts = [f"{role}={column}" for role, column in columns.items()]
    forms: list[Any] = [",".join(texts), texts, tuple(texts), columns, ", ".join(texts)]
    for form in forms:
        found = resolve({"input": "x", "columns": form})
        assert found.columns == tuple(columns.items())
        assert found.role_columns == columns


def test_a_column_may_have_an_equals_sign_and_in_a_table_a_comma(tmp_path: Path) -> None:
    assert resolve({"input": "x", "columns": "close=a=b"}).role_columns == {"close": "a=b"}
    folder = settings_file(tmp_path, 'input = "x"\ncolumns = {close = "a,b=c", symbol = "T"}')
    assert resolve({}, folder).role_columns == {"close": "a,b=c", "symbol": "T"}


def test_lists_of_features_become_one() -> None:
    assert resolve({"input": "x", "features": ["momentum", "-w_rsi_14"]}).features == "momentum,-w_rsi_14"


@pytest.mark.parametrize("name", ["input", "output", "sector_map", "work_dir"])
def test_a_path_has_no_nul(name: str) -> None:
    with pytest.raises(UsageError, match="NUL"):
        resolve({"input": "in", name: "a\0b"})


def test_a_symbol_may_have_one_but_no_files_name() -> None:
    assert resolve({"input": "in", "symbols": ["a\0b"]}).symbols == ("a\0b",)
    with pytest.raises(UsageError, match="symbols @a"):
        resolve({"input": "in", "symbols": ["@a\0b"]})


# ---- one row ---------------------------------------------------------------------------------------------

ROW = """    least_rows: int | None = _row(None, kinds.Whole(1), INPUT, "Fewest rows of a symbol.", changes_values=True)
"""


@pytest.mark.slow
def test_a_setting_is_one_row_and_its_use(tmp_path: Path) -> None:
    """A copy of the package gets one line, in one file; everything else follows."""
    package = shutil.copytree(Path(weekly_cli.__file__).parent, tmp_path / "weekly_cli")
    table = package / "settings" / "table.py"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if line.startswith("    max_symbols: "))
    table.write_text("".join([*lines[:at], ROW, *lines[at:]]), encoding="utf-8")
    write(daily(), tmp_path / "prices.parquet")

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "weekly_cli", *words], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, timeout=60, check=False, env=environment({"PYTHONPATH": str(tmp_path), **variables}),
        )  # fmt: skip

    def value(*words: str, **variables: str) -> tuple[object, str]:
        done = run("config", "--json", **variables)
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)["least_rows"]
        return shown["value"], shown["from"]

    assert "--least-rows" in run("build", "--help").stdout
    assert "--least-rows" in run("plan", "--help").stdout
    assert "least_rows" in json.loads(run("config", "--schema").stdout)["properties"]
    assert value() == ("", "default")
    assert value(WEEKLY_CLI_LEAST_ROWS="3") == (3, "WEEKLY_CLI_LEAST_ROWS")
    for words, said in (
        (("--least-rows", "many"), "--least-rows takes a whole number, not 'many'"),
        (("--least-rows", "0"), "--least-rows takes a number of at least 1, not 0"),
        (("--least-row", "5"), "--least-rows"),
    ):
        refused = run("build", "prices.parquet", *words)
        assert refused.returncode == 2
        assert said in refused.stderr
    first = run("build", "prices.parquet", "--json", "-q")
    other = run("build", "prices.parquet", "--json", "-q", "--least-rows", "5")
    assert json.loads(first.stdout)["fingerprint"] != json.loads(other.stdout)["fingerprint"]
    (tmp_path / "weekly.toml").write_text("least-rows = 4\n")
    assert value() == (4, f"least-rows in {tmp_path}/weekly.toml")
    (tmp_path / "reference.py").write_text(
        "from weekly_cli.cli import reference; print(reference.settings_table())", encoding="utf-8"
    )
    told = subprocess.run(
        [sys.executable, tmp_path / "reference.py"], env=environment(), capture_output=True, text=True, check=True
    )
    assert "| `--least-rows` | Fewest rows of a symbol. | N |  | yes |" in told.stdout
