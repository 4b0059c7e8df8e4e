"""Labels: forward returns against plain pandas, what a cut changes, the same bits on every route, and refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from frames import ROUTES, build, build_by, daily, read, run_cli, write, write_files
from hypothesis import given, settings
from hypothesis import strategies as st

import weekly_cli
from weekly_cli.errors import InputRefused, UsageError
from weekly_cli.questions.diff import diff
from weekly_cli.settings import from_python, resolve
from weekly_cli.verify import verify

LABELS = ("forward_return_1w", "forward_return_4w")
COLUMNS = [f"label_{name}" for name in LABELS]


def histories(seed: int) -> pd.DataFrame:
    """Random walks that begin and end on any day, with days and whole weeks missing, and unusable closes."""
    rng = np.random.default_rng(seed)
    pieces = []
    for symbol in ("AAA", "BBB", "CCC"):
        first, n_days = int(rng.integers(0, 40)), int(rng.integers(1, 90))
        dates = pd.date_range("1969-11-03", periods=n_days, freq="D") + pd.Timedelta(days=first)
        close = 100 * np.exp(np.cumsum(rng.normal(0, 0.05, n_days)))
        close[rng.random(n_days) < 0.1] = rng.choice([0.0, np.nan, -1.0])
        keep = rng.random(n_days) < rng.choice([0.2, 0.7, 1.0])
        hole = int(rng.integers(0, n_days))
        keep[hole : hole + int(rng.choice([0, 10, 30]))] = False
        pieces.append(pd.DataFrame({"symbol": symbol, "date": dates, "close": close})[keep])
    return pd.concat(pieces, ignore_index=True)


def weekly_closes(rows: pd.DataFrame, week: str) -> dict[str, pd.Series]:
    """Each symbol's last usable close of each week, by the week's last day."""
    used = rows[rows["close"] > 0]
    week_of = used["date"].dt.to_period(week).dt.end_time.dt.normalize().rename("week_end")
    closes = used.groupby(["symbol", week_of])["close"].last()
    return {symbol: closes[symbol] for symbol in used["symbol"].unique()}


def expected_label(closes: pd.Series, day: pd.Timestamp, n_weeks: int, last: pd.Timestamp, available: str) -> float:
    """The definition in words, for one row."""
    known_on = closes.index + pd.Timedelta(days=1 if available == "next-week" else 0)
    entries = closes.index[known_on > day]  # not known on the row's day yet
    if not len(entries):
        return np.nan
    exit_week = entries[0] + pd.Timedelta(weeks=n_weeks)
    if exit_week > last or closes.index[-1] < exit_week:
        return np.nan
    return float(closes[closes.index <= exit_week].iloc[-1] / closes[entries[0]] - 1)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    week=st.sampled_from(["W-FRI", "W-SUN", "W-WED"]),
    available=st.sampled_from(["next-week", "week-end"]),
)
def test_a_label_is_the_return_from_the_first_close_that_its_row_does_not_know(
    seed: int, week: str, available: str
) -> None:
    rows = histories(seed)
    if rows.empty:
        return
    found = weekly_cli.add_weekly_features(
        rows, features="w_close", label=LABELS, week=week, available=available, dtype="float64"
    )
    closes, none, last = weekly_closes(rows, week), pd.Series([], pd.DatetimeIndex([]), dtype=float), rows["date"].max()
    for name, n_weeks in zip(COLUMNS, (1, 4), strict=True):
        expected = [
            expected_label(closes.get(symbol, none), day, n_weeks, last, available)
            for symbol, day in zip(rows["symbol"], rows["date"], strict=True)
        ]
        np.testing.assert_allclose(found[name], expected, rtol=1e-12, atol=1e-12, equal_nan=True)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.1, 0.95))
def test_a_cut_makes_labels_null_and_never_another_value(seed: int, share: float) -> None:
    rows = histories(seed)
    days = np.sort(rows["date"].unique())
    if not len(days):
        return
    before = rows[rows["date"] <= days[int(share * len(days))]]
    given = {"features": "w_close", "label": LABELS}
    whole = weekly_cli.add_weekly_features(rows, **given).loc[before.index]
    cut = weekly_cli.add_weekly_features(before, **given)
    for name in COLUMNS:
        has_value = cut[name].notna()
        assert np.array_equal(cut[name][has_value], whole[name][has_value])
    assert cut["w_close"].equals(whole["w_close"])


def test_a_week_that_goes_on_has_no_close_yet() -> None:
    rows = pd.DataFrame({"date": pd.date_range("2024-01-01", "2024-01-18"), "close": np.arange(1.0, 19.0)})
    running = weekly_cli.add_weekly_features(rows, features="w_close", label="forward_return_1w")
    over = pd.DataFrame({"date": [*rows["date"], pd.Timestamp("2024-01-19")], "close": [*rows["close"], 19.0]})
    done = weekly_cli.add_weekly_features(over, features="w_close", label="forward_return_1w")
    second_week = rows["date"].between("2024-01-06", "2024-01-12")
    assert running["label_forward_return_1w"][second_week].isna().all()
    np.testing.assert_allclose(done["label_forward_return_1w"][:18][second_week], 19 / 12 - 1, rtol=1e-6)


def test_the_return_is_that_of_the_adjusted_close() -> None:
    rows = daily(("AAA",), 60).append_column("adj", pa.array(np.linspace(10, 20, 60)))
    given: dict[str, Any] = {"features": "w_close", "label": "forward_return_4w", "price": "adj", "dtype": "float64"}
    found = weekly_cli.add_weekly_features(rows, **given).to_pandas()
    monday = found.iloc[5]  # the second week's first day: its week ends with row 9, four weeks later with row 29
    assert monday["label_forward_return_4w"] == pytest.approx(found["adj"][29] / found["adj"][9] - 1, rel=1e-12)


# ---- builds ----------------------------------------------------------------------------------------------

SYMBOLS = tuple(f"S{number}" for number in range(6))


@pytest.mark.parametrize("writer", ["fast", "arrow"])
def test_every_route_gives_the_same_bits(writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = []
    for route, order in ROUTES.items():
        source = write_files(daily(SYMBOLS, 90, order=order), tmp_path / f"{route}-in", 3)
        build_by(route, source, tmp_path / route, monkeypatch, features="w_close", label=LABELS, writer=writer)
        tables.append(read(tmp_path / route))
    frame = weekly_cli.add_weekly_features(daily(SYMBOLS, 90, order="symbol"), features="w_close", label=LABELS)
    assert tables[0].column_names[-2:] == COLUMNS
    assert tables[0].column(COLUMNS[1]).null_count < tables[0].num_rows / 2
    for table in (*tables[1:], frame):
        assert table.select(COLUMNS).equals(tables[0].select(COLUMNS))


def test_features_do_not_change_by_a_label_and_all_has_none(tmp_path: Path) -> None:
    source = write(daily(SYMBOLS, 90), tmp_path / "in.parquet")
    plain, labelled = (build(source, tmp_path / name, label=names) for name, names in (("a", ()), ("b", LABELS)))
    assert not [name for name in plain.column_names if name.startswith("label")]
    assert labelled.drop_columns(COLUMNS).equals(plain)
    record = json.loads(pq.read_schema(next((tmp_path / "b").glob("*.parquet"))).metadata[b"weekly_cli"])
    assert not set(COLUMNS) & set(record["features"])
    assert record["settings"]["label"] == list(LABELS)


def test_a_weekly_row_has_the_label_of_the_day_on_which_it_is_seen(tmp_path: Path) -> None:
    source = write(daily(("AAA",), 90), tmp_path / "in.parquet")
    given: dict[str, Any] = {"features": "w_close", "label": LABELS, "dtype": "float64"}
    weeks = build(source, tmp_path / "weeks", rows="weekly", **given).to_pandas()
    expected = weeks["w_close"].shift(-2) / weeks["w_close"].shift(-1) - 1
    np.testing.assert_allclose(weeks[COLUMNS[0]], expected, rtol=1e-12, equal_nan=True)


def test_labels_are_sorted_by_their_weeks_each_once(tmp_path: Path) -> None:
    config = resolve(from_python({"input": "x", "label": "forward_return_12w,forward_return_4w,forward_return_4w"}))
    assert config.label == ("forward_return_4w", "forward_return_12w")


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("forward_retrun_4w", "did you mean forward_return_4w?"),
        ("label_forward_return_4w", "did you mean forward_return_4w?"),
        ("forward_return_0w", "a whole number N of weeks"),
        ("forward_return_9999w", "1 to 5,200 weeks"),
        ("w_rsi_14", "forward_return_Nw"),
    ],
)
def test_another_name_is_refused(label: str, said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("?", r"\?")):
        resolve(from_python({"input": "x", "label": label}))


def test_a_label_is_no_feature(tmp_path: Path) -> None:
    source = write(daily(("AAA",), 20), tmp_path / "in.parquet")
    with pytest.raises(UsageError, match="it is a label, which looks ahead: build --label forward_return_4w adds it"):
        build(source, tmp_path / "out", features="label_forward_return_4w")
    labelled = write(build(source, tmp_path / "out", label=LABELS, features="w_close"), tmp_path / "again.parquet")
    with pytest.raises(InputRefused, match="already has the columns label_forward_return_1w"):
        build(labelled, tmp_path / "out2", label=LABELS, features="w_ret")


# ---- verify ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    source = write(daily(("AAA", "BBB"), 120), folder / "in.parquet")
    build(source, folder / "out.parquet", features="w_close,w_ret", label=LABELS)
    return folder / "out.parquet"


def test_verify_keeps_labels_apart_from_what_must_not_look_ahead(labelled: Path) -> None:
    checks = {check.name: check for check in verify(labelled, dates=3).checks}
    assert not [check.findings for check in checks.values() if check.findings]
    assert "labels look ahead by design" in checks["look-ahead"].did
    assert "4 columns" in checks["reference"].did


@pytest.mark.parametrize("row", [0, -1])
def test_verify_finds_a_label_that_is_off(row: int, labelled: Path, tmp_path: Path) -> None:
    """A wrong value, and one where there is none yet."""
    table = pq.read_table(labelled)
    values = table.column(COLUMNS[0]).to_pylist()
    values[row] = 0.5
    at = table.column_names.index(COLUMNS[0])
    changed = write(
        table.set_column(at, table.schema.field(at), pa.array(values, pa.float32())), tmp_path / "o.parquet"
    )
    findings = {check.name: check.findings for check in verify(changed, dates=1).checks}
    assert any(COLUMNS[0] in finding for finding in findings["reference"])
    assert any(COLUMNS[0] in finding for finding in findings["values"])


def test_verify_finds_labels_that_take_a_running_week_for_a_close(
    labelled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such labels change as the week goes on."""
    from weekly_cli.compute import labels
    from weekly_cli.run import task

    def too_early(wanted: Any, last_day: int) -> Any:
        return labels.Labels(wanted, 10**6) if wanted else None

    monkeypatch.setattr(task, "labels_up_to", too_early)
    findings = {check.name: check.findings for check in verify(labelled, dates=6).checks}
    assert any("a label changes with what comes after" in finding for finding in findings["look-ahead"])


def test_the_commands_tell_labels_from_features(tmp_path: Path) -> None:
    write(daily(("AAA", "BBB"), 60), tmp_path / "in.parquet")
    (tmp_path / "weekly.toml").write_text('label = ["forward_return_4w"]\nfeatures = "w_week_end,w_close,w_ret"\n')
    told = {
        command: run_cli(*command.split(), cwd=tmp_path)
        for command in ("build in.parquet -o out", "latest out", "inspect out --json", "explain out AAA 2022-02-10")
    }
    assert [shown.returncode for shown in told.values()] == [0, 0, 0, 0], told
    assert "label_forward_return_4w look ahead" in " ".join(told["build in.parquet -o out"].stderr.split())
    assert "label_forward_return_4w: left out, as labels look ahead" in " ".join(told["latest out"].stdout.split())
    found = json.loads(told["inspect out --json"].stdout)["build"]
    assert found["labels"] == ["label_forward_return_4w"]
    assert "--label forward_return_4w" in found["command"]
    asked = run_cli("explain", "out", "AAA", "2022-02-10", "--feature", "label_forward_return_4w", cwd=tmp_path)
    assert asked.returncode == 2
    assert "it is a label, which looks ahead" in asked.stderr


def test_a_label_that_became_known_is_no_change_of_history(tmp_path: Path) -> None:
    rows = daily(("AAA", "BBB"), 60)
    for name, n_rows in (("a", 100), ("b", 120)):
        write(rows.slice(0, n_rows), tmp_path / f"{name}.parquet")
        build(tmp_path / f"{name}.parquet", tmp_path / name, label=LABELS, features="w_close")
    found = diff(str(tmp_path / "a"), str(tmp_path / "b"))
    assert not found.history_changed
    # Of 10 weeks, the 10th was not left a week later yet, and the 7th and 8th not four weeks later; now 12 are over.
    assert found.labels_known == 2 * 5 * (1 + 2)
    assert found.conclusion == "no history changed; 20 rows are new; 30 labels became known"
    assert diff(str(tmp_path / "b"), str(tmp_path / "a")).history_changed
