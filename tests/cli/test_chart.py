"""`chart`: what is drawn is what the output has; names stay text; pages load nothing; files of others stay."""

from __future__ import annotations

import datetime
import io
import json
import re
import struct
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import browser
import numpy as np
import pyarrow as pa
import pytest
import resvg_py
from frames import build, daily, read, run_cli, write
from rich.console import Console

from weekly_cli import cli
from weekly_cli.cli import process
from weekly_cli.cli.views import chart as view
from weekly_cli.errors import UsageError
from weekly_cli.files import charts
from weekly_cli.questions import chart_page
from weekly_cli.questions.built import open_output
from weekly_cli.questions.chart import NO_PERIOD, Chart, chart_of
from weekly_cli.questions.chart_figure import (
    DAY_MS,
    ENOUGH_LEVELS,
    daily_data,
    enough,
    figure,
    log_levels,
    mark_data,
    step_data,
)
from weekly_cli.questions.chart_panels import panels_of
from weekly_cli.questions.chart_picture import subtitles_of

#: Ends a script, a comment and an attribute; brackets and dots, which templates and paths read; turns text around.
NASTY = "</script><script>window.owned=1</script><!--\"'&.[0]{{x}}\u202e\x1b\nA"
SHOWN = "</script><script>window.owned=1</script><!--\"'&.[0]{{x}}\\u202e\\x1b\\nA"
#: The namespace of SVG, and the colour by which panels are found.
SVG, PANEL = "{http://www.w3.org/2000/svg}", "rgb(255,255,254)"
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


def steps_at(data: dict[str, Any], time: float) -> float | None:
    """What a step line shows from a time on: the last row up to it, unless its run ends there."""
    rows = [row for row, x in enumerate(data["x"]) if x <= time]
    if not rows or (rows[-1] + 1 < len(data["x"]) and data["run"][rows[-1]] != data["run"][rows[-1] + 1]):
        return None
    return float(data["y"][rows[-1]])


def panels_in(chart: Chart, **options: bool) -> list[dict[str, Any]]:
    return list(figure(chart, **options).as_dict()["figures"])


# ---- what is drawn ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["AAA", "BBB", NASTY])
def test_the_values_of_a_figure_are_those_of_the_output(output: Path, symbol: str) -> None:
    chart = chart_of(open_output(output), symbol, "all")
    rows = rows_of(output, symbol)
    times = [(date - datetime.date(1970, 1, 1)).days * DAY_MS for date in rows["date"]]
    usable = [value if value is not None and np.isfinite(value) and value > 0 else None for value in rows["close"]]
    data = daily_data(chart)
    assert dict(zip(data["x"], data["y"], strict=True)) == {
        time: value for time, value in zip(times, usable, strict=True) if value is not None
    }
    gaps = np.cumsum([value is None for value in usable])
    assert data["run"].tolist() == [gap for gap, value in zip(gaps, usable, strict=True) if value is not None]

    names = list(chart.steps.values)
    assert len(names) > 40
    for name in names:
        shown = step_data(chart, name)
        is_double = name in ("w_open", "w_high", "w_low", "w_close", "w_volume")
        expected = [value if value is None or is_double else float(str(np.float32(value))) for value in rows[name]]
        # The last row of all is its line's end.
        assert [steps_at(shown, time) for time in times[:-1]] == expected[:-1], name


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
    assert part.steps.ends[0] == NO_PERIOD  # it became visible on Monday, and 2023-03-01 is a Wednesday
    assert len(part.visible) == 8


def test_without_the_weeks_end_nothing_is_marked_and_that_is_said(output: Path, tmp_path: Path) -> None:
    build(output.parent / "prices.parquet", tmp_path / "out", features="w_rsi_14,w_sma_20")
    chart = chart_of(open_output(tmp_path / "out"), "AAA")
    assert "weeks are not marked: the output has no w_week_end" in chart.caption
    assert chart.to_dict()["weeks"] is None
    assert len(panels_in(chart)) == 2 and not any(map(len, mark_data(chart).values()))
    assert [panel.names for panel in chart.panels] == [("w_sma_20",), ("w_rsi_14",)]


def test_a_column_that_ends_is_drawn_to_its_end_and_no_line_bridges_the_gap(drawn: Chart) -> None:
    values = drawn.steps.values["w_rsi_14"].copy()
    values[60] = np.nan
    steps = replace(drawn.steps, values={**drawn.steps.values, "w_rsi_14": values})
    data = {name: column.tolist() for name, column in step_data(replace(drawn, steps=steps), "w_rsi_14").items()}
    end, after = (float(drawn.days[steps.rows[step]]) * DAY_MS for step in (60, 61))
    at = data["x"].index(end)
    assert data["y"][at] == data["y"][at - 1] == float(str(values[59]))
    assert data["run"][at - 1] == data["run"][at] < data["run"][at + 1]
    assert (data["x"][at + 1], data["y"][at + 1]) == (after, float(str(values[61])))
    assert data["x"][-1] == float(drawn.days[-1]) * DAY_MS


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


# ---- figure ----------------------------------------------------------------------------------------------


def test_a_figure_has_the_panels_with_their_legends_and_all_rows(drawn: Chart) -> None:
    price, weeks, *others = panels_in(drawn)
    legends = [
        [layer["manual_key"]["label"] for layer in panel["layers"] if "manual_key" in layer]
        for panel in (price, *others)
    ]
    assert legends == [["daily close", *DEFAULT_PANELS[0]], ["w_rsi_14"], ["w_macd_hist", "w_macd", "w_macd_signal"]]
    layers = [layer for panel in (price, weeks, *others) for layer in panel["layers"] if layer["geom"] != "hline"]
    assert {(layer["sampling"], layer["tooltips"], layer["na_rm"]) for layer in layers} == {("none", "none", True)}
    assert [layer["geom"] for layer in price["layers"]] == ["line", "step", "step"]
    levels = [[layer["yintercept"] for layer in panel["layers"] if layer["geom"] == "hline"] for panel in others]
    assert levels == [[30.0, 70.0], [0.0]]
    assert len({tuple(panel["coord"]["xlim"]) for panel in (price, weeks, *others)}) == 1
    assert len(weeks["layers"][0]["data"]["x"]) == len(drawn.visible) == 103


def test_a_price_alone_between_gaps_is_a_point(drawn: Chart) -> None:
    prices = drawn.prices.copy()
    prices[100] = prices[102] = np.nan
    (point,) = (layer for layer in panels_in(replace(drawn, prices=prices))[0]["layers"] if layer["geom"] == "point")
    assert float(drawn.days[101]) * DAY_MS in point["data"]["x"]


def test_many_weeks_are_marked_in_part_and_the_page_has_all(tmp_path: Path) -> None:
    build(write(daily(["AAA"], 1300), tmp_path / "prices.parquet"), tmp_path / "out")
    chart = chart_of(open_output(tmp_path / "out"), "AAA")
    every, some = (panels_in(chart, interactive=there)[1]["layers"][0]["data"]["x"] for there in (True, False))
    assert (len(every), some.tolist()) == (259, every[::4].tolist())
    assert "every 4th week becomes visible (every one if you zoom in)" in subtitles_of(chart, interactive=True)[1]
    assert subtitles_of(chart, interactive=False)[1].endswith("every 4th week becomes visible")


@pytest.mark.parametrize("factor", [1.001, 3.0, 12.0, 900.0, 1e20])
def test_a_logarithmic_scale_has_enough_levels(factor: float) -> None:
    levels = enough(log_levels(2.1, 2.1 * factor))
    assert ENOUGH_LEVELS <= len(levels) <= 30 or factor < 1.01
    assert all(2.1 <= level <= 2.1 * factor for level in levels)


def test_a_wide_price_gets_a_logarithmic_scale(drawn: Chart) -> None:
    wide = replace(drawn, prices=np.geomspace(1.0, 400.0, len(drawn.prices)))
    (scale,) = (scale for scale in panels_in(wide)[0]["scales"] if scale["aesthetic"] == "y")
    assert scale["trans"] == "log10" and 5 <= len(scale["breaks"]) < 20


# ---- files -----------------------------------------------------------------------------------------------


def texts_of(svg: bytes) -> list[str]:
    return ["".join(element.itertext()) for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_a_png_and_an_svg_are_what_they_should_be(drawn: Chart, capfd: pytest.CaptureFixture[str]) -> None:
    png = charts.marked(".png", chart_page.rendered(drawn, ".png"))
    assert png.startswith(b"\x89PNG\r\n\x1a\n") and png.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", png[16:24])
    assert width == 1446 and height > 1100
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
    assert root.tag == f"{SVG}svg"
    assert (root.get("role"), root.get("aria-label", "").split(",")[0]) == ("img", "AAA: 2022-01-03 to 2023-12-29")
    texts = texts_of(svg)
    assert {"AAA", "daily close", "w_sma_20", "w_rsi_14", "w_macd_hist", "70", "2023-01"} <= set(texts)
    assert [text for text in texts if text.startswith("20")][1:] == [
        *(f"2022-{month:02}" for month in (4, 7, 10)),
        *(f"2023-{month:02}" for month in (1, 4, 7, 10)),
    ]
    assert capfd.readouterr() == ("", "")


def test_the_weeks_are_where_their_days_are(drawn: Chart) -> None:
    """The marks against the axis of dates, in pixels of the SVG."""
    root = ElementTree.fromstring(chart_page.rendered(drawn, ".svg"))
    blue = [line for line in root.iter(f"{SVG}line") if line.get("stroke") == "rgb(0,114,178)"]
    marks = [float(line.get("x1", 0)) for line in blue if line.get("x1") == line.get("x2")]
    width = next(float(rect.get("width", 0)) for rect in root.iter(f"{SVG}rect") if rect.get("fill") == PANEL)
    days = drawn.days[drawn.steps.rows[drawn.visible]].astype(float)
    expected = (days - drawn.days[0]) / (drawn.days[-1] - drawn.days[0]) * width
    assert np.allclose(marks, expected, atol=0.02)


@pytest.mark.parametrize("suffix", charts.SUFFIXES)
def test_the_same_chart_is_the_same_bytes(output: Path, suffix: str) -> None:
    first, second = (chart_page.rendered(chart_of(open_output(output), NASTY), suffix) for _ in range(2))
    assert first == second


def test_nasty_names_are_text_in_an_svg(output: Path) -> None:
    assert SHOWN in texts_of(chart_page.rendered(chart_of(open_output(output), NASTY), ".svg"))


@pytest.mark.parametrize("name", ['\\(x^2\\) <a href="j:1">k</a>', "<b>_x_</b> {y}", "^x", "n" * 200])
def test_a_nasty_column_is_text_in_a_legend(drawn: Chart, name: str) -> None:
    texts = texts_of(chart_page.rendered(replace(drawn, price=name), ".svg"))
    label = f"daily {name}"
    shown = label if len(label) <= 30 else f"{label[:29]}…"
    # Lets-Plot breaks lines at blanks.
    assert shown.replace(" ", "") in "".join(texts).replace(" ", "")


def test_a_system_without_fonts_is_told(drawn: Chart, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resvg_py, "svg_to_bytes", lambda **_: b"blank")
    with pytest.raises(UsageError, match=r"a PNG needs a font .*; install one, .* or write .svg or .html"):
        chart_page.rendered(drawn, ".png")


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
    assert not re.findall(r"\bimportScripts\(|^\s*import\s|sourceMappingURL", text, re.MULTILINE)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy.startswith("default-src &#x27;none&#x27;;")
    assert not [word for word in ("http", "connect-src", "unsafe-eval") if word in policy]
    opened = re.findall(r"<script[^>]*>", markup)
    assert opened == ['<script type="application/json" id="drawn">', "<script>", "<script>"]
    assert text.count("</script>") == 3
    assert len(text) < 3_500_000


@pytest.mark.slow
@pytest.mark.skipif(browser.CHROMIUM is None, reason=browser.WHY_NOT)
def test_a_browser_draws_the_page_and_requests_nothing(
    page: Path, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    with browser.opened(page, tmp_path / "profile") as shown:
        shown.wait("window.chartView")
        assert shown.run("window.owned") is None
        assert shown.run("new Date(0).getHours()") == 16, "the browser is in the zone of the test"
        assert shown.run("document.title") == f"{SHOWN}: daily prices and weekly features"
        assert shown.run("document.querySelector('h1').textContent") == SHOWN
        before = shown.run("chartView")
        left, right, top = (before["area"][side] for side in ("left", "right", "top"))
        assert right - left > 1000
        texts = shown.run("[...document.querySelectorAll('#chart text')].map(text => text.textContent)")
        assert {"daily close", *sum(DEFAULT_PANELS, ()), "2022-03", "2023-11"} <= set(texts)

        # The last day that the mouse meets is one of the output, with its values.
        rows = rows_of(output, NASTY)
        x, y = 600.0, top + 100.0
        shown.mouse("mouseMoved", x - 10, y)
        shown.mouse("mouseMoved", x, y)
        shown.wait("getComputedStyle(document.getElementById('values')).display === 'block'")
        lines = shown.run(
            "[...document.querySelectorAll('#values tr')].map(row => [...row.cells].map(c => c.innerText))"
        )
        assert [line[0] for line in lines] == ["date", "newest week seen", "daily close", *sum(DEFAULT_PANELS, ())]
        days = np.array([np.datetime64(date, "D") for date in rows["date"]]).astype(float)
        at = days[0] + (x - left) / (right - left) * (days[-1] - days[0])
        row = int(np.abs(days - at).argmin())
        assert lines[0][1] == f"{rows['date'][row]:%a %Y-%m-%d}"
        assert lines[1][1] == str(rows["w_week_end"][row])
        assert float(lines[2][1]) == rows["close"][row]
        assert [np.float32(line[1]) for line in lines[3:]] == [np.float32(rows[line[0]][row]) for line in lines[3:]]

        labels = "[...document.querySelectorAll('#chart .axis-text-y')].map(text => text.textContent).join()"
        levels = shown.run(labels)
        for _ in range(5):
            shown.mouse("mouseWheel", x, y, deltaX=0, deltaY=-200)
        shown.wait(f"chartView.high - chartView.low < {0.2 * (before['high'] - before['low'])}")
        assert shown.run(labels) != levels, "the scales fit what is in view"
        zoomed = shown.run("chartView")
        for kind, x_now in (("mousePressed", x), ("mouseMoved", x - 200), ("mouseReleased", x - 200)):
            shown.mouse(kind, x_now, y, button="left", buttons=1, clickCount=1)
        shown.wait(f"chartView.low > {zoomed['low'] + DAY_MS}")
        moved = shown.run("chartView")
        assert abs((moved["high"] - moved["low"]) - (zoomed["high"] - zoomed["low"])) < 1.0
        for count in (1, 2):
            for kind in ("mousePressed", "mouseReleased"):
                shown.mouse(kind, x, y, button="left", buttons=1, clickCount=count)
        shown.wait(f"chartView.low === {before['low']} && chartView.high === {before['high']}")

        shown.call("Emulation.setDeviceMetricsOverride", width=700, height=900, deviceScaleFactor=1, mobile=False)
        shown.wait("chartView.area.right < 700")
        assert shown.errors == []
        assert shown.requests == [page.as_uri()]


def test_the_values_under_the_mouse_are_in_the_page(page: Path) -> None:
    (found,) = re.findall(r'id="drawn">(.*?)</script>', page.read_text(encoding="utf-8"))
    read_back = json.loads(found)
    assert read_back["columns"] == {"price": "daily close", "weekly": list(sum(DEFAULT_PANELS, ()))}
    assert len(read_back["daily"]["price"]) == 520


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
def test_what_is_odd_is_drawn_all_the_same(
    tmp_path: Path, closes: list[float | None], encoding: str, capfd: pytest.CaptureFixture[str]
) -> None:
    table = daily(["AAA", "BBB"], max(1, len(closes)), order="symbol")
    values = table.column("close").to_pylist()
    values[: len(closes)] = closes
    table = table.set_column(5, "close", pa.array(values, pa.float64()))
    build(write(table, tmp_path / "prices.parquet"), tmp_path / "out", allow_empty=True)
    chart = chart_of(open_output(tmp_path / "out"), "AAA")
    text = on_screen(chart, encoding=encoding)
    assert max(map(len, text.splitlines())) <= 80
    assert "AAA" in text
    if encoding == "utf-8":
        capfd.readouterr()
        shown = texts_of(chart_page.rendered(chart, ".svg"))
        assert {"AAA", "daily close", "w_sma_20", "30", "70"} <= set(shown)
        assert any(text.startswith("2022-") and text[5:].replace("-", "").isdigit() for text in shown)
        assert capfd.readouterr() == ("", ""), "Lets-Plot has left out something"


# ---- the command -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_draws_here_and_into_files(output: Path, tmp_path: Path) -> None:
    done = run_cli("chart", output, "AAA", env={"COLUMNS": "80"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("AAA\n2022-01-03 to 2023-12-29, 520 rows, 103 weeks became visible\n")
    plain = run_cli("chart", output, "AAA", env={"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"})
    assert plain.stdout.isascii() and "* daily close" in plain.stdout

    path = tmp_path / "chart.html"
    for _ in range(2):  # the second replaces what the first has written
        done = run_cli("chart", output, "AAA", "-o", path, "--features", "momentum", "--start", "2023-01-02")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{path}: AAA, 2023-01-02 to 2023-12-29, 260 rows, 52 weeks became visible; ")
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
