"""CSV: the table that the same rows in Parquet give, whatever the text looks like, or one line that says why not."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from frames import build, daily, read, report_here, run_cli, shuffled, write
from pyarrow import csv
from test_wide import FEW, all_fields, closes, saved

from weekly_cli.dataset import delimited
from weekly_cli.errors import InputRefused
from weekly_cli.verify import verify

pytestmark = pytest.mark.slow

ODD = ["000001", "NA", "TRUE", "1E5", "nan", "null", "BRK.B", "ÅSE", 'A"B', "A,B"]


def text_of(table: pa.Table, delimiter: str = ",") -> bytes:
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(delimiter=delimiter))
    return bytes(sink.getvalue())


def put(data: bytes | str, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def rows(*lines: str, header: str = "symbol,date,close") -> str:
    return "\n".join([header, *lines, ""])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("form", ["plain", "gzip", "bom", "crlf", "gzip without a name"])
def test_a_csv_is_its_parquet(tmp_path: Path, form: str, delimiter: str) -> None:
    """Symbols stay text: those that look like numbers, nulls or truth values, too."""
    table = shuffled(daily(ODD))
    expected = build(write(table, tmp_path / "prices.parquet"), tmp_path / "expected", features=FEW)
    data = text_of(table, delimiter)
    data = {"bom": b"\xef\xbb\xbf" + data, "crlf": data.replace(b"\n", b"\r\n")}.get(form, data)
    data = gzip.compress(data) if form.startswith("gzip") else data
    name = "prices.csv.gz" if form == "gzip" else "prices.csv"
    out = build(put(data, tmp_path / "in" / name), tmp_path / "out", features=FEW)
    assert out.drop_columns("date").equals(expected.drop_columns("date"))
    assert out.column("date").cast(expected.schema.field("date").type).equals(expected.column("date"))


@pytest.mark.parametrize("strategy", ["direct", "adaptive"])
def test_types_are_those_of_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str) -> None:
    """A column that begins with whole numbers or nothing may go on with fractions, or with text."""
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 512)
    monkeypatch.setattr(delimited, "_GROUP_BYTES", 2048)
    table = daily(["AA", "BB"], 200)
    count = table.num_rows
    late = pa.array([None] * (count - 1) + [0.5])
    table = table.append_column("whole", pa.array(range(count))).append_column("late", late)
    table = table.append_column("both", pc.if_else(pc.is_null(late), pa.array([2.0] * count), late))
    table = table.append_column("note", pa.array([*map(str, range(1, count)), "x"]))
    table = table.append_column("code_of", pa.array([f"{number:06d}" for number in range(count)]))
    table = table.append_column("big", pa.array([2**53 + 1 + number for number in range(count)]))
    table = table.append_column("none", pa.nulls(count))
    expected = build(write(table, tmp_path / "a.parquet"), tmp_path / "a", features=FEW, strategy=strategy)
    out = build(put(text_of(table), tmp_path / "b.csv"), tmp_path / "b", features=FEW, strategy=strategy)
    assert out.drop_columns("date").equals(expected.drop_columns("date"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["long", "wide", "fields"])
def test_its_output_passes_verify(tmp_path: Path, kind: str) -> None:
    if kind == "long":
        path = put(text_of(shuffled(daily(ODD, 300))), tmp_path / "in.csv")
    else:
        frame = closes() if kind == "wide" else all_fields()
        path = put(frame.to_csv(), tmp_path / "in.csv")
    build(path, tmp_path / "out", features="bars,returns")
    proof = verify(tmp_path / "out", symbols=8)
    assert proof.passed
    check = next(check for check in proof.checks if check.name == "conversion")
    assert check.did.startswith("8 symbols of 1 files read by pandas")


def test_verify_finds_what_was_read_wrongly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(text_of(daily()), tmp_path / "in.csv")
    true = delimited._typed

    def wrong(path: Path, name: str, texts: pa.Array, kind: pa.DataType, first: int) -> pa.Array:
        values = true(path, name, texts, kind, first)
        return pc.add(values, 1.0) if name == "close" else values

    monkeypatch.setattr(delimited, "_typed", wrong)
    build(path, tmp_path / "out", features=FEW)
    assert [check.name for check in verify(tmp_path / "out").checks if check.findings] == ["conversion"]


@pytest.mark.parametrize("of_fields", [False, True])
def test_a_wide_csv_is_its_parquet(tmp_path: Path, of_fields: bool) -> None:
    """With two header lines and the index's name in a third, where pandas writes a MultiIndex."""
    frame = all_fields() if of_fields else closes()
    expected = build(saved(frame, tmp_path / "a.parquet"), tmp_path / "a", features=FEW)
    out = build(put(frame.to_csv(), tmp_path / "b.csv"), tmp_path / "b", features=FEW)
    assert out.drop_columns("Date").equals(expected.drop_columns("Date"))
    assert out.column("Date").cast(expected.schema.field("Date").type).equals(expected.column("Date"))


def test_an_index_without_a_name_is_the_date(tmp_path: Path) -> None:
    frame = closes(["AA", "BB"]).rename_axis(None)
    out = build(put(frame.to_csv(), tmp_path / "b.csv"), tmp_path / "b", features=FEW)
    assert out.column_names[:3] == ["symbol", "date", "close"]


@pytest.mark.parametrize("form", ["%Y%m%d", "%m/%d/%Y", "%Y-%m-%d %H:%M:%S%z"])
def test_dates_of_any_form(tmp_path: Path, form: str) -> None:
    """Offsets from UTC change with the season; the date is the one that is written."""
    frame = closes(["AA", "BB", "CC"]).sample(frac=1, random_state=1)
    expected = build(saved(frame, tmp_path / "a.parquet"), tmp_path / "a", features=FEW)
    text = frame.tz_localize("America/New_York").to_csv(date_format=form)
    settings: dict[str, Any] = {"date_format": form} if "/" in form else {}
    out = build(put(f"# by hand\n\n{text}", tmp_path / "b.csv"), tmp_path / "b", features=FEW, **settings)
    assert out.drop_columns("Date").equals(expected.drop_columns("Date"))
    assert verify(tmp_path / "b").passed


def test_missing_numbers_are_null(tmp_path: Path) -> None:
    marks = ["", "NA", "NaN", "null", "-", " 7.5 ", '"8.25"']
    lines = [f"A,2022-01-{day:02d},{mark}" for day, mark in enumerate(marks, 3)]
    out = build(put(rows(*lines), tmp_path / "in.csv"), tmp_path / "out", features=FEW)
    assert out.column("close").to_pylist() == [None] * 5 + [7.5, 8.25]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            rows("A;2022-01-03;1,5", header="symbol;date;close"),
            "column 'close' has commas in its numbers (first: '1,5')",
        ),
        (rows('A,2022-01-03,"1,234.5"'), "column 'close' has commas in its numbers (first: '1,234.5')"),
        (rows("A,2022-01-03,1.5", "A,2022-01-04,$1.5"), "column 'close' has '$1.5', which is no number"),
        (rows(), "has a header and no rows"),
        (rows("A,2022-01-03"), "Expected 3 columns, got 2"),
        (rows("A,2022-01-03,9007199254740993", "A,2022-01-04,0.5"), "has 9007199254740993 in row 1"),
        (rows("A,2022-01-04,0.5", header="A,2022-01-03,1.5"), "has '2022-01-03' in its first line"),
        (rows("A,2022-01-04,0.5", header="symbol,date,date"), "more than one column named 'date'"),
        ("", "is empty"),
        (rows("A,2022-01-04,1").encode("utf-16"), "is UTF-16; write it as UTF-8"),
        (rows("Å,2022-01-04,1").encode("latin-1"), "is not UTF-8 (line 2: byte 0xc5)"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    ],
)
def test_what_is_refused_is_named(tmp_path: Path, text: str | bytes, says: str) -> None:
    path = put(text, tmp_path / "in.csv")
    with pytest.raises(InputRefused) as refused:
        build(path, tmp_path / "out")
    assert says in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_messages_name_the_users_file_and_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(rows("A,2022-01-03,1", "A,2022-01-03,2"), tmp_path / "in.csv")
    with pytest.raises(InputRefused, match=str(path)):
        build(path, tmp_path / "out")
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 512)
    monkeypatch.setattr(delimited, "_GROUP_BYTES", 512)
    lines = [f"A,{date:%Y-%m-%d},1.5" for date in pd.bdate_range("2022-01-03", periods=100)]
    lines[70] = ",2022-01-03,1.5"
    with pytest.raises(InputRefused, match=f"in row 71 of {path}"):
        build(put(rows(*lines), path), tmp_path / "out")


@pytest.mark.parametrize(
    ("start", "what"),
    [
        (b"PK\x03\x04", "an Excel workbook or a zip archive"),
        (b"ARROW1", "Feather"),
        (b'{"symbol": 1, "b": 2}\n', "JSON"),
    ],
)
@pytest.mark.parametrize("name", ["in.csv", "in.parquet", "in.data"])
def test_other_formats_are_named(tmp_path: Path, start: bytes, what: str, name: str) -> None:
    path = put(start + bytes(100), tmp_path / name)
    with pytest.raises(InputRefused, match=what):
        build(path, tmp_path / "out")


def test_text_of_any_name_is_read_if_it_is_given(tmp_path: Path) -> None:
    table = daily()
    path = put(text_of(table, ";"), tmp_path / "prices.txt")
    assert report_here(path, tmp_path / "out", features=FEW).rows == table.num_rows


def test_names_in_angle_brackets_are_roles(tmp_path: Path) -> None:
    """As in the ASCII form of MetaStock, which has a time beside the date."""
    path = tmp_path / "aaa.us.txt"
    lines = [f"AAA.US,D,202301{day:02d},000000,9,11,8,{day},100,0" for day in range(2, 32)]
    path.write_text("\n".join(["<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>", *lines]))
    out = build(path, tmp_path / "out")
    assert out.column("<TICKER>").unique().to_pylist() == ["AAA.US"]
    assert out.column("w_close").to_pylist()[-1] == 27.0  # a Friday
    assert out.column("w_open").to_pylist()[-1] == 9.0


def test_dates_as_columns_are_refused(tmp_path: Path) -> None:
    path = put(closes().T.to_csv(index_label="ticker"), tmp_path / "in.csv")
    with pytest.raises(InputRefused, match="has a column a date"):
        build(path, tmp_path / "out")


def test_a_folder_is_read_as_csv_only_where_it_has_no_parquet(tmp_path: Path) -> None:
    """A CSV beside a Parquet file is probably its copy: it is named, and not read."""
    table = daily()
    for number in range(3):
        put(text_of(table.slice(number * 60, 60)), tmp_path / f"prices/{number}.csv")
    put("not for you", tmp_path / "prices/README.md")
    report = report_here(tmp_path / "prices", tmp_path / "out", features=FEW)
    assert report.rows == table.num_rows
    assert report.notes == ("3 CSV files with commas",)
    assert [(Path(skip.path).name, skip.reason) for skip in report.skipped] == [("README.md", "not Parquet")]
    write(table, tmp_path / "prices/all.parquet")
    report = report_here(tmp_path / "prices", tmp_path / "out", features=FEW)
    assert report.rows == table.num_rows
    assert len([skip for skip in report.skipped if skip.reason.startswith("CSV beside Parquet")]) == 3


def test_files_are_found_with_hive_keys(tmp_path: Path) -> None:
    table = daily(["000001", "NA"])
    for symbol in ("000001", "NA"):
        own = table.filter(pc.equal(table.column("symbol"), symbol)).drop_columns("symbol")
        put(text_of(own), tmp_path / f"prices/symbol={symbol}/data.csv")
    out = build(tmp_path / "prices", tmp_path / "out", features=FEW)
    assert set(out.column("symbol").to_pylist()) == {"000001", "NA"}
    assert verify(tmp_path / "out").passed


def test_the_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    path = put(text_of(shuffled(daily(ODD))), tmp_path / "in.csv")
    settings: dict[str, Any] = {"features": FEW, "strategy": "adaptive"}
    one = report_here(path, tmp_path / "one", jobs=1, **settings)
    two = report_here(path, tmp_path / "two", jobs=2, **settings)
    assert one.fingerprint == two.fingerprint
    assert [part.read_bytes() for part in sorted((tmp_path / "one").iterdir())] == [
        part.read_bytes() for part in sorted((tmp_path / "two").iterdir())
    ]


def test_the_command_takes_csv_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = put(text_of(daily()), tmp_path / "in.csv")
    done = run_cli("build", path, "--output", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "convert: CSV with commas" in done.stderr
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.csv", "out"]
    assert np.isfinite(np.array(read(tmp_path / "out").column("close"))).all()
