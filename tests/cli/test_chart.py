"""`chart`: what is drawn is what the output has; names stay text; pages load nothing; files of others stay."""

from __future__ import annotations

import datetime
import io
import json
import os
import re
import struct
import sys
import zlib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import altair as alt
import browser
import numpy as np
import pyarrow as pa
import pytest
import vl_convert
from frames import build, daily, read, run_cli, write
from rich.console import Console

from weekly_cli import cli
from weekly_cli.cli import process
from weekly_cli.cli.views import chart as view
from weekly_cli.errors import UsageError
from weekly_cli.files import charts
from weekly_cli.questions import chart_page
from weekly_cli.questions.built import open_output
from weekly_cli.questions.chart import NO_WEEK, Chart, chart_of
from weekly_cli.questions.chart_panels import panels_of
from weekly_cli.questions.chart_spec import daily_csv, specification, steps_csv

#: Ends a script, a comment and an attribute; brackets and dots, which Vega-Lite reads as a path; turns text around.
NASTY = "</script><script>window.owned=1</script><!--\"'&.[0]{{x}}\u202e\x1b\nA"
SHOWN = "</script><script>window.owned=1</script><!--\"'&.[0]{{x}}\\u202e\\x1b\\nA"
KEPT = f"vega-{vl_convert.__version__}.js.gz"
DEFAULT_PANELS = (("w_close", "w_sma_20"), ("w_rsi_14",), ("w_macd", "w_macd_signal", "w_macd_hist"))


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two years of three symbols, one with a nasty name; some closes can't be used."""
    folder = tmp_path_factory.mktemp("chart")
    table = daily(["AAA", "BBB", NASTY], 520)
    close = table.column("close").to_numpy().copy()
    close[30], close[33], close[60] = 0.0, np.nan, -1.0  # two of AAA's, and BBB's
    table = table.set_column(5, "close", pa.array(close))
    build(write(table, folder / "prices.parquet"), folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def drawn(output: Path) -> Chart:
    return chart_of(open_output(output), "AAA")


def rows_of(output: Path, symbol: str) -> dict[str, list[Any]]:
    table = read(output)
    return {
        name: list(values) for name, values in table.filter(pa.compute.field("symbol") == symbol).to_pydict().items()
    }


def csv_of(spec: dict[str, Any], name: str) -> list[list[str]]:
    return [line.split(",") for line in spec["datasets"][name].split("\n")[1:]]


# ---- what is drawn ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["AAA", "BBB", NASTY])
def test_the_values_of_a_specification_are_those_of_the_output(output: Path, symbol: str) -> None:
    chart = chart_of(open_output(output), symbol, "all")
    rows = rows_of(output, symbol)
    spec = {"datasets": {"daily": daily_csv(chart), "steps": steps_csv(chart)}}
    table = csv_of(spec, "daily")
    assert [row[0] for row in table] == [str(date) for date in rows["date"]]
    usable = [value if value is not None and np.isfinite(value) and value > 0 else None for value in rows["close"]]
    assert [float(row[1]) if row[1] else None for row in table] == usable

    steps, names = csv_of(spec, "steps"), list(chart.steps.values)
    assert len(names) > 40
    before: list[str] = []
    for number, date in enumerate(rows["date"]):
        before = next(row for row in reversed(steps) if row[0] <= str(date))
        shown = [float(text) if text else None for text in before[3:]]
        expected = [rows[name][number] for name in names]
        assert shown == [
            value
            if value is None
            else float(str(np.float32(value)))
            if name not in ("w_open", "w_high", "w_low", "w_close", "w_volume")
            else value
            for name, value in zip(names, expected, strict=True)
        ]


def test_a_week_is_marked_on_the_first_row_that_sees_it(output: Path, drawn: Chart) -> None:
    rows = rows_of(output, "AAA")
    expected = {}
    for date, week in zip(rows["date"], rows["w_week_end"], strict=True):
        if week is not None:
            expected.setdefault(week, date)
    steps = drawn.to_dict()["steps"]
    marked = {week: date for date, week in zip(steps["date"], steps["week_end"], strict=True) if week}
    assert marked == {str(week): str(date) for week, date in expected.items()}
    assert len(marked) == drawn.to_dict()["weeks"] > 100
    assert all(datetime.date.fromisoformat(date).weekday() == 0 for date in marked.values())


def test_a_part_of_the_time_begins_with_the_values_that_its_first_row_sees(output: Path) -> None:
    start, end = datetime.date(2023, 3, 1), datetime.date(2023, 4, 28)
    part = chart_of(open_output(output), "AAA", None, start, end)
    rows = rows_of(output, "AAA")
    inside = [number for number, date in enumerate(rows["date"]) if start <= date <= end]
    assert part.to_dict()["daily"]["date"] == [str(rows["date"][number]) for number in inside]
    assert float(part.steps.values["w_close"][0]) == rows["w_close"][inside[0]]
    assert part.steps.week_ends[0] == NO_WEEK  # it became visible on Monday, and 2023-03-01 is a Wednesday
    assert len(part.visible) == 8


def test_without_the_weeks_end_nothing_is_marked_and_that_is_said(output: Path, tmp_path: Path) -> None:
    build(output.parent / "prices.parquet", tmp_path / "out", features="w_rsi_14,w_sma_20")
    chart = chart_of(open_output(tmp_path / "out"), "AAA")
    assert "weeks are not marked: the output has no w_week_end" in chart.caption
    assert chart.to_dict()["weeks"] is None
    assert not any(row[1] or row[2] for row in csv_of({"datasets": {"steps": steps_csv(chart)}}, "steps"))
    assert [panel.names for panel in chart.panels] == [("w_sma_20",), ("w_rsi_14",)]


def test_a_column_that_ends_is_drawn_to_its_end(drawn: Chart) -> None:
    """Before a step without a value there is a row with the values until then."""
    from dataclasses import replace

    values = drawn.steps.values["w_rsi_14"].copy()
    values[60] = np.nan
    steps = replace(drawn.steps, values={**drawn.steps.values, "w_rsi_14": values})
    at = list(steps.values).index("w_rsi_14") + 3
    date = str(np.datetime64(int(drawn.days[steps.rows[60]]), "D"))
    table = csv_of({"datasets": {"steps": steps_csv(replace(drawn, steps=steps))}}, "steps")
    texts = [row[at] for row in table if row[0] == date]
    assert texts == [str(values[59]), ""]


def test_columns_of_a_kind_share_a_panel() -> None:
    names = ["w_close", "w_vol_4", "w_vol_12", "w_dist_sma_20", "w_dist_sma_20_z", "w_rs_spy", "w_sma_50", "w_macd"]
    assert [panel.names for panel in panels_of(names)] == [
        *(("w_close", "w_sma_50"), ("w_vol_4", "w_vol_12"), ("w_dist_sma_20",), ("w_dist_sma_20_z",), ("w_rs_spy",)),
        ("w_macd",),
    ]


def test_the_daily_price_is_the_one_of_which_bars_are_made(tmp_path: Path) -> None:
    table = daily(["AAA"], 60)
    halved = pa.array(table.column("close").to_numpy() / 2)
    build(write(table.append_column("adj", halved), tmp_path / "prices.parquet"), tmp_path / "out", price="adj")
    chart = chart_of(open_output(tmp_path / "out"), "AAA")
    assert chart.price_label == "daily adj"
    assert chart.prices.tolist() == halved.to_pylist()


# ---- specification ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("interactive", [True, False])
def test_the_specification_is_valid_and_has_the_panels(drawn: Chart, interactive: bool) -> None:
    spec = specification(drawn, interactive=interactive)
    alt.Chart.from_dict(spec, validate=True)
    tables = {"daily": daily_csv(drawn), "steps": steps_csv(drawn)}
    assert spec["datasets"] == spec["datasets"] | tables
    assert tuple(panel.names for panel in drawn.panels) == DEFAULT_PANELS
    assert len(spec["vconcat"]) == 3
    assert ("params" in spec) == interactive
    legends = [panel["layer"][0]["encoding"]["color"]["scale"]["domain"] for panel in spec["vconcat"]]
    assert legends == [["daily close", *DEFAULT_PANELS[0]], *map(list, DEFAULT_PANELS[1:])]


def test_texts_of_the_output_are_titles_and_no_fields(output: Path) -> None:
    spec = specification(chart_of(open_output(output), NASTY), interactive=True)
    assert spec["title"]["text"] == SHOWN
    fields = set(re.findall(r'"field": "([^"]*)"', json.dumps(spec)))
    assert fields == {"label", "date", "price", *(f"v{number}" for number in range(6))}


# ---- files -----------------------------------------------------------------------------------------------


def test_a_png_and_an_svg_are_what_they_should_be(drawn: Chart) -> None:
    png = charts.marked(".png", chart_page.rendered(drawn, ".png"))
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and png.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", png[16:24])
    assert width > 1800 and height > 1000
    at, kinds = 8, []
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        chunk = png[at + 4 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(chunk),)
        kinds.append(chunk[:4])
        at += 12 + length
    assert kinds[:2] == [b"IHDR", b"tEXt"]

    svg = charts.marked(".svg", chart_page.rendered(drawn, ".svg"))
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    texts = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"AAA", "daily close", "w_sma_20", "w_rsi_14", "w_macd_hist"} <= texts


def test_nasty_names_are_text_in_an_svg(output: Path) -> None:
    svg = chart_page.rendered(chart_of(open_output(output), NASTY), ".svg")
    texts = {element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    assert SHOWN in texts


def test_the_scripts_of_pages_are_bundled_once(drawn: Chart, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snippets: list[str] = []

    def bundle(snippet: str) -> str:
        snippets.append(snippet)
        return f"bundled({len(snippets)});"

    monkeypatch.setattr(vl_convert, "javascript_bundle", bundle)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    pages = [chart_page.rendered(drawn, ".html") for _ in range(2)]
    assert pages[0] == pages[1] and b"bundled(1);" in pages[0]
    assert len(snippets) == 1 and "window.vegaEmbed" in snippets[0]
    assert [path.name for path in (tmp_path / "weekly-cli").iterdir()] == [KEPT]

    (tmp_path / "weekly-cli" / KEPT).write_bytes(b"window.owned=1")
    assert b"bundled(2);" in chart_page.rendered(drawn, ".html")
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    assert b"bundled(3);" in chart_page.rendered(drawn, ".html")


@pytest.fixture(scope="module")
def page(output: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the symbol with the nasty name."""
    path = tmp_path_factory.mktemp("page") / "chart.html"
    charts.write_chart(str(path), ".html", chart_page.rendered(chart_of(open_output(output), NASTY), ".html"))
    return path


def test_a_page_refers_to_nothing_that_is_loaded(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    markup = re.sub(r"(<script[^>]*>).*?</script>", r"\1", text, flags=re.DOTALL)
    assert not re.findall(r"\b(?:src|href|srcset|data|action|background)\s*=|@import|url\(|https?:", markup)
    assert not re.findall(r"\bimportScripts\(|^\s*import\s", text, re.MULTILINE)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src &#x27;none&#x27;;")
    assert "http" not in policy and "connect-src" not in policy
    opened = re.findall(r"<script[^>]*>", text)
    assert opened == [
        *(f'<script type="application/json" id="{name}">' for name in ("specification", "labels")),
        "<script>",
    ]
    assert text.count("</script>") == 3
    assert len(text) < 1_500_000


@pytest.mark.slow
@pytest.mark.skipif(browser.CHROMIUM is None, reason=browser.WHY_NOT)
def test_a_browser_draws_the_page_and_requests_nothing(page: Path, tmp_path: Path) -> None:
    with browser.opened(page, tmp_path / "profile") as shown:
        shown.wait("window.chartView")
        assert shown.run("window.owned") is None
        assert shown.run("document.title") == f"{SHOWN}: daily prices and weekly features"
        box = shown.run("JSON.stringify(document.querySelector('canvas').getBoundingClientRect())")
        assert json.loads(box)["width"] > 1000
        before = shown.run("JSON.stringify(chartView.scale('concat_0_y').domain())")

        shown.mouse("mouseMoved", 590, 240)
        shown.mouse("mouseMoved", 600, 250)
        shown.wait("getComputedStyle(document.getElementById('values')).display === 'block'")
        lines = shown.run(
            "[...document.querySelectorAll('#values tr')].map(row => [...row.cells].map(c => c.innerText))"
        )
        assert [line[0] for line in lines] == ["date", "newest week seen", "daily close", *sum(DEFAULT_PANELS, ())]
        for _ in range(5):
            shown.mouse("mouseWheel", 600, 250, deltaX=0, deltaY=-200)
        shown.wait("chartView.signal('zoom').date")
        assert (
            shown.run("chartView.runAsync().then(() => JSON.stringify(chartView.scale('concat_0_y').domain()))")
            != before
        )
        assert shown.errors == []
        assert shown.requests == [page.as_uri()]


def test_the_values_under_the_mouse_are_in_the_page(page: Path, output: Path) -> None:
    text = page.read_text(encoding="utf-8")
    spec, labels = (json.loads(found) for found in re.findall(r'application/json" id="\w+">(.*?)</script>', text))
    assert labels == ["daily close", *sum(DEFAULT_PANELS, ())]
    assert len(csv_of(spec, "daily")) == 520


# ---- whose file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", charts.SUFFIXES)
def test_only_a_former_chart_is_replaced(tmp_path: Path, suffix: str) -> None:
    png = b"\x89PNG\r\n\x1a\n" + bytes(25) + b"pixels"
    path = tmp_path / f"chart{suffix}"
    charts.write_chart(str(path), suffix, png)
    charts.check_chart(str(path), "out")
    whole = path.read_bytes()
    for other in (whole + b"x", whole[:-1] + b"x", b"weekly-cli chart 00000000", b"mine"):
        path.write_bytes(other)
        with pytest.raises(UsageError, match="already exists and is not a chart of weekly-cli"):
            charts.check_chart(str(path), "out")
    path.write_bytes(b"")
    charts.check_chart(str(path), "out")


def test_a_chart_is_not_put_into_the_output(output: Path) -> None:
    with pytest.raises(UsageError, match="lies in the output"):
        charts.check_chart(str(output / "chart.png"), str(output))


# ---- terminal --------------------------------------------------------------------------------------------


def on_screen(chart: Chart, width: int = 80, encoding: str = "utf-8") -> str:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    view.show(chart, Console(file=stream, width=width, highlight=False, markup=False, color_system=None))
    stream.flush()
    return stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_chart_fits_the_terminal(output: Path, width: int, encoding: str) -> None:
    for symbol in ("AAA", NASTY):
        text = on_screen(chart_of(open_output(output), symbol), width, encoding)
        assert max(map(len, text.splitlines())) <= width
        assert all(sign.isprintable() for sign in text.replace("\n", ""))
        assert "daily close" in text and "w_macd_hist" in text


def test_the_terminal_shows_the_ends_of_the_scale_and_the_last_values(drawn: Chart) -> None:
    text = on_screen(drawn)
    drawn_values = np.concatenate([drawn.prices, drawn.steps.values["w_close"], drawn.steps.values["w_sma_20"]])
    for value in (np.nanmin(drawn_values), np.nanmax(drawn_values), drawn.prices[-1]):
        assert f"{value:.4g}" in text
    assert str(np.datetime64(int(drawn.days[-1]), "D")) in text.splitlines()[-1]


@pytest.mark.parametrize(("encoding", "sign"), [("utf-8", "·"), ("ascii", ".")])
def test_the_terminal_shows_the_levels_of_a_scale_that_is_fixed(drawn: Chart, encoding: str, sign: str) -> None:
    lines = [line for line in on_screen(drawn, encoding=encoding).splitlines() if f"{sign} {sign}" in line]
    assert [line.split()[0] for line in lines] == ["70", "30"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    "closes", [[5.0] * 300, [float("nan")] * 300, [7.0], [], [1e-9, 1e12] * 50, [0.0, 3.0, None, 4.0]], ids=len
)
def test_what_is_odd_is_drawn_all_the_same(tmp_path: Path, closes: list[float | None], encoding: str) -> None:
    table = daily(["AAA", "BBB"], max(1, len(closes)), order="symbol")
    values = table.column("close").to_pylist()
    values[: len(closes)] = closes
    table = table.set_column(5, "close", pa.array(values, pa.float64()))
    build(write(table, tmp_path / "prices.parquet"), tmp_path / "out", allow_empty=True)
    chart = chart_of(open_output(tmp_path / "out"), "AAA")
    text = on_screen(chart, encoding=encoding)
    assert max(map(len, text.splitlines())) <= 80
    assert "AAA" in text
    if encoding == "utf-8" and len(closes) in (1, 4):
        assert chart_page.rendered(chart, ".png").startswith(b"\x89PNG")


# ---- the command -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_draws_here_and_into_files(output: Path, tmp_path: Path) -> None:
    done = run_cli("chart", output, "AAA", env={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("AAA\n2022-01-03 to 2023-12-29, 520 rows, 103 weeks became visible\n")
    plain = run_cli("chart", output, "AAA", env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert plain.stdout.isascii() and "* daily close" in plain.stdout

    path, kept = tmp_path / "chart.html", Path(os.environ["XDG_CACHE_HOME"], "weekly-cli", KEPT)
    inodes = set()
    for _ in range(2):  # the second replaces what the first has written
        done = run_cli("chart", output, "AAA", "-o", path, "--features", "momentum", "--start", "2023-01-02")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{path}: AAA, 2023-01-02 to 2023-12-29, 260 rows, 52 weeks became visible; ")
        inodes.add(kept.stat().st_ino)
    assert len(inodes) == 1, "the scripts were bundled for the first, if at all"
    assert charts.is_chart(path.read_bytes())

    said = json.loads(run_cli("chart", output, "AAA", "--json", "--end", "2022-01-31").stdout)
    rows = rows_of(output, "AAA")
    assert said["daily"]["date"] == [str(date) for date in rows["date"][:21]]
    assert said["file"] is None and said["rows"] == 21 and said["weeks"] == 4
    assert said["steps"]["w_close"][1:] == list(dict.fromkeys(value for value in rows["w_close"][:21] if value))


ENDS = {
    "no such symbol": (["AAB"], "has no symbol AAB; did you mean AAA?"),
    "no such column": (["AAA", "--features", "w_rsi_15"], "did you mean w_rsi_"),
    "no such day": (["AAA", "--start", "soon"], "--start takes a date such as 2024-03-01, not 'soon'"),
    "no time": (["AAA", "--start", "2023-02-01", "--end", "2023-01-01"], "--end 2023-01-01 is before --start"),
    "no rows": (["AAA", "--start", "2031-01-01"], "its rows are of 2022-01-03 to 2023-12-29"),
    "another format": (["AAA", "-o", "chart.pdf"], "a chart is .html, .png or .svg"),
    "no such folder": (["AAA", "-o", "nowhere/chart.png"], "can't be written"),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_can_not_be_drawn_is_said_in_a_line(
    output: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    words, sentence = ENDS[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["weekly-cli", "chart", str(output), *words])
    monkeypatch.setattr(process, "_leave", sys.exit)
    with pytest.raises(SystemExit) as end:
        cli.main()
    printed = capfd.readouterr()
    assert (end.value.code, printed.out, len(printed.err.splitlines())) == (2, "", 1)
    assert sentence in printed.err
    assert not list(tmp_path.iterdir())


def test_weekly_tables_and_missing_libraries_are_told(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(output.parent / "prices.parquet", tmp_path / "out", rows="weekly")
    with pytest.raises(UsageError, match="has a row a week"):
        chart_of(open_output(tmp_path / "out"), "AAA")
    monkeypatch.setattr(chart_page, "find_spec", lambda name: None)
    for suffix in charts.SUFFIXES:
        with pytest.raises(UsageError, match=r"pip install 'weekly-cli\[plot\]'; without -o, .* in the terminal"):
            chart_page.check_library(f"chart{suffix}")
