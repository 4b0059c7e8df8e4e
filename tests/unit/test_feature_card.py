"""`features NAME`: all about a column, with an example that is computed and a warm-up that is measured."""

from __future__ import annotations

import json

import numpy as np
import pytest
from frames import run_cli
from test_workings import assert_calculates

from weekly_cli.compute.features import Feature, catalogue
from weekly_cli.errors import UsageError
from weekly_cli.questions.feature_card import feature_card


@pytest.mark.parametrize(
    "feature", catalogue(["{b}"], every=("week", "month", "quarter")).features, ids=lambda feature: feature.name
)
def test_every_feature_has_a_card_whose_example_can_be_calculated(feature: Feature) -> None:
    card = feature_card(feature.name.replace("{b}", "spy"))
    names, rows = card.example.columns, card.example.rows
    assert names[0] == "k"
    assert names[-1] == card.column
    assert len(names) <= 6
    has_value = [row[-1] == row[-1] for row in rows]
    assert has_value == [row[0] >= feature.first_bar for row in rows], "null before its first bar, and only there"
    lines = card.example.workings
    assert lines[0].name == card.column
    assert lines[0].value == rows[-1][-1]
    for line in lines:
        if line.value == line.value:
            assert_calculates(line)
    fades, grows = feature.whole_history and feature.family != "bars", feature.looks_back > feature.first_bar
    assert (card.warm_up is not None) == (fades or grows)
    if card.warm_up is not None:
        assert card.warm_up.median_bar is not None
        assert card.warm_up.last_bar is not None
        assert feature.first_bar <= card.warm_up.median_bar <= card.warm_up.last_bar
        assert fades or card.warm_up.last_bar <= feature.looks_back
    assert json.loads(json.dumps(card.to_dict()))["made_of"][card.column] == lines[0].formula


def test_longer_recursions_take_longer_to_settle() -> None:
    bars = [feature_card(f"w_rsi_{n}").warm_up for n in (14, 21, 30)]
    medians = [each.median_bar for each in bars if each is not None and each.median_bar is not None]
    assert medians == sorted(medians)
    assert len(set(medians)) == 3
    # What is left of a year's difference fades by 1 - 1/n a bar: to a hundredth after about 4.6 n bars.
    assert all(2 * n < median < 12 * n for n, median in zip((14, 21, 30), medians, strict=True))


def test_a_relative_column_may_have_any_benchmark() -> None:
    assert feature_card("w_rs_qqq").made_of == {"w_rs_qqq": "C / C(qqq)"}
    assert feature_card("w_rs_{b}_norm").column == "w_rs_b_norm"
    assert "w_rs_brk_b" in feature_card("w_rs_brk_b_slope").made_of


def test_the_command_shows_a_card_a_family_or_a_hint() -> None:
    done = run_cli("features", "w_rsi_14")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())
    assert "defined by Wilder (1978), New Concepts in Technical Trading Systems" in said
    assert "equals TA-Lib RSI" in said
    assert "first bar k = 14, counted from 0: the first value needs 15 bars" in said
    assert max(map(len, done.stdout.splitlines())) <= 80
    listed = json.loads(run_cli("features", "volume", "--json").stdout)
    assert [row["column"] for row in listed] == ["w_volume_ratio_12"]
    wrong = run_cli("features", "w_rsi14")
    assert wrong.returncode == 2
    assert "did you mean w_rsi_14?" in wrong.stderr
    with pytest.raises(UsageError, match="neither a column nor a family"):
        feature_card("x")


def test_json_has_the_numbers_of_the_example() -> None:
    card = json.loads(run_cli("features", "w_mom_4", "--json").stdout)
    (null, first, *_) = card["example"]["rows"]
    close = [row[1] for row in card["example"]["rows"]]
    assert null[-1] is None
    assert np.isfinite(first[-1])
    line = card["example"]["workings"][0]
    assert line["formula"] == "C / C[-4] - 1"
    assert line["terms"][0]["values"] == [close[-1]]
    assert line["value"] == pytest.approx(close[-1] / line["terms"][1]["values"][0] - 1)
