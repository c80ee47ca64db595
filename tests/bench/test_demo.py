"""What the demo says of its numbers: the interval, the shares, and one sentence whichever way they fall."""

from __future__ import annotations

import json

import demo
import numpy as np
import pytest
from parts.demo_report import HEADER, conclusion, ex_cells, interval, screen_table, shares
from rich.console import Console


def write_scores(folder, rights: dict[str, str]) -> demo.Demo:
    made = demo.Demo(folder, [0], 1000, 0.2)
    for name, right in rights.items():
        labels = {"n": 10, "label": 4, "gold": 5}
        one = {"ex": 100 * right.count("1") / len(right), "right": right, "wrong_labels": labels}
        made.scores(name).parent.mkdir(parents=True, exist_ok=True)
        is_student = name in made.students
        found = {"last": one, "best": one, "best_step": 63, "valid": {"63": 1.0}} if is_student else one
        made.scores(name).write_text(json.dumps(found))
    return made


@pytest.mark.parametrize(
    ("rkd", "kid", "said"),
    [
        (
            "1" * 300,
            "0" * 300,
            "rkd above sft by +50.0 points (+44.3 to +55.7) and above the base by +75.0 points (+70.1 to +79.9); "
            "kid below sft by -50.0 points (-55.7 to -44.3) and below the base by -25.0",
        ),
        (
            "01" * 150,
            "10" * 150,
            "rkd not significantly different from sft by +0.0 points (+0.0 to +0.0) and above the base by +25.0",
        ),
    ],
)
def test_the_sentence_follows_the_numbers(tmp_path, rkd, kid, said):
    rights = {"student base": "0001" * 75, "teacher": "1" * 300, "sft-seed0": "01" * 150}
    made = write_scores(tmp_path, rights | {"rkd-seed0": rkd, "kid-seed0": kid})
    sentence = conclusion(made)
    assert sentence.startswith(
        "With 1000 labels, 20 % of them wrong: sft ends above the untouched base by +25.0 points"
    )
    assert said in sentence and sentence.endswith("EX on 300 questions on new databases.")


def test_intervals_and_shares():
    assert ex_cells(["01" * 200]) == ["50.0", "4.9"]  # 1.96 * 0.5 / 20
    assert interval(np.array([[1.0, 0, 0, 1]])) == pytest.approx((50, 1, 99))
    mean, low, high = interval(np.array([[1.0, 1, 1, 0], [0.0, 0, 0, 1]]))
    assert mean == 50 and low < 1 and high > 99  # and it depends on the seed
    assert shares([{"n": 10, "label": 4, "gold": 5}, {"n": 10, "label": 2, "gold": 6}]) == ["30 %", "55 %"]
    assert shares([{"n": 0, "label": 0, "gold": 0}]) == ["-", "-"]


def test_time_left_goes_by_the_pace_of_what_is_done():
    ends = demo.planned_ends({"base": 40, "teacher": 60, "sft": 200, "rkd": 300, "kid": 400}, 2)
    assert ends == {"base": 40, "teacher": 60, "sft": 240, "rkd": 360, "kid": 640}
    assert demo.time_left(ends, {"base"}, 80) == "; about 20 min left"  # twice as slow: 2 * (640 - 40) s
    assert demo.time_left(ends, {"base", "teacher", "sft"}, 240) == "; about 7 min left"
    assert demo.time_left(ends, set(ends), 700) == ""
    assert demo.time_left({"base": 0, "sft": 200}, {"base"}, 5) == ""  # it was done before


def test_another_demo_in_the_same_folder_is_refused(tmp_path):
    demo.Demo(tmp_path, [0], 1000, 0.2).check_settings()
    demo.Demo(tmp_path, [0, 1], 1000, 0.2).check_settings()
    with pytest.raises(demo.InputError, match=r"contains another demo: label_errors \(0.2 there, 0.0 here\)"):
        demo.Demo(tmp_path, [0], 1000, 0.0).check_settings()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--labels", "0"], "--labels 0 is out of range; it must be 1 or more"),
        (["--label-errors", "1"], "--label-errors 1 is out of range; it must be from 0 to below 1"),
        (["--seeds", "0", "-1"], "--seeds -1 is out of range; it must be 0 or more"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_written(tmp_path, monkeypatch, flags, message):
    monkeypatch.setattr("sys.argv", ["demo.py", "--output", str(tmp_path / "demo"), *flags])
    with pytest.raises(demo.InputError, match=message):
        demo.main()
    assert not (tmp_path / "demo").exists()


def test_the_table_has_whole_words_in_a_terminal_of_80_columns(capsys):
    rows = [["student base", "42.6", "3.1", "-", "-", "-", "0 %", "44 %"], ["sft", *["36.1"] * 5, "14 %", "27 %"]]
    Console(width=80).print(screen_table(rows))
    printed = capsys.readouterr().out
    assert "student base" in printed and not {word for column in HEADER for word in column.split()} - {*printed.split()}
