"""The advice of errors, followed to the letter: it helps, and nothing that somebody has is lost by it."""

from __future__ import annotations

import ast
import datetime as dt
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest
from frames import build, daily, in_order, picture, run_cli, source_of, write

import weekly_cli
from weekly_cli.findings import KINDS
from weekly_cli.settings import SETTINGS

pytestmark = pytest.mark.slow

SYMBOLS = ["AAA", "BBB"]


def prices(folder: Path, table: pa.Table | None = None) -> None:
    write(daily(SYMBOLS, 120) if table is None else table, folder / "prices.parquet")


def repeated(folder: Path) -> None:
    table = daily(SYMBOLS, 120)
    prices(folder, pa.concat_tables([table, table.slice(0, 3)]))


def with_dates(dates: Callable[[list[dt.date]], list[object]]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        table = daily(SYMBOLS, 120)
        prices(folder, table.set_column(1, "date", pa.array(dates(table.column("date").to_pylist()))))

    return make


def with_a_feature(folder: Path) -> None:
    table = daily(SYMBOLS, 120)
    prices(folder, table.append_column("w_ret", table.column("close")))


def renamed(**names: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        table = daily(SYMBOLS, 120)
        prices(folder, table.rename_columns([names.get(name, name) for name in table.column_names]))

    return make


def with_two_closes(folder: Path) -> None:
    table = daily(SYMBOLS, 120)
    prices(folder, table.append_column("PX_LAST", table.column("close")))


def wide_with_a_note(folder: Path) -> None:
    columns = {"date": daily(["A"], 120).column("date"), "note": ["x"] * 120}
    prices(
        folder,
        pa.table(columns | {ticker: daily(["A"], 120).column("close") for ticker in ("AA", "BB", "CC", "DD", "EE")}),
    )


def beside(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def both(folder: Path) -> None:
        prices(folder)
        make(folder)

    return both


def notes_in_the_output(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "notes.txt").write_text("precious")


def somebodys_prices_in_the_output(folder: Path) -> None:
    write(daily(["ZZZ"], 10), folder / "out" / "p.parquet")


def somebodys_work_folder(folder: Path) -> None:
    (folder / ".out.weekly-cli-work").mkdir()
    (folder / ".out.weekly-cli-work" / "notes.txt").write_text("precious")
    (folder / "work").mkdir()


def a_good_table(folder: Path) -> None:
    build(folder / "prices.parquet", folder / "out")


def moved_input(folder: Path) -> None:
    a_good_table(folder)
    (folder / "prices.parquet").rename(folder / "moved.parquet")


def overwrite_in_the_file(folder: Path) -> None:
    (folder / "weekly.toml").write_text("overwrite = true\n")


def without_symbols(folder: Path) -> None:
    """One symbol's rows, and a text that could be a symbol."""
    table = daily(["AAA"], 120)
    prices(folder, table.rename_columns(["note", *table.column_names[1:]]))


def several_moments(folder: Path) -> None:
    table = daily(SYMBOLS, 120)
    noon, later = (
        table.set_column(1, "date", pa.array([dt.datetime.combine(day, dt.time(hour)) for day in days]))
        for hour in (12, 15)
        for days in (table.column("date").to_pylist(),)
    )
    prices(folder, pa.concat_tables([noon, later]))


def two_series(folder: Path) -> None:
    table = daily(SYMBOLS, 120)
    prices(folder, pa.concat_tables([table.append_column("series", pa.array([name] * 240)) for name in ("EQ", "BE")]))


def in_a_folder_of_another(folder: Path) -> None:
    write(daily(["AAA"]), folder / "folders" / "symbol=BBB" / "prices.parquet")


@dataclass(frozen=True)
class Advice:
    """A command that is refused, what its error says, and the commands that follow it to the letter.

    `{name}` in these is the group of that name in `says`. `changes` are the entries that may differ afterwards.
    """

    make: Callable[[Path], None]
    refused: str
    says: str
    follows: tuple[str, ...]
    changes: tuple[str, ...] = ("out", "other")


BUILD = "build prices.parquet -o out -q"
ADVICE: dict[str, Advice] = {
    "repeated rows": Advice(
        repeated,
        BUILD,
        r"remove them, or pass (?P<flag>--on-duplicates) (?P<a>first) or (?P<b>last)",
        (f"{BUILD} {{flag}} {{a}}", f"{BUILD} {{flag}} {{b}}"),
    ),
    "rows without a date": Advice(
        with_dates(lambda dates: [None, *dates[1:]]),
        BUILD,
        r"or pass (?P<flag>--on-bad-rows drop)",
        (f"{BUILD} {{flag}}",),
    ),
    "a date that is none": Advice(
        with_dates(lambda dates: ["14.03.2024", *map(str, dates[1:])]),
        BUILD,
        r"or pass (?P<flag>--on-bad-rows drop)",
        (f"{BUILD} {{flag}}",),
    ),
    "dates of another format": Advice(
        with_dates(lambda dates: [f"{day:%d.%m.%Y}" for day in dates]),
        BUILD,
        r'pass (?P<flag>--date-format "[^"]+")',
        (f"{BUILD} {{flag}}",),
    ),
    "dates that are numbers": Advice(
        with_dates(lambda dates: [(day - dates[0]).days * 86_400 for day in dates]),
        BUILD,
        r"pass (?P<flag>--date-unit) with one of yyyymmdd, d, (?P<unit>s), .*, or choose another column with --columns",
        (f"{BUILD} {{flag}} {{unit}}",),
    ),
    "no symbol": Advice(
        without_symbols,
        BUILD,
        r"(?P<role>--columns symbol=)NAME, or pass (?P<flag>--symbol AAA) .*, or (?P<file>--columns symbol=@file) if",
        (f"{BUILD} {{role}}note", f"{BUILD} {{flag}}", f"{BUILD} {{file}}"),
    ),
    "a symbol and one more": Advice(
        prices, f"{BUILD} --symbol AAA", r"has the column 'symbol' for symbol; leave out (?P<flag>--symbol)", (BUILD,)
    ),
    "intraday rows": Advice(
        several_moments,
        BUILD,
        r"pass (?P<flag>--on-intraday aggregate) to .*, or (?P<other>--on-duplicates) (?P<a>first) or (?P<b>last)",
        (f"{BUILD} {{flag}}", f"{BUILD} {{other}} {{a}}", f"{BUILD} {{other}} {{b}}"),
    ),
    "two series": Advice(
        two_series, BUILD, r"pass (?P<flag>--columns symbol=symbol\+series), as", (f"{BUILD} {{flag}}",)
    ),
    "a key that differs": Advice(
        in_a_folder_of_another,
        "build folders -o out -q",
        r"or pass (?P<flag>--on-key-conflict) (?P<a>path) or (?P<b>column)",
        ("build folders -o out -q {flag} {a}", "build folders -o out -q {flag} {b}"),
    ),
    "columns that are there": Advice(
        with_a_feature,
        BUILD,
        r"pass (?P<flag>--replace-features) to .* out with (?P<other>--features), .* with (?P<third>--prefix)",
        (f"{BUILD} {{flag}}", f"{BUILD} {{other}} all,-w_ret", f"{BUILD} {{third}} W_"),
    ),
    "a role without a column": Advice(
        renamed(close="Schluss"),
        BUILD,
        r"name it with (?P<flag>--columns close=)NAME",
        (f"{BUILD} {{flag}}Schluss",),
    ),
    "a role with two columns": Advice(
        with_two_closes,
        BUILD,
        r"more than one column for close: (?P<a>\w+), (?P<b>\w+); choose with (?P<flag>--columns close=)NAME",
        (f"{BUILD} {{flag}}{{a}}", f"{BUILD} {{flag}}{{b}}"),
    ),
    "a column of another type": Advice(
        renamed(date="day_text"),
        f"{BUILD} --columns date=volume",
        r"choose another column with (?P<flag>--columns date=)NAME",
        (f"{BUILD} {{flag}}day_text",),
    ),
    "a note in a wide table": Advice(
        wide_with_a_note,
        BUILD,
        r"pass (?P<flag>--wide closes) to leave out",
        (f"{BUILD} {{flag}}",),
    ),
    "a small budget": Advice(
        prices,
        f"{BUILD} --memory-limit 8MiB --strategy batched",
        r"pass (?P<flag>--memory-limit \d+MiB) or more",
        (f"{BUILD} {{flag}} --strategy batched",),
    ),
    "nothing left": Advice(
        prices,
        f"{BUILD} --start 2030-01-01",
        r"or pass (?P<flag>--allow-empty) to",
        (f"{BUILD} --start 2030-01-01 {{flag}}",),
    ),
    "somebody's notes": Advice(
        beside(notes_in_the_output),
        BUILD,
        r"choose another (?P<flag>--output), or move it away",
        (f"{BUILD} {{flag}} other",),
        ("other",),
    ),
    "somebody's prices": Advice(
        beside(somebodys_prices_in_the_output),
        BUILD,
        r"choose another (?P<flag>--output), or move it away",
        (f"{BUILD} {{flag}} other",),
        ("other",),
    ),
    "the input": Advice(
        prices,
        "build prices.parquet -o prices.parquet -q",
        r"choose another (?P<flag>--output)",
        ("build prices.parquet -q {flag} other",),
        ("other",),
    ),
    "the current folder": Advice(
        prices,
        "build prices.parquet -o . -q --overwrite",
        r"choose another (?P<flag>--output)",
        ("build prices.parquet -q --overwrite {flag} other",),
        ("other",),
    ),
    "no input": Advice(
        prices,
        "build -q -o out",
        r"weekly-cli (?P<command>build) PRICES.*(?P<toml>weekly\.toml)",
        ("{command} prices.parquet -q -o out",),
    ),
    "an input that has moved": Advice(
        beside(moved_input),
        "verify out",
        r"name its new location with (?P<flag>--input)",
        ("verify out {flag} moved.parquet",),
        (),
    ),
    "a table that says nothing": Advice(
        lambda folder: prices(folder, in_order(daily(SYMBOLS, 120))),
        "verify prices.parquet",
        r"name it with (?P<flag>--input)",
        ("verify prices.parquet {flag} prices.parquet",),
        (),
    ),
    "somebody's work folder": Advice(
        beside(somebodys_work_folder),
        BUILD,
        r"move it, or pass (?P<flag>--work-dir)",
        (f"{BUILD} {{flag}} work",),
    ),
    "a work folder that is none": Advice(
        prices,
        f"{BUILD} --work-dir nowhere",
        r"(?P<flag>--work-dir) nowhere is not a directory",
        (f"{BUILD} {{flag}} .",),
    ),
    "a setting of the command line": Advice(
        beside(overwrite_in_the_file),
        BUILD,
        r"take it out there",
        (),
        (),
    ),
    "a report that would be lost": Advice(
        prices,
        f"{BUILD} --report prices.parquet",
        r"(?P<flag>--report) .* choose another file",
        (f"{BUILD} {{flag}} other",),
    ),
    "a folder that is not empty": Advice(
        prices,
        "sample .",
        r"choose a new or an empty folder",
        ("sample other --symbols 2 --years 1",),
    ),
    "workers and none": Advice(
        prices,
        f"{BUILD} --task-timeout 60 --strategy direct",
        r"(?P<flag>--task-timeout) ends workers.*leave one",
        (f"{BUILD} {{flag}} 60", f"{BUILD} --strategy direct"),
    ),
    "nearly a feature": Advice(
        prices,
        f"{BUILD} --features momentun",
        r"did you mean (?P<name>\w+)\?",
        (f"{BUILD} --features {{name}}",),
    ),
    "nearly a symbol": Advice(
        prices,
        f"{BUILD} --symbols AAB",
        r"did you mean (?P<name>\w+)\?",
        (f"{BUILD} --symbols {{name}}",),
    ),
}


@pytest.mark.parametrize("name", ADVICE)
def test_advice_helps_and_nothing_is_lost_by_it(tmp_path: Path, name: str) -> None:
    one = ADVICE[name]
    one.make(tmp_path)
    before = picture(tmp_path)
    refused = run_cli(*shlex.split(one.refused), cwd=tmp_path)
    assert refused.returncode in (2, 3, 5, 6), refused.stderr
    assert picture(tmp_path) == before
    found = re.search(one.says, refused.stderr)
    assert found, refused.stderr
    for command in one.follows:
        done = run_cli(*shlex.split(command.format(**found.groupdict())), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        after = picture(tmp_path)
        kept = {path: data for path, data in before.items() if path.split("/")[0] not in one.changes}
        assert kept.items() <= after.items()


@pytest.mark.parametrize("make", [notes_in_the_output, somebodys_prices_in_the_output])
def test_what_is_in_the_way_may_be_moved(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """The other half of that advice: what was moved stays, and the same command works."""
    beside(make)(tmp_path)
    assert "move it away" in run_cli(*shlex.split(BUILD), cwd=tmp_path).stderr
    (stranger,) = (tmp_path / "out").iterdir()
    data = stranger.read_bytes()
    moved = stranger.rename(tmp_path / "moved")
    assert run_cli(*shlex.split(BUILD), cwd=tmp_path).returncode == 0
    assert moved.read_bytes() == data


def test_no_input_may_be_said_in_the_environment_or_the_file(tmp_path: Path) -> None:
    prices(tmp_path)
    assert run_cli("build", "-q", cwd=tmp_path, env={"WEEKLY_CLI_INPUT": "prices.parquet"}).returncode == 0
    (tmp_path / "weekly.toml").write_text('input = "prices.parquet"\n')
    assert run_cli("build", "-q", cwd=tmp_path).returncode == 0
    (tmp_path / "weekly.toml").rename(tmp_path / "pyproject.toml")
    (tmp_path / "pyproject.toml").write_text('[tool.weekly-cli]\ninput = "prices.parquet"\n')
    assert run_cli("build", "-q", cwd=tmp_path).returncode == 0


def adjusted(table: pa.Table) -> pa.Table:
    return table.append_column("adj_close", pa.compute.divide(table.column("close"), 2.0))


def berlin_midnights(table: pa.Table) -> pa.Table:
    local = pa.compute.assume_timezone(table.column("date").cast(pa.timestamp("us")), "Europe/Berlin")
    return table.set_column(1, "date", local.cast(pa.timestamp("us", "UTC")))


def in_the_future(table: pa.Table) -> pa.Table:
    dates = table.column("date").to_pylist()
    return table.set_column(1, "date", pa.array([*dates[:-1], dt.date(2999, 1, 1)]))


def negative(table: pa.Table) -> pa.Table:
    closes = [-close if row % 7 == 0 else close for row, close in enumerate(table.column("close").to_pylist())]
    return table.set_column(5, "close", pa.array(closes))


def with_holidays(table: pa.Table) -> pa.Table:
    """The last session again on the next two days, without volume."""
    last = table.slice(table.num_rows - len(SYMBOLS)).set_column(6, "volume", pa.array([0] * len(SYMBOLS)))
    days = [last.column("date")[0].as_py() + dt.timedelta(days=n) for n in range(1, 13)]
    padding = [last.set_column(1, "date", pa.array([day] * len(SYMBOLS))) for day in days]
    return pa.concat_tables([table, *padding])


def split_in_the_volume(table: pa.Table) -> pa.Table:
    """A split of 20:1 in the middle, which the adjusted close takes back, and the volume does not."""
    half = table.num_rows // 2
    raw = [20.0 if row < half else 1.0 for row in range(table.num_rows)]
    for name in ("open", "high", "low", "close"):
        place = table.column_names.index(name)
        if name == "close":
            table = table.append_column("adj_close", table.column(name))
        table = table.set_column(place, name, pa.compute.multiply(table.column(name), pa.array(raw)))
    return table.set_column(6, "volume", pa.array([1000 if factor > 1 else 20_000 for factor in raw]))


HELPS = {
    "adjusted-close-available": (adjusted, "", "--price adj_close"),
    "shifted-dates": (berlin_midnights, "", "--timezone Europe/Berlin"),
    "wrong-anchor": (lambda table: table, "--week W-WED", "--week W-FRI"),
    "future-dates": (in_the_future, "", "--end 2022-12-31"),
    "padding": (with_holidays, "", "--drop-padding"),
    "negative-prices": (negative, "", "--negative-prices absolute"),
    "unscheduled-sessions": (lambda table: table, "--calendar XNYS", "--calendar 24/5"),
    "adjusted-price-raw-volume": (split_in_the_volume, "--price adj_close", "--adjust-volume --price adj_close"),
}


@pytest.mark.parametrize("code", HELPS)
def test_the_flag_that_helps_ends_the_finding(tmp_path: Path, code: str) -> None:
    change, found_with, helps = HELPS[code]
    prices(tmp_path, change(daily(SYMBOLS, 120)))
    command = ["plan" if KINDS[code].in_plan else "build", "prices.parquet"]
    found = run_cli(*command, *found_with.split(), cwd=tmp_path)
    assert f"{code}: " in found.stdout + found.stderr
    assert helps.split()[0] in found.stdout + found.stderr
    silent = run_cli(*command, *helps.split(), cwd=tmp_path)
    assert silent.returncode == 0
    assert f"{code}: " not in silent.stdout + silent.stderr
    if command[0] == "build":
        assert "passed" in run_cli("verify", "daily_weekly", cwd=tmp_path).stdout.splitlines()[-1]


#: Flags that errors recommend and that other tests follow: a run that waits, one that starts again, one that is strict.
ELSEWHERE = {
    "--wait": "test_resume::test_a_second_run_may_wait",
    "--fresh": "test_resume::test_another_setting_starts_afresh",
    "--log-file": "test_unattended::test_a_log_has_the_stages_the_findings_and_the_end",
    "--init": "test_config_init::test_another_path_and_json",
    "--sector-map": "test_sector_columns::test_latest_tells_of_a_column_that_was_left_out",
    "--strategy": "test_odd_symbols::test_odd_symbols_come_out_with_the_features_of_plain_ones",
    "--ignore": "test_findings_of_keys::test_what_is_known_is_not_said",
    "--engine": "test_cluster::test_a_scheduler_without_the_engine_is_refused",
    "--cross-section": "test_cross_section::test_columns_are_those_of_pandas",
    "--available": "test_calendar::test_the_weeks_that_rows_see",
    "--calendar": "test_calendar::test_data_that_accord_with_their_calendars_have_nothing_to_find",
    "--calendar-map": "test_calendar::test_a_calendar_of_its_own_ends_what_another_one_finds",
    "--join": "test_join::test_columns_are_those_of_merge_asof",
    "--s3-anonymous": "test_object_store::test_bad_credentials_and_public_buckets",
    "--s3-region": "test_object_store::test_what_a_store_says_is_said",
    **dict.fromkeys(
        (
            *("--price", "--timezone", "--week", "--end", "--symbols"),
            *("--drop-padding", "--negative-prices", "--adjust-volume"),
        ),
        "test_advice::test_the_flag_that_helps_ends_the_finding",
    ),
}


#: Flags that sentences name as what was done, or as what shows more, and not as a way out.
TOLD = {"--strict", "--dtype", "--start", "--columns-out", "--verbose", "--json"}


def sentences() -> list[str]:
    """Every text in the code that tells somebody to pass or choose a flag, docstrings and help apart."""
    found = []
    for path in Path(weekly_cli.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
        docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value not in docstrings:
                found += re.findall(r"(?:pass|choose|choose another|with|give) (--[a-z0-9-]+)", node.value)
    return found


def test_every_flag_that_an_error_recommends_is_followed_here() -> None:
    recommended = set(sentences()) - TOLD
    followed = {flag for one in ADVICE.values() for flag in re.findall(r"--[a-z0-9-]+", one.says)}
    assert len(recommended) >= 8
    assert recommended <= followed | ELSEWHERE.keys()
    for module, test in (one.split("::") for one in ELSEWHERE.values()):
        assert f"def {test}(" in source_of(module)
    assert not followed & {"--overwrite"}, "no error recommends what may replace somebody's files"
    assert followed | ELSEWHERE.keys() <= {row.flag for row in SETTINGS.values()} | {"--input", "--init"}
