"""The page of a run: which file becomes one, what is refused, and that all it holds is text."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from frames import daily, names_beside, picture, report_here, run_cli, run_words, write
from odd_symbols import symbols
from test_escapes import NASTY, SHOWN, nasty_prices

import weekly_cli
from weekly_cli import __version__
from weekly_cli.cli import page
from weekly_cli.cli.page import sections, workers
from weekly_cli.cli.page.elements import Lines, element, markup
from weekly_cli.cli.page.style import STYLE
from weekly_cli.errors import InputRefused
from weekly_cli.files.discovery import Skipped
from weekly_cli.findings import Finding
from weekly_cli.names import printable
from weekly_cli.run import cuts
from weekly_cli.run.recorded import read_report
from weekly_cli.run.report import REPORT_VERSION, Report
from weekly_cli.run.timeline import MemorySample, TaskRecord
from weekly_cli.settings.sources import GivenSetting

#: What would be markup, a script, an attribute's end or half a character, if it were not text.
HOSTILE = (
    *(
        "<script>alert(1)</script>",
        "</title></style><img src=x onerror=alert(1)>",
        '" onload="alert(1)',
        "' x='",
        "&lt;",
    ),
    *("a\ud800b", "\udcff", "--><!--", "]]>", "javascript:alert(1)", "{{x}}", "\u202eabc", "\x00", "a\nb", "\u2028"),
)
VOID = {"meta"}
README = Path(weekly_cli.__file__).with_name("README.md")


class Parsed(HTMLParser):
    """The elements of a page, their attributes, and its texts; elements are closed in the order they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.names: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(data)

    def all_text(self) -> str:
        return "\n".join(text for name, text in self.texts if name != "style")


def check_page(text: str) -> Parsed:
    """Check that nothing in a page runs or loads anything, and that its policy fits its style."""
    parsed = Parsed(text)
    assert text.startswith("<!DOCTYPE html>") and text.isprintable() is False
    assert all(line.isprintable() for line in text.split("\n"))
    assert not {"script", "link", "img", "iframe", "object", "embed", "a", "base", "form", "image", "use"} & set(
        parsed.names
    )
    assert not [
        entry for entry in parsed.attributes if entry[1].startswith("on") or entry[1] in ("style", "src", "href")
    ]
    (policy,) = (value for tag, name, value in parsed.attributes if tag == "meta" and value.startswith("default-src"))
    (style,) = (text for name, text in parsed.texts if name == "style")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert "url(" not in style and "@import" not in style
    return parsed


@pytest.fixture(scope="module")
def prices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(daily(["AAA", "BBB", "CCC"], 60), tmp_path_factory.mktemp("prices") / "prices.parquet")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, prices: Path) -> Report:
    return report_here(prices, tmp_path_factory.mktemp("out") / "out", strategy="per-symbol")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A report with some odd symbols, each a task of its own."""
    folder = tmp_path_factory.mktemp("odd")
    source = write(daily(symbols()[::8], 12), folder / "prices.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cuts, "LEAST_TASK_ROWS", 1)
        return report_here(source, folder / "out", strategy="per-symbol", features="w_close")


# ---- elements --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [*HOSTILE, *symbols()])
def test_a_text_comes_out_of_the_page_as_it_is_shown_on_a_terminal(text: str) -> None:
    parsed = Parsed(markup(element("p", text, aria_label=text)))
    assert parsed.names == ["p"]
    assert parsed.attributes == [("p", "aria-label", printable(text))]
    assert "".join(shown for _, shown in parsed.texts) == printable(text)


def test_lines_are_those_of_the_page_and_not_of_its_texts() -> None:
    assert markup(Lines(("a\nb", "c"))) == "a\\nb\nc"


@pytest.mark.parametrize("name", ["script", "img", "a", "iframe", "svg onload=x", "link", "P"])
def test_an_element_that_could_load_or_run_something_does_not_exist(name: str) -> None:
    with pytest.raises(ValueError, match="a page has no"):
        element(name)


@pytest.mark.parametrize("name", ["onclick", "style", "href", "src", "xlink_href", "x y"])
def test_an_attribute_that_could_load_or_run_something_does_not_exist(name: str) -> None:
    with pytest.raises(ValueError, match="a page has no"):
        element("p", **{name: "x"})


def test_the_style_stands_in_the_page_as_it_is_written() -> None:
    assert not set("<>&\"'") & set(STYLE)
    assert set(re.findall(r"var\((--\w+)\)", STYLE)) <= set(re.findall(r"(--\w+):", STYLE))


# ---- the page --------------------------------------------------------------------------------------------


def test_the_page_has_the_figures_the_tasks_and_the_settings(report: Report) -> None:
    parsed = check_page(page.render(report))
    text = parsed.all_text()
    for part in (report.output, "180", "complete", "Slowest tasks", "AAA", "CCC", "per-symbol", "scan", "publish"):
        assert part in text
    titles = [shown for name, shown in parsed.texts if name == "title" and shown.startswith("task ")]
    assert len(titles) == 3
    assert all(
        re.search(r"on worker 1: [\d.]+ s\n60 rows, 1 symbol\nfrom [ABC]{3}\npart .* MiB", one) for one in titles
    )
    assert report.fingerprint in text and f"weekly-cli {__version__}" in text.replace("\n", "")


def test_odd_symbols_are_told_with_their_tasks(odd: Report) -> None:
    assert {task.first_symbol for task in odd.timeline.tasks} == set(symbols()[::8])


def test_every_odd_symbol_is_text_in_the_page(report: Report) -> None:
    (task, *_) = report.timeline.tasks
    tasks = tuple(replace(task, first_symbol=symbol) for symbol in symbols())
    assert len(tasks) >= 400
    parsed = check_page(page.render(replace(report, timeline=replace(report.timeline, tasks=tasks))))
    titles = {shown for name, shown in parsed.texts if name == "title"}
    shown = {re.search(r"\nfrom (.*)\npart ", title, re.DOTALL)[1] for title in titles if "\nfrom " in title}  # type: ignore[index]
    assert shown == {printable(symbol) for symbol in symbols()}


def test_whatever_a_report_holds_is_text_in_its_page(report: Report) -> None:
    every = tuple(HOSTILE)
    hostile = replace(
        report,
        output=every[0],
        rejected=tuple((text, f"why {text}") for text in every),
        warnings=every,
        notes=every,
        roles=dict.fromkeys(every, every[1]),
        findings=tuple(Finding(text, 1, text, text, ({"symbol": text},)) for text in every),
        skipped=tuple(Skipped(text, f"reason {text}") for text in every),
        settings={text: GivenSetting([text, {text: text}], text) for text in every},
        seconds={**dict.fromkeys(every, 1.0), "total": 15.0},
        quality=dict.fromkeys(every, 1),
        layout=every[1], strategy=every[1], strategy_reason=every[2], partition_reason=every[3],
        workers_reason=every[4], budget_reason=every[5], fingerprint=every[6], version=every[7],
    )  # fmt: skip
    parsed = check_page(page.render(hostile))
    text = parsed.all_text()
    assert all(text.count(printable(one)) >= 10 for one in every)
    assert Parsed(page.render(report)).names.count("meta") == parsed.names.count("meta")


def test_a_page_of_very_many_tasks_is_bounded_and_says_so(report: Report) -> None:
    task = TaskRecord(0, "done", 1, 0.0, 1.0, 60, 1, 12, "A" * 5_000, "B" * 5_000, 100, 2**20, 0)
    many = tuple(
        replace(task, number=number, worker=1 + number % 100, start=number / 100, end=number / 100 + 1)
        for number in range(10_000)
    )
    memory = tuple(MemorySample(number / 5, 10**8, 10**9) for number in range(500))
    timeline = replace(report.timeline, tasks=many, tasks_left_out=7, memory=memory)
    large = replace(
        report,
        timeline=timeline,
        strategy="batched",
        skipped=tuple(Skipped(f"{number}.csv", f"reason {number}") for number in range(5_000)),
        warnings=("w",) * 5_000,
        settings={"input": GivenSetting([f"{number}.parquet" for number in range(5_000)], "INPUT")},
    )
    text = page.render(large)
    parsed = check_page(text)
    assert len(text) < 4 * 2**20
    bars = [shown for name, shown in parsed.texts if name == "title" and " tasks on worker " in shown]
    assert len(bars) <= workers.MOST_BARS
    assert sum(int(shown.split(" ")[0]) for shown in bars) == 100 * workers.MOST_LANES, "each lane has 100 tasks"
    shown = parsed.all_text()
    for sentence in (
        "a bar is up to 4 tasks of a worker in a row", "The 7 shortest tasks are not in the report",
        f"The first {workers.MOST_LANES} of 100 workers are drawn", f"and {5_000 - sections.MOST_LISTED:,} more",
    ):  # fmt: skip
        assert sentence in shown


def test_a_page_of_ten_thousand_tasks_is_as_small_as_the_documentation_says(report: Report) -> None:
    task = TaskRecord(0, "done", 1, 0.0, 1.0, 25_000, 100, 500, "SYMBOL1", "SYMBOL2", 2**24, 2**28, 0)
    tasks = tuple(
        replace(task, number=number, worker=1 + number % 16, start=number / 160, end=(number + 15) / 160)
        for number in range(10_000)
    )
    memory = tuple(MemorySample(number / 8, 10**8, 10**9) for number in range(500))
    timeline = replace(report.timeline, tasks=tasks, memory=memory)
    size = len(page.render(replace(report, strategy="batched", tasks=10_000, workers=16, timeline=timeline)))
    (claim,) = re.findall(r"10,000 tasks on 16 workers make a page of ([\d.]+) MB", README.read_text(encoding="utf-8"))
    assert float(claim) - 0.1 < size / 1e6 < float(claim) + 0.1


def test_tasks_without_times_are_told_and_not_drawn(report: Report) -> None:
    resumed = [replace(task, state="resumed", worker=None, start=None, end=None) for task in report.timeline.tasks[:2]]
    tasks = (*resumed, *report.timeline.tasks[2:])
    parsed = check_page(page.render(replace(report, timeline=replace(report.timeline, tasks=tasks))))
    assert "2 tasks with 120 rows were done by an earlier run" in parsed.all_text()
    assert len([text for name, text in parsed.texts if name == "title" and text.startswith("task ")]) == 1


def test_memory_is_drawn_with_the_budget_if_it_comes_near_it(report: Report) -> None:
    memory = (MemorySample(0.5, 2**27, 0), MemorySample(1.0, 2**27, 2**28))
    near, far = (
        page.render(replace(report, budget_bytes=budget, timeline=replace(report.timeline, memory=memory)))
        for budget in (2**29, 2**40)
    )
    assert 'class="budget"' in near and "far below" not in near
    assert 'class="budget"' not in far and "far below the budget 1,048,576 MiB" in far
    assert "at 1.0 s: 384 MiB\nparent 128 MiB, workers 256 MiB" in near
    assert "this run took less" in page.render(replace(report, timeline=replace(report.timeline, memory=())))


# ---- reading ---------------------------------------------------------------------------------------------


def as_json(report: Report) -> Any:
    return json.loads(json.dumps(report.to_dict()))


def saved(value: Any, folder: Path) -> Path:
    path = folder / "run.json"
    path.write_text(json.dumps(value))
    return path


def test_a_report_is_read_as_it_was(tmp_path: Path, report: Report, odd: Report) -> None:
    for one in (report, odd):
        read = read_report(saved(one.to_dict(), tmp_path))
        assert read.timeline == one.timeline
        assert as_json(read) == as_json(one)
        assert page.render(read) == page.render(one)


def places(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value; of a list the first."""
    if where:
        yield where
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*where, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*where, 0))


@pytest.mark.parametrize("put", [None, "x", -1, 1e300, [], {}, [[]], True, 10**30, "gone"], ids=str)
def test_a_report_that_is_not_as_it_was_written_is_refused_or_drawn(tmp_path: Path, report: Report, put: Any) -> None:
    """Whatever stands in a field: it ends in a refusal in one line, or in a page."""
    whole = as_json(report)
    refused = 0
    for *above, name in places(whole):
        changed = copy.deepcopy(whole)
        inner = changed
        for step in above:
            inner = inner[step]
        if put == "gone":
            del inner[name]
        else:
            inner[name] = put
        try:
            check_page(page.render(read_report(saved(changed, tmp_path))))
        except InputRefused as error:
            refused += 1
            assert "\n" not in str(error) and str(tmp_path) in str(error)
    assert refused > 20


REFUSED: dict[str, tuple[bytes | None, str]] = {
    "gone": (None, "can't be read: No such file or directory"),
    "empty": (b"", "is not JSON"),
    "text": (b"not a report", "is not JSON"),
    "half": (b'{"version": ', "is not JSON"),
    "deep": (b"[" * 100_000, "is not JSON"),
    "list": (b"[1, 2]", "is not a report of weekly-cli"),
    "foreign": (b'{"version": "1", "output": "x"}', "is not a report of weekly-cli"),
    "older": (b'{"version": "0.1.0", "fingerprint": "f", "output": "o"}', "with no version of its fields"),
    "newer": (
        b'{"version": "9.9", "fingerprint": "f", "output": "o", "report_version": 99}',
        f"weekly-cli 9.9 with version 99 of its fields, and weekly-cli {__version__} reads version {REPORT_VERSION}",
    ),
    "incomplete": (
        b'{"version": "9.9", "fingerprint": "f", "output": "o", "report_version": %d}' % REPORT_VERSION,
        "is not as weekly-cli has written it: table is not there",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_report_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    content, sentence = REFUSED[name]
    if content is not None:
        (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(InputRefused, match=re.escape(sentence)) as refusal:
        read_report(tmp_path / "run.json")
    assert "--report" in str(refusal.value) and "\n" not in str(refusal.value)


# ---- the command -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_build_writes_the_page_that_report_makes_of_its_json(tmp_path: Path, prices: Path) -> None:
    done = run_cli("build", prices, "-q", "--report", "run.html", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    check_page((tmp_path / "run.html").read_text(encoding="utf-8"))
    assert run_cli("build", prices, "-q", "--report", "run.json", cwd=tmp_path).returncode == 0
    done = run_cli("report", "run.json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert re.fullmatch(r"run.html: \d+ KiB\n", done.stderr)
    said = run_cli("report", "run.json", "-o", "other.HTM", "--json", cwd=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    written = (tmp_path / "other.HTM").read_bytes()
    assert json.loads(said.stdout) == {"report": "run.json", "page": "other.HTM", "bytes": len(written)}
    assert written == (tmp_path / "run.html").read_bytes()
    assert names_beside(tmp_path / "run.html") == ["daily_weekly", "other.HTM", "run.html", "run.json"]


@pytest.mark.slow
def test_a_page_never_takes_the_place_of_something_else(tmp_path: Path, prices: Path, report: Report) -> None:
    saved(report.to_dict(), tmp_path)
    (tmp_path / "notes.html").write_text("<!DOCTYPE html><p>precious")
    (tmp_path / "folder.html").mkdir()
    before = picture(tmp_path)
    for words, flag in (
        (["build", prices, "-q", "--report", "notes.html"], "--report"),
        (["report", "run.json", "-o", "notes.html"], "--output"),
        (["report", "run.json", "-o", "folder.html"], "--output"),
        (["report", "run.json", "-o", "run.json"], "--output"),
        (["report", "run.json", "-o", "nowhere/run.html"], "--output"),
    ):
        done = run_cli(*words, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"weekly-cli: {flag} ") and done.stderr.count("\n") == 1
        assert picture(tmp_path) == before
    done = run_cli("report", "notes.html", "-o", "new.html", cwd=tmp_path)
    assert done.returncode == 3 and "is not JSON" in done.stderr
    assert picture(tmp_path) == before


@pytest.mark.slow
def test_nasty_names_of_files_and_columns_are_text_in_the_page(tmp_path: Path) -> None:
    prices = write(nasty_prices(), tmp_path / NASTY / f"{NASTY}.parquet")
    output = tmp_path / f"{NASTY}out"
    done = run_cli("build", prices, "-o", output, "-q", "--report", tmp_path / f"{NASTY}.html", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    parsed = check_page((tmp_path / f"{NASTY}.html").read_text(encoding="utf-8"))
    assert parsed.all_text().count(SHOWN) >= 3


# ---- in a browser ----------------------------------------------------------------------------------------

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
#: The initiator of what Chromium asks for on its own account, in its log.
_BROWSER_ITSELF = "not an origin"
IN_A_BROWSER = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed here")


def in_browser(path: Path) -> tuple[str, str, set[str]]:
    """Load a file; return its elements as the browser has them, what it logged, and what the page asked for."""
    with tempfile.TemporaryDirectory() as profile:
        log = Path(profile) / "net.json"
        command = [
            *(str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
            *("--disable-background-networking", "--disable-component-update", "--disable-quic", "--dump-dom"),
            *("--enable-logging=stderr", f"--user-data-dir={profile}/profile", f"--log-net-log={log}"),
        ]
        done = run_words([*command, path.as_uri()])
        assert done.returncode == 0, done.stderr
        events = [event.get("params", {}) for event in json.loads(log.read_text(encoding="utf-8"))["events"]]
    of_a_page = [event for event in events if event.get("initiator", _BROWSER_ITSELF) != _BROWSER_ITSELF]
    return done.stdout, done.stderr, {event["url"] for event in of_a_page}


@IN_A_BROWSER
@pytest.mark.slow
def test_a_browser_shows_every_odd_symbol_and_asks_for_nothing(tmp_path: Path, report: Report) -> None:
    (task, *_) = report.timeline.tasks
    names = (*symbols(), *HOSTILE)
    tasks = tuple(replace(task, first_symbol=name) for name in names)
    path = tmp_path / "run.html"
    path.write_text(page.render(replace(report, timeline=replace(report.timeline, tasks=tasks))), encoding="utf-8")
    dom, logged, asked = in_browser(path)
    parsed = Parsed(dom)
    titles = [text for name, text in parsed.texts if name == "title" and "\nfrom " in text]
    assert [re.split(r"\nfrom |\npart ", title)[1] for title in titles] == [printable(name) for name in names]
    assert "CONSOLE" not in logged
    assert asked == set()


@IN_A_BROWSER
@pytest.mark.slow
def test_what_is_put_into_a_page_later_neither_runs_nor_asks_for_anything(tmp_path: Path, report: Report) -> None:
    image = "http://127.0.0.1:9/x.png"
    added = f"<script>document.title = 'ran'</script><p style='color: red'>put in</p><img src='{image}'></body>"
    changed = page.render(report).replace("</body>", added)
    path = tmp_path / "run.html"
    path.write_text(changed, encoding="utf-8")
    dom, logged, asked = in_browser(path)
    assert "<title>ran" not in dom and asked == set()
    assert logged.count("CONSOLE") >= 3
    path.write_text(changed.replace("Content-Security-Policy", "x"), encoding="utf-8")
    dom, _, asked = in_browser(path)
    assert "<title>ran" in dom and asked == {image}, "without the policy they would"
